"""Take the pictures of the how-to pages: ``python docs/make_howto_pictures.py [NAME]...``, to ``docs/images``.

Names: ``watch`` (a run in the terminal), ``report`` (the page of ``corenn report``), ``tensorboard`` (its tabs),
``notebook`` (outputs of cells), ``learning-rates``.  Needs the extra ``dev`` and a Chromium; takes about two minutes.
"""

from __future__ import annotations

import contextlib
import html
import http.server
import importlib.util
import io
import re
import select
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import nbformat
from corenn_cli.watch import WatchTable
from nbclient import NotebookClient
from PIL import Image
from rich.console import Console
from rich.terminal_theme import MONOKAI

from corenn.training.report import read_runs, write_report
from corenn.training.run import Run

HERE = Path(__file__).resolve().parent
NAMES = ("watch", "report", "tensorboard", "notebook", "learning-rates")
COLOURS = 160
WIDEST = 1200  # pixels
EPOCHS = 12
#: Two runs to compare: names and settings.
RUNS = {"augmented": {"augment": 1.0}, "plain": {"augment": 0.0}}
TABS = {
    "scalars": "scalars", "histograms": "histograms", "images": "images", "graph": "graphs&run=augmented%2Fevents",
    "hparams": "hparams",
}  # fmt: skip
#: Sizes of the window, in pixels, where the usual one leaves too much or too little room.
WINDOWS = {"graph": (1000, 760), "hparams": (1800, 480)}
#: The cells of the notebook.
CELLS = (
    "import numpy as np\n\nimport corenn\nfrom corenn import layers\n\ncorenn.random.seed(0)\n"
    "corenn.tensor([[1.0, 2.0], [3.0, 4.0]])",
    'model = corenn.Sequential(\n    [layers.Input((8,)), layers.Dense(32, activation="relu"), layers.Dense(1)]\n)\n'
    "model",
    'model.compile("adam", "mse")\nx = np.random.default_rng(0).normal(size=(512, 8)).astype("float32")\n'
    "history = model.fit(x, x.sum(axis=1, keepdims=True), epochs=4)",
)
STYLE = """body{margin:0;padding:18px 22px;background:#fff;color:#1f2328;font:14px/1.45 sans-serif}
.cell{display:grid;grid-template-columns:4.2em 1fr;margin-bottom:14px}
.in,.out{font:13px/1.45 monospace;color:#5b6570;padding-top:9px}.out{color:#b3541e}
pre{margin:0;font:13px/1.45 monospace;white-space:pre-wrap}
.code{background:#f5f6f8;border:1px solid #dde1e6;padding:8px 10px}.shown{padding:8px 10px}
table{border-collapse:collapse}td,th{padding:3px 9px;border:0;font-size:13px}
th{border-bottom:1px solid #999}tr:nth-child(even) td{background:#f5f6f8}"""


def module_of(path: str) -> ModuleType:
    """A module of the tests, by its path: there is one browser in this repository."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, HERE.parent / path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def save(name: str, data: bytes) -> None:
    """Write a picture of few colours, no wider than a page shows."""
    picture = Image.open(io.BytesIO(data)).convert("RGB")
    if picture.width > WIDEST:
        size = (WIDEST, round(picture.height * WIDEST / picture.width))
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    path = HERE / "images" / f"{name}.png"
    picture.convert("P", palette=Image.Palette.ADAPTIVE, colors=COLOURS).save(path, optimize=True)
    print(f"{path.relative_to(HERE.parent)}: {picture.width}x{picture.height}, {path.stat().st_size // 1000} kB")


class Camera:
    """A browser that takes pictures of pages."""

    def __init__(self, scratch: Path) -> None:
        driver = module_of("tests/browser/conftest.py")
        self.tabs = module_of("tests/browser/test_tensorboard_tabs.py")
        command = next((found for name in driver.BROWSERS if (found := driver.shutil.which(name))), None)
        if command is None:
            raise SystemExit(f"there is no browser: none of {', '.join(driver.BROWSERS)} is installed")
        self.browser = driver.Browser(command, str(scratch / "profile"))
        self.scratch = scratch

    def size(self, width: int, height: int) -> None:
        """The size of the window."""
        self.browser.ask(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
        )

    def take(self, name: str, whole: str = "") -> None:
        """A picture of the window, or of the one element that a selector names."""
        options: dict[str, Any] = {}
        if whole:
            box = self.browser.evaluate(
                f"(() => {{ const b = document.querySelector('{whole}').getBoundingClientRect();"
                " return [b.x, b.y, b.width, b.height]; })()"
            )
            clip = dict(zip(("x", "y", "width", "height"), box, strict=True))
            options = {"captureBeyondViewport": True, "clip": {**clip, "scale": 1}}
        save(name, self.browser.picture(self.scratch / f"{name}.png", **options))

    def open(self, address: str) -> None:
        """Go to a page, and wait until it is there."""
        self.browser.open(address)
        self.browser.wait_for("document.readyState", lambda found: found == "complete", "the page")


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address under which the files of a folder are, for a while."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *parts: Any) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


# ---------------------------------------------------------------- the pictures


class Photographed(WatchTable):
    """The table of ``--watch``, kept as an image of the terminal when so much of the run is done."""

    image = ""

    def step(self, part: str | None, position: Any, figures: Mapping[str, float]) -> None:
        """Keep it once, in the middle of an epoch."""
        super().step(part, position, figures)
        if not self.image and position.epoch == EPOCHS * 2 // 3 and position.done % 45 == 30:
            console = Console(record=True, file=io.StringIO(), force_terminal=True, width=self.console.width, height=30)
            console.print(self)
            self.image = console.export_svg(title="corenn run digits --watch", theme=MONOKAI)


def make_runs(folder: Path) -> str:
    """The runs that the pictures show; what the terminal looked like during the first."""
    image = ""
    for name, changes in RUNS.items():
        settings = {"epochs": EPOCHS, "histograms": 1, **changes}
        run = Run.start("digits", seed=0, changes=settings, out=folder / name)
        console = Console(file=io.StringIO(), force_terminal=True, width=96, height=30)
        with Photographed(run, console) as table:
            run.execute()
        image = image or table.image
    return image


def watch(camera: Camera, image: str) -> None:
    """The terminal."""
    (camera.scratch / "watch.html").write_text(
        f"<meta charset=utf-8><body style='margin:0;width:1100px'>{image}", encoding="utf-8"
    )
    camera.size(1100, 700)
    with served(camera.scratch) as address:
        camera.open(f"{address}watch.html")
        camera.take("watch", "svg")


def report(camera: Camera, runs: Path) -> None:
    """The page that compares both runs."""
    page = write_report(read_runs([runs / name for name in RUNS]), camera.scratch / "report.html")
    camera.size(1200, 1250)
    with served(camera.scratch) as address:
        camera.open(f"{address}{page.name}")
        camera.take("report")


def tensorboard(camera: Camera, runs: Path) -> None:
    """The tabs, each once what it is to show is drawn."""
    command = [sys.executable, "-W", "ignore", "-m", "tensorboard.main", "--logdir", str(runs), "--port", "0"]
    process = subprocess.Popen(
        [*command, "--host", "127.0.0.1", "--load_fast", "false"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    try:
        text, found = "", None
        while found is None and process.poll() is None:
            if select.select([process.stderr], [], [], 1.0)[0]:
                text += process.stderr.read1().decode("utf-8", "replace")
            found = re.search(r"http://[\d.:]+/", text)
        if found is None:
            raise SystemExit(f"TensorBoard did not start: {text[-500:]}")
        wanted = {"scalars": "epoch_accuracy", "histograms": "batch_normalization/beta/histogram",
                  "images": "mistakes/images", "graph": "flatten", "hparams": "learning_rate"}  # fmt: skip
        for name, tab in TABS.items():
            camera.size(*WINDOWS.get(name, (1400, 860)))
            camera.open("about:blank")
            camera.open(f"{found[0]}#{tab}")
            script = camera.tabs.TEXTS % "body"
            camera.browser.wait_for(script, lambda texts, name=name: wanted[name] in texts, f"tab {name}")
            time.sleep(3)  # curves and images come after the names
            camera.take(f"tensorboard-{name}")
    finally:
        process.terminate()
        process.wait()
        process.stderr.close()


def notebook(camera: Camera) -> None:
    """Cells and what a kernel has answered."""
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in CELLS])
    NotebookClient(made, timeout=600, kernel_name="python3").execute()
    rows = []
    for number, cell in enumerate(made.cells, 1):
        rows.append(f"<div class=in>[{number}]:</div><pre class=code>{html.escape(cell.source)}</pre>")
        for output in cell.outputs:
            data = output.get("data", {"text/plain": output.get("text", "")})
            shown = data.get("text/html") or f"<pre>{html.escape(data['text/plain'])}</pre>"
            title = f"[{number}]:" if output.output_type == "execute_result" else ""
            rows.append(f"<div class=out>{title}</div><div class=shown>{shown}</div>")
    page = f"<!doctype html><meta charset=utf-8><style>{STYLE}</style><body><div class=cell>{''.join(rows)}</div>"
    (camera.scratch / "notebook.html").write_text(page, encoding="utf-8")
    camera.size(900, 700)
    with served(camera.scratch) as address:
        camera.open(f"{address}notebook.html")
        camera.take("notebook", "body")


def learning_rates(camera: Camera) -> None:
    """What the first block of code of the page on learning rates finds."""
    page = (HERE / "how-to" / "learning-rate.md").read_text(encoding="utf-8")
    names: dict[str, Any] = {}
    exec(page.split("```python\n")[1].split("```")[0], names)
    save("learning-rates", names["found"].plot(camera.scratch).read_bytes())


def main(chosen: list[str]) -> None:
    """Take the pictures named, or all."""
    if unknown := set(chosen) - set(NAMES):
        raise SystemExit(f"there is no {', '.join(sorted(unknown))}; the names are {', '.join(NAMES)}")
    with tempfile.TemporaryDirectory() as place, contextlib.chdir(place):
        scratch = Path(place)
        runs = Path("runs")  # relative, as the terminal and TensorBoard show it
        image = make_runs(runs) if not chosen or {"watch", "report", "tensorboard"} & set(chosen) else ""
        how = {"watch": partial(watch, image=image), "report": partial(report, runs=runs),
               "tensorboard": partial(tensorboard, runs=runs), "notebook": notebook,
               "learning-rates": learning_rates}  # fmt: skip
        camera = Camera(scratch)
        try:
            for name in chosen or NAMES:
                how[name](camera)
        finally:
            camera.browser.close()


if __name__ == "__main__":
    main(sys.argv[1:])
