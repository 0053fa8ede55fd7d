"""``tf.data``: pipelines of elements.  (The text files beside the modules are the facade's own lists of names.)"""

from corenn_tensorflow.data import experimental
from corenn_tensorflow.data.dataset import Dataset, Options
from corenn_tensorflow.data.elements import TensorSpec
from corenn_tensorflow.data.experimental import AUTOTUNE, INFINITE_CARDINALITY, UNKNOWN_CARDINALITY
from corenn_tensorflow.data.iterators import Iterator
from corenn_tensorflow.data.iterators import initializable as make_initializable_iterator
from corenn_tensorflow.data.iterators import one_shot as make_one_shot_iterator
from corenn_tensorflow.data.readers import FixedLengthRecordDataset, TextLineDataset, TFRecordDataset
from corenn_tensorflow.missing import guard


def get_output_types(dataset_or_iterator: object) -> object:
    """The structure of an element, with dtypes."""
    return dataset_or_iterator.output_types  # type: ignore[attr-defined]  # both have it


def get_output_shapes(dataset_or_iterator: object) -> object:
    """The structure of an element, with shapes."""
    return dataset_or_iterator.output_shapes  # type: ignore[attr-defined]  # both have it


def get_output_classes(dataset_or_iterator: object) -> object:
    """The structure of an element, with classes."""
    return dataset_or_iterator.output_classes  # type: ignore[attr-defined]  # both have it


__all__ = [
    "AUTOTUNE", "INFINITE_CARDINALITY", "UNKNOWN_CARDINALITY", "Dataset", "FixedLengthRecordDataset", "Iterator",
    "Options", "TFRecordDataset", "TensorSpec", "TextLineDataset", "experimental", "get_output_classes",
    "get_output_shapes", "get_output_types", "make_initializable_iterator", "make_one_shot_iterator",
]  # fmt: skip
__getattr__ = guard(__name__)
