"""``keras.models``."""

from __future__ import annotations

from typing import Any

from corenn_tensorflow.keras.engine.base_layer import Layer
from corenn_tensorflow.keras.engine.saving import load_model, model_from_config, model_from_json
from corenn_tensorflow.keras.engine.sequential import Sequential
from corenn_tensorflow.keras.engine.symbolic import Input, InputLayer
from corenn_tensorflow.keras.engine.training import Model
from corenn_tensorflow.missing import guard


def model_from_yaml(yaml_string: str, custom_objects: Any = None) -> Any:
    """RuntimeError: use ``model_from_json``."""
    raise RuntimeError("Method `model_from_yaml()` has been removed. Use `model_from_json()` instead.")


def save_model(
    model: Any, filepath: Any, overwrite: bool = True, include_optimizer: bool = True, **options: Any
) -> None:
    """``model.save``."""
    model.save(filepath, overwrite, include_optimizer, **options)


def clone_model(model: Any, input_tensors: Any = None, clone_function: Any = None) -> Any:
    """A new model of the same architecture with new weights."""
    return type(model).from_config(model.get_config())


Functional = Model
__all__ = [
    "Input", "InputLayer", "Layer", "Model", "Sequential", "clone_model", "load_model", "model_from_config",
    "model_from_json", "model_from_yaml", "save_model",
]  # fmt: skip
__getattr__ = guard(__name__)
