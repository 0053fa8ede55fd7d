"""Notebooks as scripts: the code cells of an ``.ipynb`` file, without what only IPython understands."""

from __future__ import annotations

import io
import json
import re
import tokenize
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from corenn.errors import DataError

#: Cell magics whose cell is Python all the same.
_PYTHON_CELLS = ("%%time", "%%timeit", "%%capture", "%%prun", "%%python", "%%python3")

_ASSIGNED = re.compile(r"[\w\s,.\[\]]+=\s*[!%](?!=)\s*\w")
_HELP = re.compile(r"\?{1,2}[\w.]+\s*$|[\w.]+\?{1,2}\s*$")


@dataclass(frozen=True, slots=True)
class Cell:
    """A code cell: its place among all cells of the notebook (from 1), its Python, and the lines that were left out."""

    number: int
    source: str
    skipped: tuple[str, ...]


def read_notebook(path: Path) -> list[Cell]:
    """The code cells of a notebook in order.

    Lines of magics (``%matplotlib inline``), of the shell (``!pip ...``) and of help (``name?``) are replaced by
    ``pass``, so that line numbers stay.  Raises ``DataError`` naming the file when it is not a notebook.
    """
    where = str(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DataError(where, f"is not a notebook: {error}", hint="save it again from Jupyter") from error
    cells = _cells(content)
    if cells is None:
        raise DataError(where, "is not a notebook: it has no list of cells", hint="save it again from Jupyter")
    found = []
    for number, cell in enumerate(cells, 1):
        if isinstance(cell, dict) and cell.get("cell_type") == "code":
            text = cell.get("source", cell.get("input", ""))  # format 4, format 3
            found.append(Cell(number, *plain_python("".join(text) if isinstance(text, list) else str(text))))
    return found


def _cells(content: Any) -> list[Any] | None:
    if not isinstance(content, dict):
        return None
    if isinstance(content.get("worksheets"), list):  # format 3
        return [cell for sheet in content["worksheets"] for cell in sheet.get("cells", ())]
    cells = content.get("cells")
    return cells if isinstance(cells, list) else None


def plain_python(source: str) -> tuple[str, tuple[str, ...]]:
    """A cell as Python with the same number of lines, and what was left out of it."""
    lines = source.splitlines()
    first = next((i for i, line in enumerate(lines) if line.strip()), None)
    if first is None:
        return "", ()
    skipped = []
    if lines[first].lstrip().startswith("%%"):
        magic = lines[first].strip()
        if magic.split()[0] not in _PYTHON_CELLS:
            return "", (f"{magic} and its cell",)
        skipped.append(magic)
        lines[first] = ""
    done: list[str] = []
    for line in lines:
        text = line.strip()
        special = text.startswith(("%", "!")) or _HELP.match(text) or _ASSIGNED.match(text)
        if special and not _is_python(line) and _begins_statement(done):
            skipped.append(text)
            line = line[: len(line) - len(line.lstrip())] + "pass"
        done.append(line)
    return "\n".join(done) + "\n", tuple(skipped)


def _is_python(line: str) -> bool:
    try:
        compile(line.strip(), "<line>", "exec")
    except (SyntaxError, ValueError):
        return False
    return True


def _begins_statement(before: list[str]) -> bool:
    """Whether the next line begins a statement, and does not continue a bracket, a string or a backslash."""
    if before and before[-1].rstrip().endswith("\\"):
        return False
    try:
        list(tokenize.generate_tokens(io.StringIO("\n".join(before) + "\n").readline))
    except tokenize.TokenError:
        return False  # the end came inside a bracket or a string
    except SyntaxError:  # IndentationError: running it says where
        return True
    return True
