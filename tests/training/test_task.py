"""Settings of tasks: reading them from text and JSON, and what is refused."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

import pytest

from corenn.errors import UsageError
from corenn.training.task import Settings, Task, parse_assignments


@dataclasses.dataclass
class Some(Settings):
    rate: float = 0.1
    fast: bool = False
    name: str = "a"
    sizes: tuple[int, ...] = (1, 2)
    pair: tuple[int, float] = (1, 0.5)
    names: list[str] = dataclasses.field(default_factory=list)
    kind: Literal["one", "two", 3] = "one"
    limit: float | None = None
    options: dict[str, Any] = dataclasses.field(default_factory=dict)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("epochs", "3", 3),
        ("epochs", 3, 3),
        ("epochs", "1e3", 1000),
        ("steps", "9007199254740993", 9007199254740993),
        ("rate", "1e-3", 1e-3),
        ("rate", "2", 2.0),
        ("fast", "yes", True),
        ("fast", "False", False),
        ("fast", True, True),
        ("name", "none", "none"),
        ("name", "a=b", "a=b"),
        ("sizes", "4, 5,6", (4, 5, 6)),
        ("sizes", "(7,)", (7,)),
        ("sizes", [8, 9], (8, 9)),
        ("pair", "3,0.25", (3, 0.25)),
        ("names", "x,y", ["x", "y"]),
        ("kind", "two", "two"),
        ("kind", "3", 3),
        ("limit", "none", None),
        ("limit", None, None),
        ("limit", "0.5", 0.5),
        ("options.depth", "3", {"depth": 3}),
        ("options.sizes", "16,32", {"sizes": [16, 32]}),
        ("options.on", "true", {"on": True}),
        ("options.word", "relu", {"word": "relu"}),
        ("options.words", "relu,elu", {"words": "relu,elu"}),
        ("options", {"depth": 3}, {"depth": 3}),
    ],
)
def test_a_setting_is_read_as_the_type_of_its_field(name, text, value):
    settings = Some()
    settings.change({name: text})
    found = getattr(settings, name.partition(".")[0])
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("epochs", "0"),
        ("epochs", "-1"),
        ("epochs", "x"),
        ("epochs", "1.5"),
        ("epochs", "1e400"),
        ("epochs", "nan"),
        ("epochs", ""),
        ("epochs", "true"),
        ("epochs", True),
        ("batch_size", "0"),
        ("steps", "-1"),
        ("checkpoint_every", "-2"),
        ("rate", "nan"),
        ("rate", "inf"),
        ("rate", "fast"),
        ("rate", True),
        ("fast", "maybe"),
        ("sizes", "1,x"),
        ("pair", "1"),
        ("pair", "1,2,3"),
        ("kind", "three"),
        ("limit", "low"),
    ],
)
def test_a_wrong_value_is_refused_with_the_setting_and_the_value(name, text):
    with pytest.raises(UsageError) as caught:
        Some().change({name: text})
    assert name in str(caught.value)
    assert str(text) in str(caught.value)


@pytest.mark.parametrize(
    ("name", "near"),
    [("epoch", "epochs"), ("batchsize", "batch_size"), ("naem", "name"), ("name.x", "name"), ("option.x", "options")],
)
def test_an_unknown_setting_is_refused_with_the_nearest_names(name, near):
    with pytest.raises(UsageError, match=f"no setting {name!r}") as caught:
        Some().change({name: "1"})
    assert repr(near) in caught.value.hint


@pytest.mark.parametrize("item", ["epochs", "=3", " =3", ""])
def test_an_assignment_needs_a_name_and_a_value(item):
    with pytest.raises(UsageError, match="key=value"):
        parse_assignments([item])


def test_assignments_split_at_the_first_equals_sign():
    assert parse_assignments(["a=1", " b = x=y ", "c=", "a=2"]) == {"a": "2", "b": "x=y", "c": ""}


def test_settings_survive_json():
    import json

    settings = Some()
    settings.change({"sizes": "4,5", "options.depth": "3", "limit": "0.1", "kind": "3"})
    again = Some()
    again.change(json.loads(json.dumps(settings.as_dict())))
    assert again == settings


def test_a_task_must_say_how_it_runs():
    with pytest.raises(TypeError, match="run"):
        Task()
