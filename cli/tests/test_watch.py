"""``corenn run --watch``: the table on a terminal, and plain lines elsewhere."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
from corenn_cli.watch import WatchTable
from rich.console import Console

from corenn.training.run_view import Position

RUN = ("run", "digits", "--watch", "--set", "model=mlp", "--seed", "1", "--set", "augment=0")
PATIENCE = 1200  # seconds; only a hang reaches it


class Screen:
    """What stands on a terminal after some output: as much of one as Rich's live display asks for."""

    def __init__(self, width: int) -> None:
        self.width, self.lines, self.row, self.column, self.frames = width, [""], 0, 0, 0

    def feed(self, text: str) -> None:
        for mark, number, command, plain in re.findall(r"\x1b(\[\??)([\d;]*)([A-Za-z])|([^\x1b])", text):
            if not mark:
                self._put(plain)
            elif command == "A":
                self.row, self.frames = max(0, self.row - int(number or 1)), self.frames + 1
            elif command == "K":
                self.lines[self.row] = ""
            else:
                assert command in "mhl", f"a command that this screen lacks: {mark}{number}{command}"

    def _put(self, character: str) -> None:
        if character == "\r":
            self.column = 0
        elif character == "\n":
            self.row, self.column = self.row + 1, 0
            self.lines += [""] * (self.row + 1 - len(self.lines))
        else:
            if self.column == self.width:
                self._put("\n")
            line = self.lines[self.row].ljust(self.column)
            self.lines[self.row] = line[: self.column] + character + line[self.column + 1 :]
            self.column += 1

    def text(self) -> list[str]:
        return [line.rstrip() for line in self.lines if line.strip()]


def _heed_interrupts():
    """Whatever started the tests may ignore SIGINT, which is inherited."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def on_terminal(home, *args, width=100, height=24, until=None, signum=signal.SIGINT):
    """Exit status and screen of a command on a terminal; ``until``: when this stands on it, it gets a signal."""
    fcntl, pty = pytest.importorskip("fcntl"), pytest.importorskip("pty")
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
    environment = {k: v for k, v in os.environ.items() if k not in ("CI", "NO_COLOR", "COLUMNS", "LINES")}
    process = subprocess.Popen(
        [sys.executable, "-m", "corenn_cli.main", *args], cwd=home, stdin=theirs, stdout=theirs, stderr=theirs,
        env={**environment, "TERM": "xterm-256color"}, start_new_session=True, preexec_fn=_heed_interrupts,
    )  # fmt: skip
    os.close(theirs)
    screen, end, held = Screen(width), time.monotonic() + PATIENCE, b""
    while time.monotonic() < end:
        try:
            data = os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
        if not data:
            break
        held += data
        cut = held.rfind(b"\n") + 1 or len(held)  # escape codes are not cut at the end of a line
        screen.feed(held[:cut].decode("utf-8", "replace"))
        held = held[cut:]
        if until is not None and any(until in line for line in screen.text()):
            process.send_signal(signum)
            until = None
    screen.feed(held.decode("utf-8", "replace"))
    os.close(ours)
    return process.wait(), screen


@pytest.mark.slow
def test_a_table_grows_on_a_terminal(home):
    status, screen = on_terminal(home, *RUN, "--epochs", "3", "--out", "one")
    lines = screen.text()
    assert status == 0, lines
    assert screen.frames > 0  # drawn again in the same place
    assert lines[0].startswith("digits: 1437 training")
    assert re.match(r"digits  on \w+  seed 1  [\d.]+s  one$", lines[1])
    assert lines[2].split() == ["epoch", "step", "loss", "accuracy", "val_loss", "val_accuracy", "time"]
    assert [line.split()[:2] for line in lines[4:7]] == [[f"{n}/3", str(45 * n)] for n in (1, 2, 3)]
    assert re.search(r"━ +135/135  [\d.]+ steps/s  done after [\d.]+s$", lines[7])
    assert lines[8].startswith("test_accuracy 0.")
    assert len(lines) == 9


@pytest.mark.slow
def test_ctrl_c_leaves_the_table_and_resuming_begins_with_its_rows(home):
    # The first process does many more steps before it gets the signal where it is fast and this one is slow.
    status, screen = on_terminal(home, *RUN, "--epochs", "4000", "--out", "one", until=" 3/4000", width=60)
    lines = screen.text()
    assert status == 130, lines
    assert any("stopped after" in line for line in lines)
    assert lines[-1].endswith("--resume one") or "resume one" in "".join(lines[-2:])
    assert any("no room for " in line for line in lines)
    reached = max(
        int(path.stem.removeprefix("step-")) for path in (home / "one/checkpoints").glob("step-*.safetensors")
    )
    done = reached // 45  # epochs
    steps = 45 * (done + 2)
    status, screen = on_terminal(
        home, "run", "--resume", "one", "--watch", "--steps", str(steps), height=done + 24
    )  # all rows find room
    rows = [line.split() for line in screen.text() if re.match(r"\d+/4000 ", line.strip())]
    assert status == 0
    assert [row[:2] for row in rows] == [[f"{n + 1}/4000", str(45 * (n + 1))] for n in range(done + 2)]
    assert [len(row) for row in rows] == [6] * done + [7] * 2  # the first process's have no time


@pytest.mark.slow
def test_lines_where_there_is_no_terminal(process):
    found = process(*RUN, "--epochs", "2")
    assert found.status == 0
    assert "\x1b" not in found.err and "\r" not in found.err
    assert [line.split("  ")[0] for line in found.err.splitlines()[1:]] == ["epoch 1/2", "epoch 2/2"]


def test_it_contradicts_quiet(here):
    found = here(*RUN, "--quiet")
    assert found.status == 2
    assert "--watch" in found.err and "--quiet" in found.err


def test_scripts_have_no_table(here, home):
    (home / "script.py").write_text("")
    found = here("run", "script.py", "--watch")
    assert found.status == 2 and "--watch" in found.err


# ---- the picture itself


def table(width=80, height=24):
    run = SimpleNamespace(
        config={"task": "two", "seed": 3}, device=SimpleNamespace(name="numpy"), out="runs/two", view=None
    )
    console = Console(file=io.StringIO(), force_terminal=True, color_system=None, width=width, height=height)
    return WatchTable(run, console)


def picture(shown):
    with shown.console.capture() as got:
        shown.console.print(shown.__rich__())
    return [line.rstrip() for line in got.get().splitlines()]


def at(done, epoch=0, epochs=2, total=10):
    return Position(done, total, epoch, epochs, 5, 5)


def test_parts_stand_in_a_column():
    shown = table()
    for part in ("head", "all"):
        shown.part_begins(part, at(0))
        for epoch in range(2):
            shown.row(part, at(5 * (epoch + 1), epoch), {"loss": 0.5, "val_loss": 1e-5})
        shown.part_ends(part, at(10, 2), None)
    lines = picture(shown)
    assert lines[1].split() == ["part", "epoch", "step", "loss", "val_loss", "time"]
    assert [line.split()[:5] for line in lines[3:7]] == [
        [part, f"{n}/2", str(5 * n), "0.5000", "1.000e-05"] for part in ("head", "all") for n in (1, 2)
    ]
    assert lines[7].startswith("all  ") and "10/10" in lines[7] and "done after" in lines[7]


@pytest.mark.parametrize(("width", "names"), [(200, 12), (100, 6), (60, 3), (30, 1)])
def test_figures_that_have_no_room_are_named(width, names):
    shown = table(width)
    shown.part_begins(None, at(0))
    shown.row(None, at(5), {f"figure_{n:02}": float(n) for n in range(12)})
    lines = picture(shown)
    assert lines[1].count("figure_") == names
    assert any("no room for" in line for line in lines) == (names < 12)
    assert all(len(line) <= width for line in lines)


def test_the_last_rows_fit_the_screen():
    shown = table(height=12)
    shown.part_begins(None, at(0, epochs=30, total=150))
    for epoch in range(30):
        shown.row(None, at(5 * (epoch + 1), epoch, 30, 150), {"loss": 1.0})
    lines = picture(shown)
    assert [line.split()[0] for line in lines if "/30 " in line][:4] == ["27/30", "28/30", "29/30", "30/30"]
    assert "26 earlier rows" in "".join(lines)
    assert len(lines) <= 12


def test_a_loop_that_logs_every_step_keeps_about_twenty_rows():
    shown = table(height=60)
    shown.part_begins("hand", Position(0, 1000))
    for step in range(1000):
        shown.row("hand", Position(step, 1000), {"loss": 1.0})
    shown.part_ends("hand", Position(1000, 1000), None)
    rows = [line for line in picture(shown) if line.startswith("hand  ") and "done" not in line]
    assert len(rows) == 20
    assert rows[-1].split()[1] == "999"


def test_rows_of_the_interrupted_process_have_no_time():
    shown = table()
    shown.part_begins(None, Position(50, 100))
    for step in range(1, 101):
        shown.row(None, Position(step, 100), {"loss": 1.0})
    rows = [line.split() for line in picture(shown) if re.match(r" *\d+ +1\.0000", line)]
    assert {len(row) for row in rows if int(row[0]) <= 50} == {2}
    assert {len(row) for row in rows if int(row[0]) > 50} == {3}


def test_a_note_stands_below():
    shown = table()
    shown.part_begins(None, Position(0, None))
    shown.note("mnist: 3.0 of 11.0 MB")
    assert picture(shown)[-1] == "mnist: 3.0 of 11.0 MB"
    shown.part_begins(None, Position(0, None))
    assert picture(shown)[-1] == "0 steps"
