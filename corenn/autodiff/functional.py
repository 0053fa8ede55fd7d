"""Gradients of functions: ``grad``, ``value_and_grad``, ``jacobian``, ``hessian``, ``vjp``, and ``custom_gradient``."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

from corenn import tree
from corenn.autodiff.reverse import Entry
from corenn.autodiff.tape import GradientTape, read, recording_tapes
from corenn.errors import GradientError, ShapeError, UsageError
from corenn.ops.creation import tensor
from corenn.ops.dispatch import _interpreter, current
from corenn.tensor import Node, Tensor
from corenn.variable import Variable

Arguments = int | tuple[int, ...]


def _watched(tape: GradientTape, args: tuple[Any, ...], argnums: Arguments) -> tuple[list[Any], Any]:
    """The arguments as fresh tensors where they are differentiated, and the structure of those."""
    chosen = (argnums,) if isinstance(argnums, int) else argnums
    given = list(args)
    for i in chosen:
        if not -len(args) <= i < len(args):
            raise UsageError("grad", f"argnums {i} but the function was given {len(args)} arguments")
        given[i] = tree.tree_map(_fresh, given[i])
        tape.watch(given[i])
    return given, given[argnums] if isinstance(argnums, int) else tuple(given[i] for i in chosen)


def _fresh(value: Any) -> Tensor:
    if isinstance(value, Variable):
        return value
    made = value if isinstance(value, Tensor) else tensor(value)
    if made.node is not None or hasattr(made, "__corenn_op__"):
        return made  # watched by an outer tape: keep the identity, so that derivatives nest
    return Tensor(made.data, made.spec)


def value_and_grad(function: Callable[..., Any], argnums: Arguments = 0, has_aux: bool = False) -> Callable[..., Any]:
    """A function returning ``(function(...), gradient)``.

    ``function`` must return a floating scalar tensor (with ``has_aux``, a pair of it and anything else).  The gradient
    is with respect to the arguments ``argnums`` (an int, or ints for a tuple), each any structure of tensors, which the
    gradient repeats; zeros where the result does not depend on them.  Raises ShapeError for a result of several
    elements, GradientError for one that is not floating.
    """
    if not callable(function):
        raise UsageError("grad", "takes a function of tensors", {"given": type(function).__name__},
                         hint="corenn.grad(lambda x: corenn.sum(x ** 2))(x), or a GradientTape")  # fmt: skip

    @functools.wraps(function)
    def run(*args: Any, **options: Any) -> Any:
        with GradientTape() as tape:
            given, sources = _watched(tape, args, argnums)
            result = function(*given, **options)
            value = result[0] if has_aux else result
        if not isinstance(value, Tensor):
            raise UsageError("grad", "the function must return a tensor", {"result": type(value).__name__},
                             hint="use corenn ops to the end: float(x) and x.numpy() leave the tape")  # fmt: skip
        if value.size != 1:
            raise ShapeError(
                "grad",
                "the function must return a scalar",
                {"result": value.spec},
                hint="reduce it (corenn.sum, corenn.mean), or use corenn.jacobian",
            )
        return result, tape.gradient(value, sources, unconnected_gradients="zero")

    return run


def grad(function: Callable[..., Any], argnums: Arguments = 0, has_aux: bool = False) -> Callable[..., Any]:
    """A function returning the gradient of ``function`` (and the auxiliary output, with ``has_aux``).

    See ``value_and_grad``.  Applied twice, ``grad(grad(f))`` is the second derivative.
    """
    both = value_and_grad(function, argnums, has_aux)

    @functools.wraps(function)
    def run(*args: Any, **options: Any) -> Any:
        value, gradient = both(*args, **options)
        return (gradient, value[1]) if has_aux else gradient

    return run


def vjp(function: Callable[..., Any], *args: Any) -> tuple[Any, Callable[[Any], Any]]:
    """``function(*args)`` and a function from output gradients (its structure) to the tuple of input gradients."""
    tape = GradientTape(persistent=True)
    with tape:
        given, sources = _watched(tape, args, tuple(range(len(args))))
        value = function(*given)

    def pull(gradients: Any) -> Any:
        return tape.gradient(value, sources, gradients, unconnected_gradients="zero")

    return value, pull


def jacobian(function: Callable[..., Any], argnums: Arguments = 0) -> Callable[..., Any]:
    """A function returning d result / d argument: shape ``result.shape + argument.shape`` for each tensor argument.

    ``function`` returns one floating tensor.  One reverse pass per element of the result.
    """

    @functools.wraps(function)
    def run(*args: Any, **options: Any) -> Any:
        with GradientTape() as tape:
            given, sources = _watched(tape, args, argnums)
            value = function(*given, **options)
        return tape.jacobian(value, sources, unconnected_gradients="zero")

    return run


def hessian(function: Callable[..., Any], argnums: int = 0) -> Callable[..., Any]:
    """A function returning the second derivatives of a scalar ``function``: shape ``x.shape + x.shape``."""
    return jacobian(grad(function, argnums), argnums)


class _CustomPlan:
    """What the reverse pass needs of a plan and its op, for a function with a gradient of its own."""

    name, rules, attrs = "custom_gradient", MappingProxyType[int, Any]({}), MappingProxyType[str, Any]({})
    partial = False

    def __init__(
        self, pull: Callable[..., Any], operands: list[Tensor], outputs: tuple[Tensor, ...], single: bool
    ) -> None:
        self.op, self.joint_rule, self._pull = self, self, pull
        self.results = None if single else tuple(str(i) for i in range(len(outputs)))
        self.inputs, self.specs = tuple(t.spec for t in operands), tuple(t.spec for t in outputs)

    def apply(self, entry: Entry, g: Any, needs: tuple[bool, ...]) -> Any:
        """The caller's gradients for one recorded call."""
        found = self._pull(*(g if isinstance(g, tuple) else (g,)))
        gradients = tuple(found) if isinstance(found, (list, tuple)) else (found,)
        if len(gradients) != len(needs):
            raise GradientError(
                "custom_gradient",
                f"the gradient function returned {len(gradients)} gradients for {len(needs)} arguments",
            )
        return gradients


def custom_gradient(function: Callable[..., tuple[Any, Callable[..., Any]]]) -> Callable[..., Any]:
    """Decorate a function that returns ``(result, gradient_function)`` to use that gradient instead of the derived one.

    ``function(*tensors, **options)``: positional arguments are tensors.  ``gradient_function(*output_gradients)``
    returns one gradient per positional argument (``None`` for none); written in ops, it can be differentiated again.
    Trainable variables must be passed as arguments: one read from outside is a GradientError.
    """

    @functools.wraps(function)
    def run(*args: Any, **options: Any) -> Any:
        in_graph = getattr(current(), "call", None)
        if in_graph is not None:  # one operation, differentiated when the graph runs
            outputs = in_graph(functools.partial(run, **options), *args, type_name="CustomGradient")
            return outputs[0] if len(outputs) == 1 else outputs
        tapes = recording_tapes()
        tensors = [a if isinstance(a, Tensor) else tensor(a) for a in args]
        if not tapes:
            return function(*tensors, **options)[0]
        tensors = [read(t, tapes) if isinstance(t, Variable) else t for t in tensors]
        token = _interpreter.set(None)
        try:
            with GradientTape() as probe:
                result, pull = function(*tensors, **options)
        finally:
            _interpreter.reset(token)
        if probe.watched_variables():
            names = ", ".join(repr(v.name) for v in probe.watched_variables())
            raise GradientError(
                "custom_gradient",
                f"the function reads the variables {names} from outside",
                hint="pass them as arguments and return their gradients too",
            )
        single = isinstance(result, Tensor)
        outputs = tuple(Tensor(r.data, r.spec) for r in ((result,) if single else result))
        targets = tuple(Node() for _ in outputs)
        for output, node in zip(outputs, targets, strict=True):
            output.node = node
        plan, nodes = _CustomPlan(pull, tensors, outputs, single), [t.node for t in tensors]
        for tape in tapes:
            if not tape.watched.isdisjoint(nodes):
                sources = [n if n in tape.watched else None for n in nodes]
                tape.entries.append(Entry(plan, sources, [None] * len(nodes), None, targets))
                tape.watched.update(targets)
        return outputs[0] if single else outputs

    return run


def stop_gradient_of(structure: Any) -> Any:
    """``stop_gradient`` of every tensor in a structure."""
    from corenn.ops.elementwise import stop_gradient

    return tree.tree_map(lambda t: stop_gradient(t) if isinstance(t, Tensor) else t, structure)


__all__ = ["custom_gradient", "grad", "hessian", "jacobian", "stop_gradient_of", "value_and_grad", "vjp"]
