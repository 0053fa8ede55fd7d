"""``plot_model``: a picture of a model's layers and how they are connected, drawn with pillow."""

from __future__ import annotations

import os
from typing import Any

from corenn_tensorflow.keras import world

_MARGIN, _PAD, _GAP_X, _GAP_Y = 12, 8, 24, 36
_SHADES = {"box": "#ffffff", "edge": "#222222", "line": "#555555"}


def connections(model: Any) -> list[tuple[Any, list[Any]]]:
    """Each layer with the layers of the model whose outputs it takes, in order."""
    from corenn_tensorflow.keras.engine.symbolic import node_of

    layers = list(model.layers)
    found = []
    for i, layer in enumerate(layers):
        before: list[Any] = []
        for node in layer._nodes:
            parents = [n.layer for p in node.parents() if (n := node_of(p)) is not None]
            chosen = [p for p in parents if any(p is other for other in layers)]
            before += [p for p in chosen if p is not layer and not any(p is b for b in before)]
        if not before and i and not layer._nodes:  # a sequence whose layers were never called on symbolic tensors
            before = [layers[i - 1]]
        found.append((layer, before))
    return found


def labels(layer: Any, show_shapes: bool, show_names: bool, show_dtype: bool) -> list[str]:
    """The lines in the box of a layer."""
    kind = type(layer).__name__
    lines = [f"{layer.name}: {kind}" if show_names else kind]
    if show_dtype:
        lines.append(f"dtype: {layer.dtype if isinstance(layer.dtype, str) else layer.dtype.name}")
    if show_shapes:
        for name in ("input_shape", "output_shape"):
            try:
                shape = getattr(layer, name)
            except (AttributeError, ValueError):
                shape = "multiple"
            lines.append(f"{name.removesuffix('_shape')}: {shape}")
    return lines


def levels(found: list[tuple[Any, list[Any]]]) -> list[list[Any]]:
    """Rows of layers, each layer below all that it takes outputs of."""
    depth: dict[int, int] = {}
    for layer, before in found:
        depth[id(layer)] = 1 + max((depth.get(id(b), -1) for b in before), default=-1)
    rows: list[list[Any]] = [[] for _ in range(1 + max(depth.values(), default=-1))]
    for layer, _ in found:
        rows[depth[id(layer)]].append(layer)
    return rows


def picture(model: Any, show_shapes: bool, show_names: bool, show_dtype: bool, across: bool) -> Any:
    """The drawing, an image of PIL."""
    from corenn_tensorflow.keras.preprocessing.image.pictures import pillow

    image = pillow("plot_model")
    from PIL import ImageDraw

    with world.eagerly():
        found = connections(model)
        text = {id(layer): "\n".join(labels(layer, show_shapes, show_names, show_dtype)) for layer, _ in found}
    ruler = ImageDraw.Draw(image.new("RGB", (1, 1)))
    size = {}
    for key, label in text.items():
        left, top, right, bottom = ruler.multiline_textbbox((0, 0), label)
        size[key] = (int(right - left) + 2 * _PAD, int(bottom - top) + 2 * _PAD)
    rows = levels(found)
    main, other = (1, 0) if not across else (0, 1)  # the axis along which data flow, and the one across it
    gap = (_GAP_Y, _GAP_X)
    spans = [sum(size[id(layer)][other] + gap[1] for layer in row) - gap[1] for row in rows]
    place: dict[int, tuple[int, int]] = {}
    at = _MARGIN
    for row, span in zip(rows, spans, strict=True):
        side = _MARGIN + (max(spans) - span) // 2
        for layer in row:
            spot = [0, 0]
            spot[main], spot[other] = at, side
            place[id(layer)] = (spot[0], spot[1])
            side += size[id(layer)][other] + gap[1]
        at += max(size[id(layer)][main] for layer in row) + gap[0]
    extents = [0, 0]
    extents[main], extents[other] = at - gap[0] + _MARGIN, max(spans, default=0) + 2 * _MARGIN
    canvas = image.new("RGB", (max(extents[0], 1), max(extents[1], 1)), "#ffffff")
    draw = ImageDraw.Draw(canvas)
    for layer, before in found:
        (x, y), (w, h) = place[id(layer)], size[id(layer)]
        for parent in before:
            (px, py), (pw, ph) = place[id(parent)], size[id(parent)]
            start, end = (
                ((px + pw, py + ph // 2), (x, y + h // 2)) if across else ((px + pw // 2, py + ph), (x + w // 2, y))
            )
            draw.line([start, end], fill=_SHADES["line"], width=1)
            tip = [(end[0] - 6, end[1] - 3), (end[0] - 6, end[1] + 3)] if across else [
                (end[0] - 3, end[1] - 6), (end[0] + 3, end[1] - 6)
            ]  # fmt: skip
            draw.polygon([end, *tip], fill=_SHADES["line"])
    for layer, _ in found:
        (x, y), (w, h) = place[id(layer)], size[id(layer)]
        draw.rectangle([x, y, x + w, y + h], fill=_SHADES["box"], outline=_SHADES["edge"])
        draw.multiline_text((x + _PAD, y + _PAD), text[id(layer)], fill=_SHADES["edge"])
    return canvas


def plot_model(
    model: Any, to_file: Any = "model.png", show_shapes: bool = False, show_layer_names: bool = True,
    rankdir: str = "TB", expand_nested: bool = False, dpi: int = 96, show_dtype: bool = False, **ignored: Any,
) -> Any:  # fmt: skip
    """Draw a model into a file; in a notebook the picture is returned as well.

    ``rankdir``: ``TB`` from top to bottom, ``LR`` from left to right.  Nested models are one box each.
    """
    if not model.built:
        raise ValueError(
            "This model has not yet been built. Build the model first by calling `build()` or by calling the model on "
            "a batch of data."
        )
    drawn = picture(model, show_shapes, show_layer_names, show_dtype, rankdir == "LR")
    path = os.fspath(to_file)
    suffix = os.path.splitext(path)[1].lower()
    drawn.save(path if suffix in (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".pdf") else f"{path}.png")
    try:
        from IPython.display import Image
    except ImportError:
        return None
    return Image(filename=path) if suffix == ".png" else None


__all__ = ["connections", "labels", "levels", "picture", "plot_model"]
