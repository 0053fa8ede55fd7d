"""``tf.contrib.framework``: argument scopes, variables by scope, the global step, checkpoints."""

from typing import Any

from corenn_tensorflow import missing
from corenn_tensorflow.contrib.framework.arg_scope import (
    add_arg_scope as add_arg_scope,
)
from corenn_tensorflow.contrib.framework.arg_scope import (
    arg_scope as arg_scope,
)
from corenn_tensorflow.contrib.framework.arg_scope import (
    arg_scoped_arguments as arg_scoped_arguments,
)
from corenn_tensorflow.contrib.framework.arg_scope import (
    current_arg_scope as current_arg_scope,
)
from corenn_tensorflow.contrib.framework.arg_scope import (
    has_arg_scope as has_arg_scope,
)
from corenn_tensorflow.contrib.framework.variables import *  # noqa: F403
from corenn_tensorflow.framework import is_tensor_like
from corenn_tensorflow.layer_base import smart_cond as smart_cond
from corenn_tensorflow.operands import known

is_tensor, smart_constant_value = is_tensor_like, known

#: Names that ``tf.train`` has today.
_TRAIN = (
    "assert_global_step", "create_global_step", "get_global_step", "get_or_create_global_step", "init_from_checkpoint",
    "latest_checkpoint", "list_variables", "load_checkpoint", "load_variable",
)  # fmt: skip


_guard = missing.guard(__name__)


def __getattr__(name: str) -> Any:
    """What has moved to ``tf.train`` and ``tf`` since."""
    if name in _TRAIN:
        from corenn_tensorflow import train

        return getattr(train, name)
    return _guard(name)


__all__ = [name for name in (*globals(), *_TRAIN) if not name.startswith("_") and name not in ("Any", "missing")]
