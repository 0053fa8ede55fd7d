"""``tf.Session``: running parts of a graph, with TensorFlow's signatures, options and errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from types import TracebackType
from typing import Any, NoReturn

from corenn.dtypes import string
from corenn.graph import session as core
from corenn.graph.graph import Graph
from corenn.graph.tensors import GraphTensor
from corenn_tensorflow import errors, mode
from corenn_tensorflow.framework import text_array
from corenn_tensorflow.records.stats import Recorder, RunMetadata


class Settings:
    """Settings by name, made as they are asked for: what scripts set on ``ConfigProto`` and its parts.

    They steer TensorFlow's own runtime (memory, threads, placement) and change nothing here; they can be read back.
    """

    def __init__(self, **settings: Any) -> None:
        self.__dict__.update(settings)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        made = Settings()
        self.__dict__[name] = made
        return made

    def CopyFrom(self, other: Settings) -> None:
        """Take over the settings of another."""
        self.__dict__.clear()
        self.__dict__.update(other.__dict__)

    MergeFrom = CopyFrom

    def HasField(self, name: str) -> bool:
        """Whether it was set."""
        return name in self.__dict__

    def __bool__(self) -> bool:
        return bool(self.__dict__)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Settings) and self.__dict__ == other.__dict__

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return "".join(f"{name}: {value!r}\n" for name, value in self.__dict__.items())


class GPUOptions(Settings):
    """Settings of GPU memory."""


class OptimizerOptions(Settings):
    """Settings of graph optimisation."""

    OFF, ON_1, ON_2 = -1, 1, 2
    L0, L1 = -1, 0
    DEFAULT = 0


class GraphOptions(Settings):
    """Settings of graphs."""


class ConfigProto(Settings):
    """Settings of a session."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.__dict__.setdefault("gpu_options", GPUOptions())
        self.__dict__.setdefault("graph_options", GraphOptions(optimizer_options=OptimizerOptions()))


class RunOptions(Settings):
    """Settings of one run."""

    NO_TRACE, SOFTWARE_TRACE, HARDWARE_TRACE, FULL_TRACE = 0, 1, 2, 3


_running: ContextVar[Any] = ContextVar("corenn_tensorflow_running_session", default=None)


def running_session() -> Any:
    """The session whose run calls this (from Python that a graph calls): queues keep apart what each holds."""
    return _running.get()


class _SessionMethods:
    """What both kinds of session have, over corenn's ``Session``."""

    graph: Graph

    def run(self, fetches: Any, feed_dict: Any = None, options: Any = None, run_metadata: Any = None) -> Any:
        """The values of ``fetches``, with ``feed_dict`` in place of what the graph would compute.

        A value is a NumPy array (a NumPy scalar without axes); an operation gives ``None``; nested structures come back
        as they are.  Errors are those of ``tf.errors``.  With ``options`` that ask for a trace, the run goes operation
        by operation and ``run_metadata`` tells how long each took.
        """
        session: Any = self
        if session._closed:
            raise RuntimeError("Attempted to use a closed Session.")
        if not session.graph.version:
            raise RuntimeError("The Session graph is empty.  Add operations to the graph before calling run().")
        if feed_dict is not None:
            feed_dict = _feeds(feed_dict)
        traced = isinstance(run_metadata, RunMetadata) and (_level(options) or 0) > RunOptions.NO_TRACE
        watch: Any = Recorder(run_metadata, str(session.device)) if traced else False
        token = _running.set(self)
        try:
            return super().run(_plain(fetches), feed_dict, trace=watch)  # type: ignore[misc]  # of the other base
        except Exception as error:
            found = errors.of_run(error)
            if found is error:
                raise
            raise found from error
        finally:
            _running.reset(token)

    def make_callable(
        self, fetches: Any, feed_list: Sequence[Any] | None = None, accept_options: bool = False
    ) -> Callable[..., Any]:
        """A function of values for ``feed_list`` that runs ``fetches``."""
        listed = list(feed_list or ())

        def call(*values: Any, options: Any = None, run_metadata: Any = None) -> Any:
            if len(values) != len(listed):
                raise ValueError(f"Need {len(listed)} values, got {len(values)}")
            return self.run(fetches, dict(zip(listed, values, strict=True)), options, run_metadata)

        return call

    @property
    def graph_def(self) -> Any:
        """The definition of the graph."""
        return self.graph.as_graph_def()  # type: ignore[attr-defined]  # graphs of the facade have it

    @property
    def sess_str(self) -> str:
        """The target."""
        return self.__dict__.get("target", "")

    def list_devices(self) -> list[Any]:
        """The device that runs the graph."""
        from corenn_tensorflow.config import session_devices

        return session_devices(self)

    def partial_run(self, handle: Any, fetches: Any, feed_dict: Any = None) -> NoReturn:
        """NotImplementedError: run everything in one ``run``."""
        raise NotImplementedError("partial_run is not in corenn: fetch everything in one Session.run")

    partial_run_setup = partial_run

    @staticmethod
    def reset(target: str, containers: Any = None, config: Any = None) -> None:
        """Nothing is shared between sessions, so there is nothing to reset."""


def _level(options: Any) -> int | None:
    return None if options is None else options.__dict__.get("trace_level")


def _plain(fetches: Any) -> Any:
    """Fetches with structures such as sparse tensors as tuples of their parts."""
    if isinstance(fetches, GraphTensor):
        return fetches
    expand = getattr(fetches, "__corenn_structure__", None)
    if expand is not None:
        return expand()
    if isinstance(fetches, (list, tuple)) and any(not isinstance(f, GraphTensor) for f in fetches):
        parts = [_plain(f) for f in fetches]
        if all(a is b for a, b in zip(parts, fetches, strict=True)):
            return fetches
        return type(fetches)(*parts) if hasattr(fetches, "_fields") else type(fetches)(parts)  # type: ignore[call-arg]
    if isinstance(fetches, Mapping):
        return type(fetches)((k, _plain(v)) for k, v in fetches.items())  # type: ignore[call-arg]
    return fetches


def _feeds(feed_dict: Any) -> Any:
    """Feeds with structures such as sparse tensors as tuples of their parts."""
    if not isinstance(feed_dict, Mapping):
        raise TypeError(f"feed_dict must be a dictionary mapping tensors to values, not {type(feed_dict).__name__}")
    if not any(hasattr(key, "__corenn_structure__") or getattr(key, "dtype", None) is string for key in feed_dict):
        return feed_dict
    found = {}
    for key, value in feed_dict.items():
        expand = getattr(key, "__corenn_structure__", None)
        if expand is None and getattr(key, "dtype", None) is string:
            value = text_array(value)
        found[key if expand is None else tuple(expand())] = value if expand is None else tuple(value)
    return found


def _graph(graph: Any) -> Graph:
    if graph is not None and not isinstance(graph, Graph):
        raise TypeError(f"graph must be a tf.Graph, but got {type(graph)}")
    return graph if graph is not None else mode.default_graph()


def _check(config: Any) -> None:
    if config is not None and not isinstance(config, Settings):
        raise TypeError(f"config must be a tf.ConfigProto, but got {type(config)}")


class Session(_SessionMethods, core.Session):
    """Runs parts of a graph and holds the values of its variables; see ``corenn.graph.Session``."""

    def __init__(self, target: str = "", graph: Graph | None = None, config: Any = None) -> None:
        if isinstance(target, Graph):
            raise TypeError(f"target must be a string, but got {type(target)}: Session(graph=...)")
        _check(config)
        self.target, self.config = target, config
        super().__init__(_graph(graph))

    def __repr__(self) -> str:
        return f"<tf.Session on {self.device} of {self.graph!r}>"


class InteractiveSession(_SessionMethods, core.InteractiveSession):
    """A session that is the default from its making until ``close``; for notebooks."""

    def __init__(self, target: str = "", graph: Graph | None = None, config: Any = None) -> None:
        _check(config)
        self.target, self.config = target, config
        super().__init__(_graph(graph))
        self._default: Any = None
        if graph is not None:
            self._default = graph.as_default()
            self._default.__enter__()

    def close(self) -> None:
        """Stop being the default, and close."""
        if self._default is not None:
            self._default.__exit__(None, None, None)
            self._default = None
        super().close()

    def __enter__(self) -> InteractiveSession:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<tf.InteractiveSession on {self.device} of {self.graph!r}>"


def get_default_session() -> Any:
    """The session of the innermost ``with session:`` block, or ``None``."""
    return core.get_default_session()


__all__ = [
    "ConfigProto", "GPUOptions", "GraphOptions", "InteractiveSession", "OptimizerOptions", "RunMetadata", "RunOptions",
    "Session", "Settings", "get_default_session",
]  # fmt: skip
