"""``corenn ops``: the op table for a person."""

from __future__ import annotations

import inspect
import json
from typing import Any

import corenn  # noqa: F401  fills the table
from corenn.errors import UsageError, nearest
from corenn.ops.dispatch import signature_of
from corenn.ops.table import TABLE, Op


def listing() -> list[dict[str, Any]]:
    """One row for each op."""
    return [
        {
            "name": op.name,
            "where": {"": "corenn", "_": "internal"}.get(op.namespace, f"corenn.{op.namespace}"),
            "kernel": "shared" if op.kernel_function is not None else "decomposed",
            "gradient": "rules" if op.differentiable else "none",
            "what": inspect.cleandoc(op.doc).split("\n")[0],
        }
        for _, op in sorted(TABLE.items())
    ]


def describe(name: str, as_json: bool) -> str:
    """All the table says of one op."""
    if name not in TABLE:
        raise UsageError("ops", f"there is no op {name!r}", hint=nearest(name, TABLE))
    op = TABLE[name]
    facts = {
        "name": op.name,
        "signature": f"{op.name}{signature_of(op)}",
        "doc": inspect.cleandoc(op.doc),
        "dtypes": _dtypes(op),
        "samples": len(op.sample_list),
        "error_samples": [f"{e.exception.__name__}: {e.message}" for e in op.error_list],
        "gradient": sorted(op.tensors[i] for i in op.rules) or ("joint" if op.joint_rule else "none"),
        "decomposition": op.decomposition is not None,
    }
    if as_json:
        return json.dumps(facts, indent=2)
    return (
        "\n\n".join([str(facts["signature"]), str(facts["doc"])])
        + "\n\n"
        + "\n".join(f"{k}: {v}" for k, v in facts.items() if k not in ("name", "signature", "doc"))
    )


def _dtypes(op: Op) -> dict[str, list[str]]:
    return {p: sorted(d.name for d in op.accepted(p)) for p in op.all_tensors}
