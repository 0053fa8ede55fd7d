"""What classifiers show of themselves: their layers as a graph, what they took for what, and the pictures of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from corenn.summary import EventWriter, GraphNode
from corenn.training import Sequential
from corenn.training.run import Run


def layer_graph(model: Any) -> list[GraphNode]:
    """The layers of a Sequential in a row, for TensorBoard's graph tab; nothing for other models."""
    if not isinstance(model, Sequential):
        return []
    nodes = [GraphNode("input", "Input")]
    for layer in model.layers:
        shapes = {} if layer.output_specs is None else {"_output_shapes": [(None, *layer.output_specs.shape[1:])]}
        nodes.append(GraphNode(layer.name, type(layer).__name__, [nodes[-1].name], shapes))
    return nodes


def show_answers(
    run: Run, images: Any, truth: Any, probabilities: Any, classes: Sequence[str],
    history: Mapping[str, Sequence[float]] | None = None,
) -> Any:  # fmt: skip
    """Mistakes for TensorBoard; the confusion matrix, sample predictions and, of a ``history``, its curves as pictures.

    ``images``: [n, h, w, c], ``truth``: int[n], ``probabilities``: [n, classes].  Returns the run's ``Plots`` for more
    pictures, ``None`` without matplotlib.
    """
    write_mistakes(run.writer, run.steps, images, truth, probabilities, classes)
    plots = run.figures()
    if plots is not None:
        if history is not None:
            plots.learning_curves(history, held="test")
        plots.confusion_matrix(truth, probabilities.argmax(-1), classes)
        plots.predictions(images, truth, probabilities, classes)
    return plots


def write_mistakes(
    writer: EventWriter, step: int, images: Any, truth: Any, probabilities: Any, classes: Sequence[str], most: int = 24
) -> None:
    """The images taken for something else, surest first, and a table of what for, as summaries."""
    predicted = probabilities.argmax(-1)
    wrong = np.flatnonzero(predicted != truth)
    wrong = wrong[np.argsort(-probabilities.max(-1)[wrong], kind="stable")][:most]
    lines = ["| image | is | taken for | probability |", "|---|---|---|---|"]
    lines += [f"| {n} | {classes[truth[i]]} | {classes[predicted[i]]} | {probabilities[i].max():.0%} |"
              for n, i in enumerate(wrong)]  # fmt: skip
    writer.text("mistakes", "\n".join(lines) if len(wrong) else "none", step)
    if len(wrong):
        factor = max(1, 64 // images.shape[1])  # small images are hard to see in TensorBoard
        enlarged = images[wrong].repeat(factor, axis=1).repeat(factor, axis=2)
        # Not the tag of the text: TensorBoard shows a tag in one of its tabs only.
        writer.image("mistakes/images", enlarged, step, max_outputs=most)


__all__ = ["layer_graph", "show_answers", "write_mistakes"]
