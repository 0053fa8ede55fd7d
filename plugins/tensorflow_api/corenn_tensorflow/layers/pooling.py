"""Pooling layers, as classes and as functions."""

from __future__ import annotations

from typing import Any

from corenn.ops.pooling import avg_pool, max_pool
from corenn_tensorflow.layer_base import Layer
from corenn_tensorflow.layers.convolutional import layout_of, numbers
from corenn_tensorflow.mode import one


class Pooling(Layer):
    """Base of the pooling layers."""

    rank = 2
    _function: Any = None  # (x, window=, strides=, padding=, layout=)
    _type = ""

    def __init__(
        self, pool_size: Any, strides: Any, padding: str = "valid", data_format: str = "channels_last",
        name: str | None = None, **base: Any,
    ) -> None:  # fmt: skip
        super().__init__(name=name, **base)
        where = type(self).__name__
        self.pool_size = numbers(where, "pool_size", pool_size, self.rank)
        self.strides = numbers(where, "strides", pool_size if strides is None else strides, self.rank)
        self.padding, self.data_format = str(padding).upper(), data_format
        self.layout = layout_of(where, self.rank, data_format)

    def call(self, inputs: Any) -> Any:
        """Pool."""
        return one(
            self._type, None, type(self)._function, inputs, window=self.pool_size, strides=self.strides,
            padding=self.padding, layout=self.layout,
        )  # fmt: skip


def _layer(name: str, rank: int, function: Any, type_name: str) -> type[Pooling]:
    doc = f"The {'largest element' if function is max_pool else 'mean'} of each window, over {rank} axes."
    body = {
        "rank": rank,
        "_function": staticmethod(function),
        "_type": type_name,
        "__doc__": doc,
        "__module__": __name__,
    }
    return type(name, (Pooling,), body)


MaxPooling1D, AveragePooling1D = (
    _layer("MaxPooling1D", 1, max_pool, "MaxPool"),
    _layer("AveragePooling1D", 1, avg_pool, "AvgPool"),
)
MaxPooling2D, AveragePooling2D = (
    _layer("MaxPooling2D", 2, max_pool, "MaxPool"),
    _layer("AveragePooling2D", 2, avg_pool, "AvgPool"),
)
MaxPooling3D, AveragePooling3D = (
    _layer("MaxPooling3D", 3, max_pool, "MaxPool3D"),
    _layer("AveragePooling3D", 3, avg_pool, "AvgPool3D"),
)


def _function(layer: type[Pooling], name_: str) -> Any:
    def call(
        inputs: Any, pool_size: Any, strides: Any, padding: str = "valid", data_format: str = "channels_last",
        name: str | None = None,
    ) -> Any:  # fmt: skip
        return layer(pool_size, strides, padding, data_format, name)(inputs)

    call.__name__, call.__doc__ = name_, layer.__doc__
    return call


max_pooling1d, average_pooling1d = (
    _function(MaxPooling1D, "max_pooling1d"),
    _function(AveragePooling1D, "average_pooling1d"),
)
max_pooling2d, average_pooling2d = (
    _function(MaxPooling2D, "max_pooling2d"),
    _function(AveragePooling2D, "average_pooling2d"),
)
max_pooling3d, average_pooling3d = (
    _function(MaxPooling3D, "max_pooling3d"),
    _function(AveragePooling3D, "average_pooling3d"),
)
MaxPool1D, MaxPool2D, MaxPool3D = MaxPooling1D, MaxPooling2D, MaxPooling3D
max_pool2d, avg_pool2d = max_pooling2d, average_pooling2d

__all__ = [
    "AveragePooling1D", "AveragePooling2D", "AveragePooling3D", "MaxPooling1D", "MaxPooling2D", "MaxPooling3D",
    "average_pooling1d", "average_pooling2d", "average_pooling3d", "max_pooling1d", "max_pooling2d", "max_pooling3d",
]  # fmt: skip
