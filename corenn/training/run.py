"""``Run``: one run of a task: its directory, seed, data, callbacks, signals and result.

The directory holds ``config.json`` (everything needed to repeat the run), ``metrics.jsonl``, ``result.json`` (once the
run has ended), ``events/`` (TensorBoard), ``checkpoints/`` and ``plots/*.png``.
"""

from __future__ import annotations

import contextlib
import inspect
import os
import platform
import shlex
import signal
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from importlib import metadata
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

from corenn import random
from corenn.device import Device, device
from corenn.errors import CheckpointError, MissingExtraError, PluginError, UsageError, nearest
from corenn.summary import EventWriter
from corenn.training.callbacks import StopOnRequest
from corenn.training.callbacks.progress import is_terminal
from corenn.training.run_directory import (
    CONFIG,
    EVENTS,
    PLOTS,
    RESULT,
    RUNS,
    RunLock,
    abandon,
    claim,
    read_config,
    read_result,
    unfinished,
    write_json,
)
from corenn.training.run_loop import RunLoop
from corenn.training.run_parts import Parts, fit_part
from corenn.training.run_view import RunView
from corenn.training.task import Settings, Task


class Interrupted(Exception):
    """A run was stopped by a signal after it had saved its state.  ``signum`` is the signal, ``out`` its directory."""

    def __init__(self, signum: int, out: Path) -> None:
        super().__init__(f"stopped by {signal.Signals(signum).name}; the state is saved")
        self.signum, self.out = signum, out


class Run:
    """What a task works with: ``settings``, ``dataset()``, ``model(name)``, ``fit(model, ...)``, ``out``, the plots.

    Make one with ``Run.start`` or ``Run.resume``, and ``execute`` it.
    """

    def __init__(
        self, task: Task, config: dict[str, Any], out: Path, lock: RunLock, *, quiet: bool, resumed: bool
    ) -> None:
        self.task, self.config, self.out, self.quiet, self.resumed = task, config, out, quiet, resumed
        self.settings: Settings = task.Settings()
        self.settings.change(config["settings"])
        self.seed: int = config["seed"]
        self.device: Device = device(config["backend"])
        self.steps = 0
        self.signum: int | None = None
        self.stop = StopOnRequest()
        self.parts = Parts(out)
        self.view: RunView | None = None
        self._lock = lock
        self._writer: EventWriter | None = None

    # ---- making one

    @classmethod
    def start(
        cls,
        name: str,
        *,
        backend: str | None = None,
        dataset: str | None = None,
        data_dir: str | os.PathLike[str] | None = None,
        changes: Mapping[str, Any] | None = None,
        seed: int | None = None,
        out: str | os.PathLike[str] | None = None,
        quiet: bool = False,
    ) -> Run:
        """A new run of the task called ``name``.

        ``backend``: by default the one ``CORENN_BACKEND`` names, or ``auto``.  ``changes``: settings by name, as text
        or values.  ``seed``: random if ``None``.  ``out``: the directory, which must not hold another run; by default
        ``runs/TASK-TIME``.  Raises UsageError, or BackendError for a backend that cannot be used, and then leaves no
        directory behind.
        """
        task = _load_task(name)
        settings = task.Settings()
        settings.change(changes or {})
        chosen = device(backend or os.environ.get("CORENN_BACKEND") or "auto")
        if seed is not None and not 0 <= seed < 1 << 64:
            raise UsageError("seed", f"must lie in [0, 2**64), not {seed}")
        config = {
            "task": name,
            "backend": chosen.name,
            "seed": random.fresh_seed("run") & 0xFFFFFFFF if seed is None else seed,
            "dataset": _checked_dataset(dataset or task.default_dataset),
            "data_dir": None if data_dir is None else str(Path(data_dir).expanduser().absolute()),
            "settings": settings.as_dict(),
            **_circumstances(),
        }
        directory, lock = claim(out, name)
        write_json(directory / CONFIG, config)
        return cls(task, config, directory, lock, quiet=quiet, resumed=False)

    @classmethod
    def resume(
        cls,
        which: str | os.PathLike[str],
        name: str | None = None,
        *,
        out: str | os.PathLike[str] | None = None,
        backend: str | None = None,
        dataset: str | None = None,
        data_dir: str | os.PathLike[str] | None = None,
        changes: Mapping[str, Any] | None = None,
        seed: int | None = None,
        quiet: bool = False,
    ) -> Run | None:
        """The run in directory ``which``; with ``"auto"`` that in ``out``, or the newest unfinished one below ``runs``.

        ``None`` if ``"auto"`` finds none (of task ``name``).  ``changes`` may prolong the run: only the settings that
        its task calls adjustable (epochs, steps, checkpoint_every) can differ.  ``backend`` and ``data_dir`` may
        differ too, for a run that moves; ``dataset`` and ``seed`` must be those of the run.  Raises UsageError
        otherwise, and CheckpointError when ``which`` holds no run.
        """
        if which == "auto":
            found = next(_lockable(name), None) if out is None else _locked(Path(out))
        elif out is not None and Path(out).absolute() != Path(which).absolute():
            raise UsageError("--out", f"the run continues in {os.fspath(which)}", hint="leave --out out")
        else:
            read_config(Path(which))  # an error that says what is wrong comes before that of the lock
            found = _locked(Path(which))
        if found is None:
            return None
        directory, lock = found
        config = read_config(directory)
        if name is not None and config["task"] != name:
            raise UsageError("--resume", f"{directory} is a run of {config['task']!r}, not of {name!r}")
        for option, given in (("seed", seed), ("dataset", dataset)):
            if given is not None and given != config[option]:
                raise UsageError(f"--{option}", f"the run in {directory} has {config[option]!r}, not {given!r}",
                                 hint=f"leave --{option} out, or start a new run")  # fmt: skip
        task = _load_task(config["task"])
        before, ended = dict(config), read_result(directory) is not None
        config["settings"] = _prolonged(task, directory, config["settings"], changes or {})
        config["backend"] = device(backend or config["backend"]).name
        if data_dir is not None:
            config["data_dir"] = str(Path(data_dir).expanduser().absolute())
        if config != before or not ended:
            config["resumed"] = [*config.get("resumed", []), _circumstances()]
            (directory / RESULT).unlink(missing_ok=True)
            write_json(directory / CONFIG, config)
        return cls(task, config, directory, lock, quiet=quiet, resumed=True)

    @property
    def finished(self) -> bool:
        """Whether the run has ended and has its result."""
        return read_result(self.out) is not None

    # ---- executing

    def execute(self) -> dict[str, Any]:
        """Run the task; returns (and writes to ``result.json``) its result: task, backend, seed, steps, seconds (of
        this process), metrics, out.  The result of a run that has ended already is only read.

        The first SIGINT or SIGTERM ends training after the step in hand, saves, and raises Interrupted; a second
        raises KeyboardInterrupt.
        """
        done = read_result(self.out)
        if done is not None:
            self._lock.release()
            return done
        random.seed(self.seed)
        started = time.perf_counter()
        try:
            with self.device, self._signals():
                metrics = self.task.run(self)
                self.raise_if_stopped()
        except BaseException as error:
            self._close("unknown" if isinstance(error, (Interrupted, KeyboardInterrupt)) else "failure")
            if not self.resumed and isinstance(error, Exception) and not isinstance(error, Interrupted):
                abandon(self.out)
            raise
        result = {
            "task": self.config["task"],
            "backend": self.device.name,
            "seed": self.seed,
            "steps": self.steps,
            "seconds": round(time.perf_counter() - started, 3),
            "metrics": {k: float(v) for k, v in metrics.items()},
            "out": str(self.out),
        }
        write_json(self.out / RESULT, result)
        for name, value in metrics.items():
            self.writer.scalar(name, value, self.steps)
        self._close("success")
        return result

    def _close(self, status: str) -> None:
        if self._writer is not None:
            self._writer.hparams_end(status)
            self._writer.close()
        self.parts.close()
        self._lock.release()

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """While a task runs, the first SIGINT or SIGTERM asks training to end after the step; the next ends all."""

        def handle(signum: int, frame: FrameType | None) -> None:
            if self.signum is not None:
                self.signum = signum
                raise KeyboardInterrupt
            self.signum = signum
            self.stop.request("")
            text = f"{signal.Signals(signum).name}: finishing this step and saving; once more to end at once"
            if self.view is not None:
                self.view.note(text)
                return
            # Not print(): the signal may have come in the middle of one.
            clear = "\r\x1b[2K" if is_terminal(sys.stderr) else ""
            with contextlib.suppress(OSError, ValueError):
                os.write(sys.stderr.fileno(), f"{clear}{text}\n".encode())

        previous: dict[int, Any] = {}
        with contextlib.suppress(ValueError):  # not the main thread: signals stay as they are
            for signum in (signal.SIGINT, signal.SIGTERM):
                previous[signum] = signal.signal(signum, handle)
        try:
            yield
        finally:
            for number, old in previous.items():
                signal.signal(number, old)

    def raise_if_stopped(self) -> None:
        """Interrupted if a signal has asked the run to end."""
        if self.signum is not None:
            raise Interrupted(self.signum, self.out)

    # ---- for tasks

    def say(self, text: str) -> None:
        """A line for the person watching, unless ``--quiet``."""
        if not self.quiet:
            self.warn(text)

    def warn(self, text: str) -> None:
        """A line that a person should see in any case."""
        if self.view is not None:
            self.view.line(text)
        else:
            print(text, file=sys.stderr, flush=True)

    def dataset(self, named: str | None = None, /, **options: Any) -> Any:
        """The data set of this run: what its loader gives for ``--dataset`` (or ``named``), ``--data-dir``, options."""
        name = named or self.config["dataset"]
        if name is None:
            raise UsageError(self.config["task"], "needs a data set", hint="--dataset NAME; see corenn datasets")
        load = _record("dataset", name, "--dataset").load()
        taken = inspect.signature(load).parameters
        if self.config["data_dir"] is not None:
            _check_options(f"data set {name!r}", load, ["data_dir"])
            options["data_dir"] = self.config["data_dir"]
        if "progress" in taken:
            options["progress"] = self._received
        return load(**options)

    def _received(self, name: str, received: int, total: int) -> None:
        """Progress of a download: rewritten on a terminal, a line a file elsewhere."""
        moving = is_terminal(sys.stderr)
        if not self.quiet and (moving or received >= total):
            text = f"{name}: {received / 1e6:.1f} of {total / 1e6:.1f} MB"
            if self.view is not None:
                self.view.note(text)
                return
            end = "\n" if received >= total else ""
            print(f"\r\x1b[2K{text}" if moving else text, end=end, file=sys.stderr, flush=True)

    def model(self, name: str, **options: Any) -> Any:
        """A registered model, built with ``options``; UsageError for an unknown name or option."""
        build = registered_model(name)
        _check_options(f"model {name!r}", build, options)
        return build(**options)

    @property
    def writer(self) -> EventWriter:
        """Writes to the run's event files: ``run.writer.image("tag", images, step)``.  Begins with the settings."""
        if self._writer is None:
            self._writer = EventWriter(self.out / EVENTS)
            if not self.resumed:
                named = {k: v for k, v in self.config.items() if k in ("task", "backend", "seed", "dataset")}
                values = {**named, **_flat(self.config["settings"])}
                self._writer.hparams({k: v if isinstance(v, (bool, int, float)) else str(v) for k, v in values.items()})
        return self._writer

    def fit(self, model: Any, *data: Any, part: str | None = None, callbacks: Any = (), **options: Any) -> Any:
        """``model.fit`` with this run's settings and callbacks; Interrupted if a signal stopped it.

        A run that trains more than once names each training: ``part``, its directory below ``checkpoints/`` and
        ``events/``, and the ``"part"`` of its lines in ``metrics.jsonl``.  A resumed run restores the parts that had
        ended (weights, history) without training them again, and goes on in the one that was in hand.
        UsageError for a part that was trained before, also by ``loop``.
        """
        return fit_part(self, model, data, part, callbacks, options)

    def loop(self, part: str | None = None, **tracked: Any) -> RunLoop:
        """A loop written by hand, ``for step in run.loop(...).steps(total)``, that is saved and resumed.

        ``tracked``: by name, all whose state the loop changes: variables, models, optimizers, metrics, random
        generators, NumPy arrays, lists and dicts of these or of numbers, and whatever has ``state_dict()`` and
        ``load_state_dict(state)``.  The default random generator is saved in any case.  Prepare them all before this
        call, which in a resumed run gives them the state of the last checkpoint.  UsageError for what has no state, or
        a part that was trained before; CheckpointError for a checkpoint that does not fit.
        """
        return RunLoop(self, self.parts.begin("loop", part), tracked)

    def figures(self) -> Any:
        """``corenn.training.plots.Plots`` for ``plots/*.png``; without matplotlib ``None``, and a line that says so."""
        self.raise_if_stopped()
        try:
            from corenn.training import plots
        except MissingExtraError as error:
            self.warn(f"no plots: {error}")
            return None
        return plots.Plots(self.out / PLOTS)


def registered_model(name: str) -> Any:
    """The factory of a registered model; UsageError with the nearest names if there is none."""
    return _record("model", name, "model").load()


def _check_options(where: str, function: Any, options: Iterable[str]) -> None:
    """UsageError if ``function`` takes no argument of one of these names."""
    taken = inspect.signature(function).parameters.values()
    known = [p.name for p in taken]
    for option in options:
        if option not in known and all(p.kind is not p.VAR_KEYWORD for p in taken):
            raise UsageError(where, f"takes no {option!r}", hint=nearest(option, known))


def _record(kind: str, name: str, where: str) -> Any:
    from corenn.plugin import registry

    try:
        return registry.get(kind, name)
    except PluginError as error:
        raise UsageError(where, error.what, error.operands, hint=error.hint) from None


def _load_task(name: str) -> Task:
    task: Task = _record("task", name, "run").load()()
    return task


def _checked_dataset(name: str | None) -> str | None:
    if name is not None:
        _record("dataset", name, "--dataset")
    return name


def _locked(directory: Path) -> tuple[Path, RunLock] | None:
    return (directory, RunLock(directory)) if (directory / CONFIG).exists() else None


def _lockable(name: str | None) -> Iterator[tuple[Path, RunLock]]:
    """Unfinished runs that no other process is working on."""
    for directory in unfinished(RUNS, name):
        with contextlib.suppress(UsageError):
            yield directory, RunLock(directory)


def _prolonged(task: Task, directory: Path, saved: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a run with those changed that may be."""
    settings = task.Settings()
    try:
        settings.change(saved)
    except UsageError as error:
        raise CheckpointError(str(directory / CONFIG), error.what, hint="is it from another version?") from None
    before = settings.as_dict()
    settings.change(changes)
    after = settings.as_dict()
    for key, value in after.items():
        if value != before[key] and key not in task.Settings.adjustable:
            what = f"the run in {directory} has {key}={before[key]}, and continues with it, not with {value}"
            hint = f"only {', '.join(sorted(task.Settings.adjustable))} can change; or start a new run"
            raise UsageError("--resume", what, hint=hint)
    return after


def _circumstances() -> dict[str, Any]:
    """When, how and with which versions a run was started or continued."""
    versions = {"python": platform.python_version(), "numpy": np.__version__}
    with contextlib.suppress(metadata.PackageNotFoundError):
        versions["corenn"] = metadata.version("corenn")
    return {
        "versions": versions,
        "started": datetime.now().astimezone().isoformat(timespec="seconds"),
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
    }


def _flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with those in dicts as ``field.key``."""
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        flat |= {f"{key}.{k}": v for k, v in value.items()} if isinstance(value, dict) else {key: value}
    return flat


__all__ = ["Interrupted", "Run", "registered_model"]
