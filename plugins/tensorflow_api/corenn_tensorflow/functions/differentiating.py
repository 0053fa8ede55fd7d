"""Gradients of graphs and on tapes, clipping, and functions traced into graphs."""

from __future__ import annotations

import enum
import functools
import logging
from collections.abc import Callable
from typing import Any

import corenn
from corenn import tree
from corenn.autodiff import tape as core_tape
from corenn.errors import GradientError, UsageError
from corenn.graph.concrete import FunctionGraph
from corenn.graph.function import Function as CoreFunction
from corenn.graph.gradients import gradients as core_gradients
from corenn.graph.gradients import register_gradient
from corenn.graph.tensors import GraphTensor
from corenn.tensor import Tensor as EagerTensor
from corenn_tensorflow import framework, mode
from corenn_tensorflow.errors import OperatorNotAllowedInGraphError
from corenn_tensorflow.framework import as_dtype, convert_to_tensor
from corenn_tensorflow.functions.calling import composite, operand, python_value
from corenn_tensorflow.shapes import TensorShape
from corenn_tensorflow.sparse import IndexedSlices
from corenn_tensorflow.writing import writable

_log = logging.getLogger("corenn")


class UnconnectedGradients(enum.Enum):
    """What the gradient of something the target does not depend on is."""

    NONE = "none"
    ZERO = "zero"


class AggregationMethod:
    """How gradients are added up; the same numbers come out of all."""

    ADD_N = 0
    DEFAULT = 0
    EXPERIMENTAL_TREE = 1
    EXPERIMENTAL_ACCUMULATE_N = 2


def gradients(
    ys: Any, xs: Any, grad_ys: Any = None, name: str = "gradients", colocate_gradients_with_ops: bool = False,
    gate_gradients: bool = False, aggregation_method: Any = None, stop_gradients: Any = None,
    unconnected_gradients: Any = "none",
) -> list[Any]:  # fmt: skip
    """d(sum of ys)/dx for each of ``xs``, as operations added to the graph; ``None`` where nothing depends on x."""
    if mode.graph_for(ys, xs) is None:
        raise RuntimeError(
            "tf.gradients is not supported when eager execution is enabled. Use tf.GradientTape instead."
        )
    kind = getattr(unconnected_gradients, "value", unconnected_gradients)
    if kind not in ("none", "zero"):
        raise ValueError(f"Unknown value for unconnected_gradients: {unconnected_gradients!r}")
    targets = [convert_to_tensor(y) for y in tree.leaves(list(ys) if isinstance(ys, (list, tuple)) else [ys])]
    sources = list(xs) if isinstance(xs, (list, tuple)) else [xs]
    flat = [x for x in tree.leaves(sources)]
    if grad_ys is not None:
        seeds = list(grad_ys) if isinstance(grad_ys, (list, tuple)) else [grad_ys]
        if len(seeds) != len(targets):
            raise ValueError(f"Passed {len(seeds)} grad_ys for {len(targets)} ys")
        grad_ys = [None if g is None else convert_to_tensor(g, None if isinstance(g, EagerTensor) else y.dtype)
                   for g, y in zip(seeds, targets, strict=True)]  # fmt: skip
    try:
        # The first releases differentiated integers as well; later ones give None for them.
        integers = mode.generation() == 1 and all(y.dtype.is_integer for y in targets)
        return core_gradients(targets, flat, grad_ys, name, stop_gradients=stop_gradients or (),
                              unconnected_gradients=kind, integers=integers)  # fmt: skip
    except GradientError as error:
        if error.what.startswith("No gradient defined"):
            raise LookupError(error.what) from error
        raise


def hessians(
    ys: Any, xs: Any, name: str = "hessians", colocate_gradients_with_ops: bool = False, gate_gradients: bool = False,
    aggregation_method: Any = None,
) -> list[Any]:  # fmt: skip
    """The matrices of second derivatives of the sum of ``ys`` by each of ``xs``, of shape ``x.shape + x.shape``."""
    sources = list(xs) if isinstance(xs, (list, tuple)) else [xs]
    found = []
    with mode.scope(name, "hessians", ys, sources):
        for x in sources:
            (first,) = gradients(ys, x)
            extents = framework.static_shape(x)
            if extents is None or None in extents:
                raise ValueError("tf.hessians: corenn needs an x whose shape is known while the graph is built")
            flat = corenn.reshape(first, shape=(-1,))
            count = TensorShape(extents).num_elements() or 0
            rows = [gradients(flat[i], x, unconnected_gradients="zero")[0] for i in range(count)]
            found.append(corenn.reshape(corenn.stack(*rows), shape=(*extents, *extents)))
    return found


class GradientTape(core_tape.GradientTape):
    """Records what is computed in its block, so that gradients can be asked for."""

    def __enter__(self) -> GradientTape:
        try:
            super().__enter__()
        except GradientError as error:
            raise ValueError("Tape is still recording, This can happen if you try to re-enter an already-active tape."
                             ) from error  # fmt: skip
        return self

    def watch(self, tensor: Any) -> None:
        """Watch tensors (or a structure of them) from here on."""
        for x in tree.leaves(tensor):
            if not isinstance(x, EagerTensor):
                raise ValueError(f"Passed in object {x} of type {type(x).__name__!r}, not tf.Tensor or tf.Variable or "
                                 "ExtensionType.")  # fmt: skip
            if isinstance(x, GraphTensor):
                continue  # a graph is its own record
            if not x.dtype.is_inexact:
                _log.warning("The dtype of the watched tensor must be floating (e.g. tf.float32), got %r", x.dtype)
                continue
            super().watch(x)

    def gradient(
        self, target: Any, sources: Any, output_gradients: Any = None, unconnected_gradients: Any = "none"
    ) -> Any:
        """The gradients of the sum of ``target`` by ``sources``, in the structure of these."""
        kind = getattr(unconnected_gradients, "value", unconnected_gradients)
        if self._recording and not self.persistent and mode.graph_for(target) is None:
            self._pause()
        targets = tree.leaves(target)
        if any(isinstance(t, GraphTensor) for t in targets) and not isinstance(mode.graph_for(targets), FunctionGraph):
            found = gradients(targets, tree.leaves(sources), output_gradients, unconnected_gradients=kind)
            return tree.rebuild(sources, iter(found))
        floating = [t for t in targets if isinstance(t, EagerTensor) and t.dtype.is_inexact]
        if not floating:
            return tree.tree_map(lambda s: None, sources) if isinstance(sources, (list, tuple, dict)) else None
        seeds = output_gradients
        if seeds is not None:
            flat = [None if s is None else operand(s) for s in tree.leaves([seeds])]
            seeds = flat if isinstance(target, (list, tuple, dict)) else flat[0]
        try:
            return super().gradient(target, sources, seeds, kind)
        except GradientError as error:
            if self._spent:
                raise RuntimeError(
                    "GradientTape.gradient can only be called once on non-persistent tapes." if mode.generation() == 1
                    else "A non-persistent GradientTape can only be used to compute one set of gradients (or jacobians)"
                ) from error  # fmt: skip
            raise

    def jacobian(
        self, target: Any, sources: Any, unconnected_gradients: Any = "none", parallel_iterations: Any = None,
        experimental_use_pfor: bool = True,
    ) -> Any:  # fmt: skip
        """The derivatives of each element of ``target`` by each element of ``sources``."""
        return super().jacobian(target, sources)

    def batch_jacobian(
        self, target: Any, source: Any, unconnected_gradients: Any = "none", parallel_iterations: Any = None,
        experimental_use_pfor: bool = True,
    ) -> Any:  # fmt: skip
        """The Jacobian of each entry of a batch, whose entries do not depend on each other."""
        whole = super().jacobian(target, source)
        rows, inner, outer = target.spec.shape[0], target.spec.shape[1:], source.spec.shape[1:]
        places = corenn.arange(rows)
        moved = corenn.moveaxis(whole, len(inner) + 1, 1)
        found = corenn.gather_nd(moved, corenn.stack(places, places, axis=1))
        return corenn.reshape(found, shape=(rows, *inner, *outer))


def custom_gradient(f: Callable[..., Any]) -> Callable[..., Any]:
    """A function with a gradient of its own: ``f`` returns its result and a function of the result's gradient."""

    def at_once(*args: Any, **kwargs: Any) -> Any:
        with mode.eagerly():
            result, pull = f(*args, **kwargs)

        def pull_at_once(*upstream: Any, **variables: Any) -> Any:
            with mode.eagerly():
                return pull(*upstream, **variables)

        return result, pull_at_once

    inner = corenn.custom_gradient(at_once)

    @functools.wraps(f)
    def call(*args: Any, **kwargs: Any) -> Any:
        tensors = [operand(a) for a in args]
        function = functools.partial(inner, **kwargs) if kwargs else inner
        if mode.graph_for(tensors) is None:
            return function(*tensors)
        return composite("CustomGradient", None, function, *tensors)

    return call


def recompute_grad(f: Callable[..., Any]) -> Callable[..., Any]:
    """``f``: corenn's programs decide by themselves what to keep."""
    return f


# ---------------------------------------------------------------- clipping


def global_norm(t_list: Any, name: str | None = None) -> Any:
    """The root of the sum of the squares of all elements of all tensors; ``None`` is passed over."""
    if not isinstance(t_list, (list, tuple)):
        raise TypeError("t_list should be a sequence")
    tensors = [_dense(t) for t in t_list if t is not None]
    if not tensors:
        return convert_to_tensor(0.0)
    with mode.scope(name, "global_norm", tensors):
        total = corenn.sum(corenn.square(tensors[0]))
        for t in tensors[1:]:
            total = total + corenn.sum(corenn.square(t))
        return corenn.sqrt(total)


def _dense(t: Any) -> Any:
    return t.values if isinstance(t, IndexedSlices) else operand(t)


def clip_by_global_norm(t_list: Any, clip_norm: Any, use_norm: Any = None, name: str | None = None) -> Any:
    """The tensors scaled so that their joint norm is at most ``clip_norm``, and the norm before."""
    norm = operand(use_norm) if use_norm is not None else global_norm(t_list)
    with mode.scope(name, "clip_by_global_norm", norm, t_list):
        limit = convert_to_tensor(clip_norm, None if isinstance(clip_norm, EagerTensor) else norm.dtype)
        # inf - inf is NaN: a norm that is not finite makes all NaN, so that the trouble is seen.
        scale = limit * corenn.minimum(1.0 / norm, 1.0 / limit) + (norm - norm)
        clipped = []
        for t in t_list:
            if t is None:
                clipped.append(None)
            elif isinstance(t, IndexedSlices):
                clipped.append(IndexedSlices(t.values * scale, t.indices, t.dense_shape))
            else:
                clipped.append(operand(t) * corenn.cast(scale, dtype=operand(t).dtype))
        return clipped, norm


@writable("clip_by_norm")
def _clip_by_norm_of(values: Any, most: Any, *, along: Any) -> Any:
    squares = corenn.sum(corenn.square(values), axis=along, keepdims=True)
    positive = corenn.greater(squares, 0)
    # The root of 0 has no derivative: 1 stands in for it.
    norms = corenn.where(positive, corenn.sqrt(corenn.where(positive, squares, corenn.ones_like(squares))), squares)
    return values * most / corenn.maximum(norms, most)


def clip_by_norm(t: Any, clip_norm: Any, axes: Any = None, name: str | None = None) -> Any:
    """The tensor scaled so that its norm (along ``axes``) is at most ``clip_norm``."""
    x = operand(t)
    limit = convert_to_tensor(clip_norm, None if isinstance(clip_norm, EagerTensor) else x.dtype)
    along = python_value(axes)
    return composite("ClipByNorm", name or "clip_by_norm", functools.partial(_clip_by_norm_of, along=along), x, limit)


@writable("clip_by_average_norm")
def _clip_by_average_norm_of(values: Any, most: Any) -> Any:
    inverse = values.size / corenn.sqrt(corenn.sum(corenn.square(values)))
    return values * most * corenn.minimum(inverse, 1.0 / most)


def clip_by_average_norm(t: Any, clip_norm: Any, name: str | None = None) -> Any:
    """The tensor scaled so that its norm over its number of elements is at most ``clip_norm``."""
    x = operand(t)
    return composite("ClipByAverageNorm", name, _clip_by_average_norm_of, x, convert_to_tensor(clip_norm, x.dtype))


# ---------------------------------------------------------------- functions


class TFFunctionGraph(FunctionGraph):
    """The graph of a traced function, with tensors as TensorFlow shows them."""

    tensor_class = framework.Tensor
    operation_class = framework.Operation


class Function(CoreFunction):
    """A Python function that is traced into a graph.

    What branches in Python on a tensor's value cannot be traced; it is then run as it is, operation by operation.
    """

    graph_class = TFFunctionGraph
    _untraceable = False

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run it, tracing it first if such arguments are new."""
        if self._untraceable or not mode.executing_eagerly():
            return self.python_function(*args, **kwargs)
        try:
            return super().__call__(*args, **kwargs)
        except OperatorNotAllowedInGraphError as reason:
            _log.warning("%s runs as plain Python: %s", self.name, reason.what.split(". ")[0])
            self._untraceable = True
            return self.python_function(*args, **kwargs)

    def _flat(self, args: Any, kwargs: Any, specs: bool = False) -> tuple[Any, list[Any], Any]:
        structure, values, signature = super()._flat(args, kwargs, specs)
        if self.input_signature is not None and _have_values(values):
            shapes = tuple((v.spec.shape, v.spec.dtype) for v in values)
            signature = (signature[0], (*signature[1], *shapes))
        return structure, values, signature

    def _declared(self, values: list[Any]) -> list[Any]:
        """With an ``input_signature``, too, a trace is for the shapes that are given: layers are built in it."""
        if _have_values(values):
            return [(v.spec.shape, v.spec.dtype) for v in values]
        return super()._declared(values)

    @property
    def function_spec(self) -> Any:
        """The Python function's signature."""
        return self._signature

    def experimental_get_tracing_count(self) -> int:
        """How often it was traced."""
        return len(self.traces)


def _have_values(values: list[Any]) -> bool:
    return all(isinstance(v, EagerTensor) for v in values)


def function(
    func: Any = None, input_signature: Any = None, autograph: bool = True, jit_compile: Any = None,
    reduce_retracing: bool = False, experimental_implements: Any = None, experimental_autograph_options: Any = None,
    experimental_relax_shapes: Any = None, experimental_compile: Any = None, experimental_follow_type_hints: Any = None,
    **options: Any,
) -> Any:  # fmt: skip
    """``@tf.function``: trace a function into a graph at its first call, and run that."""
    if func is None:
        return lambda f: Function(f, input_signature)
    return Function(func, input_signature)


class TensorSpec:
    """What is known of a tensor: ``shape``, ``dtype``, ``name``."""

    def __init__(self, shape: Any = None, dtype: Any = "float32", name: str | None = None) -> None:
        self.shape, self.dtype, self.name = TensorShape(shape), as_dtype(dtype), name

    @classmethod
    def from_tensor(cls, tensor: Any, name: str | None = None) -> TensorSpec:
        """The spec of a tensor."""
        return cls(framework.static_shape(tensor), tensor.dtype, name)

    from_spec = from_tensor

    def is_compatible_with(self, other: Any) -> bool:
        """Whether a tensor can have this spec."""
        return self.dtype is other.dtype and self.shape.is_compatible_with(framework.static_shape(other))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TensorSpec) and (self.shape, self.dtype) == (other.shape, other.dtype)

    def __hash__(self) -> int:
        return hash((self.shape, self.dtype))

    def __repr__(self) -> str:
        return f"TensorSpec(shape={self.shape}, dtype={self.dtype!r}, name={self.name!r})"


class RegisterGradient:
    """A decorator that names a gradient: ``function(op, *grads)`` gives those of the inputs.

    Operations made inside ``graph.gradient_override_map({"Type": "name"})`` use it.
    """

    def __init__(self, op_type: str) -> None:
        if not isinstance(op_type, str):
            raise TypeError("op_type must be a string")
        self._op_type = op_type

    def __call__(self, f: Any) -> Any:
        """Register ``f`` and return it; KeyError when the name is taken."""
        try:
            register_gradient(self._op_type, f)
        except UsageError as error:
            raise KeyError(f"Registering two gradient with name '{self._op_type}'!") from error
        return f


def _as_it_is(op: Any, *grads: Any) -> Any:
    """The gradient of ``Identity``: of use to let gradients through what has none, such as ``Sign``."""
    return grads[0] if len(grads) == 1 else list(grads)


register_gradient("Identity", _as_it_is)


def NotDifferentiable(op_type: str) -> None:
    """Nothing: ops of which corenn has no gradient stop it by themselves."""


NoGradient = NotDifferentiable

__all__ = [
    "AggregationMethod", "GradientTape", "NoGradient", "NotDifferentiable", "RegisterGradient", "TensorSpec",
    "UnconnectedGradients", "clip_by_average_norm", "clip_by_global_norm", "clip_by_norm", "custom_gradient",
    "function", "global_norm", "gradients", "hessians", "recompute_grad",
]  # fmt: skip
