"""How well a network performs, and how fast it learns: chapters 1.4, 1.6, web 5.

Answers are read from the weighted inputs z^L, which have the order of the activations
a^L without its ties where those saturate.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Shaped

from jaxnet.checks import check_cost, check_data, check_integer, check_numbers
from jaxnet.costs import Cost, quadratic
from jaxnet.gradients import backprop, on_any_mesh
from jaxnet.layers import Dataset, Layer, Params, Scalar
from jaxnet.network import forward
from jaxnet.regularization import penalty

_AT_ONCE = 1000  # images; the feature maps of all of them would fill the memory


def each_example(
    function: Callable[..., Any], params: Params, rows: Shaped[Array, "n ..."]
) -> Any:
    """`function(params, row)` for each of the rows, as from `jax.vmap`."""
    one = partial(function, params)
    if all(isinstance(layer, Layer) for layer in params) or len(rows) <= _AT_ONCE:
        return jax.vmap(one)(rows)
    return jax.lax.map(one, rows, batch_size=_AT_ONCE)


def _outputs(params: Params, data: Dataset) -> Float[Array, "n out"]:
    return each_example(lambda params, x: forward(params, x)[0][-1], params, data.x)


def answers_of(
    params: Params, data: Dataset
) -> tuple[Int[Array, " n"], Int[Array, " n"], Float[Array, "n out"]]:
    """The class that the network gives each example, its true class, and z^L.

    A network with one output answers 1 if the output is above 0.5, and 0 if not.
    """
    check_data(params, data)
    z, y = _outputs(params, data), jnp.asarray(data.y)
    if y.shape[1] == 1:
        output = params[-1].activation.fn(z)
        answers, truth = ((a[:, 0] > 0.5).astype(int) for a in (output, y))
        return answers, truth, z
    return jnp.argmax(z, axis=1), jnp.argmax(y, axis=1), z


def accuracy(params: Params, data: Dataset) -> Float[Array, ""]:
    """The fraction of examples that the network classifies correctly.

    The largest output is the answer; a single output stands for class 1 above 0.5. The
    fraction is nan if an output is nan or a parameter not finite, so that a diverged
    network does not score as one that always answers 0.
    After `epoch` with dropout, pass `without_dropout(params, rate)`.
    Raises ValueError if the data do not fit the network.
    """
    answers, truth, z = answers_of(params, data)
    finite = [jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(params)]
    diverged = jnp.isnan(z).any() | ~jnp.stack(finite).all()
    return jnp.where(diverged, jnp.nan, jnp.mean(answers == truth))


def total_cost(
    params: Params,
    data: Dataset,
    cost: Cost = quadratic,
    *,
    l1: Scalar = 0.0,
    l2: Scalar = 0.0,
    n: int | None = None,
) -> Float[Array, ""]:
    """The mean cost, plus lambda/n sum |w| or lambda/2n sum w^2 (web 85, 95).

    n is the size of the training set, whichever data are measured, so that the costs of
    training and test data can be compared. The book's second program divides by the
    size of the measured data instead: pass that as n to get its numbers.
    Raises ValueError if there is a lambda but no n, or the data do not fit.
    """
    check_data(params, data)
    check_cost(params, cost)
    check_numbers({"l1": l1, "l2": l2}, 0)
    unregularized = jnp.mean(jax.vmap(cost.value)(_outputs(params, data), data.y))
    if n is None:
        if any(not isinstance(rate, int | float) or rate != 0 for rate in (l1, l2)):
            raise ValueError("Expected n, the size of the training set, with l1 or l2.")
        return unregularized
    check_integer("n, the size of the training set,", n, 1)
    return unregularized + penalty(params, l1, l2, n)


def monitor(
    training: Dataset,
    evaluation: Dataset | None = None,
    cost: Cost = quadratic,
    *,
    l1: Scalar = 0.0,
    l2: Scalar = 0.0,
) -> Callable[[Params], dict[str, Float[Array, ""]]]:
    """A function for `train(evaluate=)` that returns costs and accuracies.

    Its keys are `training_cost`, `training_accuracy` and, given evaluation data,
    `evaluation_cost` and `evaluation_accuracy`. Costs are those of `total_cost`.
    """
    measured = {"training": training, "evaluation": evaluation}
    cost_of = partial(total_cost, cost=cost, l1=l1, l2=l2, n=len(training))

    def evaluate(params: Params) -> dict[str, Float[Array, ""]]:
        found = {}
        for name, data in measured.items():
            if data is not None:
                found[f"{name}_cost"] = cost_of(params, data)
                found[f"{name}_accuracy"] = accuracy(params, data)
        return found

    return evaluate


def layer_speeds(
    params: Params, data: Dataset, cost: Cost = quadratic
) -> Float[Array, " layers"]:
    """How fast each layer learns: ||dC/db^l||, C being the mean cost of the data.

    The book's ||delta^l|| (web 5.2), of the mean of the errors of all examples. Layers
    without biases are left out. To record it after each epoch of `train`, pass
    `evaluate=jax.tree_util.Partial(jaxnet.layer_speeds, data=data)`.
    Raises ValueError as `loss` does.
    """
    check_data(params, data)
    slopes = backprop(params, data.x, data.y, cost)
    return jnp.stack([jnp.linalg.norm(g.b) for g in slopes if hasattr(g, "b")])


def confusion_matrix(params: Params, data: Dataset) -> Int[Array, "classes classes"]:
    """How many examples of each class (row) the network put into each class (column).

    With one output, the classes are 0 and 1. An output of nan counts as the largest;
    `accuracy` shows whether a network has diverged.
    Raises ValueError if the data do not fit the network.
    """
    answers, truth, _ = answers_of(params, data)
    n = max(data.y.shape[1], 2)
    count = jnp.zeros((n, n), int).at
    return on_any_mesh(lambda *pair: count[pair].add(1), truth, answers)
