"""Graphs that several files write and read again."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import corenn
from corenn import graph as G
from corenn import nn
from corenn.constraints import MaxNorm, NonNeg


def _classifier() -> dict[str, Any]:
    """A small network with everything a training program has, in the default graph."""
    graph = G.get_default_graph()
    graph.seed = 11
    x, y = G.placeholder("float32", [None, 4], name="x"), G.placeholder("int32", [None], name="y")
    rate = G.placeholder_with_default(np.float32(0.1), name="learning_rate")
    step = G.variable(0, trainable=False, name="global_step")
    with G.variable_scope("hidden"):
        w = G.get_variable("w", [4, 5], constraint=MaxNorm(1.5))
        b = G.get_variable("b", [5], initializer="zeros")
    with G.variable_scope("out"):
        v = G.get_variable("w", [5, 3], constraint=NonNeg())
    logits = corenn.matmul(nn.relu(corenn.matmul(x, w) + b), v)
    loss = corenn.mean(nn.sparse_softmax_cross_entropy(y, logits))
    with G.name_scope("train"):
        updates = [var.assign_sub(rate * g) for var, g in zip((w, b, v), G.gradients(loss, [w, b, v]), strict=True)]
        train = G.group(*updates, step.assign_add(1), name="step")
    init = G.global_variables_initializer()
    graph.add_to_collection("train_op", train)
    return {"x": x, "y": y, "loss": loss, "train": train, "init": init, "logits": logits}


def _again(graph: G.Graph, **options: Any) -> G.ImportedGraph:
    return G.import_graph(json.loads(json.dumps(G.export_graph(graph), allow_nan=False)), **options)


@pytest.fixture(scope="session")
def classifier() -> Callable[[], dict[str, Any]]:
    """``classifier()`` adds a small network with everything a training program has to the default graph."""
    return _classifier


@pytest.fixture(scope="session")
def again() -> Callable[..., G.ImportedGraph]:
    """``again(graph)``: the graph after a trip through JSON text."""
    return _again
