"""``dqn-mountain-car``: deep Q learning drives a car too weak for the hill up to the flag, by gathering momentum.

The environment is gymnasium's MountainCar-v0: a state of position and velocity, three actions (push left, coast, push
right), a reward of -1 for each step, and an end at position 0.5 or after 200 steps.  What goes on top of that reward is
what a place is worth: 10 beyond position 0.1, 20 beyond 0.25, 100 at the flag.  It can be paid in two ways:

- ``shaping=bonus``: at every step, as the document has it.  A car can stand on the slope between 0.39 and 0.5, where
  its engine outdoes gravity, and so earn 20 a step, more than the flag pays.  Agents reach the flag early in training,
  then learn this, and stay below it.
- ``shaping=potential`` (the default): the change of the place's worth, ``discount * worth(after) - worth(before)``.
  Such a reward leaves it open which policy is best (Ng, Harada and Russell 1999), so the flag remains the aim.

Random actions are held for some steps (``hold``): pushes of either direction for a while climb higher than pushes that
change at every step (temporally extended exploration: Dabney, Ostrovski and Barreto 2020, arXiv:2006.01782).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np

from corenn import philox
from corenn.errors import MissingExtraError
from corenn.optimizers import get as get_optimizer
from corenn.schedules import CosineDecay
from corenn.training.run import Run
from corenn.training.run_loop import RunLoop
from corenn.training.task import Settings, Task
from corenn_tasks import mountain_car_pictures
from corenn_tasks.deep_q import Array, DeepQ, Draws, ReplayMemory
from corenn_tasks.stepwise import StepSettings, refuse_data, write_graph

FLAG = 0.5
ACTIONS = ("push left", "coast", "push right")
#: From which position on a place is worth how much.
WORTH = ((0.25, 20.0), (0.1, 10.0))
AT_FLAG = 100.0
_SAVE_EVERY = 10_000
_LOOKED_AT = 20  # greedy attempts at each look
_MAP = 120  # points of a picture along each axis


@dataclasses.dataclass
class MountainCarSettings(StepSettings):
    """How to play and learn.

    ``steps``: actions taken in training, each followed by an update from ``batch_size`` remembered transitions once
    ``learn_from`` are there.  ``episode_steps``: an attempt ends after so many.  ``hidden``: units of the network's
    hidden layers.  ``discount``: what the next step's value counts.  ``double``: choose the next action by the network
    that learns, value it by the target network.  ``memory``: transitions kept.  ``target_every``: steps between copies
    to the target network.  ``epsilon_start``, ``epsilon_end``, ``epsilon_steps``: the share of random actions falls
    from one to the other, exponentially with so many steps.  ``hold``: for how many steps a random action is kept.
    ``shaping``: how the worth of places enters the reward.  ``reward_scale``: rewards are multiplied by it, so that
    values are of the order of 1.  ``schedule``: whether the learning rate stays or falls to zero along a cosine.
    ``look_every``: after so many steps the car drives greedily; what is tested in the end, with ``test_episodes``
    attempts from other starts, is the best policy seen, for the values of deep Q learning can drift away again.
    """

    unused: ClassVar[tuple[str, ...]] = ("epochs", "histograms", "log_every")

    steps: int = 80_000
    batch_size: int = 50
    episode_steps: int = 200
    hidden: tuple[int, ...] = (50, 50)
    optimizer: str = "adam"
    learning_rate: float = 1e-3
    schedule: Literal["constant", "cosine"] = "cosine"
    discount: float = 0.99
    double: bool = True
    memory: int = 100_000
    learn_from: int = 1_000
    target_every: int = 500
    epsilon_start: float = 1.0
    epsilon_end: float = 0.01
    epsilon_steps: float = 8_000.0
    hold: int = 15
    shaping: Literal["potential", "bonus", "none"] = "potential"
    reward_scale: float = 0.01
    look_every: int = 2_500
    test_episodes: int = 50

    def check(self) -> None:
        """Values that make sense, and an optimizer that exists."""
        super().check()
        get_optimizer(self.optimizer)
        for name in ("episode_steps", "memory", "target_every", "hold", "look_every", "test_episodes", "learn_from"):
            self.require(name, getattr(self, name) >= 1, "at least 1")
        for name in ("learning_rate", "epsilon_steps", "reward_scale"):
            self.require(name, getattr(self, name) > 0, "positive")
        for name in ("discount", "epsilon_start", "epsilon_end"):
            self.require(name, 0 <= getattr(self, name) <= 1, "between 0 and 1")
        self.require("epsilon_end", self.epsilon_end <= self.epsilon_start, "at most epsilon_start")
        self.require("hidden", bool(self.hidden) and min(self.hidden) >= 1, "one or more positive numbers of units")

    def epsilon(self, step: int) -> float:
        """The share of random actions at a step."""
        fall = math.exp(-step / self.epsilon_steps)
        return self.epsilon_end + (self.epsilon_start - self.epsilon_end) * fall


def worth(position: float) -> float:
    """What a place before the flag is worth."""
    return next((value for start, value in WORTH if position > start), 0.0)


def shaped(reward: float, before: float, after: float, arrived: bool, shaping: str, discount: float) -> float:
    """The reward of a step from one position to another; ``reward`` is the environment's own."""
    if shaping == "none":
        return reward
    gained = AT_FLAG if arrived else worth(after) * (discount if shaping == "potential" else 1.0)
    return reward + gained - (worth(before) if shaping == "potential" else 0.0)


def environment() -> Any:
    """MountainCar-v0 without a limit on steps; MissingExtraError without gymnasium."""
    try:
        import gymnasium
    except ImportError:
        raise MissingExtraError("dqn-mountain-car", "gymnasium", "rl") from None
    return gymnasium.make("MountainCar-v0").unwrapped


class Attempts:
    """One attempt after another, each from a start that its number decides; all that a resumed run has to know.

    ``state`` is what the network sees: position and velocity float32[2], scaled to [-1, 1].
    """

    def __init__(self, seed: int, purpose: str, limit: int) -> None:
        self._environment = environment()
        space = self._environment.observation_space
        self.low, self.high = space.low, space.high
        self._seed, self._purpose, self._limit = seed, purpose, limit
        self.number = -1
        self.held, self.action = 0, 0  # steps for which a random action is still kept, and which
        self.rewards: list[float] = []  # of each attempt that has ended, with what the places were worth
        self.tops: list[float] = []  # its highest position
        self.arrivals: list[bool] = []
        self.start()

    def start(self) -> None:
        """Begin the next attempt."""
        self.number += 1
        seed = philox.derive(self._seed, self._purpose, self.number) >> 33  # 31 bits, as everywhere accepted
        self._see(self._environment.reset(seed=seed)[0])
        self.taken, self.total, self.held = 0, 0.0, 0
        self.top = self.position

    def _see(self, observation: Array) -> None:
        self.position = float(observation[0])
        self.state: Array = (2 * (observation - self.low) / (self.high - self.low) - 1).astype(np.float32)

    def act(self, action: int) -> tuple[float, bool, bool]:
        """Take an action; the environment's reward, whether the flag is reached, and whether the attempt is over."""
        observation, reward, arrived, _, _ = self._environment.step(action)
        self._see(observation)
        self.taken += 1
        self.top = max(self.top, self.position)
        return float(reward), bool(arrived), bool(arrived) or self.taken >= self._limit

    def finish(self, arrived: bool) -> None:
        """Note what the attempt came to, and begin the next."""
        self.rewards.append(self.total)
        self.tops.append(self.top)
        self.arrivals.append(arrived)
        self.start()

    def state_dict(self) -> dict[str, Any]:
        """The attempt in hand, with the state of the environment, and what those before came to."""
        return {
            "number": self.number, "taken": self.taken, "total": self.total, "top": self.top, "held": self.held,
            "action": self.action, "environment": np.array(self._environment.state, np.float64),
            "observed": self.state, "position": self.position, "rewards": list(self.rewards), "tops": list(self.tops),
            "arrivals": list(self.arrivals),
        }  # fmt: skip

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where ``state_dict`` was taken."""
        for name in ("number", "taken", "total", "top", "held", "action", "position"):
            setattr(self, name, state[name])
        self._environment.state = np.array(state["environment"])
        self.state = np.array(state["observed"])
        self.rewards, self.tops = list(state["rewards"]), list(state["tops"])
        self.arrivals = list(state["arrivals"])


class BestPolicy:
    """The weights that drove best so far, of those that were looked at; of equals the later."""

    def __init__(self) -> None:
        self.share, self.length, self.step = -1.0, 0.0, 0
        self.weights: list[Array] = []

    def offer(self, agent: DeepQ, paths: Array, step: int) -> None:
        """Take the weights of ``agent`` after ``step`` steps if ``paths``, driven by it, are the best seen."""
        share, length = float(arrivals(paths).mean()), float(lengths(paths).mean())
        if (share, -length) >= (self.share, -self.length):
            self.share, self.length, self.step = share, length, step
            self.weights = [weight.numpy() for weight in agent.online.weights]

    def give(self, agent: DeepQ) -> None:
        """Let ``agent`` drive with these weights."""
        for weight, kept in zip(agent.online.weights, self.weights, strict=True):
            weight.assign(kept)

    def state_dict(self) -> dict[str, Any]:
        """The weights, and how well they drove."""
        return {"share": self.share, "length": self.length, "step": self.step, "weights": list(self.weights)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back a ``state_dict``."""
        self.share, self.length, self.step = state["share"], state["length"], state["step"]
        self.weights = list(state["weights"])


class MountainCar(Task):
    """Learns to drive, then drives without random actions, and draws what it learnt."""

    Settings: ClassVar[type[Settings]] = MountainCarSettings
    summary: ClassVar[str] = "deep Q learning: drive a weak car up a hill by gathering momentum"

    def run(self, run: Run) -> dict[str, float]:
        """Play and learn, drive greedily, draw."""
        refuse_data(run)
        chosen: Any = run.settings
        attempts = Attempts(run.seed, "training", chosen.episode_steps)
        optimizer = get_optimizer(chosen.optimizer)
        constant = chosen.schedule == "constant"
        optimizer.learning_rate = (
            chosen.learning_rate if constant else CosineDecay(chosen.learning_rate, decay_steps=chosen.total)
        )
        agent = DeepQ(len(attempts.state), len(ACTIONS), chosen.hidden, optimizer, chosen.discount, chosen.double)
        memory = ReplayMemory(chosen.memory, len(attempts.state))
        best = BestPolicy()
        loop = run.loop(online=agent.online, target=agent.target, optimizer=agent.optimizer, memory=memory,
                        attempts=attempts, best=best)  # fmt: skip
        self.train(run, loop, agent, memory, attempts, best)
        best.offer(agent, drive(agent, run.seed, "look", _LOOKED_AT, chosen.episode_steps), loop.done)
        best.give(agent)
        paths = drive(agent, run.seed, "test", chosen.test_episodes, chosen.episode_steps)
        arrived, taken = arrivals(paths), lengths(paths)
        run.say(f"the policy of step {best.step} reaches the flag in {arrived.sum()} of {len(arrived)} greedy "
                f"episodes, in {taken.mean():.0f} steps on average")  # fmt: skip
        maps = q_maps(agent, attempts, chosen.reward_scale)
        self.draw(run, attempts, paths, maps)
        return {
            "flag_share": float(arrived.mean()),
            "mean_steps": float(taken.mean()),
            "best_step": float(best.step),
            "training_flag_share": float(np.mean(attempts.arrivals)) if attempts.arrivals else 0.0,
            "episodes": float(len(attempts.arrivals)),
        }

    def train(
        self, run: Run, loop: RunLoop, agent: DeepQ, memory: ReplayMemory, attempts: Attempts, best: BestPolicy
    ) -> None:
        """Act, remember, learn: once a step; and look now and then how the car does without random actions."""
        chosen: Any = run.settings
        exploring, replaying = Draws(run.seed, "exploration", 2), Draws(run.seed, "replay", chosen.batch_size)
        loss: Any = None
        for step in loop.steps(chosen.total, save_every=_SAVE_EVERY):
            before, place = attempts.state, attempts.position
            action = choose(agent, attempts, exploring.at(step), chosen.epsilon(step), chosen.hold)
            reward, arrived, over = attempts.act(action)
            reward = shaped(reward, place, attempts.position, arrived, chosen.shaping, chosen.discount)
            attempts.total += reward
            memory.add(before, action, reward * chosen.reward_scale, attempts.state, arrived)
            if memory.added > chosen.learn_from:
                loss = agent.learn(memory.sample(replaying.at(step)))
                if memory.added == chosen.learn_from + 1:
                    write_graph(run, agent.traced)
            if (step + 1) % chosen.target_every == 0:
                agent.synchronize()
            if over:
                figures = {"reward": attempts.total, "highest": attempts.top, "flag": arrived, "steps": attempts.taken,
                           "epsilon": chosen.epsilon(step)}  # fmt: skip
                loop.log(step + 1, **figures, **({} if loss is None else {"loss": loss}))
                attempts.finish(arrived)
            if (step + 1) % chosen.look_every == 0:
                paths = drive(agent, run.seed, "look", _LOOKED_AT, chosen.episode_steps)
                loop.log(step + 1, greedy_flag_share=arrivals(paths).mean(), greedy_steps=lengths(paths).mean())
                best.offer(agent, paths, step + 1)

    def draw(self, run: Run, attempts: Attempts, paths: Array, maps: Array) -> None:
        """Rewards and positions of training, the greedy attempts, the policy and the values."""
        policy = mountain_car_pictures.policy_image(maps)
        run.writer.image("policy", policy[np.newaxis].repeat(3, 1).repeat(3, 2), run.steps, max_outputs=1)
        plots = run.figures()
        if plots is None:
            return
        extent = (float(attempts.low[0]), float(attempts.high[0]), float(attempts.low[1]), float(attempts.high[1]))
        mountain_car_pictures.training(plots, attempts.rewards, attempts.tops, FLAG)
        mountain_car_pictures.greedy(plots, paths[..., 0], FLAG)
        mountain_car_pictures.policy(plots, maps, extent, ACTIONS, paths)
        mountain_car_pictures.values(plots, maps, extent, ACTIONS)


def choose(agent: DeepQ, attempts: Attempts, drawn: Array, epsilon: float, hold: int) -> int:
    """An action: random for a share ``epsilon`` of the steps, in stretches of ``hold``; else the one valued highest."""
    if attempts.held:
        attempts.held -= 1
        return attempts.action
    # A stretch begins with such a probability that the share of random steps becomes epsilon.
    if drawn[0] < epsilon / (hold * (1 - epsilon) + epsilon):
        attempts.held, attempts.action = hold - 1, int(drawn[1] * len(ACTIONS))
        return attempts.action
    return int(agent.values(attempts.state[np.newaxis])[0].argmax())


def drive(agent: DeepQ, seed: int, purpose: str, count: int, limit: int) -> Array:
    """``count`` greedy attempts from starts of their own: positions and velocities float64[count, limit + 1, 2].

    NaN after the end of an attempt.  ``purpose``: other starts for each.
    """
    cars = [Attempts(philox.derive(seed, purpose, number), "start", limit) for number in range(count)]
    paths = np.full((count, limit + 1, 2), np.nan)
    low, high = cars[0].low, cars[0].high

    def note(number: int, step: int) -> None:
        paths[number, step] = low + (cars[number].state + 1) / 2 * (high - low)

    driving = list(range(count))
    for number in driving:
        note(number, 0)
    for step in range(1, limit + 1):
        if not driving:
            break
        # All cars are valued each time, also those that have arrived, so that one traced function serves.
        actions = agent.values(np.stack([car.state for car in cars])).argmax(-1)
        arrived = {number: cars[number].act(int(actions[number]))[1] for number in driving}
        for number in driving:
            note(number, step)
        driving = [number for number in driving if not arrived[number]]
    return paths


def arrivals(paths: Array) -> Array:
    """Which of the attempts reached the flag, bool[count]."""
    highest: Array = np.nanmax(paths[..., 0], axis=1)
    return highest >= FLAG - 1e-6  # positions are float32 of the state that decided


def lengths(paths: Array) -> Array:
    """How many steps the attempts took, int[count]."""
    taken: Array = (~np.isnan(paths[..., 0])).sum(axis=1) - 1
    return taken


def q_maps(agent: DeepQ, attempts: Attempts, scale: float) -> Array:
    """Values of the actions over the states, in rewards: float32[velocity, position, action], both ascending."""
    axis = np.linspace(-1, 1, _MAP, dtype=np.float32)
    position, velocity = np.meshgrid(axis, axis)
    states = np.stack([position.ravel(), velocity.ravel()], axis=-1)
    maps: Array = agent.values(states).reshape(_MAP, _MAP, len(ACTIONS)) / scale
    return maps


__all__ = ["Attempts", "BestPolicy", "MountainCar", "MountainCarSettings", "choose", "drive", "shaped", "worth"]
