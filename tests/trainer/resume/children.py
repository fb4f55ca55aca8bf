"""Starting trainings as processes of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
TIMEOUT_S = 240
SERVED_HERE = {"GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}


def started(*arguments: str | Path | int, processes: int = 1) -> subprocess.Popen[str]:
    """`child.py` with these arguments; several of it under torchrun, which listens on this machine
    alone."""
    command = [sys.executable]
    if processes > 1:
        command += ["-m", "torch.distributed.run", f"--nproc-per-node={processes}"]
        command += ["--rdzv-backend=c10d", "--rdzv-endpoint=127.0.0.1:0", "--local-addr=127.0.0.1"]
    command += ["-m", "tests.trainer.resume.child", *map(str, arguments)]
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=os.environ | SERVED_HERE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def ended(child: subprocess.Popen[str], *folders: Path) -> list[dict[str, Any]]:
    """What each process of it said at the end of each training, by folder and rank."""
    try:
        _, errors = child.communicate(timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        _, errors = child.communicate()
        raise AssertionError(f"it did not end:\n{errors}") from None
    assert child.returncode == 0, errors
    told = (path for folder in folders for path in sorted(folder.glob("ended-*.json")))
    return [json.loads(path.read_text()) for path in told]
