"""``keras.optimizers``: corenn's optimizers with the arguments of all ages (``lr``, ``decay``, ``epsilon=None``)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from corenn import optimizers as core
from corenn import schedules as core_schedules
from corenn.dtypes import int64
from corenn.ops.creation import tensor
from corenn.schedules import Schedule
from corenn.tensor import Tensor
from corenn_tensorflow.keras import _lookup, world
from corenn_tensorflow.missing import guard
from corenn_tensorflow.shapes import TensorShape


class Rate(float):
    """The value of a setting, and the means to change it: ``K.get_value(opt.lr)``, ``K.set_value(opt.lr, 0.1)``."""

    _change: Callable[[float], None]
    dtype = "float32"

    @staticmethod
    def of(value: float, change: Callable[[float], None]) -> Rate:
        """The value with its setter."""
        made = Rate(value)
        made._change = change
        return made

    def assign(self, value: Any, *unused: Any, **ignored: Any) -> None:
        """Change the setting."""
        self._change(float(value))

    def numpy(self) -> np.float32:
        """The value."""
        return np.float32(self)

    def value(self) -> float:
        """The value."""
        return float(self)

    read_value = value

    def eval(self, session: Any = None) -> np.float32:
        """The value."""
        return np.float32(self)


class Count(int):
    """The number of updates, and a variable's methods: ``optimizer.iterations.numpy()``."""

    _change: Callable[[int], None]
    name = "iter:0"
    dtype = int64
    shape = TensorShape([])

    @staticmethod
    def of(value: int, change: Callable[[int], None]) -> Count:
        """The number with its setter."""
        made = Count(value)
        made._change = change
        return made

    def assign(self, value: Any, *unused: Any, **ignored: Any) -> None:
        """Change the number."""
        self._change(int(value))

    def assign_add(self, delta: Any = 1, *unused: Any, **ignored: Any) -> None:
        """Change the number."""
        self._change(int(self) + int(delta))

    def numpy(self) -> np.int64:
        """The number."""
        return np.int64(self)

    def value(self) -> int:
        """The number."""
        return int(self)

    read_value = value

    def eval(self, session: Any = None) -> np.int64:
        """The number."""
        return np.int64(self)


class Variables(list[Any]):
    """An optimizer's variables; ``optimizer.variables()`` gives the number of updates in front of them."""

    _count: Any = None

    def __call__(self) -> list[Any]:
        return [self._count, *self]


class Optimizer(core.Optimizer):
    """Base of optimizers, and what all have in Keras."""

    _decay = 0.0

    def _keras(self, decay: float) -> None:
        self._decay = float(decay)
        self.traceable_decay = True

    @property
    def iterations(self) -> Any:
        """The number of updates."""
        return Count.of(self.__dict__.get("_done", 0), lambda value: self.__dict__.update(_done=value))

    @iterations.setter
    def iterations(self, value: Any) -> None:
        self.__dict__["_done"] = int(value)

    @property
    def learning_rate(self) -> Any:
        """The rate of the next update; ``decay`` lowers it as ``rate / (1 + decay * iterations)``."""
        return Rate.of(float(self._base_rate()), self._set_rate)

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        self._set_rate(value)

    lr = learning_rate

    def _base_rate(self) -> float:
        rate = self._rate
        if isinstance(rate, float):
            return rate
        if type(rate).__module__.startswith(("corenn.", "corenn_tensorflow.")):
            return float(np.asarray(rate(self.iterations)))
        with world.eagerly():  # a user's: it is given the step as a number of float32, as Keras did
            found: Any = rate(tensor(np.float32(int(self.iterations))))
            return float(np.asarray(found._host() if isinstance(found, Tensor) else found))

    def _set_rate(self, value: Any) -> None:
        if callable(value) and not isinstance(value, (Schedule, Tensor)):
            function = value
            value = core_schedules.FunctionSchedule(lambda step: float(np.asarray(_called(function, step))))
        core.Optimizer.learning_rate.fset(self, float(value) if isinstance(value, Rate) else value)  # type: ignore[attr-defined]

    def _rate_of(self, record: Any) -> Any:
        factor = record.factor

        def rate() -> float:
            return self._base_rate() / (1.0 + self._decay * int(self.iterations)) * factor

        return self.number(rate, record.variable, ("rate", factor))

    def _decayed_lr(self, var_dtype: Any = "float32") -> Any:
        return tensor(self._base_rate() / (1.0 + self._decay * int(self.iterations)), dtype=var_dtype)

    @property
    def decay(self) -> Any:
        """How fast the rate falls."""
        return Rate.of(self._decay, self._keras)

    @property
    def variables(self) -> Any:
        """The optimizer's own variables, a list; Keras 2 called it, and had the number of updates as the first."""
        found = Variables(core.Optimizer.variables.fget(self))  # type: ignore[attr-defined]
        found._count = self.iterations
        return found

    @property
    def weights(self) -> list[Any]:
        """The number of updates and the optimizer's own variables."""
        return [self.iterations, *self.variables]

    def get_weights(self) -> list[Any]:
        """The number of updates and the values of the optimizer's variables."""
        return [np.int64(int(self.iterations)), *[np.array(v._host()) for v in self.variables]]

    def set_weights(self, weights: Any) -> None:
        """Take back what ``get_weights`` gave; the slots must exist."""
        self.iterations = int(np.asarray(weights[0]))
        for variable, value in zip(self.variables, weights[1:], strict=True):
            variable.assign(np.asarray(value))

    def get_state(self) -> dict[str, Any]:
        """As the core's, of plain numbers."""
        return {**super().get_state(), "iterations": int(self.iterations)}

    def set_state(self, state: Any) -> None:
        """Continue from a state, also from one of other variables' names: layers made later are numbered further."""
        slots, mine = state.get("slots") or {}, [record.name for record in self._records.values()]
        if len(slots) == len(mine) and set(slots) != set(mine):
            state = {**state, "slots": dict(zip(mine, slots.values(), strict=True))}
        super().set_state(state)

    def get_gradients(self, loss: Any, params: Any) -> Any:
        """Gradients in a graph of generation 1."""
        from corenn_tensorflow.keras.backend import gradients

        return gradients(loss, params)

    def get_updates(self, loss: Any, params: Any, constraints: Any = None) -> list[Any]:
        """The operations of one update, in a graph of generation 1; Keras 1 gave ``(params, constraints, loss)``."""
        from corenn_tensorflow.keras.engine.weights import present

        if isinstance(loss, (list, tuple)):
            loss, params = (constraints if constraints is not None else params), loss
        pairs = zip(self.get_gradients(loss, params), map(present, params), strict=True)
        return [core.Optimizer.apply_gradients(self, pairs)]

    def minimize(self, loss: Any, var_list: Any = None, grad_loss: Any = None, name: str | None = None,
                 tape: Any = None, **ignored: Any) -> Any:  # fmt: skip
        """One update of ``var_list`` from a loss: a function of no arguments, or a tensor and the tape."""
        chosen = var_list() if callable(var_list) else var_list
        return super().minimize(loss, chosen, tape)

    def apply_gradients(self, grads_and_vars: Any, name: str | None = None, **ignored: Any) -> Any:
        """One update from ``(gradient, variable)`` pairs."""
        from corenn_tensorflow.keras.engine.weights import storage_of

        super().apply_gradients([(g, storage_of(v)) for g, v in grads_and_vars])
        return self.iterations

    def get_config(self) -> dict[str, Any]:
        """The settings."""
        rate = self._rate if isinstance(self._rate, float) else _lookup.serialized(self._rate)
        found = {n: getattr(self, n) for n in self._listed_settings if hasattr(self, n)}
        limits = {
            n: getattr(self, n) for n in ("clipnorm", "clipvalue", "global_clipnorm") if getattr(self, n) is not None
        }
        return {"name": self.name, "learning_rate": rate, "decay": self._decay, **found, **limits}

    @classmethod
    def from_config(cls, config: Any, custom_objects: Any = None) -> Any:
        """An optimizer from its configuration."""
        given = dict(config)
        rate = given.get("learning_rate")
        if isinstance(rate, dict):
            given["learning_rate"] = schedules.deserialize(rate)
        return cls(**given)

    _listed_settings: tuple[str, ...] = ()


def _called(function: Any, step: Any) -> Any:
    import inspect

    try:
        takes = len(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        takes = 0
    found = function(step) if takes else function()
    return found._host() if isinstance(found, Tensor) else found


def _class(name: str, base: Any, rate: float, *settings: tuple[str, Any], renamed: dict[str, str] | None = None) -> Any:
    names = ["learning_rate", *[n for n, _ in settings]]
    defaults = dict(settings)
    to_core = renamed or {}

    def __init__(self: Any, *args: Any, **options: Any) -> None:
        given = {"learning_rate": rate, **defaults, **dict(zip(names, args, strict=False))}
        if "lr" in options:
            given["learning_rate"] = options.pop("lr")
        label = options.pop("name", None) or name
        decay = options.pop("decay", 0.0) or 0.0
        for ignored in ("jit_compile", "schedule_decay", "is_legacy_optimizer", "momentum_cache"):
            options.pop(ignored, None)
        for limit in ("clipnorm", "clipvalue", "global_clipnorm"):
            if options.get(limit) is None:
                options.pop(limit, None)
        unknown = [n for n in options if n not in (*names, "clipnorm", "clipvalue", "global_clipnorm", "weight_decay",
                                                   "use_ema", "ema_momentum", "ema_overwrite_frequency")]  # fmt: skip
        if unknown:
            raise TypeError(f"Unexpected keyword argument passed to optimizer: {unknown[0]}")
        given |= options
        if given.get("epsilon", 0) is None:
            given["epsilon"] = 1e-7
        chosen = given.pop("learning_rate")
        base.__init__(self, **{to_core.get(k, k): v for k, v in given.items() if to_core.get(k, k)})
        self.name = label
        self._keras(decay)
        self._set_rate(chosen)

    space = {
        "__init__": __init__, "_listed_settings": tuple(defaults), "__doc__": base.__doc__, "__module__": __name__,
        "__qualname__": name,
    }  # fmt: skip
    return type(name, (Optimizer, base), space)


SGD = _class("SGD", core.SGD, 0.01, ("momentum", 0.0), ("nesterov", False))
RMSprop = _class(
    "RMSprop", core.RMSprop, 0.001, ("rho", 0.9), ("momentum", 0.0), ("epsilon", 1e-7), ("centered", False)
)
Adagrad = _class("Adagrad", core.Adagrad, 0.001, ("initial_accumulator_value", 0.1), ("epsilon", 1e-7))
Adadelta = _class("Adadelta", core.Adadelta, 0.001, ("rho", 0.95), ("epsilon", 1e-7))
_BETAS = (("beta_1", 0.9), ("beta_2", 0.999), ("epsilon", 1e-7))
Adam = _class("Adam", core.Adam, 0.001, *_BETAS, ("amsgrad", False))
AdamW = _class("AdamW", core.AdamW, 0.001, ("weight_decay", 0.004), *_BETAS, ("amsgrad", False))
Adamax = _class("Adamax", core.Adamax, 0.001, *_BETAS)
Nadam = _class("Nadam", core.Nadam, 0.001, *_BETAS)
Nadam.schedule_decay = 0.004  # as in Dozat's paper; Keras 3 has left it out
Ftrl = _class(
    "Ftrl", core.Ftrl, 0.001, ("learning_rate_power", -0.5), ("initial_accumulator_value", 0.1),
    ("l1_regularization_strength", 0.0), ("l2_regularization_strength", 0.0),
    ("l2_shrinkage_regularization_strength", 0.0), ("beta", 0.0),
)  # fmt: skip

_CLASSES = {c.__name__: c for c in (SGD, RMSprop, Adagrad, Adadelta, Adam, AdamW, Adamax, Nadam, Ftrl)}
_NAMES: dict[str, Any] = {**_CLASSES, **{n.lower(): c for n, c in _CLASSES.items()}}


class TFOptimizer:
    """An optimizer of ``tf.train`` in the place of one of Keras."""

    loss_scale_factor = None
    traceable = False

    def __init__(self, optimizer: Any, iterations: Any = None) -> None:
        self.optimizer, self.iterations = optimizer, 0

    @property
    def lr(self) -> Any:
        """The learning rate, if the optimizer shows it."""
        held = self.optimizer
        name = next((n for n in ("_lr", "_learning_rate", "learning_rate") if hasattr(held, n)), None)
        if name is None:
            raise AttributeError("the optimizer does not show its learning rate")
        value = getattr(held, name)
        return Rate.of(float(np.asarray(value() if callable(value) else value)), lambda v: setattr(held, name, v))

    learning_rate = lr

    def build(self, variables: Any, names: Any = None) -> None:
        """Its slots come with the first update."""

    def apply_gradients(self, grads_and_vars: Any) -> None:
        """One update."""
        self.optimizer.apply_gradients([(g, v) for g, v in grads_and_vars if g is not None])
        self.iterations += 1

    def get_state(self) -> dict[str, Any]:
        """The number of updates."""
        return {"iterations": self.iterations, "slots": {}}

    def set_state(self, state: Any) -> None:
        """Take it back."""
        self.iterations = int(state["iterations"])

    def get_config(self) -> dict[str, Any]:
        """NotImplementedError: its settings are its own."""
        raise NotImplementedError("an optimizer of tf.train has no configuration")


def get(identifier: Any) -> Any:
    """The optimizer for a name, dictionary or object; those of ``tf.train`` are wrapped."""
    if isinstance(identifier, (core.Optimizer, TFOptimizer)):
        return identifier
    if isinstance(identifier, str):
        return _lookup.made("optimizer", identifier if identifier in _NAMES else identifier.lower(), _NAMES)
    if isinstance(identifier, dict):
        return deserialize(identifier)
    if isinstance(identifier, type) and issubclass(identifier, core.Optimizer):
        return identifier()
    if hasattr(identifier, "apply_gradients") and hasattr(identifier, "compute_gradients"):
        return TFOptimizer(identifier)
    if hasattr(identifier, "apply_gradients"):
        return identifier
    raise ValueError(f"Could not interpret optimizer identifier: {identifier}")


serialize = _lookup.serialized


def deserialize(config: Any, custom_objects: Any = None) -> Any:
    """The optimizer that ``serialize`` wrote."""
    with _lookup.custom_object_scope(custom_objects or {}):
        name = config["class_name"]
        return _lookup.made("optimizer", {**config, "class_name": name if name in _NAMES else name.lower()}, _NAMES)


from corenn_tensorflow.keras import schedules  # noqa: E402  # which needs nothing from here

adam, sgd, rmsprop, adagrad, adadelta, adamax, nadam = Adam, SGD, RMSprop, Adagrad, Adadelta, Adamax, Nadam

__all__ = [*_CLASSES, "Optimizer", "TFOptimizer", "deserialize", "get", "schedules", "serialize"]
__getattr__ = guard(__name__)
