"""What a network can do, as numbers: chapters 1.4 and 1.6.

The answer is read from the weighted inputs z^L, whose order is the order of the
activations a^L but does not end in ties where those saturate.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxnet.activations import sigmoid
from jaxnet.checks import check_examples
from jaxnet.costs import Cost, quadratic
from jaxnet.gradients import loss
from jaxnet.network import Dataset, Hidden, Params, Scalar, as_numbers, forward
from jaxnet.regularization import penalty, whole_network


def _weighted_inputs(
    params: Params, data: Dataset, hidden: Hidden
) -> Float[Array, "n out"]:
    check_examples(params, data.x, data.y, hidden, bytes_too=True)
    x = as_numbers(data.x, params[0].w.dtype)
    zs, _ = jax.vmap(partial(forward, params, hidden=hidden))(x)
    return zs[-1]


def accuracy(
    params: Params, data: Dataset, hidden: Hidden = sigmoid
) -> Float[Array, ""]:
    """The fraction of examples whose largest output is the right one.

    It is nan if an output is nan or a parameter not finite, lest a broken network score
    as always saying 0.
    """
    z = _weighted_inputs(params, data, hidden)
    right = jnp.argmax(z, axis=1) == jnp.argmax(data.y, axis=1)
    finite = [jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(params)]
    broken = jnp.isnan(z).any() | ~jnp.stack(finite).all()
    return jnp.where(broken, jnp.nan, jnp.mean(right))


def total_cost(
    params: Params,
    data: Dataset,
    cost: Cost = quadratic,
    hidden: Hidden = sigmoid,
    *,
    l1: Scalar = 0.0,
    l2: Scalar = 0.0,
    n: int | None = None,
) -> Float[Array, ""]:
    """The mean cost, and lambda/n sum |w| or lambda/2n sum w^2 with it (web 85, 95).

    n is the size of the training set, whichever data are measured, so that the costs of
    training and test data can be compared. The book's second program divides by the
    size of the measured data instead: pass that as n to get its numbers.
    Raises ValueError if there is a lambda and no n.
    """
    x = as_numbers(data.x, params[0].w.dtype)
    unregularised = loss(params, x, data.y, cost, hidden)
    if n is None:
        if any(not isinstance(rate, int | float) or rate != 0 for rate in (l1, l2)):
            raise ValueError("Expected n, the size of the training set, with l1 or l2.")
        return unregularised
    return unregularised + penalty(params, l1, l2, n)


def monitor(
    training: Dataset,
    evaluation: Dataset | None = None,
    cost: Cost = quadratic,
    hidden: Hidden = sigmoid,
    *,
    l1: Scalar = 0.0,
    l2: Scalar = 0.0,
    dropout: Scalar = 0.0,
) -> Callable[[Params], dict[str, Float[Array, ""]]]:
    """A function for `evaluate=`: cost and accuracy on training and evaluation data.

    It returns `training_cost`, `training_accuracy` and, given evaluation data, also
    `evaluation_cost` and `evaluation_accuracy`, of the network with no neuron dropped.
    """
    options: dict[str, Any] = {"l1": l1, "l2": l2, "n": len(training.x)}

    def evaluate(params: Params) -> dict[str, Float[Array, ""]]:
        params = whole_network(params, dropout)
        found = {}
        for name, data in (("training", training), ("evaluation", evaluation)):
            if data is not None:
                total = total_cost(params, data, cost, hidden, **options)
                found[f"{name}_cost"] = total
                found[f"{name}_accuracy"] = accuracy(params, data, hidden)
        return found

    return evaluate


def confusion_matrix(
    params: Params, data: Dataset, hidden: Hidden = sigmoid
) -> Int[Array, "out out"]:
    """How many examples of each class (row) were taken for each class (column).

    An output of nan counts as the largest: `accuracy` says whether a network is broken.
    """
    answers = jnp.argmax(_weighted_inputs(params, data, hidden), axis=1)
    n = data.y.shape[1]
    return jnp.zeros((n, n), int).at[jnp.argmax(data.y, axis=1), answers].add(1)
