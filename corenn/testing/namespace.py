"""What the shared kernels take from a backend's array namespace ``xp`` (array API 2023.12).

A test of the project compares these lists with the kernels, so that they are neither short nor long.
"""

from __future__ import annotations

#: Functions of ``xp`` itself.
_FUNCTIONS = """
abs acos acosh add all any arange argmax argmin argsort asarray asin asinh astype atan atan2 atanh bitwise_and
bitwise_invert bitwise_left_shift bitwise_or bitwise_right_shift bitwise_xor broadcast_to ceil clip concat conj cos
cosh cumulative_sum divide equal exp expand_dims expm1 eye finfo flip floor floor_divide full full_like greater
greater_equal iinfo imag isdtype isfinite isinf isnan less less_equal linspace log log10 log1p log2 logical_and
logical_not logical_or logical_xor matmul matrix_transpose max maximum mean min minimum multiply negative nonzero
not_equal ones ones_like permute_dims pow prod real remainder repeat reshape roll round searchsorted sign sin sinh
sort sqrt square squeeze stack subtract sum take tan tanh tensordot tile tril triu trunc unique_all where zeros
zeros_like
"""
FUNCTIONS: tuple[str, ...] = tuple(_FUNCTIONS.split())

#: Functions of ``xp.linalg``.
LINALG: tuple[str, ...] = ("cholesky", "det", "eigh", "inv", "qr", "slogdet", "solve", "svd")
