"""Backends by name: found through plugin records, loaded at first use, kept for the life of the process."""

from __future__ import annotations

import sys
import threading

from corenn.backend.contract import Backend
from corenn.dtypes import BY_NAME
from corenn.errors import BackendError, CorennError, hide_frames_of

_loaded: dict[str, Backend] = {}
_lock = threading.RLock()


def get_backend(name: str) -> Backend:
    """The backend registered as ``name`` (or ``"auto"``: the available one of the highest priority), loaded once.

    Raises BackendError when no plugin registers it, or when its probe says why it cannot run here.
    """
    found = _loaded.get(name)
    if found is not None:
        return found
    with _lock:
        return _loaded.get(name) or _load(name)


def _load(name: str) -> Backend:
    from corenn.plugin import registry

    if name == "auto":
        return get_backend(best_available())
    try:
        record = registry.get("backend", name)
    except CorennError as error:
        hint = f"x.astype({name!r}) converts elements" if name in BY_NAME else error.hint
        raise BackendError("backend", error.what, error.operands, hint=hint) from None
    reason = record.unavailable_reason()
    if reason is not None:
        raise BackendError("backend", f"{name!r} is not available here: {reason}", hint=record.install_hint or None)
    if record.name in _loaded:
        backend = _loaded[record.name]
    else:
        backend = record.load()()
        check_backend(backend)
        _hide_frames(backend)
    _loaded[name] = _loaded[record.name] = backend
    return backend


def _hide_frames(backend: Backend) -> None:
    """Errors raised in kernels name the caller's line: the files of the backend's package count as corenn's own."""
    package = sys.modules.get(type(backend).__module__.partition(".")[0])
    for directory in getattr(package, "__path__", ()):
        hide_frames_of(directory)


def best_available() -> str:
    """Name of the available backend with the highest priority."""
    from corenn.plugin import registry

    ranked = sorted(registry.backends().values(), key=lambda r: -r.priority)
    for record in ranked:
        if record.unavailable_reason() is None:
            return record.name
    problems = {p.plugin or p.distribution: p.what for p in registry.problems()}
    raise BackendError("backend", "no backend is available", problems, hint="pip install corenn (it ships numpy)")


def check_backend(backend: object) -> None:
    """Raise BackendError when an object does not keep the first tier of the contract or names unknown ops."""
    from corenn.ops.table import TABLE

    if not isinstance(backend, Backend):
        raise BackendError("backend", f"{backend!r} is not a corenn.backend.Backend", hint="subclass Backend")
    for field in ("name", "xp"):
        if getattr(backend, field, None) is None:
            raise BackendError("backend", f"{type(backend).__name__} does not set {field!r}")
    unknown = sorted(set(backend.kernels()) - set(TABLE))
    if unknown:
        raise BackendError(
            "backend", f"{backend.name} has kernels for ops that do not exist: {', '.join(unknown)}", hint="corenn ops"
        )


def use_backend(backend: Backend) -> Backend:
    """Register a backend object directly under its name, for this process (tests, notebooks); returns it."""
    check_backend(backend)
    with _lock:
        _loaded[backend.name] = backend
    return backend
