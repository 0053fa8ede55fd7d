"""The tester tested, level 7: executables with one planted mistake each, and the cases that must name it."""

from __future__ import annotations

import time

import numpy as np
import pytest
from corenn_numpy.backend import NumpyBackend

from corenn.compiler.executor import Executable
from corenn.compiler.passes import join_updates
from corenn.testing import run_conformance
from corenn.testing.programs import NETWORKS, PASSES, SCENARIOS


class Compiling(NumpyBackend):
    """NumPy whose ``compile`` gives the default executor, wrapped."""

    name = "compiling"

    def __init__(self, wrapper):
        self.wrapper = wrapper

    def compile(self, program):
        return self.wrapper(program)


class Right:
    """What the core would do."""

    def __init__(self, program):
        self.program, self.inner = program, Executable(join_updates(program))

    def __call__(self, feeds, state, key):
        return self.inner(feeds, state, key)


class Inexact(Right):
    """Results are a little too large."""

    def __call__(self, feeds, state, key):
        results, writes = self.inner(feeds, state, key)
        return [r * 1.01 if r.dtype == np.float32 else r for r in results], writes


class Forgetful(Right):
    """The last variable is not written."""

    def __call__(self, feeds, state, key):
        results, writes = self.inner(feeds, state, key)
        if writes:
            cell = self.program.writes[-1][0]
            writes = [*writes[:-1], cell.data]
        return results, writes


class KeepsItsBuffers(Right):
    """Results are written over those of the call before."""

    buffers: list | None = None

    def __call__(self, feeds, state, key):
        results, writes = self.inner(feeds, state, key)
        if self.buffers is None:
            self.buffers = [np.array(r) for r in results]
        for buffer, result in zip(self.buffers, results, strict=True):
            np.copyto(buffer, result)
        return self.buffers, writes


class WritesInPlace(Right):
    """New values go over the old ones of variables, whoever holds them."""

    def __call__(self, feeds, state, key):
        results, writes = self.inner([f.copy() for f in feeds], [s.copy() for s in state], key)
        held = {id(cell): array for (cell, _), array in zip(self.program.state, state, strict=True)}
        written = []
        for (cell, _), array in zip(self.program.writes, writes, strict=True):
            old = held.get(id(cell))
            if old is not None and old.shape == array.shape:
                old[...] = array
                array = old
            written.append(array)
        return results, written


class UsesInputsAsScratch(Right):
    """What was fed is overwritten when it is no longer needed."""

    def __call__(self, feeds, state, key):
        found = self.inner([f.copy() for f in feeds], state, key)
        for feed in feeds:
            feed[...] = 0
        return found


class TakesInputs(Right):
    """A variable that is read is that array, to be updated later."""

    def __call__(self, feeds, state, key):
        before = [s.copy() for s in state]
        found = self.inner(feeds, state, key)
        for old, kept in zip(state, before, strict=True):
            old[...] = kept + 1
        return found


class WritesEarly(Right):
    """Variables are written although a call fails."""

    def __call__(self, feeds, state, key):
        try:
            return self.inner(feeds, state, key)
        except Exception:
            for array in state:
                array += 1
            raise


class IgnoresStrides(Right):
    """Operands are taken to be contiguous."""

    def __call__(self, feeds, state, key):
        straight = [
            f if f.flags.c_contiguous or f.size == 0 else np.asarray(f).T.reshape(-1).reshape(f.shape) for f in feeds
        ]
        return self.inner(straight, state, key)


class NotForThreads(Right):
    """One place for the operands, whoever calls."""

    calls = 0

    def __call__(self, feeds, state, key):
        self.feeds = feeds
        self.calls = mine = self.calls + 1
        end = time.monotonic() + 1.0
        while self.calls == mine and time.monotonic() < end:  # until another thread is here, too
            time.sleep(0.001)
        return self.inner(self.feeds, state, key)


class DrawsOnce(Right):
    """The keys of the first call are those of all."""

    def __init__(self, program):
        super().__init__(program)
        self.keys = {}

    def __call__(self, feeds, state, key):
        return self.inner(feeds, state, lambda o: self.keys.setdefault(id(o), key(o)))


MISTAKES = [
    (Inexact, "dense/compiled", "the loss"),
    (Inexact, "conv/compiled", "the loss"),
    (Forgetful, "dense/compiled", "step "),
    (KeepsItsBuffers, "keeps/results", "value 0"),
    (KeepsItsBuffers, "keeps/same results", ""),
    (WritesInPlace, "keeps/held arrays", ""),
    (WritesInPlace, "keeps/shared arrays", ""),
    (WritesInPlace, "keeps/constants", ""),
    (UsesInputsAsScratch, "keeps/inputs", ""),
    (TakesInputs, "keeps/inputs", ""),
    (WritesEarly, "keeps/errors", ""),
    (IgnoresStrides, "keeps/strided operands", ""),
    (NotForThreads, "keeps/threads", ""),
    (DrawsOnce, "keeps/draws", ""),
    (DrawsOnce, "dropout/compiled", ""),
]


@pytest.mark.parametrize(("mistake", "case", "message"), MISTAKES, ids=lambda v: getattr(v, "__name__", None))
def test_a_wrong_executable_is_named(mistake, case, message):
    report = run_conformance(Compiling(mistake), pattern=f"L7/{case}")
    (found,) = report.failed
    assert found.id == f"L7/{case}"
    assert message in found.message


def test_a_right_one_passes():
    report = run_conformance(Compiling(Right), levels=[7])
    assert report.ok, str(report)
    assert len(report.passed) == len(NETWORKS) * (1 + len(PASSES)) + len(SCENARIOS)


@pytest.mark.parametrize("name", ["fused", "simplified"])
def test_a_wrong_pass_is_named(monkeypatch, name):
    """One that loses a write."""
    right = PASSES[name]

    def wrong(program):
        found = right(program)
        found.writes = found.writes[:-1]
        return found

    monkeypatch.setitem(PASSES, name, wrong)
    failed = {o.id for o in run_conformance(NumpyBackend(), pattern="L7/dense/*").failed}
    assert failed == {f"L7/dense/{name}"}
