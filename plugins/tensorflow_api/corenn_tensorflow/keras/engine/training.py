"""``Model``: Keras's way of compiling, training, evaluating and predicting, over corenn's loop."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np

from corenn import tree
from corenn.graph.tensors import GraphTensor
from corenn.layers.phase import structure_changed
from corenn.tensor import Tensor
from corenn.training import model as core
from corenn.training.steps import Steps
from corenn_tensorflow.keras import optimizers, world
from corenn_tensorflow.keras.engine.base_layer import Layer, plain_shape
from corenn_tensorflow.keras.engine.fitting import CompiledMetrics, Fitting
from corenn_tensorflow.keras.engine.functional import Plan, values_for
from corenn_tensorflow.keras.engine.objectives import Objectives
from corenn_tensorflow.keras.engine.saving import Saving
from corenn_tensorflow.keras.engine.symbolic import Input, node_of

_log = logging.getLogger("corenn")


class _Steps(Steps):
    """Steps that go op by op where tracing fails: what works eagerly must train."""

    def _run(self, what: str, step: Callable[..., Tensor], x: Any, y: Any, weight: Any) -> Tensor:
        if self._eager or self._model.run_eagerly:
            return step(x, y, weight)
        try:
            return super()._run(what, step, x, y, weight)
        except Exception:
            result = step(x, y, weight)  # an error of the model's own is raised here again
            self._eager = True
            return result


class Model(Fitting, Saving, Layer, core.Model):
    """``Model(inputs, outputs)``, or a subclass with ``call``."""

    _plan: Plan | None = None
    _compiled_trainable = SimpleNamespace(layers=[])

    def __new__(cls, *args: Any, **options: Any) -> Any:
        """A model."""
        return object.__new__(cls)

    def __init__(self, *args: Any, **options: Any) -> None:
        inputs, outputs = (
            options.pop("inputs", options.pop("input", None)),
            options.pop("outputs", options.pop("output", None)),
        )
        if args and len(args) >= 2 and world.graph_tensors(list(args[:2])):
            inputs, outputs, args = args[0], args[1], args[2:]
        name = options.pop("name", None) or next((a for a in args if isinstance(a, str)), None)
        trainable = options.pop("trainable", True)
        super().__init__(trainable=trainable, name=name, **options)
        self.casts_inputs = False
        self.stop_training = False
        self.history: Any = None
        self._compile_arguments = SimpleNamespace()
        if inputs is not None and outputs is not None:
            self._connect(inputs, outputs)

    # ---- functional models

    def _connect(self, inputs: Any, outputs: Any) -> None:
        self._inputs, self._outputs = inputs, outputs
        symbols, results = tree.leaves(inputs), tree.leaves(outputs)
        for found in (*symbols, *results):
            if not isinstance(found, GraphTensor):
                raise ValueError(
                    f"inputs and outputs must be symbolic tensors, not {found!r}: x = Input(shape); y = layer(x)"
                )
        self._plan = Plan(self.name, symbols, results)
        self._plan_layers = self._plan.layers
        names = [layer.name for layer in self._plan_layers]
        twice = sorted({n for n in names if names.count(n) > 1})
        if twice:
            raise ValueError(f'The name "{twice[0]}" is used 2 times in the model. All layer names should be unique.')
        self.built = True
        structure_changed()

    def add_loss(self, losses: Any, inputs: Any = None) -> None:
        """Add to the loss; symbolic losses are computed along with the model."""
        super().add_loss(losses, inputs)
        self._extend_plan()

    def add_metric(self, value: Any, aggregation: str | None = "mean", name: str | None = None) -> None:
        """Report the mean of ``value``."""
        super().add_metric(value, aggregation, name)
        self._extend_plan()

    def _extend_plan(self) -> None:
        extra = [*self._graph_losses, *self._metric_values.values()]
        if self._plan is not None and extra:
            self._plan = Plan(self.name, self._plan.inputs, [*tree.leaves(self._outputs), *extra])

    @property
    def inputs(self) -> list[Any]:
        """The symbolic inputs, a list."""
        return list(self._require_plan("inputs").inputs)

    @property
    def outputs(self) -> list[Any]:
        """The symbolic outputs, a list."""
        self._require_plan("outputs")
        return tree.leaves(self._outputs)

    @property
    def input(self) -> Any:
        """The symbolic input, or the list of them."""
        found = self.inputs
        return found[0] if len(found) == 1 else found

    @property
    def output(self) -> Any:
        """The symbolic output, or the list of them."""
        found = self.outputs
        return found[0] if len(found) == 1 else found

    def _require_plan(self, what: str) -> Plan:
        if self._plan is None:
            raise AttributeError(f"Layer {self.name} is not connected to an Input, and has no {what}")
        return self._plan

    @property
    def input_shape(self) -> Any:
        """The shape of the input, or a list of shapes."""
        shapes = [plain_shape(t.extents) for t in self.inputs]
        return shapes[0] if len(shapes) == 1 else shapes

    @property
    def output_shape(self) -> Any:
        """The shape of the output, or a list of shapes."""
        shapes = [plain_shape(t.extents) for t in self.outputs]
        return shapes[0] if len(shapes) == 1 else shapes

    @property
    def input_names(self) -> list[str]:
        """The names of the inputs."""
        return [n.layer.name if n is not None else t.operation.name for t in self.inputs for n in [node_of(t)]]

    @property
    def output_names(self) -> list[str]:
        """The names of the outputs: of the layers that give them."""
        if self._plan is None:
            return list(self.__dict__.get("_seen_outputs", ()))
        if isinstance(self._outputs, dict):
            return list(self._outputs)
        names = [n.layer.name if n is not None else t.operation.name for t in self.outputs for n in [node_of(t)]]
        counts: dict[str, int] = {}
        for i, name in enumerate(names):
            counts[name] = counts.get(name, -1) + 1
            names[i] = f"{name}_{counts[name]}" if counts[name] else name
        return names

    def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        """Run the layers between inputs and outputs."""
        plan = self._plan
        if plan is None:
            raise NotImplementedError("When subclassing the `Model` class, you should implement a `call` method.")
        given = [
            v if v.dtype is s.dtype else v.cast(s.dtype)
            for s, v in zip(plan.inputs, values_for(plan.inputs, inputs, self.input_names), strict=True)
        ]
        values = plan.run(given)
        results = tree.leaves(self._outputs)
        extra = iter(values[len(results) :])
        for _ in self._graph_losses:
            from corenn.ops.reduction import mean

            loss = next(extra)
            Layer.add_loss(self, mean(loss) if loss.ndim else loss)
        for name in self._metric_values:
            Layer.add_metric(self, next(extra), name=name)
        return tree.rebuild(self._outputs, iter(values[: len(results)]))

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The mask of the output, which functional models carry inside."""
        return None

    @property
    def layers(self) -> list[Any]:
        """The layers, inputs among them in functional models."""
        if self._plan is not None:
            return list(self._plan_layers)
        return [layer for layer in self.sublayers() if isinstance(layer, Layer)]

    def children(self) -> list[tuple[str, Any]]:
        """The layers by name."""
        if self._plan is None:
            return super().children()
        extra = [(k, v) for k, v in super().children() if not any(v is layer for layer in self._plan_layers)]
        return [*[(layer.name, layer) for layer in self._plan_layers], *extra]

    def get_layer(self, name: str | None = None, index: int | None = None) -> Any:
        """A layer by name or number."""
        if index is not None:
            return self.layers[index]
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise ValueError(f"No such layer: {name}. Existing layers are: {[layer.name for layer in self.layers]}")

    def build(self, input_shape: Any) -> None:
        """Make the weights for inputs of this shape."""
        if self._plan is not None or input_shape is None:
            self.built = True
            return
        many = isinstance(input_shape, list) and input_shape and not isinstance(input_shape[0], (int, type(None)))
        shapes = input_shape if many else [input_shape]
        with world.eagerly():
            made = [Input(batch_shape=plain_shape(s)) for s in shapes]
            from corenn_tensorflow.keras.engine.symbolic import infer

            infer(
                self, lambda *given: self.call(list(given) if many else given[0]), [(t.extents, t.dtype) for t in made]
            )
        self.built = True

    def _build_by_shape(self, inputs: tuple[Any, ...]) -> None:
        if type(self).build is Model.build:
            self.input_specs = tree.tree_map(lambda t: t.spec if isinstance(t, Tensor) else t, inputs)
            self.built = True
            return
        super()._build_by_shape(inputs)

    # ---- weights, in the order of the layers

    def get_weights(self) -> list[Any]:
        """Copies of all weights, layer by layer."""
        with world.eagerly():
            return [np.array(w._host()) for w in self._by_layer()]

    def set_weights(self, weights: Any) -> None:
        """Assign all weights, in the order of ``get_weights``."""
        with world.eagerly():
            mine = self._by_layer()
            if len(mine) != len(weights):
                raise ValueError(
                    f'You called `set_weights(weights)` on layer "{self.name}" with a weight list of length '
                    f"{len(weights)}, but the layer was expecting {len(mine)} weights."
                )
            for weight, value in zip(mine, weights, strict=True):
                weight.assign(np.asarray(value))

    def _by_layer(self) -> list[Any]:
        found: dict[int, Any] = {}
        for layer in self.layers:
            for weight in layer._by_layer() if isinstance(layer, Model) else layer.weights:
                found[id(weight)] = weight
        for weight in self.weights:
            found.setdefault(id(weight), weight)
        return list(found.values())

    # ---- compiling

    def compile(
        self, optimizer: Any = "rmsprop", loss: Any = None, metrics: Any = None, loss_weights: Any = None,
        sample_weight_mode: Any = None, weighted_metrics: Any = None, target_tensors: Any = None,
        distribute: Any = None, run_eagerly: Any = None, steps_per_execution: Any = None, **ignored: Any,
    ) -> None:  # fmt: skip
        """Choose how to train; see Keras."""
        with world.eagerly():
            self.optimizer = optimizers.get(optimizer)
            self.run_eagerly = bool(run_eagerly)
            listed = list(metrics) if isinstance(metrics, (set, tuple)) else metrics
            self._objectives = Objectives(lambda: self.output_names, loss, listed, weighted_metrics, loss_weights)
            self._traced = _Steps(self)
            # Not a dict, whose metrics would count as metrics of a layer where this model is one in another.
            self._compile_arguments = SimpleNamespace(
                optimizer=self.optimizer, loss=loss, metrics=metrics, loss_weights=loss_weights,
                weighted_metrics=weighted_metrics,
            )  # fmt: skip
            self.loss, self.loss_weights = loss, loss_weights
            self._compiled_trainable = SimpleNamespace(layers=[(layer, layer._trainable) for layer in self.walk()])

    @contextlib.contextmanager
    def _as_compiled(self) -> Iterator[None]:
        """In the block, layers are frozen as when the model was compiled: ``compile`` settles what is trained."""
        changed = [(layer, then) for layer, then in self._compiled_trainable.layers if layer._trainable != then]
        if not changed:
            yield
            return
        before = [(layer, layer._trainable, [(v, v.trainable) for v in layer._own_weights]) for layer, _ in changed]
        collected = self.__dict__.get("_collected")
        for layer, then in changed:
            layer.__dict__["_trainable"] = then
            for variable in layer._own_weights:
                variable.trainable = then and id(variable) not in layer._fixed
        self.__dict__["_collected"] = self._compiled_trainable.__dict__.get("collected")
        self._discrepancy()
        try:
            yield
        finally:
            self._compiled_trainable.collected = self.__dict__.get("_collected")
            self.__dict__["_collected"] = collected
            for layer, then, variables in before:
                layer.__dict__["_trainable"] = then
                for variable, own in variables:
                    variable.trainable = own

    def _discrepancy(self) -> None:
        if not self._compiled_trainable.__dict__.get("warned"):
            self._compiled_trainable.warned = True
            _log.info("%s: `trainable` was set after compile(), which trains what was trainable then", self.name)

    def _require_compiled(self, what: str) -> Any:
        if not self.compiled:
            raise RuntimeError(
                "You must compile your model before training/testing. Use `model.compile(optimizer, loss)`."
            )
        return self._objectives

    @property
    def metrics_names(self) -> list[str]:
        """``loss``, then the names of the metrics."""
        return [m.name for m in self.metrics]

    def compiled_loss(
        self, y_true: Any, y_pred: Any, sample_weight: Any = None, regularization_losses: Any = None
    ) -> Any:
        """The compiled loss and the penalties, for a ``train_step`` of one's own."""
        total = self._objectives.loss(y_true, y_pred, sample_weight)
        for extra in regularization_losses or ():
            total = extra if total is None else total + extra
        first = next((leaf for leaf in tree.leaves(y_pred) if isinstance(leaf, Tensor) and leaf.ndim), None)
        self._objectives.tracker.update_state(total, sample_weight=None if first is None else float(first.shape[0]))
        return total

    @property
    def compiled_metrics(self) -> Any:
        """What has ``update_state(y, y_pred)`` for the compiled metrics."""
        return CompiledMetrics(self._objectives)

    def compute_loss(self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None) -> Any:
        """The scalar to minimise."""
        value = self._objectives.loss(y, y_pred, sample_weight)
        for extra in self.losses:
            value = extra if value is None else value + extra
        if value is None:
            raise ValueError("The model cannot be compiled because it has no loss to optimize.")
        return value

    def reset_states(self) -> None:
        """Set the states of stateful layers to 0."""
        with world.eagerly():
            for layer in self.walk():
                if layer is not self and hasattr(layer, "reset_state"):
                    layer.reset_state()

    @property
    def stateful(self) -> bool:
        """Whether any layer keeps states."""
        return any(getattr(layer, "stateful", False) for layer in self.walk() if layer is not self)

    @property
    def metrics(self) -> list[Any]:
        """The loss and the compiled metrics, and those held by layers."""
        return core.Model.metrics.fget(self)  # type: ignore[attr-defined,no-any-return]

    def summary(
        self, line_length: int | None = None, positions: Any = None, print_fn: Any = None, **ignored: Any
    ) -> None:
        """Print the layers with output shapes and numbers of weights."""
        from corenn_tensorflow.keras.engine.summary import lines

        for line in lines(self, line_length or 65, positions):
            (print_fn or print)(line)

    def count_params(self) -> int:
        """The number of scalars in all weights."""
        with world.eagerly():
            if not self.built and not self.weights:
                raise ValueError(f"You tried to call `count_params` on {self.name}, but the layer isn't built.")
            return core.Model.count_params(self)


__all__ = ["Model"]
