"""Devices: where a tensor's array lives, named ``backend`` or ``backend:index``, and which one new tensors go to."""

from __future__ import annotations

import os
from contextvars import ContextVar, Token
from types import TracebackType
from typing import TYPE_CHECKING

from corenn.errors import BackendError

if TYPE_CHECKING:
    from corenn.backend.contract import Backend

_current: ContextVar[Device | None] = ContextVar("corenn_device", default=None)
#: What ``with device:`` blocks have to restore, innermost last; each thread and task has its own.
_entered: ContextVar[tuple[Token[Device | None], ...]] = ContextVar("corenn_devices_entered", default=())
_devices: dict[tuple[int, int], Device] = {}


class Device:
    """One device of one backend; interned, so compare with ``is``.  ``with corenn.device("cuda"):`` makes it current.

    Fields: ``backend`` (the loaded backend object) and ``index``.
    """

    __slots__ = ("backend", "handle", "index", "name")

    def __init__(self, backend: Backend, index: int) -> None:
        self.backend, self.index = backend, index
        self.name = f"{backend.name}:{index}" if backend.device_count() > 1 else backend.name
        self.handle = backend.device_handle(index)

    def synchronize(self) -> None:
        """Wait until all work queued on this device is done."""
        self.backend.synchronize(self.index)

    def __enter__(self) -> Device:
        _entered.set((*_entered.get(), _current.set(self)))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        *outer, token = _entered.get()
        _entered.set(tuple(outer))
        _current.reset(token)

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"corenn.device({self.name!r})"

    def __reduce__(self) -> tuple[object, ...]:
        return device, (self.name,)


def device_of(backend: Backend, index: int = 0) -> Device:
    """The device ``index`` of a backend object; BackendError if the backend has no such device."""
    key = (id(backend), index)
    found = _devices.get(key)
    if found is None:
        count = backend.device_count()
        if not 0 <= index < count:
            have = f"{backend.name}:0" + (f" to {backend.name}:{count - 1}" if count > 1 else "")
            raise BackendError("device", f"{backend.name} has no device {index}", hint=f"it has {have}")
        found = _devices[key] = Device(backend, index)  # the device keeps its backend alive, so the id stays its own
    return found


def device(name: str | Device) -> Device:
    """The device called ``"backend"`` or ``"backend:index"``, loading the backend if need be.

    Use it to place one tensor (``x.to("cuda")``) or a block (``with corenn.device("cuda"):``).  Raises BackendError,
    with the reason and the installed backends, for one that does not exist or is not available here.  An object with
    ``__corenn_device__()`` stands for the device that gives.
    """
    if isinstance(name, Device):
        return name
    stands_for = getattr(name, "__corenn_device__", None)
    if stands_for is not None:
        found: Device = stands_for()
        return found
    from corenn.backend.registry import get_backend

    base, _, index = _text(name).partition(":")
    if index and not index.isdecimal():
        raise BackendError("device", f"{name!r} is not a device", hint="write 'backend' or 'backend:index'")
    return device_of(get_backend(base), int(index or 0))


def _text(name: object) -> str:
    if isinstance(name, str):
        return name
    what = f"a device is given by its name, not by a {type(name).__name__}"
    raise BackendError("device", what, {"given": repr(name)}, hint="write 'backend' or 'backend:index'")


def current_device() -> Device:
    """The device new tensors go to: that of the innermost ``with corenn.device(...)``, else the default.

    The default is the backend named by the environment variable ``CORENN_BACKEND``, or ``numpy``.
    """
    return _current.get() or set_default_device(os.environ.get("CORENN_BACKEND") or "numpy")


def set_default_device(name: str | Device) -> Device:
    """Make a device the current one of this context (thread or task) from here on; returns it."""
    chosen = device(name)
    _current.set(chosen)
    return chosen
