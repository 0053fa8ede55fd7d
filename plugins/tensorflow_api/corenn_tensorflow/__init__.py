"""The ``tensorflow``-compatible API of corenn: ``import corenn_tensorflow as tf``."""

from corenn_tensorflow import app, flags, gfile, logging, missing

__getattr__ = missing.guard(__name__)

__all__ = ["app", "flags", "gfile", "logging"]
