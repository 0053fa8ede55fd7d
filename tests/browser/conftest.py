"""A browser without a screen, and a TensorBoard to look at in it.

The browser is driven over its debugging pipe (Chrome DevTools Protocol), so that nothing beyond it is needed.  Tests
that ask for ``browser`` are skipped where there is none.
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

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
PATIENCE = 600.0  # seconds for a server to start, a page to be drawn, a browser to answer

#: Visits every element, those in shadow trees too.
WALK = """const walk = (root, see) => root.querySelectorAll('*').forEach(
  e => { see(e); e.shadowRoot && walk(e.shadowRoot, see); });"""


@pytest.fixture(scope="module")
def server(run_directory):
    """The address of a TensorBoard of ``run_directory``, a fixture of the module."""
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
            "--disable-background-networking", "--disable-sync", f"--user-data-dir={profile}",
            "--window-size=1600,1000", "--remote-debugging-pipe",
        ]  # fmt: skip
        with open(os.devnull, "r+b") as opened:  # a number above those of the pipes, as for these
            null = fcntl.fcntl(opened, fcntl.F_DUPFD_CLOEXEC, 20)
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

    def open(self, url: str) -> None:
        """Go to a page."""
        self.ask("Page.navigate", url=url)

    def wait_for(self, expression: str, enough, what: str):
        """The value of JavaScript, once ``enough(value)``."""
        until = time.monotonic() + PATIENCE
        while True:
            found = self.evaluate(expression)
            if found is not None and enough(found):
                return found
            if time.monotonic() > until:
                pytest.fail(f"{what}: the page has {found}")
            time.sleep(0.3)

    def picture(self, path, **options) -> bytes:
        """What it shows, as a PNG file at ``path``."""
        data = base64.b64decode(self.ask("Page.captureScreenshot", format="png", **options)["data"])
        path.write_bytes(data)
        assert data.startswith(b"\x89PNG")
        return data

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
