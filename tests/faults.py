"""Backpropagation in four pieces, any of which can be replaced by a wrong one."""

from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import jax
import jax.numpy as jnp

from jaxnet import forward


def bp1(c):
    return jax.vmap(c.cost.delta)(c.z[c.L], c.y)


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
        zs, activations = jax.vmap(partial(forward, params))(x)
        L, layers = len(params), dict(enumerate(params, 1))
        c = SimpleNamespace(
            cost=cost, y=y, L=L, a=activations, z=dict(enumerate(zs, 1))
        )
        c.w = {l: layer.w for l, layer in layers.items()}
        c.prime = {l: layer.activation.prime for l, layer in layers.items()}
        c.delta = {L: bp1(c)}
        for l in range(L - 1, 0, -1):
            c.delta[l] = piece("bp2", c, l)
        return [
            replace(layer, w=piece("bp4", c, l), b=piece("bp3", c, l))
            for l, layer in layers.items()
        ]

    return gradient


def of_changed(change):
    """The right gradient of the network that `change(params)` makes."""
    right = backprop_with()
    return lambda params, x, y, cost: right(change(params), x, y, cost)


def with_hidden(change):
    """The right gradient of the network with the activations that `change` makes."""

    def changed(params):
        hidden = [replace(p, activation=change(p.activation)) for p in params[:-1]]
        return [*hidden, params[-1]]

    return of_changed(changed)


def then(change):
    """The right gradient, changed afterwards by `change(gradient)`."""
    right = backprop_with()
    return lambda params, x, y, cost: change(right(params, x, y, cost))


def edit(l, **changes):
    """The right gradient, layer l's `w` or `b` changed afterwards."""

    def change(gradient):
        layer = gradient[l - 1]
        fields = {name: f(getattr(layer, name)) for name, f in changes.items()}
        return [*gradient[: l - 1], replace(layer, **fields), *gradient[l:]]

    return then(change)


def without_last_row(params, x, y, cost):
    """The mean over all examples but the last."""
    if len(x) == 1:
        return jax.tree.map(jnp.zeros_like, params)
    return backprop_with()(params, x[:-1], y[:-1], cost)


def by_seven(params, x, y, cost):
    """The sum over the examples divided by 7, however many they are."""
    right = backprop_with()(params, x, y, cost)
    return jax.tree.map(lambda g: g * (len(x) / 7), right)


def first_twice(params, x, y, cost):
    """A mean in which the first example counts double."""
    right, m = backprop_with(), len(x)
    mean, first = right(params, x, y, cost), right(params, x[:1], y[:1], cost)
    return jax.tree.map(lambda a, b: (m * a + b) / (m + 1), mean, first)


def in_float32(params, x, y, cost):
    """Everything computed in float32, then returned in float64."""
    low, x, y = jax.tree.map(lambda p: p.astype(jnp.float32), (params, x, y))
    gradient = backprop_with()(low, x, y, cost)
    return jax.tree.map(lambda g, p: g.astype(p.dtype), gradient, params)


def sum_in_float32(c, l):
    """BP4 with its sum over the mini-batch in float32."""
    outer = c.delta[l][:, :, None] * c.a[l - 1][:, None, :]
    total = outer.astype(jnp.float32).sum(axis=0)
    return total.astype(outer.dtype) / len(c.y)
