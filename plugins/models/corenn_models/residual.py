"""Residual networks (He, Zhang, Ren and Sun 2015, arXiv:1512.03385) of 18, 34, 50 and 101 layers, in two versions.

Version ``v1`` is the paper's, as Keras has it: a stage's stride is in the first 1x1 convolution of its first block, and
each convolution has a bias.  Version ``v1.5`` is torchvision's: the stride is in the 3x3 convolution, and convolutions
have no bias.  Layers have the names of those libraries, so that their files of weights match by name.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ClassVar

from corenn.layers import Activation, Add, BatchNormalization, Conv2D, Input, MaxPooling2D, register
from corenn.training import Model
from corenn_models.heads import Weights, check_images, choice, classified, loaded, pooled

#: Width and first stride of the blocks of each stage (table 1 of the paper).
STAGES = ((64, 1), (128, 2), (256, 2), (512, 2))
#: Epsilon of batch normalisation.
EPSILONS = {"v1": 1.001e-5, "v1.5": 1e-5}
Convolved = Callable[..., Any]


def resnet50(
    input_shape: tuple[int, int, int] = (224, 224, 3),
    classes: int = 1000,
    activation: str | None = "softmax",
    momentum: float = 0.9,
    epsilon: float | None = None,
    *,
    version: str = "v1",
    include_top: bool = True,
    pooling: str | None = None,
    weights: Weights = None,
) -> Model:
    """ResNet50 from images (height, width, channels) to ``classes`` probabilities, or logits with ``activation=None``.

    ``version``: "v1" (Keras, 25,636,712 parameters) or "v1.5" (torchvision, 25,557,032).  ``momentum`` and ``epsilon``
    are those of batch normalisation; epsilon is 1.001e-5 in v1 and 1e-5 in v1.5.  Without ``include_top`` the result
    is what ``pooling`` makes of the last stage: "avg", "max", or ``None`` for its pixels.  ``weights``: a file.
    """
    return _network("resnet50", (3, 4, 6, 3), True, input_shape, classes, activation, momentum, epsilon, version,
                    include_top, pooling, weights)  # fmt: skip


def resnet101(
    input_shape: tuple[int, int, int] = (224, 224, 3),
    classes: int = 1000,
    activation: str | None = "softmax",
    momentum: float = 0.9,
    epsilon: float | None = None,
    *,
    version: str = "v1",
    include_top: bool = True,
    pooling: str | None = None,
    weights: Weights = None,
) -> Model:
    """ResNet101: arguments as ``resnet50``; 44,707,176 parameters in v1, 44,549,160 in v1.5."""
    return _network("resnet101", (3, 4, 23, 3), True, input_shape, classes, activation, momentum, epsilon, version,
                    include_top, pooling, weights)  # fmt: skip


def resnet18(
    input_shape: tuple[int, int, int] = (224, 224, 3),
    classes: int = 1000,
    activation: str | None = "softmax",
    momentum: float = 0.9,
    epsilon: float | None = None,
    *,
    include_top: bool = True,
    pooling: str | None = None,
    weights: Weights = None,
) -> Model:
    """ResNet18 as in torchvision, with two 3x3 convolutions in a block: 11,689,512 parameters; see ``resnet50``."""
    return _network("resnet18", (2, 2, 2, 2), False, input_shape, classes, activation, momentum, epsilon, "v1.5",
                    include_top, pooling, weights)  # fmt: skip


def resnet34(
    input_shape: tuple[int, int, int] = (224, 224, 3),
    classes: int = 1000,
    activation: str | None = "softmax",
    momentum: float = 0.9,
    epsilon: float | None = None,
    *,
    include_top: bool = True,
    pooling: str | None = None,
    weights: Weights = None,
) -> Model:
    """ResNet34 as in torchvision, with two 3x3 convolutions in a block: 21,797,672 parameters; see ``resnet50``."""
    return _network("resnet34", (3, 4, 6, 3), False, input_shape, classes, activation, momentum, epsilon, "v1.5",
                    include_top, pooling, weights)  # fmt: skip


def _network(
    name: str, blocks: tuple[int, ...], bottleneck: bool, input_shape: tuple[int, int, int], classes: int,
    activation: str | None, momentum: float, epsilon: float | None, version: str, include_top: bool,
    pooling: str | None, weights: Weights,
) -> Model:  # fmt: skip
    choice(name, "version", version, tuple(EPSILONS))
    check_images(name, input_shape)
    first = version == "v1"
    spread = EPSILONS[version] if epsilon is None else epsilon
    convolved = functools.partial(_convolved, bias=first, momentum=momentum, epsilon=spread)
    images = Input(input_shape)
    stem = ("conv1_conv", "conv1_bn") if first else ("conv1", "bn1")
    x = Activation("relu")(convolved(images, 64, 7, 2, names=stem))
    x = MaxPooling2D(3, 2, padding=1)(x)
    for stage, ((width, stride), count) in enumerate(zip(STAGES, blocks, strict=True), start=1):
        for number in range(count):
            block = functools.partial(_names_v1 if first else _names_v15, stage, number)
            x = _block(convolved, x, width, 1 if number else stride, bottleneck, first, block)
    if include_top:
        x = classified(pooled(name, x, "avg"), classes, activation, "predictions" if first else "fc")
    else:
        x = pooled(name, x, pooling)
    return loaded(Model(images, x, name=name), weights)


def _convolved(
    x: Any, filters: int, kernel: int, stride: int = 1, *, names: tuple[str, str], bias: bool, momentum: float,
    epsilon: float,
) -> Any:  # fmt: skip
    """A convolution with symmetric padding, and batch normalisation."""
    x = Conv2D(filters, kernel, stride, padding=kernel // 2, use_bias=bias, kernel_initializer="he_normal",
               name=names[0])(x)  # fmt: skip
    return BatchNormalization(momentum=momentum, epsilon=epsilon, name=names[1])(x)


def _block(
    convolved: Convolved, x: Any, width: int, stride: int, bottleneck: bool, first: bool,
    names: Callable[[int], tuple[str, str]],
) -> Any:  # fmt: skip
    """Convolutions beside a shortcut, which is a 1x1 convolution where shape or width change."""
    out = 4 * width if bottleneck else width
    same = stride == 1 and x.spec.shape[-1] == out

    if bottleneck:
        inner = Activation("relu")(convolved(x, width, 1, stride if first else 1, names=names(1)))
        inner = Activation("relu")(convolved(inner, width, 3, 1 if first else stride, names=names(2)))
        inner = convolved(inner, out, 1, names=names(3))
    else:
        inner = Activation("relu")(convolved(x, width, 3, stride, names=names(1)))
        inner = convolved(inner, out, 3, names=names(2))
    beside = x if same else convolved(x, out, 1, stride, names=names(0))
    return Activation("relu")((Joined() if first else Add())([inner, beside]))


@register("corenn_models_joined")
class Joined(Add):
    """The sum of a block and of what stands beside it, in this order.

    Keras sums them in the other, which decides in which order layers stand in its files.
    """

    files_from_last: ClassVar[bool] = True


def _names_v1(stage: int, number: int, layer: int) -> tuple[str, str]:
    """A convolution's name and its normalisation's; layer 0 is the shortcut."""
    base = f"conv{stage + 1}_block{number + 1}_{layer}"
    return f"{base}_conv", f"{base}_bn"


def _names_v15(stage: int, number: int, layer: int) -> tuple[str, str]:
    """A convolution's name and its normalisation's; layer 0 is the shortcut."""
    base = f"layer{stage}.{number}"
    if layer == 0:
        return f"{base}.downsample.0", f"{base}.downsample.1"
    return f"{base}.conv{layer}", f"{base}.bn{layer}"


__all__ = ["Joined", "resnet18", "resnet34", "resnet50", "resnet101"]
