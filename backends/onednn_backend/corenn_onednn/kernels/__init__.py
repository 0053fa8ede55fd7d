"""Kernels in which oneDNN beats NumPy's, one file per family of ops; what they decline, NumPy's kernels do."""

from __future__ import annotations

from collections.abc import Sequence

from corenn.backend import Kernel
from corenn_onednn.kernels import contraction, convolution, normalization, pooling, softmax

KERNELS: dict[str, Kernel | Sequence[Kernel]] = {
    **contraction.KERNELS,
    **convolution.KERNELS,
    **normalization.KERNELS,
    **pooling.KERNELS,
    **softmax.KERNELS,
}
