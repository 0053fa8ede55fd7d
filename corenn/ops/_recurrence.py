"""What recurrent networks share: checking shapes, projecting all steps at once, running in either direction, masks.

Inside, time comes first ([T, batch, ...]), so that a step is one block of memory; users see [batch, T, ...].
"""

from __future__ import annotations

from typing import Any

import numpy as np

from corenn.dtypes import FLOATING, INTEGER, DType, int32
from corenn.ops.contraction import matmul
from corenn.ops.creation import arange
from corenn.ops.elementwise import add, cast, multiply, where
from corenn.ops.logic import greater
from corenn.ops.reduction import sum as sum_over
from corenn.ops.shaping import along, concatenate, reshape, transpose
from corenn.ops.slicing import basic_index
from corenn.ops.table import Call
from corenn.spec import Spec
from corenn.tensor import Tensor

__all__: list[str] = []

Array = np.ndarray[Any, Any]

_FLOATING_OPERANDS = (
    "x", "h0", "c0", "h", "c", "kernel", "recurrent_kernel", "bias", "outputs", "cells", "gates", "before",
    "g_outputs", "g_h", "g_c", "g_cells", "g_gates",
)  # fmt: skip
DTYPES: dict[str, frozenset[DType]] = dict.fromkeys(_FLOATING_OPERANDS, FLOATING) | {"lengths": INTEGER}


# ---------------------------------------------------------------- shapes


def check(call: Call, blocks: int, bias: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Batch, steps, features and units of a call with operands x, states, kernel, recurrent_kernel, bias, lengths.

    ``blocks``: how many matrices stand side by side in a kernel; ``bias``: what stands before the units in its shape.
    Cells have no steps (0 is returned).  ShapeError or DTypeError for operands that do not fit.
    """
    names = call.op.operand_names(len(call.specs))
    given = {n: s for n, s in zip(names, call.specs, strict=True) if s is not None}
    x, recurrent = given["x"], given["recurrent_kernel"]
    states = [n for n in ("h0", "c0", "h", "c") if n in given]
    steps = "lengths" in call.op.tensors
    if x.ndim != (3 if steps else 2):
        wanted = "[batch, time, features]" if steps else "[batch, features]"
        raise call.shape_error(f"x must have shape {wanted}", x=f"has {x.ndim} axes")
    if recurrent.ndim != 2 or recurrent.static[1] != blocks * recurrent.static[0]:
        wanted = f"should be [units, {blocks} * units]" if blocks > 1 else "should be [units, units]"
        raise call.shape_error("recurrent_kernel has a wrong shape", recurrent_kernel=wanted)
    batch, features, units = x.static[0], x.static[-1], recurrent.static[0]
    expected: dict[str, tuple[int, ...]] = {n: (batch, units) for n in states}
    expected |= {"kernel": (features, blocks * units), "bias": (*bias[:-1], bias[-1] * units), "lengths": (batch,)}
    for name, shape in expected.items():
        if name in given and given[name].shape != shape:
            note = f"should have shape [{', '.join(map(str, shape))}]"
            raise call.shape_error(f"{name} does not fit", x="", recurrent_kernel=f"{units} units", **{name: note})
    for name, spec in given.items():
        if name != "lengths" and spec.dtype is not x.dtype:
            hint = f"corenn.cast({name}, dtype={x.dtype.name!r})"
            raise call.dtype_error("all operands must have the dtype of x", hint, x="", **{name: ""})
    if steps and x.static[1] == 0:
        raise call.shape_error("there are no steps", x="axis 1 has extent 0")
    return batch, x.static[1] if steps else 0, features, units


# ---------------------------------------------------------------- time


def order(steps: int, reverse: bool) -> list[int]:
    """The steps in the order they are taken."""
    return list(range(steps))[:: -1 if reverse else 1]


def time_first(x: Tensor) -> Tensor:
    """[batch, T, n] as [T, batch, n]; its own inverse."""
    return transpose(x, axes=(1, 0, 2))


def rows(x: Tensor) -> Tensor:
    """All steps and examples below one another: a matrix."""
    return reshape(x, shape=(-1, x.shape[-1]))


def project(x: Tensor, kernel: Tensor, bias: Tensor | None) -> Tensor:
    """``x @ kernel + bias`` for all steps in one product: [T, batch, ...] of x [batch, T, features]."""
    projected = matmul(rows(time_first(x)), kernel)
    projected = projected if bias is None else add(projected, bias)
    return reshape(projected, shape=(x.shape[1], x.shape[0], kernel.shape[1]))


def step(x: Tensor, t: int) -> Tensor:
    """Step ``t`` of a tensor with time first."""
    return basic_index(x, pattern=(("int", t),))


def columns(x: Tensor, start: int, width: int) -> Tensor:
    """``width`` entries of the last axis."""
    return basic_index(x, pattern=along(x.ndim - 1, ("slice", start, start + width, 1)))


# ---------------------------------------------------------------- lengths


def valid_steps(lengths: Tensor | None, steps: int) -> Tensor | None:
    """Which steps count: bool [T, batch, 1]; ``None`` when all do."""
    if lengths is None:
        return None
    moments = reshape(arange(steps, dtype=int32, device=lengths.spec.device), shape=(-1, 1, 1))
    return greater(reshape(cast(lengths, dtype=int32), shape=(1, -1, 1)), moments)


def chosen(valid: Tensor | None, t: int, new: Tensor, old: Tensor | float) -> Tensor:
    """``new`` where step ``t`` counts, else ``old``."""
    return new if valid is None else where(step(valid, t), new, old)


def previous(first: Tensor, states: Tensor, valid: Tensor | None, reverse: bool) -> Tensor:
    """The state each step began from: [T, batch, units], of the states after each step (time first).

    Running backwards, the first step that counts begins from the first state, and so do those passed over before it.
    """
    steps = states.shape[0]
    start = reshape(first, shape=(1, *first.shape))
    if not reverse:
        return concatenate(start, basic_index(states, pattern=(("slice", 0, steps - 1, 1),)), axis=0)
    later = basic_index(states, pattern=(("slice", 1, steps, 1),))
    if valid is not None:
        later = where(basic_index(valid, pattern=(("slice", 1, steps, 1),)), later, start)
    return concatenate(later, start, axis=0)


# ---------------------------------------------------------------- gradients


def for_projection(
    slopes: Tensor, x: Tensor, kernel: Tensor, needs: tuple[bool, bool, bool]
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """Gradients by x [batch, T, features], kernel and bias where needed, of those by the projection [T, batch, ...]."""
    flat, by_x = rows(slopes), None
    if needs[0]:
        by_x = matmul(flat, kernel, transpose_b=True)
        by_x = time_first(reshape(by_x, shape=(x.shape[1], x.shape[0], x.shape[2])))
    by_kernel = matmul(rows(time_first(x)), flat, transpose_a=True) if needs[1] else None
    return by_x, by_kernel, sum_over(flat, axis=0) if needs[2] else None


def for_recurrence(slopes: Tensor, before: Tensor) -> Tensor:
    """The gradient by a recurrent kernel, of those by its products with the states ``before`` (both time first)."""
    return matmul(rows(before), rows(slopes), transpose_a=True)


def sigmoid_slope(y: Tensor) -> Tensor:
    """The derivative of the sigmoid where its value is ``y``."""
    return multiply(y, 1 - y)


def tanh_slope(y: Tensor) -> Tensor:
    """The derivative of the hyperbolic tangent where its value is ``y``."""
    return 1 - y * y


# ---------------------------------------------------------------- references


def run_reference(cell: Any, x: Array, states: list[Array], lengths: Any, reverse: bool) -> tuple[Array, list[Array]]:
    """Outputs and last states, example by example and step by step; ``cell(x, *states) -> states``, output first."""
    batch, steps = x.shape[:2]
    outputs = np.zeros((batch, steps, states[0].shape[1]))
    last = [np.array(s) for s in states]
    for n in range(batch):
        for t in order(steps, reverse):
            if lengths is None or t < lengths[n]:
                for state, new in zip(last, cell(x[n, t], *(s[n] for s in last)), strict=True):
                    state[n] = new
                outputs[n, t] = last[0][n]
    return outputs, last


def logistic(x: Array) -> Array:
    """The sigmoid, for references."""
    return 1 / (1 + np.exp(-x))


def result(call: Call, *shapes: tuple[int, ...]) -> tuple[Spec, ...]:
    """Specs of the shapes, in the dtype of x."""
    x = call.specs[call.op.tensors.index("x")]
    assert x is not None  # x is never optional
    return tuple(Spec(shape, x.dtype) for shape in shapes)


def terms(*specs: Spec | None, **attrs: Any) -> int:
    """How many terms an element of a result adds up, in round figures, so that tolerances fit."""
    return 4 * max(sum(s.static) for s in specs if s is not None)
