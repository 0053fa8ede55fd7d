"""``Run``: one run of a task: its directory, seed, data, callbacks, signals and result.

The directory holds ``config.json`` (everything needed to repeat the run), ``metrics.jsonl``, ``result.json``, ``events/``
(TensorBoard), ``checkpoints/`` and ``plots/*.png``.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import signal
import sys
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

from corenn import random
from corenn.data import Dataset
from corenn.device import Device, device
from corenn.errors import CheckpointError, PluginError, UsageError
from corenn.training.callbacks import (
    BackupAndRestore,
    Callback,
    JSONLinesLogger,
    Progress,
    StopOnRequest,
    TensorBoard,
)
from corenn.training.task import Settings, Task

CONFIG, RESULT = "config.json", "result.json"


class Interrupted(Exception):
    """A run was stopped by a signal after it had saved its state.  ``signum`` is the signal."""

    def __init__(self, signum: int, out: Path) -> None:
        super().__init__(f"stopped by {signal.Signals(signum).name}; the state is saved")
        self.signum, self.out = signum, out


def write_json(path: Path, value: Any) -> None:
    """Write JSON so that a reader never sees half of it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
    os.replace(temporary, path)


class Run:
    """What a task works with: ``settings``, ``dataset()``, ``fit(model, ...)``, ``out``, and the plots.

    Make one with ``Run.start`` or ``Run.resume``, and ``execute`` it.
    """

    def __init__(self, task: Task, config: dict[str, Any], out: Path, *, quiet: bool, resumed: bool) -> None:
        self.task, self.config, self.out, self.quiet, self.resumed = task, config, out, quiet, resumed
        self.settings: Settings = task.Settings()
        self.settings.change(config["settings"])
        self.seed: int = config["seed"]
        self.device: Device = device(config["backend"])
        self.steps = 0
        self.notes: list[str] = []
        self._stop = StopOnRequest()
        self._signum: int | None = None

    # ---- making one

    @classmethod
    def start(
        cls,
        name: str,
        *,
        backend: str = "auto",
        dataset: str | None = None,
        data_dir: str | None = None,
        changes: dict[str, Any] | None = None,
        seed: int | None = None,
        out: str | os.PathLike[str] | None = None,
        quiet: bool = False,
    ) -> Run:
        """A new run of the task called ``name``.  The directory must not hold another run."""
        task = _load_task(name)
        settings = task.Settings()
        settings.change(changes or {})
        chosen = device(backend)
        config = {
            "task": name,
            "backend": chosen.name,
            "seed": int.from_bytes(os.urandom(4), "little") if seed is None else seed,
            "dataset": dataset or task.default_dataset,
            "data_dir": None if data_dir is None else str(Path(data_dir).absolute()),
            "settings": settings.as_dict(),
            "versions": _versions(),
            "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "command": " ".join(["corenn", *sys.argv[1:]]),
        }
        _check_dataset(config["dataset"])
        directory = Path(out) if out is not None else _fresh(Path("runs"), name)
        if (directory / CONFIG).exists():
            raise UsageError("--out", f"{directory} holds a run already",
                             hint=f"continue it with --resume {directory}, or choose another directory")  # fmt: skip
        directory.mkdir(parents=True, exist_ok=True)
        write_json(directory / CONFIG, config)
        return cls(task, config, directory, quiet=quiet, resumed=False)

    @classmethod
    def resume(
        cls,
        which: str,
        name: str | None = None,
        *,
        out: str | os.PathLike[str] | None = None,
        changes: dict[str, Any] | None = None,
        quiet: bool = False,
    ) -> Run | None:
        """The run in directory ``which``; with ``"auto"`` the one in ``out``, or the newest unfinished one of task ``name``.

        ``changes`` may prolong it (epochs, steps).  ``None`` if ``"auto"`` finds none.
        """
        directory = Path(which) if which != "auto" else _unfinished(Path("runs"), name) if out is None else Path(out)
        if directory is None or (which == "auto" and not (directory / CONFIG).exists()):
            return None
        try:
            config = json.loads((directory / CONFIG).read_text(encoding="utf-8"))
        except FileNotFoundError:
            hint = "give the directory of a run: the one that holds config.json"
            raise CheckpointError("--resume", f"{directory} holds no run", hint=hint) from None
        except ValueError as error:
            raise CheckpointError("--resume", f"{directory / CONFIG} is damaged: {error}") from None
        if name is not None and config["task"] != name:
            raise UsageError("--resume", f"{directory} is a run of {config['task']!r}, not of {name!r}")
        config["settings"].update(changes or {})
        return cls(_load_task(config["task"]), config, directory, quiet=quiet, resumed=True)

    # ---- executing

    def execute(self) -> dict[str, Any]:
        """Run the task; returns (and writes to ``result.json``) its result.  Interrupted after SIGINT or SIGTERM."""
        random.seed(self.seed)
        started = time.perf_counter()
        with self.device, self._signals():
            metrics = self.task.run(self)
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
        return result

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """While a task runs, the first SIGINT or SIGTERM ends training after the step; a second ends the process."""

        def handle(signum: int, frame: FrameType | None) -> None:
            if self._signum is not None:
                raise KeyboardInterrupt
            self._signum = signum
            self._stop.request(f"{signal.Signals(signum).name}: finishing this step and saving")

        previous: dict[int, Any] = {}
        with contextlib.suppress(ValueError):  # not the main thread: signals stay as they are
            for signum in (signal.SIGINT, signal.SIGTERM):
                previous[signum] = signal.signal(signum, handle)
        try:
            yield
        finally:
            for signum, old in previous.items():
                signal.signal(signum, old)

    # ---- for tasks

    def say(self, text: str) -> None:
        """A line for the person watching, unless ``--quiet``."""
        if not self.quiet:
            print(text, file=sys.stderr, flush=True)

    def dataset(self, **options: Any) -> Any:
        """The data set of this run (``corenn_datasets.DatasetSplits`` or alike), from ``--dataset`` and ``--data-dir``."""
        from corenn.plugin import registry

        name = self.config["dataset"]
        if name is None:
            raise UsageError(self.config["task"], "needs a data set", hint="--dataset NAME; see corenn datasets")
        if self.config["data_dir"] is not None:
            options["data_dir"] = self.config["data_dir"]
        return registry.get("dataset", name).load()(**options)

    def model(self, name: str, **options: Any) -> Any:
        """A model from the registered ones, built with ``options``."""
        from corenn.plugin import registry

        return registry.get("model", name).load()(**options)

    def callbacks(self) -> list[Callback]:
        """What writes this run's directory and lets it be stopped and resumed."""
        often: Any = self.settings.checkpoint_every or "epoch"
        found: list[Callback] = [
            BackupAndRestore(str(self.out / "checkpoints"), save_freq=often, delete_checkpoint=False, restore=self.resumed),
            self._stop,
            JSONLinesLogger(str(self.out / "metrics.jsonl")),
            TensorBoard(str(self.out / "events")),
        ]
        return found if self.quiet else [*found, Progress()]

    def fit(self, model: Any, *data: Any, callbacks: Any = (), **options: Any) -> Any:
        """``model.fit`` with this run's settings and callbacks; raises Interrupted if a signal stopped it."""
        options.setdefault("epochs", self.settings.epochs)
        if not isinstance(data[0], Dataset):  # a dataset brings its own batches
            options.setdefault("batch_size", self.settings.batch_size)
        limit = self.settings.steps or None
        history = model.fit(*data, callbacks=[*self.callbacks(), *callbacks], verbose=0, most_steps=limit, **options)
        self.steps = history.loop.total_steps
        if self._signum is not None:
            raise Interrupted(self._signum, self.out)
        return history

    def figures(self) -> Any:
        """``corenn.training.plots`` for ``plots/*.png``, or ``None`` (said once) where matplotlib is not installed."""
        try:
            from corenn.training import plots

            return plots.Plots(self.out / "plots")
        except ImportError as error:
            self.say(f"no plots: {error}")
            self.notes.append(str(error))
            return None


def _load_task(name: str) -> Task:
    from corenn.plugin import registry

    try:
        task: Task = registry.get("task", name).load()()
    except PluginError as error:
        raise UsageError("run", error.what, error.operands, hint=error.hint) from None
    return task


def _check_dataset(name: str | None) -> None:
    from corenn.plugin import registry

    if name is not None:
        try:
            registry.get("dataset", name)
        except PluginError as error:
            raise UsageError("--dataset", error.what, error.operands, hint=error.hint) from None


def _fresh(parent: Path, name: str) -> Path:
    stamp = time.strftime("%Y%m%d-%H%M%S")
    found, number = parent / f"{name}-{stamp}", 2
    while found.exists():
        found, number = parent / f"{name}-{stamp}-{number}", number + 1
    return found


def _unfinished(parent: Path, name: str | None) -> Path | None:
    """The newest run below ``parent`` of a task that has no result yet."""
    for config in sorted(parent.glob(f"*/{CONFIG}"), key=lambda p: p.stat().st_mtime, reverse=True):
        if not (config.parent / RESULT).exists():
            with contextlib.suppress(ValueError, KeyError):
                if name is None or json.loads(config.read_text(encoding="utf-8"))["task"] == name:
                    return config.parent
    return None


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "numpy": np.__version__}
    with contextlib.suppress(metadata.PackageNotFoundError):
        found["corenn"] = metadata.version("corenn")
    return found
