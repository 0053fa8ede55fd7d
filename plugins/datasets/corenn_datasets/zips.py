"""Opening zip archives that nobody has checked yet.  Nothing is ever unpacked to disk, so no name leads anywhere."""

from __future__ import annotations

import lzma
import struct
import zipfile
import zlib
from pathlib import Path

from corenn.errors import DataError

AGAIN = "download or copy the file again"

#: What reading a damaged archive, or one packed in a way that Python does not know, may raise.
DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    NotImplementedError,
    OverflowError,
    RuntimeError,
    UnicodeDecodeError,
)


def opened(path: Path, most: int) -> zipfile.ZipFile:
    """The archive; ``DataError`` naming the file when it is missing, damaged, or lists more than ``most`` members."""
    where = str(path)
    try:
        archive = zipfile.ZipFile(path)
    except (*DAMAGE, ValueError) as error:
        raise DataError(
            where, "is truncated or corrupt: it is no zip archive", {"reason": error}, hint=AGAIN
        ) from error
    except OSError as error:
        raise DataError(
            where, f"cannot be read: {error.strerror or error}", hint="give a file that can be read"
        ) from error
    count = len(archive.infolist())
    if count > most:
        archive.close()
        raise DataError(where, f"lists {count} members, and no more than {most} belong here", hint=AGAIN)
    return archive
