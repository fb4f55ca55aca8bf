"""Run by datatrove's own Python: its filters over a file of texts, in CPU seconds, as JSON.

    python benchmarks/datatrove_filters.py TEXTS.jsonl PATTERNS.json

`open`: every filter sees every text, with thresholds at which nothing drops out early, so that
every rule is asked, as in an examination here. `shipped`: as it comes, one filter after the other,
until one drops the text. Words are split by a pattern: its own choice, spaCy, is many times slower.
"""

from __future__ import annotations

import json
import re
import sys
import time
from pathlib import Path

from datatrove.data import Document
from datatrove.pipeline.filters import (
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
    RegexFilter,
)
from datatrove.pipeline.filters.base_filter import BaseFilter
from datatrove.utils.word_tokenizers import WordTokenizer

HUGE = 10**9
RULES = {"GopherRepetition": 13, "GopherQuality": 10, "C4Quality": 7, "FineWebQuality": 4}


class Words(WordTokenizer):  # type: ignore[misc]  # has no types
    """As quick as it can be in Python."""

    def __init__(self) -> None:
        super().__init__("en")
        self._word = re.compile(r"\w+|[^\w\s]")

    def word_tokenize(self, text: str) -> list[str]:
        return self._word.findall(text)

    def sent_tokenize(self, text: str) -> list[str]:
        return text.split(". ")

    def span_tokenize(self, text: str) -> list[tuple[int, int]]:
        return [match.span() for match in self._word.finditer(text)]


def shipped(words: Words) -> list[BaseFilter]:
    return [
        GopherRepetitionFilter(language=words),
        GopherQualityFilter(language=words),
        C4QualityFilter(language=words),
        FineWebQualityFilter(language=words),
    ]


def opened(words: Words) -> list[BaseFilter]:
    grams = tuple((n, HUGE) for n in range(2, 5)), tuple((n, HUGE) for n in range(5, 11))
    return [
        GopherRepetitionFilter(HUGE, HUGE, HUGE, HUGE, *grams, language=words),
        GopherQualityFilter(
            *(1, HUGE, 1e-9, HUGE, HUGE, HUGE, HUGE, 1e-9),
            min_stop_words=1,
            language=words,
        ),
        C4QualityFilter(filter_curly_bracket=False, min_num_sentences=0, language=words),
        FineWebQualityFilter(
            line_punct_thr=0,
            short_line_thr=HUGE,
            char_duplicates_ratio=HUGE,
            new_line_ratio=HUGE,
            language=words,
        ),
    ]


def main(texts_file: Path, patterns_file: Path) -> None:
    texts = [json.loads(line) for line in texts_file.read_text("utf-8").split("\n") if line]
    patterns = [RegexFilter(pattern) for pattern in json.loads(patterns_file.read_text())]
    words = Words()
    answer: dict[str, object] = {"rules": sum(RULES.values()) + len(patterns)}
    for name, filters in (("open", opened(words)), ("shipped", shipped(words))):
        errors = kept = 0
        started = time.process_time()
        for text in texts:
            kept_by_all = True
            for one in (*filters, *patterns):
                try:
                    verdict = one.filter(Document(text=text, id=""))
                except (ZeroDivisionError, AssertionError, IndexError):
                    errors += 1  # a text without words
                    verdict = False
                if verdict is not True:
                    kept_by_all = False
                    if name == "shipped":
                        break
            kept += kept_by_all
        answer[name] = {"cpu_s": time.process_time() - started, "errors": errors, "kept": kept}
    print(json.dumps(answer))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
