"""``tf.signal``: against NumPy's transforms, and values of TensorFlow 2.21."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

X = np.random.default_rng(0).normal(size=(2, 23)).astype(np.float32)
C = (X + 1j * X[::-1]).astype(np.complex64)


def framed(x: Any, length: int, step: int) -> Any:
    return np.stack([x[..., i : i + length] for i in range(0, x.shape[-1] - length + 1, step)], -2)


def hann(n: int) -> Any:
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / (n - n % 2))


TRANSFORMS = [
    (lambda s: s.fft(C), lambda: np.fft.fft(C)),
    (lambda s: s.ifft(C), lambda: np.fft.ifft(C)),
    (lambda s: s.fft2d(C), lambda: np.fft.fft2(C)),
    (lambda s: s.ifft2d(C), lambda: np.fft.ifft2(C)),
    (lambda s: s.fft3d(C[None]), lambda: np.fft.fftn(C[None])),
    (lambda s: s.rfft(X), lambda: np.fft.rfft(X)),
    (lambda s: s.rfft(X, [16]), lambda: np.fft.rfft(X, 16)),
    (lambda s: s.rfft(X, [32]), lambda: np.fft.rfft(X, 32)),
    (lambda s: s.irfft(s.rfft(X)), lambda: np.fft.irfft(np.fft.rfft(X))),
    (lambda s: s.irfft(s.rfft(X), [23]), lambda: X),
    (lambda s: s.stft(X, 8, 3), lambda: np.fft.rfft(framed(X, 8, 3) * hann(8))),
    (lambda s: s.stft(X, 7, 4, 16), lambda: np.fft.rfft(framed(X, 7, 4) * hann(7), 16)),
    (lambda s: s.inverse_stft(s.stft(X, 8, 4), 8, 4, window_fn=s.inverse_stft_window_fn(4))[:, 4:16],
     lambda: X[:, 4:16]),
    (lambda s: s.frame(X, 6, 4), lambda: framed(X, 6, 4)),
    (lambda s: s.frame(X, 5, 7, axis=0, pad_end=True, pad_value=3), lambda: np.stack([np.pad(
        X, ((0, 3), (0, 0)), constant_values=3)])),
    (lambda s: s.fftshift(X), lambda: np.fft.fftshift(X)),
    (lambda s: s.ifftshift(X, axes=[1]), lambda: np.fft.ifftshift(X, axes=1)),
    (lambda s: s.idct(s.dct(X, norm="ortho"), norm="ortho"), lambda: X),
    (lambda s: s.idct(s.dct(X)) / 46, lambda: X),
    (lambda s: s.dct(s.dct(X, 1), 1) / 44, lambda: X),
    (lambda s: s.dct(s.dct(X, 4, norm="ortho"), 4, norm="ortho"), lambda: X),
]  # fmt: skip


@pytest.mark.parametrize(("call", "expected"), TRANSFORMS)
def test_transforms(call: Any, expected: Any, tf2: Any) -> None:
    found, wanted = call(tf2.signal).numpy(), expected()
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=2e-5)


# sums of absolute values, and the fourth number, in TensorFlow 2.21
DCT = [(1, None), (2, None), (3, None), (4, None), (2, "ortho"), (3, "ortho"), (4, "ortho")]


@pytest.mark.parametrize(("kind", "norm"), DCT)
def test_cosine_transforms_are_scipys(kind: int, norm: Any, tf2: Any) -> None:
    fft = pytest.importorskip("scipy.fft")
    np.testing.assert_allclose(tf2.signal.dct(X, kind, norm=norm).numpy(), fft.dct(X, kind, norm=norm), atol=2e-5)


def test_windows(tf2: Any) -> None:
    s = tf2.signal
    np.testing.assert_allclose(s.hann_window(6).numpy(), [0, 0.25, 0.75, 1, 0.75, 0.25], atol=1e-6)
    np.testing.assert_allclose(s.hann_window(7).numpy(), [0, 0.25, 0.75, 1, 0.75, 0.25, 0], atol=1e-6)
    np.testing.assert_allclose(s.hamming_window(6, periodic=False).numpy(), np.hamming(6), atol=1e-6)
    assert s.hann_window(1).numpy().tolist() == [1]


def test_frames_are_added_up(tf2: Any) -> None:
    found = tf2.signal.overlap_and_add(np.float32([[1, 2, 3], [10, 20, 30]]), 2).numpy()
    np.testing.assert_array_equal(found, [1, 2, 13, 20, 30])


def test_mel(tf2: Any) -> None:
    weights = tf2.signal.linear_to_mel_weight_matrix(10, 65, 8000).numpy()
    assert weights.shape == (65, 10) and (weights[0] == 0).all()
    peaks = weights.argmax(0)
    assert (np.diff(peaks) > 0).all() and weights.max() <= 1
    sums = tf2.signal.mfccs_from_log_mel_spectrograms(X).numpy()
    np.testing.assert_allclose(sums[:, 0], 2 * X.sum(1) / np.sqrt(46), rtol=1e-4)
    with pytest.raises(ValueError, match="upper_edge_hertz"):
        tf2.signal.linear_to_mel_weight_matrix(10, 65, 8000, 125.0, 5000.0)


def test_gradients_pass_through_spectra(tf2: Any) -> None:
    """Parseval: the energy of a spectrum is that of the signal."""
    x = tf2.Variable(X)
    with tf2.GradientTape() as tape:
        energy = tf2.reduce_sum(tf2.abs(tf2.signal.fft(tf2.cast(x, tf2.complex64))) ** 2) / 23
    np.testing.assert_allclose(tape.gradient(energy, x).numpy(), 2 * X, rtol=1e-3, atol=1e-4)


def test_in_a_graph(tf1: Any) -> None:
    x = tf1.placeholder(tf1.float32, [None, None])
    found = tf1.abs(tf1.contrib.signal.stft(x, 8, 3))
    with tf1.Session() as session:
        np.testing.assert_allclose(
            session.run(found, {x: X}), np.abs(np.fft.rfft(framed(X, 8, 3) * hann(8))), rtol=1e-4, atol=1e-5
        )
    assert tf1.spectral.rfft is tf1.signal.rfft


@pytest.mark.parametrize("name", ["fft", "ifft2d"])
def test_real_numbers_are_refused(name: str, tf2: Any) -> None:
    with pytest.raises(TypeError, match="complex64"):
        getattr(tf2.signal, name)(X)


# ---- dtype policies of Keras


def test_policies(tf2: Any) -> None:
    policies = tf2.keras.mixed_precision
    assert policies.global_policy().name == "float32" == policies.Policy("float32").compute_dtype
    layer = tf2.keras.layers.Dense(2, dtype=policies.Policy("float64"))
    assert layer(np.ones((1, 3))).dtype == tf2.float64
    for name in ("mixed_float16", "mixed_bfloat16"):
        with pytest.raises(Exception, match=r"leave the policy out"):
            policies.set_global_policy(name)
    with pytest.raises(ValueError, match="Valid policies"):
        policies.experimental.set_policy("half")
