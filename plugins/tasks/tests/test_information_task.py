"""``information``: against ``scipy.stats.entropy`` and the document's numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from corenn_tasks import information

import corenn
from corenn.training.run import Run

entropy = pytest.importorskip("scipy.stats").entropy
RNG = np.random.default_rng(0)
P, Q = (RNG.dirichlet(np.ones(6), 40) for _ in range(2))


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Run, "figures", lambda self: self.raise_if_stopped())


def run(seed=0, **changes):
    made = Run.start("information", backend="numpy", seed=seed, quiet=True, changes=changes, out=f"run{seed}")
    return made.execute()["metrics"]


def test_functions_are_those_of_scipy():
    p, q = corenn.tensor(P), corenn.tensor(Q)
    np.testing.assert_allclose(information.entropy(p).numpy(), entropy(P, axis=1), rtol=1e-12)
    np.testing.assert_allclose(information.kl_divergence(p, q).numpy(), entropy(P, Q, axis=1), rtol=1e-12)
    wanted = entropy(P, axis=1) + entropy(P, Q, axis=1)
    np.testing.assert_allclose(information.cross_entropy(p, q).numpy(), wanted, rtol=1e-12)
    np.testing.assert_allclose(information.information(p).numpy(), -np.log(P))


def test_outcomes_that_never_come_add_nothing():
    p, q = corenn.tensor([0.5, 0.5, 0.0]), corenn.tensor([0.25, 0.25, 0.5])
    assert float(information.entropy(p)) == pytest.approx(math.log(2))
    assert float(information.kl_divergence(p, q)) == pytest.approx(math.log(2))
    assert float(information.cross_entropy(p, q)) == pytest.approx(math.log(4))


@pytest.mark.parametrize("seed", range(3))
def test_information_measures_the_document_and_learns(seed):
    """Default size: the document's numbers; identities to 1e-12 nats on 1000 pairs; after 300 steps of cross entropy a
    softmax that is p to 1e-4."""
    found = run(seed)
    document = {
        "information_heads": 0.0145, "information_tails": 6.6439, "entropy_coin": 0.0808, "entropy_p": 0.619,
        "entropy_q": 1.9855, "one_hot_loss": -math.log2(0.75),
    }  # fmt: skip
    for name, value in document.items():
        assert found[name] == pytest.approx(value, abs=1e-4), name
    p, q = (0.9, 0.05, 0.025, 0.025), (0.3, 0.2, 0.25, 0.25)
    assert found["kl_p_q"] == pytest.approx(entropy(p, q, base=2), rel=1e-5)
    assert found["kl_q_p"] == pytest.approx(entropy(q, p, base=2), rel=1e-5)
    assert found["cross_entropy"] == pytest.approx(found["entropy_p"] + found["kl_p_q"], rel=1e-5)
    checked = ("sum_error", "self_error", "negative", "above_uniform", "information_error")
    assert max(found[name] for name in checked) < 1e-12
    assert found["learnt_error"] < 1e-4 and abs(found["learnt_kl"]) < 1e-6


def test_in_nats_with_distributions_of_ones_own():
    found = run(unit="nats", p="0.5,0.5,0", q="0.2,0.3,0.5", coin=0.5, steps=400)
    assert found["entropy_coin"] == pytest.approx(math.log(2)) == pytest.approx(found["entropy_p"])
    assert found["kl_p_q"] == pytest.approx(entropy((0.5, 0.5, 0), (0.2, 0.3, 0.5)), rel=1e-5)
    assert "kl_q_p" not in found  # it is infinite
    assert found["one_hot_loss"] == pytest.approx(0.2877, abs=1e-4)  # the document's -log 0.75
    assert found["learnt_error"] < 0.01


@pytest.mark.parametrize("right", [0.1, 0.75, 0.999])
def test_the_loss_of_a_one_hot_truth_is_the_information_of_its_class(right):
    assert information.one_hot_loss(right) == pytest.approx(-math.log(right), rel=1e-4)


def test_broken_identities_would_be_seen(monkeypatch):
    monkeypatch.setattr(information, "cross_entropy", lambda p, q: corenn.sum(p * q, axis=-1))
    assert information.identities(0, 50, 4)["sum_error"] > 0.1
    monkeypatch.setattr(information, "entropy", lambda p: 3 * corenn.sum(p, axis=-1))
    broken = information.identities(0, 50, 4)
    assert broken["above_uniform"] == pytest.approx(3 - math.log(4)) and broken["information_error"] > 1
