"""``tf.metrics``: streaming metrics of generation 1, each a value and an operation that updates it."""

from typing import Any

from corenn_tensorflow import missing
from corenn_tensorflow.metrics import averages
from corenn_tensorflow.metrics.averages import *  # noqa: F403
from corenn_tensorflow.metrics.confusion import *  # noqa: F403
from corenn_tensorflow.metrics.ranking import *  # noqa: F403
from corenn_tensorflow.mode import by_generation, generation

_guard = missing.guard(__name__)


def _keras(name: str) -> Any:
    def call(y_true: Any, y_pred: Any) -> Any:
        from corenn_tensorflow.keras import metrics

        return getattr(metrics, name)(y_true, y_pred)

    call.__name__, call.__doc__ = name, "Keras' function of this name."
    return call


mean_absolute_error = by_generation(averages.mean_absolute_error, _keras("mean_absolute_error"))
mean_squared_error = by_generation(averages.mean_squared_error, _keras("mean_squared_error"))


def __getattr__(name: str) -> Any:
    """Generation 2 has Keras' metrics here."""
    if generation() == 2 and not name.startswith("_"):
        from corenn_tensorflow.keras import metrics

        if hasattr(metrics, name):
            return getattr(metrics, name)
    return _guard(name)
