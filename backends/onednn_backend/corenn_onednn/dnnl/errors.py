"""What the binding raises when oneDNN refuses."""

from __future__ import annotations

from collections.abc import Mapping

from corenn.errors import CorennError

#: ``dnnl_status_t`` in words.
STATUS: Mapping[int, str] = {
    1: "out of memory",
    2: "invalid arguments",
    3: "unimplemented",
    4: "last implementation reached",
    5: "runtime error",
    6: "not required",
    7: "invalid graph",
    8: "invalid graph op",
    9: "invalid shape",
    10: "invalid data type",
}
UNIMPLEMENTED = 3


class DnnlError(CorennError, RuntimeError):
    """oneDNN answered with a status other than success.  ``status`` is its number."""

    status: int = 0


class UnimplementedError(DnnlError):
    """oneDNN has no implementation for these shapes, dtypes, layouts and attributes on this CPU."""


def check(status: int, where: str, operands: Mapping[str, object] | None = None) -> None:
    """Raise DnnlError (UnimplementedError where that is the status) unless ``status`` is 0, success."""
    if status == 0:
        return
    words = STATUS.get(status, f"status {status}")
    kind = UnimplementedError if status == UNIMPLEMENTED else DnnlError
    error = kind(f"oneDNN {where}", f"the library answers: {words}", operands)
    error.status = status
    raise error
