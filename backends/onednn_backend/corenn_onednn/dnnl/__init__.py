"""A thin binding to oneDNN's C API, version 3: any ``libdnnl.so.3``, through ctypes.

Nothing is loaded when this package is imported; ``library.load()`` opens the library at its first call.  One file
for each idea: ``library`` (finding it, its engine, streams, threads), ``descriptors`` (shape, dtype and layout of a
memory), ``attributes`` (post-ops and the like), ``execution`` (memories, arguments, running), ``arrays`` (NumPy
arrays in any layout), and ``primitives`` with one file of builders for each family.  Terms and numbers: oneDNN
developer guide and the headers of oneDNN 3.2.
"""

from corenn_onednn.dnnl.attributes import Attributes, Binary, Eltwise, Sum
from corenn_onednn.dnnl.descriptors import Descriptor
from corenn_onednn.dnnl.errors import DnnlError, UnimplementedError
from corenn_onednn.dnnl.execution import Arguments, Memory, execute, run
from corenn_onednn.dnnl.library import Library, load
from corenn_onednn.dnnl.primitive import Primitive

__all__ = [
    "Arguments",
    "Attributes",
    "Binary",
    "Descriptor",
    "DnnlError",
    "Eltwise",
    "Library",
    "Memory",
    "Primitive",
    "Sum",
    "UnimplementedError",
    "execute",
    "load",
    "run",
]
