"""Control flow: dependencies, groups, conditions, loops, Python functions in a graph."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import corenn
from corenn import dtypes, tree
from corenn.errors import GraphError
from corenn.graph import building as core
from corenn.graph import control
from corenn.graph.operations import Operation
from corenn.graph.scopes import AUTO_REUSE, store_of
from corenn.graph.subgraph import trace
from corenn.graph.tensors import GraphTensor
from corenn.tensor import Tensor
from corenn_tensorflow import errors, mode
from corenn_tensorflow.framework import as_dtype, convert_to_tensor, eager_constant
from corenn_tensorflow.functions.arrays import identity
from corenn_tensorflow.functions.calling import operand, python_value
from corenn_tensorflow.shapes import TensorShape


@contextlib.contextmanager
def control_dependencies(control_inputs: Any) -> Iterator[None]:
    """Operations made in the block wait for ``control_inputs``; eagerly, nothing has to wait."""
    if mode.executing_eagerly():
        for before in control_inputs or ():
            if callable(before) and not isinstance(before, Tensor):
                before()
        yield
        return
    graph = mode.default_graph()
    before = control_inputs
    if control_inputs is not None:
        found = [c for c in control_inputs if c is not None]
        before = [_element(graph, c) for c in found]
    with graph.as_default(), graph.control_dependencies(before):
        yield


def _element(graph: Any, given: Any) -> Any:
    expand = getattr(given, "__corenn_structure__", None)
    if expand is not None:
        return expand()[0]
    return given if isinstance(given, (GraphTensor, Operation)) else graph.convert(given)


def group(*inputs: Any, **options: Any) -> Any:
    """An operation that runs all of ``inputs`` and gives nothing."""
    if mode.graph_for(inputs) is None:
        return None
    name = options.pop("name", None)
    if options:
        raise ValueError(f"Unknown keyword arguments: {', '.join(options)}")
    flat = [i for i in tree.leaves(list(inputs)) if i is not None]
    with mode.graph_for(inputs).as_default():
        return core.group(*flat, name=name)


def tuple(tensors: Any, name: str | None = None, control_inputs: Any = None) -> list[Any]:
    """The tensors, none of which is available before all are computed, and ``control_inputs`` have run."""
    graph = mode.graph_for(tensors, control_inputs)
    if graph is None:
        return list(tensors)
    if not any(t is not None for t in tensors):
        raise ValueError(f"tuple must have at least one Tensor or Operation: {tensors!r}")
    with graph.as_default():
        return core.tuple_(list(tensors), list(control_inputs or ()), name=name)


def no_op(name: str | None = None) -> Any:
    """An operation that does nothing."""
    if mode.executing_eagerly():
        return None
    with mode.default_graph().as_default():
        return core.no_op(name)


def _decided(pred: Any) -> Any:
    """The truth of a predicate where it is known now, else ``None``."""
    if isinstance(pred, (bool, np.bool_)):
        return bool(pred)
    if isinstance(pred, Tensor) and not isinstance(pred, GraphTensor):
        return bool(pred)
    return None


def cond(
    pred: Any, true_fn: Any = None, false_fn: Any = None, strict: bool = False, name: str | None = None,
    fn1: Any = None, fn2: Any = None,
) -> Any:  # fmt: skip
    """``true_fn()`` if ``pred`` holds, else ``false_fn()``; in a graph only the chosen one runs."""
    yes, no = true_fn if true_fn is not None else fn1, false_fn if false_fn is not None else fn2
    if not callable(yes):
        raise TypeError("true_fn must be callable.")
    if not callable(no):
        raise TypeError("false_fn must be callable.")
    graph = mode.graph_for(pred)
    if graph is None:
        return yes() if bool(pred) else no()
    if isinstance(pred, (bool, np.bool_)):
        if mode.generation() == 1:
            raise TypeError("pred must not be a Python bool")
        return yes() if pred else no()
    with graph.as_default():
        branches = [functools.partial(_plain, function, strict) for function in (yes, no)]
        try:
            return control.cond(operand(pred), *branches, name=name)
        except GraphError as error:
            if error.where != "cond":  # an error of what a branch does
                raise
            raise errors.BranchError(
                "", "Outputs of true_fn and false_fn must have the same number, structure and types: " + error.what,
                error.operands, hint=error.hint, site=error.site,
            ) from None  # fmt: skip


def smart_cond(pred: Any, true_fn: Any = None, false_fn: Any = None, name: str | None = None) -> Any:
    """``cond``, decided at once where the predicate is known."""
    known = python_value(pred)
    if isinstance(known, (bool, np.bool_, int)) and known in (0, 1):
        return true_fn() if known else false_fn()
    return cond(pred, true_fn, false_fn, name=name)


def _plain(function: Callable[[], Any], strict: bool = False) -> Any:
    """What a branch returns, with numbers as tensors; a list of one element is the element, as TensorFlow has it."""
    found = function()
    listed = isinstance(found, (list, builtin_tuple)) and not hasattr(found, "_fields")
    if listed and len(found) == 1 and not strict and mode.generation() == 1:
        found = found[0]
    return _converted(found)


builtin_tuple = type(())


def _converted(structure: Any) -> Any:
    if structure is None or isinstance(structure, (Operation, GraphTensor)):
        return structure
    if isinstance(structure, (list, builtin_tuple, dict)):
        return tree.tree_map(_converted, structure)
    return convert_to_tensor(structure)


def case(
    pred_fn_pairs: Any, default: Any = None, exclusive: bool = False, strict: bool = False, name: str | None = "case"
) -> Any:
    """The result of the first function whose predicate holds, else of ``default``."""
    pairs = list(pred_fn_pairs.items()) if isinstance(pred_fn_pairs, dict) else list(pred_fn_pairs)
    if not pairs:
        raise ValueError("`pred_fn_pairs` must not be empty")
    pairs = [(getattr(p, "deref", lambda p=p: p)(), f) for p, f in pairs]
    if any(not callable(f) for _, f in pairs) or (default is not None and not callable(default)):
        raise TypeError("fn must be callable")
    if default is None:
        *pairs, (_, default) = pairs
        if not pairs:
            return default()
    result = default
    for predicate, function in reversed(pairs):
        result = functools.partial(_one_case, predicate, function, result, name)
    return result()


def _one_case(predicate: Any, function: Any, rest: Any, name: str | None) -> Any:
    decided = _decided(predicate)
    if decided is not None:
        return function() if decided else rest()
    return cond(predicate, function, rest, name=name)


def switch_case(branch_index: Any, branch_fns: Any, default: Any = None, name: str | None = "switch_case") -> Any:
    """The result of function number ``branch_index``, else of ``default`` (or the last)."""
    pairs = sorted(branch_fns.items()) if isinstance(branch_fns, dict) else list(enumerate(branch_fns))
    if pairs and isinstance(pairs[0][1], builtin_tuple):
        pairs = [p for _, p in pairs]
    index = operand(branch_index)
    result = default if default is not None else pairs[-1][1]
    for number, function in reversed(pairs):
        result = functools.partial(_one_case, corenn.equal(index, int(number)), function, result, name)
    return result()


def while_loop(
    cond: Any, body: Any, loop_vars: Any, shape_invariants: Any = None, parallel_iterations: int = 10,
    back_prop: bool = True, swap_memory: bool = False, name: str | None = None, maximum_iterations: Any = None,
    return_same_structure: bool = False,
) -> Any:  # fmt: skip
    """``loop_vars = body(*loop_vars)`` while ``cond(*loop_vars)`` holds; the final values.

    In generation 1 a list of one variable comes back as the variable.
    """
    if not callable(cond):
        raise TypeError("cond must be callable.")
    if not callable(body):
        raise TypeError("body must be callable.")
    listed = isinstance(loop_vars, (list, builtin_tuple))
    if listed and not loop_vars:
        raise ValueError("No loop variables provided")
    given = list(loop_vars) if listed else [loop_vars]
    leaves, rebuild = _flat(given)
    graph = mode.graph_for(leaves)
    if graph is not None:
        body = _sharing(graph, body)
        if _learn_elements(graph, body, leaves, rebuild, given):
            leaves, rebuild = _flat(given)
    if graph is None:
        final = _loop_now(cond, body, given, maximum_iterations)
    else:
        final = _loop_in(graph, cond, body, leaves, rebuild, given, shape_invariants, maximum_iterations, name)
    if listed and len(final) == 1 and mode.generation() == 1 and not return_same_structure:
        return final[0]
    if not listed:
        return final[0]
    return type(loop_vars)(*final) if hasattr(loop_vars, "_fields") else type(loop_vars)(final)


def _loop_now(cond: Any, body: Any, given: list[Any], most: Any) -> list[Any]:
    state = [v if _carries(v) or isinstance(v, (list, builtin_tuple, dict)) else convert_to_tensor(v) for v in given]
    count = 0
    while (most is None or count < int(most)) and bool(cond(*state)):
        state = _listed(body(*state), len(given))
        count += 1
    return state


def _listed(result: Any, count: int) -> list[Any]:
    if isinstance(result, (list, builtin_tuple)) and not (count == 1 and hasattr(result, "_fields")):
        if len(result) == count:
            return list(result)
        if count != 1:
            raise ValueError(f"The two structures don't have the same number of elements: the body returns "
                             f"{len(result)} values for {count} loop variables")  # fmt: skip
    return [result]


def _carries(value: Any) -> bool:
    """Whether ``value`` is an object with tensors inside that says how to take it apart, as TensorArrays do."""
    return hasattr(value, "__corenn_parts__")


def _flat(structure: Any) -> Any:
    """The tensors in a structure, and a function that puts others in their places."""
    leaves: list[Any] = []

    def take(value: Any) -> Callable[[Iterator[Any]], Any]:
        if _carries(value):
            parts = value.__corenn_parts__()
            leaves.extend(parts)
            return lambda rest: value.__corenn_rebuild__([next(rest) for _ in parts])
        if isinstance(value, (list, builtin_tuple)):
            inner = [take(v) for v in value]
            kind: Any = type(value)
            if hasattr(value, "_fields"):
                return lambda rest: kind(*[f(rest) for f in inner])
            return lambda rest: kind([f(rest) for f in inner])
        if isinstance(value, dict):
            named = {k: take(value[k]) for k in value}
            return lambda rest: {k: f(rest) for k, f in named.items()}
        if value is None:
            return lambda rest: None
        leaves.append(value)
        return lambda rest: next(rest)

    made = take(structure)
    return leaves, lambda values: made(iter(values))


def _shapes(invariants: Any, given: list[Any]) -> list[Any] | None:
    """One shape for each tensor among the loop variables, or ``None`` where none is stated."""
    if invariants is None:
        return None
    stated = list(invariants) if isinstance(invariants, (list, builtin_tuple)) and not isinstance(
        invariants, TensorShape) else [invariants]  # fmt: skip
    found: list[Any] = []
    for shape, value in zip(stated, given, strict=True):
        if _carries(value):
            found += value.__corenn_shapes__()
        elif isinstance(value, (list, builtin_tuple)):
            found += _shapes(list(shape), list(value)) or []
        elif isinstance(value, dict):
            found += _shapes([shape[k] for k in value], list(value.values())) or []
        else:
            found.append(TensorShape(shape).extents)
    return found


def _loop_in(
    graph: Any, cond: Any, body: Any, leaves: list[Any], rebuild: Any, given: list[Any], invariants: Any, most: Any,
    name: str | None,
) -> list[Any]:  # fmt: skip
    with graph.as_default():
        tensors = [operand(v) for v in leaves]
        shapes = _shapes(invariants, given)
        if shapes is None and any(_carries(v) for v in given):
            shapes = []
            for value in given:
                if _carries(value):
                    shapes += value.__corenn_shapes__()
                else:
                    shapes += [getattr(operand(v), "extents", None) or _eager_shape(v) for v in _flat(value)[0]]
        bound = python_value(most) if most is not None else None
        test: Any = lambda *state: operand(cond(*rebuild(state)))  # beside its counterpart below
        if isinstance(bound, GraphTensor):  # a bound that only the run knows is part of the condition
            count = convert_to_tensor(np.array(0, bound.dtype.numpy))
            final = control.while_loop(
                lambda n, *state: corenn.logical_and(corenn.less(n, bound), test(*state)),
                lambda n, *state: (n + 1, *_step(body, rebuild, state, given)),
                [count, *tensors], shape_invariants=None if shapes is None else [(), *shapes], name=name,
            )[1:]  # fmt: skip
        else:
            final = control.while_loop(test, lambda *state: _step(body, rebuild, state, given), tensors,
                                       shape_invariants=shapes, maximum_iterations=bound, name=name)  # fmt: skip
        return rebuild(list(final))  # type: ignore[no-any-return]  # of the structure given


def _sharing(graph: Any, body: Callable[..., Any]) -> Callable[..., Any]:
    """A body that may be traced several times: what ``get_variable`` made the first time is found again."""
    store = store_of(graph)
    counts: list[dict[str, int]] = []

    def call(*state: Any) -> Any:
        if not counts:
            counts.append(dict(store.counts))
            return body(*state)
        store.counts = dict(counts[0])
        before, store.scope.reuse = store.scope.reuse, store.scope.reuse or AUTO_REUSE
        try:
            return body(*state)
        finally:
            store.scope.reuse = before

    return call


def _learn_elements(graph: Any, body: Any, leaves: list[Any], rebuild: Any, given: list[Any]) -> bool:
    """Find out, by a trial, the shapes of the elements that a body writes to arrays which do not know them yet."""
    arrays = [v for v in tree.leaves(given) if _carries(v)]
    unknown = [a for a in arrays if a.element_shape.rank is None]
    if not unknown:
        return False

    def attempt(*state: Any) -> list[Any]:
        made = _listed(body(*rebuild(list(state))), len(given))
        for before, after in zip(arrays, [v for v in tree.leaves(made) if _carries(v)], strict=True):
            if before in unknown and after.element_shape.rank is not None:
                before.learn(after.element_shape.extents)
        return []

    with graph.as_default():
        trace(graph, attempt, [(t.extents, t.dtype) for t in map(graph.convert, leaves)])
    return True


def _eager_shape(value: Any) -> Any:
    return operand(value).spec.shape


def _step(body: Any, rebuild: Any, state: Any, given: list[Any]) -> list[Any]:
    made = _listed(body(*rebuild(state)), len(given))
    leaves, _ = _flat(made)
    return [
        operand(v) if isinstance(v, Tensor) else convert_to_tensor(v, s.dtype)
        for v, s in zip(leaves, state, strict=True)
    ]


# ---------------------------------------------------------------- Python in a graph


def _python(
    func: Callable[..., Any], inp: Any, kinds: Any, stateful: bool, name: str | None, shapes: Any = None,
    type_name: str = "PyFunc",
) -> Any:  # fmt: skip
    several = isinstance(kinds, (list, builtin_tuple))
    wanted = [as_dtype(k) for k in (kinds if several else [kinds])] if kinds is not None else []
    inputs = list(inp) if isinstance(inp, (list, builtin_tuple)) else [inp]
    graph = mode.graph_for(inputs)
    if graph is None:
        found = func(*[np.asarray(operand(i).numpy()) for i in inputs])
        many = list(found) if isinstance(found, (list, builtin_tuple)) else [found] if wanted else []
        made = [eager_constant(np.asarray(v, d.numpy), d) for v, d in zip(many, wanted, strict=True)]
        return made if several else made[0] if made else None
    with graph.as_default():
        return core.py_function(func, [operand(i) for i in inputs], wanted if several or not wanted else wanted[0],
                                shapes=shapes, stateful=stateful, name=name or type_name)  # fmt: skip


def py_func(func: Callable[..., Any], inp: Any, Tout: Any, stateful: bool = True, name: str | None = None) -> Any:
    """Call Python when the graph runs, on NumPy arrays; gradients do not pass."""
    return _python(func, inp, Tout, stateful, name)


def numpy_function(
    func: Any = None, inp: Any = None, Tout: Any = None, stateful: bool = True, name: str | None = None
) -> Any:
    """Call Python when the graph runs, on NumPy arrays; gradients do not pass."""
    return _python(func, inp, Tout, stateful, name)


def py_function(func: Any = None, inp: Any = None, Tout: Any = None, name: str | None = None) -> Any:
    """Call Python when the graph runs, on eager tensors; eagerly, call it."""
    inputs = list(inp)
    if mode.graph_for(inputs) is None:
        found = func(*[operand(i) for i in inputs])
        if isinstance(Tout, (list, builtin_tuple)):
            if len(Tout) == 1 and not isinstance(found, (list, builtin_tuple)):
                found = [found]
            return [convert_to_tensor(v, as_dtype(d)) for v, d in zip(found, Tout, strict=True)]
        return convert_to_tensor(found, as_dtype(Tout)) if Tout is not None else None

    def run(*arrays: Any) -> Any:
        with mode.eagerly():
            found = func(*[eager_constant(a, dtypes.string if a.dtype == object else None) for a in arrays])
        many = isinstance(found, (list, builtin_tuple))
        plain = [v.numpy() if isinstance(v, Tensor) else v for v in (found if many else [found])]
        return plain if many else plain[0]

    return _python(run, inputs, Tout, True, name, type_name="EagerPyFunc")


def with_dependencies(dependencies: Any, output_tensor: Any, name: str | None = None) -> Any:
    """The tensor, once ``dependencies`` have run."""
    with control_dependencies(dependencies):
        return identity(output_tensor, name=name)


__all__ = [
    "case", "cond", "control_dependencies", "group", "no_op", "numpy_function", "py_func", "py_function", "switch_case",
    "tuple", "while_loop",
]  # fmt: skip
