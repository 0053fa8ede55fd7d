"""Helpers that mix a program's own words with given ones (Bengio et al. 2015), and helpers made of functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from corenn.ops.creation import full
from corenn.ops.elementwise import cast, where
from corenn.ops.logic import greater, less
from corenn.ops.random import categorical, uniform
from corenn.ops.reduction import all as all_of
from corenn.ops.shaping import concatenate, reshape
from corenn.tensor import Tensor
from corenn_tensorflow.contrib.seq2seq.helpers import Helper, TrainingHelper
from corenn_tensorflow.nn.embedding import lookup
from corenn_tensorflow.operands import dynamic_shape, extents, tensor


def _rows(chosen: Tensor, yes: Any, no: Any) -> Tensor:
    """Rows of ``yes`` where ``chosen`` [batch] holds, of ``no`` elsewhere."""
    wide = reshape(chosen, shape=(-1, *[1] * (len(extents(no) or (0,)) - 1)))
    return where(wide, yes, no)


class ScheduledEmbeddingTrainingHelper(TrainingHelper):
    """Reads, with ``sampling_probability``, the embedding of a word drawn from its own distribution.

    Ids that were not drawn are -1.
    """

    def __init__(
        self, inputs: Any, sequence_length: Any, embedding: Any, sampling_probability: Any, time_major: bool = False,
        seed: int | None = None, scheduling_seed: int | None = None, name: str | None = None,
    ) -> None:  # fmt: skip
        super().__init__(inputs, sequence_length, time_major, name)
        self._embed: Callable[[Any], Any] = (
            embedding
            if callable(embedding) and not isinstance(embedding, Tensor)
            else lambda ids: lookup(embedding, ids, "mod", None, None)
        )
        self._probability = tensor(sampling_probability, "float32", self.sequence_length)
        if extents(self._probability) not in ((), None) and len(extents(self._probability) or ()) > 1:
            raise ValueError("sampling_probability must be a scalar or a vector")
        self._seed, self._scheduling_seed = seed, scheduling_seed

    def sample(self, time: Any, outputs: Any, state: Any, name: str | None = None) -> Any:
        """Ids drawn, or -1."""
        drawn = less(uniform((self.batch_size,), seed=self._scheduling_seed), self._probability)
        return where(drawn, cast(categorical(outputs, seed=self._seed), dtype="int32"), -1)

    def next_inputs(self, time: Any, outputs: Any, state: Any, sample_ids: Any, name: str | None = None) -> Any:
        """The next given inputs, or the embeddings of the ids drawn."""
        finished, given, state = super().next_inputs(time, outputs, state, sample_ids)
        drawn = greater(sample_ids, -1)
        return finished, _rows(drawn, self._embed(where(drawn, sample_ids, 0)), given), state


class ScheduledOutputTrainingHelper(TrainingHelper):
    """Reads, with ``sampling_probability``, its own output, through ``next_inputs_fn`` if there is one."""

    def __init__(
        self, inputs: Any, sequence_length: Any, sampling_probability: Any, time_major: bool = False,
        seed: int | None = None, next_inputs_fn: Callable[[Any], Any] | None = None, auxiliary_inputs: Any = None,
        name: str | None = None,
    ) -> None:  # fmt: skip
        self._beside: Any = None
        if auxiliary_inputs is not None:
            beside = TrainingHelper(auxiliary_inputs, sequence_length, time_major)
            inputs, self._beside = concatenate(tensor(inputs), tensor(auxiliary_inputs), axis=-1), beside
        super().__init__(inputs, sequence_length, time_major, name)
        self._probability = tensor(sampling_probability, "float32", self.sequence_length)
        self._seed, self._next = seed, next_inputs_fn

    def sample(self, time: Any, outputs: Any, state: Any, name: str | None = None) -> Any:
        """Which examples read their own output."""
        return less(uniform((self.batch_size,), seed=self._seed), self._probability)

    def next_inputs(self, time: Any, outputs: Any, state: Any, sample_ids: Any, name: str | None = None) -> Any:
        """The next given inputs, or its own output."""
        finished, given, state = super().next_inputs(time, outputs, state, sample_ids)
        own = outputs if self._next is None else self._next(outputs)
        if self._beside is not None:
            own = concatenate(own, self._beside._row(time + 1), axis=-1)
        return finished, _rows(cast(sample_ids, dtype="bool"), own, given), state


class CustomHelper(Helper):
    """A helper of three functions."""

    def __init__(
        self, initialize_fn: Callable[..., Any], sample_fn: Callable[..., Any], next_inputs_fn: Callable[..., Any],
        sample_ids_shape: Any = None, sample_ids_dtype: Any = None,
    ) -> None:  # fmt: skip
        self._initialize, self._sample, self._next = initialize_fn, sample_fn, next_inputs_fn
        self._shape, self._dtype, self._batch = sample_ids_shape, sample_ids_dtype, None

    @property
    def batch_size(self) -> Any:
        """The number of examples, known after ``initialize``."""
        if self._batch is None:
            raise ValueError("batch_size accessed before initialize was called")
        return self._batch

    @property
    def sample_ids_shape(self) -> Any:
        """The shape of an example's id."""
        return () if self._shape is None else self._shape

    @property
    def sample_ids_dtype(self) -> Any:
        """The dtype of ids."""
        return "int32" if self._dtype is None else self._dtype

    def initialize(self, name: str | None = None) -> Any:
        """What the first function gives."""
        finished, inputs = self._initialize()
        self._batch = dynamic_shape(tensor(finished))[0]
        return finished, inputs

    def sample(self, time: Any, outputs: Any, state: Any, name: str | None = None) -> Any:
        """What the second function gives."""
        return self._sample(time=time, outputs=outputs, state=state)

    def next_inputs(self, time: Any, outputs: Any, state: Any, sample_ids: Any, name: str | None = None) -> Any:
        """What the third function gives."""
        return self._next(time=time, outputs=outputs, state=state, sample_ids=sample_ids)


class InferenceHelper(Helper):
    """Reads what ``sample_fn`` makes of its own outputs, until ``end_fn``."""

    def __init__(
        self, sample_fn: Callable[..., Any], sample_shape: Any, sample_dtype: Any, start_inputs: Any,
        end_fn: Callable[..., Any], next_inputs_fn: Callable[..., Any] | None = None,
    ) -> None:  # fmt: skip
        self._sample, self._shape, self._dtype = sample_fn, sample_shape, sample_dtype
        self._start, self._over, self._next = tensor(start_inputs), end_fn, next_inputs_fn

    @property
    def batch_size(self) -> Any:
        """The number of examples."""
        return dynamic_shape(self._start)[0]

    @property
    def sample_ids_shape(self) -> Any:
        """The shape of an example's sample."""
        return self._shape

    @property
    def sample_ids_dtype(self) -> Any:
        """Its dtype."""
        return self._dtype

    def initialize(self, name: str | None = None) -> Any:
        """The first inputs."""
        return full((self.batch_size,), False, "bool"), self._start

    def sample(self, time: Any, outputs: Any, state: Any, name: str | None = None) -> Any:
        """Samples."""
        return self._sample(outputs)

    def next_inputs(self, time: Any, outputs: Any, state: Any, sample_ids: Any, name: str | None = None) -> Any:
        """The samples, or what the function makes of them."""
        following = sample_ids if self._next is None else self._next(sample_ids)
        over = tensor(self._over(sample_ids))
        if len(extents(over) or (0,)) > 1:
            over = all_of(over, axis=-1)
        return over, following, state


__all__ = ["CustomHelper", "InferenceHelper", "ScheduledEmbeddingTrainingHelper", "ScheduledOutputTrainingHelper"]
