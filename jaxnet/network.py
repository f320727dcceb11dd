"""A network is a list of layers: chapters 1.6 and 2.1.

Everything here is written for one example, in the book's notation; a mini-batch is
`jax.vmap` of it. `forward` keeps every intermediate value: under `jit` what is not
used costs nothing.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Key, UInt8

from jaxnet.activations import Activation, sigmoid


class Layer(NamedTuple):
    """Weights and biases of one layer, or a gradient with respect to them."""

    w: Float[Array, "out in"]
    b: Float[Array, " out"]


Params = list[Layer]
Scalar = int | float | Float[Array, ""]
Hidden = Activation | tuple[Activation, ...]
"""The activation of all hidden layers, or one for each of them."""


class Dataset(NamedTuple):
    """Examples as rows: inputs, and one-hot (or soft) targets.

    Inputs may be bytes, in a quarter of the memory: they stand for byte / 256.
    """

    x: Float[Array, "n in"] | UInt8[Array, "n in"]
    y: Float[Array, "n out"]


def as_numbers(
    x: Float[Array, "m in"] | UInt8[Array, "m in"], dtype: DTypeLike
) -> Float[Array, "m in"]:
    """Inputs for a network: bytes / 256, and numbers as they are."""
    return x.astype(dtype) / 256 if x.dtype == jnp.uint8 else x


def large_layer(key: Key[Array, ""], n_in: int, n_out: int) -> Layer:
    """A layer with weights and biases drawn from N(0, 1) (chapter 1.6)."""
    w_key, b_key = jax.random.split(key)
    return Layer(
        w=jax.random.normal(w_key, (n_out, n_in)),
        b=jax.random.normal(b_key, (n_out,)),
    )


def scaled_layer(key: Key[Array, ""], n_in: int, n_out: int) -> Layer:
    """As `large_layer`, with weights drawn from N(0, 1 / n_in) (web, chapter 3)."""
    w, b = large_layer(key, n_in, n_out)
    return Layer(w=w / n_in**0.5, b=b)


def init(
    key: Key[Array, ""],
    sizes: Sequence[int],
    init_layer: Callable[[Key[Array, ""], int, int], Layer] = large_layer,
) -> Params:
    """A random network with `sizes` neurons in its layers, inputs first.

    Raises ValueError unless there are two or more sizes, each at least 1.
    """
    if len(sizes) < 2 or min(sizes) < 1:
        raise ValueError(
            f"Expected the sizes of two or more layers, each at least 1, got "
            f"{list(sizes)}. The book's first network is [784, 30, 10]."
        )
    return [
        init_layer(jax.random.fold_in(key, l), n_in, n_out)
        for l, (n_in, n_out) in enumerate(pairwise(sizes), start=1)
    ]


def hidden_activations(params: Params, hidden: Hidden) -> tuple[Activation, ...]:
    """The activations of layers 1, ..., L - 1."""
    if isinstance(hidden, Activation):
        return (hidden,) * (len(params) - 1)
    return hidden


def forward(
    params: Params,
    x: Float[Array, " in"],
    *,
    hidden: Hidden = sigmoid,
    output: Activation = sigmoid,
) -> tuple[list[Float[Array, " _"]], list[Float[Array, " _"]]]:
    """The weighted inputs z^1, ..., z^L and the activations a^0, ..., a^L.

    a^0 = x, z^l = w^l a^(l-1) + b^l and a^l = sigma(z^l)  (1.22, 2.1), where sigma is
    `output` in the last layer and `hidden` in the others.
    """
    zs, activations = [], [x]
    sigmas = (*hidden_activations(params, hidden), output)
    for (w, b), sigma in zip(params, sigmas, strict=True):
        zs.append(w @ activations[-1] + b)
        activations.append(sigma.fn(zs[-1]))
    return zs, activations


def predict(
    params: Params,
    x: Float[Array, " in"],
    *,
    hidden: Hidden = sigmoid,
    output: Activation = sigmoid,
) -> Float[Array, " out"]:
    """The network's output a^L for one example."""
    return forward(params, x, hidden=hidden, output=output)[1][-1]


def collapse(params: Params) -> Layer:
    """The one layer that a network of linear neurons comes to (exercise, 2.6)."""
    w, b = params[0]
    for layer in params[1:]:
        w, b = layer.w @ w, layer.w @ b + layer.b
    return Layer(w, b)
