"""Input pipelines: elements as NumPy arrays on the host, in an order that seeds decide and a position to resume from.

::

    train = Dataset.from_tensor_slices((images, labels)).shuffle(seed=1).batch(32).prefetch(2)
    for images, labels in train:  # each loop is an epoch with an order of its own
        ...
"""

from typing import TYPE_CHECKING

from corenn.advice import guide
from corenn.data.dataset import Dataset, UnknownLengthError
from corenn.data.iterator import DatasetIterator
from corenn.data.protocol import INFINITE, UNKNOWN
from corenn.data.structure import ArraySpec

__all__ = ["INFINITE", "UNKNOWN", "ArraySpec", "Dataset", "DatasetIterator", "UnknownLengthError"]

if not TYPE_CHECKING:  # type checkers know which names there are
    __getattr__, __dir__ = guide(__name__, __all__)
