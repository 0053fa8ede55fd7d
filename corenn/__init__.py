"""corenn: a deep-learning framework whose core knows no array library.

Ops, tensors and gradients are here; ``corenn.nn``, ``random``, ``linalg`` and ``image`` hold the others.  Layers,
models, optimizers, data and the rest are in modules loaded when first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from corenn import image, linalg, nn, random
from corenn.advice import missing_name
from corenn.autodiff import (
    GradientTape,
    check_gradients,
    custom_gradient,
    grad,
    hessian,
    jacobian,
    value_and_grad,
    vjp,
)
from corenn.device import Device, current_device, device, set_default_device
from corenn.dtypes import (
    DType,
    as_dtype,
    bfloat16,
    bool_,
    complex64,
    complex128,
    float16,
    float32,
    float64,
    int8,
    int16,
    int32,
    int64,
    uint8,
    uint16,
    uint32,
    uint64,
)
from corenn.errors import CorennError
from corenn.ops.arranging import diag, diag_embed, diagonal, flip, meshgrid, pad, repeat, roll, tile, trace, tril, triu
from corenn.ops.contraction import dot, inner, matmul, outer, tensordot, vecdot
from corenn.ops.creation import (
    arange,
    asarray,
    eye,
    from_dlpack,
    full,
    full_like,
    linspace,
    ones,
    ones_like,
    tensor,
    zeros,
    zeros_like,
)
from corenn.ops.cumulative import cumprod, cumsum
from corenn.ops.einstein import einsum
from corenn.ops.elementwise import (
    abs,
    add,
    cast,
    ceil,
    clip,
    conj,
    divide,
    floor,
    floor_divide,
    identity,
    maximum,
    minimum,
    multiply,
    negative,
    power,
    reciprocal,
    remainder,
    round,
    sign,
    square,
    squared_difference,
    stop_gradient,
    subtract,
    to_device,
    trunc,
    where,
)
from corenn.ops.gathering import argwhere, gather, nonzero, take_along_axis
from corenn.ops.indexing import boolean_mask, gather_nd
from corenn.ops.logic import (
    bitwise_and,
    bitwise_invert,
    bitwise_left_shift,
    bitwise_or,
    bitwise_right_shift,
    bitwise_xor,
    equal,
    greater,
    greater_equal,
    isfinite,
    isinf,
    isnan,
    less,
    less_equal,
    logical_and,
    logical_not,
    logical_or,
    logical_xor,
    not_equal,
)
from corenn.ops.reduction import (
    all,
    any,
    argmax,
    argmin,
    count_nonzero,
    logsumexp,
    max,
    mean,
    median,
    min,
    prod,
    std,
    sum,
    variance,
)
from corenn.ops.scatter import index_add, index_update, one_hot, scatter_add, scatter_nd, scatter_set
from corenn.ops.segments import (
    bincount,
    histogram_fixed_width,
    segment_max,
    segment_mean,
    segment_min,
    segment_prod,
    segment_sum,
)
from corenn.ops.shaping import (
    atleast_1d,
    atleast_2d,
    broadcast_to,
    concat,
    concatenate,
    expand_dims,
    matrix_transpose,
    moveaxis,
    ravel,
    reshape,
    split,
    squeeze,
    stack,
    swapaxes,
    transpose,
    unstack,
)
from corenn.ops.sorting import argsort, searchsorted, sort, top_k, unique, unique_all, unique_counts, unique_inverse
from corenn.ops.transcendental import (
    acos,
    acosh,
    angle,
    asin,
    asinh,
    atan,
    atan2,
    atanh,
    cbrt,
    cos,
    cosh,
    digamma,
    erf,
    erfc,
    erfinv,
    exp,
    exp2,
    expm1,
    hypot,
    lgamma,
    log,
    log1p,
    log2,
    log10,
    logaddexp,
    polygamma,
    rsqrt,
    sin,
    sinc,
    sinh,
    sqrt,
    tan,
    tanh,
    xlogy,
)
from corenn.ops.transcendental import imaginary_part as imag
from corenn.ops.transcendental import real_part as real
from corenn.spec import Spec
from corenn.tensor import Tensor
from corenn.variable import Variable

if TYPE_CHECKING:
    from corenn import (
        activations,
        backend,
        checkpoint,
        constraints,
        data,
        graph,
        initializers,
        layers,
        losses,
        metrics,
        mixed_precision,
        optimizers,
        plugin,
        regularizers,
        schedules,
        summary,
        testing,
        training,
    )
    from corenn.graph import case, cond, fold, map_fn, py_function, scan, shape, while_loop
    from corenn.graph.function import function
    from corenn.training import Model, Sequential

__version__ = "0.1.0"

#: Where the names are that are loaded when first used, other than modules.
_LATER = {
    **dict.fromkeys(("Model", "Sequential"), "corenn.training"),
    **dict.fromkeys(("case", "cond", "fold", "map_fn", "py_function", "scan", "shape", "while_loop"), "corenn.graph"),
    "function": "corenn.graph.function",
}


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(importlib.import_module(_LATER[name]), name)
    if name in __all__:  # what else is public and not here yet is a module
        return importlib.import_module(f"corenn.{name}")
    raise missing_name("corenn", name, __all__)


def __dir__() -> list[str]:
    return sorted(__all__)


__all__ = [
    "CorennError", "DType", "Device", "GradientTape", "Model", "Sequential", "Spec", "Tensor", "Variable",
    "__version__", "abs", "acos", "acosh", "activations", "add", "all", "angle", "any", "arange", "argmax", "argmin",
    "argsort", "argwhere", "as_dtype", "asarray", "asin", "asinh", "atan", "atan2", "atanh", "atleast_1d", "atleast_2d",
    "backend", "bfloat16", "bincount", "bitwise_and", "bitwise_invert", "bitwise_left_shift", "bitwise_or",
    "bitwise_right_shift", "bitwise_xor", "bool_", "boolean_mask", "broadcast_to", "case", "cast", "cbrt", "ceil",
    "check_gradients", "checkpoint", "clip", "complex64", "complex128", "concat", "concatenate", "cond", "conj",
    "constraints", "cos", "cosh", "count_nonzero", "cumprod", "cumsum", "current_device", "custom_gradient", "data",
    "device", "diag", "diag_embed", "diagonal", "digamma", "divide", "dot", "einsum", "equal", "erf", "erfc", "erfinv",
    "exp", "exp2", "expand_dims", "expm1", "eye", "flip", "float16", "float32", "float64", "floor", "floor_divide",
    "fold", "from_dlpack", "full", "full_like", "function", "gather", "gather_nd", "grad", "graph", "greater",
    "greater_equal", "hessian", "histogram_fixed_width", "hypot", "identity", "imag", "image", "index_add",
    "index_update", "initializers", "inner", "int8", "int16", "int32", "int64", "isfinite", "isinf", "isnan",
    "jacobian", "layers", "less", "less_equal", "lgamma", "linalg", "linspace", "log", "log1p", "log2", "log10",
    "logaddexp", "logical_and", "logical_not", "logical_or", "logical_xor", "logsumexp", "losses", "map_fn", "matmul",
    "matrix_transpose", "max", "maximum", "mean", "median", "meshgrid", "metrics", "min", "minimum", "mixed_precision",
    "moveaxis", "multiply", "negative", "nn", "nonzero", "not_equal", "one_hot", "ones", "ones_like", "optimizers",
    "outer", "pad", "plugin", "polygamma", "power", "prod", "py_function", "random", "ravel", "real", "reciprocal",
    "regularizers", "remainder", "repeat", "reshape", "roll", "round", "rsqrt", "scan", "scatter_add", "scatter_nd",
    "scatter_set", "schedules", "searchsorted", "segment_max", "segment_mean", "segment_min", "segment_prod",
    "segment_sum", "set_default_device", "shape", "sign", "sin", "sinc", "sinh", "sort", "split", "sqrt", "square",
    "squared_difference", "squeeze", "stack", "std", "stop_gradient", "subtract", "sum", "summary", "swapaxes",
    "take_along_axis", "tan", "tanh", "tensor", "tensordot", "testing", "tile", "to_device", "top_k", "trace",
    "training", "transpose", "tril", "triu", "trunc", "uint8", "uint16", "uint32", "uint64", "unique", "unique_all",
    "unique_counts", "unique_inverse", "unstack", "value_and_grad", "variance", "vecdot", "vjp", "where", "while_loop",
    "xlogy", "zeros", "zeros_like",
]  # fmt: skip
