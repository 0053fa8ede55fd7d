"""Operands described, not drawn: what an op is tested on, kept as light data on its record.

``real(-3, 3)`` says "floating values of the dtype under test between -3 and 3"; the conformance kit, the gradient
checks and the documentation draw actual arrays from it, always the same ones for the same op and sample.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from corenn.dtypes import DType
from corenn.errors import DTypeError, ShapeError


@dataclass(frozen=True)
class Arg:
    """One operand: ``draw(generator, shape)`` gives float64 (or the fixed ``dtype``'s) values."""

    shape: tuple[int, ...]
    draw: Callable[[np.random.Generator, tuple[int, ...]], np.ndarray[Any, Any]]
    dtype: str | None = None  # None: the dtype under test
    plane: bool = False  # in complex dtypes, draw an imaginary part as well

    def values(self, generator: np.random.Generator, dtype: DType) -> np.ndarray[Any, Any]:
        """Draw the operand for one dtype under test.

        Integers under test are rounded away from zero, so that what lies off a pole stays off it (NaN becomes 0);
        unsigned ones are magnitudes; bools say what is positive.  Complex ones get an imaginary part where ``plane``.
        """
        drawn = np.asarray(self.draw(generator, self.shape))
        if self.dtype is not None:
            return drawn.astype(self.dtype)
        if drawn.dtype.kind == "c" and dtype.kind != "c":
            drawn = drawn.real
        if dtype.is_integer:
            if drawn.dtype.kind == "f":
                drawn = np.copysign(np.ceil(np.abs(np.nan_to_num(drawn, posinf=9.0, neginf=-9.0))), drawn)
            drawn = np.abs(drawn) if dtype.kind == "u" else drawn
        elif dtype.kind == "b":
            drawn = drawn > 0
        elif dtype.kind == "c" and self.plane:
            drawn = np.asarray(drawn + 1j * self.draw(generator, self.shape))
        return drawn.astype(dtype.numpy)


@dataclass(frozen=True)
class Sample:
    """Operands and attributes of one call.

    ``grad=False`` where the op is not differentiable at the sample; ``kinds`` are the kinds of dtypes under test that
    it makes sense in (of those the op accepts).
    """

    args: tuple[Arg | None, ...]
    attrs: dict[str, Any]
    grad: bool = True
    name: str = ""
    kinds: str = "biufc"

    def draw(self, op_name: str, dtype: DType) -> list[np.ndarray[Any, Any] | None]:
        """The operands for ``dtype``; the same for the same op, attributes and dtype kind, everywhere."""
        shapes = [a.shape if a else None for a in self.args]
        seed = zlib.crc32(repr((op_name, shapes, sorted(self.attrs), self.name)).encode())
        generator = np.random.Generator(np.random.Philox(seed))
        return [None if a is None else a.values(generator, dtype) for a in self.args]


@dataclass(frozen=True)
class ErrorSample:
    """A call that must be refused: the exception class and a part of its message."""

    exception: type[Exception]
    message: str
    args: tuple[Arg | None, ...]
    attrs: dict[str, Any] = field(default_factory=dict)


def sample(*args: Arg | None, grad: bool = True, name: str = "", kinds: str = "biufc", **attrs: Any) -> Sample:
    """A sample of several operands and attributes (see ``Sample`` for the other keywords)."""
    return Sample(args, attrs, grad, name, kinds)


def error(exception: type[Exception], message: str, *args: Arg | None, **attrs: Any) -> ErrorSample:
    """An error sample; ``message`` must occur in the text of the exception."""
    return ErrorSample(exception, message, args, attrs)


def real(
    low: float = -2.0,
    high: float = 2.0,
    shape: tuple[int, ...] = (3, 4),
    *,
    away: tuple[float, ...] = (),
    gap: float = 0.1,
) -> Arg:
    """Floating values in [low, high), at least ``gap`` from the points ``away`` (kinks, poles), so gradients exist."""

    def draw(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
        values = generator.uniform(low, high, shape)
        for point in away:
            side = np.where(values >= point, 1.0, -1.0)
            values = np.where(np.abs(values - point) < gap, point + side * gap, values)
        return values

    return Arg(tuple(shape), draw, plane=True)


def distinct(low: float = -2.0, high: float = 2.0, shape: tuple[int, ...] = (3, 4)) -> Arg:
    """Floating values evenly spaced in [low, high] in random order: no two equal, so sorting and max are smooth."""

    def draw(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
        return generator.permutation(np.linspace(low, high, max(1, math.prod(shape)))).reshape(shape)

    return Arg(tuple(shape), draw)


def integer(low: int = -5, high: int = 6, shape: tuple[int, ...] = (3, 4), dtype: str | None = "int32") -> Arg:
    """Integers in [low, high) of a fixed dtype (``None``: of the dtype under test)."""
    return Arg(tuple(shape), lambda generator, shape: generator.integers(low, high, shape), dtype)


def boolean(shape: tuple[int, ...] = (3, 4)) -> Arg:
    """Random booleans."""
    return Arg(tuple(shape), lambda generator, shape: generator.integers(0, 2, shape), "bool")


def literal(value: Any, dtype: str | None = None) -> Arg:
    """Exactly these values (``dtype=None``: in the dtype under test)."""
    array = np.asarray(value)
    return Arg(array.shape, lambda generator, shape: array, dtype)


def spd(n: int = 3, batch: tuple[int, ...] = ()) -> Arg:
    """Symmetric positive definite matrices, well conditioned and with distinct eigenvalues."""

    def draw(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
        q, _ = np.linalg.qr(generator.normal(size=shape))
        eigenvalues = np.arange(1, shape[-1] + 1) + generator.uniform(-0.2, 0.2, shape[:-1])
        return np.asarray((q * eigenvalues[..., None, :]) @ np.swapaxes(q, -1, -2))

    return Arg((*batch, n, n), draw)


def empty_like(arg: Arg, axis: int = 0) -> Arg:
    """The same operand with extent 0 along ``axis``."""
    return replace(arg, shape=(*arg.shape[:axis], 0, *arg.shape[axis + 1 :]))


#: What every op of two tensors that broadcasts refuses, and every one that promotes.
NO_BROADCAST = error(ShapeError, "do not broadcast", real(shape=(3, 4)), real(shape=(3,)))
NO_PROMOTION = error(DTypeError, "do not promote", real(), integer())
