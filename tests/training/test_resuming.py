"""A run that is stopped after any step and continued in a new model computes what an uninterrupted run computes."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import corenn
from corenn import layers as L
from corenn import optimizers, schedules
from corenn.data import Dataset
from corenn.errors import CheckpointError, DataError
from corenn.training import (
    BackupAndRestore,
    Callback,
    CSVLogger,
    EarlyStopping,
    Functional,
    History,
    JSONLinesLogger,
    LambdaCallback,
    LearningRateScheduler,
    Model,
    ModelCheckpoint,
    ReduceLROnPlateau,
    Sequential,
    StopOnRequest,
)

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 6)).astype(np.float32)
Y = RNG.integers(0, 3, 40)
BATCH, EPOCHS, STEPS = 8, 3, 15  # 5 steps an epoch


def sequential(built: bool) -> Sequential:
    """Dropout, batch statistics, a penalty."""
    layers: list[Any] = [
        L.Dense(8, kernel_regularizer="l2"), L.BatchNormalization(momentum=0.8), L.ReLU(), L.Dropout(0.3),
        L.GaussianNoise(0.1), L.Dense(3, activation="softmax"),
    ]  # fmt: skip
    return Sequential([L.Input((6,)), *layers] if built else layers)


def functional() -> Model:
    x = L.Input((6,))
    shared = L.Dense(6, activation="tanh")
    y = L.Add()([shared(x), shared(L.Dropout(0.2)(x))])
    return Functional(x, L.Dense(3, activation="softmax")(y))


class Own(Model):
    """A subclass with layers in a list."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = [L.Dense(7, "relu"), L.Dense(7, "relu")]
        self.drop = L.Dropout(0.2)
        self.out = L.Dense(3, "softmax")

    def call(self, x: Any) -> Any:
        for layer in self.hidden:
            x = self.drop(layer(x))
        return self.out(x)


MODELS = {"built": lambda: sequential(True), "unbuilt": lambda: sequential(False), "functional": functional, "own": Own}
OPTIMIZERS = {
    "momentum": lambda: optimizers.SGD(0.05, momentum=0.9, nesterov=True),
    "adam with a schedule": lambda: optimizers.Adam(schedules.ExponentialDecay(0.01, 4, 0.7), use_ema=True),
    "accumulating": lambda: optimizers.AdamW(0.01, gradient_accumulation_steps=3, global_clipnorm=1.0),
}


class Stop(Callback):
    """Ends the run after so many steps, as a signal would."""

    def __init__(self, at: int) -> None:
        self.at = at

    def on_train_batch_end(self, batch: int, logs: Any) -> None:
        if self.loop.total_steps == self.at:
            self.loop.stop = self.loop.interrupted = True


def run(model_name: str, optimizer_name: str, callbacks: list[Any], data: Any = None, **options: Any) -> Any:
    """One process: a seed, a new model, a fit."""
    corenn.random.seed(11)
    model = MODELS[model_name]()
    model.compile(OPTIMIZERS[optimizer_name](), "sparse_categorical_crossentropy", ["accuracy"],
                  weighted_metrics=["sparse_categorical_crossentropy"])  # fmt: skip
    given = {"batch_size": BATCH, "validation_split": 0.0} if data is None else {}
    source = (X, Y) if data is None else (data(),)
    history = model.fit(
        *source, epochs=EPOCHS, verbose=0, callbacks=callbacks, validation_data=(X[:20], Y[:20]), **given, **options
    )
    return model, history


def assert_equal(one: tuple[Any, Any], other: tuple[Any, Any]) -> None:
    """Weights, optimizer, metrics, history and random state, bit for bit."""
    for a, b in zip(one[0].get_weights(), other[0].get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert one[1].history == other[1].history
    assert one[1].epoch == other[1].epoch
    first, second = one[0].state_dict(), other[0].state_dict()
    np.testing.assert_equal(first["optimizer"], second["optimizer"])
    np.testing.assert_equal(first["metrics"], second["metrics"])


_whole: dict[tuple[str, ...], Any] = {}


def uninterrupted(model: str, optimizer: str) -> Any:
    """The run that was never stopped, computed once."""
    key = (model, optimizer)
    if key not in _whole:
        _whole[key] = (*run(model, optimizer, []), corenn.random.get_state())
    return _whole[key]


def stop_and_go(where: Path, stops: list[int], model: str, optimizer: str, save_freq: Any = "epoch") -> Any:
    """Stop after each of some steps, and continue to the end each time in a new model."""
    found = None
    for at in [*stops, 10**9]:
        found = run(model, optimizer, [BackupAndRestore(str(where), save_freq=save_freq), Stop(at)])
    return found


@pytest.mark.parametrize("stop", range(1, STEPS + 1))
def test_stopped_after_any_step(stop: int, tmp_path: Path) -> None:
    assert_equal(stop_and_go(tmp_path, [stop], "unbuilt", "momentum"), uninterrupted("unbuilt", "momentum"))
    assert corenn.random.get_state() == uninterrupted("unbuilt", "momentum")[2]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("model", MODELS)
def test_every_kind_of_model_and_optimizer(model: str, optimizer: str, tmp_path: Path) -> None:
    assert_equal(stop_and_go(tmp_path, [7], model, optimizer), uninterrupted(model, optimizer))


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(stops=st.lists(st.integers(1, STEPS), min_size=2, max_size=5, unique=True).map(sorted))
def test_stopped_again_and_again(stops: list[int], tmp_path_factory: Any) -> None:
    where = tmp_path_factory.mktemp("run")
    assert_equal(stop_and_go(where, stops, "built", "momentum"), uninterrupted("built", "momentum"))


class Crash(Exception):
    """The end of a process that could not say goodbye."""


def crash(at: int) -> LambdaCallback:
    def check(batch: int) -> None:
        if callback.loop.total_steps == at:
            raise Crash

    callback = LambdaCallback(on_batch_saved=check)
    return callback


@pytest.mark.parametrize("save_freq", ["epoch", 1, 3, 5])
@pytest.mark.parametrize("at", [1, 4, 5, 6, 9, 13])
def test_crashed_after_any_step(at: int, save_freq: Any, tmp_path: Path) -> None:
    """Steps after the last checkpoint are computed again; nothing of the first attempt is left."""
    with pytest.raises(Crash):
        run("built", "momentum", [BackupAndRestore(str(tmp_path), save_freq=save_freq), crash(at)])
    backup = BackupAndRestore(str(tmp_path), save_freq=save_freq)
    assert_equal(run("built", "momentum", [backup]), uninterrupted("built", "momentum"))
    # the end of an epoch is saved after its last step
    saved = [s for s in range(1, at + 1) if (s < at if s % 5 == 0 else save_freq != "epoch" and s % save_freq == 0)]
    assert backup.restored_step == max(saved, default=None)


# ---------------------------------------------------------------- data


def pairs(count: int = 40) -> Iterator[tuple[Any, Any]]:
    for i in range(0, count, BATCH):
        yield X[i : i + BATCH], Y[i : i + BATCH]


PIPELINES = {
    "shuffled without a seed": lambda: Dataset.from_tensor_slices((X, Y)).shuffle().batch(BATCH),
    "mapped and prefetched": lambda: (
        Dataset.from_tensor_slices((X, Y)).shuffle(seed=4).map(lambda x, y: (x * 2, y)).batch(BATCH).prefetch(2)
    ),
    "windows of a filter": lambda: (
        Dataset.from_tensor_slices((X, Y)).filter(lambda x, y: x[0] > -1).shuffle(16, seed=2).batch(BATCH)
    ),
    "generator function": lambda: Dataset.from_generator(pairs),
    "repeated": lambda: Dataset.from_tensor_slices((X, Y)).shuffle(seed=1).repeat(2).batch(BATCH),
}


@pytest.mark.parametrize("stop", [3, 5, 8])
@pytest.mark.parametrize("name", PIPELINES)
def test_every_pipeline(name: str, stop: int, tmp_path: Path) -> None:
    whole = run("built", "momentum", [], PIPELINES[name])
    for at in (stop, 10**9):
        found = run("built", "momentum", [BackupAndRestore(str(tmp_path)), Stop(at)], PIPELINES[name])
    assert_equal(found, whole)


@pytest.mark.parametrize("stop", [2, 3, 7])
@pytest.mark.parametrize("steps", [3, 7])
def test_epochs_counted_in_steps_go_on_in_the_data(steps: int, stop: int, tmp_path: Path) -> None:
    """3 and 7 steps an epoch do not divide the 5 batches of the data."""
    whole = run("built", "momentum", [], steps_per_epoch=steps)
    for at in (stop, 10**9):
        found = run("built", "momentum", [BackupAndRestore(str(tmp_path)), Stop(at)], steps_per_epoch=steps)
    assert_equal(found, whole)


def test_an_unseeded_shuffle_keeps_its_seed_in_a_process_with_another_seed(tmp_path: Path) -> None:
    def attempt(seed: int, at: int, backup: bool = True) -> Any:
        corenn.random.seed(seed)
        model = sequential(True)
        model.compile("sgd", "sparse_categorical_crossentropy")
        callbacks = [BackupAndRestore(str(tmp_path)), Stop(at)] if backup else []
        return model, model.fit(X, Y, batch_size=BATCH, epochs=3, verbose=0, callbacks=callbacks)

    whole = attempt(1, 10**9, backup=False)
    attempt(1, 5)  # at the end of an epoch
    assert_equal(attempt(2, 10**9), whole)


def test_positions_that_cannot_be_saved_say_so(tmp_path: Path) -> None:
    data = Dataset.from_tensor_slices((X, Y)).map(lambda x, y: (x, y), num_parallel=2, deterministic=False).batch(8)
    with pytest.raises(DataError, match="deterministic"):
        run("built", "momentum", [BackupAndRestore(str(tmp_path), save_freq=1)], lambda: data)


# ---------------------------------------------------------------- prolonging, finishing


def test_most_steps_can_be_raised_later(tmp_path: Path) -> None:
    short, history = run("built", "momentum", [BackupAndRestore(str(tmp_path))], most_steps=7)
    assert history.loop.total_steps == 7
    assert history.epoch == [0, 1], "the part of the second epoch is reported"
    again, _ = run("built", "momentum", [BackupAndRestore(str(tmp_path))], most_steps=7)
    for a, b in zip(short.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert_equal(run("built", "momentum", [BackupAndRestore(str(tmp_path))]), uninterrupted("built", "momentum"))


def test_checkpoints_are_removed_when_all_is_done_and_kept_if_asked(tmp_path: Path) -> None:
    run("built", "momentum", [BackupAndRestore(str(tmp_path / "a"))])
    assert list((tmp_path / "a").glob("*.safetensors")) == []
    run("built", "momentum", [BackupAndRestore(str(tmp_path / "b"), delete_checkpoint=False, keep=3)])
    assert len(list((tmp_path / "b").glob("*.safetensors"))) == 3
    backup = BackupAndRestore(str(tmp_path / "b"), delete_checkpoint=False)
    done = run("built", "momentum", [backup])
    assert backup.restored_step == STEPS
    assert_equal(done, uninterrupted("built", "momentum"))


def test_a_run_stopped_for_good_is_not_continued(tmp_path: Path) -> None:
    def stopping() -> list[Any]:
        early = EarlyStopping("loss", mode="max", patience=1, restore_best_weights=True)
        return [early, BackupAndRestore(str(tmp_path), delete_checkpoint=False)]

    first = run("built", "momentum", stopping())
    assert len(first[1].epoch) < EPOCHS
    again = run("built", "momentum", stopping())
    assert_equal(again, first)
    assert again[1].loop.stop_reason == first[1].loop.stop_reason


def test_another_model_is_refused(tmp_path: Path) -> None:
    run("built", "momentum", [BackupAndRestore(str(tmp_path)), Stop(3)])
    with pytest.raises(CheckpointError, match=r"weights do not fit(.|\n)*same settings"):
        run("functional", "momentum", [BackupAndRestore(str(tmp_path))])
    with pytest.raises(CheckpointError, match="another pipeline"):
        run("built", "momentum", [BackupAndRestore(str(tmp_path))], PIPELINES["repeated"])


# ---------------------------------------------------------------- callbacks


def steering(where: Path) -> list[Any]:
    """Callbacks with state, some before and some after the backup."""
    return [
        EarlyStopping("val_loss", patience=4, restore_best_weights=True),
        CSVLogger(str(where / "log.csv")),
        BackupAndRestore(str(where / "run"), save_freq=1),
        ReduceLROnPlateau("val_loss", factor=0.5, patience=1, min_delta=10.0),
        LearningRateScheduler(lambda epoch, rate: rate * 0.9),
        ModelCheckpoint(str(where / "best.safetensors"), save_best_only=True),
        JSONLinesLogger(str(where / "log.jsonl"), every=2),
    ]


@pytest.mark.parametrize("at", [3, 5, 6, 11])
def test_callbacks_go_on_as_if_nothing_had_happened(at: int, tmp_path: Path) -> None:
    whole = run("built", "momentum", steering(tmp_path / "whole"))
    with pytest.raises(Crash):
        run("built", "momentum", [*steering(tmp_path / "two"), crash(at)])
    found = run("built", "momentum", [*steering(tmp_path / "two"), crash(10**9)])
    assert_equal(found, whole)
    for name in ("log.csv",):
        assert (tmp_path / "two" / name).read_text() == (tmp_path / "whole" / name).read_text()

    def lines(part: str) -> list[Any]:
        found = [json.loads(line) for line in (tmp_path / part / "log.jsonl").read_text().splitlines()]
        return [{k: v for k, v in record.items() if k != "seconds"} for record in found]

    assert lines("two") == lines("whole")
    assert [r["step"] for r in lines("two") if r["kind"] == "step"] == list(range(2, STEPS + 1, 2))


FIGURES = [5.0, 4.0, 4.5, 4.4, 4.6, 4.7, 3.0, 3.5, 3.6, 3.7, 3.8, 3.9, 1.0]


@pytest.mark.parametrize("at", range(1, 12))
def test_what_callbacks_count_goes_on(at: int, tmp_path: Path) -> None:
    """Patience, plateaus and the best figure, on figures from a script; one step an epoch."""

    def attempt(where: str, callbacks: list[Any]) -> Any:
        early = EarlyStopping("figure", mode="min", patience=5, restore_best_weights=True)
        plateau = ReduceLROnPlateau("figure", mode="min", patience=1, cooldown=2, factor=0.5)
        best = ModelCheckpoint(str(tmp_path / where / "{epoch}.safetensors"), "figure", save_best_only=True, mode="min")
        script = LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(figure=FIGURES[epoch]))
        corenn.random.seed(5)
        model = functional()
        model.compile("sgd", "sparse_categorical_crossentropy")
        listed = [script, early, plateau, best, BackupAndRestore(str(tmp_path / "run"), restore=where != "whole")]
        history = model.fit(X, Y, batch_size=40, epochs=13, verbose=0, callbacks=[*listed, *callbacks])
        return (model, history), early, plateau

    whole, early, plateau = attempt("whole", [])
    assert (early.stopped_epoch, early.best_epoch) == (11, 6)
    with pytest.raises(Crash):
        attempt("two", [crash(at)])
    found, early_again, plateau_again = attempt("two", [crash(10**9)])
    assert_equal(found, whole)
    assert (early_again.stopped_epoch, early_again.best_epoch) == (11, 6)
    assert plateau_again.state_dict() == plateau.state_dict()
    saved = [sorted(p.name for p in (tmp_path / where).iterdir()) for where in ("whole", "two")]
    assert saved[0] == saved[1] == ["1.safetensors", "2.safetensors", "7.safetensors"]


def test_files_have_each_epoch_once_when_part_of_one_was_reported(tmp_path: Path) -> None:
    def loggers() -> list[Any]:
        return [BackupAndRestore(str(tmp_path / "run")), CSVLogger(str(tmp_path / "log.csv")),
                JSONLinesLogger(str(tmp_path / "log.jsonl"))]  # fmt: skip

    run("built", "momentum", loggers(), most_steps=7)
    run("built", "momentum", loggers())
    rows = list(csv.reader((tmp_path / "log.csv").read_text().splitlines()))
    assert [row[0] for row in rows] == ["epoch", "0", "1", "2"]
    records = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [(r["epoch"], r["step"]) for r in records] == [(0, 5), (1, 10), (2, 15)]


def test_interrupted_on_request(tmp_path: Path) -> None:
    stop = StopOnRequest()
    ask = LambdaCallback(on_train_batch_begin=lambda batch: stop.request("enough") if batch == 2 else None)
    _, history = run("built", "momentum", [ask, stop, BackupAndRestore(str(tmp_path))])
    assert history.loop.total_steps == 3
    assert history.loop.stop_reason == "enough"
    assert isinstance(history, History)
    assert history.history == {}
    early = StopOnRequest()
    early.request("before the first step")
    model, _ = run("built", "momentum", [early, BackupAndRestore(str(tmp_path))])
    assert model.optimizer.iterations == 3
    assert_equal(run("built", "momentum", [BackupAndRestore(str(tmp_path))]), uninterrupted("built", "momentum"))


def test_state_of_stateful_layers_is_part_of_the_checkpoint(tmp_path: Path) -> None:
    x = RNG.normal(size=(16, 5, 3)).astype(np.float32)

    def attempt(callbacks: list[Any]) -> Any:
        corenn.random.seed(3)
        model = Sequential([L.Input((5, 3)), L.GRU(4, stateful=True), L.Dense(1)])
        model.compile("adam", "mse")
        return model, model.fit(x, x[:, 0, :1], batch_size=4, epochs=2, verbose=0, callbacks=callbacks)

    whole = attempt([])
    attempt([BackupAndRestore(str(tmp_path)), Stop(6)])
    assert_equal(attempt([BackupAndRestore(str(tmp_path))]), whole)
