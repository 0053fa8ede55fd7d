"""Residual networks of the first version: ResNet50, ResNet101 and ResNet152, with Keras's layer names and weight files.

Source: K. He, X. Zhang, S. Ren, J. Sun, Deep residual learning for image recognition, 2015, arXiv:1512.03385, in the
form of Keras: the stride of a stack is in the first 1x1 convolution of its first block, and convolutions have biases.
"""

from __future__ import annotations

from typing import Any

from corenn.errors import UsageError

_BLOCKS = {"ResNet50": (3, 4, 6, 3), "ResNet101": (3, 4, 23, 3), "ResNet152": (3, 8, 36, 3)}
_EPSILON = 1.001e-5
_ADDRESS = "https://storage.googleapis.com/tensorflow/keras-applications/resnet/"
_DIGESTS = {  # MD5, as Keras checks them: with the classifier, and without
    "ResNet50": ("2cb95161c43110f7111970584f804107", "4d473c1dd8becc155b73f8504c6f6626"),
}
_CLASSES = 1000
_SMALLEST = 32


def build(
    name: str,
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = _CLASSES,
    classifier_activation: Any = "softmax",
) -> Any:
    """A ``keras.Model``; arguments as in Keras.

    ``weights``: ``None`` (random), ``"imagenet"`` (the published file, downloaded once and verified) or the path of a
    file.  ``pooling`` (``"avg"``, ``"max"`` or ``None``) is what follows the last stack without ``include_top``.
    Raises ``ValueError`` for arguments that do not fit each other, as Keras does.
    """
    from corenn_tensorflow.keras import layers
    from corenn_tensorflow.keras.models import Model

    if weights == "imagenet" and include_top and classes != _CLASSES:
        raise ValueError(
            'If using `weights` as `"imagenet"` with `include_top` as true, `classes` should be 1000. '
            f"Received: classes={classes}"
        )
    if pooling not in (None, "avg", "max"):
        raise ValueError(f"pooling is None, 'avg' or 'max', not {pooling!r}")
    x = inputs = layers.Input(shape=_shape(input_shape, include_top)) if input_tensor is None else input_tensor

    x = layers.ZeroPadding2D(((3, 3), (3, 3)), name="conv1_pad")(x)
    x = layers.Conv2D(64, 7, strides=2, name="conv1_conv")(x)
    x = layers.BatchNormalization(epsilon=_EPSILON, name="conv1_bn")(x)
    x = layers.Activation("relu", name="conv1_relu")(x)
    x = layers.ZeroPadding2D(((1, 1), (1, 1)), name="pool1_pad")(x)
    x = layers.MaxPooling2D(3, strides=2, name="pool1_pool")(x)
    for stack, (filters, blocks) in enumerate(zip((64, 128, 256, 512), _BLOCKS[name], strict=True), start=2):
        for block in range(1, blocks + 1):
            stride = 2 if stack > 2 and block == 1 else 1
            x = _block(layers, x, filters, stride, first=block == 1, name=f"conv{stack}_block{block}")
    if include_top:
        x = layers.GlobalAveragePooling2D(name="avg_pool")(x)
        x = layers.Dense(classes, activation=classifier_activation, name="predictions")(x)
    elif pooling is not None:
        kind = layers.GlobalAveragePooling2D if pooling == "avg" else layers.GlobalMaxPooling2D
        x = kind(name=f"{pooling}_pool")(x)
    model = Model(inputs, x, name=name.lower())
    if weights is not None:
        model.load_weights(_file(name, include_top) if weights == "imagenet" else weights)
    return model


def _block(layers: Any, x: Any, filters: int, stride: int, first: bool, name: str) -> Any:
    """1x1, 3x3 and 1x1 convolutions beside a shortcut, which is a 1x1 convolution in the first block of a stack."""

    def convolved(x: Any, number: int, filters: int, size: int, stride: int = 1) -> Any:
        x = layers.Conv2D(filters, size, strides=stride, padding="same", name=f"{name}_{number}_conv")(x)
        return layers.BatchNormalization(epsilon=_EPSILON, name=f"{name}_{number}_bn")(x)

    shortcut = convolved(x, 0, 4 * filters, 1, stride) if first else x
    x = layers.Activation("relu", name=f"{name}_1_relu")(convolved(x, 1, filters, 1, stride))
    x = layers.Activation("relu", name=f"{name}_2_relu")(convolved(x, 2, filters, 3))
    x = layers.Add(name=f"{name}_add")([shortcut, convolved(x, 3, 4 * filters, 1)])
    return layers.Activation("relu", name=f"{name}_out")(x)


def _shape(given: Any, include_top: bool) -> tuple[int | None, ...]:
    if given is None:
        return (224, 224, 3) if include_top else (None, None, 3)
    shape = tuple(given)
    if len(shape) != 3:
        raise ValueError("`input_shape` must be a tuple of three integers.")
    if any(n is not None and n < _SMALLEST for n in shape[:2]):
        raise ValueError(f"Input size must be at least {_SMALLEST}x{_SMALLEST}; Received: input_shape={shape}")
    return shape


def _file(name: str, include_top: bool) -> str:
    """The published weights in Keras's cache, downloaded if they are not there."""
    from corenn_tensorflow.keras.utils import get_file

    if name not in _DIGESTS:
        raise UsageError(
            f"tf.keras.applications.{name}", "corenn knows no checksum of its published weights",
            hint="weights=None, or weights='path/of/the/file.h5'",
        )  # fmt: skip
    end = "_weights_tf_dim_ordering_tf_kernels.h5" if include_top else "_weights_tf_dim_ordering_tf_kernels_notop.h5"
    file = name.lower() + end
    path: str = get_file(file, _ADDRESS + file, cache_subdir="models", file_hash=_DIGESTS[name][not include_top])
    return path


__all__ = ["build"]
