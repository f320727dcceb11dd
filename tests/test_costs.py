"""A cost, its delta and its formula are one function; see also test_stress.py."""

import jax
import numpy as np
import pytest

import jaxnet
from tests.helpers import formula_of

COSTS = [
    *(jaxnet.quadratic, jaxnet.cross_entropy),
    *(jaxnet.log_likelihood, jaxnet.linear_quadratic),
]


@pytest.mark.parametrize("cost", COSTS, ids=str)
def test_delta_is_the_slope_of_the_value_and_the_formula_is_the_value_by_a(x64, cost):
    """And the cost is 0 where the output is the target."""

    @jax.jit
    @jax.vmap
    def found(z, y):
        slope, by_formula = jax.grad(cost.value)(z, y), formula_of(cost)
        return (
            cost.value(z, y),
            cost.delta(z, y),
            slope,
            by_formula(cost.output.fn(z), y),
        )

    rng = np.random.default_rng(0)
    z, y = rng.uniform(-30, 30, (300, 4)), rng.uniform(size=(300, 4))
    z[150:] /= 10
    y[-1] = [1, 0, 0, 0]
    z[-1] = y[-1] if cost is jaxnet.linear_quadratic else [1e4, -1e4, -1e4, -1e4]
    values, deltas, slopes, by_formula = map(np.asarray, found(z, y))
    np.testing.assert_allclose(deltas, slopes, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(by_formula[150:-1], values[150:-1], rtol=1e-12)
    assert values[-1] == 0
