"""Where a data set's files may lie on this machine, and what to say when they do not.

``data_dir`` (``--data-dir``) names a folder for one data set.  ``CORENN_DATA_DIR`` names one folder for all of them:
each set looks there for a subfolder or archive that bears its name, and goes on to the cache when there is none.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from corenn.errors import UsageError
from corenn_datasets.splits import PathLike

VARIABLE = "CORENN_DATA_DIR"
_SHOWN = 12  # entries of a wrong folder named in an error


def common_folder(environ: Mapping[str, str] = os.environ) -> Path | None:
    """The folder of ``CORENN_DATA_DIR``, or ``None``; raises ``UsageError`` when it is set to what is no folder."""
    value = environ.get(VARIABLE, "").strip()
    if not value:
        return None
    folder = Path(value).expanduser()
    if not folder.is_dir():
        state = "is not a folder" if folder.exists() else "does not exist"
        raise UsageError(
            VARIABLE, f"{folder} {state}", hint="set it to the folder that holds the data sets, or unset it"
        )
    return folder


def expanded(data_dir: PathLike) -> Path:
    """The path that ``data_dir`` means, with ``~`` replaced."""
    return Path(data_dir).expanduser()


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
    if not folder.exists():
        return "does not exist"
    return otherwise if folder.is_dir() else "is not a folder"
