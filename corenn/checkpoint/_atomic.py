"""Files that appear whole or not at all, also when the process is killed or the machine loses power.

The content goes to a temporary file beside the target, is flushed to the disk (fsync), takes the target's name in one
step (rename), and the directory is flushed, so that the name itself is on the disk when the call returns.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

_TEMPORARY = re.compile(r"\.(.+)\.[0-9a-f]{8}\.tmp")
_in_flight: set[Path] = set()  # temporary files that a thread of this process is writing now


def write_atomically(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Put what ``write`` writes at ``path``.  On any exception the old content stays and nothing is left behind."""
    while True:
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
        _in_flight.add(temporary)
        try:
            file = open(temporary, "x+b")  # noqa: SIM115  # closed by the with below
            break
        except FileExistsError:
            _in_flight.discard(temporary)
        except BaseException:
            _in_flight.discard(temporary)
            raise
    try:
        with file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync_directory(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    finally:
        _in_flight.discard(temporary)


def remove_strays(directory: Path, of: re.Pattern[str]) -> None:
    """Delete the temporary files that a killed process left in ``directory`` for targets whose name matches ``of``."""
    for entry in directory.iterdir():
        match = _TEMPORARY.fullmatch(entry.name)
        if match and of.fullmatch(match[1]) and entry not in _in_flight:
            entry.unlink(missing_ok=True)


def _sync_directory(directory: Path) -> None:
    if os.name != "posix":
        return  # elsewhere a directory cannot be opened; the rename is atomic, its durability is the system's
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # file systems that cannot sync a directory
            raise
    finally:
        os.close(descriptor)
