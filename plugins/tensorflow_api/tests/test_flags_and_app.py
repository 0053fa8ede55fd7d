"""``tf.flags`` and ``tf.app``."""

from __future__ import annotations

import sys

import pytest
from corenn_tensorflow import app, flags
from corenn_tensorflow.flags import (
    DuplicateFlagError,
    Error,
    FlagValues,
    IllegalFlagValueError,
    UnrecognizedFlagError,
    ValidationError,
)


@pytest.fixture
def values(monkeypatch) -> FlagValues:
    """Flags of every kind, which do not touch the program's own."""
    found = FlagValues()
    options = {"flag_values": found}
    flags.DEFINE_string("name", None, "text", **options)
    flags.DEFINE_integer("steps", 3, "number", **options)
    flags.DEFINE_integer("small", 1, "bounded", lower_bound=0, upper_bound=9, **options)
    flags.DEFINE_float("rate", 1, "rate", **options)
    flags.DEFINE_boolean("verbose", False, "talk", **options)
    flags.DEFINE_bool("on", True, "talk", **options)
    flags.DEFINE_bool("notify", False, "begins with no", **options)
    flags.DEFINE_list("items", "a,b", "list", **options)
    flags.DEFINE_enum("mode", "train", ["train", "eval"], "mode", **options)
    flags.DEFINE_multi_integer("many", [1], "repeats", **options)
    monkeypatch.setattr(sys, "argv", ["prog"])
    return found


@pytest.mark.parametrize(
    ("line", "name", "value", "rest"),
    [
        ("", "steps", 3, []),
        ("", "name", None, []),
        ("", "rate", 1.0, []),
        ("", "items", ["a", "b"], []),
        ("--steps=5", "steps", 5, []),
        ("--steps 5", "steps", 5, []),
        ("-steps 5", "steps", 5, []),
        ("-steps=-5", "steps", -5, []),
        ("--steps=0x10", "steps", 16, []),
        ("--rate=1e-3", "rate", 0.001, []),
        ("--rate 2", "rate", 2.0, []),
        ("--verbose", "verbose", True, []),
        ("--verbose=true", "verbose", True, []),
        ("--verbose=0", "verbose", False, []),
        ("--verbose false", "verbose", True, ["false"]),
        ("--noon", "on", False, []),
        ("--notify", "notify", True, []),
        ("--nonotify", "notify", False, []),
        ("--items=x,y,z", "items", ["x", "y", "z"], []),
        ("--items=", "items", [], []),
        ("--mode=eval", "mode", "eval", []),
        ("--many=4 --many 5", "many", [4, 5], []),
        ("--name=", "name", "", []),
        ("--name=a=b", "name", "a=b", []),
        ("--steps=5 --steps=6", "steps", 6, []),
        ("x --steps=5 y", "steps", 5, ["x", "y"]),
        ("--unknown=3 --steps 5 --what", "steps", 5, ["--unknown=3", "--what"]),
        ("-- --steps 5", "steps", 3, ["--steps", "5"]),
        ("- --steps 5", "steps", 5, ["-"]),
        ("--nosteps", "steps", 3, ["--nosteps"]),
        ("--noverbose=1", "verbose", False, ["--noverbose=1"]),
    ],
)
def test_the_command_line(values, line, name, value, rest):
    assert values(["prog", *line.split()]) == ["prog", *rest]
    found = getattr(values, name)
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    ("line", "error", "said"),
    [
        ("--steps=x", IllegalFlagValueError, "--steps: 'x'"),
        ("--steps=1.5", IllegalFlagValueError, "--steps"),
        ("--small=10", IllegalFlagValueError, "not between 0 and 9"),
        ("--rate=fast", IllegalFlagValueError, "--rate"),
        ("--verbose=maybe", IllegalFlagValueError, "neither true nor false"),
        ("--mode=test", IllegalFlagValueError, "not one of train, eval"),
        ("--steps", Error, "needs a value"),
    ],
)
def test_wrong_values(values, line, error, said):
    with pytest.raises(error, match=said) as caught:
        values(["prog", *line.split()])
    assert isinstance(caught.value, ValueError)


def test_first_access_reads_the_command_line(values, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["prog", "--steps=7", "--late=2", "--unknown"])
    assert not values.is_parsed() and values.steps == 7 and values.is_parsed()
    flags.DEFINE_integer("late", 1, "declared after the first access", flag_values=values)
    assert values.late == 2 and values.steps == 7


def test_values_as_a_mapping(values):
    values(["prog", "--steps=7"])
    assert values.flag_values_dict()["steps"] == 7 and values["steps"].value == 7 and values["steps"].present == 1
    assert "steps" in values and "stesp" not in values and len(values) == 10 and "mode" in list(values)
    assert values.get_flag_value("name", "default") == "default"
    # The spelling of many old scripts.
    values._parse_flags()
    assert str(getattr(values, "__flags")["steps"]) == "7"


def test_assigning(values):
    values.steps = "12"
    assert values.steps == 12
    values.set_default("rate", 4)
    assert values.rate == 4.0
    with pytest.raises(IllegalFlagValueError):
        values.steps = "many"
    with pytest.raises(UnrecognizedFlagError, match="did you mean 'steps'"):
        values.stesp = 3
    with pytest.raises(AttributeError):
        values.stesp
    values.unparse_flags()
    assert values.steps == 3
    del values.steps
    assert not hasattr(values, "steps")


def test_a_flag_is_declared_by_one_module(values):
    flags.DEFINE_integer("steps", 5, "the same module again: a cell that is run twice", flag_values=values)
    assert values.steps == 5
    other = {"flags": flags, "values": values, "__name__": "other"}
    with pytest.raises(DuplicateFlagError, match="defined twice"):
        exec("flags.DEFINE_integer('steps', 1, '', flag_values=values)", other)


def test_the_keywords_of_the_first_versions(values):
    flags.DEFINE_string(flag_name="old", default_value="x", docstring="text", flag_values=values)
    assert values.old == "x" and values["old"].help == "text"


def test_required(values):
    flags.mark_flag_as_required("name", values)
    with pytest.raises(ValidationError, match="--name: must be given"):
        values(["prog"])
    assert values(["prog", "--name=x"]) == ["prog"]


def test_help(values, capsys):
    with pytest.raises(SystemExit) as left:
        values(["prog", "--help"])
    assert left.value.code == 1
    assert "--[no]verbose: talk" in capsys.readouterr().out


@pytest.fixture
def own(values, monkeypatch) -> FlagValues:
    monkeypatch.setattr(flags, "FLAGS", values)
    return values


@pytest.mark.parametrize(("returned", "code"), [(None, None), (3, 3), ("text", "text")])
def test_run_exits_with_what_main_returns(own, returned, code):
    seen = []
    with pytest.raises(SystemExit) as left:
        app.run(lambda argv: seen.append(argv) or returned, ["prog", "--steps=4", "x"])
    assert left.value.code == code and seen == [["prog", "x"]] and own.steps == 4


def test_run_with_wrong_flags(own, capsys):
    with pytest.raises(SystemExit) as left:
        app.run(print, ["prog", "--steps=x"])
    assert left.value.code == 1
    assert "--steps: 'x'" in capsys.readouterr().err
