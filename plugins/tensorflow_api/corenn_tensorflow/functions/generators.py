"""``tf.random.Generator``: random numbers from a state of one's own."""

from __future__ import annotations

from typing import Any

import corenn
from corenn import philox
from corenn_tensorflow.framework import as_dtype, convert_to_tensor


def _extents(shape: Any) -> tuple[int, ...]:
    found = convert_to_tensor(list(shape) if isinstance(shape, (list, tuple)) else shape, "int32")
    return tuple(int(n) for n in found.numpy().reshape(-1)) if found.spec.shape != (0,) else ()


class Generator:
    """A stream of random numbers; the numbers are corenn's, not TensorFlow's."""

    def __init__(self, seed: Any) -> None:
        self._source = corenn.random.Generator(philox.derive(int(seed), "generator", 0))

    @classmethod
    def from_seed(cls, seed: Any, alg: Any = None) -> Generator:
        """A generator whose numbers ``seed`` decides."""
        return cls(seed)

    @classmethod
    def from_non_deterministic_state(cls, alg: Any = None) -> Generator:
        """A generator whose numbers differ from run to run, unless the program runs with ``--seed``."""
        return cls(corenn.random.fresh_seed("tf.random.Generator"))

    def reset_from_seed(self, seed: Any) -> None:
        """Begin again."""
        self.__init__(seed)  # type: ignore[misc]  # as if made anew

    def normal(
        self, shape: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = "float32", name: str | None = None
    ) -> Any:
        """Normal numbers."""
        drawn = corenn.random.normal(_extents(shape), dtype=as_dtype(dtype), generator=self._source)
        return drawn * stddev + mean

    def truncated_normal(
        self, shape: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = "float32", name: str | None = None
    ) -> Any:
        """Normal numbers within two standard deviations."""
        drawn = corenn.random.truncated_normal(_extents(shape), dtype=as_dtype(dtype), generator=self._source)
        return drawn * stddev + mean

    def uniform(
        self, shape: Any, minval: Any = 0, maxval: Any = None, dtype: Any = "float32", name: str | None = None
    ) -> Any:
        """Numbers of a range, without its end."""
        kind = as_dtype(dtype)
        if kind.is_integer:
            if maxval is None:
                raise ValueError("Must specify maxval for integer dtype")
            return corenn.random.integers(int(minval), int(maxval), _extents(shape), kind, generator=self._source)
        drawn = corenn.random.uniform(_extents(shape), dtype=kind, generator=self._source)
        return drawn * ((1.0 if maxval is None else maxval) - minval) + minval

    def split(self, count: int = 1) -> list[Generator]:
        """Generators whose numbers have nothing to do with one another."""
        seeds = corenn.random.integers(0, 2**31 - 1, (int(count),), generator=self._source)
        return [Generator(int(s)) for s in seeds.numpy()]


class _Global:
    generator: Generator | None = None


def get_global_generator() -> Generator:
    """The generator of the program."""
    if _Global.generator is None:
        _Global.generator = Generator.from_non_deterministic_state()
    return _Global.generator


def set_global_generator(generator: Generator) -> None:
    """Replace it."""
    _Global.generator = generator


__all__ = ["Generator", "get_global_generator", "set_global_generator"]
