"""The table that ``model.summary()`` prints."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from corenn_tensorflow.keras import world
from corenn_tensorflow.keras.engine.symbolic import node_of


def lines(model: Any, width: int, positions: Any = None) -> Iterator[str]:
    """Title, a row for each layer, and the numbers of weights."""
    with world.eagerly():
        branched = model._plan is not None and any(
            len(n.parents()) > 1 for layer in model.layers for n in layer._nodes[:1]
        )
        width = max(width, 98) if branched else width
        stops = positions or ((0.33, 0.55, 0.67, 1.0) if branched else (0.45, 0.85, 1.0))
        columns = [int(width * p) if p <= 1 else int(p) for p in stops]
        yield f'Model: "{model.name}"'
        yield "_" * width
        titles = ["Layer (type)", "Output Shape", "Param #", "Connected to"]
        yield _row(titles[: len(columns)], columns)
        yield "=" * width
        rows = list(model.layers)
        for i, layer in enumerate(rows):
            try:
                shape = str(layer.output_shape)
            except AttributeError:
                shape = "multiple"
            cells = [f"{layer.name} ({type(layer).__name__})", shape, str(sum(w.size for w in layer.weights))]
            if branched:
                before = [
                    n.layer.name for p in (layer._nodes[0].parents() if layer._nodes else ()) if (n := node_of(p))
                ]
                cells.append(f"{before[0]}[0][0]" if before else "")
                yield _row(cells, columns)
                for name in before[1:]:
                    yield _row(["", "", "", f"{name}[0][0]"], columns)
            else:
                yield _row(cells, columns)
            yield ("=" if i == len(rows) - 1 else "_") * width
        trained = sum(w.size for w in model.trainable_weights)
        total = trained + sum(w.size for w in model.non_trainable_weights)
        yield f"Total params: {total:,}"
        yield f"Trainable params: {trained:,}"
        yield f"Non-trainable params: {total - trained:,}"
        yield "_" * width


def _row(cells: list[str], stops: list[int]) -> str:
    line = ""
    for i, (cell, stop) in enumerate(zip(cells, stops, strict=True)):
        line = f"{line} "[: stops[i - 1]] if i else line
        line = (line + cell)[:stop].ljust(stop)
    return line


__all__ = ["lines"]
