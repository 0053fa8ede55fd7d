"""``tf.train.Checkpoint`` and ``CheckpointManager``: objects saved by how they hold each other.

Files are TensorFlow's: variables under the paths of attributes that lead to them, and the graph of objects beside, so
that either side finds them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from corenn.checkpoint import tensor_bundle
from corenn.errors import CheckpointError
from corenn.graph.session import get_default_session
from corenn.graph.state import GraphVariable
from corenn.layers.base import Layer
from corenn.tensor import Tensor
from corenn.variable import Variable
from corenn_tensorflow import errors
from corenn_tensorflow.train import checkpoints
from corenn_tensorflow.train.objects import (
    GRAPH_KEY,
    PLAIN,
    Root,
    TrackableObject,
    TrackableObjectGraph,
    Walk,
    children_of,
    has_state,
    is_tracked,
    saved_values,
    unpacked,
)
from corenn_tensorflow.train.optimizer import eager_variable


class CheckpointOptions:
    """Settings of saving; one process has no use for them."""

    def __init__(self, experimental_io_device: Any = None, **settings: Any) -> None:
        self.experimental_io_device = experimental_io_device


# ---------------------------------------------------------------- restoring


class LoadStatus:
    """What a restore did; its methods check it."""

    def __init__(self, path: str | None) -> None:
        self._path = path
        self._used: set[str] = set()
        self._all: set[str] = set()
        self._absent: list[str] = []
        self._waiting: dict[int, tuple[Any, str]] = {}

    def assert_consumed(self) -> LoadStatus:
        """AssertionError unless every value of the checkpoint found its object, and every object its value."""
        unused = sorted(self._all - self._used)
        if unused:
            raise AssertionError(
                f"Some objects had attributes which were not restored; values in {self._path} without an object: "
                + ", ".join(unused[:10])
            )
        return self.assert_existing_objects_matched()

    def assert_existing_objects_matched(self) -> LoadStatus:
        """AssertionError where an object has no value in the checkpoint."""
        if self._absent:
            raise AssertionError(
                f"No checkpoint values in {self._path} for these objects: " + ", ".join(sorted(self._absent)[:10])
            )
        return self

    def assert_nontrivial_match(self) -> LoadStatus:
        """AssertionError where nothing was restored."""
        if not self._used and not self._waiting:
            raise AssertionError(f"Nothing except the root object matched a checkpointed value in {self._path}")
        return self

    def expect_partial(self) -> LoadStatus:
        """Say that it is well that not everything was restored."""
        return self

    def initialize_or_restore(self, session: Any = None) -> None:
        """Nothing: values were restored at once."""

    def run_restore_ops(self, session: Any = None) -> None:
        """Nothing: values were restored at once."""


class _Restore:
    """Puts the values of a checkpoint into objects, by walking the saved graph of objects beside them."""

    def __init__(self, path: str, session: Any) -> None:
        self.reader = checkpoints.load_checkpoint(path)
        self.session, self.status = session, LoadStatus(path)
        if not self.reader.has_tensor(GRAPH_KEY):
            raise CheckpointError(
                path, "was not written by tf.train.Checkpoint",
                hint="tf.compat.v1.train.Saver restores variables by name",
            )  # fmt: skip
        self.graph = TrackableObjectGraph.FromString(bytes(np.asarray(self.reader.get_tensor(GRAPH_KEY), object)[()]))
        self.status._all = {a.checkpoint_key for n in self.graph.nodes for a in n.attributes if a.checkpoint_key}
        self.seen: set[tuple[int, int]] = set()

    def whole(self, root: Checkpoint) -> LoadStatus:
        """Restore everything below ``root``."""
        if any(c.local_name == "save_counter" for c in self.graph.nodes[0].children):
            root.save_counter  # noqa: B018  # makes it
        self.put(root, 0, "")
        return self.status

    def put(self, held: Any, number: int, path: str) -> None:
        """Restore one object from one node."""
        if (id(held), number) in self.seen:
            return
        self.seen.add((id(held), number))
        node = self.graph.nodes[number]
        self._attributes(held, node, path)
        links = {c.local_name: c.node_id for c in node.children}
        mine = {n: c for n, c in children_of(held) if is_tracked(c)}
        for name, child in mine.items():
            if name in links:
                self.put(child, links[name], f"{path}/{name}" if path else name)
            elif isinstance(child, (Variable, GraphVariable)):
                self.status._absent.append(f"{path}/{name}")
        if isinstance(held, Layer) and not held.built and any(n not in mine for n in links):
            self._later(held, number, path)

    def _attributes(self, held: Any, node: TrackableObject, path: str) -> None:
        for attribute in node.attributes:
            key = attribute.checkpoint_key
            if isinstance(held, (Variable, GraphVariable)) and attribute.name == "VARIABLE_VALUE":
                self._assign(held, key)
            elif attribute.name == "PY_STATE" and has_state(held):
                held.set_state(unpacked(self.reader, key))
            else:
                continue
            self.status._used.add(key)

    def _assign(self, variable: Any, key: str) -> None:
        value = self.reader.get_tensor(key)
        shape = tuple(np.shape(value))
        known = variable.extents if isinstance(variable, GraphVariable) else variable.spec.shape
        if known is not None and tuple(known) != shape:
            raise ValueError(
                f"Received incompatible tensor with shape {shape} when attempting to restore variable with shape "
                f"{tuple(known)} and name {variable.name}."
            )
        if isinstance(variable, Variable):
            variable.assign(np.asarray(value))
            return
        from corenn_tensorflow.train.saver import core_session

        core_session(self.session if self.session is not None else get_default_session()).load(variable, value)

    def _later(self, layer: Layer, number: int, path: str) -> None:
        """Restore a layer's variables when it has made them."""
        build = layer.build

        def build_and_restore(*args: Any, **kwargs: Any) -> Any:
            layer.__dict__.pop("build", None)
            result = build(*args, **kwargs)
            self.seen.discard((id(layer), number))
            self.put(layer, number, path)
            return result

        layer.__dict__["build"] = build_and_restore


# ---------------------------------------------------------------- what people use


class Checkpoint(Root):
    """Saves and restores the objects given by name: models, optimizers, variables, lists and dicts of them.

    ``Checkpoint(model)`` (a root) or ``Checkpoint(model=model, optimizer=optimizer)``.
    """

    def __init__(self, root: Any = None, **kwargs: Any) -> None:
        self.__dict__["_objects"] = {}
        self.__dict__["_counter"] = None
        if root is not None:
            self._objects["root"] = root
            self.__dict__["root"] = root
        for name, value in kwargs.items():
            setattr(self, name, value)

    def __setattr__(self, name: str, value: Any) -> None:
        if not name.startswith("_"):
            if not is_tracked(value) and isinstance(value, (*PLAIN, Tensor)):
                raise ValueError(
                    f"`Checkpoint` was expecting {name} to be a trackable object (an object derived from "
                    f"`Trackable`), got "
                    f"{value}."
                )
            self._objects[name] = value
        self.__dict__[name] = value

    @property
    def save_counter(self) -> Any:
        """How often it was saved: a variable."""
        if self._counter is None:
            self.__dict__["_counter"] = eager_variable(np.zeros((), np.int64), "save_counter")
        return self._counter

    def write(self, file_prefix: Any, session: Any = None, options: Any = None) -> str:
        """Write a checkpoint with exactly this prefix."""
        prefix = os.fspath(file_prefix)
        os.makedirs(os.path.dirname(prefix) or ".", exist_ok=True)
        walk = Walk(self)
        values, graph = saved_values(walk, session)
        tensor_bundle.write_bundle(prefix, {**values, GRAPH_KEY: graph})
        return prefix

    def save(self, file_prefix: Any, session: Any = None, options: Any = None) -> str:
        """Write a checkpoint ``<file_prefix>-<number>``, and name it as the newest."""
        self.save_counter.assign_add(1)
        prefix = self.write(f"{os.fspath(file_prefix)}-{int(self.save_counter.numpy())}", session)
        checkpoints.update_checkpoint_state(os.path.dirname(prefix) or ".", prefix, [prefix], save_relative_paths=True)
        return prefix

    def read(self, save_path: Any, options: Any = None, session: Any = None) -> LoadStatus:
        """Put the values of a checkpoint into the objects."""
        path = os.fspath(save_path)
        try:
            return _Restore(path, session).whole(self)
        except errors.NotFoundError as error:
            raise errors.NotFoundError(None, None, f"Could not find checkpoint or SavedModel at {path}.") from error

    def restore(self, save_path: Any, options: Any = None, session: Any = None) -> LoadStatus:
        """As ``read``; ``None`` (there is no checkpoint yet) restores nothing."""
        if save_path is None:
            return LoadStatus(None)
        path = os.fspath(save_path)
        if os.path.isdir(path):
            found = checkpoints.latest_checkpoint(path)
            path = found if found is not None else path
        return self.read(path, session=session)


class CheckpointManager:
    """Keeps the newest checkpoints of a ``Checkpoint`` in a directory."""

    def __init__(
        self, checkpoint: Checkpoint, directory: Any, max_to_keep: int | None,
        keep_checkpoint_every_n_hours: float | None = None, checkpoint_name: str = "ckpt", step_counter: Any = None,
        checkpoint_interval: int | None = None, init_fn: Callable[[], Any] | None = None,
    ) -> None:  # fmt: skip
        if max_to_keep is not None and max_to_keep <= 0:
            raise ValueError("Expected a positive integer or `None` for `max_to_keep`, got " + str(max_to_keep))
        self._checkpoint, self._directory, self._max_to_keep = checkpoint, os.fspath(directory), max_to_keep
        self._keep_hours, self._name, self._init_fn = keep_checkpoint_every_n_hours, checkpoint_name, init_fn
        self._step_counter, self._interval = step_counter, checkpoint_interval
        self._last_step: int | None = None
        state = checkpoints.get_checkpoint_state(self._directory)
        self._kept: list[tuple[str, float]] = []
        self._preserved: float | None = None
        if state is not None:
            times = list(state.all_model_checkpoint_timestamps) or [time.time()] * len(state.all_model_checkpoint_paths)
            self._kept = list(zip(state.all_model_checkpoint_paths, times, strict=False))
            self._preserved = state.last_preserved_timestamp or None

    @property
    def checkpoint(self) -> Checkpoint:
        """What it saves."""
        return self._checkpoint

    @property
    def directory(self) -> str:
        """Where."""
        return self._directory

    @property
    def checkpoint_interval(self) -> int | None:
        """Steps between checkpoints, where ``save`` checks."""
        return self._interval

    @property
    def latest_checkpoint(self) -> str | None:
        """The prefix of the newest one."""
        return self._kept[-1][0] if self._kept else None

    @property
    def checkpoints(self) -> list[str]:
        """The prefixes of those that are kept, oldest first."""
        return [prefix for prefix, _ in self._kept]

    def save(self, checkpoint_number: Any = None, check_interval: bool = True, options: Any = None) -> str | None:
        """Write a checkpoint and delete the oldest; ``None`` where the interval has not passed."""
        waiting = self._interval is not None and check_interval and self._last_step is not None
        if waiting and int(np.asarray(self._step_counter)) - (self._last_step or 0) < (self._interval or 0):
            return None
        counter = self._checkpoint.save_counter
        counter.assign_add(1)
        number = counter.numpy() if checkpoint_number is None else np.asarray(checkpoint_number)
        prefix = self._checkpoint.write(os.path.join(self._directory, f"{self._name}-{int(number)}"))
        if self._step_counter is not None:
            self._last_step = int(np.asarray(self._step_counter))
        self._kept = [(p, t) for p, t in self._kept if p != prefix] + [(prefix, time.time())]
        dropped = self._sweep()
        checkpoints.update_checkpoint_state(
            self._directory, prefix, self.checkpoints, all_model_checkpoint_timestamps=[t for _, t in self._kept],
            last_preserved_timestamp=self._preserved, save_relative_paths=True,
        )  # fmt: skip
        for old in dropped:
            checkpoints.remove_checkpoint(old)
        return prefix

    def _sweep(self) -> list[str]:
        dropped = []
        while self._max_to_keep and len(self._kept) > self._max_to_keep:
            prefix, written = self._kept.pop(0)
            last = self._preserved if self._preserved is not None else 0.0
            if self._keep_hours is not None and written - self._keep_hours * 3600 >= last:
                self._preserved = written
                continue
            dropped.append(prefix)
        return dropped

    def restore_or_initialize(self) -> str | None:
        """Restore the newest checkpoint, or call ``init_fn``; the prefix restored."""
        if self.latest_checkpoint is not None:
            self._checkpoint.restore(self.latest_checkpoint)
            return self.latest_checkpoint
        if self._init_fn is not None:
            self._init_fn()
        return None


__all__ = ["Checkpoint", "CheckpointManager", "CheckpointOptions", "LoadStatus"]
