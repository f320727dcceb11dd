"""Other ways to the gradient of `loss`: slow, and independent of `backprop`. Chapter 2.

Each takes the arguments of `backprop`, returns what it returns, and can train in its
place with `gradient=`. The first four find the errors of an example in their own way,
and `from_errors` makes gradients of them; the last three use values of the cost alone.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial, wraps

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Complex, Float, Int

from jaxnet.activations import linear, sigmoid, tanh
from jaxnet.checks import check_cost, check_examples
from jaxnet.costs import Cost, quadratic
from jaxnet.gradients import Gradient, Inputs, Targets, errors, loss
from jaxnet.layers import Layer, Params, Scalar, as_numbers, dtype_of
from jaxnet.network import forward

MAX_PATHS = 1_000_000

Vectors = list[Float[Array, " _"]]
Found = tuple[Vectors, Vectors]  # the errors, and the activations that entered layers


def from_errors(find: Callable[[Params, Array, Array, Cost], Found]) -> Gradient:
    """The gradient by (BP3) and (BP4), example by example and then averaged.

    `find(params, x, y, cost)` gives what `errors` gives: the errors of one example and
    the activations that entered each layer.
    """

    @wraps(find)
    def gradient(
        params: Params, x: Inputs, y: Targets, cost: Cost = quadratic
    ) -> Params:
        _check(params, x, y, cost)

        def one(x: Array, y: Array) -> Params:
            layers = zip(params, *find(params, x, y, cost), strict=True)
            return [replace(l, w=jnp.outer(d, a), b=d) for l, d, a in layers]

        return jax.tree.map(partial(jnp.mean, axis=0), jax.vmap(one)(x, y))

    return gradient


@from_errors
def backprop_by_example(params: Params, x: Array, y: Array, cost: Cost) -> Found:
    """The gradient by the algorithm of 2.6, for each example and then averaged."""
    return errors(params, x, y, cost)


def backprop_by_matrix(
    params: Params, x: Inputs, y: Targets, cost: Cost = quadratic
) -> Params:
    """The gradient from X = [x_1 ... x_m], an example in each column (problem, 2.7)."""
    _check(params, x, y, cost)
    columns = partial(jax.vmap, in_axes=1, out_axes=1)
    A, Z = [as_numbers(x, dtype_of(params)).T], []
    for layer in params:
        Z.append(layer.w @ A[-1] + layer.b[:, None])
        A.append(columns(layer.activation.fn)(Z[-1]))
    D = [columns(cost.delta)(Z[-1], y.T)]
    for l in reversed(range(len(params) - 1)):
        slopes = columns(params[l].activation.prime)(Z[l])
        D.insert(0, (params[l + 1].w.T @ D[0]) * slopes)
    return [
        replace(layer, w=delta @ a.T / len(x), b=jnp.mean(delta, axis=1))
        for layer, delta, a in zip(params, D, A[:-1], strict=True)
    ]


def _check(params: Params, x: Inputs, y: Targets, cost: Cost) -> None:
    check_examples(params, x, y)
    check_cost(params, cost)
    for layer in params:
        if not isinstance(layer, Layer):
            raise TypeError(
                "Expected fully connected layers only, for this oracle, got a "
                f"{type(layer).__name__}."
            )


def _slopes(
    params: Params, x: Array, y: Array, cost: Cost
) -> tuple[list[Float[Array, "n n"]], Float[Array, " out"], Vectors]:
    """Sigma'(z^l) = da/dz of each layer, grad_a C, and the activations.

    Sigma' is a diagonal matrix, except for a softmax.
    """
    zs, activations = forward(params, x)
    sigmas = [layer.activation.fn for layer in params]
    matrices = [jax.jacobian(fn)(z) for fn, z in zip(sigmas, zs, strict=True)]
    return matrices, jax.grad(_formula(cost))(activations[-1], y), activations


@from_errors
def matrix_product(params: Params, x: Array, y: Array, cost: Cost) -> Found:
    """The gradient by matrices instead of Hadamard products  (2.12).

    delta^l = Sigma'(z^l) (w^(l+1))^T ... Sigma'(z^(L-1)) (w^L)^T Sigma'(z^L) grad_a C.
    """
    slopes, grad_a, activations = _slopes(params, x, y, cost)
    deltas = [slopes[-1].T @ grad_a]  # (2.10)
    for l in reversed(range(len(params) - 1)):
        deltas.insert(0, slopes[l].T @ params[l + 1].w.T @ deltas[0])  # (2.11)
    return deltas, activations[:-1]


@from_errors
def path_sum(params: Params, x: Array, y: Array, cost: Cost) -> Found:
    """The gradient as a sum over all paths from a weight to the cost  (2.28).

    dC/dw^l_jk = sum_{m, n, ..., q} dC/da^L_m da^L_m/da^(L-1)_n ... da^(l+1)_q/da^l_j
    da^l_j/dw^l_jk. Raises ValueError if there are too many paths to list.
    """
    sizes = [len(b) for _, b in params]
    if math.prod(sizes) > MAX_PATHS:
        raise ValueError(
            f"Expected at most {MAX_PATHS:,} paths through the network, got "
            f"{' x '.join(map(str, sizes))} = {math.prod(sizes):,}. Use fewer neurons "
            "or layers."
        )
    slopes, grad_a, activations = _slopes(params, x, y, cost)
    deltas = []
    for l in range(len(params)):
        # A column for each path: the neuron that it takes in layers l, ..., L - 1.
        paths = np.indices(sizes[l:]).reshape(len(sizes) - l, -1)
        product = grad_a[paths[-1]]
        for above, (j, q) in enumerate(zip(paths, paths[1:], strict=False), l + 1):
            product *= (slopes[above] @ params[above].w)[q, j]  # da_q / da_j
        by_neuron = jnp.zeros(sizes[l], product.dtype).at[paths[0]].add(product)
        deltas.append(slopes[l].T @ by_neuron)
    return deltas, activations[:-1]


def nudged_cost(
    params: Params, x: Array, y: Array, nudges: list[Array], cost: Cost = quadratic
) -> Float[Array, ""]:
    """The cost of one example when the demon of 2.4 adds `nudges[l]` to each z^l."""
    a = z = x
    for layer, nudge in zip(params, nudges, strict=True):
        z = layer.weigh(a) + nudge
        a = layer.activation.fn(z)
    return cost.value(z, y)


def demon(params: Params, x: Array, y: Array, cost: Cost = quadratic) -> list[Array]:
    """What the demon of 2.4 gains at each neuron, dC/dz^1, ..., dC/dz^L  (2.7).

    By `jax.grad` of `nudged_cost` at nudges of 0, so independent of `errors`.
    """
    nothing = [jnp.zeros_like(z) for z in forward(params, x)[0]]
    return jax.grad(nudged_cost, argnums=3)(params, x, y, nothing, cost)  # type: ignore


def forward_difference(
    params: Params,
    x: Inputs,
    y: Targets,
    cost: Cost = quadratic,
    epsilon: Scalar | None = None,
) -> Params:
    """dC/dw_j = (C(w + epsilon e_j) - C(w)) / epsilon, approximately  (2.21).

    One forward pass for each weight and bias, and one more. The error is proportional
    to epsilon until rounding dominates; the default balances the two for weights of
    about 1. Where a weight is so large that w + epsilon = w, the difference is 0.
    """
    h = _spacing(params) ** (1 / 2) if epsilon is None else epsilon
    w, C = _of_a_vector(params, x, y, cost)
    here = C(w)
    return _along_axes(lambda e: (C(w + h * e) - here) / h, params)


def central_difference(
    params: Params,
    x: Inputs,
    y: Targets,
    cost: Cost = quadratic,
    epsilon: Scalar | None = None,
) -> Params:
    """dC/dw_j = (C(w + epsilon e_j) - C(w - epsilon e_j)) / 2 epsilon, approximately.

    Two forward passes for each weight and bias; the error is proportional to epsilon^2.
    """
    h = _spacing(params) ** (1 / 3) if epsilon is None else epsilon
    w, C = _of_a_vector(params, x, y, cost)
    return _along_axes(lambda e: (C(w + h * e) - C(w - h * e)) / (2 * h), params)


def _spacing(params: Params) -> float:
    return float(jnp.finfo(dtype_of(params)).eps)


def _of_a_vector(
    params: Params, x: Inputs, y: Targets, cost: Cost
) -> tuple[Float[Array, " n"], Callable[[Array], Array]]:
    """All parameters as one w, and the cost C(w)."""
    w, unravel = ravel_pytree(params)
    return w, lambda w: loss(unravel(w), x, y, cost)


def _along_axes(slope: Callable[[Array], Array], params: Params) -> Params:
    """`slope(e_j)` for every j, e_j being 1 for one parameter and 0 for all others."""
    w, unravel = ravel_pytree(params)

    def along(j: Int[Array, ""]) -> Float[Array, ""]:
        return slope(jnp.zeros_like(w).at[j].set(1))

    return unravel(jax.lax.map(along, jnp.arange(w.size)))


def _holomorphic_sigmoid(z: Complex[Array, "..."]) -> Complex[Array, "..."]:
    positive = z.real > 0  # exp of a number with a negative real part cannot overflow
    e = jnp.exp(jnp.where(positive, -z, z))
    return jnp.where(positive, 1, e) / (1 + e)


_HOLOMORPHIC = {sigmoid: _holomorphic_sigmoid, tanh: jnp.tanh, linear: linear.fn}


def complex_step(
    params: Params, x: Inputs, y: Targets, cost: Cost = quadratic
) -> Params:
    """dC/dw_j = Im C(w + i h e_j) / h with a tiny h: no difference, no cancellation.

    Exact to rounding, from the network over complex numbers and the cost's `formula`.
    Raises ValueError for activations that have no complex derivative.
    """
    check_examples(params, x, y)
    check_cost(params, cost)
    formula = _formula(cost)
    if not {layer.activation for layer in params} <= set(_HOLOMORPHIC):
        raise ValueError(
            "Expected activations with a complex derivative, which are "
            "jaxnet.sigmoid, tanh and linear, got another one."
        )
    dtype = dtype_of(params)
    h = float(jnp.finfo(dtype).tiny) ** 0.5
    number = jnp.complex128 if dtype == jnp.float64 else jnp.complex64
    a0, targets, over_complex = jax.tree.map(
        lambda leaf: leaf.astype(number), (as_numbers(x, dtype), y, params)
    )
    w, unravel = ravel_pytree(over_complex)

    def C(w: Complex[Array, " n"]) -> Complex[Array, ""]:
        a = a0
        for layer in unravel(w):
            a = _HOLOMORPHIC[layer.activation](jax.vmap(layer.weigh)(a))
        return jnp.mean(jax.vmap(formula)(a, targets))

    return _along_axes(lambda e: C(w + 1j * h * e.astype(number)).imag / h, params)


def _formula(cost: Cost) -> Callable[[Array, Array], Array]:
    if cost.formula is None:
        raise ValueError(
            f"Expected a cost with a formula, its value as a function of the output "
            f"activation a, got {cost}. Pass Cost(..., formula=lambda a, y: ...)."
        )
    return cost.formula
