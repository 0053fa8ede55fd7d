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
from corenn.ops.sampling import literal, real, sample
from corenn.ops.shaping import along, concatenate, reshape, stack, transpose
from corenn.ops.slicing import basic_index
from corenn.ops.table import Call, Result, TensorLike, op
from corenn.spec import Spec
from corenn.tensor import Tensor

__all__: list[str] = []

Array = np.ndarray[Any, Any]

_FLOATING_OPERANDS = (
    "x", "h0", "c0", "h", "c", "kernel", "recurrent_kernel", "bias", "outputs", "cells", "gates",
    "g_outputs", "g_h", "g_c", "g_cells", "g_gates", "slopes", "state_slopes",
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


def plus(x: Tensor, y: Tensor | None) -> Tensor:
    """``x``, and ``y`` if it is there."""
    return x if y is None else add(x, y)


def step_of(x: Tensor | None, t: int) -> Tensor | None:
    """Step ``t`` of a tensor with time first that may be absent."""
    return None if x is None else step(x, t)


def for_recurrence(slopes: Tensor, before: Tensor) -> Tensor:
    """The gradient by a recurrent kernel, of those by its products with the states ``before`` (both time first)."""
    return matmul(rows(before), rows(slopes), transpose_a=True)


def sigmoid_slope(y: Tensor) -> Tensor:
    """The derivative of the sigmoid where its value is ``y``."""
    return multiply(y, 1 - y)


def tanh_slope(y: Tensor) -> Tensor:
    """The derivative of the hyperbolic tangent where its value is ``y``."""
    return 1 - y * y


def _input_grad(call: Call, slopes: Spec, kernel: Spec) -> Result:
    steps, batch, _ = slopes.static
    return Spec((batch, steps, kernel.static[0]), slopes.dtype)


@op(infer=_input_grad, dtypes=DTYPES, namespace="_")
def recurrent_input_grad(slopes: TensorLike, kernel: TensorLike, /) -> Tensor:
    """The gradient of a recurrent network by its input [batch, T, features], of ``slopes``, that by the projection of
    the input [T, batch, ...], and the kernel [features, ...]."""


@recurrent_input_grad.decompose
def _(slopes: Tensor, kernel: Tensor) -> Tensor:
    by_rows = matmul(rows(slopes), kernel, transpose_b=True)
    return time_first(reshape(by_rows, shape=(slopes.shape[0], slopes.shape[1], kernel.shape[0])))


def _weight_grad(call: Call, slopes: Spec, x: Spec, h0: Spec, outputs: Spec, *rest: Spec | None) -> Result:
    width, of_state = slopes.static[2], rest[0] if rest else None
    bias = (width,) if of_state is None else (2, width)
    return tuple(Spec(s, slopes.dtype) for s in ((x.static[2], width), (h0.static[1], width), bias))


@op(infer=_weight_grad, dtypes=DTYPES, results=("kernel", "recurrent_kernel", "bias"), namespace="_")
def recurrent_weight_grad(
    slopes: TensorLike, x: TensorLike, h0: TensorLike, outputs: TensorLike, state_slopes: TensorLike | None = None,
    lengths: TensorLike | None = None, /, *, reverse: bool,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """The gradients of a recurrent network by kernel, recurrent kernel and bias, of ``slopes``, those by the sums
    ``x W + h U + b`` of all steps [T, batch, ...], its input, first state and outputs.

    With ``state_slopes``, those by ``h U + b'``, ``slopes`` are by ``x W + b`` alone, and the bias is b above b'.
    """


@recurrent_weight_grad.decompose
def _(
    slopes: Tensor, x: Tensor, h0: Tensor, outputs: Tensor, state_slopes: Tensor | None, lengths: Tensor | None, *,
    reverse: bool,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    flat = rows(slopes)
    before = previous(h0, time_first(outputs), valid_steps(lengths, x.shape[1]), reverse)
    by_kernel, by_bias = matmul(rows(time_first(x)), flat, transpose_a=True), sum_over(flat, axis=0)
    if state_slopes is None:
        return by_kernel, for_recurrence(slopes, before), by_bias
    by_bias = stack(by_bias, sum_over(state_slopes, axis=(0, 1)))
    return by_kernel, for_recurrence(state_slopes, before), by_bias


def for_weights(
    slopes: Tensor, x: Tensor, h0: Tensor, kernel: Tensor, outputs: Tensor, lengths: Tensor | None, reverse: bool,
    needs: tuple[bool, tuple[bool, ...]], state_slopes: Tensor | None = None,
) -> tuple[Tensor | None, Tensor | None, Tensor | None, Tensor | None]:  # fmt: skip
    """Gradients by x, kernel, recurrent kernel and bias of those by the sums of all steps.  ``needs``: whether that by
    x is needed, and which of the others; without bias nothing is."""
    by_x = recurrent_input_grad(slopes, kernel) if needs[0] else None
    if not any(needs[1]):
        return by_x, None, None, None
    return by_x, *recurrent_weight_grad(slopes, x, h0, outputs, state_slopes, lengths, reverse=reverse)


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


recurrent_input_grad.samples(sample(real(shape=(3, 2, 8)), real(shape=(4, 8)), grad=False))
_operands = (real(shape=(3, 2, 8)), real(shape=(2, 3, 4)), real(shape=(2, 2)), real(shape=(2, 3, 2)))
recurrent_weight_grad.samples(
    sample(*_operands, reverse=False, grad=False),
    sample(*_operands, None, literal([2, 0], "int32"), reverse=True, grad=False),
    sample(*_operands, _operands[0], reverse=True, grad=False),
    sample(*_operands, _operands[0], literal([1, 3], "int32"), reverse=False, grad=False),
)
for _op in (recurrent_input_grad, recurrent_weight_grad):
    _op.terms(terms)
