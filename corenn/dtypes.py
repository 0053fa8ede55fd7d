"""Element types: interned objects, what each is called in NumPy, and the promotion table.

Promotion follows the array API standard (2023.12, section "Type Promotion Rules"): types of one kind promote to a
type that holds both, and types of different kinds (bool, integer, floating) do not mix; a program says
``corenn.cast``.  Python scalars are weak: they take the dtype of the tensor beside them, and a Python ``float`` beside
an integer tensor makes both ``float32``.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from corenn.errors import DTypeError, MissingExtraError, nearest


class DType:
    """One element type.  Instances are interned: compare with ``is``; ``==`` also takes names and NumPy dtypes.

    Fields: ``name``; ``kind`` ('b' bool, 'i' signed, 'u' unsigned, 'f' floating, 'c' complex); ``itemsize`` in bytes.
    """

    __slots__ = ("_numpy", "itemsize", "kind", "name")

    def __init__(self, name: str, kind: str, itemsize: int) -> None:
        self.name, self.kind, self.itemsize = name, kind, itemsize
        known = {"bfloat16": None, "string": np.dtype(object)}
        self._numpy: np.dtype[Any] | None = known[name] if name in known else np.dtype(name)

    @property
    def numpy(self) -> np.dtype[Any]:
        """The NumPy dtype; for bfloat16 the one of ``ml_dtypes`` (MissingExtraError when that is not installed)."""
        if self._numpy is None:
            self._numpy = extension_dtype(self.name)
        return self._numpy

    @property
    def dtype(self) -> np.dtype[Any]:
        """The same as ``numpy``, under the name NumPy looks for: ``np.zeros(3, x.dtype)`` works."""
        return self.numpy

    @property
    def is_floating(self) -> bool:
        """Real floating point (float16, bfloat16, float32, float64)."""
        return self.kind == "f"

    @property
    def is_inexact(self) -> bool:
        """Floating or complex: the types that have gradients."""
        return self.kind in "fc"

    @property
    def is_integer(self) -> bool:
        """Signed or unsigned integer (bool is not)."""
        return self.kind in "iu"

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if other is None or isinstance(other, DType):
            return False
        try:
            return as_dtype(other) is self
        except (DTypeError, ImportError):
            return False

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return f"corenn.{self.name}"

    def __str__(self) -> str:
        return self.name

    def __reduce__(self) -> tuple[Any, ...]:
        return as_dtype, (self.name,)


bool_: Final = DType("bool", "b", 1)
int8: Final = DType("int8", "i", 1)
int16: Final = DType("int16", "i", 2)
int32: Final = DType("int32", "i", 4)
int64: Final = DType("int64", "i", 8)
uint8: Final = DType("uint8", "u", 1)
uint16: Final = DType("uint16", "u", 2)
uint32: Final = DType("uint32", "u", 4)
uint64: Final = DType("uint64", "u", 8)
float16: Final = DType("float16", "f", 2)
bfloat16: Final = DType("bfloat16", "f", 2)
float32: Final = DType("float32", "f", 4)
float64: Final = DType("float64", "f", 8)
complex64: Final = DType("complex64", "c", 8)
complex128: Final = DType("complex128", "c", 16)
#: Text, in graphs: summaries, file names.  An array of Python objects on the host; no backend and no op has it.
string: Final = DType("string", "O", 8)

BOOL: Final = frozenset({bool_})
SIGNED: Final = frozenset({int8, int16, int32, int64})
UNSIGNED: Final = frozenset({uint8, uint16, uint32, uint64})
INTEGER: Final = SIGNED | UNSIGNED
FLOATING: Final = frozenset({float16, bfloat16, float32, float64})
COMPLEX: Final = frozenset({complex64, complex128})
INEXACT: Final = FLOATING | COMPLEX
REAL: Final = INTEGER | FLOATING
NUMERIC: Final = REAL | COMPLEX
ALL: Final = NUMERIC | BOOL

BY_NAME: Final[dict[str, DType]] = {d.name: d for d in sorted(ALL, key=lambda d: (d.kind, d.itemsize, d.name))}
_ALIASES: Final[dict[Any, DType]] = {
    str: string,
    "string": string,
    float: float32,
    int: int32,
    bool: bool_,
    complex: complex64,
    "float": float32,
    "int": int32,
    "half": float16,
    "double": float64,
    "bool_": bool_,
}
default_float: Final = float32
default_int: Final = int32


def extension_dtype(name: str) -> np.dtype[Any]:
    """NumPy's dtype ``name``, one of the optional package ``ml_dtypes``: MissingExtraError where that is not installed.

    TypeError if there is no such dtype.
    """
    try:
        import ml_dtypes
    except ImportError:
        raise MissingExtraError(f"the element type {name}", "ml_dtypes", "bfloat16") from None
    return np.dtype(getattr(ml_dtypes, name, None) or name)


def held_by_numpy() -> frozenset[DType]:
    """The dtypes that arrays on the host can have: all, but bfloat16 only where ``ml_dtypes`` is installed."""
    try:
        extension_dtype(bfloat16.name)
    except MissingExtraError:
        return ALL - {bfloat16}
    return ALL


def as_dtype(value: object) -> DType:
    """The interned dtype that ``value`` names: a DType, a name, a Python type or a NumPy dtype; else DTypeError."""
    if isinstance(value, DType):
        return value
    try:
        known = _ALIASES.get(value)
    except TypeError:
        known = None
    if known is not None:
        return known
    name = value if isinstance(value, str) else None
    if name is None:
        try:
            name = np.dtype(value).name  # type: ignore[call-overload]  # whatever NumPy accepts
        except TypeError:
            raise DTypeError("dtype", f"{value!r} is not an element type", hint=nearest(str(value), BY_NAME)) from None
    try:
        return BY_NAME[name]
    except KeyError:
        raise DTypeError("dtype", f"no element type {name!r}", hint=nearest(name, BY_NAME)) from None


def _promote(a: DType, b: DType) -> DType | None:
    if a is b:
        return a
    kinds = {a.kind, b.kind}
    big, small = (a, b) if a.itemsize >= b.itemsize else (b, a)
    if kinds == {"f"}:
        return float32 if big.itemsize == small.itemsize else big  # float16 with bfloat16: neither holds the other
    if len(kinds) == 1:
        return big
    if kinds == {"f", "c"}:
        floating = a if a.kind == "f" else b
        return complex128 if floating is float64 or big is complex128 else complex64
    if kinds == {"i", "u"}:
        signed, unsigned = (a, b) if a.kind == "i" else (b, a)
        size = max(signed.itemsize, 2 * unsigned.itemsize)
        return BY_NAME[f"int{8 * size}"] if size <= 8 else None
    return None


_PROMOTION: Final = {(a, b): _promote(a, b) for a in ALL for b in ALL}


def promote(a: DType, b: DType) -> DType | None:
    """The common dtype of two tensors' dtypes, or ``None`` where they do not promote (see the module)."""
    return _PROMOTION[a, b]


def weak_dtype(value: bool | int | float | complex, beside: DType) -> DType:
    """The dtype a Python scalar takes beside a tensor of dtype ``beside``; the tensor may have to follow it."""
    kind = (
        "b" if isinstance(value, bool) else "i" if isinstance(value, int) else "f" if isinstance(value, float) else "c"
    )
    rank = {"b": 0, "u": 1, "i": 1, "f": 2, "c": 3}
    if rank[kind] <= rank[beside.kind]:
        return beside
    if kind == "i":
        return default_int
    if kind == "f":
        return default_float
    return complex128 if beside in (float64, int64, uint64) else complex64


def default_dtype(value: bool | int | float | complex) -> DType:
    """The dtype of a tensor made of a Python scalar: bool, int32 (int64 where it does not fit), float32, complex64."""
    if isinstance(value, bool):
        return bool_
    if isinstance(value, int):
        return int32 if -(2**31) <= value < 2**31 else int64
    return float32 if isinstance(value, float) else complex64
