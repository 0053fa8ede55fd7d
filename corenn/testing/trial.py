"""One op on one sample in one dtype on one device: operands drawn and placed, every source run, results judged."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from corenn import dtypes
from corenn.device import Device
from corenn.dtypes import DType
from corenn.ops.creation import tensor
from corenn.ops.dispatch import find, kernel_sources
from corenn.ops.sampling import Sample
from corenn.ops.shaping import transpose
from corenn.ops.table import Op
from corenn.tensor import Tensor
from corenn.testing.compare import bits_difference, difference
from corenn.testing.tolerances import forward

Host = np.ndarray[Any, Any]


class NotHere(Exception):
    """A check that does not apply: the backend lacks what it needs.  The text is the reason."""


class Trial:
    """One call of an op: ``operands`` on the host, ``tensors`` on the device, the ``plan`` that dispatch made.

    ``place`` puts a host array on the device (default: a plain copy; see ``strided``).  Raises NotHere when the backend
    does not offer a dtype that the sample or the result needs.
    """

    def __init__(
        self, op: Op, sample: Sample, dtype: DType, device: Device, place: Callable[[Host], Tensor] = tensor
    ) -> None:
        require_dtypes(needed(sample, dtype), device)
        self.op, self.sample, self.device = op, sample, device
        self.operands = sample.draw(op.name, dtype)
        with device:
            self.tensors = tuple(None if a is None else place(a) for a in self.operands)
            self.plan, self._ready = find(op, self.tensors, sample.attrs)

    def run(self) -> tuple[Tensor, ...]:
        """The results, by the source that dispatch chooses."""
        with self.device:
            return self._as_tuple(self.plan.execute(self._ready))

    def sources(self) -> Iterator[tuple[str, Callable[[], tuple[Tensor, ...]]]]:
        """Every source that serves the call, the one dispatch chooses first: its name, and how to run it."""
        plan, counted = self.plan, 0
        for function, source in kernel_sources(self.op, plan.inputs, plan.attrs, plan.specs, self.device):
            counted += source == "backend"
            name = {"backend": f"kernel {counted} of the backend", "shared": "the shared kernel"}.get(source)
            yield name or "the decomposition", lambda function=function: self._run(function)  # type: ignore[misc]

    def _run(self, function: Callable[..., Any]) -> tuple[Tensor, ...]:
        with self.device:
            return self._as_tuple(self.plan.wrap(function(*[None if t is None else t.data for t in self._ready])))

    def _as_tuple(self, result: Any) -> tuple[Tensor, ...]:
        return result if self.op.results is not None else (result,)

    # ---- judging

    def changed(self) -> str | None:
        """What is wrong if running the op changed an operand."""
        names = self.op.operand_names(len(self.tensors))
        for name, t, before in zip(names, self.tensors, self.operands, strict=True):
            if t is not None and before is not None and bits_difference(t.numpy(), before):
                return f"the kernel changed its operand {name!r}"
        return None

    def wrong(self, results: Sequence[Tensor]) -> str | None:
        """What is wrong with results: shape and dtype against inference, values against the reference."""
        if len(results) != len(self.plan.specs):
            return f"{len(results)} results, where inference says {len(self.plan.specs)}"
        expected = self.expected()
        for i, (r, inferred) in enumerate(zip(results, self.plan.specs, strict=True)):
            problem = array_problem(r, inferred.shape, inferred.dtype)
            if problem is None and expected is not None and expected[i] is not None:
                problem = difference(r.numpy(), expected[i], forward(r.dtype).scaled(math.sqrt(self.terms(r))))
            if problem is not None:
                return problem if self.op.results is None else f"result {self.op.results[i]!r}: {problem}"
        return None

    def expected(self) -> tuple[Host, ...] | None:
        """The reference's results, computed in double precision from the operands as drawn; ``None`` without one."""
        if self.op.reference_function is None:
            return None
        attrs = {name: self.sample.attrs.get(name, default) for name, default in self.op.attributes.items()}
        attrs |= {k: dtypes.as_dtype(v) for k, v in attrs.items() if k == "dtype" and v is not None}
        widened = [None if a is None else _widen(a) for a in self.operands]
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a mean over nothing
            found = self.op.reference_function(*widened, **attrs)
        return tuple(found) if self.op.results is not None else (np.asarray(found),)

    def terms(self, result: Tensor) -> int:
        """How many terms an element of a result adds up; tolerances grow with the square root."""
        if self.op.terms_function is not None:
            return max(1, self.op.terms_function(*self.plan.inputs, **self.plan.attrs))
        largest = max((s.size for s in self.plan.inputs if s is not None), default=1)
        return max(1, largest // max(1, result.size))


def array_problem(result: Tensor, shape: tuple[int | None, ...], dtype: DType) -> str | None:
    """What is wrong with the array inside a tensor, against the shape and dtype that inference promised."""
    found = tuple(result.data.shape)
    if len(found) != len(shape) or any(n is not None and n != m for n, m in zip(shape, found, strict=True)):
        return f"the kernel returned shape {found}, inference says {shape}"
    kind = result.device.backend.dtype_of(result.data)
    if kind is not dtype:
        return f"the kernel returned {kind} elements, inference says {dtype}"
    host = result.numpy()
    if host.dtype != dtype.numpy or host.shape != found:
        return f"to_host gave {host.dtype}{list(host.shape)} for {dtype}{list(found)}"
    return None


def _widen(array: Host) -> Host:
    if array.dtype.kind == "c":
        return array.astype(np.complex128)
    return array if array.dtype.kind in "biu" else array.astype(np.float64)


# ---------------------------------------------------------------- what a sample needs


def is_free(sample: Sample) -> bool:
    """Whether any operand takes the dtype under test (the others have dtypes of their own)."""
    return any(a is not None and a.dtype is None for a in sample.args)


def needed(sample: Sample, dtype: DType) -> list[DType]:
    """The dtypes of a sample's operands, and those it asks for by attribute."""
    found = [dtype if a.dtype is None else dtypes.as_dtype(a.dtype) for a in sample.args if a is not None]
    attributes = (
        v if isinstance(v, DType) else dtypes.as_dtype(v) for k, v in sample.attrs.items() if _names_dtype(k, v)
    )
    return [*found, *attributes]


def _names_dtype(key: str, value: Any) -> bool:
    return isinstance(value, DType) or (key.endswith("dtype") and value is not None)


def require_dtypes(wanted: Sequence[DType], device: Device) -> None:
    """Raise NotHere unless the backend of ``device`` offers all of these dtypes."""
    missing = sorted({d.name for d in wanted if d not in device.backend.offered})
    if missing:
        raise NotHere(f"needs {', '.join(missing)}, which the backend does not offer")


# ---------------------------------------------------------------- arrays that are not contiguous


def strided(array: Host) -> Tensor:
    """``array`` on the current device as a view with other strides: transposed, and every other element of an axis.

    The elements between are garbage that no kernel should see.
    """

    turned = np.moveaxis(array, 0, -1) if array.ndim > 1 else array.reshape(-1)
    spaced = np.zeros((*turned.shape[:-1], 2 * turned.shape[-1]), array.dtype)
    spaced[..., 0::2] = turned
    spaced[..., 1::2] = _garbage(array)
    view = tensor(spaced)[..., 0::2]
    if array.ndim > 1:
        return transpose(view, axes=(array.ndim - 1, *range(array.ndim - 1)))
    return view if array.ndim else view[0]


def _garbage(array: Host) -> Any:
    """A value that shows in any result it enters."""
    if array.dtype.kind == "b":
        return True
    return np.iinfo(array.dtype).max // 2 if array.dtype.kind in "iu" else np.asarray(1e3).astype(array.dtype)
