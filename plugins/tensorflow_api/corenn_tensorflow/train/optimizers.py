"""The optimizers of ``tf.train``; defaults and slots as in TensorFlow 1.15.

A hyperparameter may be a number, a tensor, a placeholder, or a function of none; rates are tensors of the graph, the
others attributes of the update where they are numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from corenn.graph import state
from corenn.ops.transcendental import sqrt
from corenn_tensorflow.train.optimizer import Optimizer


def _in_float32(value: Any) -> Any:
    """A number as the float32 tensor that TensorFlow makes of it, whatever the variables' dtype.

    It matters where ``1 - value`` is small: 1 - 0.999 differs by 5e-5 from what is left of 1 beside 0.999 in float32,
    and Adam's correction, a power of the latter, would not cancel the weight of the first gradient.
    """
    return float(np.float32(value)) if isinstance(value, int | float) else value


class GradientDescentOptimizer(Optimizer):
    """``var -= learning_rate * gradient``."""

    def __init__(self, learning_rate: Any, use_locking: bool = False, name: str = "GradientDescent") -> None:
        super().__init__(use_locking, name)
        self._learning_rate = learning_rate

    def _prepare(self) -> None:
        self._learning_rate_tensor = self._number(self._learning_rate, "learning_rate")

    def _apply_dense(self, grad: Any, var: Any) -> Any:
        return self._update("sgd", "ApplyGradientDescent", grad, var, (), self._learning_rate_tensor)


class MomentumOptimizer(Optimizer):
    """``accum = momentum * accum + gradient; var -= learning_rate * accum``; slot ``momentum``."""

    def __init__(
        self, learning_rate: Any, momentum: Any, use_locking: bool = False, name: str = "Momentum",
        use_nesterov: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(use_locking, name)
        self._learning_rate, self._momentum, self._use_nesterov = learning_rate, momentum, use_nesterov

    def _create_slots(self, var_list: Sequence[Any]) -> None:
        for var in var_list:
            self._zeros_slot(var, "momentum", self._name)

    def _prepare(self) -> None:
        self._learning_rate_tensor = self._number(self._learning_rate, "learning_rate")
        self._momentum_tensor = _in_float32(self._call_if_callable(self._momentum))

    def _apply_dense(self, grad: Any, var: Any) -> Any:
        return self._update(
            "momentum", "ApplyMomentum", grad, var, ("momentum",), self._learning_rate_tensor,
            momentum=self._momentum_tensor, nesterov=bool(self._use_nesterov), velocity_of="gradient",
        )  # fmt: skip


class AdamOptimizer(Optimizer):
    """Adam with epsilon beside the root of the uncorrected moment; slots ``m`` and ``v``."""

    _nesterov = False

    def __init__(
        self, learning_rate: Any = 0.001, beta1: Any = 0.9, beta2: Any = 0.999, epsilon: Any = 1e-8,
        use_locking: bool = False, name: str = "Adam",
    ) -> None:  # fmt: skip
        super().__init__(use_locking, name)
        self._lr, self._beta1, self._beta2, self._epsilon = learning_rate, beta1, beta2, epsilon

    def _get_beta_accumulators(self) -> tuple[Any, Any]:
        graph = self._graph_here()
        return self._get_non_slot_variable("beta1_power", graph), self._get_non_slot_variable("beta2_power", graph)

    def _create_slots(self, var_list: Sequence[Any]) -> None:
        first = min(var_list, key=lambda v: v.name)
        beta1, beta2 = self._call_if_callable(self._beta1), self._call_if_callable(self._beta2)
        self._create_non_slot_variable(initial_value=beta1, name="beta1_power", colocate_with=first)
        self._create_non_slot_variable(initial_value=beta2, name="beta2_power", colocate_with=first)
        for var in var_list:
            self._zeros_slot(var, "m", self._name)
            self._zeros_slot(var, "v", self._name)

    def _prepare(self) -> None:
        self._lr_t = self._number(self._lr, "learning_rate")
        self._beta1_t, self._beta2_t, self._epsilon_t = (
            _in_float32(self._call_if_callable(value)) for value in (self._beta1, self._beta2, self._epsilon)
        )
        power1, power2 = self._get_beta_accumulators()
        #: The rate with both corrections, which all updates share.
        self._alpha = self._lr_t * sqrt(1 - power2) / (1 - power1)

    def _apply_dense(self, grad: Any, var: Any) -> Any:
        return self._update(
            "adam", "ApplyAdam", grad, var, ("m", "v"), self._alpha, beta_1=self._beta1_t, beta_2=self._beta2_t,
            epsilon=self._epsilon_t, nesterov=self._nesterov,
        )  # fmt: skip

    def _finish(self, update_ops: list[Any], name_scope: str) -> Any:
        power1, power2 = self._get_beta_accumulators()
        graph = self._graph_here()
        if graph is None:
            power1.assign(power1.value() * self._beta1_t)
            power2.assign(power2.value() * self._beta2_t)
            return None
        with graph.control_dependencies(update_ops):
            ends = [power1.assign(power1 * self._beta1_t), power2.assign(power2 * self._beta2_t)]
        return state.group(graph, *update_ops, *ends, name=name_scope)


class RMSPropOptimizer(Optimizer):
    """RMSprop; slots ``rms`` (from ones), ``momentum``, and ``mg`` where ``centered``."""

    def __init__(
        self, learning_rate: Any, decay: Any = 0.9, momentum: Any = 0.0, epsilon: Any = 1e-10,
        use_locking: bool = False, centered: bool = False, name: str = "RMSProp",
    ) -> None:  # fmt: skip
        super().__init__(use_locking, name)
        self._learning_rate, self._decay, self._momentum, self._epsilon = learning_rate, decay, momentum, epsilon
        self._centered = centered

    def _create_slots(self, var_list: Sequence[Any]) -> None:
        for var in var_list:
            self._filled_slot(var, 1.0, "rms", self._name)
            if self._centered:
                self._zeros_slot(var, "mg", self._name)
            self._zeros_slot(var, "momentum", self._name)

    def _prepare(self) -> None:
        self._learning_rate_tensor = self._number(self._learning_rate, "learning_rate")
        self._decay_tensor, self._momentum_tensor, self._epsilon_tensor = (
            _in_float32(self._call_if_callable(value)) for value in (self._decay, self._momentum, self._epsilon)
        )

    def _apply_dense(self, grad: Any, var: Any) -> Any:
        slots = ("rms", "mg", "momentum") if self._centered else ("rms", "momentum")
        return self._update(
            "rmsprop_centered" if self._centered else "rmsprop",
            "ApplyCenteredRMSProp" if self._centered else "ApplyRMSProp",
            grad, var, slots, self._learning_rate_tensor, rho=self._decay_tensor, momentum=self._momentum_tensor,
            epsilon=self._epsilon_tensor,
        )  # fmt: skip


class AdagradOptimizer(Optimizer):
    """``accumulator += gradient ** 2; var -= learning_rate * gradient / sqrt(accumulator)``."""

    def __init__(
        self, learning_rate: Any, initial_accumulator_value: float = 0.1, use_locking: bool = False,
        name: str = "Adagrad",
    ) -> None:  # fmt: skip
        if initial_accumulator_value <= 0.0:
            raise ValueError(f"initial_accumulator_value must be positive: {initial_accumulator_value}")
        super().__init__(use_locking, name)
        self._learning_rate, self._initial_accumulator_value = learning_rate, initial_accumulator_value

    def _create_slots(self, var_list: Sequence[Any]) -> None:
        for var in var_list:
            self._filled_slot(var, self._initial_accumulator_value, "accumulator", self._name)

    def _prepare(self) -> None:
        self._learning_rate_tensor = self._number(self._learning_rate, "learning_rate")

    def _apply_dense(self, grad: Any, var: Any) -> Any:
        return self._update(
            "adagrad", "ApplyAdagrad", grad, var, ("accumulator",), self._learning_rate_tensor, epsilon=0.0
        )


class AdagradDAOptimizer(Optimizer):
    """Adagrad with dual averaging; slots ``gradient_accumulator`` and ``gradient_squared_accumulator``."""

    def __init__(
        self, learning_rate: Any, global_step: Any, initial_gradient_squared_accumulator_value: float = 0.1,
        l1_regularization_strength: float = 0.0, l2_regularization_strength: float = 0.0, use_locking: bool = False,
        name: str = "AdagradDA",
    ) -> None:  # fmt: skip
        if initial_gradient_squared_accumulator_value <= 0.0:
            raise ValueError(
                "initial_gradient_squared_accumulator_value must be positive: "
                f"{initial_gradient_squared_accumulator_value}"
            )
        super().__init__(use_locking, name)
        self._learning_rate, self._global_step = learning_rate, global_step
        self._start = initial_gradient_squared_accumulator_value
        self._l1, self._l2 = l1_regularization_strength, l2_regularization_strength

    def _create_slots(self, var_list: Sequence[Any]) -> None:
        for var in var_list:
            self._zeros_slot(var, "gradient_accumulator", self._name)
            self._filled_slot(var, self._start, "gradient_squared_accumulator", self._name)

    def _prepare(self) -> None:
        self._learning_rate_tensor = self._number(self._learning_rate, "learning_rate")
        # Counted from 1: the sums hold that many gradients after the update.
        self._step_tensor = self._global_step + 1

    def _apply_dense(self, grad: Any, var: Any) -> Any:
        return self._update(
            "adagrad_da", "ApplyAdagradDA", grad, var, ("gradient_accumulator", "gradient_squared_accumulator"),
            self._learning_rate_tensor, self._step_tensor, l1=self._l1, l2=self._l2,
        )  # fmt: skip


class AdadeltaOptimizer(Optimizer):
    """Adadelta; slots ``accum`` and ``accum_update``."""

    def __init__(
        self, learning_rate: Any = 0.001, rho: Any = 0.95, epsilon: Any = 1e-8, use_locking: bool = False,
        name: str = "Adadelta",
    ) -> None:  # fmt: skip
        super().__init__(use_locking, name)
        self._lr, self._rho, self._epsilon = learning_rate, rho, epsilon

    def _create_slots(self, var_list: Sequence[Any]) -> None:
        for var in var_list:
            self._zeros_slot(var, "accum", self._name)
            self._zeros_slot(var, "accum_update", self._name)

    def _prepare(self) -> None:
        self._lr_t = self._number(self._lr, "lr")
        self._rho_t, self._epsilon_t = self._call_if_callable(self._rho), self._call_if_callable(self._epsilon)

    def _apply_dense(self, grad: Any, var: Any) -> Any:
        return self._update(
            "adadelta", "ApplyAdadelta", grad, var, ("accum", "accum_update"), self._lr_t, rho=self._rho_t,
            epsilon=self._epsilon_t,
        )  # fmt: skip


class FtrlOptimizer(Optimizer):
    """Follow the regularised leader; slots ``accum`` and ``linear``."""

    def __init__(
        self, learning_rate: Any, learning_rate_power: float = -0.5, initial_accumulator_value: float = 0.1,
        l1_regularization_strength: float = 0.0, l2_regularization_strength: float = 0.0, use_locking: bool = False,
        name: str = "Ftrl", accum_name: str | None = None, linear_name: str | None = None,
        l2_shrinkage_regularization_strength: float = 0.0,
    ) -> None:  # fmt: skip
        for label, value, bad in (
            ("initial_accumulator_value", initial_accumulator_value, initial_accumulator_value < 0.0),
            ("learning_rate_power", learning_rate_power, learning_rate_power > 0.0),
            ("l1_regularization_strength", l1_regularization_strength, l1_regularization_strength < 0.0),
            ("l2_regularization_strength", l2_regularization_strength, l2_regularization_strength < 0.0),
            (
                "l2_shrinkage_regularization_strength",
                l2_shrinkage_regularization_strength,
                l2_shrinkage_regularization_strength < 0.0,
            ),
        ):
            if bad:
                sort = "be negative or zero" if label == "learning_rate_power" else "be positive or zero"
                raise ValueError(f"{label} {value} needs to {sort}")
        super().__init__(use_locking, name)
        self._learning_rate, self._learning_rate_power = learning_rate, learning_rate_power
        self._start, self._accum_name, self._linear_name = initial_accumulator_value, accum_name, linear_name
        self._l1, self._l2 = l1_regularization_strength, l2_regularization_strength
        self._shrinkage = l2_shrinkage_regularization_strength

    def _create_slots(self, var_list: Sequence[Any]) -> None:
        for var in var_list:
            self._filled_slot(var, self._start, "accum", self._accum_name or self._name)
            self._zeros_slot(var, "linear", self._linear_name or self._name)

    def _prepare(self) -> None:
        self._learning_rate_tensor = self._number(self._learning_rate, "learning_rate")

    def _apply_dense(self, grad: Any, var: Any) -> Any:
        return self._update(
            "ftrl", "ApplyFtrlV2" if self._shrinkage else "ApplyFtrl", grad, var, ("accum", "linear"),
            self._learning_rate_tensor, learning_rate_power=self._learning_rate_power, l1=self._l1, l2=self._l2,
            l2_shrinkage=self._shrinkage,
        )  # fmt: skip


class ProximalGradientDescentOptimizer(Optimizer):
    """Gradient descent with the proximal step of L1 and L2 penalties."""

    def __init__(
        self, learning_rate: Any, l1_regularization_strength: float = 0.0, l2_regularization_strength: float = 0.0,
        use_locking: bool = False, name: str = "ProximalGradientDescent",
    ) -> None:  # fmt: skip
        super().__init__(use_locking, name)
        self._learning_rate = learning_rate
        self._l1, self._l2 = l1_regularization_strength, l2_regularization_strength

    def _prepare(self) -> None:
        self._learning_rate_tensor = self._number(self._learning_rate, "learning_rate")

    def _apply_dense(self, grad: Any, var: Any) -> Any:
        return self._update(
            "proximal_descent", "ApplyProximalGradientDescent", grad, var, (), self._learning_rate_tensor,
            l1=self._l1, l2=self._l2,
        )  # fmt: skip


class ProximalAdagradOptimizer(AdagradOptimizer):
    """Adagrad with the proximal step of L1 and L2 penalties."""

    def __init__(
        self, learning_rate: Any, initial_accumulator_value: float = 0.1, l1_regularization_strength: float = 0.0,
        l2_regularization_strength: float = 0.0, use_locking: bool = False, name: str = "ProximalAdagrad",
    ) -> None:  # fmt: skip
        super().__init__(learning_rate, initial_accumulator_value, use_locking, name)
        self._l1, self._l2 = l1_regularization_strength, l2_regularization_strength

    def _apply_dense(self, grad: Any, var: Any) -> Any:
        return self._update(
            "proximal_adagrad", "ApplyProximalAdagrad", grad, var, ("accumulator",), self._learning_rate_tensor,
            l1=self._l1, l2=self._l2,
        )  # fmt: skip


class SyncReplicasOptimizer(Optimizer):
    """Replicas that wait for each other.  There is one process here, so it is the optimizer it wraps.

    More than one replica would need workers that corenn does not start: that raises, and says what serves.
    """

    def __init__(
        self, opt: Optimizer, replicas_to_aggregate: int, total_num_replicas: int | None = None,
        variable_averages: Any = None, variables_to_average: Any = None, use_locking: bool = False,
        name: str = "sync_replicas",
    ) -> None:  # fmt: skip
        if max(replicas_to_aggregate, total_num_replicas or 1) > 1:
            from corenn.errors import UsageError

            raise UsageError(
                "tf.train.SyncReplicasOptimizer", "it waits for replicas in other processes, and corenn runs in one",
                {"replicas_to_aggregate": replicas_to_aggregate, "total_num_replicas": total_num_replicas},
                hint="use the inner optimizer; average the gradients of several batches before apply_gradients()",
            )  # fmt: skip
        super().__init__(use_locking, name)
        self._opt = opt

    def compute_gradients(self, *args: Any, **kwargs: Any) -> list[tuple[Any, Any]]:
        """Those of the inner optimizer."""
        return self._opt.compute_gradients(*args, **kwargs)

    def apply_gradients(self, grads_and_vars: Any, global_step: Any = None, name: str | None = None) -> Any:
        """The inner optimizer's update; ``global_step`` is required, as in TensorFlow."""
        if not grads_and_vars:
            raise ValueError("Must supply at least one variable")
        if global_step is None:
            raise ValueError("Global step is required to check staleness")
        return self._opt.apply_gradients(grads_and_vars, global_step, name)

    def get_slot(self, *args: Any, **kwargs: Any) -> Any:
        """That of the inner optimizer."""
        return self._opt.get_slot(*args, **kwargs)

    def get_slot_names(self, *args: Any, **kwargs: Any) -> list[str]:
        """Those of the inner optimizer."""
        return self._opt.get_slot_names(*args, **kwargs)

    def variables(self) -> list[Any]:
        """Those of the inner optimizer."""
        return self._opt.variables()

    def make_session_run_hook(self, is_chief: bool, num_tokens: int = -1) -> Any:
        """A hook that does nothing: nobody waits."""
        from corenn_tensorflow.train.hooks import SessionRunHook

        return SessionRunHook()


__all__ = [
    "AdadeltaOptimizer", "AdagradDAOptimizer", "AdagradOptimizer", "AdamOptimizer", "FtrlOptimizer",
    "GradientDescentOptimizer", "MomentumOptimizer", "ProximalAdagradOptimizer", "ProximalGradientDescentOptimizer",
    "RMSPropOptimizer", "SyncReplicasOptimizer",
]  # fmt: skip
