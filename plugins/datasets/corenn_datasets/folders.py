"""Where a data set's files may lie on this machine, and what to say when they do not.

``data_dir`` (``--data-dir``) names a folder for one data set.  ``CORENN_DATA_DIR`` names one folder for all of them:
each set looks there for a subfolder or archive that bears its name, and goes on to the cache when there is none.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from corenn.errors import DataError, UsageError
from corenn_datasets.splits import PathLike

VARIABLE = "CORENN_DATA_DIR"
_SHOWN = 12  # entries of a wrong folder named in an error


def common_folder(environ: Mapping[str, str] = os.environ) -> Path | None:
    """The folder of ``CORENN_DATA_DIR``, or ``None``; raises ``UsageError`` when it is set to what is no folder."""
    value = environ.get(VARIABLE, "").strip()
    if not value:
        return None
    folder = with_home(value, VARIABLE)
    if not is_folder(folder):
        state = "is not a folder" if exists(folder) else "does not exist"
        raise UsageError(
            VARIABLE, f"{folder} {state}", hint="set it to the folder that holds the data sets, or unset it"
        )
    return folder


def with_home(path: PathLike, where: str) -> Path:
    """``path`` with a leading ``~`` replaced; ``UsageError`` naming ``where`` when there is no such home."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:  # ~NAME of nobody, or a user without a home
        raise UsageError(where, f"{os.fspath(path)} has no home to begin from", hint="write out the path") from error


def expanded(data_dir: PathLike) -> Path:
    """The path that ``data_dir`` means."""
    return with_home(data_dir, "--data-dir (data_dir)")


def is_file(path: Path) -> bool:
    """Whether ``path`` is a file; ``DataError`` when that cannot be known, for want of rights to look or the like."""
    mode = _mode(path)
    return mode is not None and stat.S_ISREG(mode)


def is_folder(path: Path) -> bool:
    """Whether ``path`` is a folder; errors as for :func:`is_file`."""
    mode = _mode(path)
    return mode is not None and stat.S_ISDIR(mode)


def exists(path: Path) -> bool:
    """Whether there is anything at ``path``; errors as for :func:`is_file`."""
    return _mode(path) is not None


def _mode(path: Path) -> int | None:
    # Path.is_file and its like answer "no" or raise, by version, where there is no right to look.
    try:
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = getattr(error, "strerror", None) or error
        raise DataError(
            str(path), f"cannot be looked at: {reason}", hint="get the right to read it, or name another"
        ) from error


def listing(folder: Path) -> str:
    """The first entries of a folder for an error's text, or why they cannot be had."""
    try:
        names = sorted(entry.name + os.sep * entry.is_dir() for entry in folder.iterdir())
    except OSError as error:
        return error.strerror or str(error)
    more = f", and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more if names else "nothing"


def state(folder: Path, otherwise: str) -> str:
    """What is wrong with a data directory: it is missing, it is no folder, or ``otherwise``."""
    if is_folder(folder):
        return otherwise
    return "is not a folder" if exists(folder) else "does not exist"
