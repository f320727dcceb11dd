"""Networks: initialisation and the forward pass. Chapters 1.6, 2.1 and 6.

Everything here is for one example, in the book's notation; for a mini-batch, use
`jax.vmap`. `forward` returns all intermediate values: under `jit`, those that are not
used are not computed.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple
from zlib import crc32

import jax
from jaxtyping import Array, Float, Key, UInt8

from jaxnet.activations import Activation, linear, sigmoid
from jaxnet.checks import (
    check_activation,
    check_callable,
    check_examples,
    check_integer,
)
from jaxnet.layers import (
    Convolution,
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

    def shape_out(self, l: int, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape that it makes of this one, as layer l of a network.

        Raises ValueError, saying why, if it does not fit.
        """
        check_integer(f"the size in layer {l}, {self},", self.size, 1)
        if len(shape) != 3:
            raise ValueError(
                f"Expected images in layer {l}, {self}, got {shape[0]} numbers. Images "
                "enter as Image(28, 28), and fully connected layers come last."
            )
        channels, *sides = shape
        if self.pools:
            fits = not any(n % self.size for n in sides)
            expected = f"multiples of {self.size} rows and columns"
            out = (channels, *(n // self.size for n in sides))
        else:
            check_integer(f"the number of feature maps in layer {l}", self.maps, 1)
            fits = min(sides) >= self.size
            expected = f"at least {self.size} rows and columns"
            out = (self.maps, *(n - self.size + 1 for n in sides))
        if not fits:
            raise ValueError(
                f"Expected images of {expected} in layer {l}, {self}, got "
                f"{' x '.join(map(str, sides))}."
            )
        return out


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
    return Layer(
        w=jax.random.normal(w_key, (n_out, n_in)),
        b=jax.random.normal(b_key, (n_out,)),
    )


def scaled_layer(key: Key[Array, ""], n_in: int, n_out: int) -> Layer:
    """A layer as `large_layer`, with weights drawn from N(0, 1 / n_in) (web 3.3)."""
    w, b = large_layer(key, n_in, n_out)
    return Layer(w=w / n_in**0.5, b=b)


def shapes_of(sizes: Sequence[Size]) -> list[tuple[int, ...]]:
    """The shapes of what enters each layer of such a network, and of its outputs.

    Raises as `init` does, naming the layer that does not fit.
    """
    if len(sizes) < 2:
        raise ValueError(
            f"Expected the sizes of two or more layers, such as [784, 30, 10], got "
            f"{list(sizes)}."
        )
    shapes: list[tuple[int, ...]] = []
    for l, size in enumerate(sizes):
        if l == 0 and isinstance(size, Image):
            for n in size:
                check_integer("rows, columns and channels of images", n, 1)
            shapes.append((size.channels, size.rows, size.columns))
        elif l > 0 and isinstance(size, Part):
            shapes.append(size.shape_out(l, shapes[-1]))
        else:
            check_integer("the number of neurons in each layer", size, 1)
            shapes.append((size,))  # type: ignore
    if isinstance(sizes[-1], Part):
        raise ValueError(
            f"Expected a number of output neurons as the last layer, got {sizes[-1]}."
        )
    return shapes


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
    shapes, parts = shapes_of(sizes), list(sizes[1:])
    several = isinstance(hidden, list | tuple)
    for activation in hidden if several else [hidden]:
        check_activation(activation, hidden=True)
    pooled = [isinstance(above, Part) and above.pools for above in parts[1:]]
    each: list[Any] = [linear if p else hidden for p in pooled]
    each = list(hidden) if several else each  # type: ignore
    if len(each) != len(pooled):
        raise ValueError(
            f"Expected one activation, or one for each of the {len(pooled)} hidden "
            f"layers, got {len(each)}."
        )
    check_activation(output, hidden=False)
    params = []
    for l, activation in enumerate([*each, output]):
        layer_key = jax.random.fold_in(stream(key, "init"), l + 1)
        part, shape = parts[l], shapes[l]
        if not isinstance(part, Part):
            w, b = init_layer(layer_key, math.prod(shape), part)  # type: ignore
            params.append(Layer(w, b, activation))
        elif part.pools:
            params.append(MaxPool(shape, part.size, activation))  # type: ignore
        else:
            field = shape[0], part.size, part.size
            w, b = init_layer(layer_key, math.prod(field), part.maps)
            w = w.reshape(part.maps, *field)
            params.append(Convolution(w, b, shape, activation))  # type: ignore
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
