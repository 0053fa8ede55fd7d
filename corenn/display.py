"""How tensors look in a notebook."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from corenn.tensor import Tensor

_MOST = 12  # rows and columns shown in full; more are elided in the middle


def tensor_html(tensor: Tensor) -> str:
    """A caption with shape, dtype and device, and the values: a table up to two axes, text for more.

    The caption of a variable begins with its name, and says if it is not trained.
    """
    name = getattr(tensor, "name", None)
    frozen = "" if getattr(tensor, "trainable", True) else ", not trainable"
    caption = html.escape(f"{'' if name is None else f'{name}: '}{tensor.spec} on {tensor.device}{frozen}")
    try:
        host = np.asarray(tensor)
    except Exception as problem:  # a display must never hide the error that made someone look at it
        return f"<div><small>{caption}</small><pre>values unavailable: {html.escape(str(problem))}</pre></div>"
    if tensor.ndim == 0:
        return f"<div><small>{caption}</small><pre>{html.escape(str(host.item()))}</pre></div>"
    if tensor.ndim > 2 or tensor.size == 0:
        body = html.escape(np.array2string(host, threshold=100, edgeitems=2))
        return f"<div><small>{caption}</small><pre>{body}</pre></div>"
    matrix = host[None] if host.ndim == 1 else host
    rows = "".join(
        f"<tr>{''.join(_cells(matrix[i]) if i is not None else _gap(matrix))}</tr>" for i in _shown(len(matrix))
    )
    return f"<div><small>{caption}</small><table>{rows}</table></div>"


def _shown(count: int) -> list[int | None]:
    if count <= _MOST:
        return list(range(count))
    half = _MOST // 2
    return [*range(half), None, *range(count - half, count)]


def _cells(row: np.ndarray[Any, Any]) -> list[str]:
    return [_cell("…" if j is None else _number(row[j])) for j in _shown(len(row))]


def _gap(matrix: np.ndarray[Any, Any]) -> list[str]:
    return [_cell("⋮")] * len(_shown(matrix.shape[1]))


def _cell(text: str) -> str:
    return f'<td style="text-align:right">{html.escape(text)}</td>'


def _number(value: np.generic) -> str:
    return f"{value:.5g}" if value.dtype.kind == "f" else str(value)
