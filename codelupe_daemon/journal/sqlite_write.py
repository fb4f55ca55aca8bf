"""What is decided inside the embedded journal's write transaction.

Every function takes the connection of an open `BEGIN IMMEDIATE` transaction. Contents are decided
in the order of their hashes, so that the same batch always gives the same rows.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

import apsw

from codelupe_daemon.errors import StaleVisit, TextsMissing
from codelupe_daemon.journal.base import Forgotten, Rejudged
from codelupe_daemon.journal.sqlite_files import first, query, run, run_many, value
from codelupe_daemon.journal.takedowns import Takedowns, place_matches
from codelupe_daemon.model import (
    PASSING_REASONS,
    Content,
    Occurrence,
    Op,
    Part,
    PlaceKey,
    Reason,
    Recorded,
    Standing,
    Visit,
    place_key,
)

PAGE = 2000


class _Live(NamedTuple):
    """A row of `contents`, with what its newest journal row and its place say."""

    add_id: int
    newest_id: int
    repo_id: int
    path: str
    language: str | None
    license: str | None
    """As it was recorded: of the place, else of the repository."""
    place_license: str | None


class _Candidate(NamedTuple):
    """The best place of a content within a batch, with its verdict where the batch has one."""

    key: PlaceKey
    repo_id: int
    occurrence: Occurrence
    content: Content | None
    commit: bytes | None
    examiner_version: str


class _Text(NamedTuple):
    """What a journal row says of a content, whatever its op."""

    packed: bytes | None
    chars: int
    language: str | None
    quality: float | None
    signals: str | None
    fingerprint: bytes | None
    examiner_version: str | None


class Transaction:
    """One write transaction: its rows are gathered, then written in bulk by `flush`."""

    def __init__(self, cx: apsw.Connection) -> None:
        self._cx = cx
        self._now = int(time.time())
        self._last_id: int = value(cx, "last_id")
        self._standings: dict[int, tuple[str, Standing]] = {}
        self._journal: list[tuple[Any, ...]] = []
        self._contents: dict[bytes, tuple[int, int, int, str]] = {}
        self._verdicts: list[tuple[Any, ...]] = []
        self._languages: dict[bytes, str | None] = {}
        self.recorded = Recorded()

    # -- places ---------------------------------------------------------------------------------

    def standing(self, repo_id: int) -> tuple[str, Standing]:
        """Name and standing of a repository, as of its last complete visit."""
        if repo_id not in self._standings:
            row = first(self._cx, "standing_of", (repo_id,))
            self._standings[repo_id] = row[0], Standing(*row[1:])
        return self._standings[repo_id]

    def key(self, repo_id: int, path: str, license_id: str | None) -> PlaceKey:
        full_name, standing = self.standing(repo_id)
        return place_key(standing, full_name, path, license_id)

    def license(self, at: _Candidate) -> str | None:
        """Of the place, else of the repository."""
        return at.occurrence.license or self.standing(at.repo_id)[1].license

    def live(self, hashes: Sequence[bytes]) -> dict[bytes, _Live]:
        if not hashes:
            return {}
        rows = query(self._cx, "live_contents", (apsw.carray(tuple(hashes)),))
        return {row[0]: _Live(*row[1:]) for row in rows}

    # -- rows -----------------------------------------------------------------------------------

    def add(self, content_hash: bytes, best: _Candidate) -> None:
        text = self._text_of(best)
        if text is None or text.packed is None:
            older = self._older_text(content_hash)
            text = text or self._in_language(content_hash, older, best.occurrence.language)
            text = text._replace(packed=older.packed)
        self._row(Op.ADD, content_hash, text, best)

    def restate(self, op: Op, content_hash: bytes, live: _Live, best: _Candidate) -> None:
        """`move` or `revise`: a new place or verdict of a live content."""
        newest = self._newest_text(live)
        language = best.occurrence.language
        text = self._text_of(best) or self._in_language(content_hash, newest, language)
        if newest.language != language:
            self.keep_verdict(content_hash, newest)
        row_id = self._row(op, content_hash, text._replace(packed=None), best)
        place = (best.repo_id, best.occurrence.path)
        self._contents[content_hash] = (live.add_id, row_id, *place)

    def remove(self, content_hash: bytes, live: _Live) -> None:
        place = Occurrence(live.path, None, "", None, None, None, None)
        key = self.key(live.repo_id, live.path, None)
        last = _Candidate(key, live.repo_id, place, None, None, "")
        self._row(Op.REMOVE, content_hash, _Text(None, 0, None, None, None, None, None), last)
        run(self._cx, "drop_content", (content_hash,))
        self._contents.pop(content_hash, None)

    def keep_verdict(self, content_hash: bytes, text: _Text) -> None:
        """For the day the text's best place is one of this language."""
        self._verdicts.append(
            (
                content_hash, text.language, text.quality, text.signals, text.fingerprint,
                text.examiner_version,
            )
        )  # fmt: skip

    def _in_language(self, content_hash: bytes, text: _Text, language: str | None) -> _Text:
        """The same text as it was judged in this language."""
        if text.language == language:
            return text
        row = first(self._cx, "verdict_of", (content_hash, language))
        return _Text(text.packed, text.chars, *row) if row else text._replace(language=language)

    def _row(self, op: Op, content_hash: bytes, text: _Text, at: _Candidate) -> int:
        self._last_id += 1
        _, standing = self.standing(at.repo_id)
        self._journal.append(
            (
                self._last_id, op.value, content_hash, text.chars, text.language, text.quality,
                text.signals, self.license(at), text.fingerprint, at.repo_id, at.occurrence.path,
                at.commit, at.occurrence.oid, standing.stars, standing.forks, standing.license,
                standing.pushed_at, text.examiner_version, self._now, text.packed,
            )
        )  # fmt: skip
        self.recorded.count(op)
        return self._last_id

    def _text_of(self, best: _Candidate) -> _Text | None:
        content = best.content
        return content and _text(content, best.examiner_version)

    def _newest_text(self, live: _Live) -> _Text:
        return _Text(None, *first(self._cx, "newest_verdict", (live.newest_id,)))

    def _older_text(self, content_hash: bytes) -> _Text:
        """The text of a content that lived before; its blob was known, so it was not read again."""
        row = first(self._cx, "older_text", (content_hash,))
        if row is None:
            raise TextsMissing(f"no text of {content_hash.hex()} in the batch or in the journal")
        return _Text(*row)

    def flush(self) -> Recorded:
        """Write all rows. What is new enters `contents` by one statement: each step of a statement
        gives the GIL back and waits for it again, and that wait was half of the writer's time."""
        before = self._last_id - len(self._journal)
        run_many(self._cx, "insert_journal", self._journal)
        run(self._cx, "put_added", (before,))
        restated = ((content_hash, *live) for content_hash, live in self._contents.items())
        run_many(self._cx, "put_content", restated)
        run_many(self._cx, "put_verdict", self._verdicts)
        self._journal, self._contents, self._verdicts = [], {}, []
        return self.recorded

    # -- decisions ------------------------------------------------------------------------------

    def place_best(self, candidates: Mapping[bytes, _Candidate]) -> None:
        """Add what is new, move what has a better place now, revise what is judged anew."""
        live_by_hash = self.live(list(candidates))
        for content_hash in sorted(candidates):
            best, live = candidates[content_hash], live_by_hash.get(content_hash)
            self._languages[content_hash] = best.occurrence.language
            if live is None:
                self.add(content_hash, best)
            elif (live.repo_id, live.path) == (best.repo_id, best.occurrence.path):
                self.revise(content_hash, live, best)
            elif best.key < self.key(live.repo_id, live.path, live.place_license):
                self.restate(Op.MOVE, content_hash, live, best)
            else:
                self._languages[content_hash] = live.language

    def revise(self, content_hash: bytes, live: _Live, best: _Candidate) -> None:
        new = self._text_of(best)
        is_new = new is not None and self._newest_text(live)[2:6] != new[2:6]
        if is_new or live.license != self.license(best):
            self.restate(Op.REVISE, content_hash, live, best)

    def keep_other_languages(self, parts: Sequence[Part]) -> None:
        """Verdicts in languages that are not those of the texts' best places."""
        for part in parts:
            for (content_hash, language), content in part.contents.items():
                if self._languages.get(content_hash, language) != language:
                    self.keep_verdict(content_hash, _text(content, part.examiner_version))

    def settle(self, hashes: Iterable[bytes]) -> None:
        """Look at every place of these contents: the best wins, and none at all is a removal."""
        live_by_hash = self.live(list(hashes))
        for content_hash in sorted(live_by_hash):
            live = live_by_hash[content_hash]
            best = self._best_candidate(content_hash)
            if best is None:
                self.remove(content_hash, live)
            elif (live.repo_id, live.path) != (best.repo_id, best.occurrence.path):
                self.restate(Op.MOVE, content_hash, live, best)

    def best_place(self, content_hash: bytes) -> tuple[int, str] | None:
        """repo_id and path where a content ought to stand; None if it stands nowhere."""
        best = self._best_candidate(content_hash)
        return best and (best.repo_id, best.occurrence.path)

    def rejudge(self, best: Mapping[bytes, _Candidate], live: Mapping[bytes, _Live]) -> None:
        """Texts under new verdicts: `best` is each one's best place of all that it has."""
        others = self.live([content_hash for content_hash in best if content_hash not in live])
        for content_hash in sorted(best):
            candidate = best[content_hash]
            before = live.get(content_hash)
            if before is None and content_hash in others:
                # The redacted form was live already: its places and these are looked at together.
                self.place_best({content_hash: candidate})
            elif before is None:
                self.add(content_hash, candidate)
            elif (before.repo_id, before.path) != (candidate.repo_id, candidate.occurrence.path):
                self.restate(Op.MOVE, content_hash, before, candidate)
            else:
                self.revise(content_hash, before, candidate)

    def _best_candidate(self, content_hash: bytes) -> _Candidate | None:
        places = query(self._cx, "places_of", (content_hash,))
        candidates = (
            _Candidate(
                self.key(repo_id, path, license_id), repo_id,
                Occurrence(path, oid, "", language, content_hash, None, None, license_id), None,
                head, "",
            )
            for repo_id, path, oid, language, license_id, head in places
        )  # fmt: skip
        return min(candidates, key=lambda candidate: candidate.key, default=None)


def append(cx: apsw.Connection, parts: Sequence[Part]) -> Recorded:
    """See `Journal.append`."""
    for part in parts:
        check_lease(cx, part.visit)
    takedowns = load_takedowns(cx)
    if takedowns:
        parts = [takedowns.strike(part) for part in parts]
    parts = [_over_recorded(cx, part) for part in parts]
    transaction = Transaction(cx)
    transaction.place_best(_best_in(parts, transaction))
    transaction.keep_other_languages(parts)
    run_many(cx, "put_occurrence", _occurrence_rows(parts))
    return transaction.flush()


def check_lease(cx: apsw.Connection, visit: Visit) -> None:
    if is_over(cx, visit):
        raise StaleVisit(visit.full_name)


def is_over(cx: apsw.Connection, visit: Visit) -> bool:
    """Whether the visit has ended: ended again, it changes nothing.

    Only a claim raises the epoch; in a copy of the store a visit neither lasts nor has it ended.
    """
    row = first(cx, "visit_of", (visit.repo_id, visit.epoch))
    if row is None:
        raise StaleVisit(visit.full_name)
    return bool(row[0])


def load_takedowns(cx: apsw.Connection) -> Takedowns:
    return Takedowns.of(query(cx, "takedowns"))


def _over_recorded(cx: apsw.Connection, part: Part) -> Part:
    """Remember contents that a changed file leaves: only the end of the visit decides on them.

    A file that could not be read this time keeps what is recorded: it is not gone.
    """
    if part.visit.is_first or not part.occurrences:
        return part
    paths = apsw.carray(tuple(o.path for o in part.occurrences))
    rows = query(cx, "recorded_hashes", (part.visit.repo_id, paths))
    recorded = {path: (content_hash, license_id) for path, content_hash, license_id in rows}
    occurrences = [
        o for o in part.occurrences if o.reason not in PASSING_REASONS or o.path not in recorded
    ]
    left = [
        (part.visit.repo_id, recorded[o.path][0])
        for o in occurrences
        if o.path in recorded and recorded[o.path] != (o.content_hash, o.license)
    ]
    run_many(cx, "displace", left)
    return part._replace(occurrences=occurrences)


def _best_in(parts: Sequence[Part], transaction: Transaction) -> dict[bytes, _Candidate]:
    best: dict[bytes, _Candidate] = {}
    for part in parts:
        full_name, standing = transaction.standing(part.visit.repo_id)
        for occurrence in part.occurrences:
            content_hash = occurrence.content_hash
            if content_hash is None:
                continue
            key = place_key(standing, full_name, occurrence.path, occurrence.license)
            if content_hash not in best or key < best[content_hash].key:
                content = part.contents.get((content_hash, occurrence.language or ""))
                best[content_hash] = _Candidate(
                    key, part.visit.repo_id, occurrence, content, part.commit,
                    part.examiner_version,
                )  # fmt: skip
    return best


def _occurrence_rows(parts: Sequence[Part]) -> list[tuple[Any, ...]]:
    rows = [
        (
            part.visit.repo_id, o.path, o.oid, o.path_class, o.language, o.content_hash,
            o.reason and o.reason.value, o.measured, o.license, o.own_license,
            part.examiner_version,
        )
        for part in parts
        for o in part.occurrences
    ]  # fmt: skip
    return sorted(rows, key=itemgetter(0, 1))


def retire(cx: apsw.Connection, visit: Visit, paths: Sequence[str]) -> None:
    """See `Journal.retire`."""
    check_lease(cx, visit)
    if not paths:
        return
    bound = (visit.repo_id, apsw.carray(tuple(paths)))
    recorded = list(query(cx, "recorded_hashes", bound))
    run_many(cx, "displace", ((visit.repo_id, before) for _, before, _ in recorded))
    run(cx, "retire", bound)


def restate_repository(
    cx: apsw.Connection, visit: Visit, standing: Standing, commit: bytes | None
) -> None:
    """The standing of the visit that ends now counts; contents shared with others are looked at."""
    if is_over(cx, visit):
        return
    run(cx, "update repositories set head = ? where id = ?", (commit, visit.repo_id))
    _, *before = first(cx, "standing_of", (visit.repo_id,))
    if Standing(*before) == standing:
        return
    run(
        cx,
        "restate",
        (standing.license, standing.stars, standing.forks, standing.pushed_at, visit.repo_id),
    )
    run(cx, "displace_shared", {"repo_id": visit.repo_id})


def settle_page(cx: apsw.Connection, visit: Visit) -> tuple[Recorded, bool]:
    """Decide on a page of displaced contents; whether any may be left."""
    if is_over(cx, visit):
        return Recorded(), False
    rows = list(query(cx, "displaced_of", (visit.repo_id, PAGE)))
    transaction = Transaction(cx)
    transaction.settle(row[0] for row in rows)
    run_many(cx, "undisplace", ((visit.repo_id, row[0]) for row in rows))
    return transaction.flush(), len(rows) == PAGE


def complete(cx: apsw.Connection, visit: Visit, version: str, due_in_s: float | None) -> None:
    """The visit is done and the repository free."""
    if is_over(cx, visit):
        return
    now = time.time()
    due_at = None if due_in_s is None else now + due_in_s
    bound = {"id": visit.repo_id, "now": int(now), "due_at": due_at, "version": version}
    run(cx, "complete_visit", bound)


def forget_places(cx: apsw.Connection, repo: str, pattern: str | None) -> Forgotten:
    """See `Journal.forget_places`."""
    now = int(time.time())
    run(cx, "take_down", (repo, pattern, None, "forget", now))
    row = first(cx, "select id from repositories where full_name = ?", (repo,))
    if row is None:
        return Forgotten()
    repo_id, forgotten, hashes, after = row[0], Forgotten(), set[bytes](), ""
    while page := list(query(cx, "taken_places", (repo_id, after, PAGE))):
        after = page[-1][0]
        named = [row for row in page if place_matches(pattern, row[0])]
        run_many(cx, "taken_down_place", ((repo_id, path) for path, _ in named))
        hashes.update(content_hash for _, content_hash in named if content_hash)
        forgotten.occurrences += len(named)
    hashes.update(
        content_hash
        for content_hash, path in query(cx, "ever_recorded", (repo_id,))
        if place_matches(pattern, path)
    )
    return _forget(cx, hashes, forgotten)


def forget_content(cx: apsw.Connection, content_hash: bytes) -> Forgotten:
    """See `Journal.forget_content`."""
    run(cx, "take_down", (None, None, content_hash, "forget --content", int(time.time())))
    places = list(query(cx, "places_of", (content_hash,)))
    run(cx, "taken_down_content", (content_hash,))
    return _forget(cx, {content_hash}, Forgotten(len(places)))


def _forget(cx: apsw.Connection, hashes: set[bytes], forgotten: Forgotten) -> Forgotten:
    """Move what still stands elsewhere; take down for good and blank what stands nowhere."""
    transaction = Transaction(cx)
    before = transaction.live(list(hashes))
    transaction.settle(hashes)
    transaction.flush()
    after = transaction.live(list(hashes))
    gone = sorted(hashes - after.keys())
    now = int(time.time())
    run_many(cx, "take_down", ((None, None, h, "stood nowhere else", now) for h in gone))
    run_many(cx, "drop_verdicts", ((h,) for h in gone))
    forgotten.blanked_ids = [
        row_id for h in gone for row_id, op in query(cx, "blank", (h,)) if op == Op.ADD
    ]
    forgotten.removed_ids = [
        before[content_hash].add_id for content_hash in gone if content_hash in before
    ]
    forgotten.moved = transaction.recorded.ops.get(Op.MOVE, 0)
    return forgotten


def rejudge(
    cx: apsw.Connection,
    rejudged: Sequence[Rejudged],
    version: str,
    accepts: Callable[[str | None], bool],
) -> Recorded:
    """See `Journal.rejudge`."""
    transaction = Transaction(cx)
    live = transaction.live([new.content_hash for new in rejudged])
    known = [new for new in rejudged if new.content_hash in live]
    takedowns = load_takedowns(cx)
    best: dict[bytes, _Candidate] = {}
    left: set[bytes] = set()
    for new in known:
        stays = False
        for place in _judge_places(cx, new, version, accepts, takedowns):
            candidate = _candidate(transaction, place, new, version)
            content_hash = place.occurrence.content_hash
            assert content_hash is not None
            stays |= content_hash == new.content_hash
            if content_hash not in best or candidate.key < best[content_hash].key:
                best[content_hash] = candidate
        if not stays:
            left.add(new.content_hash)
    for content_hash in sorted(left - best.keys()):
        transaction.remove(content_hash, live[content_hash])
    _blank_replaced(cx, known, left - best.keys())
    transaction.rejudge(best, live)
    run(cx, "doubt_visits", (version,))
    return transaction.flush()


class _JudgedPlace(NamedTuple):
    """Where a text that was judged anew stands, and under which content."""

    repo_id: int
    occurrence: Occurrence
    head: bytes | None


def _candidate(
    transaction: Transaction, place: _JudgedPlace, new: Rejudged, version: str
) -> _Candidate:
    at = place.occurrence
    key = transaction.key(place.repo_id, at.path, at.license)
    content = new.kept.get(at.path_class)
    return _Candidate(key, place.repo_id, at, content, place.head, version)


def _judge_places(
    cx: apsw.Connection,
    new: Rejudged,
    version: str,
    accepts: Callable[[str | None], bool],
    takedowns: Takedowns,
) -> list[_JudgedPlace]:
    """Give every place of a content the verdict of its class; the places that keep it."""
    kept = []
    places = list(query(cx, "places_with_class", (new.content_hash,)))
    for repo_id, path, path_class, oid, language, license_id, own, head in places:
        at = Occurrence(
            path, oid, path_class, language, new.content_hash, None, None, license_id, own
        )
        judged = _judged(at, new, accepts, takedowns)
        if judged.content_hash is None:
            reason = judged.reason and judged.reason.value
            left = (reason, judged.measured, judged.language, version, repo_id, path)
            run(cx, "leave_out", left)
            continue
        if path_class in new.kept:
            bound = (
                judged.language, judged.content_hash, judged.license, judged.own_license, version,
                repo_id, path,
            )  # fmt: skip
            run(cx, "keep_place", bound)
        kept.append(_JudgedPlace(repo_id, judged, head))
    return kept


def _judged(
    at: Occurrence, new: Rejudged, accepts: Callable[[str | None], bool], takedowns: Takedowns
) -> Occurrence:
    """The place under its new verdict; as it was where a visit must tell."""
    out = new.left_out.get(at.path_class)
    if out is not None:
        return at._replace(
            content_hash=None, reason=out.reason, measured=out.measured, language=out.language
        )
    content = new.kept.get(at.path_class)
    if content is None:
        return at
    if content.content_hash in takedowns.contents:
        return at._replace(content_hash=None, reason=Reason.TAKEN_DOWN)
    license_id = content.license or at.license
    if not accepts(license_id):
        return at._replace(content_hash=None, reason=Reason.LICENSE)
    return at._replace(
        content_hash=content.content_hash, language=content.language, license=license_id,
        own_license=content.license,
    )  # fmt: skip


def _blank_replaced(cx: apsw.Connection, rejudged: Sequence[Rejudged], left: set[bytes]) -> None:
    """What stays in the store of a text in which a secret was found now is its redacted form."""
    replaced = [
        new.content_hash
        for new in rejudged
        if new.content_hash in left
        and any(content.content_hash != new.content_hash for content in new.kept.values())
    ]
    run_many(cx, "blank_replaced", ((content_hash, int(time.time())) for content_hash in replaced))
    for content_hash in replaced:
        run(cx, "drop_verdicts", (content_hash,))
        list(query(cx, "blank", (content_hash,)))


def _text(content: Content, examiner_version: str) -> _Text:
    quality = round(content.score * 100, 1)
    signals = content.signals.decode()
    return _Text(
        content.packed, content.chars, content.language, quality, signals, content.fingerprint,
        examiner_version,
    )  # fmt: skip
