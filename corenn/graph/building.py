"""Functions that add to the default graph: placeholders, constants, variables, control, groups, Python functions."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from corenn import tree
from corenn.dtypes import as_dtype
from corenn.errors import ShapeError, UsageError
from corenn.graph import state
from corenn.graph.graph import Graph, building, get_default_graph
from corenn.graph.kinds import DefaultPlaceholderKind, HostCallKind, NoOpKind, PlaceholderKind, ShapeKind
from corenn.graph.operations import Known, Operation
from corenn.graph.state import GLOBAL, LOCAL, TRAINABLE, GraphVariable
from corenn.graph.tensors import GraphTensor
from corenn.ops.creation import asarray, tensor
from corenn.ops.elementwise import identity as identity_op
from corenn.tensor import Tensor


def placeholder(dtype: object = "float32", shape: Any = None, name: str | None = None) -> GraphTensor:
    """A value that every run must be fed: a tensor of ``dtype`` and ``shape``.

    ``shape``: ints, ``None`` for extents that may vary; ``None`` as a whole if even the rank may.  Raises DTypeError
    for no element type, ShapeError for a negative extent, GraphError for a name that operations cannot have.
    """
    known = (as_extents("placeholder", shape), as_dtype(dtype))
    return get_default_graph().add(PlaceholderKind(), [], [known], name=name).outputs[0]


def as_extents(where: str, shape: Any) -> tuple[int | None, ...] | None:
    """A shape as given by people: a tuple of ints and ``None``, or ``None``."""
    if shape is None:
        return None
    if isinstance(shape, int):
        shape = (shape,)
    found = tuple(None if n is None else int(n) for n in shape)
    if any(n is not None and n < 0 for n in found):
        raise ShapeError(where, "extents are at least 0", {"shape": shape}, hint="None stands for an unknown extent")
    return found


def placeholder_with_default(default: Any, shape: Any = None, name: str | None = None) -> GraphTensor:
    """A value that runs may be fed; otherwise it is ``default``, whose dtype it has.

    ``shape``: as for ``placeholder``; by default that of ``default``, of which it may say less.  Raises ShapeError
    where it says something else, otherwise as ``constant`` and ``placeholder`` do.
    """
    graph = get_default_graph()
    given = graph.convert(default)
    known = (given.extents if shape is None else as_extents("placeholder_with_default", shape), given.dtype)
    check_default(given, known[0])
    return graph.add(DefaultPlaceholderKind(), [given], [known], name=name).outputs[0]


def check_default(default: GraphTensor, extents: tuple[int | None, ...] | None) -> None:
    """ShapeError for a default that a placeholder of these extents cannot have."""
    given = default.extents
    if given is None or extents is None:
        return
    if len(given) != len(extents) or any(
        a is not None and b is not None and a != b for a, b in zip(given, extents, strict=True)
    ):
        raise ShapeError(
            "placeholder_with_default", "the default has another shape than the placeholder",
            {"default": given, "shape": extents}, hint="None in the shape stands for an extent that may vary",
        )  # fmt: skip


def constant(value: Any, dtype: object = None, shape: Any = None, name: str | None = None) -> GraphTensor:
    """A constant: numbers, text, nested lists of them, or an array.

    ``dtype``: by default that of an array; Python numbers become those that ``corenn.tensor`` makes of them.
    ``shape``: by default that of ``value``; otherwise as many elements as ``value`` has, or one, which fills it.
    Raises ShapeError where it does not fit, DTypeError for Python objects that are neither numbers nor text, GraphError
    for a graph tensor, which has no value yet, ValueError for lists of unequal lengths.
    """
    graph = get_default_graph()
    from corenn.graph.graph import constant_array

    array = (
        value.numpy()
        if isinstance(value, Tensor)
        else constant_array(value, None if dtype is None else as_dtype(dtype))
    )
    if shape is not None:
        wanted = as_extents("constant", shape) or ()
        count = int(np.prod([n or 0 for n in wanted]))
        if array.size == 1:
            array = np.full(wanted, array.reshape(())[()], array.dtype)
        elif array.size == count:
            array = array.reshape([n or 0 for n in wanted])
        else:
            raise ShapeError("constant", f"{array.size} values do not fill the shape {wanted}")
    return graph.constant(array, name=name)


def variable(initial_value: Any, **options: Any) -> GraphVariable:
    """A variable of the default graph, of the shape of ``initial_value``.

    Options and errors: see ``corenn.graph.state.variable``.
    """
    return state.variable(get_default_graph(), initial_value, **options)


def shape(x: Any, dtype: object = "int32", name: str | None = None) -> Tensor:
    """The shape of ``x`` as a tensor ``[rank]`` of ``dtype``: as it is when the graph runs, or, of an eager tensor, is.

    The result is ``[None]`` while the rank is not known.  Raises DTypeError for no element type.
    """
    to_graph = getattr(x, "__corenn_graph_tensor__", None)
    graph = x.graph if isinstance(x, GraphTensor) else building()
    if to_graph is not None and graph is not None:
        x = to_graph(graph)
    if graph is None:
        return tensor(np.array(asarray(x).shape, as_dtype(dtype).numpy))
    here = building() or graph
    given = here.convert(x)
    extents = given.extents
    known: Known = (None if extents is None else (len(extents),), as_dtype(dtype))
    if extents is None:
        known = ((None,), as_dtype(dtype))
    return here.add(ShapeKind(), [given], [known], {"dtype": as_dtype(dtype)}, name=name).outputs[0]


def identity(x: Any, name: str | None = None) -> Tensor:
    """``x`` itself, of its shape and dtype, as an operation of its own: a place for a name or control dependencies.

    Raises GraphError for a tensor of another graph.
    """
    graph = get_default_graph()
    with graph.as_default():
        return identity_op(graph.convert(x)) if name is None else graph.calling(name)(identity_op.op, (x,), {})


def no_op(name: str | None = None) -> Operation:
    """An operation that does nothing and has no results.  Raises GraphError for a name that it cannot have."""
    return get_default_graph().add(NoOpKind(), [], [], name=name)


def group(*operations: Any, name: str | None = None) -> Operation:
    """An operation that runs all of ``operations`` (operations, graph tensors, variables) and gives nothing.

    Raises TypeError for anything else, ValueError for an operation of another graph.
    """
    return state.group(_home(operations), *operations, name=name)


def tuple_(tensors: Sequence[Any], control_inputs: Sequence[Any] = (), name: str | None = None) -> list[Any]:
    """The tensors, of their shapes and dtypes, none of which is there before all are computed and ``control_inputs``
    have run; ``None`` stays ``None``.

    Raises UsageError for what is neither an operation nor a graph tensor, GraphError for one of another graph.
    """
    graph = _home(tensors)
    before = [t for t in tensors if t is not None] + list(control_inputs)
    with graph.as_default(), graph.name_scope(name or "tuple"), graph.control_dependencies(before):
        return [None if t is None else identity_op(graph.convert(t)) for t in tensors]


def _home(elements: Any) -> Graph:
    for leaf in tree.leaves(list(elements)):
        if isinstance(leaf, (GraphTensor, Operation)):
            return building() or leaf.graph
    return get_default_graph()


def py_function(
    function: Callable[..., Any], inputs: Sequence[Any], dtype: Any, *, shapes: Any = None, stateful: bool = True,
    name: str | None = None,
) -> Any:  # fmt: skip
    """Call Python when the graph runs: ``function(*arrays)`` of NumPy arrays, returning arrays of ``dtype``.

    ``dtype``: one, or a list for a function that returns several (an empty one: none).  ``shapes``: what is known of
    the results' shapes.  ``stateful=False`` says that the function has no effects and may be left out when its results
    are not needed.  Gradients do not pass.  Raises DTypeError for no element type, ShapeError for a negative extent,
    UsageError where there are not as many shapes as dtypes; a run raises what the function raises, GraphError where it
    returns another number of results, ShapeError where one contradicts what ``shapes`` says.
    """
    graph = get_default_graph()
    several = isinstance(dtype, (list, tuple))
    kinds = [as_dtype(d) for d in (dtype if several else [dtype])]
    stated = [None] * len(kinds) if shapes is None else list(shapes) if several else [shapes]
    if len(stated) != len(kinds):
        raise UsageError("py_function", f"{len(kinds)} dtypes but {len(stated)} shapes",
                         hint="one shape for each dtype, None where nothing is known of it")  # fmt: skip
    known: list[Known] = [(as_extents("py_function", s), d) for s, d in zip(stated, kinds, strict=True)]
    given = [graph.convert(i) for i in inputs]
    operation = graph.add(HostCallKind(function, pure=not stateful), given, known, name=name)
    if several:
        return list(operation.outputs) if operation.outputs else operation
    return operation.outputs[0]


def control_dependencies(before: Iterable[Any] | None) -> AbstractContextManager[None]:
    """Operations made in the block wait for ``before`` (operations, graph tensors); ``None`` waits for nothing.

    Raises UsageError for anything else; see ``Graph.control_dependencies``.
    """
    return get_default_graph().control_dependencies(before)


def name_scope(name: str | None) -> AbstractContextManager[str]:
    """Prefix names of operations made in the block; see ``Graph.name_scope``.  Raises GraphError for no valid name."""
    return get_default_graph().name_scope(name)


def add_to_collection(name: str, value: Any) -> None:
    """Append ``value``, which may be anything, to the collection ``name`` of the default graph."""
    get_default_graph().add_to_collection(name, value)


def get_collection(name: str, scope: str | None = None) -> list[Any]:
    """The values of a collection of the default graph, ``[]`` where there is none; see ``Graph.get_collection``.

    Raises UsageError for a ``scope`` that is no regular expression.
    """
    if scope is not None:
        try:
            re.compile(scope)
        except re.error as error:
            raise UsageError("get_collection", f"the scope {scope!r} is no regular expression: {error}",
                             hint="re.escape(scope) matches the text as it is") from None  # fmt: skip
    return get_default_graph().get_collection(name, scope)


def global_variables(scope: str | None = None) -> list[GraphVariable]:
    """The variables of the default graph that are saved and initialised by default.

    ``scope``: only those whose names begin with what this regular expression matches.
    """
    return get_collection(GLOBAL, scope)


def local_variables(scope: str | None = None) -> list[GraphVariable]:
    """The variables that are not saved: counters of metrics and the like; ``scope`` as for ``global_variables``."""
    return get_collection(LOCAL, scope)


def trainable_variables(scope: str | None = None) -> list[GraphVariable]:
    """The variables that optimizers update by default; ``scope`` as for ``global_variables``."""
    return get_collection(TRAINABLE, scope)


def variables_initializer(variables: Iterable[GraphVariable], name: str = "init") -> Operation:
    """An operation of the default graph that sets the given variables of it to their initial values."""
    return state.variables_initializer(get_default_graph(), variables, name)


def global_variables_initializer() -> Operation:
    """An operation that sets all global variables made so far to their initial values."""
    return variables_initializer(global_variables())


def local_variables_initializer() -> Operation:
    """An operation that sets all local variables made so far to their initial values."""
    return variables_initializer(local_variables(), "init_local")


__all__ = [
    "add_to_collection", "as_extents", "check_default", "constant", "control_dependencies", "get_collection",
    "global_variables", "global_variables_initializer", "group", "identity", "local_variables",
    "local_variables_initializer", "name_scope", "no_op", "placeholder", "placeholder_with_default", "py_function",
    "shape", "trainable_variables", "tuple_", "variable", "variables_initializer",
]  # fmt: skip
