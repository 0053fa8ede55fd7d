"""The backend.  Tier 1, ``arrays``, is all that corenn needs; ``kernels`` is tier 2 and could be left out."""

import numpy as np

from corenn import dtypes
from corenn.backend import Backend, Kernel
from corenn_tutorial.kernels import euclidean, serves_single_precision


class TutorialBackend(Backend):
    """NumPy arrays of at most 32 bits of precision, as on an accelerator without double precision."""

    name = "tutorial"
    xp = np  # any namespace of the array API, 2023.12

    # ---- tier 1: arrays

    def from_host(self, array, index):
        """A copy of the array that cannot be written to: corenn promises that no kernel changes its operands."""
        copy = np.array(array)
        copy.flags.writeable = False
        return copy

    def to_host(self, array):
        """The array itself: it is on the host already."""
        return array

    def dtypes(self):
        """What the backend offers.  Left out, it would be all that ``xp`` has."""
        return frozenset({dtypes.float32, dtypes.bool_, dtypes.uint8, dtypes.int32, dtypes.int64, dtypes.uint64})

    def describe_device(self, index):
        """A line for ``corenn backends``."""
        return f"single precision on the host, NumPy {np.__version__}"

    # ---- tier 2: kernels of our own, where we know better

    def kernels(self):
        """Op name to kernel.  Where ``when`` says no, corenn's own kernel or decomposition serves the call."""
        return {"squared_difference": Kernel(euclidean, when=serves_single_precision)}
