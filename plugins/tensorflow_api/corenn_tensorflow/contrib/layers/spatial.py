"""``spatial_softmax`` of ``tf.contrib.layers``: where in an image each channel is strongest."""

from __future__ import annotations

from typing import Any

import numpy as np

import corenn
from corenn.errors import UsageError
from corenn_tensorflow.contrib.framework.arg_scope import add_arg_scope
from corenn_tensorflow.contrib.framework.variables import model_variable
from corenn_tensorflow.contrib.layers.utils import get_variable_collections
from corenn_tensorflow.operands import extents, tensor
from corenn_tensorflow.scopes import variable_scope


@add_arg_scope
def spatial_softmax(
    features: Any, temperature: Any = None, name: Any = None, variables_collections: Any = None,
    trainable: bool = True, data_format: str = "NHWC",
) -> Any:  # fmt: skip
    """The expected place of each channel, ``[batch, 2 * channels]``, between -1 and 1: rows first (Levine et al. 2016).

    ``temperature``: by default a variable that begins with 1.  Height, width and channels must be known.
    """
    with variable_scope(name, "spatial_softmax", [features]):
        x = tensor(features)
        shape = extents(x) or ()
        if len(shape) != 4 or None in shape[1:]:
            raise UsageError("spatial_softmax", "takes images of known height, width and channels", {"features": shape})
        if not data_format.startswith("NC"):
            x = corenn.transpose(x, axes=(0, 3, 1, 2))
        channels, height, width = (extents(x) or ())[1:]
        if temperature is None:
            temperature = model_variable(
                "temperature", shape=[], initializer="ones", trainable=trainable,
                collections=get_variable_collections(variables_collections, "temperature"),
            )  # fmt: skip
        attention = corenn.nn.softmax(corenn.reshape(x, shape=(-1, height * width)) / temperature, axis=-1)
        down, right = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
        places = np.stack([down.reshape(-1), right.reshape(-1)], axis=1).astype(x.dtype.numpy)
        return corenn.reshape(corenn.matmul(attention, places), shape=(-1, 2 * channels))


__all__ = ["spatial_softmax"]
