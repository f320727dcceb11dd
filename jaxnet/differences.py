"""The gradient of `loss` from values of the cost alone: chapter 2.7, 2.8.

Slow, since each weight and bias wants forward passes of its own, and independent of the
chain rule that `backprop` and `jax.grad` share.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from jaxnet.activations import linear, sigmoid, tanh
from jaxnet.checks import check_cost, check_examples
from jaxnet.costs import Cost, formula_of, quadratic
from jaxnet.gradients import loss
from jaxnet.network import Hidden, Params, Scalar, hidden_activations

Inputs = Float[Array, "m in"]
Targets = Float[Array, "m out"]


def forward_difference(
    params: Params,
    x: Inputs,
    y: Targets,
    cost: Cost = quadratic,
    hidden: Hidden = sigmoid,
    epsilon: Scalar | None = None,
) -> Params:
    """dC/dw_j = (C(w + epsilon e_j) - C(w)) / epsilon, about  (2.21).

    One forward pass for each weight and bias, and one more. Its error is proportional
    to epsilon until rounding takes over, by default where the two are alike for weights
    of about 1. One so large that w + epsilon is w has a difference of 0.
    """
    step = _spacing(params) ** (1 / 2) if epsilon is None else epsilon
    here = loss(params, x, y, cost, hidden)

    def slope(C: Callable, w: Array, e: Array) -> Array:
        return (C(w + step * e) - here) / step

    return _one_by_one(slope, params, x, y, cost, hidden)


def central_difference(
    params: Params,
    x: Inputs,
    y: Targets,
    cost: Cost = quadratic,
    hidden: Hidden = sigmoid,
    epsilon: Scalar | None = None,
) -> Params:
    """dC/dw_j = (C(w + epsilon e_j) - C(w - epsilon e_j)) / 2 epsilon, about.

    Two forward passes for each weight and bias; the error is as epsilon squared.
    """
    step = _spacing(params) ** (1 / 3) if epsilon is None else epsilon

    def slope(C: Callable, w: Array, e: Array) -> Array:
        return (C(w + step * e) - C(w - step * e)) / (2 * step)

    return _one_by_one(slope, params, x, y, cost, hidden)


def _spacing(params: Params) -> float:
    return float(jnp.finfo(params[0].w.dtype).eps)


def _one_by_one(slope, params, x, y, cost, hidden) -> Params:
    """`slope(C, w, e_j)` for every j, C being a function of all parameters as one w."""
    w, unravel = ravel_pytree(params)

    def C(w: Array) -> Array:
        return loss(unravel(w), x, y, cost, hidden)

    def derivative(j: Array) -> Array:
        return slope(C, w, jnp.zeros_like(w).at[j].set(1))

    return unravel(jax.lax.map(derivative, jnp.arange(w.size)))


def _holomorphic_sigmoid(z: Array) -> Array:
    right = z.real > 0  # exp of a number with a negative real part cannot overflow
    e = jnp.exp(jnp.where(right, -z, z))
    return jnp.where(right, 1, e) / (1 + e)


_HOLOMORPHIC = {sigmoid: _holomorphic_sigmoid, tanh: jnp.tanh, linear: lambda z: z}


def complex_step(
    params: Params,
    x: Inputs,
    y: Targets,
    cost: Cost = quadratic,
    hidden: Hidden = sigmoid,
) -> Params:
    """dC/dw_j = Im C(w + i h e_j) / h with a tiny h: no difference, so no cancellation.

    Exact to rounding, of a network written for complex numbers with the cost's
    `formula`. Raises ValueError for activations that have no complex derivative.
    """
    check_examples(params, x, y, hidden)
    check_cost(cost)
    formula = formula_of(cost)
    activations = (*hidden_activations(params, hidden), cost.output)
    if not set(activations) <= set(_HOLOMORPHIC):
        raise ValueError(
            "Expected activations with a complex derivative, which are "
            "jaxnet.sigmoid, tanh and linear, got another one."
        )
    h = float(jnp.finfo(params[0].w.dtype).tiny) ** 0.5
    w, unravel = ravel_pytree(params)
    number = jnp.complex128 if w.dtype == jnp.float64 else jnp.complex64
    targets = y.astype(number)

    def C(w: Array) -> Array:
        a, position = x.astype(number), 0
        for layer, sigma in zip(params, activations, strict=True):
            n_out, n_in = layer.w.shape
            split = position + layer.w.size
            weights, biases = w[position:split], w[split : split + n_out]
            z = a @ weights.reshape(n_out, n_in).T + biases[None]
            a, position = _HOLOMORPHIC[sigma](z), split + n_out
        return jnp.mean(jax.vmap(formula)(a, targets))

    def derivative(j: Array) -> Array:
        return C(w.astype(number).at[j].add(1j * h)).imag / h

    return unravel(jax.lax.map(derivative, jnp.arange(w.size)))
