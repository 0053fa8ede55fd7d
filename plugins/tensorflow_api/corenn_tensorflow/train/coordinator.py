"""``Coordinator``: threads that stop together, and raise what one of them raised."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from corenn_tensorflow import errors


class Coordinator:
    """Coordinates the end of a set of threads: any may request a stop, and ``join`` raises its error."""

    def __init__(self, clean_stop_exception_types: Any = None) -> None:
        self._clean = tuple(clean_stop_exception_types or (errors.OutOfRangeError,))
        self._lock = threading.Lock()
        self._stop_event = threading.Event()
        self._error: BaseException | None = None
        self._joined = False
        self._threads: set[threading.Thread] = set()

    def request_stop(self, ex: Any = None) -> None:
        """Ask all to stop.  ``ex``: an exception (or ``sys.exc_info()``) that ``join`` is to raise."""
        error = ex[1] if isinstance(ex, tuple) else ex
        with self._lock:
            if self._joined:
                if error is not None and not isinstance(error, self._clean):
                    raise error
                return
            if not self._stop_event.is_set():
                if error is not None and not isinstance(error, self._clean):
                    self._error = error
                self._stop_event.set()

    def clear_stop(self) -> None:
        """Forget the request."""
        with self._lock:
            self._joined, self._error = False, None
            self._stop_event.clear()

    def should_stop(self) -> bool:
        """Whether a stop was requested."""
        return self._stop_event.is_set()

    def wait_for_stop(self, timeout: float | None = None) -> bool:
        """Wait for the request."""
        return self._stop_event.wait(timeout)

    def register_thread(self, thread: threading.Thread) -> None:
        """Let ``join`` wait for this thread, too."""
        with self._lock:
            self._threads.add(thread)

    @contextlib.contextmanager
    def stop_on_exception(self) -> Iterator[None]:
        """An exception in the block requests a stop with it."""
        try:
            yield
        except Exception:
            self.request_stop(ex=sys.exc_info())

    def join(
        self, threads: Iterable[threading.Thread] | None = None, stop_grace_period_secs: float = 120,
        ignore_live_threads: bool = False,
    ) -> None:  # fmt: skip
        """Wait for the threads; raises the error given to ``request_stop``, RuntimeError if some do not stop."""
        with self._lock:
            waited = self._threads | set(threads or ())
        while any(t.is_alive() for t in waited) and not self.wait_for_stop(0.05):
            pass
        deadline = time.monotonic() + stop_grace_period_secs
        while any(t.is_alive() for t in waited) and time.monotonic() < deadline:
            for thread in waited:
                thread.join(0.02)
        alive = [t.name for t in waited if t.is_alive()]
        with self._lock:
            self._joined = True
            self._threads = set()
            if self._error is not None:
                raise self._error
        if alive and not ignore_live_threads:
            raise RuntimeError("Coordinator stopped with threads still running: " + " ".join(alive))

    @property
    def joined(self) -> bool:
        """Whether ``join`` has returned."""
        return self._joined

    def raise_requested_exception(self) -> None:
        """Raise the error given to ``request_stop``."""
        with self._lock:
            if self._error is not None:
                raise self._error


class LooperThread(threading.Thread):
    """Calls ``run_loop`` again and again, every ``timer_interval_secs`` seconds, until the coordinator stops it."""

    def __init__(
        self, coord: Coordinator, timer_interval_secs: float | None, target: Callable[..., Any] | None = None,
        args: tuple[Any, ...] | None = None, kwargs: dict[str, Any] | None = None,
    ) -> None:  # fmt: skip
        if not isinstance(coord, Coordinator):
            raise ValueError(f"'coord' argument must be a Coordinator: {coord}")
        super().__init__(daemon=True)
        self._coord, self._interval = coord, timer_interval_secs
        self._called, self._given, self._named = target, args or (), kwargs or {}
        coord.register_thread(self)

    @staticmethod
    def loop(
        coord: Coordinator, timer_interval_secs: float | None, target: Callable[..., Any],
        args: tuple[Any, ...] | None = None, kwargs: dict[str, Any] | None = None,
    ) -> LooperThread:  # fmt: skip
        """A thread that calls ``target``, started."""
        thread = LooperThread(coord, timer_interval_secs, target, args, kwargs)
        thread.start()
        return thread

    def run(self) -> None:
        """Loop."""
        with self._coord.stop_on_exception():
            self.start_loop()
            following = time.time()
            while not self._coord.wait_for_stop(max(0.0, following - time.time()) if self._interval else 0):
                self.run_loop()
                following += self._interval or 0
            self.stop_loop()

    def start_loop(self) -> None:
        """Before the first call."""

    def run_loop(self) -> None:
        """Call the target."""
        if self._called is not None:
            self._called(*self._given, **self._named)

    def stop_loop(self) -> None:
        """After the last."""


__all__ = ["Coordinator", "LooperThread"]
