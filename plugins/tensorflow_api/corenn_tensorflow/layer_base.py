"""``tf.layers.Layer``: an object that makes variables in a scope of its own name when it is first called."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from typing import Any

from corenn import tree
from corenn.dtypes import DType, as_dtype, float32
from corenn.errors import UsageError
from corenn.graph.control import cond
from corenn.graph.graph import Graph
from corenn.graph.tensors import GraphTensor
from corenn.tensor import Tensor
from corenn_tensorflow import initializers
from corenn_tensorflow.framework import GraphKeys
from corenn_tensorflow.mode import default_graph, graph_for
from corenn_tensorflow.operands import extents, known, tensor
from corenn_tensorflow.scopes import VariableScope, get_variable, variable_scope
from corenn_tensorflow.shapes import TensorShape
from corenn_tensorflow.variables import make_variable


def snake_case(name: str) -> str:
    """``SeparableConv2D`` as ``separable_conv2d``."""
    spread = re.sub("(.)([A-Z][a-z0-9]+)", r"\1_\2", name)
    found = re.sub("([a-z])([A-Z])", r"\1_\2", spread).lower()
    return "private" + found if found[0] == "_" else found


def smart_cond(pred: Any, true_fn: Callable[[], Any], false_fn: Callable[[], Any], name: str | None = None) -> Any:
    """``true_fn()`` or ``false_fn()``: chosen now where ``pred`` is known now, else when the graph runs."""
    number = known(pred)
    if number is not None:
        return true_fn() if number else false_fn()
    if pred.dtype.name != "bool":
        from corenn.ops.logic import not_equal

        pred = not_equal(pred, 0)
    return cond(pred, true_fn, false_fn, name=name)


def activation_of(given: Any) -> Callable[..., Any] | None:
    """A function, by itself or by its name in ``tf.nn``."""
    if not isinstance(given, str):
        return given  # type: ignore[no-any-return]
    from corenn_tensorflow import nn

    return None if given == "linear" else getattr(nn, given)  # type: ignore[no-any-return]


def dtype_of(inputs: Any) -> DType:
    """The floating dtype that a layer for ``inputs`` computes in."""
    found = getattr(tree.leaves(inputs)[0], "dtype", None)
    if found is None:
        return float32
    kind = as_dtype(found)
    return kind if kind.is_floating else float32


class Layer:
    """Variables made by ``build(input_shape)``, used by ``call(inputs)``.

    Its name, given or made from that of the class, is the variable scope; a second call uses the same variables.
    """

    def __init__(self, trainable: bool = True, name: str | None = None, dtype: Any = None, **options: Any) -> None:
        self._reuse = options.pop("_reuse", None)
        scope = options.pop("_scope", None)
        self.activity_regularizer = options.pop("activity_regularizer", None)
        if options:
            raise TypeError(f"{type(self).__name__} takes no keyword argument {sorted(options)[0]!r}")
        self.trainable, self.built, self.stateful = trainable, False, False
        self._base_name = name or snake_case(type(self).__name__)
        self._given_name = name
        self._dtype: DType | None = None if dtype is None else as_dtype(dtype)
        self._scope: VariableScope | None = None
        self._variables: list[tuple[Any, bool]] = []
        self._losses: list[Any] = []
        self._updates: list[Any] = []
        self._called = 0
        if scope is not None and graph_for() is not None:
            with default_graph().as_default(), variable_scope(scope) as captured:
                self._scope = captured

    # ---- what it is

    @property
    def name(self) -> str:
        """Its name, unique among layers without a name of their own once it has been called."""
        if self._given_name is None and self._scope is not None:
            return str(self._scope.name.rpartition("/")[2])
        return self._base_name

    @property
    def scope_name(self) -> str:
        """The full name of its variable scope."""
        if self._scope is None:
            raise ValueError(
                f"No name available for layer scope because the layer {self.name!r} has not been used yet."
            )
        return str(self._scope.name)

    @property
    def dtype(self) -> Any:
        """The dtype of its variables."""
        return self._dtype

    @property
    def variables(self) -> list[Any]:
        """Trainable ones, then the others."""
        return self.trainable_variables + self.non_trainable_variables

    weights = variables

    @property
    def trainable_variables(self) -> list[Any]:
        """The variables an optimizer updates."""
        return [v for v, learns in self._variables if learns] if self.trainable else []

    trainable_weights = trainable_variables

    @property
    def non_trainable_variables(self) -> list[Any]:
        """The variables an optimizer leaves alone."""
        return [v for v, learns in self._variables if not (learns and self.trainable)]

    non_trainable_weights = non_trainable_variables

    @property
    def losses(self) -> list[Any]:
        """Regularisation losses (of eager variables, computed now)."""
        return [found() if callable(found) else found for found in self._losses]

    @property
    def updates(self) -> list[Any]:
        """Operations to run beside training."""
        return list(self._updates)

    @property
    def graph(self) -> Graph:
        """The graph of its variables."""
        return self._variables[0][0].graph if self._variables else default_graph()  # type: ignore[no-any-return]

    def count_params(self) -> int:
        """The number of numbers in its variables."""
        return sum(v.spec.size for v in self.variables)

    # ---- what subclasses write

    def build(self, input_shape: Any) -> None:
        """Make the variables."""
        self.built = True

    def call(self, inputs: Any, *args: Any, **options: Any) -> Any:
        """What the layer computes."""
        return inputs

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shape of its results."""
        raise NotImplementedError(f"{type(self).__name__} does not say what shape its results have")

    # ---- variables and losses

    def add_variable(
        self, name: str, shape: Any = None, dtype: Any = None, initializer: Any = None, regularizer: Any = None,
        trainable: bool | None = None, constraint: Any = None, **unused: Any,
    ) -> Any:  # fmt: skip
        """Make a variable, or in a scope that reuses, take the one there is."""
        learns = trainable is None or bool(trainable)
        kind = as_dtype(dtype) if dtype is not None else self._dtype or float32
        size = tuple(int(n) for n in (getattr(shape, "as_list", lambda: shape)() if shape is not None else ()))
        if graph_for() is None:
            return self._eager_variable(name, size, kind, initializer, regularizer, learns, constraint)
        graph = default_graph()
        before = len(graph.get_collection_ref(GraphKeys.REGULARIZATION_LOSSES))
        made = get_variable(
            name, size, dtype=kind, initializer=initializer, regularizer=regularizer,
            trainable=learns and self.trainable, constraint=constraint,
        )  # fmt: skip
        self._losses += graph.get_collection_ref(GraphKeys.REGULARIZATION_LOSSES)[before:]
        self._note(made, learns)
        return made

    def add_weight(
        self, name: str, shape: Any = None, dtype: Any = None, initializer: Any = None, *args: Any, **options: Any
    ) -> Any:
        """The same as ``add_variable``."""
        return self.add_variable(name, shape, dtype, initializer, *args, **options)

    def _eager_variable(
        self, name: str, shape: tuple[int, ...], kind: DType, initializer: Any, regularizer: Any, learns: bool,
        constraint: Any,
    ) -> Any:  # fmt: skip
        chosen = initializer if initializer is not None else "glorot_uniform" if kind.is_floating else "zeros"
        chosen = initializers.get(chosen) if isinstance(chosen, (str, dict)) else chosen
        chosen = chosen() if isinstance(chosen, type) else chosen
        value = chosen(shape, dtype=kind) if callable(chosen) else chosen
        made = make_variable(
            value, trainable=learns and self.trainable, name=f"{self.name}/{name}", dtype=kind, constraint=constraint
        )
        if regularizer is not None:
            self._losses.append(lambda: regularizer(made))
        self._note(made, learns)
        return made

    def _note(self, variable: Any, learns: bool) -> None:
        if not any(variable is v for v, _ in self._variables):
            self._variables.append((variable, learns))

    def add_loss(self, losses: Any, inputs: Any = None) -> None:
        """Add to the regularisation losses of the graph."""
        for loss in losses if isinstance(losses, (list, tuple)) else [losses]:
            self._losses.append(loss)
            if isinstance(loss, GraphTensor):
                default_graph().add_to_collection(GraphKeys.REGULARIZATION_LOSSES, loss)

    def add_update(self, updates: Any, inputs: Any = None) -> None:
        """Add operations to the collection of updates, for the training operation to wait for."""
        for update in updates if isinstance(updates, (list, tuple)) else [updates]:
            if hasattr(update, "graph"):
                self._updates.append(update)
                default_graph().add_to_collection(GraphKeys.UPDATE_OPS, update)

    def get_losses_for(self, inputs: Any) -> list[Any]:
        """Its losses."""
        return self.losses

    def get_updates_for(self, inputs: Any) -> list[Any]:
        """Its updates."""
        return self.updates

    # ---- calls

    def apply(self, inputs: Any, *args: Any, **options: Any) -> Any:
        """The same as calling it."""
        return self(inputs, *args, **options)

    def _set_scope(self, scope: Any) -> None:
        if self._scope is not None:
            return
        if self._reuse:
            chosen = scope if scope is not None else self._base_name
            with variable_scope(chosen) as captured:
                self._scope = captured
        else:
            with variable_scope(scope, default_name=self._base_name) as captured:
                self._scope = captured

    def _tracked(self, getter: Callable[..., Any], *args: Any, **options: Any) -> Any:
        found = getter(*args, **options)
        learns = options.get("trainable")
        self._note(found, learns is None or bool(learns))
        return found

    @contextlib.contextmanager
    def entered(self, graph: Graph, inputs: Any, scope: Any = None) -> Iterator[Any]:
        """The layer's scopes, in which its variables are made if they are not yet; gives the inputs as tensors."""
        with graph.as_default():
            self._set_scope(scope)
            assert self._scope is not None  # just set
            shared = True if self.built else self._reuse or None
            within = variable_scope(
                self._scope, reuse=shared, auxiliary_name_scope=False, custom_getter=self._tracked
            )  # fmt: skip
            with within, graph.name_scope(self._scope.original_name_scope or None):
                given = tree.tree_map(lambda v: v if v is None or isinstance(v, Tensor) else tensor(v), inputs)
                self._build(given)
                yield given

    def __call__(self, inputs: Any, *args: Any, **options: Any) -> Any:
        """The layer's results; its variables are made first, if they are not there yet."""
        scope = options.pop("scope", None)
        graph = graph_for(inputs, args)
        if graph is None:
            return self._now(inputs, *args, **options)
        with self.entered(graph, inputs, scope) as given:
            outputs = self.call(given, *args, **options)
            if self.activity_regularizer is not None:
                for leaf in tree.leaves(outputs):
                    self.add_loss(self.activity_regularizer(leaf))
        return outputs

    def _now(self, inputs: Any, *args: Any, **options: Any) -> Any:
        given = tree.tree_map(lambda v: v if v is None or isinstance(v, Tensor) else tensor(v), inputs)
        self._build(given)
        return self.call(given, *args, **options)

    def _build(self, inputs: Any) -> None:
        if self.built:
            return
        if self._dtype is None:
            self._dtype = dtype_of(inputs)
        shapes = tree.tree_map(lambda v: TensorShape.of(extents(v)), inputs)
        self.build(shapes)
        self.built = True


def channels(where: str, shape: Any, first: bool = False) -> int:
    """The extent of the channel axis of a shape; UsageError if it is not known."""
    listed = shape.as_list() if hasattr(shape, "as_list") else list(shape)
    found = listed[1 if first else -1]
    if found is None:
        raise UsageError(
            where, "The channel dimension of the inputs should be defined. Found `None`.", {"inputs": listed},
            hint="give the placeholder a shape, or call set_shape on the tensor",
        )  # fmt: skip
    return int(found)


__all__ = ["Layer", "activation_of", "channels", "dtype_of", "smart_cond", "snake_case"]
