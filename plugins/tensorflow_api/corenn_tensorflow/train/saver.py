"""``tf.train.Saver``: variables of a session in checkpoints that TensorFlow reads, and back.

The format is TensorFlow's second (``.index`` and ``.data-00000-of-00001``).  ``Saver(write_version="safetensors")``, or
a path that ends in ``.safetensors``, writes one safetensors file instead; restoring finds out which there is.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from corenn.checkpoint import save_file, tensor_bundle
from corenn.errors import CheckpointError
from corenn.graph import state
from corenn.graph.state import GraphVariable
from corenn.variable import Variable
from corenn_tensorflow import errors, logging, mode
from corenn_tensorflow.records.wire import Field, Message
from corenn_tensorflow.train import checkpoints
from corenn_tensorflow.train.global_step import global_step as step_of
from corenn_tensorflow.train.optimizer import op_name


class SaverDef(Message):
    """The settings of a saver."""

    FIELDS = (
        Field("filename_tensor_name", 1, "string"), Field("save_tensor_name", 2, "string"),
        Field("restore_op_name", 3, "string"), Field("max_to_keep", 4, "int"), Field("sharded", 5, "bool"),
        Field("keep_checkpoint_every_n_hours", 6, "float"), Field("version", 7, "int"),
    )  # fmt: skip
    LEGACY, V1, V2 = 0, 1, 2
    SAFETENSORS = "safetensors"


class Saver:
    """Saves and restores variables.

    ``var_list``: variables, or a dict of them by their names in the checkpoint; by default all global variables.
    ``max_to_keep``: so many newest checkpoints stay (0 or ``None``: all), and one of every
    ``keep_checkpoint_every_n_hours``.
    """

    def __init__(
        self, var_list: Any = None, reshape: bool = False, sharded: bool = False, max_to_keep: int | None = 5,
        keep_checkpoint_every_n_hours: float = 10000.0, name: str | None = None, restore_sequentially: bool = False,
        saver_def: SaverDef | None = None, builder: Any = None, defer_build: bool = False, allow_empty: bool = False,
        write_version: Any = SaverDef.V2, pad_step_number: bool = False, save_relative_paths: bool = False,
        filename: str | None = None,
    ) -> None:  # fmt: skip
        if defer_build and var_list:
            raise ValueError(
                "If `var_list` is provided then build cannot be deferred. Either set defer_build=False or "
                "var_list=None."
            )
        if saver_def is not None:
            max_to_keep, write_version = saver_def.max_to_keep, saver_def.version
            keep_checkpoint_every_n_hours = saver_def.keep_checkpoint_every_n_hours
        self._var_list, self._reshape, self._sharded = var_list, reshape, sharded
        self._max_to_keep, self._keep_hours = max_to_keep or 0, keep_checkpoint_every_n_hours
        self._allow_empty, self._write_version = allow_empty, write_version
        self._pad_step_number, self._save_relative_paths = pad_step_number, save_relative_paths
        self._name, self._filename = name, filename
        self._last_checkpoints: list[tuple[str, float]] = []
        self._last_preserved: float | None = None
        self._next_preserved = time.time() + self._keep_hours * 3600
        self._variables: dict[str, Any] | None = None
        if not defer_build:
            self.build()

    # ---- what it saves

    def build(self) -> None:
        """Decide which variables it saves: those there are now, if none were given."""
        if self._variables is not None:
            return
        given = self._var_list
        if given is None:
            given = [] if mode.executing_eagerly() else _all_variables(mode.default_graph())
            if mode.executing_eagerly():
                raise RuntimeError(
                    "When eager execution is enabled, `var_list` must specify a list or dict of variables to save"
                )
        self._variables = _named(given)
        if not self._variables and not self._allow_empty:
            self._variables = None
            raise ValueError("No variables to save")

    @property
    def variables(self) -> dict[str, Any]:
        """The variables by their names in checkpoints."""
        if self._variables is None:
            raise RuntimeError("`build()` should be called before save if defer_build==True")
        return self._variables

    @property
    def saver_def(self) -> SaverDef:
        """The settings."""
        version = self._write_version if isinstance(self._write_version, int) else SaverDef.V2
        return SaverDef(
            filename_tensor_name="save/Const:0", save_tensor_name="save/control_dependency:0",
            restore_op_name="save/restore_all", max_to_keep=self._max_to_keep, sharded=self._sharded,
            keep_checkpoint_every_n_hours=self._keep_hours, version=version,
        )  # fmt: skip

    as_saver_def = to_proto = lambda self, export_scope=None: self.saver_def

    # ---- saving

    def save(
        self, sess: Any, save_path: Any, global_step: Any = None, latest_filename: str | None = None,
        meta_graph_suffix: str = "meta", write_meta_graph: bool = True, write_state: bool = True,
        strip_default_attrs: bool = False, save_debug_info: bool = False,
    ) -> str | None:  # fmt: skip
        """Write the variables of a session; returns the checkpoint's prefix: ``save_path``, and ``-<global_step>``."""
        variables = self.variables
        latest_filename = latest_filename or "checkpoint"
        if os.path.split(latest_filename)[0]:
            raise ValueError("'latest_filename' must not contain path components")
        given = os.fspath(save_path)
        as_safetensors = self._write_version == SaverDef.SAFETENSORS or given.endswith(checkpoints.SAFETENSORS)
        given = given.removesuffix(checkpoints.SAFETENSORS)
        if global_step is not None:
            if not isinstance(global_step, (int, np.integer)):
                global_step = step_of(sess, global_step)
            prefix = f"{given}-{global_step:08d}" if self._pad_step_number else f"{given}-{global_step}"
        else:
            prefix = given
            if os.path.basename(given) == latest_filename and not self._sharded:
                raise ValueError(f"'latest_filename' collides with 'save_path': '{latest_filename}' and '{given}'")
        directory = os.path.dirname(prefix)
        if not variables:
            return None
        if directory and not os.path.isdir(directory):
            try:
                os.mkdir(directory)  # as TensorFlow's writer: the last directory of a path, not those above it
            except FileNotFoundError:
                raise ValueError(f"Parent directory of {given} doesn't exist, can't save.") from None
        self._write(prefix, self._values(sess, variables), as_safetensors)
        if write_state:
            dropped = self._record(prefix)
            checkpoints.update_checkpoint_state(
                directory or ".", prefix, self.last_checkpoints, latest_filename,
                [when for _, when in self._last_checkpoints], self._last_preserved, self._save_relative_paths,
            )  # fmt: skip
            if dropped is not None:
                self._remove(dropped, meta_graph_suffix)
        if write_meta_graph and not mode.executing_eagerly():
            from corenn_tensorflow.train.meta_graph import write_meta

            write_meta(f"{prefix}.{meta_graph_suffix}", next(iter(variables.values())).graph, self)
        return prefix

    def _values(self, sess: Any, variables: Mapping[str, Any]) -> dict[str, np.ndarray[Any, Any]]:
        if all(isinstance(v, Variable) for v in variables.values()):
            return {name: v.numpy() for name, v in variables.items()}
        if not hasattr(sess, "run"):
            raise TypeError(f"'sess' must be a Session; {sess}")
        values = sess.run(list(variables.values()))
        return {name: np.asarray(value) for name, value in zip(variables, values, strict=True)}

    def _write(self, prefix: str, values: Mapping[str, np.ndarray[Any, Any]], as_safetensors: bool) -> None:
        try:
            if as_safetensors:
                save_file(checkpoints.safetensors_path(prefix), values)
            else:
                tensor_bundle.write_bundle(prefix, values)
        except CheckpointError as error:
            raise errors.UnknownError(None, None, str(error)) from error

    def _record(self, prefix: str) -> str | None:
        """List a new checkpoint; returns the oldest one, where there are too many now and it is not to be preserved."""
        self._last_checkpoints = [(p, t) for p, t in self._last_checkpoints if p != prefix]
        self._last_checkpoints.append((prefix, time.time()))
        if not self._max_to_keep or len(self._last_checkpoints) <= self._max_to_keep:
            return None
        oldest, written = self._last_checkpoints.pop(0)
        if written > self._next_preserved:
            self._next_preserved += self._keep_hours * 3600
            self._last_preserved = written
            return None
        return oldest

    def _remove(self, prefix: str, meta_graph_suffix: str) -> None:
        try:
            checkpoints.remove_checkpoint(prefix, 2, meta_graph_suffix)
        except OSError as error:
            logging.warning("Ignoring: %s", error)

    # ---- restoring

    def restore(self, sess: Any, save_path: Any) -> None:
        """Set the session's variables from a checkpoint; they need no initialisation before."""
        if save_path is None:
            raise ValueError("Can't load save_path when it is None.")
        variables = self.variables
        prefix = os.fspath(save_path)
        if not checkpoints.checkpoint_exists(prefix):
            raise ValueError("The passed save_path is not a valid checkpoint: " + prefix)
        logging.info("Restoring parameters from %s", prefix)
        reader = checkpoints.NewCheckpointReader(prefix)
        missing = [name for name in variables if not reader.has_tensor(name)]
        if missing:
            raise errors.NotFoundError(
                None, None,
                "Restoring from checkpoint failed. This is most likely due to a Variable name or other graph key that "
                "is missing from the checkpoint. Please ensure that you have not altered the graph expected based on "
                f"the checkpoint. Original error:\n\nKey {missing[0]} not found in checkpoint\n\t [[node "
                f"save/RestoreV2]]",
                operands={"missing": ", ".join(missing[:10]), "in the checkpoint": ", ".join(reader._names()[:10])},
            )  # fmt: skip
        found = {name: self._fitted(reader.get_tensor(name), variable) for name, variable in variables.items()}
        for name, variable in variables.items():
            if isinstance(variable, Variable):
                variable.assign(found[name])
            else:
                core_session(sess).load(variable, found[name])

    def _fitted(self, value: Any, variable: Any) -> np.ndarray[Any, Any]:
        array = np.asarray(value)
        known = variable.extents if isinstance(variable, GraphVariable) else variable.spec.shape
        if self._reshape and known is not None and None not in known:
            array = array.reshape(known)
        wanted = variable.dtype.numpy
        if known is not None and (
            len(known) != array.ndim or any(n is not None and n != m for n, m in zip(known, array.shape, strict=True))
        ):
            self._mismatch(
                "Assign requires shapes of both tensors to match. "
                f"lhs shape= {_listed(known)} rhs shape= {_listed(array.shape)}", variable,
            )  # fmt: skip
        if array.dtype != wanted and array.dtype != object:
            words = {"float32": "float", "float64": "double"}
            names = [words.get(n, n) for n in (array.dtype.name, wanted.name)]
            self._mismatch(f"tensor_name = {op_name(variable)}; expected dtype {names[1]} does not equal "
                           f"original dtype "
                           f"{names[0]}", variable)  # fmt: skip
        return array

    def _mismatch(self, what: str, variable: Any) -> None:
        raise errors.InvalidArgumentError(
            None, None,
            "Restoring from checkpoint failed. This is most likely due to a mismatch between the current graph and the "
            "graph from the checkpoint. Please ensure that you have not altered the graph expected based on the "
            f"checkpoint. Original error:\n\n{what}\n\t [[node save/Assign ({op_name(variable)})]]",
        )  # fmt: skip

    # ---- which there are

    @property
    def last_checkpoints(self) -> list[str]:
        """The prefixes of checkpoints it has written and not deleted, oldest first."""
        return [prefix for prefix, _ in self._last_checkpoints]

    def set_last_checkpoints(self, last_checkpoints: Sequence[str]) -> None:
        """Take over a list of checkpoints, to be deleted in time."""
        self._last_checkpoints = [(prefix, float("inf")) for prefix in last_checkpoints]

    def set_last_checkpoints_with_time(self, last_checkpoints_with_time: Sequence[tuple[str, float]]) -> None:
        """As ``set_last_checkpoints``, with when each was written."""
        self._last_checkpoints = list(last_checkpoints_with_time)

    def recover_last_checkpoints(self, checkpoint_paths: Iterable[str]) -> None:
        """Take over the checkpoints of these that are still there."""
        kept = [p for p in checkpoint_paths if checkpoints.checkpoint_exists(p)]
        times = checkpoints.get_checkpoint_mtimes(kept)
        self.set_last_checkpoints_with_time(list(zip(kept, times, strict=True)))

    # ---- the graph

    def export_meta_graph(
        self, filename: str | None = None, collection_list: Any = None, as_text: bool = False,
        export_scope: str | None = None, clear_devices: bool = False, clear_extraneous_savers: bool = False,
        strip_default_attrs: bool = False, save_debug_info: bool = False,
    ) -> Any:  # fmt: skip
        """Write the graph; see ``tf.train.export_meta_graph``."""
        from corenn_tensorflow.train.meta_graph import export_meta_graph

        return export_meta_graph(filename, collection_list=collection_list, as_text=as_text, saver=self)


def core_session(sess: Any) -> Any:
    """The session that holds the values: itself, or the one a monitored session wraps."""
    while not hasattr(sess, "load"):
        inner = getattr(sess, "_sess", None)
        if inner is None and hasattr(sess, "raw_session"):
            inner = sess.raw_session()
        if inner is None:
            raise TypeError(f"'sess' must be a Session; {sess}")
        sess = inner
    return sess


def _all_variables(graph: Any) -> list[Any]:
    return [*graph.get_collection(state.GLOBAL), *graph.get_collection("saveable_objects")]


def _named(given: Any) -> dict[str, Any]:
    """Variables by name; names must differ."""
    found: dict[str, Any] = {}
    pairs = list(given.items()) if isinstance(given, Mapping) else [(None, v) for v in given]
    for name, variable in pairs:
        if isinstance(variable, (list, tuple)) and len(variable) == 1:
            variable = variable[0]
        if not isinstance(variable, (GraphVariable, Variable)):
            raise TypeError(f"Variable to save is not a Variable: {variable}")
        label = name if name is not None else op_name(variable)
        if found.get(label, variable) is not variable:
            raise ValueError(f"At least two variables have the same name: {label}")
        found[label] = variable
    return dict(sorted(found.items()))


def _listed(shape: Iterable[int | None]) -> str:
    return "[" + ",".join("?" if n is None else str(n) for n in shape) + "]"


__all__ = ["Saver", "SaverDef", "core_session"]
