"""``model.summary()``: the layers as a table."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

from corenn import tree
from corenn.spec import Spec

if TYPE_CHECKING:
    from corenn.layers.base import Layer
    from corenn.training.model import Model


def rows(model: Model) -> list[tuple[str, str, str]]:
    """(name and class, output shape, parameters) of each layer directly inside."""
    return [
        (f"{x.name} ({type(x).__name__})", shape_text(x.output_specs), f"{x.count_params():,}") for x in model.layers
    ]


def shape_text(specs: Any) -> str:
    """Output shapes with the batch axis as ``batch``; ``?`` before the first call."""
    if specs is None:
        return "?"
    shown = [f"[{', '.join(['batch', *map(str, s.shape[1:])])}]" for s in tree.leaves(specs) if isinstance(s, Spec)]
    return ", ".join(shown)


def totals(model: Layer) -> tuple[int, int, int, int]:
    """Number of parameters in all, trainable, frozen, and their size in bytes."""
    trainable = sum(v.size for v in model.trainable_weights)
    total = model.count_params()
    return total, trainable, total - trainable, sum(v.nbytes for v in model.weights)


def model_summary(model: Model, line_length: int | None = None) -> str:
    """The table ``summary`` prints."""
    header = ("layer", "output", "parameters")
    body = rows(model)
    widths = [max(len(r[i]) for r in (header, *body)) for i in range(3)]
    if line_length is not None:
        widths[0] = max(10, min(widths[0], line_length - widths[1] - widths[2] - 4))
    rule = "─" * (sum(widths) + 4)

    def line(row: tuple[str, str, str]) -> str:
        name = row[0] if len(row[0]) <= widths[0] else row[0][: widths[0] - 1] + "…"
        return f"{name:<{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]:>{widths[2]}}"

    total, trainable, frozen, size = totals(model)
    lines = [f"{type(model).__name__} {model.name!r}", rule, line(header), rule, *map(line, body), rule]
    lines.append(f"{total:,} parameters ({_bytes(size)}): {trainable:,} trainable, {frozen:,} not")
    if any(layer.output_specs is None for layer in model.layers):
        lines.append("Layers with ? are built at the first call: model(x), fit, or start with layers.Input(shape).")
    return "\n".join(lines)


def model_html(model: Model) -> str:
    """The table as HTML, for notebooks; the rows of models inside can be opened."""
    total, trainable, frozen, size = totals(model)
    counts = f"{total:,} parameters ({_bytes(size)}): {trainable:,} trainable, {frozen:,} not"
    note = ""
    if any(layer.output_specs is None for layer in model.layers):
        note = "<div><small>Layers with ? are built at the first call.</small></div>"
    title = html.escape(f"{type(model).__name__} {model.name!r}")
    return f"<div><div><b>{title}</b></div>{_html_table(model)}<div><small>{counts}</small></div>{note}</div>"


def _html_table(model: Layer) -> str:
    columns = (("layer", "left"), ("output", "left"), ("parameters", "right"), ("", "left"))
    heads = "".join(f'<th scope="col" style="text-align:{side}">{name}</th>' for name, side in columns)
    lines = "".join(_html_row(layer) for layer in model.sublayers())
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{lines}</tbody></table>"


def _html_row(layer: Layer) -> str:
    count, frozen = layer.count_params(), totals(layer)[2]
    state = "" if not frozen else "not trainable" if frozen == count else f"{frozen:,} not trainable"
    name = f"{html.escape(layer.name)} <small>({type(layer).__name__})</small>"
    if layer.sublayers():
        name = f"<details><summary>{name}</summary>{_html_table(layer)}</details>"
    left, right = 'style="text-align:left"', 'style="text-align:right"'
    shape = html.escape(shape_text(layer.output_specs))
    return f"<tr><td {left}>{name}</td><td {left}>{shape}</td><td {right}>{count:,}</td><td {left}>{state}</td></tr>"


def _bytes(count: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024 or unit == "GiB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return ""
