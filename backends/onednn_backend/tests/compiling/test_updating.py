"""Weights that are updated where their gradients are made: what is joined, and that nothing else changes."""

from __future__ import annotations

import numpy as np
import pytest
from corenn_onednn.compiling import updating
from corenn_onednn.compiling.updating import Updating
from corenn_onednn.loops.compiling import machine

import corenn
from corenn import optimizers
from corenn.device import Device

RNG = np.random.default_rng(4)
X, Y = RNG.standard_normal((20, 70)).astype("float32"), RNG.standard_normal((20, 90)).astype("float32")
OPTIMIZERS = {
    "sgd": lambda: optimizers.SGD(0.1),
    "momentum": lambda: optimizers.SGD(0.1, momentum=0.9, nesterov=True),
    "rmsprop": lambda: optimizers.RMSprop(1e-2),
    "adam": lambda: optimizers.Adam(1e-2),
    "decay": lambda: optimizers.AdamW(1e-2, weight_decay=0.1),
    "adagrad": lambda: optimizers.Adagrad(1e-2),
}


@pytest.fixture(scope="module")
def place(library):
    """A device of the backend, registered or not."""
    from corenn_onednn.backend import OneDnnBackend

    return Device(OneDnnBackend(), 0)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Also what is too small to be worth it."""
    if machine().width != 16:
        pytest.skip("this processor has no lanes of sixteen")
    monkeypatch.setattr(updating, "_LARGE", 1)
    monkeypatch.setattr(updating, "_WIDE", 1)


def plainly(gradient, w):
    return gradient


def of_itself(gradient, w):
    """A product of which the weights are an operand."""
    return w @ corenn.tensor(Y.T @ Y * 1e-3)


def clipped(gradient, w):
    """By its norm, for which all of it is needed."""
    return gradient / corenn.maximum(corenn.sqrt(corenn.sum(corenn.square(gradient))), 1.0)


def trained(device, optimizer, used, fetched):
    """The weights and slots after three steps, what the last one gave, and what was joined."""
    with device:
        w = corenn.Variable((np.random.default_rng(9).standard_normal((70, 90)) * 0.05).astype("float32"))
        chosen = OPTIMIZERS[optimizer]()
        chosen.build([w])
        x, y = corenn.tensor(X), corenn.tensor(Y)

        @corenn.function
        def step(x, y):
            with corenn.GradientTape() as tape:
                loss = corenn.mean(corenn.square(x @ w - y))
            (gradient,) = tape.gradient(loss, [w])
            chosen.apply_gradients([(used(gradient, w), w)])
            return (loss, gradient) if fetched else (loss,)

        given = [step(x, y) for _ in range(3)][-1]
        concrete = step.get_concrete_function(x, y)
        executable = concrete._runs.compiled(concrete.inputs, [x, y], x.device).executable
        compiled = getattr(executable, "compiled", executable.program)
        joined = [i for i in compiled.instructions if isinstance(i, Updating)]
        return [np.array(v) for v in (w, *chosen.variables)], [np.array(g) for g in given], joined


def joined_as_numpys(place, optimizer="sgd", used=plainly, fetched=False):
    """What was joined, after everything was compared with NumPy."""
    ours, given, joined = trained(place, optimizer, used, fetched)
    theirs, expected, _ = trained(corenn.device("numpy"), optimizer, used, fetched)
    for a, b in zip([*ours, *given], [*theirs, *expected], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    return joined


@pytest.mark.parametrize("wide", [1, 1000])  # as it is, and across
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_updates_as_on_numpy(place, monkeypatch, optimizer, wide):
    monkeypatch.setattr(updating, "_WIDE", wide)
    (joined,) = joined_as_numpys(place, optimizer)
    assert joined.parts()[0].name == "matmul"


def test_a_gradient_that_something_else_reads_is_made_whole(place):
    assert not joined_as_numpys(place, fetched=True)


def test_a_gradient_whose_norm_is_needed_first_is_made_whole(place):
    assert not joined_as_numpys(place, used=clipped)


def test_weights_that_are_an_operand_are_not_overwritten_meanwhile(place):
    assert joined_as_numpys(place, used=of_itself)


def test_what_is_no_transpose_is_not_made_across(place, monkeypatch):
    monkeypatch.setattr(updating, "_WIDE", 1000)
    assert not joined_as_numpys(place, used=of_itself)


def test_large_and_shallow_gradients_are_chosen(place, monkeypatch):
    monkeypatch.setattr(updating, "_LARGE", 70 * 90)
    assert joined_as_numpys(place)
    monkeypatch.setattr(updating, "_LARGE", 70 * 90 + 1)
    assert not joined_as_numpys(place)
    monkeypatch.setattr(updating, "_LARGE", 1)
    monkeypatch.setattr(updating, "_DEEP", 19)
    assert not joined_as_numpys(place)
