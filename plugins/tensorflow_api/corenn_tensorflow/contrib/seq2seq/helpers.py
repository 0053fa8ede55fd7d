"""What a decoder reads at each step: given sequences, or its own words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from corenn import tree
from corenn.ops.creation import full
from corenn.ops.elementwise import cast, divide, minimum, subtract
from corenn.ops.gathering import gather
from corenn.ops.logic import equal, greater_equal
from corenn.ops.random import categorical
from corenn.ops.reduction import argmax
from corenn.ops.shaping import transpose
from corenn.tensor import Tensor
from corenn_tensorflow.nn.embedding import lookup
from corenn_tensorflow.operands import dynamic_shape, extents, tensor


class Helper:
    """Base: ``initialize()`` gives (finished, first inputs), ``sample`` ids, ``next_inputs`` the inputs that follow."""

    @property
    def batch_size(self) -> Any:
        """The number of examples."""
        raise NotImplementedError

    @property
    def sample_ids_shape(self) -> Any:
        """The shape of an example's id."""
        return ()

    @property
    def sample_ids_dtype(self) -> str:
        """The dtype of ids."""
        return "int32"

    def initialize(self, name: str | None = None) -> tuple[Any, Any]:
        """Which examples are over before the first step, and its inputs."""
        raise NotImplementedError

    def sample(self, time: Any, outputs: Any, state: Any, name: str | None = None) -> Any:
        """An id for each example."""
        raise NotImplementedError

    def next_inputs(
        self, time: Any, outputs: Any, state: Any, sample_ids: Any, name: str | None = None
    ) -> tuple[Any, Any, Any]:
        """Which examples are over, the inputs of the next step, and the state."""
        raise NotImplementedError


def _best(outputs: Any) -> Tensor:
    return cast(argmax(outputs, axis=-1), dtype="int32")


class TrainingHelper(Helper):
    """Reads the sequences given: ``inputs`` [batch, time, ...] of ``sequence_length`` [batch]."""

    def __init__(self, inputs: Any, sequence_length: Any, time_major: bool = False, name: str | None = None) -> None:
        given = tree.tree_map(tensor, inputs)

        def swap(x: Tensor) -> Tensor:
            return transpose(x, axes=(1, 0, *range(2, len(extents(x) or (0, 0)))))

        self.inputs = given if time_major else tree.tree_map(swap, given)
        self.batch_major = tree.tree_map(swap, given) if time_major else given
        self.sequence_length = cast(tensor(sequence_length, None, inputs), dtype="int32")

    @property
    def batch_size(self) -> Any:
        """The number of examples."""
        return dynamic_shape(self.sequence_length)[0]

    def _row(self, time: Any) -> Any:
        def row(x: Tensor) -> Tensor:
            last = subtract(tensor(dynamic_shape(x)[0], "int32", x), 1)
            return gather(x, minimum(time, last), axis=0)

        return tree.tree_map(row, self.inputs)

    def initialize(self, name: str | None = None) -> tuple[Any, Any]:
        """The first step."""
        return equal(self.sequence_length, 0), tree.tree_map(lambda x: x[0], self.inputs)

    def sample(self, time: Any, outputs: Any, state: Any, name: str | None = None) -> Any:
        """The best ids."""
        return _best(outputs)

    def next_inputs(self, time: Any, outputs: Any, state: Any, sample_ids: Any, name: str | None = None) -> Any:
        """The next step."""
        following = time + 1
        return greater_equal(following, self.sequence_length), self._row(following), state


class GreedyEmbeddingHelper(Helper):
    """Reads the embeddings of its own best ids, until ``end_token``."""

    def __init__(self, embedding: Any, start_tokens: Any, end_token: Any) -> None:
        self._embed: Callable[[Any], Any] = (
            embedding
            if callable(embedding) and not isinstance(embedding, Tensor)
            else lambda ids: lookup(embedding, ids, "mod", None, None)
        )
        self._start, self._end = cast(tensor(start_tokens), dtype="int32"), end_token

    @property
    def batch_size(self) -> Any:
        """The number of examples."""
        return dynamic_shape(self._start)[0]

    def initialize(self, name: str | None = None) -> tuple[Any, Any]:
        """The first ids."""
        return full((self.batch_size,), False, "bool"), self._embed(self._start)

    def sample(self, time: Any, outputs: Any, state: Any, name: str | None = None) -> Any:
        """The best ids."""
        return _best(outputs)

    def next_inputs(self, time: Any, outputs: Any, state: Any, sample_ids: Any, name: str | None = None) -> Any:
        """The embeddings of the ids."""
        return equal(sample_ids, self._end), self._embed(sample_ids), state


class SampleEmbeddingHelper(GreedyEmbeddingHelper):
    """Reads the embeddings of ids drawn from its own distribution."""

    def __init__(
        self, embedding: Any, start_tokens: Any, end_token: Any, softmax_temperature: float | None = None,
        seed: int | None = None,
    ) -> None:  # fmt: skip
        super().__init__(embedding, start_tokens, end_token)
        self._temperature, self._seed = softmax_temperature, seed

    def sample(self, time: Any, outputs: Any, state: Any, name: str | None = None) -> Any:
        """Ids drawn."""
        logits = outputs if self._temperature is None else divide(outputs, self._temperature)
        return cast(categorical(logits, seed=self._seed), dtype="int32")


__all__ = ["GreedyEmbeddingHelper", "Helper", "SampleEmbeddingHelper", "TrainingHelper"]
