"""The domains beside the main one: classical machine learning (``ai.onnx.ml``) and steps of optimizers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import corenn
from corenn.tensor import Tensor
from corenn_onnx.table import onnx_op
from corenn_onnx.values import as_text

Host = np.ndarray[Any, Any]
ML, TRAINING = "ai.onnx.ml", "ai.onnx.preview.training"


@onnx_op("ArrayFeatureExtractor", domain=ML)
def array_feature_extractor(x: Tensor, places: Tensor) -> Tensor:
    """Elements along the last axis."""
    return corenn.gather(x, corenn.reshape(places, shape=(-1,)), axis=-1)


@onnx_op("Binarizer", domain=ML)
def binarizer(x: Tensor, *, threshold: float = 0.0) -> Tensor:
    """1 above a threshold, else 0."""
    return corenn.greater(x, threshold).cast(x.dtype)


@onnx_op("LabelEncoder", domain=ML, since=2, host=("x",))
def label_encoder(
    x: Host, *, node: Any, default_float: float = -0.0, default_int64: int = -1, default_string: str = "_Unused",
    default_tensor: Host | None = None, keys_floats: Any = None, keys_int64s: Any = None, keys_strings: Any = None,
    keys_tensor: Host | None = None, values_floats: Any = None, values_int64s: Any = None, values_strings: Any = None,
    values_tensor: Host | None = None,
) -> Any:  # fmt: skip
    """Elements mapped by a table of keys and values; NaN is a key like others."""
    lists = (keys_tensor, keys_floats, keys_int64s, keys_strings)
    keys = next((k for k in lists if k is not None), None)
    if keys is None:
        raise node.unsupported("it has no keys")
    kind: Any
    if values_tensor is not None:
        values, kind = values_tensor.ravel().tolist(), values_tensor.dtype
        unused = "_Unused" if kind.kind == "O" else -0.0 if kind.kind == "f" else -1
        default = unused if default_tensor is None else default_tensor.ravel().tolist()[0]
    elif values_strings is not None:
        values, kind, default = values_strings, np.dtype(object), default_string
    elif values_int64s is not None:
        values, kind, default = values_int64s, np.dtype(np.int64), default_int64
    else:
        values, kind, default = values_floats, np.dtype(np.float32), default_float

    def plain(key: Any) -> Any:
        return "NaN key" if isinstance(key, float) and np.isnan(key) else key

    table = {plain(k): v for k, v in zip(np.ravel(np.array(keys, x.dtype)).tolist(), values, strict=True)}
    found = [table.get(plain(item), default) for item in x.ravel().tolist()]
    if kind.kind == "O":
        return as_text(np.array(found, object)).reshape(x.shape)
    return np.array(found, kind).reshape(x.shape)


_COMPARE = (np.less_equal, np.less, np.greater_equal, np.greater, np.equal, np.not_equal)


@onnx_op("TreeEnsemble", domain=ML, since=5, host=("x",))
def tree_ensemble(
    x: Host, *, node: Any, leaf_targetids: Any, leaf_weights: Host, nodes_falseleafs: Any, nodes_falsenodeids: Any,
    nodes_featureids: Any, nodes_modes: Host, nodes_splits: Host, nodes_trueleafs: Any, nodes_truenodeids: Any,
    tree_roots: Any, aggregate_function: int = 1, membership_values: Host | None = None, n_targets: int = 1,
    nodes_hitrates: Any = None, nodes_missing_value_tracks_true: Any = None, post_transform: int = 0,
) -> Any:  # fmt: skip
    """Decision trees: what the leaves that each row reaches add to each target."""
    if post_transform:
        raise node.unsupported(f"post_transform {post_transform}")
    members: list[set[float]] = [set()]
    for value in [] if membership_values is None else membership_values.ravel().tolist():
        if np.isnan(value):
            members.append(set())
        else:
            members[-1].add(value)
    sets = iter(members)
    of_node = {i: next(sets) for i, mode in enumerate(nodes_modes.ravel()) if mode == 6}
    reached: list[list[list[float]]] = [[[] for _ in range(n_targets)] for _ in x]
    for row, features in enumerate(x):
        for root in tree_roots:
            place, leaf = int(root), False
            while not leaf:
                value, mode = features[nodes_featureids[place]], int(nodes_modes[place])
                if np.isnan(value):
                    holds = bool(nodes_missing_value_tracks_true and nodes_missing_value_tracks_true[place])
                elif mode == 6:
                    holds = float(value) in of_node[place]
                else:
                    holds = bool(_COMPARE[mode](value, nodes_splits[place]))
                leaf = bool((nodes_trueleafs if holds else nodes_falseleafs)[place])
                place = int((nodes_truenodeids if holds else nodes_falsenodeids)[place])
            reached[row][leaf_targetids[place]].append(float(leaf_weights[place]))
    combine = (np.mean, np.sum, np.min, np.max)[aggregate_function]
    found = [[combine(values) if values else 0.0 for values in targets] for targets in reached]
    return np.array(found, x.dtype).reshape(len(x), n_targets)


# ---------------------------------------------------------------- steps of optimizers


def _groups(tensors: Sequence[Tensor], count: int) -> list[tuple[Tensor, ...]]:
    """Inputs that come in ``count`` lists, one after the other, as one tuple for each variable."""
    each = len(tensors) // count
    return list(zip(*[tensors[i * each : (i + 1) * each] for i in range(count)], strict=True))


def _lists(rows: Sequence[tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
    return tuple(value for column in zip(*rows, strict=True) for value in column)


@onnx_op("Gradient", domain=TRAINING, pure=False)
def gradient(*operands: Tensor, node: Any, xs: Any, y: str, zs: Any = ()) -> Any:
    """The gradients of a value of the graph by others: what lies between is computed again, under a tape."""
    if node.home is None:
        raise node.unsupported("a gradient inside the body of a function")
    given = dict(zip([*xs, *zs], [corenn.identity(v) for v in operands], strict=True))
    sources = [given[name] for name in xs]
    with corenn.GradientTape() as tape:
        tape.watch(sources)
        target = node.home.compute(y, given, node.scope)
    found = tape.gradient(target, sources)
    return tuple(corenn.zeros_like(s) if g is None else g for s, g in zip(sources, found, strict=True))


@onnx_op("Momentum", domain=TRAINING, host=("step",))
def momentum(
    rate: Tensor, step: Host, *tensors: Tensor, alpha: float, beta: float, mode: str, norm_coefficient: float
) -> Any:
    """Gradient descent with momentum, Nesterov's or plain."""
    rows = []
    for x, g, v in _groups(tensors, 3):
        whole = x * norm_coefficient + g
        after = v * alpha + whole * (beta if int(step.reshape(())) > 0 else 1.0)
        move = whole + after * alpha if mode == "nesterov" else after
        rows.append((x - rate * move, after))
    return _lists(rows)


@onnx_op("Adagrad", domain=TRAINING, host=("step",))
def adagrad(
    rate: Tensor, step: Host, *tensors: Tensor, decay_factor: float = 0.0, epsilon: float = 1e-6,
    norm_coefficient: float = 0.0,
) -> Any:  # fmt: skip
    """Steps divided by the root of all squared gradients so far."""
    rows = []
    now = rate / (1 + int(step.reshape(())) * decay_factor)
    for x, g, h in _groups(tensors, 3):
        whole = x * norm_coefficient + g
        after = h + whole * whole
        rows.append((x - now * whole / (corenn.sqrt(after) + epsilon), after))
    return _lists(rows)


@onnx_op("Adam", domain=TRAINING, host=("step",))
def adam(
    rate: Tensor, step: Host, *tensors: Tensor, alpha: float = 0.9, beta: float = 0.999, epsilon: float = 1e-6,
    norm_coefficient: float = 0.0, norm_coefficient_post: float = 0.0,
) -> Any:  # fmt: skip
    """Adam."""
    count = int(step.reshape(()))
    now = rate * (np.sqrt(1 - beta**count) / (1 - alpha**count)).item() if count > 0 else rate
    rows = []
    for x, g, v, h in _groups(tensors, 4):
        whole = x * norm_coefficient + g
        mean, square = v * alpha + whole * (1 - alpha), h * beta + whole * whole * (1 - beta)
        after = x - now * mean / (corenn.sqrt(square) + epsilon)
        rows.append((after * (1 - norm_coefficient_post), mean, square))
    return _lists(rows)
