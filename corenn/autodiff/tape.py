"""``GradientTape``: record what is computed in a block, then ask for gradients.

A tape watches *nodes*, identities apart from the data, and keeps only the tensors that a gradient rule names.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Literal

from corenn import tree
from corenn.autodiff.reverse import Entry, backpropagate, check_target
from corenn.errors import DTypeError, GradientError, ShapeError, UsageError
from corenn.ops.creation import eye, ones_like, tensor, zeros_like
from corenn.ops.dispatch import _interpreter, current, find, scalar_beside
from corenn.ops.shaping import broadcast_to, reshape, stack
from corenn.ops.table import Op
from corenn.spec import Spec
from corenn.tensor import Node, Tensor
from corenn.variable import Variable


class Recorder:
    """The interpreter while tapes record: runs each call, and lists it on every tape that watches an operand."""

    __slots__ = ("tapes",)

    def __init__(self, tapes: tuple[GradientTape, ...]) -> None:
        self.tapes = tapes

    def __call__(self, op: Op, args: tuple[Any, ...], attrs: dict[str, Any]) -> Any:
        plan, tensors = find(op, args, attrs)
        for t in tensors:
            if t.__class__ is not Tensor and t is not None:
                tensors = [self.read(t) if isinstance(t, Variable) else t for t in tensors]
                break
        nodes = tuple([None if t is None else t.node for t in tensors])
        watching = [tape for tape in self.tapes if not tape.watched.isdisjoint(nodes)]
        if not watching:
            return plan.execute(tensors)
        if op.joint_rule is None and not op.rules:
            if op.decomposition is not None and any(s.dtype.is_inexact for s in plan.specs):
                return op.decomposition(*tensors, **plan.attrs)  # its parts are recorded one by one
            return plan.execute(tensors)
        out = plan.execute(tensors)
        if op.results is None:
            out.node = Node()
            targets: tuple[Node, ...] = (out.node,)
            specs: tuple[Spec, ...] = (out.spec,)
        else:
            for result in out:
                result.node = Node()
            targets = tuple([r.node for r in out])
            specs = tuple([r.spec for r in out])
        for tape in watching:
            watched = tape.watched
            mask = tuple([n in watched for n in nodes])
            kept, keep_out = op.kept(mask)
            inputs: list[Tensor | None] = [None] * len(mask)
            for i in kept:
                inputs[i] = tensors[i]
            sources = nodes if False not in mask else tuple([n if n in watched else None for n in nodes])
            entry = Entry(op, plan.attrs, plan.inputs, sources, inputs, out if keep_out else None, specs, targets)
            tape.entries.append(entry)
            watched.update(targets)
        return out

    def record(self, op: Any, tensors: list[Tensor], outputs: tuple[Tensor, ...], targets: tuple[Node, ...]) -> None:
        """List a call that has been run already, on every tape that watches an operand; nothing is kept but specs."""
        nodes = tuple([t.node for t in tensors])
        for tape in self.tapes:
            if not tape.watched.isdisjoint(nodes):
                sources = tuple([n if n in tape.watched else None for n in nodes])
                specs, results = tuple(t.spec for t in tensors), tuple(o.spec for o in outputs)
                tape.entries.append(Entry(op, {}, specs, sources, [None] * len(nodes), None, results, targets))
                tape.watched.update(targets)

    def read(self, variable: Variable) -> Tensor:
        """The variable's present value as a tensor of its own, watched by the tapes that watch trainable variables."""
        for tape in self.tapes:
            if variable.trainable and tape.watch_accessed_variables:
                tape.watch_variable(variable)
        value = Tensor(variable.data, variable.spec)
        value.node = variable.node
        return value


class GradientTape:
    """Records the ops run inside ``with GradientTape() as tape:`` so that ``tape.gradient(y, x)`` can be asked.

    Trainable variables are watched as they are read (unless ``watch_accessed_variables=False``); tensors only after
    ``tape.watch(t)``.  A tape gives its gradients once and is then empty, unless ``persistent``.  Tapes nest: the
    gradients an inner tape computes inside an outer one are recorded by the outer one.
    """

    def __init__(self, persistent: bool = False, watch_accessed_variables: bool = True) -> None:
        self.persistent = persistent
        self.watch_accessed_variables = watch_accessed_variables
        self.entries: list[Entry] = []
        self.watched: set[Node] = set()
        self._variables: dict[int, tuple[Variable, list[Node]]] = {}
        self._spent = False
        self._recording = False

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
        recorder = current()
        outer = recorder.tapes if isinstance(recorder, Recorder) else ()
        _interpreter.set(Recorder((*outer, self)))

    def _pause(self) -> None:
        self._recording = False
        recorder = current()
        tapes = recorder.tapes if isinstance(recorder, Recorder) else ()
        rest = tuple([t for t in tapes if t is not self])
        _interpreter.set(Recorder(rest) if rest else None)

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
        self._spent = False

    def watch(self, tensors: Any) -> None:
        """Watch tensors (or a nested structure of them) from here on; DTypeError for those without gradients."""
        for x in tree.leaves(tensors):
            if isinstance(x, Variable):
                self.watch_variable(x)
                continue
            if not isinstance(x, Tensor):
                raise UsageError("watch", f"{type(x).__name__} is not a tensor", hint="x = corenn.tensor(data)")
            if not x.dtype.is_inexact:
                raise DTypeError("watch", "only floating tensors have gradients", {"x": x.spec},
                                 hint="corenn.cast(x, dtype='float32')")  # fmt: skip
            if x.node is None:
                x.node = Node()
            self.watched.add(x.node)

    def watch_variable(self, variable: Variable) -> None:
        """Watch the present value of a variable (done by itself for trainable ones as they are read)."""
        if variable.node is None:
            variable.node = Node()
        if variable.node not in self.watched and variable.dtype.is_inexact:
            self.watched.add(variable.node)
            self._variables.setdefault(id(variable), (variable, []))[1].append(variable.node)

    def watched_variables(self) -> tuple[Variable, ...]:
        """The variables watched so far, in the order they were first read."""
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
        targets = tree.leaves(target)
        seeds = [None] * len(targets) if output_gradients is None else tree.leaves(output_gradients)
        if len(seeds) != len(targets):
            raise UsageError("gradient", f"{len(targets)} targets but {len(seeds)} output_gradients")
        return self._gradient(targets, sources, seeds, unconnected_gradients == "zero", consume=not self.persistent)

    def _gradient(
        self, targets: list[Any], sources: Any, seeds: list[Any], zeros: bool, *, consume: bool
    ) -> Any:
        if self._spent:
            raise GradientError(
                "gradient", "this tape has given its gradients already and is empty",
                hint="GradientTape(persistent=True) can be asked again; or ask once for all sources: gradient(y, [a, b])",
            )  # fmt: skip
        found: list[Any] = []
        pausing = self._recording and not self.persistent
        if pausing:
            self._pause()
        try:
            gradients: dict[Node, Tensor] = {}
            for target, seed in zip(targets, seeds, strict=True):
                self._seed(gradients, target, seed)
            wanted = [self._nodes(s) for s in tree.leaves(sources)]
            entries = self.entries if consume else list(self.entries)
            arrived = backpropagate(entries, gradients, {n for nodes in wanted for n in nodes}, consume=consume)
            for source, nodes in zip(tree.leaves(sources), wanted, strict=True):
                parts = [arrived[n] for n in nodes if n in arrived]
                total = parts[0] if parts else None
                for part in parts[1:]:
                    total = total + part  # type: ignore[operator]  # there is a first
                found.append(total if total is not None or not zeros else zeros_like(source))
        finally:
            if pausing:
                self._resume()
        if consume:
            self.reset()
            self._spent = True
        return tree.rebuild(sources, iter(found))

    def _seed(self, gradients: dict[Node, Tensor], target: Any, seed: Any) -> None:
        if not isinstance(target, Tensor):
            raise UsageError("gradient", f"the target is a {type(target).__name__}, not a tensor",
                             hint="compute it with corenn ops inside the tape's block")  # fmt: skip
        check_target(target.spec)
        if target.node is None:
            return
        if seed is None:
            seed = ones_like(target) if target.spec.shape else scalar_beside(1.0, target)
        elif not isinstance(seed, Tensor):
            seed = tensor(seed, dtype=target.dtype, device=target.device)
        if seed.shape != target.shape:
            raise ShapeError("gradient", "an output gradient must have its target's shape",
                             {"target": target.spec, "output_gradient": seed.spec})  # fmt: skip
        before = gradients.get(target.node)
        gradients[target.node] = seed if before is None else before + seed

    def _nodes(self, source: Any) -> list[Node]:
        if isinstance(source, Variable):
            return self._variables.get(id(source), (source, []))[1]
        if not isinstance(source, Tensor):
            raise UsageError("gradient", f"a source is a {type(source).__name__}, not a tensor or variable")
        return [source.node] if source.node is not None and source.node in self.watched else []

    def jacobian(self, target: Tensor, sources: Any, unconnected_gradients: Literal["none", "zero"] = "none") -> Any:
        """d target / d source for every element of ``target``: shape ``target.shape + source.shape``.

        One reverse pass per element of ``target``.  ``None`` (or zeros) for an unconnected source.
        """
        if not isinstance(target, Tensor):
            raise UsageError("jacobian", f"the target is a {type(target).__name__}, not a tensor")
        zeros = unconnected_gradients == "zero"
        rows: list[list[Any]] = []
        count = target.size
        unit = eye(count, dtype=target.dtype, device=target.device)
        for i in range(count):
            seed = reshape(unit[i], shape=target.shape)
            last = i == count - 1 and not self.persistent
            rows.append(tree.leaves(self._gradient([target], sources, [seed], zeros, consume=last)))
        stacked = []
        for column, source in zip(zip(*rows, strict=True), tree.leaves(sources), strict=True):
            if column[0] is None:
                stacked.append(None)
            else:
                stacked.append(reshape(stack(*column), shape=target.shape + source.shape))
        return tree.rebuild(sources, iter(stacked))

    def batch_jacobian(self, target: Tensor, source: Tensor) -> Tensor | None:
        """Per-example jacobian: ``target`` [b, ...] and ``source`` [b, ...] give [b, *target[1:], *source[1:]].

        Rows of the batch must not depend on one another (as in a network without batch normalisation).
        """
        if target.shape[:1] != source.shape[:1] or not target.shape:
            raise ShapeError("batch_jacobian", "target and source need one batch size",
                             {"target": target.spec, "source": source.spec})  # fmt: skip
        flat_shape = (target.shape[0], target.size // max(1, target.shape[0]))
        unit = eye(flat_shape[1], dtype=target.dtype, device=target.device)
        columns = []
        for i in range(flat_shape[1]):
            seed = reshape(broadcast_to(unit[i], shape=flat_shape), shape=target.shape)
            last = i == flat_shape[1] - 1 and not self.persistent
            columns.append(self._gradient([target], source, [seed], False, consume=last))
        if any(c is None for c in columns):
            return None
        stacked = stack(*columns, axis=1)
        return reshape(stacked, shape=target.shape + source.shape[1:])
