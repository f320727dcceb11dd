"""A cost's delta is the derivative of its value; see test_stress.py for saturation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnet
from tests.helpers import formula_of

each = pytest.mark.parametrize(
    "cost",
    [
        jaxnet.quadratic,
        jaxnet.cross_entropy,
        jaxnet.log_likelihood,
        jaxnet.linear_quadratic,
    ],
    ids=str,
)


@each
def test_delta_is_the_gradient_of_the_value(x64, cost):
    rng = np.random.default_rng(0)
    z, y = rng.uniform(-30, 30, (300, 4)), rng.uniform(size=(300, 4))
    delta = jax.jit(jax.vmap(cost.delta))(z, y)
    expected = jax.jit(jax.vmap(jax.grad(cost.value)))(z, y)
    np.testing.assert_allclose(delta, expected, rtol=1e-12, atol=1e-15)


@each
def test_the_formula_is_the_value_as_a_function_of_the_outputs(x64, cost):
    z, y = jnp.array([-1.5, 0.3, 2.0]), jnp.array([0.2, 1.0, 0.0])
    value = formula_of(cost)(cost.output.fn(z), y)
    np.testing.assert_allclose(value, cost.value(z, y), rtol=1e-13)


@each
def test_no_cost_when_the_output_is_the_target(cost):
    y = jnp.array([1.0, 0.0])
    z = y if cost is jaxnet.linear_quadratic else jnp.array([1e4, -1e4])
    assert cost.value(z, y) == 0


@pytest.mark.parametrize(
    ("cost", "z"),
    [(jaxnet.cross_entropy, [100.0, -100.0]), (jaxnet.log_likelihood, [200.0, 0.0])],
    ids=str,
)
def test_a_cost_is_exact_where_the_textbook_formula_is_infinite(cost, z):
    z, y = jnp.array(z), jnp.array([0.0, 1.0])
    assert cost.value(z, y) == 200
    assert not jnp.isfinite(formula_of(cost)(cost.output.fn(z), y))
