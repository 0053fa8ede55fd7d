"""The iterator over a dataset, whose position can be saved and restored."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from corenn.data.order import Shuffle
from corenn.data.protocol import Cursor
from corenn.data.structure import Element
from corenn.errors import CheckpointError, DataError

if TYPE_CHECKING:
    from corenn.data.dataset import Dataset

_VERSION = 1


class DatasetIterator(Iterator[Element]):
    """Reads one epoch of a dataset; made by ``iter(dataset)``.

    Threads started on the way end when the iterator is exhausted, closed or no longer referenced; as a context manager
    it is closed on leaving.  After an error the iterator has ended.
    """

    def __init__(self, dataset: Dataset, epoch: int) -> None:
        self._dataset = dataset
        self._epoch = operator.index(epoch)
        self._done = self._failed = False
        self._cursor: Cursor = dataset._node.cursor(self._epoch)

    @property
    def epoch(self) -> int:
        """The epoch that is being read."""
        return self._epoch

    def __iter__(self) -> DatasetIterator:
        return self

    def __next__(self) -> Element:
        if self._done or self._failed:
            raise StopIteration
        try:
            return self._cursor.next()
        except StopIteration:
            self._done = True
            self._cursor.close()
            raise
        except BaseException:
            self._failed = True
            self._cursor.close()
            raise

    def state_dict(self) -> dict[str, Any]:
        """The position, JSON-able: what is needed to continue with the element that comes next now.

        Raises ``DataError`` after an error or :meth:`close`, and for pipelines whose order is not reproducible
        (``map(..., deterministic=False)``).
        """
        if self._failed:
            raise DataError(
                "DatasetIterator.state_dict",
                "the iterator has failed or was closed, and has no position any more",
                hint="save the position before the step that may fail",
            )
        return {
            "version": _VERSION,
            "pipeline": self._dataset._node.signature(),
            "epoch": self._epoch,
            "seeds": [shuffle.seed for shuffle in _unseeded(self._dataset)],
            "position": None if self._done else self._cursor.save(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Move to a saved position, of this process or another; the next element is the one that was next then.

        The dataset must be built as it was (transformations, sizes, explicit seeds); functions and data are taken on
        trust.  Its ``epoch`` and the seeds of shuffles without an explicit one are set as they were, so that the
        epochs to come are the same too.  Takes constant time, whatever the position, if the sources are arrays or
        ranges and there is no filter, unbatch or interleave; a generator is run again up to the position; sequential
        shuffles read their buffer again.

        Raises ``CheckpointError`` for a state of another pipeline, ``DataError`` when a generator proves not to give
        the same elements again.
        """
        signature = self._dataset._node.signature()
        if state.get("version") != _VERSION or state.keys() != {"version", "pipeline", "epoch", "seeds", "position"}:
            raise CheckpointError(
                "DatasetIterator.load_state_dict", "not a position of a dataset", hint="pass what state_dict() gave"
            )
        if state["pipeline"] != signature:
            raise CheckpointError(
                "DatasetIterator.load_state_dict",
                "the position is one in another pipeline",
                {"saved": state["pipeline"], "now": signature},
                hint="build the dataset with the same transformations, sizes and seeds as in the saved run",
            )
        self._cursor.close()
        for shuffle, seed in zip(_unseeded(self._dataset), state["seeds"], strict=True):
            shuffle.seed = seed
        self._epoch = state["epoch"]
        self._dataset.epoch = self._epoch + 1
        self._done, self._failed = state["position"] is None, False
        self._cursor = self._dataset._node.cursor(self._epoch)
        if not self._done:
            try:
                self._cursor.restore(state["position"])
            except BaseException:
                self.close()
                raise

    def close(self) -> None:
        """End the iteration, its threads and its open files.  May be called twice."""
        if not self._done:
            self._failed = True
        self._cursor.close()

    def __enter__(self) -> DatasetIterator:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _unseeded(dataset: Dataset) -> list[Shuffle]:
    """The shuffles that drew their own seed, in the order of the pipeline."""
    return [node for node in dataset._node.walk() if isinstance(node, Shuffle) and not node.seeded]
