"""What TensorFlow's users expect of tensors, variables and dtypes, given to corenn's own classes.

Eager tensors, variables and dtypes of the facade *are* corenn's: wrapping them would cost every call and break
``isinstance``.  So this module, the only one that does so, adds to those classes what TensorFlow has under another
name, or prints otherwise.  Nothing a core module relies on changes its meaning.  ``adopt()`` is called when the names
of the facade are first asked for; ``release()`` takes everything back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import corenn
from corenn import dtypes
from corenn.dtypes import DType
from corenn.graph.tensors import GraphTensor
from corenn.tensor import Tensor
from corenn.variable import Variable
from corenn_tensorflow import framework
from corenn_tensorflow.converting import NUMBERED
from corenn_tensorflow.framework import OPERATORS, TensorReference, TensorShape, is_tensor_like

_MISSING = object()
_before: list[tuple[type, str, Any]] = []


def _set(cls: type, name: str, value: Any) -> None:
    _before.append((cls, name, cls.__dict__.get(name, _MISSING)))
    setattr(cls, name, value)


def adopt() -> None:
    """Give corenn's classes what TensorFlow's have; does nothing the second time."""
    if _before:
        return
    for cls, given in _GIVEN:
        for name, value in given.items():
            _set(cls, name, value)


def release() -> None:
    """Take back what ``adopt`` gave."""
    while _before:
        cls, name, value = _before.pop()
        if value is _MISSING:
            delattr(cls, name)
        else:
            setattr(cls, name, value)


# ---------------------------------------------------------------- tensors


def _shape(self: Tensor) -> TensorShape:
    return TensorShape.of(self.spec.shape)


def _values(x: Tensor) -> Any:
    """The values on the host; text lies there already."""
    return x.data if x.dtype is dtypes.string else x._host()


def _body(x: Tensor) -> str:
    host = _values(x)
    return repr(host.reshape(())[()]) if x.dtype is dtypes.string and not host.ndim else str(host)


def _str(self: Tensor) -> str:
    return f"tf.Tensor({_body(self)}, shape={_shape(self)}, dtype={self.dtype.name})"


def _shown(x: Tensor) -> str:
    host = _values(x)
    return repr(host if host.ndim else host.reshape(())[()].item() if hasattr(host[()], "item") else host[()])


def _repr(self: Tensor) -> str:
    return f"<tf.Tensor: shape={_shape(self)}, dtype={self.dtype.name}, numpy={_shown(self)}>"


def _variable_repr(self: Variable) -> str:
    return f"<tf.Variable {self.name!r} shape={_shape(self)} dtype={self.dtype.name}, numpy={_shown(self)}>"


def _numpy(self: Tensor) -> Any:
    """The values on the host, a NumPy scalar for a tensor of no axes."""
    if self.dtype is dtypes.string:
        return self.data if self.data.ndim else self.data[()]
    host = np.array(self._host())
    return host if host.ndim else host[()]


_core_format = Tensor.__format__


def _format(self: Tensor, spec: str) -> str:
    return _core_format(self, spec) if spec else str(self)


def _operator(name: str, reflected: bool) -> Callable[[Any, Any], Any]:
    """Python's operator as TensorFlow has it: numbers and arrays take the tensor's dtype, tensors do not promote."""
    core = getattr(Tensor, f"__{'r' if reflected else ''}{name}__", None) or getattr(Tensor, f"__{name}__")
    type_name, _, function = OPERATORS[name]
    converts = name == "truediv"

    def method(self: Tensor, other: Any) -> Any:
        plain = self.dtype.is_inexact or not (converts or other.__class__ is float)
        if plain and (other.__class__ in (int, float) or (isinstance(other, Tensor) and other.dtype is self.dtype)):
            return core(self, other)
        if isinstance(other, GraphTensor):
            return NotImplemented if not reflected else core(self, other)
        if hasattr(other, "__corenn_takes_operators__"):
            return NotImplemented
        pair = (other, self) if reflected else (self, other)
        return framework._binary(type_name, OPERATORS[name][1], function, *pair)

    return method


def _equality(name: str, type_name: str, function: Callable[..., Any], same: bool) -> Callable[[Any, Any], Any]:
    def method(self: Tensor, other: Any) -> Any:
        if other is None or (isinstance(other, str) and self.dtype is not dtypes.string):
            return not same
        if self.dtype is dtypes.string:
            from corenn_tensorflow.functions.text import _encoded  # which is made of ops

            theirs = other.data if isinstance(other, Tensor) else other
            equal = np.asarray(_encoded(self.data) == _encoded(theirs), bool)
            return corenn.tensor(equal if same else ~equal)
        if is_tensor_like(other) and other.dtype is not self.dtype:
            return framework._binary(type_name, name, function, self, other)
        return function(self, other if is_tensor_like(other) else framework.convert_to_tensor(other, self.dtype))

    return method


def _keras_masks() -> Any:
    from corenn_tensorflow.keras.engine import masks  # which is made of ops

    return masks


_TENSOR: dict[str, Any] = {
    "shape": property(_shape, doc="Extents of the axes."),
    "get_shape": _shape,
    "numpy": _numpy,
    "ref": lambda self: TensorReference(self),
    "experimental_ref": lambda self: TensorReference(self),
    "eval": lambda self, feed_dict=None, session=None: self.numpy(),
    "_keras_mask": property(
        lambda self: _keras_masks().mask_of(self), lambda self, mask: _keras_masks().keep(self, mask)
    ),
    "set_shape": lambda self, shape: _shape(self).assert_is_compatible_with(shape),
    "gpu": lambda self, gpu_index=0: self,
    "cpu": lambda self: self,
    "__str__": _str,
    "__repr__": _repr,
    "__format__": _format,
    "__eq__": _equality("equal", "Equal", corenn.equal, True),
    "__ne__": _equality("not_equal", "NotEqual", corenn.not_equal, False),
    "__hash__": object.__hash__,
}
for _name in OPERATORS:
    _TENSOR[f"__{_name}__"] = _operator(_name, False)
    if _name not in ("lt", "le", "gt", "ge"):
        _TENSOR[f"__r{_name}__"] = _operator(_name, True)


# ---------------------------------------------------------------- variables


def _scatter(name: str) -> Callable[..., Any]:
    def method(self: Variable, sparse_delta: Any, use_locking: bool = False, name_: str | None = None) -> Variable:
        from corenn_tensorflow.variables import SCATTER

        found = SCATTER[name](self.value(), sparse_delta.indices, sparse_delta.values)
        return self.assign(found)

    method.__doc__ = f"Change the rows that an ``IndexedSlices`` names: {name}."
    return method


_VARIABLE: dict[str, Any] = {
    "__repr__": _variable_repr,
    "__str__": _variable_repr,
    "read_value": lambda self: self.value(),
    "initialized_value": lambda self: self.value(),
    "sparse_read": lambda self, indices, name=None: corenn.gather(self, indices),
    "load": lambda self, value, session=None: self.assign(value) and None,
    "handle": property(lambda self: self),
    "initializer": property(lambda self: None),
    "op": property(lambda self: framework.SimpleNamespace(name=self.name.partition(":")[0], type="VarHandleOp")),
    **{f"scatter_{kind}": _scatter(kind) for kind in ("update", "add", "sub", "mul", "div", "min", "max")},
}


# ---------------------------------------------------------------- dtypes


def _limit(which: str) -> property:
    def found(self: DType) -> Any:
        if self.kind == "b":
            return which == "max"
        info: Any = np.finfo(self.numpy) if self.kind in "fc" else np.iinfo(self.numpy)
        value = getattr(info, which)
        return value.item() if hasattr(value, "item") and self.kind in "iu" else value

    return property(found, doc=f"The {which} value.")


_NUMBERS = {name: number for number, name in NUMBERED.items()}
_DTYPE: dict[str, Any] = {
    "as_numpy_dtype": property(lambda self: self.numpy.type),
    "as_datatype_enum": property(lambda self: _NUMBERS[self.name]),
    "base_dtype": property(lambda self: self),
    "real_dtype": property(
        lambda self: {"complex64": dtypes.float32, "complex128": dtypes.float64}.get(self.name, self)
    ),
    "is_bool": property(lambda self: self.kind == "b"),
    "is_complex": property(lambda self: self.kind == "c"),
    "is_floating": property(lambda self: self.kind == "f"),
    "is_integer": property(lambda self: self.kind in "iu"),
    "is_unsigned": property(lambda self: self.kind == "u"),
    "is_quantized": property(lambda self: False),
    "is_numpy_compatible": property(lambda self: True),
    "_is_ref_dtype": property(lambda self: False),
    "size": property(lambda self: self.itemsize),
    "min": _limit("min"),
    "max": _limit("max"),
    "limits": property(lambda self: (self.min, self.max)),
    "is_compatible_with": lambda self, other: framework.as_dtype(other) is self,
    "__repr__": lambda self: f"tf.{self.name}",
    "__str__": lambda self: f"<dtype: {self.name!r}>",
    "__format__": lambda self, spec: format(self.name, spec),  # what corenn's own messages show
    "__int__": lambda self: _NUMBERS[self.name],
}

_GIVEN: list[tuple[type, dict[str, Any]]] = [(Tensor, _TENSOR), (Variable, _VARIABLE), (DType, _DTYPE)]

__all__ = ["adopt", "release"]

adopt()
