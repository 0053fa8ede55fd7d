"""``Layer`` as Keras has it, on corenn's: Keras's arguments and hooks, weights that graphs can see, symbolic calls.

What differs from ``corenn.layers.Layer``: ``build(input_shape)`` takes shapes, ``add_weight`` Keras's arguments (also
those of Keras 1), ``get_config``/``from_config`` are plain dicts of arguments, and a call on graph tensors is recorded
so that ``Model(inputs, outputs)`` can find it (see ``engine/symbolic.py``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from corenn import tree
from corenn.dtypes import DType, as_dtype
from corenn.errors import UsageError
from corenn.graph.tensors import GraphTensor
from corenn.layers import base as core
from corenn.layers.phase import call_signature, structure_changed
from corenn.layers.symbolic import is_abstract
from corenn.ops.creation import tensor
from corenn.ops.dispatch import _interpreter
from corenn.tensor import Tensor
from corenn.variable import Variable
from corenn_tensorflow import mode
from corenn_tensorflow.framework import convert_to_tensor
from corenn_tensorflow.keras import constraints, initializers, regularizers, world
from corenn_tensorflow.keras.engine import masks
from corenn_tensorflow.keras.engine.calls import Called
from corenn_tensorflow.keras.engine.shapes import InputSpec, first_shape, plain_shape, shape_of
from corenn_tensorflow.keras.engine.weights import Weight, present, seeded
from corenn_tensorflow.layer_base import Layer as OlderLayer
from corenn_tensorflow.shapes import TensorShape

CORE = ("corenn.",)  #: where layers live whose ``build`` takes specs


class Layer(Called, core.Layer):
    """Base of all layers; see the module."""

    casts_inputs = True
    #: The dtype of the input of a model that begins with this layer.
    first_dtype = "float32"
    _batch_input_shape: tuple[int | None, ...] | None = None
    _first_dtype: Any = None
    activity_regularizer: Any = None
    supports_masking = True
    input_spec: Any = None

    def __init__(
        self, trainable: bool = True, name: str | None = None, dtype: Any = None, dynamic: bool = False, **kwargs: Any
    ) -> None:
        shape = first_shape(kwargs)
        given = kwargs.pop("weights", None)
        activity = kwargs.pop("activity_regularizer", None)
        inner = kwargs.pop("_core", {})
        for ignored in (
            "autocast",
            "experimental_autocast",
            "implementation",
            "consume_less",
            "input_dtype",
            "create_input",
            "unroll",
            "time_major",
            "zero_output_for_mask",
            "reset_dropout_mask",
        ):
            kwargs.pop(ignored, None)
        if kwargs:
            raise TypeError(f"Keyword argument not understood: {next(iter(kwargs))!r} ({type(self).__name__})")
        declared = getattr(dtype, "_compute_dtype", dtype)
        kind = None if declared is None else as_dtype(getattr(declared, "name", declared))
        super().__init__(
            name=None if name is None else str(name).replace("/", "_"), trainable=bool(trainable),
            dtype=kind if kind is not None and kind.is_floating else None, **inner,
        )  # fmt: skip
        if name is not None:
            self.name = str(name)
        self._first_dtype = kind
        self._batch_input_shape = shape
        self._initial_weights = given
        self.activity_regularizer = regularizers.get(activity)
        self._nodes: list[Any] = []
        self._graph_losses: list[Any] = []
        self._loss_functions: list[Callable[[], Any]] = []
        self._graph_updates: list[Any] = []
        self._metric_values: dict[str, Any] = {}

    # ---- what subclasses write

    def build(self, input_shape: Any) -> None:
        """Make the weights, given the shape of the input; set ``built``."""
        self.built = True

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shape of the output, found by trying; a layer may say it itself."""
        from corenn_tensorflow.keras.engine.symbolic import infer

        dtype = self._first_dtype or self.dtype
        many = isinstance(input_shape, list) and input_shape and not isinstance(input_shape[0], (int, type(None)))
        known = [(plain_shape(s), dtype) for s in (input_shape if many else [input_shape])]
        _, found = infer(self, lambda *given: self(list(given) if many else given[0]), known)
        shapes = [TensorShape.of(shape) for shape, _ in found]
        return shapes[0] if len(shapes) == 1 else shapes

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal layer, as JSON has them."""
        config: dict[str, Any] = {"name": self.name, "trainable": self.trainable, "dtype": self.dtype.name}
        if self._batch_input_shape is not None:
            config["batch_input_shape"] = list(self._batch_input_shape)
        return config

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Any = None) -> Any:
        """A layer from what ``get_config`` returned."""
        return cls(**config)

    # ---- weights

    def add_weight(self, *args: Any, **options: Any) -> Any:
        """A new weight: ``add_weight(name, shape, dtype, initializer, regularizer, trainable, constraint)``.

        Keras 1's order ``(shape, initializer, name, ...)`` and corenn's ``(name, shape, initializer)`` are understood.
        """
        order = ["name", "shape", "dtype", "initializer", "regularizer", "trainable", "constraint"]
        if args and isinstance(args[0], (tuple, list, TensorShape)):
            order = ["shape", "initializer", "name", "trainable", "regularizer", "constraint"]
        elif len(args) > 2 and not _is_dtype(args[2]):
            order = ["name", "shape", "initializer", "regularizer", "trainable", "constraint"]
        given = {**dict(zip(order, args, strict=False)), **options}
        name, shape = given.get("name") or f"weight_{len(self._own_weights)}", plain_shape(given.get("shape", ()))
        dtype = self.dtype if given.get("dtype") is None else as_dtype(getattr(given["dtype"], "name", given["dtype"]))
        trainable = given.get("trainable")
        trainable = dtype.is_floating and not options.get("aggregation_only") if trainable is None else bool(trainable)
        start = initializers.get(given.get("initializer"))
        if start is None:
            start = initializers.get("glorot_uniform" if dtype.is_floating else "zeros")
        graph = mode.default_graph() if world.graph_mode() or (mode.generation() == 1 and mode._state.graph) else None
        token = _interpreter.set(None)
        try:
            with world.eagerly(), seeded(graph, f"{self._scope_name()}/{name}"):
                value = start(tuple(shape), dtype=dtype)
                weight = Weight(
                    value, dtype=dtype, name=f"{self._scope_name()}/{name}", trainable=trainable and self._trainable,
                    constraint=constraints.get(given.get("constraint")), initial=start,
                )  # fmt: skip
        finally:
            _interpreter.reset(token)
        self._own_weights.append(weight)
        if not trainable:
            self._fixed.add(id(weight))
        penalty = regularizers.get(given.get("regularizer"))
        if penalty is not None:
            self._regularized.append((weight, penalty))
        structure_changed()
        return weight

    add_variable = add_weight

    def _scope_name(self) -> str:
        return self.name

    @property
    def weights(self) -> list[Any]:
        """All weights, trainable first; in a graph of generation 1 its variables for them."""
        found = super().trainable_weights
        trained = {id(w) for w in found}
        own = [present(w) for w in (*found, *[w for w in core.Layer.weights.fget(self) if id(w) not in trained])]  # type: ignore[attr-defined]
        return [*own, *[v for layer in self._older_layers() for v in layer.variables]]

    @property
    def trainable_weights(self) -> list[Any]:
        """The weights that are trained."""
        own = [present(w) for w in super().trainable_weights]
        return [*own, *[v for layer in self._older_layers() for v in layer.trainable_variables]]

    @property
    def non_trainable_weights(self) -> list[Any]:
        """The others."""
        trained = {id(w) for w in super().trainable_weights}
        own = [present(w) for w in core.Layer.weights.fget(self) if id(w) not in trained]  # type: ignore[attr-defined]
        return [*own, *[v for layer in self._older_layers() for v in layer.non_trainable_variables]]

    def _older_layers(self) -> list[Any]:
        """The layers of ``tf.layers`` among the attributes of this layer and those inside it."""
        found: dict[int, Any] = {}
        for layer in self.walk():
            for value in layer.__dict__.values():
                for item in value if isinstance(value, (list, tuple)) else (value,):
                    if isinstance(item, OlderLayer):
                        found.setdefault(id(item), item)
        return list(found.values())

    variables = weights
    trainable_variables = trainable_weights
    non_trainable_variables = non_trainable_weights

    def weight_names(self) -> list[str]:
        """Names of the weights for checkpoints, in the order of ``weights``."""
        eager = core.Layer.weights.fget(self)  # type: ignore[attr-defined]
        names = {id(w): n.removesuffix(":0") for w, n in zip(eager, super().weight_names(), strict=True)}
        with world.eagerly():
            return [names[id(w)] for w in self.weights]

    def get_weights(self) -> list[Any]:
        """Copies of all weights, trainable first."""
        with world.eagerly():
            return [np.array(w.numpy()) for w in self.weights]

    def set_weights(self, weights: Any) -> None:
        """Assign all weights, in the order of ``get_weights``."""
        with world.eagerly():
            mine = self.weights
            if len(mine) != len(weights):
                raise ValueError(
                    f'You called `set_weights(weights)` on layer "{self.name}" with a weight list of length '
                    f"{len(weights)}, but the layer was expecting {len(mine)} weights."
                )
            for weight, value in zip(mine, weights, strict=True):
                array = np.asarray(value)
                if tuple(weight.spec.shape) != array.shape:
                    raise ValueError(
                        f"Layer weight shape {tuple(weight.spec.shape)} not compatible with provided weight shape "
                        f"{array.shape}"
                    )
            for weight, value in zip(mine, weights, strict=True):
                weight.assign(tensor(np.asarray(value), dtype=weight.dtype, device=weight.device))

    # ---- losses, metrics, updates

    def add_loss(self, losses: Any, inputs: Any = None) -> None:
        """Add to the model's loss: a tensor, a function of no arguments, or a list of them."""
        for loss in losses if isinstance(losses, (list, tuple)) else [losses]:
            if callable(loss) and not isinstance(loss, Tensor):
                self._loss_functions.append(loss)
            elif isinstance(loss, GraphTensor) and not world.runs_inline(loss.graph):
                self._graph_losses.append(loss)
                structure_changed()
            elif not is_abstract() and not world._world.inferring:
                super().add_loss(tensor(loss) if not isinstance(loss, Tensor) else loss)

    def add_update(self, updates: Any, inputs: Any = None) -> None:
        """Operations of a graph that are to run with each training step."""
        listed = updates if isinstance(updates, (list, tuple)) else [updates]
        self._graph_updates += [u for u in listed if u is not None]

    def add_metric(self, value: Any, aggregation: str | None = "mean", name: str | None = None) -> None:
        """Report the mean of ``value`` under ``name``."""
        from corenn_tensorflow.keras.metrics import Mean, came_from

        if came_from(value, self.metrics):  # what a metric of this layer has just given: it is reported anyway
            return
        name = name or getattr(value, "name", None) or "metric"
        if isinstance(value, GraphTensor) and not world.runs_inline(value.graph):
            self._metric_values[name] = value
            structure_changed()
            return
        found = self.__dict__.setdefault("_layer_metrics", {})
        if name not in found:
            found[name] = Mean(name=name)
            structure_changed()
        if not is_abstract() and not world._world.inferring:
            found[name].update_state(value)

    @property
    def metrics(self) -> list[Any]:
        """The metrics that this layer and those inside it hold or report."""
        from corenn.training.collecting import Collected

        return list(Collected(self).metrics)

    @property
    def losses(self) -> list[Any]:
        """Penalties on weights and what was added."""
        if world.graph_mode():
            return [loss for layer in self.walk() for loss in _in_graph(layer)]
        functions = [f for layer in self.walk() for f in getattr(layer, "_loss_functions", ())]
        return [*super().losses, *[f() for f in functions]]

    @property
    def updates(self) -> list[Any]:
        """Operations of a graph of generation 1 that keep moving averages up to date."""
        return [u for layer in self.walk() for u in getattr(layer, "_graph_updates", ())]

    def get_updates_for(self, inputs: Any) -> list[Any]:
        """The same as ``updates``."""
        return self.updates

    def get_losses_for(self, inputs: Any) -> list[Any]:
        """The same as ``losses``."""
        return self.losses

    # ---- calling

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        """Call the layer: on values it computes, on graph tensors it adds to their graph."""
        found = next(iter(world.graph_tensors(list(inputs), options)), None)
        if found is not None and not world.runs_inline(found.graph):
            from corenn_tensorflow.keras.engine.symbolic import apply

            return apply(self, inputs, options)
        return self.compute(inputs, options)

    def compute(self, inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """Call it on values."""
        inputs, options = self._arranged(inputs, options)
        if is_abstract():  # only shapes are asked for
            return super().__call__(*inputs, **options)
        marks, options = masks.given(self, inputs, options)
        result = super().__call__(*inputs, **options)
        masks.mark(self, inputs, marks, result)
        if self.activity_regularizer is not None and not world._world.inferring:
            for leaf in tree.leaves(result):
                core.Layer.add_loss(self, self.activity_regularizer(leaf) / float(leaf.spec.shape[0]))
        return result

    def _arranged(self, inputs: tuple[Any, ...], options: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """``training`` and ``mask`` as options, whatever way they came, and only where ``call`` takes them."""
        signature = call_signature(type(self).call)
        options = dict(options)
        if "inputs" in options and not inputs:
            inputs = (options.pop("inputs"),)
        if len(inputs) > 1:
            named = _positional(type(self).call)
            for place in range(1, min(len(inputs), len(named))):
                if named[place] in ("training", "mask"):  # it and all behind it are given by name from here on
                    options = {**dict(zip(named[place:], inputs[place:], strict=False)), **options}
                    inputs = inputs[:place]
                    break
        training = options.pop("training", None)
        if training is not None:
            options["training"] = bool(training) if not isinstance(training, GraphTensor) else training
        elif world._world.phase is not None:
            options["training"] = bool(world._world.phase)
        if "mask" in options and not (signature.needs_mask if options["mask"] is None else signature.takes_mask):
            del options["mask"]
        return inputs, options

    def _as_input(self, value: Any) -> Any:
        if value is None or isinstance(value, (str, bool)) or (callable(value) and not isinstance(value, Tensor)):
            return value
        if isinstance(value, np.ndarray) and value.dtype.kind in "OSU":  # text
            return convert_to_tensor(value)
        return super()._as_input(value)

    def _build(self, inputs: tuple[Any, ...]) -> None:
        maker = next(c for c in type(self).__mro__ if "build" in c.__dict__)
        if maker.__module__.startswith(CORE) or "takes_specs" in maker.__dict__:
            with world.eagerly(leave_graph=False):
                super()._build(inputs)
        else:
            self._build_by_shape(inputs)
        if self._initial_weights is not None:
            self.set_weights(self._initial_weights)
            self._initial_weights = None

    def _build_by_shape(self, inputs: tuple[Any, ...]) -> None:
        if not inputs:
            raise UsageError(self.name, "was called on nothing", hint=f"{self.name}(x)")
        made, penalised = len(self._own_weights), len(self._regularized)
        token = _interpreter.set(None)
        try:
            with world.eagerly():
                self.build(shape_of(inputs[0]))
        except BaseException:
            del self._own_weights[made:], self._regularized[penalised:]
            raise
        finally:
            _interpreter.reset(token)
        self.input_specs = tuple(tree.tree_map(lambda t: t.spec if isinstance(t, Tensor) else t, list(inputs)))
        self.built = True
        if not self._trainable:
            self.trainable = False

    @property
    def stateful(self) -> bool:
        """Whether it keeps states from batch to batch."""
        return bool(self.__dict__.get("_is_stateful", False))

    @stateful.setter
    def stateful(self, value: bool) -> None:
        self.__dict__["_is_stateful"] = bool(value)

    @property
    def dynamic(self) -> bool:
        """No: every layer runs eagerly where that is asked for."""
        return False

    # ---- Python

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "supports_masking":  # a user's layer that hands its input's mask on
            self.__dict__["keeps_mask"] = bool(value)
        own = self.__dict__.get("_own_weights")
        if own is not None and isinstance(value, Variable) and not any(value is w for w in own):
            own.append(value)
            if not value.trainable:
                self._fixed.add(id(value))
            structure_changed()
        super().__setattr__(name, value)


def _in_graph(layer: Any) -> list[Any]:
    penalties = [penalty(present(weight)) for weight, penalty in layer._regularized]
    functions = [f() for f in getattr(layer, "_loss_functions", ())]
    return [*penalties, *functions, *getattr(layer, "_graph_losses", ())]


def _is_dtype(value: Any) -> bool:
    if value is None or isinstance(value, (DType, np.dtype)):
        return True
    if isinstance(value, type):
        return issubclass(value, np.generic)
    return isinstance(value, str) and re.fullmatch(r"(b?float|u?int|complex)\d+|bool|string", value) is not None


def _positional(function: Callable[..., Any]) -> list[str]:
    import inspect

    return [
        p.name for p in list(inspect.signature(function).parameters.values())[1:]
        if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]  # fmt: skip


__all__ = ["CORE", "InputSpec", "Layer", "first_shape", "plain_shape", "shape_of"]
