"""The cost of one example, with its error delta^L = dC/dz^L by hand: chapters 1.5, 3.1.

A cost takes the weighted input z^L and owns the output activation. So its logarithms
stay exact where the output saturates, and `delta` is `jax.grad(value)` by definition.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxnet.activations import Activation, sigmoid


class Cost(NamedTuple):
    """An output activation, a cost C(z, y), and its error delta(z, y) = dC/dz."""

    output: Activation
    value: Callable[[Float[Array, " out"], Float[Array, " out"]], Float[Array, ""]]
    delta: Callable[[Float[Array, " out"], Float[Array, " out"]], Float[Array, " out"]]


def _quadratic(z: Float[Array, " out"], y: Float[Array, " out"]) -> Float[Array, ""]:
    return jnp.sum((y - sigmoid.fn(z)) ** 2) / 2


def _quadratic_delta(
    z: Float[Array, " out"], y: Float[Array, " out"]
) -> Float[Array, " out"]:
    return (sigmoid.fn(z) - y) * sigmoid.prime(z)


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


quadratic = Cost(sigmoid, _quadratic, _quadratic_delta)  # (1.6)
cross_entropy = Cost(sigmoid, _cross_entropy, _cross_entropy_delta)  # (3.9)
