"""Optimizer updates, in blocks that stay in the cache: each array is read once and each result written once.

Run op by op, Adam on a large variable moves some 25 arrays through memory; in blocks it moves 7.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from corenn.backend import Kernel

Array = np.ndarray[Any, Any]

#: Elements per block: small enough for what one call writes to be in the cache for the next, and worth the calls.
BLOCK = 1 << 16


def in_blocks(step: Callable[..., None], arrays: Sequence[Array], results: int, scratch: int = 0) -> tuple[Array, ...]:
    """Call ``step(*parts of arrays, *parts of fresh results, *scratch)`` for block after block of flat arrays.

    Returns the results, shaped like the first array.  ``scratch``: how many buffers of a block's size ``step`` needs.
    """
    first = arrays[0]
    size = first.size
    flat = [np.ascontiguousarray(a).reshape(-1) for a in arrays]
    flat += [np.empty(size, first.dtype) for _ in range(results)]
    spare = [np.empty(min(size, BLOCK), first.dtype) for _ in range(scratch)]
    if size <= BLOCK:
        step(*flat, *spare)
    else:
        for start in range(0, size, BLOCK):
            parts = [a[start : start + BLOCK] for a in flat]
            length = parts[0].size
            step(*parts, *(spare if length == BLOCK else [s[:length] for s in spare]))
    return tuple([a.reshape(first.shape) for a in flat[len(arrays) :]])


def _settle(variable: Array, step: Array, rate: float, weight_decay: float, out: Array) -> None:
    """``out = variable * (1 - rate * weight_decay) - step``."""
    if weight_decay:
        np.multiply(variable, 1 - rate * weight_decay, out=out)
        np.subtract(out, step, out=out)
    else:
        np.subtract(variable, step, out=out)


def _mix(mean: Array, value: Array, rate: float, out: Array) -> None:
    """``out = rate * mean + (1 - rate) * value``; ``out`` must be neither."""
    np.subtract(value, mean, out=out)
    np.multiply(out, 1 - rate, out=out)
    np.add(out, mean, out=out)


def _correction(beta: float, step: float) -> float:
    """``1 - beta ** step``, to full precision."""
    return -math.expm1(step * math.log(beta)) if beta else 1.0


def sgd_update(variable: Array, gradient: Array, learning_rate: Array, *, weight_decay: float) -> Array:
    """See the op."""
    rate = float(learning_rate)

    def step(w: Array, g: Array, w_new: Array, s: Array) -> None:
        np.multiply(g, rate, out=s)
        _settle(w, s, rate, weight_decay, w_new)

    return in_blocks(step, (variable, gradient), 1, 1)[0]


def momentum_update(
    variable: Array, gradient: Array, velocity: Array, learning_rate: Array, *,
    momentum: float, nesterov: bool, velocity_of: str, weight_decay: float,
) -> tuple[Array, ...]:  # fmt: skip
    """See the op."""
    rate = float(learning_rate)

    def of_variable(w: Array, g: Array, v: Array, w_new: Array, v_new: Array, s: Array, ahead: Array) -> None:
        np.multiply(g, rate, out=s)
        np.multiply(v, momentum, out=v_new)
        v_new -= s
        if nesterov:
            s -= np.multiply(v_new, momentum, out=ahead)
        else:
            np.negative(v_new, out=s)
        _settle(w, s, rate, weight_decay, w_new)

    def of_gradient(w: Array, g: Array, v: Array, w_new: Array, v_new: Array, s: Array, ahead: Array) -> None:
        np.multiply(v, momentum, out=v_new)
        v_new += g
        if nesterov:
            np.multiply(v_new, momentum, out=s)
            s += g
            s *= rate
        else:
            np.multiply(v_new, rate, out=s)
        _settle(w, s, rate, weight_decay, w_new)

    return in_blocks(of_gradient if velocity_of == "gradient" else of_variable, (variable, gradient, velocity), 2, 2)


def adam_update(
    variable: Array, gradient: Array, m: Array, v: Array, learning_rate: Array, step: Array, *,
    beta_1: float, beta_2: float, epsilon: float, nesterov: bool, weight_decay: float,
) -> tuple[Array, ...]:  # fmt: skip
    """See the op."""
    rate, count = float(learning_rate), float(step)
    alpha = rate * math.sqrt(_correction(beta_2, count)) / _correction(beta_1, count)

    def update(w: Array, g: Array, m: Array, v: Array, w_new: Array, m_new: Array, v_new: Array, s: Array) -> None:
        _mix(m, g, beta_1, m_new)
        np.multiply(g, g, out=s)
        _mix(v, s, beta_2, v_new)
        np.sqrt(v_new, out=s)
        s += epsilon
        if nesterov:  # w_new serves as scratch until it is settled
            _mix(m_new, g, beta_1, w_new)
            np.divide(w_new, s, out=s)
        else:
            np.divide(m_new, s, out=s)
        s *= alpha
        _settle(w, s, rate, weight_decay, w_new)

    return in_blocks(update, (variable, gradient, m, v), 3, 1)


def amsgrad_update(
    variable: Array, gradient: Array, m: Array, v: Array, v_max: Array, learning_rate: Array, step: Array, *,
    beta_1: float, beta_2: float, epsilon: float, weight_decay: float,
) -> tuple[Array, ...]:  # fmt: skip
    """See the op."""
    rate, count = float(learning_rate), float(step)
    alpha = rate * math.sqrt(_correction(beta_2, count)) / _correction(beta_1, count)

    def update(
        w: Array, g: Array, m: Array, v: Array, top: Array, w_new: Array, m_new: Array, v_new: Array, top_new: Array,
        s: Array,
    ) -> None:  # fmt: skip
        _mix(m, g, beta_1, m_new)
        np.multiply(g, g, out=s)
        _mix(v, s, beta_2, v_new)
        np.maximum(top, v_new, out=top_new)
        np.sqrt(top_new, out=s)
        s += epsilon
        np.divide(m_new, s, out=s)
        s *= alpha
        _settle(w, s, rate, weight_decay, w_new)

    return in_blocks(update, (variable, gradient, m, v, v_max), 4, 1)


def adamax_update(
    variable: Array, gradient: Array, m: Array, u: Array, learning_rate: Array, step: Array, *,
    beta_1: float, beta_2: float, epsilon: float, weight_decay: float,
) -> tuple[Array, ...]:  # fmt: skip
    """See the op."""
    rate = float(learning_rate)
    alpha = rate / _correction(beta_1, float(step))

    def update(w: Array, g: Array, m: Array, u: Array, w_new: Array, m_new: Array, u_new: Array, s: Array) -> None:
        _mix(m, g, beta_1, m_new)
        np.abs(g, out=s)
        np.multiply(u, beta_2, out=u_new)
        np.maximum(u_new, s, out=u_new)
        np.add(u_new, epsilon, out=s)
        np.divide(m_new, s, out=s)
        s *= alpha
        _settle(w, s, rate, weight_decay, w_new)

    return in_blocks(update, (variable, gradient, m, u), 3, 1)


def nadam_update(
    variable: Array, gradient: Array, m: Array, v: Array, learning_rate: Array, step: Array, momentum_product: Array, *,
    beta_1: float, beta_2: float, epsilon: float, weight_decay: float, schedule_decay: float,
) -> tuple[Array, ...]:  # fmt: skip
    """See the op."""
    rate, count, product = float(learning_rate), float(step), float(momentum_product)
    now, later = (beta_1 * (1 - 0.5 * 0.96 ** (schedule_decay * t)) for t in (count, count + 1))
    of_m, of_g = rate * later / (1 - product * later), rate * (1 - now) / (1 - product)
    correction = _correction(beta_2, count)

    def update(
        w: Array, g: Array, m: Array, v: Array, w_new: Array, m_new: Array, v_new: Array, s: Array, size: Array
    ) -> None:
        _mix(m, g, beta_1, m_new)
        np.multiply(g, g, out=s)
        _mix(v, s, beta_2, v_new)
        np.divide(v_new, correction, out=size)
        np.sqrt(size, out=size)
        size += epsilon
        np.multiply(m_new, of_m, out=s)
        s += np.multiply(g, of_g, out=w_new)
        s /= size
        _settle(w, s, rate, weight_decay, w_new)

    return in_blocks(update, (variable, gradient, m, v), 3, 2)


def lion_update(
    variable: Array,
    gradient: Array,
    m: Array,
    learning_rate: Array,
    *,
    beta_1: float,
    beta_2: float,
    weight_decay: float,
) -> tuple[Array, ...]:
    """See the op."""
    rate = float(learning_rate)

    def update(w: Array, g: Array, m: Array, w_new: Array, m_new: Array, s: Array) -> None:
        _mix(m, g, beta_1, s)
        np.sign(s, out=s)
        s *= rate
        _mix(m, g, beta_2, m_new)
        _settle(w, s, rate, weight_decay, w_new)

    return in_blocks(update, (variable, gradient, m), 2, 1)


# ---------------------------------------------------------------- dividing by accumulated gradients


def _scale(gradient: Array, squares: Array, epsilon: float, inside: bool, out: Array) -> None:
    """``out = gradient / sqrt(squares + epsilon)``, or with ``epsilon`` outside the root."""
    if inside:
        np.add(squares, epsilon, out=out)
        np.sqrt(out, out=out)
    else:
        np.sqrt(squares, out=out)
        out += epsilon
    np.divide(gradient, out, out=out)


def adagrad_update(
    variable: Array, gradient: Array, accumulator: Array, learning_rate: Array, *,
    epsilon: float, epsilon_inside: bool, weight_decay: float,
) -> tuple[Array, ...]:  # fmt: skip
    """See the op."""
    rate = float(learning_rate)

    def update(w: Array, g: Array, a: Array, w_new: Array, a_new: Array, s: Array) -> None:
        np.multiply(g, g, out=a_new)
        a_new += a
        _scale(g, a_new, epsilon, epsilon_inside, s)
        s *= rate
        _settle(w, s, rate, weight_decay, w_new)

    return in_blocks(update, (variable, gradient, accumulator), 2, 1)


def adadelta_update(
    variable: Array, gradient: Array, accumulator: Array, accumulated_update: Array, learning_rate: Array, *,
    rho: float, epsilon: float, weight_decay: float,
) -> tuple[Array, ...]:  # fmt: skip
    """See the op."""
    rate = float(learning_rate)

    def update(w: Array, g: Array, a: Array, u: Array, w_new: Array, a_new: Array, u_new: Array, s: Array) -> None:
        np.multiply(g, g, out=s)
        _mix(a, s, rho, a_new)
        np.add(u, epsilon, out=s)
        np.add(a_new, epsilon, out=w_new)  # w_new and u_new serve as scratch until they are written
        s /= w_new
        np.sqrt(s, out=s)
        s *= g
        np.multiply(s, s, out=w_new)
        _mix(u, w_new, rho, u_new)
        s *= rate
        _settle(w, s, rate, weight_decay, w_new)

    return in_blocks(update, (variable, gradient, accumulator, accumulated_update), 3, 1)


def rmsprop_update(
    variable: Array, gradient: Array, mean_square: Array, learning_rate: Array, *,
    rho: float, epsilon: float, epsilon_inside: bool, weight_decay: float,
) -> tuple[Array, ...]:  # fmt: skip
    """See the op."""
    rate = float(learning_rate)

    def update(w: Array, g: Array, a: Array, w_new: Array, a_new: Array, s: Array) -> None:
        np.multiply(g, g, out=s)
        _mix(a, s, rho, a_new)
        _scale(g, a_new, epsilon, epsilon_inside, s)
        s *= rate
        _settle(w, s, rate, weight_decay, w_new)

    return in_blocks(update, (variable, gradient, mean_square), 2, 1)


def rmsprop_momentum_update(
    variable: Array, gradient: Array, mean_square: Array, velocity: Array, learning_rate: Array, *,
    rho: float, momentum: float, epsilon: float, epsilon_inside: bool, weight_decay: float,
) -> tuple[Array, ...]:  # fmt: skip
    """See the op."""
    rate = float(learning_rate)

    def update(w: Array, g: Array, a: Array, v: Array, w_new: Array, a_new: Array, v_new: Array, s: Array) -> None:
        np.multiply(g, g, out=s)
        _mix(a, s, rho, a_new)
        _scale(g, a_new, epsilon, epsilon_inside, s)
        s *= rate
        np.multiply(v, momentum, out=v_new)
        v_new += s
        _settle(w, v_new, rate, weight_decay, w_new)

    return in_blocks(update, (variable, gradient, mean_square, velocity), 3, 1)


def rmsprop_centered_update(
    variable: Array, gradient: Array, mean_square: Array, mean_gradient: Array, velocity: Array, learning_rate: Array,
    *, rho: float, momentum: float, epsilon: float, epsilon_inside: bool, weight_decay: float,
) -> tuple[Array, ...]:  # fmt: skip
    """See the op."""
    rate = float(learning_rate)

    def update(
        w: Array,
        g: Array,
        a: Array,
        m: Array,
        v: Array,
        w_new: Array,
        a_new: Array,
        m_new: Array,
        v_new: Array,
        s: Array,
    ) -> None:
        np.multiply(g, g, out=s)
        _mix(a, s, rho, a_new)
        _mix(m, g, rho, m_new)
        np.multiply(m_new, m_new, out=w_new)  # w_new serves as scratch until it is settled
        np.subtract(a_new, w_new, out=w_new)
        _scale(g, w_new, epsilon, epsilon_inside, s)
        s *= rate
        np.multiply(v, momentum, out=v_new)
        v_new += s
        _settle(w, v_new, rate, weight_decay, w_new)

    return in_blocks(update, (variable, gradient, mean_square, mean_gradient, velocity), 4, 1)


def ftrl_update(
    variable: Array, gradient: Array, accumulator: Array, linear: Array, learning_rate: Array, *,
    learning_rate_power: float, l1: float, l2: float, l2_shrinkage: float, beta: float, weight_decay: float,
) -> tuple[Array, ...]:  # fmt: skip
    """See the op."""
    rate = float(learning_rate)

    def power(a: Array, out: Array) -> None:
        if learning_rate_power == -0.5:
            np.sqrt(a, out=out)
        else:
            np.power(a, -learning_rate_power, out=out)

    def update(
        w: Array, g: Array, a: Array, z: Array, w_new: Array, a_new: Array, z_new: Array, s: Array, after: Array
    ) -> None:
        np.multiply(w, 1 - rate * weight_decay, out=w_new)
        np.multiply(g, g, out=a_new)
        a_new += a
        power(a, s)
        power(a_new, after)
        np.subtract(after, s, out=s)
        s /= -rate
        s += 2 * l2_shrinkage
        s *= w_new
        np.add(z, g, out=z_new)
        z_new += s
        np.clip(z_new, -l1, l1, out=s)
        s -= z_new
        after += beta
        after /= rate
        after += 2 * l2
        np.divide(s, after, out=w_new)

    return in_blocks(update, (variable, gradient, accumulator, linear), 3, 2)


KERNELS: dict[str, Kernel | Sequence[Kernel]] = {
    kernel.__name__: Kernel(kernel)
    for kernel in (
        sgd_update, momentum_update, adam_update, amsgrad_update, adamax_update, nadam_update, lion_update,
        adagrad_update, adadelta_update, rmsprop_update, rmsprop_momentum_update, rmsprop_centered_update, ftrl_update,
    )
}  # fmt: skip
