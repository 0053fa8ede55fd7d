"""Scripts run as users run them, and the import hook put in and taken out."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any

import numpy as np
import pytest

PATIENCE = 1200  # seconds; only a hang reaches it


def _release() -> None:
    adopting = sys.modules.get("corenn_tensorflow.adopting")
    if adopting is not None:
        adopting.release()


def pytest_collection_finish(session: pytest.Session) -> None:
    """What test modules imported gave corenn's classes TensorFlow's manners: the core's tests want them plain."""
    _release()


@pytest.fixture(autouse=True)
def _manners() -> Iterator[None]:
    """TensorFlow's manners of corenn's classes, for the time of a test of the facade."""
    adopting = sys.modules.get("corenn_tensorflow.adopting")
    if adopting is not None:
        adopting.adopt()
    yield
    _release()


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
    monkeypatch.setenv("CORENN_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("CORENN_OFFLINE", "1")
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return work


@pytest.fixture
def corenn(home: Path) -> Callable[..., Outcome]:
    """Run a command line in a process of its own."""

    def call(*args: str, **environment: str) -> Outcome:
        done = subprocess.run(
            [sys.executable, "-m", "corenn_cli.main", *args],
            cwd=home,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    return call


@pytest.fixture
def run(corenn: Callable[..., Outcome], home: Path) -> Callable[..., Outcome]:
    """Write a script and run it: ``run(source, *options)``; the options may end in ``--`` and the script's own."""

    def call(source: str, *options: str, name: str = "script.py", **environment: str) -> Outcome:
        (home / name).write_text(dedent(source), encoding="utf-8")
        return corenn("run", name, *options, **environment)

    return call


@pytest.fixture
def hook() -> Iterator[None]:
    """The facade answers imports in this process, whatever else is installed here."""
    from corenn_tensorflow import importing

    importing.install(over_real=True)
    yield
    importing.uninstall()


@pytest.fixture
def idx_folder(tmp_path: Path) -> Callable[..., Path]:
    """A folder with four small IDX files: ``idx_folder(train=60, test=12, compressed=True)``."""

    def make(train: int = 60, test: int = 12, compressed: bool = True, shape: tuple[int, int] = (28, 28)) -> Path:
        from corenn_datasets.idx import write_idx

        folder = tmp_path / f"idx-{train}-{test}-{compressed}"
        folder.mkdir()
        suffix = ".gz" if compressed else ""
        for part, count in (("train", train), ("t10k", test)):
            # The first pixel counts the examples, so that a test can tell them apart.
            images = np.full((count, *shape), 255, np.uint8)
            images[:, 0, 0] = np.arange(count)
            write_idx(folder / f"{part}-images-idx3-ubyte{suffix}", images)
            write_idx(folder / f"{part}-labels-idx1-ubyte{suffix}", (np.arange(count) % 10).astype(np.uint8))
        return folder

    return make


def _namespace(generation: int) -> Iterator[Any]:
    """The facade's names in a program of a generation, and corenn as it was afterwards."""
    import corenn_tensorflow as tf
    from corenn_tensorflow import adopting, mode

    import corenn
    from corenn.graph.session import _sessions

    adopting.adopt()
    mode.start(generation)
    state = corenn.random.get_state()
    sessions = _sessions.get()
    yield tf
    _sessions.set(sessions)  # interactive sessions that a test left open
    corenn.random.set_state(state)
    mode.start(2)
    adopting.release()


@pytest.fixture
def tf1() -> Iterator[Any]:
    """``tf`` as a program of TensorFlow 1 sees it, with a fresh default graph."""
    yield from _namespace(1)


@pytest.fixture
def tf2() -> Iterator[Any]:
    """``tf`` as a program of TensorFlow 2 sees it: eager."""
    yield from _namespace(2)
