"""``keras.wrappers.scikit_learn``: models as estimators of scikit-learn."""

from __future__ import annotations

import copy
import inspect
from typing import Any

import numpy as np

from corenn_tensorflow.keras.utils import to_categorical
from corenn_tensorflow.missing import guard


class BaseWrapper:
    """``build_fn(**arguments)`` makes the compiled model; further arguments go to it or to ``fit`` and ``predict``."""

    def __init__(self, build_fn: Any = None, **sk_params: Any) -> None:
        self.build_fn, self.sk_params = build_fn, sk_params

    def get_params(self, **params: Any) -> dict[str, Any]:
        """The arguments."""
        return {**copy.deepcopy(self.sk_params), "build_fn": self.build_fn}

    def __sklearn_tags__(self) -> Any:
        """What scikit-learn 1.6 and later ask of an estimator."""
        from sklearn import base

        kind = base.ClassifierMixin if isinstance(self, KerasClassifier) else base.RegressorMixin
        return type("Estimator", (kind, base.BaseEstimator), {})().__sklearn_tags__()

    def __sklearn_is_fitted__(self) -> bool:
        """Whether there is a model."""
        return hasattr(self, "model")

    def set_params(self, **params: Any) -> BaseWrapper:
        """Change arguments."""
        self.sk_params.update(params)
        return self

    def _for(self, function: Any, override: dict[str, Any] | None = None) -> dict[str, Any]:
        names = inspect.signature(function).parameters
        return {**{k: v for k, v in self.sk_params.items() if k in names}, **(override or {})}

    def fit(self, x: Any, y: Any, **options: Any) -> Any:
        """Make the model and train it; returns its history."""
        build = self.build_fn if self.build_fn is not None else self.__call__  # type: ignore[operator]
        self.model = build(**self._for(build))
        name = getattr(self.model.loss, "__name__", self.model.loss)
        labels = to_categorical(y) if name == "categorical_crossentropy" and np.ndim(y) != 2 else y
        return self.model.fit(x, labels, **self._for(self.model.fit, options))


class KerasClassifier(BaseWrapper):
    """A classifier."""

    def fit(self, x: Any, y: Any, sample_weight: Any = None, **options: Any) -> Any:
        """Train."""
        labels = np.array(y)
        if labels.ndim == 2 and labels.shape[1] > 1:
            self.classes_ = np.arange(labels.shape[1])
        else:
            self.classes_ = np.unique(labels)
            labels = np.searchsorted(self.classes_, labels)
        self.n_classes_ = len(self.classes_)
        if sample_weight is not None:
            options["sample_weight"] = sample_weight
        return super().fit(x, labels, **options)

    def predict(self, x: Any, **options: Any) -> Any:
        """The class of each example."""
        return self.classes_[self._numbers(self.model.predict(x, **self._for(self.model.predict, options)))]

    @staticmethod
    def _numbers(found: Any) -> Any:
        return found.argmax(-1) if found.shape[-1] > 1 else (found > 0.5).astype("int32").reshape(-1)

    def predict_proba(self, x: Any, **options: Any) -> Any:
        """The probabilities of the classes."""
        found = self.model.predict(x, **self._for(self.model.predict, options))
        return np.hstack([1 - found, found]) if found.shape[1] == 1 else found

    def score(self, x: Any, y: Any, **options: Any) -> float:
        """The accuracy."""
        labels = np.array(y)
        labels = labels.argmax(-1) if labels.ndim == 2 and labels.shape[1] > 1 else labels.reshape(-1)
        return float(np.mean(self.predict(x, **options) == labels))


class KerasRegressor(BaseWrapper):
    """A regressor."""

    def predict(self, x: Any, **options: Any) -> Any:
        """Predictions, without an axis of one."""
        return np.squeeze(self.model.predict(x, **self._for(self.model.predict, options)), -1)

    def score(self, x: Any, y: Any, **options: Any) -> float:
        """Minus the loss."""
        found = self.model.evaluate(x, y, verbose=0)
        return -float(found[0] if isinstance(found, list) else found)


__all__ = ["KerasClassifier", "KerasRegressor"]
__getattr__ = guard(__name__)
