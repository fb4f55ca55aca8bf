"""Batches of packed rows: nothing is lost, nothing leaks, and each process has its share."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import islice
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from tests.trainer import tiny
from tests.trainer.finetune.rows import Rows, packed, row, texts
from trainer.finetune.collate import Collator, Share, Stream, Tally
from trainer.finetune.loss import losses_of
from trainer.samples.rows import PackedRow

ROWS = packed(5)


def loss_sum(model_type: str, batches: list[dict[str, Any]]) -> float:
    torch.manual_seed(1)
    model = AutoModelForCausalLM.from_config(tiny.tiny(model_type))
    with losses_of(model, is_chunked=True), torch.no_grad():
        return math.fsum(model(**batch, num_items_in_batch=1).loss.item() for batch in batches)


@pytest.mark.parametrize("model_type", tiny.MODEL_TYPES)
def test_packed_flat_and_one_by_one_have_the_same_loss(model_type: str) -> None:
    documents = [ids for ids in texts(6) if len(ids) <= 32]
    singles = [Collator(0, len(ids), is_flat=False)([row([ids])]) for ids in documents]
    rows = [row(documents[at : at + 2]) for at in range(0, len(documents), 2)]
    alone = loss_sum(model_type, singles)
    assert loss_sum(model_type, [Collator(0, 64, is_flat=False)(rows)]) == pytest.approx(
        alone, 1e-5
    )
    assert loss_sum(model_type, [Collator(0, 64, is_flat=True)(rows)]) == pytest.approx(alone, 1e-5)


def test_a_batch_says_what_is_learned_and_where_documents_begin() -> None:
    a, b = (ids[:n] for ids, n in zip(texts(2), (10, 6), strict=True))
    batch = Collator(9, 20, is_flat=False)([row([a, b]), None])
    ids, labels, positions = (batch[n] for n in ("input_ids", "labels", "position_ids"))
    assert ids[0].tolist() == [*a.tolist(), *b.tolist(), 9, 9, 9, 9]
    assert ids[1].tolist() == [9] * 20
    context, first = [-100] * 2, [-100]
    assert labels[0].tolist() == [*context, *a[2:].tolist(), *first, *b[1:].tolist(), *[-100] * 4]
    assert set(labels[1].tolist()) == {-100}
    assert positions.tolist() == [[*range(10), *range(6), *range(4)], [*range(20)]]


def test_a_flat_batch_names_its_borders() -> None:
    collator = Collator(9, 20, is_flat=True)
    batch = collator([row([ids[:n] for ids, n in zip(texts(2), (10, 6), strict=True)]), None])
    borders = batch["cu_seq_lens_q"]
    assert (borders.tolist(), borders.dtype) == ([0, 10, 16, 20, 40], torch.int32)
    assert (batch["max_length_q"], batch["max_length_k"]) == (20, 20)
    assert collator.take_tally() == Tally(places=40, tokens=16, squares=136)
    assert collator.take_tally() == Tally()


def firsts(rows: Iterable[PackedRow | None]) -> list[list[int]]:
    return [row.input_ids[:12].tolist() if row else [] for row in rows]


def test_the_stream_goes_on_where_it_stopped_epoch_after_epoch() -> None:
    def begun(begin: int, epoch_rows: int | None) -> Stream:
        return Stream(Rows(ROWS), 1, begin=begin, epoch_rows=epoch_rows, rank=0, world=1)

    whole = firsts(islice(begun(0, None), 13))
    assert sorted(whole[:5]) == sorted(firsts(ROWS))
    assert whole[:5] != whole[5:10]
    for begin in (3, 5, 7, 11):
        assert firsts(islice(begun(begin, 5), 13 - begin)) == whole[begin:]
    assert firsts(islice(begun(3, None), 2)) == whole[3:5]


def test_the_stream_knows_how_many_rows_there_are_before_it_gives_the_last() -> None:
    stream = Stream(Rows(ROWS, estimate=50), 1, begin=2, epoch_rows=None, rank=0, world=1)
    rows = iter(stream)
    assert [stream.epoch_rows for _ in islice(rows, 3)] == [None, None, 5]


def test_a_stream_without_rows_ends() -> None:
    assert list(Stream(Rows([]), 1, begin=0, epoch_rows=None, rank=0, world=1)) == []


@pytest.mark.parametrize("world", [1, 2, 3])
def test_processes_share_the_rows(world: int) -> None:
    def streamed(rank: int, of: int) -> list[list[int]]:
        stream = Stream(Rows(ROWS), 1, begin=0, epoch_rows=None, rank=rank, world=of)
        return firsts(islice(stream, 12 // of))

    shares = [streamed(rank, world) for rank in range(world)]
    assert [shares[at % world][at // world] for at in range(12)] == streamed(0, 1)


@pytest.mark.parametrize("rows_max, expected", [(99, 5), (4, 4), (0, 0)])
@pytest.mark.parametrize("world", [1, 2, 3])
def test_processes_measure_as_many_rows_each(world: int, rows_max: int, expected: int) -> None:
    shares = [list(Share(Rows(ROWS), rows_max, rank=rank, world=world)) for rank in range(world)]
    assert {len(share) for share in shares} == {-(-expected // world)}
    assert sum(one is not None for share in shares for one in share) == expected
