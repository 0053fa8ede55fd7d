"""The digits task: its data, what it writes for TensorBoard, and that it learns the digits."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from corenn_tasks.augmentation import distorted_batches
from corenn_tasks.digits import DigitsSettings
from corenn_tasks.summaries import layer_graph, write_mistakes

from corenn import layers, summary
from corenn.errors import UsageError
from corenn.summary import EventWriter
from corenn.training import Model, Sequential
from corenn.training.run import Run

X = np.random.default_rng(0).random((10, 8, 8, 1), dtype=np.float32)
Y = np.arange(10, dtype=np.int32)


def batches(dataset, epoch):
    with dataset.iterator(epoch) as iterator:
        return [tuple(part.copy() for part in batch) for batch in iterator]


def test_images_keep_their_labels_and_are_distorted_differently_in_every_epoch():
    data = distorted_batches(X, Y, 4, 0.3, seed=3)
    seen = []
    for epoch in range(3):
        found = batches(data, epoch)
        assert [len(images) for images, _ in found] == [4, 4, 2]
        labels = np.concatenate([labels for _, labels in found])
        assert sorted(labels) == list(Y)
        images = np.concatenate([images for images, _ in found])[np.argsort(labels)]
        nearest = ((images[:, None] - X[None]) ** 2).sum((2, 3, 4)).argmin(1)
        np.testing.assert_array_equal(nearest, Y)
        seen.append(images)
    assert all(not np.array_equal(seen[a][i], seen[b][i]) for a, b in ((0, 1), (1, 2)) for i in range(10))


def test_the_same_seed_gives_the_same_images_also_from_the_middle():
    one, other = (distorted_batches(X, Y, 4, 1.0, seed=3) for _ in range(2))
    whole = batches(one, 2)
    with one.iterator(2) as first:
        next(first)
        state = first.state_dict()
    with other.iterator(0) as second:
        second.load_state_dict(state)
        rest = list(second)
    for (images, labels), (again, same) in zip(whole[1:], rest, strict=True):
        np.testing.assert_array_equal(images, again)
        np.testing.assert_array_equal(labels, same)
    assert not np.array_equal(batches(distorted_batches(X, Y, 4, 1.0, seed=4), 2)[0][0], whole[0][0])


def test_without_augmentation_images_stay_as_they_are():
    images, labels = batches(distorted_batches(X, Y, 10, 0.0, seed=3), 0)[0]
    np.testing.assert_array_equal(images, X[labels])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model": "cnm"}, "no model is called 'cnm'"),
        ({"optimizer": "adma"}, "no optimizer 'adma'"),
        ({"dropout": "1"}, "dropout"),
        ({"learning_rate": "0"}, "learning_rate"),
        ({"augment": "-1"}, "augment"),
    ],
)
def test_settings_that_cannot_work_are_refused(changes, said):
    with pytest.raises(UsageError, match=said):
        DigitsSettings().change(changes)


def test_the_graph_is_the_layers_in_a_row():
    model = Sequential([layers.Input((8, 8, 1)), layers.Flatten(name="flat"), layers.Dense(3, name="out")])
    nodes = layer_graph(model)
    assert [(n.name, n.op, list(n.inputs)) for n in nodes] == [
        ("input", "Input", []), ("flat", "Flatten", ["input"]), ("out", "Dense", ["flat"]),
    ]  # fmt: skip
    assert nodes[-1].attrs["_output_shapes"] == [(None, 3)]
    assert layer_graph(Model()) == []


@pytest.mark.parametrize("wrong", [0, 2, 9])
def test_mistakes_are_written_as_images_and_a_table(tmp_path, wrong):
    truth = np.array([1] * wrong + [0] * (9 - wrong))
    probabilities = np.tile([0.8, 0.2], (9, 1))
    with EventWriter(tmp_path) as writer:
        write_mistakes(writer, 5, X[:9], truth, probabilities, ("no", "yes"), most=4)
        path = writer.path
    events = [e for e in summary.read_events(path) if e.tag and e.tag.startswith("mistakes")]
    text = str(events[0].value)
    assert text.count("| yes | no | 80% |") == min(wrong, 4)
    assert ("none" in text) == (wrong == 0)
    assert [e.tag for e in events] == ["mistakes", "mistakes/images"][: 2 if wrong else 1]
    assert all(e.step == 5 for e in events)


@pytest.mark.slow
def test_the_default_settings_learn_the_digits(tmp_path):
    run = Run.start("digits", seed=1, out=tmp_path / "run", quiet=True)
    result = run.execute()
    assert result["metrics"]["test_accuracy"] >= 0.975
    last = json.loads(Path(tmp_path / "run/metrics.jsonl").read_text().splitlines()[-1])
    assert last["val_accuracy"] == pytest.approx(result["metrics"]["test_accuracy"])
    assert last["val_loss"] == pytest.approx(result["metrics"]["test_loss"], rel=1e-4)
