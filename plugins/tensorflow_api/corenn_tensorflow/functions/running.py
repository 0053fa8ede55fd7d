"""The mode of the process, graphs and sessions, files, templates: what ``tf.`` has beside mathematics."""

from __future__ import annotations

import contextlib
import functools
import glob
import logging
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np

import corenn
from corenn import dtypes, tree
from corenn.graph.tensors import GraphTensor
from corenn.tensor import Tensor
from corenn_tensorflow import mode
from corenn_tensorflow.framework import as_dtype, convert_to_tensor, is_tensor_like, static_shape
from corenn_tensorflow.functions.calling import composite, operand, python_value
from corenn_tensorflow.functions.text import as_bytes, as_text, on_host
from corenn_tensorflow.scopes import AUTO_REUSE, variable_scope
from corenn_tensorflow.sparse import IndexedSlices, SparseTensor
from corenn_tensorflow.writing import writable

executing_eagerly = mode.executing_eagerly
reset_default_graph = mode.reset_default_graph


def enable_eager_execution(config: Any = None, device_policy: Any = None, execution_mode: Any = None) -> None:
    """Run operations at once from here on; only at the beginning of a program."""
    mode.set_eager(True)


def disable_eager_execution() -> None:
    """Build a default graph from here on; only at the beginning of a program."""
    mode.set_eager(False)


def enable_v2_behavior() -> None:
    """The signatures and defaults of generation 2, which runs eagerly."""
    mode.start(2)


def disable_v2_behavior() -> None:
    """The signatures and defaults of generation 1, which builds a default graph."""
    mode.set_eager(False)


def _toggle(doc: str) -> Callable[[], None]:
    def call() -> None:
        return None

    call.__doc__ = doc
    return call


enable_resource_variables = _toggle("Nothing: there is one kind of variable.")
disable_resource_variables = _toggle("Nothing: there is one kind of variable.")
enable_control_flow_v2 = _toggle("Nothing: there is one kind of control flow.")
disable_control_flow_v2 = _toggle("Nothing: there is one kind of control flow.")
enable_v2_tensorshape = _toggle("Nothing: shapes follow the generation.")
disable_v2_tensorshape = _toggle("Nothing: shapes follow the generation.")
enable_tensor_equality = _toggle("Nothing: ``==`` follows the generation.")
disable_tensor_equality = _toggle("Nothing: ``==`` follows the generation.")


def resource_variables_enabled() -> bool:
    """Whether variables are resources, as in generation 2."""
    return mode.generation() == 2


def control_flow_v2_enabled() -> bool:
    """Whether control flow consists of functions: always."""
    return True


def get_logger() -> logging.Logger:
    """The logger of TensorFlow's name."""
    return logging.getLogger("tensorflow")


@writable("timestamp")
def _now() -> Any:
    return [time.time()]


def timestamp(name: str | None = None) -> Any:
    """Seconds since 1970, when it runs."""
    graph = mode.graph_for()
    if graph is None:
        return convert_to_tensor(np.float64(time.time()))
    from corenn.graph.kinds import HostCallKind

    return graph.add(HostCallKind(_now, False, "Timestamp"), [], [((), dtypes.float64)], name=name).outputs[0]


# ---------------------------------------------------------------- conversions


def register_tensor_conversion_function(
    base_type: Any, conversion_func: Callable[..., Any], priority: int = 100
) -> None:
    """Say how objects of a type become tensors: ``conversion_func(value, dtype, name, as_ref)``."""
    types = base_type if isinstance(base_type, tuple) else (base_type,)

    def convert(self: Any) -> Any:
        return conversion_func(self, dtype=None, name=None, as_ref=False)

    for cls in types:
        try:
            cls.__corenn_tensorflow_tensor__ = convert
        except TypeError as error:
            raise TypeError(f"Cannot register conversions for the built-in type {cls.__name__}") from error


def convert_to_tensor_or_indexed_slices(value: Any, dtype: Any = None, name: str | None = None) -> Any:
    """``value`` itself if it is an ``IndexedSlices``, else as a tensor."""
    return value if isinstance(value, IndexedSlices) else convert_to_tensor(value, dtype, name)


def convert_to_tensor_or_sparse_tensor(value: Any, dtype: Any = None, name: str | None = None) -> Any:
    """``value`` itself if it is sparse, else as a tensor."""
    return value if isinstance(value, SparseTensor) else convert_to_tensor(value, dtype, name)


def get_static_value(tensor: Any, partial: bool = False) -> Any:
    """The value of a tensor that is known now, as an array, or ``None``."""
    if isinstance(tensor, Tensor) and not isinstance(tensor, GraphTensor):
        return tensor.numpy()
    if isinstance(tensor, GraphTensor):
        from corenn.graph.kinds import ConstKind

        if isinstance(tensor.operation.kind, ConstKind):
            return np.array(tensor.operation.attrs["value"])
        found = python_value(tensor)
        return None if isinstance(found, GraphTensor) else np.array(found, tensor.dtype.numpy)
    return np.asarray(tensor)


def make_tensor_proto(values: Any, dtype: Any = None, shape: Any = None, verify_shape: bool = False) -> Any:
    """A constant's value with its dtype and shape, for ``make_ndarray``."""
    array = np.asarray(operand(values, None if dtype is None else as_dtype(dtype)).numpy())
    array = array if shape is None else np.broadcast_to(array.reshape(shape) if array.size > 1 else array, shape)
    return SimpleNamespace(array=array, dtype=as_dtype(array.dtype), tensor_shape=array.shape)


def make_ndarray(tensor: Any) -> Any:
    """The array of ``make_tensor_proto``."""
    return np.array(tensor.array)


@writable("bitcast")
def _bitcast_view(array: Any, *, wanted: Any) -> Any:
    small, large = wanted.itemsize, array.dtype.itemsize
    if small == large:
        return array.view(wanted.numpy)
    if small < large:
        return np.ascontiguousarray(array)[..., None].view(wanted.numpy)
    return np.ascontiguousarray(array).view(wanted.numpy)[..., 0]


def bitcast(input: Any, type: Any, name: str | None = None) -> Any:  # TensorFlow's names
    """The same bytes seen as another dtype."""
    wanted, x = as_dtype(type), operand(input)
    known = static_shape(x)
    if known is not None and wanted.itemsize != x.dtype.itemsize:
        ratio = x.dtype.itemsize // wanted.itemsize
        known = [*known, ratio] if ratio else known[:-1]
    shape = None if known is None else tuple(known)
    return on_host("Bitcast", name, functools.partial(_bitcast_view, wanted=wanted), [x], wanted, shape)


@writable("unravel_index")
def _unravel_index_of(places: Any, *, extents: Any) -> Any:
    rows, rest = [], places
    for n in reversed(extents):
        rows.append(corenn.remainder(rest, n))
        rest = corenn.floor_divide(rest, n)
    return corenn.stack(*reversed(rows))


def unravel_index(indices: Any, dims: Any, name: str | None = None) -> Any:
    """Coordinates of the places with the given numbers, one row for each axis."""
    extents = python_value(dims)
    return composite("UnravelIndex", name, functools.partial(_unravel_index_of, extents=extents), operand(indices))


# ---------------------------------------------------------------- files


@writable("read_file")
def _read(path: Any) -> Any:
    with open(as_text(path[()] if hasattr(path, "shape") else path), "rb") as file:
        return np.array(file.read(), object)


def read_file(filename: Any, name: str | None = None) -> Any:
    """The bytes of a file, read when the graph runs."""
    return on_host("ReadFile", name, _read, [filename], "string", ())


@writable("write_file")
def _write(path: Any, data: Any) -> None:
    with open(as_text(path[()]), "wb") as file:
        file.write(as_bytes(data[()]))


def write_file(filename: Any, contents: Any, name: str | None = None) -> Any:
    """Write bytes to a file when the graph runs."""
    from corenn_tensorflow.functions.checking import _host_operation

    return _host_operation("WriteFile", name, _write, [filename, contents])


@writable("matching_files")
def _find_files(patterns: Any) -> Any:
    found = sorted({f for p in np.atleast_1d(patterns) for f in glob.glob(as_text(p))})
    return np.array([f.encode() for f in found], object)


def matching_files(pattern: Any, name: str | None = None) -> Any:
    """The names of files that match patterns, in order."""
    return on_host("MatchingFiles", name, _find_files, [pattern], "string", (None,))


# ---------------------------------------------------------------- templates


def make_template(
    name_: str, func_: Callable[..., Any], create_scope_now_: bool = False, unique_name_: str | None = None,
    custom_getter_: Any = None, **kwargs: Any,
) -> Callable[..., Any]:  # fmt: skip
    """A function that makes its variables at its first call and shares them from then on."""
    scopes: list[Any] = []

    def enter() -> Any:
        if not scopes:
            with variable_scope(unique_name_, name_, custom_getter=custom_getter_) as scope:
                scopes.append(scope)
        return scopes[0]

    if create_scope_now_:
        enter()

    @functools.wraps(func_)
    def call(*args: Any, **more: Any) -> Any:
        with variable_scope(enter(), reuse=AUTO_REUSE, custom_getter=custom_getter_):
            return func_(*args, **kwargs, **more)

    call.variable_scope = enter  # type: ignore[attr-defined]
    return call


def tables_initializer(name: str = "init_all_tables") -> Any:
    """An operation that initialises the lookup tables of the graph."""
    from corenn_tensorflow.functions.flow import group

    if mode.executing_eagerly():
        return None
    with mode.default_graph().as_default():
        return group(*mode.default_graph().get_collection("table_initializer"), name=name)


initialize_all_tables = tables_initializer


@contextlib.contextmanager
def container(container_name: str) -> Iterator[None]:
    """Nothing: each session has variables of its own."""
    yield


def get_current_name_scope() -> str:
    """The present name scope, without a ``/`` at its end."""
    graph = mode.graph_for()
    return "" if graph is None else graph.scope.rstrip("/")


def dimension_at_index(shape: Any, index: int) -> Any:
    """An extent of a shape."""
    return shape[index]


def guarantee_const(input: Any, name: str | None = None) -> Any:  # TensorFlow's name
    """The tensor, which the caller says never changes."""
    return operand(input)


class DeviceSpec:
    """The name of a device by its parts."""

    def __init__(
        self, job: str | None = None, replica: int | None = None, task: int | None = None,
        device_type: str | None = None, device_index: int | None = None,
    ) -> None:  # fmt: skip
        self.job, self.replica, self.task, self.device_type, self.device_index = (
            job,
            replica,
            task,
            device_type,
            device_index,
        )

    def to_string(self) -> str:
        """``/job:.../device:GPU:0``."""
        parts = [f"/{k}:{getattr(self, k)}" for k in ("job", "replica", "task") if getattr(self, k) is not None]
        if self.device_type is not None:
            parts.append(f"/device:{self.device_type}:{'*' if self.device_index is None else self.device_index}")
        return "".join(parts)


class VariableSynchronization:
    """How copies of a variable are kept alike; there are none."""

    AUTO, NONE, ON_WRITE, ON_READ = 0, 1, 2, 3


class VariableAggregation:
    """How updates of copies of a variable are put together; there are none."""

    NONE, SUM, MEAN, ONLY_FIRST_REPLICA = 0, 1, 2, 3
    ONLY_FIRST_TOWER = 3


class Module:
    """A class whose variables and submodules are found by its attributes."""

    def __init__(self, name: str | None = None) -> None:
        words = "".join(f"_{c.lower()}" if c.isupper() else c for c in type(self).__name__).lstrip("_")
        self._name = name or words

    @property
    def name(self) -> str:
        """Its name."""
        return self._name

    @property
    def name_scope(self) -> Any:
        """A name scope of its name."""
        from corenn_tensorflow.scopes import name_scope

        return name_scope(self._name)

    def _found(self, seen: set[int]) -> list[Any]:
        found: list[Any] = []
        for key in sorted(vars(self)):
            for leaf in tree.leaves(vars(self)[key]):
                if id(leaf) in seen:
                    continue
                seen.add(id(leaf))
                found.append(leaf)
                if isinstance(leaf, Module):
                    found += leaf._found(seen)
        return found

    @property
    def variables(self) -> tuple[Any, ...]:
        """The variables of this module and those inside it."""
        from corenn_tensorflow.variables import Variable

        found: list[Any] = []
        for leaf in self._found(set()):
            found += [leaf] if isinstance(leaf, Variable) else _of_layer(leaf)
        return tuple(found)

    @property
    def trainable_variables(self) -> tuple[Any, ...]:
        """The variables that are trained."""
        return tuple(v for v in self.variables if v.trainable)

    @property
    def submodules(self) -> tuple[Any, ...]:
        """The modules inside this one."""
        return tuple(m for m in self._found(set()) if isinstance(m, Module))

    @classmethod
    def with_name_scope(cls, method: Callable[..., Any]) -> Callable[..., Any]:
        """A method that runs inside the module's name scope."""

        @functools.wraps(method)
        def call(self: Any, *args: Any, **kwargs: Any) -> Any:
            with self.name_scope:
                return method(self, *args, **kwargs)

        return call


def _of_layer(value: Any) -> list[Any]:
    """The variables of a layer that is an attribute of a module."""
    if isinstance(value, Module) or is_tensor_like(value):
        return []
    return list(getattr(value, "variables", ()) or ()) if hasattr(value, "trainable_variables") else []


__all__ = [
    "DeviceSpec", "Module", "VariableAggregation", "VariableSynchronization", "bitcast", "container",
    "control_flow_v2_enabled", "convert_to_tensor_or_indexed_slices", "convert_to_tensor_or_sparse_tensor",
    "dimension_at_index", "disable_control_flow_v2", "disable_eager_execution", "disable_resource_variables",
    "disable_tensor_equality", "disable_v2_behavior", "disable_v2_tensorshape", "enable_control_flow_v2",
    "enable_eager_execution", "enable_resource_variables", "enable_tensor_equality", "enable_v2_behavior",
    "enable_v2_tensorshape", "executing_eagerly", "get_current_name_scope", "get_logger", "get_static_value",
    "guarantee_const", "initialize_all_tables", "make_ndarray", "make_template", "make_tensor_proto",
    "matching_files", "read_file", "register_tensor_conversion_function", "reset_default_graph",
    "resource_variables_enabled", "tables_initializer", "timestamp", "unravel_index", "write_file",
]  # fmt: skip
