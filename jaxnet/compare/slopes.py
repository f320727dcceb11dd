"""Slopes from values of the cost alone: a third opinion on two gradients."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxnet.compare.leaves import name_of
from jaxnet.costs import Cost
from jaxnet.gradients import loss
from jaxnet.layers import Params

_STEPS = 10.0 ** -np.arange(1, 12)
_DIRECTIONS = 4  # for each parameter


class Curve(NamedTuple):
    """How far slopes by differences are from the reference's, for each step h."""

    steps: list[float]
    forward: list[float]
    central: list[float]


class Opinion(NamedTuple):
    """How far slopes of a parameter by central differences are from two gradients."""

    name: str
    from_candidate: float
    from_reference: float


def third_opinion(
    candidate: Any, reference: Any, params: Params, x: Any, y: Any, cost: Cost
) -> tuple[Curve, list[Opinion]]:
    """Two gradients at params beside differences of the cost in random directions.

    The opinions are at the step at which central differences are closest.
    """
    steps = jnp.concatenate([jnp.zeros(1), jnp.array(_STEPS), -jnp.array(_STEPS)])

    @jax.jit
    def costs(way: Params) -> jax.Array:
        def at(h: jax.Array) -> jax.Array:
            moved = jax.tree.map(lambda p, d: p + h * d, params, way)
            return loss(moved, x, y, cost)

        return jax.lax.map(at, steps)

    named, tree = jax.tree_util.tree_flatten_with_path(params)
    names = [name_of(path) for path, _ in named for _ in range(_DIRECTIONS)]
    ways, values = list(_directions(params)), []
    for l, d in ways:
        leaves = [d if k == l else jnp.zeros_like(p) for k, (_, p) in enumerate(named)]
        values.append(np.asarray(costs(jax.tree.unflatten(tree, leaves))))
    here, right, left = np.split(np.stack(values), [1, 1 + len(_STEPS)], axis=1)
    forward, central = (right - here) / _STEPS, (right - left) / (2 * _STEPS)

    def slopes(gradient: Any) -> np.ndarray:
        leaves = jax.tree.leaves(gradient)
        return np.array([[np.vdot(leaves[l], d)] for l, d in ways])

    def errors(differences: np.ndarray, truth: np.ndarray) -> np.ndarray:
        size = np.linalg.norm(truth) or 1.0
        return np.linalg.norm(differences - truth, axis=0) / size

    by_candidate, by_reference = slopes(candidate), slopes(reference)
    curve = Curve(
        _STEPS.tolist(),
        errors(forward, by_reference).tolist(),
        errors(central, by_reference).tolist(),
    )
    best, opinions = int(np.argmin(curve.central)), []
    for name in dict.fromkeys(names):
        rows = [i for i, other in enumerate(names) if other == name]
        found = (
            errors(central[rows], s[rows])[best] for s in (by_candidate, by_reference)
        )
        opinions.append(Opinion(name, *map(float, found)))
    return curve, opinions


def _directions(params: Params):
    """Random unit vectors, each in one of the parameters, with its number."""
    for l, leaf in enumerate(jax.tree.leaves(params)):
        for i in range(_DIRECTIONS):
            key = jax.random.fold_in(jax.random.key(l), i)
            d = jax.random.normal(key, leaf.shape)
            yield l, d / jnp.linalg.norm(d)
