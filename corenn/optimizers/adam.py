"""Adam and its kin: optimizers with decaying means of the gradient and of its size."""

from __future__ import annotations

from typing import Any

from corenn.errors import AttributeValueError
from corenn.ops.updates import adam_update, adamax_update, amsgrad_update, lion_update, nadam_update
from corenn.optimizers.base import Optimizer
from corenn.schedules import Schedule
from corenn.tensor import Tensor
from corenn.variable import Variable

Rate = float | Schedule


def check_decays(where: str, **values: float) -> None:
    """AttributeValueError unless each decay rate lies in [0, 1)."""
    for name, value in values.items():
        if not 0 <= value < 1:
            raise AttributeValueError(where, f"{name} must be at least 0 and below 1", {name: value})


class _Moments(Optimizer):
    """What the Adam family shares: two decay rates and an epsilon."""

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        check_decays(type(self).__name__, beta_1=beta_1, beta_2=beta_2)
        self.beta_1, self.beta_2, self.epsilon = float(beta_1), float(beta_2), float(epsilon)

    def _settings(self, weight_decay: float) -> dict[str, Any]:
        """The attributes that the update ops of the family have in common."""
        common = {"beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}
        return {**common, "weight_decay": weight_decay}


class Adam(_Moments):
    """Adam (Kingma and Ba 2015, arXiv:1412.6980), in the "epsilon hat" form of TensorFlow and Keras.

    With t the number of the update: ``m += (g - m) (1 - beta_1)``, ``v += (g**2 - v) (1 - beta_2)``, and the variable
    falls by ``rate * sqrt(1 - beta_2**t) / (1 - beta_1**t) * m / (sqrt(v) + epsilon)``.  ``amsgrad`` divides by the
    root of the largest v so far (Reddi et al. 2018, arXiv:1904.09237).
    """

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, beta_1, beta_2, epsilon, **kwargs)
        self.amsgrad = bool(amsgrad)
        self.slot_names = ("momentum", "velocity", "velocity_hat") if amsgrad else ("momentum", "velocity")

    def update(
        self, variable: Variable, gradient: Tensor, slots: tuple[Variable, ...], rate: Tensor, weight_decay: float
    ) -> tuple[Tensor, ...]:
        """One step."""
        step = self.step_number(variable)
        if self.amsgrad:
            m, v, v_max = slots
            return amsgrad_update(variable, gradient, m, v, v_max, rate, step, **self._settings(weight_decay))
        m, v = slots
        return adam_update(variable, gradient, m, v, rate, step, nesterov=False, **self._settings(weight_decay))


class AdamW(Adam):
    """Adam with decoupled weight decay, 0.004 by default (Loshchilov and Hutter 2019, arXiv:1711.05101)."""

    def __init__(self, learning_rate: Rate = 0.001, weight_decay: float | None = 0.004, **kwargs: Any) -> None:
        super().__init__(learning_rate, weight_decay=weight_decay, **kwargs)


class Nadam(_Moments):
    """Adam with Nesterov momentum (Dozat 2016), its momentum ``beta_1 (1 - 0.96**t / 2)`` rising to beta_1."""

    slot_names = ("momentum", "velocity")
    #: How fast the momentum rises: ``0.96**(schedule_decay * t)``.
    schedule_decay = 1.0
    _product, _product_step = 1.0, 0

    def _momentum_product(self) -> float:
        """The product of the momenta of updates 1 to this one, always multiplied in that order (bit-exact resume)."""
        if self._product_step > self.iterations:
            self._product, self._product_step = 1.0, 0
        while self._product_step < self.iterations:
            self._product_step += 1
            self._product *= self.beta_1 * (1.0 - 0.5 * 0.96 ** (self.schedule_decay * self._product_step))
        return self._product

    def update(
        self, variable: Variable, gradient: Tensor, slots: tuple[Variable, ...], rate: Tensor, weight_decay: float
    ) -> tuple[Tensor, ...]:
        """One step."""
        m, v = slots
        product = self.number(self._momentum_product, variable, ("product",))
        return nadam_update(
            variable, gradient, m, v, rate, self.step_number(variable), product,
            schedule_decay=self.schedule_decay, **self._settings(weight_decay),
        )  # fmt: skip


class Adamax(_Moments):
    """Adam in the infinity norm (Kingma and Ba 2015, section 7.1): ``u = max(beta_2 * u, |g|)``, and the variable falls
    by ``rate / (1 - beta_1**t) * m / (u + epsilon)``."""

    slot_names = ("momentum", "norm")

    def update(
        self, variable: Variable, gradient: Tensor, slots: tuple[Variable, ...], rate: Tensor, weight_decay: float
    ) -> tuple[Tensor, ...]:
        """One step."""
        m, u = slots
        return adamax_update(variable, gradient, m, u, rate, self.step_number(variable), **self._settings(weight_decay))


class Lion(Optimizer):
    """Lion (Chen et al. 2023, arXiv:2302.06675): steps of size ``rate`` in the direction of a sign.

    The variable falls by ``rate * sign(beta_1 * m + (1 - beta_1) * g)``, then ``m = beta_2 * m + (1 - beta_2) * g``.
    Use a rate 3 to 10 times smaller than Adam's.
    """

    slot_names = ("momentum",)

    def __init__(self, learning_rate: Rate = 0.001, beta_1: float = 0.9, beta_2: float = 0.99, **kwargs: Any) -> None:
        super().__init__(learning_rate, **kwargs)
        check_decays("Lion", beta_1=beta_1, beta_2=beta_2)
        self.beta_1, self.beta_2 = float(beta_1), float(beta_2)

    def update(
        self, variable: Variable, gradient: Tensor, slots: tuple[Variable, ...], rate: Tensor, weight_decay: float
    ) -> tuple[Tensor, ...]:
        """One step."""
        return lion_update(
            variable, gradient, slots[0], rate, beta_1=self.beta_1, beta_2=self.beta_2, weight_decay=weight_decay
        )


__all__ = ["Adam", "AdamW", "Adamax", "Lion", "Nadam", "Rate", "check_decays"]
