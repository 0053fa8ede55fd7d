"""Kernels in which NumPy beats the shared array-API ones, one file per family of ops."""

from __future__ import annotations

from collections.abc import Sequence

from corenn.backend import Kernel
from corenn_numpy.kernels import (
    attention,
    contraction,
    convolution,
    elementwise,
    indexing,
    normalization,
    pooling,
    random,
    recurrent,
    resize,
    shaping,
    softmax,
    updates,
)

KERNELS: dict[str, Kernel | Sequence[Kernel]] = {
    **attention.KERNELS,
    **contraction.KERNELS,
    **convolution.KERNELS,
    **elementwise.KERNELS,
    **indexing.KERNELS,
    **normalization.KERNELS,
    **pooling.KERNELS,
    **random.KERNELS,
    **recurrent.KERNELS,
    **resize.KERNELS,
    **shaping.KERNELS,
    **softmax.KERNELS,
    **updates.KERNELS,
}
