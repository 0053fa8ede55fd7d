"""Sampling of images, regions of interest, boxes, decoding."""

from __future__ import annotations

import io
import itertools
from typing import Any

import numpy as np

import corenn
from corenn import dtypes
from corenn.errors import MissingExtraError
from corenn.tensor import Tensor
from corenn_onnx.ops._common import extents
from corenn_onnx.table import onnx_op

Host = np.ndarray[Any, Any]


def _reflected(place: Tensor, low: float, high: float) -> Tensor:
    """Places mirrored at both ends until they are inside."""
    span = high - low
    if span <= 0:
        return corenn.zeros_like(place)
    beyond = corenn.remainder(corenn.abs(place - low), 2 * span)
    return corenn.where(corenn.greater(beyond, span), 2 * span - beyond, beyond) + low


def _cubic(t: Tensor, a: float = -0.75) -> list[Tensor]:
    """The weights of the four pixels around a place that lies ``t`` beyond the second."""

    def near(d: Tensor) -> Tensor:
        return ((a + 2) * d - (a + 3)) * d * d + 1

    def far(d: Tensor) -> Tensor:
        return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a

    return [far(t + 1), near(t), near(1 - t), far(2 - t)]


@onnx_op("GridSample")
def grid_sample(
    x: Tensor, grid: Tensor, *, node: Any, align_corners: int = 0, mode: str = "linear", padding_mode: str = "zeros"
) -> Tensor:
    """``x`` [n, c, *space] at the places of a grid [n, *results, axes], whose coordinates run from -1 to 1."""
    n, c, *size = extents(x, node)
    rank, results = len(size), tuple(grid.shape[1:-1])
    count = int(np.prod(results))
    flat = corenn.reshape(x, shape=(n, c, int(np.prod(size))))
    points = corenn.reshape(grid, shape=(n, count, rank)).cast(x.dtype if x.dtype.is_floating else dtypes.float32)
    choices: list[list[tuple[Tensor, Any]]] = []  # along each axis: pixels, and their weights
    for axis in range(rank):
        extent = size[axis]
        place = points[:, :, rank - 1 - axis]  # the last coordinate is that of the first axis
        place = (place + 1) / 2 * (extent - 1) if align_corners else ((place + 1) * extent - 1) / 2
        low, high = (0.0, extent - 1.0) if align_corners else (-0.5, extent - 0.5)
        if mode == "nearest":
            pixels: list[tuple[Tensor, Any]] = [(corenn.round(place), None)]
        elif mode in ("linear", "bilinear"):
            if padding_mode == "reflection":
                place = _reflected(place, low, high)
            if padding_mode != "zeros":
                place = corenn.clip(place, min=0.0, max=extent - 1.0)
            below = corenn.floor(place)
            part = place - below
            pixels = [(below, 1 - part), (below + 1, part)]
        else:
            below = corenn.floor(place)
            pixels = [(below + (i - 1), w) for i, w in enumerate(_cubic(place - below))]
        choices.append([_inside(p, w, extent, padding_mode, low, high) for p, w in pixels])
    total: Any = None
    for corner in itertools.product(*choices):
        position: Any = None
        weight: Any = None
        for axis, (pixel, share) in enumerate(corner):
            position = pixel if position is None else position * size[axis] + pixel
            if share is not None:
                weight = share if weight is None else weight * share
        places = corenn.broadcast_to(corenn.expand_dims(position, axis=1), shape=(n, c, count))
        part = corenn.take_along_axis(flat, places, axis=-1)
        if weight is not None:
            part = part.cast(weight.dtype) * corenn.expand_dims(weight, axis=1)
        total = part if total is None else total + part
    return corenn.reshape(total, shape=(n, c, *results)).cast(x.dtype)


def _inside(pixel: Tensor, weight: Any, extent: int, padding: str, low: float, high: float) -> tuple[Tensor, Any]:
    """A pixel (int64) that is there, and its weight: 0 for one that is outside where zeros are padded."""
    if padding == "reflection":
        pixel = _reflected(pixel, low, high)
    if padding == "zeros":
        valid = corenn.logical_and(corenn.greater_equal(pixel, 0), corenn.less(pixel, extent)).cast(pixel.dtype)
        weight = valid if weight is None else weight * valid
    return corenn.clip(pixel, min=0, max=extent - 1).cast(dtypes.int64), weight


@onnx_op("RoiAlign", host=("rois", "batch"))
def roi_align(
    x: Tensor, rois: Host, batch: Host, *, node: Any, coordinate_transformation_mode: str | None = None,
    mode: str = "avg", output_height: int = 1, output_width: int = 1, sampling_ratio: int = 0,
    spatial_scale: float = 1.0,
) -> Tensor:  # fmt: skip
    """Regions pooled into bins, each from points sampled between pixels (He et al. 2017)."""
    c = extents(x, node)[1]
    newest = node.opset >= 16
    chosen = coordinate_transformation_mode or ("half_pixel" if newest else "output_half_pixel")
    half = chosen == "half_pixel"
    shift = 0.5 if half else 0.0
    found = []
    for region, image in zip(rois.astype(np.float64), batch, strict=True):
        left, top, right, bottom = region * spatial_scale - shift
        w, h = (right - left, bottom - top) if half else (max(right - left, 1.0), max(bottom - top, 1.0))
        rows = sampling_ratio or int(np.ceil(h / output_height))
        columns = sampling_ratio or int(np.ceil(w / output_width))
        ys = top + (np.arange(output_height * rows) + 0.5) * h / output_height / rows
        xs = left + (np.arange(output_width * columns) + 0.5) * w / output_width / columns
        found.append(_region(x[int(image)], ys, xs, (output_height, rows), (output_width, columns), mode))
    if not found:
        return corenn.zeros((0, c, output_height, output_width), dtype=x.dtype)
    return corenn.stack(*found, axis=0)


@onnx_op("MaxRoiPool", host=("rois",))
def max_roi_pool(x: Tensor, rois: Host, *, pooled_shape: Any, spatial_scale: float = 1.0) -> Tensor:
    """The largest pixel of each bin of regions [image, left, top, right, bottom], whose edges are rounded to pixels."""
    c, height, width = x.shape[1:]
    found = []
    for image, *edges in rois:
        left, top, right, bottom = (int(np.floor(v * spatial_scale + 0.5)) for v in edges)
        columns = _whole_bins(left, max(right - left + 1, 1), pooled_shape[1], width)
        for first, last in _whole_bins(top, max(bottom - top + 1, 1), pooled_shape[0], height):
            for start, end in columns:
                part = x[int(image), :, first:last, start:end]
                empty = first >= last or start >= end
                found.append(corenn.zeros((c,), dtype=x.dtype) if empty else corenn.max(part, axis=(1, 2)))
    stacked = corenn.reshape(corenn.stack(*found, axis=0), shape=(len(rois), *pooled_shape, c))
    return corenn.transpose(stacked, axes=(0, 3, 1, 2))


def _whole_bins(first: int, size: int, bins: int, extent: int) -> list[tuple[int, int]]:
    """Where each bin of a region begins and ends, in pixels that are there."""
    step = size / bins
    edges = [(int(np.floor(i * step)) + first, int(np.ceil((i + 1) * step)) + first) for i in range(bins)]
    return [(min(max(a, 0), extent), min(max(b, 0), extent)) for a, b in edges]


def _corners(places: Host, extent: int) -> tuple[Host, Host, Host, Host]:
    """Pixels below and above each place and how far on it is; whether it counts (within a pixel of the image)."""
    valid = (places >= -1) & (places <= extent)
    at = np.clip(places, 0, None)
    below = np.minimum(at.astype(np.int64), extent - 1)
    part = np.where(below >= extent - 1, 0.0, at - below)
    return below, np.minimum(below + 1, extent - 1), part, valid


def _region(image: Tensor, ys: Host, xs: Host, rows: tuple[int, int], columns: tuple[int, int], mode: str) -> Tensor:
    """One region of an image [c, h, w] pooled into bins; ``rows``: bins, and points in each."""
    c, height, width = image.shape
    flat = corenn.reshape(image, shape=(c, height * width))
    low_y, high_y, down, valid_y = _corners(ys, height)
    low_x, high_x, right, valid_x = _corners(xs, width)
    valid = valid_y[:, None] & valid_x[None, :]
    parts = []
    for y, wy in ((low_y, 1 - down), (high_y, down)):
        for at, wx in ((low_x, 1 - right), (high_x, right)):
            weight = (wy[:, None] * wx[None, :] * valid).astype(image.dtype.numpy)
            taken = corenn.gather(flat, y[:, None] * width + at[None, :], axis=1)
            parts.append(taken * corenn.tensor(weight))
    shape = (c, rows[0], rows[1], columns[0], columns[1])
    if mode == "max":  # the largest of the four weighed neighbours of all points
        stacked = corenn.stack(*[corenn.reshape(p, shape=shape) for p in parts], axis=-1)
        return corenn.max(stacked, axis=(2, 4, 5))
    total = parts[0] + parts[1] + parts[2] + parts[3]
    return corenn.mean(corenn.reshape(total, shape=shape), axis=(2, 4))


@onnx_op("NonMaxSuppression", host=("boxes", "scores", "most", "overlap", "least"))
def non_max_suppression(
    boxes: Host, scores: Host, most: Host | None = None, overlap: Host | None = None, least: Host | None = None, *,
    center_point_box: int = 0,
) -> Any:  # fmt: skip
    """The best boxes of each class that do not overlap a better one: rows of image, class, box."""
    limit = 0 if most is None else int(most.reshape(()))
    threshold = 0.0 if overlap is None else float(overlap.reshape(()))
    lowest = -np.inf if least is None else float(least.reshape(()))
    found: list[tuple[int, int, int]] = []
    for image, of_image in enumerate(boxes.astype(np.float64)):
        if center_point_box:
            centre, half = of_image[:, :2], of_image[:, 2:] / 2
            low, high = centre - half, centre + half
        else:
            low, high = np.minimum(of_image[:, :2], of_image[:, 2:]), np.maximum(of_image[:, :2], of_image[:, 2:])
        area = np.prod(high - low, axis=1)
        for label, of_class in enumerate(scores[image]):
            kept: list[int] = []
            for box in np.argsort(-of_class, kind="stable"):
                if len(kept) >= limit:
                    break
                if least is not None and of_class[box] <= lowest:
                    break
                sides = np.maximum(0, np.minimum(high[box], high[kept]) - np.maximum(low[box], low[kept]))
                shared = np.prod(sides, axis=-1)
                whole = area[box] + area[kept] - shared
                if not np.any(shared > threshold * whole):
                    kept.append(int(box))
            found += [(image, label, box) for box in kept]
    return np.array(found, np.int64).reshape(-1, 3)


@onnx_op("ImageDecoder", host=("data",))
def image_decoder(data: Host, *, node: Any, pixel_format: str = "RGB") -> Any:
    """The pixels of an encoded image, uint8 [height, width, channels]."""
    try:
        from PIL import Image
    except ImportError:
        raise MissingExtraError("the ONNX op ImageDecoder", "pillow", "datasets") from None
    if pixel_format not in ("RGB", "BGR", "Grayscale"):
        raise node.unsupported(f"pixel_format {pixel_format!r}")
    with Image.open(io.BytesIO(data.tobytes())) as image:
        pixels = np.asarray(image.convert("L" if pixel_format == "Grayscale" else "RGB"))
    if pixel_format == "Grayscale":
        return pixels[..., None].copy()
    return pixels[..., ::-1].copy() if pixel_format == "BGR" else pixels.copy()
