"""Making Keras's layers of corenn's: orders of arguments, old names of arguments, configurations."""

from __future__ import annotations

from typing import Any

from corenn.dtypes import as_dtype
from corenn.spec import Spec
from corenn.tensor import Tensor
from corenn_tensorflow.keras import _lookup, activations, constraints, initializers, regularizers
from corenn_tensorflow.keras.engine.base_layer import CORE, Layer, plain_shape

#: Arguments of Keras 1 and early Keras 2 by what they are called since.
LEGACY = {
    "init": "kernel_initializer", "W_regularizer": "kernel_regularizer", "b_regularizer": "bias_regularizer",
    "W_constraint": "kernel_constraint", "b_constraint": "bias_constraint", "bias": "use_bias", "p": "rate",
    "inner_init": "recurrent_initializer", "inner_activation": "recurrent_activation", "dropout_W": "dropout",
    "dropout_U": "recurrent_dropout", "U_regularizer": "recurrent_regularizer", "forget_bias_init": None,
    "nb_filter": "filters", "filter_length": "kernel_size", "border_mode": "padding", "subsample": "strides",
    "subsample_length": "strides", "dim_ordering": "data_format", "pool_length": "pool_size", "stride": "strides",
    "atrous_rate": "dilation_rate", "beta_init": "beta_initializer", "gamma_init": "gamma_initializer",
    "sigma": "stddev", "dims": "dims", "length": "size", "b_initializer": "bias_initializer",
}  # fmt: skip
_FORMATS = {"th": "channels_first", "tf": "channels_last", "default": None}
BASE = ("name", "trainable", "dtype", "dynamic", "input_shape", "batch_input_shape", "batch_size", "input_dtype",
        "weights", "activity_regularizer", "autocast", "implementation", "consume_less", "unroll", "time_major",
        "zero_output_for_mask", "reset_dropout_mask", "input_length", "input_dim")  # fmt: skip


def image_data_format() -> str:
    """``channels_last``, unless set otherwise."""
    return _settings["image_data_format"]


_settings = {"image_data_format": "channels_last"}


def converted(name: str, value: Any) -> Any:
    """An argument's value as the core's layers take it."""
    if name.endswith("_initializer"):
        return initializers.get(value)
    if name.endswith("_regularizer"):
        return regularizers.get(value)
    if name.endswith("_constraint"):
        return constraints.get(value)
    if name.endswith("activation"):
        return activations.get(value)
    if name == "data_format":
        value = _FORMATS.get(value, value)
        return image_data_format() if value is None else value
    return value


def written(name: str, value: Any) -> Any:
    """An argument's value for a configuration."""
    if name.endswith("activation"):
        return activations.serialize(value)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        return [written("", v) for v in value]
    if isinstance(value, Layer):
        return {"class_name": type(value).__name__, "config": value.get_config()}
    return _lookup.serialized(value)


class BuiltIn(Layer):
    """Base of the layers that corenn computes."""

    takes_specs = True
    runs_whole = True
    #: Names of the arguments in Keras's order, and those that a configuration lists.
    order: tuple[str, ...] = ()
    arguments: dict[str, Any]

    def build(self, *inputs: Any) -> None:
        """Make the weights, for shapes (or specs) of the inputs."""
        maker = next((c for c in type(self).__mro__ if c.__module__.startswith(CORE) and "build" in c.__dict__), None)
        if maker is not None:
            maker.build(self, *[self._spec_of(i) for i in inputs])
        self.built = True

    def _spec_of(self, given: Any) -> Any:
        if given is None or isinstance(given, Spec):
            return given
        if isinstance(given, (list, tuple)) and given and isinstance(given[0], (Spec, list, tuple)):
            return [self._spec_of(g) for g in given]
        dtype = as_dtype(self.first_dtype) if self._first_dtype is None else self._first_dtype
        return Spec(tuple(1 if n is None else n for n in plain_shape(given)), dtype)

    def __setattr__(self, name: str, value: Any) -> None:
        if value is None and name == "activation":  # scripts take a model's last activation off
            value = activations.get(None)
        super().__setattr__(name, value)

    def changed_weights(self) -> list[Any]:
        """Weights that a call in training assigns."""
        return []

    def get_config(self) -> dict[str, Any]:
        """The arguments, as JSON has them."""
        config = super().get_config()
        if self.activity_regularizer is not None:
            config["activity_regularizer"] = written("", self.activity_regularizer)
        return {**config, **{n: written(n, v) for n, v in self.arguments.items()}}


def modern(
    cls: Any, order: tuple[str, ...], args: tuple[Any, ...], options: dict[str, Any], legacy: Any
) -> dict[str, Any]:
    """The arguments by their present names."""
    if len(args) > len(order):
        raise TypeError(f"{cls.__name__} takes at most {len(order)} positional arguments, got {len(args)}")
    given = dict(zip(order, args, strict=False))
    known = {*order, *BASE}
    for name, value in options.items():
        new: Any = name
        if name not in known:
            new = {**LEGACY, **legacy}.get(name, name)
        if new is None:
            continue
        if new in given and new not in BASE:
            raise TypeError(f"{cls.__name__}() got multiple values for argument {new!r}")
        given[new] = value
    return given


def adapt(
    name: str,
    core: type,
    order: str,
    *,
    legacy: dict[str, Any] | None = None,
    renamed: dict[str, str | None] | None = None,
    defaults: dict[str, Any] | None = None,
    mixin: type | None = None,
    drops: tuple[str, ...] = (),
    **attributes: Any,
) -> Any:
    """Keras's class over the core's: ``order`` names its arguments, ``renamed`` says what the core calls them.

    ``defaults`` differ from the core's; functions among them are asked at every call.  ``drops``: arguments that change
    nothing here.
    """
    names = tuple(order.split())
    old, to_core, start = legacy or {}, renamed or {}, defaults or {}

    def __init__(self: Any, *args: Any, **options: Any) -> None:
        given = modern(type(self), names, args, options, old)
        for key, value in start.items():
            given.setdefault(key, value() if callable(value) and not isinstance(value, type) else value)
        own = {k: converted(k, v) for k, v in given.items() if k in names}
        base = {k: v for k, v in given.items() if k not in names}
        self.__dict__["arguments"] = own
        inner = {to_core.get(k, k): v for k, v in own.items() if k not in drops and to_core.get(k, k) is not None}
        Layer.__init__(self, **base, _core=inner)

    bases = (mixin, BuiltIn, core) if mixin is not None else (BuiltIn, core)
    space = {
        "__init__": __init__,
        "order": names,
        "__doc__": core.__doc__,
        "__module__": "corenn_tensorflow.keras.layers",
        "__qualname__": name,
        **attributes,
    }
    return type(name, bases, space)


def first_tensor(value: Any) -> Any:
    """The first of a list of tensors, and the rest; ``(value, [])`` for one."""
    if isinstance(value, (list, tuple)) and not isinstance(value, Tensor):
        return value[0], list(value[1:])
    return value, []


__all__ = ["BASE", "LEGACY", "BuiltIn", "adapt", "converted", "first_tensor", "image_data_format", "modern", "written"]
