"""Attributes of primitives: what is done to each element of the result before it is written, and how exactly."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from corenn_onednn.dnnl import constants
from corenn_onednn.dnnl.descriptors import Descriptor
from corenn_onednn.dnnl.errors import check
from corenn_onednn.dnnl.library import load


@dataclass(frozen=True, slots=True)
class Eltwise:
    """Post-op: a function of one operand, by its name in ``constants.ELTWISE``, with its parameters."""

    name: str
    alpha: float = 0.0
    beta: float = 0.0


@dataclass(frozen=True, slots=True)
class Sum:
    """Post-op: ``scale`` times what stands in the result's memory beforehand is added (read as ``dtype``)."""

    scale: float = 1.0
    dtype: str | None = None


@dataclass(frozen=True, slots=True)
class Binary:
    """Post-op: a function (``constants.BINARY``) of the result and another memory that broadcasts to it.

    The memory is the argument ``post_op_<i>``, with i the place among the post-ops.
    """

    name: str
    operand: Descriptor


PostOp = Eltwise | Sum | Binary


@dataclass(frozen=True, slots=True)
class Attributes:
    """``post_ops`` in the order they are applied; ``fpmath``: how float32 products may be rounded ("strict", or
    "bfloat16", which is faster where the CPU has it and keeps 8 bits of each factor).

    The scratchpad is always the caller's (argument ``scratchpad``), so that a primitive can run in several threads at
    once.
    """

    post_ops: tuple[PostOp, ...] = ()
    fpmath: str = "strict"

    @contextmanager
    def handle(self) -> Iterator[int]:
        """Handle of oneDNN's object, while a primitive is made."""
        c = load().c
        with ExitStack() as stack:
            attributes = _made(stack, c.dnnl_primitive_attr_create, c.dnnl_primitive_attr_destroy)
            check(c.dnnl_primitive_attr_set_scratchpad_mode(attributes, constants.SCRATCHPAD_USER), "attributes")
            if self.fpmath != "strict":
                status = c.dnnl_primitive_attr_set_fpmath_mode(attributes, constants.FPMATH[self.fpmath])
                check(status, "attributes", {"fpmath": self.fpmath})
            if self.post_ops:
                chain = _made(stack, c.dnnl_post_ops_create, c.dnnl_post_ops_destroy)
                for post_op in self.post_ops:
                    check(_append(c, chain, post_op), "post-op", {"post-op": post_op})
                check(c.dnnl_primitive_attr_set_post_ops(attributes, chain), "post-ops", {"post-ops": self.post_ops})
            yield attributes


def _made(stack: ExitStack, create: Callable[..., int], destroy: Callable[..., int]) -> int:
    """A handle that is destroyed with the stack."""
    place = ctypes.c_void_p()
    check(create(ctypes.byref(place)), "attributes")
    stack.callback(destroy, place)
    return int(place.value or 0)


def _append(c: Any, chain: int, post_op: PostOp) -> int:
    if isinstance(post_op, Eltwise):
        number = constants.ELTWISE[post_op.name]
        return int(c.dnnl_post_ops_append_eltwise(chain, number, post_op.alpha, post_op.beta))
    if isinstance(post_op, Sum):
        dtype = 0 if post_op.dtype is None else constants.DTYPES[post_op.dtype]
        return int(c.dnnl_post_ops_append_sum(chain, post_op.scale, 0, dtype))
    return int(c.dnnl_post_ops_append_binary(chain, constants.BINARY[post_op.name], post_op.operand.handle))


PLAIN = Attributes()
