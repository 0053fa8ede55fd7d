"""Saved models of TensorFlow 1: a graph with signatures, and the values of its variables, in a directory.

``saved_model.json`` is what ``corenn.graph.serialization`` writes; ``variables/variables`` is a TensorFlow checkpoint.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from corenn.checkpoint._atomic import write_atomically
from corenn.errors import CheckpointError
from corenn_tensorflow import mode
from corenn_tensorflow.records.arrays import NUMBERS
from corenn_tensorflow.records.summaries import TensorShapeProto
from corenn_tensorflow.records.wire import Field, Message
from corenn_tensorflow.train.saver import Saver, core_session

DEFAULT = "serving_default"
_FILE = "saved_model.json"
_GRAPH = "graph.json"


class TensorInfo(Message):
    """Name, dtype and shape of a tensor."""

    FIELDS = (Field("name", 1, "string"), Field("dtype", 2, "int"), Field("tensor_shape", 3, TensorShapeProto))


class SignatureDef(Message):
    """Inputs and outputs of a model, by name."""

    FIELDS = (
        Field("inputs", 1, TensorInfo, key="string"), Field("outputs", 2, TensorInfo, key="string"),
        Field("method_name", 3, "string"),
    )  # fmt: skip


def build_tensor_info(tensor: Any) -> TensorInfo:
    """What a signature says of a tensor."""
    if mode.executing_eagerly() and not hasattr(tensor, "graph"):
        raise RuntimeError("build_tensor_info is not supported in Eager mode.")
    element = tensor.graph.as_element(tensor)
    name = element.operation.name + f":{element.index}"
    shape = TensorShapeProto(unknown_rank=True) if element.extents is None else TensorShapeProto(
        dim=[{"size": -1 if n is None else n} for n in element.extents]
    )  # fmt: skip
    return TensorInfo(name=name, dtype=NUMBERS[element.dtype.name.removesuffix("_ref")], tensor_shape=shape)


def build_signature_def(
    inputs: Mapping[str, TensorInfo] | None = None, outputs: Mapping[str, TensorInfo] | None = None,
    method_name: str | None = None,
) -> SignatureDef:  # fmt: skip
    """A signature."""
    return SignatureDef(inputs=dict(inputs or {}), outputs=dict(outputs or {}), method_name=method_name or "")


def signature(inputs: Mapping[str, Any], outputs: Mapping[str, Any], method_name: str) -> SignatureDef:
    """A signature of tensors."""
    return build_signature_def(
        {k: build_tensor_info(v) for k, v in inputs.items()}, {k: build_tensor_info(v) for k, v in outputs.items()},
        method_name,
    )  # fmt: skip


def is_valid_signature(signature_def: SignatureDef | None) -> bool:
    """Whether a signature has inputs, outputs and a method that servers know."""
    methods = {f"tensorflow/serving/{m}" for m in ("predict", "classify", "regress")}
    return signature_def is not None and bool(signature_def.inputs) and bool(signature_def.outputs) and (
        signature_def.method_name in methods
    )  # fmt: skip


def get_tensor_from_tensor_info(tensor_info: TensorInfo, graph: Any = None, import_scope: str | None = None) -> Any:
    """The tensor that a signature means."""
    name = f"{import_scope}/{tensor_info.name}" if import_scope else tensor_info.name
    return (graph if graph is not None else mode.default_graph()).get_tensor_by_name(name)


def predict_signature_def(inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> SignatureDef:
    """The signature of a model that predicts."""
    if not inputs:
        raise ValueError("Prediction inputs cannot be None or empty.")
    if not outputs:
        raise ValueError("Prediction outputs cannot be None or empty.")
    return signature(inputs, outputs, "tensorflow/serving/predict")


def classification_signature_def(examples: Any, classes: Any, scores: Any) -> SignatureDef:
    """The signature of a classifier."""
    found = {k: v for k, v in (("classes", classes), ("scores", scores)) if v is not None}
    return signature({"inputs": examples}, found, "tensorflow/serving/classify")


def regression_signature_def(examples: Any, predictions: Any) -> SignatureDef:
    """The signature of a regressor."""
    return signature({"inputs": examples}, {"outputs": predictions}, "tensorflow/serving/regress")


class SavedModelBuilder:
    """Writes a saved model into a directory that does not exist yet, or is empty."""

    def __init__(self, export_dir: Any) -> None:
        self._directory = os.fspath(export_dir)
        if os.path.isdir(self._directory) and os.listdir(self._directory):
            raise AssertionError(
                f"Export directory {self._directory} already exists, and isn't empty. Please choose a different export "
                "directory, or delete all the contents of the specified directory"
            )
        os.makedirs(self._directory, exist_ok=True)
        self._graphs: list[dict[str, Any]] = []
        self._saved = False

    def add_meta_graph_and_variables(
        self, sess: Any, tags: Sequence[str], signature_def_map: Mapping[str, SignatureDef] | None = None,
        assets_collection: Any = None, legacy_init_op: Any = None, clear_devices: bool = False, main_op: Any = None,
        strip_default_attrs: bool = False, saver: Any = None, **older: Any,
    ) -> None:  # fmt: skip
        """Take the graph of a session, and write the values of its variables."""
        if self._saved:
            raise AssertionError("Graph state including variables and assets has already been saved. Please invoke "
                                 "`add_meta_graph()` instead.")  # fmt: skip
        session = core_session(sess)
        with session.graph.as_default():
            chosen = saver if saver is not None else Saver(allow_empty=True)
            os.makedirs(os.path.join(self._directory, "variables"), exist_ok=True)
            chosen.save(session, os.path.join(self._directory, "variables", "variables"), write_meta_graph=False,
                        write_state=False)  # fmt: skip
            self._saved = True
            self._add(session.graph, tags, signature_def_map, main_op or legacy_init_op)

    def add_meta_graph(
        self, tags: Sequence[str], signature_def_map: Mapping[str, SignatureDef] | None = None,
        assets_collection: Any = None, legacy_init_op: Any = None, clear_devices: bool = False, main_op: Any = None,
        strip_default_attrs: bool = False, saver: Any = None, **older: Any,
    ) -> None:  # fmt: skip
        """Take the default graph, as another with the same variables."""
        if not self._saved:
            raise AssertionError("Graph state including variables and assets has not been saved yet. Please invoke "
                                 "`add_meta_graph_and_variables()` first.")  # fmt: skip
        self._add(mode.default_graph(), tags, signature_def_map, main_op or legacy_init_op)

    def _add(
        self, graph: Any, tags: Sequence[str], signatures: Mapping[str, SignatureDef] | None, main_op: Any
    ) -> None:
        from corenn_tensorflow.train.meta_graph import _export

        name = _GRAPH if not self._graphs else f"graph_{len(self._graphs)}.json"
        _export(graph, os.path.join(self._directory, name), None)
        self._graphs.append({
            "graph": name, "tags": list(tags), "main_op": getattr(main_op, "name", None),
            "signatures": {k: _written(s) for k, s in (signatures or {}).items()},
        })  # fmt: skip

    def save(self, as_text: bool = False) -> bytes:
        """Write the list of graphs; the directory."""
        text = json.dumps({"format": "corenn saved model", "version": 1, "graphs": self._graphs}, indent=1) + "\n"
        path = os.path.join(self._directory, _FILE)
        write_atomically(Path(path), lambda file: file.write(text.encode()))
        return path.encode()


def _written(made: SignatureDef) -> dict[str, Any]:
    def infos(given: Mapping[str, TensorInfo]) -> dict[str, Any]:
        return {
            k: {"name": t.name, "dtype": t.dtype,
                "shape": None if t.tensor_shape.unknown_rank else [d.size for d in t.tensor_shape.dim]}
            for k, t in given.items()
        }  # fmt: skip

    return {"inputs": infos(made.inputs), "outputs": infos(made.outputs), "method": made.method_name}


def _read(record: Mapping[str, Any], scope: str) -> SignatureDef:
    def infos(given: Mapping[str, Any]) -> dict[str, TensorInfo]:
        return {
            k: TensorInfo(
                name=scope + t["name"], dtype=t["dtype"],
                tensor_shape=TensorShapeProto(unknown_rank=True) if t["shape"] is None else
                TensorShapeProto(dim=[{"size": n} for n in t["shape"]]),
            )
            for k, t in given.items()
        }  # fmt: skip

    return SignatureDef(inputs=infos(record["inputs"]), outputs=infos(record["outputs"]), method_name=record["method"])


class LoadedGraph:
    """What ``load`` gives: ``signature_def``, and the graph."""

    def __init__(self, signatures: dict[str, SignatureDef], graph: Any, tags: Sequence[str]) -> None:
        self.signature_def, self.graph, self.tags = signatures, graph, list(tags)

    @property
    def graph_def(self) -> Any:
        """The operations."""
        return self.graph.as_graph_def()


def maybe_saved_model_directory(export_dir: Any) -> bool:
    """Whether a directory holds a saved model of corenn's."""
    return os.path.isfile(os.path.join(os.fspath(export_dir), _FILE))


contains_saved_model = maybe_saved_model_directory


def load(
    sess: Any, tags: Sequence[str], export_dir: Any, import_scope: str | None = None, **saver_kwargs: Any
) -> LoadedGraph:
    """Add the graph with these tags to the session's, and restore its variables."""
    directory = os.fspath(export_dir)
    path = os.path.join(directory, _FILE)
    if not os.path.isfile(path):
        if os.path.isfile(os.path.join(directory, "saved_model.pb")):
            raise CheckpointError(
                directory, "is a saved model of TensorFlow's, whose graph corenn does not read",
                hint="build the graph in Python; variables/variables there is a checkpoint that "
                     "Saver().restore() reads",
            )  # fmt: skip
        raise OSError(f"SavedModel file does not exist at: {directory}/{{saved_model.pbtxt|saved_model.pb|{_FILE}}}")
    with open(path, encoding="utf-8") as file:
        description = json.load(file)
    wanted = set([tags] if isinstance(tags, str) else tags)
    record = next((g for g in description["graphs"] if set(g["tags"]) == wanted), None)
    if record is None:
        raise RuntimeError(
            f"MetaGraphDef associated with tags {sorted(wanted)} could not be found in SavedModel. To "
            f"inspect available "
            f"tag-sets: {[g['tags'] for g in description['graphs']]}"
        )
    from corenn_tensorflow.train.meta_graph import import_whole

    session = core_session(sess)
    with mode.speaking(1), session.graph.as_default():
        saver, found = import_whole(
            os.path.join(directory, os.path.basename(record["graph"])), import_scope=import_scope
        )
        if saver is not None:
            saver.restore(session, os.path.join(directory, "variables", "variables"))
        if record["main_op"]:
            session.run(found.operation(record["main_op"]))
    return LoadedGraph(
        {k: _read(s, found.scope) for k, s in record["signatures"].items()}, session.graph, record["tags"]
    )


def simple_save(
    session: Any, export_dir: Any, inputs: Mapping[str, Any], outputs: Mapping[str, Any], legacy_init_op: Any = None
) -> None:
    """Write a saved model with one signature, tagged ``serve``."""
    builder = SavedModelBuilder(export_dir)
    builder.add_meta_graph_and_variables(
        session, ["serve"], {DEFAULT: predict_signature_def(inputs, outputs)}, main_op=legacy_init_op
    )
    builder.save()


__all__ = [
    "SavedModelBuilder", "SignatureDef", "TensorInfo", "build_signature_def", "build_tensor_info",
    "classification_signature_def", "contains_saved_model", "get_tensor_from_tensor_info", "is_valid_signature",
    "load", "maybe_saved_model_directory", "predict_signature_def", "regression_signature_def", "simple_save",
]  # fmt: skip
