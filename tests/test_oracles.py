"""The slow ways to the gradient: where they are exact, where not, what they refuse."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnet
from jaxnet import oracles
from tests.helpers import (
    assert_close,
    compiled,
    numpy_gradient,
    problem,
    relative_error,
)

EXACT = [
    oracles.backprop_by_example,
    oracles.backprop_by_matrix,
    oracles.matrix_product,
    oracles.path_sum,
    oracles.complex_step,
]
INEXACT = [oracles.forward_difference, oracles.central_difference]
COSTS = [jaxnet.quadratic, jaxnet.cross_entropy, jaxnet.linear_quadratic]


def name_of(gradient):
    return gradient.__name__


@pytest.mark.parametrize("cost", COSTS, ids=str)
@pytest.mark.parametrize("gradient", EXACT, ids=name_of)
def test_exact_ones_equal_jax_grad_to_1e_12(x64, gradient, cost):
    for sizes in ([3, 2], [4, 3, 5, 2]):
        params, x, y = problem(sizes, 4, hidden=jaxnet.tanh, output=cost.output)
        actual, expected = (
            compiled(way)(params, x, y, cost) for way in (gradient, jaxnet.autodiff)
        )
        assert_close(actual, expected, rtol=1e-12)


@pytest.mark.parametrize("gradient", EXACT, ids=name_of)
def test_exact_ones_are_as_exact_as_float32_is(gradient):
    params, x, y = problem([4, 3, 5, 2], m=4)
    actual, expected = (
        compiled(way)(params, x, y, jaxnet.cross_entropy)
        for way in (gradient, jaxnet.autodiff)
    )
    assert_close(actual, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("gradient", "rtol", "rtol32"),
    [(INEXACT[0], 1e-6, 5e-2), (INEXACT[1], 1e-8, 1e-3)],
    ids=["forward", "central"],
)
def test_differences_choose_a_step_that_suits_their_precision(gradient, rtol, rtol32):
    for x64, bound in ((True, rtol), (False, rtol32)):
        with jax.enable_x64(x64):
            params, x, y = problem([4, 3, 2], m=4)
            actual, expected = (
                compiled(way)(params, x, y) for way in (gradient, jaxnet.autodiff)
            )
            assert_close(actual, expected, bound)


@pytest.mark.parametrize("gradient", [*EXACT, *INEXACT], ids=name_of)
def test_any_of_them_trains_in_the_place_of_backprop(x64, gradient):
    params, x, y = problem([4, 3, 2], m=6)
    after = [
        jaxnet.epoch(
            jax.random.key(0),
            jaxnet.start(params),
            jaxnet.Dataset(x, y),
            batch_size=2,
            eta=0.5,
            gradient=way,
        ).params
        for way in (gradient, jaxnet.backprop)
    ]
    assert_close(*after, rtol=1e-6 if gradient in INEXACT else 1e-12)
    assert relative_error(params, after[1]) > 1e-3


def test_complex_step_refuses_what_has_no_complex_derivative(x64):
    own = jaxnet.Activation(jax.nn.softplus, jax.nn.sigmoid)
    for hidden in (jaxnet.relu, own):
        params, x, y = problem([4, 3, 2], m=2, hidden=hidden)
        with pytest.raises(ValueError, match="complex derivative"):
            oracles.complex_step(params, x, y)


def test_complex_step_is_exact_at_saturated_neurons(x64):
    """More so than a(1 - a), which cancels: only 80 bits show by how much."""
    params, x, y = problem([4, 3, 2], m=2, seed=1)
    large = jax.tree.map(lambda p: 30 * p, params[:1]) + params[1:]
    long = [tuple(map(np.longdouble, layer)) for layer in large]
    loops = numpy_gradient(long, np.longdouble(x), np.longdouble(y), "quadratic")
    truth = [
        jaxnet.Layer(jnp.asarray(w, float), jnp.asarray(b, float)) for w, b in loops
    ]
    error, of_autodiff = (
        relative_error(compiled(way)(large, x, y), truth)
        for way in (oracles.complex_step, jaxnet.autodiff)
    )
    assert error < 1e-12 < of_autodiff


def test_too_many_paths_are_refused():
    params, x, y = problem([1, 101, 100, 100], m=1)
    with pytest.raises(ValueError, match=r"101 x 100 x 100 = 1,010,000.*fewer neurons"):
        oracles.path_sum(params, x, y)


def test_a_cost_without_a_formula_is_refused_where_one_is_needed():
    params, x, y = problem([4, 3, 2], m=2)
    own = replace(jaxnet.quadratic, formula=None)
    for gradient in (oracles.path_sum, oracles.matrix_product, oracles.complex_step):
        with pytest.raises(ValueError, match="cost with a formula"):
            gradient(params, x, y, own)


@pytest.mark.parametrize("gradient", [*EXACT, *INEXACT], ids=name_of)
def test_integer_labels_are_refused(gradient):
    params, x, _ = problem([3, 4, 2], m=5)
    with pytest.raises(ValueError, match="Integer labels"):
        gradient(params, x, jnp.zeros((5, 1)))


def test_each_hidden_layer_may_have_its_own_activation(x64):
    hidden = (jaxnet.tanh, jaxnet.linear)
    params, x, y = problem([4, 3, 5, 2], m=4, hidden=hidden)
    expected = compiled(jaxnet.autodiff)(params, x, y)
    for gradient in EXACT:
        assert_close(compiled(gradient)(params, x, y), expected, rtol=1e-12)


@pytest.mark.parametrize("gradient", [oracles.matrix_product, oracles.path_sum])
def test_a_softmax_is_a_matrix_to_those_that_take_matrices(x64, gradient):
    params, x, y = problem([4, 3, 5, 2], m=4, output=jaxnet.softmax)
    actual, expected = (
        compiled(way)(params, x, y, jaxnet.log_likelihood)
        for way in (gradient, jaxnet.autodiff)
    )
    assert_close(actual, expected, rtol=1e-12)


@pytest.mark.parametrize("gradient", [*EXACT, *INEXACT], ids=name_of)
def test_bytes_stand_for_byte_over_256(gradient):
    params, _, y = problem([4, 3, 2], m=3)
    pixels = np.random.default_rng(0).integers(0, 256, (3, 4), np.uint8)
    by_bytes = compiled(gradient)(params, jnp.asarray(pixels), y)
    assert_close(
        by_bytes, compiled(gradient)(params, pixels / np.float32(256), y), 1e-6
    )
