"""Activation functions, each with its derivative: chapter 1.2, web chapter 3."""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxnet.static import Named

Elementwise = Callable[[Float[Array, "..."]], Float[Array, "..."]]


def not_elementwise(z: Float[Array, "..."]) -> Float[Array, "..."]:
    """The `prime` of an activation without an elementwise derivative: a ValueError."""
    raise ValueError("Expected an activation with an elementwise derivative, got none.")


@jax.tree_util.register_static
@dataclass(frozen=True, eq=False, repr=False)
class Activation(Named):
    """A function sigma of the weighted inputs z of a layer, and its derivative sigma'.

    Leave out `prime` where an output depends on all of z, as in softmax: sigma' is then
    a matrix, and the activation is for output layers only, whose cost knows its error.

    >>> softplus = jaxnet.Activation(jax.nn.softplus, jax.nn.sigmoid)
    """

    fn: Elementwise
    prime: Elementwise = not_elementwise
    name: str = ""

    def __post_init__(self) -> None:
        """Use the function's name if none is given."""
        name = self.name or getattr(self.fn, "__name__", type(self.fn).__name__)
        object.__setattr__(self, "name", name)


sigmoid = Activation(  # (1.3), with 1 - sigma(z) = sigma(-z)
    jax.nn.sigmoid, lambda z: jax.nn.sigmoid(z) * jax.nn.sigmoid(-z), "sigmoid"
)
tanh = Activation(jnp.tanh, lambda z: 1 - jnp.tanh(z) ** 2, "tanh")  # (web 109)
relu = Activation(  # (web 112), with derivative 0 at 0
    jax.nn.relu, lambda z: (z > 0).astype(z.dtype), "relu"
)
linear = Activation(lambda z: z, jnp.ones_like, "linear")
softmax = Activation(jax.nn.softmax, name="softmax")  # (web 78)
