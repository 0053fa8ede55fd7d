"""``keras.estimator``."""

from __future__ import annotations

from typing import Any

from corenn_tensorflow.missing import MissingNameError, guard


def model_to_estimator(*args: Any, **options: Any) -> Any:
    """MissingNameError: train the model itself."""
    raise MissingNameError(
        "tf.keras.estimator.model_to_estimator",
        "models of Keras are not made into estimators here",
        hint="model.fit, or a model_fn of tf.estimator.Estimator that calls the model",
    )


__all__ = ["model_to_estimator"]
__getattr__ = guard(__name__)
