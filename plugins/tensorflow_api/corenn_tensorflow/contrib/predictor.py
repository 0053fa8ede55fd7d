"""``tf.contrib.predictor``: a saved model as a function of arrays."""

from __future__ import annotations

from typing import Any

from corenn_tensorflow import missing
from corenn_tensorflow.framework import TFGraph
from corenn_tensorflow.saved_model import loader
from corenn_tensorflow.session import Session


class Predictor:
    """A function from a dict of inputs to a dict of outputs; it keeps its session."""

    def __init__(self, session: Any, inputs: dict[str, str], outputs: dict[str, str]) -> None:
        self._session = session
        self.graph = session.graph
        self.feed_tensors = {k: self.graph.get_tensor_by_name(n) for k, n in inputs.items()}
        self.fetch_tensors = {k: self.graph.get_tensor_by_name(n) for k, n in outputs.items()}

    @property
    def session(self) -> Any:
        """The session."""
        return self._session

    def __call__(self, input_dict: dict[str, Any]) -> dict[str, Any]:
        """The outputs, as arrays, of arrays."""
        strange = sorted(set(input_dict) - set(self.feed_tensors))
        if strange:
            raise ValueError(f"Got unexpected keys in input_dict: {set(strange)}\nexpected: {set(self.feed_tensors)}")
        feeds = {self.feed_tensors[k]: v for k, v in input_dict.items()}
        found: dict[str, Any] = self._session.run(self.fetch_tensors, feeds)
        return found


def from_saved_model(
    export_dir: Any, signature_def_key: str | None = None, signature_def: Any = None, input_names: Any = None,
    output_names: Any = None, tags: Any = None, graph: Any = None, config: Any = None,
) -> Predictor:  # fmt: skip
    """The function of a signature (``"serving_default"``) of a saved model, or of tensors by name."""
    home = graph if graph is not None else TFGraph()
    with home.as_default():
        session = Session(graph=home, config=config)
        wanted = [tags] if isinstance(tags, str) else list(tags or ["serve"])
        meta = loader.load(session, wanted, export_dir)
    if input_names is None or output_names is None:
        chosen = signature_def
        if chosen is None:
            key = signature_def_key or "serving_default"
            if key not in meta.signature_def:
                raise ValueError(
                    f"Got signature_def_key {key!r}. Available signatures are {sorted(meta.signature_def)}."
                )
            chosen = meta.signature_def[key]
        input_names = {k: v.name for k, v in chosen.inputs.items()}
        output_names = {k: v.name for k, v in chosen.outputs.items()}
    return Predictor(session, dict(input_names), dict(output_names))


__getattr__ = missing.guard(__name__)

__all__ = ["Predictor", "from_saved_model"]
