"""Summaries in loops of one's own: the current writer, steps, ``record_if``; op by op and in traced functions."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import corenn
from corenn import layers as L
from corenn import metrics, optimizers, summary
from corenn.errors import AttributeValueError, BackendError, GraphError, ShapeError, UsageError
from corenn.training import Sequential

X = np.arange(12, dtype=np.float32).reshape(6, 2)


def written(writer: summary.EventWriter) -> list[tuple[str, int, Any]]:
    """Tag, step and value of what a writer has written."""
    writer.close()
    return [(e.tag, e.step, e.value) for e in summary.read_events(writer.path) if e.tag]


@pytest.fixture
def writer(tmp_path: Any) -> Any:
    made = summary.create_file_writer(tmp_path)
    yield made
    made.close()


@pytest.mark.parametrize("traced", [False, True], ids=["eager", "traced"])
@pytest.mark.parametrize("place", ["numpy", "onednn", "simulated"])
def test_the_step_is_the_number_of_updates(writer: Any, traced: bool, place: str) -> None:
    """Loss and weight of gradient descent on w**2, from 1 with a rate of a quarter: w halves in every step."""
    corenn.testing.register_doubles()
    try:
        with corenn.device(place):
            w = corenn.Variable(1.0, name="w")
    except BackendError as reason:
        pytest.skip(str(reason))
    optimizer, mean = optimizers.SGD(0.25), metrics.Mean("mean")

    def step() -> Any:
        with corenn.GradientTape() as tape:
            loss = w * w
        summary.scalar("before", loss, step=optimizer.iterations)
        optimizer.apply_gradients([(tape.gradient(loss, w), w)])
        mean.update_state(loss)
        summary.scalar("loss", loss, step=optimizer.iterations)
        summary.scalar("w", w, step=lambda: optimizer.iterations)
        return loss

    run = corenn.function(step) if traced else step
    with writer.as_default(), corenn.device(place):
        for _ in range(3):
            run()
            assert summary.scalar("mean", mean.result(), step=optimizer.iterations)
    assert optimizer.iterations == 3 and type(optimizer.iterations) is int
    expected = []
    for i in range(3):
        loss = 0.25**i
        means = np.mean([0.25**j for j in range(i + 1)])
        expected += [("before", i, loss), ("loss", i + 1, loss), ("w", i + 1, 0.5 ** (i + 1)), ("mean", i + 1, means)]
    assert written(writer) == [(tag, at, pytest.approx(value)) for tag, at, value in expected]


@pytest.mark.parametrize("traced", [False, True], ids=["eager", "traced"])
def test_record_if(writer: Any, traced: bool) -> None:
    step = corenn.Variable(0, dtype="int64", trainable=False)
    loud = corenn.Variable(True, trainable=False)

    def body(x: Any) -> None:
        step.assign_add(1)
        summary.scalar("x", corenn.sum(x), step=step)

    run = corenn.function(body) if traced else body
    with writer.as_default():
        with summary.record_if(lambda: int(step) % 2 == 0 if not traced else True), summary.record_if(loud):
            for i in range(4):
                run(corenn.tensor([float(i)]))
            loud.assign(False)
            assert not summary.should_record()
            run(corenn.tensor([9.0]))
        with summary.record_if(False):
            assert not summary.scalar("never", 1.0, step=1)
            writer.scalar("always", 1.0, step=1)
        assert summary.should_record()
    assert not summary.should_record()
    kept = [("x", i + 1, float(i)) for i in range(4) if traced or i % 2]
    assert written(writer) == [*kept, ("always", 1, 1.0)]


def test_a_function_traced_without_a_writer_writes_when_there_is_one(writer: Any) -> None:
    @corenn.function
    def double(x: Any) -> Any:
        summary.scalar("x", x)
        return 2 * x

    assert float(double(corenn.tensor(1.0))) == 2.0
    with writer.as_default(step=7):
        double(corenn.tensor(3.0))
    double(corenn.tensor(4.0))
    assert written(writer) == [("x", 7, 3.0)]


def test_default_steps_may_be_functions(writer: Any) -> None:
    optimizer = optimizers.SGD()
    with writer.as_default(step=lambda: optimizer.iterations):
        summary.scalar("a", 1.0)
        optimizer.iterations = 5
        summary.scalar("a", 2.0)
    assert written(writer) == [("a", 0, 1.0), ("a", 5, 2.0)]


def test_layers_may_write_during_fit(writer: Any) -> None:
    class Spying(L.Layer):
        def call(self, x: Any) -> Any:
            summary.histogram("x", x, step=lambda: model.optimizer.iterations)
            summary.scalar("mean", corenn.mean(x), step=lambda: model.optimizer.iterations)
            return x

    model = Sequential([corenn.layers.Input((2,)), Spying(), L.Dense(1)])
    model.compile("sgd", "mse")
    with writer.as_default():
        model.fit(X, X[:, :1], batch_size=2, epochs=1, shuffle=False, verbose=0)
    found = [(tag, at, value) for tag, at, value in written(writer) if tag == "mean"]
    assert found == [("mean", i, pytest.approx(X[2 * i : 2 * i + 2].mean())) for i in range(3)]


def test_gradients_of_a_function_that_writes(writer: Any) -> None:
    @corenn.function
    def square(x: Any) -> Any:
        summary.scalar("x", x, step=lambda: 1)
        return x * x

    x = corenn.Variable(3.0)
    with writer.as_default(), corenn.GradientTape() as tape:
        y = square(x.value())
    assert float(tape.gradient(y, x)) == 6.0
    assert written(writer) == [("x", 1, 3.0)]


def test_mistakes(writer: Any) -> None:
    @corenn.function
    def fixed(x: Any) -> Any:
        summary.scalar("x", x, step=3)
        return x

    with writer.as_default():
        with pytest.warns(summary.SummaryWarning, match="the step is 3 in every run"):
            fixed(corenn.tensor(1.0))
        with pytest.raises(ShapeError), warnings.catch_warnings():
            corenn.function(lambda x: summary.scalar("x", x, step=lambda: 1))(corenn.tensor([1.0, 2.0]))
        with pytest.raises(UsageError, match="no step"):
            summary.scalar("x", 1.0)
        with pytest.raises(AttributeValueError, match="one integer"):
            summary.scalar("x", 1.0, step=lambda: 0.5)
        with pytest.raises(AttributeValueError, match="one integer"):
            corenn.function(lambda x: summary.scalar("x", x, step=lambda: 0.5))(corenn.tensor(1.0))
        graph = corenn.graph.Graph()
        with graph.as_default(), pytest.raises(GraphError, match="scalar_summary"):
            summary.scalar("x", corenn.graph.constant(1.0), step=1)
