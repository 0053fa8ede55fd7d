"""Reductions, cumulative sums and where extrema lie; with the argument names of all generations."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import corenn
from corenn_tensorflow import mode
from corenn_tensorflow.framework import as_dtype
from corenn_tensorflow.functions.calling import composite, either, operand, python_value
from corenn_tensorflow.writing import writable


def _axes(axis: Any, reduction_indices: Any) -> Any:
    return python_value(either(axis, reduction_indices, "axis", "reduction_indices"))


def _kept(keepdims: Any, keep_dims: Any) -> bool:
    return bool(either(keepdims, keep_dims, "keepdims", "keep_dims"))


def _reduction(type_name: str, function: Callable[..., Any], doc: str, name_of: str) -> Callable[..., Any]:
    def first(
        input_tensor: Any, axis: Any = None, keepdims: Any = None, name: str | None = None,
        reduction_indices: Any = None, keep_dims: Any = None,
    ) -> Any:  # fmt: skip
        x = operand(input_tensor)
        axes = _axes(axis, reduction_indices)
        return mode.one(type_name, name, function, x, axis=axes, keepdims=_kept(keepdims, keep_dims))

    first.__doc__, first.__name__, first.__qualname__ = doc, name_of, name_of
    return first


reduce_sum = _reduction("Sum", corenn.sum, "The sum along axes (all by default).", "reduce_sum")
reduce_prod = _reduction("Prod", corenn.prod, "The product along axes.", "reduce_prod")
reduce_max = _reduction("Max", corenn.max, "The greatest along axes.", "reduce_max")
reduce_min = _reduction("Min", corenn.min, "The least along axes.", "reduce_min")
reduce_all = _reduction("All", corenn.all, "Whether all hold along axes.", "reduce_all")
reduce_any = _reduction("Any", corenn.any, "Whether one holds along axes.", "reduce_any")
reduce_logsumexp = _reduction("LogSumExp", corenn.logsumexp, "log(sum(exp(x))) along axes, without overflow.",
                              "reduce_logsumexp")  # fmt: skip


def _mean(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    if x.dtype.is_inexact:
        return corenn.mean(x, axis=axis, keepdims=keepdims)
    # Integers: the sum divided towards zero, as TensorFlow's kernel does.
    wide = corenn.mean(corenn.cast(x, dtype="float64"), axis=axis, keepdims=keepdims)
    return corenn.cast(corenn.trunc(wide), dtype=x.dtype)


reduce_mean = _reduction("Mean", _mean, "The mean along axes; of integers, rounded towards zero.", "reduce_mean")
reduce_variance = _reduction("Variance", corenn.variance, "The variance along axes, biased.", "reduce_variance")
reduce_std = _reduction("Std", corenn.std, "The standard deviation along axes, biased.", "reduce_std")


def _euclidean(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    return corenn.sqrt(corenn.sum(corenn.square(x), axis=axis, keepdims=keepdims))


reduce_euclidean_norm = _reduction("EuclideanNorm", _euclidean, "sqrt(sum(x*x)) along axes.", "reduce_euclidean_norm")


def count_nonzero(
    input_tensor: Any = None, axis: Any = None, keepdims: Any = None, dtype: Any = "int64", name: str | None = None,
    reduction_indices: Any = None, keep_dims: Any = None, input: Any = None,
) -> Any:  # fmt: skip
    """How many elements are not zero, along axes."""
    x = operand(input_tensor if input_tensor is not None else input)
    with mode.scope(name, "count_nonzero", x):
        found = corenn.count_nonzero(x, axis=_axes(axis, reduction_indices), keepdims=_kept(keepdims, keep_dims))
        return corenn.cast(found, dtype=as_dtype(dtype))


@writable("place")
def _place_as(values: Any, *, least: bool, axis: int, dtype: Any) -> Any:
    return corenn.cast((corenn.argmin if least else corenn.argmax)(values, axis=axis), dtype=dtype)


def _place(type_name: str, least: bool, doc: str) -> Callable[..., Any]:
    function = corenn.argmin if least else corenn.argmax

    def call(
        input: Any, axis: Any = None, name: str | None = None, dimension: Any = None,
        output_type: Any = "int64",
    ) -> Any:  # fmt: skip
        if not isinstance(name, (str, type(None))):  # generation 2 has the type in the third place
            name, output_type = None, name
        x = operand(input)
        if x.dtype.name == "bool":  # False < True
            x = corenn.cast(x, dtype="int32")
        along = python_value(either(axis, dimension, "axis", "dimension"))
        wanted = as_dtype(output_type)
        if wanted.name == "int64":
            return mode.one(type_name, name, function, x, axis=0 if along is None else along)
        return composite(
            type_name,
            name,
            functools.partial(_place_as, least=least, axis=0 if along is None else along, dtype=wanted),
            x,
        )

    call.__doc__ = doc
    return call


argmax = _place("ArgMax", False, "Where the greatest element lies along ``axis`` (0 by default).")
argmin = _place("ArgMin", True, "Where the least element lies along ``axis`` (0 by default).")
arg_max, arg_min = argmax, argmin


def _cumulative(type_name: str, function: Callable[..., Any], doc: str) -> Callable[..., Any]:
    def call(x: Any, axis: Any = 0, exclusive: bool = False, reverse: bool = False, name: str | None = None) -> Any:
        x = operand(x)
        return mode.one(type_name, name, function, x, axis=python_value(axis), exclusive=exclusive, reverse=reverse)

    call.__doc__ = doc
    return call


cumsum = _cumulative("Cumsum", corenn.cumsum, "The sum of all elements up to each along ``axis``.")
cumprod = _cumulative("Cumprod", corenn.cumprod, "The product of all elements up to each along ``axis``.")


@writable("cumulative_logsumexp")
def _cumulative_logsumexp_of(values: Any, *, axis: int, exclusive: bool, reverse: bool) -> Any:
    top = corenn.max(values, axis=axis, keepdims=True)
    sums = corenn.cumsum(corenn.exp(values - top), axis=axis, exclusive=exclusive, reverse=reverse)
    return corenn.log(sums) + top


def cumulative_logsumexp(
    x: Any, axis: int = 0, exclusive: bool = False, reverse: bool = False, name: str | None = None
) -> Any:
    """log of the cumulative sum of exp(x), without overflow."""
    return composite(
        "CumulativeLogsumexp",
        name,
        functools.partial(_cumulative_logsumexp_of, axis=axis, exclusive=exclusive, reverse=reverse),
        operand(x),
    )


__all__ = [
    "arg_max", "arg_min", "argmax", "argmin", "count_nonzero", "cumprod", "cumsum", "cumulative_logsumexp",
    "reduce_all", "reduce_any", "reduce_euclidean_norm", "reduce_logsumexp", "reduce_max", "reduce_mean", "reduce_min",
    "reduce_prod", "reduce_std", "reduce_sum", "reduce_variance",
]  # fmt: skip
