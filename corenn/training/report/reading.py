"""What a run left in its directory: config.json, metrics.jsonl, result.json and plots, nothing else."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from corenn.errors import CheckpointError, UsageError
from corenn.training.run_directory import CONFIG, MATRIX_NOTE, METRICS, PLOTS, read_config, read_result

_FIELDS = ("kind", "part", "epoch", "step", "seconds")
_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Curve:
    """One figure of one part of a run.

    ``x`` counts epochs from 1 (``by == "epoch"``), or steps; ``y`` is NaN where there was no finite number.
    """

    part: str | None
    name: str
    by: str
    x: list[float]
    y: list[float]


@dataclass(frozen=True)
class Confusions:
    """How often each class (rows) was taken for each (columns)."""

    name: str
    classes: list[str]
    counts: list[list[int]]


@dataclass
class RunRecord:
    """A run as it stands in ``directory``.  ``label``: its shortest name among those it is compared with."""

    directory: Path
    config: dict[str, Any]
    result: dict[str, Any] | None
    curves: list[Curve]
    pictures: dict[str, bytes]
    matrices: list[Confusions]
    problems: list[str] = field(default_factory=list)
    label: str = ""

    @property
    def figures(self) -> dict[str, float]:
        """The final figures; none for a run that has not ended."""
        found = (self.result or {}).get("metrics", {})
        return {k: float(v) for k, v in found.items() if isinstance(v, (int, float))}


def read_run(directory: str | os.PathLike[str]) -> RunRecord:
    """The run in ``directory``; CheckpointError when there is none, or its config is damaged.

    What else is damaged is named in ``problems``, and left out.
    """
    place = Path(directory)
    if not place.exists():
        raise CheckpointError("report", f"there is no directory {place}", hint="corenn run ends with the one it wrote")
    try:
        config = read_config(place, "report")
    except CheckpointError as error:
        inside = sorted(path.parent.name for path in place.glob(f"*/{CONFIG}")) if place.is_dir() else []
        if inside:
            shown = ", ".join(inside[:3]) + (" ..." if len(inside) > 3 else "")
            error.hint = f"it holds the runs {shown}: corenn report {place}/*"
        raise
    problems: list[str] = []
    result = read_result(place)
    if result is None and (place / "result.json").exists():
        problems.append("result.json is damaged")
    curves = _curves(place / METRICS, problems)
    pictures, matrices = _plots(place / PLOTS, problems)
    return RunRecord(place, config, result, curves, pictures, matrices, problems, place.absolute().name)


def read_runs(directories: Sequence[str | os.PathLike[str]]) -> list[RunRecord]:
    """The runs in several directories, each once, with labels that tell them apart; UsageError without any."""
    if not directories:
        raise UsageError("report", "there is no run to report on", hint="corenn report runs/NAME")
    found: dict[Path, RunRecord] = {}
    for directory in directories:
        found.setdefault(Path(directory).resolve(), read_run(directory))
    runs = list(found.values())
    for depth in range(2, 8):  # as much of the path as tells equal names apart
        labels = [run.label for run in runs]
        for run in runs:
            if labels.count(run.label) > 1:
                run.label = "/".join(run.directory.absolute().parts[-depth:])
    return runs


def _curves(path: Path, problems: list[str]) -> list[Curve]:
    """The figures by part, name and whether they belong to epochs or steps."""
    found: dict[tuple[str | None, str, str], Curve] = {}
    damaged = 0
    for record in _records(path):
        if record is None:
            damaged += 1
            continue
        part = record.get("part")
        by = "epoch" if record.get("kind") == "epoch" and "epoch" in record else "step"
        x = record.get(by)
        if not isinstance(x, (int, float)):
            damaged += 1
            continue
        for name, value in record.items():
            if name not in _FIELDS and (value is None or isinstance(value, (int, float))):
                curve = found.setdefault((part, name, by), Curve(part, name, by, [], []))
                curve.x.append(x + 1 if by == "epoch" else x)
                curve.y.append(math.nan if value is None else float(value))
    if damaged:
        problems.append(f"{damaged} line{'s' * (damaged > 1)} of {METRICS} cannot be read")
    return list(found.values())


def _records(path: Path) -> Iterable[dict[str, Any] | None]:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return
    for line in text.splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            yield None
            continue
        yield record if isinstance(record, dict) else None


def _plots(place: Path, problems: list[str]) -> tuple[dict[str, bytes], list[Confusions]]:
    """PNG files by name, and the confusion matrices among them whose numbers are in the file."""
    pictures: dict[str, bytes] = {}
    matrices: list[Confusions] = []
    for path in sorted(place.glob("*.png")):
        data = path.read_bytes()
        if not data.startswith(_PNG):
            problems.append(f"plots/{path.name} is no PNG file")
            continue
        matrix = _matrix(path.stem, data)
        if matrix is not None:
            matrices.append(matrix)
        else:
            pictures[path.stem] = data
    return pictures, matrices


def _matrix(name: str, data: bytes) -> Confusions | None:
    """The matrix that ``Plots.confusion_matrix`` noted in a picture, ``None`` for other pictures."""
    try:
        found = json.loads(_notes(data)[MATRIX_NOTE])
        classes, counts = found["classes"], found["counts"]
        square = len(counts) == len(classes) and all(len(row) == len(classes) for row in counts)
        if square and all(isinstance(n, int) for row in counts for n in row):
            return Confusions(name, [str(c) for c in classes], counts)
    except (ValueError, KeyError, TypeError):
        pass
    return None


def _notes(data: bytes) -> dict[str, str]:
    """The texts (chunks ``tEXt``) of a PNG file, by keyword."""
    found: dict[str, str] = {}
    at = len(_PNG)
    while at + 8 <= len(data):
        size, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        if kind == b"tEXt":
            keyword, _, text = data[at + 8 : at + 8 + size].partition(b"\0")
            found[keyword.decode("latin-1")] = text.decode("latin-1")
        at += 12 + size
    return found


__all__ = ["Confusions", "Curve", "RunRecord", "read_run", "read_runs"]
