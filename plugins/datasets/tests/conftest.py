"""A web server on this machine whose answers the tests script."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

Answer = Callable[[http.server.BaseHTTPRequestHandler], None]


@dataclass
class Site:
    """What the server answers, by path, and the paths it was asked for; anything else is 404."""

    url: str
    answers: dict[str, Answer] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def serve(
        self,
        path: str,
        body: bytes,
        *,
        sent: int | None = None,
        announce: int | None = None,
        gate: threading.Event | None = None,
    ) -> None:
        """Answer ``path`` with ``body``, of which only ``sent`` bytes are sent before the connection is closed.

        ``announce`` is the Content-Length (0: none).  With a ``gate`` the second half waits until it is set.
        """

        def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
            handler.send_response(200)
            if announce != 0:
                handler.send_header("Content-Length", str(len(body) if announce is None else announce))
            handler.end_headers()
            data = body if sent is None else body[:sent]
            half = len(data) // 2
            handler.wfile.write(data[:half])
            handler.wfile.flush()
            if gate is not None:
                gate.wait(60)
            handler.wfile.write(data[half:])

        self.answers[path] = answer


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that hang up are part of the tests."""


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            here.asked.append(self.path)
            answer = here.answers.get(self.path)
            if answer is None:
                self.send_error(404)
            else:
                answer(self)

        def log_message(self, format: str, *args: object) -> None:
            pass

    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = _Server(("127.0.0.1", 0), Handler)
    here = Site(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield here
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> object:
    """An empty cache of the test's own, and none of the caller's settings."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("CORENN_HOME", str(home))
    monkeypatch.delenv("CORENN_OFFLINE", raising=False)
    monkeypatch.delenv("CORENN_MIRRORS", raising=False)
    monkeypatch.delenv("CORENN_DATA_DIR", raising=False)
    return home / "datasets"
