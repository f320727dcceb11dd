"""Backpropagation in four pieces, any of which can be replaced by a wrong one.

It is in NumPy, for which nothing is compiled. Activations and costs that are not in
the tables here are jaxnet's own.
"""

from dataclasses import replace
from types import SimpleNamespace

import jax
import numpy as np

import jaxnet


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def sigmoid_prime(z):
    return sigmoid(z) * sigmoid(-z)


IN_NUMPY = {
    jaxnet.sigmoid.fn: sigmoid,
    jaxnet.sigmoid.prime: sigmoid_prime,
    jaxnet.tanh.fn: np.tanh,
    jaxnet.tanh.prime: lambda z: 1 - np.tanh(z) ** 2,
    jaxnet.relu.fn: lambda z: z * (z > 0),
    jaxnet.relu.prime: lambda z: 1.0 * (z > 0),
    jaxnet.linear.fn: lambda z: z,
    jaxnet.linear.prime: np.ones_like,
    jaxnet.quadratic.delta: lambda z, y: (sigmoid(z) - y) * sigmoid_prime(z),
    jaxnet.cross_entropy.delta: lambda z, y: sigmoid(z) - y,
    jaxnet.linear_quadratic.delta: lambda z, y: z - y,
}


def in_numpy(function):
    """The function in NumPy, here of rows."""
    own = IN_NUMPY.get(function, function)
    return lambda *arrays: np.asarray(own(*arrays))


def bp1(c):
    return in_numpy(c.cost.delta)(c.z[c.L], c.y)


def bp2(c, l):
    return carried(c, l) * c.prime[l](c.z[l])


def bp3(c, l):
    return c.delta[l].sum(axis=0) / len(c.y)


def bp4(c, l):
    return c.delta[l].T @ c.a[l - 1] / len(c.y)


def carried(c, l):
    return c.delta[l + 1] @ c.w[l + 1]


RIGHT = {"bp2": bp2, "bp3": bp3, "bp4": bp4}


def backprop_with(bp1=bp1, **wrong):
    """A gradient with these pieces in place of the right ones.

    Layers are numbered as in the book: c.w[1] and c.z[1] belong to the first, c.a[0] is
    the input, c.L the last layer. bp1 takes c; the others take c and the layer l, or
    are dictionaries of functions of c for the layers in which they are wrong.
    """

    def piece(name, c, l):
        f, right = wrong.get(name, RIGHT[name]), RIGHT[name]
        if isinstance(f, dict):
            return f[l](c) if l in f else right(c, l)
        return f(c, l)

    def gradient(params, x, y, cost):
        params, x, y = jax.tree.map(np.asarray, (params, x, y))
        layers = dict(enumerate(params, 1))
        c = SimpleNamespace(cost=cost, y=y, L=len(params), a={0: x}, z={})
        for l, layer in layers.items():
            c.z[l] = c.a[l - 1] @ layer.w.T + layer.b
            c.a[l] = in_numpy(layer.activation.fn)(c.z[l])
        c.w = {l: layer.w for l, layer in layers.items()}
        c.prime = {l: in_numpy(layer.activation.prime) for l, layer in layers.items()}
        c.delta = {c.L: bp1(c)}
        for l in range(c.L - 1, 0, -1):
            c.delta[l] = piece("bp2", c, l)
        return [
            replace(layer, w=piece("bp4", c, l), b=piece("bp3", c, l))
            for l, layer in layers.items()
        ]

    return gradient


right = backprop_with()


def of_changed(change):
    """The right gradient of the network that `change(params)` makes."""

    def gradient(params, x, y, cost):
        return right(change(jax.tree.map(np.asarray, params)), x, y, cost)

    return gradient


def with_hidden(change):
    """The right gradient of the network with the activations that `change` makes."""

    def changed(params):
        hidden = [replace(p, activation=change(p.activation)) for p in params[:-1]]
        return [*hidden, params[-1]]

    return of_changed(changed)


def then(change):
    """The right gradient, changed afterwards by `change(gradient)`."""
    return lambda params, x, y, cost: change(right(params, x, y, cost))


def scaled(factor):
    """The right gradient times this factor."""
    return then(lambda gradient: jax.tree.map(lambda g: factor * g, gradient))


def edit(l, **changes):
    """The right gradient, layer l's `w` or `b` changed afterwards."""

    def change(gradient):
        layer = gradient[l - 1]
        fields = {name: f(getattr(layer, name)) for name, f in changes.items()}
        return [*gradient[: l - 1], replace(layer, **fields), *gradient[l:]]

    return then(change)


def put(place, value):
    """A function that puts this value there in an array."""

    def change(array):
        array = array.copy()
        array[place] = value
        return array

    return change


def without_last_row(params, x, y, cost):
    """The mean over all examples but the last."""
    if len(x) == 1:
        return jax.tree.map(np.zeros_like, params)
    return right(params, np.asarray(x)[:-1], np.asarray(y)[:-1], cost)


def by_seven(params, x, y, cost):
    """The sum over the examples divided by 7, however many they are."""
    return scaled(len(x) / 7)(params, x, y, cost)


def first_twice(params, x, y, cost):
    """A mean in which the first example counts double."""
    rows = [0, *range(len(x))]
    return right(params, np.asarray(x)[rows], np.asarray(y)[rows], cost)


def in_float32(params, x, y, cost):
    """Everything computed in float32, then returned in float64."""
    params, x, y = jax.tree.map(
        lambda p: np.asarray(p).astype(np.float32), (params, x, y)
    )
    return jax.tree.map(lambda g: g.astype(float), right(params, x, y, cost))
