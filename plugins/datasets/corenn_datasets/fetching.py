"""One file from one address, with pooch: gone on with where the connection broke, and never more than was announced.

pooch keeps the file under a passing name, verifies its SHA-256 and gives it its name; this adds what it leaves open:
the limit of size while bytes arrive, HTTP ranges (RFC 9110, section 14), and words for what goes wrong.  It is imported
only when something has to be downloaded, because pooch is optional and brings a library for HTTP.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import pooch  # type: ignore[import-untyped]
import requests
import urllib3

from corenn_datasets.splits import Progress

_CHUNK = 1 << 16
_TRIES = 10  # at one address, as long as each of them brings more of the file
_FULL, _PARTIAL = 200, 206
_ADVICE = {
    401: "the address asks for a password",
    403: "the address does not give it to everybody",
    407: "the proxy asks for a password: HTTPS_PROXY=http://NAME:PASSWORD@HOST:PORT",
    429: "try again later",
    503: "try again later",
}


class MirrorError(Exception):
    """Why one address did not give the file; the next one is tried.  ``wrong``: it gave another file."""

    def __init__(self, text: str, *, wrong: bool = False) -> None:
        super().__init__(text)
        self.wrong = wrong


def receive(
    url: str, name: str, size: int, sha256: str, folder: Path, progress: Progress | None, timeout_s: float
) -> Path:
    """The path ``folder/name`` with exactly the file of ``size`` bytes and that hash; ``MirrorError`` says why not.

    Whatever ``progress`` raises passes, as does the ``OSError`` of a disk that cannot be written.
    """
    downloader = _Downloader(name, size, progress, timeout_s)
    try:
        with _without_its_log():
            return Path(pooch.retrieve(url, f"sha256:{sha256}", fname=name, path=folder, downloader=downloader))
    except ValueError as error:
        if not downloader.complete:  # not pooch's word for another hash
            raise
        raise MirrorError(f"gives another file: its SHA-256 is not {sha256}", wrong=True) from error


class _Downloader:
    """What pooch calls to put the contents of an address into a file."""

    def __init__(self, name: str, size: int, progress: Progress | None, timeout_s: float) -> None:
        self._name, self._size, self._progress, self._timeout_s = name, size, progress, timeout_s
        self.complete = False

    def __call__(self, url: str, output_file: str, mypooch: object) -> None:
        # pooch makes the file for this user alone; one made anew has the usual rights, as a shared cache needs.
        Path(output_file).unlink()
        with open(output_file, "xb") as stream:
            arriving = _Arriving(stream, self._name, self._size, self._progress)
            for _ in range(_TRIES):
                before = arriving.received
                reason = self._request(url, arriving)
                if arriving.received == self._size:
                    self.complete = True
                    return
                if arriving.received <= before:
                    break
        if arriving.answered:
            reason = f"broke off after {arriving.received} of {self._size} bytes" + (f": {reason}" if reason else "")
        raise MirrorError(reason)

    def _request(self, url: str, arriving: _Arriving) -> str:
        """Ask for what is still missing; returns what went wrong, or an empty string."""
        headers = {"User-Agent": "corenn", "Accept-Encoding": "identity"}
        if arriving.received:
            headers["Range"] = f"bytes={arriving.received}-"
        ask = pooch.HTTPDownloader(
            chunk_size=_CHUNK, timeout=self._timeout_s, headers=headers, hooks={"response": arriving.begin}
        )
        try:
            ask(url, arriving, None)
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            return _reason(error, self._timeout_s)
        except OSError as error:  # before there is an answer: of a REQUESTS_CA_BUNDLE that is not there
            if arriving.begun:
                raise
            return str(error)
        finally:
            arriving.close()
        return ""


class _Arriving:
    """The file as pooch writes to it: counts, reports, and refuses what cannot be the file expected."""

    def __init__(self, stream: BinaryIO, name: str, size: int, progress: Progress | None) -> None:
        self._stream, self._name, self._size, self._progress = stream, name, size, progress
        self._response: Any = None
        self.received = 0
        self.answered = False  # with the file or a part of it

    @property
    def begun(self) -> bool:
        """Whether the address at hand has answered."""
        return self._response is not None

    def begin(self, response: Any, **_: object) -> None:
        """Look at the head of an answer (a hook of requests), to turn a wrong file away before its bytes come."""
        self._response, status = response, response.status_code
        if response.is_redirect or status >= 400:
            return  # requests follows, or pooch raises
        if status not in (_FULL, _PARTIAL):
            raise MirrorError(f"HTTP {status} {response.reason}, which is no file")
        if status == _PARTIAL:
            given = response.headers.get("Content-Range", "")
            if not self.received or not given.startswith(f"bytes {self.received}-"):
                raise MirrorError(f"gives another part than was asked for: {given!r}, from byte {self.received}")
        elif self.received:  # an address that knows no ranges begins again
            self._stream.seek(0)
            self._stream.truncate()
            self.received = 0
        announced = response.headers.pop("Content-Length", "")  # pooch takes it for a number, whatever it says
        if announced.isdecimal() and int(announced) != self._size - self.received:
            raise MirrorError(f"offers {announced} bytes, expected {self._size - self.received}", wrong=True)
        # Some servers call a .gz file an encoding of its contents; the hash is that of the file as it lies there.
        response.raw.headers.pop("Content-Encoding", None)
        self.answered = True

    def write(self, chunk: bytes) -> None:
        """Take the next bytes."""
        if self.received + len(chunk) > self._size:
            raise MirrorError(f"sends more than the {self._size} bytes expected", wrong=True)
        self._stream.write(chunk)
        self.received += len(chunk)
        if self._progress is not None:
            self._progress(self._name, self.received, self._size)

    def flush(self) -> None:
        """Hand the bytes to the operating system; pooch calls it for every chunk."""
        self._stream.flush()

    def close(self) -> None:
        """Hang up, also where the answer was not read to its end."""
        if self._response is not None:
            self._response.close()
            self._response = None


def _reason(error: Exception, timeout_s: float) -> str:
    """A failed request in a few words, with what can be done about it where that is known."""
    if isinstance(error, requests.HTTPError) and error.response is not None:
        status = error.response.status_code
        return f"HTTP {status} {error.response.reason}" + (f" ({_ADVICE[status]})" if status in _ADVICE else "")
    if isinstance(error, ValueError):
        return f"is no address: {error}"
    causes = list(_causes(error))
    # urllib3 counts refused connections among its timeouts, so its classes do not tell.
    if any(isinstance(cause, requests.Timeout | TimeoutError) for cause in causes):
        return f"no answer within {timeout_s:g} seconds"
    inner = causes[-1]
    text = getattr(inner, "strerror", None) or str(inner)
    said = f"{type(inner).__name__}: {text}" if text else type(inner).__name__
    if isinstance(error, requests.exceptions.ProxyError):
        return f"the proxy does not connect ({said}); set HTTPS_PROXY and HTTP_PROXY to the right one, or unset them"
    if isinstance(error, requests.exceptions.SSLError):
        return f"its certificate is not trusted ({said}); REQUESTS_CA_BUNDLE=FILE.pem names the one to trust"
    return said


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error and what it came from, the first cause last."""
    at: BaseException | None = error
    while at is not None:
        yield at
        at = at.__cause__ or at.__context__


@contextmanager
def _without_its_log() -> Iterator[None]:
    """Leave out the lines that pooch writes about what this thread downloads: ``progress`` reports that."""
    thread = threading.get_ident()

    def elsewhere(record: logging.LogRecord) -> bool:
        return record.thread != thread

    log = pooch.get_logger()
    log.addFilter(elsewhere)
    try:
        yield
    finally:
        log.removeFilter(elsewhere)
