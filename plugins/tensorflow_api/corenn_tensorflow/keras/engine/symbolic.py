"""Layers called on graph tensors.

Every such call is remembered in the tensors it gives (``_keras_history``), so that ``Model(inputs, outputs)`` can run
the calls again on data.  What it adds to the graph depends on whose graph it is:

- a graph that only describes models (generation 2): one operation that stands for the call;
- the program's graph (generation 1): for corenn's own layers one operation that computes the call from the inputs, the
  weights' variables, a random key and the learning phase, so that sessions run and differentiate it; for layers and
  models written by users, whatever their ``call`` adds.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from corenn import tree
from corenn.dtypes import as_dtype, uint64
from corenn.errors import CorennError
from corenn.graph import state
from corenn.graph.concrete import FunctionGraph
from corenn.graph.graph import Graph
from corenn.graph.kinds import CompositeKind, PlaceholderKind
from corenn.graph.operations import Kind, Known, Operation
from corenn.graph.partial import generalize
from corenn.graph.tensors import GraphTensor
from corenn.layers.phase import _phase, call_signature
from corenn.layers.symbolic import abstract_call
from corenn.ops import random
from corenn.ops.creation import tensor
from corenn.ops.elementwise import add, identity, where
from corenn.spec import Spec
from corenn.tensor import Tensor
from corenn_tensorflow.keras import world
from corenn_tensorflow.keras.engine.base_layer import Layer, plain_shape
from corenn_tensorflow.keras.engine.masks import keep, masks_of
from corenn_tensorflow.keras.engine.weights import twin

#: Extents tried for unknown ones: (batch, other axes).
_TRIALS = ((2, 48), (3, 56), (2, 240), (3, 320), (5, 7), (6, 12), (2, 1))


class Node:
    """One call of a layer on graph tensors."""

    def __init__(self, layer: Any, args: tuple[Any, ...], options: dict[str, Any], outputs: Any) -> None:
        self.layer, self.args, self.options, self.outputs = layer, args, options, outputs

    @property
    def inputs(self) -> Any:
        """The first argument, as users see the input of a layer."""
        return self.args[0] if self.args else self.outputs

    def parents(self) -> list[GraphTensor]:
        """The graph tensors it was called on."""
        return world.graph_tensors(list(self.args), self.options)

    @property
    def inbound_layers(self) -> list[Any]:
        """The layers that gave the inputs."""
        return [n.layer for n in map(node_of, self.parents()) if n is not None]


def node_of(symbol: Any) -> Node | None:
    """The call that gave a graph tensor; ``None`` for tensors of plain operations."""
    found = getattr(symbol, "_keras_history", None)
    return None if found is None else found[0]


class LayerKind(Kind):
    """A call in a graph that describes models; never run."""

    def __init__(self, type_name: str) -> None:
        self.type = type_name

    def run(self, operation: Operation, inputs: list[Tensor], run: Any) -> Sequence[Tensor]:
        """TypeError: models run the call itself."""
        raise TypeError(f"{operation.name} is part of a model's description: call the model on data")

    def config(self, operation: Operation) -> None:
        """It is written down by the model."""


# ---------------------------------------------------------------- inputs


class InputLayer(Layer):
    """Where data enters a model."""

    def __init__(
        self, input_shape: Any = None, batch_size: int | None = None, dtype: Any = None, input_tensor: Any = None,
        sparse: bool = False, name: str | None = None, batch_input_shape: Any = None, ragged: bool = False, **base: Any,
    ) -> None:  # fmt: skip
        super().__init__(name=name or core_name("input"), **base)
        self.sparse, self.ragged = sparse, ragged
        if batch_input_shape is not None:
            whole = plain_shape(batch_input_shape)
        elif input_tensor is not None:
            whole = input_tensor.extents
        else:
            whole = (batch_size, *plain_shape(() if input_shape is None else input_shape))
        self._batch_input_shape, self.built = whole, True
        kind = getattr(dtype, "name", dtype) or "float32"
        self._first_dtype = as_dtype(kind) if input_tensor is None else input_tensor.dtype
        if input_tensor is None:
            graph = world.symbolic_graph()
            made = graph.add(PlaceholderKind(), [], [(whole, self._first_dtype)], name=self.name, controls=[])
            input_tensor = made.outputs[0]
        node = Node(self, (), {}, input_tensor)
        input_tensor._keras_history = (node, 0)
        self._nodes.append(node)

    def call(self, inputs: Any) -> Any:
        """The input."""
        return inputs

    def get_config(self) -> dict[str, Any]:
        """Shape and dtype."""
        return {
            "batch_input_shape": list(self._batch_input_shape or ()), "dtype": self._first_dtype.name,
            "sparse": self.sparse, "name": self.name,
        }  # fmt: skip


def core_name(base: str) -> str:
    """``base_1``, ``base_2``, ...: inputs are numbered from 1."""
    from corenn.layers.naming import unique_name

    if not core_name_started:
        unique_name("input")
        core_name_started.append(True)
    return unique_name(base)


core_name_started: list[bool] = []


def Input(  # Keras's name
    shape: Any = None, batch_shape: Any = None, name: str | None = None, dtype: Any = None, sparse: bool = False,
    tensor: Any = None, batch_size: int | None = None, ragged: bool = False, batch_input_shape: Any = None,
) -> GraphTensor:  # fmt: skip
    """A symbolic input: ``shape`` without the batch, or ``batch_shape`` with it, or a graph tensor to begin from."""
    whole = batch_shape if batch_shape is not None else batch_input_shape
    if shape is None and whole is None and tensor is None:
        raise ValueError("Please provide to Input either a `shape` or a `batch_shape` argument. Note that `shape` does "
                         "not include the batch dimension.")  # fmt: skip
    layer = InputLayer(shape, batch_size, dtype, tensor, sparse, name, whole, ragged)
    return layer.output  # type: ignore[no-any-return]


# ---------------------------------------------------------------- shapes


def infer(layer: Any, call: Callable[..., Any], known: Sequence[Known]) -> tuple[Any, list[Known]]:
    """The structure ``call`` returns for inputs of which only this is known, and what is known of its leaves.

    The call is tried for several choices of the unknown extents: corenn's own layers run on tensors without data, what
    users wrote is traced, so that it may ask for shapes as tensors.  The layer is built by it.
    """
    found: list[list[Spec]] = []
    structure: Any = None
    refusal: Exception | None = None
    unknown = any(shape is None or None in shape for shape, _ in known)
    trial = _outlined if getattr(layer, "runs_whole", False) else _traced
    for batch, other in _TRIALS:
        try:
            structure = trial(call, [_completed(k, batch, other) for k in known])
            found.append([_spec(leaf) for leaf in tree.leaves(structure)])
        except (CorennError, TypeError, ValueError, IndexError, ZeroDivisionError, AttributeError) as error:
            refusal = refusal or error
        if (found and not unknown) or len(found) == 2:
            break
    if not found:
        assert refusal is not None  # every trial failed
        raise refusal
    return structure, [generalize([specs[i] for specs in found]) for i in range(len(found[0]))]


def _spec(leaf: Any) -> Spec:
    return (leaf if isinstance(leaf, Spec) else leaf.spec).at(None)  # type: ignore[no-any-return]  # else a tensor


def _outlined(call: Callable[..., Any], specs: list[Spec]) -> Any:
    with world.eagerly(leave_graph=False):
        return abstract_call(call, tuple(specs), {})


def _traced(call: Callable[..., Any], specs: list[Spec]) -> Any:
    graph = FunctionGraph()
    before = world._world.inferring
    world._world.inferring = True
    try:
        with graph.as_default():
            given = [graph.parameter((s.shape, s.dtype), f"input_{i}") for i, s in enumerate(specs)]
            return tree.tree_map(graph.convert, call(*given))
    finally:
        world._world.inferring = before


def _completed(known: Known, batch: int, other: int) -> Spec:
    shape, dtype = known
    filled: list[int] = []
    for axis, extent in enumerate(shape or ()):
        filled.append(extent if extent is not None else batch if axis == 0 else other)
    return Spec(tuple(int(n) for n in filled), dtype)


# ---------------------------------------------------------------- a call


def apply(layer: Any, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """Record a call of ``layer`` on graph tensors, and add what it computes to their graph."""
    args, options = layer._arranged(args, options)
    graph = world.graph_tensors(list(args), options)[0].graph
    masks = _masks(args)
    if masks is not None and options.get("mask") is None and call_signature(type(layer).call).takes_mask:
        options["mask"] = masks
    if isinstance(world.home_of(graph), world.KerasGraph):
        outputs = _described(layer, graph, args, options)
    elif getattr(layer, "runs_whole", False):
        outputs = _composite(layer, graph, args, options)
    else:
        outputs = _inline(layer, graph, args, options)
    node = Node(layer, args, options, outputs)
    for place, leaf in enumerate(tree.leaves(outputs)):
        if isinstance(leaf, GraphTensor):
            leaf._keras_history = (node, place)  # type: ignore[attr-defined]  # the facade's tensors have a dict
    layer._nodes.append(node)
    _mark(layer, graph, args, options.get("mask", masks), outputs)
    if layer.activity_regularizer is not None:
        _penalise(layer, graph, outputs)
    return outputs


def _masks(args: tuple[Any, ...]) -> Any:
    """The mask of the input, or a list of one for each where there are several; ``None`` if none has one."""
    return masks_of(args[0] if args else None)


def _mark(layer: Any, graph: Graph, args: tuple[Any, ...], masks: Any, outputs: Any) -> None:
    """Compute the mask of the result, and keep it with the result."""
    if type(layer).compute_mask is Layer.compute_mask and masks is None:
        return
    with graph.as_default(), graph.name_scope(f"{_scope(layer)}_mask"):
        found = layer.compute_mask(args[0], masks)
    leaves = tree.leaves(outputs)
    marks = found if isinstance(found, (list, tuple)) else [found]
    for leaf, mask in zip(leaves, marks, strict=False):
        if mask is not None and isinstance(leaf, GraphTensor):
            keep(leaf, mask)


def _penalise(layer: Any, graph: Graph, outputs: Any) -> None:

    for leaf in world.graph_tensors(outputs):
        made = graph.call(
            lambda x: layer.activity_regularizer(x) / float(x.shape[0]), leaf, type_name="ActivityRegularizer"
        )  # fmt: skip
        if not isinstance(world.home_of(graph), world.KerasGraph):
            layer._graph_losses.append(made[0])


def _scope(layer: Any) -> str:
    kept = "".join(c if c.isalnum() or c in "_.-/" else "_" for c in layer.name)
    return kept if kept[:1].isalnum() or kept[:1] == "." else f"layer{kept}"


def _known(args: Any, options: Any) -> list[Known]:
    return [(t.extents, t.dtype) for t in world.graph_tensors(list(args), options)]


def _refilled(args: Any, options: Any, values: Sequence[Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments with values in the places of the graph tensors."""
    left = iter(values)

    def value(leaf: Any) -> Any:
        return next(left) if isinstance(leaf, GraphTensor) else leaf

    filled = tree.tree_map(value, list(args))
    return tuple(filled), tree.tree_map(value, options)


def _described(layer: Any, graph: Graph, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
    def call(*values: Any) -> Any:
        given, named = _refilled(args, options, values)
        return layer.compute(given, named)

    structure, known = infer(layer, call, _known(args, options))
    kind = LayerKind(type(layer).__name__)
    operation = graph.add(kind, world.graph_tensors(list(args), options), known, name=_scope(layer), controls=[])
    return tree.rebuild(structure, iter(operation.outputs))


def _inline(layer: Any, graph: Graph, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """What the layer's own ``call`` adds to the graph."""
    given, named = args, dict(options)
    training = named.get("training")
    if not call_signature(type(layer).call).takes_training:
        named.pop("training", None)
    with graph.as_default(), graph.name_scope(_scope(layer)), world.graph_phase(training):
        if not layer.built:
            layer._build(given)
        outputs = call_signature(type(layer).call).invoke(layer.call, given, named)

        def own(leaf: Any) -> Any:
            if isinstance(leaf, GraphTensor) and getattr(leaf, "_keras_history", None) is not None:
                return identity(leaf)  # a call of its own needs a result of its own
            return graph.convert(leaf) if isinstance(leaf, Tensor) else leaf

        return tree.tree_map(own, outputs)


def _composite(layer: Any, graph: Graph, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """One operation that computes the call."""
    takes_phase = call_signature(type(layer).call).takes_training
    training = options.pop("training", None) if takes_phase else None
    options = {k: v for k, v in options.items() if k != "training"}

    run = LayerRun(layer, args, options, 0, [], [], takes_phase, None)
    structure, known = infer(layer, run.plain, _known(args, options))
    if takes_phase and training is None:
        training = world.learning_phase()
    inputs = world.graph_tensors(list(args), options)
    weights = _eager_weights(layer)
    with graph.as_default(), graph.name_scope(_scope(layer)):
        twins = [graph.convert(twin(w, graph)) for w in weights]
        phases = [graph.convert(training)] if isinstance(training, Tensor) else []
        key = graph.random_key(seed=getattr(layer, "seed", None))
        may_train = takes_phase and (bool(phases) or bool(training))
        changed = layer.changed_weights() if may_train else []
        run.count, run.weights, run.changed = len(inputs), weights, changed
        run.training = bool(training) if not phases else None
        results = [*known, *[((*map(int, w.spec.shape),), w.dtype) for w in changed]]
        operation = graph.add(
            LayerCallKind(run, type(layer).__name__),
            [*inputs, *twins, key, *phases],
            results,
            name=type(layer).__name__,
        )
        after = operation.outputs[len(known) :]
        for weight, value in zip(changed, after, strict=True):
            layer._graph_updates.append(state.assign(graph, twin(weight, graph), value, name="AssignMovingAvg"))
    return tree.rebuild(structure, iter(operation.outputs[: len(known)]))


def _eager_weights(layer: Any) -> list[Any]:
    return [w for inner in layer.walk() for w in inner._own_weights]


class LayerCallKind(CompositeKind):
    """A call of a layer; its function is a ``LayerRun``."""


class LayerRun:
    """The function of one composite operation: the layer's call with its weights, key and phase given as tensors."""

    def __init__(
        self, layer: Any, args: Any, options: Any, count: int, weights: list[Any], changed: list[Any],
        takes_phase: bool, training: bool | None,
    ) -> None:  # fmt: skip
        self.layer, self.args, self.options, self.count = layer, args, options, count
        self.weights, self.changed, self.takes_phase, self.training = weights, changed, takes_phase, training

    def plain(self, *values: Any) -> Any:
        """The call on inputs alone, with the layer's own weights: what it gives, and how the layer is built."""
        given, named = _refilled(self.args, self.options, values)
        return self.layer.compute(given, {**named, "training": False} if self.takes_phase else named)

    def __call__(self, *values: Tensor) -> list[Tensor]:
        """The leaves of the result, then the new values of the weights that the call changes."""
        inputs, rest = values[: self.count], values[self.count :]
        held, rest = rest[: len(self.weights)], rest[len(self.weights) :]
        if not self.takes_phase or self.training is not None:
            return self._call(inputs, held, rest[0], bool(self.training))
        trained, tested = (self._call(inputs, held, rest[0], phase) for phase in (True, False))
        return [where(rest[1], a, b) for a, b in zip(trained, tested, strict=True)]

    def _call(self, inputs: Any, held: Any, key: Tensor, training: bool) -> list[Tensor]:
        given, named = _refilled(self.args, self.options, inputs)
        if self.takes_phase:
            named = {**named, "training": training}
        token = _phase.set(training)
        try:
            with (
                world.eagerly(leave_graph=False),
                swapped(self.layer, self.weights, held) as now,
                drawing(key, self.layer),
            ):
                result = self.layer.call(*[self.layer._as_input(x) for x in given], **named)
                return [*tree.leaves(result), *[now[id(w)].present for w in self.changed]]
        finally:
            _phase.reset(token)


class _Held(Tensor):
    """A weight inside a composite: the tensor it was given, and what the call assigns."""

    __slots__ = ("present", "trainable")

    def __init__(self, value: Tensor, trainable: bool) -> None:
        super().__init__(value.data, value.spec)
        self.node, self.present, self.trainable = value.node, value, trainable

    def assign(self, value: Any) -> _Held:
        """Remember the new value."""
        self.present = value if isinstance(value, Tensor) else tensor(value, dtype=self.dtype)
        return self

    def value(self) -> Tensor:
        """The present value."""
        return self.present


@contextlib.contextmanager
def swapped(layer: Any, weights: Sequence[Any], values: Sequence[Tensor]) -> Iterator[dict[int, _Held]]:
    """In the block, the layer's attributes that hold weights hold these tensors instead."""
    made = {id(w): _Held(v, w.trainable) for w, v in zip(weights, values, strict=True)}
    changed = []
    for inner in layer.walk():
        for name, value in inner.__dict__.items():
            if id(value) in made:
                changed.append((inner, name, value))
    try:
        for inner, name, value in changed:
            inner.__dict__[name] = made[id(value)]
        yield made
    finally:
        for inner, name, value in changed:
            inner.__dict__[name] = value


class _Keys:
    """A generator whose keys are parts of one key: far apart, so that draws do not overlap."""

    def __init__(self, key: Tensor) -> None:
        self._key, self._count = key, 0

    def next_key(self) -> Tensor:
        """The next."""
        self._count += 1
        if self._count == 1:
            return self._key
        return add(self._key, tensor([0, 0, (self._count - 1) << 40], dtype=uint64))


@contextlib.contextmanager
def drawing(key: Tensor, layer: Any) -> Iterator[None]:
    """Random draws in the block come from ``key``."""
    keys: Any = _Keys(key)
    seeded = [inner for inner in layer.walk() if inner.__dict__.get("generator") is not None]
    own = [inner.__dict__["generator"] for inner in seeded]
    before = random._default
    random._default = keys
    for inner in seeded:
        inner.__dict__["generator"] = keys
    try:
        yield
    finally:
        random._default = before
        for inner, generator in zip(seeded, own, strict=True):
            inner.__dict__["generator"] = generator


__all__ = ["Input", "InputLayer", "LayerCallKind", "LayerKind", "LayerRun", "Node", "apply", "infer", "node_of"]
