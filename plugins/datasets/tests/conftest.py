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
    ranges: list[str | None] = field(default_factory=list)  # what part of it, one for each that was asked for

    def serve(
        self,
        path: str,
        body: bytes,
        *,
        sent: int | None = None,
        announce: int | None = None,
        gate: threading.Event | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        """Answer ``path`` with ``body``, of which only ``sent`` bytes are sent before the connection is closed.

        ``announce`` is the Content-Length (0: none), ``headers`` are more of them.  With a ``gate`` the second half
        waits until it is set.
        """

        def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
            handler.send_response(200)
            if announce != 0:
                handler.send_header("Content-Length", str(len(body) if announce is None else announce))
            for name, value in (headers or {}).items():
                handler.send_header(name, value)
            handler.end_headers()
            data = body if sent is None else body[:sent]
            half = len(data) // 2
            handler.wfile.write(data[:half])
            handler.wfile.flush()
            if gate is not None:
                gate.wait(600)
            handler.wfile.write(data[half:])

        self.answers[path] = answer

    def serve_parts(self, path: str, body: bytes, stops: list[int | None], *, shift: int = 0) -> None:
        """Answer from the byte that is asked for; the n-th answer breaks off at byte ``stops[n]`` of the file.

        With ``shift`` every part but the first begins that many bytes off.
        """
        left = iter(stops)

        def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
            asked = handler.headers["Range"]
            begin = 0 if asked is None else int(asked.removeprefix("bytes=").removesuffix("-")) + shift
            handler.send_response(200 if asked is None else 206)
            if asked is not None:
                handler.send_header("Content-Range", f"bytes {begin}-{len(body) - 1}/{len(body)}")
            handler.send_header("Content-Length", str(len(body) - begin))
            handler.end_headers()
            handler.wfile.write(body[begin : next(left)])

        self.answers[path] = answer

    def refuse(self, path: str, status: int, headers: dict[str, str] | None = None) -> None:
        """Answer ``path`` with a status, ``headers`` and nothing else."""

        def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
            handler.send_response(status)
            for name, value in {"Content-Length": "0", **(headers or {})}.items():
                handler.send_header(name, value)
            handler.end_headers()

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
            here.ranges.append(self.headers["Range"])
            answer = here.answers.get(self.path)
            if answer is None:
                self.send_error(404)
            else:
                answer(self)

        def log_message(self, format: str, *args: object) -> None:
            pass

    pytest.importorskip("pooch", reason="downloading needs pooch")
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
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
