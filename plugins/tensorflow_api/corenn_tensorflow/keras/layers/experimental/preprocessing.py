"""``keras.layers.experimental.preprocessing``: layers that prepare data; look-ups keep 0 for the mask here."""

from __future__ import annotations

from typing import Any

from corenn_tensorflow.keras.layers import lookups
from corenn_tensorflow.keras.layers.augmenting import *  # noqa: F403
from corenn_tensorflow.keras.layers.augmenting import __all__ as _images
from corenn_tensorflow.keras.layers.lookups import CategoryEncoding, Discretization, Hashing
from corenn_tensorflow.keras.layers.lookups import OnHost as PreprocessingLayer
from corenn_tensorflow.keras.layers.standard import Normalization, Rescaling
from corenn_tensorflow.keras.layers.vectorizing import TextVectorization
from corenn_tensorflow.missing import guard


class StringLookup(lookups.StringLookup):
    """Numbers of strings; 0 is for "", 1 for unknown ones."""

    def __init__(self, max_tokens: int | None = None, num_oov_indices: int = 1, mask_token: str | None = "",
                 oov_token: str = "[UNK]", vocabulary: Any = None, **options: Any) -> None:  # fmt: skip
        super().__init__(max_tokens, num_oov_indices, mask_token, oov_token, vocabulary, **options)


class IntegerLookup(lookups.IntegerLookup):
    """Numbers of ints; 0 is for 0, 1 for unknown ones."""

    def __init__(self, max_tokens: int | None = None, num_oov_indices: int = 1, mask_token: int | None = 0,
                 oov_token: int = -1, vocabulary: Any = None, **options: Any) -> None:  # fmt: skip
        super().__init__(max_tokens, num_oov_indices, mask_token, oov_token, vocabulary, **options)


__all__ = [
    *_images, "CategoryEncoding", "Discretization", "Hashing", "IntegerLookup", "Normalization", "PreprocessingLayer",
    "Rescaling", "StringLookup", "TextVectorization",
]  # fmt: skip
__getattr__ = guard(__name__)
