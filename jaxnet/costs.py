"""The cost of one example, with its error delta^L = dC/dz^L by hand: chapters 1.5, 3.1.

A cost takes the weighted input z^L and owns the output activation. So its logarithms
stay exact where the output saturates, and `delta` is `jax.grad(value)` by definition.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxnet.activations import Activation, linear, sigmoid, softmax


class Cost(NamedTuple):
    """An output activation, a cost C(z, y), and its error delta(z, y) = dC/dz.

    `formula` is the cost as the book writes it, in terms of the activation a. Only
    oracles use it: where outputs saturate, it may be infinite and its slope 0 / 0.
    """

    output: Activation
    value: Callable[[Float[Array, " out"], Float[Array, " out"]], Float[Array, ""]]
    delta: Callable[[Float[Array, " out"], Float[Array, " out"]], Float[Array, " out"]]
    formula: Callable[[Array, Array], Array] | None = None


def formula_of(cost: Cost) -> Callable[[Array, Array], Array]:
    """The cost as a function of the activation; ValueError if it has none."""
    if cost.formula is None:
        raise ValueError(
            "Expected a Cost with a formula, which is its value as a function of the "
            "output activation a, as in Cost(output, value, delta, formula)."
        )
    return cost.formula


def _quadratic_formula(a: Array, y: Array) -> Array:
    return jnp.sum((y - a) ** 2) / 2


def _quadratic(z: Float[Array, " out"], y: Float[Array, " out"]) -> Float[Array, ""]:
    return _quadratic_formula(sigmoid.fn(z), y)


def _quadratic_delta(
    z: Float[Array, " out"], y: Float[Array, " out"]
) -> Float[Array, " out"]:
    return (sigmoid.fn(z) - y) * sigmoid.prime(z)


def _difference(
    z: Float[Array, " out"], y: Float[Array, " out"]
) -> Float[Array, " out"]:
    return z - y


def _cross_entropy_formula(a: Array, y: Array) -> Array:
    return -jnp.sum(y * jnp.log(a) + (1 - y) * jnp.log(1 - a))


def _cross_entropy(
    z: Float[Array, " out"], y: Float[Array, " out"]
) -> Float[Array, ""]:
    # 1 - sigma(z) = sigma(-z): no cancellation, and no logarithm of zero.
    ln_a, ln_not_a = jax.nn.log_sigmoid(z), jax.nn.log_sigmoid(-z)
    return -jnp.sum(y * ln_a + (1 - y) * ln_not_a)


def _cross_entropy_delta(
    z: Float[Array, " out"], y: Float[Array, " out"]
) -> Float[Array, " out"]:
    return sigmoid.fn(z) - y


quadratic = Cost(sigmoid, _quadratic, _quadratic_delta, _quadratic_formula)  # (1.6)
linear_quadratic = Cost(
    linear, _quadratic_formula, _difference, _quadratic_formula
)  # (3.14)
cross_entropy = Cost(
    sigmoid, _cross_entropy, _cross_entropy_delta, _cross_entropy_formula
)  # (3.9)


def _log_likelihood_formula(a: Array, y: Array) -> Array:
    return -jnp.sum(y * jnp.log(a))


def _log_likelihood(
    z: Float[Array, " out"], y: Float[Array, " out"]
) -> Float[Array, ""]:
    ln_a = jax.nn.log_softmax(z)
    # Where outputs are further apart than the largest number, 0 times -inf is no cost.
    return -jnp.sum(jnp.where((y == 0) & jnp.isneginf(ln_a), 0, y * ln_a))


def _log_likelihood_delta(
    z: Float[Array, " out"], y: Float[Array, " out"]
) -> Float[Array, " out"]:
    # sum(y) is 1 for one-hot targets, and only then is this the book's a - y.
    return jnp.sum(y) * softmax.fn(z) - y


log_likelihood = Cost(
    softmax, _log_likelihood, _log_likelihood_delta, _log_likelihood_formula
)  # (web 80, 84)
