"""Groups of calls as native loops: a loop language, its text, its lowering to LLVM, and machine code kept on disk."""

from corenn_onednn.loops.expressions import expressible
from corenn_onednn.loops.groups import LoopKernel, compile_group, compile_kernel

__all__ = ["LoopKernel", "compile_group", "compile_kernel", "expressible"]
