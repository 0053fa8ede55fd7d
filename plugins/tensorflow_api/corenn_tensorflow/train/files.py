"""Small functions of ``tf.train`` on files and graphs: ``write_graph``, ``get_checkpoint_mtimes`` and kin."""

from __future__ import annotations

import os
from typing import Any

from corenn.errors import GraphError
from corenn.graph.graph import Graph


def write_graph(graph_or_graph_def: Any, logdir: Any, name: str, as_text: bool = True) -> str:
    """Write a graph to a file in a directory; returns the path.

    As text: its operations, one ``node`` each, for people, and in a comment what ``freeze_graph`` reads.  Otherwise
    the description that ``tf.train.import_meta_graph`` and ``tf.GraphDef().ParseFromString`` read.
    """
    path = os.path.join(os.fspath(logdir), name)
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    if isinstance(graph_or_graph_def, Graph) and not as_text:
        from corenn.graph.serialization import export_graph

        export_graph(graph_or_graph_def, path, large=None, strict=False)
        return path
    definition = graph_or_graph_def
    if isinstance(graph_or_graph_def, Graph):
        definition = graph_or_graph_def.as_graph_def()  # type: ignore[attr-defined]  # graphs of the facade have it
    if not as_text:
        with open(path, "wb") as file:
            file.write(definition.SerializeToString())
        return path
    try:
        text = definition.text()
    except GraphError as error:  # people can still read it
        text = f"{definition}\n# not to be imported: {error.what}\n"
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def basic_train_loop(
    supervisor: Any, train_step_fn: Any, args: Any = None, kwargs: Any = None, master: str = ""
) -> None:
    """Call ``train_step_fn(session, *args, **kwargs)`` until the supervisor stops."""
    with supervisor.managed_session(master) as session:
        while not supervisor.should_stop():
            train_step_fn(session, *(args or ()), **(kwargs or {}))


def do_quantize_training_on_graphdef(input_graph: Any, num_bits: int) -> Any:
    """NotImplementedError: corenn does not rewrite graphs for quantised training."""
    raise NotImplementedError(
        "tf.train.do_quantize_training_on_graphdef: graphs are not rewritten; use "
        "tf.quantization.fake_quant_* in the model"
    )


__all__ = ["basic_train_loop", "do_quantize_training_on_graphdef", "write_graph"]
