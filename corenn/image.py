"""Images: resizing."""

from corenn.ops.resize import resize, upsample

__all__ = ["resize", "upsample"]
