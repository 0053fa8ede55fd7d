"""Numbers of oneDNN's C API, version 3 (``dnnl_types.h``, ``dnnl_common_types.h``), by the names used here."""

from __future__ import annotations

from collections.abc import Mapping

MAX_AXES = 12  # DNNL_MAX_NDIMS
CPU = 1  # dnnl_cpu

#: ``dnnl_data_type_t`` by corenn's names.
DTYPES: Mapping[str, int] = {
    "float16": 1,
    "bfloat16": 2,
    "float32": 3,
    "int32": 4,
    "int8": 5,
    "uint8": 6,
    "float64": 7,
}
DTYPE_NAMES: Mapping[int, str] = {number: name for name, number in DTYPES.items()}

#: ``dnnl_prop_kind_t``.
FORWARD_TRAINING, FORWARD_INFERENCE, BACKWARD, BACKWARD_DATA = 64, 96, 128, 160

#: ``dnnl_alg_kind_t`` of convolutions; with "auto" the library may choose Winograd's, which rounds differently.
CONVOLUTION_DIRECT = 1

#: ``dnnl_alg_kind_t`` of elementwise functions of one operand.  ``alpha`` and ``beta`` are parameters of the functions:
#: relu (slope below 0), elu, linear (alpha * x + beta), swish (x * sigmoid(alpha * x)), clip (alpha..beta), pow.
ELTWISE: Mapping[str, int] = {
    **{
        name: 0x20 + number
        for number, name in enumerate((
            "relu", "tanh", "elu", "square", "abs", "sqrt", "linear", "soft_relu", "hard_sigmoid", "sigmoid", "exp",
            "gelu_tanh", "swish", "log", "clip", "clip_v2", "pow", "gelu", "round", "mish", "hard_swish",
        ))
    },
    # Those whose gradient is computed from the result instead of the operand.
    **{
        f"{name}_of_result": 0x100 + number
        for number, name in enumerate(("relu", "tanh", "elu", "sqrt", "sigmoid", "exp", "clip_v2"))
    },
}  # fmt: skip

#: ``dnnl_alg_kind_t`` of functions of two operands.
BINARY: Mapping[str, int] = {
    name: 0x1FFF0 + number
    for number, name in enumerate((
        "add", "multiply", "maximum", "minimum", "divide", "subtract",
        "greater_equal", "greater", "less_equal", "less", "equal", "not_equal",
    ))
}  # fmt: skip

#: ``dnnl_alg_kind_t`` of poolings.
POOLING: Mapping[str, int] = {"max": 0x1FF, "average_with_padding": 0x2FF, "average": 0x3FF}

#: ``dnnl_alg_kind_t`` of reductions; the norms take ``p`` and ``epsilon``.
REDUCTION: Mapping[str, int] = {
    name: 0x2FFF2 + number
    for number, name in enumerate((
        "max", "min", "sum", "multiply", "mean", "norm_max", "norm_sum", "norm_power_max", "norm_power_sum",
    ))
}  # fmt: skip

#: ``dnnl_alg_kind_t`` of softmax and its logarithm.
SOFTMAX, LOG_SOFTMAX = 0x30000, 0x30001

#: ``dnnl_normalization_flags_t``.
USE_GLOBAL_STATISTICS, USE_SCALE, USE_SHIFT, FUSE_RELU = 1, 2, 4, 8

#: ``dnnl_rnn_direction_t`` and ``dnnl_rnn_flags_t``.
LEFT_TO_RIGHT, RIGHT_TO_LEFT = 1, 2
OVERWRITE_WEIGHT_GRADIENTS = 1

SCRATCHPAD_USER = 1  # dnnl_scratchpad_mode_user
FPMATH: Mapping[str, int] = {"strict": 0, "bfloat16": 1, "float16": 2, "any": 3, "tf32": 4}  # dnnl_fpmath_mode_t

#: Arguments of primitives (``DNNL_ARG_*``).
ARGUMENTS: Mapping[str, int] = {
    "src": 1, "src_1": 2, "src_2": 3,
    "src_layer": 1, "src_iter": 2, "src_iter_c": 3,
    "dst": 17, "dst_layer": 17, "dst_iter": 18, "dst_iter_c": 19,
    "weights": 33, "weights_layer": 33, "weights_iter": 34,
    "bias": 41, "mean": 49, "variance": 50, "scale": 51, "shift": 52,
    "workspace": 64, "scratchpad": 80,
    "diff_src": 129, "diff_src_layer": 129, "diff_src_iter": 130, "diff_src_iter_c": 131,
    "diff_dst": 145, "diff_dst_layer": 145, "diff_dst_iter": 146, "diff_dst_iter_c": 147,
    "diff_weights": 161, "diff_weights_layer": 161, "diff_weights_iter": 162,
    "diff_bias": 169, "diff_scale": 255, "diff_shift": 256,
}  # fmt: skip
MULTIPLE_SRC = 1024  # operand i of a sum is MULTIPLE_SRC + i
_POST_OP = 32768


def argument(name: str) -> int:
    """The number of an argument; ``post_op_3`` is the second operand of the third (from 0) post-op, ``src_many_2``
    the third operand of a sum.
    """
    found = ARGUMENTS.get(name)
    if found is not None:
        return found
    stem, _, index = name.rpartition("_")
    if stem == "post_op":
        return _POST_OP * (int(index) + 1) | ARGUMENTS["src_1"]
    if stem == "src_many":
        return MULTIPLE_SRC + int(index)
    raise KeyError(name)


#: ``dnnl_query_t``, of primitive and memory descriptors.
QUERY_IMPLEMENTATION = 8
QUERY_STRIDES = 14
QUERY_EXECUTION_ARGUMENT = 255
QUERY_NDIMS, QUERY_DIMS, QUERY_DTYPE = 256, 257, 258
QUERY_PADDED_DIMS, QUERY_FORMAT_KIND = 260, 262
QUERY_INNER_BLOCKS, QUERY_INNER_SIZES, QUERY_INNER_AXES = 263, 264, 265
FORMAT_ANY, FORMAT_BLOCKED = 1, 2
TAG_ANY = 1

#: ``dnnl_cpu_isa_t`` bits, and ``DNNL_RUNTIME_*`` of ``dnnl_version_t``.
ISA_NAMES: Mapping[int, str] = {
    0x1: "SSE4.1",
    0x3: "AVX",
    0x7: "AVX2",
    0xF: "AVX2 VNNI",
    0x1F: "AVX2 VNNI 2",
    0x27: "AVX-512",
    0x67: "AVX-512 VNNI",
    0xE7: "AVX-512 BF16",
    0x1EF: "AVX-512 FP16",
    0xFEF: "AMX",
    0x1FEF: "AMX FP16",
}
ISA_BFLOAT16 = 0xE7
RUNTIME_NAMES: Mapping[int, str] = {1: "sequential", 2: "OpenMP", 4: "TBB", 8: "threadpool", 512: "SYCL"}
