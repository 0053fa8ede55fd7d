"""Time what eager execution costs: one op, a gradient, a training step, the import; and the size of an install.

    python benchmarks/eager.py [--repeats N] [--only NAME ...] [--threads N] [--json FILE]

Everything compared is measured in turn, many times over (``interleaved``), so that a busy machine slows all alike; the
table has medians and minima.  See README.md beside this file for how to read it.
"""

from __future__ import annotations

import argparse
import gc
import importlib.metadata
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
import timeit
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")

Figures = dict[str, dict[str, float]]


# ---------------------------------------------------------------- measuring


def interleaved(cases: dict[str, timeit.Timer], repeats: int, seconds: float) -> Figures:
    """Microseconds per call of each case: median and minimum over ``repeats`` rounds of about ``seconds`` each.

    A round times every case once, starting with another one each time.
    """
    counts = {}
    for name, timer in cases.items():
        timer.timeit(3)  # the first call makes plans and caches
        number, taken = timer.autorange()
        counts[name] = max(1, int(number * seconds / taken))
    found: dict[str, list[float]] = {name: [] for name in cases}
    names = list(cases)
    for turn in range(repeats):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            gc.collect()
            found[name].append(cases[name].timeit(counts[name]) / counts[name] * 1e6)
    return {name: summary(values) for name, values in found.items()}


def summary(values: list[float]) -> dict[str, float]:
    """Median, minimum and number of measurements."""
    return {"median": statistics.median(values), "minimum": min(values), "n": len(values)}


def torch_or_none(threads: int) -> Any:
    """PyTorch, kept to ``threads``; ``None`` when it is not installed."""
    try:
        import torch
    except ImportError:
        return None
    torch.set_num_threads(threads)
    return torch


# ---------------------------------------------------------------- one op, one gradient


def add(torch: Any, repeats: int, seconds: float) -> Figures:
    """``a + b`` on 10x10 float32: what a framework adds to the bare NumPy call."""
    import numpy as np

    import corenn

    a, b = np.ones((10, 10), np.float32), np.ones((10, 10), np.float32)
    x, y = corenn.tensor(a), corenn.tensor(b)
    cases = {
        "numpy": timeit.Timer("add(a, b)", globals={"add": np.add, "a": a, "b": b}),
        "corenn.add(x, y)": timeit.Timer("add(x, y)", globals={"add": corenn.add, "x": x, "y": y}),
        "corenn x + y": timeit.Timer("x + y", globals={"x": x, "y": y}),
    }
    if torch is not None:
        s, t = torch.from_numpy(a), torch.from_numpy(b)
        cases["torch.add(s, t)"] = timeit.Timer("add(s, t)", globals={"add": torch.add, "s": s, "t": t})
    return interleaved(cases, repeats, seconds)


def gradient(torch: Any, repeats: int, seconds: float) -> Figures:
    """Forward and backward of ``sum(v * b)`` on 10x10 float32, with respect to ``v``."""
    import numpy as np

    import corenn

    a, b = np.full((10, 10), 2, np.float32), np.full((10, 10), 3, np.float32)
    v, y = corenn.Variable(a), corenn.tensor(b)

    def with_corenn() -> Any:
        with corenn.GradientTape() as tape:
            loss = corenn.sum(v * y)
        return tape.gradient(loss, v)

    def by_hand() -> Any:
        np.sum(np.multiply(a, b))
        return np.multiply(np.broadcast_to(np.float32(1), a.shape), b)

    np.testing.assert_array_equal(with_corenn().numpy(), by_hand())
    cases = {"numpy, by hand": timeit.Timer(by_hand), "corenn": timeit.Timer(with_corenn)}
    if torch is not None:
        s, t = torch.from_numpy(a).requires_grad_(), torch.from_numpy(b)

        def with_torch() -> Any:
            s.grad = None
            (s * t).sum().backward()
            return s.grad

        np.testing.assert_array_equal(with_torch().numpy(), by_hand())
        cases["torch"] = timeit.Timer(with_torch)
    return interleaved(cases, repeats, seconds)


# ---------------------------------------------------------------- a run of a graph


def session(torch: Any, repeats: int, seconds: float) -> Figures:
    """``Session.run`` of ``tanh(x * w)`` on 10x10 float32, ``x`` fed, ``w`` a variable: what a run adds to its ops."""
    import numpy as np

    import corenn
    from corenn import graph as graphs

    a, b = np.full((10, 10), 2, np.float32), np.full((10, 10), 3, np.float32)
    with graphs.Graph().as_default():
        x = graphs.placeholder("float32", (10, 10))
        y = corenn.tanh(x * graphs.variable(b))
        running = graphs.Session()
        running.run(graphs.global_variables_initializer())
    feed = {x: a}

    def by_hand() -> Any:
        return np.tanh(np.multiply(a, b))

    np.testing.assert_array_equal(running.run(y, feed), by_hand())
    cases = {
        "numpy, by hand": timeit.Timer(by_hand),
        "corenn": timeit.Timer("run(y, feed)", globals={"run": running.run, "y": y, "feed": feed}),
    }
    return interleaved(cases, repeats, seconds)


# ---------------------------------------------------------------- a training step


def mlp_step(torch: Any, repeats: int, seconds: float) -> Figures:
    """One step of Adam on 784-128-64-10 with dropout, 128 examples: as ``corenn_models.classifiers.mlp`` on MNIST."""
    from corenn import layers

    hidden = [layer for n in (128, 64) for layer in (layers.Dense(n, activation="relu"), layers.Dropout(0.2))]
    ours = corenn_step([*hidden, layers.Dense(10, activation="softmax")], (128, 784))
    cases = {"corenn": timeit.Timer(ours)}
    if torch is not None:
        nn = torch.nn
        blocks = [m for i, o in ((784, 128), (128, 64)) for m in (nn.Linear(i, o), nn.ReLU(), nn.Dropout(0.2))]
        cases["torch"] = timeit.Timer(torch_step(torch, [*blocks, nn.Linear(64, 10)], (128, 784)))
    return interleaved(cases, repeats, seconds)


def cnn_step(torch: Any, repeats: int, seconds: float) -> Figures:
    """One step of Adam on the network of the digits task, 32 images of 8x8."""
    from corenn import layers

    blocks: list[Any] = []
    for filters in (24, 48):
        blocks += [layers.Conv2D(filters, 3, padding="same", activation="relu"), layers.BatchNormalization()]
        blocks.append(layers.MaxPooling2D(2, padding="same"))
    blocks += [layers.Flatten(), layers.Dropout(0.3), layers.Dense(96, activation="relu"), layers.Dropout(0.3)]
    ours = corenn_step([*blocks, layers.Dense(10, activation="softmax")], (32, 8, 8, 1))
    cases = {"corenn": timeit.Timer(ours)}
    if torch is not None:
        nn = torch.nn
        parts = []
        for before, after in ((1, 24), (24, 48)):
            parts += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(after), nn.MaxPool2d(2)]
        parts += [nn.Flatten(), nn.Dropout(0.3), nn.Linear(192, 96), nn.ReLU(), nn.Dropout(0.3), nn.Linear(96, 10)]
        cases["torch"] = timeit.Timer(torch_step(torch, parts, (32, 1, 8, 8)))
    return interleaved(cases, repeats, seconds)


def examples(shape: tuple[int, ...]) -> tuple[Any, Any]:
    """Inputs of ``shape`` and labels of ten classes."""
    import numpy as np

    generator = np.random.default_rng(0)
    return generator.normal(size=shape).astype(np.float32), generator.integers(0, 10, shape[0])


def corenn_step(blocks: list[Any], shape: tuple[int, ...]) -> Callable[[], Any]:
    """What ``fit`` does for each batch: forward, loss, backward, update, accuracy."""
    import corenn

    corenn.random.seed(0)
    model = corenn.Sequential([corenn.layers.Input(shape[1:]), *blocks])
    model.compile("adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    batch = examples(shape)
    model.train_on_batch(*batch)
    return lambda: model.train_step(batch)


def torch_step(torch: Any, blocks: list[Any], shape: tuple[int, ...]) -> Callable[[], Any]:
    """The same in PyTorch; its cross-entropy contains the softmax."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(*blocks).train()
    optimizer, criterion = torch.optim.Adam(model.parameters()), torch.nn.CrossEntropyLoss()
    inputs, labels = examples(shape)
    x, y = torch.from_numpy(inputs), torch.from_numpy(labels)
    right = torch.zeros(())

    def step() -> Any:
        optimizer.zero_grad(set_to_none=True)
        out = model(x)
        loss = criterion(out, y)
        loss.backward()
        optimizer.step()
        right.add_((out.argmax(1) == y).sum())
        return loss

    return step


# ---------------------------------------------------------------- import and size

_IMPORT = """
import sys, time
import numpy
start = time.perf_counter()
for name in sys.argv[1:]:
    __import__(name)
print(time.perf_counter() - start)
"""


def imports(torch: Any, repeats: int, seconds: float) -> Figures:
    """Microseconds that imports take after ``import numpy``, byte code cached: each in a process of its own.

    The cache is in a directory of its own and filled by a first round that does not count.
    """
    cases = {"corenn": ["corenn"], "corenn, layers and training": ["corenn", "corenn.training"]}
    if torch is not None:
        cases["torch"] = ["torch"]
    found: dict[str, list[float]] = {name: [] for name in cases}
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": cache}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        for turn in range(repeats + 1):
            for name, modules in cases.items():
                command = [sys.executable, "-c", _IMPORT, *modules]
                done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment, cwd=ROOT)
                if turn:
                    found[name].append(float(done.stdout) * 1e6)
    return {name: summary(values) for name, values in found.items()}


def size(torch: Any, repeats: int, seconds: float) -> Figures:
    """Bytes of what an install brings: the wheel's files, then its dependencies and theirs."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        packages = tomllib.load(file)["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    own = sum(
        path.stat().st_size
        for package in packages
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    )
    found = {"corenn's own files": own}
    others = dependencies("corenn")
    found["dependencies but numpy"] = sum(installed(name) for name in others if name != "numpy")
    found["numpy"] = installed("numpy")
    if torch is not None:
        found["torch, for comparison"] = installed("torch")
    return {name: {"median": float(n), "minimum": float(n), "n": 1} for name, n in found.items()}


def dependencies(name: str, seen: set[str] | None = None) -> set[str]:
    """Installed distributions that ``name`` needs without extras, and those that they need."""
    seen = set() if seen is None else seen
    for line in importlib.metadata.requires(name) or []:
        needed = re.split(r"[^A-Za-z0-9._-]", line, maxsplit=1)[0].lower()
        if "extra ==" in line or needed in seen:
            continue
        try:
            importlib.metadata.distribution(needed)
        except importlib.metadata.PackageNotFoundError:  # for another system or Python
            continue
        seen.add(needed)
        dependencies(needed, seen)
    return seen


def installed(name: str) -> int:
    """Bytes of a distribution's files, byte code left out."""
    files = importlib.metadata.distribution(name).files or []
    paths = [Path(str(f.locate())) for f in files if "__pycache__" not in f.parts]
    return sum(path.stat().st_size for path in paths if path.is_file())


# ---------------------------------------------------------------- reporting

MEASUREMENTS: dict[str, tuple[Callable[[Any, int, float], Figures], str, str]] = {
    "add": (add, "us", "numpy"),
    "gradient": (gradient, "us", "corenn"),
    "session": (session, "us", "numpy, by hand"),
    "mlp_step": (mlp_step, "us", "corenn"),
    "cnn_step": (cnn_step, "us", "corenn"),
    "import": (imports, "us", "corenn"),
    "size": (size, "bytes", "corenn's own files"),
}


def conditions(threads: int) -> dict[str, Any]:
    """What a reader must know to compare."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    found = {
        "date": time.strftime("%Y-%m-%d"), "python": platform.python_version(), "system": platform.system(),
        "machine": platform.machine(), "processors": os.cpu_count(), "threads": threads, "load at start": load,
    }  # fmt: skip
    for name in ("corenn", "numpy", "torch"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
    return found


def shown(value: float, unit: str) -> str:
    """A figure for the table."""
    if unit == "bytes":
        return f"{value / 1e6:.2f} MB"
    return f"{value:.2f} us" if value < 1000 else f"{value / 1000:.2f} ms"


def table(results: dict[str, Figures]) -> str:
    """A Markdown table: medians, minima, and the ratios of each to those of the measurement's base."""
    lines = [
        "| measurement | case | median | minimum | medians to base | minima to base |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for name, figures in results.items():
        _, unit, base = MEASUREMENTS[name]
        for case, figure in figures.items():
            cells = [shown(figure[kind], unit) for kind in ("median", "minimum")]
            cells += [f"{figure[kind] / figures[base][kind]:.2f}" for kind in ("median", "minimum")]
            lines.append(f"| {' | '.join([name, case, *cells])} |")
    return "\n".join(lines)


def main() -> None:
    """Measure, print the table, and print or write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=15, help="rounds of each measurement (15)")
    parser.add_argument("--seconds", type=float, default=0.05, help="about how long a round times one case (0.05)")
    parser.add_argument("--threads", type=int, default=1, help="of BLAS and of PyTorch (1)")
    parser.add_argument("--only", nargs="+", choices=MEASUREMENTS, default=list(MEASUREMENTS), help="which to take")
    parser.add_argument("--json", type=Path, help="write the JSON there instead of printing it")
    chosen = parser.parse_args()
    for variable in THREAD_VARIABLES:
        os.environ[variable] = str(chosen.threads)  # before NumPy is loaded
    before = conditions(chosen.threads)
    torch = torch_or_none(chosen.threads)
    results = {name: MEASUREMENTS[name][0](torch, chosen.repeats, chosen.seconds) for name in chosen.only}
    print(table(results))
    document = json.dumps({"conditions": before, "results": results})
    if chosen.json is None:
        print(document)
    else:
        chosen.json.write_text(document + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
