"""The cost of one example, and its error by hand: chapters 1.5 and 3.1.

A cost is a function of the weighted input z^L and knows the output activation, so that
its logarithms stay exact where outputs saturate. It comes with the book's formula in
terms of the activation a^L, and with the error delta^L = dC/dz^L that (BP1) asks for.
"""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax.nn import log_sigmoid, log_softmax
from jaxtyping import Array, Float

from jaxnet.activations import Activation, linear, sigmoid, softmax
from jaxnet.static import Named


@jax.tree_util.register_static
@dataclass(frozen=True, eq=False, repr=False)
class Cost(Named):
    """An output activation, the cost C(z, y), and the error delta(z, y) = dC/dz.

    `formula` is C as a function of a and y. Only some oracles need it; where outputs
    saturate, it may be infinite and its slope undefined.
    """

    output: Activation
    value: Callable[[Float[Array, " out"], Float[Array, " out"]], Float[Array, ""]]
    delta: Callable[[Float[Array, " out"], Float[Array, " out"]], Float[Array, " out"]]
    formula: Callable[[Array, Array], Array] | None = None
    name: str = "cost"


quadratic = Cost(
    name="quadratic",
    output=sigmoid,
    formula=lambda a, y: jnp.sum((y - a) ** 2) / 2,  # (1.6)
    value=lambda z, y: jnp.sum((y - sigmoid.fn(z)) ** 2) / 2,
    delta=lambda z, y: (sigmoid.fn(z) - y) * sigmoid.prime(z),  # (BP1) with (1.6)
)

linear_quadratic = Cost(
    name="linear_quadratic",
    output=linear,
    formula=lambda a, y: jnp.sum((y - a) ** 2) / 2,  # (1.6)
    value=lambda z, y: jnp.sum((y - z) ** 2) / 2,
    delta=lambda z, y: z - y,  # (3.14)
)

cross_entropy = Cost(
    name="cross_entropy",
    output=sigmoid,
    formula=lambda a, y: -jnp.sum(y * jnp.log(a) + (1 - y) * jnp.log(1 - a)),  # (3.9)
    # 1 - sigma(z) = sigma(-z): no cancellation, and no logarithm of zero.
    value=lambda z, y: -jnp.sum(y * log_sigmoid(z) + (1 - y) * log_sigmoid(-z)),
    delta=lambda z, y: sigmoid.fn(z) - y,  # (3.12)
)


def _log_likelihood(
    z: Float[Array, " out"], y: Float[Array, " out"]
) -> Float[Array, ""]:
    ln_a = log_softmax(z)
    # Where outputs are further apart than the largest number, 0 times -inf costs 0.
    return -jnp.sum(jnp.where((y == 0) & jnp.isneginf(ln_a), 0, y * ln_a))


log_likelihood = Cost(
    name="log_likelihood",
    output=softmax,
    formula=lambda a, y: -jnp.sum(y * jnp.log(a)),  # (web 80)
    value=_log_likelihood,
    delta=lambda z, y: jnp.sum(y) * softmax.fn(z) - y,  # (web 84), where sum(y) = 1
)
