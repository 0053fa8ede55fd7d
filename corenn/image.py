"""Images: resizing."""

from typing import TYPE_CHECKING

from corenn.advice import guide
from corenn.ops.resize import resize, upsample

__all__ = ["resize", "upsample"]

if not TYPE_CHECKING:  # type checkers know which names there are
    __getattr__, __dir__ = guide(__name__, __all__)
