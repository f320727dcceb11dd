"""The gradient of the mean cost of a mini-batch, by hand and by `jax.grad`: chapter 2.

`errors` is per example, as the book derives it; `backprop` then contracts over the
mini-batch, which is as fast as `jax.grad` where a mean of gradients is not.
"""

from collections.abc import Callable
from functools import partial, reduce

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxnet.activations import sigmoid
from jaxnet.checks import check_cost, check_examples
from jaxnet.costs import Cost, quadratic
from jaxnet.network import Hidden, Layer, Params, forward, hidden_activations

Gradient = Callable[..., Params]
"""`gradient(params, x, y, cost=..., hidden=...)`, interchangeable with `backprop`."""

_FEW, _NEAR = 16, 8192  # examples, and their numbers in a core's nearest cache


def loss(
    params: Params,
    x: Float[Array, "m in"],
    y: Float[Array, "m out"],
    cost: Cost = quadratic,
    hidden: Hidden = sigmoid,
) -> Float[Array, ""]:
    """The mean cost of m examples, C = 1/m sum_x C_x  (1.6).

    Raises ValueError if x and y are not rows of examples which fit the network.
    """
    check_examples(params, x, y, hidden)
    check_cost(cost)
    zs, _ = jax.vmap(partial(forward, params, hidden=hidden))(x)
    return jnp.mean(jax.vmap(cost.value)(zs[-1], y))


def autodiff(
    params: Params,
    x: Float[Array, "m in"],
    y: Float[Array, "m out"],
    cost: Cost = quadratic,
    hidden: Hidden = sigmoid,
) -> Params:
    """The gradient of `loss`, by `jax.grad`."""
    return jax.grad(loss)(params, x, y, cost, hidden)


def errors(
    params: Params,
    x: Float[Array, " in"],
    y: Float[Array, " out"],
    cost: Cost = quadratic,
    hidden: Hidden = sigmoid,
) -> tuple[list[Float[Array, " _"]], list[Float[Array, " _"]]]:
    """The errors delta^1, ..., delta^L of one example, where delta^l = dC/dz^l.

    Also returns the activations a^0, ..., a^(L-1) that entered each layer.
    """
    zs, activations = forward(params, x, hidden=hidden, output=cost.output)
    below = zip(params[1:], zs[:-1], hidden_activations(params, hidden), strict=True)
    deltas = [cost.delta(zs[-1], y)]  # (BP1)
    for above, z, sigma in reversed(list(below)):
        deltas.append((above.w.T @ deltas[-1]) * sigma.prime(z))  # (BP2)
    return deltas[::-1], activations[:-1]


def mean_outer(
    delta: Float[Array, "m out"], a: Float[Array, "m in"]
) -> Float[Array, "out in"]:
    """The mean over a mini-batch of the outer products delta a^T.

    Of few examples it is their sum written out, which XLA fuses with the update of the
    weights: one pass over them, and no gradient is stored on the way. With 10 images it
    saves a fifth of a step; with 12, too many for the cache, it would lose.
    """
    m = len(a)
    if not 1 < m <= _FEW or a.size > _NEAR:
        return delta.T @ a / m
    return reduce(jnp.add, map(jnp.outer, delta, a)) / m


def backprop(
    params: Params,
    x: Float[Array, "m in"],
    y: Float[Array, "m out"],
    cost: Cost = quadratic,
    hidden: Hidden = sigmoid,
) -> Params:
    """The gradient of `loss`, by the four equations of backpropagation.

    Raises ValueError if x and y are not rows of examples which fit the network.
    """
    check_examples(params, x, y, hidden)
    check_cost(cost)
    deltas, activations = jax.vmap(partial(errors, params, cost=cost, hidden=hidden))(
        x, y
    )
    return [
        Layer(
            w=mean_outer(delta, a),  # (BP4), averaged over the mini-batch
            b=jnp.mean(delta, axis=0),  # (BP3), averaged over the mini-batch
        )
        for delta, a in zip(deltas, activations, strict=True)
    ]
