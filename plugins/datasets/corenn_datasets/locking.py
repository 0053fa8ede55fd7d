"""A lock between processes that cannot go stale: the operating system drops it with the process that holds it.

pooch has none: two processes that want the same file both download it, which is right but, at 800 MB, not wanted.
"""

from __future__ import annotations

import errno
import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_log = logging.getLogger("corenn.datasets")

# What flock answers on file systems that have no locks, such as some network mounts.
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL}


@contextmanager
def file_lock(path: Path) -> Iterator[bool]:
    """Hold an exclusive lock on the file ``path`` (made if missing, removed afterwards); waits for another holder.

    Yields whether the lock is held: ``False`` only where the file system offers none, so the caller has to stay correct
    without (callers here write under names of their own and rename).  Raises ``OSError`` when the file cannot be made.
    """
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            held = _acquire(handle, path)
            # The previous holder removed the file while we waited for it: then a lock on the old file means nothing.
            if not held or _is_file(handle, path):
                break
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)
    try:
        yield held
    finally:
        _release(handle, path)


def _is_file(handle: int, path: Path) -> bool:
    """Whether ``path`` still names the open file."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


if sys.platform == "win32":
    import msvcrt

    def _acquire(handle: int, path: Path) -> bool:
        told = False
        while True:
            try:
                msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
                return True
            except OSError as error:
                if error.errno not in (errno.EACCES, errno.EDEADLOCK):
                    raise
            if not told:
                _log.info("waiting for another process that holds %s", path)
                told = True
            time.sleep(0.1)

    def _release(handle: int, path: Path) -> None:
        msvcrt.locking(handle, msvcrt.LK_UNLCK, 1)
        os.close(handle)
        try:
            path.unlink(missing_ok=True)
        except PermissionError:  # a waiting process has it open, and will remove it in its turn
            return

else:
    import fcntl

    def _acquire(handle: int, path: Path) -> bool:
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                _log.info("waiting for another process that holds %s", path)
                fcntl.flock(handle, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno in _NO_LOCKS:
                return False
            raise
        return True

    def _release(handle: int, path: Path) -> None:
        path.unlink(missing_ok=True)  # while the lock is held, so that it is our own file that goes
        os.close(handle)
