"""The gradient of the mean cost of a mini-batch, by hand and by `jax.grad`: chapter 2.

`errors` is for one example, as the book derives it; `backprop` then contracts over the
mini-batch, which is as fast as `jax.grad`, unlike a mean of gradients.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Float, UInt8

from jaxnet.checks import check_cost, check_examples
from jaxnet.costs import Cost, quadratic
from jaxnet.layers import Example, Params, dtype_of
from jaxnet.network import forward

Inputs = Float[Array, "m ..."] | UInt8[Array, "m ..."]
Targets = Float[Array, "m out"]
Gradient = Callable[..., Params]  # gradient(params, x, y, cost=), such as `backprop`


def loss(
    params: Params, x: Inputs, y: Targets, cost: Cost = quadratic
) -> Float[Array, ""]:
    """The mean cost of m examples, C = 1/m sum_x C_x  (1.6, 2.4).

    Raises ValueError if x and y are not examples for this network, as rows, or its
    output activation is not the cost's.
    """
    check_examples(params, x, y)
    check_cost(params, cost)
    zs, _ = jax.vmap(partial(forward, params))(x)
    return jnp.mean(jax.vmap(cost.value)(zs[-1], y))


def autodiff(params: Params, x: Inputs, y: Targets, cost: Cost = quadratic) -> Params:
    """The gradient of `loss`, by `jax.grad`. Raises as `loss` does."""
    return on_any_mesh(jax.grad(partial(loss, cost=cost)), params, x, y)


def errors(
    params: Params, x: Example, y: Float[Array, " out"], cost: Cost = quadratic
) -> tuple[list[Array], list[Array]]:
    """The errors delta^1, ..., delta^L of one example, delta^l = dC/dz^l  (2.7).

    Also returns the activations a^0, ..., a^(L-1) that entered each layer.
    Raises ValueError as `loss` does.
    """
    check_examples(params, x, y, one=True)
    check_cost(params, cost)
    zs, activations = forward(params, x)
    deltas = [cost.delta(zs[-1], y)]  # (BP1)
    for l in reversed(range(len(params) - 1)):
        above, sigma, a = params[l + 1], params[l].activation, activations[l + 1]
        deltas.insert(0, above.carry(deltas[0], a) * sigma.prime(zs[l]))  # (BP2)
    return deltas, activations[:-1]


def backprop(params: Params, x: Inputs, y: Targets, cost: Cost = quadratic) -> Params:
    """The gradient of `loss`, by the four equations of backpropagation.

    dC/db^l = delta^l (BP3) and dC/dw^l = delta^l a^(l-1)^T (BP4), averaged over the
    mini-batch.

    >>> params, x = jaxnet.init(jax.random.key(0), [4, 3, 2]), jnp.eye(4)
    >>> gradient = jaxnet.backprop(params, x, y=jnp.ones((4, 2)))
    >>> [dw.shape for dw, db in gradient]
    [(3, 4), (2, 3)]

    Raises ValueError as `loss` does.
    """
    check_examples(params, x, y)
    check_cost(params, cost)

    def gradient(params: Params, x: Array, y: Array) -> Params:
        deltas, activations = jax.vmap(partial(errors, params, cost=cost))(x, y)
        half = dtype_of(params) == jnp.float16  # whose range a sum may exceed
        if half:
            deltas, activations = jax.tree.map(jnp.float32, (deltas, activations))
        layers = zip(params, deltas, activations, strict=True)
        found = [layer.gradient(delta, a) for layer, delta, a in layers]  # (BP3), (BP4)
        return jax.tree.map(jnp.float16, found) if half else found

    return on_any_mesh(gradient, params, x, y)


def on_any_mesh(function: Callable[..., Any], *arguments: Any) -> Any:
    """`function(*arguments)`, also for arrays sharded over explicit axes of a mesh.

    There, JAX refuses sums over a sharded axis unless each says where its result goes.
    Here XLA decides, and the results are on every device.
    """
    for leaf in jax.tree.leaves(arguments):
        mesh = jax.typeof(leaf).sharding.mesh
        if mesh.explicit_axes:
            everywhere = NamedSharding(mesh, P())
            automatic = jax.sharding.auto_axes(
                function, axes=mesh.explicit_axes, out_sharding=everywhere
            )
            return automatic(*arguments)
    return function(*arguments)
