"""Optimizers of other libraries in a session: SciPy's ``minimize`` (contrib/opt/external_optimizer.py of 1.15)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from corenn.errors import UsageError
from corenn.graph.state import TRAINABLE
from corenn_tensorflow import logging, mode
from corenn_tensorflow.functions.creating import placeholder
from corenn_tensorflow.functions.differentiating import gradients
from corenn_tensorflow.functions.flow import group


class ExternalOptimizerInterface:
    """Minimises a loss by a function of one vector: all variables, one after the other.

    ``equalities`` are tensors to be zero, ``inequalities`` tensors to be at least zero, ``var_to_bounds`` limits.
    """

    def __init__(
        self, loss: Any, var_list: Sequence[Any] | None = None, equalities: Sequence[Any] | None = None,
        inequalities: Sequence[Any] | None = None, var_to_bounds: Any = None, **optimizer_kwargs: Any,
    ) -> None:  # fmt: skip
        self._loss, self.optimizer_kwargs = loss, optimizer_kwargs
        self._equalities, self._inequalities = list(equalities or ()), list(inequalities or ())
        self._vars = list(var_list) if var_list is not None else list(mode.default_graph().get_collection(TRAINABLE))
        with mode.default_graph().as_default():
            self._slopes = self._gradients(loss)
            self._constraints = [self._gradients(c) for c in (*self._equalities, *self._inequalities)]
            self._given = [placeholder(v.dtype, v.get_shape().as_list(), name="external_value") for v in self._vars]
            self._update = group(*[v.assign(g) for v, g in zip(self._vars, self._given, strict=True)])
        self._sizes = [int(np.prod(v.get_shape().as_list())) for v in self._vars]
        self._bounds = self._packed_bounds(var_to_bounds)

    def _gradients(self, tensor: Any) -> list[Any]:
        return gradients(tensor, self._vars, unconnected_gradients="zero")  # type: ignore[no-any-return]

    def _packed_bounds(self, given: Any) -> list[tuple[float, float]] | None:
        if given is None:
            return None
        found: list[tuple[float, float]] = []
        for var, size in zip(self._vars, self._sizes, strict=True):
            low, high = given.get(var, (-np.inf, np.inf))
            shape = tuple(var.get_shape().as_list())
            pair = [np.broadcast_to(np.asarray(b, np.float64), shape).reshape(-1) for b in (low, high)]
            found += list(zip(*pair, strict=True)) if size else []
        return found

    def minimize(
        self, session: Any = None, feed_dict: Any = None, fetches: Sequence[Any] | None = None,
        step_callback: Callable[..., Any] | None = None, loss_callback: Callable[..., Any] | None = None,
        **run_kwargs: Any,
    ) -> None:  # fmt: skip
        """Find the variables' values and assign them; ``loss_callback(*values of fetches)`` at each evaluation."""
        from corenn_tensorflow.session import get_default_session

        session = session or get_default_session()
        feeds, wanted = dict(feed_dict or {}), list(fetches or ())

        def flat(arrays: Sequence[Any]) -> Any:
            return np.concatenate([np.asarray(a, np.float64).reshape(-1) for a in arrays])

        def assign(vector: Any) -> None:
            parts = np.split(vector, np.cumsum(self._sizes)[:-1])
            values = {g: p.reshape(v.get_shape().as_list()) for g, p, v in
                      zip(self._given, parts, self._vars, strict=True)}  # fmt: skip
            session.run(self._update, values)

        def loss_and_slope(vector: Any) -> tuple[Any, Any]:
            assign(vector)
            loss, slopes, values = session.run([self._loss, self._slopes, wanted], feeds, **run_kwargs)
            if loss_callback is not None:
                loss_callback(*values)
            return np.float64(loss), flat(slopes)

        def at(tensors: Any) -> Callable[[Any], Any]:
            def evaluated(vector: Any) -> Any:
                assign(vector)
                found = session.run(tensors, feeds)
                return flat(found) if isinstance(tensors, list) else np.float64(found)

            return evaluated

        constrained = [*[("eq", t) for t in self._equalities], *[("ineq", t) for t in self._inequalities]]
        constraints = [
            {"type": kind, "fun": at(tensor), "jac": at(slopes)}
            for (kind, tensor), slopes in zip(constrained, self._constraints, strict=True)
        ]
        start = flat(session.run(self._vars))
        assign(self._minimized(loss_and_slope, start, constraints, step_callback))

    def _minimized(self, loss_and_slope: Any, start: Any, constraints: list[Any], step_callback: Any) -> Any:
        raise NotImplementedError(
            "To use ExternalOptimizerInterface, subclass from it and implement the _minimized() method."
        )


class ScipyOptimizerInterface(ExternalOptimizerInterface):
    """``scipy.optimize.minimize``; its ``method`` and ``options`` are keyword arguments."""

    _DEFAULT_METHOD = "L-BFGS-B"

    def _minimized(self, loss_and_slope: Any, start: Any, constraints: list[Any], step_callback: Any) -> Any:
        try:
            from scipy.optimize import minimize
        except ModuleNotFoundError:
            raise UsageError(
                "ScipyOptimizerInterface", "needs scipy, which is not installed", hint="pip install scipy"
            ) from None
        options = dict(self.optimizer_kwargs)
        method = options.pop("method", "SLSQP" if constraints else self._DEFAULT_METHOD)
        more = {"constraints": constraints} if constraints else {}
        found = minimize(
            loss_and_slope,
            start,
            jac=True,
            callback=step_callback,
            method=method,
            bounds=self._bounds,
            **more,
            **options,
        )
        logging.info("Optimization terminated with:\n  Message: %s\n  Objective function value: %f\n  "
                     "Number of iterations: %d\n  Number of functions evaluations: %d",
                     found.message, found.fun, getattr(found, "nit", 0), found.nfev)  # fmt: skip
        return found.x


__all__ = ["ExternalOptimizerInterface", "ScipyOptimizerInterface"]
