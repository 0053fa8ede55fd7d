"""``tf.sparse``, ``tf.SparseTensor`` and ``tf.IndexedSlices``: tensors by their coordinates."""

from __future__ import annotations

from collections import namedtuple
from typing import Any

import numpy as np

import corenn
from corenn import dtypes
from corenn.dtypes import DType
from corenn_tensorflow import missing, mode
from corenn_tensorflow.framework import as_dtype, convert_to_tensor, static_shape
from corenn_tensorflow.shapes import TensorShape, extents_of
from corenn_tensorflow.writing import writable

SparseTensorValue = namedtuple("SparseTensorValue", ["indices", "values", "dense_shape"])
IndexedSlicesValue = namedtuple("IndexedSlicesValue", ["values", "indices", "dense_shape"])


class _OfValues:
    """What is asked of ``values`` in the place of the whole."""

    values: Any

    @property
    def dtype(self) -> DType:
        """Element type."""
        found: DType = self.values.dtype
        return found

    @property
    def op(self) -> Any:
        """The operation of the values."""
        return self.values.op

    @property
    def graph(self) -> Any:
        """The graph it belongs to."""
        return self.values.graph


class SparseTensor(_OfValues):
    """A tensor by the coordinates (``indices``, int64 [n, rank]) and ``values`` of its elements that are not zero."""

    #: Operators of dense tensors leave the work to this class.
    __corenn_takes_operators__ = True

    def __init__(self, indices: Any, values: Any, dense_shape: Any) -> None:
        with mode.scope(None, "SparseTensor", indices, values, dense_shape):
            self.indices = convert_to_tensor(indices, None if _is_tensor(indices) else dtypes.int64)
            self.values = convert_to_tensor(values)
            known = extents_of(dense_shape) if isinstance(dense_shape, TensorShape) else None
            self.dense_shape = convert_to_tensor(
                known or dense_shape, None if _is_tensor(dense_shape) else dtypes.int64
            )

    @classmethod
    def from_value(cls, value: Any) -> SparseTensor:
        """One of a ``SparseTensorValue`` (or of another)."""
        return value if isinstance(value, SparseTensor) else cls(*value)

    def __corenn_structure__(self) -> SparseTensorValue:
        """What fetching it gives, and feeding it takes."""
        return SparseTensorValue(self.indices, self.values, self.dense_shape)

    @property
    def shape(self) -> TensorShape:
        """The shape of the dense tensor, as far as it is known."""
        from corenn_tensorflow.functions.calling import python_value

        found = python_value(self.dense_shape)
        if isinstance(found, tuple):
            return TensorShape(found)
        count = (static_shape(self.dense_shape) or [None])[0]
        return TensorShape(None if count is None else (None,) * count)

    def get_shape(self) -> TensorShape:
        """The shape of the dense tensor, as far as it is known."""
        return self.shape

    def eval(self, feed_dict: Any = None, session: Any = None) -> SparseTensorValue:
        """Its value in a session."""
        found: SparseTensorValue = self.values.graph.session_for("eval()", session).run(self, feed_dict)
        return found

    def with_values(self, new_values: Any) -> SparseTensor:
        """The same coordinates with other values."""
        return SparseTensor(self.indices, new_values, self.dense_shape)

    def _scaled(self, other: Any, combine: Any) -> SparseTensor:
        dense = corenn.broadcast_to(convert_to_tensor(other, self.dtype), shape=self.dense_shape)
        return self.with_values(combine(self.values, corenn.gather_nd(dense, self.indices)))

    def __mul__(self, other: Any) -> SparseTensor:
        return self._scaled(other, corenn.multiply)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> SparseTensor:
        return self._scaled(other, corenn.divide)

    def __neg__(self) -> SparseTensor:
        return self.with_values(-self.values)

    def __repr__(self) -> str:
        return f"SparseTensor(indices={self.indices}, values={self.values}, dense_shape={self.dense_shape})"


class IndexedSlices(_OfValues):
    """Rows (``values``) of a larger tensor, with the places (``indices``) they belong to."""

    def __init__(self, values: Any, indices: Any, dense_shape: Any = None) -> None:
        self.values, self.indices, self.dense_shape = values, indices, dense_shape

    def __corenn_structure__(self) -> IndexedSlicesValue:
        """What fetching it gives."""
        return IndexedSlicesValue(self.values, self.indices, self.dense_shape)

    def __corenn_tensorflow_tensor__(self) -> Any:
        """The dense tensor: rows of one place are added up."""
        if self.dense_shape is None:
            raise ValueError("Tensor conversion requested for IndexedSlices without dense_shape")
        from corenn_tensorflow.functions.segments import unsorted_segment_sum

        return unsorted_segment_sum(self.values, self.indices, self.dense_shape[0])

    def __neg__(self) -> IndexedSlices:
        return IndexedSlices(-self.values, self.indices, self.dense_shape)

    def __repr__(self) -> str:
        return f"IndexedSlices(indices={self.indices}, values={self.values}, dense_shape={self.dense_shape})"


def _is_tensor(value: Any) -> bool:
    return isinstance(value, (corenn.Tensor, np.ndarray))


def sparse_placeholder(dtype: Any, shape: Any = None, name: str | None = None) -> SparseTensor:
    """A sparse tensor that every run must be fed: a ``SparseTensorValue``, or a tuple of its three parts."""
    from corenn_tensorflow.functions.creating import placeholder

    base = f"{name}/" if name else ""
    if isinstance(shape, corenn.Tensor):
        from corenn_tensorflow.functions.calling import python_value

        shape = python_value(shape)
        if isinstance(shape, corenn.Tensor):
            raise ValueError(f"sparse_placeholder: the shape {shape} is not known while the graph is built")
    extents = extents_of(shape) if shape is not None else None
    rank = None if extents is None else len(extents)
    if extents is not None and None not in extents:
        dense: Any = np.array(extents, np.int64)
    else:
        dense = placeholder("int64", [rank], name=f"{base}shape")
    values = placeholder(as_dtype(dtype), [None], name=f"{base}values")
    return SparseTensor(placeholder("int64", [None, rank], name=f"{base}indices"), values, dense)


def _flat_places(indices: Any, shape: tuple[int, ...]) -> Any:
    steps = np.cumprod([1, *reversed(shape[1:])])[::-1].astype(np.int64)
    return corenn.sum(corenn.cast(indices, dtype="int64") * corenn.tensor(np.ascontiguousarray(steps)), axis=1)


def to_dense(
    sp_input: SparseTensor, default_value: Any = None, validate_indices: bool = True, name: str | None = None
) -> Any:
    """The dense tensor, with ``default_value`` where no element is."""
    return sparse_to_dense(sp_input.indices, sp_input.dense_shape, sp_input.values,
                           0 if default_value is None else default_value, name=name or "SparseToDense")  # fmt: skip


@writable("sparse_to_dense")
def _sparse_to_dense_put(dense: Any, index: Any, given: Any) -> Any:
    wide = index if index.ndim == 2 else corenn.reshape(index, shape=(-1, 1))
    count = wide.spec.static[0]
    found = corenn.broadcast_to(given, shape=(count, *dense.spec.static[wide.spec.static[1] :]))
    return corenn.index_update(dense, found, index=tuple(wide[:, i] for i in range(wide.spec.static[1])))


@writable("sparse_to_dense_text")
def _text_to_dense(places: Any, shape: Any, values: Any, default: Any) -> Any:
    made = np.full(tuple(int(n) for n in shape), np.asarray(default, object).item(), object)
    rows = places if places.ndim == 2 else places.reshape(-1, 1)
    made[tuple(rows[:, i] for i in range(rows.shape[1]))] = values
    return made


def sparse_to_dense(
    sparse_indices: Any, output_shape: Any, sparse_values: Any, default_value: Any = 0, validate_indices: bool = True,
    name: str | None = None,
) -> Any:  # fmt: skip
    """A tensor of ``output_shape`` with ``sparse_values`` at ``sparse_indices`` and ``default_value`` elsewhere."""
    from corenn_tensorflow.functions.creating import fill

    values = convert_to_tensor(sparse_values)
    places = convert_to_tensor(sparse_indices, None if _is_tensor(sparse_indices) else dtypes.int64)
    if values.dtype is dtypes.string:
        from corenn_tensorflow.functions.text import on_host

        blank = (
            b"" if default_value is None or (isinstance(default_value, int) and not default_value) else default_value
        )
        inputs = [
            places,
            convert_to_tensor(output_shape, None if _is_tensor(output_shape) else dtypes.int64),
            values,
            blank,
        ]
        stated = static_shape(inputs[1])
        known = (
            extents_of(TensorShape(output_shape))
            if not _is_tensor(output_shape)
            else (None,) * stated[0]
            if stated
            else None
        )
        return on_host("SparseToDense", name, _text_to_dense, inputs, dtypes.string, known)
    with mode.scope(name, "SparseToDense", values, places, output_shape):
        background = fill(output_shape, convert_to_tensor(default_value, values.dtype))
        from corenn_tensorflow.functions.calling import composite

        return composite("SparseToDense", None, _sparse_to_dense_put, background, places, values,
                         results=[(_extents(background), values.dtype)])  # fmt: skip


def _extents(x: Any) -> Any:
    found = static_shape(x)
    return None if found is None else tuple(found)


def from_dense(tensor: Any, name: str | None = None) -> SparseTensor:
    """The elements of a tensor that are not zero, with their coordinates."""
    x = convert_to_tensor(tensor)
    with mode.scope(name, "DenseToSparse", x):
        places = corenn.argwhere(x)
        from corenn_tensorflow.functions.arrays import shape

        return SparseTensor(places, corenn.gather_nd(x, places), shape(x, out_type="int64"))


def sparse_dense_matmul(
    sp_a: Any, b: Any, adjoint_a: bool = False, adjoint_b: bool = False, name: str | None = None
) -> Any:
    """A sparse matrix times a dense one."""
    from corenn_tensorflow.functions.products import matmul

    if not isinstance(sp_a, SparseTensor):
        return matmul(sp_a, to_dense(b), adjoint_a=adjoint_a, adjoint_b=adjoint_b, name=name)
    other = convert_to_tensor(b)
    with mode.scope(name, "SparseTensorDenseMatMul", other, sp_a.values):
        return matmul(to_dense(sp_a), other, transpose_a=adjoint_a, transpose_b=adjoint_b)


def sparse_reduce_sum(
    sp_input: SparseTensor, axis: Any = None, keepdims: Any = None, reduction_axes: Any = None, keep_dims: Any = None,
    name: str | None = None,
) -> Any:  # fmt: skip
    """The sum of the elements along axes, as a dense tensor."""
    from corenn_tensorflow.functions.reductions import reduce_sum

    axes = axis if axis is not None else reduction_axes
    return reduce_sum(to_dense(sp_input), axes, bool(keepdims or keep_dims), name=name)


def sparse_add(a: Any, b: Any, threshold: Any = None, thresh: Any = None, name: str | None = None) -> Any:
    """The sum of two tensors of which one at least is sparse: sparse if both are."""
    dense = [to_dense(v) if isinstance(v, SparseTensor) else convert_to_tensor(v) for v in (a, b)]
    total = corenn.add(*dense)
    return from_dense(total) if isinstance(a, SparseTensor) and isinstance(b, SparseTensor) else total


@writable("sparse_reorder")
def _sparse_reorder_of(indices: Any) -> Any:
    keys = indices[:, -1]
    found = corenn.argsort(keys)
    for axis in reversed(range(indices.spec.static[1] - 1)):  # stable sorts, last axis first
        found = corenn.gather(found, corenn.argsort(corenn.gather(indices[:, axis], found)))
    return found


def sparse_reorder(sp_input: SparseTensor, name: str | None = None) -> SparseTensor:
    """The same elements in row-major order."""
    from corenn_tensorflow.functions.calling import composite

    place = composite("SparseReorder", name, _sparse_reorder_of, sp_input.indices)
    return SparseTensor(corenn.gather(sp_input.indices, place), corenn.gather(sp_input.values, place),
                        sp_input.dense_shape)  # fmt: skip


def sparse_retain(sp_input: SparseTensor, to_retain: Any) -> SparseTensor:
    """The elements that the bools name."""
    keep = corenn.reshape(convert_to_tensor(to_retain), shape=(-1,))
    return SparseTensor(corenn.boolean_mask(sp_input.indices, keep), corenn.boolean_mask(sp_input.values, keep),
                        sp_input.dense_shape)  # fmt: skip


def sparse_transpose(sp_input: SparseTensor, perm: Any = None, name: str | None = None) -> SparseTensor:
    """The axes in another order; reversed by default."""
    rank = len(sp_input.shape)
    order = list(perm) if perm is not None else list(reversed(range(rank)))
    moved = SparseTensor(corenn.stack(*[sp_input.indices[:, i] for i in order], axis=1), sp_input.values,
                         corenn.stack(*[sp_input.dense_shape[i] for i in order]))  # fmt: skip
    return sparse_reorder(moved)


def sparse_tensor_to_dense(
    sp_input: SparseTensor, default_value: Any = None, validate_indices: bool = True, name: str | None = None
) -> Any:
    """The dense tensor, with ``default_value`` where no element is."""
    return to_dense(sp_input, default_value, validate_indices, name)


sparse_tensor_dense_matmul = sparse_dense_matmul
convert_to_tensor_or_sparse_tensor = SparseTensor.from_value
placeholder, reorder, retain, transpose, add = (
    sparse_placeholder, sparse_reorder, sparse_retain, sparse_transpose, sparse_add,
)  # fmt: skip
reduce_sum = sparse_reduce_sum

__all__ = [
    "SparseTensor", "SparseTensorValue", "add", "from_dense", "placeholder", "reduce_sum", "reorder", "retain",
    "sparse_dense_matmul", "to_dense", "transpose",
]  # fmt: skip

#: What ``tf.`` itself has of these.
TOP = {
    "SparseTensor": SparseTensor, "SparseTensorValue": SparseTensorValue, "IndexedSlices": IndexedSlices,
    "IndexedSlicesValue": IndexedSlicesValue, "sparse_placeholder": sparse_placeholder,
    "sparse_tensor_to_dense": sparse_tensor_to_dense, "sparse_to_dense": sparse_to_dense,
    "sparse_tensor_dense_matmul": sparse_tensor_dense_matmul, "sparse_reduce_sum": sparse_reduce_sum,
    "sparse_add": sparse_add, "sparse_reorder": sparse_reorder, "sparse_retain": sparse_retain,
    "sparse_transpose": sparse_transpose,
}  # fmt: skip

__getattr__ = missing.guard(__name__)
