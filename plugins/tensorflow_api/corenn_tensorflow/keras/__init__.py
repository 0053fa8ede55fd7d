"""``keras`` and ``tf.keras``."""

from corenn_tensorflow.keras import (
    activations,
    applications,
    backend,
    callbacks,
    constraints,
    datasets,
    engine,
    estimator,
    experimental,
    initializers,
    layers,
    losses,
    metrics,
    mixed_precision,
    models,
    optimizers,
    preprocessing,
    regularizers,
    utils,
    wrappers,
)
from corenn_tensorflow.keras.layers import Input
from corenn_tensorflow.keras.models import Model, Sequential
from corenn_tensorflow.missing import guard

__version__ = "2.3.1"
objectives = losses
__all__ = [
    "Input", "Model", "Sequential", "activations", "applications", "backend", "callbacks", "constraints", "datasets",
    "engine", "estimator", "experimental", "initializers", "layers", "losses", "metrics", "mixed_precision", "models",
    "objectives", "optimizers", "preprocessing", "regularizers", "utils", "wrappers",
]  # fmt: skip
__getattr__ = guard(__name__)
