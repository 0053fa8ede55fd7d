"""``tf.queue``: queues in a graph."""

from corenn_tensorflow import missing
from corenn_tensorflow.train.queue_objects import (
    FIFOQueue,
    PaddingFIFOQueue,
    PriorityQueue,
    QueueBase,
    RandomShuffleQueue,
)

__all__ = ["FIFOQueue", "PaddingFIFOQueue", "PriorityQueue", "QueueBase", "RandomShuffleQueue"]

__getattr__ = missing.guard(__name__)
