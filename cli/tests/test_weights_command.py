"""``corenn weights``: listing files, matching them with models, conversion."""

from __future__ import annotations

import json

import numpy as np
import pytest
from corenn_models import weights
from corenn_models.classifiers import linear

from corenn.checkpoint import load_file, load_specs, save_file

SMALL = ["--model", "linear", "--set", "input_shape=2,2,1", "--set", "classes=3"]


@pytest.fixture
def files(home):
    """Files for ``linear``: one that fits by name, one that does not, one of another network."""
    rng = np.random.default_rng(0)
    model = linear((2, 2, 1), 3)
    name = model.layers[-1].name
    save_file(home / "good.safetensors", {f"{name}.weight": rng.random((3, 4), "f4"), f"{name}.bias": np.ones(3, "f4")})
    save_file(home / "bad.safetensors", {f"{name}.weight": rng.random((3, 5), "f4"), f"{name}.bias": np.ones(3, "f4")})
    model.save_weights(home / "own.safetensors")
    return home


def test_a_listing(here, files):
    found = here("weights", "inspect", "good.safetensors")
    assert found.status == 0
    assert "good.safetensors: safetensors" in found.out and "15 numbers in 2 arrays of 1 layers" in found.out
    assert "float32[3, 4]" in found.out
    listed = json.loads(here("weights", "inspect", "good.safetensors", "--json").out)
    assert (listed["layout"], listed["numbers"], len(listed["arrays"])) == ("torch", 15, 2)
    assert listed["arrays"][0]["shape"] == [3, 4]


def test_a_match_is_shown(here, files):
    found = here("weights", "inspect", "own.safetensors", *SMALL, "--by", "order")
    assert found.status == 0 and "2 of 2 weights of linear matched, by order" in found.out
    found = here("weights", "inspect", "own.safetensors", *SMALL, "--by", "order", "--json")
    assert json.loads(found.out)["complete"] is True


def test_what_does_not_match_is_shown(here, files):
    found = here("weights", "inspect", "bad.safetensors", *SMALL)
    assert found.status == 1 and "its layer is not in the file" in found.out
    found = here("weights", "convert", "bad.safetensors", "out.safetensors", *SMALL)
    assert found.status == 1 and "do not fit linear" in found.err and not (files / "out.safetensors").exists()


def test_conversion_keeps_names_without_a_model(here, files):
    assert here("weights", "convert", "good.safetensors", "same.safetensors").status == 0
    assert load_specs("same.safetensors") == load_specs("good.safetensors")


def test_conversion_through_a_model(here, files):
    pytest.importorskip("h5py", reason="writing Keras's files needs h5py")
    found = here("weights", "convert", "own.safetensors", "keras.h5", *SMALL)
    assert found.status == 0 and "2 weights of linear, 15 numbers" in found.out
    assert here("weights", "convert", "keras.h5", "back.safetensors", *SMALL, "--by", "order").status == 0
    first, again = (list(load_file(name)[0].values()) for name in ("own.safetensors", "back.safetensors"))
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
    report = weights.compare(linear((2, 2, 1), 3), "keras.h5", by="order")
    assert report.complete


@pytest.mark.parametrize(
    ("args", "status", "message"),
    [
        ("inspect missing.pth", 1, "missing.pth: does not exist"),
        ("inspect good.safetensors --model none", 2, "none"),
        ("inspect good.safetensors --model linear", 2, "needs input_shape and classes"),
        ("inspect good.safetensors --model linear --set units=3", 2, "takes no 'units'"),
        ("inspect good.safetensors --model linear --set input_shape=a --set classes=3", 1, "shape must be a tuple"),
        ("inspect good.safetensors --set classes=3", 2, "--model NAME"),
        ("inspect good.safetensors --by name", 2, "--model NAME"),
        ("inspect good.safetensors --model linear --set input_shape=2,2,1 --set classes=3 --by luck", 2, "--by name"),
        ("convert good.safetensors out.h5", 2, "without a model"),
        ("convert good.safetensors", 2, "Missing argument"),
        ("inspekt", 2, "No such command"),
    ],
)
def test_mistakes(here, files, args, status, message):
    found = here("weights", *args.split())
    assert found.status == status
    assert message.lower() in found.err.lower() and "Traceback" not in found.err


def test_help_names_both_commands(here):
    found = here("weights", "--help")
    assert found.status == 0 and "inspect" in found.out and "convert" in found.out
