"""``corenn.function``: Python traced into a graph once for each signature, then run whole.

Calling it with tensors traces the Python function: ops add to a graph, reads and writes of eager variables become
operations in the order they happen, random draws take the next keys of their generators at every call.  The graph is
specialised to the shapes at hand and compiled (see ``corenn.compiler``); the next call with such shapes only runs it.
"""

from __future__ import annotations

import functools
import inspect
import logging
import warnings
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any, ClassVar

import numpy as np

from corenn import dtypes, tree
from corenn.errors import ShapeError, UsageError
from corenn.graph.concrete import ConcreteFunction, FunctionGraph
from corenn.graph.graph import building
from corenn.graph.operations import Known
from corenn.graph.partial import compatible
from corenn.ops.creation import asarray
from corenn.spec import Spec
from corenn.tensor import Tensor
from corenn.variable import Variable

_log = logging.getLogger("corenn")
#: Traces of one function because of Python values after which it says that it is traced again and again.
_MANY_TRACES = 8
#: Specs of arguments that are looked up without taking the call apart.
_MOST_QUICK = 256


class RetraceWarning(UserWarning):
    """A function is traced anew at almost every call, which costs more than it gains."""


class Function:
    """A Python function that is traced; see ``corenn.function``.  ``traces`` has the concrete functions made so far.

    A call takes what the Python function takes, and gives what it returns.  It raises what the function raises while it
    is traced, UsageError for other numbers of tensors than ``input_signature`` states, ShapeError for one that does not
    fit it (dtypes are cast), GraphError for a trace that needs values of its arguments, and warns with RetraceWarning
    when it is traced for ever new Python values.
    """

    #: What it is traced into: the TensorFlow facade's graphs have tensors of their own.
    graph_class: ClassVar[type[FunctionGraph]] = FunctionGraph

    def __init__(
        self, python_function: Callable[..., Any], input_signature: Any = None, name: str | None = None,
        memory_budget: int | None = None,
    ) -> None:  # fmt: skip
        functools.update_wrapper(self, python_function)
        self.python_function = python_function
        self.name: str = name or str(getattr(python_function, "__name__", "function"))
        self.input_signature = (
            None if input_signature is None else [_known(s) for s in tree.leaves(list(input_signature))]
        )
        self.memory_budget = memory_budget
        self.traces: dict[Any, ConcreteFunction] = {}
        self._signature = inspect.signature(python_function)
        self._warned = False
        #: Traces by the specs of arguments that are tensors and nothing else.
        self._quick: dict[tuple[Spec, ...], ConcreteFunction] = {}

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run it, tracing it first if such arguments are new."""
        if building() is not None:
            return self.python_function(*args, **kwargs)  # part of what is being built
        plain = self.input_signature is None and not kwargs and all([a.__class__ is Tensor for a in args])
        if plain:  # most calls: nothing to take apart
            known = self._quick.get(tuple([a.spec for a in args]))
            if known is not None:
                return known.call_flat(list(args))
        structure, values, signature = self._flat(args, kwargs)
        concrete = self.traces.get(signature)
        if concrete is None:
            concrete = self._trace(structure, values, signature)
        if plain and len(self._quick) < _MOST_QUICK:
            self._quick[tuple([a.spec for a in args])] = concrete
        return concrete.call_flat(values)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        """As a method: one function for each instance."""
        if instance is None:
            return self
        name = f"_corenn_function_{self.name}"
        bound = instance.__dict__.get(name)
        if bound is None:
            bound = type(self)(self.python_function.__get__(instance, owner), None, self.name)
            bound.memory_budget = self.memory_budget
            bound.input_signature = self.input_signature
            object.__setattr__(instance, name, bound)
        return bound

    def get_concrete_function(self, *args: Any, **kwargs: Any) -> ConcreteFunction:
        """The trace for such arguments: tensors, or specs (anything with ``shape`` and ``dtype``) in their places.

        Without arguments: for those that ``input_signature`` states.  Raises what tracing raises, see the class.
        """
        if self.input_signature and not args and not kwargs:
            args = tuple(TensorSpec(shape, dtype) for shape, dtype in self.input_signature)
        structure, values, signature = self._flat(args, kwargs, specs=True)
        found = self.traces.get(signature)
        return found if found is not None else self._trace(structure, values, signature)

    def _flat(self, args: Any, kwargs: Any, specs: bool = False) -> tuple[Any, list[Any], Any]:
        """The arguments' structure with markers for tensors, the tensors, and what tells one trace from another."""
        if kwargs:
            try:
                bound = self._signature.bind(*args, **kwargs)
            except TypeError as error:
                raise UsageError(self.name, str(error)) from None
            args, kwargs = bound.args, bound.kwargs
        values: list[Any] = []
        parts: list[Any] = []

        def visit(leaf: Any) -> Any:
            if isinstance(leaf, Variable):
                parts.append(("variable", id(leaf)))
                return _Fixed(leaf)
            if isinstance(leaf, (Tensor, np.ndarray, np.generic)):
                value = asarray(leaf)
                values.append(value)
                parts.append((value.spec.shape, value.spec.dtype))
                return None
            if specs and hasattr(leaf, "shape") and hasattr(leaf, "dtype"):
                known = _known(leaf)
                values.append(known)
                parts.append(known)
                return None
            parts.append(_token(leaf))
            return _Fixed(leaf)

        marked = tree.tree_map(visit, [list(args), dict(kwargs)])
        if self.input_signature is not None:
            values = self._signed(values)
            parts = [p for p in parts if p[0] in ("variable", "python")]
        return marked, values, (_shape_of(marked), tuple(parts))

    def _signed(self, values: list[Any]) -> list[Any]:
        wanted = self.input_signature or []
        if len(values) != len(wanted):
            raise UsageError(self.name, f"takes {len(wanted)} tensors (its input_signature), not {len(values)}")
        found = []
        for i, (value, (shape, dtype)) in enumerate(zip(values, wanted, strict=True)):
            if not isinstance(value, Tensor):
                found.append(value)
                continue
            if value.dtype is not dtype:
                value = value.cast(dtype)
            if not compatible(shape, value.shape):
                raise ShapeError(self.name, f"argument {i} does not fit the input_signature",
                                 {"wanted": shape, "given": value.spec})  # fmt: skip
            found.append(value)
        return found

    def _declared(self, values: list[Any]) -> list[Known]:
        """Shapes and dtypes of the parameters of a trace for such values."""
        return self.input_signature or [(v.spec.shape, v.spec.dtype) if isinstance(v, Tensor) else v for v in values]

    def _trace(self, structure: Any, values: list[Any], signature: Any) -> ConcreteFunction:
        known = self._declared(values)
        where = next((v.spec.device for v in values if isinstance(v, Tensor)), None)
        with where if where is not None else nullcontext():
            concrete = ConcreteFunction(self.name, self.python_function, _Places(structure), known,
                                        self.graph_class(), self.memory_budget)  # fmt: skip
        self.traces[signature] = concrete
        by_values = [s for s in self.traces if any(p[0] == "python" for p in s[1])]
        if len(by_values) > _MANY_TRACES and not self._warned:
            self._warned = True
            text = (
                f"{self.name} has been traced {len(by_values)} times, once for each value of its Python arguments: "
                "pass numbers that change as tensors (corenn.tensor(3.0)), and make the function once, outside loops"
            )
            warnings.warn(text, RetraceWarning, stacklevel=4)
        return concrete

    def __repr__(self) -> str:
        return f"<corenn.function {self.name!r}, traced {len(self.traces)} times>"


class _Fixed:
    """A Python value among arguments: part of the trace."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


class _Places:
    """A structure whose ``None`` leaves are filled with tensors."""

    def __init__(self, marked: Any) -> None:
        self.marked = marked

    def filled(self, tensors: Sequence[Any]) -> Any:
        """The structure with tensors in their places, and Python values opened."""
        found = iter(tensors)
        return tree.tree_map(lambda leaf: next(found) if leaf is None else leaf.value, self.marked)


def _known(spec: Any) -> Known:
    if isinstance(spec, tuple) and len(spec) == 2 and isinstance(spec[1], dtypes.DType):
        return spec
    shape = getattr(spec, "shape", None)
    extents = None if shape is None else tuple(None if n is None else int(n) for n in shape)
    return extents, dtypes.as_dtype(spec.dtype)


def _token(leaf: Any) -> tuple[str, Any]:
    """What tells a Python value from another."""
    try:
        hash(leaf)
    except TypeError:
        return "python", id(leaf)
    return "python", (leaf.__class__, leaf)


def _shape_of(structure: Any) -> Any:
    """A structure's shape, hashable."""
    if isinstance(structure, dict):
        return ("dict", *[(k, _shape_of(v)) for k, v in structure.items()])
    if isinstance(structure, (list, tuple)):
        return (type(structure).__name__, *map(_shape_of, structure))
    return 0 if structure is None else 1


def function(
    python_function: Callable[..., Any] | None = None, *, input_signature: Any = None, name: str | None = None,
    memory_budget: int | None = None,
) -> Any:  # fmt: skip
    """Trace a Python function written in corenn ops into a graph, and run that: ``@corenn.function``.

    It is traced once for each signature: shapes and dtypes of tensor arguments (arrays count as tensors), and values of
    other arguments.  ``input_signature``: specs (``corenn.graph.TensorSpec``), whose extents may be ``None``: then
    there is one trace for all.  Variables are read and written as the function would; Python side effects, such as
    printing, happen while tracing only.  Gradients pass through.  ``get_concrete_function`` gives a trace, with its
    graph.

    ``memory_budget``: bytes that intermediate results should fit into; where they do not, cheap elementwise ones are
    computed again instead of being kept.  Results stay the same; what is left above the budget cannot be saved so.

    Raises UsageError for what cannot be called; what calls raise: see ``corenn.graph.Function``.
    """
    if python_function is None:
        return functools.partial(
            function, input_signature=input_signature, name=name, memory_budget=memory_budget
        )  # fmt: skip
    if not callable(python_function):
        raise UsageError("function", f"takes a Python function, not {type(python_function).__name__}")
    if memory_budget is not None and memory_budget < 0:
        raise UsageError("function", "memory_budget must not be negative", {"memory_budget": memory_budget})
    return Function(python_function, input_signature, name, memory_budget)


class TensorSpec:
    """What is known of an argument: ``shape`` (``None`` for an unknown extent, or as a whole) and ``dtype``.

    Raises DTypeError for no element type, TypeError or ValueError for a shape that is not made of ints and ``None``.
    """

    def __init__(self, shape: Any = None, dtype: object = "float32", name: str | None = None) -> None:
        self.shape = None if shape is None else tuple(None if n is None else int(n) for n in shape)
        self.dtype, self.name = dtypes.as_dtype(dtype), name

    def __repr__(self) -> str:
        return f"TensorSpec(shape={self.shape}, dtype={self.dtype.name!r})"


__all__ = ["ConcreteFunction", "Function", "FunctionGraph", "RetraceWarning", "TensorSpec", "function"]
