"""DCGAN (Radford, Metz and Chintala 2015, arXiv:1511.06434): a generator of images and a discriminator, trained against
each other."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence as Several
from typing import Any

from corenn import metrics, optimizers
from corenn.autodiff.tape import GradientTape
from corenn.errors import UsageError
from corenn.initializers import RandomNormal
from corenn.layers import (
    Activation,
    BatchNormalization,
    Conv2D,
    Conv2DTranspose,
    Dense,
    Flatten,
    Input,
    LeakyReLU,
    Reshape,
)
from corenn.ops import random
from corenn.ops.activations import softplus
from corenn.ops.elementwise import add, negative
from corenn.ops.reduction import mean
from corenn.tensor import Tensor
from corenn.training import Model
from corenn_models.autoencoders import cropped
from corenn_models.heads import Weights, check_images, loaded

_LEAST = 2  # the side of the images that the first layer makes
_RATE, _BETA = 2e-4, 0.5  # of Adam, as in the paper


def dcgan(
    input_shape: tuple[int, int, int],
    latent: int = 100,
    filters: Several[int] = (64, 128),
    *,
    weights: Weights = None,
) -> DCGAN:
    """A generator of images of ``input_shape`` with values of -1 to 1, and a discriminator of them.

    ``latent``: how many numbers an image is made from.  ``filters``: of the discriminator, whose convolutions halve the
    size each; the generator has them the other way round.  ``model.compile()`` chooses Adam as in the paper for both,
    ``model.fit(images)`` trains, ``model.generate(16)`` gives images.
    """
    check_images("dcgan", input_shape)
    if min(input_shape[:2]) < _LEAST * 2 ** len(filters):
        what = f"images of {input_shape[0]} x {input_shape[1]} cannot be halved {len(filters)} times"
        raise UsageError("dcgan", what, hint="give fewer filters")
    return loaded(DCGAN(_generator(input_shape, latent, filters), _discriminator(input_shape, filters)), weights)


def _generator(shape: tuple[int, int, int], latent: int, filters: Several[int]) -> Model:
    """A dense layer to a small image, then transposed convolutions of stride 2 with batch normalisation and ReLU."""
    height, width = (-(-n // 2 ** len(filters)) for n in shape[:2])
    wide = 2 * filters[-1]
    codes = Input((latent,))
    x = Reshape((height, width, wide))(Dense(height * width * wide, use_bias=False, kernel_initializer=_small())(codes))
    x = Activation("relu")(BatchNormalization(momentum=0.9)(x))
    for count in reversed(filters[1:]):
        x = Conv2DTranspose(count, 4, 2, padding="same", use_bias=False, kernel_initializer=_small())(x)
        x = Activation("relu")(BatchNormalization(momentum=0.9)(x))
    x = Conv2DTranspose(shape[2], 4, 2, padding="same", activation="tanh", kernel_initializer=_small())(x)
    return Model(codes, cropped(x, shape), name="generator")


def _discriminator(shape: tuple[int, int, int], filters: Several[int]) -> Model:
    """Convolutions of stride 2 with leaky ReLU, batch normalisation on all but the first, and one logit."""
    images = Input(shape)
    x: Any = images
    for number, count in enumerate(filters):
        x = Conv2D(count, 4, 2, padding="same", use_bias=number == 0, kernel_initializer=_small())(x)
        x = BatchNormalization(momentum=0.9)(x) if number else x
        x = LeakyReLU(0.2)(x)
    return Model(images, Dense(1, kernel_initializer=_small())(Flatten()(x)), name="discriminator")


def _small() -> RandomNormal:
    return RandomNormal(0.0, 0.02)


class DCGAN(Model):
    """A generator and a discriminator, both functional models; calling it on codes [batch, latent] gives images."""

    def __init__(self, generator: Model, discriminator: Model, **base: Any) -> None:
        super().__init__(name=base.pop("name", "dcgan"), **base)
        self.generator, self.discriminator = generator, discriminator
        self.generator_loss, self.discriminator_loss = (
            metrics.Mean("generator_loss"),
            metrics.Mean("discriminator_loss"),
        )
        self.discriminator_optimizer: Any = None
        self.built = True

    @property
    def latent(self) -> int:
        """How many numbers an image is made from."""
        return int(self.generator.inputs.spec.shape[-1])

    def call(self, codes: Tensor) -> Tensor:
        """Images of codes."""
        images: Tensor = self.generator(codes)
        return images

    def generate(self, count: int, generator: Any = None) -> Any:
        """``count`` new images as an array [count, height, width, channels], of a generator of random numbers."""
        return self.generator.predict(random.normal((count, self.latent), generator=generator).numpy())

    def compile(self, optimizer: Any = None, discriminator_optimizer: Any = None, **options: Any) -> None:  # type: ignore[override]  # there is no loss to choose
        """Choose the optimizers of generator and discriminator: by default Adam with the paper's settings."""
        super().compile(_adam() if optimizer is None else optimizer, **options)
        self.discriminator_optimizer = optimizers.get(discriminator_optimizer or _adam())

    def train_on_tensors(self, x: Any, y: Any, weight: Any) -> Tensor:
        """One step of both on a batch of images; returns the sum of their losses.

        The discriminator's loss is the cross entropy of real and of made images, the generator's that of made ones
        taken for real (the form of the loss that does not saturate; Goodfellow et al. 2014, section 3).
        """
        codes = random.normal((x.shape[0], self.latent), dtype=self.generator.dtype)
        with GradientTape(persistent=True) as tape:
            made = self.generator(codes, training=True)
            real_score = self.discriminator(x, training=True)
            made_score = self.discriminator(made, training=True)
            judged, fooled = _losses(real_score, made_score)
        if self._parts().optimizer is not self.optimizer:
            self._build_optimizer(self._parts())
        for loss, model, optimizer in (
            (judged, self.discriminator, self.discriminator_optimizer),
            (fooled, self.generator, self.optimizer),
        ):
            variables = model.trainable_weights
            optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return self._remembered(judged, fooled, x.shape[0])

    def test_on_tensors(self, x: Any, y: Any, weight: Any) -> Tensor:
        """The losses on a batch, nothing trained."""
        made = self.generator(random.normal((x.shape[0], self.latent), dtype=self.generator.dtype))
        real_score, made_score = self.discriminator(x), self.discriminator(made)
        return self._remembered(*_losses(real_score, made_score), x.shape[0])

    def _remembered(self, judged: Tensor, fooled: Tensor, count: int) -> Tensor:
        """Add the losses of a batch to the metrics; their sum."""
        self.discriminator_loss.update_state(judged)
        self.generator_loss.update_state(fooled)
        total = add(judged, fooled)
        self._objectives.tracker.update_state(total, sample_weight=float(count))
        return total

    def _build_optimizer(self, parts: Any) -> None:
        """Let each optimizer name what it keeps after its model's weights."""
        for model, optimizer in ((self.generator, self.optimizer), (self.discriminator, self.discriminator_optimizer)):
            names = {id(v): n for v, n in zip(model.weights, model.weight_names(), strict=True)}
            variables = model.trainable_weights
            optimizer.build(variables, [names[id(v)] for v in variables])
        parts.optimizer = self.optimizer

    def state_dict(self) -> dict[str, Any]:
        """As of every model, and the state of the discriminator's optimizer."""
        state = super().state_dict()
        if self.compiled:
            state["discriminator_optimizer"] = self.discriminator_optimizer.get_state()
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take it back."""
        super().load_state_dict(state)
        if self.compiled and state.get("discriminator_optimizer") is not None:
            self.discriminator_optimizer.set_state(state["discriminator_optimizer"])


def _losses(real: Tensor, made: Tensor) -> tuple[Tensor, Tensor]:
    """The discriminator's loss and the generator's, from logits of real and of made images."""
    judged = add(mean(softplus(negative(real))), mean(softplus(made)))
    return judged, mean(softplus(negative(made)))


def _adam() -> Any:
    return optimizers.Adam(_RATE, beta_1=_BETA)


__all__ = ["DCGAN", "dcgan"]
