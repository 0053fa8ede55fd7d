"""Errors as a person should see them, and the exit status they mean."""

from __future__ import annotations

import sys

from corenn.errors import BackendError, CorennError, PluginError, UsageError

FAILED, WRONG_USAGE = 1, 2


def explain(error: Exception) -> int | None:
    """Print an error to stderr and return the exit status; ``None`` for one that deserves its traceback."""
    if isinstance(error, CorennError):
        error.site = None  # the line is corenn's own, not the user's
        print(f"corenn: {error}", file=sys.stderr)
        return WRONG_USAGE if _is_usage(error) else FAILED
    if isinstance(error, OSError) and error.strerror:  # a full disk, a directory that cannot be written
        place = f": {error.filename}" if error.filename else ""
        print(f"corenn: {error.strerror}{place}", file=sys.stderr)
        return FAILED
    return None


def _is_usage(error: CorennError) -> bool:
    """Whether the command line was at fault: it named something that does not exist or cannot be used here."""
    if isinstance(error, BackendError):
        return error.where in ("backend", "device")
    return isinstance(error, (UsageError, PluginError))
