"""What estimators are told and tell: ``ModeKeys``, ``RunConfig``, ``EstimatorSpec``, ``TrainSpec``, ``EvalSpec``."""

from __future__ import annotations

import copy
from collections import namedtuple
from collections.abc import Iterable, Mapping
from typing import Any

from corenn.graph.tensors import GraphTensor
from corenn_tensorflow.train.monitored import Scaffold


class ModeKeys:
    """What a model function is called for."""

    TRAIN = "train"
    EVAL = "eval"
    PREDICT = "infer"


class RunConfig:
    """How an estimator runs: where it saves, how often, with what seed."""

    def __init__(
        self, model_dir: Any = None, tf_random_seed: int | None = None, save_summary_steps: int | None = 100,
        save_checkpoints_steps: Any = "default", save_checkpoints_secs: Any = "default", session_config: Any = None,
        keep_checkpoint_max: int | None = 5, keep_checkpoint_every_n_hours: float = 10000,
        log_step_count_steps: int | None = 100, train_distribute: Any = None, device_fn: Any = None,
        protocol: Any = None, eval_distribute: Any = None, experimental_distribute: Any = None,
        experimental_max_worker_delay_secs: Any = None, session_creation_timeout_secs: float = 7200,
        checkpoint_save_graph_def: bool = True, **older: Any,
    ) -> None:  # fmt: skip
        if save_checkpoints_steps == "default" and save_checkpoints_secs == "default":
            save_checkpoints_steps, save_checkpoints_secs = None, 600
        elif save_checkpoints_secs == "default":
            save_checkpoints_secs = None
        elif save_checkpoints_steps == "default":
            save_checkpoints_steps = None
        elif save_checkpoints_steps is not None and save_checkpoints_secs is not None:
            raise ValueError("`save_checkpoints_steps` and `save_checkpoints_secs` cannot be both set.")
        self._settings = {
            "model_dir": model_dir, "tf_random_seed": tf_random_seed, "save_summary_steps": save_summary_steps,
            "save_checkpoints_steps": save_checkpoints_steps, "save_checkpoints_secs": save_checkpoints_secs,
            "session_config": session_config, "keep_checkpoint_max": keep_checkpoint_max,
            "keep_checkpoint_every_n_hours": keep_checkpoint_every_n_hours,
            "log_step_count_steps": log_step_count_steps, "train_distribute": train_distribute, "device_fn": device_fn,
            "protocol": protocol, "eval_distribute": eval_distribute,
        }  # fmt: skip
        if train_distribute is not None and getattr(train_distribute, "num_replicas_in_sync", 1) > 1:
            from corenn.errors import UsageError

            raise UsageError("RunConfig", "train_distribute has several replicas, and corenn runs in one process",
                             hint="leave it out")  # fmt: skip

    def __getattr__(self, name: str) -> Any:
        settings = self.__dict__.get("_settings", {})
        if name in settings:
            return settings[name]
        fixed = {
            "cluster_spec": {}, "task_type": "worker", "task_id": 0, "master": "", "is_chief": True,
            "num_ps_replicas": 0, "num_worker_replicas": 1, "global_id_in_cluster": 0, "evaluation_master": "",
            "service": None,
        }  # fmt: skip
        if name in fixed:
            return fixed[name]
        raise AttributeError(f"RunConfig has no {name!r}")

    def replace(self, **kwargs: Any) -> RunConfig:
        """A copy with other settings."""
        made = copy.copy(self)
        unknown = set(kwargs) - set(self._settings)
        if unknown:
            raise ValueError(
                f"Replacing {sorted(unknown)[0]} is not supported. Allowed properties are {sorted(self._settings)}."
            )
        if {"save_checkpoints_steps", "save_checkpoints_secs"} <= set(kwargs) and None not in (
            kwargs["save_checkpoints_steps"], kwargs["save_checkpoints_secs"]
        ):  # fmt: skip
            raise ValueError("`save_checkpoints_steps` and `save_checkpoints_secs` cannot be both set.")
        settings = {**self._settings, **kwargs}
        for one, other in (("steps", "secs"), ("secs", "steps")):
            if kwargs.get(f"save_checkpoints_{one}") is not None:
                settings[f"save_checkpoints_{other}"] = None
        made.__dict__["_settings"] = settings
        return made


_FIELDS = (
    "mode", "predictions", "loss", "train_op", "eval_metric_ops", "export_outputs", "training_chief_hooks",
    "training_hooks", "scaffold", "evaluation_hooks", "prediction_hooks",
)  # fmt: skip


class EstimatorSpec(namedtuple("EstimatorSpec", _FIELDS)):
    """What a model function returns."""

    __slots__ = ()

    def __new__(
        cls, mode: str, predictions: Any = None, loss: Any = None, train_op: Any = None,
        eval_metric_ops: Mapping[str, Any] | None = None, export_outputs: Mapping[str, Any] | None = None,
        training_chief_hooks: Iterable[Any] | None = None, training_hooks: Iterable[Any] | None = None,
        scaffold: Scaffold | None = None, evaluation_hooks: Iterable[Any] | None = None,
        prediction_hooks: Iterable[Any] | None = None,
    ) -> EstimatorSpec:  # fmt: skip
        """Check and complete the parts."""
        if mode == ModeKeys.TRAIN and train_op is None:
            raise ValueError("Missing train_op.")
        if mode in (ModeKeys.TRAIN, ModeKeys.EVAL) and loss is None:
            raise ValueError("Missing loss.")
        if mode == ModeKeys.PREDICT and predictions is None:
            raise ValueError("Missing predictions.")
        if loss is not None and isinstance(loss, GraphTensor) and loss.extents not in (None, (), (1,)):
            raise ValueError(f"Loss must be scalar, given: {loss}")
        metrics = dict(eval_metric_ops or {})
        for key, value in metrics.items():
            if not (isinstance(value, tuple) and len(value) == 2) and not hasattr(value, "updates"):
                raise TypeError(
                    f"Values of eval_metric_ops must be (metric_value, update_op) tuples, given: {value} for key: {key}"
                )
        return super().__new__(
            cls, mode, {} if predictions is None else predictions, loss, train_op, metrics, export_outputs,
            tuple(training_chief_hooks or ()), tuple(training_hooks or ()), scaffold, tuple(evaluation_hooks or ()),
            tuple(prediction_hooks or ()),
        )  # fmt: skip


class TrainSpec(namedtuple("TrainSpec", ["input_fn", "max_steps", "hooks"])):
    """What ``train_and_evaluate`` trains with."""

    __slots__ = ()

    def __new__(
        cls, input_fn: Any, max_steps: int | None = None, hooks: Iterable[Any] | None = None,
        saving_listeners: Any = None,
    ) -> TrainSpec:  # fmt: skip
        """Check and complete the parts."""
        if max_steps is not None and max_steps <= 0:
            raise ValueError(f"Must specify max_steps > 0, given: {max_steps}")
        return super().__new__(cls, input_fn, max_steps, tuple(hooks or ()))


_EVAL = ("input_fn", "steps", "name", "hooks", "exporters", "start_delay_secs", "throttle_secs")


class EvalSpec(namedtuple("EvalSpec", _EVAL)):
    """What ``train_and_evaluate`` evaluates with."""

    __slots__ = ()

    def __new__(
        cls, input_fn: Any, steps: int | None = 100, name: str | None = None, hooks: Iterable[Any] | None = None,
        exporters: Any = None, start_delay_secs: float = 120, throttle_secs: float = 600,
    ) -> EvalSpec:  # fmt: skip
        """Check and complete the parts."""
        if steps is not None and steps <= 0:
            raise ValueError(f"Must specify steps > 0, given: {steps}")
        listed = () if exporters is None else tuple(exporters) if isinstance(exporters, (list, tuple)) else (exporters,)
        return super().__new__(cls, input_fn, steps, name, tuple(hooks or ()), listed, start_delay_secs, throttle_secs)


class WarmStartSettings(
    namedtuple(
        "WarmStartSettings",
        ["ckpt_to_initialize_from", "vars_to_warm_start", "var_name_to_vocab_info", "var_name_to_prev_var_name"],
    )
):
    """Which variables begin with a checkpoint's values."""

    __slots__ = ()

    def __new__(
        cls, ckpt_to_initialize_from: Any, vars_to_warm_start: Any = ".*", var_name_to_vocab_info: Any = None,
        var_name_to_prev_var_name: Any = None,
    ) -> WarmStartSettings:  # fmt: skip
        """Check and complete the parts."""
        return super().__new__(
            cls, ckpt_to_initialize_from, vars_to_warm_start, var_name_to_vocab_info, var_name_to_prev_var_name
        )


__all__ = ["EstimatorSpec", "EvalSpec", "ModeKeys", "RunConfig", "TrainSpec", "WarmStartSettings"]
