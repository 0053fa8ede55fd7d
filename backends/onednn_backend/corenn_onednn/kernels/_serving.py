"""Which operands the kernels serve, and from which size on they are worth it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from corenn import dtypes
from corenn.backend import Kernel
from corenn.dtypes import DType
from corenn.spec import Spec
from corenn_onednn.dnnl import UnimplementedError, load


class Thresholds:
    """Sizes from which on oneDNN, or its threads, are worth it.

    Measured on two cores with AVX-512 (Zen 4), one call at a time, against NumPy's kernels: convolutions, poolings,
    normalisations and softmax are faster from the smallest operands on (1.1 to 4.5 times).  For products of matrices
    the way through the binding costs 7 us more than that through NumPy, made up for at 128x128 times 128x128.
    """

    #: Multiplications of a matrix product below which NumPy multiplies.  OpenBLAS has one thread up to here; its others
    #: would then spin beside those of OpenMP.
    products = (1 << 18) + 1
    #: Multiplications, or elements, below which a second thread costs more than it gives.
    threaded = 1 << 18
    threaded_elements = 1 << 14


@lru_cache(maxsize=1)
def served() -> frozenset[DType]:
    """Dtypes the library computes fast on this CPU."""
    return frozenset({dtypes.float32, *([dtypes.bfloat16] if load().bfloat16 else [])})


def serves(*specs: Spec | None) -> bool:
    """Whether the operands that are there are tensors of one served dtype, none of them empty."""
    present = [spec for spec in specs if spec is not None]
    first = present[0].dtype
    return first in served() and all(spec.dtype is first and 0 not in spec.shape for spec in present)


def present(specs: Sequence[Spec | None]) -> list[tuple[int, ...]]:
    """The shapes of the operands that are there."""
    return [spec.static for spec in specs if spec is not None]


def name_of(specs: Sequence[Spec | None]) -> str:
    """The name of the one dtype of the operands."""
    return next(spec.dtype.name for spec in specs if spec is not None)


Specs = Sequence[Spec | None]
Attributes = Mapping[str, Any]
_MOST_PENDING = 64


def elements(specs: Specs, attrs: Attributes) -> bool:
    """Whether the largest operand is large enough for threads."""
    return max(spec.size for spec in specs if spec is not None) >= Thresholds.threaded_elements


def kernel(
    when: Callable[[Specs, Attributes], bool],
    prepare: Callable[[Specs, Attributes], Callable[..., Any]],
    threaded: Callable[[Specs, Attributes], bool] = elements,
) -> Kernel:
    """A kernel that also declines what the library turns out to have no implementation for on this CPU.

    To know that, primitives are made when the kernel is asked; ``prepare`` hands out what was made.  Where ``threaded``
    says no, they are made for one thread.
    """
    pending: dict[Any, Callable[..., Any]] = {}

    def key(specs: Specs, attrs: Attributes) -> Any:
        return (*specs, *attrs.items())

    def asked(specs: Specs, attrs: Attributes) -> bool:
        if not when(specs, attrs):
            return False
        try:
            made = build(specs, attrs)
        except UnimplementedError:
            return False
        if len(pending) >= _MOST_PENDING:
            pending.clear()
        pending[key(specs, attrs)] = made
        return True

    def prepared(specs: Specs, attrs: Attributes) -> Callable[..., Any]:
        made = pending.pop(key(specs, attrs), None)
        return build(specs, attrs) if made is None else made

    def build(specs: Specs, attrs: Attributes) -> Callable[..., Any]:
        with load().limited(0 if threaded(specs, attrs) else 1):
            return prepare(specs, attrs)

    return Kernel(when=asked, prepare=prepared)
