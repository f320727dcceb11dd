"""Slopes from values of the cost alone: a third opinion on two gradients."""

from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float

from jaxnet.compare.internals import Problem
from jaxnet.forms import name_of
from jaxnet.gradients import loss
from jaxnet.layers import Params

_STEPS = 10.0 ** -np.arange(1, 12)
_DIRECTIONS = 4  # in which each parameter array is moved


class Curve(NamedTuple):
    """How far difference quotients are from the reference, for each step h."""

    steps: list[float]
    forward: list[float]
    central: list[float]


class Opinion(NamedTuple):
    """How far central differences of one parameter array are from two gradients."""

    name: str
    from_candidate: float
    from_reference: float


def third_opinion(
    candidate: Any, reference: Any, problem: Problem
) -> tuple[Curve, list[Opinion]]:
    """Two gradients compared with differences of the cost in random directions.

    The opinions are those of the step at which central differences are closest.
    """
    named, tree = jax.tree_util.tree_flatten_with_path(problem.params)
    both = jax.tree.leaves(candidate), jax.tree.leaves(reference)
    shape = len(named), _DIRECTIONS
    costs, slopes = np.zeros((*shape, 1 + 2 * len(_STEPS))), np.zeros((2, *shape, 1))
    rng = np.random.default_rng(0)
    for i, d in np.ndindex(shape):
        leaves = [np.zeros(leaf.shape) for _, leaf in named]
        leaves[i] = rng.normal(size=leaves[i].shape)
        leaves[i] /= np.linalg.norm(leaves[i])
        costs[i, d] = _costs_along(problem, jax.tree.unflatten(tree, leaves))
        slopes[:, i, d, 0] = [np.vdot(gradient[i], leaves[i]) for gradient in both]
    here, right, left = np.split(costs, [1, 1 + len(_STEPS)], axis=2)
    forward, central = (right - here) / _STEPS, (right - left) / (2 * _STEPS)

    def errors(quotients: np.ndarray, slopes: np.ndarray) -> np.ndarray:
        size = np.linalg.norm(slopes) or 1.0
        each = (quotients - slopes).reshape(-1, len(_STEPS))
        return np.linalg.norm(each, axis=0) / size

    by_step = [
        errors(quotients, slopes[1]).tolist() for quotients in (forward, central)
    ]
    curve = Curve(_STEPS.tolist(), *by_step)
    best = int(np.argmin(curve.central))
    opinions = [
        Opinion(name_of(path), *(float(errors(central[i], s[i])[best]) for s in slopes))
        for i, (path, _) in enumerate(named)
    ]
    return curve, opinions


@jax.jit
def _costs_along(problem: Problem, direction: Params) -> Float[Array, " steps"]:
    params, x, y, cost = problem

    def cost_at(h: Float[Array, ""]) -> Float[Array, ""]:
        moved = jax.tree.map(lambda p, d: p + h * d, params, direction)
        return loss(moved, x, y, cost)

    return jax.lax.map(cost_at, np.concatenate([[0.0], _STEPS, -_STEPS]))
