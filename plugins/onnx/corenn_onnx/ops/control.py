"""Control flow: If, Loop, Scan.

Decisions that are known (always, when running eagerly) are taken while the model runs; others become ``corenn.cond``
and ``corenn.while_loop`` in the graph that is being built.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import corenn
from corenn.tensor import Tensor
from corenn_onnx.ops._common import positive
from corenn_onnx.table import onnx_op
from corenn_onnx.values import Constant, known


def _tensor(value: Any, node: Any) -> Tensor:
    """A value as a tensor, for a branch or body of a graph."""
    if isinstance(value, Constant) and not value.foreign:
        return value.tensor()
    if isinstance(value, Tensor):
        return value
    raise node.unsupported("a sequence or text passes a decision that is only known when the model runs")


@onnx_op("If", raw=("condition",), pure=False)
def if_(condition: Any, *, node: Any, then_branch: Any, else_branch: Any) -> Any:
    """One of two graphs."""
    found = known(condition)
    if found is not None:
        return tuple((then_branch if found.reshape(()) else else_branch).run([], node.scope))

    def branch(graph: Any) -> Any:
        return lambda: [_tensor(v, node) for v in graph.run([], node.scope)]

    predicate = corenn.reshape(condition, shape=())
    return tuple(corenn.cond(predicate, branch(then_branch), branch(else_branch)))


def _stacked(rows: list[Any], node: Any, axis: int = 0) -> Any:
    if all(isinstance(r, Constant) for r in rows):
        return np.stack([r.host for r in rows], axis=axis)
    return corenn.stack(*[_tensor(r, node) for r in rows], axis=axis)


def _nothing(graph: Any, name: str, node: Any) -> np.ndarray[Any, Any]:
    """What a scan output is after no iteration: no rows of the shape the graph states."""
    from corenn_onnx.values import numpy_dtype

    for output in graph.proto.output:
        if output.name == name and output.type.HasField("tensor_type"):
            kind = output.type.tensor_type
            extents = [d.dim_value for d in kind.shape.dim]
            return np.zeros((0, *extents), numpy_dtype(kind.elem_type))
    raise node.unsupported(f"there was no iteration, and the type of the output {name!r} is not stated")


@onnx_op("Loop", raw=("most", "condition", "state"), pure=False)
def loop(most: Any, condition: Any, *state: Any, node: Any, body: Any) -> Any:
    """A body run while a condition holds and at most so many times; what it collects is stacked."""
    count = len(state)
    names = body.outputs[1 + count :]
    limit = None if most is None else known(most)
    if most is not None and limit is None:
        raise node.unsupported("the greatest number of iterations must be known")
    end = None if limit is None else int(limit.reshape(()))
    goes_on = np.array(True) if condition is None else condition
    current, collected, i = list(state), [[] for _ in names], 0  # type: ignore[var-annotated]
    while end is None or i < end:
        holds = known(goes_on)
        if holds is None:
            if names:
                raise node.unsupported("a loop that collects outputs while only a run knows how long it lasts")
            return tuple(_while(node, body, current, goes_on, i, end))
        if not holds.reshape(()):
            break
        goes_on, *results = body.run([Constant(np.array(i, np.int64)), _held(goes_on), *current], node.scope)
        current = results[:count]
        for column, value in zip(collected, results[count:], strict=True):
            column.append(value)
        i += 1
    scans = [_stacked(c, node) if c else _nothing(body, n, node) for n, c in zip(names, collected, strict=True)]
    return (*current, *scans)


def _held(value: Any) -> Any:
    return Constant(value) if isinstance(value, np.ndarray) else value


def _while(node: Any, body: Any, state: list[Any], goes_on: Any, first: int, end: int | None) -> list[Tensor]:
    """The iterations that are left, as a loop of the graph being built."""

    def step(i: Tensor, holds: Tensor, *values: Tensor) -> Any:
        after, *results = body.run([i, holds, *values], node.scope)
        return i + 1, corenn.reshape(_tensor(after, node), shape=()), *[_tensor(r, node) for r in results]

    def test(i: Tensor, holds: Tensor, *values: Tensor) -> Any:
        return holds

    begin = [corenn.tensor(first, dtype=corenn.int64), corenn.reshape(goes_on, shape=())]
    steps = None if end is None else end - first
    found = corenn.while_loop(test, step, [*begin, *[_tensor(s, node) for s in state]], maximum_iterations=steps)
    return list(found[2:])


@onnx_op("Scan", since=9, raw=("values",), pure=False)
def scan(
    *values: Any, node: Any, body: Any, num_scan_inputs: int, scan_input_axes: Any = None,
    scan_input_directions: Any = None, scan_output_axes: Any = None, scan_output_directions: Any = None,
) -> Any:  # fmt: skip
    """A body run for each slice of some inputs, with state handed on; what it gives is stacked."""
    states = len(values) - num_scan_inputs
    current, elements = list(values[:states]), values[states:]
    rows = []
    for i, value in enumerate(elements):
        tensor = _tensor(value, node)
        axis = positive(scan_input_axes[i], len(tensor.shape)) if scan_input_axes else 0
        parts = [tensor[(*[slice(None)] * axis, k)] for k in range(tensor.shape[axis])]
        rows.append(parts[::-1] if scan_input_directions and scan_input_directions[i] else parts)
    names = body.outputs[states:]
    collected: list[list[Any]] = [[] for _ in names]
    for taken in zip(*rows, strict=True):
        results = body.run([*current, *taken], node.scope)
        current = results[:states]
        for column, value in zip(collected, results[states:], strict=True):
            column.append(value)
    scans = []
    for i, column in enumerate(collected):
        if scan_output_directions and scan_output_directions[i]:
            column.reverse()
        axis = scan_output_axes[i] if scan_output_axes else 0
        scans.append(_stacked(column, node, axis) if column else _nothing(body, names[i], node))
    return (*current, *scans)


@onnx_op("Scan", since=8, raw=("lengths", "values"), pure=False)
def scan_batch(lengths: Any, *values: Any, node: Any, body: Any, num_scan_inputs: int, directions: Any = None) -> Any:
    """Opset 8: for each example of a batch by itself, over its first ``lengths`` steps."""
    tensors = [_tensor(v, node) for v in values]
    batch, steps = tensors[0].shape[0], tensors[-1].shape[1]
    counts = [steps] * batch if lengths is None else [int(n) for n in node.host(lengths, "sequence_lens")]
    if any(n != steps for n in counts):
        raise node.unsupported("examples of different lengths at opset 8")
    found = [
        scan(*[t[b] for t in tensors], node=node, body=body, num_scan_inputs=num_scan_inputs,
             scan_input_directions=directions)
        for b in range(batch)
    ]  # fmt: skip
    return tuple(_stacked(list(column), node) for column in zip(*found, strict=True))
