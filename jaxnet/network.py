"""Networks: initialisation and the forward pass. Chapters 1.6, 2.1 and 6.

Everything here is for one example, in the book's notation; for a mini-batch, use
`jax.vmap`. `forward` returns all intermediate values: under `jit`, those that are not
used are not computed.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple
from zlib import crc32

import jax
from jaxtyping import Array, Float, Key

from jaxnet.activations import Activation, linear, sigmoid
from jaxnet.checks import (
    check_activation,
    check_callable,
    check_examples,
    check_integer,
    check_params,
)
from jaxnet.layers import (
    Convolution,
    Example,
    Layer,
    MaxPool,
    Params,
    as_numbers,
    dtype_of,
)

InitLayer = Callable[[Key[Array, ""], int, int], Layer]


class Image(NamedTuple):
    """The shape of images that enter a network, for `init`."""

    rows: int
    columns: int
    channels: int = 1

    def __repr__(self) -> str:
        sizes = [self.rows, self.columns, self.channels]
        return "x".join(map(str, sizes if self.channels > 1 else sizes[:2]))


class Part(NamedTuple):
    """A layer of another kind than `Layer`, for `init`; from the functions below."""

    size: int
    maps: int = 0
    pools: bool = False

    def __repr__(self) -> str:
        return f"pool{self.size}" if self.pools else f"conv{self.maps}x{self.size}"


def convolution(maps: int, size: int) -> Part:
    """Feature maps, each of one local receptive field of `size` x `size`."""
    return Part(size, maps)


def max_pool(size: int) -> Part:
    """Squares of `size` x `size` that keep their largest activation."""
    return Part(size, pools=True)


Size = int | Image | Part


def stream(key: Key[Array, ""], purpose: str) -> Key[Array, ""]:
    """A key for one purpose, so that one key may be passed to several functions.

    `init(key)` and `train(key)` draw from independent streams.
    """
    return jax.random.fold_in(key, crc32(purpose.encode()))


def large_layer(key: Key[Array, ""], n_in: int, n_out: int) -> Layer:
    """A layer with weights and biases drawn from N(0, 1) (chapter 1.6)."""
    w_key, b_key = jax.random.split(key)
    w = jax.random.normal(w_key, (n_out, n_in))
    return Layer(w, jax.random.normal(b_key, (n_out,)))


def scaled_layer(key: Key[Array, ""], n_in: int, n_out: int) -> Layer:
    """A layer as `large_layer`, with weights drawn from N(0, 1 / n_in) (web 3.3)."""
    w, b = large_layer(key, n_in, n_out)
    return Layer(w=w / n_in**0.5, b=b)


def layers_of(sizes: Sequence[Size]) -> Params:
    """The layers of a network with these sizes, with shapes in place of parameters.

    Raises as `init` does, naming the layer that does not fit.
    """
    if len(sizes) < 2:
        raise ValueError(
            f"Expected the sizes of two or more layers, such as [784, 30, 10], got "
            f"{list(sizes)}."
        )
    first, layers = sizes[0], []
    if isinstance(first, Image):
        for n in first:
            check_integer("rows, columns and channels of images", n, 1)
        shape = first.channels, first.rows, first.columns
    else:
        check_integer("the number of neurons in each layer", first, 1)
        shape = (first,)
    for l, size in enumerate(sizes[1:], start=1):
        layers.append(_layer(l, size, shape))
        shape = layers[-1].shape_out
    if isinstance(sizes[-1], Part):
        raise ValueError(
            f"Expected a number of output neurons as the last layer, got {sizes[-1]}."
        )
    check_params(layers)
    return layers


def _layer(l: int, size: Size, shape: Any) -> Layer | Convolution | MaxPool:
    numbers: Any = partial(jax.ShapeDtypeStruct, dtype=float)
    if not isinstance(size, Part):
        check_integer("the number of neurons in each layer", size, 1)
        return Layer(numbers((size, math.prod(shape))), numbers((size,)))
    if len(shape) != 3:
        raise ValueError(
            f"Expected images in layer {l}, {size}, got {shape[0]} numbers. Images "
            "enter as Image(28, 28), and fully connected layers come last."
        )
    check_integer(f"the size in layer {l}, {size},", size.size, 1)
    if size.pools:
        return MaxPool(shape, size.size)
    check_integer(f"the number of feature maps in layer {l}", size.maps, 1)
    field = shape[0], size.size, size.size
    return Convolution(numbers((size.maps, *field)), numbers((size.maps,)), shape)


def init(
    key: Key[Array, ""],
    sizes: Sequence[Size],
    hidden: Activation | list[Activation] | tuple[Activation, ...] = sigmoid,
    output: Activation = sigmoid,
    init_layer: InitLayer = large_layer,
) -> Params:
    """A random network with `sizes` neurons in its layers, inputs first.

    `hidden` is the activation of all hidden layers, or one for each. `output` is the
    one that the cost has: softmax for `log_likelihood`, linear for `linear_quadratic`.

    >>> params = jaxnet.init(jax.random.key(0), [784, 30, 10])
    >>> [w.shape for w, b in params]
    [(30, 784), (10, 30)]

    Instead of numbers, sizes may be an `Image` that enters, then `convolution`
    or `max_pool`. The weights of a convolution are drawn as for a layer from
    one receptive field to one neuron of each map. With one activation for all, that of
    a pooled convolution acts after the pooling, as in the book's program: an increasing
    function of the largest is the largest of the function.

    >>> from jaxnet import Image, convolution, max_pool
    >>> sizes = [Image(28, 28), convolution(20, 5), max_pool(2), 100, 10]
    >>> params = jaxnet.init(jax.random.key(0), sizes)
    >>> [layer.shape_out for layer in params]
    [(20, 24, 24), (20, 12, 12), (100,), (10,)]

    Raises ValueError unless there are two or more sizes, each at least 1, of layers
    that fit, and as many activations as hidden layers; TypeError for arguments of other
    types.
    """
    check_callable("init_layer", init_layer, "jaxnet.scaled_layer")
    params = layers_of(sizes)
    each = hidden if isinstance(hidden, list | tuple) else [hidden]
    for activation in each:
        check_activation(activation, hidden=True)
    if each is not hidden:
        pooled = [isinstance(above, MaxPool) for above in params[1:]]
        each = [linear if p else hidden for p in pooled]
    if len(each) != len(params) - 1:
        raise ValueError(
            f"Expected one activation, or one for each of the {len(params) - 1} hidden "
            f"layers, got {len(each)}."
        )
    check_activation(output, hidden=False)
    for l, activation in enumerate([*each, output]):
        layer = replace(params[l], activation=activation)
        if not isinstance(layer, MaxPool):
            n_out, *field = layer.w.shape
            layer_key = jax.random.fold_in(stream(key, "init"), l + 1)
            w, b = init_layer(layer_key, math.prod(field), n_out)
            layer = replace(layer, w=w.reshape(len(w), *field), b=b)
        params[l] = layer
    return params


def forward(params: Params, x: Example) -> tuple[list[Array], list[Array]]:
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


def predict(params: Params, x: Example) -> Float[Array, " out"]:
    """The network's output a^L for one example.

    For many, use `jax.vmap(partial(jaxnet.predict, params))(data.x)`.

    >>> params = jaxnet.init(jax.random.key(0), [784, 30, 10])
    >>> jaxnet.predict(params, jnp.zeros(784)).shape
    (10,)

    Raises ValueError unless x is one example for this network.
    """
    return forward(params, x)[1][-1]
