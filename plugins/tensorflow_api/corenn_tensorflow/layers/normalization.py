"""Batch normalisation, as a class and as a function."""

from __future__ import annotations

from typing import Any

from corenn.errors import UsageError
from corenn.ops.batch_norm import batch_norm_inference, batch_norm_training
from corenn.ops.elementwise import cast, identity, multiply, subtract
from corenn.tensor import Tensor
from corenn_tensorflow.layer_base import Layer, smart_cond
from corenn_tensorflow.mode import graph_for
from corenn_tensorflow.nn.normalization import bessel
from corenn_tensorflow.operands import known, tensor


def move_average(average: Any, value: Tensor, momentum: float, training: Any, name: str = "AssignMovingAvg") -> Any:
    """``average -= (average - value) * (1 - momentum)``, nothing where ``training`` (a tensor) does not hold."""
    share: Any = 1.0 - momentum
    if known(training) is None:
        share = multiply(cast(tensor(training), dtype=value.dtype), share)
    now = average.read_value() if graph_for() is not None else average.value()
    delta = multiply(subtract(now, cast(value, dtype=now.dtype)), share)
    return average.assign_sub(delta, name=name)


class BatchNormalization(Layer):
    """Each channel to mean ``beta`` and standard deviation ``gamma``: by the batch in training, else by averages.

    The updates of the moving averages are put into the collection ``tf.GraphKeys.UPDATE_OPS``; the training operation
    has to wait for them.  For 4-d inputs the moving variance is that of the unbiased estimate, as the fused kernels of
    TensorFlow have it.
    """

    def __init__(
        self, axis: Any = -1, momentum: float = 0.99, epsilon: float = 1e-3, center: bool = True, scale: bool = True,
        beta_initializer: Any = "zeros", gamma_initializer: Any = "ones", moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones", beta_regularizer: Any = None, gamma_regularizer: Any = None,
        beta_constraint: Any = None, gamma_constraint: Any = None, renorm: bool = False, renorm_clipping: Any = None,
        renorm_momentum: float = 0.99, fused: bool | None = None, trainable: bool = True,
        virtual_batch_size: int | None = None, adjustment: Any = None, name: str | None = None, **base: Any,
    ) -> None:  # fmt: skip
        super().__init__(trainable=trainable, name=name, **base)
        for option, given in (
            ("renorm", renorm),
            ("virtual_batch_size", virtual_batch_size),
            ("adjustment", adjustment),
        ):
            if given:
                raise UsageError(self.name, f"batch normalisation with {option} is not offered", {option: given},
                                 hint=f"leave {option} out: plain batch normalisation")  # fmt: skip
        listed = list(axis) if isinstance(axis, (list, tuple)) else [axis]
        if len(listed) != 1:
            raise UsageError(self.name, "batch normalisation over several axes is not offered", {"axis": axis})
        self.axis, self.momentum, self.epsilon = int(listed[0]), float(momentum), float(epsilon)
        self.center, self.scale, self.fused = center, scale, fused
        self._made = {
            "gamma": (gamma_initializer, gamma_regularizer, gamma_constraint),
            "beta": (beta_initializer, beta_regularizer, beta_constraint),
            "moving_mean": (moving_mean_initializer, None, None),
            "moving_variance": (moving_variance_initializer, None, None),
        }
        self.gamma: Any = None
        self.beta: Any = None
        self.moving_mean: Any = None
        self.moving_variance: Any = None

    def build(self, input_shape: Any) -> None:
        """``gamma``, ``beta``, ``moving_mean``, ``moving_variance``: one number for each channel."""
        listed = input_shape.as_list()
        place = self.axis % len(listed)
        if listed[place] is None:
            raise UsageError(
                self.name, "the extent of the channel axis must be known", {"inputs": listed, "axis": place}
            )
        self._place, self._bessel = place, len(listed) == 4 and place in (1, 3) and self.fused is not False
        wanted = [n for n in self._made if (n != "gamma" or self.scale) and (n != "beta" or self.center)]
        for name in wanted:
            initializer, regularizer, constraint = self._made[name]
            made = self.add_variable(
                name, (listed[place],), initializer=initializer, regularizer=regularizer, constraint=constraint,
                trainable=name in ("gamma", "beta"),
            )  # fmt: skip
            setattr(self, name, made)
        self.built = True

    def call(self, inputs: Any, training: Any = False) -> Tensor:
        """The normalised inputs; ``training``: a bool or a scalar tensor."""
        x = tensor(inputs)
        axis, epsilon = self._place, self.epsilon
        flag = False if not self.trainable else training

        def by_batch() -> list[Tensor]:
            y, mean, variance = batch_norm_training(x, self.gamma, self.beta, axis=axis, epsilon=epsilon)
            return [y, mean, bessel(variance, x, axis) if self._bessel else variance]

        def by_averages() -> list[Tensor]:
            mean, variance = identity(self.moving_mean), identity(self.moving_variance)
            gamma, beta = self.gamma, self.beta
            return [batch_norm_inference(x, gamma, beta, mean, variance, axis=axis, epsilon=epsilon), mean, variance]

        y, mean, variance = smart_cond(flag, by_batch, by_averages)
        if known(flag) is None or known(flag):
            for average, value in ((self.moving_mean, mean), (self.moving_variance, variance)):
                update = move_average(average, value, self.momentum, flag)
                self.add_update(update)
        return y

    def compute_output_shape(self, input_shape: Any) -> Any:
        """That of the inputs."""
        return input_shape


def batch_normalization(
    inputs: Any, axis: Any = -1, momentum: float = 0.99, epsilon: float = 1e-3, center: bool = True, scale: bool = True,
    beta_initializer: Any = "zeros", gamma_initializer: Any = "ones", moving_mean_initializer: Any = "zeros",
    moving_variance_initializer: Any = "ones", beta_regularizer: Any = None, gamma_regularizer: Any = None,
    beta_constraint: Any = None, gamma_constraint: Any = None, training: Any = False, trainable: bool = True,
    name: str | None = None, reuse: Any = None, renorm: bool = False, renorm_clipping: Any = None,
    renorm_momentum: float = 0.99, fused: bool | None = None, virtual_batch_size: int | None = None,
    adjustment: Any = None,
) -> Tensor:  # fmt: skip
    """Normalise each channel, see ``BatchNormalization``; ``training``: a bool or a scalar tensor."""
    layer = BatchNormalization(
        axis, momentum, epsilon, center, scale, beta_initializer, gamma_initializer, moving_mean_initializer,
        moving_variance_initializer, beta_regularizer, gamma_regularizer, beta_constraint, gamma_constraint, renorm,
        renorm_clipping, renorm_momentum, fused, trainable, virtual_batch_size, adjustment, name, _scope=name,
        _reuse=reuse,
    )  # fmt: skip
    return layer(inputs, training=training)  # type: ignore[no-any-return]


BatchNorm, batch_norm = BatchNormalization, batch_normalization

__all__ = ["BatchNorm", "BatchNormalization", "batch_norm", "batch_normalization", "move_average"]
