"""A batch of blobs in, a verdict for each out; thread-safe, and mostly outside the GIL.

Each step takes the whole batch: the text scan, the languages, the measures, the rules, the
signals, then hashing and packing of what is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from codelupe_daemon.examine import text
from codelupe_daemon.examine.features import HEAD_BYTES, Batch
from codelupe_daemon.examine.kernel import ROW_COLUMNS, measure_texts
from codelupe_daemon.examine.language import CONTENT_BYTES, by_content, by_shebang
from codelupe_daemon.examine.languages import KIND_OF_LANGUAGE, MARKS, WORDS
from codelupe_daemon.examine.paths import PathJudge, shared_extension
from codelupe_daemon.examine.rules import CONTENT_RULES
from codelupe_daemon.examine.settings import ExamineSettings, fingerprint
from codelupe_daemon.examine.signals import rate
from codelupe_daemon.model import Content, PathVerdict, Reason, Verdict, Wanted
from codelupe_daemon.syntax.blocks import PADDING

VERSION = "1"
"""Raised whenever a verdict on the same bytes changes; `tests/examine/golden.json` notices."""
HASH_BYTES = 16

Pack = Callable[[memoryview, Sequence[int], Sequence[int]], list[bytes]]
Integers = npt.NDArray[np.int64]
_NOT_WANTED, _BY_CONTENT = -1, -2  # beside the numbers of the analysers
_UTF8_SURROGATE = 0xED
LeftOut = tuple[Reason, float | None]


class Examined(NamedTuple):
    """`content` is there exactly if the verdict has no reason against it."""

    verdict: Verdict
    content: Content | None


class _Texts(NamedTuple):
    """Slices of a buffer, without byte order marks, and the (n, TEXT_COLUMNS) scan of each."""

    buffer: memoryview
    data: npt.NDArray[np.uint8]
    offsets: Integers
    sizes: Integers
    scan: Integers

    def slice(self, i: int, limit_bytes: int) -> memoryview:
        start = int(self.offsets[i])
        return self.buffer[start : start + min(int(self.sizes[i]), limit_bytes)]


class Examiner:
    """Judges by fixed settings. `pack` turns accepted texts into what the journal stores."""

    def __init__(self, settings: ExamineSettings, pack: Pack) -> None:
        self.version = f"{VERSION}.{fingerprint(settings)}"
        self._paths = PathJudge(settings.languages)
        self._settings = settings
        self._kinds: dict[str, int] = {}
        self._pack = pack

    def path_verdict(self, path: str) -> PathVerdict:
        """What the path alone decides."""
        return self._paths(path)

    def examine(
        self, wanted: Sequence[Wanted], buffer: memoryview, offsets: Integers, sizes: Integers
    ) -> list[Examined]:
        """Judge blobs that lie in `buffer`, which has PADDING bytes after the last of them.

        A size below 0 is a blob that could not be read.
        """
        texts = _scan(buffer, offsets, sizes, self._settings.max_file_bytes)
        left_out, wide = _irregular(texts, sizes)
        examined = self._judge(wanted, texts, left_out)
        for i in wide:
            blob = bytes(texts.slice(i, self._settings.max_file_bytes))
            examined[i] = self._transcoded(wanted[i], blob)
        return examined

    def examine_text(self, path: str, data: bytes) -> Examined:
        """Judge one file."""
        at = self.path_verdict(path)
        if at.reason is not None:
            return Examined(Verdict(at.reason, at.measured, at.language), None)
        wanted = Wanted(b"", at.path_class, at.language, [path])
        return self.examine([wanted], *_alone(data))[0]

    @staticmethod
    def warm() -> None:
        """Compile every kernel into its cache, or load it from there."""
        settings = ExamineSettings(min_file_chars=0)
        Examiner(settings, lambda _buffer, offsets, _sizes: [b""] * len(offsets)).examine_text(
            "warm.h", b"/* nothing */\nint warm(void) {\n  return 0;\n}\n"
        )

    def _transcoded(self, wanted: Wanted, blob: bytes) -> Examined:
        decoded = text.transcode(blob)
        if decoded.reason is not None:
            return Examined(Verdict(decoded.reason, decoded.measured, wanted.language), None)
        sides = _alone(decoded.text)
        return self._judge([wanted], _scan(*sides, len(decoded.text)), {})[0]

    def _judge(
        self, wanted: Sequence[Wanted], texts: _Texts, left_out: dict[int, LeftOut]
    ) -> list[Examined]:
        """Judge texts that are UTF-8; `left_out` has the others, and gains what is left out."""
        small = texts.scan[:, text.CHARS] < self._settings.min_file_chars
        for i in np.flatnonzero(small).tolist():
            left_out.setdefault(i, (Reason.TOO_SMALL, float(texts.scan[i, text.CHARS])))
        languages, kinds = self._languages(wanted, texts, left_out)
        table = np.zeros((len(wanted), ROW_COLUMNS), np.int64)
        measure_texts(
            *(texts.data, texts.offsets, texts.sizes, texts.scan),
            *(kinds, MARKS, WORDS, table),
        )
        self._apply_rules(np.flatnonzero(kinds >= 0), table, texts, left_out)
        kept = np.array([i for i in range(len(wanted)) if i not in left_out], np.int64)
        contents = iter(self._contents(kept, table, texts, languages))
        return [
            Examined(Verdict(*left_out[i], language), None) if i in left_out else next(contents)
            for i, language in enumerate(languages)
        ]

    def _languages(
        self, wanted: Sequence[Wanted], texts: _Texts, left_out: dict[int, LeftOut]
    ) -> tuple[list[str | None], Integers]:
        """The language of each, and its analyser; -1 for what is not measured."""
        languages: list[str | None] = []
        kinds: list[int] = []
        for i, want in enumerate(wanted):
            language, kind = want.language, _NOT_WANTED
            if i not in left_out:
                kind = self._kind_of_class(want)
                if kind == _BY_CONTENT:
                    extension = shared_extension(want.path_class)
                    language = _by_text(bytes(texts.slice(i, CONTENT_BYTES)), extension)
                    kind = self._kind_of(language)
                if kind == _NOT_WANTED:
                    left_out[i] = (Reason.NOT_CODE, None)
            languages.append(language)
            kinds.append(kind)
        return languages, np.array(kinds, np.int64)

    def _kind_of_class(self, want: Wanted) -> int:
        """Remembered, as there are far fewer classes of paths than files."""
        kind = self._kinds.get(want.path_class)
        if kind is None:
            is_open = want.language is None or shared_extension(want.path_class)
            kind = _BY_CONTENT if is_open else self._kind_of(want.language)
            self._kinds[want.path_class] = kind
        return kind

    def _kind_of(self, language: str | None) -> int:
        is_wanted = self._paths.is_wanted(language)
        return KIND_OF_LANGUAGE.get(language or "", 0) if is_wanted else _NOT_WANTED

    def _apply_rules(
        self, judged: Integers, table: Integers, texts: _Texts, left_out: dict[int, LeftOut]
    ) -> None:
        if not len(judged):
            return
        batch = _batch(judged, table, texts)
        for rule in CONTENT_RULES:
            measured = rule.judge(batch, self._settings)
            for k in np.flatnonzero(~np.isnan(measured)).tolist():
                left_out.setdefault(int(judged[k]), (rule.reason, float(measured[k])))

    def _contents(
        self, kept: Integers, table: Integers, texts: _Texts, languages: list[str | None]
    ) -> list[Examined]:
        if not len(kept):
            return []
        scores, signals = rate(_batch(kept, table, texts))
        offsets, sizes = texts.offsets[kept].tolist(), texts.sizes[kept].tolist()
        packed = self._pack(texts.buffer, offsets, sizes)
        chars = texts.scan[kept, text.CHARS].tolist()
        buffer = texts.buffer
        examined = []
        for k, i in enumerate(kept.tolist()):
            language, start = languages[i] or "", offsets[k]
            digest = blake2b(buffer[start : start + sizes[k]], digest_size=HASH_BYTES).digest()
            content = Content(digest, packed[k], chars[k], language, scores[k], signals[k])
            verdict = Verdict(None, None, language, scores[k], signals[k])
            examined.append(Examined(verdict, content))
        return examined


def _alone(data: bytes) -> tuple[memoryview, Integers, Integers]:
    """One text in a buffer of its own."""
    buffer = memoryview(data + bytes(PADDING))
    return buffer, np.zeros(1, np.int64), np.array([len(data)], np.int64)


def _scan(buffer: memoryview, offsets: Integers, sizes: Integers, max_bytes: int) -> _Texts:
    """Look at all bytes once. Sizes of what is unread or too large become -1."""
    data = np.frombuffer(buffer, np.uint8)
    data.setflags(write=False)  # one type, whatever the buffer is: kernels compile once
    sizes = np.where(sizes > max_bytes, -1, sizes)
    table = np.zeros((len(sizes), text.TEXT_COLUMNS), np.int64)
    text.scan_texts(data, offsets, sizes, table)
    marked = text.has_utf8_mark(table[:, text.HEAD])
    table[:, text.CHARS] -= marked
    return _Texts(buffer, data, offsets + 3 * marked, sizes - 3 * marked, table)


def _irregular(texts: _Texts, sizes: Integers) -> tuple[dict[int, LeftOut], list[int]]:
    """What is left out before its text is looked at, and what must be transcoded."""
    scan = texts.scan
    nul, bad = scan[:, text.NUL], scan[:, text.BAD_BYTE]
    wide = text.has_wide_mark(scan[:, text.HEAD])
    short = (sizes <= text.LFS_MAX_BYTES) & text.begins_like_lfs(scan[:, text.HEAD])
    left_out: dict[int, LeftOut] = {}
    transcode: list[int] = []
    for i in np.flatnonzero((texts.sizes < 0) | (nul >= 0) | (bad >= 0) | wide | short).tolist():
        if sizes[i] < 0:
            left_out[i] = (Reason.UNREADABLE, None)
        elif texts.sizes[i] < 0:
            left_out[i] = (Reason.TOO_LARGE, float(sizes[i]))
        elif short[i] and text.is_lfs_pointer(bytes(texts.slice(i, text.LFS_MAX_BYTES))):
            left_out[i] = (Reason.LFS_POINTER, None)
        elif wide[i] or (nul[i] < 0 and _begins_surrogate(texts, i, bad[i])):
            transcode.append(i)
            left_out[i] = (Reason.NOT_TEXT, None)  # until its own judgement replaces it
        elif nul[i] >= 0:
            left_out[i] = (Reason.BINARY, float(nul[i]))
        elif bad[i] >= 0:
            left_out[i] = (Reason.NOT_TEXT, float(bad[i]))
    return left_out, transcode


def _begins_surrogate(texts: _Texts, i: int, bad: int) -> bool:
    """Whether the first byte that is no UTF-8 begins a surrogate that was written as UTF-8."""
    return bool(bad >= 0 and texts.data[_raw_offset(texts, i) + bad] == _UTF8_SURROGATE)


def _raw_offset(texts: _Texts, i: int) -> int:
    marked = text.has_utf8_mark(texts.scan[i : i + 1, text.HEAD])[0]
    return int(texts.offsets[i] - 3 * marked)


def _by_text(head: bytes, extension: str) -> str | None:
    language = by_shebang(head) if head.startswith(b"#!") else None
    if language is None and extension:
        return by_content(extension, head)
    return language


def _batch(judged: Integers, table: Integers, texts: _Texts) -> Batch:
    return Batch(
        table[judged].astype(np.float64),
        texts.sizes[judged].astype(np.float64),
        texts.scan[judged, text.CHARS].astype(np.float64),
        lambda k: bytes(texts.slice(int(judged[k]), HEAD_BYTES)),
    )
