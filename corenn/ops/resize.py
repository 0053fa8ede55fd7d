"""Resizing images (and sequences, and volumes) by interpolation along each spatial axis.

Pixels are areas: the centre of pixel ``i`` is at ``i + 1/2``, so result ``i`` lies at ``(i + 1/2) * n / m`` of the
operand, as in TensorFlow 2 and PyTorch; ``align_corners`` makes the centres of the corner pixels coincide instead.
Interpolation is linear in the operand, and its gradient is multiplication by the transposed interpolation matrix of
each axis.

A result is the sum of the pixels around its place, weighted by a kernel of their distance: a triangle ("bilinear"),
Keys' cubic with a = -1/2 ("bicubic") or a sinc under a sinc ("lanczos3"); the weights of the pixels that there are add
up to 1.  ``antialias`` widens the kernel by ``n / m`` where an axis shrinks, so that every pixel counts.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from corenn.dtypes import FLOATING, REAL, bfloat16, float16, float32
from corenn.errors import AttributeValueError, DTypeError, ShapeError, nearest
from corenn.ops.arranging import repeat
from corenn.ops.contraction import matmul
from corenn.ops.creation import tensor
from corenn.ops.elementwise import add, cast, multiply, subtract
from corenn.ops.gathering import gather
from corenn.ops.sampling import error, integer, real, sample
from corenn.ops.shaping import broadcast_to, operand, reshape
from corenn.ops.table import Call, TensorLike, op
from corenn.ops.windows import Ints, set_ints, set_layout, sizes_for, spatial, spatial_axes
from corenn.spec import Shape, Spec
from corenn.tensor import Tensor

_METHODS = ("nearest", "bilinear", "bicubic", "lanczos3", "area")


_SINGLE = "HWC"  # the layout of an image without a batch


def _set_attributes(call: Call, ndim: int, name: str) -> tuple[str, tuple[int, ...]]:
    given, wanted = call.attrs["layout"], call.attrs["size"]
    if ndim == 3 and (given == _SINGLE or (given is None and isinstance(wanted, tuple) and len(wanted) == 2)):
        layout = call.attrs["layout"] = _SINGLE
    else:
        layout = set_layout(call, ndim, name)
    size = set_ints(call, "size", len(spatial_axes(layout)))
    method, align = call.attrs["method"], call.attrs["align_corners"]
    if method not in _METHODS:
        raise call.attribute_error("there is no such method", nearest(str(method), _METHODS), method="")
    if not isinstance(align, bool) or (align and method != "bilinear"):
        raise call.attribute_error(
            "align_corners is True or False, and only for bilinear", "leave it out", align_corners="", method=""
        )
    antialias = call.attrs["antialias"]
    if not isinstance(antialias, bool) or (antialias and (align or method not in _KERNELS)):
        hint = "'area' always takes every pixel, 'nearest' never" if method in ("area", "nearest") else "leave it out"
        what = f"antialias is True or False, and only for {', '.join(_KERNELS)} without align_corners"
        raise call.attribute_error(what, hint, antialias="", method="")
    return layout, size


def _check_pixels(call: Call, extents: Shape, name: str) -> None:
    if 0 in extents:
        raise call.shape_error("there is nothing to resize: a spatial axis is empty", **{name: ""})


def _resize(call: Call, x: Spec) -> Spec:
    layout, size = _set_attributes(call, x.ndim, "x")
    _check_pixels(call, spatial(x.shape, layout), "x")
    if call.attrs["method"] != "nearest" and x.dtype not in FLOATING:
        raise call.dtype_error(
            f"{call.attrs['method']} interpolation needs floating elements, not {x.dtype}", "corenn.cast(x, ...)", x=""
        )
    return Spec(_resized(x.shape, size, layout), x.dtype)


def _resized(shape: Shape, size: tuple[int, ...], layout: str) -> Shape:
    new = dict(zip(spatial_axes(layout), size, strict=True))
    return tuple(new.get(axis, n) for axis, n in enumerate(shape))


def _resize_grad(call: Call, dy: Spec) -> Spec:
    layout, size = _set_attributes(call, dy.ndim, "dy")
    _check_pixels(call, spatial(dy.shape, layout), "dy")
    return Spec(_resized(dy.shape, size, layout), dy.dtype)


@op(infer=_resize, dtypes=REAL, namespace="image")
def resize(
    x: TensorLike, /, *, size: Ints, method: str = "nearest", align_corners: bool = False, antialias: bool = False,
    layout: str | None = None,
) -> Tensor:  # fmt: skip
    """``x`` resampled to the spatial extents ``size``: 1, 2 or 3 spatial axes.

    ``x``: ``[batch, *spatial, channels]``, or as ``layout`` says (see ``nn.conv``), or where ``size`` has two numbers
    one image ``[height, width, channels]``; real for "nearest", floating for
    the others; the dtype stays.  ``size``: an int, or one for each spatial axis.  ``method``: "nearest" takes pixel
    ``floor((i + 1/2) * n / m)``, reckoned in float32 as TensorFlow 2 does; "bilinear" is linear along each axis
    between the two pixels around ``(i + 1/2) * n / m - 1/2`` (with ``align_corners``: ``i * (n - 1) / (m - 1)``), the
    outermost pixels continued; "bicubic" and "lanczos3" weigh four and six pixels, and may leave the range of the
    operand; "area" is the mean of what a result covers.  Nothing is smoothed when shrinking, but with ``antialias``.

    Raises ShapeError for an operand without pixels, AttributeValueError for an unknown method or layout, DTypeError
    for integers with another method than "nearest".  Source: ``tf.image.resize``, half-pixel centres; PyTorch
    ``interpolate``; R. Keys, Cubic convolution interpolation, 1981.
    """


@op(infer=_resize_grad, dtypes=FLOATING, namespace="_")
def resize_grad(
    dy: TensorLike, /, *, size: Ints, method: str = "nearest", align_corners: bool = False, antialias: bool = False,
    layout: str | None = None,
) -> Tensor:  # fmt: skip
    """The gradient of ``resize`` with respect to its operand, of spatial extents ``size``."""


# ---------------------------------------------------------------- interpolation along one axis


@functools.lru_cache(256)
def positions(extent: int, results: int, method: str, align_corners: bool) -> tuple[Any, Any, Any]:
    """For each result along an axis: the pixels below and above (int32), and how far on from the first it is."""
    i = np.arange(results)
    if method == "nearest":
        scale = np.float32(extent) / np.float32(results)
        below = np.minimum(np.floor((i.astype(np.float32) + np.float32(0.5)) * scale), extent - 1).astype(np.int32)
        return below, below, np.zeros(results)
    if align_corners:
        place = i * ((extent - 1) / max(1, results - 1))
    else:
        place = np.clip((i + 0.5) * (extent / results) - 0.5, 0, extent - 1)
    below = np.minimum(np.floor(place), extent - 1).astype(np.int32)
    return below, np.minimum(below + 1, extent - 1).astype(np.int32), place - below


def _cubic(d: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.where(d < 1, (1.5 * d - 2.5) * d * d + 1, np.where(d < 2, ((2.5 - 0.5 * d) * d - 4) * d + 2, 0))


def _lanczos(d: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.where(d < 3, np.sinc(d) * np.sinc(d / 3), 0)


#: The weight of a pixel by its distance.
_KERNELS = {"bilinear": lambda d: np.maximum(0, 1 - d), "bicubic": _cubic, "lanczos3": _lanczos}


def simple(extent: int, results: int, method: str, antialias: bool) -> bool:
    """Whether each result along an axis lies between two pixels at most, so that ``positions`` says it all."""
    return method == "nearest" or (method == "bilinear" and (not antialias or results >= extent))


@functools.lru_cache(64)
def matrix(
    extent: int, results: int, method: str, align_corners: bool, antialias: bool = False
) -> np.ndarray[Any, Any]:
    """The interpolation of an axis as a matrix [results, extent], to be read only."""
    weights = _weights(extent, results, method, align_corners, antialias)
    weights.flags.writeable = False
    return weights


def _weights(extent: int, results: int, method: str, align_corners: bool, antialias: bool) -> np.ndarray[Any, Any]:
    if not simple(extent, results, method, antialias):
        pixels, scale = np.arange(extent), extent / results
        if method == "area":
            edges = np.arange(results + 1)[:, None] * scale
            covered = np.minimum(edges[1:], pixels + 1) - np.maximum(edges[:-1], pixels)
            weights = np.maximum(covered, 0)
        else:
            places = (np.arange(results)[:, None] + 0.5) * scale - 0.5
            weights = _KERNELS[method](np.abs(places - pixels) / (max(scale, 1) if antialias else 1))
        return np.asarray(weights / weights.sum(axis=1, keepdims=True))
    below, above, part = positions(extent, results, method, align_corners)
    weights = np.zeros((results, extent))
    np.add.at(weights, (np.arange(results), below), 1 - part)
    np.add.at(weights, (np.arange(results), above), part)
    return weights


def product_along(x: Tensor, axis: int, weights: np.ndarray[Any, Any]) -> Tensor:
    """``x`` with its ``axis`` multiplied by a matrix [results, extent]."""
    shape = x.shape
    before, after = math.prod(shape[:axis]), math.prod(shape[axis + 1 :])
    left = tensor(weights, x.dtype, device=x.spec.device)
    if after == 1:
        result = matmul(reshape(x, shape=(before, shape[axis])), left, transpose_b=True)
    else:
        result = matmul(left, reshape(x, shape=(before, shape[axis], after)))
    return reshape(result, shape=(*shape[:axis], weights.shape[0], *shape[axis + 1 :]))


@resize.decompose
def _(x: Tensor, *, size: tuple[int, ...], method: str, align_corners: bool, antialias: bool, layout: str) -> Tensor:
    dtype, where = x.dtype, x.spec.device
    x = cast(x, dtype=float32) if dtype in (float16, bfloat16) and method != "nearest" else x
    for axis, n in zip(spatial_axes(layout), size, strict=True):
        if n == x.shape[axis]:
            continue
        if not simple(x.shape[axis], n, method, antialias):
            x = product_along(x, axis, matrix(x.shape[axis], n, method, align_corners, antialias))
            continue
        below, above, part = positions(x.shape[axis], n, method, align_corners)
        low = gather(x, tensor(below, device=where), axis=axis)
        if method == "bilinear":
            high = gather(x, tensor(above, device=where), axis=axis)
            along = [n if a == axis else 1 for a in range(x.ndim)]
            low = add(low, multiply(subtract(high, low), tensor(part.reshape(along), x.dtype, device=where)))
        x = low
    return cast(x, dtype=dtype)


@resize_grad.decompose
def _(dy: Tensor, *, size: tuple[int, ...], method: str, align_corners: bool, antialias: bool, layout: str) -> Tensor:
    dtype = dy.dtype
    dx = cast(dy, dtype=float32) if dtype in (float16, bfloat16) else dy
    for axis, n in zip(spatial_axes(layout), size, strict=True):
        if n != dx.shape[axis]:
            dx = product_along(dx, axis, matrix(n, dx.shape[axis], method, align_corners, antialias).T)
    return cast(dx, dtype=dtype)


@resize.vjp
def _(g: Tensor, x_spec: Spec, method: str, align_corners: bool, antialias: bool, layout: str) -> Tensor:
    size: Any = spatial(x_spec.shape, layout)
    return resize_grad(g, size=size, method=method, align_corners=align_corners, antialias=antialias, layout=layout)


@resize_grad.vjp
def _(g: Tensor, dy_spec: Spec, method: str, align_corners: bool, antialias: bool, layout: str) -> Tensor:
    size: Any = spatial(dy_spec.shape, layout)
    return resize(g, size=size, method=method, align_corners=align_corners, antialias=antialias, layout=layout)


# ---------------------------------------------------------------- samples and references


def _shape_of(method: str, d: float) -> float:
    """Kernels as their papers write them."""
    if method == "bilinear":
        return 1 - d if d < 1 else 0
    if method == "lanczos3":
        return 1 if d == 0 else 3 * math.sin(math.pi * d) * math.sin(math.pi * d / 3) / (math.pi * d) ** 2 * (d < 3)
    a = -0.5
    near, far = (a + 2) * d**3 - (a + 3) * d**2 + 1, a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a
    return near if d <= 1 else far if d < 2 else 0


def _naive(n: int, m: int, method: str, align_corners: bool, antialias: bool) -> np.ndarray[Any, Any]:
    """One result at a time: the weights of all pixels."""
    weights = np.zeros((m, n))
    for i in range(m):
        if method == "area":
            for pixel in range(n):
                weights[i, pixel] = max(0, min((i + 1) * n / m, pixel + 1) - max(i * n / m, pixel)) * m / n
            continue
        if method in ("bicubic", "lanczos3") or antialias:
            wide = max(1, n / m) if antialias else 1
            row = [_shape_of(method, abs((i + 0.5) * n / m - 0.5 - pixel) / wide) for pixel in range(n)]
            weights[i] = np.array(row) / sum(row)
            continue
        if method == "nearest":
            weights[i, min(n - 1, int((np.float32(i) + np.float32(0.5)) * (np.float32(n) / np.float32(m))))] = 1
            continue
        place = (i * (n - 1) / (m - 1) if m > 1 else 0.0) if align_corners else (i + 0.5) * n / m - 0.5
        for pixel in range(n):  # the outermost pixels continue outwards
            weights[i, pixel] = max(0.0, 1 - abs(min(max(place, 0), n - 1) - pixel))
    return weights


def _reference(
    x: Any, back: bool, *, size: Any, method: str, align_corners: bool, antialias: bool, layout: str | None
) -> Any:
    how = method, align_corners, antialias
    axes = range(1, x.ndim - 1) if layout is None or layout[-1] == "C" else range(2, x.ndim)
    axes = range(2) if x.ndim == 3 and not isinstance(size, int) and len(size) == 2 else axes
    sizes = (size,) * len(axes) if isinstance(size, int) else size
    for axis, n in zip(axes, sizes, strict=True):
        m = x.shape[axis]
        weights = _naive(n, m, *how).T if back else _naive(m, n, *how)
        x = np.moveaxis(np.tensordot(weights, x, axes=(1, axis)), 0, axis)
    return x


resize.samples(
    sample(real(shape=(2, 3, 2)), size=5),
    sample(real(shape=(1, 4, 3, 2)), size=(2, 7)),
    sample(integer(shape=(1, 4, 3, 2)), size=(3, 5), grad=False),
    sample(real(shape=(2, 3, 2)), size=5, method="bilinear", kinds="f"),
    sample(real(shape=(1, 4, 5, 2)), size=(7, 3), method="bilinear", kinds="f"),
    sample(real(shape=(1, 2, 4, 3)), size=(6, 1), method="bilinear", kinds="f", align_corners=True, layout="NCHW"),
    sample(real(shape=(1, 2, 3, 2, 1)), size=(3, 3, 4), method="bilinear", kinds="f"),
    sample(real(shape=(0, 2, 3, 1)), size=4, method="bilinear", kinds="f", name="empty"),
    sample(real(shape=(1, 7, 3, 2)), size=(3, 5), method="bilinear", kinds="f", antialias=True),
    sample(real(shape=(1, 4, 7, 2)), size=(9, 3), method="bicubic", kinds="f"),
    sample(real(shape=(1, 2, 7, 2)), size=(3, 4), method="bicubic", kinds="f", antialias=True, layout="NCHW"),
    sample(real(shape=(1, 4, 9, 2)), size=(7, 4), method="lanczos3", kinds="f", antialias=True),
    sample(real(shape=(1, 5, 4, 2)), size=(3, 6), method="area", kinds="f"),
    sample(real(shape=(3, 5, 2)), size=(4, 2), method="bilinear", kinds="f"),
    sample(real(shape=(3, 5, 2)), size=(3, 7), method="bicubic", kinds="f"),
    sample(integer(shape=(3, 4, 1)), size=(5, 2), grad=False),
)
resize.error_samples(
    error(ShapeError, "nothing to resize", real(shape=(1, 0, 3, 2)), size=4),
    error(ShapeError, "1 to 3 spatial axes", real(shape=(3, 2)), size=4),
    error(AttributeValueError, "did you mean 'bilinear'", real(shape=(1, 3, 3, 2)), size=4, method="linear"),
    error(AttributeValueError, "antialias is", real(shape=(1, 3, 3, 2)), size=4, antialias=True),
    error(AttributeValueError, "size must be", real(shape=(1, 3, 3, 2)), size=0),
    error(AttributeValueError, "only for bilinear", real(shape=(1, 3, 3, 2)), size=4, align_corners=True),
    error(DTypeError, "bilinear interpolation needs floating", integer(shape=(1, 3, 3, 2)), size=4, method="bilinear"),
)
resize.reference(functools.partial(_reference, back=False))
resize_grad.samples(
    sample(real(shape=(2, 5, 2)), size=3),
    sample(real(shape=(1, 2, 7, 2)), size=(4, 3), method="bilinear"),
    sample(real(shape=(1, 2, 6, 4)), size=(4, 3), method="bilinear", align_corners=True, layout="NCHW"),
    sample(real(shape=(1, 4, 6, 2)), size=(7, 3), method="bicubic", antialias=True),
)
resize_grad.error_samples(error(ShapeError, "nothing to resize", real(shape=(1, 0, 3, 2)), size=4))
resize_grad.reference(functools.partial(_reference, back=True))


# ---------------------------------------------------------------- whole multiples


def upsample(x: TensorLike, /, *, factor: Ints, layout: str | None = None) -> Tensor:
    """Each pixel repeated ``factor`` times along each spatial axis: "nearest" for whole multiples, of any dtype.

    ``x``: ``[batch, *spatial, channels]`` or as ``layout`` says.  ``factor``: a positive int, or one for each spatial
    axis.  The gradient adds the repeated pixels up.  AttributeValueError for another factor or layout.
    """
    given = operand(x)
    axes, factors = sizes_for("upsample", resize.op, given.spec, layout, factor, "factor")
    if None in given.spec.shape:
        for axis, count in zip(axes, factors, strict=True):
            given = repeat(given, repeats=count, axis=axis)
        return given
    repeated: list[int] = []
    for axis, n in enumerate(given.shape):
        repeated += [n, factors[axes.index(axis)]] if axis in axes else [n]
    apart = [n for axis, n in enumerate(given.shape) for n in ((n, 1) if axis in axes else (n,))]
    shape = [n * factors[axes.index(axis)] if axis in axes else n for axis, n in enumerate(given.shape)]
    return reshape(broadcast_to(reshape(given, shape=tuple(apart)), shape=tuple(repeated)), shape=tuple(shape))
