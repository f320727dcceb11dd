"""Backpropagation in a convolutional network by loops, in replaceable pieces."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import jax
import numpy as np

import jaxnet
from jaxnet import Convolution, Layer, MaxPool
from tests.equations import sigma


def draw(*shape) -> Any:
    rng = np.random.default_rng(sum(shape))
    return rng.normal(size=shape) / np.prod(shape[1:]) ** 0.5


def convolutional():
    """A network for images of 10 x 10 pixels, and three of them with targets for it.

    The first image is black and white, and the first kernels are of integers, so that
    activations in a square are equal.
    """
    rng = np.random.default_rng(0)
    kernels: Any = rng.integers(-1, 2, (3, 1, 3, 3)).astype(float)
    params = [
        Convolution(kernels, draw(3), (1, 10, 10), jaxnet.linear),
        MaxPool((3, 8, 8), 2, jaxnet.sigmoid),
        Convolution(draw(3, 3, 3, 3), draw(3), (3, 4, 4), jaxnet.sigmoid),
        MaxPool((3, 2, 2), 2, jaxnet.linear),
        Layer(draw(5, 3), draw(5), jaxnet.sigmoid),
        Layer(draw(4, 5), draw(4), jaxnet.softmax),
    ]
    x = rng.uniform(size=(3, 100))
    x[0] = x[0] > 0.5
    return params, x, np.eye(4)[[1, 3, 0]]


def places(delta):
    return [(y, x) for y in range(delta.shape[1]) for x in range(delta.shape[2])]


# Backpropagation by loops, in pieces of which any can be replaced by a wrong one


def weigh(w, a):
    """Web 125: the kernel is not turned, and the sum is over channels too."""
    maps, _, rows, columns = w.shape
    z = np.zeros((maps, a.shape[1] - rows + 1, a.shape[2] - columns + 1))
    for y, x in places(z):
        z[:, y, x] = np.tensordot(w, a[:, y : y + rows, x : x + columns], 3)
    return z


def carry(w, delta, shape):
    carried, (rows, columns) = np.zeros(shape), w.shape[2:]
    for y, x in places(delta):
        sent = np.tensordot(delta[:, y, x], w, 1)
        carried[:, y : y + rows, x : x + columns] += sent
    return carried


def dw(delta, a, shape):
    rows, columns = shape[2:]
    parts = (
        np.multiply.outer(delta[:, y, x], a[:, y : y + rows, x : x + columns])
        for y, x in places(delta)
    )
    return sum(parts, np.zeros(shape))


def db(delta):
    return delta.sum(axis=(1, 2))


def route(delta, squares):
    """Each square's error at its largest activation, the first of equal ones."""
    carried = np.zeros_like(squares)
    for c, y, x in np.ndindex(delta.shape):
        i, j = np.unravel_index(squares[c, y, x].argmax(), squares.shape[3:])
        carried[c, y, x, i, j] = delta[c, y, x]
    return carried


RIGHT = {
    **{"weigh": weigh, "carry": carry, "dw": dw, "db": db, "route": route},
    "prime": lambda sigma: sigma.prime,
}


def squares_of(a, size):
    c, rows, columns = a.shape
    return a.reshape(c, rows // size, size, columns // size, size).swapaxes(2, 3)


def image_of(squares):
    c, rows, columns, size, _ = squares.shape
    return squares.swapaxes(2, 3).reshape(c, rows * size, columns * size)


def by_loops(params, x, y, **wrong):
    """The gradient, with these pieces in place of the right ones."""
    piece = SimpleNamespace(**{**RIGHT, **wrong})
    primes = {
        jaxnet.sigmoid: SimpleNamespace(prime=lambda z: sigma(z) * (1 - sigma(z))),
        jaxnet.linear: SimpleNamespace(prime=np.ones_like),
    }
    total = jax.tree.map(np.zeros_like, params)
    for one, target in zip(x, y, strict=True):
        a, zs, entered, z = one, [], [], one
        for layer in params:
            a = a.reshape(layer.shape_in)
            entered.append(a)
            if isinstance(layer, Layer):
                z = layer.w @ a + layer.b
            elif isinstance(layer, Convolution):
                z = piece.weigh(layer.w, a) + layer.b[:, None, None]
            else:
                z = squares_of(a, layer.size).max(axis=(3, 4))
            zs.append(z)
            a = sigma(z) if layer.activation == jaxnet.sigmoid else z
        delta = np.exp(z) / np.exp(z).sum() - target
        for l in reversed(range(len(params))):
            layer, a = params[l], entered[l]
            if isinstance(layer, Layer):
                slopes, carried = (np.outer(delta, a), delta), delta @ layer.w
            elif isinstance(layer, Convolution):
                slopes = piece.dw(delta, a, layer.w.shape), piece.db(delta)
                carried = piece.carry(layer.w, delta, a.shape) if l else a
            else:
                slopes = ()
                carried = image_of(piece.route(delta, squares_of(a, layer.size)))
            if slopes:
                w, b = total[l].w + slopes[0], total[l].b + slopes[1]
                total[l] = replace(total[l], w=w, b=b)
            if l:
                prime = piece.prime(primes[params[l - 1].activation])
                delta = carried.reshape(zs[l - 1].shape) * prime(zs[l - 1])
    return jax.tree.map(lambda g: g / len(x), total)
