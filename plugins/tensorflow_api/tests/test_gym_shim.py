"""``gym``: the old calls over gymnasium."""

from __future__ import annotations

import importlib.util
import sys

import pytest

from corenn.errors import MissingExtraError, UsageError

needs_gymnasium = pytest.mark.skipif(importlib.util.find_spec("gymnasium") is None, reason="gymnasium is not installed")


def test_without_gymnasium_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    monkeypatch.delitem(sys.modules, "corenn_tensorflow.gym_shim", raising=False)
    with pytest.raises(MissingExtraError) as caught:
        importlib.import_module("corenn_tensorflow.gym_shim")
    assert str(caught.value) == "gym: needs gymnasium, which is not installed: pip install 'corenn[rl]'"


@pytest.fixture
def gym():
    from corenn_tensorflow import gym_shim

    gym_shim._noticed.clear()
    return gym_shim


@needs_gymnasium
def test_an_episode_by_the_old_calls(gym):
    import gymnasium

    env = gym.make("MountainCar-v0")
    assert env.seed(3) == [3]
    observation = env.reset()
    real = gymnasium.make("MountainCar-v0")
    assert (observation == real.reset(seed=3)[0]).all()
    assert (env.action_space.n, env.observation_space.shape, env._max_episode_steps) == (3, (2,), 200)
    for step in range(200):
        observation, reward, done, info = env.step(1)
        assert (observation == real.step(1)[0]).all() and type(reward) is float and type(done) is bool
        assert done == (step == 199)
    assert info["TimeLimit.truncated"] is True
    assert (env.reset() == real.reset()[0]).all()  # a seed counts once
    env.close()


@needs_gymnasium
def test_a_version_that_is_gone_gives_way_to_the_newest_with_one_notice(gym, capsys):
    for _ in range(2):
        assert gym.make("Pendulum-v0").spec.id == "Pendulum-v1"
    assert capsys.readouterr().err == "gym.make: gymnasium has no Pendulum-v0; Pendulum-v1 is used\n"
    assert gym.make("CartPole-v0").spec.max_episode_steps == 200  # still there: nothing to say
    assert capsys.readouterr().err == ""
    with pytest.raises(UsageError, match="no environment 'CartPoll-v0'") as caught:
        gym.make("CartPoll-v0")
    assert "CartPole-v0" in str(caught.value)


@needs_gymnasium
@pytest.mark.parametrize("bare", ["unwrapped", "env"])
def test_an_environment_without_its_limit_has_the_old_calls(gym, bare):
    env = getattr(gym.make("CartPole-v1"), bare)
    assert env.seed(3) == [3]
    first = env.reset()
    assert first.shape == (4,) and len(env.step(0)) == 4 and env.unwrapped is env and env.action_space.n == 2
    env.x_threshold = 0.0  # an attribute of the environment itself
    env.reset()
    assert env.step(1)[2]


@needs_gymnasium
def test_rendering_is_asked_for_when_it_is_called(gym):
    pytest.importorskip("pygame")
    env = gym.make("CartPole-v1")
    env.reset()
    assert env.render(mode="rgb_array").shape == (400, 600, 3)
    with pytest.raises(UsageError, match="no mode 'pdf'"):
        env.render("pdf")


@needs_gymnasium
def test_environments_and_wrappers_of_the_script(gym):
    class Corridor(gym.Env):
        action_space, observation_space = gym.spaces.Discrete(2), gym.spaces.Discrete(9)

        def __init__(self, length=9):
            self.length, self.at = length, 0

        def reset(self):
            self.at = 0
            return self.at

        def step(self, action):
            self.at += action
            return self.at, 1.0, self.at == self.length, {}

    class Doubled(gym.ObservationWrapper):
        def observation(self, observation):
            return 2 * observation

    gym.envs.registration.register(id="Corridor-v0", entry_point=Corridor, max_episode_steps=4, kwargs={"length": 3})
    env = Doubled(gym.make("Corridor-v0"))
    assert isinstance(env, gym.Env) and isinstance(env.unwrapped, Corridor) and env.length == 3
    env.reset()
    assert [env.step(1)[0::2] for _ in range(3)] == [(2, False), (4, False), (6, True)]
    assert env.reset() == 0
    assert [env.step(0)[2:] for _ in range(4)][2:] == [(False, {}), (True, {"TimeLimit.truncated": True})]


@needs_gymnasium
def test_through_the_import_hook(gym, hook):
    import gymnasium

    if "gym" not in __import__("corenn_tensorflow.importing", fromlist=["_finder"])._finder.roots:
        pytest.skip("a real gym is installed")
    found: dict[str, object] = {}
    exec("import gym\nfrom gym import spaces\nfrom gym.envs.registration import register", found)
    assert found["gym"] is gym and found["spaces"] is gymnasium.spaces and found["register"] is gym.register
    with pytest.raises(AttributeError, match=r"gym\.wrappers\.Monitor.*\n.*gymnasium\.wrappers\.RecordVideo"):
        gym.wrappers.Monitor
