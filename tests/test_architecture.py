"""The import rules: which room may know which (docs/architecture.md)."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CORE = ROOT / "corenn"

# Rooms in the order of knowledge: a module may import rooms of its own rank or below, at import time.
ROOMS = (
    "errors advice dtypes spec tree records",
    "device tensor philox backend plugin display configurable",
    "ops",
    "nn random linalg image variable",
    "autodiff",
    "graph compiler",
    "activations initializers regularizers constraints schedules losses optimizers metrics data summary checkpoint"
    " mixed_precision",
    "layers",
    "training",
    "testing",
    "__init__",
)
RANK = {name: rank for rank, names in enumerate(ROOMS) for name in names.split()}
OUTSIDE = {
    "corenn_numpy", "corenn_onednn", "corenn_cupy", "corenn_datasets", "corenn_models", "corenn_tasks",
    "corenn_onnx", "corenn_tensorflow", "corenn_cli", "cupy",
}  # fmt: skip
MODULES = sorted(CORE.rglob("*.py"))


def room(path: Path) -> str:
    parts = path.relative_to(CORE).with_suffix("").parts
    return parts[0]


def imports(tree: ast.AST, top_only: bool) -> set[str]:
    found: set[str] = set()
    nodes = tree.body if top_only else ast.walk(tree)
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_rooms_import_one_way(path):
    """At import time a core module imports only rooms of its rank or below, and never a backend or plugin."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert room(path) in RANK, f"{room(path)} is a new room: give it a rank"
    for name in imports(tree, top_only=True):
        if name.startswith("corenn."):
            other = name.split(".")[1]
            if other in RANK:
                assert RANK[other] <= RANK[room(path)], f"{path.name} may not import {name}"
    for name in imports(tree, top_only=False):
        assert name.split(".")[0] not in OUTSIDE, f"{path.name} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_backend_is_named(path):
    """No branch on a backend's or device's name outside ``backends/``."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Compare):
            text = ast.unparse(node)
            assert "backend.name" not in text or "==" not in text, f"{path.name}:{node.lineno}: {text}"


def test_import_loads_no_backend_and_nothing_heavy():
    """``import corenn`` loads no backend, no plugin and none of the optional libraries."""
    code = (
        "import sys, corenn; heavy = {'cupy','matplotlib','PIL','pooch','typer','scipy','torch','tensorboard',"
        "'onnx','h5py','fsspec','rich','IPython',"
        "'safetensors','corenn_numpy','corenn_onednn','llvmlite','corenn_cupy','corenn_tasks','ml_dtypes','pluggy'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd="/")
    assert found.stdout.strip() == "[]"
