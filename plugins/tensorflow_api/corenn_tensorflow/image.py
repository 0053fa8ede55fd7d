"""``tf.image``.

Images are [height, width, channels] or batches of them.  Functions are written in ops; those that read and write image
files run on the host, with pillow.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Callable
from typing import Any

import numpy as np

import corenn
import corenn_tensorflow as tf
from corenn import dtypes
from corenn.errors import MissingExtraError
from corenn.graph.kinds import HostCallKind
from corenn.tensor import Tensor
from corenn_tensorflow import mode
from corenn_tensorflow.framework import convert_to_tensor, is_symbolic, static_shape
from corenn_tensorflow.functions.calling import python_value
from corenn_tensorflow.keras import world
from corenn_tensorflow.missing import guard
from corenn_tensorflow.writing import writable


class ResizeMethod:
    """Ways of resizing."""

    BILINEAR, NEAREST_NEIGHBOR, BICUBIC, AREA = 0, 1, 2, 3
    LANCZOS3, LANCZOS5, GAUSSIAN, MITCHELLCUBIC = "lanczos3", "lanczos5", "gaussian", "mitchellcubic"


@writable("image.whole")
def _without_graph(*values: Any, function: Callable[..., Any]) -> Any:
    with world.eagerly(leave_graph=False):
        return function(*values)


def _whole(type_name: str, function: Callable[..., Any], *tensors: Any, name: str | None = None) -> Any:
    """Call a function that looks at shapes: in a graph, one operation."""
    graph = mode.graph_for(tensors)
    if graph is None or not is_symbolic(list(tensors)):
        return function(*[convert_to_tensor(t) for t in tensors])
    return graph.call(functools.partial(_without_graph, function=function), *tensors, type_name=type_name, name=name)[0]


def _plain(value: Any) -> Any:
    """A number or a list of numbers, from whatever holds them now."""
    if isinstance(value, Tensor) and not is_symbolic(value):
        return np.asarray(value._host()).tolist()
    return value.as_list() if hasattr(value, "as_list") else value


# ---------------------------------------------------------------- flips, turns, cuts


def _axis(image: Any, which: str) -> int:
    rank = len(static_shape(image) or [0, 0, 0])
    return {"height": -3, "width": -2}[which] + rank


def flip_left_right(image: Any) -> Any:
    """Mirrored."""
    x = convert_to_tensor(image)
    return tf.reverse(x, [_axis(x, "width")])


def flip_up_down(image: Any) -> Any:
    """Upside down."""
    x = convert_to_tensor(image)
    return tf.reverse(x, [_axis(x, "height")])


def transpose(image: Any, name: str | None = None) -> Any:
    """Height and width exchanged."""
    x = convert_to_tensor(image)
    return tf.transpose(x, [1, 0, 2] if len(static_shape(x) or ()) == 3 else [0, 2, 1, 3])


transpose_image = transpose


def rot90(image: Any, k: int = 1, name: str | None = None) -> Any:
    """Turned by ``k`` right angles against the clock."""
    turns = int(_plain(k)) % 4
    if turns == 0:
        return convert_to_tensor(image)
    if turns == 2:
        return flip_up_down(flip_left_right(image))
    return flip_up_down(transpose(image)) if turns == 1 else flip_left_right(transpose(image))


def crop_to_bounding_box(
    image: Any, offset_height: Any, offset_width: Any, target_height: Any, target_width: Any
) -> Any:
    """The part at an offset, of a given size."""
    x = convert_to_tensor(image)
    top, left, height, width = (_plain(v) for v in (offset_height, offset_width, target_height, target_width))
    if len(static_shape(x) or ()) == 4:
        return x[:, top : top + height, left : left + width, :]
    return x[top : top + height, left : left + width, :]


@writable("image.pad_to_bounding_box")
def _padded(x: Any, *, height: Any, top: Any, width: Any, left: Any) -> Any:
    h, w = (int(n) for n in tuple(x.shape)[-3:-1])
    below, right = height - top - h, width - left - w
    if min(top, left, below, right) < 0:
        raise ValueError("offset and target size must leave room for the image")
    widths = [(0, 0)] * (len(x.shape) - 3) + [(top, below), (left, right), (0, 0)]
    return corenn.pad(x, widths=tuple(widths))


def pad_to_bounding_box(
    image: Any, offset_height: Any, offset_width: Any, target_height: Any, target_width: Any
) -> Any:
    """Zeros around the image, which comes to lie at an offset."""
    top, left, height, width = (int(_plain(v)) for v in (offset_height, offset_width, target_height, target_width))
    return _whole("PadToBoundingBox", functools.partial(_padded, height=height, top=top, width=width, left=left), image)


@writable("image.central_crop")
def _cropped(x: Any, *, fraction: Any) -> Any:
    h, w = (int(n) for n in tuple(x.shape)[-3:-1])
    top, left = int((h - h * fraction) / 2), int((w - w * fraction) / 2)
    return x[..., top : h - top, left : w - left, :]


def central_crop(image: Any, central_fraction: float) -> Any:
    """The middle part."""
    fraction = float(_plain(central_fraction))
    if not 0.0 < fraction <= 1.0:
        raise ValueError("central_fraction must be within (0, 1]")
    return _whole("CentralCrop", functools.partial(_cropped, fraction=fraction), image)


@writable("image.resize_with_crop_or_pad")
def _fitted(x: Any, *, height: Any, width: Any) -> Any:
    h, w = (int(n) for n in tuple(x.shape)[-3:-1])
    top, left = max(h - height, 0) // 2, max(w - width, 0) // 2
    x = x[..., top : top + min(h, height), left : left + min(w, width), :]
    above, before = max(height - h, 0) // 2, max(width - w, 0) // 2
    widths = [(0, 0)] * (len(x.shape) - 3) + [
        (above, height - min(h, height) - above), (before, width - min(w, width) - before), (0, 0)
    ]  # fmt: skip
    return corenn.pad(x, widths=tuple(widths))


def resize_with_crop_or_pad(image: Any, target_height: Any, target_width: Any) -> Any:
    """Cut or filled up to a size, about the middle."""
    height, width = int(_plain(target_height)), int(_plain(target_width))
    return _whole("ResizeWithCropOrPad", functools.partial(_fitted, height=height, width=width), image)


resize_image_with_crop_or_pad = resize_with_crop_or_pad


# ---------------------------------------------------------------- sizes


def _weights(new: int, old: int, half_pixel: bool, align: bool, kind: str) -> Any:
    """The matrix [new, old] of linear resampling along one axis."""
    if align and new > 1:
        at = np.arange(new) * ((old - 1) / (new - 1))
    elif half_pixel:
        at = (np.arange(new) + 0.5) * (old / new) - 0.5
    else:
        at = np.arange(new) * (old / new)
    matrix = np.zeros((new, old))
    rows = np.arange(new)
    if kind == "nearest":
        chosen = (
            np.rint(at) if align else np.floor((np.arange(new) + 0.5) * (old / new)) if half_pixel else np.floor(at)
        )
        matrix[rows, np.clip(chosen, 0, old - 1).astype(int)] = 1
    elif kind == "bilinear":
        at = np.maximum(at, 0) if not align else at
        low = np.clip(np.floor(at), 0, old - 1).astype(int)
        part = np.clip(at - low, 0, 1)
        np.add.at(matrix, (rows, low), 1 - part)
        np.add.at(matrix, (rows, np.minimum(low + 1, old - 1)), part)
    elif kind == "bicubic":
        a = -0.5 if half_pixel else -0.75
        base = np.floor(at).astype(int)
        for tap in range(-1, 3):
            d = np.abs(at - (base + tap))
            weight = np.where(
                d <= 1,
                (a + 2) * d**3 - (a + 3) * d**2 + 1,
                np.where(d < 2, a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a, 0),
            )
            place = base + tap
            inside = (place >= 0) & (place < old) if half_pixel else np.ones(new, bool)
            np.add.at(matrix, (rows, np.clip(place, 0, old - 1)), np.where(inside, weight, 0))
        matrix /= matrix.sum(1, keepdims=True)
    else:  # area
        edges = np.arange(new + 1) * (old / new)
        for i in range(new):
            for j in range(int(np.floor(edges[i])), min(old, int(np.ceil(edges[i + 1])))):
                matrix[i, j] = min(edges[i + 1], j + 1) - max(edges[i], j)
        matrix /= matrix.sum(1, keepdims=True)
    return matrix.astype(np.float32)


_METHODS = {0: "bilinear", 1: "nearest", 2: "bicubic", 3: "area", "bilinear": "bilinear", "nearest": "nearest",
            "bicubic": "bicubic", "area": "area"}  # fmt: skip


@writable("image.resized")
def _resized_of(x: Any, *, wanted: Any, keep_ratio: bool, kind: Any, half_pixel: bool, align: bool) -> Any:
    height, width = (int(n) for n in wanted)
    batch = x if len(x.shape) == 4 else corenn.expand_dims(x, axis=0)
    _, h, w, _ = (int(n) for n in tuple(batch.shape))
    if keep_ratio:
        scale = min(height / h, width / w)
        height, width = max(1, round(h * scale)), max(1, round(w * scale))
    if kind == "nearest":
        rows, cols = (_weights(n, o, half_pixel, align, kind).argmax(1) for n, o in ((height, h), (width, w)))
        out = corenn.gather(corenn.gather(batch, rows.astype(np.int32), axis=1), cols.astype(np.int32), axis=2)
    else:
        real = corenn.cast(batch, dtype=dtypes.float32)
        down = corenn.tensor(_weights(height, h, half_pixel, align, kind))
        across = corenn.tensor(_weights(width, w, half_pixel, align, kind))
        out = corenn.einsum("bhwc,ih->biwc", real, down)
        out = corenn.einsum("biwc,jw->bijc", out, across)
    return out if len(x.shape) == 4 else corenn.squeeze(out, axis=0)


def _resized(
    images: Any, size: Any, method: Any, half_pixel: bool, align: bool, name: str | None, keep_ratio: bool = False
) -> Any:
    kind = _METHODS.get(method)
    if kind is None:
        raise NotImplementedError(f"the resize method {method!r} is not in corenn: bilinear, nearest, bicubic or area")
    wanted = python_value(convert_to_tensor(size)) if is_symbolic(size) else _plain(size)
    if is_symbolic(wanted):
        return _resized_to(images, convert_to_tensor(size), kind, half_pixel, align, name, keep_ratio)
    return _whole(
        f"Resize{kind.capitalize()}",
        functools.partial(
            _resized_of, wanted=wanted, keep_ratio=keep_ratio, kind=kind, half_pixel=half_pixel, align=align
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
    """Images of another size, pixels being areas."""
    return _resized(images, size, method, True, False, name, preserve_aspect_ratio)


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
    small = _resized(image, [height, width], method, mode.generation() == 2, False, None, True)
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


# ---------------------------------------------------------------- values


def convert_image_dtype(image: Any, dtype: Any, saturate: bool = False, name: str | None = None) -> Any:
    """Another dtype, floats being 0..1 and integers their whole range."""
    x, wanted = convert_to_tensor(image), dtypes.as_dtype(getattr(dtype, "name", dtype))
    if x.dtype is wanted:
        return tf.identity(x)
    if x.dtype.is_integer and wanted.is_integer:
        a, b = np.iinfo(x.dtype.numpy).max, np.iinfo(wanted.numpy).max
        return tf.cast(x // ((a + 1) // (b + 1)), wanted) if a > b else tf.cast(x, wanted) * ((b + 1) // (a + 1))
    if x.dtype.is_floating and wanted.is_floating:
        return tf.cast(x, wanted)
    if x.dtype.is_integer:
        return tf.cast(x, wanted) * (1.0 / np.iinfo(x.dtype.numpy).max)
    scaled = x * (np.iinfo(wanted.numpy).max + 0.5)
    return tf.saturate_cast(scaled, wanted) if saturate else tf.cast(scaled, wanted)


def _in_floats(image: Any, change: Callable[[Any], Any], name: str) -> Any:
    """A change of float images, for images of any dtype."""
    original = convert_to_tensor(image)
    found = change(convert_image_dtype(original, dtypes.float32))
    return convert_image_dtype(found, original.dtype, saturate=True)


def adjust_brightness(image: Any, delta: Any) -> Any:
    """Every pixel plus ``delta`` (of 0..1)."""
    return _in_floats(image, lambda x: x + delta, "adjust_brightness")


def adjust_contrast(images: Any, contrast_factor: Any) -> Any:
    """Distances from each channel's mean times a factor."""

    def change(x: Any) -> Any:
        mean = tf.reduce_mean(x, axis=[-3, -2], keepdims=True)
        return (x - mean) * contrast_factor + mean

    return _in_floats(images, change, "adjust_contrast")


def adjust_gamma(image: Any, gamma: Any = 1, gain: Any = 1) -> Any:
    """``gain * image ** gamma``."""
    return _in_floats(image, lambda x: gain * x**gamma, "adjust_gamma")


def rgb_to_grayscale(images: Any, name: str | None = None) -> Any:
    """One channel: 0.2989 R + 0.587 G + 0.114 B."""
    original = convert_to_tensor(images)
    x = convert_image_dtype(original, dtypes.float32)
    weights = tf.constant([0.2989, 0.587, 0.114])
    return convert_image_dtype(tf.reduce_sum(x * weights, axis=-1, keepdims=True), original.dtype)


def grayscale_to_rgb(images: Any, name: str | None = None) -> Any:
    """Three equal channels."""
    x = convert_to_tensor(images)
    return tf.concat([x, x, x], axis=-1)


def rgb_to_hsv(images: Any, name: str | None = None) -> Any:
    """Hue, saturation and value, each 0..1."""
    x = convert_to_tensor(images)
    r, g, b = x[..., 0], x[..., 1], x[..., 2]
    high, low = tf.reduce_max(x, axis=-1), tf.reduce_min(x, axis=-1)
    spread = high - low
    safe = tf.where(spread > 0, spread, tf.ones_like(spread))
    norm = 1.0 / (6.0 * safe)
    hue = tf.where(
        tf.equal(r, high),
        norm * (g - b),
        tf.where(tf.equal(g, high), norm * (b - r) + 2.0 / 6.0, norm * (r - g) + 4.0 / 6.0),
    )
    hue = tf.where(spread > 0, hue, tf.zeros_like(hue))
    hue = tf.where(hue < 0, hue + 1.0, hue)
    saturation = tf.where(high > 0, spread / tf.where(high > 0, high, tf.ones_like(high)), tf.zeros_like(high))
    return tf.stack([hue, saturation, high], axis=-1)


def hsv_to_rgb(images: Any, name: str | None = None) -> Any:
    """Back to red, green and blue."""
    x = convert_to_tensor(images)
    h, s, v = x[..., 0] * 6.0, x[..., 1], x[..., 2]
    channels = [tf.abs(h - 3.0) - 1.0, 2.0 - tf.abs(h - 2.0), 2.0 - tf.abs(h - 4.0)]
    return tf.stack([((tf.clip_by_value(c, 0.0, 1.0) - 1.0) * s + 1.0) * v for c in channels], axis=-1)


def adjust_hue(image: Any, delta: Any, name: str | None = None) -> Any:
    """Hues turned by ``delta`` (of -1..1)."""

    def change(x: Any) -> Any:
        hsv = rgb_to_hsv(x)
        hue = tf.floormod(hsv[..., 0] + delta, 1.0)
        return hsv_to_rgb(tf.stack([hue, hsv[..., 1], hsv[..., 2]], axis=-1))

    return _in_floats(image, change, "adjust_hue")


def adjust_saturation(image: Any, saturation_factor: Any, name: str | None = None) -> Any:
    """Saturations times a factor."""

    def change(x: Any) -> Any:
        hsv = rgb_to_hsv(x)
        return hsv_to_rgb(
            tf.stack([hsv[..., 0], tf.clip_by_value(hsv[..., 1] * saturation_factor, 0.0, 1.0), hsv[..., 2]], axis=-1)
        )

    return _in_floats(image, change, "adjust_saturation")


@writable("image.per_image_standardization")
def _standardized(x: Any) -> Any:
    real = corenn.cast(x, dtype=dtypes.float32)
    axes = tuple(range(len(x.shape) - 3, len(x.shape)))
    count = float(np.prod([int(n) for n in tuple(x.shape)[-3:]]))
    mean = corenn.mean(real, axis=axes, keepdims=True)
    deviation = corenn.sqrt(corenn.mean(corenn.square(real - mean), axis=axes, keepdims=True))
    return (real - mean) / corenn.maximum(deviation, 1.0 / count**0.5)


def per_image_standardization(image: Any) -> Any:
    """Mean 0 and variance 1, the deviation being at least ``1 / sqrt(pixels)``."""
    return _whole("PerImageStandardization", _standardized, image)


per_image_whitening = per_image_standardization


def extract_patches(
    images: Any, sizes: Any, strides: Any, rates: Any, padding: str, name: str | None = None
) -> Any:  # fmt: skip
    """The windows of images, each as a vector in the channels."""
    return tf.extract_image_patches(images, sizes, strides, rates, padding, name)


# ---------------------------------------------------------------- at random


def _uniform(low: float, high: float, seed: Any) -> Any:
    return tf.random.uniform([], float(low), float(high), seed=seed)


def _either(changed: Any, image: Any, seed: Any) -> Any:
    chosen = tf.less(_uniform(0.0, 1.0, seed), 0.5)
    original = convert_to_tensor(image)
    return tf.where(tf.logical_and(chosen, tf.ones_like(original, dtype="bool")), changed, original)


def random_flip_left_right(image: Any, seed: Any = None) -> Any:
    """Mirrored, one time in two."""
    return _either(flip_left_right(image), image, seed)


def random_flip_up_down(image: Any, seed: Any = None) -> Any:
    """Upside down, one time in two."""
    return _either(flip_up_down(image), image, seed)


def random_brightness(image: Any, max_delta: float, seed: Any = None) -> Any:
    """Brightness changed by up to ``max_delta``."""
    if max_delta < 0:
        raise ValueError("max_delta must be non-negative.")
    return adjust_brightness(image, _uniform(-max_delta, max_delta, seed))


def random_contrast(image: Any, lower: float, upper: float, seed: Any = None) -> Any:
    """Contrast changed by a factor between two."""
    if upper <= lower or lower < 0:
        raise ValueError("upper must be > lower." if upper <= lower else "lower must be non-negative.")
    return adjust_contrast(image, _uniform(lower, upper, seed))


def random_hue(image: Any, max_delta: float, seed: Any = None) -> Any:
    """Hue turned by up to ``max_delta``."""
    if not 0 <= max_delta <= 0.5:
        raise ValueError("max_delta must be within [0, 0.5]")
    return adjust_hue(image, _uniform(-max_delta, max_delta, seed))


def random_saturation(image: Any, lower: float, upper: float, seed: Any = None) -> Any:
    """Saturation changed by a factor between two."""
    if upper <= lower or lower < 0:
        raise ValueError("upper must be > lower." if upper <= lower else "lower must be non-negative.")
    return adjust_saturation(image, _uniform(lower, upper, seed))


@writable("image.random_crop")
def _cropped_at(x: Any, drawn: Any, *, wanted: Any) -> Any:
    out = x
    for axis, count in enumerate(wanted):
        extent = int(tuple(x.shape)[axis])
        if count > extent:
            raise ValueError(f"Need value.shape >= size, got {tuple(x.shape)} and {wanted}")
        if count == extent:
            continue
        start = corenn.cast(corenn.floor(drawn[axis] * float(extent - count + 1)), dtype=dtypes.int32)
        rows = corenn.arange(count, dtype=dtypes.int32, device=x.device) + start
        out = corenn.gather(out, rows, axis=axis)
    return out


def random_crop(value: Any, size: Any, seed: Any = None, name: str | None = None) -> Any:
    """A part of a given size at a random place."""
    wanted = [int(n) for n in _plain(size)]
    places = tf.random.uniform([len(wanted)], seed=seed)
    return _whole("RandomCrop", functools.partial(_cropped_at, wanted=wanted), value, places, name=name)


# ---------------------------------------------------------------- measures


def _greatest(max_val: Any, dtype: Any) -> float:
    """The greatest value of images of a dtype, after their conversion to floats."""
    return float(max_val) / (np.iinfo(dtype.numpy).max if dtype.is_integer else 1)


def psnr(a: Any, b: Any, max_val: float, name: str | None = None) -> Any:
    """Peak signal-to-noise ratio in dB, one for each image."""
    x, y = (convert_image_dtype(v, dtypes.float32) for v in (a, b))
    top = _greatest(max_val, convert_to_tensor(a).dtype)
    error = tf.reduce_mean(tf.square(x - y), axis=[-3, -2, -1])
    return (20 * np.log(top) - 10 * tf.math.log(error)) / np.log(10)


def total_variation(images: Any, name: str | None = None) -> Any:
    """The sum of the differences of neighbouring pixels, for each image."""
    x = convert_to_tensor(images)
    down, across = tf.abs(x[..., 1:, :, :] - x[..., :-1, :, :]), tf.abs(x[..., :, 1:, :] - x[..., :, :-1, :])
    return tf.reduce_sum(down, axis=[-3, -2, -1]) + tf.reduce_sum(across, axis=[-3, -2, -1])


@writable("image.ssim")
def _similarity(a: Any, b: Any, *, window: Any, c1: Any, c2: Any) -> Any:
    shape = [int(n) for n in tuple(a.shape)]
    flat = [corenn.reshape(corenn.transpose(corenn.reshape(v, shape=(-1, *shape[-3:])), axes=(0, 3, 1, 2)),
                           shape=(-1, shape[-3], shape[-2], 1)) for v in (a, b)]  # fmt: skip
    kernel = corenn.tensor(window[:, :, None, None])

    def blur(v: Any) -> Any:
        return corenn.nn.conv2d(v, kernel, padding="valid")

    p, q = flat
    mp, mq = blur(p), blur(q)
    light = (mp * mq * 2.0 + c1) / (mp * mp + mq * mq + c1)
    spread = blur(p * p + q * q) - (mp * mp + mq * mq)
    both = blur(p * q) - mp * mq
    value = corenn.mean(light * (both * 2.0 + c2) / (spread + c2), axis=(1, 2, 3))
    return corenn.reshape(corenn.mean(corenn.reshape(value, shape=(-1, shape[-1])), axis=-1), shape=tuple(shape[:-3]))


def ssim(
    img1: Any,
    img2: Any,
    max_val: float,
    filter_size: int = 11,
    filter_sigma: float = 1.5,
    k1: float = 0.01,
    k2: float = 0.03,
) -> Any:
    """Structural similarity (Wang et al. 2004), one for each image [..., height, width, channels]."""
    x, y = (convert_image_dtype(v, dtypes.float32) for v in (img1, img2))
    top = _greatest(max_val, convert_to_tensor(img1).dtype)
    at = np.arange(filter_size) - (filter_size - 1) / 2
    line = np.exp(-(at**2) / (2 * filter_sigma**2))
    window = np.outer(line, line)
    window = (window / window.sum()).astype(np.float32)
    c1, c2 = (k1 * top) ** 2, (k2 * top) ** 2
    return _whole("SSIM", functools.partial(_similarity, window=window, c1=c1, c2=c2), x, y)


@writable("image.sobel_edges")
def _edges(x: Any) -> Any:
    padded = corenn.pad(x, widths=((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect")
    h, w = (int(n) for n in tuple(x.shape)[1:3])

    def part(i: int, j: int) -> Any:
        return padded[:, i : i + h, j : j + w, :]

    down = part(2, 0) + 2.0 * part(2, 1) + part(2, 2) - part(0, 0) - 2.0 * part(0, 1) - part(0, 2)
    across = part(0, 2) + 2.0 * part(1, 2) + part(2, 2) - part(0, 0) - 2.0 * part(1, 0) - part(2, 0)
    return corenn.stack(down, across, axis=-1)


def sobel_edges(image: Any) -> Any:
    """[b, h, w, d, 2]: derivatives along height and width."""
    return _whole("SobelEdges", _edges, image)


# ---------------------------------------------------------------- files


def _pillow(where: str) -> Any:
    try:
        from PIL import Image
    except ImportError:
        raise MissingExtraError(
            where, "reading and writing image files needs pillow", hint="pip install pillow"
        ) from None
    return Image


def _on_host(
    type_name: str, function: Callable[[Any], Any], value: Any, extents: Any, dtype: Any, name: str | None
) -> Any:
    graph = mode.graph_for(value)
    if graph is None:
        given = value.data if isinstance(value, Tensor) and value.dtype is dtypes.string else value
        given = np.asarray(given._host()) if isinstance(given, Tensor) else given
        return convert_to_tensor(function(given))
    kind = HostCallKind(function, pure=True, type_name=type_name)
    return graph.add(kind, [graph.convert(value)], [(extents, dtype)], name=name).outputs[0]


@writable("image.decode")
def _decoded(data: Any, *, name: str, channels: int, wanted: Any) -> Any:
    modes = {1: "L", 3: "RGB", 4: "RGBA"}
    item = data.reshape(()).item() if isinstance(data, np.ndarray) else data
    with _pillow(name).open(io.BytesIO(item)) as opened:
        if channels:
            found = np.asarray(opened.convert(modes[channels]))
        else:
            plain = opened.mode in ("L", "RGB", "RGBA")
            found = np.asarray(opened if plain else opened.convert("RGB"))
    found = found[..., None] if found.ndim == 2 else found
    if wanted.is_floating:
        return (found / 255.0).astype(wanted.numpy)
    return found.astype(np.uint16) * 257 if wanted is dtypes.uint16 else found


@writable("image.encode")
def _encoded(array: Any, *, kind: str, quality: int) -> Any:
    plain = np.asarray(array)
    plain = plain[..., 0] if plain.shape[-1] == 1 else plain
    buffer = io.BytesIO()
    options = {"quality": quality} if kind == "JPEG" else {}
    _pillow(f"encode_{kind.lower()}").fromarray(plain.astype(np.uint8)).save(buffer, kind, **options)
    made = np.empty((), object)
    made[()] = buffer.getvalue()
    return made


def _decoder(type_name: str) -> Callable[..., Any]:
    def decode(
        contents: Any,
        channels: int = 0,
        ratio: int = 1,
        fancy_upscaling: bool = True,
        try_recover_truncated: bool = False,
        acceptable_fraction: float = 1,
        dct_method: str = "",
        dtype: Any = dtypes.uint8,
        name: str | None = None,
        expand_animations: bool = True,
    ) -> Any:
        wanted = dtypes.as_dtype(getattr(dtype, "name", dtype))
        read = functools.partial(_decoded, name=type_name, channels=channels, wanted=wanted)
        known = (None, None, channels or None)
        return _on_host(type_name, read, contents, known, wanted, name)

    decode.__name__ = decode.__qualname__ = type_name
    decode.__doc__ = f"``{type_name}``: an encoded image as [height, width, channels]."
    return decode


decode_jpeg, decode_png, decode_image = _decoder("decode_jpeg"), _decoder("decode_png"), _decoder("decode_image")
decode_bmp = _decoder("decode_bmp")


@writable("image.decode_gif")
def _decode_gif_read(data: Any) -> Any:
    from PIL import ImageSequence

    item = data.reshape(()).item() if isinstance(data, np.ndarray) else data
    with _pillow("decode_gif").open(io.BytesIO(item)) as opened:
        return np.stack([np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(opened)])


def decode_gif(contents: Any, name: str | None = None) -> Any:
    """The frames of a GIF, [frames, height, width, 3]."""
    return _on_host("decode_gif", _decode_gif_read, contents, (None, None, None, 3), dtypes.uint8, name)


def _encoder(kind: str) -> Callable[..., Any]:
    def encode(
        image: Any, *args: Any, quality: int = 95, compression: int = -1, name: str | None = None, **ignored: Any
    ) -> Any:
        write = functools.partial(_encoded, kind=kind, quality=quality)
        return _on_host(f"Encode{kind.capitalize()}", write, image, (), dtypes.string, name)

    encode.__name__ = encode.__qualname__ = f"encode_{kind.lower()}"
    encode.__doc__ = f"An image as the bytes of a {kind} file."
    return encode


encode_jpeg, encode_png = _encoder("JPEG"), _encoder("PNG")


def is_jpeg(contents: Any, name: str | None = None) -> Any:
    """Whether the bytes begin as a JPEG file does."""
    return tf.equal(tf.strings.substr(contents, 0, 3), b"\xff\xd8\xff")


@writable("image.draw_bounding_boxes")
def _drawn(x: Any, given: Any, *, shades: Any) -> Any:
    out = np.array(x)
    for image, listed in zip(out, np.asarray(given), strict=True):
        h, w, c = image.shape
        for i, (top, left, bottom, right) in enumerate(listed):
            r1, r2 = (int(np.clip(round(v * (h - 1)), 0, h - 1)) for v in (top, bottom))
            c1, c2 = (int(np.clip(round(v * (w - 1)), 0, w - 1)) for v in (left, right))
            shade = shades[i % len(shades)][:c] if c != 1 else shades[i % len(shades)][:1]
            image[r1, c1 : c2 + 1] = image[r2, c1 : c2 + 1] = shade
            image[r1 : r2 + 1, c1] = image[r1 : r2 + 1, c2] = shade
    return out


def draw_bounding_boxes(images: Any, boxes: Any, colors: Any = None, name: str | None = None) -> Any:
    """Images with frames drawn on them; boxes [batch, n, 4]: top, left, bottom, right, of 0..1."""
    default = [[1, 1, 0, 1], [0, 0, 1, 1], [1, 0, 0, 1], [0, 1, 0, 1], [0.5, 0, 0.5, 1], [0.5, 0.5, 0, 1]]
    shades = np.asarray(default if colors is None else _plain(colors), np.float32)
    draw = functools.partial(_drawn, shades=shades)
    x, b = convert_to_tensor(images), convert_to_tensor(boxes)
    graph = mode.graph_for((x, b))
    if graph is None:
        return convert_to_tensor(draw(x._host(), b._host()))
    kind = HostCallKind(draw, pure=True, type_name="DrawBoundingBoxes")
    return graph.add(kind, [graph.convert(x), graph.convert(b)], [(x.extents, x.dtype)], name=name).outputs[0]


@writable("image.non_max_suppression")
def _chosen_boxes(given: Any, values: Any, *, limit: int, overlap: float, least: float) -> Any:
    b, s = np.asarray(given, np.float64), np.asarray(values, np.float64)
    low, high = np.minimum(b[:, :2], b[:, 2:]), np.maximum(b[:, :2], b[:, 2:])
    area = np.prod(high - low, axis=1)
    kept: list[int] = []
    for i in np.argsort(-s, kind="stable"):
        if len(kept) == limit or s[i] <= least:
            break
        shared = np.prod(np.maximum(np.minimum(high[i], high[kept]) - np.maximum(low[i], low[kept]), 0), axis=-1)
        if not kept or (shared / np.maximum(area[i] + area[kept] - shared, 1e-12)).max() <= overlap:
            kept.append(int(i))
    return np.asarray(kept, np.int32)


def non_max_suppression(
    boxes: Any,
    scores: Any,
    max_output_size: Any,
    iou_threshold: float = 0.5,
    score_threshold: float = -np.inf,
    name: str | None = None,
) -> Any:
    """The numbers of the boxes that are left when of overlapping ones only the best is kept."""
    limit = int(_plain(max_output_size))
    choose = functools.partial(
        _chosen_boxes, limit=limit, overlap=float(_plain(iou_threshold)), least=float(_plain(score_threshold))
    )
    graph = mode.graph_for((boxes, scores))
    if graph is None:
        return convert_to_tensor(choose(convert_to_tensor(boxes)._host(), convert_to_tensor(scores)._host()))
    kind = HostCallKind(choose, pure=True, type_name="NonMaxSuppressionV3")
    return graph.add(kind, [graph.convert(boxes), graph.convert(scores)], [((None,), dtypes.int32)], name=name).outputs[
        0
    ]


__all__ = sorted(
    n for n, v in list(globals().items())
    if not n.startswith("_") and (callable(v) and getattr(v, "__module__", "") in (__name__, "corenn_tensorflow.mode"))
)  # fmt: skip
__getattr__ = guard(__name__)
