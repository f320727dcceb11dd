"""Perceptrons, and networks of them: chapters 1.1 and 1.2.

A network of perceptrons is a network like any other, whose activation is `step`.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxnet.activations import Activation
from jaxnet.network import Layer, Params, Scalar, predict


def _step(z: Float[Array, "..."]) -> Float[Array, "..."]:
    return (z > 0).astype(z.dtype)


step = Activation(_step, jnp.zeros_like)
"""0 at z = 0, as perceptrons are; the step drawn in footnote 2 of 1.2 is 1 there."""


def threshold_rule(
    w: Float[Array, " in"], x: Float[Array, " in"], threshold: Scalar
) -> Float[Array, ""]:
    """1 if sum_j w_j x_j > threshold, else 0  (1.1)."""
    return (w @ x > threshold).astype(x.dtype)


def perceptron(
    w: Float[Array, " in"], x: Float[Array, " in"], b: Scalar
) -> Float[Array, ""]:
    """1 if w . x + b > 0, else 0  (1.2), which is (1.1) with b = -threshold."""
    return _step(w @ x + b)


def gate(w1: float, w2: float, b: float) -> Params:
    """One perceptron of two inputs, as a network."""
    return [Layer(w=jnp.array([[w1, w2]]), b=jnp.array([b]))]


NAND = (-2.0, -2.0, 3.0)
AND = (2.0, 2.0, -3.0)
OR = (2.0, 2.0, -1.0)


def all_inputs(n: int) -> Float[Array, "rows n"]:
    """The 2^n rows of n bits, counting up, most significant bit first."""
    return jnp.asarray((np.arange(2**n)[:, None] >> np.arange(n)[::-1]) & 1, float)


def run_perceptrons(params: Params, x: Float[Array, "m in"]) -> Float[Array, "m out"]:
    """What a network of perceptrons answers to each row of x."""
    return jax.vmap(lambda x: predict(params, x, hidden=step, output=step))(x)


def scale(params: Params, c: Scalar) -> Params:
    """The network with every weight and bias multiplied by c."""
    return jax.tree.map(lambda p: c * p, params)
