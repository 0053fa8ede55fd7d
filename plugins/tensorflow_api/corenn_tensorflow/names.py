"""What ``tf.`` has beside its namespaces: the parts it is gathered from."""

from __future__ import annotations

from typing import Any

from corenn_tensorflow import adopting, framework, scopes, session, variables

_PARTS: tuple[Any, ...] = (framework, scopes, session, variables)

#: Names of the parts that are not TensorFlow's.
_INNER = frozenset({
    "OPERATORS", "TFGraph", "GraphDef", "TensorReference", "dimension_value", "eager_constant", "extents_of",
    "get_collection_ref_", "is_symbolic", "is_tensor_like", "matching", "static_shape", "SCATTER", "EagerVariable",
    "RefVariable", "make_variable", "Settings", "init_scope",
})  # fmt: skip

adopting.adopt()

__all__: list[str] = []
for _part in _PARTS:
    for _name in _part.__all__:
        if _name not in _INNER:
            globals()[_name] = getattr(_part, _name)
            __all__.append(_name)
Graph = framework.TFGraph
__all__ = sorted({*__all__, "Graph"})
