"""Names of other libraries, and names misspelt: the error says where the thing is or what serves instead."""

from __future__ import annotations

import pytest

import corenn
from corenn import data, layers, linalg, losses, metrics, nn, optimizers, random


@pytest.mark.parametrize(
    ("holder", "name", "advice"),
    [
        (corenn, "relu", "use corenn.nn.relu"),
        (corenn, "Dense", "use corenn.layers.Dense"),
        (corenn, "Adam", "use corenn.optimizers.Adam"),
        (corenn, "Dataset", "use corenn.data.Dataset"),
        (corenn, "svd", "use corenn.linalg.svd"),
        (corenn, "cat", "use corenn.concatenate"),
        (corenn, "arctan2", "use corenn.atan2"),
        (corenn, "reduce_mean", "use corenn.mean"),
        (corenn, "randn", "use corenn.random.normal"),
        (corenn, "pi", "use math.pi"),
        (corenn, "no_grad", "only a GradientTape records"),
        (corenn, "newaxis", "None, as in x[:, None]"),
        (corenn, "tanhh", "did you mean 'tanh'"),
        (nn, "Dense", "use corenn.layers.Dense"),
        (nn, "sofmax", "did you mean 'softmax'"),
        (random, "randint", "use corenn.random.integers"),
        (linalg, "eig", "did you mean 'eigh'"),
        (layers, "Linear", "use corenn.layers.Dense"),
        (layers, "Dens", "did you mean 'Dense'"),
        (losses, "mse", "use corenn.losses.mean_squared_error"),
        (metrics, "F1", "use corenn.metrics.F1Score"),
        (optimizers, "SDG", "did you mean 'SGD'"),
        (data, "DataLoader", "use corenn.data.Dataset"),
        (corenn.ones(2), "detach", "use corenn.stop_gradient(x)"),
        (corenn.ones(2), "backward", "tape.gradient(loss, variables)"),
        (corenn.ones(2), "std", "use corenn.std(x, ...)"),
        (corenn.ones(2), "relu", "use corenn.nn.relu(x, ...)"),
        (corenn.ones(2), "view", "use x.reshape(...)"),
        (corenn.ones(2), "cuda", "use x.to('cuda')"),
        (corenn.ones(2), "add_", "tensors never change"),
        (layers.Dense(3), "parameters", "use model.trainable_weights"),
        (corenn.Sequential(), "save", "use model.save_weights(path)"),
        (corenn.Sequential(), "eval", "training=False) is the default"),
        (corenn.Sequential(), "zero_grad", "every GradientTape starts afresh"),
        (corenn.Variable([1.0]), "grad", "tape.gradient(loss, x)"),
    ],
)
def test_a_name_from_elsewhere_leads_to_ours(holder, name, advice):
    with pytest.raises(AttributeError) as caught:
        getattr(holder, name)
    assert advice in str(caught.value)
    assert not hasattr(holder, name)


def test_every_name_that_advice_mentions_exists():
    """``corenn.a.b`` in the tables of ``corenn.advice`` is something."""
    from corenn import advice

    for place in [*advice._NAMES.values(), *advice._TENSOR.values(), *advice._LAYER.values()]:
        for word in place.replace("(", " ").replace(",", " ").replace("'", " ").split():
            if word.startswith("corenn."):
                thing = corenn
                for part in word.rstrip(":;").split(".")[1:]:
                    thing = getattr(thing, part) if part else thing


def test_private_names_get_no_advice():
    """Libraries ask objects for protocols they may not have; those questions are answered shortly."""
    with pytest.raises(AttributeError, match=r"has no attribute '_repr_latex_'$"):
        corenn.ones(2)._repr_latex_


def test_tabs_show_public_names_only():
    for module in (corenn, nn, random, linalg, corenn.image, layers, losses, metrics, optimizers, data):
        assert dir(module) == sorted(module.__all__)
