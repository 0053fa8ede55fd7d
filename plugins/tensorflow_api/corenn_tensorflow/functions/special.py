"""Functions of ``tf.math`` that ``tf.`` itself has not."""

from __future__ import annotations

import functools
from typing import Any

import corenn
from corenn_tensorflow import mode
from corenn_tensorflow.framework import matching
from corenn_tensorflow.functions.calling import composite, either, operand, python_value
from corenn_tensorflow.writing import writable


def _sum_of_series(x: Any, order: int) -> Any:
    """The modified Bessel function of small arguments, by its power series."""
    quarter = x * x / 4.0
    term = corenn.ones_like(x) if order == 0 else x / 2.0
    total = term
    for k in range(1, 40):
        term = term * quarter / float(k * (k + order))
        total = total + term
    return total


def _asymptotic(x: Any, order: int) -> Any:
    """exp(-|x|) times the function, of large arguments, by the asymptotic series."""
    size = corenn.abs(x)
    mu = 4.0 * order * order
    term, total = corenn.ones_like(size), corenn.ones_like(size)
    for k in range(1, 12):
        term = term * (-(mu - (2 * k - 1) ** 2)) / (8.0 * k * size)
        total = total + term
    found = total / corenn.sqrt(size * 6.283185307179586)
    return found * corenn.sign(x) if order else found


@writable("bessel")
def _bessel_of(x: Any, *, order: int, scaled: bool) -> Any:
    wide = corenn.cast(x, dtype="float64")
    large = corenn.greater(corenn.abs(wide), 15.0)
    small = corenn.where(large, corenn.ones_like(wide), wide)
    big = corenn.where(large, wide, corenn.full_like(wide, 16.0))
    low = _sum_of_series(small, order)
    if scaled:
        found = corenn.where(large, _asymptotic(big, order), low * corenn.exp(-corenn.abs(small)))
    else:
        found = corenn.where(large, _asymptotic(big, order) * corenn.exp(corenn.abs(big)), low)
    return corenn.cast(found, dtype=x.dtype)


def _bessel(order: int, scaled: bool) -> Any:
    def call(x: Any, name: str | None = None) -> Any:
        return composite(
            f"BesselI{order}{'e' if scaled else ''}",
            name,
            functools.partial(_bessel_of, order=order, scaled=scaled),
            operand(x),
        )

    call.__doc__ = f"The modified Bessel function of order {order}" + (", times exp(-|x|)." if scaled else ".")
    return call


bessel_i0, bessel_i1 = _bessel(0, False), _bessel(1, False)
bessel_i0e, bessel_i1e = _bessel(0, True), _bessel(1, True)


@writable("erfcinv")
def _erfcinv_of(v: Any) -> Any:
    return corenn.erfinv(1.0 - v)


def erfcinv(x: Any, name: str | None = None) -> Any:
    """The inverse of ``erfc``."""
    return composite("Erfcinv", name, _erfcinv_of, operand(x))


@writable("xdivy")
def _xdivy_of(x: Any, y: Any) -> Any:
    zero = corenn.equal(x, 0)
    return corenn.where(zero, corenn.zeros_like(x), corenn.divide(x, corenn.where(zero, corenn.ones_like(y), y)))


@writable("xlog1py")
def _xlog1py_of(x: Any, y: Any) -> Any:
    zero = corenn.equal(x, 0)
    return corenn.where(zero, corenn.zeros_like(x), x * corenn.log1p(corenn.where(zero, corenn.ones_like(y), y)))


def xdivy(x: Any, y: Any, name: str | None = None) -> Any:
    """x / y, and 0 where x is 0."""
    return composite("Xdivy", name, _xdivy_of, *matching("Xdivy", x, y))


def xlog1py(x: Any, y: Any, name: str | None = None) -> Any:
    """x * log(1 + y), and 0 where x is 0."""
    return composite("Xlog1py", name, _xlog1py_of, *matching("Xlog1py", x, y))


def zero_fraction(value: Any, name: str | None = None) -> Any:
    """Which part of the elements is 0."""
    x = operand(value)
    with mode.scope(name, "zero_fraction", x):
        return corenn.mean(corenn.cast(corenn.equal(x, 0), dtype="float32"))


def softmax(logits: Any, axis: Any = None, name: str | None = None, dim: Any = None) -> Any:
    """exp(x) / sum(exp(x)) along an axis, the last by default."""
    along = either(axis, dim, "axis", "dim")
    return mode.one("Softmax", name, corenn.nn.softmax, operand(logits), axis=-1 if along is None else along)


def log_softmax(logits: Any, axis: Any = None, name: str | None = None, dim: Any = None) -> Any:
    """The logarithm of ``softmax``."""
    along = either(axis, dim, "axis", "dim")
    return mode.one("LogSoftmax", name, corenn.nn.log_softmax, operand(logits), axis=-1 if along is None else along)


def l2_normalize(x: Any, axis: Any = None, epsilon: float = 1e-12, name: str | None = None, dim: Any = None) -> Any:
    """x over its norm along axes; the square of the norm is taken to be at least ``epsilon``."""
    along = python_value(either(axis, dim, "axis", "dim"))
    values = operand(x)
    with mode.scope(name, "l2_normalize", values):
        squares = corenn.sum(corenn.square(values), axis=along, keepdims=True)
        return values * corenn.rsqrt(corenn.maximum(squares, epsilon))


__all__ = [
    "bessel_i0", "bessel_i0e", "bessel_i1", "bessel_i1e", "erfcinv", "l2_normalize", "log_softmax", "softmax", "xdivy",
    "xlog1py", "zero_fraction",
]  # fmt: skip
