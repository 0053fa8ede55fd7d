"""The op table: what an op is, and the decorator that declares one.

An op is declared once, in one file, and everything about it stands together::

    @op(family=unary, dtypes=FLOATING)
    def tanh(x: TensorLike, /) -> Tensor:
        '''Hyperbolic tangent, elementwise.'''

    tanh.kernel("tanh")                                 # the array API's function, or a function of (xp, x)
    tanh.vjp(lambda g, out: g * (1 - out * out))        # written in ops; names say what is kept alive
    tanh.samples(real(-3, 3))
    tanh.reference(np.tanh)

**Tensors are positional, attributes keyword-only.**  What ``@op`` returns is a plain function with the record on
``.op`` and the declaring methods beside it.  The rules of a vjp may name, in any order: ``g`` (the gradient of the
result; a tuple for an op with several), any input (kept alive), ``<input>_spec`` (its shape and dtype, which cost
nothing), ``out`` (the result, kept alive), ``out_spec``, and any attribute.  A joint rule of an op with several results
may name ``arrived`` in place of ``g``: the same tuple, with ``None`` instead of zeros for results nothing depends on.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Protocol, TypeAlias, TypeVar, cast

import numpy as np

from corenn import dtypes
from corenn.dtypes import DType
from corenn.errors import AttributeValueError, DTypeError, ShapeError
from corenn.ops.sampling import Arg, ErrorSample, Sample
from corenn.spec import Spec

if TYPE_CHECKING:
    from corenn.tensor import Tensor

TensorLike: TypeAlias = "Tensor | np.ndarray[Any, Any] | bool | int | float | complex | list[Any]"
Result: TypeAlias = "Spec | tuple[Spec, ...]"
REQUIRED: Any = type("Required", (), {"__repr__": lambda self: "required"})()

#: Every op by name: the whole vocabulary of the framework.
TABLE: dict[str, Op] = {}


class Call:
    """One use of an op during inference: the op, the operands' specs, and attributes that inference may canonicalise.

    The error constructors fill in the op, the operands by parameter name, and a note beside each one named.
    """

    __slots__ = ("attrs", "op", "specs")

    def __init__(self, op: Op, specs: tuple[Spec | None, ...], attrs: dict[str, Any]) -> None:
        self.op, self.specs, self.attrs = op, specs, attrs

    def operands(self, notes: Mapping[str, str] | None = None) -> dict[str, object]:
        """Operands by name, and the attributes that have a note, for an error message."""
        notes = notes or {}
        shown: dict[str, object] = {}
        for name, spec in zip(self.op.operand_names(len(self.specs)), self.specs, strict=True):
            if spec is not None or name in notes:
                note = f"   {notes[name]}" if notes.get(name) else ""
                shown[name] = f"{spec if spec is not None else 'absent'}{note}"
        for name in self.op.attributes:
            if name in notes:
                shown[name] = f"{self.attrs.get(name)!r}" + (f"   {notes[name]}" if notes[name] else "")
        return shown

    def shape_error(self, what: str, hint: str | None = None, **notes: str) -> ShapeError:
        """A ShapeError about this call."""
        return ShapeError(self.op.name, what, self.operands(notes), hint=hint)

    def dtype_error(self, what: str, hint: str | None = None, **notes: str) -> DTypeError:
        """A DTypeError about this call."""
        return DTypeError(self.op.name, what, self.operands(notes), hint=hint)

    def attribute_error(self, what: str, hint: str | None = None, **notes: str) -> AttributeValueError:
        """An AttributeValueError about this call."""
        return AttributeValueError(self.op.name, what, self.operands(notes), hint=hint)


@dataclass(frozen=True)
class Family:
    """How ops of one kind infer: ``infer(call, *specs)`` returns the result's spec and may canonicalise ``call.attrs``.

    ``promote`` brings all tensors to their common dtype first (casts that are recorded and differentiated).
    """

    infer: Callable[..., Result]
    promote: bool = False


class Rule:
    """One gradient rule: the function, and for each of its parameters where the value comes from.

    ``apply(entry, g, needs)`` calls it with what it names of a recorded call.  ``keeps`` has the indices of the inputs
    it keeps alive; -1 stands for the result.  ``partial``: it takes ``None`` for gradients that have not arrived.
    """

    __slots__ = ("apply", "function", "keeps", "partial")

    def __init__(self, op: Op, function: Callable[..., Any]) -> None:
        self.function = function
        code = function.__code__
        names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        tensors = op.all_tensors
        self.partial = "arrived" in names
        self.keeps = frozenset(tensors.index(n) for n in names if n in tensors) | ({-1} if "out" in names else set())
        arguments = ", ".join(_expression(op, name) for name in names)
        # Compiled, as every call of every backward pass goes through it.
        self.apply: Callable[[Any, Any, Any], Any] = eval(
            f"lambda entry, g, needs: function({arguments})", {"function": function}
        )


def _expression(op: Op, name: str) -> str:
    """How to read one parameter of a rule off a recorded call (see ``corenn.autodiff.reverse.Entry``)."""
    if name in ("g", "needs"):
        return name
    if name == "arrived":
        return "g"
    if name == "out":
        return "entry.out"
    if name == "out_spec":
        return "entry.plan.specs" if op.results is not None else "entry.plan.specs[0]"
    tensors, fixed = op.all_tensors, len(op.tensors)
    base, held = (name[:-5], "entry.plan.inputs") if name.endswith("_spec") else (name, "entry.inputs")
    if name not in op.attributes and base in tensors:
        place = tensors.index(base)
        return f"{held}[{place}]" if place < fixed else f"tuple({held}[{fixed}:])"
    if name in op.attributes:
        return f"entry.plan.attrs[{name!r}]"
    raise TypeError(f"op {op.name}: the vjp names {name!r}, which is no tensor or attribute of the op")


class Op:
    """The record of one op.  Built by ``@op``; filled by the methods of the function it returns."""

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        name: str | None,
        family: Family,
        dtypes: frozenset[DType] | Mapping[str, frozenset[DType]],
        results: tuple[str, ...] | None,
        namespace: str,
        pointwise: bool,
    ) -> None:
        code = function.__code__
        count = code.co_posonlyargcount
        if code.co_argcount != count:
            raise TypeError(f"op {function.__name__}: tensors must be positional-only and attributes keyword-only")
        self.name = name or function.__name__
        self.doc = function.__doc__ or ""
        self.namespace = namespace
        self.declaration = function
        self.tensors: tuple[str, ...] = code.co_varnames[:count]
        attributes = code.co_varnames[count : count + code.co_kwonlyargcount]
        defaults = function.__kwdefaults__ or {}
        self.attributes: dict[str, Any] = {a: defaults.get(a, REQUIRED) for a in attributes}
        self.variadic: str | None = code.co_varnames[count + len(attributes)] if code.co_flags & 0x04 else None
        self.optional = len(function.__defaults__ or ())
        self.family = family
        self.dtypes = dtypes
        self.results = results
        self.pointwise = pointwise
        self.kernel_function: Callable[..., Any] | str | None = None
        self.decomposition: Callable[..., Any] | None = None
        self.rules: dict[int, Rule] = {}
        self.joint_rule: Rule | None = None
        self.sample_list: list[Sample] = []
        self.error_list: list[ErrorSample] = []
        self.reference_function: Callable[..., Any] | None = None
        self.terms_function: Callable[..., int] | None = None
        self.plans: dict[tuple[Any, ...], Any] = {}
        self.public: Callable[..., Any]
        self._kept: dict[int, tuple[frozenset[int], bool]] = {}

    def __repr__(self) -> str:
        return f"<op {self.name}>"

    @property
    def all_tensors(self) -> tuple[str, ...]:
        """Names of the tensor parameters, the variadic one last."""
        return (*self.tensors, self.variadic) if self.variadic else self.tensors

    @property
    def differentiable(self) -> bool:
        """Whether gradients pass: by rules of its own, or through the decomposition."""
        return bool(self.rules) or self.joint_rule is not None

    def operand_names(self, count: int) -> list[str]:
        """Names of ``count`` operands; the variadic ones are ``name[0]``, ``name[1]``, ..."""
        names = list(self.tensors[:count])
        return names + [f"{self.variadic}[{i}]" for i in range(count - len(names))]

    def accepted(self, parameter: str) -> frozenset[DType]:
        """The dtypes that one tensor parameter takes."""
        if isinstance(self.dtypes, Mapping):
            return self.dtypes.get(parameter, dtypes.ALL)
        return self.dtypes

    def kept(self, key: int) -> tuple[frozenset[int], bool]:
        """Which inputs, and whether the result, must stay alive for the gradients of the watched operands.

        ``key``: bit i is set where operand i is watched, and above them the bit of their number.
        """
        found = self._kept.get(key)
        if found is None:
            count, fixed = key.bit_length() - 1, len(self.tensors)
            rules = [self.joint_rule] if self.joint_rule else [r for i, r in self.rules.items() if key >> i & 1]
            indices = frozenset().union(*(r.keeps for r in rules if r is not None))
            inputs = {i for i in indices if 0 <= i < fixed} | set(range(fixed, count) if fixed in indices else ())
            found = self._kept[key] = frozenset(inputs), -1 in indices
        return found


P = ParamSpec("P")
R = TypeVar("R", covariant=True)
F = TypeVar("F", bound=Callable[..., Any])


class OpFunction(Protocol[P, R]):
    """What ``@op`` returns: the function users call, the record on ``.op``, and the declaring methods."""

    op: Op
    __name__: str
    __doc__: str | None

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run or record the op."""

    def kernel(self, function: F | str) -> F:
        """Declare the shared kernel: a function of ``(xp, *arrays, **attributes)``, or the name of one in ``xp``.

        A kernel with a keyword parameter ``device`` is given the backend's device handle (what ``xp.zeros`` and its
        like take), one with ``place`` the corenn Device.
        """

    def decompose(self, function: F) -> F:
        """Declare the op in terms of other ops; takes and returns tensors."""

    def vjp(self, joint: Callable[..., Any] | None = None, /, **rules: Callable[..., Any]) -> Callable[..., Any] | None:
        """Declare gradients: one rule for all inputs (returning one gradient, or a tuple), or one per input by name.

        A joint rule may take ``needs``, a tuple of bools, and return ``None`` where no gradient is needed.
        """

    def samples(self, *samples: Sample | Arg) -> None:
        """Declare operands the op is tested on."""

    def error_samples(self, *samples: ErrorSample) -> None:
        """Declare operands the op must refuse, with the error and part of its message."""

    def reference(self, function: F) -> F:
        """Declare the meaning, in NumPy (float64): ``function(*arrays, **attributes)``."""

    def terms(self, function: F) -> F:
        """Declare how many terms each element of the result adds up: ``function(*specs, **attributes) -> int``.

        Tolerances grow with its square root.  Default: operand elements per element of the result.
        """


class _Declare(Generic[P]):
    """The declaring methods of one op function (see OpFunction for what each does)."""

    def __init__(self, record: Op) -> None:
        self.op = record

    def kernel(self, function: Any) -> Any:
        self.op.kernel_function = function
        return function

    def decompose(self, function: F) -> F:
        self.op.decomposition = function
        return function

    def vjp(self, joint: Callable[..., Any] | None = None, /, **rules: Callable[..., Any]) -> Any:
        if joint is not None:
            self.op.joint_rule = Rule(self.op, joint)
            if len(self.op.tensors) == 1 and not self.op.variadic:
                self.op.rules[0], self.op.joint_rule = self.op.joint_rule, None
        for name, function in rules.items():
            self.op.rules[self.op.tensors.index(name)] = Rule(self.op, function)
        return joint

    def samples(self, *samples: Sample | Arg) -> None:
        self.op.sample_list += [s if isinstance(s, Sample) else Sample((s,), {}) for s in samples]

    def error_samples(self, *samples: ErrorSample) -> None:
        self.op.error_list += samples

    def reference(self, function: F) -> F:
        self.op.reference_function = function
        return function

    def terms(self, function: F) -> F:
        self.op.terms_function = function
        return function


def op(
    *,
    family: Family | None = None,
    infer: Callable[..., Result] | None = None,
    promote: bool = False,
    dtypes: frozenset[DType] | Mapping[str, frozenset[DType]] = dtypes.ALL,
    results: Iterable[str] | None = None,
    name: str | None = None,
    namespace: str = "",
    pointwise: bool = False,
) -> Callable[[Callable[P, R]], OpFunction[P, R]]:
    """Declare an op from the signature and docstring of an empty function (see the module's docstring).

    ``family`` (or ``infer``, with ``promote``) says how shapes and dtypes follow; ``dtypes`` what is accepted, for all
    tensors or per parameter; ``results`` names the results of an op with several; ``namespace`` is where the public
    name goes ("" for ``corenn``, "nn", "random", "linalg", "image", or "_" for ops only other ops use).
    ``pointwise``: an element of a result depends on the elements in its place alone, and on operands of one number, so
    that calls on several variables can be joined (see ``corenn.compiler.passes.join_updates``).
    """

    def declare(function: Callable[P, R]) -> OpFunction[P, R]:
        from corenn.ops.dispatch import make_function

        chosen = family if family is not None else Family(cast("Callable[..., Result]", infer), promote)
        record = Op(
            function,
            name=name,
            family=chosen,
            dtypes=dtypes,
            results=tuple(results) if results else None,
            namespace=namespace,
            pointwise=pointwise,
        )
        if record.name in TABLE:
            raise TypeError(f"op {record.name!r} is declared twice")
        TABLE[record.name] = record
        public = functools.wraps(function)(make_function(record))
        declaring: _Declare[P] = _Declare(record)
        for method in ("kernel", "decompose", "vjp", "samples", "error_samples", "reference", "terms"):
            setattr(public, method, getattr(declaring, method))
        public.op = record  # type: ignore[attr-defined]  # functions carry attributes
        record.public = public
        return cast("OpFunction[P, R]", public)

    return declare
