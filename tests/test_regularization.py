"""Dropout, in both gradients. L1, L2 and momentum are in the ledger of chapter 3."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np

import jaxnet
from jaxnet.regularization import with_dropout
from tests.helpers import compiled, problem

backprop = compiled(jaxnet.backprop)


@jax.jit
def masks(key, params, rate):
    """1 for each parameter, and 0 for the weights that leave dropped neurons."""
    gradient = with_dropout(lambda params, x, y: params, key, rate)
    x = y = jnp.zeros(0)  # which this gradient ignores
    return gradient(jax.tree.map(jnp.ones_like, params), x, y)


def test_dropped_neurons_are_gone_for_the_whole_mini_batch(x64):
    """No weight into or out of them learns, by either gradient.

    Inputs and outputs are never dropped.
    """
    cost = jaxnet.log_likelihood
    params, x, y = problem([4, 6, 5, 3], 4, hidden=jaxnet.tanh, output=cost.output)

    @jax.jit
    def found(key, params, x, y):
        return masks(key, params, 0.5), [
            with_dropout(gradient, key, 0.5)(params, x, y, cost=cost)
            for gradient in (jaxnet.backprop, jaxnet.autodiff)
        ]

    [first, *others], gradients = found(jax.random.key(1), params, x, y)
    gone = [~np.asarray(layer.w).any(axis=0) for layer in others]
    assert [mask.any() and not mask.all() for mask in gone] == [True, True]
    assert (first.w == 1).all()
    here = [np.arange(4), *(np.flatnonzero(~mask) for mask in gone), np.arange(3)]
    part = []
    for l, layer in enumerate(params):
        w, b = (np.asarray(p)[here[l + 1]] for p in layer)
        part.append(replace(layer, w=w[:, here[l]], b=b))
    expected = backprop(part, x, y, cost)
    for full in gradients:
        for l, (whole, small) in enumerate(zip(full, expected, strict=True)):
            w, b = np.zeros(whole.w.shape), np.zeros(whole.b.shape)
            w[np.ix_(here[l + 1], here[l])], b[here[l + 1]] = small
            np.testing.assert_allclose(whole.w, w, rtol=1e-12)
            np.testing.assert_allclose(whole.b, b, rtol=1e-12)


def test_each_mini_batch_drops_others_and_about_the_right_share():
    params, *_ = problem([4, 1000, 3])
    dropped = []
    for seed in range(3):
        _, last = masks(jax.random.key(seed), params, 0.3)
        last = np.asarray(last.w)
        assert (last == last[:1]).all()
        dropped.append(last[0] == 0)
        assert np.isclose(dropped[-1].mean(), 0.3, atol=0.05)
    assert (dropped[0] != dropped[1]).any() and (dropped[1] != dropped[2]).any()


def test_without_dropout_a_network_says_what_dropped_ones_say_on_average(x64):
    """Exactly so when neurons are linear."""
    linear = jaxnet.linear
    params, x, _ = problem([4, 3, 2], hidden=linear, output=linear)
    keys = jax.random.split(jax.random.key(0), 40_000)

    def dropped(key):
        left = jax.tree.map(jnp.multiply, masks(key, params, 0.5), params)
        return jaxnet.predict(left, x[0])

    outputs = np.asarray(jax.jit(jax.vmap(dropped))(keys))
    all_present = compiled(jaxnet.predict)(jaxnet.without_dropout(params, 0.5), x[0])
    error = outputs.std(axis=0) / len(keys) ** 0.5
    assert (np.abs(outputs.mean(axis=0) - all_present) < 4 * error).all()
