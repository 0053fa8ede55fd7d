"""How tensors and variables look in a notebook."""

from __future__ import annotations

import re

import numpy as np
import pytest

import corenn
from corenn.display import tensor_html


def cells(view):
    return [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in re.findall("<tr>(.*?)</tr>", view)]


def test_a_matrix_is_a_table_with_a_caption():
    view = tensor_html(corenn.tensor(np.array([[1.5, -2.25, 1e-9], [0.1234567, np.nan, 3.0]])))
    assert "<small>float64[2, 3] on " in view
    assert cells(view) == [["1.5", "-2.25", "1e-09"], ["0.12346", "nan", "3"]]


@pytest.mark.parametrize(
    ("shape", "rows", "columns"), [((3,), 1, 3), ((40,), 1, 13), ((40, 2), 13, 2), ((13, 50), 13, 13)]
)
def test_large_ones_are_cut_in_the_middle(shape, rows, columns):
    found = cells(tensor_html(corenn.tensor(np.arange(np.prod(shape)).reshape(shape))))
    assert (len(found), {len(row) for row in found}) == (rows, {columns})
    assert found[0][0] == "0" and ((rows == 13 and "⋮" in found[6]) or found[-1][-1] == str(np.prod(shape) - 1))


def test_scalars_and_more_axes_are_text():
    assert "<pre>2.5</pre>" in tensor_html(corenn.tensor(2.5))
    assert "<table>" not in tensor_html(corenn.zeros((2, 2, 2)))


def test_variables_have_their_name():
    view = corenn.Variable([1.0], name="<w>", trainable=False)._repr_html_()
    assert "<small>&lt;w&gt;: float32[1] on " in view and "not trainable" in view
    assert "not trainable" not in corenn.Variable([1.0], name="w")._repr_html_()


def test_an_error_is_shown_in_place_of_values(monkeypatch):
    x = corenn.tensor([1.0])

    def fail(*arguments, **options):
        raise RuntimeError("the <device> is gone")

    monkeypatch.setattr(type(x), "__array__", fail)
    assert "values unavailable: the &lt;device&gt; is gone" in tensor_html(x)
