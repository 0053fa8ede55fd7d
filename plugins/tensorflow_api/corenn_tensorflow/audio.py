"""``tf.audio``: WAV files of 16-bit samples."""

from __future__ import annotations

import functools
import io
import wave
from typing import Any

import numpy as np

from corenn_tensorflow import errors, missing
from corenn_tensorflow.functions.hosting import on_host_many
from corenn_tensorflow.functions.text import on_host
from corenn_tensorflow.writing import writable


@writable("audio.decoded")
def _decoded(contents: Any, *, channels: int, samples: int) -> Any:
    try:
        with wave.open(io.BytesIO(np.asarray(contents, object).item())) as file:
            width, count, rate = file.getsampwidth(), file.getnchannels(), file.getframerate()
            data = file.readframes(file.getnframes())
    except (wave.Error, EOFError) as error:
        raise errors.InvalidArgumentError(None, None, f"Bad WAV file: {error}") from None
    if width != 2:
        raise errors.InvalidArgumentError(
            None, None, f"Bad WAV file: only samples of 16 bits are read, these have {8 * width}"
        )
    found = np.frombuffer(data, "<i2").reshape(-1, count).astype(np.float32) / 32768
    if channels > 0:
        found = found[:, :channels] if channels <= count else np.repeat(found[:, -1:], channels, 1)
    if samples > 0:
        found = np.pad(found[:samples], ((0, max(samples - len(found), 0)), (0, 0)))
    return [found, np.int32(rate)]


def decode_wav(
    contents: Any, desired_channels: int = -1, desired_samples: int = -1, name: str | None = None
) -> tuple[Any, Any]:
    """Samples of a WAV file between -1 and 1, float32 [samples, channels], and their rate, int32.

    Cut off, or filled up with 0, to ``desired_samples``.  InvalidArgumentError for other files.
    """
    known = tuple(n if n > 0 else None for n in (desired_samples, desired_channels))
    function = functools.partial(_decoded, channels=int(desired_channels), samples=int(desired_samples))
    return on_host_many("DecodeWav", name, function, [contents], [(known, "float32"), ((), "int32")])  # type: ignore[return-value]


@writable("audio.encoded")
def _encoded(samples: Any, rate: Any) -> Any:
    made = io.BytesIO()
    with wave.open(made, "wb") as file:
        file.setnchannels(samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(int(rate))
        file.writeframes(np.clip(np.round(samples * 32767), -32768, 32767).astype("<i2").tobytes())
    return np.array(made.getvalue(), object)


def encode_wav(audio: Any, sample_rate: Any, name: str | None = None) -> Any:
    """A WAV file of samples [samples, channels] between -1 and 1."""
    return on_host("EncodeWav", name, _encoded, [audio, sample_rate], "string", ())


__all__ = ["decode_wav", "encode_wav"]

__getattr__ = missing.guard(__name__)
