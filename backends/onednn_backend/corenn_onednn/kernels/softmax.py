"""Softmax and its logarithm by oneDNN, and the gradient of softmax.

Where a row holds NaN or +inf, oneDNN writes NaN in those places only; corenn's rows are then NaN as a whole, so results
with a NaN are computed anew by NumPy's kernel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from corenn_numpy.kernels import softmax as fallback

from corenn.backend import Kernel
from corenn.dtypes import float32
from corenn.spec import Spec
from corenn_onednn.dnnl import Descriptor
from corenn_onednn.dnnl.primitives import softmax as builders
from corenn_onednn.kernels._chain import Chain, Given, Result, Stage
from corenn_onednn.kernels._serving import kernel, present, serves

Array = np.ndarray[Any, Any]


def when(specs: Sequence[Spec | None], attrs: Mapping[str, Any]) -> bool:
    """float32 of some size, along the last axis."""
    first = specs[0]
    return first is not None and first.dtype is float32 and serves(*specs) and attrs["axis"] == first.ndim - 1


def _rows(specs: Sequence[Spec | None]) -> tuple[Descriptor, tuple[int, ...]]:
    shape = present(specs)[0]
    return Descriptor((int(np.prod(shape[:-1])), shape[-1])), shape


def _forward(
    logarithm: bool, otherwise: Callable[..., Array]
) -> Callable[[Sequence[Spec | None], Mapping[str, Any]], Callable[..., Array]]:
    def prepare(specs: Sequence[Spec | None], attrs: Mapping[str, Any]) -> Callable[..., Array]:
        rows, shape = _rows(specs)
        made = builders.forward(rows, rows, 1, logarithm=logarithm, training=False)
        chain = Chain([Stage(made, {"src": "x", "dst": "y"})], [Given("x", rows)], [Result("y", rows, shape)])

        def run(x: Array) -> Array:
            y = chain.only(x)
            smallest = y.min()
            return y if smallest == smallest else otherwise(x, **attrs)

        return run

    return prepare


def _gradient(specs: Sequence[Spec | None], attrs: Mapping[str, Any]) -> Callable[..., Array]:
    rows, shape = _rows(specs)
    ahead = builders.forward(rows, rows, 1)
    back = builders.backward(rows, rows, rows, 1, forward=ahead)
    stage = Stage(back, {"diff_dst": "g", "dst": "y", "diff_src": "dx"})
    return Chain([stage], [Given("g", rows), Given("y", rows)], [Result("dx", rows, shape)]).only


KERNELS: dict[str, Kernel | Sequence[Kernel]] = {
    "softmax": kernel(when, _forward(False, fallback.softmax)),
    "log_softmax": kernel(when, _forward(True, fallback.log_softmax)),
    "softmax_grad": kernel(when, _gradient),
}
