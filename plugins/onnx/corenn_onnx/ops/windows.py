"""Convolution and pooling: anything that slides a window over spatial axes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import corenn
from corenn import dtypes, nn
from corenn.tensor import Tensor
from corenn_onnx.ops._common import extents
from corenn_onnx.table import onnx_op

Host = np.ndarray[Any, Any]
Pairs = list[tuple[int, int]]
FIRST = {1: "NCW", 2: "NCHW", 3: "NCDHW"}


def layout_of(rank: int, node: Any) -> str:
    """The layout with channels first for a number of spatial axes."""
    try:
        return FIRST[rank]
    except KeyError:
        raise node.unsupported(f"windows over {rank} spatial axes; 1 to 3 are supported") from None


def paddings(
    sizes: Sequence[int], kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int], pads: Any, auto: str,
    ceil: bool = False,
) -> Pairs:  # fmt: skip
    """Padding before and after each spatial axis; with ``ceil`` as much more at the end as a last window needs."""
    found: Pairs = []
    for i, (n, k, s, d) in enumerate(zip(sizes, kernel, strides, dilations, strict=True)):
        span = (k - 1) * d + 1
        if auto in ("SAME_UPPER", "SAME_LOWER"):
            total = max(0, (-(-n // s) - 1) * s + span - n)
            less, more = total // 2, total - total // 2
            found.append((less, more) if auto == "SAME_UPPER" else (more, less))
            continue
        before, after = (0, 0) if auto == "VALID" or not pads else (pads[i], pads[len(sizes) + i])
        if ceil:
            count = -(-(n + before + after - span) // s) + 1
            if (count - 1) * s >= n + before:  # a window may not begin in the padding at the end
                count -= 1
            after = max(after, (count - 1) * s + span - n - before)
        found.append((before, after))
    return found


def ones(value: Any, rank: int) -> tuple[int, ...]:
    """An attribute with one int for each spatial axis, 1 by default."""
    return tuple(value) if value else (1,) * rank


def convolution(
    x: Tensor, w: Any, *, node: Any, auto_pad: str, dilations: Any, group: int, pads: Any, strides: Any
) -> Tensor:
    """Convolution with channels first and weights [out, in / groups, *kernel]."""
    rank = len(x.shape) - 2
    layout = layout_of(rank, node)
    steps, spread = ones(strides, rank), ones(dilations, rank)
    weights = node.reordered(w, (*range(2, rank + 2), 1, 0))
    kernel = tuple(weights.shape[:rank])
    padding = paddings(_known(x.shape[2:], auto_pad, node), kernel, steps, spread, pads, auto_pad)
    return nn.conv(x, weights, strides=steps, padding=tuple(padding), dilation=spread, groups=group, layout=layout)


def _known(sizes: Sequence[Any], auto: str, node: Any) -> Sequence[int]:
    if auto.startswith("SAME") and None in sizes:
        raise node.unsupported("auto_pad needs spatial extents that are known")
    return sizes


def _channels(b: Tensor, rank: int) -> Tensor:
    return corenn.reshape(b, shape=(1, b.shape[0], *[1] * rank))


@onnx_op("Conv", raw=("w",))
def conv(
    x: Tensor, w: Any, b: Tensor | None = None, *, node: Any, auto_pad: str = "NOTSET", dilations: Any = None,
    group: int = 1, kernel_shape: Any = None, pads: Any = None, strides: Any = None,
) -> Tensor:  # fmt: skip
    """Convolution over 1 to 3 spatial axes."""
    y = convolution(x, w, node=node, auto_pad=auto_pad, dilations=dilations, group=group, pads=pads, strides=strides)
    return y if b is None else corenn.add(y, _channels(b, len(x.shape) - 2))


@onnx_op("ConvTranspose")
def conv_transpose(
    x: Tensor, w: Tensor, b: Tensor | None = None, *, node: Any, auto_pad: str = "NOTSET", dilations: Any = None,
    group: int = 1, kernel_shape: Any = None, output_padding: Any = None, output_shape: Any = None, pads: Any = None,
    strides: Any = None,
) -> Tensor:  # fmt: skip
    """Transposed convolution; weights [in, out / groups, *kernel]."""
    rank = len(x.shape) - 2
    layout = layout_of(rank, node)
    steps, spread = ones(strides, rank), ones(dilations, rank)
    spans = [(k - 1) * d + 1 for k, d in zip(w.shape[2:], spread, strict=True)]
    extra = tuple(output_padding or (0,) * rank)
    sizes = extents(x, node)[2:]
    weights = corenn.transpose(w, axes=(*range(2, rank + 2), 1, 0))
    y = nn.conv_transpose(
        x, weights, strides=steps, padding=((0, 0),) * rank, dilation=spread, groups=group, layout=layout
    )
    whole = [(n - 1) * s + span for n, s, span in zip(sizes, steps, spans, strict=True)]
    cut: list[tuple[int, int]] = []
    for i in range(rank):
        if output_shape is None and not auto_pad.startswith("SAME"):
            before, after = (pads[i], pads[rank + i]) if pads else (0, 0)
            cut.append((before, after - extra[i]))
            continue
        wanted = output_shape[-rank:][i] if output_shape is not None else sizes[i] * steps[i]
        total = whole[i] + extra[i] - wanted
        less, more = total // 2, total - total // 2
        before, after = (less, more) if auto_pad != "SAME_LOWER" else (more, less)
        if total < 0:
            before, after = 0, total
        cut.append((before, after - extra[i]))
    widths = [(0, 0), (0, 0), *[(0, max(0, -after)) for _, after in cut]]
    if any(after for _, after in widths):
        y = corenn.pad(y, widths=tuple(widths))
    key = [slice(before, n - max(0, after) + max(0, -after)) for (before, after), n in zip(cut, whole, strict=True)]
    y = y[(slice(None), slice(None), *key)]
    return y if b is None else corenn.add(y, _channels(b, rank))


@onnx_op("DeformConv")
def deform_conv(
    x: Tensor, w: Tensor, offset: Tensor, b: Tensor | None = None, mask: Tensor | None = None, *, node: Any,
    dilations: Any = None, group: int = 1, kernel_shape: Any = None, offset_group: int = 1, pads: Any = None,
    strides: Any = None,
) -> Tensor:  # fmt: skip
    """Convolution of images whose kernel reads at places moved by ``offset`` (Dai et al. 2017), weighed by ``mask``."""
    n, c, height, width = extents(x, node)
    kh, kw = w.shape[2:]
    (sh, sw), (dh, dw) = ones(strides, 2), ones(dilations, 2)
    top, left = (pads[0], pads[1]) if pads else (0, 0)
    oh, ow = offset.shape[2:]
    moved = corenn.reshape(offset, shape=(n, offset_group, kh * kw, 2, oh, ow))
    rows = np.arange(oh)[None, :, None] * sh - top + np.repeat(np.arange(kh) * dh, kw)[:, None, None]
    columns = np.arange(ow)[None, None, :] * sw - left + np.tile(np.arange(kw) * dw, kh)[:, None, None]
    y = moved[:, :, :, 0] + np.broadcast_to(rows, (kh * kw, oh, ow)).astype(x.dtype.numpy)
    at = moved[:, :, :, 1] + np.broadcast_to(columns, (kh * kw, oh, ow)).astype(x.dtype.numpy)
    images = corenn.reshape(x, shape=(n * offset_group, c // offset_group, height, width))
    places = (n * offset_group, kh * kw * oh * ow)
    taken = bilinear(images, corenn.reshape(y, shape=places), corenn.reshape(at, shape=places))
    taken = corenn.reshape(taken, shape=(n, offset_group, c // offset_group, kh * kw, oh, ow))
    if mask is not None:
        taken = taken * corenn.reshape(mask, shape=(n, offset_group, 1, kh * kw, oh, ow))
    out = w.shape[0]
    taken = corenn.reshape(taken, shape=(n, group, c // group * kh * kw, oh * ow))
    weights = corenn.reshape(w, shape=(group, out // group, c // group * kh * kw))
    result = corenn.reshape(corenn.matmul(weights, taken), shape=(n, out, oh, ow))
    return result if b is None else corenn.add(result, _channels(b, 2))


def bilinear(x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Images [n, c, h, w] at places [n, p], interpolated between pixels, zero outside: [n, c, p]."""
    n, c, height, width = x.shape
    flat = corenn.reshape(x, shape=(n, c, height * width))
    top, left = corenn.floor(rows), corenn.floor(columns)
    down, right = rows - top, columns - left
    result: Any = None
    for dy in (0, 1):
        for dx in (0, 1):
            y, at = top + dy, left + dx
            inside = corenn.logical_and(
                corenn.logical_and(corenn.greater_equal(y, 0), corenn.less(y, height)),
                corenn.logical_and(corenn.greater_equal(at, 0), corenn.less(at, width)),
            )
            weight = (down if dy else 1 - down) * (right if dx else 1 - right) * inside.cast(x.dtype)
            place = corenn.clip(y, min=0, max=height - 1) * width + corenn.clip(at, min=0, max=width - 1)
            place = corenn.expand_dims(place.cast(dtypes.int64), axis=1)
            part = corenn.take_along_axis(flat, corenn.broadcast_to(place, shape=(n, c, place.shape[-1])), axis=-1)
            part = part * corenn.expand_dims(weight, axis=1)
            result = part if result is None else result + part
    assert result is not None  # there were four corners
    return result  # type: ignore[no-any-return]


@onnx_op("Col2Im", host=("image_shape", "block_shape"))
def col2im(
    x: Tensor, image_shape: Host, block_shape: Host, *, dilations: Any = None, pads: Any = None, strides: Any = None
) -> Tensor:
    """Blocks added up where they lie in an image: the reverse of taking windows."""
    size, block = [int(n) for n in image_shape], [int(n) for n in block_shape]
    rank = len(size)
    steps, spread = ones(strides, rank), ones(dilations, rank)
    padding = [(pads[i], pads[rank + i]) for i in range(rank)] if pads else [(0, 0)] * rank
    padded = [n + a + b for n, (a, b) in zip(size, padding, strict=True)]
    counts = [(n - (k - 1) * d - 1) // s + 1 for n, k, d, s in zip(padded, block, spread, steps, strict=True)]
    places = np.zeros((1, 1), np.int64)
    taken, moved = np.indices(block).reshape(rank, -1, 1), np.indices(counts).reshape(rank, 1, -1)
    for i in range(rank):
        places = places * padded[i] + taken[i] * spread[i] + moved[i] * steps[i]
    n, channels = x.shape[0], x.shape[1] // math.prod(block)
    values = corenn.reshape(x, shape=(n * channels, places.size))
    flat = corenn.zeros((n * channels, math.prod(padded)), dtype=x.dtype)
    summed = corenn.scatter_add(flat, corenn.asarray(places.ravel()), values, axis=1)
    image = corenn.reshape(summed, shape=(n, channels, *padded))
    key = tuple(slice(a, a + extent) for extent, (a, _) in zip(size, padding, strict=True))
    return image[(slice(None), slice(None), *key)]


# ---------------------------------------------------------------- pooling


def windowed(
    x: Tensor, kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int]
) -> tuple[Tensor, tuple[int, ...]]:
    """Every window of a padded operand, [n, c, *results, elements of a window]; and the extents of the results."""
    rank = len(kernel)
    counts = []
    for i in range(rank):
        axis = 2 + 2 * i
        span = (kernel[i] - 1) * dilations[i] + 1
        count = (x.shape[axis] - span) // strides[i] + 1
        places = np.arange(count)[:, None] * strides[i] + np.arange(kernel[i]) * dilations[i]
        x = corenn.gather(x, places, axis=axis)
        counts.append(count)
    order = (0, 1, *range(2, 2 + 2 * rank, 2), *range(3, 3 + 2 * rank, 2))
    laid = corenn.transpose(x, axes=order)
    return corenn.reshape(laid, shape=(*x.shape[:2], *counts, math.prod(kernel))), tuple(counts)


def _padded(x: Tensor, padding: Pairs, value: float) -> Tensor:
    if not any(a or b for a, b in padding):
        return x
    return corenn.pad(x, widths=((0, 0), (0, 0), *padding), value=value)


@onnx_op("MaxPool")
def max_pool(
    x: Tensor, *, node: Any, kernel_shape: Any, auto_pad: str = "NOTSET", ceil_mode: int = 0, dilations: Any = None,
    pads: Any = None, storage_order: int = 0, strides: Any = None,
) -> Any:  # fmt: skip
    """The largest element of each window; with a second output, its place in the whole operand."""
    rank = len(kernel_shape)
    steps, spread = ones(strides, rank), ones(dilations, rank)
    padding = paddings(extents(x, node)[2:], kernel_shape, steps, spread, pads, auto_pad, bool(ceil_mode))
    fits = all(max(pair) < k for pair, k in zip(padding, kernel_shape, strict=True))
    if x.dtype.is_floating and spread == (1,) * rank and rank in FIRST and not node.wanted(1) and fits:
        return nn.max_pool(x, window=tuple(kernel_shape), strides=steps, padding=tuple(padding), layout=FIRST[rank])
    lowest = -math.inf if x.dtype.is_floating else int(np.iinfo(x.dtype.numpy).min)
    parts, _ = windowed(_padded(x, padding, lowest), kernel_shape, steps, spread)
    found = corenn.max(parts, axis=-1)
    if not node.wanted(1):
        return found
    n, c, *size = x.shape
    where = np.arange(n * c * math.prod(size)).reshape(n, c, *size)
    if storage_order:  # places counted with the first spatial axis the fastest
        inner = np.arange(math.prod(size)).reshape(size[::-1]).transpose()
        where = np.arange(n * c).reshape(n, c, *[1] * rank) * math.prod(size) + inner
    positions, _ = windowed(_padded(corenn.asarray(where), padding, -1), kernel_shape, steps, spread)
    best = corenn.expand_dims(corenn.argmax(parts, axis=-1), axis=-1)
    return found, corenn.squeeze(corenn.take_along_axis(positions, best, axis=-1), axis=-1)


@onnx_op("AveragePool")
def average_pool(
    x: Tensor, *, node: Any, kernel_shape: Any, auto_pad: str = "NOTSET", ceil_mode: int = 0,
    count_include_pad: int = 0, dilations: Any = None, pads: Any = None, strides: Any = None,
) -> Tensor:  # fmt: skip
    """The mean of each window, of the operand's elements or with ``count_include_pad`` of the padding's too."""
    rank = len(kernel_shape)
    steps, spread = ones(strides, rank), ones(dilations, rank)
    sizes = extents(x, node)[2:]
    stated = paddings(sizes, kernel_shape, steps, spread, pads, auto_pad)
    padding = paddings(sizes, kernel_shape, steps, spread, pads, auto_pad, bool(ceil_mode))
    fits = all(max(pair) < k for pair, k in zip(padding, kernel_shape, strict=True))
    if spread == (1,) * rank and rank in FIRST and fits and padding == stated:
        return nn.avg_pool(
            x, window=tuple(kernel_shape), strides=steps, padding=tuple(padding), layout=FIRST[rank],
            count_padding=bool(count_include_pad),
        )  # fmt: skip
    parts, counts = windowed(_padded(x, padding, 0), kernel_shape, steps, spread)
    real = np.ones((), np.float64)
    for i in range(rank):  # how many elements of each window count, axis by axis
        axis = np.zeros(sizes[i] + sum(padding[i]))
        first, last = padding[i][0], padding[i][0] + sizes[i]
        if count_include_pad:
            first, last = 0, last + stated[i][1]
        axis[first:last] = 1
        places = np.arange(counts[i])[:, None] * steps[i] + np.arange(kernel_shape[i]) * spread[i]
        real = real[..., None] * axis[places].sum(1)
    return corenn.divide(corenn.sum(parts, axis=-1), real.astype(x.dtype.numpy))


@onnx_op("LpPool")
def lp_pool(
    x: Tensor, *, node: Any, kernel_shape: Any, auto_pad: str = "NOTSET", ceil_mode: int = 0, dilations: Any = None,
    p: float = 2, pads: Any = None, strides: Any = None,
) -> Tensor:  # fmt: skip
    """The p-norm of each window."""
    rank = len(kernel_shape)
    steps, spread = ones(strides, rank), ones(dilations, rank)
    padding = paddings(extents(x, node)[2:], kernel_shape, steps, spread, pads, auto_pad, bool(ceil_mode))
    parts, _ = windowed(_padded(x, padding, 0), kernel_shape, steps, spread)
    return corenn.power(corenn.sum(corenn.power(corenn.abs(parts), float(p)), axis=-1), 1 / p)


def _over_space(name: str, compute: Callable[..., Tensor]) -> None:
    @onnx_op(name)
    def run(x: Tensor) -> Tensor:
        return compute(x, axis=tuple(range(2, len(x.shape))), keepdims=True)


_over_space("GlobalAveragePool", corenn.mean)
_over_space("GlobalMaxPool", corenn.max)


@onnx_op("GlobalLpPool", since=2)
def global_lp_pool(x: Tensor, *, p: int = 2) -> Tensor:
    """The p-norm over all spatial axes."""
    axes = tuple(range(2, len(x.shape)))
    return corenn.power(corenn.sum(corenn.power(corenn.abs(x), float(p)), axis=axes, keepdims=True), 1 / p)


@onnx_op("MaxUnpool", host=("output_shape",))
def max_unpool(
    x: Tensor, places: Tensor, output_shape: Host | None = None, *, kernel_shape: Any, pads: Any = None,
    strides: Any = None,
) -> Tensor:  # fmt: skip
    """Elements put back where ``MaxPool`` found them, zeros elsewhere."""
    rank = len(kernel_shape)
    steps = ones(strides, rank)
    cut = pads or (0,) * (2 * rank)
    natural = [
        (n - 1) * s - cut[i] - cut[rank + i] + k
        for i, (n, s, k) in enumerate(zip(x.shape[2:], steps, kernel_shape, strict=True))
    ]
    n, c = x.shape[:2]
    flat = corenn.zeros((n * c * math.prod(natural),), dtype=x.dtype)
    values = corenn.reshape(x, shape=(-1,))
    image = corenn.scatter_set(flat, corenn.reshape(places, shape=(-1,)), values, axis=0)
    image = corenn.reshape(image, shape=(n, c, *natural))
    if output_shape is None:
        return image
    widths = [(0, int(wanted) - have) for wanted, have in zip(output_shape[2:], natural, strict=True)]
    return corenn.pad(image, widths=((0, 0), (0, 0), *widths))
