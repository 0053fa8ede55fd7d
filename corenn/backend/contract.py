"""The contract between corenn and a backend: three tiers, of which only the first is mandatory.

1. **Arrays** (``Backend``): a name, an array-API namespace ``xp``, host-to-device and back.  With just this every op
   runs, through the shared kernels and the decompositions of the op table.
2. **Kernels** (``Backend.kernels``): faster functions for single ops, each with a predicate that may decline.
3. **Compile** (``Backend.compile``): whole programs.  ``None`` means "use the core's interpreter".
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from corenn import dtypes
from corenn.dtypes import DType
from corenn.errors import DTypeError
from corenn.plugin.records import CONTRACT_VERSION
from corenn.spec import Spec

__all__ = ["CONTRACT_VERSION", "Backend", "Kernel"]


@dataclass(frozen=True, slots=True)
class Kernel:
    """A backend's own implementation of one op.

    ``function(*arrays, **attributes)`` takes and returns the backend's raw arrays (a tuple for an op with several
    results); dtype attributes arrive as the backend's dtypes, optional tensors that are absent as ``None``.
    ``when(specs, attributes)`` may decline (return False) for operands it does not serve; the shared kernel or the
    decomposition then does.  ``out`` says that ``function`` takes ``out=`` buffers of the result's spec.

    Instead of ``function`` a kernel may have ``prepare(specs, attributes)``: it is called once for operands of these
    specs, and returns a function of the arrays alone, which returns arrays also where the result has no axes.
    """

    function: Callable[..., Any] | None = None
    when: Callable[[Sequence[Spec | None], Mapping[str, Any]], bool] | None = None
    out: bool = False
    prepare: Callable[[Sequence[Spec | None], Mapping[str, Any]], Callable[..., Any]] | None = None

    def __post_init__(self) -> None:
        if (self.function is None) == (self.prepare is None):
            raise TypeError("a Kernel has either a function or a prepare")


class Backend(ABC):
    """One way of holding and computing with arrays.  Subclass it, set ``name`` and ``xp``, write the two transfers.

    ``name`` is what users write (``corenn.device("name")``); ``xp`` an array-API namespace (2023.12).  Arrays handed
    to kernels are never mutated and may be views of one another.
    """

    name: str
    xp: Any
    #: Dtypes the backend stores but computes in a wider one: operands are widened, results rounded once.
    computes_in: Mapping[DType, DType] = {}
    #: Whether its arrays only stand for values: then everything must go through ``plan`` (see there).
    records: bool = False

    # ---- tier 1: arrays

    @abstractmethod
    def from_host(self, array: np.ndarray[Any, Any], index: int) -> Any:
        """Copy a NumPy array (any strides, an offered dtype) to device ``index``; return a raw array."""

    @abstractmethod
    def to_host(self, array: Any) -> np.ndarray[Any, Any]:
        """Copy a raw array to the host, waiting for the work that makes it; may share memory with ``array``."""

    def device_count(self) -> int:
        """How many devices there are; their indices are ``range(device_count())``."""
        return 1

    def synchronize(self, index: int) -> None:  # noqa: B027  # a backend that runs at once has nothing to wait for
        """Wait until all work queued on device ``index`` is done."""

    def device_handle(self, index: int) -> Any:
        """What ``xp``'s creation functions take as ``device=`` for device ``index``; ``None`` for the default."""
        return None

    def bind(self, function: Callable[..., Any], index: int) -> Callable[..., Any]:
        """``function`` made to run with device ``index`` current; asked once for each plan, not for each call."""
        return function

    def dtypes(self) -> frozenset[DType]:
        """The dtypes offered.  Default: those whose names ``xp`` has, without bfloat16."""
        return frozenset(d for d in dtypes.ALL if d is not dtypes.bfloat16 and hasattr(self.xp, d.name))

    def dtype(self, dtype: DType) -> Any:
        """The backend's own object for ``dtype``."""
        return getattr(self.xp, dtype.name)

    def dtype_of(self, array: Any) -> DType:
        """The corenn dtype of a raw array (used where an op's result is checked, not on the hot path)."""
        for known in self.offered:
            if array.dtype == self.dtype(known):
                return known
        raise DTypeError(self.name, f"a kernel returned elements of type {array.dtype}, which corenn does not know")

    def describe_device(self, index: int) -> str:
        """One line for a person: what device ``index`` is."""
        return self.name

    # ---- tier 2: kernels

    def kernels(self) -> Mapping[str, Kernel | Sequence[Kernel]]:
        """Op name to kernel, or to several that are asked in order.  Names of ops that do not exist are an error."""
        return {}

    def plan(
        self, op: Any, inputs: Sequence[Spec | None], attrs: Mapping[str, Any], device: Any
    ) -> Callable[..., Any] | None:
        """What serves a call of ``op`` in place of any kernel: for devices that record instead of computing."""
        return None

    # ---- tier 3: compile

    def compile(self, program: Any) -> Any | None:
        """An executable for a whole program, or ``None`` to have the core's interpreter run it."""
        return None

    # ---- derived

    @property
    def offered(self) -> frozenset[DType]:
        """``dtypes()``, asked once."""
        found: frozenset[DType] | None = self.__dict__.get("_offered")
        if found is None:
            found = self.__dict__["_offered"] = self.dtypes()
        return found

    def kernels_for(self, op_name: str) -> Sequence[Kernel]:
        """The kernels for one op, in the order to ask them."""
        table = self.__dict__.get("_kernel_table")
        if table is None:
            table = self.__dict__["_kernel_table"] = dict(self.kernels())
        found = table.get(op_name, ())
        return (found,) if isinstance(found, Kernel) else found
