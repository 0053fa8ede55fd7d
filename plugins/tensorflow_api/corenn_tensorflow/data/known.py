"""What is known of the elements of a dataset before there are any: found when it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from corenn import dtypes, tree
from corenn.graph.graph import building
from corenn.graph.kinds import PlaceholderKind
from corenn.tensor import Tensor
from corenn_tensorflow.data.elements import Leaf, host
from corenn_tensorflow.data.sources import leaf_of
from corenn_tensorflow.framework import TFGraph, convert_to_tensor


class Trace(TFGraph):
    """The graph that a function of elements is traced in."""


class Later:
    """What is known of the results of a function: found when it is asked for."""

    def __init__(self, dataset: Any, function: Callable[..., Any]) -> None:
        self.dataset, self.function = dataset, function
        here = building()  # a function that makes datasets is being traced: this one may use its tensors
        self.home = here if isinstance(here, Trace) else None

    def found(self) -> Any:
        """Trace the function on placeholders in a graph of its own; where that fails, look at an element."""
        result = self.traced()
        if isinstance(result, Exception):
            if any(source.symbols for source in self.dataset._sources):  # no element can be had before a run
                raise result
            return None
        graph = getattr(result, "graph", None)
        return None if graph is None and result is None else tree.tree_map(_traced_leaf, _structured(result))

    def traced(self) -> Any:
        """What the function returns in a graph."""
        known = self.dataset._known_now
        if known is None:
            return None
        graph = Trace() if self.home is None else self.home
        with graph.as_default():
            made = tree.tree_map(
                lambda leaf: graph.add(PlaceholderKind(), [], [leaf.known], name="element").outputs[0], known
            )
            try:
                if isinstance(made, tuple) and not hasattr(made, "_fields"):
                    return self.function(*made)
                return self.function(made)
            except Exception as error:
                return error


def _structured(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _structured(v) for k, v in value.items()}
    if isinstance(value, tuple):
        return tuple(_structured(v) for v in value)
    return convert_to_tensor(value) if isinstance(value, list) else value


def _traced_leaf(value: Any) -> Leaf:
    if isinstance(value, Tensor):
        return Leaf((value.extents if hasattr(value, "extents") else value.spec.shape, value.dtype))
    if hasattr(value, "_known_now"):
        return Leaf((None, dtypes.float32))
    return leaf_of(host(value))


class Mapped:
    """Leaf by leaf, what a function makes of what is known of another dataset."""

    def __init__(self, dataset: Any, function: Callable[[Leaf], Leaf]) -> None:
        self.dataset, self.function = dataset, function

    def found(self) -> Any:
        """Leaf by leaf."""
        known = self.dataset._known_now
        return None if known is None else tree.tree_map(self.function, known)


class Inner(Later):
    """What is known of the datasets that a function makes."""

    def found(self) -> Any:
        """What is known of the dataset that the function makes."""
        made = self.traced()
        return getattr(made, "_known_now", None)


class Joined:
    """What two datasets that are read one after the other have in common."""

    def __init__(self, first: Any, second: Any) -> None:
        self.first, self.second = first, second

    def found(self) -> Any:
        """What both have in common."""
        a, b = self.first._known_now, self.second._known_now
        if a is None or b is None:
            return a or b
        other = iter(tree.leaves(b))

        def common(leaf: Leaf) -> Leaf:
            theirs = next(other)
            if leaf.extents is None or theirs.extents is None or len(leaf.extents) != len(theirs.extents):
                return Leaf((None, leaf.dtype))
            both = zip(leaf.extents, theirs.extents, strict=True)
            return Leaf((tuple(m if m == n else None for m, n in both), leaf.dtype))

        return tree.tree_map(common, a)
