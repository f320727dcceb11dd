"""What a network can do, as numbers: chapters 1.4 and 1.6.

The answer is read from the weighted inputs z^L, whose order is the order of the
activations a^L but does not end in ties where those saturate.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxnet.activations import sigmoid
from jaxnet.checks import check_examples
from jaxnet.network import Dataset, Hidden, Params, forward


def _weighted_inputs(
    params: Params, data: Dataset, hidden: Hidden
) -> Float[Array, "n out"]:
    check_examples(params, data.x, data.y, hidden)
    zs, _ = jax.vmap(partial(forward, params, hidden=hidden))(data.x)
    return zs[-1]


def accuracy(
    params: Params, data: Dataset, hidden: Hidden = sigmoid
) -> Float[Array, ""]:
    """The fraction of examples whose largest output is the right one.

    It is nan if an output is nan, lest a broken network score as always saying 0.
    """
    z = _weighted_inputs(params, data, hidden)
    right = jnp.argmax(z, axis=1) == jnp.argmax(data.y, axis=1)
    return jnp.where(jnp.isnan(z).any(), jnp.nan, jnp.mean(right))


def confusion_matrix(
    params: Params, data: Dataset, hidden: Hidden = sigmoid
) -> Int[Array, "out out"]:
    """How many examples of each class (row) were taken for each class (column)."""
    answers = jnp.argmax(_weighted_inputs(params, data, hidden), axis=1)
    n = data.y.shape[1]
    return jnp.zeros((n, n), int).at[jnp.argmax(data.y, axis=1), answers].add(1)
