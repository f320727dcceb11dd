"""What keeps a network from overfitting: L2, L1 and dropout. Web, chapter 3.

L2 and L1 are optax transformations of the gradient, so they stand before any optimizer.
Dropout is a choice of activations, drawn anew for each mini-batch, so any gradient, by
hand or not, is the gradient of what is left of the network.
"""

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike
from jaxtyping import Array, Key, PyTree

from jaxnet.activations import Activation
from jaxnet.network import Hidden, Params, Scalar, hidden_activations


def weights_only(params: Params) -> PyTree[bool]:
    """True for weights and False for biases, which are not regularised."""
    return jax.tree_util.tree_map_with_path(
        lambda path, _: path[-1] == jax.tree_util.GetAttrKey("w"), params
    )


def l2(rate: Scalar) -> optax.GradientTransformation:
    """Adds rate w, the slope of rate/2 sum_w w^2; rate = lambda/n  (web 88)."""
    return optax.add_decayed_weights(rate, mask=weights_only)


def l1(rate: Scalar) -> optax.GradientTransformation:
    """Adds rate sgn(w), the slope of rate sum_w |w|; rate = lambda/n  (web 96)."""

    def add(g: ArrayLike, w: ArrayLike | None) -> Array:
        return jnp.asarray(g) + rate * jnp.sign(jnp.asarray(w))

    return optax.masked(optax.stateless_with_tree_map(add), weights_only)


def penalty(params: Params, l1: Scalar, l2: Scalar, n: int) -> Array:
    """lambda_1/n sum_w |w| + lambda_2/2n sum_w w^2  (web 85, 95)."""
    nothing = jnp.zeros((), params[0].w.dtype)
    # The rate comes first, so that a rate of 0 is 0 where w^2 would be infinite.
    absolute = sum((jnp.sum(l1 * jnp.abs(w)) for w, _ in params), nothing)
    squares = sum((jnp.sum(l2 * w * w) for w, _ in params), nothing)
    return absolute / n + squares / (2 * n)


def drop(
    key: Key[Array, ""], params: Params, hidden: Hidden, rate: Scalar
) -> tuple[Activation, ...]:
    """The hidden activations with each neuron dropped with probability `rate`.

    A dropped neuron outputs 0 for every example of the mini-batch.
    """
    kept = []
    for l, sigma in enumerate(hidden_activations(params, hidden), start=1):
        b = params[l - 1].b
        chance = jax.random.uniform(jax.random.fold_in(key, l), b.shape, b.dtype)
        kept.append(_masked(sigma, (chance >= rate).astype(b.dtype)))
    return tuple(kept)


def _masked(sigma: Activation, mask: Array) -> Activation:
    return Activation(lambda z: mask * sigma.fn(z), lambda z: mask * sigma.prime(z))


def whole_network(params: Params, rate: Scalar) -> Params:
    """The network to evaluate after training with dropout, no neuron dropped.

    The weights out of hidden neurons are scaled by 1 - rate, since so many fewer of
    them were there in training.
    """
    first, *others = params
    return [first, *(layer._replace(w=(1 - rate) * layer.w) for layer in others)]
