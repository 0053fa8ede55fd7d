"""Convolution and its two gradients by oneDNN.

Images stay as corenn lays them out where oneDNN has a fast kernel for that, weights are reordered on the way.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from corenn.backend import Kernel
from corenn.ops.windows import arrange, channel_axis, spatial, windows_along
from corenn.spec import Spec
from corenn_onednn.dnnl import Descriptor, Primitive, UnimplementedError
from corenn_onednn.dnnl.primitives import convolution
from corenn_onednn.kernels._chain import Chain, Given, Result, Stage
from corenn_onednn.kernels._layouts import images
from corenn_onednn.kernels._serving import Thresholds, kernel, name_of, serves

Array = np.ndarray[Any, Any]
Shape = tuple[int, ...]


class Geometry:
    """Shapes of a convolution, in corenn's order and in oneDNN's, and how its arrays lie."""

    def __init__(self, x: Shape, w: Shape, attrs: Mapping[str, Any], dtype: str) -> None:
        layout, groups = attrs["layout"], attrs["groups"]
        kernel, inner, outer = w[:-2], w[-2], w[-1]
        rank, channel = len(kernel), channel_axis(layout)
        spans = [(k - 1) * d + 1 for k, d in zip(kernel, attrs["dilation"], strict=True)]
        extents: Any = spatial(x, layout)
        out = tuple(map(windows_along, extents, spans, attrs["strides"], attrs["padding"]))
        self.x, self.w = x, w
        y: Any = arrange(x[0], out, outer, layout)
        self.y: Shape = tuple(y)
        self.work = math.prod(self.y) * math.prod(kernel) * inner
        self.windows = {"strides": attrs["strides"], "padding": attrs["padding"], "dilation": attrs["dilation"]}
        if groups == 1:
            weights, order = (outer, inner, *kernel), (*range(2, rank + 2), 1, 0)
        else:
            weights, order = (groups, outer // groups, inner, *kernel), (*range(3, rank + 3), 2, 0, 1)
        self.given = {"src": images(x, channel, dtype), "dst": images(self.y, channel, dtype)}
        self.given["weights"] = Descriptor.ordered(weights, dtype, order)

    def choose(self, build: Callable[[Descriptor, Descriptor, Descriptor], Primitive]) -> Primitive:
        """``build`` for images as they lie and weights as it likes, or all as it likes where that is slow.

        UnimplementedError where both are slow: NumPy's kernels then serve better.
        """
        free = {n: Descriptor(d.shape, d.dtype, "any") for n, d in self.given.items()}
        for laid in (self.given, free):
            with suppress(UnimplementedError):
                found = build(laid["src"], free["weights"], laid["dst"])
                if not _slow(found):
                    return found
        raise UnimplementedError("oneDNN convolution", "there is no fast implementation", dict(self.given))

    def chain(self, primitive: Primitive, given: tuple[str, str], result: str, shape: Shape) -> Callable[..., Array]:
        """The primitive as a function of two arrays, each named by its argument."""
        lies = {name: self.given[name.removeprefix("diff_")] for name in (*given, result)}
        stage = Stage(primitive, {name: name for name in lies})
        made = [Result(result, lies[result], shape)]
        return Chain([stage], [Given(name, lies[name]) for name in given], made).only


def _slow(primitive: Primitive) -> bool:
    """Whether the library has no kernel of its own for it, but a reference in plain C++ or a product of matrices."""
    return primitive.implementation.startswith(("ref", "simple", "gemm"))


def geometry(name: str, specs: Sequence[Spec | None], attrs: Mapping[str, Any], dtype: str) -> Geometry:
    """The geometry of a call of ``conv`` or one of its gradients."""
    a, b = (spec.static for spec in specs if spec is not None)
    if name == "conv":
        return Geometry(a, b, attrs, dtype)
    channel = channel_axis(attrs["layout"])
    if name == "conv_input_grad":
        x: Any = tuple(arrange(a[0], tuple(attrs["size"]), b[-2] * attrs["groups"], attrs["layout"]))
        return Geometry(x, b, attrs, dtype)
    w = (*attrs["size"], a[channel] // attrs["groups"], b[channel])
    return Geometry(a, w, attrs, dtype)


def _when(name: str) -> Callable[[Sequence[Spec | None], Mapping[str, Any]], bool]:
    def when(specs: Sequence[Spec | None], attrs: Mapping[str, Any]) -> bool:
        """Dense operands of some size; windows that reach beyond their padding are NumPy's."""
        if not serves(*specs):
            return False
        try:
            shapes = geometry(name, specs, attrs, name_of(specs))
        except ValueError:
            return False
        empty = any(0 in shape for shape in (shapes.x, shapes.w, shapes.y))
        negative = any(p < 0 for pair in attrs["padding"] for p in pair)
        return not empty and not negative

    return when


def _threaded(name: str) -> Callable[[Sequence[Spec | None], Mapping[str, Any]], bool]:
    return lambda specs, attrs: geometry(name, specs, attrs, name_of(specs)).work >= Thresholds.threaded


def _forward(specs: Sequence[Spec | None], attrs: Mapping[str, Any]) -> Callable[..., Array]:
    shapes = geometry("conv", specs, attrs, name_of(specs))
    made = shapes.choose(lambda s, w, d: convolution.forward(s, w, d, training=False, **shapes.windows))
    return shapes.chain(made, ("src", "weights"), "dst", shapes.y)


def _input_grad(specs: Sequence[Spec | None], attrs: Mapping[str, Any]) -> Callable[..., Array]:
    shapes = geometry("conv_input_grad", specs, attrs, name_of(specs))
    made = shapes.choose(lambda s, w, d: convolution.backward_data(s, w, d, **shapes.windows))
    return shapes.chain(made, ("diff_dst", "weights"), "diff_src", shapes.x)


def _weight_grad(specs: Sequence[Spec | None], attrs: Mapping[str, Any]) -> Callable[..., Array]:
    shapes = geometry("conv_weight_grad", specs, attrs, name_of(specs))
    made = shapes.choose(lambda s, w, d: convolution.backward_weights(s, w, d, **shapes.windows))
    return shapes.chain(made, ("src", "diff_dst"), "diff_weights", shapes.w)


KERNELS: dict[str, Kernel | Sequence[Kernel]] = {
    name: kernel(_when(name), prepare, _threaded(name))
    for name, prepare in (("conv", _forward), ("conv_input_grad", _input_grad), ("conv_weight_grad", _weight_grad))
}
