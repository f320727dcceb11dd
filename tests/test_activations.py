"""Each derivative is the derivative of the function beside it."""

import copy
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import jaxnet
from jaxnet import Activation, linear, relu, sigmoid, softmax, tanh
from tests.helpers import problem

ALL = [sigmoid, tanh, relu, linear]
each = pytest.mark.parametrize("activation", ALL, ids=str)


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


def test_the_derivative_of_the_sigmoid_is_accurate_in_both_tails():
    """sigma (1 - sigma) is 0 from z = 17 on, where sigma rounds to 1."""
    z = np.arange(-80, 81, dtype=np.float32)
    e = np.exp(-np.abs(z).astype(np.float64))  # sigma' is even
    expected = e / (1 + e) ** 2
    actual = sigmoid.prime(jnp.asarray(z))
    assert actual.dtype == np.float32
    np.testing.assert_allclose(np.float64(actual), expected, rtol=1e-6)


def test_a_hidden_softmax_is_refused():
    """Its derivative is a matrix, which the Hadamard product of BP2 is not."""
    with pytest.raises(ValueError, match="elementwise derivative, got softmax"):
        jaxnet.init(jax.random.key(0), [3, 4, 2], hidden=softmax)
    params, x, y = problem([3, 4, 2], hidden=softmax)
    for refused in (
        lambda: jaxnet.forward(params, x[0]),
        lambda: jaxnet.predict(params, x[0]),
        lambda: jaxnet.errors(params, x[0], y[0]),
        lambda: jaxnet.loss(params, x, y),
        lambda: jaxnet.backprop(params, x, y),
    ):
        with pytest.raises(ValueError, match="elementwise derivative, got softmax"):
            refused()
    with pytest.raises(ValueError, match="elementwise derivative"):
        softmax.prime(jnp.zeros(3))


def test_activations_are_equal_by_content_and_print_as_their_names():
    def softplus():
        return Activation(jax.nn.softplus, jax.nn.sigmoid)

    assert str([*ALL, softmax, softplus()]) == (
        "[sigmoid, tanh, relu, linear, softmax, softplus]"
    )
    assert softplus() == softplus() and hash(softplus()) == hash(softplus())
    assert len({*ALL, softmax, softplus(), softplus()}) == 6
    assert softplus() != Activation(jax.nn.softplus, jax.nn.relu)


@pytest.mark.parametrize("activation", [*ALL, softmax], ids=str)
def test_activations_are_pickled_by_name(activation):
    assert pickle.loads(pickle.dumps(activation)) is activation
    assert copy.deepcopy(activation) is activation
