"""Gradient descent, with and without momentum, and optimizers that divide by accumulated gradients."""

from __future__ import annotations

from typing import Any

from corenn.errors import AttributeValueError, UsageError
from corenn.ops.adaptive_updates import (
    adadelta_update,
    adagrad_update,
    ftrl_update,
    rmsprop_centered_update,
    rmsprop_momentum_update,
    rmsprop_update,
)
from corenn.ops.updates import momentum_update, sgd_update
from corenn.optimizers.adam import Rate, check_decays
from corenn.optimizers.base import Optimizer
from corenn.tensor import Tensor
from corenn.variable import Variable


class SGD(Optimizer):
    """Gradient descent: the variable falls by ``rate * g``.

    With ``momentum`` (Keras's form): ``v = momentum * v - rate * g`` is added to the variable; with ``nesterov``,
    ``momentum * v - rate * g`` is (Sutskever et al. 2013).
    """

    def __init__(
        self, learning_rate: Rate = 0.01, momentum: float = 0.0, nesterov: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        if not 0 <= momentum <= 1:
            raise AttributeValueError("SGD", "momentum must lie in [0, 1]", {"momentum": momentum})
        if nesterov and not momentum:
            raise UsageError("SGD", "nesterov needs a momentum", hint="SGD(momentum=0.9, nesterov=True)")
        self.momentum, self.nesterov = float(momentum), bool(nesterov)
        self.slot_names = ("momentum",) if self.momentum else ()

    def update(
        self, variable: Variable, gradient: Tensor, slots: tuple[Variable, ...], rate: Tensor, weight_decay: float
    ) -> tuple[Tensor, ...]:
        """One step."""
        if not slots:
            return (sgd_update(variable, gradient, rate, weight_decay=weight_decay),)
        return momentum_update(
            variable,
            gradient,
            slots[0],
            rate,
            momentum=self.momentum,
            nesterov=self.nesterov,
            velocity_of="variable",
            weight_decay=weight_decay,
        )


class RMSprop(Optimizer):
    """RMSprop (Tieleman and Hinton 2012): the step is ``rate * g / sqrt(s + epsilon)``, s a decaying mean of ``g**2``.

    ``momentum``: steps are added up, ``v = momentum * v + step``, and the variable falls by v.  ``centered``: s minus
    the square of the mean gradient takes the place of s (Graves 2013, arXiv:1308.0850).
    """

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        check_decays("RMSprop", rho=rho)
        if not 0 <= momentum <= 1:
            raise AttributeValueError("RMSprop", "momentum must lie in [0, 1]", {"momentum": momentum})
        self.rho, self.momentum, self.epsilon = float(rho), float(momentum), float(epsilon)
        self.centered = bool(centered)
        if centered:
            self.slot_names = ("velocity", "average_gradient", "momentum")
        else:
            self.slot_names = ("velocity", "momentum") if self.momentum else ("velocity",)

    def update(
        self, variable: Variable, gradient: Tensor, slots: tuple[Variable, ...], rate: Tensor, weight_decay: float
    ) -> tuple[Tensor, ...]:
        """One step."""
        common: dict[str, Any] = {"rho": self.rho, "epsilon": self.epsilon}
        common |= {"epsilon_inside": True, "weight_decay": weight_decay}
        if self.centered:
            s, mean, v = slots
            return rmsprop_centered_update(variable, gradient, s, mean, v, rate, momentum=self.momentum, **common)
        if self.momentum:
            s, v = slots
            return rmsprop_momentum_update(variable, gradient, s, v, rate, momentum=self.momentum, **common)
        return rmsprop_update(variable, gradient, slots[0], rate, **common)


class Adagrad(Optimizer):
    """Adagrad (Duchi, Hazan and Singer 2011): ``s += g**2`` from ``initial_accumulator_value`` on; the variable falls
    by ``rate * g / sqrt(s + epsilon)``."""

    slot_names = ("accumulator",)

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        _check_start("Adagrad", initial_accumulator_value)
        self.initial_accumulator_value, self.epsilon = float(initial_accumulator_value), float(epsilon)

    def slot_start(self, name: str) -> float:
        """The accumulator's first value."""
        return self.initial_accumulator_value

    def update(
        self, variable: Variable, gradient: Tensor, slots: tuple[Variable, ...], rate: Tensor, weight_decay: float
    ) -> tuple[Tensor, ...]:
        """One step."""
        return adagrad_update(
            variable, gradient, slots[0], rate, epsilon=self.epsilon, epsilon_inside=True, weight_decay=weight_decay
        )


class Adadelta(Optimizer):
    """Adadelta (Zeiler 2012, arXiv:1212.5701): ``s = rho * s + (1 - rho) * g**2``; the step is
    ``sqrt(d + epsilon) / sqrt(s + epsilon) * g``, where d is the decaying mean of squared steps.

    The variable falls by ``rate`` times the step; the paper has a rate of 1.
    """

    slot_names = ("accumulator", "accumulated_update")

    def __init__(self, learning_rate: Rate = 0.001, rho: float = 0.95, epsilon: float = 1e-7, **kwargs: Any) -> None:
        super().__init__(learning_rate, **kwargs)
        check_decays("Adadelta", rho=rho)
        self.rho, self.epsilon = float(rho), float(epsilon)

    def update(
        self, variable: Variable, gradient: Tensor, slots: tuple[Variable, ...], rate: Tensor, weight_decay: float
    ) -> tuple[Tensor, ...]:
        """One step."""
        return adadelta_update(
            variable, gradient, slots[0], slots[1], rate, rho=self.rho, epsilon=self.epsilon, weight_decay=weight_decay
        )


class Ftrl(Optimizer):
    """Follow the regularised leader (McMahan et al. 2013, "Ad click prediction", algorithm 1), with L1 and L2 terms.

    See ``corenn.ops.adaptive_updates.ftrl_update`` for the formula.  ``learning_rate_power`` is at most 0 (-0.5: rates
    fall with the root of the accumulated squares).
    """

    slot_names = ("accumulator", "linear")

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        learning_rate_power: float = -0.5,
        initial_accumulator_value: float = 0.1,
        l1_regularization_strength: float = 0.0,
        l2_regularization_strength: float = 0.0,
        l2_shrinkage_regularization_strength: float = 0.0,
        beta: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        _check_start("Ftrl", initial_accumulator_value)
        strengths = {
            "l1_regularization_strength": l1_regularization_strength,
            "l2_regularization_strength": l2_regularization_strength,
            "l2_shrinkage_regularization_strength": l2_shrinkage_regularization_strength,
        }
        for name, value in strengths.items():
            if not value >= 0:
                raise AttributeValueError("Ftrl", f"{name} must be at least 0", {name: value})
        if not learning_rate_power <= 0:
            shown = {"learning_rate_power": learning_rate_power}
            raise AttributeValueError("Ftrl", "learning_rate_power must be at most 0", shown)
        self.learning_rate_power, self.beta = float(learning_rate_power), float(beta)
        self.initial_accumulator_value = float(initial_accumulator_value)
        self.l1_regularization_strength = float(l1_regularization_strength)
        self.l2_regularization_strength = float(l2_regularization_strength)
        self.l2_shrinkage_regularization_strength = float(l2_shrinkage_regularization_strength)

    def slot_start(self, name: str) -> float:
        """The accumulator's first value; 0 for the other."""
        return self.initial_accumulator_value if name == "accumulator" else 0.0

    def update(
        self, variable: Variable, gradient: Tensor, slots: tuple[Variable, ...], rate: Tensor, weight_decay: float
    ) -> tuple[Tensor, ...]:
        """One step."""
        return ftrl_update(
            variable,
            gradient,
            slots[0],
            slots[1],
            rate,
            learning_rate_power=self.learning_rate_power,
            l1=self.l1_regularization_strength,
            l2=self.l2_regularization_strength,
            l2_shrinkage=self.l2_shrinkage_regularization_strength,
            beta=self.beta,
            weight_decay=weight_decay,
        )


def _check_start(where: str, value: float) -> None:
    if not value >= 0:
        shown = {"initial_accumulator_value": value}
        raise AttributeValueError(where, "initial_accumulator_value must be at least 0", shown)


__all__ = ["SGD", "Adadelta", "Adagrad", "Ftrl", "RMSprop"]
