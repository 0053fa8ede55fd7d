"""Summaries of generation 1: operations that give encoded ``Summary`` messages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from corenn import dtypes
from corenn.graph.kind_registry import register_function
from corenn.graph.kinds import HostCallKind
from corenn.summary import graph_ops
from corenn_tensorflow import mode
from corenn_tensorflow.framework import convert_to_tensor
from corenn_tensorflow.records.summaries import Summary, SummaryAudio
from corenn_tensorflow.summary.sound import wave


@contextmanager
def _graph(value: Any) -> Iterator[Any]:
    """The graph of a summary of ``value``, as the default one; RuntimeError where ops run at once."""
    graph = mode.graph_for(value)
    if graph is None:
        raise RuntimeError(
            "tf.summary of TensorFlow 1 is not compatible with eager execution. Use tf.contrib.summary, or tf.summary "
            "of TensorFlow 2, instead"
        )
    with graph.as_default():
        yield graph


def scalar(name: str, tensor: Any, collections: Any = None, family: str | None = None) -> Any:
    """A summary of one number."""
    with _graph(tensor):
        return graph_ops.scalar(name, convert_to_tensor(tensor), collections, family)


def histogram(name: str, values: Any, collections: Any = None, family: str | None = None) -> Any:
    """A summary of the distribution of a tensor."""
    with _graph(values):
        return graph_ops.histogram(name, convert_to_tensor(values), collections, family)


def image(name: str, tensor: Any, max_outputs: int = 3, collections: Any = None, family: str | None = None) -> Any:
    """A summary of the first images of a batch ``[n, height, width, channels]``."""
    with _graph(tensor):
        return graph_ops.image(name, convert_to_tensor(tensor), max_outputs, collections, family)


def text(name: str, tensor: Any, collections: Any = None) -> Any:
    """A summary of strings, which TensorBoard shows as Markdown."""
    with _graph(tensor):
        return graph_ops.text(name, convert_to_tensor(tensor), collections)


@register_function("corenn_tensorflow.summary.audio")
def _encode_audio(sound: Any, rate: Any, tag: str = "", most: int = 3) -> list[Any]:
    """A Summary of the first sounds of ``[n, frames, channels]`` (or ``[n, frames]``), as WAV."""
    batch = np.asarray(sound, np.float32)
    batch = batch[..., None] if batch.ndim == 2 else batch
    summary = Summary()
    for i, one in enumerate(batch[:most]):
        made = SummaryAudio(
            sample_rate=float(rate), num_channels=one.shape[1], length_frames=one.shape[0], content_type="audio/wav",
            encoded_audio_string=wave(one, float(rate)),
        )  # fmt: skip
        summary.value.add(tag=f"{tag}/audio" if most == 1 else f"{tag}/audio/{i}", audio=made)
    return [np.array(summary.SerializeToString(), dtype=object)]


def audio(
    name: str, tensor: Any, sample_rate: Any, max_outputs: int = 3, collections: Any = None, family: str | None = None
) -> Any:
    """A summary of the first sounds of a batch ``[n, frames, channels]`` of floats in [-1, 1]."""
    import functools

    with _graph(tensor) as graph, graph_ops.summary_scope(graph, name, family) as (tag, scope):
        function = functools.partial(_encode_audio, tag=tag, most=max_outputs)
        given = [convert_to_tensor(tensor), convert_to_tensor(sample_rate, "float32")]
        kind = HostCallKind(function, True, "AudioSummaryV2")
        made = graph.add(kind, given, [((), dtypes.string)], name=scope).outputs[0]
        for collection in (graph_ops.SUMMARIES,) if collections is None else collections:
            graph.add_to_collection(collection, made)
    return made


@register_function("corenn_tensorflow.summary.tensor")
def _encode_tensor(value: Any, tag: str = "") -> list[Any]:
    from corenn_tensorflow.records.arrays import make_tensor_proto

    summary = Summary()
    summary.value.add(tag=tag, tensor=make_tensor_proto(value))
    return [np.array(summary.SerializeToString(), dtype=object)]


def tensor_summary(
    name: str, tensor: Any, summary_description: str | None = None, collections: Any = None,
    summary_metadata: Any = None, family: str | None = None, display_name: str | None = None,
) -> Any:  # fmt: skip
    """A summary that holds a tensor as it is."""
    import functools

    with _graph(tensor) as graph, graph_ops.summary_scope(graph, name, family) as (tag, scope):
        kind = HostCallKind(functools.partial(_encode_tensor, tag=tag), True, "TensorSummaryV2")
        given = [convert_to_tensor(tensor)]
        made = graph.add(kind, given, [((), dtypes.string)], name=scope).outputs[0]
        for collection in (graph_ops.SUMMARIES,) if collections is None else collections:
            graph.add_to_collection(collection, made)
    return made


def merge(inputs: Iterable[Any], collections: Any = None, name: str | None = None) -> Any:
    """One summary that holds several."""
    given = [i for i in inputs if i is not None]
    with _graph(given):
        return graph_ops.merge(given, collections, name)


def merge_all(key: str = graph_ops.SUMMARIES, scope: str | None = None, name: str | None = None) -> Any:
    """One summary that holds all of a collection; ``None`` where there are none."""
    if mode.graph_for() is None:
        raise RuntimeError("Merging tf.summary.* ops is not compatible with eager execution.")
    with _graph(()):
        return graph_ops.merge_all(key, scope, name)


def initialize(graph: Any = None, session: Any = None) -> None:
    """Nothing: writers need no initialisation."""


# ---------------------------------------------------------------- names before 0.12: the tag is the name


def scalar_summary(tags: Any, values: Any, collections: Any = None, name: str | None = None) -> Any:
    """``tf.summary.scalar`` as it was called before 0.12; with a list of tags, one value of each."""
    if isinstance(tags, (list, tuple)):
        parts = [scalar(tag, values[i], ()) for i, tag in enumerate(tags)]
        return _listed(merge(parts, None, name), collections)
    return scalar(tags, values, collections)


def histogram_summary(tag: str, values: Any, collections: Any = None, name: str | None = None) -> Any:
    """``tf.summary.histogram`` as it was called before 0.12."""
    return histogram(tag, values, collections)


def image_summary(tag: str, tensor: Any, max_images: int = 3, collections: Any = None, name: str | None = None) -> Any:
    """``tf.summary.image`` as it was called before 0.12."""
    return image(tag, tensor, max_images, collections)


def audio_summary(
    tag: str, tensor: Any, sample_rate: Any, max_outputs: int = 3, collections: Any = None, name: str | None = None
) -> Any:
    """``tf.summary.audio`` as it was called before 0.12."""
    return audio(tag, tensor, sample_rate, max_outputs, collections)


def _listed(made: Any, collections: Any) -> Any:
    for collection in (graph_ops.SUMMARIES,) if collections is None else collections:
        made.graph.add_to_collection(collection, made)
    return made


merge_summary, merge_all_summaries = merge, merge_all

__all__ = [
    "audio", "audio_summary", "histogram", "histogram_summary", "image", "image_summary", "initialize", "merge",
    "merge_all", "merge_all_summaries", "merge_summary", "scalar", "scalar_summary", "tensor_summary", "text",
]  # fmt: skip
