"""``tf.saved_model.tag_constants``: names that tell graphs of one model apart."""

from corenn_tensorflow import missing

SERVING, TRAINING, GPU, TPU = "serve", "train", "gpu", "tpu"

__getattr__ = missing.guard(__name__)

__all__ = ["GPU", "SERVING", "TPU", "TRAINING"]
