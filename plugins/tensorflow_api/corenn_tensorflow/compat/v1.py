"""``tf.compat.v1``: the facade with the signatures of generation 1."""

from corenn_tensorflow.compat.views import view

_view = view(__name__, "", 1)


def __getattr__(name: str) -> object:
    return getattr(_view, name)


def __dir__() -> list[str]:
    return dir(_view)
