"""The slow ways to the gradient where floating-point numbers are few."""

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


@pytest.mark.parametrize(
    ("gradient", "rtol"),
    [(oracles.forward_difference, 1e-6), (oracles.central_difference, 1e-8)],
    ids=["forward", "central"],
)
def test_differences_choose_a_step_that_suits_float64(x64, gradient, rtol):
    """And bytes stand for byte / 256."""
    params, _, y = problem([4, 3, 2], m=4)
    pixels = np.random.default_rng(0).integers(0, 256, (4, 4), np.uint8)
    actual = compiled(gradient)(params, pixels, y)
    assert_close(actual, compiled(jaxnet.autodiff)(params, pixels / 256, y), rtol=rtol)


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
