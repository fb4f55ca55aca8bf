"""What the examiner makes of its steps: redacted forms, facts beside the signals, failing rules."""

from __future__ import annotations

from dataclasses import replace

import orjson
import pytest

from codelupe_daemon.examine import Examined, Examiner, ExamineSettings, examiner
from codelupe_daemon.examine.contamination import Contamination
from codelupe_daemon.examine.features import Batch, Column
from codelupe_daemon.examine.rules.base import ContentRule
from codelupe_daemon.examine.settings import ExamineSettings as Settings
from codelupe_daemon.model import Reason
from tests.builders import LENIENT
from tests.examine.build import examine_batch, judge, pack

ANY = ExamineSettings(**LENIENT)  # type: ignore[arg-type]
CODE = "def area(width, height):\n    return width * height\n\n\n" * 2
MAIL = "# Written by Ada <ada.byron@mathematics.ac.uk>\n"
PASSWORD = f'password = "{"x8Hs7dKq" + "92LmPzW4"}"\n'  # in two parts, so that no scanner finds it


def signals(examined: Examined) -> dict[str, object]:
    assert examined.content is not None, examined.verdict
    found: dict[str, object] = orjson.loads(examined.content.signals)
    return found


def test_the_stored_text_is_the_redacted_one() -> None:
    examined = judge("a.py", MAIL + PASSWORD + CODE)
    assert examined.content is not None
    text = (examined.content.packed or b"").decode()
    assert "byron" not in text
    assert "x8Hs7dKq" not in text
    assert text.endswith(CODE)
    assert signals(examined)["redacted"] == {"email": 1, "secret": 1}


def test_a_redacted_text_judged_again_is_the_same() -> None:
    first = judge("a.py", MAIL + PASSWORD + CODE).content
    assert first is not None
    assert judge("a.py", first.packed or b"").content == first


def test_a_policy_may_reject_or_keep() -> None:
    rejected = judge("a.py", PASSWORD + CODE, replace(ANY, assigned_secrets="reject"))
    assert (rejected.verdict.reason, rejected.verdict.measured) == (Reason.SECRET, 1.0)
    kept = judge("a.py", PASSWORD + CODE, replace(ANY, assigned_secrets="keep"))
    assert kept.content is not None
    assert kept.content.packed == (PASSWORD + CODE).encode()


def test_what_is_told_of_a_kept_text() -> None:
    header = "# Copyright 2020 The Authors\n# SPDX-License-Identifier: MIT\n\n"
    examined = judge("a.py", header + CODE)
    assert examined.content is not None
    assert examined.content.license == "MIT"
    assert examined.content.fingerprint is not None
    found = signals(examined)
    assert found["names"] == ["area"]
    assert found["copyright_bytes"] == len(header) - 1
    assert "redacted" not in found
    assert "benchmark" not in found


def test_a_text_that_holds_a_benchmark_is_marked() -> None:
    prompt = (
        "def has_close_elements(numbers, threshold):\n"
        '    """Check if in the given list any two numbers are closer than the threshold."""\n'
    )
    marks = Contamination.of([("Bench/0", prompt.encode())])
    plain, marking = Examiner(ANY, pack), Examiner(ANY, pack, marks)
    assert marking.version != plain.version
    assert signals(marking.examine_text("a.py", (prompt + CODE).encode()))["benchmark"] == "Bench/0"
    assert "benchmark" not in signals(marking.examine_text("a.py", CODE.encode()))


def failing_at(marker: bytes) -> ContentRule:
    def fail(batch: Batch, _settings: Settings) -> Column:
        for i in range(len(batch.table)):
            if marker in batch.head(i):
                raise ZeroDivisionError
        return batch.chars * float("nan")

    return ContentRule(Reason.DATA, fail)


def test_a_rule_that_raises_costs_the_file_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examiner, "CONTENT_RULES", (failing_at(b"trap"),))
    texts = [CODE + f"# {'trap' if i in (3, 7) else 'fine'} {i}\n" for i in range(9)]
    files = [(f"{i}.py", text.encode()) for i, text in enumerate(texts)]
    reasons = [str(one.verdict.reason) for one in examine_batch(files)]
    assert reasons == ["examiner failed: data" if i in (3, 7) else "None" for i in range(9)]


def test_a_step_that_raises_costs_the_file_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def header(head: bytes) -> None:
        assert b"trap" not in head

    monkeypatch.setattr(examiner, "header", header)
    examined = judge("a.py", CODE + "# trap\n")
    assert examined.verdict.reason is not None
    assert examined.verdict.reason == "examiner failed: license"
    assert Reason(str(examined.verdict.reason)) == examined.verdict.reason
