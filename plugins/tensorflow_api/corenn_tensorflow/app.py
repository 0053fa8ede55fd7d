"""``tf.app.run``: read the flags, call ``main``, exit with what it returns."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from corenn.errors import UsageError
from corenn_tensorflow import flags, missing


def run(main: Callable[[list[str]], Any] | None = None, argv: Sequence[str] | None = None) -> NoReturn:
    """Call ``main(arguments)`` with the program's name and the arguments that are no flags, and exit.

    Without ``main``: the function of that name in ``__main__``.  Without ``argv``: ``sys.argv``.  Wrong flags end the
    program with their message and status 1.
    """
    try:
        rest = flags.FLAGS(sys.argv if argv is None else argv, known_only=True)
    except flags.Error as error:
        flags._fail(error)
    found = main or getattr(sys.modules["__main__"], "main", None)
    if found is None:
        raise UsageError("tf.app.run", "there is no function main", hint="tf.app.run(main=function)")
    sys.exit(found(rest))


__getattr__ = missing.guard(__name__)

__all__ = ["flags", "run"]
