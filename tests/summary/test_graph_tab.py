"""TensorBoard's graph tab, opened in a browser without a screen: what it draws of a graph.

The browser is driven over its debugging pipe (Chrome DevTools Protocol), so that nothing beyond it and TensorBoard is
needed.  Skipped where either is missing.  The picture is left in the test's directory.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import corenn
from corenn import graph as G
from corenn.summary import FileWriter, graph_ops

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
PATIENCE = 60.0  # seconds for the server to start, and for the page to be drawn

#: Every text in drawings: names of nodes, shapes on edges.  The page keeps its parts in shadow trees.
TEXTS = """(() => { const found = []; const walk = root => {
  root.querySelectorAll('svg text, svg textPath').forEach(t => found.push(
    [...t.childNodes].filter(n => n.nodeType === 3).map(n => n.data).join('')));
  root.querySelectorAll('*').forEach(e => e.shadowRoot && walk(e.shadowRoot)); };
  walk(document); return found; })()"""
#: Open the group of this name, as a double click does.
OPEN = """(name => { const walk = root => {
  for (const g of root.querySelectorAll('g.node')) if (g.getAttribute('data-name') === name) return g;
  for (const e of root.querySelectorAll('*')) { const hit = e.shadowRoot && walk(e.shadowRoot); if (hit) return hit; }
  return null; };
  const g = walk(document); if (!g) return false;
  const target = g.querySelector('.nodeshape') || g;
  target.dispatchEvent(new MouseEvent('dblclick', {bubbles: true, composed: true})); return true; })"""


@pytest.fixture(scope="module")
def run_directory(tmp_path_factory):
    """The events of a small training program."""
    place = tmp_path_factory.mktemp("logs")
    graph = G.Graph()
    with graph.as_default():
        with G.name_scope("input"):
            x = G.placeholder("float32", [None, 4], name="x")
        with G.variable_scope("layer"), graph.device("/device:GPU:0"):
            w = G.get_variable("kernel", [4, 3])
            y = corenn.matmul(x, w)
        with G.name_scope("loss"):
            loss = corenn.mean(corenn.square(y))
            graph_ops.scalar("square", loss)
        with G.name_scope("train"):
            step = w.assign_sub(0.1 * G.gradients(loss, [w])[0], name="step")
        G.cond(loss > 1.0, lambda: loss * 2.0, lambda: loss, name="choice")
        merged, init = graph_ops.merge_all(), G.global_variables_initializer()
    with G.Session(graph) as session, FileWriter(place / "run", session.graph) as writer:
        session.run(init)
        for i in range(3):
            found, _ = session.run([merged, step], {x: np.ones((2, 4))})
            writer.add_summary(found, i)
    return place


@pytest.fixture(scope="module")
def server(run_directory):
    """The address of a TensorBoard of that run."""
    pytest.importorskip("tensorboard", reason="TensorBoard is not installed: pip install 'corenn[tensorboard]'")
    command = [sys.executable, "-W", "ignore", "-m", "tensorboard.main", "--logdir", str(run_directory), "--port", "0"]
    process = subprocess.Popen(
        [*command, "--host", "127.0.0.1", "--load_fast", "false"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    try:
        text, until = "", time.monotonic() + PATIENCE
        while (address := re.search(r"http://[\d.:]+/", text)) is None:
            if time.monotonic() > until or process.poll() is not None:
                pytest.fail(f"TensorBoard did not start: {text[-500:]}")
            if select.select([process.stderr], [], [], 1.0)[0]:
                text += os.read(process.stderr.fileno(), 65536).decode("utf-8", "replace")
        yield address[0]
    finally:
        process.terminate()
        process.wait()
        process.stderr.close()


def high_pipe() -> list[int]:
    """Both ends of a pipe, with numbers above those that the browser expects its own at."""
    ends = os.pipe()
    found = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 20) for end in ends]
    for end in ends:
        os.close(end)
    return found


class Browser:
    """A browser without a screen, and one page in it."""

    def __init__(self, command: str, profile: str) -> None:
        theirs_in, self._out = high_pipe()
        self._in, theirs_out = high_pipe()
        options = [
            "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
            f"--user-data-dir={profile}", "--window-size=1600,1000", "--remote-debugging-pipe",
        ]  # fmt: skip
        null = os.open(os.devnull, os.O_RDWR)
        actions = [(os.POSIX_SPAWN_DUP2, a, b) for a, b in ((theirs_in, 3), (theirs_out, 4), (null, 1), (null, 2))]
        self.pid = os.posix_spawn(command, [command, *options], os.environ, file_actions=actions)
        for end in (theirs_in, theirs_out, null):
            os.close(end)
        self._number, self._waiting, self._session = 0, b"", None
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def ask(self, method: str, **params):
        """The result of one call."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        until = time.monotonic() + PATIENCE
        while True:
            head, mark, rest = self._waiting.partition(b"\0")
            if mark:
                self._waiting = rest
                answer = json.loads(head)
                if answer.get("id") == self._number:
                    assert "result" in answer, answer
                    return answer["result"]
            elif select.select([self._in], [], [], max(0.0, until - time.monotonic()))[0]:
                data = os.read(self._in, 1 << 20)
                assert data, "the browser ended"
                self._waiting += data
            else:
                pytest.fail(f"the browser does not answer {method}")

    def evaluate(self, expression: str):
        """The value of JavaScript in the page."""
        return self.ask("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def close(self) -> None:
        """End it."""
        with contextlib.suppress(AssertionError, OSError):
            self._session = None
            self.ask("Browser.close")
        for end in (self._in, self._out):
            os.close(end)
        for _ in range(50):
            if os.waitpid(self.pid, os.WNOHANG)[0]:
                return
            time.sleep(0.1)
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


@pytest.fixture
def browser(tmp_path):
    command = next(filter(None, map(shutil.which, BROWSERS)), None)
    if command is None:
        pytest.skip(f"there is no browser: none of {', '.join(BROWSERS)} is installed")
    made = Browser(command, str(tmp_path / "profile"))
    yield made
    made.close()


def wait_for(browser, wanted):
    """The texts of the drawing, once all those wanted are in it."""
    until = time.monotonic() + PATIENCE
    while True:
        texts = browser.evaluate(TEXTS) or []
        if set(wanted) <= set(texts):
            return texts
        if time.monotonic() > until:
            pytest.fail(f"the page shows {texts}, and not {sorted(set(wanted) - set(texts))}")
        time.sleep(0.3)


@pytest.mark.slow
def test_the_graph_tab_draws_the_graph(server, browser, tmp_path):
    browser.ask("Page.navigate", url=f"{server}#graphs&run=run")
    texts = wait_for(browser, ["input", "layer", "loss", "train", "choice", "init"])
    assert any("×3" in t for t in texts), texts  # the shape of what flows from the layer, written on the edge
    assert "gradients" not in texts  # it is inside "train"
    assert browser.evaluate(f"{OPEN}('choice')")
    wait_for(browser, ["true", "false", "(choice)"])
    picture = base64.b64decode(browser.ask("Page.captureScreenshot", format="png")["data"])
    (tmp_path / "graph.png").write_bytes(picture)
    assert picture.startswith(b"\x89PNG") and len(picture) > 20_000
