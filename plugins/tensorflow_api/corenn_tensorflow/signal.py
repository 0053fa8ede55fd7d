"""``tf.signal``: windows, frames and spectra, as products with matrices (so that gradients pass through them)."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

import corenn
from corenn import dtypes
from corenn.tensor import Tensor
from corenn_tensorflow import missing
from corenn_tensorflow.framework import as_dtype, convert_to_tensor
from corenn_tensorflow.operands import composite, known
from corenn_tensorflow.writing import writable

# ---------------------------------------------------------------- windows


def _cosine(a: float, b: float, length: Any, periodic: bool, dtype: Any) -> Any:
    count = int(known(length))
    size = count + bool(periodic) * (1 - count % 2) - 1  # TensorFlow's odd windows are the same either way
    if count == 1:
        values = np.ones(1)
    else:
        values = a - b * np.cos(2 * math.pi * np.arange(count) / size)
    return convert_to_tensor(values.astype(as_dtype(dtype).numpy))


def hann_window(window_length: Any, periodic: bool = True, dtype: Any = "float32", name: Any = None) -> Any:
    """``0.5 - 0.5 cos(2 pi n / N)``; N is the length, or one less where it is odd or the window not periodic."""
    return _cosine(0.5, 0.5, window_length, periodic, dtype)


def hamming_window(window_length: Any, periodic: bool = True, dtype: Any = "float32", name: Any = None) -> Any:
    """``0.54 - 0.46 cos(2 pi n / N)``; N is the length, or one less where it is odd or the window not periodic."""
    return _cosine(0.54, 0.46, window_length, periodic, dtype)


# ---------------------------------------------------------------- frames


@writable("signal.frame")
def _framed(x: Tensor, *, length: int, step: int, pad_end: bool, value: float, axis: int) -> Tensor:
    axis %= x.ndim
    moved = corenn.moveaxis(x, axis, -1)
    size = moved.spec.static[-1]
    if pad_end:
        count = -(-size // step)
        wanted = max((count - 1) * step + length, size)
        moved = corenn.pad(moved, widths=(*[(0, 0)] * (x.ndim - 1), (0, wanted - size)), value=value)
    else:
        count = max((size - length) // step + 1, 0)
    places = (np.arange(count)[:, None] * step + np.arange(length)).reshape(-1)
    frames = corenn.gather(moved, corenn.tensor(places.astype(np.int64)), axis=-1)
    frames = corenn.reshape(frames, shape=(*moved.spec.static[:-1], count, length))
    return corenn.moveaxis(frames, (-2, -1), (axis, axis + 1))


def frame(
    signal: Any, frame_length: Any, frame_step: Any, pad_end: bool = False, pad_value: float = 0, axis: int = -1,
    name: str | None = None,
) -> Any:  # fmt: skip
    """Overlapping parts of an axis: [..., frames, frame_length]; ``pad_end`` also makes those that begin within it."""
    function = functools.partial(
        _framed, length=int(known(frame_length)), step=int(known(frame_step)), pad_end=bool(pad_end),
        value=float(known(pad_value)), axis=int(axis),
    )  # fmt: skip
    return composite("Frame", name, function, convert_to_tensor(signal))


@writable("signal.overlap_and_add")
def _added(x: Tensor, *, step: int) -> Tensor:
    *outer, count, length = x.spec.static
    size = (count - 1) * step + length
    places = (np.arange(count)[:, None] * step + np.arange(length)).reshape(-1)
    rows = corenn.transpose(corenn.reshape(x, shape=(-1, count * length)))
    total = corenn.segment_sum(rows, corenn.tensor(places.astype(np.int64)), num_segments=size)
    return corenn.reshape(corenn.transpose(total), shape=(*outer, size))


def overlap_and_add(signal: Any, frame_step: Any, name: str | None = None) -> Any:
    """Frames [..., frames, length] laid ``frame_step`` apart and added up."""
    return composite("OverlapAndAdd", name, functools.partial(_added, step=int(known(frame_step))),
                     convert_to_tensor(signal))  # fmt: skip


# ---------------------------------------------------------------- Fourier transforms


def _waves(rows: int, columns: int, size: int, sign: int, dtype: Any) -> Any:
    """``exp(sign 2 pi i n k / size)``; the product n k is taken modulo the size, so that large ones stay exact."""
    turns = np.outer(np.arange(rows), np.arange(columns)) % size
    return corenn.tensor(np.exp(sign * 2j * math.pi * turns / size).astype(dtype.numpy))


def _complex(x: Tensor) -> Any:
    if x.dtype.kind == "c":
        return x.dtype
    return dtypes.complex128 if x.dtype is dtypes.float64 else dtypes.complex64


@writable("signal.fft")
def _transformed(x: Tensor, *, sign: int, axes: int) -> Tensor:
    kind = _complex(x)
    found = corenn.cast(x, dtype=kind)
    for axis in range(-axes, 0):
        size = x.spec.static[axis]
        moved = corenn.moveaxis(found, axis, -1)
        moved = corenn.matmul(moved, _waves(size, size, size, sign, kind))
        found = corenn.moveaxis(moved / size if sign > 0 else moved, -1, axis)
    return found


def _fft(type_name: str, sign: int, axes: int, doc: str) -> Any:
    def call(input: Any, name: str | None = None) -> Any:  # TensorFlow's name
        given = convert_to_tensor(input)
        if given.dtype.kind != "c":
            raise TypeError(
                f"{type_name} takes complex64 or complex128, got {given.dtype.name}: tf.cast(x, tf.complex64)"
            )
        return composite(type_name, name, functools.partial(_transformed, sign=sign, axes=axes), given)

    call.__doc__ = doc + "  By products with matrices: the time grows with the square of the extent."
    return call


fft = _fft("FFT", -1, 1, "The discrete Fourier transform of the last axis.")
ifft = _fft("IFFT", 1, 1, "The inverse of ``fft``.")
fft2d = _fft("FFT2D", -1, 2, "The discrete Fourier transform of the last two axes.")
ifft2d = _fft("IFFT2D", 1, 2, "The inverse of ``fft2d``.")
fft3d = _fft("FFT3D", -1, 3, "The discrete Fourier transform of the last three axes.")
ifft3d = _fft("IFFT3D", 1, 3, "The inverse of ``fft3d``.")


def _fitted(x: Tensor, size: int) -> Tensor:
    """The last axis cut or filled up with 0."""
    own = x.spec.static[-1]
    if own < size:
        return corenn.pad(x, widths=(*[(0, 0)] * (x.ndim - 1), (0, size - own)))
    return x if own == size else x[..., :size]


@writable("signal.rfft")
def _real_spectrum(x: Tensor, *, size: int | None) -> Tensor:
    count = x.spec.static[-1] if size is None else size
    kind = _complex(x)
    return corenn.matmul(corenn.cast(_fitted(x, count), dtype=kind), _waves(count, count // 2 + 1, count, -1, kind))


def rfft(input_tensor: Any = None, fft_length: Any = None, name: str | None = None, input: Any = None) -> Any:
    """The first half of the transform of real numbers, complex: [..., fft_length / 2 + 1]."""
    given = convert_to_tensor(input_tensor if input_tensor is not None else input)
    if given.dtype.kind == "c":
        raise TypeError(f"rfft takes real numbers, got {given.dtype.name}: tf.signal.fft is for complex ones")
    return composite("RFFT", name, functools.partial(_real_spectrum, size=_length(fft_length)), given)


@writable("signal.irfft")
def _real_signal(x: Tensor, *, size: int | None) -> Tensor:
    count = 2 * (x.spec.static[-1] - 1) if size is None else size
    half = _fitted(x, count // 2 + 1)
    weights = np.full(count // 2 + 1, 2.0)
    weights[0] = 1
    if count % 2 == 0:
        weights[-1] = 1
    waves = _waves(count // 2 + 1, count, count, 1, half.dtype) * corenn.tensor((weights / count)[:, None].astype(
        half.dtype.numpy))  # fmt: skip
    return corenn.real(corenn.matmul(half, waves))


def irfft(input_tensor: Any = None, fft_length: Any = None, name: str | None = None, input: Any = None) -> Any:
    """The inverse of ``rfft``: real."""
    given = convert_to_tensor(input_tensor if input_tensor is not None else input)
    return composite("IRFFT", name, functools.partial(_real_signal, size=_length(fft_length)), given)


def _length(given: Any) -> int | None:
    if given is None:
        return None
    found = np.asarray(known(given)).reshape(-1)
    if found.size != 1:
        raise ValueError(f"fft_length must be one number, got {given}")
    return int(found[0])


def _enclosing(n: int) -> int:
    return 1 << max(n - 1, 0).bit_length()


def stft(
    signals: Any, frame_length: Any, frame_step: Any, fft_length: Any = None, window_fn: Any = hann_window,
    pad_end: bool = False, name: str | None = None,
) -> Any:  # fmt: skip
    """The spectra of frames [..., frames, fft_length / 2 + 1]; ``fft_length`` is the next power of 2 by default."""
    length = int(known(frame_length))
    size = _length(fft_length) or _enclosing(length)
    frames = frame(signals, length, frame_step, pad_end)
    if window_fn is not None:
        frames = frames * window_fn(length, dtype=frames.dtype)
    return rfft(frames, [size], name)


def inverse_stft_window_fn(frame_step: Any, forward_window_fn: Any = hann_window, name: str | None = None) -> Any:
    """The window with which ``inverse_stft`` undoes ``stft``."""
    step = int(known(frame_step))

    def window(frame_length: Any, dtype: Any = "float32") -> Any:
        length = int(known(frame_length))
        forward = np.asarray(forward_window_fn(length, dtype=dtype).numpy())
        rows = -(-length // step)
        power = np.pad(forward**2, (0, rows * step - length)).reshape(rows, step).sum(0)
        return convert_to_tensor((forward / np.tile(power, rows)[:length]).astype(as_dtype(dtype).numpy))

    return window


def inverse_stft(
    stfts: Any, frame_length: Any, frame_step: Any, fft_length: Any = None, window_fn: Any = hann_window,
    name: str | None = None,
) -> Any:  # fmt: skip
    """The signal of spectra; give ``inverse_stft_window_fn(frame_step)`` for the signal that ``stft`` was given."""
    length = int(known(frame_length))
    frames = irfft(stfts, [_length(fft_length) or _enclosing(length)])
    frames = frames[..., :length]
    if window_fn is not None:
        frames = frames * window_fn(length, dtype=frames.dtype)
    return overlap_and_add(frames, frame_step, name)


@writable("signal.rolled")
def _rolled(x: Tensor, *, axes: Any, back: bool) -> Tensor:
    chosen = range(x.ndim) if axes is None else axes
    for axis in chosen:
        size = x.spec.static[axis]
        x = corenn.roll(x, shift=-(size // 2) if back else size // 2, axis=axis)
    return x


def _axes(axes: Any) -> Any:
    return None if axes is None else [int(a) for a in np.atleast_1d(known(axes))]


def fftshift(x: Any, axes: Any = None, name: str | None = None) -> Any:
    """The zero frequency in the middle."""
    return composite("FFTShift", name, functools.partial(_rolled, axes=_axes(axes), back=False), convert_to_tensor(x))


def ifftshift(x: Any, axes: Any = None, name: str | None = None) -> Any:
    """The inverse of ``fftshift``."""
    return composite("IFFTShift", name, functools.partial(_rolled, axes=_axes(axes), back=True), convert_to_tensor(x))


# ---------------------------------------------------------------- cosine transforms, mel


def _cosines(size: int, kind: int, norm: str | None) -> Any:
    """The matrix of a cosine transform: rows are inputs."""
    n, k = np.arange(size)[:, None], np.arange(size)[None, :]
    if kind == 1:
        if size < 2:
            raise ValueError("the DCT of type 1 needs at least two numbers")
        found = 2 * np.cos(math.pi * n * k / (size - 1))
        found[0], found[-1] = 1, np.where(np.arange(size) % 2, -1, 1)
        return found
    if kind == 2:
        found = 2 * np.cos(math.pi * (2 * n + 1) * k / (2 * size))
        scale = np.where(k == 0, math.sqrt(1 / (4 * size)), math.sqrt(1 / (2 * size)))
        return found * scale if norm == "ortho" else found
    if kind == 3:
        found = 2 * np.cos(math.pi * n * (2 * k + 1) / (2 * size))
        if norm == "ortho":
            return found * np.where(n == 0, math.sqrt(1 / (4 * size)), math.sqrt(1 / (2 * size)))
        found[0] = 1
        return found
    found = 2 * np.cos(math.pi * (2 * n + 1) * (2 * k + 1) / (4 * size))
    return found * math.sqrt(1 / (2 * size)) if norm == "ortho" else found


@writable("signal.dct")
def _dct_of(x: Tensor, *, kind: int, norm: str | None, size: int | None) -> Tensor:
    given = x if size is None else _fitted(x, size)
    matrix = _cosines(given.spec.static[-1], kind, norm)
    return corenn.matmul(given, corenn.tensor(matrix.astype(x.dtype.numpy)))


def _check(kind: int, norm: Any, axis: int) -> None:
    if kind not in (1, 2, 3, 4):
        raise ValueError(f"Types I, II, III and IV (I)DCT are supported, not {kind}")
    if norm not in (None, "ortho"):
        raise ValueError(f"Unknown normalization. Expected None or 'ortho', got: {norm!r}")
    if kind == 1 and norm == "ortho":
        raise ValueError("Normalization is not supported for the Type-I DCT.")
    if axis != -1:
        raise NotImplementedError(f"axis must be -1. Got: {axis}")


def dct(
    input: Any, type: int = 2, n: int | None = None, axis: int = -1, norm: str | None = None, name: str | None = None
) -> Any:
    """The cosine transform of the last axis, of type 1 to 4."""
    _check(type, norm, axis)
    function = functools.partial(_dct_of, kind=type, norm=norm, size=n)
    return composite("DCT", name, function, convert_to_tensor(input))


def idct(
    input: Any, type: int = 2, n: int | None = None, axis: int = -1, norm: str | None = None, name: str | None = None
) -> Any:
    """The inverse of ``dct`` with ``norm="ortho"``; without, it is not divided by the extent."""
    _check(type, norm, axis)
    function = functools.partial(_dct_of, kind={1: 1, 2: 3, 3: 2, 4: 4}[type], norm=norm, size=n)
    return composite("IDCT", name, function, convert_to_tensor(input))


def _mel(frequency: Any) -> Any:
    return 1127.0 * np.log1p(np.asarray(frequency, np.float64) / 700.0)


def linear_to_mel_weight_matrix(
    num_mel_bins: Any = 20, num_spectrogram_bins: Any = 129, sample_rate: Any = 8000, lower_edge_hertz: Any = 125.0,
    upper_edge_hertz: Any = 3800.0, dtype: Any = "float32", name: str | None = None,
) -> Any:  # fmt: skip
    """Triangles on the mel scale: a matrix [num_spectrogram_bins, num_mel_bins] for spectra."""
    bins, lines, rate = int(known(num_mel_bins)), int(known(num_spectrogram_bins)), float(known(sample_rate))
    lower, upper = float(known(lower_edge_hertz)), float(known(upper_edge_hertz))
    if bins <= 0 or lower < 0 or lower >= upper or rate <= 0 or upper > rate / 2:
        raise ValueError(
            f"num_mel_bins and sample_rate must be positive, and 0 <= lower_edge_hertz < upper_edge_hertz <= "
            f"sample_rate / 2: {bins}, {rate}, {lower}, {upper}"
        )
    heights = _mel(np.linspace(0, rate / 2, lines)[1:])[:, None]
    edges = np.linspace(_mel(lower), _mel(upper), bins + 2)
    left, centre, right = edges[:-2], edges[1:-1], edges[2:]
    weights = np.maximum(0, np.minimum((heights - left) / (centre - left), (right - heights) / (right - centre)))
    return convert_to_tensor(np.pad(weights, ((1, 0), (0, 0))).astype(as_dtype(dtype).numpy))


def mfccs_from_log_mel_spectrograms(log_mel_spectrograms: Any, name: str | None = None) -> Any:
    """Cepstral coefficients of log mel spectrograms [..., bins]: cosine transforms, divided by ``sqrt(2 bins)``."""
    found = dct(log_mel_spectrograms, name=name)
    return found / math.sqrt(2.0 * int(found.shape[-1]))


__all__ = [
    "dct", "fft", "fft2d", "fft3d", "fftshift", "frame", "hamming_window", "hann_window", "idct", "ifft", "ifft2d",
    "ifft3d", "ifftshift", "inverse_stft", "inverse_stft_window_fn", "irfft", "linear_to_mel_weight_matrix",
    "mfccs_from_log_mel_spectrograms", "overlap_and_add", "rfft", "stft",
]  # fmt: skip

__getattr__ = missing.guard(__name__)
