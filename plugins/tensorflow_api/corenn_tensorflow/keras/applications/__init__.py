"""``keras.applications``: residual networks, and preprocessing of images for the other known networks."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import numpy as np

from corenn.tensor import Tensor
from corenn_tensorflow.missing import MissingNameError, guard

_MEANS = [103.939, 116.779, 123.68]
_FAMILIES = {
    "vgg16": (["VGG16"], "caffe"),
    "vgg19": (["VGG19"], "caffe"),
    "resnet": (["ResNet50", "ResNet101", "ResNet152"], "caffe"),
    "resnet50": (["ResNet50"], "caffe"),
    "resnet_v2": (["ResNet50V2", "ResNet101V2", "ResNet152V2"], "tf"),
    "inception_v3": (["InceptionV3"], "tf"),
    "inception_resnet_v2": (["InceptionResNetV2"], "tf"),
    "xception": (["Xception"], "tf"),
    "mobilenet": (["MobileNet"], "tf"),
    "mobilenet_v2": (["MobileNetV2"], "tf"),
    "densenet": (["DenseNet121", "DenseNet169", "DenseNet201"], "torch"),
    "nasnet": (["NASNetLarge", "NASNetMobile"], "tf"),
    "efficientnet": ([f"EfficientNetB{i}" for i in range(8)], None),
}


_RESIDUAL = frozenset({"ResNet50", "ResNet101", "ResNet152"})


def preprocess(x: Any, mode: str | None, data_format: Any = None) -> Any:
    """Images of 0..255 as a family of networks takes them: ``tf`` (-1..1), ``caffe`` (BGR less means), ``torch``."""
    tensor = isinstance(x, Tensor)
    first = data_format == "channels_first"
    axis = -3 if first else -1
    given = x if tensor else np.array(x, "float32")
    if mode is None:
        return given
    if mode == "tf":
        return given / 127.5 - 1.0
    spread = (3, 1, 1) if first else (3,)
    if mode == "torch":
        means, stds = (np.array(v, "float32").reshape(spread) for v in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
        return (given / 255.0 - means) / stds
    if tensor:
        from corenn.ops.arranging import flip

        return flip(given, axis=axis) - np.array(_MEANS, "float32").reshape(spread)
    return np.flip(given, axis) - np.array(_MEANS, "float32").reshape(spread)


def _model(name: str) -> Any:
    if name in _RESIDUAL:
        return _residual(name)

    def build(*args: Any, **options: Any) -> Any:
        raise MissingNameError(
            f"tf.keras.applications.{name}", "the network is not in corenn yet, nor its weights",
            {"missing": f"an implementation of {name} in corenn_models and an importer of its published weights"},
            hint="build it from keras.layers, and load_weights a file of its weights",
        )  # fmt: skip

    build.__name__ = build.__qualname__ = name
    build.__doc__ = f"{name}: MissingNameError."
    return build


def _residual(name: str) -> Any:
    def build(*args: Any, **options: Any) -> Any:
        from corenn_tensorflow.keras.applications import _resnet

        return _resnet.build(name, *args, **options)

    build.__name__ = build.__qualname__ = name
    build.__doc__ = f"{name} of Keras: (include_top, weights, input_tensor, input_shape, pooling, classes)."
    return build


def decode_predictions(preds: Any, top: int = 5) -> Any:
    """The ``top`` classes of ImageNet for rows of 1000 probabilities, from Keras's index file."""
    import json

    from corenn_tensorflow.keras.utils import get_file

    array = np.asarray(preds)
    if array.ndim != 2 or array.shape[1] != 1000:
        raise ValueError(
            f"`decode_predictions` expects a batch of predictions (i.e. a 2D array of shape (samples, 1000)). "
            f"Found array with shape: {array.shape}"
        )
    path = get_file(
        "imagenet_class_index.json",
        "https://storage.googleapis.com/download.tensorflow.org/data/imagenet_class_index.json", cache_subdir="models",
        file_hash="c2c37ea517e94d9795004a39431a14cb",
    )  # fmt: skip
    with open(path, encoding="utf-8") as file:
        names = json.load(file)
    return [[(*names[str(i)], row[i]) for i in row.argsort()[-top:][::-1]] for row in array]


def _family(name: str, models: list[str], mode: str | None) -> ModuleType:
    made = ModuleType(f"{__name__}.{name}", f"``keras.applications.{name}``.")

    def preprocess_input(x: Any, data_format: Any = None, **ignored: Any) -> Any:
        """Images as this family of networks takes them."""
        return preprocess(x, mode, data_format)

    made.__dict__.update({m: globals().setdefault(m, _model(m)) for m in models})
    made.__dict__.update(preprocess_input=preprocess_input, decode_predictions=decode_predictions, __path__=[])
    sys.modules[made.__name__] = made
    return made


for _name, (_models, _mode) in _FAMILIES.items():
    globals()[_name] = _family(_name, _models, _mode)

__all__ = [*_FAMILIES, *sorted({m for models, _ in _FAMILIES.values() for m in models}), "imagenet_utils"]
imagenet_utils = ModuleType(f"{__name__}.imagenet_utils")
imagenet_utils.__dict__.update(
    preprocess_input=lambda x, data_format=None, mode="caffe": preprocess(x, mode, data_format),
    decode_predictions=decode_predictions,
)
sys.modules[imagenet_utils.__name__] = imagenet_utils
__getattr__ = guard(__name__)
