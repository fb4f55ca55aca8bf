"""A batch of blobs in, a verdict for each out; thread-safe, and mostly outside the GIL.

Each step takes the whole batch: the text scan, the languages, the measures, the rules, secrets,
then what is told of the texts that are kept. A text in which something is redacted goes through
all of it once more, in its new form. Whatever raises costs the file that made it raise a reason.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import NamedTuple, TypeVar

import numpy as np

from codelupe_daemon.examine import text
from codelupe_daemon.examine.blobs import Integers, LeftOut, Texts, irregular, scan, side_by_side
from codelupe_daemon.examine.contamination import Contamination
from codelupe_daemon.examine.facts import with_facts
from codelupe_daemon.examine.features import HEAD_BYTES, Batch
from codelupe_daemon.examine.fingerprint import fingerprints
from codelupe_daemon.examine.kernel import ROW_COLUMNS, measure_texts
from codelupe_daemon.examine.language import CONTENT_BYTES, decide
from codelupe_daemon.examine.languages import KIND_OF_LANGUAGE, MARKS, WORDS
from codelupe_daemon.examine.licenses import header
from codelupe_daemon.examine.modeline import SIDE_BYTES, may_have_modelines
from codelupe_daemon.examine.paths import PathClass, PathJudge, read_class
from codelupe_daemon.examine.rules import CONTENT_RULES
from codelupe_daemon.examine.rules.base import ContentRule
from codelupe_daemon.examine.secrets import Finding, Policy, Secrets, count, redact
from codelupe_daemon.examine.settings import ExamineSettings, fingerprint
from codelupe_daemon.examine.signals import rate
from codelupe_daemon.examine.surroundings import Surroundings, Within
from codelupe_daemon.model import Content, PathVerdict, Reason, Verdict, Wanted
from codelupe_daemon.spdx import accepts
from codelupe_daemon.syntax.definitions import find_names

VERSION = "2"
"""Raised whenever a verdict on the same bytes changes; `tests/examine/golden.json` notices."""

T = TypeVar("T")
Pack = Callable[[memoryview, Sequence[int], Sequence[int]], list[bytes]]
_NOT_WANTED = -1  # beside the numbers of the analysers


class Examined(NamedTuple):
    """`content` is there exactly if the verdict has no reason against it."""

    verdict: Verdict
    content: Content | None


class _Class(NamedTuple):
    """A path class, and what follows from it alone."""

    path: PathClass
    kind: int
    """The analyser of the language that the path names."""
    is_open: bool
    """The content decides on the language."""


class _Judging(NamedTuple):
    """A batch under way. `left_out` has what is out already, and gains what will be."""

    wanted: Sequence[Wanted]
    texts: Texts
    left_out: dict[int, LeftOut]
    languages: list[str | None]
    classes: list[_Class]

    def left_in(self, items: Iterable[int]) -> list[int]:
        return [i for i in items if i not in self.left_out]

    def each(
        self, rule: str, items: Sequence[int], work: Callable[[list[int]], Sequence[T]]
    ) -> dict[int, T]:
        """What `work` gives of each item; what makes it raise is left out under the rule's name."""
        if not items:
            return {}
        try:
            return dict(zip(items, work(list(items)), strict=True))
        except Exception:  # noqa: BLE001 - whatever a rule raises must cost one file, not the batch
            if len(items) == 1:
                self.left_out[items[0]] = (Reason.failed(rule), None)
                return {}
        middle = len(items) // 2
        return self.each(rule, items[:middle], work) | self.each(rule, items[middle:], work)


class Examiner:
    """Judges by fixed settings. `pack` turns accepted texts into what the journal stores."""

    def __init__(
        self, settings: ExamineSettings, pack: Pack, contamination: Contamination | None = None
    ) -> None:
        self.version = f"{VERSION}.{fingerprint(settings)}"
        if contamination is not None:
            self.version += f".{contamination.fingerprint}"
        self.accepts = accepts(settings.licenses)
        self._paths = PathJudge(settings.languages)
        self._policies = settings.secrets.by_kind()
        self._secrets = Secrets(settings.secrets)
        self._contamination = contamination
        self._settings = settings
        self._classes: dict[str, _Class] = {}
        self._pack = pack

    def path_verdict(self, path: str) -> PathVerdict:
        """What the path alone decides."""
        return self._paths(path)

    def within(self, surroundings: Surroundings) -> Within:
        """The same, as it is seen in one repository."""
        return Within(self._paths, surroundings, self.accepts)

    def examine(
        self, wanted: Sequence[Wanted], buffer: memoryview, offsets: Integers, sizes: Integers
    ) -> list[Examined]:
        """Judge blobs that lie in `buffer`, which has PADDING bytes after the last of them.

        A size below 0 is a blob that could not be read.
        """
        texts = scan(buffer, offsets, sizes, self._settings.max_file_bytes)
        left_out, wide = irregular(texts, sizes)
        examined = self._judge(wanted, texts, left_out)
        for i, one in self._transcoded(wanted, texts, wide).items():
            examined[i] = one
        return examined

    def examine_text(self, path: str, data: bytes, path_class: str = "") -> Examined:
        """Judge one file, which may be redacted already.

        `path_class`: of an earlier verdict, for what attributes said.
        """
        at = self._paths.under(path, read_class(path_class).attribute)
        if at.reason is not None:
            return Examined(Verdict(at.reason, at.measured, at.language), None)
        wanted = Wanted(b"", at.path_class, at.language, [path])
        examined = self.examine([wanted], *side_by_side([data]))[0]
        is_counted = b'"redacted":' in examined.verdict.signals
        return examined if is_counted else _counted(examined, data)

    @staticmethod
    def warm() -> None:
        """Compile every kernel into its cache, or load it from there."""
        settings = ExamineSettings(min_file_chars=0, min_lines=0)
        Examiner(settings, lambda _buffer, offsets, _sizes: [b""] * len(offsets)).examine_text(
            "warm.h", b"/* nothing */\nint warm(void) {\n  return 0;\n}\n"
        )

    def _transcoded(
        self, wanted: Sequence[Wanted], texts: Texts, wide: list[int]
    ) -> dict[int, Examined]:
        """Texts in another encoding, judged in UTF-8."""
        decoded = {i: text.transcode(texts.head(i, self._settings.max_file_bytes)) for i in wide}
        told = {
            i: Examined(Verdict(one.reason, one.measured, wanted[i].language), None)
            for i, one in decoded.items()
        }
        new = {i: one.text for i, one in decoded.items() if one.reason is None}
        return told | self._again({i: wanted[i] for i in new}, new)

    def _again(
        self, wanted: Mapping[int, Wanted], new: Mapping[int, bytes], *, is_redacted: bool = False
    ) -> dict[int, Examined]:
        """Judge another form of texts."""
        texts = scan(*side_by_side(list(new.values())), sys.maxsize)
        examined = self._judge(list(wanted.values()), texts, {}, is_redacted=is_redacted)
        return dict(zip(new, examined, strict=True))

    def _judge(
        self,
        wanted: Sequence[Wanted],
        texts: Texts,
        left_out: dict[int, LeftOut],
        *,
        is_redacted: bool = False,
    ) -> list[Examined]:
        """Judge texts that are UTF-8; `left_out` has the others."""
        self._leave_out_small(texts, left_out)
        classes = [self._classes.get(one.path_class) or self._class(one) for one in wanted]
        languages = [one.language for one in wanted]
        batch = _Judging(wanted, texts, left_out, languages, classes)
        kinds = self._kinds(batch)
        table = np.zeros((len(wanted), ROW_COLUMNS), np.int64)
        measure_texts(
            *(texts.data, texts.offsets, texts.sizes, texts.scan),
            *(kinds, MARKS, WORDS, table),
        )
        self._apply_rules(batch, np.flatnonzero(kinds >= 0).tolist(), table)
        redacted = {} if is_redacted else self._redacted(batch)
        kept = [i for i in batch.left_in(range(len(wanted))) if i not in redacted]
        examined = redacted | self._kept(batch, kept, table)
        return [
            examined[i] if i in examined else Examined(Verdict(*left_out[i], language), None)
            for i, language in enumerate(languages)
        ]

    def _leave_out_small(self, texts: Texts, left_out: dict[int, LeftOut]) -> None:
        small = texts.scan[:, text.CHARS] < self._settings.min_file_chars
        for i in np.flatnonzero(small).tolist():
            left_out.setdefault(i, (Reason.TOO_SMALL, float(texts.scan[i, text.CHARS])))

    # -- languages ------------------------------------------------------------------------------

    def _kinds(self, batch: _Judging) -> Integers:
        """The analyser of each text, -1 for what is not measured; sets `batch.languages`."""
        kinds = np.array([one.kind for one in batch.classes], np.int64)
        modelines = may_have_modelines(batch.texts.data, batch.texts.offsets, batch.texts.sizes)
        is_open = np.array([one.is_open for one in batch.classes], np.bool_)
        unsure = np.flatnonzero(is_open | modelines).tolist()
        decided = batch.each("language", batch.left_in(unsure), partial(self._decide, batch))
        for i, language in decided.items():
            batch.languages[i] = language
            kinds[i] = self._kind_of(language)
        for i in np.flatnonzero(kinds == _NOT_WANTED).tolist():
            batch.left_out.setdefault(i, (Reason.NOT_CODE, None))
        kinds[list(batch.left_out)] = _NOT_WANTED
        return kinds

    def _decide(self, batch: _Judging, items: list[int]) -> list[str | None]:
        texts = batch.texts
        return [
            batch.classes[i].path.attribute.language
            or decide(
                batch.wanted[i].language,
                batch.classes[i].path.extension,
                texts.head(i, CONTENT_BYTES),
                texts.tail(i, SIDE_BYTES),
            )
            for i in items
        ]

    def _class(self, one: Wanted) -> _Class:
        """Remembered, as there are far fewer classes of paths than files."""
        path = read_class(one.path_class)
        is_open = one.language is None or bool(path.extension)
        found = _Class(path, self._kind_of(one.language), is_open)
        self._classes[one.path_class] = found
        return found

    def _kind_of(self, language: str | None) -> int:
        is_wanted = self._paths.is_wanted(language)
        return KIND_OF_LANGUAGE.get(language or "", 0) if is_wanted else _NOT_WANTED

    # -- rules and secrets ----------------------------------------------------------------------

    def _apply_rules(self, batch: _Judging, judged: list[int], table: Integers) -> None:
        whole = _measures(judged, table, batch.texts)
        for rule in CONTENT_RULES:
            try:
                measured = rule.judge(whole, self._settings)
            except Exception:  # noqa: BLE001 - each text is asked for itself
                measured = np.array(self._one_by_one(rule, batch, judged, table))
            for k in np.flatnonzero(~np.isnan(measured)).tolist():
                if not self._is_denied(batch, judged[k], rule.reason):
                    batch.left_out.setdefault(judged[k], (rule.reason, float(measured[k])))

    def _one_by_one(
        self, rule: ContentRule, batch: _Judging, judged: list[int], table: Integers
    ) -> list[float]:
        def judge(items: list[int]) -> list[float]:
            measured: list[float] = rule.judge(
                _measures(items, table, batch.texts), self._settings
            ).tolist()
            return measured

        found = batch.each(str(rule.reason), judged, judge)
        return [found.get(i, math.nan) for i in judged]

    def _is_denied(self, batch: _Judging, i: int, reason: Reason) -> bool:
        """Whether an attribute says that no program wrote the file, whatever the text says."""
        return reason is Reason.GENERATED and batch.classes[i].path.attribute.generated is False

    def _redacted(self, batch: _Judging) -> dict[int, Examined]:
        """Texts with something to redact, judged in their new form; some are left out instead."""
        items = batch.left_in(range(len(batch.wanted)))
        find = partial(self._find_secrets, batch)
        new: dict[int, bytes] = {}
        for i, findings in batch.each("secrets", items, find).items():
            rejected = [one for one in findings if self._policies[one.kind] is Policy.REJECT]
            if rejected:
                batch.left_out[i] = (Reason.SECRET, float(len(rejected)))
            elif findings:
                new[i] = redact(batch.texts.whole(i), findings)
        wanted = {i: batch.wanted[i]._replace(language=batch.languages[i]) for i in new}
        examined = self._again(wanted, new, is_redacted=True)
        return {i: _counted(one, new[i]) for i, one in examined.items()}

    def _find_secrets(self, batch: _Judging, items: list[int]) -> list[list[Finding]]:
        texts = batch.texts
        _, offsets, sizes = texts.part(items)
        languages = [batch.languages[i] for i in items]
        found = self._secrets.find(texts.buffer, offsets, sizes, languages)
        return [found.get(k, []) for k in range(len(items))]

    # -- what is kept ---------------------------------------------------------------------------

    def _kept(self, batch: _Judging, kept: list[int], table: Integers) -> dict[int, Examined]:
        """Everything that is told of a text that is kept."""
        texts = batch.texts
        of = texts.part
        headers = batch.each(
            "license", kept, lambda items: [header(texts.head(i, HEAD_BYTES)) for i in items]
        )
        prints = batch.each(
            "fingerprint", batch.left_in(kept), lambda items: fingerprints(*of(items))
        )
        names = batch.each(
            "names",
            batch.left_in(kept),
            lambda items: find_names(*of(items), [batch.languages[i] for i in items]),
        )
        rated = batch.each(
            "signals",
            batch.left_in(kept),
            lambda items: list(zip(*rate(_measures(items, table, texts)), strict=True)),
        )
        kept = batch.left_in(kept)
        marked = self._contaminated(batch, kept)
        offsets, sizes = texts.offsets[kept].tolist(), texts.sizes[kept].tolist()
        packed = self._pack(texts.buffer, offsets, sizes) if kept else []
        digests = texts.digests(offsets, sizes)
        chars = texts.scan[kept, text.CHARS].tolist()
        examined = {}
        for k, i in enumerate(kept):
            score, signals = rated[i]
            legal = headers[i]
            signals = with_facts(
                signals, names[i], copyright_bytes=legal.copyright_bytes, benchmark=marked.get(i)
            )
            language = batch.languages[i] or ""
            content = Content(
                digests[k], packed[k], chars[k], language, score, signals, prints[i],
                legal.expression,
            )  # fmt: skip
            examined[i] = Examined(Verdict(None, None, language, score, signals), content)
        return examined

    def _contaminated(self, batch: _Judging, items: list[int]) -> dict[int, str]:
        """Which texts hold a piece of a public benchmark, and of which item."""
        if self._contamination is None:
            return {}
        found = self._contamination.find(*batch.texts.part(items))
        return {items[k]: name for k, name in found.items()}


def _counted(examined: Examined, text: bytes) -> Examined:
    """With the placeholders in the text, wherever they were put in."""
    redacted = count(text) if examined.content else {}
    if not redacted or examined.content is None:
        return examined
    signals = with_facts(examined.content.signals, redacted=redacted)
    content = examined.content._replace(signals=signals)
    return Examined(examined.verdict._replace(signals=signals), content)


def _measures(judged: list[int], table: Integers, texts: Texts) -> Batch:
    return Batch(
        table[judged].astype(np.float64),
        texts.sizes[judged].astype(np.float64),
        texts.scan[judged, text.CHARS].astype(np.float64),
        lambda k: texts.head(judged[k], HEAD_BYTES),
        texts.data,
        texts.offsets[judged],
    )
