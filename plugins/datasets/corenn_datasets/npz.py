"""Arrays from ``.npz`` files, without pickle and without trusting what the file claims of its size."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from corenn.errors import DataError
from corenn_datasets.splits import Array

_AGAIN = "download or copy the file again"


def read_arrays(path: Path, names: Sequence[str], largest: int) -> list[Array]:
    """The arrays called ``names``, each of at most ``largest`` bytes in the file.

    Raises ``DataError`` naming the file when it is missing, damaged, lacks one, or holds Python objects (a pickle).
    """
    where, found = str(path), []
    try:
        with zipfile.ZipFile(path) as archive:
            members = {member.filename: member for member in archive.infolist()}
            for name in names:
                member = members.get(f"{name}.npy")
                if member is None:
                    there = ", ".join(n.removesuffix(".npy") for n in members) or "nothing"
                    raise DataError(where, f"has no array {name!r}", {"it has": there}, hint="is it another data set?")
                if member.file_size > largest:
                    raise DataError(f"{where}: {name}", f"claims more than {largest} bytes", hint=_AGAIN)
                with archive.open(member) as stream:
                    found.append(np.lib.format.read_array(stream, allow_pickle=False))
    except DataError:
        raise
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise DataError(where, "is truncated or corrupt: it does not unpack", {"reason": error}, hint=_AGAIN) from error
    except ValueError as error:
        what = "holds no plain array where one belongs"
        hint = "arrays of Python objects are pickles, which corenn does not read"
        raise DataError(where, what, {"reason": error}, hint=hint) from error
    except OSError as error:
        raise DataError(
            where, f"cannot be read: {error.strerror or error}", hint="give a file that can be read"
        ) from error
    return found
