"""Images whose pixels come from elsewhere: under a map of the plane for each image, or cut out at a place of its own.

A map takes the place (x, y) of a pixel of the result, column before row and pixel centres at whole numbers, to a place
in the operand, as TensorFlow's ``ImageProjectiveTransformV3`` has it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from corenn.dtypes import FLOATING, INTEGER, REAL, bfloat16, float16, float32, float64, int64
from corenn.errors import AttributeValueError, DTypeError, ShapeError, nearest
from corenn.ops.arranging import pad
from corenn.ops.creation import tensor
from corenn.ops.elementwise import (
    abs as absolute,
)
from corenn.ops.elementwise import (
    add,
    cast,
    clip,
    divide,
    floor,
    minimum,
    multiply,
    remainder,
    round,
    subtract,
    where,
)
from corenn.ops.gathering import gather
from corenn.ops.logic import equal, less, less_equal, logical_not
from corenn.ops.sampling import Arg, error, integer, literal, real, sample
from corenn.ops.shaping import expand_dims, reshape
from corenn.ops.table import Call, TensorLike, op
from corenn.ops.windows import set_ints
from corenn.spec import Spec
from corenn.tensor import Tensor

FILL_MODES = ("constant", "nearest", "reflect", "wrap")
INTERPOLATIONS = ("bilinear", "nearest")


def _images(call: Call, x: Spec) -> None:
    if x.ndim != 4:
        hint = "a batch axis can be added: x[None]" if x.ndim == 3 else None
        raise call.shape_error("takes images [batch, height, width, channels]", hint, x=f"has {x.ndim} axes")


def _beside(call: Call, x: Spec, given: Spec, widths: tuple[int, ...], name: str) -> None:
    """Check that ``given`` has a row (of one of ``widths`` numbers) for each image, or one for all."""
    if given.ndim != 2 or given.shape[1] not in (*widths, None):
        numbers = " or ".join(map(str, widths))
        raise call.shape_error(f"{name} has {numbers} numbers for each image: [batch, {numbers}]", **{name: ""})
    if None not in (given.shape[0], x.shape[0]) and given.shape[0] not in (1, x.shape[0]):
        raise call.shape_error(f"{name} has a row for each image, or one for all", x="", **{name: ""})


def _transform(call: Call, x: Spec, matrices: Spec) -> Spec:
    _images(call, x)
    _beside(call, x, matrices, (6, 8), "matrices")
    if call.attrs["size"] is None:
        call.attrs["size"] = x.shape[1:3]
    size: Any = call.attrs["size"] if None in call.attrs["size"] else set_ints(call, "size", 2)
    for name, known in (("interpolation", INTERPOLATIONS), ("fill_mode", FILL_MODES)):
        if call.attrs[name] not in known:
            raise call.attribute_error(f"there is no such {name}", nearest(str(call.attrs[name]), known), **{name: ""})
    if call.attrs["interpolation"] == "bilinear" and x.dtype not in FLOATING:
        hint = "corenn.cast(x, ...), or interpolation='nearest'"
        raise call.dtype_error(f"bilinear interpolation needs floating elements, not {x.dtype}", hint, x="")
    if 0 in x.shape[1:3]:
        raise call.shape_error("there are no pixels to take", x="")
    return Spec((x.shape[0], *size, x.shape[3]), x.dtype)


@op(infer=_transform, dtypes={"x": REAL, "matrices": FLOATING}, namespace="image")
def transform(
    x: TensorLike, matrices: TensorLike, /, *, size: tuple[int, int] | None = None, interpolation: str = "bilinear",
    fill_mode: str = "constant", fill_value: float = 0.0,
) -> Tensor:  # fmt: skip
    """Images [n, h, w, c] under maps of the plane: pixel (x, y) of a result is what the image has at
    ``((a0 x + a1 y + a2) / k, (b0 x + b1 y + b2) / k)`` with ``k = c0 x + c1 y + 1``; x counts columns, y rows.

    ``matrices``: floating [n, 8] or [1, 8]: a0, a1, a2, b0, b1, b2, c0, c1; or [.., 6], without the last two, for
    affine maps.  ``size``: height and width of the results, by default those of ``x``.  ``interpolation``: "bilinear",
    or "nearest" for any real dtype.  ``fill_mode`` says what lies outside: "constant" (``fill_value``), "nearest" (the
    edge, continued), "reflect" (``d c b a | a b c d | d c b a``) or "wrap" (``a b c d | a b c d | a b c d``; nothing
    is interpolated across the seam).

    Gradients flow to the images and the matrices.  Raises ShapeError, AttributeValueError for unknown modes, DTypeError
    for integers with "bilinear".  Source: TensorFlow's ``ImageProjectiveTransformV3``.
    """


def _inside(place: Tensor, extent: int, mode: str) -> Tensor:
    """Positions outside of ``[0, extent - 1]`` brought inside, as ``mode`` has it."""
    if mode == "wrap":  # as TensorFlow counts: turns are measured without the last pixel, and made with it
        last = float(max(extent - 1, 1))
        turns = floor(divide(absolute(place), last))
        low = add(place, multiply(add(turns, 1.0), float(extent)))
        high = subtract(place, multiply(turns, float(extent)))
        found = where(less(place, 0.0), low, where(less_equal(place, last), place, high))
        return clip(found, min=0.0, max=float(extent - 1))
    if mode == "reflect":
        period = 2.0 * extent
        folded = remainder(add(place, 0.5), period)
        return subtract(minimum(folded, subtract(period, folded)), 0.5)
    return place


def _places(matrices: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor | None]:
    """Where each pixel comes from: x and y, [1 or n, *size], and where that is nowhere (``None``: it never is)."""
    count, numbers = matrices.spec.static
    kind, place = matrices.dtype, matrices.spec.device
    across = tensor(np.arange(size[1]).reshape(1, 1, -1), kind, device=place)
    down = tensor(np.arange(size[0]).reshape(1, -1, 1), kind, device=place)
    part = [reshape(matrices[:, i], shape=(count, 1, 1)) for i in range(numbers)]
    x, y = (add(add(multiply(part[i], across), multiply(part[i + 1], down)), part[i + 2]) for i in (0, 3))
    if numbers == 6:
        return x, y, None
    scale = add(add(multiply(part[6], across), multiply(part[7], down)), 1.0)
    nowhere = equal(scale, 0.0)
    scale = where(nowhere, 1.0, scale)
    return divide(x, scale), divide(y, scale), nowhere


@transform.decompose
def _(
    x: Tensor, matrices: Tensor, *, size: tuple[int, int], interpolation: str, fill_mode: str, fill_value: float
) -> Tensor:
    dtype, place = x.dtype, x.spec.device
    count, height, width, channels = x.spec.static
    if interpolation == "bilinear" and dtype in (float16, bfloat16):
        x = cast(x, dtype=float32)
    # Places need more digits than half precision has, and as many as the values they weigh.
    wide = float64 if float64 in (x.dtype, matrices.dtype) else float32
    columns, rows, nowhere = _places(cast(matrices, dtype=wide), size)
    rows, columns = _inside(rows, height, fill_mode), _inside(columns, width, fill_mode)
    border = int(fill_mode == "constant")
    if border:  # a frame of what lies outside, which all places beyond it are moved to
        filling = int(fill_value) if dtype.is_integer else fill_value
        x = pad(x, widths=((0, 0), (1, 1), (1, 1), (0, 0)), value=filling)
    line = width + 2 * border
    each = (height + 2 * border) * line  # pixels of an image
    flat = reshape(x, shape=(count * each, channels))
    first = tensor(np.arange(count).reshape(-1, 1, 1) * each + border * (line + 1), int64, device=place)

    def row(at: Tensor) -> Tensor:
        held = cast(clip(at, min=-float(border), max=height - 1.0 + border), dtype=int64)
        return add(first, multiply(held, line))

    def column(at: Tensor) -> Tensor:
        return cast(clip(at, min=-float(border), max=width - 1.0 + border), dtype=int64)

    def pixels(row: Tensor, column: Tensor) -> Tensor:
        return gather(flat, add(row, column), axis=0)

    if interpolation == "nearest":
        found = pixels(row(round(rows)), column(round(columns)))
    else:
        top, left = floor(rows), floor(columns)
        down, right = (
            cast(expand_dims(subtract(a, b), axis=-1), dtype=x.dtype) for a, b in ((rows, top), (columns, left))
        )
        rest_down, rest_right = subtract(1.0, down), subtract(1.0, right)
        one, next_one, near, far = row(top), row(add(top, 1.0)), column(left), column(add(left, 1.0))
        upper = add(multiply(pixels(one, near), rest_right), multiply(pixels(one, far), right))
        lower = add(multiply(pixels(next_one, near), rest_right), multiply(pixels(next_one, far), right))
        found = add(multiply(upper, rest_down), multiply(lower, down))
    if nowhere is not None:
        found = where(expand_dims(logical_not(nowhere), axis=-1), found, fill_value)
    return cast(found, dtype=dtype)


# ---------------------------------------------------------------- windows


def _crop_at(call: Call, x: Spec, corners: Spec) -> Spec:
    _images(call, x)
    _beside(call, x, corners, (2,), "corners")
    size = set_ints(call, "size", 2)
    if any(n is not None and n < wanted for n, wanted in zip(x.shape[1:3], size, strict=True)):
        raise call.shape_error("the images are smaller than the parts to cut out", x="", size="")
    return Spec((x.shape[0], *size, x.shape[3]), x.dtype)


@op(infer=_crop_at, dtypes={"corners": INTEGER}, namespace="image")
def crop_at(x: TensorLike, corners: TensorLike, /, *, size: int | tuple[int, int]) -> Tensor:
    """From each of the images [n, h, w, c] the part of height and width ``size`` whose first pixel is at ``corners``.

    ``corners``: integers [n, 2] or [1, 2], row and column; moved so that the part lies inside the image.  Any dtype,
    which stays.  Raises ShapeError when an image is smaller than ``size``.
    """


@crop_at.decompose
def _(x: Tensor, corners: Tensor, *, size: tuple[int, int]) -> Tensor:
    place = x.spec.device
    count, height, width, channels = x.spec.static
    corners = cast(corners, dtype=int64)
    rows, columns = (
        add(
            clip(reshape(corners[:, i], shape=(-1, 1, 1)), min=0, max=extent - wanted),
            tensor(np.arange(wanted).reshape((1, -1, 1) if i == 0 else (1, 1, -1)), int64, device=place),
        )
        for i, (extent, wanted) in enumerate(zip((height, width), size, strict=True))
    )
    first = tensor(np.arange(count).reshape(-1, 1, 1) * (height * width), int64, device=place)
    flat = reshape(x, shape=(count * height * width, channels))
    return gather(flat, add(add(first, multiply(rows, width)), columns), axis=0)


# ---------------------------------------------------------------- samples and references


def _maps(count: int, numbers: int, dtype: str | None = None) -> Arg:
    """Maps near the identity, so that places lie inside and outside."""

    def draw(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
        start = np.array([1.0, 0.2, -0.37, -0.3, 0.9, 0.61, 0.02, -0.03])[:numbers]
        return np.asarray(start + generator.uniform(-1, 1, shape) * np.where(np.arange(numbers) < 6, 0.17, 0.01))

    return Arg((count, numbers), draw, dtype)


_images_of = real(shape=(2, 4, 5, 2))
transform.samples(
    sample(_images_of, _maps(2, 6), kinds="f"),
    sample(_images_of, _maps(1, 8), size=(3, 7), kinds="f", fill_value=0.5),
    sample(_images_of, _maps(2, 6), fill_mode="reflect", kinds="f"),
    sample(_images_of, _maps(2, 8), fill_mode="nearest", kinds="f"),
    sample(_images_of, _maps(2, 6), fill_mode="wrap", kinds="f", grad=False),
    sample(_images_of, _maps(1, 6, "float32"), fill_mode="reflect", interpolation="nearest", kinds="f"),
    sample(
        integer(shape=(2, 4, 5, 2)),
        literal([[0.0, 1, 0, -1, 0, 3], [1, 0, -2, 0, 1, 1]], "float32"),
        interpolation="nearest",
        fill_value=7,
        grad=False,
    ),
    sample(real(shape=(1, 3, 3, 1)), literal([[1.0, 0, 0, 0, 1, 0, -1, 0]]), grad=False, kinds="f", name="nowhere"),
    sample(real(shape=(0, 3, 3, 1)), _maps(1, 6), kinds="f", name="empty"),
)
transform.error_samples(
    error(ShapeError, "takes images", real(shape=(3, 4, 2)), _maps(1, 6)),
    error(ShapeError, "6 or 8 numbers", real(shape=(2, 3, 4, 2)), real(shape=(2, 5))),
    error(ShapeError, "one for all", real(shape=(2, 3, 4, 2)), _maps(3, 6)),
    error(ShapeError, "no pixels", real(shape=(2, 0, 4, 2)), _maps(1, 6), size=(2, 2)),
    error(AttributeValueError, "did you mean 'reflect'", _images_of, _maps(2, 6), fill_mode="reflected"),
    error(AttributeValueError, "no such interpolation", _images_of, _maps(2, 6), interpolation="bicubic"),
    error(AttributeValueError, "size must be", _images_of, _maps(2, 6), size=(0, 2)),
    error(DTypeError, "needs floating", integer(shape=(2, 4, 5, 2)), _maps(2, 6)),
)


def _reached(place: float, extent: int, mode: str) -> float:
    """The position that a position outside stands for; ``nan`` for none."""
    if mode == "reflect":
        while not -0.5 <= place < extent - 0.5:
            place = -1 - place if place < 0 else 2 * extent - 1 - place
    if mode == "wrap":
        turns = math.floor(abs(place) / max(extent - 1, 1))
        place += extent * ((turns + 1) if place < 0 else -turns if place > max(extent - 1, 1) else 0)
        place = min(max(place, 0), extent - 1)
    return place


@transform.reference
def _(x: Any, matrices: Any, *, size: Any, interpolation: str, fill_mode: str, fill_value: float) -> Any:
    extents = x.shape[1:3]
    out = np.full((len(x), *(size or extents), x.shape[3]), fill_value, np.float64)
    for n, i, j in np.ndindex(out.shape[:3]):
        a = np.zeros(8)
        a[: matrices.shape[1]] = matrices[n % len(matrices)]
        k = a[6] * j + a[7] * i + 1
        if k == 0:
            continue
        places = [(a[3] * j + a[4] * i + a[5]) / k, (a[0] * j + a[1] * i + a[2]) / k]
        places = [_reached(p, extent, fill_mode) for p, extent in zip(places, extents, strict=True)]
        corner = [float(np.rint(p)) if interpolation == "nearest" else math.floor(p) for p in places]
        total = np.zeros(x.shape[3])
        for step in [(0, 0)] if interpolation == "nearest" else np.ndindex(2, 2):
            at = [int(c + s) for c, s in zip(corner, step, strict=True)]
            part = math.prod(
                1.0 if interpolation == "nearest" else 1 - abs(p - q) for p, q in zip(places, at, strict=True)
            )
            held = [min(max(q, 0), extent - 1) for q, extent in zip(at, extents, strict=True)]
            total += part * (fill_value if fill_mode == "constant" and held != at else x[n, held[0], held[1]])
        out[n, i, j] = total
    return out.astype(x.dtype) if x.dtype.kind in "iu" else out


crop_at.samples(
    sample(real(shape=(3, 4, 5, 2)), literal([[0, 1], [1, 2], [-3, 9]], "int32"), size=(3, 2)),
    sample(real(shape=(2, 4, 5, 1)), literal([[1, 0]], "int64"), size=2),
    sample(real(shape=(0, 4, 5, 1)), literal([[1, 0]], "int64"), size=2, name="empty"),
)
crop_at.error_samples(
    error(ShapeError, "takes images", real(shape=(4, 5, 1)), literal([[1, 0]], "int64"), size=2),
    error(ShapeError, "smaller than", real(shape=(2, 4, 5, 1)), literal([[1, 0]], "int64"), size=(5, 5)),
    error(ShapeError, "2 numbers for each image", real(shape=(2, 4, 5, 1)), literal([1, 0], "int64"), size=2),
    error(AttributeValueError, "size must be", real(shape=(2, 4, 5, 1)), literal([[1, 0]], "int64"), size=0),
    error(DTypeError, "takes integer", real(shape=(2, 4, 5, 1)), real(shape=(2, 2)), size=2),
)


@crop_at.reference
def _(x: Any, corners: Any, *, size: Any) -> Any:
    height, width = (size, size) if isinstance(size, int) else size
    out = []
    for n, image in enumerate(x):
        top, left = corners[n % len(corners)].tolist()
        top, left = min(max(top, 0), image.shape[0] - height), min(max(left, 0), image.shape[1] - width)
        out.append(image[top : top + height, left : left + width])
    return np.array(out, x.dtype).reshape(len(x), height, width, x.shape[3])
