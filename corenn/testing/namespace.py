"""What the shared kernels take from a backend's array namespace ``xp`` (array API 2023.12).

A test of the project compares these lists with the kernels, so that they are neither short nor long.
"""

from __future__ import annotations

_FUNCTIONS = """
abs acos acosh add all any arange argmax argmin argsort asarray asin asinh astype atan atan2 atanh bitwise_and
bitwise_invert bitwise_left_shift bitwise_or bitwise_right_shift bitwise_xor broadcast_to ceil clip concat conj
copysign cos cosh cumulative_sum divide equal exp expand_dims expm1 eye finfo flip floor floor_divide full full_like
greater greater_equal hypot iinfo imag isdtype isfinite isinf isnan less less_equal log log10 log1p log2 logaddexp
logical_and logical_not logical_or logical_xor matmul matrix_transpose max maximum min minimum multiply negative
nonzero not_equal ones ones_like permute_dims pow prod real remainder repeat reshape roll round searchsorted sign sin
sinh sort sqrt square stack std subtract sum take tan tanh tile tril triu trunc var where zeros zeros_like
"""

#: Functions of ``xp`` itself.
FUNCTIONS: tuple[str, ...] = tuple(_FUNCTIONS.split())

#: Functions of ``xp.linalg``.
LINALG: tuple[str, ...] = ("cholesky", "det", "eigh", "inv", "pinv", "qr", "slogdet", "solve", "svd")
