"""``gym`` for scripts from before gymnasium: the old calls over gymnasium's environments.

``env.reset()`` returns the observation, ``env.step(action)`` returns (observation, reward, done, info),
``env.seed(n)`` and ``env.render(mode)`` exist.  ``done`` is terminated or truncated; a truncated episode has
``info["TimeLimit.truncated"]``.
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from corenn.errors import MissingExtraError, UsageError, nearest
from corenn.random import fresh_seed
from corenn_tensorflow import missing

try:
    import gymnasium
    from gymnasium import error, spaces, utils
except ModuleNotFoundError as lacking:
    if lacking.name != "gymnasium":
        raise
    raise MissingExtraError("gym", "gymnasium", "rl") from None

_ID = re.compile(r"(?P<name>.+)-v(?P<version>\d+)$")
_noticed: set[str] = set()
_registered: dict[str, tuple[Any, int | None, dict[str, Any]]] = {}


class Env:
    """An environment with the old calls; subclasses define ``step`` and ``reset``, and may define the rest."""

    metadata: dict[str, Any] = {"render.modes": []}  # noqa: RUF012  subclasses replace it, as they always did
    reward_range = (-float("inf"), float("inf"))
    spec: Any = None
    action_space: Any = None
    observation_space: Any = None

    def step(self, action: Any) -> tuple[Any, float, bool, dict[str, Any]]:
        """Take an action: observation, reward, whether the episode has ended, and more about it."""
        raise NotImplementedError

    def reset(self) -> Any:
        """Begin an episode: its first observation."""
        raise NotImplementedError

    def render(self, mode: str = "human") -> Any:
        """Show the environment, or with ``"rgb_array"`` return its picture."""
        raise NotImplementedError

    def close(self) -> None:
        """Free what the environment holds."""

    def seed(self, seed: int | None = None) -> list[int | None]:
        """Seed what is random from the next reset on."""
        return [seed]

    @property
    def unwrapped(self) -> Any:
        """The environment inside all wrappers."""
        return self

    def __enter__(self) -> Env:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class _FromGymnasium(Env):
    """A gymnasium environment behind the old calls; anything else is asked of it."""

    def __init__(self, env: Any) -> None:
        self._inner = env
        self._seed: int | None = None
        self.action_space, self.observation_space = env.action_space, env.observation_space
        self.metadata = {**env.metadata, "render.modes": env.metadata.get("render_modes", [])}
        self.spec = env.spec

    def reset(self) -> Any:
        """Begin an episode."""
        seed, self._seed = self._seed, None  # it counts once; later episodes go on from there
        return self._inner.reset(seed=seed)[0]

    def step(self, action: Any) -> tuple[Any, float, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, info = self._inner.step(action)
        if truncated:
            info = {**info, "TimeLimit.truncated": not terminated}
        return observation, float(reward), bool(terminated or truncated), info

    def seed(self, seed: int | None = None) -> list[int | None]:
        self._seed = seed
        self.action_space.seed(seed)
        return [seed]

    def render(self, mode: str = "human") -> Any:
        inner = self._inner.unwrapped
        if inner.render_mode != mode:  # the old call says each time what gymnasium wants to know at the start
            known = inner.metadata.get("render_modes", [])
            if mode not in known:
                raise UsageError("env.render", f"there is no mode {mode!r}", hint=nearest(mode, known))
            inner.render_mode = mode
        return inner.render()

    def close(self) -> None:
        self._inner.close()

    @property
    def unwrapped(self) -> Any:
        return _Unwrapped(self._inner.unwrapped)

    @property
    def env(self) -> Any:
        """What gym's only wrapper, the limit of steps, was around; scripts took it off so."""
        return self.unwrapped

    @property
    def _max_episode_steps(self) -> int | None:
        limit = self._time_limit()
        return limit._max_episode_steps if limit is not None else None

    @_max_episode_steps.setter
    def _max_episode_steps(self, steps: int) -> None:  # scripts lengthened episodes so
        limit = self._time_limit()
        if limit is None:
            raise UsageError("env._max_episode_steps", "the environment has no limit of steps")
        limit._max_episode_steps = steps

    def _time_limit(self) -> Any:
        layer = self._inner
        while layer is not self._inner.unwrapped and not isinstance(layer, gymnasium.wrappers.TimeLimit):
            layer = layer.env
        return layer if isinstance(layer, gymnasium.wrappers.TimeLimit) else None

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "_inner":
            raise AttributeError(name)
        return getattr(self._inner.unwrapped, name)

    def __repr__(self) -> str:
        return f"<{self.spec.id if self.spec is not None else self._inner}>"


class _Unwrapped(_FromGymnasium):
    """A gymnasium environment without its wrappers, behind the old calls; its attributes can be set, too."""

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        inner = self.__dict__["_inner"]
        if hasattr(inner, name):
            setattr(inner, name, value)

    def __getattr__(self, name: str) -> Any:
        self.__dict__.pop(name, None)
        return super().__getattr__(name)

    @property
    def unwrapped(self) -> Any:
        return self


class Wrapper(Env):
    """An environment around another, to which it passes everything on."""

    def __init__(self, env: Env) -> None:
        self.env = env
        self.action_space, self.observation_space = env.action_space, env.observation_space
        self.metadata, self.reward_range, self.spec = env.metadata, env.reward_range, env.spec

    def step(self, action: Any) -> tuple[Any, float, bool, dict[str, Any]]:
        """Take an action."""
        return self.env.step(action)

    def reset(self, **options: Any) -> Any:
        """Begin an episode."""
        return self.env.reset(**options)

    def render(self, mode: str = "human", **options: Any) -> Any:
        """Show the environment, or return its picture."""
        return self.env.render(mode, **options)

    def close(self) -> None:
        """Free what the environment holds."""
        self.env.close()

    def seed(self, seed: int | None = None) -> list[int | None]:
        """Seed what is random."""
        return self.env.seed(seed)

    @property
    def unwrapped(self) -> Any:
        """The environment inside all wrappers."""
        return self.env.unwrapped

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name == "env":
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(self.env, name)


class ObservationWrapper(Wrapper):
    """A wrapper that changes observations by its method ``observation``."""

    def reset(self, **options: Any) -> Any:
        """Begin an episode."""
        return self.observation(self.env.reset(**options))

    def step(self, action: Any) -> tuple[Any, float, bool, dict[str, Any]]:
        """Take an action."""
        observation, reward, done, info = self.env.step(action)
        return self.observation(observation), reward, done, info

    def observation(self, observation: Any) -> Any:
        """The observation to show instead."""
        raise NotImplementedError


class RewardWrapper(Wrapper):
    """A wrapper that changes rewards by its method ``reward``."""

    def step(self, action: Any) -> tuple[Any, float, bool, dict[str, Any]]:
        """Take an action."""
        observation, reward, done, info = self.env.step(action)
        return observation, self.reward(reward), done, info

    def reward(self, reward: float) -> float:
        """The reward to give instead."""
        raise NotImplementedError


class ActionWrapper(Wrapper):
    """A wrapper that changes actions by its method ``action``."""

    def step(self, action: Any) -> tuple[Any, float, bool, dict[str, Any]]:
        """Take an action."""
        return self.env.step(self.action(action))

    def action(self, action: Any) -> Any:
        """The action to take instead."""
        raise NotImplementedError


class TimeLimit(Wrapper):
    """Ends an episode after ``max_episode_steps`` steps, with ``info["TimeLimit.truncated"]``."""

    def __init__(self, env: Env, max_episode_steps: int) -> None:
        super().__init__(env)
        self._max_episode_steps, self._elapsed_steps = max_episode_steps, 0

    def reset(self, **options: Any) -> Any:
        """Begin an episode."""
        self._elapsed_steps = 0
        return self.env.reset(**options)

    def step(self, action: Any) -> tuple[Any, float, bool, dict[str, Any]]:
        """Take an action."""
        observation, reward, done, info = self.env.step(action)
        self._elapsed_steps += 1
        if self._elapsed_steps >= self._max_episode_steps:
            info, done = {**info, "TimeLimit.truncated": not done}, True
        return observation, reward, done, info


def make(id: str, **options: Any) -> Env:
    """The environment ``id``, as of gymnasium or of ``register``.

    A version that gymnasium does not have gives way to its newest, with a line on stderr.  Raises ``UsageError`` for
    a name it does not have.
    """
    if id in _registered:
        entry_point, limit, given = _registered[id]
        if isinstance(entry_point, str):
            module, _, attribute = entry_point.partition(":")
            entry_point = getattr(importlib.import_module(module), attribute)
        env = entry_point(**{**given, **options})
        if not isinstance(env, Env):
            env = _FromGymnasium(_seeded(env))
        return env if limit is None else TimeLimit(env, limit)
    # The record rather than the id: gymnasium need not remark on every version that is not the newest.
    return _FromGymnasium(_seeded(gymnasium.make(gymnasium.registry[_known_id(id)], **options)))


def _seeded(env: Any) -> Any:
    """``env`` with fresh seeds, until a script gives others; of itself gymnasium asks the operating system."""
    if isinstance(env, gymnasium.Env):
        env.unwrapped.np_random = utils.seeding.np_random(fresh_seed("gym"))[0]
        for space in (env.action_space, env.observation_space):
            space.seed(fresh_seed("gym"))
    return env


def _known_id(id: str) -> str:
    if id in gymnasium.registry:
        return id
    asked = _ID.match(id)
    versions = {
        int(found["version"]): known
        for known in gymnasium.registry
        if (found := _ID.match(known)) and asked and found["name"] == asked["name"]
    }
    if not versions:
        raise UsageError("gym.make", f"there is no environment {id!r}", hint=nearest(id, gymnasium.registry))
    newest: str = versions[max(versions)]
    if id not in _noticed:
        _noticed.add(id)
        print(f"gym.make: gymnasium has no {id}; {newest} is used", file=sys.stderr)
    return newest


def register(
    id: str,
    entry_point: str | Callable[..., Any],
    max_episode_steps: int | None = None,
    kwargs: dict[str, Any] | None = None,
    reward_threshold: float | None = None,
    nondeterministic: bool = False,
) -> None:
    """Make ``make(id)`` call ``entry_point`` (a class, or ``"module:Class"``) with ``kwargs``."""
    if _ID.match(id) is None:
        raise UsageError("gym.register", f"{id!r} is not of the form Name-v0")
    _registered[id] = (entry_point, max_episode_steps, dict(kwargs or {}))


def _namespace(name: str, **members: Any) -> ModuleType:
    module = ModuleType(f"{__name__}.{name}")
    module.__dict__.update(members, __path__=[], __all__=sorted(members))
    module.__dict__["__getattr__"] = _guard(module)
    return module


def _guard(module: ModuleType) -> Callable[[str], Any]:
    def explain(name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")
        raise missing.missing_name(module.__name__, name, missing.public_names(module))

    return explain


wrappers = _namespace("wrappers", TimeLimit=TimeLimit)
core = _namespace("core", Env=Env, Wrapper=Wrapper, ObservationWrapper=ObservationWrapper,
                  RewardWrapper=RewardWrapper, ActionWrapper=ActionWrapper)  # fmt: skip
envs = _namespace("envs", registration=_namespace("envs.registration", register=register, make=make),
                  register=register, registry=gymnasium.registry)  # fmt: skip

__getattr__ = missing.guard(__name__)

__all__ = [
    "ActionWrapper",
    "Env",
    "ObservationWrapper",
    "RewardWrapper",
    "Wrapper",
    "core",
    "envs",
    "error",
    "make",
    "register",
    "spaces",
    "utils",
    "wrappers",
]
