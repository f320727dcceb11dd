"""Each derivative is the derivative of the function beside it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxnet import linear, relu, sigmoid, tanh

ALL = {"sigmoid": sigmoid, "tanh": tanh, "relu": relu, "linear": linear}
each = pytest.mark.parametrize("activation", ALL.values(), ids=ALL)


@each
@given(z=st.floats(-40, 40).filter(lambda z: z != 0))
def test_prime_is_the_derivative(activation, z):
    with jax.enable_x64(True):
        z = jnp.asarray(z)
        expected = jax.grad(activation.fn)(z)
        np.testing.assert_allclose(
            activation.prime(z), expected, rtol=1e-12, atol=1e-15
        )


@each
def test_prime_is_what_a_central_difference_says(activation, x64):
    z, h = jnp.linspace(-5, 5, 40), 1e-5
    slope = (activation.fn(z + h) - activation.fn(z - h)) / (2 * h)
    np.testing.assert_allclose(activation.prime(z), slope, rtol=1e-8, atol=1e-10)


@each
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_nothing_overflows(activation, dtype):
    with jax.enable_x64(True):
        z = jnp.array([-1e4, -700, -100, -1e-40, 0, 1e-40, 100, 700, 1e4], dtype)
        for value in (activation.fn(z), activation.prime(z)):
            assert value.dtype == dtype
            assert jnp.isfinite(value).all()


def test_relu_has_derivative_zero_at_zero():
    assert relu.prime(jnp.zeros(())) == jax.grad(relu.fn)(jnp.zeros(())) == 0
