"""Running the command line: in this process where that is enough, as a process of its own where it matters."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-m", "corenn_cli.main"]
PATIENCE = 1200  # seconds; only a hang reaches it


@dataclass
class Outcome:
    """What a command left: exit status and output."""

    status: int
    out: str
    err: str


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory to work in, and none of the caller's settings."""
    for name in [n for n in os.environ if n.startswith("CORENN_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
    monkeypatch.setenv("MPLBACKEND", "agg")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def here(home: Path, capfd: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Run a command line in this process."""
    from corenn_cli.app import run_app

    def call(*args: str) -> Outcome:
        capfd.readouterr()
        status = run_app(list(args))
        found = capfd.readouterr()
        return Outcome(status, found.out, found.err)

    return call


@pytest.fixture
def process(home: Path) -> Callable[..., Outcome]:
    """Run a command line in a process of its own."""

    def call(*args: str, command: list[str] = COMMAND) -> Outcome:
        done = subprocess.run(
            [*command, *args], cwd=home, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    return call


def _heed_interrupts() -> None:
    """Shells start what runs in the background with SIGINT ignored, and whoever that starts inherits it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture
def started(home: Path):
    """Start a command line in a process of its own; it is killed at the end of the test if it still runs."""
    running: list[subprocess.Popen[str]] = []

    def start(*args: str, command: list[str] = COMMAND) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*command, *args], cwd=home, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1,
            preexec_fn=_heed_interrupts,
        )  # fmt: skip
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.communicate()
