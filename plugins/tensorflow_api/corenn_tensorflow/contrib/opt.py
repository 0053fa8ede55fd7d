"""``tf.contrib.opt``: further optimizers (tensorflow/contrib/opt of 1.15)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from corenn.graph import state
from corenn.graph.tensors import GraphTensor
from corenn_tensorflow import missing
from corenn_tensorflow.contrib.external import ExternalOptimizerInterface, ScipyOptimizerInterface
from corenn_tensorflow.train.moving_averages import ExponentialMovingAverage
from corenn_tensorflow.train.optimizer import Optimizer
from corenn_tensorflow.train.optimizers import AdamOptimizer, MomentumOptimizer
from corenn_tensorflow.train.saver import Saver


class NadamOptimizer(AdamOptimizer):
    """Adam with Nesterov momentum."""

    _nesterov = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("name", "Nadam")
        super().__init__(*args, **kwargs)


class LazyAdamOptimizer(AdamOptimizer):
    """Adam.  Gradients here are whole tensors, so that no row is left out as TensorFlow's does for sparse ones."""


class AdaMaxOptimizer(AdamOptimizer):
    """Adam in the infinity norm."""

    def __init__(
        self, learning_rate: Any = 0.001, beta1: Any = 0.9, beta2: Any = 0.999, epsilon: Any = 1e-8,
        use_locking: bool = False, name: str = "AdaMax",
    ) -> None:  # fmt: skip
        super().__init__(learning_rate, beta1, beta2, epsilon, use_locking, name)

    def _prepare(self) -> None:
        super()._prepare()
        #: The rate with the correction of the first moment alone.
        self._alpha = self._lr_t / (1 - self._get_beta_accumulators()[0])

    def _apply_dense(self, grad: Any, var: Any) -> Any:
        return self._update(
            "adamax", "ApplyAdaMax", grad, var, ("m", "v"), self._alpha, 1e30, beta_1=self._beta1_t,
            beta_2=self._beta2_t, epsilon=self._epsilon_t,
        )  # fmt: skip


class DecoupledWeightDecayExtension:
    """A mixin: before its update, a variable falls by ``weight_decay`` times itself (arXiv:1711.05101).

    As in TensorFlow, the decay is not multiplied by the learning rate.  ``decay_var_list``: the variables it is for.
    """

    def __init__(self, weight_decay: Any, *args: Any, **kwargs: Any) -> None:
        self._weight_decay, self._decay_var_list = weight_decay, None
        super().__init__(*args, **kwargs)

    def minimize(self, loss: Any, global_step: Any = None, var_list: Any = None, *args: Any,
                 decay_var_list: Any = None, **kwargs: Any) -> Any:  # fmt: skip
        """As any optimizer's, with the variables to decay."""
        self._decay_var_list = None if decay_var_list is None else list(decay_var_list)
        return super().minimize(loss, global_step, var_list, *args, **kwargs)  # type: ignore[misc]  # of the other base

    def apply_gradients(
        self, grads_and_vars: Any, global_step: Any = None, name: str | None = None, decay_var_list: Any = None
    ) -> Any:
        """As any optimizer's, with the variables to decay."""
        if decay_var_list is not None:
            self._decay_var_list = list(decay_var_list)
        return super().apply_gradients(grads_and_vars, global_step, name)  # type: ignore[misc]  # of the other base

    def _apply(self, grad: Any, var: Any) -> Any:
        if self._decay_var_list is not None and not any(v is var for v in self._decay_var_list):
            return super()._apply(grad, var)  # type: ignore[misc]  # of the other base
        decay: Any = self._call_if_callable(self._weight_decay)  # type: ignore[attr-defined]  # of the other base
        if not isinstance(var, GraphTensor):
            var.assign(var.value() * (1 - decay))
            return super()._apply(grad, var)  # type: ignore[misc]
        decayed = var.assign_sub(var.graph.convert(var) * decay)
        with var.graph.control_dependencies([decayed]):
            return super()._apply(grad, var)  # type: ignore[misc]


def extend_with_decoupled_weight_decay(base_optimizer: type[Optimizer]) -> type[Optimizer]:
    """A class like ``base_optimizer`` whose first argument is ``weight_decay``."""
    return type(f"DecoupledWeightDecay{base_optimizer.__name__}", (DecoupledWeightDecayExtension, base_optimizer), {})


class AdamWOptimizer(DecoupledWeightDecayExtension, AdamOptimizer):
    """Adam with decoupled weight decay."""

    def __init__(
        self, weight_decay: Any, learning_rate: Any = 0.001, beta1: Any = 0.9, beta2: Any = 0.999,
        epsilon: Any = 1e-8, use_locking: bool = False, name: str = "AdamW",
    ) -> None:  # fmt: skip
        super().__init__(weight_decay, learning_rate, beta1, beta2, epsilon, use_locking, name)


class MomentumWOptimizer(DecoupledWeightDecayExtension, MomentumOptimizer):
    """Momentum with decoupled weight decay."""

    def __init__(
        self, weight_decay: Any, learning_rate: Any, momentum: Any, use_locking: bool = False, name: str = "MomentumW",
        use_nesterov: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(weight_decay, learning_rate, momentum, use_locking, name, use_nesterov)


class _Signs(Optimizer):
    """What the optimizers of signs share (Bello et al. 2017, arXiv:1709.07417)."""

    _rule = ""

    def __init__(
        self, learning_rate: Any, beta: float, decay_fn: Any, use_locking: bool, name: str, **fixed: float
    ) -> None:
        super().__init__(use_locking, name)
        self._lr, self._beta, self._decay_fn, self._fixed = learning_rate, beta, decay_fn, fixed

    def _create_slots(self, var_list: Sequence[Any]) -> None:
        for var in var_list:
            self._zeros_slot(var, "m", self._name)

    def apply_gradients(self, grads_and_vars: Any, global_step: Any = None, name: str | None = None) -> Any:
        """As any optimizer's; the decay is a function of the step."""
        self._step = global_step
        return super().apply_gradients(grads_and_vars, global_step, name)

    def _prepare(self) -> None:
        self._lr_t = self._number(self._lr, "learning_rate")
        self._decay = self._number(1.0 if self._decay_fn is None else self._decay_fn(self._step), "sign_decay")

    def _apply_dense(self, grad: Any, var: Any) -> Any:
        return self._update(self._rule, type(self).__name__, grad, var, ("m",), self._lr_t, self._decay,
                            beta=self._beta, **self._fixed)  # fmt: skip


class PowerSignOptimizer(_Signs):
    """The gradient times ``base ** (decay * sign(gradient) * sign(m))``."""

    _rule = "power_sign"

    def __init__(
        self, learning_rate: Any = 0.1, base: float = 2.718281828459045, beta: float = 0.9, sign_decay_fn: Any = None,
        use_locking: bool = False, name: str = "PowerSignOptimizer",
    ) -> None:  # fmt: skip
        super().__init__(learning_rate, beta, sign_decay_fn, use_locking, name, base=base)


class AddSignOptimizer(_Signs):
    """The gradient times ``alpha + decay * sign(gradient) * sign(m)``."""

    _rule = "add_sign"

    def __init__(
        self, learning_rate: Any = 0.1, alpha: float = 1.0, beta: float = 0.9, sign_decay_fn: Any = None,
        use_locking: bool = False, name: str = "AddSignOptimizer",
    ) -> None:  # fmt: skip
        super().__init__(learning_rate, beta, sign_decay_fn, use_locking, name, alpha=alpha)


class MovingAverageOptimizer(Optimizer):
    """An optimizer that also keeps moving averages of the variables, and savers that put them in their place."""

    def __init__(
        self, opt: Optimizer, average_decay: Any = 0.9999, num_updates: Any = None, sequential_update: bool = True
    ) -> None:
        super().__init__(False, opt.get_name())
        self._optimizer, self._sequential = opt, sequential_update
        self._ema = ExponentialMovingAverage(average_decay, num_updates)
        self._averaged: list[Any] | None = None

    def compute_gradients(self, *args: Any, **kwargs: Any) -> list[tuple[Any, Any]]:
        """Those of the inner optimizer."""
        return self._optimizer.compute_gradients(*args, **kwargs)

    def apply_gradients(self, grads_and_vars: Any, global_step: Any = None, name: str | None = None) -> Any:
        """The inner update, then that of the averages."""
        step = self._optimizer.apply_gradients(grads_and_vars, global_step=global_step, name=name)
        self._averaged = [v for g, v in grads_and_vars if g is not None]
        graph = step.graph
        with graph.control_dependencies([step] if self._sequential else []):
            return state.group(graph, step, self._ema.apply(self._averaged))

    def swapping_saver(self, var_list: Any = None, name: str = "swapping_saver", **kwargs: Any) -> Saver:
        """A saver that writes the averages under the variables' names, and the variables under the averages'."""
        if self._averaged is None:
            raise RuntimeError("Must call apply_gradients or minimize before creating the swapping_saver")
        graph = self._averaged[0].graph
        chosen = graph.get_collection(state.GLOBAL) if var_list is None else list(var_list)
        names = {v.operation.name: v for v in chosen}
        for var in self._averaged:
            average = self._ema.average(var)
            names[var.operation.name], names[average.operation.name] = average, var
        return Saver(names, name=name, **kwargs)


__getattr__ = missing.guard(__name__)

__all__ = [
    "AdaMaxOptimizer",
    "AdamWOptimizer",
    "AddSignOptimizer",
    "DecoupledWeightDecayExtension",
    "ExternalOptimizerInterface",
    "LazyAdamOptimizer",
    "MomentumWOptimizer",
    "MovingAverageOptimizer",
    "NadamOptimizer",
    "PowerSignOptimizer",
    "ScipyOptimizerInterface",
    "extend_with_decoupled_weight_decay",
]  # fmt: skip
