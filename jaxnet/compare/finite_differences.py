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
    rng, costs, slopes = np.random.default_rng(0), [], []
    for i, (_, leaf) in enumerate(named):
        for d in rng.normal(size=(_DIRECTIONS, *leaf.shape)):
            d /= np.linalg.norm(d)
            leaves = [np.zeros(leaf.shape) for _, leaf in named]
            leaves[i] = d
            direction = jax.tree.unflatten(tree, leaves)
            costs.append(np.asarray(_costs_along(problem, direction)))
            slopes.append([np.vdot(gradient[i], d) for gradient in both])
    here, right, left = np.split(np.array(costs), [1, 1 + len(_STEPS)], axis=1)
    forward, central = (right - here) / _STEPS, (right - left) / (2 * _STEPS)
    by_gradient = np.split(np.array(slopes), 2, axis=1)

    def errors(quotients: np.ndarray, slopes: np.ndarray) -> list[float]:
        size = np.linalg.norm(slopes) or 1.0
        return (np.linalg.norm(quotients - slopes, axis=0) / size).tolist()

    by_step = (errors(quotients, by_gradient[1]) for quotients in (forward, central))
    curve = Curve(_STEPS.tolist(), *by_step)
    best, opinions = int(np.argmin(curve.central)), []
    for i, (path, _) in enumerate(named):
        rows = slice(i * _DIRECTIONS, (i + 1) * _DIRECTIONS)
        pair = (errors(central[rows], by[rows])[best] for by in by_gradient)
        opinions.append(Opinion(name_of(path), *pair))
    return curve, opinions


@jax.jit
def _costs_along(problem: Problem, direction: Params) -> Float[Array, " steps"]:
    params, x, y, cost = problem

    def cost_at(h: Float[Array, ""]) -> Float[Array, ""]:
        moved = jax.tree.map(lambda p, d: p + h * d, params, direction)
        return loss(moved, x, y, cost)

    return jax.lax.map(cost_at, np.concatenate([[0.0], _STEPS, -_STEPS]))
