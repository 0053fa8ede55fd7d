"""Making tensors: from data, or from a shape."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from corenn import dtypes
from corenn.device import Device
from corenn.device import device as find_device
from corenn.dtypes import DType, as_dtype
from corenn.errors import AttributeValueError, BackendError, CorennError, DTypeError, UsageError
from corenn.ops.binding import make_tensor
from corenn.ops.families import static_shape
from corenn.ops.sampling import error, sample
from corenn.ops.table import Call, TensorLike, op
from corenn.spec import Spec
from corenn.tensor import _SCALARS, Tensor

DeviceLike = str | Device | None
DTypeLike = DType | str | None | object


def _place(device: DeviceLike) -> Device | None:
    return None if device is None else find_device(device)


def tensor(data: Any, dtype: DTypeLike = None, device: DeviceLike = None) -> Tensor:
    """A tensor holding a copy of ``data``: numbers, nested lists, NumPy arrays, or another tensor.

    ``dtype``: that of the array; Python numbers become float32, int32 (int64 where they do not fit), bool, complex64.
    ``device``: that of a tensor given, else the current one.  Raises ShapeError for ragged lists, DTypeError for
    elements that are not numbers or that the backend does not offer.
    """
    if isinstance(dtype, int) and not isinstance(dtype, bool):
        raise UsageError("tensor", "the data is one argument", {"data": repr(data), "dtype": dtype},
                         hint=f"corenn.tensor([{data!r}, {dtype}])")  # fmt: skip
    where = _place(device)
    wanted = None if dtype is None else as_dtype(dtype)
    if isinstance(data, Tensor):
        made = data if wanted is None or wanted is data.dtype else data.cast(wanted)
        if where is None or made.device is where or hasattr(made, "__corenn_op__"):  # graphs run where they are put
            return made
        return made.to(where)
    if isinstance(data, list | tuple) and any(isinstance(item, Tensor) for item in data):
        from corenn.ops.shaping import stack

        return tensor(stack(*[tensor(item) for item in data]), dtype, device)
    made = make_tensor(data, wanted, where)
    return Tensor(made.data, made.spec)  # its own object: scalars are shared underneath


def asarray(data: Any, dtype: DTypeLike = None, device: DeviceLike = None) -> Tensor:
    """``tensor``, except that a tensor that fits is returned as it is."""
    if isinstance(data, Tensor) and dtype is None and device is None:
        return data
    return tensor(data, dtype, device)


def from_dlpack(array: Any, device: DeviceLike = None) -> Tensor:
    """A tensor sharing the memory of ``array`` (anything with ``__dlpack__``), on the device its library is on.

    ``device``: which corenn device to import it to; default the current one, whose backend must accept the array.
    The caller must not change the memory afterwards.
    """
    from corenn.device import current_device

    where = _place(device) or current_device()
    importer = getattr(where.backend.xp, "from_dlpack", None)
    if importer is None or not hasattr(array, "__dlpack__"):
        raise BackendError("from_dlpack", f"{type(array).__name__} cannot be shared with the {where} backend")
    try:
        raw = importer(array)
    except (BufferError, TypeError, ValueError, RuntimeError) as problem:
        hint = "corenn.tensor(array) copies; or name the array's device: from_dlpack(array, device='cuda')"
        raise BackendError("from_dlpack", f"the {where} backend refuses the array: {problem}", hint=hint) from problem
    return Tensor(raw, Spec(tuple(raw.shape), where.backend.dtype_of(raw), where))


# ---------------------------------------------------------------- from a shape


def _full(call: Call) -> Spec:
    shape = call.attrs["shape"] = static_shape(call, call.attrs["shape"])
    return Spec(shape, call.attrs["dtype"])


@op(infer=_full, name="full", namespace="_")
def fill(*, shape: tuple[int, ...], value: float, dtype: DType) -> Tensor:
    """A tensor with every element ``value``."""


@fill.kernel
def _(xp: Any, *, shape: tuple[int, ...], value: float, dtype: Any, device: Any) -> Any:
    return xp.full(shape, value, dtype=dtype, device=device)


fill.samples(
    sample(shape=(2, 3), value=1.5, dtype=dtypes.float32, grad=False),
    sample(shape=(), value=True, dtype=dtypes.bool_, grad=False),
    sample(shape=(0, 2), value=3, dtype=dtypes.int32, grad=False),
)
fill.error_samples(error(AttributeValueError, "non-negative", shape=(-1,), value=0.0, dtype=dtypes.float32))
fill.reference(lambda *, shape, value, dtype: np.full(shape, value, dtype.numpy))


def _on(device: DeviceLike, make: Any, **attrs: Any) -> Tensor:
    where = _place(device)
    if where is None:
        return make(**attrs)  # type: ignore[no-any-return]
    with where:
        return make(**attrs)  # type: ignore[no-any-return]


def _number(where: str, name: str, value: Any) -> Any:
    """A Python number; DTypeError for anything else."""
    if isinstance(value, np.generic):
        value = value.item()
    if not isinstance(value, int | float):
        raise DTypeError(where, f"{name} must be a number, not a {type(value).__name__}", {name: repr(value)})
    return value


def _count(where: str, name: str, value: Any) -> int:
    """A number of things; AttributeValueError for anything but an int of at least 0."""
    try:
        count = operator.index(value)
    except TypeError:
        count = -1
    if count < 0:
        raise AttributeValueError(where, f"{name} must be an int of at least 0", {name: repr(value)})
    return count


def _filled(where: str, shape: Any, value: Any, dtype: DTypeLike, device: DeviceLike) -> Tensor:
    if isinstance(dtype, int) and not isinstance(dtype, bool):
        hint = f"corenn.{where}(({shape}, {dtype}))"
        raise UsageError(where, "the shape is one argument, a tuple", {"shape": repr(shape), "dtype": dtype}, hint=hint)
    if not isinstance(value, _SCALARS):
        if not hasattr(value, "item"):
            raise DTypeError(where, f"the value must be a number, not a {type(value).__name__}", {"value": repr(value)})
        value = value.item()  # a NumPy scalar or a tensor of one element
    chosen = dtypes.default_dtype(value) if dtype is None else as_dtype(dtype)
    try:
        return _on(device, fill, shape=shape, value=value, dtype=chosen)
    except CorennError as error:
        error.where = where  # not the op beneath
        raise


def full(shape: Any, value: float | complex, dtype: DTypeLike = None, device: DeviceLike = None) -> Tensor:
    """A tensor of ``shape`` (int or ints) with every element ``value``; dtype from the value unless given."""
    return _filled("full", shape, value, dtype, device)


def zeros(shape: Any, dtype: DTypeLike = dtypes.float32, device: DeviceLike = None) -> Tensor:
    """A tensor of ``shape`` (int or ints) of zeros; float32 unless ``dtype`` is given."""
    return _filled("zeros", shape, 0, dtype, device)


def ones(shape: Any, dtype: DTypeLike = dtypes.float32, device: DeviceLike = None) -> Tensor:
    """A tensor of ``shape`` (int or ints) of ones; float32 unless ``dtype`` is given."""
    return _filled("ones", shape, 1, dtype, device)


def full_like(x: TensorLike, value: float | complex, dtype: DTypeLike = None) -> Tensor:
    """``full`` with the shape, device and (unless given) dtype of ``x``."""
    like = asarray(x)
    late = getattr(like, "__corenn_shape__", None)  # of a graph: some extents may only be known when it runs
    kind = like.dtype if dtype is None else dtype
    return full(like.shape, value, kind, like.spec.device) if late is None else full(late(), value, kind)


def zeros_like(x: TensorLike, dtype: DTypeLike = None) -> Tensor:
    """Zeros of the shape, device and (unless given) dtype of ``x``."""
    return full_like(x, 0, dtype)


def ones_like(x: TensorLike, dtype: DTypeLike = None) -> Tensor:
    """Ones of the shape, device and (unless given) dtype of ``x``."""
    return full_like(x, 1, dtype)


def _arange(call: Call) -> Spec:
    start, stop, step = (call.attrs[k] for k in ("start", "stop", "step"))
    if step == 0:
        raise call.attribute_error("step must not be 0", step="")
    return Spec((max(0, int(np.ceil((stop - start) / step))),), call.attrs["dtype"])


@op(infer=_arange, name="arange", namespace="_")
def evenly(*, start: float, stop: float, step: float, dtype: DType) -> Tensor:
    """``start, start + step, ...`` below ``stop``."""


@evenly.kernel
def _(xp: Any, *, start: float, stop: float, step: float, dtype: Any, device: Any) -> Any:
    return xp.arange(start, stop, step, dtype=dtype, device=device)


evenly.samples(
    sample(start=0, stop=5, step=1, dtype=dtypes.int32, grad=False),
    sample(start=1.0, stop=2.0, step=0.25, dtype=dtypes.float32, grad=False),
    sample(start=3, stop=0, step=-1, dtype=dtypes.int64, grad=False),
)
evenly.error_samples(error(AttributeValueError, "must not be 0", start=0, stop=1, step=0, dtype=dtypes.int32))


@evenly.reference
def _(*, start: float, stop: float, step: float, dtype: DType) -> np.ndarray[Any, Any]:
    return np.arange(start, stop, step, dtype=dtype.numpy)


def arange(
    start: float, stop: float | None = None, step: float = 1, dtype: DTypeLike = None, device: DeviceLike = None
) -> Tensor:
    """``start, start + step, ...`` below ``stop`` (``arange(n)`` counts from 0); int32 for ints, else float32."""
    given = {"start": 0 if stop is None else start, "stop": start if stop is None else stop, "step": step}
    if any(isinstance(v, Tensor) for v in given.values()):
        raise UsageError("arange", "takes Python numbers, not tensors", hint="arange(int(n))")
    first, last, step = (_number("arange", name, value) for name, value in given.items())
    whole = all(isinstance(v, int) for v in (first, last, step))
    chosen = (dtypes.int32 if whole else dtypes.float32) if dtype is None else as_dtype(dtype)
    return _on(device, evenly, start=first, stop=last, step=step, dtype=chosen)


def linspace(
    start: float,
    stop: float,
    num: int = 50,
    endpoint: bool = True,
    dtype: DTypeLike = dtypes.float32,
    device: DeviceLike = None,
) -> Tensor:
    """``num`` evenly spaced values from ``start`` to ``stop`` (included unless ``endpoint=False``); float32."""
    first, last = _number("linspace", "start", start), _number("linspace", "stop", stop)
    values = np.linspace(first, last, _count("linspace", "num", num), endpoint=endpoint)
    return tensor(values, as_dtype(dtype), device)


def eye(
    rows: int, columns: int | None = None, k: int = 0, dtype: DTypeLike = dtypes.float32, device: DeviceLike = None
) -> Tensor:
    """A matrix with ones on the ``k``-th diagonal and zeros elsewhere; float32 unless ``dtype`` is given."""
    height = _count("eye", "rows", rows)
    width = height if columns is None else _count("eye", "columns", columns)
    return _on(device, diagonal_ones, rows=height, columns=width, k=k, dtype=as_dtype(dtype))


@op(
    infer=lambda call: Spec((call.attrs["rows"], call.attrs["columns"]), call.attrs["dtype"]), name="eye", namespace="_"
)
def diagonal_ones(*, rows: int, columns: int, k: int, dtype: DType) -> Tensor:
    """A matrix with ones on the ``k``-th diagonal."""


@diagonal_ones.kernel
def _(xp: Any, *, rows: int, columns: int, k: int, dtype: Any, device: Any) -> Any:
    return xp.eye(rows, columns, k=k, dtype=dtype, device=device)


diagonal_ones.samples(
    sample(rows=3, columns=3, k=0, dtype=dtypes.float32, grad=False),
    sample(rows=2, columns=4, k=1, dtype=dtypes.int32, grad=False),
)
diagonal_ones.reference(lambda *, rows, columns, k, dtype: np.eye(rows, columns, k, dtype.numpy))
