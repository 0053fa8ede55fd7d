"""``arg_scope``: default arguments for calls in a block, by function."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

Scope = dict[Any, dict[str, Any]]
_current: ContextVar[Scope] = ContextVar("corenn_tensorflow_arg_scope")
F = TypeVar("F", bound=Callable[..., Any])


def _key(function: Any) -> Any:
    return getattr(function, "_key_op", function)


def _scope() -> Scope:
    return _current.get({})


def add_arg_scope(func: F) -> F:
    """Let ``arg_scope`` give ``func`` default arguments."""

    @functools.wraps(func)
    def call(*args: Any, **options: Any) -> Any:
        given = _scope().get(_key(call))
        return func(*args, **({**given, **options} if given else options))

    call._key_op = f"{func.__module__}.{func.__qualname__}"  # type: ignore[attr-defined]  # functions carry attributes
    return call  # type: ignore[return-value]


def has_arg_scope(func: Any) -> bool:
    """Whether ``arg_scope`` can give it arguments."""
    return hasattr(func, "_key_op")


def current_arg_scope() -> Scope:
    """The default arguments that hold here."""
    return _scope()


def arg_scoped_arguments(func: Any) -> tuple[str, ...]:
    """The names that can be given to ``func``."""
    inner = getattr(func, "__wrapped__", func)
    return tuple(inner.__code__.co_varnames[: inner.__code__.co_argcount])


@contextmanager
def arg_scope(list_ops_or_scope: Any, **kwargs: Any) -> Iterator[Scope]:
    """Give the functions listed these default arguments in the block; or take a scope made before.

    ``with arg_scope([conv2d, fully_connected], activation_fn=tf.nn.relu) as scope: ...``
    """
    if isinstance(list_ops_or_scope, dict):
        if kwargs:
            raise ValueError("When attempting to re-use a scope by suppling a dictionary, kwargs must be empty.")
        made = {key: dict(value) for key, value in list_ops_or_scope.items()}
    else:
        if not isinstance(list_ops_or_scope, (list, tuple)):
            raise TypeError("list_ops_or_scope must either be a list/tuple or reused scope (i.e. dict)")
        made = {key: dict(value) for key, value in _scope().items()}
        for function in list_ops_or_scope:
            if not has_arg_scope(function):
                name = getattr(function, "__name__", function)
                raise ValueError(f"{name} is not decorated with @add_arg_scope")
            made.setdefault(_key(function), {}).update(kwargs)
    token = _current.set(made)
    try:
        yield made
    finally:
        _current.reset(token)


__all__ = ["add_arg_scope", "arg_scope", "arg_scoped_arguments", "current_arg_scope", "has_arg_scope"]
