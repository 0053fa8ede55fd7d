"""``tf.errors``: the exceptions of TensorFlow's runtime, and corenn's errors turned into them.

An error that a run of a graph raises names its operation in ``op`` and says in ``message`` what TensorFlow would say;
its text goes on with corenn's own: operands, the line that made the operation, and a hint.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, Final

from corenn.errors import CorennError, GraphError, ShapeError, UsageError
from corenn.graph.kinds import UnfedError
from corenn.graph.operations import Operation
from corenn.graph.replay import NotFiniteError
from corenn.graph.state import UninitializedError
from corenn_tensorflow import missing

OK: Final = 0
CANCELLED: Final = 1
UNKNOWN: Final = 2
INVALID_ARGUMENT: Final = 3
DEADLINE_EXCEEDED: Final = 4
NOT_FOUND: Final = 5
ALREADY_EXISTS: Final = 6
PERMISSION_DENIED: Final = 7
RESOURCE_EXHAUSTED: Final = 8
FAILED_PRECONDITION: Final = 9
ABORTED: Final = 10
OUT_OF_RANGE: Final = 11
UNIMPLEMENTED: Final = 12
INTERNAL: Final = 13
UNAVAILABLE: Final = 14
DATA_LOSS: Final = 15
UNAUTHENTICATED: Final = 16


class OpError(CorennError):
    """An error of a run: ``op`` (the operation or ``None``), ``node_def``, ``message`` and ``error_code``."""

    def __init__(self, node_def: Any, op: Any, message: str, error_code: int = UNKNOWN, **parts: Any) -> None:
        super().__init__("", message, **parts)
        self.args = (node_def, op, message, error_code)
        self.node_def, self.op, self.message, self.error_code = node_def, op, message, error_code

    @property
    def experimental_payloads(self) -> dict[str, bytes]:
        """Nothing: errors of one process carry no payloads."""
        return {}


def _coded(name: str, code: int, doc: str) -> type[OpError]:
    def __init__(self: OpError, node_def: Any = None, op: Any = None, message: str = "", **parts: Any) -> None:
        OpError.__init__(self, node_def, op, message, code, **parts)

    return type(name, (OpError,), {"__init__": __init__, "__doc__": doc, "__module__": __name__})


CancelledError = _coded("CancelledError", CANCELLED, "The operation or step was cancelled.")
UnknownError = _coded("UnknownError", UNKNOWN, "An error of no other class.")
InvalidArgumentError = _coded("InvalidArgumentError", INVALID_ARGUMENT, "An operation got an argument it cannot take.")
DeadlineExceededError = _coded("DeadlineExceededError", DEADLINE_EXCEEDED, "The time for an operation ran out.")
NotFoundError = _coded("NotFoundError", NOT_FOUND, "A file or other thing asked for does not exist.")
AlreadyExistsError = _coded("AlreadyExistsError", ALREADY_EXISTS, "A thing to be made exists already.")
PermissionDeniedError = _coded("PermissionDeniedError", PERMISSION_DENIED, "The caller may not do this.")
ResourceExhaustedError = _coded("ResourceExhaustedError", RESOURCE_EXHAUSTED, "Memory or another resource ran out.")
FailedPreconditionError = _coded("FailedPreconditionError", FAILED_PRECONDITION, "The state does not allow this.")
AbortedError = _coded("AbortedError", ABORTED, "The operation was aborted.")
OutOfRangeError = _coded("OutOfRangeError", OUT_OF_RANGE, "An operation went past the end of its input.")
UnimplementedError = _coded("UnimplementedError", UNIMPLEMENTED, "The operation is not implemented for this.")
InternalError = _coded("InternalError", INTERNAL, "Something that must hold does not.")
UnavailableError = _coded("UnavailableError", UNAVAILABLE, "The runtime is not available at present.")
DataLossError = _coded("DataLossError", DATA_LOSS, "Data are lost or damaged.")
UnauthenticatedError = _coded("UnauthenticatedError", UNAUTHENTICATED, "The caller is not known.")

_CLASSES = {
    CANCELLED: CancelledError, UNKNOWN: UnknownError, INVALID_ARGUMENT: InvalidArgumentError,
    DEADLINE_EXCEEDED: DeadlineExceededError, NOT_FOUND: NotFoundError, ALREADY_EXISTS: AlreadyExistsError,
    PERMISSION_DENIED: PermissionDeniedError, RESOURCE_EXHAUSTED: ResourceExhaustedError,
    FAILED_PRECONDITION: FailedPreconditionError, ABORTED: AbortedError, OUT_OF_RANGE: OutOfRangeError,
    UNIMPLEMENTED: UnimplementedError, INTERNAL: InternalError, UNAVAILABLE: UnavailableError,
    DATA_LOSS: DataLossError, UNAUTHENTICATED: UnauthenticatedError,
}  # fmt: skip


def exception_type_from_error_code(error_code: int) -> type[OpError]:
    """The class of an error code."""
    return _CLASSES[error_code]


def error_code_from_exception_type(cls: type[OpError]) -> int:
    """The code of a class of errors."""
    return next((code for code, known in _CLASSES.items() if known is cls), UNKNOWN)


class OperatorNotAllowedInGraphError(UsageError, TypeError):
    """Python asked a tensor of a graph for a truth, a length or its elements."""


def no_gradient(name: str, kind: str) -> LookupError:
    """The error of a gradient that does not exist."""
    return LookupError(f"No gradient defined for operation '{name}' (op type: {kind})")


# ---------------------------------------------------------------- runs


def _node(operation: Operation) -> str:
    made = f" (defined at {operation.where}) " if operation.where else ""
    return f"\n\t [[node {operation.name}{made}]]"


def of_run(error: Exception) -> Exception:
    """The error TensorFlow raises where corenn raised ``error`` while a graph ran; ``error`` itself if it has none."""
    if isinstance(error, OpError):
        operation = getattr(error, "graph_operation", None)
        if error.op is None and operation is not None:
            error.op, error.node_def = operation, operation.node_def
            error.message = error.what = error.message + _node(operation)
            error.site = None
        return error
    if isinstance(error, ShapeError) and error.where == "feed_dict":
        return ShapeError("", error.what, error.operands, hint=error.hint, site=error.site)
    if isinstance(error, UnfedError):
        operation = error.operation
        return InvalidArgumentError(_def(operation), operation, error.what + _node(operation), hint=error.hint, site="")
    if isinstance(error, UninitializedError):
        operation = error.variable.operation
        text = f"{error.what}\n\t [[{{{{node {operation.name}/read}}}}]]"
        return FailedPreconditionError(_def(operation), operation, text, hint=error.hint, site="")
    if isinstance(error, NotFiniteError):
        return InvalidArgumentError(_def(error.operation), error.operation, str(error), site="")
    operation = getattr(error, "graph_operation", None)
    if operation is not None and isinstance(error, CorennError):
        return InvalidArgumentError(
            _def(operation), operation, error.what + _node(operation), operands=error.operands, hint=error.hint,
            site="",
        )  # fmt: skip
    return error


def _def(operation: Operation) -> Any:
    return getattr(operation, "node_def", None)


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Errors of a run inside the block become TensorFlow's."""
    try:
        yield
    except Exception as error:
        found = of_run(error)
        if found is error:
            raise
        raise found from error


# ---------------------------------------------------------------- shapes while a graph is built


def shapes_text(shapes: Any) -> str:
    """``[?,3], [4,5]``, as TensorFlow lists input shapes."""

    def text(shape: Any) -> str:
        return "<unknown>" if shape is None else "[" + ",".join("?" if n is None else str(n) for n in shape) + "]"

    return ", ".join(map(text, shapes))


def of_shapes(error: ShapeError, type_name: str, name: str, shapes: list[Any]) -> ShapeError:
    """The error of an operation whose operands' shapes do not fit, with TensorFlow's sentence first."""
    where = f"for '{name}' (op: '{type_name}') with input shapes: {shapes_text(shapes)}."
    said = _sentence(type_name, shapes) or f"{error.what[:1].upper()}{error.what[1:]}"
    return ShapeError("", f"{said} {where}", error.operands, hint=error.hint, site=error.site)


def _sentence(type_name: str, shapes: list[Any]) -> str | None:
    known = [s for s in shapes if s is not None]
    if type_name == "MatMul" and len(known) == 2:
        for shape in known:
            if len(shape) != 2:
                return f"Shape must be rank 2 but is rank {len(shape)}"
        return f"Dimensions must be equal, but are {known[0][1]} and {known[1][0]}"
    if type_name == "BatchMatMulV2" and len(known) == 2 and all(len(s) >= 2 for s in known):
        return f"Dimensions must be equal, but are {known[0][-1]} and {known[1][-2]}"
    if len(known) == 2 and len(shapes) == 2:
        for a, b in zip(reversed(known[0]), reversed(known[1]), strict=False):
            if a is not None and b is not None and a != b and 1 not in (a, b):
                return f"Dimensions must be equal, but are {a} and {b}"
    return None


class BranchError(GraphError, ValueError):
    """Branches of a ``cond`` that return different things."""


class OtherGraphError(GraphError, ValueError):
    """A tensor of one graph used in another."""


__all__ = [
    "ABORTED",
    "ALREADY_EXISTS",
    "CANCELLED",
    "DATA_LOSS",
    "DEADLINE_EXCEEDED",
    "FAILED_PRECONDITION",
    "INTERNAL",
    "INVALID_ARGUMENT",
    "NOT_FOUND",
    "OK",
    "OUT_OF_RANGE",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "UNAUTHENTICATED",
    "UNAVAILABLE",
    "UNIMPLEMENTED",
    "UNKNOWN",
    "AbortedError",
    "AlreadyExistsError",
    "BranchError",
    "CancelledError",
    "DataLossError",
    "DeadlineExceededError",
    "FailedPreconditionError",
    "InternalError",
    "InvalidArgumentError",
    "NotFoundError",
    "OpError",
    "OperatorNotAllowedInGraphError",
    "OtherGraphError",
    "OutOfRangeError",
    "PermissionDeniedError",
    "ResourceExhaustedError",
    "UnauthenticatedError",
    "UnavailableError",
    "UnimplementedError",
    "UnknownError",
    "error_code_from_exception_type",
    "exception_type_from_error_code",
]  # fmt: skip

__getattr__ = missing.guard(__name__)
