"""Architecture and weights of models in files.

HDF5 files, in Keras's layout, are written and read with h5py.  Without it a ``.h5`` name gets corenn's own container (a
safetensors file with the architecture in its metadata), and one notice says so; loading tells them apart by content.
Other names: ``save`` makes a directory with the same container, ``save_weights`` a TensorFlow checkpoint.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import numpy as np

from corenn import tree
from corenn.checkpoint import load_file, save_file
from corenn.checkpoint.tensor_bundle import BundleReader, exists, write_bundle
from corenn.graph.tensors import GraphTensor
from corenn.ops.creation import tensor
from corenn.spec import Spec
from corenn_tensorflow.keras import _lookup, world
from corenn_tensorflow.missing import MissingPackageError

_VERSION = "2.3.0"
_HDF5 = b"\x89HDF\r\n\x1a\n"
_told: list[str] = []


def _h5py() -> Any:
    try:
        import h5py
    except ImportError:
        return None
    return h5py


def _notice(path: str) -> None:
    if not _told:
        _told.append(path)
        print(f"corenn: h5py is not installed, so {path} is written in corenn's own layout, which load_model and "
              "load_weights read; pip install corenn[keras] for HDF5", file=sys.stderr)  # fmt: skip


class Saving:
    """What a model has for files."""

    # ---- architecture

    def get_config(self: Any) -> dict[str, Any]:
        """Layers, how they are connected, inputs and outputs, as Keras writes them."""
        if self._plan is None:
            raise NotImplementedError("a subclassed model has no configuration: define get_config, or save its weights")
        return _written(self)

    @classmethod
    def from_config(cls: Any, config: Any, custom_objects: Any = None) -> Any:
        """A model from its configuration."""
        if "input_layers" not in config:
            return cls(**config)
        inputs, outputs = _read(config, custom_objects)
        return cls(inputs=inputs, outputs=outputs, name=config.get("name"))

    def to_json(self: Any, **options: Any) -> str:
        """The architecture as text."""
        described = {"class_name": _class_name(self), "config": self.get_config(), "keras_version": _VERSION,
                     "backend": "tensorflow"}  # fmt: skip
        return json.dumps(described, default=_plain, **options)

    def to_yaml(self: Any, **options: Any) -> str:
        """RuntimeError: use ``to_json``."""
        raise RuntimeError("Method `model.to_yaml()` has been removed. Use `model.to_json()` instead.")

    # ---- whole models

    def save(
        self: Any, filepath: Any, overwrite: bool = True, include_optimizer: bool = True, save_format: Any = None,
        signatures: Any = None, options: Any = None, **ignored: Any,
    ) -> None:  # fmt: skip
        """Write architecture, weights and, if compiled, the settings of training."""
        path = os.fspath(filepath)
        _refuse_to_overwrite(path, overwrite)
        with world.eagerly():
            described = self.to_json()
            training = _training(self) if include_optimizer and self.compiled else None
            single = path.endswith((".h5", ".hdf5", ".keras")) or save_format == "h5"
            if not single:
                os.makedirs(path, exist_ok=True)
                _container(os.path.join(path, "model.safetensors"), self, described, training)
            elif _h5py() is not None and not path.endswith(".keras"):
                _write_h5(path, self, described, training)
            else:
                if not path.endswith(".keras"):
                    _notice(path)
                _container(path, self, described, training)

    def save_weights(
        self: Any, filepath: Any, overwrite: bool = True, save_format: Any = None, options: Any = None
    ) -> None:
        """Write the weights: HDF5 for ``.h5`` and ``.hdf5``, else a TensorFlow checkpoint."""
        path = os.fspath(filepath)
        with world.eagerly():
            if not self.built and not self.weights:
                raise ValueError(
                    f"Unable to save weights: the weights of {self.name} have not been created: call it once."
                )
            if path.endswith((".h5", ".hdf5", ".keras")) or save_format == "h5":
                _refuse_to_overwrite(path, overwrite)
                if _h5py() is not None:
                    _write_h5(path, self, None, None)
                else:
                    _notice(path)
                    _container(path, self, None, None)
                return
            os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
            write_bundle(path, {k: np.asarray(v._host()) for k, v in _checkpoint_keys(self).items()})
            folder, name = os.path.split(path)
            with open(os.path.join(folder, "checkpoint"), "w", encoding="utf-8") as file:
                file.write(f'model_checkpoint_path: "{name}"\nall_model_checkpoint_paths: "{name}"\n')

    def load_weights(
        self: Any,
        filepath: Any,
        by_name: bool = False,
        skip_mismatch: bool = False,
        options: Any = None,
        **ignored: Any,
    ) -> Any:
        """Read the weights from any of the files that ``save`` and ``save_weights`` write."""
        path = os.fspath(filepath)
        if not self.built and not self.weights:
            raise ValueError(
                f"Unable to load weights into {self.name}, which has not created its variables yet. Call the model "
                "first, or build(input_shape), then load the weights."
            )
        with world.eagerly():
            if os.path.isdir(path):
                path = os.path.join(path, "model.safetensors")
            if os.path.isfile(path):
                with open(path, "rb") as file:
                    start = file.read(8)
                if start == _HDF5:
                    _read_h5_weights(path, self, by_name, skip_mismatch)
                else:
                    arrays, _ = load_file(path)
                    _assign_listed(self, [arrays[k] for k in sorted(arrays) if k.startswith("weights/")])
            elif exists(path):
                with BundleReader(path) as reader:
                    for key, weight in _checkpoint_keys(self).items():
                        weight.assign(reader.read(key))
            else:
                raise OSError(f"Unable to open file (unable to open file: name = '{path}': no such file)")
        return _Status()


class _Status:
    """What ``load_weights`` returns in TensorFlow: everything has been matched."""

    def expect_partial(self) -> _Status:
        """Itself."""
        return self

    assert_consumed = assert_existing_objects_matched = expect_partial


def _refuse_to_overwrite(path: str, overwrite: bool) -> None:
    if os.path.exists(path) and not overwrite:
        raise FileExistsError(f"{path} exists, and overwrite is False")


def _class_name(model: Any) -> str:
    return type(model).__name__


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if hasattr(value, "tolist"):
        return value.tolist()
    return getattr(value, "name", None) or getattr(value, "__name__", None) or repr(value)


# ---------------------------------------------------------------- functional models as data


def _written(model: Any) -> dict[str, Any]:
    from corenn_tensorflow.keras.engine.symbolic import node_of

    layers = model.layers
    in_plan = {id(s) for s in model._plan.steps} | {id(node_of(t)) for t in model._plan.inputs}
    numbers = {id(n): i for layer in layers for i, n in enumerate([n for n in layer._nodes if id(n) in in_plan])}

    def reference(symbol: Any) -> list[Any]:
        node, place = getattr(symbol, "_keras_history", (None, 0))
        if node is None:
            raise NotImplementedError(
                f"{symbol} comes from a plain operation, which a configuration cannot hold: put it into a Lambda layer"
            )
        return [node.layer.name, numbers[id(node)], place]

    def argument(value: Any) -> Any:
        if isinstance(value, GraphTensor):
            return {"tensor": reference(value)}
        if isinstance(value, (list, tuple)):
            return [argument(v) for v in value]
        return value

    entries = []
    for layer in layers:
        calls = []
        for node in layer._nodes:
            if id(node) not in in_plan or not node.args:
                continue
            first = tree.leaves(list(node.args))
            kept = {k: argument(v) for k, v in node.options.items() if k != "mask"}
            calls.append(
                [[*reference(t), kept if i == 0 else {}] for i, t in enumerate(first) if isinstance(t, GraphTensor)]
            )
        entries.append({"class_name": type(layer).__name__, "config": layer.get_config(), "name": layer.name,
                        "inbound_nodes": calls})  # fmt: skip
    return {
        "name": model.name, "layers": entries, "input_layers": [reference(t) for t in model.inputs],
        "output_layers": [reference(t) for t in model.outputs],
    }  # fmt: skip


def _read(config: Any, custom: Any) -> tuple[Any, Any]:
    layers = {c["name"]: layer_from(c, custom) for c in config["layers"]}
    found: dict[tuple[str, int], list[Any]] = {}
    waiting = []
    for entry in config["layers"]:
        name = entry["name"]
        if not entry["inbound_nodes"]:
            found[name, 0] = tree.leaves(layers[name].output)
        waiting += [(name, i, call) for i, call in enumerate(entry["inbound_nodes"])]
    while waiting:
        left = []
        for name, number, call in waiting:
            references = [tuple(r[:2]) for r in call] + [
                tuple(v["tensor"][:2]) for r in call if len(r) > 3 for v in tree_values(r[3])
            ]
            if any(r not in found for r in references):
                left.append((name, number, call))
                continue
            tensors = [found[r[0], r[1]][r[2]] for r in call]
            options = _revive(dict(call[0][3]) if len(call[0]) > 3 else {}, found)
            result = layers[name](tensors[0] if len(tensors) == 1 else tensors, **options)
            found[name, number] = tree.leaves(result)
        if len(left) == len(waiting):
            raise ValueError(f"the configuration of {config.get('name')} has calls whose inputs are nowhere")
        waiting = left
    inputs = [found[r[0], r[1]][r[2]] for r in config["input_layers"]]
    outputs = [found[r[0], r[1]][r[2]] for r in config["output_layers"]]
    return inputs[0] if len(inputs) == 1 else inputs, outputs[0] if len(outputs) == 1 else outputs


def tree_values(value: Any) -> list[Any]:
    """The references to tensors in the options of a call."""
    if isinstance(value, dict):
        return [value] if set(value) == {"tensor"} else [v for inner in value.values() for v in tree_values(inner)]
    return [v for inner in value for v in tree_values(inner)] if isinstance(value, list) else []


def _revive(value: Any, found: Any) -> Any:
    if isinstance(value, dict):
        if set(value) == {"tensor"}:
            name, number, place = value["tensor"][:3]
            return found[name, number][place]
        return {k: _revive(v, found) for k, v in value.items()}
    return [_revive(v, found) for v in value] if isinstance(value, list) else value


def layer_from(data: Any, custom: Any = None) -> Any:
    """A layer (or model) from ``{"class_name": ..., "config": ...}``."""
    import inspect

    from corenn_tensorflow.keras import layers, models

    name = data["class_name"]
    kind = (custom or {}).get(name) or _lookup.CUSTOM.get(name)
    if kind is None:
        kind = {"Functional": models.Model, "Model": models.Model, "Sequential": models.Sequential}.get(name)
    if kind is None:
        kind = getattr(layers, name, None) if name in layers.__all__ else None
    if kind is None:
        raise ValueError(
            f"Unknown layer: {name}. Please ensure this object is passed to the `custom_objects` argument."
        )
    with _lookup.custom_object_scope(custom or {}):
        if "custom_objects" in inspect.signature(kind.from_config).parameters:
            return kind.from_config(data["config"], custom_objects=custom)
        return kind.from_config(data["config"])


def model_from_json(json_string: str, custom_objects: Any = None) -> Any:
    """An untrained model from what ``to_json`` gave."""
    return layer_from(json.loads(json_string), custom_objects)


def model_from_config(config: Any, custom_objects: Any = None) -> Any:
    """An untrained model from ``{"class_name": ..., "config": ...}``."""
    return layer_from(config, custom_objects)


def _training(model: Any) -> str:
    given = dict(vars(model._compile_arguments))

    def written(value: Any) -> Any:
        if isinstance(value, (list, tuple)):
            return [written(v) for v in value]
        if isinstance(value, dict):
            return {k: written(v) for k, v in value.items()}
        try:
            return _lookup.serialized(value) if not isinstance(value, (int, float)) else value
        except (ValueError, NotImplementedError):
            return None

    config = {"optimizer_config": written(given.pop("optimizer", None)), **{k: written(v) for k, v in given.items()}}
    return json.dumps(config, default=_plain)


def _compiled(model: Any, training: str | None, custom: Any) -> None:
    if training is None:
        return
    from corenn_tensorflow.keras import losses, metrics, optimizers

    config = json.loads(training)
    with _lookup.custom_object_scope(custom or {}):
        try:
            optimizer = optimizers.deserialize(config["optimizer_config"])
            model.compile(
                optimizer,
                _each(config.get("loss"), losses.get),
                _each(config.get("metrics"), lambda m: m if isinstance(m, str) else metrics.get(m)),
                config.get("loss_weights"),
            )
        except (ValueError, TypeError) as error:
            print(
                f"WARNING: the model was not compiled as it was saved ({error}); compile it yourself", file=sys.stderr
            )


def _each(value: Any, function: Any) -> Any:
    if isinstance(value, dict) and "class_name" not in value:
        return {k: _each(v, function) for k, v in value.items()}
    if isinstance(value, list):
        return [_each(v, function) for v in value]
    return None if value is None else function(value)


# ---------------------------------------------------------------- files


def _container(path: str, model: Any, described: str | None, training: str | None) -> None:
    arrays = {f"weights/{i:06d}": w for i, w in enumerate(model.get_weights())}
    if training is not None and hasattr(model.optimizer, "get_weights"):
        arrays |= {f"optimizer/{i:06d}": np.asarray(w) for i, w in enumerate(model.optimizer.get_weights())}
    notes = {"model_config": described or "", "training_config": training or ""}
    if model._plan is None and model.input_specs:  # a subclass, which only a call builds
        notes["input_specs"] = json.dumps(_described(list(model.input_specs)))
    save_file(path, arrays, notes)


def _described(specs: Any) -> Any:
    """Shapes and dtypes of the arguments of a call, as JSON has them."""
    if isinstance(specs, Spec):
        return {"shape": [int(n) for n in specs.shape], "dtype": specs.dtype.name}
    if isinstance(specs, (list, tuple)):
        return [_described(s) for s in specs]
    if isinstance(specs, dict):
        return {"named": {k: _described(v) for k, v in specs.items()}}
    return None


def _build(model: Any, specs: Any) -> None:
    """Call a model on zeros of the shapes it was saved with."""

    def zeros(spec: Any) -> Any:
        if isinstance(spec, list):
            return [zeros(s) for s in spec]
        if "named" in spec:
            return {k: zeros(v) for k, v in spec["named"].items()}
        return tensor(np.zeros(spec["shape"], spec["dtype"]))

    if specs:
        model(*[zeros(s) for s in specs if s is not None])


def load_model(filepath: Any, custom_objects: Any = None, compile: bool = True, options: Any = None) -> Any:
    """The model that ``save`` wrote."""
    path = os.fspath(filepath)
    if os.path.isdir(path):
        inside = os.path.join(path, "model.safetensors")
        if not os.path.exists(inside):
            raise OSError(
                f"{path} holds no model that corenn wrote: SavedModel directories of TensorFlow cannot be read"
            )
        path = inside
    if not os.path.exists(path):
        raise OSError(f"SavedModel file does not exist at: {path}")
    with open(path, "rb") as file:
        start = file.read(8)
    with world.eagerly() if not world.graph_mode() else _here():
        if start == _HDF5:
            return _load_h5(path, custom_objects, compile)
        arrays, metadata = load_file(path)
        if not metadata.get("model_config"):
            raise ValueError("No model found in config file: it holds weights only; make the model and load_weights")
        model = layer_from(json.loads(metadata["model_config"]), custom_objects)
        with world.eagerly():
            if not model.built or not model.weights:
                _build(model, json.loads(metadata.get("input_specs") or "null"))
            _assign_listed(model, [arrays[k] for k in sorted(arrays) if k.startswith("weights/")])
            if compile:
                _compiled(model, metadata.get("training_config") or None, custom_objects)
                _restore_optimizer(model, [arrays[k] for k in sorted(arrays) if k.startswith("optimizer/")])
    return model


def _here() -> Any:
    import contextlib

    return contextlib.nullcontext()


def _restore_optimizer(model: Any, arrays: list[Any]) -> None:
    if arrays and model.compiled and hasattr(model.optimizer, "set_weights"):
        model._build_optimizer(model._parts())
        if len(arrays) == len(model.optimizer.variables) + 1:
            model.optimizer.set_weights(arrays)


def _assign_listed(model: Any, arrays: list[Any]) -> None:
    model.set_weights(arrays)


def _checkpoint_keys(model: Any) -> dict[str, Any]:
    """Weights by the keys TensorFlow's checkpoints of Keras models have."""
    found: dict[str, Any] = {}
    weighted = [layer for layer in model.layers if layer.weights]
    for i, layer in enumerate(weighted):
        for weight in layer.weights:
            name = weight.name.removesuffix(":0").rpartition("/")[2]
            key, n = f"layer_with_weights-{i}/{name}", 0
            while f"{key}{f'_{n}' if n else ''}/.ATTRIBUTES/VARIABLE_VALUE" in found:
                n += 1
            found[f"{key}{f'_{n}' if n else ''}/.ATTRIBUTES/VARIABLE_VALUE"] = weight
    return found


def _write_h5(path: str, model: Any, described: str | None, training: str | None) -> None:
    h5py = _h5py()
    with h5py.File(path, "w") as file:
        group = file
        if described is not None:
            file.attrs["model_config"] = described.encode()
            if training is not None:
                file.attrs["training_config"] = training.encode()
            group = file.create_group("model_weights")
            if training is not None and hasattr(model.optimizer, "get_weights"):
                slots = file.create_group("optimizer_weights")
                for i, value in enumerate(model.optimizer.get_weights()):
                    slots.create_dataset(f"{i:06d}", data=np.asarray(value))
        for place in {file, group}:
            place.attrs["keras_version"], place.attrs["backend"] = _VERSION.encode(), b"tensorflow"
        group.attrs["layer_names"] = (
            np.array([layer.name.encode() for layer in model.layers], "S") if model.layers else []
        )
        for layer in model.layers:
            inner = group.create_group(layer.name)
            names = []
            for weight in layer.weights:
                name = weight.name if weight.name.endswith(":0") else f"{weight.name}:0"
                while name in names:
                    name = f"{name.removesuffix(':0')}_1:0"
                names.append(name)
                inner.create_dataset(name, data=np.asarray(weight._host()))
            inner.attrs["weight_names"] = np.array([n.encode() for n in names], "S") if names else []


def _attribute(group: Any, name: str) -> list[str]:
    """A list of names, which Keras cuts into parts where it is long."""
    if name in group.attrs:
        listed = list(group.attrs[name])
    else:
        listed, part = [], 0
        while f"{name}{part}" in group.attrs:
            listed += list(group.attrs[f"{name}{part}"])
            part += 1
    return [n.decode() if isinstance(n, bytes) else str(n) for n in listed]


def _read_h5_weights(path: str, model: Any, by_name: bool, skip_mismatch: bool) -> None:
    h5py = _h5py()
    if h5py is None:
        raise MissingPackageError(
            "load_weights", f"{path} is an HDF5 file, and h5py is not installed", hint="pip install h5py"
        )
    with h5py.File(path, "r") as file:
        _assign_h5(file.get("model_weights", file), model, by_name, skip_mismatch)


def _assign_h5(group: Any, model: Any, by_name: bool, skip_mismatch: bool) -> None:
    saved = {}
    for name in _attribute(group, "layer_names"):
        arrays = [np.asarray(group[name][w]) for w in _attribute(group[name], "weight_names")]
        if arrays:
            saved[name] = arrays
    mine = [layer for layer in model.layers if layer.weights]
    if by_name:
        pairs = [(layer, saved[layer.name]) for layer in mine if layer.name in saved]
    else:
        if len(saved) != len(mine):
            raise ValueError(
                f"Layer count mismatch when loading weights from file. Model expected {len(mine)} layers, found "
                f"{len(saved)} saved layers."
            )
        pairs = list(zip(mine, saved.values(), strict=True))
    for layer, arrays in pairs:
        fits = [a.shape for a in arrays] == [tuple(w.spec.shape) for w in layer.weights]
        if not fits and skip_mismatch:
            continue
        layer.set_weights(arrays)


def _load_h5(path: str, custom: Any, compile_: bool) -> Any:
    h5py = _h5py()
    if h5py is None:
        raise MissingPackageError(
            "load_model", f"{path} is an HDF5 file, and h5py is not installed", hint="pip install h5py"
        )
    with h5py.File(path, "r") as file:
        if "model_config" not in file.attrs:
            raise ValueError("No model found in config file: it holds weights only; make the model and load_weights")
        text, training = file.attrs["model_config"], file.attrs.get("training_config")
        model = layer_from(json.loads(text.decode() if isinstance(text, bytes) else text), custom)
        with world.eagerly():
            _assign_h5(file["model_weights"], model, False, False)
            if compile_ and training is not None:
                _compiled(model, training.decode() if isinstance(training, bytes) else training, custom)
                if "optimizer_weights" in file and "000000" in file["optimizer_weights"]:
                    slots = file["optimizer_weights"]
                    _restore_optimizer(model, [np.asarray(slots[k]) for k in sorted(slots)])
    return model


__all__ = ["Saving", "layer_from", "load_model", "model_from_config", "model_from_json"]
