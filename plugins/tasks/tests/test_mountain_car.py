"""``dqn-mountain-car``: memory, the learning rule, attempts, what a run leaves, and that it reaches the flag."""

from __future__ import annotations

import itertools
import json
import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
from corenn_tasks import mountain_car
from corenn_tasks.deep_q import DeepQ, Draws, ReplayMemory
from corenn_tasks.mountain_car import (
    Attempts,
    BestPolicy,
    MountainCarSettings,
    choose,
    drive,
    environment,
    shaped,
    worth,
)

from corenn import summary
from corenn.checkpoint import CheckpointManager
from corenn.errors import CheckpointError, MissingExtraError, UsageError
from corenn.optimizers import Adam
from corenn.testing import register_doubles
from corenn.testing.runs import logged_figures, other_backends
from corenn.training.run import Interrupted, Run
from corenn.training.run_loop import RunLoop

gymnasium = pytest.importorskip("gymnasium")
register_doubles()
pytestmark = pytest.mark.usefixtures("place")

# Small, but the memory runs over, random actions are held, and the target network is renewed several times.
SHORT = {"steps": 500, "batch_size": 8, "episode_steps": 60, "hidden": "8", "memory": 300, "learn_from": 50,
         "target_every": 40, "epsilon_steps": 200, "hold": 4, "look_every": 200, "test_episodes": 3}  # fmt: skip
PICTURES = {"training", "greedy_episodes", "policy", "q_values"}
OTHERS = other_backends()


def start(out="one", backend="numpy", seed=3, **changes):
    return Run.start("dqn-mountain-car", backend=backend, seed=seed, out=out, quiet=True, changes={**SHORT, **changes})


def tensors(out):
    return {k: v.tobytes() for k, v in CheckpointManager(Path(out, "checkpoints")).load().tensors.items()}


# ---------------------------------------------------------------- memory and chance


def filled(count, size=5):
    memory = ReplayMemory(size, 2)
    for i in range(count):
        memory.add(np.full(2, i, np.float32), i % 3, float(i), np.full(2, i + 0.5, np.float32), i % 2 == 0)
    return memory


@pytest.mark.parametrize(("count", "kept"), [(1, {0}), (4, {0, 1, 2, 3}), (5, {0, 1, 2, 3, 4}), (7, {2, 3, 4, 5, 6})])
def test_memory_gives_the_last_transitions_each_in_one_piece(count, kept):
    memory = filled(count)
    assert len(memory) == len(kept)
    drawn = np.linspace(0, 1, 100, endpoint=False, dtype=np.float32)
    states, actions, rewards, later, ended = memory.sample(drawn)
    assert set(rewards.astype(int)) == kept
    np.testing.assert_array_equal(states, np.stack([rewards, rewards], 1))
    np.testing.assert_array_equal(later, states + 0.5)
    np.testing.assert_array_equal(actions, rewards % 3)
    np.testing.assert_array_equal(ended, rewards % 2 == 0)


@pytest.mark.parametrize("count", [0, 3, 8])
def test_memory_goes_on_from_its_state(count):
    first, second = filled(count), ReplayMemory(5, 2)
    second.load_state_dict(first.state_dict())
    for memory in (first, second):
        memory.add(np.ones(2, np.float32), 1, -1.0, np.zeros(2, np.float32), True)
    drawn = np.linspace(0, 1, 20, endpoint=False, dtype=np.float32)
    for a, b in zip(first.sample(drawn), second.sample(drawn), strict=True):
        np.testing.assert_array_equal(a, b)


def test_memory_refuses_the_state_of_another():
    with pytest.raises(CheckpointError, match="states has shape"):
        ReplayMemory(4, 2).load_state_dict(filled(5).state_dict())


def test_numbers_of_a_step_do_not_depend_on_the_steps_before():
    in_order, jumping = Draws(7, "replay", 3), Draws(7, "replay", 3)
    wanted = [in_order.at(step).copy() for step in range(600)]
    for step in (599, 0, 255, 256, 300):
        np.testing.assert_array_equal(jumping.at(step), wanted[step])
    assert len({w.tobytes() for w in wanted}) == 600
    assert not np.array_equal(Draws(7, "exploration", 3).at(0), wanted[0])


# ---------------------------------------------------------------- the learning rule


def forward(network, states):
    """The network in NumPy."""
    weights = [np.asarray(w.numpy(), np.float64) for w in network.weights]
    for kernel, bias in zip(weights[:-2:2], weights[1:-2:2], strict=True):
        states = np.maximum(states @ kernel + bias, 0)
    return states @ weights[-2] + weights[-1]


@pytest.mark.parametrize("double", [False, True])
def test_the_loss_is_that_of_the_q_learning_rule(double):
    agent = DeepQ(2, 3, (8, 6), Adam(), 0.9, double)
    rng = np.random.default_rng(0)
    for weight in (*agent.online.weights, *agent.target.weights):
        weight.assign(rng.normal(size=weight.shape).astype(np.float32))
    states, later = rng.normal(size=(2, 20, 2)).astype(np.float32)
    actions, ended = rng.integers(0, 3, 20).astype(np.int32), (rng.random(20) < 0.3).astype(np.float32)
    rewards = rng.normal(size=20).astype(np.float32)
    values, worth_later = forward(agent.online, states), forward(agent.target, later)
    chosen = (forward(agent.online, later) if double else worth_later).argmax(-1)
    goal = rewards + 0.9 * (1 - ended) * worth_later[np.arange(20), chosen]
    wanted = np.mean((values[np.arange(20), actions] - goal) ** 2)
    before = [w.numpy() for w in agent.target.weights]
    assert float(agent.learn((states, actions, rewards, later, ended))) == pytest.approx(wanted, rel=1e-5)
    assert all(np.array_equal(w.numpy(), b) for w, b in zip(agent.target.weights, before, strict=True))
    assert not np.allclose(forward(agent.online, states), values)
    agent.synchronize()
    np.testing.assert_array_equal(forward(agent.target, states), forward(agent.online, states))


@pytest.mark.parametrize("double", [False, True])
def test_values_of_the_game_of_delayed_reward_are_those_of_value_iteration(double):
    """Action 0 goes one of four states on, for nothing but 20 at the last, which ends it; 1 goes back, for 5."""
    discount, states = 0.8, np.eye(4, dtype=np.float32)
    exact = np.zeros((4, 2))
    for _ in range(200):
        best = exact.max(1)
        exact = np.array([[20 if s == 3 else discount * best[s + 1], 5 + discount * best[0]] for s in range(4)])
    table = [(s, a) for s in range(4) for a in range(2)]
    batch = (
        np.stack([states[s] for s, _ in table]), np.array([a for _, a in table], np.int32),
        np.array([(20 if s == 3 else 0) if a == 0 else 5 for s, a in table], np.float32),
        np.stack([states[min(s + 1, 3) if a == 0 else 0] for s, a in table]),
        np.array([s == 3 and a == 0 for s, a in table], np.float32),
    )  # fmt: skip
    agent = DeepQ(4, 2, (16,), Adam(0.01), discount, double)
    for step in range(3000):
        agent.learn(batch)
        if step % 50 == 0:
            agent.synchronize()
    np.testing.assert_allclose(agent.values(states), exact, atol=0.3)


# ---------------------------------------------------------------- the hill


@pytest.mark.parametrize(
    ("shaping", "before", "after", "arrived", "reward"),
    [
        ("none", 0.2, 0.3, False, -1),
        ("none", 0.4, 0.5, True, -1),
        ("bonus", -0.5, -0.4, False, -1),
        ("bonus", 0.05, 0.1, False, -1),
        ("bonus", 0.05, 0.11, False, 9),
        ("bonus", 0.2, 0.26, False, 19),
        ("bonus", 0.45, 0.5, True, 99),
        ("potential", -0.5, -0.4, False, -1),
        ("potential", 0.05, 0.11, False, -1 + 0.9 * 10),
        ("potential", 0.2, 0.26, False, -1 + 0.9 * 20 - 10),
        ("potential", 0.26, 0.2, False, -1 + 0.9 * 10 - 20),
        ("potential", 0.45, 0.5, True, -1 + 100 - 20),
    ],
)
def test_what_places_add_to_the_reward(shaping, before, after, arrived, reward):
    assert shaped(-1.0, before, after, arrived, shaping, 0.9) == pytest.approx(reward)


def earned(shaping, places, arrived, discount=0.99):
    """The discounted reward of a path."""
    steps = list(itertools.pairwise(places))
    return sum(discount**n * shaped(-1.0, a, b, arrived and n == len(steps) - 1, shaping, discount)
               for n, (a, b) in enumerate(steps))  # fmt: skip


def test_with_potentials_paths_between_two_places_differ_as_without():
    rng = np.random.default_rng(1)
    for _ in range(20):
        places = rng.uniform(-1.2, 0.49, 30)
        gained = 0.99**29 * worth(places[-1]) - worth(places[0])
        assert earned("potential", places, False) == pytest.approx(earned("none", places, False) + gained)


def test_standing_on_the_slope_pays_more_than_the_flag_only_with_bonuses():
    """A car above 0.39 can hold its place, so that it is paid until the time is up."""
    car = environment()
    car.reset(seed=0)
    car.state = np.array([0.45, 0.0])
    standing, driving = [0.45], [0.45]
    for _ in range(150):
        position, velocity = car.state
        # The push after which the speed is nearest to one that leads back to 0.45.
        speeds = velocity - 0.0025 * np.cos(3 * position) + np.array([-0.001, 0, 0.001])
        action = np.abs(speeds - 0.1 * (0.45 - position)).argmin()
        standing.append(float(car.step(int(action))[0][0]))
    assert min(standing) > 0.4 and max(standing) < 0.5
    car.state, arrived = np.array([0.45, 0.0]), False
    while not arrived:
        observation, _, arrived, _, _ = car.step(2)
        driving.append(float(observation[0]))
    assert earned("bonus", standing, False) > 4 * earned("bonus", driving, True)
    assert earned("potential", standing, False) < 0 < earned("potential", driving, True)


def test_an_attempt_goes_on_from_its_state():
    first = Attempts(5, "training", 40)
    rng = np.random.default_rng(0)
    actions = rng.integers(0, 3, 100)

    def play(attempts, some):
        seen = []
        for action in some:
            _, arrived, over = attempts.act(int(action))
            seen.append(attempts.state.tobytes())
            if over:
                attempts.finish(arrived)
        return seen

    play(first, actions[:57])
    second = Attempts(5, "training", 40)
    second.load_state_dict(first.state_dict())
    assert play(first, actions[57:]) == play(second, actions[57:])
    assert first.tops == second.tops and len(first.tops) == 2 and first.arrivals == [False, False]
    assert Attempts(6, "training", 40).position != Attempts(5, "training", 40).position


class Fixed:
    """An agent that values one action highest, and counts how often it is asked."""

    def __init__(self, action):
        self.asked = 0
        self.row = np.eye(3, dtype=np.float32)[action]

    def values(self, states):
        self.asked += 1
        return np.tile(self.row, (len(states), 1))


@pytest.mark.parametrize("hold", [1, 6])
@pytest.mark.parametrize("epsilon", [0.0, 0.3, 1.0])
def test_the_share_of_random_actions_is_epsilon_however_long_they_are_held(epsilon, hold):
    agent, attempts, draws = Fixed(2), Attempts(1, "training", 200), Draws(1, "exploration", 2)
    taken = [choose(agent, attempts, draws.at(step), epsilon, hold) for step in range(20_000)]
    assert 1 - agent.asked / len(taken) == pytest.approx(epsilon, abs=0.02)
    assert np.mean(np.array(taken) != 2) == pytest.approx(2 / 3 * epsilon, abs=0.03)


def test_greedy_attempts_stop_at_the_flag_or_at_the_limit():
    class Momentum:
        """Pushes in the direction of motion, which gets the car up."""

        def values(self, states):
            return np.eye(3, dtype=np.float32)[np.where(states[:, 1] < 0, 0, 2)]

    paths = drive(Momentum(), 3, "test", 10, 200)
    assert paths.shape == (10, 201, 2) and mountain_car.arrivals(paths).all()
    for path in paths:
        steps = int((~np.isnan(path[:, 0])).sum())
        assert 80 < steps < 200 and np.isnan(path[steps:]).all()
        assert path[steps - 1, 0] >= 0.5 - 1e-6 > path[steps - 2, 0]
    coasting = drive(Fixed(1), 3, "test", 4, 50)
    assert not mountain_car.arrivals(coasting).any() and not np.isnan(coasting).any()
    assert len(np.unique(coasting[:, 0, 0])) == 4 and (np.abs(coasting[:, 0, 0] + 0.5) <= 0.1).all()


# ---------------------------------------------------------------- runs


def test_a_run_leaves_figures_pictures_and_events():
    result = start().execute()
    assert result["steps"] == 500 and json.loads(Path("one/result.json").read_text()) == result
    episodes = [line for line in logged_figures("one") if "reward" in line]
    assert result["metrics"]["episodes"] == len(episodes) == 500 // 60
    assert [line["step"] for line in logged_figures("one") if "greedy_flag_share" in line] == [200, 400]
    pictures = {path.stem: path.read_bytes() for path in Path("one/plots").glob("*.png")}
    assert pictures.keys() == PICTURES and all(data.startswith(b"\x89PNG") for data in pictures.values())
    events = [e for path in Path("one/events").rglob("*tfevents*") for e in summary.read_events(path)]
    tags = {event.tag for event in events if event.tag}
    assert {"reward", "highest", "flag", "steps", "epsilon", "loss", "policy", *result["metrics"]} <= tags
    assert any(event.kind == "graph" for event in events)
    epsilons = [line["epsilon"] for line in episodes]
    assert epsilons == sorted(epsilons, reverse=True) and 0.01 < epsilons[-1] < epsilons[0] < 1


def test_the_seed_decides_the_run(undrawn):
    first, again, other = (start(out, seed=s).execute()["metrics"] for out, s in (("one", 3), ("two", 3), ("six", 4)))
    assert first == again and tensors("one") == tensors("two") and logged_figures("one") == logged_figures("two")
    assert logged_figures("six") != logged_figures("one") and other.keys() == first.keys()


@pytest.mark.parametrize(
    ("step", "end"), [(30, "signal"), (130, "signal"), (430, "signal"), (130, "crash"), (430, "crash")]
)
def test_an_interrupted_run_is_resumed_to_the_same_bits(step, end, undrawn, monkeypatch):
    """Before learning begins, in the middle of an attempt, and with the memory run over."""
    whole = start("whole", checkpoint_every=37).execute()
    keep = Attempts.act
    count = []

    def act(self, action):
        count.append(action)
        if len(count) == step:
            if end == "crash":
                raise RuntimeError("the machine went away")
            os.kill(os.getpid(), signal.SIGTERM)
        return keep(self, action)

    monkeypatch.setattr(Attempts, "act", act)
    with pytest.raises(Interrupted if end == "signal" else RuntimeError):
        start("parts", checkpoint_every=37).execute()
    monkeypatch.setattr(Attempts, "act", keep)
    result = Run.resume("parts", quiet=True).execute()
    assert result["metrics"] == whole["metrics"] and result["steps"] == whole["steps"]
    assert tensors("parts") == tensors("whole") and logged_figures("parts") == logged_figures("whole")


@pytest.mark.parametrize("backend", OTHERS)
def test_other_backends_learn_the_same(backend, undrawn):
    """With random actions alone: a policy would amplify the last digit of a value into another path."""
    only_random = {"epsilon_start": 1, "epsilon_end": 1}
    start("one", **only_random).execute()
    result = start("two", backend, **only_random).execute()
    assert result["backend"] == backend
    for wanted, found in zip(logged_figures("one"), logged_figures("two"), strict=True):
        if "reward" not in found:
            continue
        assert (found.pop("kind"), found) == (wanted.pop("kind"), pytest.approx(wanted, rel=1e-3))


def test_without_gymnasium_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    with pytest.raises(MissingExtraError, match=r"needs gymnasium.*corenn\[rl\]"):
        start().execute()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"epochs": 3}, "epochs changes nothing here"),
        ({"histograms": 1}, "histograms changes nothing"),
        ({"hidden": ""}, "hidden must be one or more"),
        ({"hidden": "50,0"}, "hidden must be one or more"),
        ({"memory": 0}, "memory must be at least 1"),
        ({"hold": 0}, "hold must be at least 1"),
        ({"discount": 1.5}, "discount must be between 0 and 1"),
        ({"epsilon_start": 0.005}, "epsilon_end must be at most epsilon_start"),
        ({"epsilon_steps": 0}, "epsilon_steps must be positive"),
        ({"learning_rate": -1}, "learning_rate must be positive"),
        ({"shaping": "bonuses"}, "shaping takes"),
        ({"optimizer": "adan"}, "no optimizer 'adan'"),
        ({"steps": 0}, "steps must be at least 1"),
    ],
)
def test_settings_that_cannot_work_are_refused(changes, said):
    with pytest.raises(UsageError, match=said):
        MountainCarSettings().change(changes)


def test_epsilon_falls_from_start_to_end():
    chosen = MountainCarSettings(epsilon_start=0.9, epsilon_end=0.1, epsilon_steps=100)
    assert chosen.epsilon(0) == pytest.approx(0.9)
    assert chosen.epsilon(100) == pytest.approx(0.1 + 0.8 / np.e)
    assert chosen.epsilon(5000) == pytest.approx(0.1)


def test_data_that_would_not_be_read_is_refused():
    run = Run.start("dqn-mountain-car", backend="numpy", out="one", quiet=True, dataset="digits")
    with pytest.raises(UsageError, match="makes its data itself"):
        run.execute()


def test_a_log_of_one_line_an_episode(undrawn, monkeypatch):
    seen = []
    keep = RunLoop.log
    monkeypatch.setattr(RunLoop, "log", lambda self, step, **f: (seen.append((step, f)), keep(self, step, **f)))
    start(steps=130).execute()
    assert [step for step, _ in seen] == [60, 120]
    assert all(f["steps"] == 60 and f["flag"] == 0 and -1.2 <= f["highest"] <= 0.6 for _, f in seen)


def test_the_best_policy_seen_is_kept_the_later_of_equals():
    agent, best = DeepQ(2, 3, (4,), Adam(), 0.9, True), BestPolicy()
    slow, fast = np.full((2, 50, 2), 0.1), np.full((2, 50, 2), 0.1)
    slow[:, 40:], fast[:, 30:] = np.nan, np.nan
    slow[:, 39], fast[:, 29] = 0.5, 0.5
    kept = []
    for step, paths in enumerate([np.zeros((2, 50, 2)), slow, fast, slow, fast, np.zeros((2, 50, 2))]):
        for weight in agent.online.weights:
            weight.assign(np.full(weight.shape, step, np.float32))
        best.offer(agent, paths, step)
        kept.append(best.step)
    assert kept == [0, 1, 2, 2, 4, 4] and (best.share, best.length) == (1, 29)
    again = BestPolicy()
    again.load_state_dict(best.state_dict())
    again.give(agent)
    assert all((weight.numpy() == 4).all() for weight in agent.online.weights)


@pytest.mark.slow
def test_after_80000_steps_the_greedy_car_reaches_the_flag(undrawn):
    """In 40 of 50 episodes at least.  Seeds 1, 2 and 3 do in all 50, in 113, 112 and 100 steps on average."""
    backend = "onednn" if "onednn" in OTHERS else "numpy"
    run = Run.start("dqn-mountain-car", backend=backend, seed=1, out="one", quiet=True)
    figures = run.execute()["metrics"]
    assert figures["flag_share"] >= 0.8 and figures["mean_steps"] < 160
