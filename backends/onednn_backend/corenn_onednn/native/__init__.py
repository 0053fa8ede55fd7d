"""Lists of commands that one native call runs, in the threads of the OpenMP runtime that oneDNN uses."""

from corenn_onednn.native.commands import CommandError, CommandList
from corenn_onednn.native.openmp import OpenMP, openmp

__all__ = ["CommandError", "CommandList", "OpenMP", "openmp"]
