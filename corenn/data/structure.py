"""Elements of a dataset: nested tuples and dicts whose leaves are NumPy arrays, or NumPy scalars where the rank is 0.

A list is an array, not a structure.  Python numbers become corenn's default types (float32, int64, complex64); arrays
of any kind keep their dtype.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from corenn.errors import CorennError, DataError, DTypeError, ShapeError

Element: TypeAlias = Any  # a leaf, or a tuple or dict of elements
Leaf: TypeAlias = npt.NDArray[Any] | np.generic
Index: TypeAlias = "range | npt.NDArray[np.int64]"  # positions in a dataset; a range always has step 1

_PYTHON_NUMBERS = {np.dtype(np.float64): np.dtype(np.float32), np.dtype(np.complex128): np.dtype(np.complex64)}


@dataclass(frozen=True)
class ArraySpec:
    """Shape and dtype of one leaf of an element; ``None`` in the shape stands for a size that varies."""

    shape: tuple[int | None, ...]
    dtype: np.dtype[Any]

    def __init__(self, shape: Sequence[int | None], dtype: npt.DTypeLike) -> None:
        object.__setattr__(self, "shape", tuple(shape))
        object.__setattr__(self, "dtype", np.dtype(getattr(dtype, "numpy", dtype)))  # also corenn's own dtypes

    def admits(self, shape: tuple[int, ...]) -> bool:
        """Whether an array of this shape fits."""
        return len(shape) == len(self.shape) and all(
            want is None or want == have for want, have in zip(self.shape, shape, strict=True)
        )

    def __repr__(self) -> str:
        return f"ArraySpec({self.shape}, '{self.dtype}')"

    def __str__(self) -> str:
        return f"{self.dtype}[{', '.join(map(str, self.shape))}]"


class Mismatch(Exception):
    """Elements that do not fit together; the transformation that joins them turns it into a public error."""

    def __init__(self, kind: type[CorennError], what: str, operands: dict[str, object]) -> None:
        super().__init__(what)
        self.kind, self.what, self.operands = kind, what, operands
        self.path = ""

    def under(self, key: object) -> Mismatch:
        """This mismatch, seen from the structure one level up."""
        self.path = f"[{key!r}]{self.path}"
        return self

    def error(self, where: str, site: str | None, hint: str) -> CorennError:
        """The public error, naming the component of the element by its path."""
        place = f" in component {self.path}" if self.path else ""
        return self.kind(where, self.what + place, self.operands, hint=hint, site=site)


def rebuild(structure: tuple[Any, ...], parts: list[Any]) -> tuple[Any, ...]:
    """A tuple of ``parts`` of the type of ``structure`` (named tuples included)."""
    kind = type(structure)
    return tuple(parts) if kind is tuple else kind(*parts)


def map_leaves(function: Callable[..., Any], structure: Element, *others: Element, alike: bool = True) -> Any:
    """Apply ``function`` to corresponding leaves.

    Raises ``Mismatch``, with the path of the component, where another structure lacks a component, has one too many
    or is of another kind; a ``Mismatch`` from ``function`` gets its path too.  With ``alike=False`` the others may have
    tuples (shapes, say) where the first has leaves.
    """
    if isinstance(structure, tuple):
        for other in others:
            if not isinstance(other, tuple) or len(other) != len(structure):
                raise _differ(structure, other)
        parts = []
        for i, row in enumerate(zip(structure, *others, strict=True)):
            try:
                parts.append(map_leaves(function, *row, alike=alike))
            except Mismatch as mismatch:
                raise mismatch.under(i) from None
        return rebuild(structure, parts)
    if isinstance(structure, dict):
        for other in others:
            if not isinstance(other, dict) or other.keys() != structure.keys():
                raise _differ(structure, other)
        mapping = {}
        for key, value in structure.items():
            try:
                mapping[key] = map_leaves(function, value, *[other[key] for other in others], alike=alike)
            except Mismatch as mismatch:
                raise mismatch.under(key) from None
        return mapping
    if alike:
        for other in others:
            if isinstance(other, tuple | dict):
                raise _differ(structure, other)
    return function(structure, *others)


def _differ(first: Element, other: Element) -> Mismatch:
    return Mismatch(DataError, "structures differ", {"one": describe(first), "other": describe(other)})


def leaves(structure: Element) -> list[Any]:
    """The leaves, depth first."""
    found: list[Any] = []
    map_leaves(found.append, structure)
    return found


def named_leaves(structure: Element, path: str = "") -> list[tuple[str, Any]]:
    """The leaves with their paths, such as ``[0]['image']``; the path of a bare leaf is empty."""
    if isinstance(structure, tuple):
        return [pair for i, part in enumerate(structure) for pair in named_leaves(part, f"{path}[{i}]")]
    if isinstance(structure, dict):
        return [pair for key, part in structure.items() for pair in named_leaves(part, f"{path}[{key!r}]")]
    return [(path, structure)]


def describe(structure: Element) -> str:
    """A short text such as ``(float32[28, 28], int64[])``."""
    if isinstance(structure, tuple):
        return f"({', '.join(map(describe, structure))}{',' if len(structure) == 1 else ''})"
    if isinstance(structure, dict):
        return "{" + ", ".join(f"{key!r}: {describe(value)}" for key, value in structure.items()) + "}"
    if hasattr(structure, "dtype") and hasattr(structure, "shape"):
        return f"{structure.dtype}[{', '.join(map(str, structure.shape))}]"
    return type(structure).__name__


def as_array(value: Any) -> npt.NDArray[Any]:
    """``value`` as a plain array: arrays keep their dtype, Python numbers take the default ones.

    Raises ``Mismatch`` for what NumPy could only hold as Python objects (``None``, ragged lists, ...).
    """
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise Mismatch(ShapeError, f"not an array: {error}", {"value": type(value).__name__}) from error
    if array.dtype.hasobject:
        raise Mismatch(DTypeError, "holds Python objects, not numbers", {"value": _type_name(value)})
    if array.dtype in _PYTHON_NUMBERS and _is_python(value):
        array = array.astype(_PYTHON_NUMBERS[array.dtype])
    return array


def _is_python(value: Any) -> bool:
    """Whether the first number of nested lists is Python's own."""
    while isinstance(value, (list, tuple)) and value:
        value = value[0]
    return isinstance(value, (bool, int, float, complex)) and not isinstance(value, np.generic)


def _type_name(value: Any) -> str:
    return "None" if value is None else type(value).__name__


def as_element(value: Any) -> Element:
    """``value`` as an element: its tuples and dicts kept, everything else made an array or a NumPy scalar."""
    if isinstance(value, tuple | dict):
        return map_leaves(as_leaf, value)
    return as_leaf(value)


def as_leaf(value: Any) -> Leaf:
    """An array, or a NumPy scalar where the rank is 0; raises ``Mismatch`` as :func:`as_array` does."""
    if isinstance(value, np.generic) or (type(value) is np.ndarray and value.ndim and not value.dtype.hasobject):
        return value
    leaf: Leaf = as_array(value)[()]
    return leaf


def stack(elements: Sequence[Element]) -> Element:
    """One element whose leaves have a new first axis.  ``Mismatch`` where shapes, dtypes or structures differ."""
    if not elements:
        raise Mismatch(DataError, "there are no elements to stack", {})
    return map_leaves(_stack_leaves, *elements)


def _stack_leaves(*parts: Leaf) -> Leaf:
    first = parts[0]
    shape, dtype = first.shape, first.dtype
    for position, part in enumerate(parts):
        if part.shape != shape:
            raise Mismatch(ShapeError, "shapes differ", {"element 0": shape, f"element {position}": part.shape})
        if part.dtype is not dtype:
            _check_dtype(first, part, position)
    if dtype.kind in "US":
        dtype = np.result_type(*{part.dtype for part in parts})
    out = np.empty((len(parts), *shape), dtype)
    for position, part in enumerate(parts):  # quicker than np.stack for the few small arrays of a batch
        out[position] = part
    return out


def _check_dtype(first: Leaf, part: Leaf, position: int) -> None:
    """Strings may differ in width; everything else must have one dtype, for NumPy would silently widen it."""
    if part.dtype != first.dtype and not (part.dtype.kind == first.dtype.kind and part.dtype.kind in "US"):
        raise Mismatch(DTypeError, "dtypes differ", {"element 0": first.dtype, f"element {position}": part.dtype})


def join(pieces: Sequence[Element]) -> Element:
    """Stacked elements, one after another along the first axis.  ``Mismatch`` where they do not fit."""
    return pieces[0] if len(pieces) == 1 else map_leaves(_join_leaves, *pieces)


def _join_leaves(*parts: Leaf) -> Leaf:
    first = parts[0]
    for position, part in enumerate(parts):
        if part.shape[1:] != first.shape[1:]:
            raise Mismatch(ShapeError, "shapes differ", {"one": first.shape[1:], "other": part.shape[1:]})
        _check_dtype(first, part, position)
    return np.concatenate(parts)


def pad_stack(elements: Sequence[Element], shapes: Any, values: Any) -> Element:
    """Elements padded at the end of their axes to a common shape, then stacked.

    ``shapes``: ``None`` (every axis to the longest of the elements), or a structure like that of the elements with a
    shape for each leaf, in which ``None`` is the longest of the elements; ``values``: one number for all leaves, or a
    structure of numbers.  Raises ``Mismatch`` where an element is larger than its shape or the ranks differ.
    """
    first = elements[0]
    shapes = map_leaves(lambda _: None, first) if shapes is None else shapes
    values = values if isinstance(values, tuple | dict) else map_leaves(lambda _: values, first)
    return map_leaves(_pad_leaves, first, shapes, values, *elements[1:], alike=False)


def _pad_leaves(first: Leaf, shape: Sequence[int | None] | None, value: Any, *rest: Leaf) -> Leaf:
    parts = (first, *rest)
    for part in parts:
        if isinstance(part, tuple | dict):
            raise _differ(first, part)
    wanted = (None,) * first.ndim if shape is None else tuple(shape)
    if len(wanted) != first.ndim:
        raise Mismatch(ShapeError, "padded_shapes has another rank", {"element": first.shape, "padded_shapes": wanted})
    for position, part in enumerate(parts):
        _check_dtype(first, part, position)
        if part.ndim != first.ndim:
            raise Mismatch(ShapeError, "ranks differ", {"element 0": first.shape, f"element {position}": part.shape})
        if any(want is not None and have > want for have, want in zip(part.shape, wanted, strict=True)):
            raise Mismatch(ShapeError, "longer than padded_shapes", {"element": part.shape, "padded_shapes": wanted})
    longest = [max(part.shape[axis] for part in parts) for axis in range(first.ndim)]
    target = tuple(have if want is None else want for have, want in zip(longest, wanted, strict=True))
    out = np.zeros((len(parts), *target), np.result_type(*{part.dtype for part in parts}))
    if value is not None and not (out.dtype.kind in "US" and value == 0):
        if out.dtype.kind in "iub" and np.asarray(value).astype(out.dtype) != value:
            raise Mismatch(DTypeError, "padding value does not fit", {"value": value, "dtype": out.dtype})
        out[...] = value
    for row, part in zip(out, parts, strict=True) if first.ndim else ():
        row[tuple(slice(n) for n in part.shape)] = part
    return out if first.ndim else np.stack(parts)
