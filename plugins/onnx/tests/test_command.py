"""``corenn onnx``, and what the plugin registers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx", reason="the extra onnx is not installed")

import corenn_onnx
from corenn_onnx import plugin
from corenn_onnx.command import app
from typer.testing import CliRunner

from corenn import layers
from corenn.checkpoint import load_file, save_file
from corenn.errors import CorennError
from corenn.training import Sequential


def invoke(*args: Any) -> str:
    result = CliRunner().invoke(app, [str(a) for a in args])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def file(tmp_path: Path) -> Path:
    model = Sequential([layers.Input((3,)), layers.Dense(2, activation="relu")], name="small")
    corenn_onnx.export(model, tmp_path / "small.onnx", opset=20)
    return tmp_path / "small.onnx"


def test_the_plugin_registers_the_command() -> None:
    (record,) = plugin.corenn_commands()
    assert record.name == "onnx"
    assert record.unavailable_reason() is None
    assert record.load() is app


def test_inspect(file: Path) -> None:
    text = invoke("inspect", file, "--weights")
    assert "small: opset ai.onnx 20, by corenn" in text
    assert "input input: float[batch, 3]" in text
    assert "output output: float[batch, 2]" in text
    assert "dense/kernel: float[3, 2]" in text
    assert "can run all of its ops" in text
    found = json.loads(invoke("inspect", file, "--json"))
    assert found["ops"]["MatMul"] == 1
    assert found["unsupported"] == {}


def test_run_and_import(file: Path, tmp_path: Path) -> None:
    x = np.array([[1, -2, 3]], np.float32)
    np.save(tmp_path / "x.npy", x)
    out = tmp_path / "out.npz"
    assert "output: float32[1, 2]" in invoke("run", file, "--input", f"input={tmp_path / 'x.npy'}", "--out", out)
    wanted = corenn_onnx.load(file)(x).numpy()
    np.testing.assert_array_equal(np.load(out)["output"], wanted)
    assert "written to" in invoke("import", file, tmp_path / "w.safetensors")
    arrays, _ = load_file(tmp_path / "w.safetensors")
    np.testing.assert_allclose(np.maximum(x @ arrays["dense/kernel"] + arrays["dense/bias"], 0), wanted, rtol=1e-6)


def test_export_of_a_registered_model_with_its_weights(tmp_path: Path) -> None:
    from corenn.plugin import registry

    model = registry.get("model", "mlp").load()(input_shape=(4, 4, 1), classes=3, hidden=(5,))
    save_file(tmp_path / "w.safetensors", dict(zip(model.weight_names(), model.get_weights(), strict=True)))
    target = tmp_path / "mlp.onnx"
    text = invoke("export", "mlp", target, "--input-shape", "4,4,1", "--classes", 3, "--set", "hidden=(5,)",
                  "--weights", tmp_path / "w.safetensors")  # fmt: skip
    assert "opset 18" in text
    x = np.random.default_rng(0).normal(size=(2, 4, 4, 1)).astype("float32")
    np.testing.assert_allclose(corenn_onnx.load(target)(x).numpy(), model(x).numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("inspect", "none.onnx"), "no file"),
        (("run", "FILE", "--input", "x"), "NAME=FILE.npy"),
        (("run", "FILE", "--input", "input=none.npy"), "cannot be read"),
        (("export", "mlp", "x.onnx", "--input-shape", "four"), "is no shape"),
    ],
)
def test_errors(args: tuple[str, ...], words: str, file: Path) -> None:
    with pytest.raises(CorennError, match=words):
        invoke(*[str(file) if a == "FILE" else a for a in args])


def test_registering_imports_no_onnx() -> None:
    code = "import sys, corenn_onnx.plugin as p; p.corenn_commands(); assert 'onnx' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
