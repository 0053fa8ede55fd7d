"""Objects that can say how to make an equal object, and the registries they are found in by name.

Initializers, regularizers, constraints, schedules, losses, optimizers, metrics and callbacks are all *configurable*:
plain Python objects whose constructor arguments are kept in attributes of the same names.  That one habit gives each
class its ``get_config`` and ``from_config``, its ``repr``, and a JSON-able form for files::

    serialize(Adam(1e-3))    {"kind": "optimizer", "class_name": "Adam", "config": {"learning_rate": 0.001, ...}}
    deserialize(...)         an equal optimizer

A registry finds the class behind whatever a user writes where a layer or a model expects an object of some kind: an
instance, a class, a callable, a name in any case (``"glorot_uniform"``, ``"GlorotUniform"``), or such a dictionary.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, Final, Generic, NoReturn, TypeVar

import numpy as np

from corenn.advice import ARGUMENTS
from corenn.dtypes import DType
from corenn.errors import UsageError, nearest

T = TypeVar("T")
C = TypeVar("C", bound=Callable[..., Any])

#: Where the registry of a kind is made, so that ``deserialize`` finds it in a process that has not imported it yet.
_HOMES: Final = {
    "initializer": "corenn.initializers",
    "regularizer": "corenn.regularizers",
    "constraint": "corenn.constraints",
    "schedule": "corenn.schedules",
    "loss": "corenn.losses",
    "optimizer": "corenn.optimizers",
    "metric": "corenn.metrics",
    "callback": "corenn.training.callbacks",
    "layer": "corenn.layers",
    "model": "corenn.training",
    "activation": "corenn.activations",
}
_REGISTRIES: dict[str, Registry[Any]] = {}


class Configurable:
    """Base of objects that are made from plain arguments and can say which.

    The convention: ``__init__`` keeps each argument in an attribute of the same name, as ``get_config`` will return it.
    A class with ``**kwargs`` in its constructor passes them to its base's, whose arguments then count as its own.
    """

    _kind: ClassVar[str | None] = None  # set when a registry registers the class
    _parameter_names: ClassVar[tuple[str, ...]]

    @classmethod
    def _parameters(cls) -> tuple[str, ...]:
        """Names of the constructor's arguments, those of bases behind ``**kwargs`` last."""
        known: tuple[str, ...] | None = cls.__dict__.get("_parameter_names")
        if known is None:
            known = cls._parameter_names = tuple(dict.fromkeys(_parameters_of(cls)))
        return known

    def get_config(self) -> dict[str, Any]:
        """The JSON-able arguments that make an equal object: ``type(self).from_config(self.get_config())``."""
        return {name: serialize(self._argument(name)) for name in self._parameters()}

    def _argument(self, name: str) -> Any:
        """The value to give the constructor for one argument."""
        return getattr(self, name)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Any:
        """An object from what ``get_config`` returned; UsageError for arguments the class does not take."""
        unknown = [name for name in config if name not in cls._parameters()]
        if unknown:
            what = f"{cls.__name__} takes no argument {unknown[0]!r}"
            raise UsageError("from_config", what, hint=nearest(unknown[0], cls._parameters()))
        _check_required(cls, config)
        return cls(**{name: _revived(value) for name, value in config.items()})

    def refuse_arguments(self, given: Mapping[str, Any]) -> NoReturn:
        """UsageError for constructor arguments that neither the class nor its bases take."""
        name = next(iter(given))
        hint = ARGUMENTS.get(name) or nearest(name, self._parameters())
        raise UsageError(type(self).__name__, f"takes no argument {name!r}", hint=hint)

    def __repr__(self) -> str:
        defaults = {p.name: p.default for base in reversed(type(self).__mro__) for p in _own_parameters(base)}
        shown = []
        for name in self._parameters():
            value = self._argument(name)
            if not (value is defaults.get(name) or (_plain(value) and value == defaults.get(name))):
                shown.append(f"{name}={value!r}")
        return f"{type(self).__name__}({', '.join(shown)})"


def _check_required(cls: type, given: Iterable[str]) -> None:
    """UsageError that names the arguments without a default that are not given."""
    parameters = _own_parameters(next((c for c in cls.__mro__ if "__init__" in c.__dict__), object))
    needed = [p.name for p in parameters if p.default is p.empty and p.kind is not p.VAR_KEYWORD]
    missing = [name for name in needed if name not in given]
    if missing:
        hint = f"{cls.__name__}({', '.join(f'{name}=...' for name in missing)})"
        raise UsageError(cls.__name__, f"needs {' and '.join(missing)}", hint=hint)


def _own_parameters(cls: type) -> list[inspect.Parameter]:
    init = cls.__dict__.get("__init__")
    return list(inspect.signature(init).parameters.values())[1:] if inspect.isfunction(init) else []


def _parameters_of(cls: type) -> Iterable[str]:
    for base in cls.__mro__:
        found = _own_parameters(base)
        if not found:
            continue
        yield from (p.name for p in found if p.kind is not p.VAR_KEYWORD)
        if all(p.kind is not p.VAR_KEYWORD for p in found):
            return


def _plain(value: object) -> bool:
    return isinstance(value, (bool, int, float, str, tuple, list))


# ---------------------------------------------------------------- JSON-able forms


def serialize(value: Any) -> Any:
    """``value`` in JSON's terms: configurable objects as dictionaries, registered functions as their names.

    Takes also None, numbers, strings, dtypes, arrays (as nested lists), and lists, tuples and dicts of all these.
    Raises UsageError for what has no such form, such as a function that is not registered.
    """
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Configurable):
        form: dict[str, Any] = {"kind": type(value)._kind} if type(value)._kind else {}
        return {**form, "class_name": type(value).__name__, "config": value.get_config()}
    if isinstance(value, DType):
        return value.name
    if isinstance(value, (list, tuple)):
        return [serialize(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): serialize(item) for key, item in value.items()}
    if isinstance(value, np.generic):
        return value.item()
    if hasattr(value, "tolist"):  # arrays and tensors
        return value.tolist()
    if callable(value):
        for registry in _REGISTRIES.values():
            name = registry.name_of(value)
            if name is not None:
                return {"kind": registry.kind, "function": name}
        what = f"the function {getattr(value, '__qualname__', value)!r} has no name that another process could find"
        raise UsageError("serialize", what, hint="decorate it with the register() of its module, as losses.register()")
    raise UsageError("serialize", f"a {type(value).__name__} has no JSON form", hint="give the class a get_config")


def deserialize(data: Any, kind: str | None = None) -> Any:
    """What :func:`serialize` was given, made again; ``kind`` where a dictionary does not say its own.

    Lists and dictionaries are searched, everything else is returned as it is.  Raises UsageError for unknown names.
    """
    if isinstance(data, dict) and "class_name" in data:
        chosen = data.get("kind", kind)
        if chosen is None:
            what = f"the dictionary of {data['class_name']!r} does not say its kind"
            raise UsageError("deserialize", what, hint=f"add 'kind': one of {', '.join(sorted(_HOMES))}")
        return registry_of(chosen).from_dict(data)
    return _revived(data)


def _revived(data: Any) -> Any:
    """``data`` with the dictionaries that say their kind made objects; others are left to whoever takes them."""
    if isinstance(data, (list, tuple)):
        return [_revived(item) for item in data]
    if not isinstance(data, dict):
        return data
    if "kind" in data and "class_name" in data:
        return registry_of(data["kind"]).from_dict(data)
    if "kind" in data and "function" in data:
        return registry_of(data["kind"]).look_up(data["function"])
    return {key: _revived(item) for key, item in data.items()}


def registry_of(kind: str) -> Registry[Any]:
    """The registry of a kind such as ``"optimizer"``, importing its module if need be; UsageError if there is none."""
    if kind not in _REGISTRIES and kind in _HOMES:
        importlib.import_module(_HOMES[kind])
    if kind not in _REGISTRIES:
        raise UsageError("deserialize", f"there is no kind {kind!r} of objects", hint=nearest(kind, _HOMES))
    return _REGISTRIES[kind]


# ---------------------------------------------------------------- registries


class Registry(Generic[T]):
    """The classes and functions of one kind, by name; names are compared without case and underscores.

    ``kind``: a singular noun for messages and files.  ``base``: the class of the objects.  ``wrap``: makes an object
    from a plain callable (default: the callable itself serves).
    """

    def __init__(self, kind: str, base: type[T], wrap: Callable[[Callable[..., Any]], T] | None = None) -> None:
        self.kind, self.base, self.wrap = kind, base, wrap
        self._found: dict[str, Callable[..., Any]] = {}
        self._shown: dict[str, str] = {}
        self._exact: dict[str, Callable[..., Any]] = {}
        _REGISTRIES[kind] = self

    def register(self, *aliases: str, own_name: bool = True) -> Callable[[C], C]:
        """A decorator that makes a class or function known by its own name and ``aliases``.

        A class must derive from the kind's base.  Registering another thing under a taken name raises UsageError.
        ``own_name=False`` leaves the own name, in other spellings than its exact one, to something else.
        """

        def decorate(item: C) -> C:
            name = item.__name__
            if isinstance(item, type):
                if not issubclass(item, self.base):
                    what = f"the class {name} does not derive from {self.base.__name__}"
                    raise UsageError(f"register a {self.kind}", what)
                if issubclass(item, Configurable):
                    item._kind = self.kind
            if self._exact.setdefault(name, item) is not item:
                raise UsageError(f"register a {self.kind}", f"there is another {name}", hint="choose another name")
            for spelling in (*aliases, *([_snake_case(name)] if own_name else [])):
                key = _key(spelling)
                taken = self._found.get(key)
                if taken is not None and taken is not item:
                    what = f"the name {spelling!r} belongs to {taken.__module__}.{taken.__qualname__}"
                    raise UsageError(f"register a {self.kind}", what, hint="choose another name")
                self._found[key] = item
                self._shown.setdefault(key, spelling)
            return item

        return decorate

    def names(self) -> list[str]:
        """All names, in snake case."""
        return sorted(self._shown.values())

    def look_up(self, name: str) -> Callable[..., Any]:
        """The class or function called ``name``; UsageError with the nearest names if there is none."""
        found = self._exact.get(name) or self._found.get(_key(name))
        if found is None:
            hint = nearest(_snake_case(name), self.names()) or None
            raise UsageError(self.kind, f"there is no {self.kind} {name!r}", hint=hint)
        return found

    def name_of(self, item: Callable[..., Any]) -> str | None:
        """The name a function or class is registered by, or ``None``."""
        return next((self._shown[key] for key, found in self._found.items() if found is item), None)

    def from_dict(self, data: Mapping[str, Any]) -> T:
        """An object from ``{"class_name": ..., "config": {...}}``."""
        found = self.look_up(str(data["class_name"]))
        config = data.get("config") or {}
        if isinstance(found, type) and hasattr(found, "from_config"):
            return found.from_config(config)  # type: ignore[no-any-return]  # an object of this kind
        return self._made(found, **config)

    def _made(self, found: Callable[..., Any], **config: Any) -> T:
        if isinstance(found, type):
            _check_required(found, config)
            return found(**config)  # type: ignore[no-any-return]  # checked when it was registered
        return self.wrap(found) if self.wrap is not None else found  # type: ignore[return-value]

    def get(self, spec: Any) -> T | None:
        """The object that ``spec`` means: None, an instance, a class, a name, a dictionary or a callable.

        Raises UsageError for an unknown name (with the nearest ones) and for anything else.
        """
        if spec is None or isinstance(spec, self.base):
            return spec
        if isinstance(spec, str):
            return self._made(self.look_up(spec))
        if isinstance(spec, Mapping) and "class_name" in spec:
            return self.from_dict(spec)
        if isinstance(spec, Mapping) and "function" in spec:
            return self._made(self.look_up(str(spec["function"])))
        if isinstance(spec, type) and issubclass(spec, self.base):
            return self._made(spec)
        if callable(spec) and not isinstance(spec, type):
            return self.wrap(spec) if self.wrap is not None else spec
        hint = f"give a name, a {self.base.__name__}, a callable, or {{'class_name': ..., 'config': {{...}}}}"
        shown = spec.__name__ if isinstance(spec, type) else repr(spec)[:80]
        raise UsageError(self.kind, f"{shown} does not name one", hint=hint)


def _snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def _key(name: str) -> str:
    return name.replace("_", "").replace("-", "").replace(" ", "").lower()


__all__ = ["Configurable", "Registry", "deserialize", "registry_of", "serialize"]
