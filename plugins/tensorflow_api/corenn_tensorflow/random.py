"""``tf.random``."""

from corenn_tensorflow import missing
from corenn_tensorflow.functions.generators import Generator, get_global_generator, set_global_generator
from corenn_tensorflow.functions.randomness import (
    categorical,
    get_seed,
    multinomial,
    random_gamma,
    random_normal,
    random_poisson,
    random_shuffle,
    random_uniform,
    set_random_seed,
    set_seed,
    stateless_normal,
    stateless_truncated_normal,
    stateless_uniform,
    truncated_normal,
)
from corenn_tensorflow.nn.candidates import (
    learned_unigram_candidate_sampler,
    log_uniform_candidate_sampler,
    uniform_candidate_sampler,
)

normal, uniform, shuffle = random_normal, random_uniform, random_shuffle
gamma, poisson = random_gamma, random_poisson

__all__ = [
    "Generator", "categorical", "gamma", "get_global_generator", "get_seed", "learned_unigram_candidate_sampler",
    "log_uniform_candidate_sampler", "multinomial", "normal", "poisson",
    "set_global_generator", "set_random_seed", "set_seed", "shuffle", "stateless_normal",
    "stateless_truncated_normal", "stateless_uniform", "truncated_normal", "uniform", "uniform_candidate_sampler",
]  # fmt: skip

__getattr__ = missing.guard(__name__)
