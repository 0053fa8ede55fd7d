"""Embeddings and ranks: ``embedding_lookup``, ``in_top_k``, ``top_k``."""

from __future__ import annotations

from typing import Any, NamedTuple

from corenn.dtypes import as_dtype
from corenn.errors import UsageError
from corenn.ops.elementwise import add, cast, divide, floor_divide, maximum, minimum, multiply, remainder, square
from corenn.ops.embedding import embedding
from corenn.ops.gathering import gather, take_along_axis
from corenn.ops.logic import greater, isfinite, less, logical_and
from corenn.ops.reduction import sum as sum_over
from corenn.ops.segments import segment_sum
from corenn.ops.shaping import concatenate, expand_dims
from corenn.ops.sorting import top_k as top_op
from corenn.ops.transcendental import rsqrt, sqrt
from corenn.tensor import Tensor
from corenn_tensorflow.mode import by_generation, scope
from corenn_tensorflow.operands import axes_of, extents, known, like, rank, tensor


def lookup(params: Any, ids: Any, strategy: str, max_norm: Any, name: str | None) -> Tensor:
    """Rows of ``params`` (one table, or several that rows are dealt out to) at ``ids``."""
    tables = list(params) if isinstance(params, (list, tuple)) else [params]
    with scope(name, "embedding_lookup", params, ids):
        places = tensor(ids, None, params)
        table = tensor(tables[0], None, ids)
        if len(tables) > 1:
            table, places = _joined([tensor(t, None, ids) for t in tables], places, strategy)
        rows = embedding(table, places) if rank(table) == 2 else gather(table, places, axis=0)
        if max_norm is None:
            return rows
        axes = tuple(range(rank(places) or 0, rank(rows) or 1))
        square_length = sum_over(square(rows), axis=axes, keepdims=True)
        # Rows of length 0 have no slope in their length; they are short enough anyway.
        scale = multiply(rsqrt(maximum(square_length, 1e-30)), like(max_norm, rows))
        return multiply(rows, minimum(scale, 1.0))


def _joined(tables: list[Tensor], ids: Tensor, strategy: str) -> tuple[Tensor, Tensor]:
    """One table, and where in it the rows are."""
    if strategy not in ("mod", "div"):
        raise UsageError("embedding_lookup", f"Unrecognized partition strategy: {strategy}", hint="'mod' or 'div'")
    whole = concatenate(*tables, axis=0)
    if strategy == "div":  # consecutive rows, so that the tables follow one another
        return whole, ids
    starts: list[int] = [0]
    for table in tables[:-1]:
        size = (extents(table) or (None,))[0]
        if size is None:
            raise UsageError("embedding_lookup", "needs tables with known numbers of rows", {"params": table})
        starts.append(starts[-1] + size)
    which, row = remainder(ids, len(tables)), floor_divide(ids, len(tables))
    return whole, add(row, gather(like(starts, ids), which, axis=0))


def _lookup_v1(
    params: Any, ids: Any, partition_strategy: str = "mod", name: str | None = None, validate_indices: bool = True,
    max_norm: Any = None,
) -> Tensor:  # fmt: skip
    """Rows of ``params`` at ``ids`` (integers of any shape), no longer than ``max_norm``."""
    if partition_strategy not in ("mod", "div") and name is None:  # 0.5 took the name third
        partition_strategy, name = "mod", partition_strategy
    return lookup(params, ids, partition_strategy, max_norm, name)


def _lookup_v2(params: Any, ids: Any, max_norm: Any = None, name: str | None = None) -> Tensor:
    """Rows of ``params`` at ``ids`` (integers of any shape), no longer than ``max_norm``."""
    return lookup(params, ids, "div", max_norm, name)


embedding_lookup = by_generation(_lookup_v1, _lookup_v2)


def _sparse(
    params: Any, sp_ids: Any, sp_weights: Any, strategy: str, combiner: str | None, max_norm: Any, name: str | None
) -> Tensor:
    combiner = combiner or "mean"
    if combiner not in ("mean", "sqrtn", "sum"):
        raise UsageError(
            "embedding_lookup_sparse", "combiner must be one of 'mean', 'sqrtn' or 'sum'", {"combiner": combiner}
        )
    with scope(name, "embedding_lookup_sparse", params, sp_ids.values):
        rows = lookup(params, sp_ids.values, strategy, max_norm, None)
        segments = tensor(sp_ids.indices, None, rows)[:, 0]
        count = segments[-1] + 1
        number = known(count)
        size: Any = int(number) if number is not None else count
        if sp_weights is None:
            total = segment_sum(rows, segments, num_segments=size)
            if combiner == "sum":
                return total
            weights = like(1.0, rows) + multiply(cast(segments, dtype=rows.dtype), 0.0)
        else:
            weights = like(sp_weights.values, rows)
            total = segment_sum(multiply(rows, expand_dims(weights, axis=-1)), segments, num_segments=size)
            if combiner == "sum":
                return total
        if combiner == "mean":
            divisor = segment_sum(weights, segments, num_segments=size)
        else:
            divisor = sqrt(segment_sum(square(weights), segments, num_segments=size))
        return divide(total, expand_dims(divisor, axis=-1))


def _sparse_v1(
    params: Any, sp_ids: Any, sp_weights: Any, partition_strategy: str = "mod", name: str | None = None,
    combiner: str | None = None, max_norm: Any = None,
) -> Tensor:  # fmt: skip
    """For each row of the sparse ids, its embeddings added up, or their (weighted) mean."""
    return _sparse(params, sp_ids, sp_weights, partition_strategy, combiner, max_norm, name)


def _sparse_v2(
    params: Any,
    sp_ids: Any,
    sp_weights: Any,
    combiner: str | None = None,
    max_norm: Any = None,
    name: str | None = None,
) -> Tensor:
    """For each row of the sparse ids, its embeddings added up, or their (weighted) mean."""
    return _sparse(params, sp_ids, sp_weights, "div", combiner, max_norm, name)


embedding_lookup_sparse = by_generation(_sparse_v1, _sparse_v2)


# ---------------------------------------------------------------- ranks


class TopK(NamedTuple):
    """What ``top_k`` returns."""

    values: Tensor
    indices: Tensor


def top_k(input: Any, k: Any = 1, sorted: bool = True, index_type: Any = None, name: str | None = None) -> Any:
    """The ``k`` largest elements along the last axis and their positions: a named tuple ``(values, indices)``."""
    if isinstance(index_type, str):
        index_type, name = None, index_type
    with scope(name, "TopKV2", input):
        values, places = top_op(tensor(input), k=axes_of(k), sorted=bool(sorted))
        return TopK(values, cast(places, dtype=as_dtype(index_type or "int32")))


def _in_top(predictions: Any, targets: Any, k: Any, name: str | None) -> Tensor:
    with scope(name, "in_top_k", predictions, targets):
        scores = tensor(predictions, None, targets)
        classes = cast(tensor(targets, None, scores), dtype="int64")
        own = take_along_axis(scores, expand_dims(classes, axis=-1), axis=-1)
        above = sum_over(cast(greater(scores, own), dtype="int32"), axis=-1)
        return logical_and(less(above, axes_of(k)), isfinite(own)[..., 0])


def _in_top_v1(predictions: Any, targets: Any, k: Any, name: str | None = None) -> Tensor:
    """Whether the class ``targets`` is among the ``k`` highest ``predictions``; ties count as in."""
    return _in_top(predictions, targets, k, name)


def _in_top_v2(targets: Any, predictions: Any, k: Any, name: str | None = None) -> Tensor:
    """Whether the class ``targets`` is among the ``k`` highest ``predictions``; ties count as in."""
    return _in_top(predictions, targets, k, name)


in_top_k = by_generation(_in_top_v1, _in_top_v2)

__all__ = ["TopK", "embedding_lookup", "embedding_lookup_sparse", "in_top_k", "top_k"]
