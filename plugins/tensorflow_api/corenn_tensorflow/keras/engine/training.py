"""``Model``: Keras's way of compiling, training, evaluating and predicting, over corenn's loop."""

from __future__ import annotations

import contextlib
import itertools
import logging
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np

from corenn import tree
from corenn.graph.tensors import GraphTensor
from corenn.layers.phase import structure_changed
from corenn.tensor import Tensor
from corenn.training import feeding as core_feeding
from corenn.training import model as core
from corenn.training.steps import Steps
from corenn_tensorflow.keras import optimizers, world
from corenn_tensorflow.keras.engine import feeding
from corenn_tensorflow.keras.engine.base_layer import Layer, plain_shape
from corenn_tensorflow.keras.engine.bridge import Bridge
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


class Model(Saving, Layer, core.Model):
    """``Model(inputs, outputs)``, or a subclass with ``call``."""

    _plan: Plan | None = None
    _step_results: dict[str, Any] | None = None
    _overridden: frozenset[str] = frozenset()
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
        self._objectives.tracker.update_state(total)
        return total

    @property
    def compiled_metrics(self) -> Any:
        """What has ``update_state(y, y_pred)`` for the compiled metrics."""
        return _CompiledMetrics(self._objectives)

    def compute_loss(self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None) -> Any:
        """The scalar to minimise."""
        value = self._objectives.loss(y, y_pred, sample_weight)
        for extra in self.losses:
            value = extra if value is None else value + extra
        if value is None:
            raise ValueError("The model cannot be compiled because it has no loss to optimize.")
        return value

    def _tensors(self, batch: Any) -> tuple[Any, Any, Any]:
        x, y, weight = core_feeding.unpack(batch)
        double = self._parts().double
        return (
            core_feeding.as_tensors(feeding.with_axis(x), double),
            core_feeding.as_tensors(feeding.with_axis(y), double),
            core_feeding.as_tensors(weight, double),
        )

    def train_on_tensors(self, x: Any, y: Any, weight: Any) -> Any:
        """One step on tensors."""
        self._note_outputs(x)
        return super().train_on_tensors(x, y, weight)

    def _note_outputs(self, x: Any) -> None:
        pass

    # ---- steps of one's own

    def make_train_function(self, force: bool = False) -> Any:
        """The training step."""
        return self.train_step

    def _own_steps(self) -> dict[str, Any]:
        """Steps that a subclass defines, in the form the loop calls."""
        found: dict[str, Any] = {}
        for name in ("train_step", "test_step"):
            owner = next(c for c in type(self).__mro__ if name in c.__dict__)
            if not owner.__module__.startswith(("corenn.", "corenn_tensorflow.")):
                found[name] = self._adapted(getattr(type(self), name))
        return found

    def _adapted(self, step: Any) -> Any:
        def run(batch: Any) -> Any:
            x, y, weight = self._tensors(batch)
            data = x if y is None else (x, y) if weight is None else (x, y, weight)
            logs = step(self, data)
            self._step_results = {k: v for k, v in logs.items()} if isinstance(logs, dict) else {"loss": logs}
            return self._step_results.get("loss", next(iter(self._step_results.values()), 0.0))

        return run

    def metric_results(self) -> dict[str, float]:
        """Present values by name; of a step of one's own, what it returned."""
        if self._step_results is not None:
            return {k: float(np.mean(_number(v))) for k, v in self._step_results.items()}
        with world.eagerly():
            return core.Model.metric_results(self)

    # ---- whole data

    def fit(
        self, x: Any = None, y: Any = None, batch_size: int | None = None, epochs: int = 1, verbose: Any = 1,
        callbacks: Any = None, validation_split: float = 0.0, validation_data: Any = None, shuffle: Any = True,
        class_weight: Any = None, sample_weight: Any = None, initial_epoch: int = 0, steps_per_epoch: int | None = None,
        validation_steps: int | None = None, validation_batch_size: int | None = None, validation_freq: int = 1,
        max_queue_size: int = 10, workers: int = 1, use_multiprocessing: bool = False, nb_epoch: int | None = None,
        **legacy: Any,
    ) -> Any:  # fmt: skip
        """Train; returns a ``History``.  Arguments as in Keras, those of Keras 1 (``nb_epoch``) among them."""
        self._require_compiled("fit")
        epochs = epochs if nb_epoch is None else nb_epoch
        if legacy.pop("show_accuracy", None) is not None or legacy:
            raise TypeError(f"fit() got unexpected arguments {sorted(legacy)}") if legacy else None
        with world.eagerly():
            x, y, sample_weight = feeding.prepared(x, y, sample_weight)
            if validation_data is not None:
                validation_data = self._validation(validation_data, validation_batch_size or batch_size)
            arrays = y is not None or core_feeding.is_arrays(x)
            bridge = Bridge(self, callbacks, {
                "epochs": int(epochs), "batch_size": batch_size or 32, "verbose": verbose, "do_validation":
                validation_data is not None or bool(validation_split), "samples": _count(x),
                "steps": steps_per_epoch, "metrics": self.metrics_names,
            })  # fmt: skip
            own = self._own_steps()
            self.__dict__.update(own)
            self._step_results, self.stop_training = None, False
            try:
                with self._as_compiled():
                    core.Model.fit(
                        self, x, y, batch_size=batch_size if arrays else None, epochs=int(epochs), verbose=verbose,
                        callbacks=[*bridge.core, bridge], validation_split=validation_split or 0.0,
                        validation_data=validation_data, shuffle=bool(shuffle), class_weight=class_weight,
                        sample_weight=sample_weight, initial_epoch=initial_epoch,
                        steps_per_epoch=None if steps_per_epoch is None else int(steps_per_epoch),
                        validation_steps=None if validation_steps is None else int(validation_steps),
                        validation_freq=validation_freq if isinstance(validation_freq, int) else 1,
                    )  # fmt: skip
            finally:
                for name in own:
                    self.__dict__.pop(name, None)
                self._step_results = None
        self.history = bridge.history
        return bridge.history

    def _validation(self, data: Any, batch_size: int | None) -> Any:
        own = getattr(data, "core_batches", None)
        if own is not None:
            return own()
        if isinstance(data, (tuple, list)):
            if feeding.world_graph(data):
                return feeding.prepared(*(*data, None)[:3])[0]
            return tuple(feeding.columns(part) for part in data)
        if feeding.is_sequence(data):
            return feeding.prepared(data, None, None)[0]
        return data

    def evaluate(
        self, x: Any = None, y: Any = None, batch_size: int | None = None, verbose: Any = 1, sample_weight: Any = None,
        steps: int | None = None, callbacks: Any = None, max_queue_size: int = 10, workers: int = 1,
        use_multiprocessing: bool = False, return_dict: bool = False,
    ) -> Any:  # fmt: skip
        """The loss, or a list of the loss and the metrics."""
        self._require_compiled("evaluate")
        with world.eagerly():
            x, y, sample_weight = feeding.prepared(x, y, sample_weight)
            arrays = y is not None or core_feeding.is_arrays(x)
            bridge = Bridge(self, callbacks, {})
            own = self._own_steps()
            self.__dict__.update(own)
            self._step_results = None
            try:
                found = core.Model.evaluate(
                    self, x, y, batch_size=batch_size if arrays else None, sample_weight=sample_weight,
                    steps=None if steps is None else int(steps), callbacks=[*bridge.core, bridge],
                )  # fmt: skip
            finally:
                for name in own:
                    self.__dict__.pop(name, None)
                self._step_results = None
        if verbose not in (0, False):
            print(" - ".join(f"{name}: {value:.4f}" for name, value in found.items()))
        return found if return_dict else _listed(found)

    def predict(
        self, x: Any, batch_size: int | None = None, verbose: Any = 0, steps: int | None = None, callbacks: Any = None,
        max_queue_size: int = 10, workers: int = 1, use_multiprocessing: bool = False,
    ) -> Any:  # fmt: skip
        """Outputs for data, as NumPy arrays."""
        with world.eagerly():
            x, _, _ = feeding.prepared(x, None, None)
            arrays = core_feeding.is_arrays(x)
            found = core.Model.predict(
                self, x, batch_size=batch_size if arrays else None, steps=None if steps is None else int(steps)
            )
        return list(found) if isinstance(found, tuple) else found

    def train_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, class_weight: Any = None, reset_metrics: bool = True,
        return_dict: bool = False,
    ) -> Any:  # fmt: skip
        """One step on one batch; its loss, or a list of loss and metrics."""
        return self._on_batch(self.train_step, x, y, sample_weight, class_weight, reset_metrics, return_dict)

    def test_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, reset_metrics: bool = True, return_dict: bool = False
    ) -> Any:
        """The loss of one batch, or a list of loss and metrics."""
        return self._on_batch(self.test_step, x, y, sample_weight, None, reset_metrics, return_dict)

    def _on_batch(self, step: Any, x: Any, y: Any, weight: Any, class_weight: Any, reset: bool, as_dict: bool) -> Any:
        self._require_compiled("train_on_batch")
        with world.eagerly(), self._placed(), self._as_compiled():
            x, y, weight = feeding.columns(x), feeding.columns(y), feeding.columns(weight)
            if class_weight is not None:
                by_class = core_feeding.class_weights(y, class_weight)
                weight = by_class if weight is None else by_class * np.asarray(weight)
            if reset:
                self.reset_metrics()
            own = self._own_steps().get(step.__name__)
            loss = (own or step)((x, y, weight))
            found = self.metric_results()
            if own is None:
                found = {**found, "loss": float(loss)} if reset or not found else found
            self._step_results = None
        return found if as_dict else _listed(found)

    def predict_on_batch(self, x: Any) -> Any:
        """Outputs for one batch, as NumPy arrays."""
        with world.eagerly():
            found = core.Model.predict_on_batch(self, feeding.with_axis(feeding.columns(x)))
        return list(found) if isinstance(found, tuple) else found

    # ---- generators, as Keras 1 and 2 had them

    def fit_generator(
        self, generator: Any, steps_per_epoch: int | None = None, epochs: int = 1, verbose: Any = 1,
        callbacks: Any = None, validation_data: Any = None, validation_steps: int | None = None,
        validation_freq: int = 1, class_weight: Any = None, max_queue_size: int = 10, workers: int = 1,
        use_multiprocessing: bool = False, shuffle: bool = True, initial_epoch: int = 0,
        samples_per_epoch: int | None = None, nb_epoch: int | None = None, nb_val_samples: int | None = None,
        **legacy: Any,
    ) -> Any:  # fmt: skip
        """``fit`` on a generator of batches."""
        if steps_per_epoch is None and samples_per_epoch is not None:
            generator, steps_per_epoch = _steps_of(generator, samples_per_epoch)
        if validation_steps is None and nb_val_samples is not None:
            validation_data, validation_steps = _steps_of(validation_data, nb_val_samples)
        if validation_data is not None and feeding.is_sequence(validation_data) and validation_steps is None:
            validation_steps = len(validation_data)
        return self.fit(
            generator, epochs=nb_epoch or epochs, steps_per_epoch=steps_per_epoch, verbose=verbose, callbacks=callbacks,
            validation_data=validation_data, validation_steps=validation_steps, validation_freq=validation_freq,
            class_weight=class_weight, initial_epoch=initial_epoch,
        )  # fmt: skip

    def evaluate_generator(
        self, generator: Any, steps: int | None = None, callbacks: Any = None, max_queue_size: int = 10,
        workers: int = 1, use_multiprocessing: bool = False, verbose: Any = 0, val_samples: int | None = None,
    ) -> Any:  # fmt: skip
        """``evaluate`` on a generator of batches."""
        if steps is None and val_samples is not None:
            generator, steps = _steps_of(generator, val_samples)
        return self.evaluate(generator, steps=steps, callbacks=callbacks, verbose=verbose)

    def predict_generator(
        self, generator: Any, steps: int | None = None, callbacks: Any = None, max_queue_size: int = 10,
        workers: int = 1, use_multiprocessing: bool = False, verbose: Any = 0, val_samples: int | None = None,
    ) -> Any:  # fmt: skip
        """``predict`` on a generator of batches."""
        if steps is None and val_samples is not None:
            generator, steps = _steps_of(generator, val_samples)
        return self.predict(generator, steps=steps, verbose=verbose)

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


def _steps_of(batches: Any, samples: int) -> tuple[Any, int]:
    """The batches, and how many hold so many samples: Keras 1 counted samples.  The first one says how large they are.

    Data that are not batches that come one by one (arrays) go through, for as many steps as there are samples.
    """
    size = getattr(batches, "batch_size", None)
    if size is None and hasattr(batches, "__next__"):
        first = next(batches)
        batches = itertools.chain([first], batches)
        leaves = tree.leaves(first[0] if isinstance(first, tuple) else first)
        size = len(leaves[0]) if leaves and np.ndim(leaves[0]) else None
    return batches, max(1, -(-samples // (size or 1)))


class _CompiledMetrics:
    def __init__(self, objectives: Any) -> None:
        self._objectives = objectives

    def update_state(self, y: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch to the compiled metrics."""
        for _, metric, takes_weight in self._objectives._metrics:
            if takes_weight:
                metric.update_state(y, y_pred, sample_weight=sample_weight)
            else:
                metric.update_state(y, y_pred)


def _number(value: Any) -> Any:
    return np.asarray(value._host()) if isinstance(value, Tensor) else value


def _listed(found: dict[str, float]) -> Any:
    values = list(found.values())
    return values[0] if len(values) == 1 else values


def _count(x: Any) -> int | None:
    leaves = tree.leaves(x) if core_feeding.is_arrays(x) else []
    return len(leaves[0]) if leaves and np.ndim(leaves[0]) else None


__all__ = ["Model"]
