"""Models and training in a notebook: the table of layers, and, in a real kernel, one output that is updated."""

from __future__ import annotations

import re

import numpy as np
import pytest

from corenn import layers as L
from corenn.training import Sequential

CODE = """
import sys
import numpy as np
import corenn
quiet = "IPython.display" in sys.modules
from corenn import layers
x = np.linspace(-1, 1, 96, dtype=np.float32).reshape(24, 4)
model = corenn.Sequential([layers.Input((4,)), layers.Dense(1)])
model.compile("sgd", "mse")
"""


def cells(view):
    return [re.sub("<[^>]*>", "", cell) for cell in re.findall(r"<td.*?</td>", view, re.S)]


def test_the_table_of_a_model():
    model = Sequential(
        [L.Input((4,)), L.Dense(3, name="<first>"), L.BatchNormalization(name="norm"), L.Dense(1, name="last")]
    )
    model.layers[0].trainable = False
    view = model._repr_html_()
    assert cells(view) == [
        "&lt;first&gt; (Dense)", "[batch, 3]", "15", "not trainable",
        "norm (BatchNormalization)", "[batch, 3]", "12", "6 not trainable",
        "last (Dense)", "[batch, 1]", "4", "",
    ]  # fmt: skip
    assert "31 parameters (124 B): 10 trainable, 21 not" in view


def test_models_inside_can_be_opened_and_unbuilt_ones_are_shown():
    inner = Sequential([L.Dense(2), L.Dense(3)], name="inner")
    view = Sequential([inner, L.Dense(1)])._repr_html_()
    assert view.count("<details>") == 1 and view.count("<table>") == 2
    assert "Layers with ? are built at the first call." in view
    assert "built at" not in Sequential([L.Input((2,)), L.Dense(1)])._repr_html_()
    for tag in ("div", "table", "tr", "td", "details"):
        assert len(re.findall(f"<{tag}[ >]", view)) == view.count(f"</{tag}>"), tag


@pytest.mark.slow
def test_a_real_notebook(tmp_path):
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed: pip install nbclient ipykernel")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed: pip install nbclient ipykernel")
    nbformat = pytest.importorskip("nbformat")
    sources = (CODE, "model", "history = model.fit(x, x[:, :1], epochs=30, batch_size=4)", "corenn.tensor(x)", "quiet")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    nbclient.NotebookClient(
        notebook, timeout=1200, startup_timeout=600, resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    outputs = [cell.outputs for cell in notebook.cells]
    assert "dense (Dense)" in cells(outputs[1][0].data["text/html"])
    (progress,) = outputs[2]
    lines = progress.data["text/plain"].splitlines()
    assert [line.split()[1] for line in lines] == [f"{n}/30" for n in range(10, 31)]
    assert "\x1b" not in progress.data["text/plain"]
    assert np.prod([len(outputs[3]), len(outputs[4])]) == 1 and "<table>" in outputs[3][0].data["text/html"]
