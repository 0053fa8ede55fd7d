"""Random numbers: the same bits on every backend from the same seed (Philox 4x64-10, see ``corenn.philox``)."""

from typing import TYPE_CHECKING

from corenn.advice import guide
from corenn.ops.random import (
    Generator,
    bernoulli,
    categorical,
    default_generator,
    dropout,
    exponential,
    fresh_seed,
    gamma,
    get_state,
    integers,
    key,
    normal,
    permutation,
    seed,
    set_entropy,
    set_state,
    shuffle,
    truncated_normal,
    uniform,
)

__all__ = [
    "Generator",
    "bernoulli",
    "categorical",
    "default_generator",
    "dropout",
    "exponential",
    "fresh_seed",
    "gamma",
    "get_state",
    "integers",
    "key",
    "normal",
    "permutation",
    "seed",
    "set_entropy",
    "set_state",
    "shuffle",
    "truncated_normal",
    "uniform",
]

if not TYPE_CHECKING:  # type checkers know which names there are
    __getattr__, __dir__ = guide(__name__, __all__)
