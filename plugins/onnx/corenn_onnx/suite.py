"""Cases of the ONNX backend test suite that are not expected to pass, each with the reason.

``stable``: it fails every time, and the run says so if it ever passes, so that the entry is removed.
"""

from __future__ import annotations

from typing import NamedTuple


class Exclusion(NamedTuple):
    """The name of a case (without device), why it is left out, and whether it always fails."""

    name: str
    reason: str
    stable: bool = True


_NUMPY_DRAWS = "what is expected are numbers drawn by NumPy's global generator; ONNX does not say which to draw"
_FLOAT16 = "two elements of 192 differ by 2 units in the last place of float16, which is more than the tolerance"
_NOISE = "what is expected are rounding errors of a float32 transform, 1.9e-7, where the exact result is 0"
_SCALARS = "the suite's own comparison raises for a sequence that holds a scalar"

EXCLUSIONS: tuple[Exclusion, ...] = (
    Exclusion("test_bernoulli", _NUMPY_DRAWS, stable=False),
    Exclusion("test_bernoulli_expanded", _NUMPY_DRAWS, stable=False),
    Exclusion("test_bernoulli_double", _NUMPY_DRAWS, stable=False),
    Exclusion("test_bernoulli_double_expanded", _NUMPY_DRAWS, stable=False),
    Exclusion("test_bernoulli_seed", _NUMPY_DRAWS, stable=False),
    Exclusion("test_bernoulli_seed_expanded", _NUMPY_DRAWS, stable=False),
    Exclusion("test_training_dropout", _NUMPY_DRAWS, stable=False),
    Exclusion("test_training_dropout_mask", _NUMPY_DRAWS, stable=False),
    Exclusion("test_training_dropout_default", _NUMPY_DRAWS, stable=False),
    Exclusion("test_training_dropout_default_mask", _NUMPY_DRAWS, stable=False),
    Exclusion("test_attention_4d_causal_fp16", _FLOAT16),
    Exclusion("test_attention_4d_causal_fp16_expanded", _FLOAT16),
    Exclusion("test_dft_inverse", _NOISE),
    Exclusion("test_dft_inverse_opset19", _NOISE),
    Exclusion("test_loop16_seq_none", _SCALARS),
)
