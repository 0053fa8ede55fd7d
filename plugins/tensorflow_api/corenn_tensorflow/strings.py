"""``tf.strings``."""

from corenn_tensorflow import missing
from corenn_tensorflow.functions import text
from corenn_tensorflow.functions.text import (
    as_string,
    bytes_split,
    length,
    lower,
    reduce_join,
    regex_full_match,
    regex_replace,
    strip,
    substr,
    to_number,
    upper,
)

format = text.string_format  # TensorFlow's name
join, split = text.string_join, text.strings_split

__all__ = [
    "as_string", "bytes_split", "format", "join", "length", "lower", "reduce_join", "regex_full_match", "regex_replace",
    "split", "strip", "substr", "to_number", "upper",
]  # fmt: skip

__getattr__ = missing.guard(__name__)
