"""The correct values inside a network, and how exactly they can be known.

That layers are fully connected is assumed here, by `carry` and `gradients_of`, and by
the likely mistakes in matrices.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxnet.activations import Activation, not_elementwise
from jaxnet.compare.comparison import (
    Comparison,
    compare_gradients,
    norm_of,
    relative_error,
    tolerance_for,
)
from jaxnet.costs import Cost, quadratic
from jaxnet.gradients import Gradient, Inputs, Targets
from jaxnet.layers import Params
from jaxnet.network import forward
from jaxnet.oracles import demon

Arrays = Sequence[np.ndarray]


class Problem(NamedTuple):
    """What a gradient is computed of: a network, a mini-batch and a cost."""

    params: Params
    x: Inputs
    y: Targets
    cost: Cost = quadratic


class Internals(NamedTuple):
    """The values in each layer, `a` also of the inputs; except in w, rows are examples.

    `rounding` is how far the errors delta, which are `jax.grad`'s, may be from exact.
    """

    w: list[np.ndarray]
    z: list[np.ndarray]
    a: list[np.ndarray]
    slope: list[np.ndarray]  # sigma'(z)
    slope_at_a: list[np.ndarray]  # sigma'(a), a common mistake
    delta: list[np.ndarray]
    grad_a: np.ndarray | None  # of the cost, if it has a formula
    rounding: Arrays = ()
    tolerance: float = 0.0

    @property
    def gradients(self) -> list[np.ndarray]:
        """The gradients of w^1, b^1, w^2, ... of each example."""
        return gradients_of(self.delta, self.a)

    @property
    def gradient_rounding(self) -> list[np.ndarray]:
        """How far these may be from exact."""
        return gradients_of(self.rounding, [np.abs(a) for a in self.a])

    def carry(self, l: int, delta: np.ndarray) -> np.ndarray:
        """The errors w^T delta at the activations that enter layer l + 1."""
        return delta @ self.w[l]

    def match(
        self, actual: np.ndarray, expected: np.ndarray, rounding: Any = 0.0
    ) -> bool:
        """Whether two arrays are equal within the tolerance or this rounding."""
        limit = norm_of(np.asarray(rounding))
        is_rounding = norm_of(actual - expected) <= limit < np.inf
        return is_rounding or relative_error(actual, expected) <= self.tolerance


def internals(problem: Problem) -> Internals:
    """The correct values inside a network, independent of `errors` and `backprop`."""
    found = Internals(*jax.tree.map(np.asarray, _values(problem)))
    longest = max(len(problem.x), *(n for w in found.w for n in w.shape))
    return found._replace(
        rounding=_rounding(found, np.asarray(problem.y)),
        tolerance=16 * tolerance_for(problem.x.dtype, longest),
    )


@jax.jit  # one by one its parts compile for seconds
def _values(problem: Problem) -> tuple[Any, ...]:
    params, x, y, cost = problem
    sigmas = [layer.activation for layer in params]
    zs, activations = jax.vmap(partial(forward, params))(x)
    slopes = [_slope(s, z) for s, z in zip(sigmas, zs, strict=True)]
    at_a = [_slope(s, a) for s, a in zip(sigmas, activations[1:], strict=True)]
    deltas = jax.vmap(partial(demon, params, cost=cost))(x, y)
    grad_a = None
    if cost.formula is not None:
        grad_a = jax.vmap(jax.grad(cost.formula))(activations[-1], y)
    return [layer.w for layer in params], zs, activations, slopes, at_a, deltas, grad_a


def _slope(sigma: Activation, z: Float[Array, "m n"]) -> Float[Array, "m n"]:
    """The derivative of sigma.fn, so that no verdict depends on a wrong sigma.prime.

    Of softmax, it is the diagonal of the matrix.
    """
    if sigma.prime is not_elementwise:
        return jax.vmap(lambda z: jnp.diagonal(jax.jacobian(sigma.fn)(z)))(z)
    return jax.jvp(sigma.fn, (z,), (jnp.ones_like(z),))[1]


def _rounding(inside: Internals, y: np.ndarray) -> list[np.ndarray]:
    """The rounding of each delta.

    `jax.grad` takes sigma' from a, as a (1 - a), with an error of about eps, so nothing
    is left of it where neurons saturate at 1; sigma(z) sigma(-z) is more exact. Errors
    are independent, so their squares add up.
    """
    eps = 4 * float(np.finfo(y.dtype).eps)
    found = [eps * np.abs(inside.a[-1] - y, dtype=float)]
    for l in reversed(range(len(inside.w) - 1)):
        w = inside.w[l + 1].astype(float)
        passed_on = np.sqrt(found[0] ** 2 @ w**2) * (np.abs(inside.slope[l]) + eps)
        found.insert(0, eps * np.abs(inside.delta[l + 1] @ w) + passed_on)
    return found


def outer(delta: np.ndarray, a: np.ndarray) -> np.ndarray:
    """Each example's delta a^T."""
    return delta[:, :, None] * a[:, None, :]


def gradients_of(deltas: Arrays, activations: Arrays) -> list[np.ndarray]:
    """The gradients of w^1, b^1, w^2, ... of each example, by (BP4) and (BP3)."""
    layers = zip(deltas, activations, strict=False)  # a^L enters no layer
    return [leaf for delta, a in layers for leaf in (outer(delta, a), delta)]


def compare_at(
    candidate: Gradient, reference: Gradient, problem: Problem, dtype: str = "float64"
) -> Comparison:
    """Two gradients of a network, compared no more closely than `jax.grad` is exact."""
    compare = partial(compare_gradients, candidate, reference, *problem, dtype=dtype)
    found = compare()
    if found.agrees:
        return found
    with jax.enable_x64(dtype == "float64"):
        inside = internals(
            jax.tree.map(lambda leaf: np.asarray(leaf).astype(dtype), problem)
        )
    norms = [norm_of(leaf.mean(axis=0)) for leaf in inside.gradient_rounding]
    floor = [norm if np.isfinite(norm) else 0.0 for norm in norms]
    return compare(floor=floor)
