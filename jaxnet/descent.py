"""Gradient descent on any function of any number of variables: chapter 1.5."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from jaxnet.network import Scalar


def descend(
    cost: Callable[[PyTree], Float[Array, ""]],
    v: PyTree,
    *,
    eta: Scalar,
    steps: int,
) -> PyTree:
    """The points that `steps` steps of gradient descent visit, v itself first.

    v' = v - eta grad C(v)  (1.11, 1.15).
    """

    def move(v: PyTree, _: None) -> tuple[PyTree, PyTree]:
        slope = jax.grad(cost)(v)
        return jax.tree.map(lambda v, dv: v - eta * dv, v, slope), v

    last, path = jax.lax.scan(move, v, length=steps)
    return jax.tree.map(lambda path, v: jnp.concatenate([path, v[None]]), path, last)
