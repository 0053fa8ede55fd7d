"""``tf.strings``."""

from corenn_tensorflow import missing
from corenn_tensorflow.functions import hashing, more_text, text
from corenn_tensorflow.functions.more_text import (
    ngrams,
    split,
    unicode_decode,
    unicode_encode,
    unicode_split,
    unicode_transcode,
    unsorted_segment_join,
)
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
join, to_hash_bucket = text.string_join, hashing.string_to_hash_bucket
to_hash_bucket_fast, to_hash_bucket_strong = hashing.string_to_hash_bucket_fast, hashing.string_to_hash_bucket_strong
as_string, length, lower, regex_full_match, regex_replace, strip, substr, to_number, upper = (
    more_text.takes_ragged(f)
    for f in (as_string, length, lower, regex_full_match, regex_replace, strip, substr, to_number, upper)
)

__all__ = [
    "as_string", "bytes_split", "format", "join", "length", "lower", "ngrams", "reduce_join", "regex_full_match",
    "regex_replace", "split", "strip", "substr", "to_hash_bucket", "to_hash_bucket_fast", "to_hash_bucket_strong",
    "to_number", "unicode_decode", "unicode_encode", "unicode_split", "unicode_transcode", "unsorted_segment_join",
    "upper",
]  # fmt: skip

__getattr__ = missing.guard(__name__)
