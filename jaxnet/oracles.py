"""The other ways to the gradient of `loss`: slow, and independent. Chapter 2.

Each takes the arguments of `backprop`, returns what it returns, and can train in its
place with `gradient=`. Those of `differences` build on values of the cost alone; those
here take the chain rule along every path, or matrices for the Hadamard product.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import cast

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxnet.activations import Activation, sigmoid
from jaxnet.checks import check_cost, check_examples
from jaxnet.costs import Cost, formula_of, quadratic
from jaxnet.differences import central_difference as central_difference
from jaxnet.differences import complex_step as complex_step
from jaxnet.differences import forward_difference as forward_difference
from jaxnet.gradients import errors
from jaxnet.network import Hidden, Layer, Params, forward, hidden_activations

Inputs = Float[Array, "m in"]
Targets = Float[Array, "m out"]
MOST_PATHS = 1_000_000


def _averaged(errors: Callable, params: Params, x: Inputs, y: Targets) -> Params:
    """The mean of the examples' gradients, each by BP3 and BP4 from its errors."""

    def of_one_example(x: Array, y: Array) -> Params:
        deltas, activations = errors(x, y)
        pairs = zip(deltas, activations, strict=True)
        return [Layer(w=jnp.outer(delta, a), b=delta) for delta, a in pairs]

    gradients = jax.vmap(of_one_example)(x, y)
    return jax.tree.map(lambda gradient: jnp.mean(gradient, axis=0), gradients)


def backprop_by_example(
    params: Params,
    x: Inputs,
    y: Targets,
    cost: Cost = quadratic,
    hidden: Hidden = sigmoid,
) -> Params:
    """The gradient by the algorithm of 2.6: for each example, then averaged."""
    check_examples(params, x, y, hidden)
    check_cost(cost)
    by_hand = partial(errors, params, cost=cost, hidden=hidden)
    return _averaged(by_hand, params, x, y)


def backprop_by_matrix(
    params: Params,
    x: Inputs,
    y: Targets,
    cost: Cost = quadratic,
    hidden: Hidden = sigmoid,
) -> Params:
    """The gradient from X = [x_1 ... x_m], a column an example (problem, 2.7)."""
    check_examples(params, x, y, hidden)
    check_cost(cost)
    columns = partial(jax.vmap, in_axes=1, out_axes=1)
    A, Zs = [x.T], []
    sigmas = (*hidden_activations(params, hidden), cost.output)
    for (w, b), sigma in zip(params, sigmas, strict=True):
        Zs.append(w @ A[-1] + b[:, None])
        A.append(columns(sigma.fn)(Zs[-1]))
    deltas = [columns(cost.delta)(Zs[-1], y.T)]
    for l in reversed(range(len(params) - 1)):
        slope = columns(sigmas[l].prime)(Zs[l])
        deltas.append((params[l + 1].w.T @ deltas[-1]) * slope)
    pairs = zip(reversed(deltas), A[:-1], strict=True)
    return [Layer(w=d @ a.T / len(x), b=jnp.mean(d, axis=1)) for d, a in pairs]


def _jacobians(sigmas: Sequence[Activation], zs: list[Array]) -> list[Array]:
    """Sigma'(z) of each layer, da/dz: diagonal, but for a softmax."""
    return [jax.jacobian(sigma.fn)(z) for sigma, z in zip(sigmas, zs, strict=True)]


def matrix_product(
    params: Params,
    x: Inputs,
    y: Targets,
    cost: Cost = quadratic,
    hidden: Hidden = sigmoid,
) -> Params:
    """The gradient without the Hadamard product, by the matrices of (2.12).

    delta^l = Sigma'(z^l) (w^(l+1))^T ... Sigma'(z^(L-1)) (w^L)^T Sigma'(z^L) grad_a C.
    """
    check_examples(params, x, y, hidden)
    check_cost(cost)
    formula = formula_of(cost)
    sigmas = (*hidden_activations(params, hidden), cost.output)

    def errors(x: Array, y: Array) -> tuple[list[Array], list[Array]]:
        zs, activations = forward(params, x, hidden=hidden, output=cost.output)
        slopes = _jacobians(sigmas, zs)
        deltas = [slopes[-1].T @ jax.grad(formula)(activations[-1], y)]  # (2.10)
        for l in reversed(range(len(params) - 1)):
            deltas.append(slopes[l].T @ params[l + 1].w.T @ deltas[-1])  # (2.11)
        return deltas[::-1], activations[:-1]

    return _averaged(errors, params, x, y)


def path_sum(
    params: Params,
    x: Inputs,
    y: Targets,
    cost: Cost = quadratic,
    hidden: Hidden = sigmoid,
) -> Params:
    """The gradient as a sum over all paths from a weight to the cost  (2.28).

    dC/dw^l_jk = sum_{m, n, ..., q} dC/da^L_m da^L_m/da^(L-1)_n ... da^(l+1)_q/da^l_j
    da^l_j/dw^l_jk. Raises ValueError if there are too many paths to list.
    """
    check_examples(params, x, y, hidden)
    check_cost(cost)
    formula = formula_of(cost)
    sizes = [len(layer.b) for layer in params]
    if math.prod(sizes) > MOST_PATHS:
        raise ValueError(
            f"Expected at most {MOST_PATHS:,} paths through the network, and there are "
            f"{' x '.join(map(str, sizes))} = {math.prod(sizes):,}. Take fewer neurons "
            "or layers."
        )
    sigmas = (*hidden_activations(params, hidden), cost.output)

    def errors(x: Array, y: Array) -> tuple[list[Array], list[Array]]:
        zs, activations = forward(params, x, hidden=hidden, output=cost.output)
        slopes = _jacobians(sigmas, zs)
        slope_of_cost = jax.grad(formula)(activations[-1], y)
        deltas = []
        for l in range(len(params)):
            # A row for every path: the neuron it goes through in layers l, ..., L - 1.
            paths = np.indices(sizes[l:]).reshape(len(sizes) - l, -1)
            product = slope_of_cost[paths[-1]]
            for above, (j, q) in enumerate(zip(paths, paths[1:], strict=False), l + 1):
                product *= (slopes[above] @ params[above].w)[q, j]  # da_q / da_j
            by_neuron = jnp.zeros(sizes[l], product.dtype).at[paths[0]].add(product)
            deltas.append(slopes[l].T @ by_neuron)
        return deltas, activations[:-1]

    return _averaged(errors, params, x, y)


def nudged_cost(
    params: Params,
    x: Float[Array, " in"],
    y: Float[Array, " out"],
    nudges: list[Float[Array, " _"]],
    cost: Cost = quadratic,
    hidden: Hidden = sigmoid,
) -> Float[Array, ""]:
    """The cost of one example when the demon of 2.4 adds `nudges[l]` to each z^l."""
    a, z = x, x
    sigmas = (*hidden_activations(params, hidden), cost.output)
    for (w, b), nudge, sigma in zip(params, nudges, sigmas, strict=True):
        z = w @ a + b + nudge
        a = sigma.fn(z)
    return cost.value(z, y)


def demon(
    params: Params,
    x: Float[Array, " in"],
    y: Float[Array, " out"],
    cost: Cost = quadratic,
    hidden: Hidden = sigmoid,
) -> list[Float[Array, " _"]]:
    """What the demon of 2.4 gains at each neuron, dC/dz^1, ..., dC/dz^L  (2.7).

    By `jax.grad` of `nudged_cost` at no nudge, so independent of `errors`.
    """
    nothing = [jnp.zeros_like(b) for _, b in params]
    by_nudges = jax.grad(nudged_cost, argnums=3)(params, x, y, nothing, cost, hidden)
    return cast(list, by_nudges)
