import errno
import gzip
import hashlib
import os
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from corenn_datasets import download, locking
from corenn_datasets.download import (
    RemoteFile,
    UnavailableError,
    cache_root,
    extra_mirrors,
    fetch_all,
    is_offline,
)
from corenn_datasets.locking import file_lock

from corenn.errors import DataError, MissingExtraError, UsageError

BODY = bytes(range(256)) * 4096  # several chunks
FILE = RemoteFile("file.bin", len(BODY), hashlib.sha256(BODY).hexdigest())
WRONG = BODY[:-1] + b"?"


def _entries(cache: Path) -> list[str]:
    return sorted(str(path.relative_to(cache)) for path in cache.rglob("*") if path.is_file())


def test_good_file(site, cache: Path) -> None:
    site.serve("/a/file.bin", BODY)
    reports: list[tuple[str, int, int]] = []
    [path] = fetch_all("sample", [FILE], [site.url + "/a/"], progress=lambda *report: reports.append(report))
    assert path == cache / "sample" / "file.bin" and path.read_bytes() == BODY
    assert _entries(cache) == ["sample/file.bin"]
    received = [done for _, done, _ in reports]
    assert received == sorted(set(received)) and received[-1] == len(BODY) and len(received) > 1
    assert {(name, total) for name, _, total in reports} == {("file.bin", len(BODY))}
    assert fetch_all("sample", [FILE], [site.url + "/a"]) == [path]
    assert site.asked == ["/a/file.bin"]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"body": BODY, "sent": 131_072}, f"broke off after 131072 of {len(BODY)} bytes"),
        ({"body": BODY, "sent": 0}, f"broke off after 0 of {len(BODY)} bytes"),
        ({"body": BODY, "sent": 131_072, "announce": 0}, f"broke off after 131072 of {len(BODY)} bytes"),
        ({"body": BODY[:-1]}, f"offers {len(BODY) - 1} bytes, expected {len(BODY)}"),
        ({"body": BODY + b"x"}, f"offers {len(BODY) + 1} bytes"),
        ({"body": BODY + b"x", "announce": 0}, f"sends more than the {len(BODY)} bytes"),
        ({"body": WRONG}, "gives another file: its SHA-256 is not"),
        (None, "HTTP 404 Not Found"),
    ],
    ids=["truncated", "nothing", "closed-early", "short", "long", "endless", "hash", "404"],
)
def test_bad_address_leaves_nothing_and_the_next_one_is_tried(
    site, cache: Path, options: dict[str, object] | None, reason: str
) -> None:
    if options is not None:
        site.serve("/bad/file.bin", **options)
    with pytest.raises(DataError) as caught:
        fetch_all("sample", [FILE], [site.url + "/bad"])
    assert f"{site.url}/bad/file.bin: {reason}" in str(caught.value)
    assert "--data-dir" in str(caught.value.hint)
    assert _entries(cache) == []
    site.serve("/good/file.bin", BODY)
    [path] = fetch_all("sample", [FILE], [site.url + "/bad", site.url + "/good"])
    assert path.read_bytes() == BODY
    assert _entries(cache) == ["sample/file.bin"]


def test_all_addresses_fail(site, cache: Path) -> None:
    site.serve("/b/file.bin", WRONG)
    nobody = "http://127.0.0.1:1"
    with pytest.raises(DataError, match=r"file\.bin could not be downloaded from any of its 4 addresses") as caught:
        fetch_all("sample", [FILE], [site.url + "/a", site.url + "/b", nobody, "http://127.0.0.1:port"])
    assert list(caught.value.operands) == [
        f"{site.url}/a/file.bin",
        f"{site.url}/b/file.bin",
        f"{nobody}/file.bin",
        "http://127.0.0.1:port/file.bin",
    ]
    reasons = [str(reason) for reason in caught.value.operands.values()]
    for reason, phrase in zip(
        reasons, ["HTTP 404", "SHA-256", "ConnectionRefusedError", "is no address: Failed to parse"], strict=True
    ):
        assert phrase in reason
    assert caught.value.site is not None and caught.value.site.startswith("test_download.py:")
    assert _entries(cache) == []


def test_a_silent_server_times_out(site) -> None:
    gate = threading.Event()
    site.serve("/a/file.bin", BODY, gate=gate)
    with pytest.raises(DataError, match=r"no answer within 0\.1 seconds"):
        fetch_all("sample", [FILE], [site.url + "/a"], timeout_s=0.1)
    gate.set()


def test_mirrors_of_the_environment_come_first(site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.serve("/usual/file.bin", BODY)
    monkeypatch.setenv("CORENN_MIRRORS", f" {site.url}/one/ , ,{site.url}/two")
    fetch_all("sample", [FILE], [site.url + "/usual"])
    assert site.asked == ["/one/sample/file.bin", "/two/sample/file.bin", "/usual/file.bin"]


def test_offline_uses_the_cache_and_nothing_else(site, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site.serve("/a/file.bin", BODY)
    monkeypatch.setenv("CORENN_OFFLINE", "1")
    with pytest.raises(DataError, match="CORENN_OFFLINE forbids") as caught:
        fetch_all("sample", [FILE], [site.url + "/a"])
    assert "missing: file.bin" in str(caught.value)
    assert site.asked == [] and not cache.exists()
    monkeypatch.setenv("CORENN_OFFLINE", "0")
    paths = fetch_all("sample", [FILE], [site.url + "/a"])
    monkeypatch.setenv("CORENN_OFFLINE", "yes")
    assert fetch_all("sample", [FILE], []) == paths


def test_only_what_is_missing_is_fetched(site, cache: Path) -> None:
    other = RemoteFile("other.bin", 3, hashlib.sha256(b"abc").hexdigest())
    site.serve("/a/file.bin", BODY)
    with pytest.raises(DataError, match=r"other\.bin could not"):
        fetch_all("sample", [FILE, other], [site.url + "/a"])
    assert _entries(cache) == ["sample/file.bin"]
    site.serve("/a/other.bin", b"abc")
    fetch_all("sample", [FILE, other], [site.url + "/a"])
    assert site.asked == ["/a/file.bin", "/a/other.bin", "/a/other.bin"]


@pytest.mark.parametrize("damaged", [b"", BODY[:-1], WRONG], ids=["empty", "short", "changed"])
def test_damage_in_the_cache_is_noticed_and_repaired(site, cache: Path, damaged: bytes) -> None:
    (cache / "sample").mkdir(parents=True)
    (cache / "sample" / "file.bin").write_bytes(damaged)
    site.serve("/a/file.bin", BODY)
    [path] = fetch_all("sample", [FILE], [site.url + "/a"])
    assert path.read_bytes() == BODY


@pytest.mark.parametrize("error", [KeyboardInterrupt(), BrokenPipeError(), RuntimeError()])
def test_an_interruption_leaves_nothing_and_passes(site, cache: Path, error: BaseException) -> None:
    site.serve("/a/file.bin", BODY)

    def interrupt(*_: object) -> None:
        raise error

    with pytest.raises(type(error)):
        fetch_all("sample", [FILE], [site.url + "/a"], progress=interrupt)
    assert _entries(cache) == []


@pytest.mark.parametrize("stops", [[300_000, 700_000, None], [65_536, None], [0, None]], ids=str)
def test_a_broken_connection_is_taken_up_again(site, cache: Path, stops: list[int | None]) -> None:
    site.serve_parts("/a/file.bin", BODY, stops)
    site.serve("/b/file.bin", BODY)
    received: list[int] = []
    [path] = fetch_all(
        "sample", [FILE], [site.url + "/a", site.url + "/b"], progress=lambda _, done, __: received.append(done)
    )
    assert path.read_bytes() == BODY and _entries(cache) == ["sample/file.bin"]
    assert received == sorted(set(received)) and received[-1] == len(BODY)
    if stops[0] == 0:  # nothing came, so it is not asked a second time
        assert site.asked == ["/a/file.bin", "/b/file.bin"]
        return
    assert site.asked == ["/a/file.bin"] * len(stops)
    assert site.ranges[0] is None
    for asked, stop in zip(site.ranges[1:], stops, strict=False):
        first = int(asked.removeprefix("bytes=").removesuffix("-"))
        assert first in received and stop - (1 << 16) < first <= stop


def test_an_address_without_ranges_begins_again(site) -> None:
    site.serve("/a/file.bin", BODY, sent=196_608)
    cut = site.answers["/a/file.bin"]

    def first_cut_then_whole(handler) -> None:
        site.serve("/a/file.bin", BODY)
        cut(handler)

    site.answers["/a/file.bin"] = first_cut_then_whole
    [path] = fetch_all("sample", [FILE], [site.url + "/a"])
    assert path.read_bytes() == BODY
    assert site.ranges == [None, "bytes=196608-"]


def test_an_address_that_breaks_off_again_and_again_is_given_up(site, cache: Path) -> None:
    step = 1 << 16
    site.serve_parts("/a/file.bin", BODY, [step * k for k in range(1, 100)])
    with pytest.raises(DataError, match=rf"broke off after {10 * step} of {len(BODY)} bytes"):
        fetch_all("sample", [FILE], [site.url + "/a"])
    assert len(site.asked) == 10 and _entries(cache) == []


@pytest.mark.parametrize(
    ("second", "reason"),
    [
        (lambda site: site.serve_parts("/a/file.bin", BODY, [None], shift=7), "gives another part than was asked for"),
        (lambda site: site.serve_parts("/a/file.bin", WRONG, [None]), "gives another file: its SHA-256 is not"),
        (lambda site: site.refuse("/a/file.bin", 416), "broke off after 131072 of 1048576 bytes: HTTP 416"),
        (lambda site: site.answers.pop("/a/file.bin"), "broke off after 131072 of 1048576 bytes: HTTP 404 Not Found"),
    ],
)
def test_what_cannot_be_taken_up_again_is_sought_elsewhere(
    site, cache: Path, second: Callable[[object], object], reason: str
) -> None:
    site.serve_parts("/a/file.bin", BODY, [131_072])
    cut = site.answers["/a/file.bin"]

    def first_cut(handler) -> None:
        second(site)
        cut(handler)

    site.answers["/a/file.bin"] = first_cut
    with pytest.raises(DataError) as caught:
        fetch_all("sample", [FILE], [site.url + "/a"])
    assert reason in str(caught.value)
    site.serve_parts("/a/file.bin", BODY, [131_072, 131_072])
    site.serve("/b/file.bin", BODY)
    [path] = fetch_all("sample", [FILE], [site.url + "/a", site.url + "/b"])
    assert path.read_bytes() == BODY


def test_redirections_are_followed(site) -> None:
    site.refuse("/a/file.bin", 302, {"Location": "/moved/there"})
    site.refuse("/moved/there", 301, {"Location": site.url + "/new/file.bin"})
    site.serve("/new/file.bin", BODY)
    [path] = fetch_all("sample", [FILE], [site.url + "/a"])
    assert path.read_bytes() == BODY


@pytest.mark.parametrize(
    ("status", "headers", "reason"),
    [
        (302, {"Location": "/a/file.bin"}, "Exceeded 30 redirects"),
        (302, {"Location": "file:///etc/hostname"}, "is no address: No connection adapters"),
        (302, {}, "HTTP 302 Found, which is no file"),
        (204, {}, "HTTP 204 No Content, which is no file"),
        (206, {"Content-Range": "bytes 0-9/10"}, "gives another part than was asked for"),
        (401, {}, "HTTP 401 Unauthorized (the address asks for a password)"),
        (403, {}, "HTTP 403 Forbidden (the address does not give it to everybody)"),
        (407, {}, "the proxy asks for a password: HTTPS_PROXY="),
        (429, {}, "try again later"),
        (500, {}, "HTTP 500 Internal Server Error"),
        (503, {}, "HTTP 503 Service Unavailable (try again later)"),
    ],
)
def test_answers_that_are_no_file(site, cache: Path, status: int, headers: dict[str, str], reason: str) -> None:
    site.refuse("/a/file.bin", status, headers)
    with pytest.raises(UnavailableError) as caught:
        fetch_all("sample", [FILE], [site.url + "/a"])
    assert f"{site.url}/a/file.bin: " in str(caught.value) and reason in str(caught.value)
    assert _entries(cache) == []


@pytest.mark.parametrize("headers", [{"Content-Encoding": "gzip"}, {"Content-Length": "many"}], ids=str)
def test_headers_that_say_what_is_not_so(site, headers: dict[str, str]) -> None:
    """A compressed file called an encoding of its contents; a length that is no number."""
    packed = gzip.compress(BODY[:1000], mtime=0)
    site.serve("/a/file.gz", packed, headers=headers, announce=0)
    file = RemoteFile("file.gz", len(packed), hashlib.sha256(packed).hexdigest())
    [path] = fetch_all("sample", [file], [site.url + "/a"])
    assert path.read_bytes() == packed


def test_the_proxy_of_the_environment_is_asked(site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", site.url)
    site.serve("http://data.invalid/file.bin", BODY)
    fetch_all("sample", [FILE], ["http://data.invalid"])
    assert site.asked == ["http://data.invalid/file.bin"]


def test_a_proxy_that_does_not_answer(site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with pytest.raises(UnavailableError, match=r"the proxy does not connect \(ConnectionRefusedError: .*HTTPS_PROXY"):
        fetch_all("sample", [FILE], ["http://data.invalid"])


def test_an_untrusted_certificate_says_what_to_trust() -> None:
    requests = pytest.importorskip("requests")
    pytest.importorskip("pooch")
    from corenn_datasets import fetching

    error = requests.exceptions.SSLError("whole story")
    error.__cause__ = ssl.SSLCertVerificationError(1, "self-signed certificate")
    said = fetching._reason(error, 30)
    assert "certificate is not trusted" in said and "self-signed" in said and "REQUESTS_CA_BUNDLE" in said


def test_certificates_that_are_not_there(site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/certificates.pem")
    with pytest.raises(UnavailableError, match=r"TLS CA certificate bundle, invalid path: /nowhere/certificates\.pem"):
        fetch_all("sample", [FILE], ["https://127.0.0.1:1"])


def test_the_file_has_the_rights_of_any_new_file(site, tmp_path: Path) -> None:
    site.serve("/a/file.bin", BODY)
    [path] = fetch_all("sample", [FILE], [site.url + "/a"])
    (tmp_path / "plain").touch()
    assert path.stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_only_the_caller_hears_of_it(site, capfd: pytest.CaptureFixture[str]) -> None:
    """pooch writes lines of its own, which --quiet would not silence; its other users keep theirs."""
    from pooch import get_logger

    site.serve("/a/file.bin", BODY)
    before = list(get_logger().filters)
    fetch_all("sample", [FILE], [site.url + "/a"])
    assert capfd.readouterr() == ("", "")
    assert get_logger().filters == before


def test_without_pooch(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is here needs none of it; an error names the extra when something has to be downloaded."""
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(MissingExtraError) as caught:
        fetch_all("sample", [FILE], ["http://127.0.0.1:1"])
    assert (
        str(caught.value) == "downloading sample: needs pooch, which is not installed: pip install 'corenn[datasets]'"
    )
    assert not cache.exists()
    monkeypatch.setenv("CORENN_OFFLINE", "1")
    with pytest.raises(UnavailableError, match="CORENN_OFFLINE forbids"):
        fetch_all("sample", [FILE], ["http://127.0.0.1:1"])
    monkeypatch.delenv("CORENN_OFFLINE")
    (cache / "sample").mkdir(parents=True)
    (cache / "sample" / "file.bin").write_bytes(BODY)
    assert fetch_all("sample", [FILE], []) == [cache / "sample" / "file.bin"]


def _cache_is_a_file(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.write_text("in the way")


def _disk_is_full(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("corenn_datasets.fetching._Arriving.flush", full)


@pytest.mark.parametrize("spoil", [_cache_is_a_file, _disk_is_full])
def test_a_cache_that_cannot_be_written_is_not_the_mirrors_fault(
    site, cache: Path, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[Path, pytest.MonkeyPatch], None]
) -> None:
    spoil(cache, monkeypatch)
    site.serve("/a/file.bin", BODY)
    with pytest.raises(DataError, match="the cache cannot be used") as caught:
        fetch_all("sample", [FILE], [site.url + "/a", site.url + "/b"])
    assert "CORENN_HOME" in str(caught.value.hint)
    assert len(site.asked) <= 1
    assert cache.is_file() or _entries(cache) == []


CHILD = """
import logging, sys
from corenn_datasets.download import RemoteFile, fetch_all
logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")
name, size, sha256, base = sys.argv[1:]
fetch_all("sample", [RemoteFile(name, int(size), sha256)], [base])
"""


def _child(base: str) -> subprocess.Popen[str]:
    arguments = [sys.executable, "-u", "-c", CHILD, FILE.name, str(FILE.size), FILE.sha256, base]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)


def _wait_for(condition: Callable[[], object]) -> None:
    for _ in range(60_000):
        if condition():
            return
        time.sleep(0.01)
    pytest.fail("what the test waits for did not happen in ten minutes")


def test_two_processes_at_once_download_once(site, cache: Path) -> None:
    gate = threading.Event()
    site.serve("/a/file.bin", BODY, gate=gate)
    with _child(site.url + "/a") as first:
        _wait_for(lambda: site.asked)  # so the first process holds the lock
        with _child(site.url + "/a") as second:
            assert second.stdout is not None
            assert "waiting for another process" in second.stdout.readline()
            gate.set()
            assert (first.wait(600), second.wait(600)) == (0, 0)
    assert site.asked == ["/a/file.bin"]
    assert _entries(cache) == ["sample/file.bin"]
    assert (cache / "sample" / "file.bin").read_bytes() == BODY


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_a_kill_leaves_no_half_written_entry_and_no_stale_lock(site, cache: Path) -> None:
    gate = threading.Event()
    site.serve("/a/file.bin", BODY, gate=gate)
    with _child(site.url + "/a") as process:
        _wait_for(lambda: any(path.stat().st_size for path in cache.glob("sample/*.part/*")))
        process.send_signal(signal.SIGKILL)
        assert process.wait(600) == -signal.SIGKILL
    gate.set()
    left = _entries(cache)
    assert "sample/file.bin" not in left
    assert "sample/.lock" in left and len(left) == 2  # and a file in a .part folder
    (cache / "sample" / "file.bin.1.part").touch()  # what the first versions of corenn left
    [path] = fetch_all("sample", [FILE], [site.url + "/a"])
    assert path.read_bytes() == BODY
    assert _entries(cache) == ["sample/file.bin"]


def test_threads_exclude_each_other(tmp_path: Path) -> None:
    inside = most = 0
    count = threading.Lock()

    def work() -> None:
        nonlocal inside, most
        for _ in range(40):
            with file_lock(tmp_path / "lock") as held:
                with count:
                    inside += 1
                    most = max(most, inside)
                time.sleep(0)
                with count:
                    inside -= 1
                assert held

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
    assert list(tmp_path.iterdir()) == []


def test_a_file_system_without_locks_still_works(site, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fcntl = pytest.importorskip("fcntl")

    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with file_lock(cache.parent / "lock") as held:
        assert not held
    (cache / "sample").mkdir(parents=True)
    (cache / "sample" / "file.bin.0.part").touch()  # perhaps another process is writing it
    site.serve("/a/file.bin", BODY)
    fetch_all("sample", [FILE], [site.url + "/a"])
    assert _entries(cache) == ["sample/file.bin", "sample/file.bin.0.part"]


def test_a_lock_is_released_by_an_error(tmp_path: Path) -> None:
    with pytest.raises(KeyError), file_lock(tmp_path / "lock"):
        raise KeyError
    with file_lock(tmp_path / "lock") as held:
        assert held


def test_other_lock_errors_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(handle: int, path: Path) -> bool:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(locking, "_acquire", broken)
    with pytest.raises(OSError, match=os.strerror(errno.EIO)), file_lock(tmp_path / "lock"):
        pytest.fail("entered without a lock")


@pytest.mark.parametrize(
    ("platform", "environ", "expected"),
    [
        ("linux", {"CORENN_HOME": "/data/corenn"}, Path("/data/corenn")),
        ("linux", {"CORENN_HOME": "~/x"}, Path.home() / "x"),
        ("linux", {"CORENN_HOME": "x"}, Path.cwd() / "x"),
        ("linux", {}, Path.home() / ".cache" / "corenn"),
        ("linux", {"CORENN_HOME": ""}, Path.home() / ".cache" / "corenn"),
        ("linux", {"XDG_CACHE_HOME": "/xdg"}, Path("/xdg/corenn")),
        ("linux", {"XDG_CACHE_HOME": "relative"}, Path.home() / ".cache" / "corenn"),
        ("darwin", {"XDG_CACHE_HOME": "/xdg"}, Path.home() / "Library" / "Caches" / "corenn"),
        ("win32", {"LOCALAPPDATA": "/local"}, Path("/local") / "corenn" / "Cache"),
    ],
)
def test_cache_root(monkeypatch: pytest.MonkeyPatch, platform: str, environ: dict[str, str], expected: Path) -> None:
    monkeypatch.setattr(download.sys, "platform", platform)
    assert cache_root(environ) == expected


@pytest.mark.parametrize(
    ("value", "expected"), [("1", True), ("TRUE", True), (" on ", True), ("", False), ("0", False), ("No", False)]
)
def test_offline_switch(value: str, expected: bool) -> None:
    assert is_offline({"CORENN_OFFLINE": value}) is expected


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(UsageError, match="CORENN_OFFLINE: 'maybe'"):
        is_offline({"CORENN_OFFLINE": "maybe"})
    with pytest.raises(UsageError, match="CORENN_MIRRORS: 'ftp://host'"):
        extra_mirrors({"CORENN_MIRRORS": "https://host/a,ftp://host"})
