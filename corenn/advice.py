"""What people coming from other libraries look for, and what it is called here: read only when a name is not found.

Nothing in corenn depends on these tables; they make an error say what to do.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from corenn.errors import UsageError, nearest

#: Where a name is looked for when somebody expects it elsewhere, in this order.
_OPS = ("", "nn", "random", "linalg", "image")
_HOMES = (*_OPS, "layers", "training", "data", "losses", "optimizers", "metrics")

_CODE = ("corenn.", "x", "math.", "numpy.", "model.", "layer.", "tape.", "list(", "zip(", "json.", "with ")
#: Names at the top of other libraries.
_NAMES = {
    "absolute": "corenn.abs",
    "allclose": "numpy.allclose(x, y), which takes tensors",
    "array": "corenn.tensor",
    "array_equal": "corenn.all(x == y)",
    "as_tensor": "corenn.asarray",
    "bmm": "corenn.matmul",
    "bool": "corenn.bool_",
    "callbacks": "corenn.training.callbacks",
    "cat": "corenn.concatenate",
    "chunk": "corenn.split",
    "constant": "corenn.tensor",
    "convert_to_tensor": "corenn.asarray",
    "cross_entropy": "corenn.nn.sparse_softmax_cross_entropy, of class numbers",
    "cuda": "corenn.device('cuda')",
    "DataLoader": "corenn.data.Dataset",
    "div": "corenn.divide",
    "double": "corenn.float64",
    "dtype": "corenn.as_dtype('float32'), or corenn.float32",
    "empty": "corenn.zeros",
    "float": "corenn.float32",
    "floordiv": "corenn.floor_divide",
    "F1": "corenn.metrics.F1Score",
    "half": "corenn.float16",
    "hstack": "corenn.concatenate((a, b), axis=1)",
    "inf": "math.inf",
    "int": "corenn.int32",
    "isclose": "numpy.isclose(x, y), which takes tensors",
    "keras": "in corenn itself: corenn.layers, corenn.Sequential, corenn.losses, ...",
    "Linear": "corenn.layers.Dense",
    "load": "model.load_weights(path), or corenn.checkpoint",
    "long": "corenn.int64",
    "manual_seed": "corenn.random.seed",
    "mm": "corenn.matmul",
    "mod": "corenn.remainder",
    "Module": "corenn.Model, or corenn.layers.Layer",
    "mse": "corenn.losses.mean_squared_error",
    "mse_loss": "corenn.losses.mean_squared_error",
    "mul": "corenn.multiply",
    "nan": "math.nan",
    "nan_to_num": "corenn.where(corenn.isnan(x), 0.0, x)",
    "newaxis": "None, as in x[:, None]",
    "no_grad": "not needed: only a GradientTape records; corenn.stop_gradient(x) cuts a gradient",
    "numpy": "x.numpy()",
    "optim": "corenn.optimizers",
    "Parameter": "corenn.Variable",
    "permute": "corenn.transpose(x, axes=...)",
    "pi": "math.pi",
    "placeholder": "corenn.layers.Input, or plain arguments of a function",
    "pow": "corenn.power",
    "rand": "corenn.random.uniform",
    "randint": "corenn.random.integers",
    "randn": "corenn.random.normal",
    "save": "model.save_weights(path), or corenn.checkpoint",
    "set_seed": "corenn.random.seed",
    "shape": "x.shape",
    "sub": "corenn.subtract",
    "take": "corenn.gather",
    "to_numpy": "x.numpy()",
    "unsqueeze": "corenn.expand_dims(x, axis=...)",
    "var": "corenn.variance",
    "vstack": "corenn.concatenate((a, b), axis=0)",
}

#: Methods and attributes of arrays and tensors elsewhere.
_TENSOR = {
    "assign": "x = value, or corenn.Variable, which has assign()",
    "backward": "tape.gradient(loss, variables), after 'with corenn.GradientTape() as tape:'",
    "bool": "x.astype('bool')",
    "clone": "x itself: tensors never change",
    "copy": "x itself (tensors never change), or x.numpy() for an array to write to",
    "cpu": "x.to('numpy'), or x.numpy() for an array",
    "cuda": "x.to('cuda')",
    "detach": "corenn.stop_gradient(x)",
    "double": "x.astype('float64')",
    "fill": "corenn.full_like(x, value)",
    "float": "x.astype('float32')",
    "get_shape": "x.shape",
    "grad": "tape.gradient(loss, x), after 'with corenn.GradientTape() as tape:'",
    "half": "x.astype('float16')",
    "int": "x.astype('int32')",
    "long": "x.astype('int64')",
    "masked_fill": "corenn.where(mask, value, x)",
    "numel": "x.size",
    "permute": "x.transpose(0, 2, 1)",
    "requires_grad": "corenn.Variable(x), or tape.watch(x)",
    "requires_grad_": "corenn.Variable(x), or tape.watch(x)",
    "type": "x.astype('float32')",
    "unsqueeze": "corenn.expand_dims(x, axis=0), or x[None]",
    "var": "corenn.variance(x)",
    "view": "x.reshape(...)",
}

#: Methods and attributes of layers and models elsewhere.
_LAYER = {
    "cuda": "with corenn.device('cuda'): around what makes and trains the model",
    "eval": "model(x, training=False) is the default",
    "evaluate_generator": "model.evaluate takes generators",
    "fit_generator": "model.fit takes generators",
    "forward": "model(x) calls it",
    "history": "model.fit(...) returns it",
    "input_shape": "layer.input_specs, once it has been called",
    "load": "model.load_weights(path)",
    "loss": "model.fit(...).history['loss']",
    "metrics_names": "list(model.metric_results())",
    "named_parameters": "zip(model.weight_names(), model.weights)",
    "output_shape": "layer.output_specs, once it has been called",
    "parameters": "model.trainable_weights",
    "predict_classes": "model.predict(x).argmax(-1)",
    "save": "model.save_weights(path); model.get_config() says how to make an equal model",
    "to": "with corenn.device('cuda'): around what makes and trains the model",
    "to_json": "json.dumps(model.get_config())",
    "train": "model.fit(x, y); model(x, training=True) calls it as in training",
    "zero_grad": "not needed: every GradientTape starts afresh",
}

#: Constructor arguments elsewhere.
ARGUMENTS = {
    "in_channels": "the size of the input is found at the first call",
    "in_features": "the size of the input is found at the first call",
    "input_dim": "start the model with layers.Input(shape)",
    "input_shape": "start the model with layers.Input(shape)",
    "lr": "it is called 'learning_rate'",
    "params": "the first step names the variables: optimizer.apply_gradients(zip(gradients, variables))",
}

#: Attributes of ops elsewhere, by what they are called here.
KEYWORDS = {"dim": "axis", "dims": "axes", "keepdim": "keepdims", "keep_dims": "keepdims", "perm": "axes"}


def find(name: str, homes: tuple[str, ...] = _HOMES) -> str | None:
    """Where a public name is, as ``corenn.module.name``, or what serves for one of another library; else ``None``."""
    if name in _NAMES:
        return _NAMES[name]
    plain = name.removeprefix("reduce_").replace("arc", "a")
    for home in homes:
        module = importlib.import_module(f"corenn.{home}" if home else "corenn")
        for spelling in (name, plain):
            if spelling in module.__all__:
                return f"{module.__name__}.{spelling}"
    return None


def _instead(place: str) -> str:
    if " is " in place or " takes " in place or " returns " in place or " calls " in place:
        return place  # a sentence
    return f"use {place}" if place.startswith(_CODE) else place


def missing_name(module: str, name: str, known: list[str]) -> AttributeError:
    """The error for ``module.name`` that does not exist, with where it is, what serves instead or the nearest names."""
    place = None if name.startswith("_") else find(name)
    hint = _instead(place) if place else nearest(name, known)
    return AttributeError(f"module {module!r} has no attribute {name!r}; {hint}", name=name)


def guide(module: str, public: list[str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """``__getattr__`` and ``__dir__`` of a module: one explains a name that is not there, the other lists the rest."""

    def explain(name: str) -> Any:
        raise missing_name(module, name, public)

    return explain, lambda: sorted(public)


def refuse_keywords(where: str, given: dict[str, Any]) -> None:
    """UsageError for keywords a method does not have; those that NumPy passes by itself, ``None``, are let through.

    ``numpy.sum(x)`` calls ``x.sum(axis=None, dtype=None, out=None)``.
    """
    for name, value in given.items():
        if name in ("dtype", "out"):
            if value is None:
                continue
            hint = "cast before: x.astype(dtype)" if name == "dtype" else "tensors never change: use the result"
        else:
            hint = f"it is called {KEYWORDS[name]!r}" if name in KEYWORDS else f"corenn.{where} takes axis and keepdims"
        raise UsageError(where, f"takes no {name!r}", hint=hint)


def not_numbers(data: object, dtype: np.dtype[Any]) -> tuple[str, str]:
    """What is wrong with data of which NumPy made an array of ``dtype``, and a hint."""
    if data is None:
        return "there is no value: None was given", "does a function lack its return?"
    if dtype.kind in "US":
        return "cannot hold text", "np.unique(labels, return_inverse=True)[1] numbers the labels"
    hint = "numbers and bools only"
    if dtype.kind in "mM":
        hint = "array.astype('int64') counts the units of time"
    if dtype.kind != "O":
        return f"cannot hold elements of type {dtype}", hint
    kinds = sorted({type(item).__name__ for item in np.asarray(data, object).ravel()[:1000]})
    if "NoneType" in kinds:
        hint = "nan stands for a missing number"
    elif set(kinds) <= {"int", "float", "bool"}:
        hint = "array.astype('float32')"  # numbers, but in an array of Python objects
    elif isinstance(data, Iterable) and not isinstance(data, (list, tuple, dict, np.ndarray)):
        hint = "corenn.tensor(list(data))"  # a generator, a map, a set
    return f"cannot hold Python objects ({', '.join(kinds)})", hint


def numpy_function(name: str, operands: int, writes: bool) -> str:
    """What to use in place of a NumPy function of tensors, or of one that writes into an array (``out=``)."""
    if writes:
        return "numpy arrays take arrays: array += x.numpy(); or array = array + x, which is a tensor"
    place = find({"rint": "round", "invert": "bitwise_invert", "conjugate": "conj"}.get(name, name), _OPS)
    arguments = ", ".join("xy"[:operands])
    instead = f"use {place}({arguments})" if place and place.startswith("corenn.") else "use a corenn op"
    return f"{instead}, or convert first: numpy.{name}(x.numpy())"


def missing_in_layer(kind: str, name: str) -> str:
    """The message for ``layer.name`` that does not exist, with what serves instead."""
    what = f"{kind!r} object has no attribute {name!r}"
    return f"{what}; {_instead(_LAYER[name])}" if name in _LAYER else what


def missing_method(kind: str, name: str) -> str:
    """The message for ``tensor.name`` that does not exist, with what serves instead."""
    what = f"{kind!r} object has no attribute {name!r}"
    if name.startswith("_"):
        return what
    if name.endswith("_") and name[:-1] in ("add", "sub", "mul", "div", "copy", "zero", "fill"):
        return f"{what}; tensors never change: corenn.Variable has assign(), assign_add() and assign_sub()"
    place = _TENSOR.get(name) or find(name, _OPS)  # these are loaded: libraries ask every object for many attributes
    if place is None:
        return what
    function = name not in _TENSOR and place.startswith("corenn.") and "(" not in place
    return f"{what}; {_instead(f'{place}(x, ...)' if function else place)}"


__all__ = [
    "ARGUMENTS",
    "KEYWORDS",
    "find",
    "guide",
    "missing_in_layer",
    "missing_method",
    "missing_name",
    "not_numbers",
    "numpy_function",
    "refuse_keywords",
]
