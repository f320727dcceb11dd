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
    return (c.delta[l + 1] @ c.w[l + 1]) * c.prime[l](c.z[l])


def bp3(c, l):
    return c.delta[l].sum(axis=0) / len(c.y)


def bp4(c, l):
    return c.delta[l].T @ c.a[l - 1] / len(c.y)


RIGHT = {"bp1": bp1, "bp2": bp2, "bp3": bp3, "bp4": bp4}


def backprop_with(**pieces):
    """A gradient with these pieces in place of the right ones.

    Layers are numbered as in the book: c.w[1] and c.z[1] belong to the first, c.a[0] is
    the input, c.L the last layer. bp1 takes c; the others take c and the layer l.
    """
    do = SimpleNamespace(**(RIGHT | pieces))

    def gradient(params, x, y, cost):
        zs, activations = jax.vmap(partial(forward, params))(x)
        primes = [layer.activation.prime for layer in params]
        L = len(params)
        c = SimpleNamespace(cost=cost, y=y, L=L, a=activations, delta={})
        c.z, c.w = dict(enumerate(zs, 1)), {l + 1: p.w for l, p in enumerate(params)}
        c.prime = dict(enumerate(primes, 1))
        c.delta[L] = do.bp1(c)
        for l in range(L - 1, 0, -1):
            c.delta[l] = do.bp2(c, l)
        return [
            replace(layer, w=do.bp4(c, l), b=do.bp3(c, l))
            for l, layer in enumerate(params, 1)
        ]

    return gradient


def at(layer, wrong, right):
    """The wrong piece in one layer, the right one in the others."""
    return lambda c, l: wrong(c, l) if l == layer else right(c, l)


def with_grad(change):
    """The right gradient, changed afterwards by `change(gradient)`."""
    right = backprop_with()

    def gradient(params, x, y, cost):
        return change(right(params, x, y, cost))

    return gradient


def without_last_row(params, x, y, cost):
    """The mean over all examples but the last."""
    if len(x) == 1:
        return jax.tree.map(jnp.zeros_like, params)
    return backprop_with()(params, x[:-1], y[:-1], cost)


def of_another_network(change):
    """The right gradient of the network that `change` makes."""
    right = backprop_with()
    return lambda params, x, y, cost: right(change(params), x, y, cost)


def with_hidden(change):
    """The right gradient of the network with the activations that `change` makes."""

    def changed(params):
        hidden = [replace(p, activation=change(p.activation)) for p in params[:-1]]
        return [*hidden, params[-1]]

    return of_another_network(changed)


def by_seven(params, x, y, cost):
    """The sum over the examples divided by 7, however many they are."""
    right = backprop_with()(params, x, y, cost)
    return jax.tree.map(lambda g: g * (len(x) / 7), right)


def first_twice(params, x, y, cost):
    """A mean in which the first example counts double."""
    right = backprop_with()
    one, all_ = (
        right(params, x[:1], y[:1], cost),
        right(params, x, y, cost),
    )
    m = len(x)
    return jax.tree.map(lambda a, b: (m * a + b) / (m + 1), all_, one)


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
