"""``TensorArray``, and functions applied to the rows of tensors: ``map_fn``, ``scan``, ``foldl``, ``foldr``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import corenn
from corenn import tree
from corenn.dtypes import DType
from corenn.graph import control
from corenn.graph.kind_registry import Reader, Record, register_kind
from corenn.graph.kinds import CompositeKind
from corenn.graph.operations import Operation, Run
from corenn.graph.tensors import GraphTensor
from corenn.spec import Shape
from corenn.tensor import Tensor
from corenn_tensorflow import mode
from corenn_tensorflow.framework import as_dtype, convert_to_tensor
from corenn_tensorflow.functions.arrays import shape as shape_of
from corenn_tensorflow.functions.arrays import unstack
from corenn_tensorflow.functions.calling import composite, operand, python_value
from corenn_tensorflow.functions.creating import zeros
from corenn_tensorflow.shapes import TensorShape
from corenn_tensorflow.writing import writable


class ArrayWriteKind(CompositeKind):
    """Put an element into an array of rows; inputs: rows, index, element.

    Rows of extent 0 stand for an array that nothing has been written to: its elements take the first one's shape.  An
    array that may grow needs the index's value; others are written to where it is.
    """

    def __init__(self, grows: bool) -> None:
        super().__init__(self._put, "TensorArrayWrite")
        self.grows = grows

    @staticmethod
    def _put(rows: Tensor, index: Tensor, element: Tensor) -> Tensor:
        place = corenn.reshape(corenn.cast(index, dtype="int32"), shape=(1,))
        return corenn.scatter_set(rows, place, corenn.expand_dims(element, axis=0), axis=0)

    def run(self, operation: Operation, inputs: list[Tensor], run: Run) -> Sequence[Tensor]:
        """The rows, with the element among them."""
        rows, index, element = inputs
        inner = element.spec.static
        if rows.spec.static[1:] == (0,) and inner != (0,):
            rows = corenn.zeros((rows.spec.static[0], *inner), element.dtype)
        if self.grows:
            wanted = int(run.value_of(index)) + 1
            count = rows.spec.static[0]
            if wanted > count:
                rows = corenn.concatenate(rows, corenn.zeros((wanted - count, *inner), element.dtype), axis=0)
        return (self._put(rows, index, element),)


def _read_write(record: Record, reader: Reader) -> ArrayWriteKind:
    record.counts(3, 1)
    grows = record.config.get("grows")
    if not isinstance(grows, bool) or not record.inputs[1].dtype.is_integer:
        record.refuse("it does not say whether it grows, or its index is no integer")
    record.agree((None, record.inputs[0].dtype), (None, record.inputs[2].dtype), "the element")
    record.same((None, record.inputs[0].dtype))
    return ArrayWriteKind(grows)


@writable("tensor_array_concat")
def _concat_of(r: Any) -> Any:
    return corenn.reshape(r, shape=(-1, *r.spec.static[2:]))


register_kind(
    "corenn_tensorflow.array_write", ArrayWriteKind, lambda kind, operation, writer: {"grows": kind.grows}, _read_write
)


class TensorArray:
    """Tensors by number, written and read one by one, also in loops of a graph; writing gives the new array."""

    def __init__(
        self, dtype: Any, size: Any = None, dynamic_size: bool | None = None, clear_after_read: Any = None,
        tensor_array_name: str | None = None, handle: Any = None, flow: Any = None, infer_shape: bool = True,
        element_shape: Any = None, colocate_with_first_write_call: bool = True, name: str | None = None,
    ) -> None:  # fmt: skip
        self._dtype = as_dtype(dtype)
        self._size = python_value(0 if size is None else size)
        self._grows = bool(dynamic_size)
        self._inner: Shape | None = None if element_shape is None else TensorShape(element_shape).extents
        self._rows: Any = None
        self._items: list[Any] | None = None
        if mode.graph_for(size) is None:
            self._items = [None] * int(self._size)

    # ---- being carried through loops

    def __corenn_parts__(self) -> list[Any]:
        """The tensors it consists of."""
        if self._items is not None:
            self._rows = corenn.stack(*self._items) if all(i is not None for i in self._items) and self._items else None
            self._items = None
        if self._rows is None:
            inner: Any = self._inner
            known = inner is not None and None not in inner
            self._rows = zeros([self._size, *(inner if known else [0])], self._dtype)
            if not known:
                self._rows = _of_unknown_shape(self._rows)
        return [self._rows]

    def learn(self, inner: Shape) -> None:
        """Say what is known of the shape of the elements of an array that nothing has been written to."""
        self._inner, self._rows = inner, None

    def __corenn_shapes__(self) -> list[Any]:
        """What is known of the shapes of the parts in every iteration."""
        (rows,) = self.__corenn_parts__()
        extents = rows.extents if isinstance(rows, GraphTensor) else rows.spec.shape
        return [None if extents is None else (None, *extents[1:]) if self._grows else extents]

    def __corenn_rebuild__(self, parts: list[Any]) -> TensorArray:
        """Another array of other parts."""
        return self._with(parts[0])

    def _with(self, rows: Any) -> TensorArray:
        made = TensorArray.__new__(TensorArray)
        made._dtype, made._size, made._grows, made._inner = self._dtype, self._size, self._grows, self._inner
        made._rows, made._items = rows, None
        extents = rows.extents if isinstance(rows, GraphTensor) else rows.spec.shape
        if extents is not None and made._inner is None:
            made._inner = extents[1:]
        return made

    # ---- what users call

    @property
    def dtype(self) -> DType:
        """Element type."""
        return self._dtype

    @property
    def dynamic_size(self) -> bool:
        """Whether writing past the end makes it longer."""
        return self._grows

    @property
    def element_shape(self) -> TensorShape:
        """What is known of the shape of the elements."""
        return TensorShape(self._inner)

    @property
    def flow(self) -> Any:
        """A tensor that depends on all that was written."""
        return self.__corenn_parts__()[0] if self._items is None else corenn.tensor(0.0)

    handle = flow

    def identity(self) -> TensorArray:
        """The array itself."""
        return self

    def write(self, index: Any, value: Any, name: str | None = None) -> TensorArray:
        """The array with ``value`` at ``index``."""
        given = convert_to_tensor(value, self._dtype)
        graph = mode.graph_for((index, given, self._rows))
        if graph is None:
            return self._write_now(int(index), given)
        with graph.as_default():
            inner = None if given.extents is None else given.extents
            (rows,) = self.__corenn_parts__()
            rows = graph.convert(rows)
            outer = None if rows.extents is None else rows.extents[0]
            if rows.extents is None:
                outer = self._size if isinstance(self._size, int) and not self._grows else None
            known = None if inner is None else (None if self._grows else outer, *inner)
            operation = graph.add(ArrayWriteKind(self._grows), [rows, operand(index), given], [(known, self._dtype)],
                                  name=name)  # fmt: skip
        made = self._with(operation.outputs[0])
        made._inner = inner
        return made

    def _write_now(self, index: int, value: Any) -> TensorArray:
        items = self._items
        if items is None:
            items = self._items = list(unstack(self._rows))
        if index >= len(items):
            if not self._grows:
                from corenn_tensorflow.errors import OutOfRangeError

                raise OutOfRangeError(None, None, f"Tried to write to index {index} but array is not resizeable and "
                                      f"size is: {len(items)}")  # fmt: skip
            items += [None] * (index + 1 - len(items))
        items[index] = value
        return self

    def read(self, index: Any, name: str | None = None) -> Any:
        """The element at ``index``."""
        if self._items is not None:
            found = self._items[int(index)]
            if found is None:
                inner = next((i.spec.shape for i in self._items if i is not None), self._inner)
                if inner is None or None in inner:
                    raise ValueError(f"Could not read index {int(index)} twice because it was not written")
                return corenn.zeros(inner, self._dtype)
            return found
        (rows,) = self.__corenn_parts__()
        return self._shaped(mode.one("TensorArrayReadV3", name, corenn.gather, rows, operand(index), axis=0), ())

    def _shaped(self, found: Any, outer: Any) -> Any:
        """A result, with what is known of the elements' shape."""
        if isinstance(found, GraphTensor) and self._inner is not None:
            found.set_shape((*outer, *self._inner))
        return found

    def stack(self, name: str | None = None) -> Any:
        """All elements, along a new first axis."""
        if self._items is not None:
            if not self._items:
                return corenn.zeros((0, *(self._inner or ())), self._dtype)
            return corenn.stack(*[self.read(i) for i in range(len(self._items))])
        (rows,) = self.__corenn_parts__()
        stacked = mode.one("TensorArrayGatherV3", name or "TensorArrayStack", corenn.identity, rows)
        return self._shaped(stacked, (self._size if isinstance(self._size, int) and not self._grows else None,))

    def gather(self, indices: Any, name: str | None = None) -> Any:
        """Some elements, along a new first axis."""
        return corenn.gather(self.stack(), operand(indices), axis=0)

    def concat(self, name: str | None = None) -> Any:
        """All elements joined along their first axis."""
        if self._items is not None:
            return corenn.concatenate(*[self.read(i) for i in range(len(self._items))], axis=0)
        return composite("TensorArrayConcatV3", name, _concat_of,
                         self.stack())  # fmt: skip

    def unstack(self, value: Any, name: str | None = None) -> TensorArray:
        """The array of the rows of ``value``."""
        given = convert_to_tensor(value, self._dtype)
        if mode.graph_for(given) is None:
            self._items = list(corenn.unstack(given)) if given.spec.shape[0] else []
            return self
        made = self._with(given)
        made._size = None if given.extents is None else given.extents[0]
        return made

    def scatter(self, indices: Any, value: Any, name: str | None = None) -> TensorArray:
        """The array with the rows of ``value`` at ``indices``."""
        rows, places = unstack(value), unstack(indices)
        made = self
        for place, row in zip(places, rows, strict=True):
            made = made.write(place, row)
        return made

    def split(self, value: Any, lengths: Any, name: str | None = None) -> TensorArray:
        """The array of the parts of ``value`` along its first axis."""
        from corenn_tensorflow.functions.arrays import split

        made = self
        for i, part in enumerate(split(value, lengths, axis=0)):
            made = made.write(i, part)
        return made

    def size(self, name: str | None = None) -> Any:
        """The number of elements."""
        if self._items is not None:
            return corenn.tensor(len(self._items))
        return shape_of(self.__corenn_parts__()[0])[0]

    def grad(self, source: Any, flow: Any = None, name: str | None = None) -> Any:
        """NotImplementedError: tf.gradients differentiates through arrays by itself."""
        raise NotImplementedError("TensorArray.grad: corenn keeps no separate arrays of gradients; use tf.gradients")

    def close(self, name: str | None = None) -> Any:
        """Nothing: the memory is freed with the array."""
        from corenn_tensorflow.functions.flow import no_op

        return no_op()


def _of_unknown_shape(rows: Any) -> Any:
    """The same tensor, of which nothing is known: its shape changes with the first element."""
    from corenn.graph.kinds import DefaultPlaceholderKind

    graph = mode.graph_for(rows)
    if graph is None:
        return rows
    return graph.add(DefaultPlaceholderKind(), [graph.convert(rows)], [(None, rows.dtype)]).outputs[0]


# ---------------------------------------------------------------- rows


def _cast_like(structure: Any, kinds: Any) -> Any:
    """Results as tensors, of the dtypes stated."""
    if kinds is None:
        return tree.tree_map(operand, structure)
    if not isinstance(kinds, (list, tuple, dict)):
        return convert_to_tensor(structure, as_dtype(_dtype_of(kinds)))
    given = [as_dtype(_dtype_of(k)) for k in tree.leaves(kinds)]
    leaves = [convert_to_tensor(v, d) for v, d in zip(tree.leaves(structure), given, strict=True)]
    return tree.rebuild(structure, iter(leaves))


def _dtype_of(signature: Any) -> Any:
    return getattr(signature, "dtype", signature) if not isinstance(signature, DType) else signature


def map_fn(
    fn: Callable[..., Any], elems: Any, dtype: Any = None, parallel_iterations: Any = None, back_prop: bool = True,
    swap_memory: bool = False, infer_shape: bool = True, name: str | None = None, fn_output_signature: Any = None,
) -> Any:  # fmt: skip
    """``fn(row)`` for each row of ``elems`` (a tensor or a structure of them), the results stacked."""
    if not callable(fn):
        raise TypeError("fn must be callable.")
    kinds = fn_output_signature if fn_output_signature is not None else dtype
    given = tree.tree_map(operand, elems)

    def call(row: Any) -> Any:
        found = _cast_like(fn(row), kinds)
        if kinds is None and not isinstance(elems, (list, tuple, dict)) and found.dtype is not given.dtype:
            raise TypeError(f"fn returns {found.dtype.name} for elements of {given.dtype.name}: give dtype=tf."
                            f"{found.dtype.name}")  # fmt: skip
        return found

    graph = mode.graph_for(given)
    if graph is None:
        return control.map_fn(call, given)
    with graph.as_default():
        return control.map_fn(call, given, name=name or "map")


def vectorized_map(fn: Callable[..., Any], elems: Any, fallback_to_while_loop: bool = True, warn: bool = True) -> Any:
    """``fn(row)`` for each row of ``elems``, the results stacked; of any dtype."""
    given = tree.tree_map(operand, elems)
    return control.map_fn(lambda row: tree.tree_map(operand, fn(row)), given)


def scan(
    fn: Callable[..., Any], elems: Any, initializer: Any = None, parallel_iterations: int = 10, back_prop: bool = True,
    swap_memory: bool = False, infer_shape: bool = True, reverse: bool = False, name: str | None = None,
) -> Any:  # fmt: skip
    """``fn(accumulated, row)`` over the rows of ``elems``: all accumulated values, stacked."""
    return _over(control.scan, fn, elems, initializer, reverse, name or "scan")


def foldl(
    fn: Callable[..., Any], elems: Any, initializer: Any = None, parallel_iterations: int = 10, back_prop: bool = True,
    swap_memory: bool = False, name: str | None = None,
) -> Any:  # fmt: skip
    """``fn(accumulated, row)`` over the rows from the first on: the last accumulated value."""
    return _over(control.fold, fn, elems, initializer, False, name or "foldl")


def foldr(
    fn: Callable[..., Any], elems: Any, initializer: Any = None, parallel_iterations: int = 10, back_prop: bool = True,
    swap_memory: bool = False, name: str | None = None,
) -> Any:  # fmt: skip
    """``fn(accumulated, row)`` over the rows from the last on: the last accumulated value."""
    return _over(control.fold, fn, elems, initializer, True, name or "foldr")


def _over(function: Any, fn: Any, elems: Any, initializer: Any, reverse: bool, name: str) -> Any:
    if not callable(fn):
        raise TypeError("fn must be callable.")
    given = tree.tree_map(operand, elems)
    start = None if initializer is None else tree.tree_map(operand, initializer)

    def call(state: Any, row: Any) -> Any:
        found = fn(state, row)
        leaves = [v if isinstance(v, Tensor) else convert_to_tensor(v, s.dtype)
                  for v, s in zip(tree.leaves(found), tree.leaves(state), strict=True)]  # fmt: skip
        return tree.rebuild(state, iter(leaves))

    graph = mode.graph_for((given, start))
    if graph is None:
        return function(call, given, start, reverse=reverse)
    with graph.as_default():
        return function(call, given, start, reverse=reverse, name=name)


__all__ = ["TensorArray", "foldl", "foldr", "map_fn", "scan", "vectorized_map"]
