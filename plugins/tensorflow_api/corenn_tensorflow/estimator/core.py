"""``Estimator``: a model function trained, evaluated and asked for predictions, each in a graph of its own.

Source of names, logs and defaults: tensorflow_estimator/python/estimator/estimator.py of 1.15.
"""

from __future__ import annotations

import inspect
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

import corenn
from corenn.graph import state
from corenn.graph.graph import Graph
from corenn_tensorflow import errors, logging, mode, summary
from corenn_tensorflow.estimator.specs import EstimatorSpec, ModeKeys, RunConfig, WarmStartSettings
from corenn_tensorflow.framework import TFGraph
from corenn_tensorflow.summary.writers import FileWriterCache
from corenn_tensorflow.train import checkpoints
from corenn_tensorflow.train import hooks as hooks_module
from corenn_tensorflow.train.global_step import create_global_step, get_global_step
from corenn_tensorflow.train.monitored import (
    ChiefSessionCreator,
    MonitoredSession,
    MonitoredTrainingSession,
    Scaffold,
)
from corenn_tensorflow.train.optimizer import graph_variable_class
from corenn_tensorflow.train.saver import Saver
from corenn_tensorflow.train.small_hooks import FinalOpsHook


class Estimator:
    """Trains and uses the model that ``model_fn(features, labels, mode, params, config)`` describes.

    ``model_fn`` returns an ``EstimatorSpec``; arguments it does not name are not passed.  Checkpoints and summaries are
    in ``model_dir``, from which training goes on.
    """

    def __init__(
        self, model_fn: Callable[..., EstimatorSpec], model_dir: Any = None, config: Any = None,
        params: Any = None, warm_start_from: Any = None,
    ) -> None:  # fmt: skip
        if model_fn is None:
            raise ValueError("model_fn must be provided to Estimator.")
        given = inspect.signature(model_fn).parameters
        if "features" not in given and not any(p.kind is p.VAR_KEYWORD for p in given.values()):
            raise ValueError(f"model_fn ({model_fn}) must include features argument.")
        if params is not None and "params" not in given:
            raise ValueError(f"model_fn ({model_fn}) does not include params argument, but it is passed to Estimator.")
        self._model_fn, self._params = model_fn, params
        config = RunConfig() if config is None else config
        if isinstance(config, dict):
            config = RunConfig().replace(**config)
        if not isinstance(config, RunConfig):
            raise ValueError(f"config must be an instance of `RunConfig`, but provided {config}.")
        directory = model_dir if model_dir is not None else config.model_dir
        if model_dir is not None and config.model_dir not in (None, model_dir):
            raise ValueError(
                "`model_dir` are set both in constructor and `RunConfig`, but with different values. In constructor: "
                f"'{model_dir}', in `RunConfig`: '{config.model_dir}' "
            )
        if directory is None:
            directory = tempfile.mkdtemp()
            logging.warning("Using temporary folder as model directory: %s", directory)
        self._model_dir = os.fspath(directory)
        self._config = config.replace(model_dir=self._model_dir)
        self._warm_start = (
            WarmStartSettings(warm_start_from) if isinstance(warm_start_from, (str, os.PathLike)) else warm_start_from
        )
        logging.info("Using config: %s", {f"_{k}": v for k, v in self._config._settings.items()})

    # ---- what it is

    @property
    def model_dir(self) -> str:
        """Where checkpoints and summaries are."""
        return self._model_dir

    @property
    def config(self) -> RunConfig:
        """How it runs."""
        return self._config

    @property
    def params(self) -> Any:
        """A copy of the parameters of the model function."""
        import copy

        return copy.deepcopy(self._params)

    @property
    def model_fn(self) -> Callable[..., Any]:
        """The model function, without parameters and configuration."""

        def public(features: Any, labels: Any, mode: str, config: Any = None) -> EstimatorSpec:
            return self._call_model_fn(features, labels, mode)

        return public

    def latest_checkpoint(self) -> str | None:
        """The prefix of the newest checkpoint."""
        return checkpoints.latest_checkpoint(self._model_dir)

    def get_variable_names(self) -> list[str]:
        """The names of all variables of the newest checkpoint."""
        self._check_trained()
        return [name for name, _ in checkpoints.list_variables(self._model_dir)]

    def get_variable_value(self, name: str) -> Any:
        """The value of one."""
        self._check_trained()
        return checkpoints.load_variable(self._model_dir, name)

    def _check_trained(self) -> None:
        if self.latest_checkpoint() is None:
            raise ValueError(f"Estimator has not been trained yet: there is no checkpoint in {self._model_dir}")

    def eval_dir(self, name: str | None = None) -> str:
        """Where summaries of evaluations are."""
        return os.path.join(self._model_dir, "eval" if not name else "eval_" + name)

    # ---- graphs

    @contextmanager
    def _graph(self) -> Iterator[Graph]:
        graph = TFGraph()
        graph.seed = self._config.tf_random_seed
        with mode.speaking(1), graph.as_default():
            yield graph

    def _inputs(self, input_fn: Callable[..., Any], mode_key: str) -> tuple[Any, Any]:
        """Features and labels."""
        names = inspect.signature(input_fn).parameters
        options: dict[str, Any] = {}
        if "mode" in names:
            options["mode"] = mode_key
        if "params" in names:
            options["params"] = self.params
        if "config" in names:
            options["config"] = self._config
        result = input_fn(**options)
        result = _from_dataset(result)
        if isinstance(result, (list, tuple)):
            if len(result) != 2:
                raise ValueError("input_fn should return (features, labels) as a len 2 tuple.")
            return result[0], result[1]
        return result, None

    def _call_model_fn(self, features: Any, labels: Any, mode_key: str) -> EstimatorSpec:
        names = inspect.signature(self._model_fn).parameters
        every = any(p.kind is p.VAR_KEYWORD for p in names.values())
        options: dict[str, Any] = {}
        if "labels" in names or every:
            options["labels"] = labels
        elif labels is not None:
            raise ValueError("model_fn does not take labels, but input_fn returns labels.")
        given = {"mode": mode_key, "params": self.params, "config": self._config}
        options |= {k: v for k, v in given.items() if k in names or (every and k != "params")}
        logging.info("Calling model_fn.")
        spec = self._model_fn(features=features, **options)
        logging.info("Done calling model_fn.")
        if not isinstance(spec, EstimatorSpec):
            raise ValueError("model_fn should return an EstimatorSpec.")
        return spec

    # ---- training

    def train(
        self, input_fn: Callable[..., Any], hooks: Iterable[Any] | None = None, steps: int | None = None,
        max_steps: int | None = None, saving_listeners: Sequence[Any] | None = None,
    ) -> Estimator:  # fmt: skip
        """Train for ``steps`` further steps, or up to step ``max_steps``, or until the input ends."""
        if steps is not None and max_steps is not None:
            raise ValueError("Can not provide both steps and max_steps.")
        for label, value in (("steps", steps), ("max_steps", max_steps)):
            if value is not None and value <= 0:
                raise ValueError(f"Must specify {label} > 0, given: {value}")
        if max_steps is not None:
            latest = self.latest_checkpoint()
            if latest is not None and int(checkpoints.load_variable(latest, "global_step")) >= max_steps:
                logging.info("Skipping training since max_steps has already saved.")
                return self
        loss = self._train(input_fn, list(hooks or ()), steps, max_steps, saving_listeners)
        logging.info("Loss for final step: %s.", loss)
        return self

    def _train(
        self, input_fn: Callable[..., Any], chosen: list[Any], steps: int | None, max_steps: int | None, listeners: Any
    ) -> Any:
        config = self._config
        with self._graph() as graph:
            step = create_global_step(graph)
            features, labels = self._inputs(input_fn, ModeKeys.TRAIN)
            spec = self._call_model_fn(features, labels, ModeKeys.TRAIN)
            if self._warm_start is not None and self.latest_checkpoint() is None:
                checkpoints.warm_start(*self._warm_start)
            if not any(
                s.operation.name == "loss" for s in graph.get_collection("summaries") if hasattr(s, "operation")
            ):
                summary.graph_mode.scalar("loss", spec.loss)
            graph.add_to_collection("losses", spec.loss)
            if steps is not None or max_steps is not None:
                chosen.append(hooks_module.StopAtStepHook(num_steps=steps, last_step=max_steps))
            every = config.log_step_count_steps
            own = [hooks_module.NanTensorHook(spec.loss)]
            if every:
                own.append(hooks_module.LoggingTensorHook({"loss": spec.loss, "step": step}, every_n_iter=every))
            scaffold = self._scaffold(spec)
            saving = [h for h in (*chosen, *spec.training_hooks) if isinstance(h, hooks_module.CheckpointSaverHook)]
            secs, count = config.save_checkpoints_secs, config.save_checkpoints_steps
            if not saving and (secs or count):
                saving = [
                    hooks_module.CheckpointSaverHook(
                        self._model_dir, save_secs=secs, save_steps=count, scaffold=scaffold, listeners=listeners
                    )
                ]
                own += saving
            session = MonitoredTrainingSession(
                checkpoint_dir=self._model_dir, scaffold=scaffold, save_checkpoint_secs=0,
                save_summaries_steps=config.save_summary_steps or 0, config=config.session_config,
                log_step_count_steps=every, hooks=[*own, *spec.training_chief_hooks, *chosen, *spec.training_hooks],
            )  # fmt: skip
            loss = None
            with session:
                while not session.should_stop():
                    _, loss = session.run([spec.train_op, spec.loss])
            return loss

    def _scaffold(self, spec: EstimatorSpec) -> Scaffold:
        scaffold = spec.scaffold or Scaffold()
        graph = mode.default_graph()
        if scaffold.saver is None and not graph.get_collection("savers"):
            config = self._config
            graph.add_to_collection(
                "savers",
                Saver(max_to_keep=config.keep_checkpoint_max, defer_build=True, allow_empty=True,
                      keep_checkpoint_every_n_hours=config.keep_checkpoint_every_n_hours),
            )  # fmt: skip
        return scaffold

    # ---- evaluating

    def evaluate(
        self, input_fn: Callable[..., Any], steps: int | None = None, hooks: Iterable[Any] | None = None,
        checkpoint_path: Any = None, name: str | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        """The metrics of the model, ``loss`` (the mean over batches) and ``global_step``."""
        if steps is not None and steps <= 0:
            raise ValueError(f"Must specify steps > 0, given: {steps}")
        path = checkpoint_path or self.latest_checkpoint()
        if path is None:
            logging.info(
                "Could not find trained model in model_dir: %s, running initialization to evaluate.", self._model_dir
            )
        with self._graph() as graph:
            create_global_step(graph)
            features, labels = self._inputs(input_fn, ModeKeys.EVAL)
            spec = self._call_model_fn(features, labels, ModeKeys.EVAL)
            metrics = {k: _pair(v) for k, v in spec.eval_metric_ops.items()}
            if "loss" in metrics:
                raise ValueError('Metric with name "loss" is not allowed, because Estimator uses it.')
            metrics["loss"] = mean_metric(spec.loss, "loss_of_evaluation")
            update = state.group(graph, *[u for _, u in metrics.values()], name="evaluate")
            finals = {**{k: v for k, (v, _) in metrics.items()}, "global_step": get_global_step(graph)}
            final = FinalOpsHook(finals)
            creator = ChiefSessionCreator(
                self._scaffold(spec), config=self._config.session_config, checkpoint_filename_with_path=path
            )
            done = 0
            with MonitoredSession(creator, [*(hooks or ()), *spec.evaluation_hooks, final]) as session:
                while not session.should_stop() and (steps is None or done < steps):
                    session.run(update)
                    done += 1
            found: dict[str, Any] = final.final_ops_values
        logging.info(
            "Saving dict for global step %d: %s",
            found["global_step"],
            ", ".join(f"{k} = {v}" for k, v in sorted(found.items())),
        )
        self._write_evaluation(name, found)
        return found

    def _write_evaluation(self, name: str | None, found: Mapping[str, Any]) -> None:
        writer = FileWriterCache.get(self.eval_dir(name))
        made = summary.Summary()
        for key, value in sorted(found.items()):
            if key != "global_step" and np.ndim(value) == 0 and np.asarray(value).dtype.kind in "fiu":
                made.value.add(tag=key, simple_value=float(value))
        writer.add_summary(made, int(found["global_step"]))
        writer.flush()

    # ---- predicting

    def predict(
        self, input_fn: Callable[..., Any], predict_keys: Any = None, hooks: Iterable[Any] | None = None,
        checkpoint_path: Any = None, yield_single_examples: bool = True,
    ) -> Iterator[Any]:  # fmt: skip
        """The predictions, one example after another (or batch after batch)."""
        path = checkpoint_path or self.latest_checkpoint()
        if path is None:
            logging.info(
                "Could not find trained model in model_dir: %s, running initialization to predict.", self._model_dir
            )
        # A generator must not leave its graph the default one between values, so it is entered for each of them.
        with self._graph() as graph:
            create_global_step(graph)
            features, _ = self._inputs(input_fn, ModeKeys.PREDICT)
            spec = self._call_model_fn(features, None, ModeKeys.PREDICT)
            wanted = spec.predictions
            if predict_keys is not None:
                if not isinstance(wanted, Mapping):
                    raise ValueError("predict_keys argument is not valid in case of non-dict predictions.")
                keys = [predict_keys] if isinstance(predict_keys, str) else list(predict_keys)
                wanted = {k: v for k, v in wanted.items() if k in keys}
                if not wanted:
                    raise ValueError(
                        f"Expected to run at least one output from {list(spec.predictions)}, provided {keys}."
                    )
            creator = ChiefSessionCreator(
                self._scaffold(spec), config=self._config.session_config, checkpoint_filename_with_path=path
            )
            session = MonitoredSession(creator, [*(hooks or ()), *spec.prediction_hooks])
        endless = not _ends(graph)
        try:
            while not session.should_stop():
                try:
                    with mode.speaking(1), graph.as_default():
                        values = session.run(wanted)
                except errors.OutOfRangeError:
                    break
                if not yield_single_examples:
                    yield values
                elif isinstance(values, Mapping):
                    for i in range(_length(values)):
                        yield {k: v[i] for k, v in values.items()}
                else:
                    yield from values
                if endless:
                    break
        finally:
            with graph.as_default():
                session.close()

    # ---- exporting

    def export_saved_model(
        self, export_dir_base: Any, serving_input_receiver_fn: Callable[[], Any], assets_extra: Any = None,
        as_text: bool = False, checkpoint_path: Any = None, experimental_mode: str = ModeKeys.PREDICT,
    ) -> str:  # fmt: skip
        """Write the model for prediction into a new directory below ``export_dir_base``; returns its path."""
        from corenn_tensorflow.estimator.export import export

        return export(self, os.fspath(export_dir_base), serving_input_receiver_fn, checkpoint_path, experimental_mode)

    def export_savedmodel(
        self, export_dir_base: Any, serving_input_receiver_fn: Callable[[], Any], assets_extra: Any = None,
        as_text: bool = False, checkpoint_path: Any = None, strip_default_attrs: bool = False,
    ) -> str:  # fmt: skip
        """As ``export_saved_model``, which it was called before."""
        return self.export_saved_model(
            export_dir_base, serving_input_receiver_fn, assets_extra, as_text, checkpoint_path
        )


def _from_dataset(result: Any) -> Any:
    """The next element of a data set, as tensors; anything else as it is."""
    if not (hasattr(result, "batch") and hasattr(result, "map")):
        return result
    if not hasattr(result, "make_initializable_iterator"):
        from corenn_tensorflow import data

        iterator = data.make_initializable_iterator(result)
    else:
        iterator = result.make_initializable_iterator()
    mode.default_graph().add_to_collection("table_initializer", iterator.initializer)
    return iterator.get_next()


def _ends(graph: Graph) -> bool:
    """Whether the input comes from operations that can end it; constants give the same for ever."""
    from corenn.graph.kinds import HostCallKind

    return any(isinstance(o.kind, HostCallKind) and o.kind.effects for o in graph.get_operations()) or any(
        "Iterator" in o.type for o in graph.get_operations()
    )


def _length(values: Mapping[str, Any]) -> int:
    lengths = {k: np.shape(v)[0] if np.ndim(v) else None for k, v in values.items()}
    if None in lengths.values() or len(set(lengths.values())) > 1:
        raise ValueError(f"Batch length of predictions should be same. {lengths}: use yield_single_examples=False")
    return next(iter(lengths.values())) or 0


def _pair(metric: Any) -> tuple[Any, Any]:
    """Value and update of a metric: a pair, or a Keras metric."""
    if isinstance(metric, tuple):
        return metric
    updates = list(metric.updates)
    return metric.result(), updates[0] if len(updates) == 1 else state.group(mode.default_graph(), *updates)


def mean_metric(value: Any, name: str, weight: Any = None) -> tuple[Any, Any]:
    """The mean of a scalar over all runs of the update: two local variables."""
    graph = mode.default_graph()
    with graph.name_scope(name):

        def counter(label: str) -> Any:
            return state.variable(graph, np.zeros((), np.float32), name=label, trainable=False,
                                  collections=[state.LOCAL], cls=graph_variable_class())  # fmt: skip

        total, count = counter("total"), counter("count")
        given = corenn.cast(graph.convert(value), dtype="float32")
        factor = 1.0 if weight is None else graph.convert(weight)
        added, counted = total.assign_add(corenn.sum(given * factor)), count.assign_add(factor)
        safe = corenn.maximum(graph.convert(count), 1e-12)
        return graph.convert(total) / safe, added / counted


__all__ = ["Estimator", "mean_metric"]
