"""Elements of datasets: structures of arrays on the host, and tensors for users' functions."""

from __future__ import annotations

from typing import Any

import numpy as np

from corenn import dtypes, tree
from corenn.dtypes import DType
from corenn.graph.operations import Known
from corenn.graph.tensors import GraphTensor
from corenn.tensor import Tensor
from corenn_tensorflow import mode
from corenn_tensorflow.framework import convert_to_tensor
from corenn_tensorflow.shapes import TensorShape


class TensorSpec:
    """What is known of a tensor: ``shape``, ``dtype``, ``name``."""

    def __init__(self, shape: Any = None, dtype: Any = dtypes.float32, name: str | None = None) -> None:
        self.shape, self.dtype, self.name = TensorShape(shape), dtypes.as_dtype(getattr(dtype, "name", dtype)), name

    @classmethod
    def from_tensor(cls, tensor: Any, name: str | None = None) -> TensorSpec:
        """The spec of a tensor."""
        return cls(tensor.shape, tensor.dtype, name)

    def is_compatible_with(self, other: Any) -> bool:
        """Whether a tensor (or spec) of ``other``'s shape and dtype fits."""
        return self.dtype is other.dtype and self.shape.is_compatible_with(other.shape)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TensorSpec) and repr(self) == repr(other)

    def __hash__(self) -> int:
        return hash(repr(self))

    def __repr__(self) -> str:
        shape = str(self.shape).replace("?", "None")
        return f"TensorSpec(shape={shape}, dtype=tf.{self.dtype.name}, name={self.name!r})"


def host(value: Any) -> Any:
    """One leaf on the host: text as an array of objects (bytes); sparse tensors and datasets as they are."""
    if hasattr(value, "__corenn_structure__") or hasattr(value, "element_spec"):
        return value
    if isinstance(value, Tensor):
        return value.data if value.dtype is dtypes.string else np.asarray(value._host())
    array = value if isinstance(value, np.ndarray) else np.asarray(value)
    if array.dtype.kind in "USO":
        return _text(array)
    if isinstance(value, (int, float, list)) and not isinstance(value, np.generic):
        kind = {"f": np.float32, "i": np.int32}.get(array.dtype.kind)
        return array.astype(kind) if kind is not None and array.dtype.itemsize == 8 else array
    return array


def _text(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Text as bytes, UTF-8."""
    made = np.empty(array.shape, object)
    for place in np.ndindex(array.shape):
        item = array[place]
        made[place] = item.encode() if isinstance(item, str) else bytes(item)
    return made


def structured(value: Any) -> Any:
    """What a user's function or generator gave as an element: tuples and dicts are structure, lists are arrays."""
    if isinstance(value, dict):
        return {k: structured(v) for k, v in value.items()}
    if isinstance(value, tuple):
        made = [structured(v) for v in value]
        return type(value)(*made) if hasattr(value, "_fields") else tuple(made)
    if isinstance(value, list) and any(isinstance(v, Tensor) for v in value):
        return host(convert_to_tensor(value))
    return host(value)


def tensors(element: Any) -> Any:
    """An element as eager tensors."""

    def made(value: Any) -> Any:
        return convert_to_tensor(value) if isinstance(value, (np.ndarray, np.generic)) else value

    return tree.tree_map(made, element)


def known_of(element: Any) -> Any:
    """What is known of an element's leaves: the structure with ``(extents, dtype)`` in the places of arrays."""

    def known(value: Any) -> Any:
        if isinstance(value, (np.ndarray, np.generic)):
            dtype = dtypes.string if value.dtype == object else dtypes.as_dtype(value.dtype)
            return Leaf((tuple(int(n) for n in np.shape(value)), dtype))
        return Leaf((None, dtypes.float32))

    return tree.tree_map(known, element)


class Leaf:
    """Extents and dtype of one component."""

    def __init__(self, known: Known) -> None:
        self.extents, self.dtype = known

    def batched(self, size: int | None) -> Leaf:
        """With a batch in front."""
        return Leaf((None if self.extents is None else (size, *self.extents), self.dtype))

    def row(self) -> Leaf:
        """Without the first axis."""
        return Leaf((None if self.extents is None else self.extents[1:], self.dtype))

    def loose(self) -> Leaf:
        """With all extents unknown."""
        return Leaf((None if self.extents is None else (None,) * len(self.extents), self.dtype))

    @property
    def spec(self) -> TensorSpec:
        """As users see it."""
        return TensorSpec(None if self.extents is None else list(self.extents), self.dtype)

    @property
    def known(self) -> Known:
        """The pair."""
        return self.extents, self.dtype


def stacked(elements: list[Any]) -> Any:
    """Elements of one structure as one element with a new first axis."""
    first = elements[0]
    columns = zip(*[tree.leaves(e) for e in elements], strict=True)
    return tree.rebuild(first, iter([_stack(list(column)) for column in columns]))


def _stack(column: list[Any]) -> Any:
    if not isinstance(column[0], (np.ndarray, np.generic)):
        from corenn_tensorflow.sparse import SparseTensor  # the only other thing that can be stacked

        return SparseTensor.stack(column) if hasattr(SparseTensor, "stack") else column
    shapes = {np.shape(c) for c in column}
    if len(shapes) > 1:
        from corenn_tensorflow import errors

        shown = sorted(shapes)
        raise errors.InvalidArgumentError(
            None, None, f"Cannot batch tensors with different shapes in component 0. First element had shape "
            f"{list(shown[0])} and another had shape {list(shown[-1])}.", hint="padded_batch",
        )  # fmt: skip
    return np.stack(column)


def rows(array: Any, chosen: Any) -> Any:
    """Some rows."""
    return array[chosen]


def padded(elements: list[Any], shapes: Any, values: Any) -> Any:
    """Elements of different extents as one, filled up at the ends."""
    first = elements[0]
    columns = list(zip(*[tree.leaves(e) for e in elements], strict=True))
    wanted = [None] * len(columns) if shapes is None else list(_shapes(shapes, len(columns)))
    fills = list(tree.leaves(values)) if isinstance(values, (tuple, dict, list)) else [values] * len(columns)
    made = []
    for column, shape, fill in zip(columns, wanted, fills, strict=True):
        arrays = [np.asarray(c) for c in column]
        longest = [max(a.shape[i] for a in arrays) for i in range(arrays[0].ndim)]
        extents = (
            [n if g is None or g < 0 else g for n, g in zip(longest, shape, strict=True)]
            if shape is not None
            else longest
        )
        if any(n > e for n, e in zip(longest, extents, strict=True)):
            raise ValueError(f"an element of shape {longest} does not fit the padded shape {extents}")
        kind = arrays[0].dtype
        blank: Any = (b"" if kind.hasobject else 0) if fill is None else host(fill)
        out = np.full((len(arrays), *extents), blank, kind)
        for i, array in enumerate(arrays):
            out[(i, *[slice(n) for n in array.shape])] = array
        made.append(out)
    return tree.rebuild(first, iter(made))


def _shapes(shapes: Any, count: int) -> list[Any]:
    """The shapes among nested structures, in order."""
    if shapes is None:
        return [None]
    if isinstance(shapes, TensorShape):
        return [None if shapes.extents is None else [None if n is None else int(n) for n in shapes.extents]]
    if isinstance(shapes, dict):
        return [s for k in shapes for s in _shapes(shapes[k], 1)]
    if isinstance(shapes, (Tensor, np.ndarray)):
        return [[int(n) for n in np.asarray(shapes)]]
    plain = all(n is None or isinstance(n, (int, np.integer)) or hasattr(n, "value") for n in shapes)
    if plain and not (count > 1 and len(shapes) == count and all(n is None for n in shapes)):
        return [[None if n is None or getattr(n, "value", n) is None else int(n) for n in shapes]]
    return [s for inner in shapes for s in _shapes(inner, 1)]


def graph_leaves(structure: Any) -> list[GraphTensor]:
    """The graph tensors of a structure."""
    return [leaf for leaf in tree.leaves(structure) if isinstance(leaf, GraphTensor)]


def dtype_of(given: Any) -> DType:
    """A dtype of the facade."""
    return dtypes.as_dtype(getattr(given, "name", given))


def in_graph() -> bool:
    """Whether a graph is being built here."""
    return not mode.executing_eagerly()


__all__ = [
    "Leaf", "TensorSpec", "dtype_of", "graph_leaves", "host", "in_graph", "known_of", "padded", "rows", "stacked",
    "structured", "tensors",
]  # fmt: skip
