"""A cost's delta is the derivative of its value, saturated or not."""

import pickle
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import jaxnet
from jaxnet import cross_entropy, linear_quadratic, log_likelihood, quadratic
from tests.helpers import compiled, formula_of, problem

ALL = [quadratic, cross_entropy, log_likelihood, linear_quadratic]
each = pytest.mark.parametrize("cost", ALL, ids=str)


@cache
def slope_of(cost):
    return jax.jit(jax.grad(cost.value))


@each
@given(st.lists(st.tuples(st.floats(-30, 30), st.floats(0, 1)), min_size=1, max_size=4))
def test_delta_is_the_gradient_of_the_value(cost, pairs):
    with jax.enable_x64(True):
        z, y = (jnp.array(column) for column in zip(*pairs, strict=True))
        delta, expected = compiled(cost.delta)(z, y), slope_of(cost)(z, y)
        np.testing.assert_allclose(delta, expected, rtol=1e-12, atol=1e-15)


@each
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("target", [0.0, 0.5, 1.0])
def test_saturated_outputs_have_finite_values_and_right_gradients(cost, dtype, target):
    with jax.enable_x64(True):
        z = jnp.array([-1e4, -40, 0, 40, 1e4], dtype)
        y = jnp.asarray(np.full_like(z, target))
        assert np.isfinite(compiled(cost.value)(z, y))
        delta = compiled(cost.delta)(z, y)
        assert delta.dtype == dtype
        assert np.isfinite(delta).all()
        np.testing.assert_allclose(
            delta, slope_of(cost)(z, y), atol=4 * np.finfo(dtype).eps
        )
        if cost is cross_entropy:  # delta = a - y does not vanish when saturated
            np.testing.assert_allclose(delta[0], -target)
            np.testing.assert_allclose(delta[-1], 1 - target)


def test_cross_entropy_is_exact_where_the_textbook_formula_is_infinite():
    z, y = jnp.array([100.0, -100.0]), jnp.array([0.0, 1.0])
    assert cross_entropy.value(z, y) == 200
    a = jax.nn.sigmoid(z)
    naive = -jnp.sum(y * jnp.log(a) + (1 - y) * jnp.log(1 - a))
    assert not jnp.isfinite(naive)


def test_log_likelihood_is_exact_where_the_textbook_formula_is_infinite():
    z, y = jnp.array([200.0, 0.0]), jnp.array([0.0, 1.0])
    assert log_likelihood.value(z, y) == 200
    a = jax.nn.softmax(z)
    assert a.tolist() == [1, 0]
    assert not jnp.isfinite(-jnp.sum(y * jnp.log(a)))


@each
def test_no_cost_when_the_output_is_the_target(cost):
    z, y = jnp.array([1e4, -1e4]), jnp.array([1.0, 0.0])
    z = y if cost is linear_quadratic else z
    assert cost.value(z, y) == 0


@each
def test_the_formula_is_the_value_as_a_function_of_the_outputs(x64, cost):
    z, y = jnp.array([-1.5, 0.3, 2.0]), jnp.array([0.2, 1.0, 0.0])
    value = formula_of(cost)(cost.output.fn(z), y)
    np.testing.assert_allclose(value, cost.value(z, y), rtol=1e-13)


@pytest.mark.parametrize(
    ("cost", "output", "needed"),
    [
        (log_likelihood, jaxnet.sigmoid, "output=jaxnet.softmax"),
        (linear_quadratic, jaxnet.sigmoid, "output=jaxnet.linear"),
        (cross_entropy, jaxnet.softmax, "output=jaxnet.sigmoid"),
        (quadratic, jaxnet.linear, "output=jaxnet.sigmoid"),
    ],
    ids=str,
)
def test_a_cost_for_other_outputs_is_refused(cost, output, needed):
    params, x, y = problem([3, 4, 2], output=output)
    data = jaxnet.Dataset(x, y)
    options = {"batch_size": 2, "eta": 0.1, "cost": cost}
    for refused in (
        lambda: jaxnet.loss(params, x, y, cost),
        lambda: jaxnet.autodiff(params, x, y, cost),
        lambda: jaxnet.backprop(params, x, y, cost),
        lambda: jaxnet.errors(params, x[0], y[0], cost),
        lambda: jaxnet.total_cost(params, data, cost),
        lambda: jaxnet.epoch(jax.random.key(0), jaxnet.start(params), data, **options),
    ):
        with pytest.raises(
            ValueError, match=f"{cost}, got a network with {output}"
        ) as e:
            refused()
        assert needed in str(e.value)


def test_costs_are_arguments_of_compiled_functions_and_pickled_by_name():
    """Static ones, so that a cost of other functions compiles anew."""
    traced = []

    @jax.jit
    def value(cost, z, y):
        traced.append(str(cost))
        return cost.value(z, y)

    z, y = jnp.array([0.5, -0.5]), jnp.array([1.0, 0.0])
    for cost in [*ALL, *ALL]:
        assert value(pickle.loads(pickle.dumps(cost)), z, y) == cost.value(z, y)
    assert traced == [str(cost) for cost in ALL]
