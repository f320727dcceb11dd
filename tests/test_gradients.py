"""By hand equals automatic equals the book's loops equals finite differences."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.flatten_util import ravel_pytree

import jaxnet
from jaxnet import Activation, Layer
from jaxnet.fast import summed_outer
from tests.helpers import assert_close, compiled, numpy_gradient, problem

ALL_COSTS = [
    jaxnet.quadratic,
    jaxnet.cross_entropy,
    jaxnet.log_likelihood,
    jaxnet.linear_quadratic,
]
ACTIVATIONS = [jaxnet.sigmoid, jaxnet.tanh, jaxnet.relu, jaxnet.linear]
OWN = Activation(jnp.sin, jnp.cos, "sine")
each_cost = pytest.mark.parametrize("cost", ALL_COSTS[:2], ids=str)
each_hidden = pytest.mark.parametrize("hidden", ACTIVATIONS, ids=str)
each_size = pytest.mark.parametrize(
    "sizes", [(3, 2), (4, 5, 3), (6, 5, 4, 2), (3, 5, 2, 4, 3)], ids=str
)
backprop, autodiff = compiled(jaxnet.backprop), compiled(jaxnet.autodiff)


@cache
def both(sizes, hidden, cost):
    """The gradients of `problem(sizes)` by hand and automatic, of float64."""
    assert jnp.zeros(()).dtype == jnp.float64
    examples = problem(sizes, hidden=hidden)
    return [gradient(*examples, cost) for gradient in (backprop, autodiff)]


@each_cost
@each_hidden
@each_size
def test_backprop_equals_autodiff_to_1e_12_in_every_layer(x64, sizes, hidden, cost):
    by_hand, automatic = both(sizes, hidden, cost)
    assert_close(by_hand, automatic, rtol=1e-12)


@pytest.mark.parametrize("cost", ALL_COSTS, ids=str)
@pytest.mark.parametrize("layers", [1, 2, 3, 4])
@settings(max_examples=5)
@given(
    activations=st.permutations([OWN, *ACTIVATIONS]),
    seed=st.integers(0, 2**31 - 1),
)
def test_backprop_equals_autodiff_whatever_the_activations_of_the_layers(
    cost, layers, activations, seed
):
    with jax.enable_x64(True):
        hidden, sizes = activations[: layers - 1], [4, *(5, 3, 4)[: layers - 1], 2]
        params, x, y = problem(sizes, 5, seed, hidden, cost.output)
        params = jax.tree.map(lambda p: p / 2, params)  # so that few neurons saturate
        by_hand, automatic = backprop(params, x, y, cost), autodiff(params, x, y, cost)
        assert_close(by_hand, automatic, rtol=1e-12)
        assert [layer.activation for layer in by_hand] == [*hidden, cost.output]


def test_backprop_is_at_most_50_equations_of_jax():
    """So that it compiles fast; `autodiff` is 43."""
    params, x, y = problem([784, 30, 10], m=10)
    equations = str(jax.make_jaxpr(jaxnet.backprop)(params, x, y)).count(" = ")
    assert 20 < equations <= 50


@pytest.mark.parametrize("way", [Layer.gradient, summed_outer], ids=["matrix", "sum"])
@pytest.mark.parametrize("m, n_in", [(1, 3), (2, 3), (16, 3), (17, 3), (10, 820)])
def test_bp3_and_bp4_for_few_or_many_examples(x64, way, m, n_in):
    rng = np.random.default_rng(0)
    delta, a = rng.normal(size=(m, 4)), rng.normal(size=(m, n_in))
    [layer], *_ = problem([n_in, 4])
    actual = way(layer, jnp.asarray(delta), jnp.asarray(a))
    expected = np.einsum("xj,xk->jk", delta, a) / m
    np.testing.assert_allclose(actual.w, expected, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(actual.b, delta.mean(axis=0), rtol=1e-12, atol=1e-15)


@each_cost
@each_hidden
@each_size
def test_both_equal_the_book_s_algorithm_in_loops(x64, sizes, hidden, cost):
    params, x, y = problem(sizes, hidden=hidden)
    loops = numpy_gradient(params, x, y, cost.name, hidden.name)
    expected = [
        Layer(jnp.asarray(w), jnp.asarray(b), layer.activation)
        for (w, b), layer in zip(loops, params, strict=True)
    ]
    for actual in both(sizes, hidden, cost):
        assert_close(actual, expected, rtol=1e-12)


@each_cost
@each_hidden
@each_size
def test_both_equal_central_differences(x64, sizes, hidden, cost):
    params, x, y = problem(sizes, hidden=hidden)
    flat, unravel = ravel_pytree(params)
    h = 1e-6

    @jax.jit
    @jax.vmap
    def difference(step):
        up, down = (jaxnet.loss(unravel(flat + s), x, y, cost) for s in (step, -step))
        return (up - down) / (2 * h)

    differences = unravel(difference(h * np.eye(len(flat))))
    for gradient in both(sizes, hidden, cost):
        assert_close(gradient, differences, rtol=1e-7)


@each_cost
def test_the_book_s_network_agrees_in_float32(cost):
    params, x, y = problem([784, 30, 10], m=10)
    by_hand = backprop(params, x, y, cost)
    assert_close(by_hand, autodiff(params, x, y, cost), rtol=1e-5)


@each_cost
def test_the_gradient_of_a_mini_batch_is_the_mean_of_its_examples_gradients(x64, cost):
    params, x, y = problem([4, 5, 3])
    singles = [
        backprop(params, x[i : i + 1], y[i : i + 1], cost) for i in range(len(x))
    ]
    mean = jax.tree.map(lambda *leaves: sum(leaves) / len(leaves), *singles)
    assert_close(backprop(params, x, y, cost), mean, rtol=1e-12)


@each_cost
def test_the_order_of_the_examples_does_not_matter(x64, cost):
    params, x, y = problem([4, 5, 3])
    backwards = backprop(params, x[::-1], y[::-1], cost)
    assert_close(backprop(params, x, y, cost), backwards, rtol=1e-12)


def test_errors_are_the_derivatives_by_the_weighted_inputs(x64):
    params, x, y = problem([4, 5, 3], m=1)
    deltas, activations = compiled(jaxnet.errors)(params, x[0], y[0])
    gradient = autodiff(params, x, y)
    assert_close(deltas, [layer.b for layer in gradient], rtol=1e-12)
    assert [len(a) for a in activations] == [4, 5]


@pytest.mark.parametrize("gradient", [jaxnet.loss, jaxnet.autodiff, jaxnet.backprop])
def test_integer_labels_are_refused(gradient):
    params, x, _ = problem([3, 4, 2], m=5)
    with pytest.raises(ValueError, match="Integer labels"):
        gradient(params, x, jnp.zeros((5, 1)))
