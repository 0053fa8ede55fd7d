"""Learning-rate schedules, against their formulas in plain Python and against PyTorch's."""

from __future__ import annotations

import math

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import corenn
from corenn import schedules
from corenn.errors import AttributeValueError, UsageError

STEPS = [0, 1, 5, 9, 10, 11, 19, 20, 25, 30, 31, 50, 99, 100, 101, 250]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(
    ("schedule", "formula"),
    [
        (schedules.ExponentialDecay(0.5, 10, 0.9), lambda s: 0.5 * 0.9 ** (s / 10)),
        (schedules.ExponentialDecay(0.5, 10, 0.9, staircase=True), lambda s: 0.5 * 0.9 ** (s // 10)),
        (schedules.NaturalExpDecay(0.5, 10, 0.3), lambda s: 0.5 * math.exp(-0.3 * s / 10)),
        (schedules.NaturalExpDecay(0.5, 10, 0.3, staircase=True), lambda s: 0.5 * math.exp(-0.3 * (s // 10))),
        (schedules.InverseTimeDecay(0.5, 10, 0.3), lambda s: 0.5 / (1 + 0.3 * s / 10)),
        (schedules.InverseTimeDecay(0.5, 10, 0.3, staircase=True), lambda s: 0.5 / (1 + 0.3 * (s // 10))),
        (
            schedules.PiecewiseConstantDecay([10, 30], [1.0, 0.1, 0.01]),
            lambda s: 1.0 if s <= 10 else 0.1 if s <= 30 else 0.01,
        ),
        (
            schedules.PolynomialDecay(0.5, 30, 0.1, power=2.0),
            lambda s: 0.4 * (1 - min(s, 30) / 30) ** 2 + 0.1,
        ),
        (
            schedules.PolynomialDecay(0.5, 30, 0.1, cycle=True),
            lambda s: 0.4 * (1 - s / (30 * max(1, math.ceil(s / 30)))) + 0.1,
        ),
        (
            schedules.CosineDecay(0.5, 30, alpha=0.1),
            lambda s: 0.5 * (0.9 * 0.5 * (1 + math.cos(math.pi * min(s, 30) / 30)) + 0.1),
        ),
        (
            schedules.CosineDecay(0.1, 30, warmup_target=0.5, warmup_steps=10),
            lambda s: 0.1 + 0.4 * s / 10 if s < 10 else 0.25 * (1 + math.cos(math.pi * min(s - 10, 30) / 30)),
        ),
        (
            schedules.WarmUp(schedules.ExponentialDecay(0.5, 10, 0.9), 10, start=0.1),
            lambda s: 0.1 + 0.4 * s / 10 if s < 10 else 0.5 * 0.9 ** ((s - 10) / 10),
        ),
        (schedules.WarmUp(0.5, 10), lambda s: 0.5 * min(s, 10) / 10),
        (schedules.get(lambda s: 1.0 / (1 + s)), lambda s: 1 / (1 + s)),
    ],
)
def test_formulas(schedule, formula, step):
    rate = schedule(step)
    assert type(rate) is float
    assert rate == pytest.approx(formula(step), rel=1e-12, abs=1e-15)


@pytest.mark.parametrize(("t_mul", "m_mul"), [(1.0, 1.0), (2.0, 1.0), (2.0, 0.5), (3.0, 0.9), (1.5, 1.0)])
@pytest.mark.parametrize("first", [7, 10])
def test_restarts_by_walking_the_periods(t_mul, m_mul, first):
    """Each step's period and place in it found by adding period lengths up, not by logarithms."""
    schedule = schedules.CosineDecayRestarts(0.4, first, t_mul, m_mul, alpha=0.05)
    for step in range(400):
        start, length, peak = 0.0, float(first), 0.4
        while step >= start + length - 1e-9:
            start, length, peak = start + length, length * t_mul, peak * m_mul
        expected = peak * (0.95 * 0.5 * (1 + math.cos(math.pi * (step - start) / length)) + 0.05)
        assert schedule(step) == pytest.approx(expected, rel=1e-9), step


def test_pytorch_agrees():
    torch = pytest.importorskip("torch")
    pairs = [
        (schedules.CosineDecay(0.5, 40, alpha=0.1), "CosineAnnealingLR", {"T_max": 40, "eta_min": 0.05}),
        (schedules.ExponentialDecay(0.5, 1, 0.95), "ExponentialLR", {"gamma": 0.95}),
        (schedules.ExponentialDecay(0.5, 10, 0.3, staircase=True), "StepLR", {"step_size": 10, "gamma": 0.3}),
        (schedules.PolynomialDecay(0.5, 40, 0.0, power=2.0), "PolynomialLR", {"total_iters": 40, "power": 2.0}),
        (
            schedules.CosineDecayRestarts(0.5, 10, t_mul=2.0),
            "CosineAnnealingWarmRestarts",
            {"T_0": 10, "T_mult": 2},
        ),
    ]
    for mine, name, options in pairs:
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.5)
        theirs = getattr(torch.optim.lr_scheduler, name)(optimizer, **options)
        for step in range(40):
            assert mine(step) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-6, abs=1e-12), (name, step)
            optimizer.step()
            theirs.step()


@pytest.mark.parametrize("step", [3, 3.0, np.int64(3), corenn.tensor(3), corenn.tensor([3.0])])
def test_steps_of_any_kind(step):
    assert schedules.ExponentialDecay(1.0, 1, 0.5)(step) == 0.125


@given(st.integers(0, 10**7))
def test_decays_stay_between_their_ends(step):
    assert 0.1 <= schedules.PolynomialDecay(0.5, 1000, 0.1, power=3.0, cycle=True)(step) <= 0.5
    assert 0.05 <= schedules.CosineDecay(0.5, 1000, alpha=0.1)(step) <= 0.5
    assert 0.05 <= schedules.CosineDecayRestarts(0.5, 10, alpha=0.1)(step) <= 0.5


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: schedules.ExponentialDecay(0.1, 0, 0.9), AttributeValueError, "decay_steps must be positive"),
        (lambda: schedules.PiecewiseConstantDecay([1, 2], [0.1]), AttributeValueError, "do not match"),
        (lambda: schedules.PiecewiseConstantDecay([2, 1], [1, 2, 3]), AttributeValueError, "must increase"),
        (lambda: schedules.CosineDecay(0.1, 10, warmup_steps=5), UsageError, "without warmup_target"),
        (lambda: schedules.CosineDecayRestarts(0.1, 10, t_mul=0.5), AttributeValueError, "t_mul must be at least 1"),
        (
            lambda: schedules.get("exponential_decay"),
            UsageError,
            "needs initial_learning_rate and decay_steps and decay_rate",
        ),
        (lambda: schedules.get("exponential"), UsageError, "there is no schedule"),
    ],
)
def test_mistakes(call, error, message):
    with pytest.raises(error, match=message):
        call()
