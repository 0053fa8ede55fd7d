"""``Supervisor``: sessions that are restored, saved and summarised, as before monitored sessions came."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from corenn.graph import state
from corenn_tensorflow import errors, mode
from corenn_tensorflow.records.summaries import SessionLog
from corenn_tensorflow.summary.writers import FileWriter
from corenn_tensorflow.train.coordinator import Coordinator, LooperThread
from corenn_tensorflow.train.global_step import get_global_step
from corenn_tensorflow.train.monitored import Scaffold, SessionManager, _initializer, _merged
from corenn_tensorflow.train.saver import Saver

_DEFAULT = 0


class Supervisor:
    """Prepares a session, and saves checkpoints and summaries in ``logdir`` while it runs.

    ``save_model_secs``, ``save_summaries_secs``: how often (0: never).
    """

    USE_DEFAULT = _DEFAULT

    def __init__(
        self, graph: Any = None, ready_op: Any = _DEFAULT, ready_for_local_init_op: Any = _DEFAULT,
        is_chief: bool = True, init_op: Any = _DEFAULT, init_feed_dict: Any = None, local_init_op: Any = _DEFAULT,
        logdir: Any = None, summary_op: Any = _DEFAULT, saver: Any = _DEFAULT, global_step: Any = _DEFAULT,
        save_summaries_secs: float = 120, save_model_secs: float = 600, recovery_wait_secs: float = 30,
        stop_grace_secs: float = 120, checkpoint_basename: str = "model.ckpt", session_manager: Any = None,
        summary_writer: Any = _DEFAULT, init_fn: Callable[[Any], Any] | None = None, local_init_run_options: Any = None,
    ) -> None:  # fmt: skip
        self._graph = graph if graph is not None else mode.default_graph()
        self._init_feed_dict, self._init_fn, self._grace = init_feed_dict, init_fn, stop_grace_secs
        self._save_summaries_secs, self._save_model_secs = save_summaries_secs, save_model_secs
        self._logdir = None if logdir is None else os.fspath(logdir)
        self._is_chief = is_chief
        with self._graph.as_default():
            self._init_op = _initializer(self._graph, state.GLOBAL, "init") if init_op is _DEFAULT else init_op
            self._local_init_op = Scaffold.default_local_init_op() if local_init_op is _DEFAULT else local_init_op
            self._summary_op = _merged() if summary_op is _DEFAULT else summary_op
            self._global_step = get_global_step(self._graph) if global_step is _DEFAULT else global_step
            if saver is _DEFAULT:
                savers = self._graph.get_collection("savers")
                has = self._graph.get_collection(state.GLOBAL)
                saver = savers[0] if savers else Saver() if has else None
            self._saver = saver
        self._coord = Coordinator()
        self._save_path = None if self._logdir is None else os.path.join(self._logdir, checkpoint_basename)
        if summary_writer is _DEFAULT:
            summary_writer = FileWriter(self._logdir) if self._logdir is not None and is_chief else None
        self._summary_writer = summary_writer
        self._session_manager = session_manager or SessionManager(local_init_op=self._local_init_op, graph=self._graph)
        self._graph.finalize()

    # ---- what it holds

    @property
    def coord(self) -> Coordinator:
        """The coordinator."""
        return self._coord

    @property
    def saver(self) -> Any:
        """The saver."""
        return self._saver

    @property
    def save_path(self) -> str | None:
        """The prefix of checkpoints."""
        return self._save_path

    @property
    def summary_op(self) -> Any:
        """The summaries it writes."""
        return self._summary_op

    @property
    def summary_writer(self) -> Any:
        """Where it writes them."""
        return self._summary_writer

    @property
    def global_step(self) -> Any:
        """The step."""
        return self._global_step

    @property
    def init_op(self) -> Any:
        """Initialises the variables."""
        return self._init_op

    @property
    def session_manager(self) -> Any:
        """Makes sessions."""
        return self._session_manager

    @property
    def is_chief(self) -> bool:
        """Whether this process saves: yes, unless told otherwise."""
        return self._is_chief

    # ---- running

    def prepare_or_wait_for_session(
        self, master: str = "", config: Any = None, wait_for_checkpoint: bool = False, max_wait_secs: float = 7200,
        start_standard_services: bool = True,
    ) -> Any:  # fmt: skip
        """A session, restored or initialised; saving begins, and the graph is written."""
        self._coord.clear_stop()
        session = self._session_manager.prepare_session(
            master, init_op=self._init_op, saver=self._saver, checkpoint_dir=self._logdir, config=config,
            init_feed_dict=self._init_feed_dict, init_fn=self._init_fn,
        )  # fmt: skip
        if self._summary_writer is not None:
            self._summary_writer.add_graph(self._graph)
            self._summary_writer.add_session_log(SessionLog(status=SessionLog.START), self._step(session))
        if start_standard_services:
            self.start_standard_services(session)
        self.start_queue_runners(session)
        return session

    prepare_session = PrepareSession = prepare_or_wait_for_session

    def start_standard_services(self, sess: Any) -> list[Any]:
        """Threads that save checkpoints and summaries from time to time."""
        made = []
        if self._summary_writer is not None and self._summary_op is not None and self._save_summaries_secs:
            made.append(self._later(self._save_summaries_secs, lambda: self._write_summaries(sess)))
        if self._save_path is not None and self._saver is not None and self._save_model_secs:
            made.append(self._later(self._save_model_secs, lambda: self._save(sess)))
        return made

    def _later(self, seconds: float, action: Callable[[], Any]) -> LooperThread:
        """Call ``action`` every so many seconds, the first time after them."""
        begun = time.monotonic()

        def act() -> None:
            if time.monotonic() - begun > seconds / 2:
                action()

        return self.loop(seconds, act)

    def start_queue_runners(self, sess: Any, queue_runners: Any = None) -> list[threading.Thread]:
        """Let queues be filled."""
        from corenn_tensorflow.train.queues import start_queue_runners

        return start_queue_runners(sess, self._coord)

    def loop(
        self, timer_interval_secs: float | None, target: Callable[..., Any], args: Any = None, kwargs: Any = None
    ) -> LooperThread:
        """Call ``target`` in a thread again and again."""
        return LooperThread.loop(self._coord, timer_interval_secs, target, args, kwargs)

    Loop = loop

    def summary_computed(self, sess: Any, summary: Any, global_step: Any = None) -> None:
        """Write a summary that the program has computed."""
        if self._summary_writer is None:
            raise RuntimeError("Writing a summary requires a summary writer.")
        self._summary_writer.add_summary(summary, self._step(sess) if global_step is None else global_step)

    SummaryComputed = summary_computed

    def should_stop(self) -> bool:
        """Whether the loop is to end."""
        return self._coord.should_stop()

    ShouldStop = should_stop

    def request_stop(self, ex: Any = None) -> None:
        """Ask all to stop."""
        self._coord.request_stop(ex)

    RequestStop = request_stop

    def stop(self, threads: Any = None, close_summary_writer: bool = True, ignore_live_threads: bool = False) -> None:
        """Stop the threads, and close the event file."""
        self._coord.request_stop()
        try:
            self._coord.join(threads, stop_grace_period_secs=self._grace, ignore_live_threads=ignore_live_threads)
        finally:
            if close_summary_writer and self._summary_writer is not None and not self._summary_writer.closed:
                self._summary_writer.add_session_log(SessionLog(status=SessionLog.STOP))
                self._summary_writer.close()

    Stop = stop

    def stop_on_exception(self) -> Any:
        """An exception in the block stops all."""
        return self._coord.stop_on_exception()

    @contextlib.contextmanager
    def managed_session(
        self, master: str = "", config: Any = None, start_standard_services: bool = True,
        close_summary_writer: bool = True,
    ) -> Iterator[Any]:  # fmt: skip
        """A session for the block: saved and closed at its end; the end of the input ends it quietly."""
        session = self.prepare_or_wait_for_session(master, config, start_standard_services=start_standard_services)
        try:
            with self._graph.as_default(), session.as_default():
                yield session
            if self._save_path is not None and self._saver is not None and self._save_model_secs:
                self._save(session)
        except errors.OutOfRangeError as error:
            self.request_stop(error)
        finally:
            try:
                self.stop(close_summary_writer=close_summary_writer)
            finally:
                session.close()

    def _step(self, session: Any) -> int | None:
        return None if self._global_step is None else int(session.run(self._global_step))

    def _save(self, session: Any) -> None:
        self._saver.save(session, self._save_path, global_step=self._step(session))

    def _write_summaries(self, session: Any) -> None:
        self.summary_computed(session, session.run(self._summary_op))


__all__ = ["Supervisor"]
