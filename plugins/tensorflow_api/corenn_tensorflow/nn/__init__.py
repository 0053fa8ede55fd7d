"""``tf.nn``: activations, convolutions, pooling, normalisation, losses, embeddings, recurrent networks."""

import importlib

from corenn_tensorflow import missing
from corenn_tensorflow.nn import rnn_cell as rnn_cell
from corenn_tensorflow.nn.activations import *  # noqa: F403
from corenn_tensorflow.nn.candidates import *  # noqa: F403
from corenn_tensorflow.nn.convolutions import *  # noqa: F403
from corenn_tensorflow.nn.ctc import *  # noqa: F403
from corenn_tensorflow.nn.ctc_decoding import *  # noqa: F403
from corenn_tensorflow.nn.embedding import *  # noqa: F403
from corenn_tensorflow.nn.entropy import *  # noqa: F403
from corenn_tensorflow.nn.normalization import *  # noqa: F403
from corenn_tensorflow.nn.pooling import *  # noqa: F403
from corenn_tensorflow.nn.raw import *  # noqa: F403
from corenn_tensorflow.nn.recurrent import *  # noqa: F403
from corenn_tensorflow.nn.totals import *  # noqa: F403

_missing = missing.guard(__name__)


def __getattr__(name: str) -> object:
    """``seq2seq``, which is built on all of this."""
    if name == "seq2seq":
        return importlib.import_module(f"{__name__}.seq2seq")
    return _missing(name)
