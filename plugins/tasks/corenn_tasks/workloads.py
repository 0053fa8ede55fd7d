"""The workloads of ``corenn bench``: small and large networks with their batches, losses and optimizers.

Each is what a user would write: a model of layers, a loss, an optimizer, and a step traced by ``corenn.function``.  The
data is random, made once, and in memory.  Names, sizes and settings are those that other frameworks are timed with
(``benchmarks/compare.py``), so a change here makes figures incomparable.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import corenn
from corenn import losses, optimizers
from corenn.errors import UsageError, nearest
from corenn.layers import (
    LSTM,
    Activation,
    BatchNormalization,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    Input,
    Layer,
    MaxPooling2D,
)
from corenn.optimizers import Optimizer
from corenn.tensor import Tensor
from corenn.training import Model, Sequential

Build = Callable[[tuple[int, ...], bool], Model]


@dataclass(frozen=True)
class Workload:
    """One network to time.

    ``build(example, dropout)``: a model for examples of the shape ``example``, its dropout layers left out unless
    ``dropout``.  ``outputs``: classes, or targets of the squared error.  ``optimizer``: a name, or ``None`` for
    inference.
    """

    name: str
    about: str
    batch: int
    example: tuple[int, ...]
    outputs: int
    build: Build
    loss: str = "xent"
    optimizer: str | None = None

    @property
    def trains(self) -> bool:
        """Whether a step updates the weights."""
        return self.optimizer is not None


class Prepared:
    """A workload ready to run on the current device: ``step()`` does one, and waits until it is done.

    Fields: ``workload``, ``model``, ``optimizer`` (``None`` for inference), ``x``, ``y``, and ``function``, the traced
    step.
    """

    def __init__(self, workload: Workload, *, dropout: bool = True, seed: int = 0) -> None:
        corenn.random.seed(seed)
        self.workload = workload
        self.model = workload.build(workload.example, dropout)
        inputs, targets = batch(workload, seed)
        self.x, self.y = corenn.tensor(inputs), corenn.tensor(targets)
        self.optimizer: Optimizer | None = OPTIMIZERS[workload.optimizer]() if workload.optimizer else None
        self.function: Any = self._inference() if self.optimizer is None else self._training(self.optimizer)

    @property
    def arguments(self) -> tuple[Tensor, ...]:
        """What the function is called with."""
        return (self.x, self.y) if self.workload.trains else (self.x,)

    def step(self) -> np.ndarray[Any, Any]:
        """One step: the loss of training, or the outputs of inference."""
        found: np.ndarray[Any, Any] = self.function(*self.arguments).numpy()
        return found

    def _inference(self) -> Any:
        model = self.model

        @corenn.function
        def predict(x: Tensor) -> Any:
            return model(x, training=False)

        return predict

    def _training(self, optimizer: Optimizer) -> Any:
        model, criterion = self.model, LOSSES[self.workload.loss]()
        variables = model.trainable_weights
        optimizer.build(variables)

        @corenn.function
        def train(x: Tensor, y: Tensor) -> Any:
            with corenn.GradientTape() as tape:
                loss = criterion(y, model(x, training=True))
            optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
            return loss

        return train


def batch(workload: Workload, seed: int = 0) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Random inputs (normal) and targets (normal, or class numbers), the same for one seed."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((workload.batch, *workload.example), dtype=np.float32)
    if workload.loss == "mse":
        return x, rng.standard_normal((workload.batch, workload.outputs), dtype=np.float32)
    return x, rng.integers(0, workload.outputs, workload.batch)


OPTIMIZERS: dict[str, Callable[[], Optimizer]] = {
    "adam": lambda: optimizers.Adam(1e-3),
    "sgd": lambda: optimizers.SGD(0.01),
    "rmsprop": lambda: optimizers.RMSprop(1e-3, rho=0.9),
}
LOSSES: dict[str, Callable[[], Any]] = {
    "mse": losses.MeanSquaredError,
    "xent": lambda: losses.SparseCategoricalCrossentropy(from_logits=True),
}


# ---------------------------------------------------------------- networks


def mlp(
    *units: int, activation: str = "relu", normalized: bool = False, dropout: tuple[float, float] | None = None
) -> Build:
    """Dense layers with ``activation`` between them.

    ``normalized``: batch normalisation of the inputs and after each dense layer, before its activation.  ``dropout``:
    of the inputs and after the first activation.
    """

    def build(example: tuple[int, ...], drop: bool) -> Model:
        rates = dropout if drop and dropout else (0.0, 0.0)
        stack: list[Layer] = [BatchNormalization()] if normalized else []
        stack += [Dropout(rates[0])] if rates[0] else []
        for number, count in enumerate(units):
            stack.append(Dense(count))
            stack += [BatchNormalization()] if normalized else []
            if number < len(units) - 1:
                stack.append(Activation(activation))
                stack += [Dropout(rates[1])] if rates[1] and number == 0 else []
        return Sequential([Input(example), *stack])

    return build


def cnn(
    filters: tuple[int, ...], strides: tuple[int, ...], pools: tuple[int, ...], dense: int, classes: int,
    conv_dropout: float, dropout: float,
) -> Build:  # fmt: skip
    """3x3 convolutions with ReLU, pooling and dropout after each, then a dense layer with dropout, then the classes."""

    def build(example: tuple[int, ...], drop: bool) -> Model:
        stack: list[Layer] = []
        for count, stride, pool in zip(filters, strides, pools, strict=True):
            stack.append(Conv2D(count, 3, stride, padding=1, activation="relu"))
            stack += [MaxPooling2D(pool, padding="same")] if pool > 1 else []
            stack += [Dropout(conv_dropout)] if drop and conv_dropout else []
        stack += [Flatten(), Dense(dense, activation="relu")]
        stack += [Dropout(dropout)] if drop else []
        return Sequential([Input(example), *stack, Dense(classes)])

    return build


def lstm(units: int, classes: int) -> Build:
    """An LSTM over a sequence, and a dense layer on its last output."""
    return lambda example, drop: Sequential([Input(example), LSTM(units), Dense(classes)])


def resnet50(classes: int) -> Build:
    """ResNet50 with logits."""

    def build(example: tuple[int, ...], drop: bool) -> Model:
        from corenn_models.residual import resnet50

        height, width, channels = example
        return resnet50((height, width, channels), classes, activation=None, epsilon=1e-5)

    return build


_MNIST_CNN = cnn((32, 64, 128), (1, 1, 1), (2, 2, 2), dense=625, classes=10, conv_dropout=0.2, dropout=0.5)
_CIFAR_CNN = cnn((96, 96, 192, 192), (1, 2, 1, 2), (1, 1, 1, 1), dense=256, classes=10, conv_dropout=0.0, dropout=0.5)

_ALL = (
    Workload("sine_mlp", "regression, 1-64-64-1", 256, (1,), 1, mlp(64, 64, 1), "mse", "adam"),
    Workload("sine_mlp_bn", "the same with batch normalisation, many examples", 8192, (1,), 1,
             mlp(64, 64, 1, normalized=True), "mse", "adam"),
    Workload("logistic", "logistic regression, 784-10", 200, (784,), 10, mlp(10), "xent", "sgd"),
    Workload("mnist_mlp", "784-620-10, sigmoid", 50, (784,), 10, mlp(620, 10, activation="sigmoid"), "xent", "sgd"),
    Workload("mnist_modern", "784-625-625-10, ReLU, dropout", 100, (784,), 10, mlp(625, 625, 10, dropout=(0.3, 0.6)),
             "xent", "rmsprop"),
    Workload("wide_mlp", "1024-4096-4096-1000", 512, (1024,), 1000, mlp(4096, 4096, 1000), "xent", "adam"),
    Workload("dqn", "a small Q network, 2-50-50-3", 50, (2,), 3, mlp(50, 50, 3), "mse", "adam"),
    Workload("mnist_cnn", "three 3x3 convolutions with pooling and dropout, 28x28", 50, (28, 28, 1), 10, _MNIST_CNN,
             "xent", "rmsprop"),
    Workload("cifar_cnn", "four 3x3 convolutions, two of stride 2, 24x24", 128, (24, 24, 3), 10, _CIFAR_CNN,
             "xent", "adam"),
    Workload("lstm", "LSTM of 128 units over 28 steps of 28", 100, (28, 28), 10, lstm(128, 10), "xent", "adam"),
    Workload("resnet50_infer", "ResNet50 on 100x100, inference", 16, (100, 100, 3), 1000, resnet50(1000)),
    Workload("resnet50_train", "ResNet50 on 100x100, a training step", 16, (100, 100, 3), 1000, resnet50(1000),
             "xent", "sgd"),
)  # fmt: skip

#: The workloads by name.
WORKLOADS: dict[str, Workload] = {w.name: w for w in _ALL}


def get(name: str) -> Workload:
    """The workload of that name; UsageError with the nearest names."""
    if name not in WORKLOADS:
        raise UsageError("bench", f"there is no workload {name!r}", hint=nearest(name, WORKLOADS))
    return WORKLOADS[name]


__all__ = ["WORKLOADS", "Prepared", "Workload", "batch", "cnn", "get", "lstm", "mlp", "resnet50"]
