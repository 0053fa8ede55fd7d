"""What ``tf.`` has beside its namespaces: the parts it is gathered from, and the names of before TensorFlow 1.0."""

from __future__ import annotations

from typing import Any

from corenn_tensorflow import (
    adopting,
    dtypes,
    extras,
    framework,
    graph_util,
    initializers,
    scopes,
    session,
    sparse,
    variables,
    version,
)
from corenn_tensorflow.errors import OpError
from corenn_tensorflow.functions import (
    arithmetic,
    arrays,
    checking,
    creating,
    differentiating,
    flow,
    gathering,
    hashing,
    loops,
    moving,
    products,
    randomness,
    reductions,
    running,
    segments,
    slicing,
    special,
    text,
    windows,
)
from corenn_tensorflow.train import toplevel
from corenn_tensorflow.train.meta_graph import MetaGraphDef

_PARTS: tuple[Any, ...] = (
    framework, scopes, session, variables, arithmetic, arrays, checking, creating, differentiating, flow, gathering,
    loops,
    products, randomness, reductions, running, segments, slicing, windows, toplevel,
)  # fmt: skip

#: Names of the parts that are not TensorFlow's, or stand in another namespace.
_INNER = frozenset({
    "OPERATORS", "SCATTER", "EagerVariable", "GraphDef", "RefVariable", "Settings", "TFGraph", "TensorReference",
    "adjoint", "bitwise_and", "bitwise_or", "bitwise_xor", "cumulative_logsumexp", "dimension_value", "divide_no_nan",
    "eager_constant", "expm", "extents_of", "get_default_graph_", "in_top_k", "invert", "is_symbolic", "is_tensor_like",
    "left_shift", "logdet", "make_variable", "matching", "matrix_rank", "matvec", "multiply_no_nan", "ndtri",
    "normalize",
    "pinv", "polyval", "reciprocal_no_nan", "reduce_euclidean_norm", "reduce_std", "reduce_variance", "right_shift",
    "set_seed", "shape_checked", "shown", "slogdet", "softplus", "softsign", "stateless_normal",
    "stateless_truncated_normal", "stateless_uniform", "static_shape", "text_array", "stream", "tf_print", "top_k",
    "erfinv", "xlogy",
    "categorical",
})  # fmt: skip

_INITIALIZERS = (
    "constant", "glorot_normal", "glorot_uniform", "ones", "orthogonal", "random_normal", "random_uniform",
    "truncated_normal", "uniform_unit_scaling", "variance_scaling", "zeros",
)  # fmt: skip

_found: dict[str, Any] = {}
for _part in _PARTS:
    _found.update({name: getattr(_part, name) for name in _part.__all__ if name not in _INNER})
_found.update({name: getattr(dtypes, name) for name in (*dtypes.NAMES, "DType", "QUANTIZED_DTYPES")})
_found.update({f"{name}_initializer": getattr(initializers, f"{name}_initializer") for name in _INITIALIZERS})
_found.update(sparse.TOP)
_found.update(extras.TOP)
_found.update({
    "Graph": framework.TFGraph, "GraphDef": graph_util.GraphDef, "NodeDef": graph_util.NodeDef,
    "MetaGraphDef": MetaGraphDef, "import_graph_def": graph_util.import_graph_def, "OpError": OpError, "newaxis": None,
    "print": checking.tf_print,
    "COMPILER_VERSION": version.COMPILER_VERSION, "GIT_VERSION": version.GIT_VERSION,
    "GRAPH_DEF_VERSION": version.GRAPH_DEF_VERSION, "CXX11_ABI_FLAG": 1, "MONOLITHIC_BUILD": 0,
    "as_string": text.as_string, "string_join": text.string_join, "string_split": text.string_split,
    "string_to_number": text.string_to_number,
    "string_to_hash_bucket": hashing.string_to_hash_bucket,
    "string_to_hash_bucket_fast": hashing.string_to_hash_bucket_fast,
    "string_to_hash_bucket_strong": hashing.string_to_hash_bucket_strong,
    "string_strip": text.strip, "reduce_join": text.reduce_join,
    "regex_replace": text.regex_replace, "substr": text.substr, "decode_raw": text.decode_raw,
    "encode_base64": text.encode_base64, "decode_base64": text.decode_base64,
    "dimension_value": framework.dimension_value, "softmax": special.softmax,
    # Names of before TensorFlow 1.0, and of other libraries' forms.
    "mul": arithmetic.multiply, "sub": arithmetic.subtract, "neg": arithmetic.negative, "inv": arithmetic.reciprocal,
    "complex_abs": arithmetic.abs, "select": slicing.where, "pack": arrays.stack, "unpack": arrays.unstack,
    "concat_v2": arrays.concat, "split_v": arrays.split, "reverse_v2": arrays.reverse, "where_v2": slicing.where,
    "batch_matrix_transpose": arrays.matrix_transpose, "batch_matrix_inverse": products.matrix_inverse,
    "batch_matrix_determinant": products.matrix_determinant, "batch_matrix_solve": products.matrix_solve,
    "batch_matrix_diag": products.matrix_diag, "batch_matrix_diag_part": products.matrix_diag_part,
    "batch_matrix_band_part": products.matrix_band_part, "batch_cholesky": products.cholesky,
    "batch_matrix_solve_ls": products.matrix_solve_ls,
    "batch_self_adjoint_eigvals": products.self_adjoint_eigvals, "no_gradient": differentiating.NoGradient,
    "batch_cholesky_solve": products.cholesky_solve, "batch_svd": products.svd,
    "batch_matrix_triangular_solve": products.matrix_triangular_solve,
    "batch_self_adjoint_eig": products.self_adjoint_eig, "initialize_all_tables": running.initialize_all_tables,
})  # fmt: skip
del _found["softmax"]
_found.update({name: moving.takes_text(_found[name]) for name in moving.MOVING})
_found.update(extras.taking(_found))

globals().update(_found)
adopting.adopt()  # again, where it was taken back

__all__ = sorted(_found)  # all are strings
