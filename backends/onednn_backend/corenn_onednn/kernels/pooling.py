"""Pooling and its gradients by oneDNN, over one to three spatial axes.

oneDNN's maximum begins at the smallest finite number and passes over NaN.  Operands that have either -inf or NaN, which
one look at the smallest element tells, are left to NumPy's kernel.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from corenn_numpy.kernels import pooling as fallback

from corenn.backend import Kernel
from corenn.dtypes import float32
from corenn.ops.windows import channel_axis, windows_along
from corenn.spec import Spec
from corenn_onednn.dnnl import Descriptor
from corenn_onednn.dnnl.primitives import pooling
from corenn_onednn.kernels._chain import Chain, Given, Result, Stage
from corenn_onednn.kernels._layouts import images
from corenn_onednn.kernels._serving import kernel, serves

Array = np.ndarray[Any, Any]
Shape = tuple[int, ...]
Attributes = Mapping[str, Any]


def when(specs: Sequence[Spec | None], attrs: Attributes) -> bool:
    """float32 of some size.  Padding as wide as a window leaves windows empty: what those give is NumPy's to say."""
    first = specs[0]
    if first is None or first.dtype is not float32 or not serves(*specs):
        return False
    pairs = zip(attrs["window"], attrs["padding"], strict=True)
    return all(0 <= before < window and 0 <= after < window for window, (before, after) in pairs)


def _described(shape: Shape, layout: str) -> Descriptor:
    return images(shape, channel_axis(layout), "float32")


def _pooled(shape: Shape, attrs: Attributes) -> Shape:
    axes = [a for a in range(1, len(shape)) if a != channel_axis(attrs["layout"])]
    out = list(shape)
    for axis, *how in zip(axes, attrs["window"], attrs["strides"], attrs["padding"], strict=True):
        out[axis] = windows_along(shape[axis], *how)
    return tuple(out)


def _windows(attrs: Attributes) -> dict[str, Any]:
    return {name: attrs[name] for name in ("window", "strides", "padding")}


def _shape(specs: Sequence[Spec | None]) -> Shape:
    assert specs[0] is not None
    return specs[0].static


def max_pool(specs: Sequence[Spec | None], attrs: Attributes) -> Callable[..., Array]:
    """See the op."""
    shape, layout = _shape(specs), attrs["layout"]
    out = _pooled(shape, attrs)
    src, dst = _described(shape, layout), _described(out, layout)
    made = pooling.forward("max", src, dst, training=False, **_windows(attrs))
    chain = Chain([Stage(made, {"src": "x", "dst": "y"})], [Given("x", src)], [Result("y", dst, out)])
    return lambda x: chain.only(x) if x.min() > -math.inf else fallback.max_pool(x, **attrs)


def max_pool_grad(specs: Sequence[Spec | None], attrs: Attributes) -> Callable[..., Array]:
    """See the op; where the maxima were is found once more, for the op keeps no record of it."""
    shape, layout = _shape(specs), attrs["layout"]
    src, dst = _described(shape, layout), _described(_pooled(shape, attrs), layout)
    ahead = pooling.forward("max", src, dst, **_windows(attrs))
    back = pooling.backward("max", src, dst, forward=ahead, **_windows(attrs))
    chain = Chain(
        [
            Stage(ahead, {"src": "x", "workspace": "places"}),
            Stage(back, {"diff_dst": "dy", "diff_src": "dx", "workspace": "places"}),
        ],
        [Given("x", src), Given("dy", dst)],
        [Result("dx", src, shape)],
    )
    return lambda x, dy: chain.only(x, dy) if x.min() > -math.inf else fallback.max_pool_grad(x, dy, **attrs)


def _kind(attrs: Attributes) -> str:
    return "average_with_padding" if attrs["count_padding"] else "average"


def avg_pool(specs: Sequence[Spec | None], attrs: Attributes) -> Callable[..., Array]:
    """See the op."""
    shape, layout = _shape(specs), attrs["layout"]
    out = _pooled(shape, attrs)
    src, dst = _described(shape, layout), _described(out, layout)
    made = pooling.forward(_kind(attrs), src, dst, training=False, **_windows(attrs))
    return Chain([Stage(made, {"src": "x", "dst": "y"})], [Given("x", src)], [Result("y", dst, out)]).only


def avg_pool_grad(specs: Sequence[Spec | None], attrs: Attributes) -> Callable[..., Array]:
    """See the op."""
    result, layout = _shape(specs), attrs["layout"]
    shape = list(result)
    for axis, extent in zip((a for a in range(1, len(shape)) if a != channel_axis(layout)), attrs["size"], strict=True):
        shape[axis] = extent
    src, dst = _described(tuple(shape), layout), _described(result, layout)
    ahead = pooling.forward(_kind(attrs), src, dst, **_windows(attrs))
    back = pooling.backward(_kind(attrs), src, dst, forward=ahead, **_windows(attrs))
    stage = Stage(back, {"diff_dst": "dy", "diff_src": "dx"})
    return Chain([stage], [Given("dy", dst)], [Result("dx", src, tuple(shape))]).only


KERNELS: dict[str, Kernel | Sequence[Kernel]] = {
    prepare.__name__: kernel(when, prepare) for prepare in (max_pool, max_pool_grad, avg_pool, avg_pool_grad)
}
