"""``tf.spectral``: the Fourier and cosine transforms of ``tf.signal``, where TensorFlow 1 had them."""

from corenn_tensorflow import missing
from corenn_tensorflow.signal import dct, fft, fft2d, fft3d, idct, ifft, ifft2d, ifft3d, irfft, rfft

__all__ = ["dct", "fft", "fft2d", "fft3d", "idct", "ifft", "ifft2d", "ifft3d", "irfft", "rfft"]

__getattr__ = missing.guard(__name__)
