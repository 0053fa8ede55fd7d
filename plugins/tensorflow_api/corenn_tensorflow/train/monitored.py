"""Monitored sessions: initialisation or restoring, hooks, and the end of the loop.

Source: tensorflow/python/training/monitored_session.py of 1.15.  There is one process, so the chief is all there is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

from corenn.graph import state
from corenn.graph.operations import Operation
from corenn.graph.state import GraphVariable
from corenn_tensorflow import errors, mode
from corenn_tensorflow.train import checkpoints
from corenn_tensorflow.train import hooks as _hooks
from corenn_tensorflow.train.coordinator import Coordinator
from corenn_tensorflow.train.hooks import SessionRunArgs, SessionRunContext, SessionRunHook, SessionRunValues
from corenn_tensorflow.train.saver import Saver

USE_DEFAULT = object()


class Scaffold:
    """The operations a training loop needs: ``init_op``, ``local_init_op``, ``summary_op``, ``saver`` ...

    What is not given is made by ``finalize()``, which also closes the graph.
    """

    def __init__(
        self, init_op: Any = None, init_feed_dict: Any = None, init_fn: Callable[..., Any] | None = None,
        ready_op: Any = None, ready_for_local_init_op: Any = None, local_init_op: Any = None, summary_op: Any = None,
        saver: Any = None, copy_from_scaffold: Scaffold | None = None, local_init_feed_dict: Any = None,
    ) -> None:  # fmt: skip
        other = copy_from_scaffold
        self._init_op = init_op if init_op is not None or other is None else other.init_op
        self._init_feed_dict = init_feed_dict if init_feed_dict is not None or other is None else other.init_feed_dict
        self._user_init_fn = init_fn if init_fn is not None or other is None else other._user_init_fn
        self._ready_op = ready_op if ready_op is not None or other is None else other.ready_op
        self._ready_for_local_init_op = ready_for_local_init_op
        self._local_init_op = local_init_op if local_init_op is not None or other is None else other.local_init_op
        self._local_init_feed_dict = local_init_feed_dict
        self._summary_op = summary_op if summary_op is not None or other is None else other.summary_op
        self._saver = saver if saver is not None or other is None else other.saver
        self._finished = False

    def finalize(self) -> Scaffold:
        """Make what was not given, and close the default graph."""
        if self._finished:
            return self
        graph = mode.default_graph()
        with graph.as_default():
            if self._init_op is None:
                self._init_op = self.get_or_default(
                    "init_op", "init_op", lambda: _initializer(graph, state.GLOBAL, "init")
                )
            if self._local_init_op is None:
                self._local_init_op = self.get_or_default(
                    "local_init_op", "local_init_op", Scaffold.default_local_init_op
                )
            if self._ready_op is None:
                self._ready_op = self.get_or_default("ready_op", "ready_op", lambda: None)
            if self._summary_op is None:
                self._summary_op = self.get_or_default("summary_op", "summary_op", _merged)
            if self._saver is None:
                savers = graph.get_collection("savers")
                if len(savers) > 1:
                    raise RuntimeError("More than one item in collection SAVERS. Please indicate which one to use by "
                                       "passing it to the constructor.")  # fmt: skip
                self._saver = savers[0] if savers else Saver(sharded=True, allow_empty=True)
                if not savers:
                    graph.add_to_collection("savers", self._saver)
            self._saver.build()
        graph.finalize()
        self._finished = True
        return self

    @staticmethod
    def get_or_default(arg_name: str, collection_key: str, default_constructor: Callable[[], Any]) -> Any:
        """The only item of a collection, or a new one, which is put there."""
        graph = mode.default_graph()
        found = graph.get_collection(collection_key)
        if len(found) > 1:
            raise RuntimeError(
                f"More than one item in the collection {collection_key!r}. Please indicate which one to use "
                f"by passing it to "
                f"the tf.Scaffold constructor as:  tf.Scaffold({arg_name}=item to use)"
            )
        if found:
            return found[0]
        made = default_constructor()
        if made is not None:
            graph.add_to_collection(collection_key, made)
        return made

    @staticmethod
    def default_local_init_op() -> Operation:
        """Local variables and tables."""
        graph = mode.default_graph()
        tables = graph.get_collection("table_initializer")
        local = _initializer(graph, state.LOCAL, "init_local")
        return state.group(graph, local, *tables)

    @property
    def init_fn(self) -> Callable[[Any], Any] | None:
        """What is called after ``init_op``."""
        user = self._user_init_fn
        return None if user is None else lambda session: user(self, session)

    @property
    def init_op(self) -> Any:
        """Initialises the global variables."""
        return self._init_op

    @property
    def init_feed_dict(self) -> Any:
        """What is fed to ``init_op``."""
        return self._init_feed_dict

    @property
    def ready_op(self) -> Any:
        """Names of variables that are not initialised, where it was given."""
        return self._ready_op

    @property
    def ready_for_local_init_op(self) -> Any:
        """As ``ready_op``, before the local variables are."""
        return self._ready_for_local_init_op

    @property
    def local_init_op(self) -> Any:
        """Initialises local variables and tables."""
        return self._local_init_op

    @property
    def local_init_feed_dict(self) -> Any:
        """What is fed to ``local_init_op``."""
        return self._local_init_feed_dict

    @property
    def summary_op(self) -> Any:
        """All summaries merged."""
        return self._summary_op

    @property
    def saver(self) -> Any:
        """The saver."""
        return self._saver


def _initializer(graph: Any, collection: str, name: str) -> Operation:
    return state.variables_initializer(graph, graph.get_collection(collection), name)


def _merged() -> Any:
    from corenn_tensorflow.summary import merge_all

    return merge_all()


class SessionCreator:
    """Makes sessions."""

    def create_session(self) -> Any:
        """A new one, initialised."""
        raise NotImplementedError("create_session is not implemented.")


class ChiefSessionCreator(SessionCreator):
    """Makes sessions whose variables are restored from the newest checkpoint, or else initialised."""

    def __init__(
        self, scaffold: Scaffold | None = None, master: str = "", config: Any = None, checkpoint_dir: Any = None,
        checkpoint_filename_with_path: Any = None,
    ) -> None:  # fmt: skip
        self._scaffold = scaffold or Scaffold()
        self._master, self._config, self._checkpoint_dir = master, config, checkpoint_dir
        self._checkpoint_filename_with_path = checkpoint_filename_with_path

    def create_session(self) -> Any:
        """A new session."""
        from corenn_tensorflow.session import Session

        scaffold = self._scaffold.finalize()
        session = Session(self._master, graph=mode.default_graph(), config=self._config)
        path = self._checkpoint_filename_with_path
        if path is None and self._checkpoint_dir:
            path = checkpoints.latest_checkpoint(self._checkpoint_dir)
            found = checkpoints.get_checkpoint_state(self._checkpoint_dir)
            if path is not None and found is not None:
                scaffold.saver.recover_last_checkpoints(found.all_model_checkpoint_paths)
        if path:
            scaffold.saver.restore(session, path)
        else:
            if scaffold.init_op is not None:
                session.run(scaffold.init_op, feed_dict=scaffold.init_feed_dict)
            if scaffold.init_fn is not None:
                scaffold.init_fn(session)
        if scaffold.local_init_op is not None:
            session.run(scaffold.local_init_op, feed_dict=scaffold.local_init_feed_dict)
        self._check_ready(session)
        return session

    def _check_ready(self, session: Any) -> None:
        graph = session.graph
        listed = [*graph.get_collection(state.GLOBAL), *graph.get_collection(state.LOCAL)]
        missing = [v.operation.name for v in listed if isinstance(v, GraphVariable) and not session.initialized(v)]
        if missing:
            raise RuntimeError(
                "Init operations did not make model ready.  Init op: "
                f"{getattr(self._scaffold.init_op, 'name', None)}, init fn: {self._scaffold.init_fn}, local_init_op: "
                f"{getattr(self._scaffold.local_init_op, 'name', None)}, error: Variables not initialized: "
                f"{', '.join(missing)}"
            )


class WorkerSessionCreator(ChiefSessionCreator):
    """As the chief's: with one process there is nobody to wait for."""

    def __init__(
        self, scaffold: Scaffold | None = None, master: str = "", config: Any = None, max_wait_secs: float = 1800
    ) -> None:
        super().__init__(scaffold, master, config)


class MonitoredSession:
    """A session that calls hooks around every run, and ends quietly at the end of the input."""

    class StepContext:
        """What a function of ``run_step_fn`` is given."""

        def __init__(self, session: Any, run_with_hooks: Callable[..., Any]) -> None:
            self.session, self.run_with_hooks = session, run_with_hooks

        def request_stop(self) -> None:
            """End the loop."""
            raise StopIteration("step_fn has requested the iterations to stop.")

    def __init__(
        self, session_creator: SessionCreator | None = None, hooks: Sequence[SessionRunHook] | None = None,
        stop_grace_period_secs: float = 120,
    ) -> None:  # fmt: skip
        self._hooks = list(hooks or [])
        self._grace = stop_grace_period_secs
        self._stop = False
        graph = mode.default_graph()
        with graph.as_default():
            for hook in self._hooks:
                hook.begin()
            self._sess: Any = (session_creator or ChiefSessionCreator()).create_session()
            self._coord = Coordinator()
            from corenn_tensorflow.train.queues import start_queue_runners

            start_queue_runners(sess=self._sess, coord=self._coord)
            for hook in self._hooks:
                hook.after_create_session(self._sess, self._coord)

    @property
    def graph(self) -> Any:
        """The graph it runs."""
        return None if self._sess is None else self._sess.graph

    def run(self, fetches: Any, feed_dict: Any = None, options: Any = None, run_metadata: Any = None) -> Any:
        """As ``Session.run``, with the hooks' fetches and feeds beside."""
        if self._sess is None:
            raise RuntimeError("Attempted to use a closed Session.")
        if self.should_stop():
            raise RuntimeError("Run called even after should_stop requested.")
        context = SessionRunContext(SessionRunArgs(fetches, feed_dict), self._sess)
        wanted, feeds, asked = self._gather(context, feed_dict)
        results = self._sess.run([fetches, *wanted], feed_dict=feeds or None)
        values = iter(results[1:])
        for hook in self._hooks:
            found = next(values) if hook in asked else None
            hook.after_run(context, SessionRunValues(found, options, run_metadata))
        self._stop = self._stop or context.stop_requested
        return results[0]

    def _gather(self, context: SessionRunContext, feed_dict: Any) -> tuple[list[Any], dict[Any, Any], list[Any]]:
        """What the hooks want: fetches, feeds with those of the caller, and which hooks fetch something."""
        wanted, asked = [], []
        feeds = dict(feed_dict or {})
        theirs: dict[int, str] = {}
        for hook in self._hooks:
            request = hook.before_run(context)
            if request is None:
                continue
            if not isinstance(request, SessionRunArgs):
                raise TypeError(
                    f"before_run of {hook} must return SessionRunArgs or None, not {type(request).__name__}"
                )
            if request.fetches is not None:
                wanted.append(request.fetches)
                asked.append(hook)
            for key, value in dict(request.feed_dict or {}).items():
                if id(key) in theirs:
                    raise RuntimeError("Same tensor is fed by two hooks.")
                if any(key is k for k in feed_dict or ()):
                    raise RuntimeError("Same tensor is fed by a SessionRunHook and user.")
                theirs[id(key)] = ""
                feeds[key] = value
        return wanted, feeds, asked

    def run_step_fn(self, step_fn: Callable[..., Any]) -> Any:
        """Call ``step_fn(step_context)``: runs without hooks by ``session``, with them by ``run_with_hooks``."""
        import inspect

        names = [n for n in inspect.signature(step_fn).parameters if n != "self"]
        if names != ["step_context"]:
            raise ValueError(
                f"`step_fn` may either have one `step_context` argument, or `self` and `step_context`, not {names}"
            )
        try:
            return step_fn(MonitoredSession.StepContext(self._sess, self.run))
        except StopIteration:
            self._stop = True
            return None

    def make_callable(self, *args: Any, **kwargs: Any) -> Any:
        """A function that runs something, without hooks."""
        return self._sess.make_callable(*args, **kwargs)

    def should_stop(self) -> bool:
        """Whether the loop is to end."""
        return self._sess is None or self._stop or self._coord.should_stop()

    def _is_closed(self) -> bool:
        return self._sess is None

    def close(self) -> None:
        """Call the hooks' ``end``, and close the session."""
        self._close_internal()

    def _close_internal(self, failed: bool = False) -> None:
        if self._sess is None:
            return
        try:
            if not failed:
                with self._sess.graph.as_default():
                    for hook in self._hooks:
                        hook.end(self._sess)
        finally:
            session, self._sess = self._sess, None
            try:
                self._coord.request_stop()
                self._coord.join(stop_grace_period_secs=self._grace, ignore_live_threads=True)
            finally:
                session.close()

    def __enter__(self) -> MonitoredSession:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> bool:
        ended = isinstance(error, (errors.OutOfRangeError, StopIteration))
        self._close_internal(failed=error is not None and not ended)
        return ended


class SingularMonitoredSession(MonitoredSession):
    """A monitored session made from its parts, whose plain session may be had."""

    def __init__(
        self, hooks: Sequence[SessionRunHook] | None = None, scaffold: Scaffold | None = None, master: str = "",
        config: Any = None, checkpoint_dir: Any = None, stop_grace_period_secs: float = 120,
        checkpoint_filename_with_path: Any = None,
    ) -> None:  # fmt: skip
        creator = ChiefSessionCreator(scaffold, master, config, checkpoint_dir, checkpoint_filename_with_path)
        super().__init__(creator, hooks, stop_grace_period_secs)

    def raw_session(self) -> Any:
        """The session itself."""
        return self._sess


def MonitoredTrainingSession(
    master: str = "", is_chief: bool = True, checkpoint_dir: Any = None, scaffold: Scaffold | None = None,
    hooks: Sequence[SessionRunHook] | None = None, chief_only_hooks: Sequence[SessionRunHook] | None = None,
    save_checkpoint_secs: Any = USE_DEFAULT, save_summaries_steps: Any = USE_DEFAULT,
    save_summaries_secs: Any = USE_DEFAULT, config: Any = None, stop_grace_period_secs: float = 120,
    log_step_count_steps: int | None = 100, max_wait_secs: float = 7200, save_checkpoint_steps: Any = USE_DEFAULT,
    summary_dir: Any = None, save_graph_def: bool = True,
) -> MonitoredSession:  # fmt: skip
    """A monitored session for training, which saves checkpoints and summaries in ``checkpoint_dir``.

    By default a checkpoint every 600 seconds and summaries every 100 steps.
    """
    summaries: dict[str, Any] = {"save_steps": save_summaries_steps, "save_secs": save_summaries_secs}
    if save_summaries_steps is USE_DEFAULT and save_summaries_secs is USE_DEFAULT:
        summaries = {"save_steps": 100, "save_secs": None}
    saving: dict[str, Any] = {"save_secs": save_checkpoint_secs, "save_steps": save_checkpoint_steps}
    if save_checkpoint_secs is USE_DEFAULT and save_checkpoint_steps is USE_DEFAULT:
        saving = {"save_secs": 600, "save_steps": None}
    summaries, saving = (
        {k: None if v is USE_DEFAULT else v for k, v in given.items()} for given in (summaries, saving)
    )
    scaffold = scaffold or Scaffold()
    creator = ChiefSessionCreator(scaffold, master, config, checkpoint_dir)
    chosen: list[SessionRunHook] = [*(chief_only_hooks or ())] if is_chief else []
    where = summary_dir or checkpoint_dir
    if where and is_chief:
        if log_step_count_steps and log_step_count_steps > 0:
            chosen.append(_hooks.StepCounterHook(output_dir=where, every_n_steps=log_step_count_steps))
        if (summaries["save_steps"] or 0) > 0 or (summaries["save_secs"] or 0) > 0:
            chosen.append(_hooks.SummarySaverHook(scaffold=scaffold, output_dir=where, **summaries))
    if checkpoint_dir and is_chief and ((saving["save_secs"] or 0) > 0 or (saving["save_steps"] or 0) > 0):
        chosen.append(
            _hooks.CheckpointSaverHook(checkpoint_dir, scaffold=scaffold, save_graph_def=save_graph_def, **saving)
        )
    return MonitoredSession(creator, [*chosen, *(hooks or ())], stop_grace_period_secs)


class SessionManager:
    """Makes sessions that are restored from a checkpoint, or initialised."""

    def __init__(
        self, local_init_op: Any = None, ready_op: Any = None, ready_for_local_init_op: Any = None, graph: Any = None,
        recovery_wait_secs: float = 30, local_init_run_options: Any = None, local_init_feed_dict: Any = None,
    ) -> None:  # fmt: skip
        self._local_init_op, self._graph = local_init_op, graph

    def prepare_session(
        self, master: str = "", init_op: Any = None, saver: Any = None, checkpoint_dir: Any = None,
        checkpoint_filename_with_path: Any = None, wait_for_checkpoint: bool = False, max_wait_secs: float = 7200,
        config: Any = None, init_feed_dict: Any = None, init_fn: Callable[[Any], Any] | None = None,
    ) -> Any:  # fmt: skip
        """A session: restored where there is a checkpoint, else initialised by ``init_op`` and ``init_fn``."""
        session, restored = self.recover_session(
            master, saver, checkpoint_dir, checkpoint_filename_with_path, config=config
        )
        if not restored:
            if init_op is None and init_fn is None and self._local_init_op is None:
                raise RuntimeError("Model is not initialized and no init_op or init_fn or local_init_op was given")
            if init_op is not None:
                session.run(init_op, feed_dict=init_feed_dict)
            if init_fn is not None:
                init_fn(session)
        if self._local_init_op is not None:
            session.run(self._local_init_op)
        return session

    def recover_session(
        self, master: str = "", saver: Any = None, checkpoint_dir: Any = None,
        checkpoint_filename_with_path: Any = None, wait_for_checkpoint: bool = False, max_wait_secs: float = 7200,
        config: Any = None,
    ) -> tuple[Any, bool]:  # fmt: skip
        """A session, and whether it was restored."""
        from corenn_tensorflow.session import Session

        session = Session(master, graph=self._graph, config=config)
        path = checkpoint_filename_with_path
        if path is None and checkpoint_dir:
            path = checkpoints.latest_checkpoint(checkpoint_dir)
        if path is None or saver is None:
            return session, False
        saver.restore(session, path)
        return session, True

    def wait_for_session(self, master: str = "", config: Any = None, max_wait_secs: float = float("inf")) -> Any:
        """A new session: there is no other process to wait for."""
        return self.recover_session(master, config=config)[0]


__all__ = [
    "ChiefSessionCreator", "MonitoredSession", "MonitoredTrainingSession", "Scaffold", "SessionCreator",
    "SessionManager", "SingularMonitoredSession", "WorkerSessionCreator",
]  # fmt: skip
