"""MobileNetV2 (Sandler, Howard, Zhu, Zhmoginov and Chen 2018, arXiv:1801.04381): inverted residuals of depthwise
convolutions, in the versions of Keras and of torchvision."""

from __future__ import annotations

from typing import Any

from corenn.layers import Add, BatchNormalization, Conv2D, DepthwiseConv2D, Dropout, Input, ReLU
from corenn.training import Model
from corenn_models.heads import Weights, check_images, choice, classified, loaded, pooled

#: Expansion, channels, number and first stride of the blocks (table 2 of the paper).
STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
EPSILONS = {"keras": 1e-3, "torchvision": 1e-5}
_SMALLEST = 32


def mobilenet_v2(
    input_shape: tuple[int, int, int] = (224, 224, 3),
    classes: int = 1000,
    activation: str | None = "softmax",
    alpha: float = 1.0,
    momentum: float = 0.99,
    epsilon: float | None = None,
    dropout: float = 0.0,
    *,
    version: str = "keras",
    include_top: bool = True,
    pooling: str | None = None,
    weights: Weights = None,
) -> Model:
    """MobileNetV2 from images (height, width, channels) to ``classes`` probabilities: 3,538,984 parameters.

    ``version``: "keras" or "torchvision", which differ in names, in the padding before a stride of 2 and in the epsilon
    of batch normalisation.  ``alpha`` multiplies the width.  Without ``include_top`` the result is what ``pooling``
    makes of the last convolution: "avg", "max", or ``None`` for its pixels.  ``weights``: a file.
    """
    choice("mobilenet_v2", "version", version, tuple(EPSILONS))
    check_images("mobilenet_v2", input_shape, _SMALLEST)
    parts = _Parts(version, momentum, EPSILONS[version] if epsilon is None else epsilon)
    images = Input(input_shape)
    x = parts.convolved(images, _width(32 * alpha), parts.stem, kernel=3, stride=2)
    number = 0
    for expansion, channels, count, stride in STAGES:
        for repeat in range(count):
            x = parts.block(x, number, expansion, _width(channels * alpha), 1 if repeat else stride)
            number += 1
    last = _width(1280 * alpha) if alpha > 1 else 1280
    x = parts.convolved(x, last, parts.last)
    if include_top:
        x = pooled("mobilenet_v2", x, "avg")
        x = Dropout(dropout)(x) if dropout else x
        x = classified(x, classes, activation, "predictions" if version == "keras" else "classifier.1")
    else:
        x = pooled("mobilenet_v2", x, pooling)
    return loaded(Model(images, x, name="mobilenet_v2"), weights)


def _width(channels: float) -> int:
    """The nearest multiple of 8, but not less than 90 % of what was asked for."""
    near = max(8, int(channels + 4) // 8 * 8)
    return near + 8 if near < 0.9 * channels else near


class _Parts:
    """What the network is made of, named as in one of the libraries."""

    def __init__(self, version: str, momentum: float, epsilon: float) -> None:
        self.keras, self.momentum, self.epsilon = version == "keras", momentum, epsilon
        self.stem = ("Conv1", "bn_Conv1") if self.keras else ("features.0.0", "features.0.1")
        self.last = ("Conv_1", "Conv_1_bn") if self.keras else ("features.18.0", "features.18.1")

    def padding(self, x: Any, stride: int) -> Any:
        """Around a 3x3 kernel: Keras puts the pixel that is left over below and on the right."""
        if not self.keras or stride == 1:
            return 1
        return tuple((0, 1) if n % 2 == 0 else (1, 1) for n in x.spec.shape[1:3])

    def convolved(
        self, x: Any, filters: int, names: tuple[str, str], kernel: int = 1, stride: int = 1, bounded: bool = True
    ) -> Any:
        """A convolution, batch normalisation, and ReLU6 where ``bounded``."""
        padding = self.padding(x, stride) if kernel == 3 else 0
        x = Conv2D(filters, kernel, stride, padding=padding, use_bias=False, kernel_initializer="he_normal",
                   name=names[0])(x)  # fmt: skip
        return self._normalized(x, names[1], bounded)

    def _normalized(self, x: Any, name: str, bounded: bool) -> Any:
        x = BatchNormalization(momentum=self.momentum, epsilon=self.epsilon, name=name)(x)
        return ReLU(max_value=6.0)(x) if bounded else x

    def block(self, x: Any, number: int, expansion: int, channels: int, stride: int) -> Any:
        """Wider by a 1x1 convolution, filtered in depth, narrower again, beside the input where shapes allow."""
        names, width = self._names(number, expansion), int(x.spec.shape[-1])
        inner = x
        if expansion > 1:
            inner = self.convolved(inner, expansion * width, names[0])
        inner = DepthwiseConv2D(3, stride, padding=self.padding(inner, stride), use_bias=False,
                                depthwise_initializer="he_normal", name=names[1][0])(inner)  # fmt: skip
        inner = self._normalized(inner, names[1][1], bounded=True)
        inner = self.convolved(inner, channels, names[2], bounded=False)
        return Add()([x, inner]) if stride == 1 and width == channels else inner

    def _names(self, number: int, expansion: int) -> list[tuple[str, str]]:
        """Names of the three convolutions of a block and of their normalisations."""
        if self.keras:
            base = f"block_{number}" if expansion > 1 else "expanded_conv"
            return [(f"{base}_{part}", f"{base}_{part}_BN") for part in ("expand", "depthwise", "project")]
        base, shift = f"features.{number + 1}.conv", 0 if expansion > 1 else -1
        return [
            (f"{base}.0.0", f"{base}.0.1"),
            (f"{base}.{1 + shift}.0", f"{base}.{1 + shift}.1"),
            (f"{base}.{2 + shift}", f"{base}.{3 + shift}"),
        ]


__all__ = ["mobilenet_v2"]
