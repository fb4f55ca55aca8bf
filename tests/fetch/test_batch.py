"""The parser of `cat-file --batch` must stand anything that a dying or lying git can leave."""

from __future__ import annotations

import os

from hypothesis import example, given, settings
from hypothesis import strategies as st

from codelupe_daemon.fetch.batch import BLOB, MISSING, OTHER_TYPE, Batch, map_batch

ID = b"1" * 40


def parse(output: bytes, count: int) -> Batch:
    fd = os.memfd_create("batch")
    try:
        os.write(fd, output)
        return map_batch(fd, len(output), count)
    finally:
        os.close(fd)


def test_blobs_gaps_and_other_types() -> None:
    output = (
        ID + b" blob 3\nabc\n" + ID + b" missing\n" + ID + b" tree 2\nxy\n" + ID + b" blob 0\n\n"
    )
    batch = parse(output, 4)
    assert batch.complete == 4
    assert batch.states.tolist() == [BLOB, MISSING, OTHER_TYPE, BLOB]
    assert batch.sizes.tolist() == [3, -1, 2, 0]
    assert bytes(batch.buffer[batch.offsets[0] :][:3]) == b"abc"


def test_sha256_ids() -> None:
    assert parse(b"2" * 64 + b" blob 1\nx\n", 1).sizes.tolist() == [1]


def test_a_cut_object_is_not_complete_but_tells_its_size() -> None:
    batch = parse(ID + b" blob 3\nabc\n" + ID + b" blob 5000\nabc", 3)
    assert batch.complete == 1
    assert batch.sizes.tolist() == [3, 5000, -1]


@given(st.data())
def test_any_prefix_keeps_exactly_the_whole_objects(data: st.DataObject) -> None:
    contents = data.draw(st.lists(st.binary(max_size=40), min_size=1, max_size=8))
    objects = [ID + b" blob %d\n%b\n" % (len(content), content) for content in contents]
    cut = data.draw(st.integers(0, len(b"".join(objects))))
    batch = parse(b"".join(objects)[:cut], len(objects))
    ends = [len(b"".join(objects[: i + 1])) for i in range(len(objects))]
    assert batch.complete == sum(end <= cut for end in ends)
    for i in range(batch.complete):
        start = int(batch.offsets[i])
        assert bytes(batch.buffer[start : start + int(batch.sizes[i])]) == contents[i]


@settings(max_examples=300)
@given(st.lists(st.sampled_from([ID, b" ", b"\n", b"blob", b"9" * 18, b"9" * 30, b"-1", b"x"])))
@example([ID, b" ", b"blob", b" ", b"9" * 18, b"\n"])
def test_nonsense_never_points_outside_the_buffer(pieces: list[bytes]) -> None:
    output = b"".join(pieces)
    batch = parse(output, 5)
    for i in range(batch.complete):
        assert 0 <= batch.offsets[i] <= len(output)
        assert batch.offsets[i] + max(0, batch.sizes[i]) <= len(output)
