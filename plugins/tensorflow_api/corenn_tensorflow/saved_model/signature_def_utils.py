"""``tf.saved_model.signature_def_utils``."""

from corenn_tensorflow import missing
from corenn_tensorflow.saved_model.simple import (
    build_signature_def,
    classification_signature_def,
    is_valid_signature,
    predict_signature_def,
    regression_signature_def,
)

__getattr__ = missing.guard(__name__)

__all__ = [
    "build_signature_def",
    "classification_signature_def",
    "is_valid_signature",
    "predict_signature_def",
    "regression_signature_def",
]
