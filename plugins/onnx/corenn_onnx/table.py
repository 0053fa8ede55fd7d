"""The table of ONNX ops: which function implements which op, from which opset on.

An implementation is a function whose positional parameters are the op's inputs (``None`` for absent ones, ``*names``
for a variadic one) and whose keyword-only parameters are its attributes::

    @onnx_op("Squeeze", since=13, host=("axes",))
    def squeeze(x, axes=None): ...

    @onnx_op("Squeeze")                       # before opset 13 the axes are an attribute
    def squeeze_attribute(x, *, axes=None): ...

Inputs arrive as corenn tensors; those named in ``host`` as NumPy arrays, whose elements must be known; those in
``raw`` as they are (see ``corenn_onnx.values``).  A keyword parameter ``node`` receives the node.  A result is a
tensor, an array (a constant), a list (a sequence) or ``None``; a tuple holds several.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from corenn_onnx.errors import UnsupportedOnnxError

F = TypeVar("F", bound=Callable[..., Any])

REQUIRED: Any = type("Required", (), {"__repr__": lambda self: "required"})()


class Implementation:
    """One function for one op from opset ``since`` on, with what the caller has to know about its parameters.

    ``moves``: it only moves elements about, so that foreign element types pass through it.  ``pure``: with equal
    inputs it gives equal results, and may be computed once.
    """

    __slots__ = (
        "attributes", "function", "host", "least", "moves", "names", "node", "pure", "raw", "since", "variadic",
    )  # fmt: skip

    def __init__(
        self, function: Callable[..., Any], since: int, host: tuple[str, ...], raw: tuple[str, ...], moves: bool,
        pure: bool,
    ) -> None:  # fmt: skip
        code = function.__code__
        self.function, self.since, self.host, self.raw = function, since, frozenset(host), frozenset(raw)
        self.moves, self.pure = moves, pure
        self.names = code.co_varnames[: code.co_argcount]
        keywords = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
        self.variadic = code.co_varnames[code.co_argcount + code.co_kwonlyargcount] if code.co_flags & 4 else None
        self.least = code.co_argcount - len(function.__defaults__ or ())
        defaults = function.__kwdefaults__ or {}
        self.node = "node" in keywords
        self.attributes = {k: defaults.get(k, REQUIRED) for k in keywords if k != "node"}


#: Implementations by domain and name of the op, the newest first.
TABLE: dict[tuple[str, str], list[Implementation]] = {}


def onnx_op(
    *names: str, since: int = 1, domain: str = "", host: tuple[str, ...] = (), raw: tuple[str, ...] = (),
    moves: bool = False, pure: bool = True,
) -> Callable[[F], F]:  # fmt: skip
    """Declare the implementation of ops: see the module."""

    def declare(function: F) -> F:
        made = Implementation(function, since, host, raw, moves, pure)
        for name in names:
            found = TABLE.setdefault((domain, name), [])
            if any(one.since == since for one in found):
                raise TypeError(f"{name} is implemented twice from opset {since} on")
            found.append(made)
            found.sort(key=lambda one: -one.since)
        return function

    return declare


def find(domain: str, op_type: str, opset: int) -> Implementation | None:
    """The implementation for an opset; ``None`` if the op is unknown, UnsupportedOnnxError if it is newer."""
    domain = "" if domain == "ai.onnx" else domain
    found = TABLE.get((domain, op_type))
    if not found:
        return None
    for one in found:
        if one.since <= opset:
            return one
    raise UnsupportedOnnxError(
        op_type, f"it is supported from opset {found[-1].since} on, and the model has opset {opset}",
        hint="convert the model: onnx.version_converter.convert_version(model, version)",
    )  # fmt: skip


__all__ = ["REQUIRED", "TABLE", "Implementation", "find", "onnx_op"]
