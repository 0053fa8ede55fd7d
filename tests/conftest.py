"""``notebook``: cells of code run as a notebook runs them."""

from __future__ import annotations

import ast
import textwrap

import numpy as np
import pytest

import corenn
from corenn import data, layers, linalg, losses, metrics, nn, optimizers, random
from corenn.testing import SimulatedDevice
from corenn.training import callbacks

FEATURES = np.random.default_rng(0).normal(size=(12, 5)).astype(np.float32)
CLASSES = np.arange(12) % 3


def model(units=3, activation="softmax", loss="sparse_categorical_crossentropy"):
    """A small compiled classifier of FEATURES."""
    made = corenn.Sequential([layers.Dense(4, activation="relu"), layers.Dense(units, activation=activation)])
    made.compile("adam", loss)
    return made


def run(cell, folder):
    """Run a cell with everything a notebook would have at hand; the value of its last expression, if it is one."""
    random.seed(0)
    names = {
        "np": np, "corenn": corenn, "layers": layers, "losses": losses, "metrics": metrics, "optimizers": optimizers,
        "data": data, "nn": nn, "random": random, "linalg": linalg, "callbacks": callbacks, "model": model,
        "Model": corenn.Model, "Sequential": corenn.Sequential, "SimulatedDevice": SimulatedDevice,
        "features": FEATURES.copy(), "classes": CLASSES.copy(), "targets": CLASSES.astype(np.float32),
        "one_hot": np.eye(3, dtype=np.float32)[CLASSES], "images": np.zeros((6, 8, 8, 1), np.float32),
        "x": corenn.tensor(np.arange(8, dtype=np.float32).reshape(2, 4)), "folder": folder,
    }  # fmt: skip
    tree = ast.parse(textwrap.dedent(cell).strip())
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "notebook.py", "exec"), names)
    if last is not None:
        return eval(compile(ast.Expression(last.value), "notebook.py", "eval"), names)
    return None


@pytest.fixture
def notebook(tmp_path):
    """A function that runs a cell; ``folder`` is a directory of its own."""
    return lambda cell: run(cell, tmp_path)
