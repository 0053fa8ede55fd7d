"""``tf.contrib.layers``: layers as functions, initialisers, regularisers, ``optimize_loss``."""

from corenn_tensorflow import missing
from corenn_tensorflow.contrib.framework.arg_scope import arg_scope as arg_scope
from corenn_tensorflow.contrib.layers import utils as utils
from corenn_tensorflow.contrib.layers.basic import *  # noqa: F403
from corenn_tensorflow.contrib.layers.feature_columns import *  # noqa: F403
from corenn_tensorflow.contrib.layers.initializers import *  # noqa: F403
from corenn_tensorflow.contrib.layers.normalizations import *  # noqa: F403
from corenn_tensorflow.contrib.layers.regularizers import *  # noqa: F403
from corenn_tensorflow.contrib.layers.spatial import *  # noqa: F403
from corenn_tensorflow.contrib.layers.training import *  # noqa: F403
from corenn_tensorflow.contrib.layers.utils import smart_cond as smart_cond

__getattr__ = missing.guard(__name__)
