"""Batch and layer normalisation by oneDNN, and their gradients."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from corenn.backend import Kernel
from corenn.dtypes import float32
from corenn.spec import Spec
from corenn_onednn.dnnl import Descriptor
from corenn_onednn.dnnl.primitives import normalization as builders
from corenn_onednn.kernels._chain import Chain, Given, Result, Stage
from corenn_onednn.kernels._serving import kernel, serves

Array = np.ndarray[Any, Any]
Specs = Sequence[Spec | None]
Attributes = Mapping[str, Any]


def _large(x: Spec | None, specs: Specs) -> bool:
    return x is not None and x.dtype is float32 and serves(*specs)


# ---------------------------------------------------------------- channels over the batch


def _channels(shape: tuple[int, ...], axis: int) -> tuple[Descriptor, Descriptor]:
    """An array with its channels on ``axis`` as oneDNN's (n, c, h, w), and a vector over them."""
    after = math.prod(shape[axis + 1 :])
    vector = Descriptor((shape[axis],))
    if after == 1:
        logical = (shape[0], shape[axis], math.prod(shape[1:axis]), 1) if axis else (1, shape[0], 1, 1)
        return Descriptor.ordered(logical, "float32", (0, 2, 3, 1)), vector
    return Descriptor((math.prod(shape[:axis]), shape[axis], 1, after)), vector


def _spec(specs: Specs, place: int) -> Spec:
    found = specs[place]
    assert found is not None  # the operand is not optional
    return found


def _given(names: Sequence[str], specs: Specs) -> list[str]:
    """The names of the operands that are there."""
    return [name for name, spec in zip(names, specs, strict=False) if spec is not None]


def batch_norm_training(specs: Specs, attrs: Attributes) -> Callable[..., tuple[Array, ...]]:
    """See the op."""
    x = _spec(specs, 0)
    layout, vector = _channels(x.static, attrs["axis"])
    names = _given(("x", "scale", "shift"), (*specs, None, None)[:3])
    flags: dict[str, Any] = {name: name in names for name in ("scale", "shift")}
    made = builders.batch_forward(layout, layout, attrs["epsilon"], **flags)
    stage = Stage(made, {"src": "x", "dst": "y", **{n: n for n in ("mean", "variance", "scale", "shift")}})
    chain = Chain(
        [stage],
        [Given(n, layout if n == "x" else vector) for n in names],
        [
            Result("y", layout, x.static),
            Result("mean", vector, vector.shape),
            Result("variance", vector, vector.shape),
        ],
    )
    return lambda *arrays: chain(*[a for a in arrays if a is not None])


def batch_norm_inference(specs: Specs, attrs: Attributes) -> Callable[..., Array]:
    """See the op."""
    x = _spec(specs, 0)
    layout, vector = _channels(x.static, attrs["axis"])
    names = _given(("x", "scale", "shift", "mean", "variance"), specs)
    flags: dict[str, Any] = {name: name in names for name in ("scale", "shift")}
    made = builders.batch_forward(layout, layout, attrs["epsilon"], training=False, **flags)
    stage = Stage(made, {"src": "x", "dst": "y", **{n: n for n in names if n != "x"}})
    chain = Chain([stage], [Given(n, layout if n == "x" else vector) for n in names], [Result("y", layout, x.static)])
    return lambda *arrays: chain.only(*[a for a in arrays if a is not None])


def batch_norm_grad(specs: Specs, attrs: Attributes) -> Callable[..., tuple[Array, ...]]:
    """See the op.  What flows back through the mean and the variance, mostly nothing, is added by NumPy."""
    x, axis = _spec(specs, 3), attrs["axis"]
    layout, vector = _channels(x.static, axis)
    ahead = builders.batch_forward(layout, layout, attrs["epsilon"])
    back = builders.batch_backward(layout, layout, layout, attrs["epsilon"], forward=ahead)
    names = {"diff_dst": "g", "src": "x", "mean": "mean", "variance": "variance", "scale": "scale"}
    results = {"diff_src": "dx", "diff_scale": "by scale", "diff_shift": "by shift"}
    chain = Chain(
        [Stage(back, names | results)],
        [Given(n, layout if n in "gx" else vector) for n in names.values()],
        [Result("dx", layout, x.static), *(Result(n, vector, vector.shape) for n in ("by scale", "by shift"))],
    )
    ones, count = np.ones(vector.shape, np.float32), x.size / vector.shape[0]
    broad = tuple(-1 if a == axis else 1 for a in range(x.ndim))

    def run(
        g: Array, g_mean: Array, g_variance: Array, x: Array, mean: Array, variance: Array, gamma: Array | None = None
    ) -> tuple[Array, ...]:
        found = chain(g, x, mean, variance, ones if gamma is None else gamma)
        if g_mean.any():
            found[0].__iadd__((g_mean / np.float32(count)).reshape(broad))
        if g_variance.any():
            found[0].__iadd__((x - mean.reshape(broad)) * (g_variance * np.float32(2 / count)).reshape(broad))
        return found

    return run


# ---------------------------------------------------------------- rows by themselves


def _trailing(x: Spec | None, scales: Specs, specs: Specs, attrs: Attributes) -> bool:
    """Whether the last axes are normalised with their mean, and gamma and beta are vectors over just those."""
    if x is None or not _large(x, specs) or not attrs["center"]:
        return False
    axes = attrs["axis"]
    own = x.static[x.ndim - len(axes) :]
    last = bool(axes) and axes == tuple(range(x.ndim - len(axes), x.ndim))
    return last and math.prod(own) > 1 and all(s is None or s.shape == own for s in scales)


def _rows(x: Spec, attrs: Attributes) -> tuple[Descriptor, Descriptor]:
    """An array as a matrix whose rows are normalised, and a vector over a row."""
    width = math.prod(x.static[x.ndim - len(attrs["axis"]) :])
    return Descriptor((x.size // width, width)), Descriptor((width,))


def standardize(specs: Specs, attrs: Attributes) -> Callable[..., Array]:
    """See the op."""
    x = _spec(specs, 0)
    rows, vector = _rows(x, attrs)
    names = _given(("x", "scale", "shift"), specs)
    flags: dict[str, Any] = {name: name in names for name in ("scale", "shift")}
    made = builders.layer_forward(rows, rows, attrs["epsilon"], training=False, **flags)
    stage = Stage(made, {"src": "x", "dst": "y", "scale": "scale", "shift": "shift"})
    chain = Chain([stage], [Given(n, rows if n == "x" else vector) for n in names], [Result("y", rows, x.static)])
    return lambda *arrays: chain.only(*[a for a in arrays if a is not None])


def _layer_backward(x: Spec, attrs: Attributes, affine: bool) -> Chain:
    """The gradient; mean and variance of the rows are computed once more, for the ops hand none on."""
    rows, vector = _rows(x, attrs)
    flags: dict[str, Any] = {"scale": affine, "shift": affine}
    ahead = builders.layer_forward(rows, rows, attrs["epsilon"], scale=False, shift=False)
    hint = builders.layer_forward(rows, rows, attrs["epsilon"], **flags) if affine else ahead
    back = builders.layer_backward(rows, rows, rows, attrs["epsilon"], forward=hint, **flags)
    statistics = {"mean": "mean", "variance": "variance"}
    shape = x.static[x.ndim - len(attrs["axis"]) :]
    results = [Result("dx", rows, x.static)]
    given = [Given("g", rows), Given("x", rows)]
    if affine:
        given.append(Given("scale", vector))
        results += [Result("diff_scale", vector, shape), Result("diff_shift", vector, shape)]
    names = {"diff_dst": "g", "src": "x", "diff_src": "dx", "scale": "scale", "shift": "scale", **statistics}
    names |= {"diff_scale": "diff_scale", "diff_shift": "diff_shift"}
    return Chain([Stage(ahead, {"src": "x", **statistics}), Stage(back, names)], given, results)


def standardize_grad(specs: Specs, attrs: Attributes) -> Callable[..., Array]:
    """See the op."""
    return _layer_backward(_spec(specs, 1), attrs, False).only


def standardize_affine_grad(specs: Specs, attrs: Attributes) -> Callable[..., tuple[Array, ...]]:
    """See the op."""
    return _layer_backward(_spec(specs, 1), attrs, True)


KERNELS: dict[str, Kernel | Sequence[Kernel]] = {
    "batch_norm_training": kernel(lambda specs, attrs: _large(specs[0], specs), batch_norm_training),
    "batch_norm_inference": kernel(lambda specs, attrs: _large(specs[0], specs), batch_norm_inference),
    "batch_norm_grad": kernel(lambda specs, attrs: _large(specs[3], specs), batch_norm_grad),
    "standardize": kernel(lambda specs, attrs: _trailing(specs[0], specs[1:], specs, attrs), standardize),
    "standardize_grad": kernel(lambda specs, attrs: _trailing(specs[1], (), specs, attrs), standardize_grad),
    "standardize_affine_grad": kernel(
        lambda specs, attrs: _trailing(specs[1], specs[2:], specs, attrs), standardize_affine_grad
    ),
}
