"""Blocks and patches of images: space and depth, batches of blocks, patches."""

from __future__ import annotations

import functools
from typing import Any

import corenn
from corenn_tensorflow.functions.calling import composite, operand, python_value
from corenn_tensorflow.writing import writable


@writable("space_to_depth")
def _space_to_depth_of(x: Any, *, data_format: str, block_size: int) -> Any:
    if data_format == "NCHW":
        x = corenn.moveaxis(x, 1, 3)
    n, h, w, c = x.spec.static
    parts = corenn.reshape(x, shape=(n, h // block_size, block_size, w // block_size, block_size, c))
    moved = corenn.transpose(parts, axes=(0, 1, 3, 2, 4, 5))
    found = corenn.reshape(moved, shape=(n, h // block_size, w // block_size, block_size * block_size * c))
    return corenn.moveaxis(found, 3, 1) if data_format == "NCHW" else found


def space_to_depth(
    input: Any,
    block_size: int,
    name: str | None = None,
    data_format: str = "NHWC",  # TensorFlow's names
) -> Any:
    """Blocks of ``block_size`` by ``block_size`` pixels become channels."""
    return composite(
        "SpaceToDepth",
        name,
        functools.partial(_space_to_depth_of, data_format=data_format, block_size=block_size),
        operand(input),
    )


@writable("depth_to_space")
def _depth_to_space_of(x: Any, *, data_format: str, block_size: int) -> Any:
    if data_format == "NCHW":
        x = corenn.moveaxis(x, 1, 3)
    n, h, w, c = x.spec.static
    inner = c // (block_size * block_size)
    parts = corenn.reshape(x, shape=(n, h, w, block_size, block_size, inner))
    moved = corenn.transpose(parts, axes=(0, 1, 3, 2, 4, 5))
    found = corenn.reshape(moved, shape=(n, h * block_size, w * block_size, inner))
    return corenn.moveaxis(found, 3, 1) if data_format == "NCHW" else found


def depth_to_space(
    input: Any,
    block_size: int,
    name: str | None = None,
    data_format: str = "NHWC",
) -> Any:
    """Channels become blocks of ``block_size`` by ``block_size`` pixels."""
    return composite(
        "DepthToSpace",
        name,
        functools.partial(_depth_to_space_of, data_format=data_format, block_size=block_size),
        operand(input),
    )


@writable("space_to_batch_nd")
def _space_to_batch_nd_of(x: Any, *, blocks: Any, pads: Any) -> Any:
    axes = len(blocks)
    x = corenn.pad(x, widths=((0, 0), *pads, *([(0, 0)] * (x.ndim - axes - 1))))
    extents = x.spec.static
    shape = [extents[0]]
    for n, b in zip(extents[1 : axes + 1], blocks, strict=True):
        shape += [n // b, b]
    parts = corenn.reshape(x, shape=(*shape, *extents[axes + 1 :]))
    inner = [2 * i + 2 for i in range(axes)]
    order = [*inner, 0, *[2 * i + 1 for i in range(axes)], *range(2 * axes + 1, parts.ndim)]
    moved = corenn.transpose(parts, axes=tuple(order))
    return corenn.reshape(moved, shape=(-1, *[n // b for n, b in zip(extents[1 : axes + 1], blocks, strict=True)],
                                        *extents[axes + 1 :]))  # fmt: skip


def space_to_batch_nd(input: Any, block_shape: Any, paddings: Any, name: str | None = None) -> Any:
    """Padded, and the pixels of each block spread over the batch."""
    blocks, pads = python_value(block_shape), python_value(paddings)
    return composite(
        "SpaceToBatchND", name, functools.partial(_space_to_batch_nd_of, blocks=blocks, pads=pads), operand(input)
    )


@writable("batch_to_space_nd")
def _batch_to_space_nd_of(x: Any, *, blocks: Any, cuts: Any) -> Any:
    axes, extents = len(blocks), x.spec.static
    count = extents[0]
    for b in blocks:
        count //= b
    parts = corenn.reshape(x, shape=(*blocks, count, *extents[1:]))
    order = [axes]
    for i in range(axes):
        order += [axes + 1 + i, i]
    moved = corenn.transpose(parts, axes=(*order, *range(2 * axes + 1, parts.ndim)))
    whole = [n * b for n, b in zip(extents[1 : axes + 1], blocks, strict=True)]
    found = corenn.reshape(moved, shape=(count, *whole, *extents[axes + 1 :]))
    key = tuple(slice(a, n - b) for (a, b), n in zip(cuts, whole, strict=True))
    return found[(slice(None), *key)]


def batch_to_space_nd(input: Any, block_shape: Any, crops: Any, name: str | None = None) -> Any:
    """The inverse of ``space_to_batch_nd``, cropped."""
    blocks, cuts = python_value(block_shape), python_value(crops)
    return composite(
        "BatchToSpaceND", name, functools.partial(_batch_to_space_nd_of, blocks=blocks, cuts=cuts), operand(input)
    )


def space_to_batch(
    input: Any,
    paddings: Any = None,
    block_size: int | None = None,
    name: str | None = None,
    block_shape: Any = None,
) -> Any:
    """``space_to_batch_nd`` of square blocks."""
    blocks = block_shape if block_shape is not None else [block_size, block_size]
    return space_to_batch_nd(input, blocks, paddings, name)


def batch_to_space(
    input: Any,
    crops: Any = None,
    block_size: int | None = None,
    name: str | None = None,
    block_shape: Any = None,
) -> Any:
    """``batch_to_space_nd`` of square blocks."""
    blocks = block_shape if block_shape is not None else [block_size, block_size]
    return batch_to_space_nd(input, blocks, crops, name)


@writable("extract_image_patches")
def _extract_image_patches_of(x: Any, *, rh: Any, rw: Any, kh: Any, kw: Any, sh: Any, sw: Any, same: Any) -> Any:
    n, h, w, c = x.spec.static
    spans = ((kh - 1) * rh + 1, (kw - 1) * rw + 1)
    counts = []
    pads = []
    for extent, span, step in zip((h, w), spans, (sh, sw), strict=True):
        count = -(-extent // step) if same else (extent - span) // step + 1
        total = max((count - 1) * step + span - extent, 0) if same else 0
        counts.append(count)
        pads.append((total // 2, total - total // 2))
    x = corenn.pad(x, widths=((0, 0), *pads, (0, 0)))
    rows = []
    for i in range(kh):
        for j in range(kw):
            top, left = i * rh, j * rw
            rows.append(x[:, top : top + (counts[0] - 1) * sh + 1 : sh, left : left + (counts[1] - 1) * sw + 1 : sw])
    return corenn.reshape(corenn.stack(*rows, axis=3), shape=(n, *counts, kh * kw * c))


def extract_image_patches(
    images: Any, ksizes: Any = None, strides: Any = None, rates: Any = None, padding: str | None = None,
    name: str | None = None, sizes: Any = None,
) -> Any:  # fmt: skip
    """The windows of images, each as a vector in the channels."""
    window = ksizes if ksizes is not None else sizes
    (_, kh, kw, _), (_, sh, sw, _), (_, rh, rw, _) = (tuple(v) for v in (window, strides, rates or (1, 1, 1, 1)))
    same = str(padding).upper() == "SAME"
    return composite(
        "ExtractImagePatches",
        name,
        functools.partial(_extract_image_patches_of, rh=rh, rw=rw, kh=kh, kw=kw, sh=sh, sw=sw, same=same),
        operand(images),
    )


__all__ = [
    "batch_to_space", "batch_to_space_nd", "depth_to_space", "extract_image_patches", "space_to_batch",
    "space_to_batch_nd", "space_to_depth",
]  # fmt: skip
