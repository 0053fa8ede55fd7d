"""``tf.summary``: operations of a graph in generation 1, calls that write at once in generation 2."""

from corenn_tensorflow import missing, mode
from corenn_tensorflow.records.summaries import Event, SessionLog, Summary, SummaryMetadata, TaggedRunMetadata
from corenn_tensorflow.summary import eager, experimental, graph_mode
from corenn_tensorflow.summary.eager import (
    SummaryWriter,
    create_file_writer,
    create_noop_writer,
    flush,
    graph,
    import_event,
    record_if,
    should_record_summaries,
    trace_export,
    trace_off,
    trace_on,
    write,
)
from corenn_tensorflow.summary.graph_mode import initialize, merge, merge_all, tensor_summary
from corenn_tensorflow.summary.writers import FileWriter, FileWriterCache, summary_iterator

scalar = mode.by_generation(graph_mode.scalar, eager.scalar)
histogram = mode.by_generation(graph_mode.histogram, eager.histogram)
image = mode.by_generation(graph_mode.image, eager.image)
text = mode.by_generation(graph_mode.text, eager.text)
audio = mode.by_generation(graph_mode.audio, eager.audio)


def get_summary_description(node_def: object) -> object:
    """NotImplementedError: descriptions are in the summaries' metadata."""
    raise NotImplementedError("tf.summary.get_summary_description: descriptions are in each summary's metadata")


__getattr__ = missing.guard(__name__)

__all__ = [
    "Event", "FileWriter", "FileWriterCache", "SessionLog", "Summary", "SummaryMetadata", "SummaryWriter",
    "TaggedRunMetadata", "audio", "create_file_writer", "create_noop_writer", "experimental", "flush", "graph",
    "histogram", "image", "import_event", "initialize", "merge", "merge_all", "record_if", "scalar",
    "should_record_summaries", "summary_iterator", "tensor_summary", "text", "trace_export", "trace_off", "trace_on",
    "write",
]  # fmt: skip
