"""``tf.compat.v2``: the facade with the signatures of generation 2."""

from corenn_tensorflow.compat.views import view

_view = view(__name__, "", 2)


def __getattr__(name: str) -> object:
    return getattr(_view, name)


def __dir__() -> list[str]:
    return dir(_view)
