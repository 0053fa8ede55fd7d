"""Arrays from ``.npz`` files, without pickle and without trusting what the file claims of its size."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from corenn.errors import DataError
from corenn_datasets.splits import Array
from corenn_datasets.zips import AGAIN, DAMAGE, opened

_MOST = 1000  # arrays in a file; the published ones have at most four
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def read_arrays(path: Path, names: Sequence[str], largest: int) -> list[Array]:
    """The arrays called ``names``, each of at most ``largest`` bytes in the file; they cannot be written to.

    Raises ``DataError`` naming the file when it is missing, damaged, lacks one, or holds Python objects (a pickle).
    """
    where, found = str(path), []
    with opened(path, _MOST) as archive:
        members = {member.filename: member for member in archive.infolist()}
        for name in names:
            member = members.get(f"{name}.npy")
            if member is None:
                there = ", ".join(n.removesuffix(".npy") for n in members) or "nothing"
                raise DataError(where, f"has no array {name!r}", {"it has": there}, hint="is it another data set?")
            if member.file_size > largest:
                raise DataError(f"{where}: {name}", f"claims more than {largest} bytes", hint=AGAIN)
            found.append(_read_member(archive, member, f"{where}: {name}"))
    return found


def _read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, where: str) -> Array:
    try:
        with archive.open(member) as stream:
            shape, fortran, dtype = _header(stream, where)
            data = stream.read()
    except DAMAGE as error:
        raise DataError(where, "is truncated or corrupt: it does not unpack", {"reason": error}, hint=AGAIN) from error
    except OSError as error:
        raise DataError(
            where, f"cannot be read: {error.strerror or error}", hint="give a file that can be read"
        ) from error
    if dtype.hasobject:
        hint = "arrays of Python objects are pickles, which corenn does not read"
        raise DataError(where, "holds no plain array where one belongs", {"dtype": dtype}, hint=hint)
    claimed = math.prod(shape) * dtype.itemsize
    if claimed != len(data) or min(shape, default=0) < 0:
        says = {"header": f"{dtype}{list(shape)}, {claimed} bytes", "elements": f"{len(data)} bytes"}
        raise DataError(where, "is corrupt: its header and its elements do not agree", says, hint=AGAIN)
    try:
        return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")
    except ValueError as error:  # elements of no bytes, or an axis of 0 beside axes whose product overflows
        raise DataError(where, "is no array that NumPy can hold", {"reason": error}, hint=AGAIN) from error


def _header(stream: IO[bytes], where: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether the elements lie in Fortran order, and dtype."""
    try:
        return _HEADERS[np.lib.format.read_magic(stream)](stream)
    except (OSError, *DAMAGE):
        raise
    # NumPy parses the header as a Python literal, and what a damaged one raises comes from Python's own parser.
    except Exception as error:
        hint = f"give a file that numpy.savez has written, or {AGAIN}"
        raise DataError(where, "is corrupt: it does not begin as an array", {"reason": error}, hint=hint) from error


__all__ = ["read_arrays"]
