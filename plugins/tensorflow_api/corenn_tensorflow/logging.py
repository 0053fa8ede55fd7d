"""``tf.logging``: Python's logger ``tensorflow``, which shows warnings and worse on stderr until told otherwise."""

from __future__ import annotations

import logging as _logging
import sys
from collections import Counter
from typing import Any, TextIO

from corenn_tensorflow import missing

DEBUG, INFO, WARN, ERROR, FATAL = _logging.DEBUG, _logging.INFO, _logging.WARNING, _logging.ERROR, _logging.FATAL

_counts: Counter[object] = Counter()


class _ToStderr(_logging.StreamHandler[TextIO]):
    """Writes to whatever ``sys.stderr`` is at the time."""

    def __init__(self) -> None:
        _logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        return sys.stderr


def get_logger() -> _logging.Logger:
    """The logger; a handler for stderr is added unless the program has set up logging of its own."""
    logger = _logging.getLogger("tensorflow")
    if not logger.handlers:
        if logger.level == _logging.NOTSET:
            logger.setLevel(WARN)
        if not _logging.getLogger().handlers:
            handler = _ToStderr()
            handler.setFormatter(_logging.Formatter(_logging.BASIC_FORMAT))
            logger.addHandler(handler)
            logger.propagate = False
    return logger


def set_verbosity(v: int | str) -> None:
    """Show messages of level ``v`` and above."""
    get_logger().setLevel(v)


def get_verbosity() -> int:
    """The level from which messages are shown."""
    return get_logger().getEffectiveLevel()


def log(level: int | str, msg: object, *args: Any, **kwargs: Any) -> None:
    """Log ``msg % args`` at a level (a number or a name such as ``"INFO"``)."""
    number = _logging.getLevelName(level) if isinstance(level, str) else level
    get_logger().log(number, msg, *args, stacklevel=2, **kwargs)


def vlog(level: int, msg: object, *args: Any, **kwargs: Any) -> None:
    """The same as ``log``."""
    get_logger().log(level, msg, *args, stacklevel=2, **kwargs)


def debug(msg: object, *args: Any, **kwargs: Any) -> None:
    """Log at level DEBUG."""
    get_logger().debug(msg, *args, stacklevel=2, **kwargs)


def info(msg: object, *args: Any, **kwargs: Any) -> None:
    """Log at level INFO."""
    get_logger().info(msg, *args, stacklevel=2, **kwargs)


def warning(msg: object, *args: Any, **kwargs: Any) -> None:
    """Log at level WARN."""
    get_logger().warning(msg, *args, stacklevel=2, **kwargs)


warn = warning


def error(msg: object, *args: Any, **kwargs: Any) -> None:
    """Log at level ERROR."""
    get_logger().error(msg, *args, stacklevel=2, **kwargs)


def fatal(msg: object, *args: Any, **kwargs: Any) -> None:
    """Log at level FATAL; the program goes on."""
    get_logger().fatal(msg, *args, stacklevel=2, **kwargs)


def _line() -> tuple[str, int]:
    frame = sys._getframe(2)
    return frame.f_code.co_filename, frame.f_lineno


def log_every_n(level: int, msg: object, n: int, *args: Any) -> None:
    """Log the first, the ``n+1``-th, ... time this line is reached."""
    key = _line()
    if _counts[key] % n == 0:
        get_logger().log(level, msg, *args, stacklevel=2)
    _counts[key] += 1


def log_first_n(level: int, msg: object, n: int, *args: Any) -> None:
    """Log the first ``n`` times this line is reached."""
    key = _line()
    if _counts[key] < n:
        get_logger().log(level, msg, *args, stacklevel=2)
    _counts[key] += 1


def log_if(level: int, msg: object, condition: object, *args: Any) -> None:
    """Log when ``condition`` is true."""
    if condition:
        get_logger().log(level, msg, *args, stacklevel=2)


def TaskLevelStatusMessage(msg: object) -> None:
    """Log at level ERROR."""
    get_logger().error(msg, stacklevel=2)


def flush() -> None:
    """Write out what handlers hold back."""
    for handler in get_logger().handlers:
        handler.flush()


__getattr__ = missing.guard(__name__)

__all__ = [
    "DEBUG",
    "ERROR",
    "FATAL",
    "INFO",
    "WARN",
    "TaskLevelStatusMessage",
    "debug",
    "error",
    "fatal",
    "flush",
    "get_logger",
    "get_verbosity",
    "info",
    "log",
    "log_every_n",
    "log_first_n",
    "log_if",
    "set_verbosity",
    "vlog",
    "warn",
    "warning",
]
