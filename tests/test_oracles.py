"""The slow ways to the gradient: where they are exact, where not, what they refuse."""

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

MATRICES = [oracles.matrix_product, oracles.path_sum]
OTHERS = [
    oracles.backprop_by_example,
    oracles.backprop_by_matrix,
    oracles.complex_step,
]
INEXACT = [oracles.forward_difference, oracles.central_difference]
MIXED = ([4, 3, 5, 2], (jaxnet.tanh, jaxnet.linear))


def name_of(value):
    return getattr(value, "__name__", None)


@pytest.mark.parametrize(
    ("gradient", "sizes", "hidden", "cost"),
    [
        (oracles.path_sum, [3, 2], (), jaxnet.quadratic),
        *((gradient, *MIXED, jaxnet.linear_quadratic) for gradient in OTHERS),
        *((gradient, *MIXED, jaxnet.log_likelihood) for gradient in MATRICES),
    ],
    ids=name_of,
)
def test_exact_ones_equal_jax_grad_to_1e_12(x64, gradient, sizes, hidden, cost):
    """With an activation for each layer; a softmax is a matrix where it may be one."""
    params, x, y = problem(sizes, 4, hidden=hidden, output=cost.output)
    actual, expected = (
        compiled(way)(params, x, y, cost) for way in (gradient, jaxnet.autodiff)
    )
    assert_close(actual, expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("gradient", "rtol"), [(INEXACT[0], 1e-6), (INEXACT[1], 1e-8)], ids=name_of
)
def test_differences_choose_a_step_that_suits_float64(x64, gradient, rtol):
    """And bytes stand for byte / 256."""
    params, _, y = problem([4, 3, 2], m=4)
    pixels = np.random.default_rng(0).integers(0, 256, (4, 4), np.uint8)
    actual = compiled(gradient)(params, pixels, y)
    assert_close(actual, compiled(jaxnet.autodiff)(params, pixels / 256, y), rtol=rtol)


def test_any_of_them_trains_in_the_place_of_backprop(x64):
    params, x, y = problem([4, 3, 2], m=6)
    data, run = jaxnet.Dataset(x, y), {"batch_size": 2, "eta": 0.5}
    after = [
        jaxnet.epoch(
            jax.random.key(0), jaxnet.start(params), data, gradient=way, **run
        ).params
        for way in (oracles.complex_step, jaxnet.backprop)
    ]
    assert_close(*after, rtol=1e-12)
    assert relative_error(params, after[1]) > 1e-3


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
