"""``train_and_evaluate``: training with evaluations in between, in one process."""

from __future__ import annotations

from typing import Any

from corenn_tensorflow import logging
from corenn_tensorflow.estimator.core import Estimator
from corenn_tensorflow.estimator.specs import EvalSpec, TrainSpec
from corenn_tensorflow.train.hooks import CheckpointSaverListener, SecondOrStepTimer


class _Evaluation(CheckpointSaverListener):
    """Evaluates after a checkpoint, at most every ``throttle_secs`` seconds."""

    def __init__(self, estimator: Estimator, spec: EvalSpec, last_step: int | None) -> None:
        self.estimator, self.spec, self.last_step = estimator, spec, last_step
        self.timer = SecondOrStepTimer(every_secs=spec.throttle_secs)
        self.result: Any = None
        self.exported: list[Any] = []
        self.done_at: int | None = None
        self.first = True

    def after_save(self, session: Any, global_step_value: int) -> bool | None:
        """Evaluate where it is time."""
        if self.first:  # the checkpoint at the beginning is not worth one
            self.first = False
            self.timer.update_last_triggered_step(global_step_value)
            return None
        if self.last_step is not None and global_step_value >= self.last_step:
            return None
        if self.timer.should_trigger_for_step(global_step_value):
            self.evaluate(global_step_value)
        return None

    def evaluate(self, step: int) -> None:
        """Evaluate now."""
        self.timer.update_last_triggered_step(step)
        spec = self.spec
        self.result = self.estimator.evaluate(spec.input_fn, steps=spec.steps, hooks=spec.hooks, name=spec.name)
        self.done_at = step
        final = self.last_step is not None and step >= self.last_step
        for exporter in spec.exporters:
            self.exported.append(
                exporter.export(self.estimator, self._export_path(exporter), self.estimator.latest_checkpoint(),
                                self.result, final)
            )  # fmt: skip

    def _export_path(self, exporter: Any) -> str:
        import os

        return os.path.join(self.estimator.model_dir, "export", exporter.name)


def train_and_evaluate(estimator: Estimator, train_spec: TrainSpec, eval_spec: EvalSpec) -> tuple[Any, list[Any]]:
    """Train, and evaluate whenever a checkpoint has been saved; the last evaluation, and what was exported."""
    if not isinstance(train_spec, TrainSpec):
        raise TypeError(f"`train_spec` must have type `tf.estimator.TrainSpec`. Got: {type(train_spec)}")
    if not isinstance(eval_spec, EvalSpec):
        raise TypeError(f"`eval_spec` must have type `tf.estimator.EvalSpec`. Got: {type(eval_spec)}")
    logging.info("Start train and evaluate loop.")
    listener = _Evaluation(estimator, eval_spec, train_spec.max_steps)
    estimator.train(
        train_spec.input_fn, hooks=list(train_spec.hooks), max_steps=train_spec.max_steps, saving_listeners=[listener]
    )
    latest = estimator.latest_checkpoint()
    step = int(estimator.get_variable_value("global_step")) if latest is not None else 0
    if listener.done_at != step:
        listener.last_step = step
        listener.evaluate(step)
    return listener.result, listener.exported


__all__ = ["train_and_evaluate"]
