"""``tf.nn``: activations, convolutions, pooling, normalisation, losses, embeddings, recurrent networks."""

from corenn_tensorflow import missing
from corenn_tensorflow.nn import rnn_cell as rnn_cell
from corenn_tensorflow.nn.activations import *  # noqa: F403
from corenn_tensorflow.nn.candidates import *  # noqa: F403
from corenn_tensorflow.nn.convolutions import *  # noqa: F403
from corenn_tensorflow.nn.embedding import *  # noqa: F403
from corenn_tensorflow.nn.entropy import *  # noqa: F403
from corenn_tensorflow.nn.normalization import *  # noqa: F403
from corenn_tensorflow.nn.pooling import *  # noqa: F403
from corenn_tensorflow.nn.raw import *  # noqa: F403
from corenn_tensorflow.nn.recurrent import *  # noqa: F403

__getattr__ = missing.guard(__name__)
