"""By hand equals automatic equals the book's loops equals finite differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

import jaxnet
from jaxnet.gradients import mean_outer
from jaxnet.network import Layer
from tests.helpers import (
    assert_close,
    check_grads,
    numpy_gradient,
    problem,
)

COSTS = {"quadratic": jaxnet.quadratic, "cross_entropy": jaxnet.cross_entropy}
HIDDEN = {
    "sigmoid": jaxnet.sigmoid,
    "tanh": jaxnet.tanh,
    "relu": jaxnet.relu,
    "linear": jaxnet.linear,
}
each_cost = pytest.mark.parametrize("cost", COSTS)
each_hidden = pytest.mark.parametrize("hidden", HIDDEN)
each_size = pytest.mark.parametrize(
    "sizes", [[3, 2], [4, 5, 3], [6, 5, 4, 2], [3, 5, 2, 4, 3]], ids=str
)


@each_cost
@each_hidden
@each_size
def test_backprop_equals_autodiff_to_1e_12_in_every_layer(x64, sizes, hidden, cost):
    params, x, y = problem(sizes)
    choices = (COSTS[cost], HIDDEN[hidden])
    by_hand = jax.jit(jaxnet.backprop, static_argnums=(3, 4))(params, x, y, *choices)
    automatic = jax.jit(jaxnet.autodiff, static_argnums=(3, 4))(params, x, y, *choices)
    assert_close(by_hand, automatic, rtol=1e-12)


@pytest.mark.parametrize("m, n_in", [(1, 3), (2, 3), (16, 3), (17, 3), (10, 820)])
def test_mean_outer_of_few_or_many_examples(x64, m, n_in):
    delta = jax.random.normal(jax.random.key(0), (m, 4))
    a = jax.random.normal(jax.random.key(1), (m, n_in))
    expected = np.einsum("xj,xk->jk", delta, a) / m
    np.testing.assert_allclose(mean_outer(delta, a), expected, rtol=1e-12, atol=1e-15)


@each_cost
@each_hidden
@each_size
def test_both_equal_the_book_s_algorithm_in_loops(x64, sizes, hidden, cost):
    params, x, y = problem(sizes)
    expected = [
        Layer(jnp.asarray(w), jnp.asarray(b))
        for w, b in numpy_gradient(params, x, y, cost, hidden)
    ]
    for gradient in (jaxnet.backprop, jaxnet.autodiff):
        actual = gradient(params, x, y, COSTS[cost], HIDDEN[hidden])
        assert_close(actual, expected, rtol=1e-12)


@each_cost
@each_hidden
@each_size
def test_both_equal_central_differences(x64, sizes, hidden, cost):
    params, x, y = problem(sizes)
    loss = jax.jit(lambda p: jaxnet.loss(p, x, y, COSTS[cost], HIDDEN[hidden]))
    check_grads(loss, (params,), order=1, modes=["rev"])
    gradient = jaxnet.backprop(params, x, y, COSTS[cost], HIDDEN[hidden])
    flat, unravel = ravel_pytree(params)
    h = 1e-6
    differences = [
        (loss(unravel(flat + step)) - loss(unravel(flat - step))) / (2 * h)
        for step in h * np.eye(len(flat))
    ]
    assert_close(gradient, unravel(jnp.stack(differences)), rtol=1e-7)


@each_cost
def test_the_book_s_network_agrees_in_float32(cost):
    params, x, y = problem([784, 30, 10], m=10)
    by_hand = jaxnet.backprop(params, x, y, COSTS[cost])
    assert_close(by_hand, jaxnet.autodiff(params, x, y, COSTS[cost]), rtol=1e-5)


@each_cost
def test_the_gradient_of_a_mini_batch_is_the_mean_of_its_examples_gradients(x64, cost):
    params, x, y = problem([4, 5, 3])
    singles = [
        jaxnet.backprop(params, x[i : i + 1], y[i : i + 1], COSTS[cost])
        for i in range(len(x))
    ]
    mean = jax.tree.map(lambda *leaves: sum(leaves) / len(leaves), *singles)
    assert_close(jaxnet.backprop(params, x, y, COSTS[cost]), mean, rtol=1e-12)


@each_cost
def test_the_order_of_the_examples_does_not_matter(x64, cost):
    params, x, y = problem([4, 5, 3])
    backwards = jaxnet.backprop(params, x[::-1], y[::-1], COSTS[cost])
    assert_close(jaxnet.backprop(params, x, y, COSTS[cost]), backwards, rtol=1e-12)


def test_errors_are_the_derivatives_by_the_weighted_inputs(x64):
    params, x, y = problem([4, 5, 3], m=1)
    deltas, activations = jaxnet.errors(params, x[0], y[0])
    gradient = jaxnet.autodiff(params, x, y)
    assert_close(deltas, [layer.b for layer in gradient], rtol=1e-12)
    assert [len(a) for a in activations] == [4, 5]


@pytest.mark.parametrize("gradient", [jaxnet.loss, jaxnet.autodiff, jaxnet.backprop])
def test_integer_labels_are_refused(gradient):
    params, x, _ = problem([3, 4, 2], m=5)
    with pytest.raises(ValueError, match="Integer labels"):
        gradient(params, x, jnp.zeros((5, 1)))
