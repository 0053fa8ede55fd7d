"""All ops: importing this package fills the table and gives tensors their operators."""

import sys as _sys

import corenn.tensor as _tensor_module
from corenn.ops.elementwise import *  # noqa: F403
from corenn.ops.creation import *  # noqa: F403
from corenn.ops.shaping import *  # noqa: F403
from corenn.ops.slicing import *  # noqa: F403
from corenn.ops.arranging import *  # noqa: F403
from corenn.ops.reduction import *  # noqa: F403
from corenn.ops.cumulative import *  # noqa: F403
from corenn.ops.transcendental import *  # noqa: F403
from corenn.ops.contraction import *  # noqa: F403
from corenn.ops.einstein import *  # noqa: F403
from corenn.ops.indexing import *  # noqa: F403
from corenn.ops.gathering import *  # noqa: F403
from corenn.ops.scatter import *  # noqa: F403
from corenn.ops.segments import *  # noqa: F403
from corenn.ops.sorting import *  # noqa: F403
from corenn.ops.activations import *  # noqa: F403
from corenn.ops.softmax import *  # noqa: F403
from corenn.ops.normalization import *  # noqa: F403
from corenn.ops.embedding import *  # noqa: F403
from corenn.ops.convolution import *  # noqa: F403
from corenn.ops.pooling import *  # noqa: F403
from corenn.ops.resize import *  # noqa: F403
from corenn.ops.draws import *  # noqa: F403
from corenn.ops.updates import *  # noqa: F403
from corenn.ops.adaptive_updates import *  # noqa: F403
from corenn.ops.dispatch import scalar_beside
from corenn.ops.table import TABLE, op
from corenn.ops import linalg as linalg, random as random

_tensor_module._ops = _sys.modules[__name__]
