"""Configurable objects and the registries they are found in."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

import corenn
from corenn import constraints, initializers, losses, metrics, optimizers, regularizers, schedules
from corenn.configurable import Configurable, Registry, deserialize, serialize
from corenn.errors import UsageError

MODULES = [initializers, regularizers, constraints, losses, optimizers, metrics]

EXAMPLES = [
    initializers.Constant([1.0, 2.0]),
    initializers.VarianceScaling(2.0, "fan_out", "uniform", seed=3),
    initializers.GlorotNormal(seed=4),
    regularizers.L1L2(0.1, 0.2),
    constraints.MinMaxNorm(0.5, 2.0, rate=0.5, axis=(0, 1)),
    schedules.WarmUp(schedules.CosineDecay(0.1, 100, alpha=0.1), 10),
    schedules.PiecewiseConstantDecay([10, 20], [1.0, 0.5, 0.1]),
    losses.Huber(2.0, reduction="sum", name="mine"),
    losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1),
    optimizers.AdamW(3e-4, weight_decay=0.1, clipnorm=1.0, exclude_from_weight_decay=["bias$"], beta_2=0.95),
    optimizers.SGD(schedules.ExponentialDecay(0.1, 10, 0.9), momentum=0.9, lr_multipliers={"head": 10.0}),
    metrics.AUC(50, curve="PR"),
    metrics.F1Score("macro", threshold=0.3),
    metrics.Accuracy(),
    metrics.AutoAccuracy(from_logits=True),
    metrics.IoU(4, target_class_ids=[1, 2]),
]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: type(e).__name__)
def test_a_json_round_trip_makes_an_equal_object(example):
    text = json.dumps(serialize(example))
    again = deserialize(json.loads(text))
    assert type(again) is type(example)
    assert serialize(again) == serialize(example)
    assert repr(again) == repr(example)


@pytest.mark.parametrize("module", MODULES, ids=lambda m: m.__name__)
def test_get_takes_none_instances_classes_and_dictionaries(module):
    assert module.get(None) is None
    registry = next(e for e in EXAMPLES if type(e).__module__.startswith(module.__name__))
    assert module.get(registry) is registry
    form = serialize(registry)
    del form["kind"]
    assert type(module.get(form)) is type(registry)


@pytest.mark.parametrize("name", ["he_normal", "HeNormal", "HENORMAL", "he-normal", "kaiming_normal"])
def test_names_are_compared_without_case_and_underscores(name):
    assert type(initializers.get(name)) is initializers.HeNormal


@pytest.mark.parametrize(
    ("module", "name", "hint"),
    [
        (initializers, "glorot_unifrm", "glorot_uniform"),
        (regularizers, "l3", "l2"),
        (constraints, "maxnrm", "max_norm"),
        (losses, "mean_square_error", "mean_squared_error"),
        (optimizers, "adan", "adam"),
        (metrics, "acuracy", "accuracy"),
    ],
)
def test_unknown_names_hint_at_the_nearest(module, name, hint):
    with pytest.raises(UsageError, match=f"there is no .* {name!r}") as caught:
        module.get(name)
    assert hint in caught.value.hint


@pytest.mark.parametrize("spec", [3.5j, object(), dict(a=1), int])
def test_other_things_are_refused(spec):
    with pytest.raises(UsageError, match="does not name one"):
        losses.get(spec)


def test_the_config_of_a_class_with_keyword_arguments_has_those_of_its_base():
    config = optimizers.Adam(0.5).get_config()
    assert {"learning_rate", "beta_1", "amsgrad", "weight_decay", "use_ema"} <= config.keys()
    assert config["learning_rate"] == 0.5
    with pytest.raises(UsageError, match="takes no argument 'learningrate'") as caught:
        optimizers.Adam.from_config({"learningrate": 1})
    assert "learning_rate" in caught.value.hint


def test_repr_shows_what_differs_from_the_defaults():
    assert repr(optimizers.Adam()) == "Adam()"
    assert repr(optimizers.AdamW(weight_decay=0.1)) == "AdamW(weight_decay=0.1)"
    assert repr(losses.Huber(2.0, name="h")) == "Huber(delta=2.0, name='h')"


def test_registered_things_are_found_and_names_are_not_taken_twice():
    registry: Registry[Configurable] = Registry("thing", Configurable)

    @registry.register("other")
    class MyThing(Configurable):
        def __init__(self, size=1):
            self.size = size

    assert registry.get("my_thing").size == 1
    assert registry.get("other").size == 1
    assert registry.names() == ["my_thing", "other"]
    assert deserialize(serialize(MyThing(3))).size == 3
    with pytest.raises(UsageError, match="belongs to"):
        registry.register("other")(type("Another", (Configurable,), {}))
    with pytest.raises(UsageError, match="does not derive from"):
        registry.register()(dict)


def test_functions_serialise_by_name_when_registered():
    @losses.register()
    def distance_for_this_test(y_true, y_pred):
        return corenn.abs(y_true - y_pred)

    form = serialize(losses.get(distance_for_this_test))
    assert form["config"]["function"] == {"kind": "loss", "function": "distance_for_this_test"}
    assert deserialize(form).function is distance_for_this_test
    with pytest.raises(UsageError, match="no name that another process could find"):
        serialize(losses.get(lambda y_true, y_pred: y_pred))


def test_serialize_takes_numbers_arrays_and_nested_structures():
    value = {"a": (1, np.float32(0.5)), "b": [np.arange(2), corenn.tensor([1.5])], "c": corenn.tensor([1]).dtype}
    assert serialize(value) == {"a": [1, 0.5], "b": [[0, 1], [1.5]], "c": "int32"}
    with pytest.raises(UsageError, match="no JSON form"):
        serialize(object())


def test_deserialize_wants_the_kind():
    with pytest.raises(UsageError, match="does not say its kind"):
        deserialize({"class_name": "Adam", "config": {}})
    assert type(deserialize({"class_name": "Adam"}, kind="optimizer")) is optimizers.Adam
    with pytest.raises(UsageError, match="no kind 'optimiser'"):
        deserialize({"class_name": "Adam"}, kind="optimiser")


def test_a_fresh_process_finds_the_kinds():
    code = "from corenn.configurable import deserialize; print(deserialize({'kind': 'loss', 'class_name': 'Hinge'}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "Hinge()"
