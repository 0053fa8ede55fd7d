"""Signatures of the functions of oneDNN's C API that are called, so that ctypes checks and converts arguments."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from typing import Any

#: One letter for each parameter: a pointer (also an opaque handle, or the place of one), int, unsigned, float, size_t,
#: dims (int64 numbers).
_LETTERS: Mapping[str, Any] = {
    "p": ctypes.c_void_p,
    "i": ctypes.c_int,
    "u": ctypes.c_uint,
    "f": ctypes.c_float,
    "z": ctypes.c_size_t,
    "d": ctypes.POINTER(ctypes.c_int64),
}

#: Functions that return a status.  Parameters in the order of ``dnnl.h``.
STATUS_FUNCTIONS: Mapping[str, str] = {
    "dnnl_engine_create": "piz",
    "dnnl_engine_destroy": "p",
    "dnnl_stream_create": "ppu",
    "dnnl_stream_wait": "p",
    "dnnl_stream_destroy": "p",
    "dnnl_memory_desc_create_with_strides": "pidid",
    "dnnl_memory_desc_create_with_tag": "pidii",
    "dnnl_memory_desc_clone": "pp",
    "dnnl_memory_desc_destroy": "p",
    "dnnl_memory_desc_reshape": "ppid",
    "dnnl_memory_desc_permute_axes": "ppp",
    "dnnl_memory_desc_create_submemory": "ppdd",
    "dnnl_memory_desc_query": "pip",
    "dnnl_memory_create": "pppp",
    "dnnl_memory_set_data_handle": "pp",
    "dnnl_memory_destroy": "p",
    "dnnl_primitive_attr_create": "p",
    "dnnl_primitive_attr_destroy": "p",
    "dnnl_primitive_attr_set_scratchpad_mode": "pi",
    "dnnl_primitive_attr_set_fpmath_mode": "pi",
    "dnnl_primitive_attr_set_post_ops": "pp",
    "dnnl_post_ops_create": "p",
    "dnnl_post_ops_destroy": "p",
    "dnnl_post_ops_append_sum": "pfii",
    "dnnl_post_ops_append_eltwise": "piff",
    "dnnl_post_ops_append_binary": "pip",
    "dnnl_primitive_desc_destroy": "p",
    "dnnl_primitive_desc_query": "piip",
    "dnnl_primitive_desc_next_impl": "p",
    "dnnl_primitive_create": "pp",
    "dnnl_primitive_destroy": "p",
    "dnnl_primitive_execute": "ppip",
    "dnnl_reorder_primitive_desc_create": "pppppp",
    "dnnl_sum_primitive_desc_create": "pppippp",
    "dnnl_binary_primitive_desc_create": "ppipppp",
    "dnnl_reduction_primitive_desc_create": "ppippffp",
    "dnnl_matmul_primitive_desc_create": "ppppppp",
    "dnnl_inner_product_forward_primitive_desc_create": "ppippppp",
    "dnnl_inner_product_backward_data_primitive_desc_create": "ppppppp",
    "dnnl_inner_product_backward_weights_primitive_desc_create": "pppppppp",
    "dnnl_convolution_forward_primitive_desc_create": "ppiippppddddp",
    "dnnl_convolution_backward_data_primitive_desc_create": "ppipppddddpp",
    "dnnl_convolution_backward_weights_primitive_desc_create": "ppippppddddpp",
    "dnnl_eltwise_forward_primitive_desc_create": "ppiippffp",
    "dnnl_eltwise_backward_primitive_desc_create": "ppipppffpp",
    "dnnl_softmax_forward_primitive_desc_create": "ppiippip",
    "dnnl_softmax_backward_primitive_desc_create": "ppipppipp",
    "dnnl_pooling_forward_primitive_desc_create": "ppiippdddddp",
    "dnnl_pooling_backward_primitive_desc_create": "ppippdddddpp",
    "dnnl_batch_normalization_forward_primitive_desc_create": "ppippfup",
    "dnnl_batch_normalization_backward_primitive_desc_create": "ppipppfupp",
    "dnnl_layer_normalization_forward_primitive_desc_create": "ppipppfup",
    "dnnl_layer_normalization_backward_primitive_desc_create": "ppippppfupp",
    "dnnl_lstm_forward_primitive_desc_create": "ppii" + "p" * 11 + "up",
    "dnnl_lstm_backward_primitive_desc_create": "ppii" + "p" * 22 + "upp",
    "dnnl_gru_forward_primitive_desc_create": "ppii" + "p" * 7 + "up",
    "dnnl_gru_backward_primitive_desc_create": "ppii" + "p" * 14 + "upp",
    "dnnl_lbr_gru_forward_primitive_desc_create": "ppii" + "p" * 7 + "up",
    "dnnl_lbr_gru_backward_primitive_desc_create": "ppii" + "p" * 14 + "upp",
}

#: Functions that return something else.
OTHER_FUNCTIONS: Mapping[str, tuple[Any, str]] = {
    "dnnl_version": (ctypes.c_void_p, ""),
    "dnnl_get_effective_cpu_isa": (ctypes.c_int, ""),
    "dnnl_primitive_desc_query_md": (ctypes.c_void_p, "pii"),
    "dnnl_memory_desc_get_size": (ctypes.c_size_t, "p"),
    "dnnl_memory_desc_equal": (ctypes.c_int, "pp"),
}


class Version(ctypes.Structure):
    """``dnnl_version_t``."""

    _fields_ = (
        ("major", ctypes.c_int),
        ("minor", ctypes.c_int),
        ("patch", ctypes.c_int),
        ("hash", ctypes.c_char_p),
        ("cpu_runtime", ctypes.c_uint),
        ("gpu_runtime", ctypes.c_uint),
    )


class ExecutionArgument(ctypes.Structure):
    """``dnnl_exec_arg_t``."""

    _fields_ = (("argument", ctypes.c_int), ("memory", ctypes.c_void_p))


def declare(dll: ctypes.CDLL) -> str | None:
    """Set the signatures of all functions; returns the name of the first that the library lacks, or ``None``."""
    table: dict[str, tuple[Any, str]] = dict(OTHER_FUNCTIONS)
    table |= {name: (ctypes.c_int, letters) for name, letters in STATUS_FUNCTIONS.items()}
    for name, (result, letters) in table.items():
        function = getattr(dll, name, None)
        if function is None:
            return name
        function.restype = result
        function.argtypes = [_LETTERS[letter] for letter in letters]
    return None
