"""``tf.saved_model``: graphs with signatures, and their variables, in directories."""

from typing import Any

from corenn_tensorflow import missing
from corenn_tensorflow.saved_model import (
    builder,
    loader,
    signature_constants,
    signature_def_utils,
    tag_constants,
    utils,
)
from corenn_tensorflow.saved_model.signature_constants import *  # noqa: F403
from corenn_tensorflow.saved_model.simple import SavedModelBuilder as Builder
from corenn_tensorflow.saved_model.simple import (
    build_signature_def,
    build_tensor_info,
    classification_signature_def,
    contains_saved_model,
    maybe_saved_model_directory,
    predict_signature_def,
    regression_signature_def,
    simple_save,
)
from corenn_tensorflow.saved_model.simple import load as _load
from corenn_tensorflow.saved_model.tag_constants import *  # noqa: F403


def load(*args: Any, **kwargs: Any) -> Any:
    """``load(sess, tags, export_dir)`` of generation 1."""
    if args and hasattr(args[0], "run"):
        return _load(*args, **kwargs)
    if "sess" in kwargs:
        return _load(**kwargs)
    from corenn_tensorflow.saved_model import models

    directory = args[0] if args else kwargs.get("export_dir")
    if directory is not None and models.is_model(directory):
        return models.load_model(directory)
    raise NotImplementedError(
        "tf.saved_model.load(directory) of TensorFlow 2 is in corenn for Keras models only: tf.train.Checkpoint saves "
        "and restores other objects"
    )


def save(obj: Any, export_dir: Any, signatures: Any = None, options: Any = None) -> None:
    """Save a Keras model in a directory; NotImplementedError for other objects, which says what serves."""
    from corenn_tensorflow.keras.models import Model

    if isinstance(obj, Model):
        obj.save(export_dir)
        return
    raise NotImplementedError(
        "tf.saved_model.save of TensorFlow 2 is in corenn for Keras models only: tf.train.Checkpoint saves other "
        "objects, tf.compat.v1.saved_model.simple_save graphs"
    )


__getattr__ = missing.guard(__name__)

__all__ = [
    "Builder", "build_signature_def", "build_tensor_info", "builder", "classification_signature_def",
    "contains_saved_model", "load", "loader", "maybe_saved_model_directory", "predict_signature_def",
    "regression_signature_def", "save", "signature_constants", "signature_def_utils", "simple_save", "tag_constants",
    "utils", *signature_constants.__all__, *tag_constants.__all__,
]  # fmt: skip
