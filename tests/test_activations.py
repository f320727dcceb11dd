"""Each derivative is the derivative of the function beside it; see test_stress.py."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnet import linear, relu, sigmoid, tanh


@pytest.mark.parametrize("activation", [sigmoid, tanh, relu, linear], ids=str)
def test_prime_is_the_derivative(activation, x64):
    rng = np.random.default_rng(0)
    z = jnp.asarray(np.concatenate([rng.uniform(-40, 40, 500), rng.normal(size=500)]))
    slopes = jax.jit(activation.prime)(z)
    expected = jax.jit(jax.vmap(jax.grad(activation.fn)))(z)
    np.testing.assert_allclose(slopes, expected, rtol=1e-12, atol=1e-15)
    fn, h = jax.jit(activation.fn), 1e-5
    central = (fn(z + h) - fn(z - h)) / (2 * h)
    near = (abs(z) > h) & (abs(z) < 5)  # not across the kink of relu
    np.testing.assert_allclose(slopes[near], central[near], rtol=1e-8, atol=1e-10)
