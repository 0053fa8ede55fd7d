"""``make_run``: the directory of a run, written by hand."""

from __future__ import annotations

import json
import struct
import zlib

import pytest

from corenn.training.run_directory import MATRIX_NOTE


def png(width=2, height=2, **notes) -> bytes:
    """A grey picture, with texts inside."""
    rows = b"".join(b"\0" + b"\x80" * width for _ in range(height))

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    texts = b"".join(chunk(b"tEXt", f"{keyword}\0{text}".encode("latin-1")) for keyword, text in notes.items())
    body = chunk(b"IHDR", head) + texts + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def matrix(classes, counts) -> bytes:
    """The picture of a confusion matrix, as ``Plots`` writes it."""
    return png(**{MATRIX_NOTE: json.dumps({"classes": classes, "counts": counts})})


def epochs(count, part=None, **figures):
    """Lines of epochs; figures are functions of the epoch."""
    named = {} if part is None else {"part": part}
    return [
        {"kind": "epoch", **named, "epoch": n, "step": 10 * (n + 1), "seconds": 0.1 * n,
         **{name: value(n) for name, value in figures.items()}}
        for n in range(count)
    ]  # fmt: skip


@pytest.fixture
def make_run(tmp_path):
    def make(name, lines=(), metrics=None, plots=None, steps=20, **config):
        out = tmp_path / name
        (out / "plots").mkdir(parents=True)
        whole = {
            "task": "digits", "backend": "numpy", "seed": 1, "dataset": "digits", "data_dir": None,
            "settings": {"epochs": 2, "learning_rate": 0.01, "options": {"width": 3}},
            "versions": {"python": "3.13", "corenn": "1"}, "started": "2026-01-02T03:04:05+00:00",
            "command": "corenn run digits", **config,
        }  # fmt: skip
        (out / "config.json").write_text(json.dumps(whole))
        (out / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        if metrics is not None:
            result = {"task": whole["task"], "steps": steps, "seconds": 75.0, "metrics": metrics, "out": str(out)}
            (out / "result.json").write_text(json.dumps(result))
        for file, data in (plots or {}).items():
            (out / "plots" / file).write_bytes(data)
        return out

    make.png, make.epochs, make.matrix = png, epochs, matrix
    return make
