"""``Session``: the state of a graph's runs, and running it.

A run is made into a program for the shapes it is fed (see ``corenn.compiler``), kept for the next run of the same
fetches and shapes.  Where shapes or decisions depend on values, operations run one by one instead.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Any

import numpy as np

from corenn import dtypes, philox
from corenn.compiler.compiling import Compiled, compile_run
from corenn.compiler.program import UnknownValueError
from corenn.device import Device, current_device, device
from corenn.errors import GraphError
from corenn.graph.fetching import Fetches, feed_array, feed_keys, feed_values
from corenn.graph.graph import Graph, get_default_graph
from corenn.graph.kinds import GeneratorKeyKind
from corenn.graph.operations import Operation, needed
from corenn.graph.replay import ReplayRun, check_finite, placed, raw, replay
from corenn.graph.state import GraphVariable
from corenn.graph.tensors import GraphTensor
from corenn.ops.random import fresh_seed
from corenn.spec import Spec
from corenn.tensor import Tensor
from corenn.variable import Variable

_log = logging.getLogger("corenn")
#: Programs and fetches kept by a session; shapes that never repeat must not fill the memory.
_MOST_PROGRAMS = 256
#: So many programs for values of feeds are made before it is asked whether values come again.
_TRIED = 8
#: Integer feeds of at most so many elements may become constants of a program, where it needs their values.
_FIXED = 64
#: TensorFlow's seed of a graph where only an operation has one.
_DEFAULT_SEED = 87654321

_sessions: ContextVar[tuple[Session, ...]] = ContextVar("corenn_sessions", default=())


class _Plan:
    """How a run is done: a program, or operation by operation."""

    __slots__ = ("compiled", "fixed", "initialized", "operations", "repeats", "variants")

    def __init__(self, operations: list[Operation]) -> None:
        self.operations = operations
        self.compiled: Compiled | None = None
        #: The number of initialised variables this holds for, if it depends on them.
        self.initialized: int | None = None
        #: Places of feeds that are constants of the program, and plans by their values.
        self.fixed: tuple[int, ...] = ()
        self.variants: dict[Any, _Plan] | None = None
        #: How often a variant was met again.
        self.repeats = 0


class Session:
    """Runs parts of a graph, and holds the values of its variables.

    ``graph`` defaults to the default graph, ``backend`` (a name such as ``"cuda"``) to the current device.  With
    ``check_numerics=True`` every run stops at the first operation that gives a NaN or infinity, and names it.
    Sessions share nothing but the graph.  ``run`` may be called from several threads.  Raises BackendError for a
    backend that is not there.
    """

    def __init__(
        self, graph: Graph | None = None, *, backend: str | Device | None = None, check_numerics: bool = False
    ) -> None:
        self.graph = graph if graph is not None else get_default_graph()
        self.device = device(backend) if backend is not None else current_device()
        self.check_numerics = check_numerics
        self._values: dict[int, tuple[GraphVariable, Tensor]] = {}
        self._plans: OrderedDict[Any, _Plan] = OrderedDict()
        self._fetches: OrderedDict[Any, Fetches] = OrderedDict()
        self._draws: dict[int, tuple[Operation, int, int]] = {}
        self._entropy = fresh_seed("session")
        self._lock = threading.RLock()
        self._closed = False
        self._epoch = 0
        self._tokens: list[tuple[Token[Any], Any]] = []

    # ---- running

    def run(self, fetches: Any, feed_dict: Any = None, *, trace: Any = False) -> Any:
        """The values of ``fetches``: a tensor, operation (``None``), variable or name, or a nested structure of them.

        ``feed_dict``: values for tensors (placeholders or any others, variables too) in place of what the graph would
        compute.  Every operation needed runs once; nothing else runs.  ``trace=True`` runs operation by operation and
        prints each; a function ``trace(operation, inputs, results)`` is called instead.

        Values are NumPy arrays and scalars of the tensors' dtypes, in the structure of ``fetches``; they are copies.
        Raises TypeError or ValueError for fetches and feeds that are none of this graph's, ShapeError or
        DTypeError for a value that does not fit what it is fed to, GraphError for a placeholder that is needed and not
        fed, a variable that has no value (UninitializedError), a NaN under ``check_numerics``
        (NotFiniteError) and a closed session; otherwise what operations raise, with a note naming the operation and
        the line that made it.  A run that raises changes no variable.
        """
        if self._closed:
            raise GraphError("", "Attempted to use a closed Session.", hint="make a new Session")
        wanted = self._fetched(fetches)
        keys: list[GraphTensor] = []
        arrays: list[np.ndarray[Any, Any]] = []
        if feed_dict:
            graph = self.graph
            for key, value in feed_dict.items():
                if isinstance(key, GraphTensor) and key.operation.graph is graph:  # most are
                    keys.append(key)
                    arrays.append(feed_array(key, value))
                    continue
                for tensor, part in zip(feed_keys(graph, key), feed_values(key, value), strict=True):
                    keys.append(tensor)
                    arrays.append(feed_array(tensor, part))
        observer = None
        if trace:
            observer = trace if callable(trace) else print_step
        elif self.check_numerics:
            observer = check_finite
        if observer is not None:
            plan = _Plan(self._needed(wanted, keys))
            values = self._replay(plan, wanted, keys, arrays, observer)
        else:
            plan = self._plan(wanted, keys, arrays)
            values = self._execute(plan, wanted, keys, arrays)
        return wanted.rebuild(values)  # type: ignore[arg-type]  # a list is a mapping from its places

    def _execute(
        self, plan: _Plan, wanted: Fetches, keys: list[GraphTensor], arrays: list[np.ndarray[Any, Any]]
    ) -> list[Any]:
        compiled = plan.compiled
        if compiled is None:
            return self._replay(plan, wanted, keys, arrays, None)
        executable = compiled.executable
        backend, index = self.device.backend, self.device.index
        feeds = [a if a.dtype == object else backend.from_host(a, index) for a in arrays]
        if compiled.writes:
            with self._lock:  # no run sees another's half-done update
                results, writes = executable(feeds, self._state(compiled), self._key)
                for (cell, spec), array in zip(compiled.writes, writes, strict=True):
                    self._set(cell, array, spec)
        else:
            state: list[Any] = []
            if compiled.cells:
                with self._lock:
                    state = self._state(compiled)
            results, _ = executable(feeds, state, self._key)
        found = []
        for array, tensor in zip(results, wanted.tensors, strict=True):
            if tensor.dtype is dtypes.string:
                found.append(_scalar(array))
                continue
            host = backend.to_host(array)
            if not host.ndim:
                found.append(host[()])
            elif host is array or not host.flags.owndata:  # a variable's, a feed's or a constant's own memory, perhaps
                found.append(host.copy())
            else:
                found.append(host)
        return found

    def _state(self, compiled: Compiled) -> list[Any]:
        values = self._values
        try:
            return [
                values[id(c)][1].data if isinstance(c, GraphVariable) and c.storage is None else _storage(c).data
                for c in compiled.cells
            ]
        except KeyError:
            from corenn.graph.state import UninitializedError

            missing = next(c for c in compiled.cells if isinstance(c, GraphVariable) and not self.initialized(c))
            raise UninitializedError(missing) from None

    def _set(self, cell: Any, array: Any, spec: Spec) -> None:
        held = _storage(cell)
        if isinstance(held, Variable):
            held.data, held.node = array, None
            return
        before = self._values.get(id(cell))
        self._values[id(cell)] = (cell, Tensor(array, spec))
        if before is not None and before[1].spec is not spec:
            self._epoch += 1  # a variable of unknown shape changed it: programs are for the old one

    def _replay(
        self, plan: _Plan, wanted: Fetches, keys: list[GraphTensor], arrays: list[np.ndarray[Any, Any]], observer: Any
    ) -> list[Any]:
        run = ReplayRun(self.device, self._read, self._key, observer)
        feeds: dict[GraphTensor, Tensor] = {}
        for tensor, array in zip(keys, arrays, strict=True):
            if isinstance(tensor, GraphVariable):
                run.values[id(tensor)] = placed(array, self.device)
            feeds[tensor] = placed(array, self.device)
        with self._lock:
            results = replay(plan.operations, wanted.tensors, feeds, run)
            for key, cell in run.written.items():
                self._set(cell, run.values[key].data, run.values[key].spec)
        return [
            _scalar(raw(r, self.device) if r.dtype is dtypes.string else np.array(raw(r, self.device))) for r in results
        ]

    # ---- what a run needs

    def _fetched(self, fetches: Any) -> Fetches:
        key: Any = id(fetches)
        if fetches.__class__ is list or fetches.__class__ is tuple:
            key = (fetches.__class__, *map(id, fetches))
        found = self._fetches.get(key)
        if found is not None:
            return found
        made = Fetches(self.graph, fetches)
        # Kept for tensors, operations and flat lists of them only: other structures may change, and keep their ids.
        leaves = [fetches] if key.__class__ is int else fetches
        if all(isinstance(leaf, (GraphTensor, Operation)) for leaf in leaves):
            made.kept = leaves if key.__class__ is int else tuple(fetches)
            self._fetches[key] = made
            if len(self._fetches) > _MOST_PROGRAMS:
                self._fetches.popitem(last=False)
        return made

    def _needed(self, wanted: Fetches, fed: Sequence[GraphTensor]) -> list[Operation]:
        """The operations that the fetches need and that are not fed, in order of creation."""
        given = {id(t) for t in fed}
        return needed([*[t.operation for t in wanted.tensors if id(t) not in given], *wanted.operations], given)

    def _plan(self, wanted: Fetches, keys: list[GraphTensor], arrays: list[np.ndarray[Any, Any]]) -> _Plan:
        signature = (
            wanted.key, self._epoch, *[(id(t), a.shape) for t, a in zip(keys, arrays, strict=True)],
        )  # fmt: skip
        plan = self._plans.get(signature)
        if plan is None or (plan.initialized is not None and plan.initialized != len(self._values)):
            with self._lock:
                plan = self._make_plan(wanted, keys, arrays, ())
            self._plans[signature] = plan
            if len(self._plans) > _MOST_PROGRAMS:
                self._plans.popitem(last=False)
        if plan.variants is None:
            return plan
        values = tuple(arrays[i].tobytes() for i in plan.fixed)
        variant = plan.variants.get(values)
        if variant is not None:
            plan.repeats += 1
        else:
            met = len(plan.variants)
            if met >= _MOST_PROGRAMS or (met >= _TRIED and plan.repeats < met):
                return plan  # values that do not come again: operation by operation
            with self._lock:
                variant = plan.variants[values] = self._make_plan(wanted, keys, arrays, plan.fixed)
        return variant

    def _make_plan(
        self, wanted: Fetches, keys: list[GraphTensor], arrays: list[np.ndarray[Any, Any]], fixed: tuple[int, ...]
    ) -> _Plan:
        plan = _Plan(self._needed(wanted, keys))
        specs = [Spec(a.shape, t.dtype, self.device) for t, a in zip(keys, arrays, strict=True)]
        feeds = dict(zip(keys, specs, strict=True))
        cells = [t for t in keys if isinstance(t, GraphVariable)]
        values = {keys[i]: arrays[i] for i in fixed}
        try:
            compiled = compile_run(
                plan.operations, wanted.tensors, feeds, self.device, self._spec, cells=cells, values=values
            )
        except UnknownValueError as reason:
            if not fixed:
                small = tuple(i for i, a in enumerate(arrays) if a.dtype.kind in "iub" and a.size <= _FIXED)
                if small:
                    plan.fixed, plan.variants = small, {}
                    return plan
            _log.info("a run of %s goes operation by operation: %s", wanted.tensors or wanted.operations, reason.what)
            return plan
        plan.compiled = compiled
        plan.initialized = len(self._values) if compiled.asked else None
        return plan

    # ---- state

    def _spec(self, cell: Any) -> Spec | None:
        held = _storage(cell)
        if isinstance(held, Variable):
            return held.spec
        found = self._values.get(id(cell))
        return None if found is None else found[1].spec

    def _read(self, cell: Any) -> Tensor | None:
        held = _storage(cell)
        if isinstance(held, Variable):
            return Tensor(held.data, held.spec)
        found = self._values.get(id(cell))
        return None if found is None else found[1]

    def _key(self, operation: Operation) -> Any:
        """The next key of a random operation, on the device."""
        kind = operation.kind
        if isinstance(kind, GeneratorKeyKind):
            return kind.generator.next_key_on(self.device)
        with self._lock:
            seed, count = self._drawn(operation)
        array = np.array([seed, count, 0], np.uint64)
        return self.device.backend.from_host(array, self.device.index)

    def _drawn(self, operation: Operation) -> tuple[int, int]:
        """The seed of a random operation's stream, and how often it was drawn from before."""
        found = self._draws.get(id(operation))
        if found is None:
            attrs = operation.attrs
            first, second = attrs["graph_seed"], attrs["seed"]
            if first is None and second is None:
                seed = philox.derive(self._entropy, len(self._draws))  # numbers repeat in branches and loops
            else:
                pair = (_DEFAULT_SEED if first is None else first, attrs["last"] if second is None else second)
                seed = philox.derive(pair[0], "operation", pair[1])
            found = (operation, seed, 0)
        _, seed, count = found
        self._draws[id(operation)] = (operation, seed, count + 1)
        return seed, count

    def load(self, variable: GraphVariable, value: Any) -> None:
        """Set a variable's value from Python."""
        array = feed_array(variable, value)
        with self._lock:
            made = placed(array, self.device)
            self._set(variable, made.data, made.spec)

    def values_of(self, variables: Sequence[GraphVariable]) -> list[np.ndarray[Any, Any]]:
        """The values of variables, copied to the host; UninitializedError for one that has none."""
        found: list[np.ndarray[Any, Any]] = [np.asarray(v) for v in self.run(list(variables))]
        return found

    def initialized(self, variable: GraphVariable) -> bool:
        """Whether the variable has a value here."""
        return id(variable) in self._values or variable.storage is not None

    # ---- callables, defaults, the end

    def make_callable(self, fetches: Any, feed_list: Sequence[Any] = ()) -> Callable[..., Any]:
        """A function of values for ``feed_list`` that runs ``fetches``."""
        listed = list(feed_list)
        return lambda *values: self.run(fetches, dict(zip(listed, values, strict=True)))

    @contextmanager
    def as_default(self) -> Any:
        """Make ``tensor.eval()`` and ``operation.run()`` use this session in the block."""
        token = _sessions.set((*_sessions.get(), self))
        try:
            yield self
        finally:
            _sessions.reset(token)

    def close(self) -> None:
        """Free the variables; the session cannot be used again."""
        self._closed = True
        self._values.clear()
        self._plans.clear()
        self._fetches.clear()

    def __enter__(self) -> Any:
        graph = self.graph.as_default()
        graph.__enter__()
        self._tokens.append((_sessions.set((*_sessions.get(), self)), graph))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        token, graph = self._tokens.pop()
        _sessions.reset(token)
        graph.__exit__(None, None, None)
        self.close()

    def __repr__(self) -> str:
        return f"<corenn.graph.Session on {self.device} of {self.graph!r}>"


class InteractiveSession(Session):
    """A session that is the default from its making until ``close``; for notebooks."""

    def __init__(self, graph: Graph | None = None, **options: Any) -> None:
        super().__init__(graph, **options)
        _sessions.set((*_sessions.get(), self))

    def close(self) -> None:
        """Stop being the default, and close."""
        _sessions.set(tuple(s for s in _sessions.get() if s is not self))
        super().close()


def _storage(cell: Any) -> Any:
    """What holds a variable's value in place of the session, or the variable itself."""
    held = getattr(cell, "storage", None)
    return cell if held is None else held


def _scalar(array: Any) -> Any:
    return array if getattr(array, "ndim", 0) else array[()] if isinstance(array, np.ndarray) else array


def print_step(operation: Operation, inputs: list[Tensor], results: list[Tensor]) -> None:
    """An observer that prints each operation with its results."""
    made = f"   # {operation.where}" if operation.where else ""
    given = ", ".join(i.name for i in operation.kind.operands(operation))
    print(f"{operation.name} = {operation.type}({given}){made}")
    for output, result in zip(operation.outputs, results, strict=True):
        print(f"    {output.name}: {result!r}")


def get_default_session() -> Session | None:
    """The session of the innermost ``with session:`` block, or ``None``."""
    stack = _sessions.get()
    return stack[-1] if stack else None


def session_for(graph: Graph, where: str, session: Session | None) -> Session:
    """``session``, or the default one; ValueError where there is none, or it runs another graph."""
    found = session if session is not None else get_default_session()
    if found is None:
        kind, call = ("operation", "run") if where.endswith(".run()") else ("tensor", "eval")
        raise ValueError(
            f"Cannot {'execute' if kind == 'operation' else 'evaluate'} {kind} using `{call}()`: No default session is "
            f"registered. Use `with sess.as_default()` or pass an explicit session to `{call}(session=sess)`"
        )
    if found.graph is not graph:
        raise ValueError(
            f"Cannot use the {'default' if session is None else 'given'} session for {where}: it runs another graph"
        )
    return found


__all__ = ["InteractiveSession", "Session", "get_default_session", "session_for"]
