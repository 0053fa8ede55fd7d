"""Finding, listing and reading checkpoints, of TensorFlow's format or safetensors, by prefix or directory."""

from __future__ import annotations

import glob as globbing
import os
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from corenn.checkpoint import load_file, tensor_bundle
from corenn.errors import CheckpointError
from corenn.graph import state
from corenn.graph.state import GraphVariable
from corenn_tensorflow import errors, logging, mode
from corenn_tensorflow.records.wire import Field, Message
from corenn_tensorflow.train.optimizer import op_name

SAFETENSORS = ".safetensors"


class CheckpointState(Message):
    """What the file ``checkpoint`` says."""

    FIELDS = (
        Field("model_checkpoint_path", 1, "string"), Field("all_model_checkpoint_paths", 2, "string", repeated=True),
        Field("all_model_checkpoint_timestamps", 3, "double", repeated=True),
        Field("last_preserved_timestamp", 4, "double"),
    )  # fmt: skip


# ---------------------------------------------------------------- the file "checkpoint"


def get_checkpoint_state(checkpoint_dir: Any, latest_filename: str | None = None) -> CheckpointState | None:
    """What the file ``checkpoint`` in a directory says; ``None`` without one, or where it cannot be read."""
    if isinstance(checkpoint_dir, CheckpointState):
        return checkpoint_dir
    directory = os.fspath(checkpoint_dir)
    try:
        found = tensor_bundle.read_checkpoint_state(directory, latest_filename or "checkpoint")
    except CheckpointError as error:
        logging.warning("%s: Checkpoint ignored", error)
        return None
    if found is None:
        return None
    return CheckpointState(
        model_checkpoint_path=found.latest, all_model_checkpoint_paths=found.all,
        all_model_checkpoint_timestamps=found.timestamps, last_preserved_timestamp=found.last_preserved,
    )  # fmt: skip


def update_checkpoint_state(
    save_dir: str, model_checkpoint_path: str, all_model_checkpoint_paths: Sequence[str] | None = None,
    latest_filename: str | None = None, all_model_checkpoint_timestamps: Sequence[float] | None = None,
    last_preserved_timestamp: float | None = None, save_relative_paths: bool = False,
) -> None:  # fmt: skip
    """Write the file ``checkpoint``."""
    tensor_bundle.write_checkpoint_state(
        save_dir, model_checkpoint_path, list(all_model_checkpoint_paths or ()), relative=save_relative_paths,
        timestamps=list(all_model_checkpoint_timestamps or ()), last_preserved=last_preserved_timestamp,
        filename=latest_filename or "checkpoint",
    )  # fmt: skip


def latest_checkpoint(checkpoint_dir: Any, latest_filename: str | None = None) -> str | None:
    """The prefix of the newest checkpoint in a directory, or ``None``."""
    found = get_checkpoint_state(checkpoint_dir, latest_filename)
    if found is None or not found.model_checkpoint_path:
        return None
    if checkpoint_exists(found.model_checkpoint_path):
        return found.model_checkpoint_path
    logging.error("Couldn't match files for checkpoint %s", found.model_checkpoint_path)
    return None


def checkpoint_exists(checkpoint_prefix: Any) -> bool:
    """Whether there is a checkpoint with this prefix; ``*`` and ``?`` match as in file names."""
    prefix = os.fspath(checkpoint_prefix)
    files = [prefix + ".index", safetensors_path(prefix)]
    return any(os.path.isfile(f) or bool(globbing.glob(f)) for f in files)


def safetensors_path(prefix: str) -> str:
    """The safetensors file of a prefix."""
    return prefix if prefix.endswith(SAFETENSORS) else prefix + SAFETENSORS


def get_checkpoint_mtimes(checkpoint_prefixes: Sequence[str]) -> list[float]:
    """When each checkpoint was written; those that are gone are left out."""
    found = []
    for prefix in checkpoint_prefixes:
        for path in (prefix + ".index", safetensors_path(prefix)):
            if os.path.isfile(path):
                found.append(os.path.getmtime(path))
                break
    return found


def remove_checkpoint(
    checkpoint_prefix: str, checkpoint_format_version: Any = 2, meta_graph_suffix: str = "meta"
) -> None:
    """Delete the files of a checkpoint."""
    escaped = globbing.escape(checkpoint_prefix)
    paths = [
        f"{checkpoint_prefix}.{meta_graph_suffix}",
        f"{checkpoint_prefix}.index",
        safetensors_path(checkpoint_prefix),
    ]
    paths += globbing.glob(f"{escaped}.{meta_graph_suffix}.*")
    for path in [*paths, *globbing.glob(f"{escaped}.data-?????-of-?????")]:
        if os.path.isfile(path):
            os.remove(path)


# ---------------------------------------------------------------- reading


class CheckpointReader:
    """The tensors of one checkpoint."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._tensors: dict[str, np.ndarray[Any, Any]] | None = None
        self._bundle: tensor_bundle.BundleReader | None = None
        path = safetensors_path(prefix)
        if os.path.isfile(path):
            self._tensors = dict(load_file(path)[0])
        else:
            self._bundle = tensor_bundle.BundleReader(prefix)

    def _names(self) -> list[str]:
        if self._tensors is not None:
            return sorted(self._tensors)
        assert self._bundle is not None
        return self._bundle.names()

    def get_variable_to_shape_map(self) -> dict[str, list[int]]:
        """Shapes by name."""
        return {name: list(self._about(name)[0]) for name in self._names()}

    def get_variable_to_dtype_map(self) -> dict[str, Any]:
        """Element types by name."""
        from corenn_tensorflow.framework import as_dtype

        return {name: as_dtype(self._about(name)[1]) for name in self._names()}

    def _about(self, name: str) -> tuple[tuple[int, ...], Any]:
        if self._tensors is not None:
            return self._tensors[name].shape, self._tensors[name].dtype
        assert self._bundle is not None
        return self._bundle.shape_and_dtype(name)

    def has_tensor(self, tensor_str: str) -> bool:
        """Whether a name is in it."""
        return tensor_str in (self._tensors if self._tensors is not None else self._bundle)  # type: ignore[operator]

    def get_tensor(self, tensor_str: str) -> np.ndarray[Any, Any]:
        """A tensor's value; NotFoundError for a name that is not in it."""
        if isinstance(tensor_str, bytes):
            tensor_str = tensor_str.decode()
        if not self.has_tensor(tensor_str):
            raise errors.NotFoundError(None, None, f"Key {tensor_str} not found in checkpoint")
        if self._tensors is not None:
            return self._tensors[tensor_str]
        assert self._bundle is not None
        found = self._bundle.read(tensor_str)
        return found[()] if found.dtype == object and not found.ndim else found

    def debug_string(self) -> bytes:
        """One line for each tensor: name, type, shape."""
        words = {"float32": "float", "float64": "double"}
        lines = []
        for name in self._names():
            shape, dtype = self._about(name)
            lines.append(f"{name} (DT_{words.get(dtype.name, dtype.name).upper()}) [{','.join(map(str, shape))}]")
        return "\n".join(lines).encode()


def NewCheckpointReader(filepattern: Any) -> CheckpointReader:
    """A reader for the checkpoint with this prefix; NotFoundError where there is none."""
    prefix = os.fspath(filepattern)
    if not checkpoint_exists(prefix):
        raise errors.NotFoundError(
            None, None, "Unsuccessful TensorSliceReader constructor: Failed to find any matching files for " + prefix
        )
    try:
        return CheckpointReader(prefix)
    except CheckpointError as error:
        raise errors.DataLossError(None, None, str(error)) from error


def _checkpoint_filename(ckpt_dir_or_file: Any) -> str | None:
    path = os.fspath(ckpt_dir_or_file)
    return latest_checkpoint(path) if os.path.isdir(path) else path


def load_checkpoint(ckpt_dir_or_file: Any) -> CheckpointReader:
    """A reader for a checkpoint, or for the newest one in a directory."""
    found = _checkpoint_filename(ckpt_dir_or_file)
    if found is None:
        raise ValueError(f"Couldn't find 'checkpoint' file or checkpoints in given directory {ckpt_dir_or_file}")
    return NewCheckpointReader(found)


def load_variable(ckpt_dir_or_file: Any, name: str) -> np.ndarray[Any, Any]:
    """The value of one variable of a checkpoint."""
    return load_checkpoint(ckpt_dir_or_file).get_tensor(name.removesuffix(":0"))


def list_variables(ckpt_dir_or_file: Any) -> list[tuple[str, list[int]]]:
    """Name and shape of every variable of a checkpoint, by name."""
    return sorted(load_checkpoint(ckpt_dir_or_file).get_variable_to_shape_map().items())


def checkpoints_iterator(
    checkpoint_dir: str, min_interval_secs: float = 0, timeout: float | None = None, timeout_fn: Any = None
) -> Any:
    """Each new checkpoint as it appears; it ends after ``timeout`` seconds without one."""
    last = None
    begun = time.monotonic()
    while True:
        newest = latest_checkpoint(checkpoint_dir)
        if newest is not None and newest != last:
            last, begun = newest, time.monotonic()
            yield newest
            time.sleep(min_interval_secs)
        elif timeout is not None and time.monotonic() - begun > timeout:
            if timeout_fn is None or timeout_fn():
                return
            begun = time.monotonic()
        else:
            time.sleep(min(1.0, timeout) if timeout else 1.0)


# ---------------------------------------------------------------- initial values from a checkpoint


def init_from_checkpoint(ckpt_dir_or_file: Any, assignment_map: Mapping[str, Any] | Sequence[tuple[str, Any]]) -> None:
    """Make variables begin with values of a checkpoint.

    ``assignment_map``: names in the checkpoint to variables or names of variables; ``"scope/"`` to ``"other_scope/"``
    for all below a scope (``"/"`` is everything).
    """
    reader = load_checkpoint(ckpt_dir_or_file)
    where = str(ckpt_dir_or_file)
    graph = mode.default_graph()
    by_name = {op_name(v): v for v in graph.get_collection(state.GLOBAL)}
    pairs = assignment_map.items() if isinstance(assignment_map, Mapping) else assignment_map
    for source, target in pairs:
        if isinstance(target, (GraphVariable, list)):
            _begin_with(reader, source, target[0] if isinstance(target, list) else target, where)
        elif not source.endswith("/") and target in by_name:
            _begin_with(reader, source, by_name[target], where)
        else:
            _begin_scope(reader, source, target, by_name, where)


def _begin_scope(reader: CheckpointReader, source: str, target: str, by_name: dict[str, Any], where: str) -> None:
    prefix = target if target.endswith("/") else target + "/"
    if target == "/":
        chosen = dict(by_name)
        prefix = ""
    else:
        chosen = {n: v for n, v in by_name.items() if n.startswith(prefix)}
    if not chosen:
        raise ValueError(
            f"Assignment map with scope only name {source} should map to scope only {target}. Should be 'scope/': "
            "'other_scope/'."
            if not source.endswith("/")
            else f"No variables are below the scope {target!r}."
        )
    root = source.strip("/")
    for name, variable in chosen.items():
        inner = name.removeprefix(prefix)
        full = f"{root}/{inner}" if root else inner
        if not reader.has_tensor(full) and "/part_" in full:
            full = full[: full.index("/part_")]
        if not reader.has_tensor(full):
            raise ValueError(f"Tensor {name} ({full} in {where}) is not found in {where} checkpoint")
        _begin_with(reader, full, variable, where)


def _begin_with(reader: CheckpointReader, source: str, variable: Any, where: str) -> None:
    if not reader.has_tensor(source):
        raise ValueError(f"Tensor {source} is not found in {where} checkpoint {reader.get_variable_to_shape_map()}")
    value = reader.get_tensor(source)
    known = variable.extents
    if known is not None and tuple(known) != tuple(np.shape(value)):
        raise ValueError(
            f"Shape of variable {variable.name} ({tuple(known)}) doesn't match with shape of tensor {source} "
            f"({list(np.shape(value))}) from checkpoint reader."
        )
    graph = variable.graph
    with graph.control_dependencies(None), graph.name_scope("checkpoint_initializer"):
        variable.initial_value = graph.constant(np.asarray(value), name="value")
        variable.initializer = state.assign(graph, variable, variable.initial_value, controls=[]).operation
    logging.info("%s <- %s", variable.name, source)


def warm_start(
    ckpt_to_initialize_from: Any, vars_to_warm_start: Any = ".*", var_name_to_vocab_info: Any = None,
    var_name_to_prev_var_name: Mapping[str, str] | None = None,
) -> None:  # fmt: skip
    """Make the trainable variables whose names match (a pattern, or a list of names) begin with a checkpoint's."""
    if var_name_to_vocab_info:
        raise NotImplementedError(
            "warm_start of a changed vocabulary: assign the rows that stay with tf.scatter_update"
        )
    graph = mode.default_graph()
    names = var_name_to_prev_var_name or {}
    if isinstance(vars_to_warm_start, str) or vars_to_warm_start is None:
        chosen = [v for v in graph.get_collection(state.TRAINABLE) if re.match(vars_to_warm_start or "(?!)", v.name)]
    else:
        chosen = [
            v if isinstance(v, GraphVariable) else next(
                g for g in graph.get_collection(state.GLOBAL) if re.match(f"{v}(:0)?$", g.name)
            )
            for v in vars_to_warm_start
        ]  # fmt: skip
    init_from_checkpoint(ckpt_to_initialize_from, {names.get(op_name(v), op_name(v)): v for v in chosen})


__all__ = [
    "CheckpointReader", "CheckpointState", "NewCheckpointReader", "checkpoint_exists", "checkpoints_iterator",
    "get_checkpoint_mtimes", "get_checkpoint_state", "init_from_checkpoint", "latest_checkpoint", "list_variables",
    "load_checkpoint", "load_variable", "remove_checkpoint", "safetensors_path", "update_checkpoint_state",
    "warm_start",
]  # fmt: skip
