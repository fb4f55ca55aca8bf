"""In quarantine a file that makes an examiner raise costs itself a reason, as one that crashes."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from codelupe_daemon import quarantine
from codelupe_daemon.examine import Examined, ExamineSettings
from codelupe_daemon.model import Reason, Verdict, Wanted


def test_who_raises_is_cornered(monkeypatch: pytest.MonkeyPatch) -> None:
    def judged(_: ExamineSettings, items: Sequence[quarantine._Item]) -> list[Examined]:
        if any(item.data == b"bad" for item in items):
            raise RecursionError("too much for this rule")
        return [Examined(Verdict(None, None, "Python"), None) for _ in items]

    monkeypatch.setattr(quarantine, "_judged", judged)
    texts = [b"one", b"two", b"bad", b"four", b"bad"]
    wanted = [Wanted(bytes([n]), "text:Python", "Python", [f"{n}.py"]) for n in range(len(texts))]
    items = [quarantine._Item(one, text) for one, text in zip(wanted, texts, strict=True)]
    reasons = [one.verdict.reason for one in quarantine._examine_items(ExamineSettings(min_lines=0), items)]
    crashed = Reason.EXAMINER_CRASHED
    assert reasons == [None, None, crashed, None, crashed]
