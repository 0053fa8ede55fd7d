"""Level 5: a small training run in ops.  It must learn, repeat bit for bit, and agree with the NumPy backend."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import numpy as np

from corenn import dtypes
from corenn.autodiff.tape import GradientTape
from corenn.backend.contract import Backend
from corenn.backend.registry import get_backend
from corenn.device import Device, device_of
from corenn.ops.creation import tensor
from corenn.ops.table import TABLE
from corenn.tensor import Tensor
from corenn.testing.cases import Case
from corenn.testing.compare import bits_difference, difference
from corenn.testing.tolerances import TRAINING
from corenn.testing.trial import Host, require_dtypes
from corenn.variable import Variable

_STEPS = 30
_BATCH = 32
_RATE = 0.1
_NAMES = ("w1", "b1", "w2", "b2")
_FEATURES, _HIDDEN, _CLASSES = 6, 16, 3


def cases(backend: Backend) -> Iterator[Case]:
    """L5: the loss falls; the same seed gives the same bits; the same seed gives what the NumPy backend computes."""
    home = device_of(backend, 0)
    yield Case("L5/mlp/learns", functools.partial(_learns, home))
    yield Case("L5/mlp/repeats", functools.partial(_repeats, home))
    yield Case("L5/mlp/agrees", functools.partial(_agrees, home))


def _learns(home: Device) -> str | None:
    losses, _ = train(home, 1)
    first, last = float(np.mean(losses[:5])), float(np.mean(losses[-5:]))
    return None if last < 0.7 * first else f"the loss went from {first:.4g} to {last:.4g} in {_STEPS} steps"


def _repeats(home: Device) -> str | None:
    (losses, weights), (again, others) = train(home, 2), train(home, 2)
    problem = bits_difference(again, losses)
    if problem is not None:
        return f"losses of two runs with one seed: {problem}"
    for name, other, first in zip(_NAMES, others, weights, strict=True):
        problem = bits_difference(other, first)
        if problem is not None:
            return f"{name} after two runs with one seed: {problem}"
    return None


def _agrees(home: Device) -> str | None:
    reference = device_of(get_backend("numpy"))
    (losses, weights), (wanted, others) = train(home, 3), train(reference, 3)
    problem = difference(losses, wanted, TRAINING)
    if problem is not None:
        return f"losses against the NumPy backend's: {problem}"
    for name, mine, other in zip(_NAMES, weights, others, strict=True):
        problem = difference(mine, other, TRAINING)
        if problem is not None:
            return f"{name} after {_STEPS} steps, against the NumPy backend's: {problem}"
    return None


def _op(name: str, *operands: Tensor, **attrs: object) -> Tensor:
    found: Tensor = TABLE[name].public(*operands, **attrs)
    return found


def train(home: Device, seed: int) -> tuple[Host, list[Host]]:
    """Train two layers on three blobs, all randomness from ``seed``; the losses, and the weights at the end."""
    require_dtypes([dtypes.float32, dtypes.uint64, dtypes.bool_], home)
    with home:
        x, labels = _blobs()
        w1, w2 = (
            Variable(_normal(seed, stream, shape) * scale)
            for stream, shape, scale in ((0, (_FEATURES, _HIDDEN), 0.5), (1, (_HIDDEN, _CLASSES), 0.3))
        )
        b1, b2 = Variable(np.zeros(_HIDDEN, np.float32)), Variable(np.zeros(_CLASSES, np.float32))
        losses = [_step(x, labels, (w1, b1, w2, b2), seed, step) for step in range(_STEPS)]
        return np.array(losses, np.float32), [v.numpy() for v in (w1, b1, w2, b2)]


def _blobs() -> tuple[Host, Host]:
    """Points around three centres, and which one each belongs to as rows of 0 and 1."""
    generator = np.random.Generator(np.random.Philox(5))
    labels = generator.integers(0, _CLASSES, 96)
    centres = generator.normal(size=(_CLASSES, _FEATURES))
    points = centres[labels] + 0.5 * generator.normal(size=(96, _FEATURES))
    return points.astype(np.float32), np.eye(_CLASSES, dtype=np.float32)[labels]


def _key(seed: int, stream: int) -> Tensor:
    return tensor(np.array([seed, stream, 0], np.uint64))


def _normal(seed: int, stream: int, shape: tuple[int, ...]) -> Tensor:
    return _op("random_normal", _key(seed, stream), shape=shape, dtype=dtypes.float32)


def _step(x: Host, labels: Host, variables: tuple[Variable, ...], seed: int, step: int) -> np.float32:
    """One step of gradient descent on a random batch, with dropout between the layers."""
    w1, b1, w2, b2 = variables
    rows = _op("random_permutation", _key(seed, 100 + step), n=96).numpy()[:_BATCH]
    inputs, wanted = tensor(x[rows]), tensor(labels[rows])
    keep = _op("random_uniform", _key(seed, 200 + step), shape=(_BATCH, _HIDDEN), dtype=dtypes.float32) < 0.9
    with GradientTape() as tape:
        hidden = _op("maximum", inputs @ w1 + b1, tensor(np.float32(0.0)))
        hidden = hidden * keep.cast(dtypes.float32)
        error = _op("squared_difference", hidden @ w2 + b2, wanted)
        loss = _op("mean", error, axis=None)
    gradients = tape.gradient(loss, list(variables))
    for variable, gradient in zip(variables, gradients, strict=True):
        variable.assign_sub(gradient * _RATE)
    return np.float32(loss.item())
