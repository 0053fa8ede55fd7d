"""``tf.saved_model.save`` and ``load`` of Keras models: the directory that ``model.save`` writes, and signatures."""

from __future__ import annotations

import os
from typing import Any

from corenn import tree
from corenn_tensorflow.framework import convert_to_tensor


class Signature:
    """A model as a function of tensors by name, which gives a dictionary of tensors."""

    def __init__(self, model: Any) -> None:
        self._model = model

    @property
    def structured_input_signature(self) -> tuple[tuple[()], dict[str, Any]]:
        """The inputs by name."""
        return (), dict(zip(self._model.input_names, self._model.inputs, strict=True))

    @property
    def structured_outputs(self) -> dict[str, Any]:
        """The outputs by name."""
        return dict(zip(self._model.output_names, self._model.outputs, strict=True))

    def __call__(self, *args: Any, **named: Any) -> dict[str, Any]:
        """Run the model; one input may also be given by place."""
        names = self._model.input_names
        values = dict(zip(names, args, strict=False)) | named
        if len(args) > 1 or set(values) != set(names):
            raise TypeError(f"the signature takes tensors by name: {', '.join(names)}; given: {', '.join(values)}")
        inputs: Any = values[names[0]] if len(names) == 1 else [values[n] for n in names]
        found = tree.leaves(self._model(tree.tree_map(convert_to_tensor, inputs), training=False))
        return dict(zip(self._model.output_names, found, strict=True))


def is_model(directory: Any) -> bool:
    """Whether ``model.save`` wrote this directory."""
    return os.path.isfile(os.path.join(os.fspath(directory), "model.safetensors"))


def load_model(directory: Any) -> Any:
    """The model in a directory, with ``signatures``."""
    from corenn_tensorflow.keras.models import load_model as load

    model = load(os.fspath(directory))
    model.__dict__["signatures"] = {"serving_default": Signature(model)}
    return model


__all__ = ["Signature", "is_model", "load_model"]
