"""``check_gradients``: derivatives against central differences along random directions.

One random direction tests a whole gradient at once: by the chain rule <grad f(x), u> = d/dt f(x + t u) at t = 0.
Second order is the same check of the gradient itself, seen as a function.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from corenn import dtypes, tree
from corenn.autodiff.tape import GradientTape
from corenn.errors import DTypeError, GradientError
from corenn.ops.creation import tensor
from corenn.tensor import Tensor


def check_gradients(
    function: Callable[..., Any], *inputs: Any, order: int = 2, tolerance: Any = None, step: float | None = None
) -> None:
    """Check the gradients of ``function(*inputs)`` with respect to every input, up to ``order``.

    ``function`` takes and returns tensors (any structure); ``inputs`` are floating tensors or arrays, best float64,
    away from kinks.  ``tolerance`` has ``rtol`` and ``atol`` (default: 1e-6 and 1e-7 in float64, 2e-3 in float32);
    ``step`` is the difference step (default: cube root of the machine epsilon, which balances truncation against
    rounding).  Raises GradientError naming the input, the order and both values.
    """
    from corenn.testing.tolerances import GRADIENT

    tensors = [t if isinstance(t, Tensor) else tensor(t) for t in inputs]
    for t in tensors:
        if t.dtype not in GRADIENT:
            raise DTypeError("check_gradients", "takes float64 (or float32) inputs", {"input": t.spec})
    dtype = tensors[0].dtype if tensors else dtypes.float64
    allowed = tolerance or GRADIENT[dtype]
    _check(function, tensors, order, 1, allowed, step or float(np.finfo(dtype.numpy).eps) ** (1 / 3))


def _check(
    function: Callable[..., Any], inputs: list[Tensor], order: int, level: int, allowed: Any, step: float
) -> None:
    generator = np.random.Generator(np.random.Philox(level))

    def outputs(*xs: Tensor) -> list[Tensor]:
        return [o for o in tree.leaves(function(*xs)) if isinstance(o, Tensor) and o.dtype.is_inexact]

    weights: list[np.ndarray[Any, Any]] = [generator.uniform(0.5, 1.5, o.shape) for o in outputs(*inputs)]

    def value(*xs: Tensor) -> float:
        return float(sum(np.sum(o.numpy() * w) for o, w in zip(outputs(*xs), weights, strict=True)).real)

    def gradients(*xs: Tensor) -> list[Tensor | None]:
        with GradientTape() as tape:
            tape.watch(list(xs))
            found = outputs(*xs)
        seeds = [tensor(w, dtype=o.dtype, device=o.device) for o, w in zip(found, weights, strict=True)]
        return list(tape.gradient(found, list(xs), seeds))

    analytic = gradients(*inputs)
    for place, (x, g) in enumerate(zip(inputs, analytic, strict=True)):
        direction = generator.uniform(0.5, 1.0, x.shape) * generator.choice([-1.0, 1.0], x.shape)
        moved = [_moved(x, direction, sign * step) for sign in (1.0, -1.0)]
        upper, lower = (value(*inputs[:place], m, *inputs[place + 1 :]) for m in moved)
        numeric = (upper - lower) / (2 * step)
        exact = 0.0 if g is None else float(np.sum(g.numpy().astype(np.float64) * direction))
        if g is not None and g.shape != x.shape:
            raise GradientError("check_gradients", f"the gradient of input {place} has shape {g.shape}, not {x.shape}")
        scale = max(abs(numeric), abs(exact), 1.0)
        if not abs(numeric - exact) <= allowed.atol + allowed.rtol * scale:
            raise GradientError(
                "check_gradients",
                f"order {level}, input {place}: the gradient along a random direction is {exact:.9g}, "
                f"differences give {numeric:.9g}",
                {"input": x.spec},
            )
    if order > level and any(g is not None for g in analytic):

        def first(*xs: Tensor) -> list[Tensor]:
            return [g for g in gradients(*xs) if g is not None]

        _check(first, inputs, order, level + 1, allowed, step)


def _moved(x: Tensor, direction: np.ndarray[Any, Any], step: float) -> Tensor:
    return tensor(x.numpy() + step * direction, dtype=x.dtype, device=x.device)
