"""WAV files of 16 bits from arrays of floats."""

from __future__ import annotations

import io
import wave as _wave
from typing import Any

import numpy as np


def wave(sound: Any, rate: float) -> bytes:
    """``[frames, channels]`` of floats in [-1, 1] as a WAV file; what lies outside is clipped."""
    samples = np.asarray(sound, np.float64)
    levels = np.clip(np.rint(samples * 32767.0), -32768, 32767).astype("<i2")
    out = io.BytesIO()
    with _wave.open(out, "wb") as file:
        file.setnchannels(samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(round(rate))
        file.writeframes(levels.tobytes())
    return out.getvalue()


__all__ = ["wave"]
