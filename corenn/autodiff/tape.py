"""``GradientTape``: record what is computed in a block, then ask for gradients.

A tape watches *nodes*, identities apart from the data, and keeps only the tensors that a gradient rule names.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Literal

from corenn import tree
from corenn.autodiff.reverse import Entry, backpropagate, refuse_target
from corenn.errors import DTypeError, GradientError, GraphError, ShapeError, UsageError
from corenn.ops.creation import eye, ones_like, tensor, zeros_like
from corenn.ops.dispatch import Plan, _interpreter, current, find
from corenn.ops.shaping import broadcast_to, reshape, stack
from corenn.ops.table import Op
from corenn.spec import Spec
from corenn.tensor import Node, Tensor
from corenn.variable import Variable


@functools.lru_cache(maxsize=64)
def _one(spec: Spec) -> Tensor:
    """The gradient of a scalar with respect to itself."""
    return tensor(1.0, dtype=spec.dtype, device=spec.device)


class Recorder:
    """The interpreter while several tapes record: runs each call, lists it on every tape that watches an operand."""

    __slots__ = ("tapes",)

    def __init__(self, tapes: tuple[GradientTape, ...]) -> None:
        self.tapes = tapes

    def __call__(self, op: Op, args: tuple[Any, ...], attrs: dict[str, Any]) -> Any:
        """Run the call; an op without a rule runs as the ops of its decomposition, which are listed instead."""
        plan, operands = find(op, args, attrs)
        tensors = [read(t, self.tapes) if isinstance(t, Variable) else t for t in operands]
        nodes = [None if t is None else t.node for t in tensors]
        watching = [tape for tape in self.tapes if not tape.watched.isdisjoint(nodes)]
        if not watching:
            return plan.execute(tensors)
        if op.joint_rule is None and not op.rules:
            return run_parts(plan, tensors)
        out = plan.execute(tensors)
        targets = identify(out)
        for tape in watching:
            list_call(tape, plan, tensors, nodes, out, targets)
        return out


def recording_tapes() -> tuple[GradientTape, ...]:
    """The tapes that record here and now, outer before inner."""
    interpreter = current()
    if isinstance(interpreter, GradientTape):
        return (interpreter,)
    return interpreter.tapes if isinstance(interpreter, Recorder) else ()


def _record_on(tapes: tuple[GradientTape, ...]) -> None:
    _interpreter.set(None if not tapes else tapes[0] if len(tapes) == 1 else Recorder(tapes))


def read(variable: Variable, tapes: tuple[GradientTape, ...]) -> Tensor:
    """The variable's present value as a tensor of its own, watched by the tapes that watch trainable variables."""
    if variable.trainable:
        for tape in tapes:
            if tape.watch_accessed_variables and variable.node not in tape.watched:
                tape.watch_variable(variable)
    return _snapshot(variable)


def _snapshot(variable: Variable) -> Tensor:
    value = Tensor(variable.data, variable.spec)
    value.node = variable.node
    return value


def _value(operand: Tensor | None) -> Tensor | None:
    """What an entry keeps of an operand: of a variable the value it has now."""
    return operand if operand.__class__ is Tensor or not isinstance(operand, Variable) else _snapshot(operand)


def run_parts(plan: Plan, tensors: Sequence[Tensor | None]) -> Any:
    """Run an op without rules: through its decomposition, whose parts are recorded, if gradients can pass."""
    if plan.op.decomposition is not None and any(s.dtype.is_inexact for s in plan.specs):
        return plan.op.decomposition(*tensors, **plan.attrs)
    return plan.execute(tensors)


def identify(out: Any) -> tuple[Node, ...]:
    """Give each result an identity on tapes."""
    if out.__class__ is Tensor:
        node = out.node = Node()
        return (node,)
    for result in out:
        result.node = Node()
    return tuple([r.node for r in out])


def list_call(
    tape: GradientTape, plan: Plan, tensors: Sequence[Tensor | None], nodes: Sequence[Node | None], out: Any,
    targets: tuple[Node, ...],
) -> None:  # fmt: skip
    """Append a call to a tape, keeping only the operands and results that the rules of its watched operands name."""
    sources = [n if n in tape.watched else None for n in nodes]
    key = sum(1 << i for i, n in enumerate(sources) if n is not None) + (1 << len(sources))
    tape.list_entry(plan, tensors, sources, key, out, targets)


def _check_known(where: str, *tensors: Any) -> None:
    """GraphError for tensors of a graph whose shapes are not known."""
    for tensor_ in tensors:
        shape = getattr(tensor_, "extents", ())  # those of a graph have it
        if shape is None or None in shape:
            raise GraphError(where, "a shape is not known while the graph is built", {"tensor": tensor_},
                             hint="state all extents, or call it outside the graph")  # fmt: skip


def _total(gradients: dict[Node | None, Tensor], nodes: list[Node]) -> Tensor | None:
    """The sum of a source's gradients: it has several nodes where a variable was assigned to between its uses."""
    if len(nodes) == 1:
        return gradients.get(nodes[0])
    parts = [gradients[n] for n in nodes if n in gradients]
    return functools.reduce(lambda a, b: a + b, parts) if parts else None


class GradientTape:
    """Records the ops run inside ``with GradientTape() as tape:`` so that ``tape.gradient(y, x)`` can be asked.

    Trainable variables are watched as they are read (unless ``watch_accessed_variables=False``); tensors only after
    ``tape.watch(t)``.  A tape gives its gradients once and is then empty, unless ``persistent``.  Tapes nest: the
    gradients an inner tape computes inside an outer one are recorded by the outer one.
    """

    __slots__ = (
        "_graph", "_recording", "_roots", "_spent", "_variables", "entries", "persistent", "watch_accessed_variables",
        "watched",
    )  # fmt: skip

    def __init__(self, persistent: bool = False, watch_accessed_variables: bool = True) -> None:
        self.persistent = persistent
        self.watch_accessed_variables = watch_accessed_variables
        self.entries: list[Entry] = []
        self.watched: set[Node | None] = set()
        self._variables: dict[int, tuple[Variable, list[Node]]] = {}
        self._roots: list[Node] = []  # the nodes that are watched and that no listed call gave
        self._spent = False
        self._recording = False
        self._graph: Any = None

    def __call__(self, op: Op, args: tuple[Any, ...], attrs: dict[str, Any]) -> Any:
        """Run and record one call: what ``Recorder`` does, for the common case of a single tape, without its loops."""
        try:
            plan = op.plans[(*[a.spec for a in args], *attrs.items())]
            tensors: Sequence[Tensor | None] = args
        except (KeyError, AttributeError, TypeError):
            plan, tensors = find(op, args, attrs)
        watched = self.watched
        sources: list[Node | None] = []
        data: list[Any] = []
        key, bit = 0, 1  # which operands are watched, as bits, below one for how many there are
        for t in tensors:
            if t is None:
                node = None
                data.append(None)
            else:
                data.append(t.data)
                node = t.node
                if t.__class__ is not Tensor and node not in watched:
                    node = self._reads(t)  # type: ignore[arg-type]  # a variable
            if node is not None and node in watched:
                key += bit
                sources.append(node)
            else:
                sources.append(None)
            bit += bit
        if not key:
            return plan.execute(tensors)
        if op.joint_rule is None and not op.rules:
            return run_parts(plan, [read(t, (self,)) if isinstance(t, Variable) else t for t in tensors])
        if plan.spec is not None:
            out: Any = Tensor(plan.run(*data), plan.spec)
            node = out.node = Node()
            targets: tuple[Node, ...] = (node,)
            watched.add(node)
        else:
            out = plan.execute(tensors)
            targets = identify(out)
            watched.update(targets)
        kept, keep_out = op.kept(key + bit)
        inputs: Sequence[Tensor | None] = ()
        if kept:
            inputs = [_value(t) if i in kept else None for i, t in enumerate(tensors)]
        self.entries.append(Entry(plan, sources, inputs, out if keep_out else None, targets))
        return out

    def _reads(self, variable: Variable) -> Node | None:
        """Watch a variable that is read, if this tape does that; its identity."""
        if variable.trainable and self.watch_accessed_variables:
            self.watch_variable(variable)
        return variable.node

    def list_entry(
        self, plan: Plan, tensors: Sequence[Tensor | None], sources: list[Node | None], key: int, out: Any,
        targets: tuple[Node, ...],
    ) -> None:  # fmt: skip
        """Append a call; ``key`` says which of its operands are watched (see ``Op.kept``)."""
        kept, keep_out = plan.op.kept(key)
        inputs = [t if i in kept else None for i, t in enumerate(tensors)] if kept else ()
        self.entries.append(Entry(plan, sources, inputs, out if keep_out else None, targets))
        self.watched.update(targets)

    # ---- recording

    def __enter__(self) -> GradientTape:
        if self._recording:
            raise GradientError("GradientTape", "the tape is already recording")
        self._resume()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._pause()

    def _resume(self) -> None:
        self._recording = True
        here = current()
        if here is None:
            _interpreter.set(self)
        elif hasattr(here, "tape_gradient"):  # a graph under construction is its own record
            self._graph = here
        else:
            _record_on((*recording_tapes(), self))

    def _pause(self) -> None:
        self._recording = False
        if current() is self:
            _interpreter.set(None)
        elif self._graph is None:
            _record_on(tuple([t for t in recording_tapes() if t is not self]))

    @contextmanager
    def stop_recording(self) -> Iterator[None]:
        """A block inside the tape's whose ops are not recorded by it."""
        if not self._recording:
            raise GradientError("stop_recording", "the tape is not recording", hint="call it inside the tape's block")
        self._pause()
        try:
            yield
        finally:
            self._resume()

    def reset(self) -> None:
        """Forget everything recorded so far, and start again."""
        self.entries.clear()
        self.watched.clear()
        self._variables.clear()
        self._roots.clear()
        self._spent = False

    def watch(self, tensors: Any) -> None:
        """Watch tensors (or a nested structure of them) from here on; DTypeError for those without gradients."""
        for x in tree.leaves(tensors):
            if isinstance(x, Variable):
                self.watch_variable(x)
                continue
            if not isinstance(x, Tensor):
                raise UsageError("watch", f"{type(x).__name__} is not a tensor", hint="x = corenn.tensor(data)")
            if self._graph is not None and x.dtype.is_inexact:
                continue
            if not x.dtype.is_inexact:
                raise DTypeError(
                    "watch",
                    "only floating tensors have gradients",
                    {"x": x.spec},
                    hint="corenn.cast(x, dtype='float32')",
                )
            if x.node is None:
                x.node = Node()
            if x.node not in self.watched:
                self.watched.add(x.node)
                self._roots.append(x.node)

    def watch_variable(self, variable: Variable) -> None:
        """Watch the present value of a variable (done by itself for trainable ones as they are read)."""
        node = variable.node
        if node is None:
            node = variable.node = Node()
        if node not in self.watched and variable.spec.dtype.kind in "fc":
            self.watched.add(node)
            self._roots.append(node)
            known = self._variables.get(id(variable))
            if known is None:
                self._variables[id(variable)] = (variable, [node])
            else:
                known[1].append(node)

    def watched_variables(self) -> tuple[Variable, ...]:
        """The variables watched so far, in the order they were first read."""
        if self._graph is not None:
            return tuple(v for v, _ in self._graph.reads.values() if v.trainable)
        return tuple(v for v, _ in self._variables.values())

    # ---- gradients

    def gradient(
        self,
        target: Any,
        sources: Any,
        output_gradients: Any = None,
        unconnected_gradients: Literal["none", "zero"] = "none",
    ) -> Any:
        """Gradients of the sum of all elements of ``target`` with respect to ``sources``.

        ``target``: a floating tensor or a nested structure of them; ``sources``: tensors or variables in any
        structure, which the result repeats.  ``output_gradients``: what to multiply each target by first (its shape).
        A source the target does not depend on gives ``None``, or zeros with ``unconnected_gradients="zero"``.
        Raises GradientError when a tape that is not persistent is asked twice, or the target is not floating.
        """
        if target.__class__ is Tensor and output_gradients is None and self._graph is None:
            return self._gradient([target], sources, [None], unconnected_gradients == "zero", not self.persistent)
        targets = [target] if isinstance(target, Tensor) else tree.leaves(target)
        if output_gradients is None or isinstance(target, Tensor):
            seeds = [output_gradients] * len(targets)
        else:
            seeds = tree.leaves(output_gradients)
        if len(seeds) != len(targets):
            raise UsageError("gradient", f"{len(targets)} targets but {len(seeds)} output_gradients")
        return self._asked(targets, sources, seeds, unconnected_gradients == "zero", not self.persistent)

    def _asked(self, targets: list[Any], sources: Any, seeds: list[Any], zeros: bool, consume: bool) -> Any:
        """The gradients, from the graph that is being built if one is."""
        if self._graph is not None:
            return self._graph.tape_gradient(targets, sources, seeds, zeros)
        return self._gradient(targets, sources, seeds, zeros, consume)

    def _gradient(self, targets: list[Any], sources: Any, seeds: list[Any], zeros: bool, consume: bool) -> Any:
        if self._spent:
            raise GradientError(
                "gradient",
                "this tape has given its gradients already and is empty",
                hint="GradientTape(persistent=True) can be asked again; or ask once for all: gradient(y, [a, b])",
            )
        single = isinstance(sources, Tensor)
        flat = [sources] if single else tree.leaves(sources)
        pausing = self._recording and not self.persistent
        if pausing:
            self._pause()
        try:
            gradients: dict[Node | None, Tensor] = {}
            for target, seed in zip(targets, seeds, strict=True):
                self._seed(gradients, target, seed)
            places = [self._nodes(source) for source in flat]
            wanted = {n for nodes in places for n in nodes}
            entries = self.entries if consume else self.entries.copy()
            # What a tape lists depends on its roots: when all are wanted, no path leads elsewhere.
            reached = self.watched if wanted.issuperset(self._roots) else None
            backpropagate(entries, gradients, wanted, consume, reached)
            found = [_total(gradients, nodes) for nodes in places]
            if zeros:
                found = [zeros_like(s) if g is None else g for g, s in zip(found, flat, strict=True)]
        finally:
            if pausing:
                self._resume()
        if consume:
            self.reset()
            self._spent = True
        return found[0] if single else tree.rebuild(sources, iter(found))

    def _seed(self, gradients: dict[Node | None, Tensor], target: Any, seed: Any) -> None:
        if not isinstance(target, Tensor):
            raise UsageError(
                "gradient",
                f"the target is a {type(target).__name__}, not a tensor",
                hint="compute it with corenn ops inside the tape's block",
            )
        spec, node = target.spec, target.node
        if spec.dtype.kind not in "fc":
            refuse_target(spec)
        if node is None:
            return
        if seed is None:
            seed = ones_like(target) if spec.shape else _one(spec)
        else:
            seed = seed if isinstance(seed, Tensor) else tensor(seed, dtype=spec.dtype, device=spec.device)
            if seed.spec.shape != spec.shape:
                raise ShapeError(
                    "gradient",
                    "an output gradient must have its target's shape",
                    {"target": spec, "output_gradient": seed.spec},
                )
        before = gradients.get(node)
        gradients[node] = seed if before is None else before + seed

    def _nodes(self, source: Any) -> list[Node]:
        if isinstance(source, Variable):
            return self._variables.get(id(source), (source, []))[1]
        if not isinstance(source, Tensor):
            raise UsageError("gradient", f"a source is a {type(source).__name__}, not a tensor or variable")
        return [source.node] if source.node is not None and source.node in self.watched else []

    def jacobian(self, target: Tensor, sources: Any, unconnected_gradients: Literal["none", "zero"] = "none") -> Any:
        """d target / d source for every element of ``target``: shape ``target.shape + source.shape``.

        One reverse pass per element of ``target``.  ``None`` (or zeros) for an unconnected source.  GraphError where
        shapes are not known while a graph is built.
        """
        if not isinstance(target, Tensor):
            raise UsageError("jacobian", f"the target is a {type(target).__name__}, not a tensor")
        _check_known("jacobian", target, *tree.leaves(sources))
        zeros = unconnected_gradients == "zero"
        rows: list[list[Any]] = []
        count = target.size
        unit = eye(count, dtype=target.dtype, device=target.device)
        for i in range(count):
            seed = reshape(unit[i], shape=target.shape)
            last = i == count - 1 and not self.persistent
            rows.append(tree.leaves(self._asked([target], sources, [seed], zeros, last)))
        stacked: list[Tensor | None] = []
        for column, source in zip(zip(*rows, strict=True), tree.leaves(sources), strict=True):
            if column[0] is None:
                stacked.append(None)
            else:
                stacked.append(reshape(stack(*column), shape=target.shape + source.shape))
        return tree.rebuild(sources, iter(stacked))

    def batch_jacobian(self, target: Tensor, source: Tensor) -> Tensor | None:
        """Per-example jacobian: ``target`` [b, ...] and ``source`` [b, ...] give [b, *target[1:], *source[1:]].

        Rows of the batch must not depend on one another (as in a network without batch normalisation).  ``None`` where
        they do not depend on ``source``; ShapeError for two batch sizes, GraphError where shapes are not known.
        """
        _check_known("batch_jacobian", target, source)
        if target.shape[:1] != source.shape[:1] or not target.shape:
            raise ShapeError(
                "batch_jacobian",
                "target and source need one batch size",
                {"target": target.spec, "source": source.spec},
            )
        flat_shape = (target.shape[0], target.size // max(1, target.shape[0]))
        unit = eye(flat_shape[1], dtype=target.dtype, device=target.device)
        columns = []
        for i in range(flat_shape[1]):
            seed = reshape(broadcast_to(unit[i], shape=flat_shape), shape=target.shape)
            last = i == flat_shape[1] - 1 and not self.persistent
            columns.append(self._asked([target], source, [seed], False, last))
        if any(c is None for c in columns):
            return None
        stacked = stack(*columns, axis=1)
        return reshape(stacked, shape=target.shape + source.shape[1:])
