"""ResNet50 (He, Zhang, Ren and Sun 2015, arXiv:1512.03385): bottleneck blocks beside identity or projection."""

from __future__ import annotations

from typing import Any

from corenn.errors import UsageError
from corenn.layers import (
    Activation,
    Add,
    BatchNormalization,
    Conv2D,
    Dense,
    GlobalAveragePooling2D,
    Input,
    MaxPooling2D,
)
from corenn.training import Model

#: Width, number and first stride of the blocks of each stage (table 1 of the paper, 50 layers).
STAGES = ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2))


def resnet50(
    input_shape: tuple[int, int, int],
    classes: int,
    activation: str | None = "softmax",
    momentum: float = 0.9,
    epsilon: float = 1e-5,
) -> Model:
    """ResNet50 from images (height, width, channels) to ``classes`` probabilities, or logits with ``activation=None``.

    As in the paper, a stage's stride is in the first 1x1 convolution of its first block, and each convolution has a
    bias; padding is symmetric.  ``momentum`` and ``epsilon`` are those of batch normalisation.
    """
    if len(input_shape) != 3:
        raise UsageError("resnet50", f"takes images (height, width, channels), not examples of shape {input_shape}")

    def convolved(x: Any, filters: int, kernel: int, stride: int = 1) -> Any:
        x = Conv2D(filters, kernel, stride, padding=kernel // 2, kernel_initializer="he_normal")(x)
        return BatchNormalization(momentum=momentum, epsilon=epsilon)(x)

    def bottleneck(x: Any, width: int, stride: int) -> Any:
        inner = Activation("relu")(convolved(x, width, 1, stride))
        inner = Activation("relu")(convolved(inner, width, 3))
        inner = convolved(inner, 4 * width, 1)
        same = stride == 1 and x.spec.shape[-1] == 4 * width
        return Activation("relu")(Add()([inner, x if same else convolved(x, 4 * width, 1, stride)]))

    images = Input(input_shape)
    x = Activation("relu")(convolved(images, 64, 7, 2))
    x = MaxPooling2D(3, 2, padding=1)(x)
    for width, blocks, stride in STAGES:
        for number in range(blocks):
            x = bottleneck(x, width, 1 if number else stride)
    x = GlobalAveragePooling2D()(x)
    return Model(images, Dense(classes, activation=activation)(x), name="resnet50")
