"""What a neuron does to its weighted input z, with its derivative beside it.

Chapter 1.2 and, for tanh and the rectified linear unit, chapter 3 (web 109-112).
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


class Activation(NamedTuple):
    """An elementwise function of the weighted input, and its derivative."""

    fn: Callable[[Float[Array, "..."]], Float[Array, "..."]]
    prime: Callable[[Float[Array, "..."]], Float[Array, "..."]]


def _sigmoid_prime(z: Float[Array, "..."]) -> Float[Array, "..."]:
    a = jax.nn.sigmoid(z)
    return a * (1 - a)


def _tanh_prime(z: Float[Array, "..."]) -> Float[Array, "..."]:
    return 1 - jnp.tanh(z) ** 2


def _relu_prime(z: Float[Array, "..."]) -> Float[Array, "..."]:
    return (z > 0).astype(z.dtype)


def _identity(z: Float[Array, "..."]) -> Float[Array, "..."]:
    return z


def _softmax_prime(z: Float[Array, "..."]) -> Float[Array, "..."]:
    a = jax.nn.softmax(z)
    return a * (1 - a)


sigmoid = Activation(jax.nn.sigmoid, _sigmoid_prime)  # (1.3)
tanh = Activation(jnp.tanh, _tanh_prime)  # (web 109)
relu = Activation(jax.nn.relu, _relu_prime)  # (web 112); 0 has derivative 0
linear = Activation(_identity, jnp.ones_like)
softmax = Activation(jax.nn.softmax, _softmax_prime)  # (web 78); da_j/dz_j only
"""For output layers. An output depends on all of z: `prime` is the diagonal only."""


def with_neuron(j: int, other: Activation, rest: Activation) -> Activation:
    """`other` at the j-th neuron of a layer and `rest` elsewhere (exercise, 2.6)."""

    def choose(f: Callable, g: Callable) -> Callable:
        return lambda z: jnp.where(jnp.arange(z.shape[-1]) == j, f(z), g(z))

    return Activation(choose(other.fn, rest.fn), choose(other.prime, rest.prime))
