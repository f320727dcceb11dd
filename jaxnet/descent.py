"""Gradient descent on any function of any number of variables: chapter 1.5, web 3.6."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PyTree

from jaxnet.checks import check_callable, check_integer, check_numbers
from jaxnet.layers import Scalar


def descend(
    cost: Callable[[PyTree], Float[Array, ""]],
    v: PyTree,
    *,
    eta: Scalar,
    steps: int,
    mu: Scalar = 0.0,
) -> PyTree:
    """The points that `steps` steps of gradient descent visit, v itself first.

    v' = v - eta grad C(v)  (1.11, 1.15). With a momentum coefficient mu, the velocity
    is u' = mu u - eta grad C(v) and v' = v + u'  (web 107, 108).

    >>> jaxnet.descend(lambda v: v**2, 1.0, eta=0.25, steps=3).tolist()
    [1.0, 0.5, 0.25, 0.125]

    Raises TypeError unless cost is a function, and ValueError for numbers out of range.
    """
    check_callable("cost", cost, "lambda v: jnp.sum(v**2)")
    check_integer("the number of steps", steps, 0)
    check_numbers({"eta": eta, "mu": mu}, -jnp.inf)

    def move(now: tuple[PyTree, PyTree], _: None) -> tuple[tuple, PyTree]:
        v, u = now
        slope = jax.grad(cost)(v)
        u = jax.tree.map(lambda u, dv: mu * u - eta * dv, u, slope)
        return (jax.tree.map(jnp.add, v, u), u), v

    at_rest = jax.tree.map(jnp.zeros_like, v)
    (last, _), path = jax.lax.scan(move, (v, at_rest), length=steps)
    return jax.tree.map(lambda path, v: jnp.concatenate([path, v[None]]), path, last)


def newton(
    cost: Callable[[PyTree], Float[Array, ""]],
    v: PyTree,
    *,
    steps: int,
    eta: Scalar = 1.0,
) -> PyTree:
    """The points that `steps` steps of the Hessian technique visit, v itself first.

    v' = v - eta H^-1 grad C(v)  (web 105, 106), where H is the matrix of all second
    derivatives: n^2 of them for n variables, so n must be small. Raises as `descend`.
    """
    check_callable("cost", cost, "lambda v: jnp.sum(v**2)")
    check_integer("the number of steps", steps, 0)
    check_numbers({"eta": eta}, -jnp.inf)
    start, unravel = ravel_pytree(v)

    def flat(v: Array) -> Array:
        return cost(unravel(v))

    def move(v: Array, _: None) -> tuple[Array, Array]:
        return v - eta * jnp.linalg.solve(jax.hessian(flat)(v), jax.grad(flat)(v)), v

    last, path = jax.lax.scan(move, start, length=steps)
    return jax.vmap(unravel)(jnp.concatenate([path, last[None]]))
