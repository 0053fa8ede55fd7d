"""Boxes: drawing them, choosing among them."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from corenn import dtypes
from corenn.graph.kinds import HostCallKind
from corenn_tensorflow import mode
from corenn_tensorflow.framework import convert_to_tensor
from corenn_tensorflow.image.common import _plain
from corenn_tensorflow.writing import writable


@writable("image.draw_bounding_boxes")
def _drawn(x: Any, given: Any, *, shades: Any) -> Any:
    out = np.array(x)
    for image, listed in zip(out, np.asarray(given), strict=True):
        h, w, c = image.shape
        for i, (top, left, bottom, right) in enumerate(listed):
            r1, r2 = (int(np.clip(round(v * (h - 1)), 0, h - 1)) for v in (top, bottom))
            c1, c2 = (int(np.clip(round(v * (w - 1)), 0, w - 1)) for v in (left, right))
            shade = shades[i % len(shades)][:c] if c != 1 else shades[i % len(shades)][:1]
            image[r1, c1 : c2 + 1] = image[r2, c1 : c2 + 1] = shade
            image[r1 : r2 + 1, c1] = image[r1 : r2 + 1, c2] = shade
    return out


def draw_bounding_boxes(images: Any, boxes: Any, colors: Any = None, name: str | None = None) -> Any:
    """Images with frames drawn on them; boxes [batch, n, 4]: top, left, bottom, right, of 0..1."""
    default = [[1, 1, 0, 1], [0, 0, 1, 1], [1, 0, 0, 1], [0, 1, 0, 1], [0.5, 0, 0.5, 1], [0.5, 0.5, 0, 1]]
    shades = np.asarray(default if colors is None else _plain(colors), np.float32)
    draw = functools.partial(_drawn, shades=shades)
    x, b = convert_to_tensor(images), convert_to_tensor(boxes)
    graph = mode.graph_for((x, b))
    if graph is None:
        return convert_to_tensor(draw(x._host(), b._host()))
    kind = HostCallKind(draw, pure=True, type_name="DrawBoundingBoxes")
    return graph.add(kind, [graph.convert(x), graph.convert(b)], [(x.extents, x.dtype)], name=name).outputs[0]


@writable("image.non_max_suppression")
def _chosen_boxes(given: Any, values: Any, *, limit: int, overlap: float, least: float) -> Any:
    b, s = np.asarray(given, np.float64), np.asarray(values, np.float64)
    low, high = np.minimum(b[:, :2], b[:, 2:]), np.maximum(b[:, :2], b[:, 2:])
    area = np.prod(high - low, axis=1)
    kept: list[int] = []
    for i in np.argsort(-s, kind="stable"):
        if len(kept) == limit or s[i] <= least:
            break
        shared = np.prod(np.maximum(np.minimum(high[i], high[kept]) - np.maximum(low[i], low[kept]), 0), axis=-1)
        if not kept or (shared / np.maximum(area[i] + area[kept] - shared, 1e-12)).max() <= overlap:
            kept.append(int(i))
    return np.asarray(kept, np.int32)


def non_max_suppression(
    boxes: Any,
    scores: Any,
    max_output_size: Any,
    iou_threshold: float = 0.5,
    score_threshold: float = -np.inf,
    name: str | None = None,
) -> Any:
    """The numbers of the boxes that are left when of overlapping ones only the best is kept."""
    limit = int(_plain(max_output_size))
    choose = functools.partial(
        _chosen_boxes, limit=limit, overlap=float(_plain(iou_threshold)), least=float(_plain(score_threshold))
    )
    graph = mode.graph_for((boxes, scores))
    if graph is None:
        return convert_to_tensor(choose(convert_to_tensor(boxes)._host(), convert_to_tensor(scores)._host()))
    kind = HostCallKind(choose, pure=True, type_name="NonMaxSuppressionV3")
    return graph.add(kind, [graph.convert(boxes), graph.convert(scores)], [((None,), dtypes.int32)], name=name).outputs[
        0
    ]
