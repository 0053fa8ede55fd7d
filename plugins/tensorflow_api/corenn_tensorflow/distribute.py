"""``tf.distribute``: strategies of one replica.

corenn trains on one device in one process.  Scripts that are written for a strategy run with one replica: its scope
changes nothing, ``run`` calls the function, ``reduce`` has one value to reduce.
"""

from __future__ import annotations

import contextlib
import enum
from collections.abc import Callable, Iterator
from typing import Any

from corenn_tensorflow import missing


class ReduceOp(enum.Enum):
    """How the values of replicas become one."""

    SUM = "SUM"
    MEAN = "MEAN"


class ReplicaContext:
    """Where a function of ``Strategy.run`` runs: the only replica."""

    replica_id_in_sync_group = 0
    num_replicas_in_sync = 1

    def __init__(self, strategy: Strategy) -> None:
        self.strategy = strategy

    def all_reduce(self, reduce_op: Any, value: Any, options: Any = None) -> Any:
        """The value: there is one."""
        return value

    def merge_call(self, merge_fn: Callable[..., Any], args: Any = (), kwargs: Any = None) -> Any:
        """Call the function with the strategy."""
        return merge_fn(self.strategy, *args, **(kwargs or {}))


class InputContext:
    """What a function that makes a dataset is told."""

    num_input_pipelines = 1
    input_pipeline_id = 0
    num_replicas_in_sync = 1

    def get_per_replica_batch_size(self, global_batch_size: int) -> int:
        """The whole batch."""
        return global_batch_size


class _Extended:
    """Details of a strategy that scripts ask for."""

    def colocate_vars_with(self, variable: Any) -> Any:
        """A scope that changes nothing."""
        return contextlib.nullcontext()


class Strategy:
    """One replica, on the current device."""

    num_replicas_in_sync = 1

    def __init__(self, *args: Any, **options: Any) -> None:
        self.extended = _Extended()

    @contextlib.contextmanager
    def scope(self) -> Iterator[Strategy]:
        """The strategy is the current one in the block."""
        _stack.append(self)
        try:
            yield self
        finally:
            _stack.pop()

    def run(self, fn: Callable[..., Any], args: Any = (), kwargs: Any = None, options: Any = None) -> Any:
        """Call ``fn``."""
        return fn(*args, **(kwargs or {}))

    experimental_run_v2 = run

    def reduce(self, reduce_op: Any, value: Any, axis: Any = None) -> Any:
        """The value of the replica; over ``axis``, if one is given, its sum or mean."""
        if axis is None:
            return value
        from corenn_tensorflow import math

        name = getattr(reduce_op, "value", reduce_op)
        return (math.reduce_mean if str(name).upper() == "MEAN" else math.reduce_sum)(value, axis=axis)

    def experimental_distribute_dataset(self, dataset: Any, options: Any = None) -> Any:
        """The dataset."""
        return dataset

    def distribute_datasets_from_function(self, dataset_fn: Callable[[InputContext], Any], options: Any = None) -> Any:
        """The dataset that ``dataset_fn`` makes."""
        return dataset_fn(InputContext())

    experimental_distribute_datasets_from_function = distribute_datasets_from_function

    def experimental_local_results(self, value: Any) -> tuple[Any, ...]:
        """The value of the replica."""
        return (value,)

    def make_dataset_iterator(self, dataset: Any) -> Any:
        """An iterator over the dataset."""
        return iter(dataset)


class MirroredStrategy(Strategy):
    """Copies of the model on the devices of a machine: here, one."""


class OneDeviceStrategy(Strategy):
    """One device."""


class MultiWorkerMirroredStrategy(Strategy):
    """Copies of the model on several machines: here, one."""


_default = Strategy()
_stack: list[Strategy] = []


def get_strategy() -> Strategy:
    """The strategy whose scope this is in."""
    return _stack[-1] if _stack else _default


def has_strategy() -> bool:
    """Whether this is in a strategy's scope."""
    return bool(_stack)


def in_cross_replica_context() -> bool:
    """Whether this is in a strategy's scope."""
    return bool(_stack)


def get_replica_context() -> ReplicaContext:
    """The only replica."""
    return ReplicaContext(get_strategy())


class CentralStorageStrategy(Strategy):
    """Variables on the host: here, one device."""


class experimental:  # a namespace of TensorFlow
    """``tf.distribute.experimental``."""

    MultiWorkerMirroredStrategy = MultiWorkerMirroredStrategy
    CentralStorageStrategy = CentralStorageStrategy


__all__ = [
    "InputContext", "MirroredStrategy", "MultiWorkerMirroredStrategy", "OneDeviceStrategy", "ReduceOp",
    "ReplicaContext", "Strategy", "experimental", "get_replica_context", "get_strategy", "has_strategy",
    "in_cross_replica_context",
]  # fmt: skip

__getattr__ = missing.guard(__name__)
