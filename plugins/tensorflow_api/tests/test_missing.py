"""What the error for a name that is not there says."""

from __future__ import annotations

import importlib
import re
from importlib import resources

import corenn_tensorflow
import pytest
from corenn_tensorflow import flags, missing

from corenn.errors import CorennError


@pytest.fixture
def lists(monkeypatch):
    """Lists of names that the tests control; ``None``: a list that is not there."""
    found = {
        "1.15": frozenset({"placeholder", "nn.relu", "contrib.tensorrt.go", "nn.frobnicate", "queue.Thing"}),
        "2.x": frozenset({"nn.relu", "nn.frobnicate", "tpu.thing"}),
    }
    monkeypatch.setattr(missing, "api_names", found.get)
    missing._packages.cache_clear()
    yield found
    missing._packages.cache_clear()


@pytest.mark.parametrize(
    ("module", "name", "said", "instead"),
    [
        ("corenn_tensorflow", "placeholder", "tf.placeholder: is in TensorFlow 1.15 but", "corenn.layers.Input"),
        ("corenn_tensorflow.nn", "frobnicate", "tf.nn.frobnicate: is in TensorFlow 1.15 and 2.x but not in corenn",
         "no corenn call serves"),
        ("tensorflow.nn", "relu", "tf.nn.relu: is in TensorFlow 1.15 and 2.x", "corenn.nn.relu"),
        ("corenn_tensorflow", "queue", "tf.queue: is in TensorFlow 1.15 but", "no corenn call serves"),
        ("corenn_tensorflow", "tpu", "tf.tpu: is in TensorFlow 2.x but", "no corenn call serves: corenn has no TPU"),
        ("corenn_tensorflow", "nonsense", "tf.nonsense: is in neither corenn nor TensorFlow 1.15 or 2.x", None),
        ("corenn_tensorflow.contrib", "tensorrt", "tf.contrib.tensorrt: is not in corenn; TensorFlow 2 removed contrib",
         "no corenn call serves: corenn has no TensorRT backend"),
        ("tensorflow.contrib.tensorrt", "go", "TensorFlow 2 removed contrib", "no TensorRT backend"),
        ("keras.layers", "Dense", "tf.keras.layers.Dense: ", "corenn.layers.Dense"),
        ("corenn_tensorflow.gym_shim.wrappers", "Monitor", "gym.wrappers.Monitor: is not in corenn",
         "gymnasium.wrappers.RecordVideo"),
        ("corenn_tensorflow.datasets_shim", "show_examples", "tensorflow_datasets.show_examples", "matplotlib"),
    ],
)  # fmt: skip
def test_it_says_what_it_was_and_what_serves(lists, module, name, said, instead):
    error = missing.missing_name(module, name)
    assert said in str(error)
    if instead is None:
        assert "instead" not in error.operands
    else:
        assert instead in str(error.operands["instead"])
    assert isinstance(error, AttributeError) and isinstance(error, CorennError)


def test_without_the_lists_it_does_not_claim_to_know(lists):
    lists.clear()
    assert str(missing.missing_name("tensorflow", "nonsense")).startswith("tf.nonsense: is not in corenn\n")


def test_a_namespace_names_the_nearest():
    with pytest.raises(missing.MissingNameError) as caught:
        flags.DEFINE_sting
    assert caught.value.hint is not None and "'tf.flags.DEFINE_string'" in caught.value.hint
    assert caught.value.site is not None and caught.value.site.startswith("test_missing.py:")
    assert not hasattr(flags, "DEFINE_sting")
    assert getattr(flags, "DEFINE_sting", 3) == 3


def test_questions_of_python_itself_get_a_plain_answer():
    with pytest.raises(AttributeError) as caught:
        flags.__wrapped__
    assert not isinstance(caught.value, CorennError)


def test_the_lists_are_read_with_comments_and_prefixes(tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/one.txt").write_text("# names\ntf.nn.relu\ntensorflow.abs  # a comment\n\nkeras.layers.Dense\n")
    monkeypatch.setattr(missing, "API_LISTS", {"1.15": "one.txt", "2.x": "two.txt"})
    monkeypatch.setattr(missing.resources, "files", lambda package: tmp_path)
    missing.api_names.cache_clear()
    try:
        assert missing.api_names("1.15") == {"nn.relu", "abs", "keras.layers.Dense"}
        assert missing.api_names("2.x") is None
        assert missing.versions_with("nn") == ["1.15"] and missing.versions_with("nn.relux") == []
    finally:
        missing.api_names.cache_clear()
        missing._packages.cache_clear()


def test_what_is_said_to_serve_is_there():
    text = resources.files(corenn_tensorflow).joinpath("data/instead.txt").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert all(re.fullmatch(r"(tf|gym|tensorflow_datasets)\.[\w.]+(\.\*)? [=-] .+", line) for line in lines)
    assert len({line.split()[0] for line in lines}) == len(lines)
    for place in re.findall(r"\bcorenn\.[\w.]*\w", "\n".join(line for line in lines if " = " in line)):
        found = importlib.import_module("corenn")
        for part in place.split(".")[1:]:
            if not hasattr(found, part):
                found = importlib.import_module(f"{found.__name__}.{part}")
            else:
                found = getattr(found, part)


def test_the_package_itself_is_guarded():
    with pytest.raises(missing.MissingNameError, match=r"tf\.no_such_thing"):
        corenn_tensorflow.no_such_thing
