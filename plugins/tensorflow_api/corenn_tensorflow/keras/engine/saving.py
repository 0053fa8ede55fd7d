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

from corenn.checkpoint import load_file, save_file
from corenn.checkpoint.tensor_bundle import BundleReader, exists, write_bundle
from corenn.ops.creation import tensor
from corenn.spec import Spec
from corenn_tensorflow.keras import _lookup, world
from corenn_tensorflow.keras.engine import architecture, hdf5
from corenn_tensorflow.keras.engine.architecture import layer_from, model_from_config, model_from_json

_told: list[str] = []


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
        return architecture.written(self)

    @classmethod
    def from_config(cls: Any, config: Any, custom_objects: Any = None) -> Any:
        """A model from its configuration."""
        if "input_layers" not in config:
            return cls(**config)
        inputs, outputs = architecture.read(config, custom_objects)
        return cls(inputs=inputs, outputs=outputs, name=config.get("name"))

    def to_json(self: Any, **options: Any) -> str:
        """The architecture as text."""
        described = {"class_name": _class_name(self), "config": self.get_config(), "keras_version": hdf5.VERSION,
                     "backend": "tensorflow"}  # fmt: skip
        return json.dumps(described, default=architecture.plain, **options)

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
            elif hdf5.h5py_module() is not None and not path.endswith(".keras"):
                hdf5.write(path, self, described, training)
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
                if hdf5.h5py_module() is not None:
                    hdf5.write(path, self, None, None)
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
                if start == hdf5.SIGNATURE:
                    hdf5.read_weights(path, self, by_name, skip_mismatch)
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
    return json.dumps(config, default=architecture.plain)


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
        if start == hdf5.SIGNATURE:
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


def _load_h5(path: str, custom: Any, compile_: bool) -> Any:
    with hdf5.opened(path, "load_model") as file:
        if "model_config" not in file.attrs:
            raise ValueError("No model found in config file: it holds weights only; make the model and load_weights")
        text, training = file.attrs["model_config"], file.attrs.get("training_config")
        model = layer_from(json.loads(text.decode() if isinstance(text, bytes) else text), custom)
        with world.eagerly():
            hdf5.assign(file["model_weights"], model, False, False)
            if compile_ and training is not None:
                _compiled(model, training.decode() if isinstance(training, bytes) else training, custom)
                if "optimizer_weights" in file and "000000" in file["optimizer_weights"]:
                    slots = file["optimizer_weights"]
                    _restore_optimizer(model, [np.asarray(slots[k]) for k in sorted(slots)])
    return model


__all__ = ["Saving", "layer_from", "load_model", "model_from_config", "model_from_json"]
