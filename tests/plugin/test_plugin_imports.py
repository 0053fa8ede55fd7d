"""What importing and listing may not drag in, asked of fresh interpreters."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import corenn

ROOT = Path(corenn.__file__).parent.parent

#: Heavy or optional packages that listing must never import, whichever plugins are installed.
DENIED = {"cupy", "matplotlib", "tensorboard", "tensorflow", "torch", "pooch", "PIL", "scipy", "safetensors", "typer"}


def python(code: str, path: Path, **environment: str) -> Any:
    """Run code in a fresh interpreter that also sees ``path``; what its last line prints, as JSON."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("CORENN_")}
    env |= {"PYTHONPATH": os.pathsep.join([str(path), str(ROOT)]), **environment}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, cwd=path, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_importing_the_package_loads_nothing(tmp_path: Path) -> None:
    code = """
import json, sys
import corenn
before = set(sys.modules)
import corenn.plugin
print(json.dumps([sorted(sys.modules), sorted(set(sys.modules) - before)]))
"""
    everything, new = python(code, tmp_path)
    assert "corenn.plugin" in everything
    assert not {"pluggy", "importlib.metadata", "corenn.plugin.records", "corenn.plugin.loader"} & set(new)
    assert not {name for name in everything if name.startswith("corenn_")}
    assert not DENIED & set(everything)


@pytest.fixture
def heavy_plugin(tmp_path: Path) -> Path:
    """A plugin whose backend needs a package called cupy, which says so when it is imported."""
    info = tmp_path / "corenn_heavy-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: corenn-heavy\nVersion: 0.1\n")
    (info / "entry_points.txt").write_text("[corenn]\nheavy = heavy_plugin\n")
    (tmp_path / "heavy_plugin.py").write_text(
        "from corenn.plugin import BackendRecord, hookimpl\n"
        "@hookimpl\n"
        "def corenn_backends():\n"
        "    return [BackendRecord('heavy', 'heavy_backend:Heavy', aliases=('lead',))]\n"
    )
    (tmp_path / "heavy_backend.py").write_text("import cupy\nclass Heavy: made_with = cupy.__name__\n")
    (tmp_path / "cupy.py").write_text("# stands for the real one\n")
    return tmp_path


def test_listing_imports_no_factory(heavy_plugin: Path) -> None:
    """With every installed plugin, the built-in ones among them: names, probes and look-ups import nothing heavy."""
    code = """
import json, sys
from corenn.plugin import registry
names = list(registry.backends())
for kind in ("datasets", "models", "tasks", "callbacks", "summary_writers", "commands"):
    getattr(registry, kind)()
for record in registry.backends().values():
    record.unavailable_reason()
record = registry.get("backend", "lead")
listed = sorted(sys.modules)
made_with = record.load().made_with
print(json.dumps([names, listed, made_with, "cupy" in sys.modules]))
"""
    names, listed, made_with, imported = python(code, heavy_plugin)
    assert "heavy" in names
    assert "heavy_plugin" in listed
    assert not (DENIED | {"heavy_backend"}) & set(listed)
    assert made_with == "cupy"
    assert imported


def test_off_keeps_the_built_in_plugins(heavy_plugin: Path) -> None:
    code = """
import json
from corenn.plugin import registry
print(json.dumps([list(registry.backends()), [[p.name, p.status] for p in registry.plugins()]]))
"""
    names, plugins = python(code, heavy_plugin, CORENN_PLUGINS="off")
    assert "heavy" not in names
    assert ["heavy", "off"] in plugins
