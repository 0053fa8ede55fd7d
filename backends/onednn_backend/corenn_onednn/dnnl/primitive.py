"""A primitive: one computation for memories of certain descriptors, compiled."""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Iterable, Mapping
from typing import Any

from corenn_onednn.dnnl import constants
from corenn_onednn.dnnl.attributes import PLAIN, Attributes, Binary
from corenn_onednn.dnnl.descriptors import Descriptor
from corenn_onednn.dnnl.errors import UNIMPLEMENTED, check
from corenn_onednn.dnnl.library import load


class Primitive:
    """A compiled primitive.  Made by the builders in ``primitives``.

    Fields: ``name``; ``handle`` (``dnnl_primitive_t``) and ``plan`` (``dnnl_primitive_desc_t``), as numbers;
    ``descriptors``, what each argument must be, by name: the given ones with "any" decided, and ``workspace`` and
    ``scratchpad`` where the primitive has them; ``implementation``, the library's name for how it is done;
    ``threads``, how many it was made for.
    Safe to run in several threads at once, each with memories of its own.
    """

    __slots__ = ("__weakref__", "descriptors", "handle", "implementation", "name", "plan", "threads")

    def __init__(self, name: str, plan: int, arguments: Iterable[str]) -> None:
        library, made = load(), ctypes.c_void_p()
        c = library.c
        self.name, self.plan, self.threads = name, plan, library.limit or library.threads
        weakref.finalize(self, c.dnnl_primitive_desc_destroy, plan).atexit = False
        self.descriptors: dict[str, Descriptor] = {}
        for argument in (*arguments, "workspace", "scratchpad"):
            descriptor = _described(plan, constants.argument(argument))
            if descriptor is not None:
                self.descriptors[argument] = descriptor
        self.implementation = _implementation(plan)
        check(c.dnnl_primitive_create(ctypes.byref(made), plan), name, self.descriptors)
        self.handle = int(made.value or 0)
        weakref.finalize(self, c.dnnl_primitive_destroy, self.handle).atexit = False

    @property
    def scratchpad_bytes(self) -> int:
        """Size of the memory it wants as ``scratchpad``; 0 where it wants none."""
        descriptor = self.descriptors.get("scratchpad")
        return 0 if descriptor is None else descriptor.bytes

    @property
    def workspace(self) -> Descriptor | None:
        """What a forward primitive writes for its backward one, if anything."""
        return self.descriptors.get("workspace")

    def __repr__(self) -> str:
        operands = ", ".join(f"{name}: {descriptor}" for name, descriptor in self.descriptors.items())
        return f"<{self.name} by {self.implementation}; {operands}>"


def _described(plan: int, argument: int) -> Descriptor | None:
    found = load().c.dnnl_primitive_desc_query_md(plan, constants.QUERY_EXECUTION_ARGUMENT, argument)
    if not found:
        return None
    descriptor = Descriptor.copied(found)
    return descriptor if descriptor.shape else None


def _implementation(plan: int) -> str:
    text = ctypes.c_char_p()
    status = load().c.dnnl_primitive_desc_query(plan, constants.QUERY_IMPLEMENTATION, 0, ctypes.byref(text))
    check(status, "primitive descriptor")
    return (text.value or b"").decode()


def make(
    name: str,
    create: str,
    before: Iterable[Any],
    operands: Mapping[str, Descriptor | None],
    after: Iterable[Any] = (),
    *,
    arguments: Iterable[str] | None = None,
    attributes: Attributes | None = None,
    engine: bool = True,
    told: Mapping[str, Descriptor] | None = None,
    implementation: str | None = None,
) -> Primitive:
    """The primitive of C function ``dnnl_<create>_primitive_desc_create``.

    Its parameters are the engine, ``before``, the descriptors of ``operands`` in order, ``after`` and the attributes.
    ``arguments`` names what is passed when it runs (default: the operands that are there).  ``implementation``: only
    one whose name holds that will do; the library has several for many primitives, and takes the first that can.
    Raises UnimplementedError or DnnlError, with the operands (or ``told``), where the library refuses.
    """
    library, made = load(), ctypes.c_void_p()
    chosen = attributes or PLAIN
    library.stream()  # primitives are made for the number of threads that is set
    with chosen.handle() as extra:
        handles = [None if descriptor is None else descriptor.handle for descriptor in operands.values()]
        first = [library.engine] if engine else []
        function = getattr(library.c, f"dnnl_{create}_primitive_desc_create")
        status = function(ctypes.byref(made), *first, *before, *handles, *after, extra)
        while not status and implementation is not None and implementation not in _implementation(made.value or 0):
            status = library.c.dnnl_primitive_desc_next_impl(made)
            if status:  # there are no more
                library.c.dnnl_primitive_desc_destroy(made)
                status = UNIMPLEMENTED
    if status:
        check(status, name, _told(told or operands, chosen))
    names = list(operands if arguments is None else arguments)
    names = [each for each in names if each not in operands or operands[each] is not None]
    names += [f"post_op_{i}" for i, post_op in enumerate(chosen.post_ops) if isinstance(post_op, Binary)]
    return Primitive(name, int(made.value or 0), names)


def _told(operands: Mapping[str, Descriptor | None], attributes: Attributes) -> dict[str, object]:
    told: dict[str, object] = {name: each for name, each in operands.items() if each is not None}
    if attributes != PLAIN:
        told["attributes"] = attributes
    return told
