"""``information``: of an event, its mean (entropy), cross entropy, KL divergence, and the identities between them."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, ClassVar, Literal

import numpy as np

import corenn
from corenn import losses, nn
from corenn.optimizers import get as get_optimizer
from corenn.tensor import Tensor
from corenn.training.run import Run
from corenn.training.task import Settings, Task
from corenn.variable import Variable
from corenn_tasks import pictures
from corenn_tasks.stepwise import (
    SAVE_EVERY,
    Array,
    StepSettings,
    logged,
    normal,
    refuse_data,
    traced_step,
    write_graph,
)

_NATS_IN = {"bits": math.log(2), "nats": 1.0}


@dataclasses.dataclass
class InformationSettings(StepSettings):
    """``p`` and ``q``: two distributions over the same outcomes.  ``coin``: the chance of heads of an unfair coin.
    ``right``: the probability a classifier gives the true class.  ``unit``: bits or nats.

    ``pairs`` random pairs of distributions over ``outcomes`` check the identities.  In ``steps`` steps of ``optimizer``
    at ``learning_rate``, a softmax learns ``p`` by cross entropy, starting from ``q``.
    """

    steps: int = 300
    p: tuple[float, ...] = (0.9, 0.05, 0.025, 0.025)
    q: tuple[float, ...] = (0.3, 0.2, 0.25, 0.25)
    coin: float = 0.99
    right: float = 0.75
    unit: Literal["bits", "nats"] = "bits"
    pairs: int = 1000
    outcomes: int = 10
    optimizer: str = "adam"
    learning_rate: float = 0.05

    def check(self) -> None:
        """Probabilities that add up to one; ``q`` without zeros, as p would have infinite cross entropy with it."""
        super().check()
        get_optimizer(self.optimizer)
        for name in ("p", "q"):
            values = getattr(self, name)
            fits = len(values) >= 2 and min(values, default=-1) >= 0 and math.isclose(sum(values), 1, abs_tol=1e-6)
            self.require(name, fits, "two or more probabilities that add up to 1")
        self.require("q", len(self.q) == len(self.p) and min(self.q) > 0, f"{len(self.p)} positive probabilities")
        for name in ("coin", "right"):
            self.require(name, 0 < getattr(self, name) < 1, "between 0 and 1")
        self.require("pairs", self.pairs >= 1, "at least 1")
        self.require("outcomes", self.outcomes >= 2, "at least 2")
        self.require("learning_rate", self.learning_rate > 0, "positive")


def information(p: Any) -> Tensor:
    """The information of an event of probability ``p``, in nats: -log p."""
    return -corenn.log(p)


def entropy(p: Any) -> Tensor:
    """The mean information of distributions ``p`` [..., outcomes], in nats: [...]; impossible outcomes add nothing."""
    return -corenn.sum(corenn.xlogy(p, p), axis=-1)


def cross_entropy(p: Any, q: Any) -> Tensor:
    """The mean over ``p`` of the information under ``q`` ([..., outcomes] both), in nats: [...]."""
    return -corenn.sum(corenn.xlogy(p, q), axis=-1)


def kl_divergence(p: Any, q: Any) -> Tensor:
    """What is lost, in nats, when ``q`` stands for ``p`` ([..., outcomes] both): the mean log likelihood ratio."""
    return corenn.sum(corenn.xlogy(p, p) - corenn.xlogy(p, q), axis=-1)


class Information(Task):
    """Measures the document's examples, checks the identities on random distributions, learns one by cross entropy."""

    Settings: ClassVar[type[Settings]] = InformationSettings
    summary: ClassVar[str] = "information, entropy, cross entropy and KL divergence: their identities, measured"

    def run(self, run: Run) -> dict[str, float]:
        """Measure, check, learn, draw."""
        refuse_data(run)
        chosen: Any = run.settings
        scale = 1 / _NATS_IN[chosen.unit]
        p, q = corenn.tensor(chosen.p), corenn.tensor(chosen.q)
        coin = corenn.tensor([chosen.coin, 1 - chosen.coin])
        heads, tails = (information(coin) * scale).numpy().tolist()
        measured = {
            "information_heads": heads, "information_tails": tails, "entropy_coin": float(entropy(coin)) * scale,
            "entropy_p": float(entropy(p)) * scale, "entropy_q": float(entropy(q)) * scale,
            "cross_entropy": float(cross_entropy(p, q)) * scale,
            "kl_p_q": float(kl_divergence(p, q)) * scale, "one_hot_loss": one_hot_loss(chosen.right) * scale,
        }  # fmt: skip
        if min(chosen.p) > 0:  # else it is infinite, as a classifier's divergence from one-hot labels
            measured["kl_q_p"] = float(kl_divergence(q, p)) * scale
        measured = {name: value + 0.0 for name, value in measured.items()}  # no -0.0
        for name, value in measured.items():
            run.say(f"{name.replace('_', ' ')}: {value:.4f} {chosen.unit}")
        worst = identities(run.seed, chosen.pairs, chosen.outcomes)
        mean = worst.pop("mean_kl") * scale
        learnt, figures = self.learn(run, p, scale)
        run.say(f"the identities hold to {max(worst.values()):.1e} nats on {chosen.pairs} pairs; after {chosen.steps} "
                f"steps of cross entropy the softmax is {np.abs(learnt - chosen.p).max():.1e} off p")  # fmt: skip
        self.draw(run, measured, figures, learnt)
        return {**measured, **worst, "mean_kl": mean, "learnt_error": float(np.abs(learnt - chosen.p).max()),
                "learnt_kl": float(kl_divergence(p, corenn.tensor(learnt))) * scale}  # fmt: skip

    def learn(self, run: Run, p: Tensor, scale: float) -> tuple[Array, dict[str, Array]]:
        """Minimise the cross entropy of ``p`` and a softmax; the softmax at the end, and what was logged."""
        chosen: Any = run.settings
        logits = Variable(np.log(np.asarray(chosen.q, np.float32)), name="logits")
        optimizer = get_optimizer(chosen.optimizer)
        optimizer.learning_rate = chosen.learning_rate
        train = traced_step(lambda target: nn.softmax_cross_entropy(target, logits), [logits], optimizer)
        floor = float(entropy(p)) * scale
        loop = run.loop(logits=logits, optimizer=optimizer)
        for step in loop.steps(chosen.total, SAVE_EVERY):
            value = float(train(p)) * scale
            if step == 0:
                write_graph(loop, train)
            if chosen.logs(step + 1):
                loop.log(step + 1, cross_entropy=value, kl_divergence=value - floor)
        return nn.softmax(logits).numpy(), logged(loop)

    def draw(self, run: Run, measured: dict[str, float], figures: dict[str, Array], learnt: Array) -> None:
        """Information and entropy of a coin; the identity as bars; cross entropy falling to the entropy."""
        plots = run.figures()
        if plots is None:
            return
        chosen: Any = run.settings
        scale = 1 / _NATS_IN[chosen.unit]
        figure, (events, coins) = pictures.new_figure(2)
        draw_coin(events, coins, chosen.coin, measured, chosen.unit, scale)
        plots.save(figure, "information")
        figure, (sums, coins) = pictures.new_figure(2)
        draw_identity(sums, measured, chosen.unit)
        draw_divergences(coins, chosen.coin, chosen.unit, scale)
        plots.save(figure, "divergence")
        figure, (time, result) = pictures.new_figure(2)
        steps, values, floor = figures["step"], figures["cross_entropy"], measured["entropy_p"]
        time.fill_between(steps, 0, floor, color=pictures.COLOURS[0], alpha=0.25, linewidth=0, label="entropy of p")
        time.fill_between(steps, floor, values, color=pictures.COLOURS[1], alpha=0.35, linewidth=0, label="KL(p‖q)")
        time.plot(steps, values, color="black", linewidth=1.4, label="cross entropy")
        time.set(xlabel="step", ylabel=chosen.unit, title="learning p by cross entropy", ylim=(0, None))
        time.legend(frameon=False)
        places = np.arange(len(learnt))
        for number, (name, value) in enumerate({"p": chosen.p, "q at first": chosen.q, "q learnt": learnt}.items()):
            result.bar(places + 0.27 * (number - 1), value, width=0.25, label=name,
                       color=(pictures.COLOURS[0], pictures.GREY, pictures.COLOURS[1])[number])  # fmt: skip
        result.set_xticks(places, [str(i + 1) for i in places])
        result.set(xlabel="outcome", title="probabilities")
        result.legend(frameon=False)
        plots.save(figure, "learning")


def one_hot_loss(right: float, classes: int = 10, true: int = 2) -> float:
    """The cross entropy of a one-hot truth and a prediction that gives it ``right`` and shares out the rest, in nats.

    The same from the loss for one-hot labels and from that for class numbers, and -log ``right``.
    """
    predicted = np.full((1, classes), (1 - right) / (classes - 1), np.float32)
    predicted[0, true] = right
    truth = np.eye(classes, dtype=np.float32)[[true]]
    dense = float(losses.CategoricalCrossentropy()(corenn.tensor(truth), corenn.tensor(predicted)))
    sparse = float(losses.SparseCategoricalCrossentropy()(corenn.tensor([true]), corenn.tensor(predicted)))
    return max(dense, sparse)


def identities(seed: int, pairs: int, outcomes: int) -> dict[str, float]:
    """By how much, in nats and at worst, float64 breaks what holds for all of ``pairs`` random distributions p and q.

    ``sum_error``: H(p, q) = H(p) + KL(p, q).  ``self_error``: KL(p, p) = 0.  ``negative``: KL(p, q) >= 0 and
    H(p) >= 0.  ``above_uniform``: H(p) <= log outcomes.  ``information_error``: H(p) is the mean information.
    ``mean_kl`` is no error: the mean divergence of the pairs.
    """
    draws = 2.0 * normal(seed, "distributions", 2, pairs, outcomes)
    p, q = (nn.softmax(corenn.tensor(part, dtype="float64")) for part in draws)
    divergence, own = kl_divergence(p, q), entropy(p)
    wrong = {
        "sum_error": corenn.abs(cross_entropy(p, q) - own - divergence),
        "self_error": corenn.abs(kl_divergence(p, p)),
        "negative": corenn.maximum(-divergence, -own),
        "above_uniform": own - math.log(outcomes),
        "information_error": corenn.abs(corenn.sum(p * information(p), axis=-1) - own),
    }
    worst = {name: max(0.0, float(corenn.max(values))) for name, values in wrong.items()}
    return {**worst, "mean_kl": float(corenn.mean(divergence))}


def draw_coin(events: Any, coins: Any, coin: float, measured: dict[str, float], unit: str, scale: float) -> None:
    """The information of an event by its probability, and the entropy of a coin, with the unfair coin marked."""
    line = np.linspace(0.002, 1, 400)
    events.plot(line, -np.log(line) * scale, color=pictures.COLOURS[0])
    for name, chance in (("heads", coin), ("tails", 1 - coin)):
        value = measured[f"information_{name}"]
        events.plot([chance], [value], "o", color=pictures.COLOURS[1])
        side = -1 if chance > 0.5 else 1
        away = (side * 8, 20 if chance > 0.5 else 6)
        events.annotate(f"{name}: {value:.3g} {unit}", (chance, value), away, textcoords="offset points",
                        bbox=pictures.GROUND, ha="right" if side < 0 else "left")  # fmt: skip
    events.set(xlabel="probability of the event", ylabel=unit, title="information: -log p")
    line = np.linspace(1e-6, 1 - 1e-6, 401)
    coins.plot(line, -(line * np.log(line) + (1 - line) * np.log(1 - line)) * scale, color=pictures.COLOURS[0])
    coins.plot([coin], [measured["entropy_coin"]], "o", color=pictures.COLOURS[1])
    side = -1 if coin > 0.5 else 1
    coins.annotate(f"this coin: {measured['entropy_coin']:.3g} {unit}", (coin, measured["entropy_coin"]),
                   (side * 26, 0), textcoords="offset points", va="center", bbox=pictures.GROUND,
                   ha="right" if side < 0 else "left")  # fmt: skip
    coins.set(xlabel="probability of heads", ylabel=unit, title="entropy of a coin", ylim=(0, None))


def draw_identity(axes: Any, measured: dict[str, float], unit: str) -> None:
    """Cross entropy beside entropy and divergence on top of each other."""
    own, divergence, cross = (measured[name] for name in ("entropy_p", "kl_p_q", "cross_entropy"))
    axes.bar(["H(p, q)"], [cross], color=pictures.GREY, width=0.55)
    axes.bar(["H(p) + KL(p‖q)"], [own], color=pictures.COLOURS[0], width=0.55)
    axes.bar(["H(p) + KL(p‖q)"], [divergence], bottom=[own], color=pictures.COLOURS[1], width=0.55)
    middle = {"ha": "center", "va": "center", "color": "white"}
    axes.text(0, cross / 2, f"{cross:.3f}", **middle)
    for text, part, bottom in (("H(p)", own, 0.0), ("KL", divergence, own)):
        if part > 0.06 * cross:  # else there is no room in the bar
            axes.text(1, bottom + part / 2, f"{text} {part:.3f}", **middle)
    if "kl_q_p" in measured:
        axes.bar(["KL(q‖p)"], [measured["kl_q_p"]], color=pictures.COLOURS[3], width=0.55)
        axes.text(2, measured["kl_q_p"] / 2, f"{measured['kl_q_p']:.3f}", **middle)
    axes.set(ylabel=unit, title="cross entropy = entropy + divergence")
    axes.grid(False, axis="x")


def draw_divergences(axes: Any, coin: float, unit: str, scale: float) -> None:
    """Cross entropy and both divergences of the coin and another one, by the other's probability of heads."""
    line = np.linspace(0.005, 0.995, 397)
    p, q = np.array([coin, 1 - coin]), np.stack([line, 1 - line], axis=1)
    curves = {"H(p, q)": -(np.log(q) @ p), "KL(p‖q)": (np.log(p) - np.log(q)) @ p,
              "KL(q‖p)": (q * (np.log(q) - np.log(p))).sum(1)}  # fmt: skip
    for (name, values), colour in zip(curves.items(), (pictures.GREY, *pictures.COLOURS[1::2]), strict=False):
        axes.plot(line, values * scale, color=colour, label=name, linewidth=1.5)
    axes.axvline(coin, color="black", linestyle=":", linewidth=1, label="q = p")
    axes.set(xlabel="q: probability of heads", ylabel=unit, title=f"a coin p with heads in {coin:.0%}, and a coin q")
    axes.legend(frameon=False, loc="upper center")


__all__ = ["Information", "InformationSettings", "cross_entropy", "entropy", "identities", "information",
           "kl_divergence", "one_hot_loss"]  # fmt: skip
