"""Autoencoders of images: a plain one, and the variational one (Kingma and Welling 2013, arXiv:1312.6114)."""

from __future__ import annotations

import math
from collections.abc import Sequence as Several
from typing import Any

from corenn.errors import UsageError
from corenn.layers import (
    Activation,
    BatchNormalization,
    Conv2D,
    Conv2DTranspose,
    Cropping2D,
    Dense,
    Flatten,
    Input,
    Layer,
    Reshape,
    register,
)
from corenn.ops import random
from corenn.ops.elementwise import add, clip, multiply, square, subtract
from corenn.ops.reduction import mean, sum
from corenn.ops.transcendental import exp
from corenn.tensor import Tensor
from corenn.training import Model
from corenn_models.heads import Weights, check_images, loaded

#: Bounds of the logarithm of a variance: wider, its exponential would overflow in the first steps.
_NARROWEST, _WIDEST = -20.0, 20.0


def autoencoder(
    input_shape: tuple[int, int, int],
    code: int = 32,
    filters: Several[int] = (32, 64),
    activation: str | None = "sigmoid",
    normalized: bool = True,
    *,
    weights: Weights = None,
) -> Model:
    """Images to ``code`` numbers and back: train it with ``fit(x, x)``.

    The encoder has a convolution of stride 2 for each of ``filters`` and a dense layer, the decoder their mirror image;
    ``get_layer("encoder")`` and ``get_layer("decoder")`` are models of their own.  ``activation``: of the pixels;
    "sigmoid" fits images of 0 to 1.
    """
    check_images("autoencoder", input_shape)
    images = Input(input_shape)
    encoder = Model(images, Dense(code, name="code")(_encoded(images, filters, normalized)), name="encoder")
    decoder = _decoder(input_shape, code, filters, activation, normalized)
    inputs = Input(input_shape)
    return loaded(Model(inputs, decoder(encoder(inputs)), name="autoencoder"), weights)


def vae(
    input_shape: tuple[int, int, int],
    latent: int = 2,
    filters: Several[int] = (32, 64),
    activation: str | None = "sigmoid",
    normalized: bool = False,
    kl_weight: float = 1.0,
    *,
    weights: Weights = None,
) -> Model:
    """A variational autoencoder: images to the mean and variance of ``latent`` numbers, a draw of them, and back.

    Compile it with a loss of the pixels that is a mean over all of them, such as ``"binary_crossentropy"`` for images
    of 0 to 1 or ``"mse"``, and train it with ``fit(x, x)``.  The layer ``sampling`` adds the divergence from a standard
    normal distribution, divided by the number of pixels: with ``kl_weight=1`` the whole is the negative evidence lower
    bound for each pixel.  Outside training the mean is taken and nothing is drawn.

    ``get_layer("encoder")`` gives mean and logarithm of the variance, ``get_layer("decoder")`` images from codes.
    """
    check_images("vae", input_shape)
    images = Input(input_shape)
    x = _encoded(images, filters, normalized)
    moments = [Dense(latent, name="mean")(x), Dense(latent, name="log_variance", kernel_initializer="zeros")(x)]
    encoder = Model(images, moments, name="encoder")
    decoder = _decoder(input_shape, latent, filters, activation, normalized)
    inputs = Input(input_shape)
    code = Sampling(kl_weight / math.prod(input_shape), name="sampling")(*encoder(inputs))
    return loaded(Model(inputs, decoder(code), name="vae"), weights)


@register("corenn_models_sampling")
class Sampling(Layer):
    """Draws from normal distributions in a way that gradients pass through: ``mean + exp(log_variance / 2) * noise``.

    ``layer(mean, log_variance)``, both [batch, n], gives [batch, n]; outside training it is the mean.  Adds to the loss
    ``kl_weight`` times the divergence from the standard normal distribution, summed over n and averaged over the batch
    (appendix B of the paper).
    """

    def __init__(self, kl_weight: float = 1.0, seed: int | None = None, **base: Any) -> None:
        super().__init__(**base)
        self.kl_weight, self.seed = float(kl_weight), seed
        self.generator = None if seed is None else random.Generator(seed)

    def call(self, mean: Tensor, log_variance: Tensor, training: bool = False) -> Tensor:
        """Draw, in training."""
        bounded = clip(log_variance, min=_NARROWEST, max=_WIDEST)
        if self.kl_weight:
            self.add_loss(multiply(kl_to_standard_normal(mean, bounded), self.kl_weight))
        if not training:
            return mean
        noise = random.normal(mean.shape, dtype=mean.dtype, generator=self.generator)
        return add(mean, multiply(exp(multiply(bounded, 0.5)), noise))


def kl_to_standard_normal(mean_: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, variance) || N(0, 1)) in nats: summed over the last axis, averaged over the others; a scalar."""
    inner = subtract(add(exp(log_variance), square(mean_)), add(log_variance, 1.0))
    return multiply(mean(sum(inner, axis=-1)), 0.5)


def _encoded(x: Any, filters: Several[int], normalized: bool) -> Any:
    """Half the size for each of ``filters``, then a vector."""
    if not filters:
        raise UsageError("autoencoder", "there are no filters", hint="filters=(32, 64)")
    for count in filters:
        x = Conv2D(count, 3, 2, padding="same", use_bias=not normalized, kernel_initializer="he_normal")(x)
        x = BatchNormalization()(x) if normalized else x
        x = Activation("relu")(x)
    return Flatten()(x)


def _decoder(
    shape: tuple[int, int, int], code: int, filters: Several[int], activation: str | None, normalized: bool
) -> Model:
    """The mirror image; what transposed convolutions add at the edges is cut off."""
    height, width = (-(-n // 2 ** len(filters)) for n in shape[:2])
    codes = Input((code,))
    x = Dense(height * width * filters[-1], activation="relu", kernel_initializer="he_normal")(codes)
    x = Reshape((height, width, filters[-1]))(x)
    for count in [*reversed(filters[:-1]), filters[0]]:
        x = Conv2DTranspose(count, 3, 2, padding="same", use_bias=not normalized, kernel_initializer="he_normal")(x)
        x = BatchNormalization()(x) if normalized else x
        x = Activation("relu")(x)
    x = Conv2D(shape[2], 3, padding="same", activation=activation, name="pixels")(x)
    return Model(codes, cropped(x, shape), name="decoder")


def cropped(x: Any, shape: tuple[int, ...]) -> Any:
    """The middle of images that are larger than ``shape``."""
    spare = [int(have) - want for have, want in zip(x.spec.shape[1:3], shape[:2], strict=True)]
    if not any(spare):
        return x
    return Cropping2D(tuple((n // 2, n - n // 2) for n in spare))(x)


__all__ = ["Sampling", "autoencoder", "cropped", "kl_to_standard_normal", "vae"]
