"""A cost by a is its cost by z; its value and delta are tested in test_stress.py."""

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
def test_the_formula_is_the_value_by_a_and_0_where_the_output_is_the_target(x64, cost):
    value = jax.jit(jax.vmap(cost.value))
    by_a = jax.jit(jax.vmap(lambda z, y: formula_of(cost)(cost.output.fn(z), y)))
    rng, one_hot = np.random.default_rng(0), np.eye(4)
    z, y = rng.uniform(-3, 3, (150, 4)), rng.uniform(size=(150, 4))
    np.testing.assert_allclose(by_a(z, y), value(z, y), rtol=1e-12)
    saturated = one_hot if cost is jaxnet.linear_quadratic else 1e4 * (2 * one_hot - 1)
    assert not value(saturated, one_hot).any()
