"""Networks: initialisation and the forward pass. Chapters 1.6 and 2.1.

Everything here is for one example, in the book's notation; for a mini-batch, use
`jax.vmap`. `forward` returns all intermediate values: under `jit`, those that are not
used are not computed.
"""

from collections.abc import Callable, Sequence
from zlib import crc32

import jax
from jaxtyping import Array, Float, Key, UInt8

from jaxnet.activations import Activation, sigmoid
from jaxnet.checks import (
    check_activation,
    check_callable,
    check_examples,
    check_integer,
)
from jaxnet.layers import Layer, Params, as_numbers, dtype_of


def stream(key: Key[Array, ""], purpose: str) -> Key[Array, ""]:
    """A key for one purpose, so that one key may be passed to several functions.

    `init(key)` and `train(key)` draw from independent streams.
    """
    return jax.random.fold_in(key, crc32(purpose.encode()))


def large_layer(key: Key[Array, ""], n_in: int, n_out: int) -> Layer:
    """A layer with weights and biases drawn from N(0, 1) (chapter 1.6)."""
    w_key, b_key = jax.random.split(key)
    return Layer(
        w=jax.random.normal(w_key, (n_out, n_in)),
        b=jax.random.normal(b_key, (n_out,)),
    )


def scaled_layer(key: Key[Array, ""], n_in: int, n_out: int) -> Layer:
    """A layer as `large_layer`, with weights drawn from N(0, 1 / n_in) (web 3.3)."""
    w, b = large_layer(key, n_in, n_out)
    return Layer(w=w / n_in**0.5, b=b)


def init(
    key: Key[Array, ""],
    sizes: Sequence[int],
    hidden: Activation | list[Activation] | tuple[Activation, ...] = sigmoid,
    output: Activation = sigmoid,
    init_layer: Callable[[Key[Array, ""], int, int], Layer] = large_layer,
) -> Params:
    """A random network with `sizes` neurons in its layers, inputs first.

    `hidden` is the activation of all hidden layers, or one for each. `output` is the
    one that the cost has: softmax for `log_likelihood`, linear for `linear_quadratic`.

    >>> params = jaxnet.init(jax.random.key(0), [784, 30, 10])
    >>> [w.shape for w, b in params]
    [(30, 784), (10, 30)]

    Raises ValueError unless there are two or more sizes, each at least 1, and as many
    activations as hidden layers; TypeError for arguments of other types.
    """
    check_callable("init_layer", init_layer, "jaxnet.scaled_layer")
    sizes = list(sizes)
    for size in sizes:
        check_integer("the number of neurons in each layer", size, 1)
    if len(sizes) < 2:
        raise ValueError(
            f"Expected the sizes of two or more layers, such as [784, 30, 10], got "
            f"{sizes}."
        )
    between = len(sizes) - 2
    several = isinstance(hidden, list | tuple)
    for activation in hidden if several else [hidden]:
        check_activation(activation, hidden=True)
    each = list(hidden) if several else [hidden] * between
    if len(each) != between:
        raise ValueError(
            f"Expected one activation, or one for each of the {between} hidden layers, "
            f"got {len(each)}."
        )
    check_activation(output, hidden=False)
    params = []
    for l, activation in enumerate([*each, output], start=1):
        layer_key = jax.random.fold_in(stream(key, "init"), l)
        w, b = init_layer(layer_key, sizes[l - 1], sizes[l])
        params.append(Layer(w, b, activation))
    return params


def forward(
    params: Params, x: Float[Array, "..."] | UInt8[Array, "..."]
) -> tuple[list[Float[Array, "..."]], list[Float[Array, "..."]]]:
    """The weighted inputs z^1, ..., z^L and the activations a^0, ..., a^L.

    a^0 = x, z^l = w^l a^(l-1) + b^l and a^l = sigma(z^l)  (1.22, 2.1, 2.3).
    Raises ValueError unless x is one example for this network.
    """
    check_examples(params, x, one=True)
    zs, activations = [], [as_numbers(x, dtype_of(params))]
    for layer in params:
        zs.append(layer.weigh(activations[-1]))
        activations.append(layer.activation.fn(zs[-1]))
    return zs, activations


def predict(
    params: Params, x: Float[Array, "..."] | UInt8[Array, "..."]
) -> Float[Array, " out"]:
    """The network's output a^L for one example.

    For many, use `jax.vmap(partial(jaxnet.predict, params))(data.x)`.

    >>> params = jaxnet.init(jax.random.key(0), [784, 30, 10])
    >>> jaxnet.predict(params, jnp.zeros(784)).shape
    (10,)

    Raises ValueError unless x is one example for this network.
    """
    return forward(params, x)[1][-1]
