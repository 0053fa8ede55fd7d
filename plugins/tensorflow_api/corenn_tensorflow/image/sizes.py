"""Images of other sizes."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

import corenn
import corenn_tensorflow as tf
from corenn import dtypes
from corenn_tensorflow import mode
from corenn_tensorflow.framework import convert_to_tensor, is_symbolic, static_shape
from corenn_tensorflow.functions.calling import python_value
from corenn_tensorflow.image.common import _plain, _whole
from corenn_tensorflow.image.cutting import resize_with_crop_or_pad
from corenn_tensorflow.writing import writable


class ResizeMethod:
    """Ways of resizing."""

    BILINEAR, NEAREST_NEIGHBOR, BICUBIC, AREA = 0, 1, 2, 3
    LANCZOS3, LANCZOS5, GAUSSIAN, MITCHELLCUBIC = "lanczos3", "lanczos5", "gaussian", "mitchellcubic"


def _weights(new: int, old: int, align: bool, kind: str) -> Any:
    """The matrix [new, old] of linear resampling along one axis, where pixels are points: TensorFlow 1's rule."""
    at = np.arange(new) * ((old - 1) / (new - 1) if align and new > 1 else old / new)
    matrix = np.zeros((new, old))
    rows = np.arange(new)
    if kind == "nearest":
        chosen = np.rint(at) if align else np.floor(at)
        matrix[rows, np.clip(chosen, 0, old - 1).astype(int)] = 1
    elif kind == "bilinear":
        at = np.maximum(at, 0) if not align else at
        low = np.clip(np.floor(at), 0, old - 1).astype(int)
        part = np.clip(at - low, 0, 1)
        np.add.at(matrix, (rows, low), 1 - part)
        np.add.at(matrix, (rows, np.minimum(low + 1, old - 1)), part)
    elif kind == "bicubic":
        a = -0.75
        base = np.floor(at).astype(int)
        for tap in range(-1, 3):
            d = np.abs(at - (base + tap))
            weight = np.where(
                d <= 1,
                (a + 2) * d**3 - (a + 3) * d**2 + 1,
                np.where(d < 2, a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a, 0),
            )
            place = base + tap
            np.add.at(matrix, (rows, np.clip(place, 0, old - 1)), weight)
        matrix /= matrix.sum(1, keepdims=True)
    else:  # area
        edges = np.arange(new + 1) * (old / new)
        for i in range(new):
            for j in range(int(np.floor(edges[i])), min(old, int(np.ceil(edges[i + 1])))):
                matrix[i, j] = min(edges[i + 1], j + 1) - max(edges[i], j)
        matrix /= matrix.sum(1, keepdims=True)
    return matrix.astype(np.float32)


_METHODS = {0: "bilinear", 1: "nearest", 2: "bicubic", 3: "area", "bilinear": "bilinear", "nearest": "nearest",
            "bicubic": "bicubic", "area": "area", "lanczos3": "lanczos3"}  # fmt: skip


@writable("image.resized")
def _resized_of(
    x: Any, *, wanted: Any, keep_ratio: bool, kind: Any, half_pixel: bool, align: bool, antialias: bool = False
) -> Any:
    height, width = (int(n) for n in wanted)
    batch = x if len(x.shape) == 4 else corenn.expand_dims(x, axis=0)
    _, h, w, _ = (int(n) for n in tuple(batch.shape))
    if keep_ratio:
        scale = min(height / h, width / w)
        height, width = max(1, round(h * scale)), max(1, round(w * scale))
    if half_pixel and not align:  # pixels are areas
        real = batch if kind == "nearest" else corenn.cast(batch, dtype=dtypes.float32)
        smooth = antialias and kind not in ("nearest", "area")
        out = corenn.image.resize(real, size=(height, width), method=kind, antialias=smooth)
    elif kind == "nearest":
        rows, cols = (_weights(n, o, align, kind).argmax(1) for n, o in ((height, h), (width, w)))
        out = corenn.gather(corenn.gather(batch, rows.astype(np.int32), axis=1), cols.astype(np.int32), axis=2)
    else:
        real = corenn.cast(batch, dtype=dtypes.float32)
        down = corenn.tensor(_weights(height, h, align, kind))
        across = corenn.tensor(_weights(width, w, align, kind))
        out = corenn.einsum("bhwc,ih->biwc", real, down)
        out = corenn.einsum("biwc,jw->bijc", out, across)
    return out if len(x.shape) == 4 else corenn.squeeze(out, axis=0)


def _resized(
    images: Any, size: Any, method: Any, half_pixel: bool, align: bool, name: str | None, keep_ratio: bool = False,
    antialias: bool = False,
) -> Any:  # fmt: skip
    kind = _METHODS.get(method)
    if kind is None or (kind == "lanczos3" and (align or not half_pixel)):
        known = "bilinear, nearest, bicubic, area" + (", or in TensorFlow 2 lanczos3" if kind is None else "")
        raise NotImplementedError(f"the resize method {method!r} is not in corenn: {known}")
    wanted = python_value(convert_to_tensor(size)) if is_symbolic(size) else _plain(size)
    if is_symbolic(wanted):
        if antialias:
            raise NotImplementedError("resizing with antialias to a size that is known only when the graph runs")
        return _resized_to(images, convert_to_tensor(size), kind, half_pixel, align, name, keep_ratio)
    return _whole(
        f"Resize{kind.capitalize()}",
        functools.partial(
            _resized_of,
            wanted=wanted,
            keep_ratio=keep_ratio,
            kind=kind,
            half_pixel=half_pixel,
            align=align,
            antialias=antialias,
        ),
        convert_to_tensor(images),
        name=name,
    )


def _resized_to(
    images: Any, size: Any, kind: str, half_pixel: bool, align: bool, name: str | None, keep_ratio: bool
) -> Any:
    """To a size that only the run of the graph knows."""
    if kind not in ("bilinear", "nearest") or keep_ratio:
        raise NotImplementedError(
            f"resizing ({kind}) to a size that is known only when the graph runs: corenn offers bilinear and nearest, "
            "without preserve_aspect_ratio"
        )
    x = convert_to_tensor(images)
    with mode.scope(name, f"Resize{kind.capitalize()}", x, size):
        single = len(static_shape(x) or (0,) * 4) == 3
        found = tf.expand_dims(x, 0) if single else x
        for axis in (1, 2):
            steps = tf.cast(tf.range(size[axis - 1]), "float64")
            new, old = (tf.cast(n, "float64") for n in (size[axis - 1], tf.shape(found)[axis]))
            at = steps * ((old - 1) / tf.maximum(new - 1, 1.0)) if align else steps * (old / new)
            if half_pixel and not align:
                at = (steps + 0.5) * (old / new) - (0.0 if kind == "nearest" else 0.5)
            if kind == "nearest":
                place = tf.clip_by_value(tf.round(at) if align else tf.floor(at), 0.0, old - 1)
                found = tf.gather(found, tf.cast(place, "int32"), axis=axis)
                continue
            low = tf.clip_by_value(tf.floor(at), 0.0, old - 1)
            share = tf.reshape(tf.cast(tf.clip_by_value(at - low, 0.0, 1.0), "float32"), [-1, *[1] * (3 - axis)])
            real = tf.cast(found, "float32")
            before, after = (
                tf.gather(real, tf.cast(i, "int32"), axis=axis) for i in (low, tf.minimum(low + 1, old - 1))
            )
            found = before + (after - before) * share
        return tf.squeeze(found, [0]) if single else found


def _resize_v1(
    images: Any,
    size: Any,
    method: Any = 0,
    align_corners: bool = False,
    preserve_aspect_ratio: bool = False,
    name: str | None = None,
) -> Any:
    """Images of another size, by TensorFlow 1's rule for the places of pixels."""
    return _resized(images, size, method, False, align_corners, name, preserve_aspect_ratio)


def _resize_v2(
    images: Any,
    size: Any,
    method: Any = "bilinear",
    preserve_aspect_ratio: bool = False,
    antialias: bool = False,
    name: str | None = None,
) -> Any:
    """Images of another size, pixels being areas; ``antialias`` smooths what shrinks."""
    return _resized(images, size, method, True, False, name, preserve_aspect_ratio, antialias)


resize = mode.by_generation(_resize_v1, _resize_v2)
resize_images = resize


def _named(method: str) -> Callable[..., Any]:
    def resize_by(
        images: Any, size: Any, align_corners: bool = False, name: str | None = None, half_pixel_centers: bool = False
    ) -> Any:
        return _resized(images, size, method, half_pixel_centers, align_corners, name)

    resize_by.__name__ = resize_by.__qualname__ = f"resize_{method}"
    resize_by.__doc__ = f"Images of another size, {method}."
    return resize_by


resize_bilinear, resize_bicubic, resize_area = _named("bilinear"), _named("bicubic"), _named("area")
resize_nearest_neighbor = _named("nearest")


def resize_with_pad(
    image: Any, target_height: int, target_width: int, method: Any = "bilinear", antialias: bool = False
) -> Any:
    """Resized without distortion, and filled up with zeros."""
    height, width = int(target_height), int(target_width)
    small = _resized(image, [height, width], method, mode.generation() == 2, False, None, True, antialias)
    return resize_with_crop_or_pad(small, height, width)


resize_image_with_pad = resize_with_pad


@writable("image.crop_and_resize")
def _crops_of(x: Any, boxes: Any, which: Any, *, height: int, width: int, method: str, fill: float) -> Any:
    _, h, w, _ = x.spec.static
    parts, inside = corenn.cast(corenn.gather(x, which, axis=0), dtype=dtypes.float32), []
    for axis, (extent, count) in enumerate(((h, height), (w, width))):
        first, last = boxes[:, axis : axis + 1], boxes[:, axis + 2 : axis + 3]
        if count == 1:
            at = (first + last) * (0.5 * (extent - 1))
        else:
            steps = corenn.reshape(corenn.arange(count, dtype=boxes.dtype), shape=(1, -1))
            at = first * (extent - 1) + steps * (last - first) * ((extent - 1) / (count - 1))
        inside.append(corenn.logical_and(corenn.greater_equal(at, 0), corenn.less_equal(at, extent - 1)))
        at = corenn.expand_dims(corenn.round(at) if method == "nearest" else at, axis=2)
        pixels = corenn.reshape(corenn.arange(extent, dtype=boxes.dtype), shape=(1, 1, -1))
        share = corenn.maximum(1.0 - corenn.abs(at - pixels), 0.0)
        parts = corenn.einsum(("nhwc,nih->niwc", "nhwc,njw->nhjc")[axis], parts, share)
    kept = corenn.logical_and(inside[0][:, :, None, None], inside[1][:, None, :, None])
    return corenn.where(kept, parts, fill)


def crop_and_resize(
    image: Any, boxes: Any, box_indices: Any = None, crop_size: Any = None, method: str = "bilinear",
    extrapolation_value: float = 0.0, name: str | None = None, box_ind: Any = None,
) -> Any:  # fmt: skip
    """Boxes (of fractions of height and width) of images, each resized to ``crop_size``."""
    height, width = (int(n) for n in _plain(crop_size))
    return _whole(
        "CropAndResize",
        functools.partial(_crops_of, height=height, width=width, method=method, fill=float(extrapolation_value)),
        image,
        boxes,
        box_indices if box_indices is not None else box_ind,
    )
