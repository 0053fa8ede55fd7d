"""Names that files use for the layers of known networks."""

from __future__ import annotations

from collections.abc import Sequence

from corenn.errors import CheckpointError

#: Layers that were renamed: name now -> names in older files.
_BEFORE = {"predictions": ("probs",)}
#: A layer of Keras's first ResNet50 (2015 to 2018): unpadded pooling and another epsilon, so another function.
_FIRST_RESNET = ("res2a_branch2a", "res2a_branch1")


def other_names(layer: str) -> tuple[str, ...]:
    """Names of a layer in older files."""
    return _BEFORE.get(layer, ())


def check_age(path: str, theirs: Sequence[str], ours: Sequence[str]) -> None:
    """CheckpointError for the file of Keras's first ResNet50, which fits the later one in shapes, not in function."""
    if any(name in theirs for name in _FIRST_RESNET) and not any(name in ours for name in _FIRST_RESNET):
        raise CheckpointError(
            path, "has the weights of Keras's first ResNet50 (layers res2a_branch2a, ..., fc1000), another network",
            hint="use the file of keras-applications, resnet50_weights_tf_dim_ordering_tf_kernels.h5, "
            "MD5 2cb95161c43110f7111970584f804107",
        )  # fmt: skip


def advice(model: str, unused: Sequence[str]) -> str:
    """What to try when a file does not fit."""
    first = set(unused)
    if {"conv1", "layer1.0.conv1"} <= first:
        return "the file has the names of torchvision's residual networks: build the model with version='v1.5'"
    if {"conv1_conv", "conv2_block1_1_conv"} <= first:
        return "the file has the names of Keras's residual networks: build the model with version='v1'"
    if {"features.0", "classifier.0"} <= first or "features.0.0" in first:
        return "the file has torchvision's names: build the model with version='torchvision'"
    return "was it saved from a model of the same settings? corenn weights inspect FILE --model NAME shows all of it"


__all__ = ["advice", "check_age", "other_names"]
