"""Regularization against overfitting: L2, L1 and dropout. Web, chapter 3.

Each turns a gradient, by hand or automatic, into that of another cost or network.
"""

from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from jaxnet.checks import check_numbers
from jaxnet.forms import gradient_of
from jaxnet.gradients import Gradient
from jaxnet.layers import Layer, Params, Scalar, dtype_of


def penalty(params: Params, l1: Scalar, l2: Scalar, n: int) -> Float[Array, ""]:
    """lambda_1/n sum_w |w| + lambda_2/2n sum_w w^2  (web 85, 95)."""
    ws = [layer.w for layer in params if hasattr(layer, "w")]
    zero = jnp.zeros((), dtype_of(params))
    # The rate comes first, so that a rate of 0 gives 0 where w^2 would be infinite.
    absolute = sum((jnp.sum(l1 * jnp.abs(w)) for w in ws), zero)
    squares = sum((jnp.sum(l2 * w * w) for w in ws), zero)
    return absolute / n + squares / (2 * n)


def with_penalty(
    gradient: Gradient, l1_rate: Scalar | None = None, l2_rate: Scalar | None = None
) -> Gradient:
    """The gradient of the cost plus l1_rate sum_w |w| + l2_rate/2 sum_w w^2.

    dC/dw = dC_0/dw + lambda/n sgn(w) (web 96), and dC_0/dw + lambda/n w (web 88),
    where the rates are lambda/n. Biases are not regularized.
    """

    def regularized(params: Params, x: Array, y: Array, **options: Any) -> Params:
        slopes = gradient_of(gradient, params, x, y, **options)
        for rate, slope in ((l1_rate, jnp.sign), (l2_rate, lambda w: w)):
            if rate is not None:
                slopes = [
                    replace(g, w=g.w + rate * slope(layer.w)) if hasattr(g, "w") else g
                    for g, layer in zip(slopes, params, strict=True)
                ]
        return slopes

    return regularized


def with_dropout(gradient: Gradient, key: Key[Array, ""], rate: Scalar) -> Gradient:
    """The gradient of the network that is left when hidden neurons are dropped.

    Each is dropped with probability `rate`, for all examples of the mini-batch, by a
    mask on the weights that leave it: 0 sends nothing forwards and no error back.
    """

    def dropped(params: Params, x: Array, y: Array, **options: Any) -> Params:
        masked = partial(jax.tree.map, jnp.multiply, _masks(key, params, rate))
        return masked(gradient_of(gradient, masked(params), x, y, **options))

    return dropped


def without_dropout(params: Params, rate: Scalar) -> Params:
    """The network to evaluate after training with dropout, all neurons present.

    The weights that leave hidden neurons are scaled by 1 - rate, the share of these
    neurons that were present in training.
    """
    check_numbers({"dropout": rate}, 0, 1)
    return [
        replace(layer, w=(1 - rate) * layer.w)
        if l and isinstance(layer, Layer)
        else layer
        for l, layer in enumerate(params)
    ]


def _masks(key: Key[Array, ""], params: Params, rate: Scalar) -> Params:
    """The network with 1 for each parameter, and 0 for weights from dropped neurons."""
    ones = jax.tree.map(lambda p: jnp.ones((), p.dtype), params)
    for l, layer in enumerate(params[1:], start=1):
        if hasattr(layer, "by_input"):
            dtype, layer_key = layer.w.dtype, jax.random.fold_in(key, l)
            draws = jax.random.uniform(layer_key, layer.shape_in, dtype)
            ones[l] = replace(ones[l], w=layer.by_input((draws >= rate).astype(dtype)))
    return ones
