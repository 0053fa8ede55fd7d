"""Callbacks that steer and save, on figures that a script gives."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import corenn
from corenn import layers as L
from corenn import metrics, optimizers, schedules
from corenn.checkpoint import load_file
from corenn.errors import AttributeValueError, UsageError
from corenn.training import (
    BackupAndRestore,
    Callback,
    EarlyStopping,
    History,
    LambdaCallback,
    LearningRateScheduler,
    ModelCheckpoint,
    Progress,
    ReduceLROnPlateau,
    Sequential,
    TensorBoard,
    TerminateOnNaN,
)
from corenn.training.callbacks.monitor import CallbackWarning, Monitor

NAN = math.nan


class Counting(L.Layer):
    """A model whose one weight is the number of steps made."""

    def build(self, x: Any) -> None:
        self.steps = self.add_weight("steps", (), "zeros")

    def call(self, x: Any) -> Any:
        return x * 0.0 - self.steps


def counting(optimizer: Any = None) -> Sequential:
    model = Sequential([Counting()])
    model.compile(optimizer or optimizers.SGD(1.0), lambda y, p: p)  # the gradient is -1
    return model


def play(name: str, values: list[float], *callbacks: Callback, optimizer: Any = None, steps: int = 1) -> Any:
    """Train for as many epochs as there are values, of the figure ``name``; returns model and history."""
    script = LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update({name: values[epoch]}))
    model = counting(optimizer)
    x = np.zeros((steps, 1), np.float32)
    history = model.fit(x, x, batch_size=1, epochs=len(values), verbose=0, callbacks=[script, *callbacks])
    return model, history


# ---------------------------------------------------------------- EarlyStopping

# (arguments, values, epochs that run)
STOPPING: list[tuple[dict[str, Any], list[float], int]] = [
    ({}, [3, 2, 1], 3),
    ({}, [3, 2, 2, 1], 3),  # equal is no improvement
    ({"patience": 2}, [3, 4, 4, 2, 1], 3),
    ({"patience": 2}, [3, 4, 2, 4, 4, 1], 5),  # an improvement starts the count anew
    ({"patience": 1, "min_delta": 0.5}, [3, 2.4, 2.2, 1], 3),  # 2.4 improves on 3 by more than 0.5, 2.2 does not
    ({"patience": 1, "min_delta": -0.5}, [3, 2.6, 2.4, 2], 2),  # the sign of min_delta does not matter
    ({"patience": 0, "start_from_epoch": 2}, [1, 9, 8, 9], 4),
    ({"patience": 1}, [3, NAN, NAN, 1], 2),  # NaN never improves
    ({"mode": "max"}, [3, 4, 4], 3),
    ({"patience": 0}, [3, 4], 2),  # never after the very first epoch
]


@pytest.mark.parametrize(("arguments", "values", "epochs"), STOPPING)
def test_early_stopping(arguments: dict[str, Any], values: list[float], epochs: int) -> None:
    early = EarlyStopping("val_loss", **arguments)
    _, history = play("val_loss", values, early)
    assert history.epoch == list(range(epochs))
    stopped = epochs < len(values) or early.stopped_epoch is not None
    assert early.stopped_epoch == (epochs - 1 if stopped else None)
    assert (history.loop.stop_reason is not None) == stopped


def test_baseline() -> None:
    """An improvement counts towards patience until the baseline is beaten."""
    early = EarlyStopping("val_loss", patience=3, baseline=1.0)
    _, history = play("val_loss", [3, 2, 1.5, 1.4, 1.3, 1.2], early)
    assert history.epoch == [0, 1, 2, 3, 4, 5], "improvements never stop"
    early = EarlyStopping("val_loss", patience=3, baseline=1.0)
    _, history = play("val_loss", [3, 2, 1.5, 1.6, 0.1], early)
    assert history.epoch == [0, 1, 2, 3], "patience was used up by epochs above the baseline"
    early = EarlyStopping("val_loss", patience=3, baseline=1.0)
    _, history = play("val_loss", [3, 2, 0.5, 0.6, 0.6, 0.6, 0.1], early)
    assert history.epoch == [0, 1, 2, 3, 4, 5]


def test_best_weights_come_back() -> None:
    early = EarlyStopping("val_accuracy", patience=2, restore_best_weights=True)
    model, _ = play("val_accuracy", [0.1, 0.5, 0.4, 0.3, 0.9], early)
    assert early.best_epoch == 1
    assert float(model.weights[0]) == 2.0
    model, _ = play("val_accuracy", [0.1, 0.5, 0.4], EarlyStopping("val_accuracy", patience=9))
    assert float(model.weights[0]) == 3.0
    kept = EarlyStopping("val_accuracy", patience=9, restore_best_weights=True)
    model, _ = play("val_accuracy", [0.1, 0.5, 0.4], kept)
    assert float(model.weights[0]) == 2.0, "also when training ends by itself"


def test_a_callback_can_be_used_again() -> None:
    early = EarlyStopping("val_loss", patience=1)
    for _ in range(2):
        _, history = play("val_loss", [3, 2, 4, 1], early)
        assert history.epoch == [0, 1, 2]


# ---------------------------------------------------------------- the learning rate

# (arguments, values, rate after each epoch)
PLATEAUS: list[tuple[dict[str, Any], list[float], list[float]]] = [
    ({"patience": 1}, [3, 2, 2, 2, 1], [1, 1, 0.5, 0.25, 0.25]),
    ({"patience": 2}, [3, 3, 3, 3, 3], [1, 1, 0.5, 0.5, 0.25]),
    ({"patience": 1, "cooldown": 2}, [3, 3, 3, 3, 3, 3], [1, 0.5, 0.5, 0.25, 0.25, 0.125]),
    ({"patience": 1, "min_lr": 0.4}, [3, 3, 3, 3], [1, 0.5, 0.4, 0.4]),
    ({"patience": 1, "min_delta": 1.0}, [3, 2.5, 1], [1, 0.5, 0.5]),
    ({"patience": 1, "mode": "max"}, [3, 4, 4], [1, 1, 0.5]),
    ({"patience": 1}, [3, NAN, 3], [1, 0.5, 0.25]),
]


@pytest.mark.parametrize(("arguments", "values", "rates"), PLATEAUS)
def test_reduce_on_plateau(arguments: dict[str, Any], values: list[float], rates: list[float]) -> None:
    found: list[float] = []
    reduce = ReduceLROnPlateau("val_loss", **{"factor": 0.5, "min_delta": 1e-4, **arguments})
    after = LambdaCallback(on_epoch_saved=lambda epoch: found.append(reduce.model.optimizer.learning_rate))
    _, history = play("val_loss", values, reduce, after)
    assert found == rates
    assert history.history["learning_rate"] == [1, *rates[:-1]], "the logs have the rate the epoch was trained with"


def test_learning_rate_scheduler() -> None:
    scheduler = LearningRateScheduler(lambda epoch, rate: rate if epoch < 2 else rate * 0.5)
    model, history = play("val_loss", [1, 1, 1, 1], scheduler)
    assert history.history["learning_rate"] == [1, 1, 0.5, 0.25]
    assert float(model.weights[0]) == pytest.approx(2.75)


def test_a_rate_that_follows_a_schedule_is_left_alone() -> None:
    for callback in (ReduceLROnPlateau("val_loss"), LearningRateScheduler(lambda epoch, rate: rate)):
        with pytest.raises(UsageError, match=r"follows a schedule already(.|\n)*give the optimizer a float"):
            play("val_loss", [1], callback, optimizer=optimizers.SGD(schedules.ExponentialDecay(0.1, 10, 0.5)))


# ---------------------------------------------------------------- stopping for other reasons


@pytest.mark.parametrize("bad", [NAN, math.inf])
def test_terminate_on_nan(bad: float) -> None:
    model = Sequential([L.Dense(1, use_bias=False, kernel_initializer="ones")])
    model.compile(optimizers.SGD(0.0), lambda y, p: p)
    x = np.array([[1.0], [2.0], [bad], [3.0]], np.float32)
    with np.errstate(invalid="ignore"):
        history = model.fit(x, x, batch_size=1, shuffle=False, verbose=0, callbacks=[TerminateOnNaN()])
    assert history.loop.total_steps == 3
    assert f"batch 2 is {bad}" in history.loop.stop_reason
    assert history.history == {}


# ---------------------------------------------------------------- ModelCheckpoint


def steps_in(path: Path) -> float:
    return float(load_file(path)[0]["counting/steps"])


def test_checkpoints_of_every_epoch(tmp_path: Path) -> None:
    saver = ModelCheckpoint(str(tmp_path / "deep" / "w-{epoch:02d}-{val_loss:.1f}.safetensors"))
    play("val_loss", [3, 2, 4], saver, steps=2)
    assert sorted(p.name for p in (tmp_path / "deep").iterdir()) == [
        "w-01-3.0.safetensors", "w-02-2.0.safetensors", "w-03-4.0.safetensors"
    ]  # fmt: skip
    assert saver.last_saved is not None
    assert steps_in(Path(saver.last_saved)) == 6


@pytest.mark.parametrize(
    ("arguments", "values", "best"),
    [
        ({}, [3, 2, 4], 2), ({"mode": "max"}, [3, 2, 4], 3), ({"initial_value_threshold": 1.0}, [3, 2, 4], None),
        ({"initial_value_threshold": 2.5}, [3, 2, 4], 2), ({}, [NAN, 2, NAN], 2),
    ],
)  # fmt: skip
def test_only_the_best_checkpoint(
    arguments: dict[str, Any], values: list[float], best: int | None, tmp_path: Path
) -> None:
    path = tmp_path / "best.safetensors"
    play("val_loss", values, ModelCheckpoint(str(path), save_best_only=True, **arguments))
    assert path.exists() == (best is not None)
    if best is not None:
        assert steps_in(path) == best


def test_checkpoints_every_so_many_steps(tmp_path: Path) -> None:
    saver = ModelCheckpoint(str(tmp_path / "{epoch}.safetensors"), save_freq=3)
    seen: list[Any] = []
    watch = LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(saver.last_saved))
    play("x", [0, 0], saver, watch, steps=4)
    assert [s and Path(s).name[0] for s in seen] == [None, None, "1", "1", "1", "2", "2", "2"]
    assert [steps_in(tmp_path / f"{n}.safetensors") for n in (1, 2)] == [3, 6]


def test_paths_that_name_what_the_logs_lack(tmp_path: Path) -> None:
    saver = ModelCheckpoint(str(tmp_path / "{val_loss}.safetensors"))
    with pytest.raises(UsageError, match=r"'val_loss'(.|\n)*logs: +epoch, loss"):
        play("other", [1], saver)


# ---------------------------------------------------------------- which way is better


@pytest.mark.parametrize(
    ("name", "rising"),
    [
        ("val_loss", False), ("loss", False), ("accuracy", True), ("val_sparse_categorical_accuracy", True),
        ("acc", True), ("auc", True), ("mae", False), ("val_mean_squared_error", False), ("f1_score", True),
        ("precision", True),
        ("categorical_crossentropy", False), ("false_positives", False), ("r2_score", True), ("kl_divergence", False),
    ],
)  # fmt: skip
def test_names_that_tell_which_way_is_better(name: str, rising: bool) -> None:
    assert Monitor("x", name).rising is rising


class Odd(metrics.Mean):
    """A metric that says so itself."""

    better = "max"

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:  # type: ignore[override]
        super().update_state(corenn.tensor(1.0))


def test_a_metric_can_say_which_way_is_better() -> None:
    early = EarlyStopping("val_oddity", patience=1)
    model = Sequential([L.Dense(1)])
    model.compile("sgd", "mse", [Odd(name="oddity")])
    x = np.zeros((2, 1), np.float32)
    model.fit(x, x, epochs=1, verbose=0, validation_data=(x, x), callbacks=[early])
    assert early._watch.rising
    with pytest.raises(UsageError, match=r"whether more or less of 'val_oddity'(.|\n)*mode='max' or mode='min'"):
        play("val_oddity", [1], EarlyStopping("val_oddity"))


def test_a_missing_figure_is_reported_once() -> None:
    with pytest.warns(CallbackWarning, match=r"no 'val_loss'; did you mean 'loss'") as caught:
        play("other", [1, 2, 3], EarlyStopping("val_loss"))
    assert len(caught) == 1


# ---------------------------------------------------------------- moments

MOMENTS = [
    "on_restore", "on_train_begin",
    "on_epoch_begin 0", "on_train_batch_begin 0", "on_train_batch_end 0", "on_batch_saved 0", "on_epoch_end 0",
    "on_epoch_saved 0",
    "on_epoch_begin 1", "on_train_batch_begin 0", "on_train_batch_end 0", "on_batch_saved 0", "on_epoch_end 1",
    "on_epoch_saved 1", "on_train_end",
]  # fmt: skip


def test_moments_come_in_order() -> None:
    seen: list[str] = []

    def note(name: str) -> Any:
        return lambda *args: seen.append(" ".join([name, *(str(a) for a in args if isinstance(a, int))]))

    names = sorted({m.split()[0] for m in MOMENTS} | {"on_interrupted", "on_test_begin"})
    play("x", [1, 2], LambdaCallback(**{name: note(name) for name in names}))
    assert seen == MOMENTS


def test_moments_of_an_evaluation() -> None:
    seen: list[Any] = []
    callback = LambdaCallback(
        on_test_begin=lambda: seen.append("begin"), on_test_batch_end=lambda i, logs: seen.append(i),
        on_test_end=seen.append,
    )  # fmt: skip
    model = counting()
    x = np.zeros((3, 1), np.float32)
    found = model.evaluate(x, x, batch_size=1, callbacks=[callback])
    assert seen == ["begin", 0, 1, 2, found]


def test_files_are_released_when_training_fails() -> None:
    class Closing(Callback):
        closed = 0

        def close(self) -> None:
            self.closed += 1

    closing = Closing()
    boom = LambdaCallback(on_train_batch_end=lambda batch, logs: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        play("x", [1], boom, closing)
    assert closing.closed == 1
    play("x", [1], closing)
    assert closing.closed == 2


def test_logs_of_a_batch_are_read_only_when_looked_at() -> None:
    reads: list[int] = []

    class Watched(metrics.Mean):
        def result(self) -> Any:
            reads.append(1)
            return super().result()

        def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:  # type: ignore[override]
            super().update_state(y_pred)

    model = Sequential([L.Dense(1)])
    model.compile("sgd", "mse", [Watched(name="watched")])
    x = np.zeros((8, 1), np.float32)
    model.fit(x, x, batch_size=1, verbose=0, callbacks=[LambdaCallback(on_train_batch_end=lambda batch, logs: None)])
    assert len(reads) == 1
    looks = LambdaCallback(on_train_batch_end=lambda batch, logs: (logs["loss"], dict(logs), len(logs)))
    model.fit(x, x, batch_size=1, verbose=0, callbacks=[looks])
    assert len(reads) == 10


# ---------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LambdaCallback(on_epoch=print), "did you mean 'on_epoch_end'"),
        (lambda: LambdaCallback(on_epoch_end=3), "must be a function"),
        (lambda: ReduceLROnPlateau(factor=1.5), "factor must lie in"),
        (lambda: EarlyStopping(mode="rising"), "'auto', 'min' or 'max'"),
        (lambda: ModelCheckpoint("x", save_freq="batch"), "'epoch' or a number of steps"),
        (lambda: BackupAndRestore("x", save_freq=0), "'epoch' or a number of steps"),
        (lambda: TensorBoard(update_freq="step"), "'epoch', 'batch' or a number"),
        (lambda: Progress(verbose=3), "'auto', 1 or 2"),
        (lambda: play("x", [1], print), "is not a callback(.|\n)*subclass"),  # type: ignore[arg-type]
        (lambda: play("x", [1], LearningRateScheduler(lambda epoch, rate: None)), "returned None, not a number"),
    ],
)
def test_mistakes(make: Any, message: str) -> None:
    with pytest.raises((UsageError, AttributeValueError), match=message):
        make()


def test_callbacks_say_how_they_were_made() -> None:
    for callback in (EarlyStopping("loss", patience=3), ReduceLROnPlateau(factor=0.5), History(), Progress(2),
                     BackupAndRestore("d", info={"a": 1}), ModelCheckpoint("p", save_freq=3)):  # fmt: skip
        again = type(callback).from_config(callback.get_config())
        assert again.get_config() == callback.get_config()
