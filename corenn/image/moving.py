"""Images turned, moved and enlarged in their frame, whose size stays.

``interpolation`` ("bilinear", or "nearest" for any dtype), ``fill_mode`` and ``fill_value`` are those of
``corenn.image.transform``, which does the work.  An angle, offset or factor is one for all images, or a tensor with one
for each image of a batch; gradients reach both it and the images.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from corenn.dtypes import float32, float64
from corenn.errors import AttributeValueError
from corenn.image._common import batchwise, extents, numbers
from corenn.ops.creation import tensor, zeros_like
from corenn.ops.elementwise import add, cast, reciprocal
from corenn.ops.shaping import stack
from corenn.ops.table import TensorLike
from corenn.ops.transcendental import cos, sin
from corenn.ops.warping import transform
from corenn.tensor import Tensor


def rotate(
    x: TensorLike, angle: Any, *, interpolation: str = "bilinear", fill_mode: str = "constant", fill_value: float = 0.0
) -> Tensor:
    """Images [h, w, c] or [n, h, w, c] turned against the clock around their middle by ``angle`` in radians.

    ``angle``: a number or [n].  Raises AttributeValueError for unknown modes, DTypeError for integers with "bilinear".
    """

    def maps(given: Tensor, height: int, width: int) -> list[Any]:
        return turning(numbers("rotate", "angle", angle, given), height, width)

    return _moved("rotate", x, maps, interpolation, fill_mode, fill_value)


def translate(
    x: TensorLike, offset: Any, *, interpolation: str = "bilinear", fill_mode: str = "constant",
    fill_value: float = 0.0,
) -> Tensor:  # fmt: skip
    """Images [h, w, c] or [n, h, w, c] moved by ``offset`` pixels: down and to the right, also by parts of pixels.

    ``offset``: (rows, columns) for all images, or [n, 2].  Errors as ``rotate``.
    """

    def maps(given: Tensor, height: int, width: int) -> list[Any]:
        down, right = _two("translate", "offset", offset, given)
        return [1.0, 0.0, -right, 0.0, 1.0, -down]

    return _moved("translate", x, maps, interpolation, fill_mode, fill_value)


def zoom(
    x: TensorLike, factor: Any, *, interpolation: str = "bilinear", fill_mode: str = "constant",
    fill_value: float = 0.0,
) -> Tensor:  # fmt: skip
    """What images [h, w, c] or [n, h, w, c] show, ``factor`` times as large around their middle; 1/2 shrinks it.

    ``factor``: a number, (vertical, horizontal), [n] or [n, 2].  AttributeValueError for a number that is not positive;
    other errors as ``rotate``.
    """

    def maps(given: Tensor, height: int, width: int) -> list[Any]:
        tall, wide = _two("zoom", "factor", factor, given)
        if not all(isinstance(f, Tensor) or f > 0 for f in (tall, wide)):
            raise AttributeValueError("zoom", "factor must be positive", {"factor": repr(factor)})
        tall, wide = (reciprocal(f) if isinstance(f, Tensor) else 1 / f for f in (tall, wide))
        return scaling(tall, wide, height, width)

    return _moved("zoom", x, maps, interpolation, fill_mode, fill_value)


def turning(angle: Any, height: int, width: int) -> list[Any]:
    """The map of a turn against the clock by ``angle``, a number or tensor [n], around the middle."""
    c, s = (cos(angle), sin(angle)) if isinstance(angle, Tensor) else (math.cos(angle), math.sin(angle))
    x0, y0 = (width - 1) / 2, (height - 1) / 2
    return [c, -s, x0 - c * x0 + s * y0, s, c, y0 - s * x0 - c * y0]


def scaling(tall: Any, wide: Any, height: int, width: int) -> list[Any]:
    """The map that reads rows ``tall`` and columns ``wide`` times as far from the middle; numbers or tensors [n]."""
    x0, y0 = (width - 1) / 2, (height - 1) / 2
    return [wide, 0.0, x0 - wide * x0, 0.0, tall, y0 - tall * y0]


def _two(where: str, name: str, value: Any, x: Tensor) -> tuple[Any, Any]:
    """Two numbers for all images, or two tensors [n]."""
    if isinstance(value, (tuple, list)) and len(value) == 2 and all(isinstance(v, (int, float)) for v in value):
        return float(value[0]), float(value[1])
    given = numbers(where, name, value, x, each=2)
    if not isinstance(given, Tensor) or given.ndim == 1:
        return given, given
    return given[:, 0], given[:, 1]


def _moved(
    where: str, x: TensorLike, maps: Callable[[Tensor, int, int], list[Any]], interpolation: str, fill_mode: str,
    fill_value: float,
) -> Tensor:  # fmt: skip
    def change(given: Tensor) -> Tensor:
        matrices = matrices_of(maps(given, *extents(where, given)), given)
        return transform(given, matrices, interpolation=interpolation, fill_mode=fill_mode, fill_value=fill_value)

    return batchwise(where, x, change)


def matrices_of(rows: Sequence[Any], x: Tensor) -> Tensor:
    """The numbers of a map (numbers, or tensors [n]) as its matrices, [1 or n, 6]."""
    kind = float64 if x.dtype is float64 else float32
    tensors = [r for r in rows if isinstance(r, Tensor)]
    if not tensors:
        return tensor(np.array([rows]), kind, device=x.spec.device)
    nothing = zeros_like(tensors[0], dtype=kind)
    return stack(*[cast(r, dtype=kind) if isinstance(r, Tensor) else add(nothing, r) for r in rows], axis=1)
