"""NumPy arrays and memories of any layout: for tests, for constants that are laid out once, and for looking inside."""

from __future__ import annotations

from typing import Any

import numpy as np

from corenn.dtypes import as_dtype
from corenn_onednn.dnnl.descriptors import Descriptor
from corenn_onednn.dnnl.execution import run
from corenn_onednn.dnnl.primitives.elementwise import reorder

Array = np.ndarray[Any, Any]


def descriptor_of(array: Array) -> Descriptor:
    """The descriptor of an array as it lies.  Strides must be multiples of the element, and not negative."""
    return Descriptor(array.shape, array.dtype.name, [stride // array.itemsize for stride in array.strides])


def packed(array: Array, descriptor: Descriptor) -> Array:
    """The bytes of ``array`` (any strides) in the layout, and the dtype, of ``descriptor``."""
    source, out = np.ascontiguousarray(array).reshape(array.shape), np.zeros(descriptor.bytes, np.uint8)
    run(reorder(descriptor_of(source), descriptor), {"src": source, "dst": out})
    return out


def unpacked(memory: Array, descriptor: Descriptor) -> Array:
    """The array whose bytes in the layout of ``descriptor`` are ``memory``."""
    out = np.empty(descriptor.shape, as_dtype(descriptor.dtype).numpy)
    run(reorder(descriptor, descriptor_of(out)), {"src": memory, "dst": out})
    return out
