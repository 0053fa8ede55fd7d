"""Notebooks as scripts."""

from __future__ import annotations

import json

import pytest
from corenn_tensorflow.notebook import plain_python, read_notebook

from corenn.errors import DataError

CELLS = [
    ("x = 1", "x = 1", ()),
    ("%matplotlib inline\nx = 1", "pass\nx = 1", ("%matplotlib inline",)),
    ("if x:\n    !pip install y\nz = 2", "if x:\n    pass\nz = 2", ("!pip install y",)),
    ("%%time\nx = 1", "\nx = 1", ("%%time",)),
    ("%%bash\nls", None, ("%%bash and its cell",)),
    ("y = !ls", "pass", ("y = !ls",)),
    ("y = %env HOME", "pass", ("y = %env HOME",)),
    ("tf.Session?", "pass", ("tf.Session?",)),
    ("?print", "pass", ("?print",)),
    ("print('%d'\n      % 3)", "print('%d'\n      % 3)", ()),
    ("a = b \\\n  % 3", "a = b \\\n  % 3", ()),
    ("s = '''\n%time\n!ls\n'''", "s = '''\n%time\n!ls\n'''", ()),
    ("a = 5 % 3\nb = a != 3", "a = 5 % 3\nb = a != 3", ()),
    ("f(\n%time\n)", "f(\n%time\n)", ()),
    ("", None, ()),
    ("\n\n", None, ()),
]


@pytest.mark.parametrize(("cell", "python", "skipped"), CELLS)
def test_what_only_ipython_understands_is_left_out(cell, python, skipped):
    source, left_out = plain_python(cell)
    assert source == ("" if python is None else python + "\n")
    assert left_out == skipped


def test_the_cells_of_both_formats(tmp_path):
    code = {"cell_type": "code", "source": ["x = 1\n", "y = 2"]}
    text = {"cell_type": "markdown", "source": ["x = "]}
    path = tmp_path / "a.ipynb"
    path.write_text(json.dumps({"nbformat": 4, "cells": [text, code, {"cell_type": "code", "source": "z = 3"}]}))
    assert [(cell.number, cell.source) for cell in read_notebook(path)] == [(2, "x = 1\ny = 2\n"), (3, "z = 3\n")]
    path.write_text(json.dumps({"nbformat": 3, "worksheets": [{"cells": [{"cell_type": "code", "input": ["x = 1"]}]}]}))
    assert [(cell.number, cell.source) for cell in read_notebook(path)] == [(1, "x = 1\n")]


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"cells": 3}'])
def test_a_file_that_is_no_notebook(tmp_path, content):
    path = tmp_path / "a.ipynb"
    path.write_text(content)
    with pytest.raises(DataError, match="is not a notebook"):
        read_notebook(path)
