"""L2, L1 and dropout: the rules for the weights, in both gradients. See the ledger."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxnet
from jaxnet.regularization import with_dropout, with_penalty
from tests.helpers import assert_close, compiled, problem

autodiff, backprop = compiled(jaxnet.autodiff), compiled(jaxnet.backprop)
N = 50  # the training set's size, which is not the mini-batch's


@compiled
@jax.grad
def slope_of_regularized(params, x, y, l1, l2):
    """By the book's formula for the cost."""
    ws = [w for w, _ in params]
    absolute = sum(jnp.sum(jnp.abs(w)) for w in ws)
    squares = sum(jnp.sum(w**2) for w in ws)
    return jaxnet.loss(params, x, y) + (l1 * absolute + l2 * squares / 2) / N


def test_penalties_add_their_slopes_to_either_gradient(x64):
    params, x, y = problem([3, 4, 2], m=5)
    expected = slope_of_regularized(params, x, y, 2.0, 3.0)
    for gradient in (backprop, autodiff):
        slope = with_penalty(gradient, 2.0 / N, 3.0 / N)(params, x, y)
        assert_close(slope, expected, rtol=1e-13)


def test_momentum_is_the_book_s(x64):
    """Web 107, 108: v' = mu v - eta grad C and w' = w + v', the penalty in grad C."""
    params, x, y = problem([3, 4, 2], m=5)
    optimizer = partial(optax.sgd, momentum=0.9)
    options = {"optimizer": optimizer, "gradient": with_penalty(backprop, l2_rate=0.2)}
    state = jaxnet.start(params, optimizer)
    w, v = params, jax.tree.map(np.zeros_like, params)
    for _ in range(4):
        state = compiled(jaxnet.step)(state, x, y, eta=0.1, **options)
        slope = slope_of_regularized(w, x, y, 0.0, 0.2 * N)
        v = jax.tree.map(lambda v, g: 0.9 * v - 0.1 * np.asarray(g), v, slope)
        w = jax.tree.map(np.add, w, v)
    assert_close(state.params, w, rtol=1e-13)


# Dropout


def masks(key, params, rate):
    """1 for each parameter, and 0 for the weights that leave dropped neurons."""
    gradient = with_dropout(lambda params, x, y: params, key, rate)
    x = y = jnp.zeros(0)  # which this gradient ignores
    return gradient(jax.tree.map(jnp.ones_like, params), x, y)


@pytest.mark.parametrize(
    ("cost", "hidden"),
    [
        (jaxnet.quadratic, jaxnet.tanh),
        (jaxnet.log_likelihood, jaxnet.relu),
    ],
    ids=str,
)
def test_dropout_is_the_same_in_both_gradients(x64, cost, hidden):
    """And both are that of the network without the dropped neurons."""
    params, x, y = problem([4, 6, 5, 3], 4, hidden=hidden, output=cost.output)

    def dropped_loss(params, key):
        left = jax.tree.map(jnp.multiply, masks(key, params, 0.5), params)
        return jaxnet.loss(left, x, y, cost)

    @jax.jit
    def found(params, key):
        return jax.grad(dropped_loss)(params, key), [
            with_dropout(gradient, key, 0.5)(params, x, y, cost=cost)
            for gradient in (jaxnet.backprop, jaxnet.autodiff)
        ]

    expected, gradients = found(params, jax.random.key(1))
    for actual in gradients:
        assert_close(actual, expected, rtol=1e-12)


def test_dropped_neurons_are_gone_for_the_whole_mini_batch(x64):
    """No weight into or out of them learns; inputs and outputs are never dropped."""
    params, x, y = problem([4, 6, 5, 3], m=4)
    key = jax.random.key(1)
    first, *others = masks(key, params, 0.5)
    gone = [~np.asarray(layer.w).any(axis=0) for layer in others]
    assert [mask.any() and not mask.all() for mask in gone] == [True, True]
    assert (first.w == 1).all()
    here = [np.arange(4), *(np.flatnonzero(~mask) for mask in gone), np.arange(3)]
    part = []
    for l, (w, b) in enumerate(params):
        w, b = np.asarray(w)[:, here[l]], np.asarray(b)
        w, b = (jnp.asarray(p[here[l + 1]]) for p in (w, b))
        part.append(jaxnet.Layer(w, b))
    full = with_dropout(backprop, key, 0.5)(params, x, y)
    for l, (whole, small) in enumerate(zip(full, backprop(part, x, y), strict=True)):
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
