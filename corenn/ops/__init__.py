"""All ops: importing this package fills the table and gives tensors their operators."""

import corenn.tensor as _tensor_module
from corenn.ops.contraction import *  # noqa: F403
from corenn.ops.creation import *  # noqa: F403
from corenn.ops.dispatch import scalar_beside
from corenn.ops.elementwise import *  # noqa: F403
from corenn.ops.reduction import *  # noqa: F403
from corenn.ops.shaping import *  # noqa: F403
from corenn.ops.table import TABLE, op
import sys as _sys
_tensor_module._ops = _sys.modules[__name__]
