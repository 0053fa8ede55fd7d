"""The layers without states: dense, convolutions, pooling, reshaping, merging, normalisation, noise, activations."""

from __future__ import annotations

from typing import Any

from corenn import layers as core
from corenn.layers.masking import Masking as CoreMasking
from corenn_tensorflow.keras.layers.adapting import BuiltIn, adapt

_KERNEL = (
    "kernel_initializer bias_initializer kernel_regularizer bias_regularizer activity_regularizer kernel_constraint "
    "bias_constraint"
)


Dense = adapt(
    "Dense",
    core.Dense,
    f"units activation use_bias {_KERNEL}",
    legacy={"output_dim": "units"},
    renamed={"activity_regularizer": None},
)
Activation = adapt("Activation", core.Activation, "activation")
Dropout = adapt("Dropout", core.Dropout, "rate noise_shape seed")
Flatten = adapt("Flatten", core.Flatten, "data_format", drops=("data_format",))
Reshape = adapt("Reshape", core.Reshape, "target_shape")
Permute = adapt("Permute", core.Permute, "dims")
RepeatVector = adapt("RepeatVector", core.RepeatVector, "n")
ActivityRegularization = adapt("ActivityRegularization", core.ActivityRegularization, "l1 l2", runs_whole=False)
Masking = adapt("Masking", CoreMasking, "mask_value")
SpatialDropout1D = adapt("SpatialDropout1D", core.SpatialDropout1D, "rate")
SpatialDropout2D = adapt("SpatialDropout2D", core.SpatialDropout2D, "rate data_format", drops=("data_format",))
SpatialDropout3D = adapt("SpatialDropout3D", core.SpatialDropout3D, "rate data_format", drops=("data_format",))
GaussianNoise = adapt("GaussianNoise", core.GaussianNoise, "stddev")
GaussianDropout = adapt("GaussianDropout", core.GaussianDropout, "rate")


class _Embedding(BuiltIn):
    """A model that begins with an embedding takes ids of any number of steps, or of ``input_length``."""

    @property
    def _batch_input_shape(self) -> Any:
        given = self.__dict__.get("given_shape")
        length = self.arguments.get("input_length")
        steps = tuple(length) if isinstance(length, (list, tuple)) else (length,)
        return given if given is not None else (None, *steps)

    @_batch_input_shape.setter
    def _batch_input_shape(self, value: Any) -> None:
        self.__dict__["given_shape"] = value


Embedding = adapt(
    "Embedding",
    core.Embedding,
    "input_dim output_dim embeddings_initializer embeddings_regularizer activity_regularizer embeddings_constraint "
    "mask_zero input_length",
    legacy={
        "init": "embeddings_initializer",
        "W_regularizer": "embeddings_regularizer",
        "W_constraint": "embeddings_constraint",
        "dropout": None,
    },
    renamed={"activity_regularizer": None, "input_length": None},
    mixin=_Embedding,
)

# ---- convolutions

_CONV = f"filters kernel_size strides padding data_format dilation_rate activation use_bias {_KERNEL} groups"
_RENAMED: dict[str, str | None] = {"activity_regularizer": None}
_ANY = {"data_format": None}
Conv1D = adapt("Conv1D", core.Conv1D, _CONV, renamed=_RENAMED, defaults={"data_format": "channels_last"})
Conv2D = adapt("Conv2D", core.Conv2D, _CONV, renamed=_RENAMED, defaults=_ANY)
Conv3D = adapt("Conv3D", core.Conv3D, _CONV, renamed=_RENAMED, defaults=_ANY)
_TRANSPOSED = (
    f"filters kernel_size strides padding output_padding data_format dilation_rate activation use_bias {_KERNEL}"
)
_DROPPED = {**_RENAMED, "output_shape": None}
Conv1DTranspose = adapt(
    "Conv1DTranspose", core.Conv1DTranspose, _TRANSPOSED, renamed=_DROPPED, defaults={"data_format": "channels_last"}
)
Conv2DTranspose = adapt("Conv2DTranspose", core.Conv2DTranspose, _TRANSPOSED, renamed=_DROPPED, defaults=_ANY)
Conv3DTranspose = adapt("Conv3DTranspose", core.Conv3DTranspose, _TRANSPOSED, renamed=_DROPPED, defaults=_ANY)
DepthwiseConv2D = adapt(
    "DepthwiseConv2D", core.DepthwiseConv2D,
    "kernel_size strides padding depth_multiplier data_format dilation_rate activation use_bias depthwise_initializer "
    "bias_initializer depthwise_regularizer bias_regularizer activity_regularizer depthwise_constraint bias_constraint",
    renamed=_RENAMED, defaults=_ANY,
)  # fmt: skip
_SEPARABLE = (
    "filters kernel_size strides padding data_format dilation_rate depth_multiplier activation use_bias "
    "depthwise_initializer pointwise_initializer bias_initializer depthwise_regularizer pointwise_regularizer "
    "bias_regularizer activity_regularizer depthwise_constraint pointwise_constraint bias_constraint"
)
SeparableConv1D = adapt(
    "SeparableConv1D", core.SeparableConv1D, _SEPARABLE, renamed=_RENAMED, defaults={"data_format": "channels_last"}
)
SeparableConv2D = adapt("SeparableConv2D", core.SeparableConv2D, _SEPARABLE, renamed=_RENAMED, defaults=_ANY)


def _of_rows(base: Any, count: int, extra: str = "") -> Any:
    """The convolution of Keras 1, whose kernel's extents are arguments of their own (``nb_row``, ``nb_col``)."""
    rows = ("nb_row", "nb_col") if count == 2 else ("kernel_dim1", "kernel_dim2", "kernel_dim3")

    def __init__(self: Any, *args: Any, **options: Any) -> None:
        if len(args) > count and all(isinstance(a, int) for a in args[: count + 1]):
            args = (args[0], tuple(args[1 : count + 1]), *args[count + 1 :])
            for place, name in enumerate(("init", "activation", "weights", "border_mode", "subsample", "dim_ordering")):
                if len(args) > 2 + place:
                    options.setdefault(name, args[2 + place])
            args = args[:2]
        if rows[0] in options:
            options["kernel_size"] = tuple(options.pop(n) for n in rows)
        base.__init__(self, *args, **options)

    return type(base.__name__, (base,), {"__init__": __init__, "__doc__": base.__doc__, "__module__": base.__module__})


Convolution1D, Convolution2D, Convolution3D = Conv1D, _of_rows(Conv2D, 2), _of_rows(Conv3D, 3)
Deconvolution2D = Convolution2DTranspose = _of_rows(Conv2DTranspose, 2)
SeparableConvolution2D, AtrousConvolution2D = _of_rows(SeparableConv2D, 2), Convolution2D

# ---- pooling

_POOL = "pool_size strides padding data_format"
for _kind in ("Max", "Average"):
    for _rank in (1, 2, 3):
        _name = f"{_kind}Pooling{_rank}D"
        globals()[_name] = adapt(
            _name, getattr(core, _name), _POOL, defaults={"data_format": "channels_last"} if _rank == 1 else _ANY
        )
        _whole = f"Global{_name}"
        globals()[_whole] = adapt(
            _whole, getattr(core, _whole), "data_format keepdims",
            defaults={"data_format": "channels_last"} if _rank == 1 else _ANY,
        )  # fmt: skip
_g = globals()
MaxPool1D, MaxPool2D, MaxPool3D = _g["MaxPooling1D"], _g["MaxPooling2D"], _g["MaxPooling3D"]
AvgPool1D, AvgPool2D, AvgPool3D = _g["AveragePooling1D"], _g["AveragePooling2D"], _g["AveragePooling3D"]
GlobalMaxPool1D, GlobalMaxPool2D = _g["GlobalMaxPooling1D"], _g["GlobalMaxPooling2D"]
GlobalMaxPool3D = _g["GlobalMaxPooling3D"]
GlobalAvgPool1D, GlobalAvgPool2D = _g["GlobalAveragePooling1D"], _g["GlobalAveragePooling2D"]
GlobalAvgPool3D = _g["GlobalAveragePooling3D"]

# ---- around images


class _LastOnly(BuiltIn):
    """Layers that know channels last only."""

    def _spec_of(self, given: Any) -> Any:
        if self.arguments.get("data_format") == "channels_first":
            raise ValueError(f"{type(self).__name__} takes channels last: Permute the axes before and after it")
        return super()._spec_of(given)


for _kind, _argument in (("ZeroPadding", "padding"), ("Cropping", "cropping"), ("UpSampling", "size")):
    for _rank in (1, 2, 3):
        _name = f"{_kind}{_rank}D"
        _order = f"{_argument} data_format" + (" interpolation" if _name == "UpSampling2D" else "")
        globals()[_name] = adapt(
            _name, getattr(core, _name), _order, drops=("data_format",), mixin=_LastOnly,
            defaults={"data_format": None} if _rank > 1 else {},
        )  # fmt: skip

# ---- merging

for _name in ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum"):
    globals()[_name] = adapt(_name, getattr(core, _name), "")
Concatenate = adapt("Concatenate", core.Concatenate, "axis")
Dot = adapt("Dot", core.Dot, "axes normalize")


def _function(cls: str) -> Any:
    def merge(inputs: Any, **options: Any) -> Any:
        return globals()[cls](**options)(inputs)

    merge.__name__ = merge.__qualname__ = cls.lower()
    merge.__doc__ = f"``{cls}`` applied to a list of tensors."
    return merge


add, subtract, multiply, average = (_function(n) for n in ("Add", "Subtract", "Multiply", "Average"))
maximum, minimum = _function("Maximum"), _function("Minimum")


def concatenate(inputs: Any, axis: int = -1, **options: Any) -> Any:
    """``Concatenate`` applied to a list of tensors."""
    return Concatenate(axis=axis, **options)(inputs)


def dot(inputs: Any, axes: Any, normalize: bool = False, **options: Any) -> Any:
    """``Dot`` applied to two tensors."""
    return Dot(axes=axes, normalize=normalize, **options)(inputs)


_MODES = {"sum": "Add", "mul": "Multiply", "ave": "Average", "max": "Maximum"}


def Merge(layers: Any = None, mode: Any = "sum", concat_axis: int = -1, dot_axes: Any = -1, **options: Any) -> Any:
    """Keras 1's merging layer, for tensors: ``Merge(mode="concat")([a, b])``."""
    if layers is not None:
        raise ValueError("Merge of Sequential models is not in Keras 2: use the functional API, concatenate([a, b])")
    if mode == "concat":
        return Concatenate(axis=concat_axis, **options)
    if mode in ("dot", "cos"):
        return Dot(axes=dot_axes, normalize=mode == "cos", **options)
    if callable(mode):
        from corenn_tensorflow.keras.layers.functions import Lambda

        return Lambda(mode, **options)
    return globals()[_MODES[mode]](**options)


def merge(
    inputs: Any, mode: Any = "sum", concat_axis: int = -1, dot_axes: Any = -1, name: str | None = None, **ignored: Any
) -> Any:
    """Keras 1's function."""
    return Merge(mode=mode, concat_axis=concat_axis, dot_axes=dot_axes, name=name)(inputs)


# ---- normalisation


class _BatchNormalization(BuiltIn):
    """Which weights a call in training assigns."""

    def changed_weights(self) -> list[Any]:
        """The moving statistics."""
        return [self.moving_mean, self.moving_variance] if self.trainable else []


BatchNormalization = adapt(
    "BatchNormalization", core.BatchNormalization,
    "axis momentum epsilon center scale beta_initializer gamma_initializer moving_mean_initializer "
    "moving_variance_initializer beta_regularizer gamma_regularizer beta_constraint gamma_constraint renorm "
    "renorm_clipping renorm_momentum fused virtual_batch_size adjustment",
    legacy={"mode": None}, mixin=_BatchNormalization,
    drops=("renorm", "renorm_clipping", "renorm_momentum", "fused", "virtual_batch_size", "adjustment"),
)  # fmt: skip
LayerNormalization = adapt(
    "LayerNormalization", core.LayerNormalization,
    "axis epsilon center scale beta_initializer gamma_initializer beta_regularizer gamma_regularizer beta_constraint "
    "gamma_constraint",
)  # fmt: skip
GroupNormalization = adapt("GroupNormalization", core.GroupNormalization, "groups axis epsilon center scale")
UnitNormalization = adapt("UnitNormalization", core.UnitNormalization, "axis")

# ---- activations

LeakyReLU = adapt(
    "LeakyReLU", core.LeakyReLU, "alpha", renamed={"alpha": "negative_slope"}, legacy={"negative_slope": "alpha"}
)
ELU = adapt("ELU", core.ELU, "alpha")
PReLU = adapt("PReLU", core.PReLU, "alpha_initializer alpha_regularizer alpha_constraint shared_axes",
              legacy={"init": "alpha_initializer"})  # fmt: skip
Softmax = adapt("Softmax", core.Softmax, "axis")
Rescaling = adapt("Rescaling", core.Rescaling, "scale offset")
Normalization = adapt("Normalization", core.Normalization, "axis mean variance invert", runs_whole=False)
MultiHeadAttention = adapt(
    "MultiHeadAttention", core.MultiHeadAttention,
    "num_heads key_dim value_dim dropout use_bias output_shape attention_axes kernel_initializer bias_initializer "
    "kernel_regularizer bias_regularizer activity_regularizer kernel_constraint bias_constraint",
    renamed={"activity_regularizer": None, "output_shape": "output_size"}, drops=("attention_axes",), runs_whole=False,
)  # fmt: skip

__all__ = [
    n
    for n, v in list(globals().items())
    if not n.startswith("_")
    and n not in ("BuiltIn", "CoreMasking", "Any")
    and callable(v)
    and n not in ("adapt", "annotations")
]
