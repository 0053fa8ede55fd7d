"""``tf.estimator.export``: receivers of requests, outputs, exporters, and writing a saved model."""

from __future__ import annotations

import os
import time
from collections import namedtuple
from collections.abc import Callable, Mapping
from typing import Any

from corenn.graph import placeholder
from corenn_tensorflow import missing
from corenn_tensorflow.records.parsing import parse_example
from corenn_tensorflow.saved_model import simple
from corenn_tensorflow.train.global_step import create_global_step


class ServingInputReceiver(
    namedtuple("ServingInputReceiver", ["features", "receiver_tensors", "receiver_tensors_alternatives"])
):
    """The features of a model that serves, and the tensors that requests feed."""

    __slots__ = ()

    def __new__(
        cls, features: Any, receiver_tensors: Any, receiver_tensors_alternatives: Any = None
    ) -> ServingInputReceiver:
        """Check and complete the parts."""
        tensors = receiver_tensors if isinstance(receiver_tensors, Mapping) else {"input": receiver_tensors}
        return super().__new__(cls, features, dict(tensors), receiver_tensors_alternatives)


class TensorServingInputReceiver(ServingInputReceiver):
    """As ``ServingInputReceiver``, of a model whose features are one tensor."""

    __slots__ = ()


def build_raw_serving_input_receiver_fn(features: Mapping[str, Any], default_batch_size: int | None = None) -> Any:
    """A function of none: a receiver whose requests feed the features as they are (tensors give dtypes and shapes)."""

    def receiver() -> ServingInputReceiver:
        made = {}
        for name, tensor in features.items():
            known = tensor.extents if hasattr(tensor, "extents") else tuple(tensor.shape)
            made[name] = placeholder(tensor.dtype, (default_batch_size, *known[1:]), name=name)
        return ServingInputReceiver(made, dict(made))

    return receiver


def build_parsing_serving_input_receiver_fn(
    feature_spec: Mapping[str, Any], default_batch_size: int | None = None
) -> Any:
    """A function of none: a receiver whose requests feed encoded ``Example``s."""

    def receiver() -> ServingInputReceiver:
        serialized = placeholder("string", (default_batch_size,), name="input_example_tensor")
        return ServingInputReceiver(parse_example(serialized, dict(feature_spec)), {"examples": serialized})

    return receiver


class ExportOutput:
    """Base of outputs of a saved model."""

    method = "tensorflow/serving/predict"

    def tensors(self) -> dict[str, Any]:
        """By name."""
        raise NotImplementedError


class PredictOutput(ExportOutput):
    """Any tensors."""

    def __init__(self, outputs: Any) -> None:
        self.outputs = dict(outputs) if isinstance(outputs, Mapping) else {"output": outputs}

    def tensors(self) -> dict[str, Any]:
        """By name."""
        return self.outputs


class ClassificationOutput(ExportOutput):
    """Scores and classes."""

    method = "tensorflow/serving/classify"

    def __init__(self, scores: Any = None, classes: Any = None) -> None:
        if scores is None and classes is None:
            raise ValueError("At least one of scores and classes must be set.")
        self.scores, self.classes = scores, classes

    def tensors(self) -> dict[str, Any]:
        """By name."""
        return {k: v for k, v in (("scores", self.scores), ("classes", self.classes)) if v is not None}


class RegressionOutput(ExportOutput):
    """A number for each example."""

    method = "tensorflow/serving/regress"

    def __init__(self, value: Any) -> None:
        self.value = value

    def tensors(self) -> dict[str, Any]:
        """By name."""
        return {"outputs": self.value}


def export(estimator: Any, base: str, receiver_fn: Callable[[], Any], checkpoint_path: Any, mode_key: str) -> str:
    """Write a saved model of ``estimator`` below ``base``."""
    from corenn_tensorflow.session import Session

    path = checkpoint_path or estimator.latest_checkpoint()
    if path is None:
        raise ValueError(f"Couldn't find trained model at {estimator.model_dir}.")
    with estimator._graph() as graph:
        create_global_step(graph)
        receiver = receiver_fn()
        spec = estimator._call_model_fn(receiver.features, None, mode_key)
        outputs = spec.export_outputs or {simple.DEFAULT: PredictOutput(spec.predictions)}
        signatures = {}
        for key, output in outputs.items():
            found = output if isinstance(output, ExportOutput) else PredictOutput(output)
            signatures[key] = simple.signature(receiver.receiver_tensors, found.tensors(), found.method)
        if simple.DEFAULT not in signatures and len(signatures) == 1:
            signatures[simple.DEFAULT] = next(iter(signatures.values()))
        with Session(graph=graph) as session:
            from corenn_tensorflow.train.saver import Saver

            saver = Saver()
            saver.restore(session, path)
            number = int(time.time())
            while os.path.exists(os.path.join(base, str(number))):
                number += 1
            directory = os.path.join(base, str(number))
            builder = simple.SavedModelBuilder(directory)
            builder.add_meta_graph_and_variables(session, ["serve"], signature_def_map=signatures)
            builder.save()
    return directory


class Exporter:
    """Base of exporters."""

    name = ""

    def export(
        self, estimator: Any, export_path: str, checkpoint_path: Any, eval_result: Any, is_the_final_export: bool
    ) -> Any:
        """Export where it is time."""
        raise NotImplementedError


class LatestExporter(Exporter):
    """Exports after every evaluation, and keeps the newest ``exports_to_keep``."""

    def __init__(
        self, name: str, serving_input_receiver_fn: Any, assets_extra: Any = None, as_text: bool = False,
        exports_to_keep: int | None = 5,
    ) -> None:  # fmt: skip
        self.name, self._receiver, self._keep = name, serving_input_receiver_fn, exports_to_keep

    def export(
        self, estimator: Any, export_path: str, checkpoint_path: Any, eval_result: Any, is_the_final_export: bool
    ) -> Any:
        """Export."""
        import shutil

        made = estimator.export_saved_model(export_path, self._receiver, checkpoint_path=checkpoint_path)
        if self._keep is not None:
            numbers = sorted((d for d in os.listdir(export_path) if d.isdecimal()), key=int)
            for old in numbers[: -self._keep]:
                shutil.rmtree(os.path.join(export_path, old))
        return made


class FinalExporter(LatestExporter):
    """Exports once, at the end."""

    def __init__(
        self, name: str, serving_input_receiver_fn: Any, assets_extra: Any = None, as_text: bool = False
    ) -> None:
        super().__init__(name, serving_input_receiver_fn, exports_to_keep=None)

    def export(
        self, estimator: Any, export_path: str, checkpoint_path: Any, eval_result: Any, is_the_final_export: bool
    ) -> Any:
        """Export at the end."""
        if not is_the_final_export:
            return None
        return super().export(estimator, export_path, checkpoint_path, eval_result, True)


class BestExporter(LatestExporter):
    """Exports where ``compare_fn(best_eval_result, current_eval_result)`` says that the evaluation is better."""

    def __init__(
        self, name: str = "best_exporter", serving_input_receiver_fn: Any = None, event_file_pattern: str = "eval/*",
        compare_fn: Any = None, assets_extra: Any = None, as_text: bool = False, exports_to_keep: int | None = 5,
    ) -> None:  # fmt: skip
        super().__init__(name, serving_input_receiver_fn, exports_to_keep=exports_to_keep)
        self._better = compare_fn or (lambda best_eval_result, current_eval_result: (
            current_eval_result["loss"] < best_eval_result["loss"]))  # fmt: skip
        self._best: Any = None

    def export(
        self, estimator: Any, export_path: str, checkpoint_path: Any, eval_result: Any, is_the_final_export: bool
    ) -> Any:
        """Export where it is better."""
        if self._best is not None and not self._better(best_eval_result=self._best, current_eval_result=eval_result):
            return None
        self._best = eval_result
        return super().export(estimator, export_path, checkpoint_path, eval_result, is_the_final_export)


__getattr__ = missing.guard(__name__)

__all__ = [
    "BestExporter", "ClassificationOutput", "ExportOutput", "FinalExporter", "LatestExporter", "PredictOutput",
    "RegressionOutput", "ServingInputReceiver", "TensorServingInputReceiver",
    "build_parsing_serving_input_receiver_fn", "build_raw_serving_input_receiver_fn",
]  # fmt: skip
