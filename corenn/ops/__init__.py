"""All ops, one file per family: importing this package fills the table and gives tensors their operators.

It exports no op.  The public names are in ``corenn`` and its modules ``nn``, ``random``, ``linalg`` and ``image``; the
core imports an op from the module that declares it.
"""

import corenn.tensor as _tensor
from corenn.ops import (  # noqa: F401  # importing a module declares its ops
    activations,
    adaptive_updates,
    arranging,
    attention,
    batch_norm,
    colours,
    contraction,
    convolution,
    creation,
    cumulative,
    decompositions,
    draws,
    einstein,
    elementwise,
    embedding,
    equations,
    gathering,
    indexing,
    logic,
    noise,
    normalization,
    norms,
    operators,
    pooling,
    random_rows,
    recurrent,
    reduction,
    resize,
    scatter,
    segments,
    shaping,
    slicing,
    softmax,
    sorting,
    transcendental,
    updates,
    warping,
)

_tensor._ops = operators  # type: ignore[attr-defined]  # what its operators read
