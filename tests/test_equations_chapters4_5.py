"""The ledger of chapters 4 and 5: equations, exercises and demonstrations.

Numbers are those of the web edition.
"""

import jax
import numpy as np
import pytest
from scipy.optimize import minimize

import jaxnet
from jaxnet.universality import bump, stacked, steps, tower, weighted
from scripts.ch4_bumps import goal
from scripts.ch4_design_challenge import best_heights, book_network, logit, score
from scripts.ch4_other_activations import in_relus, ramp
from scripts.ch5_unstable_gradients import (
    chain,
    chain_slope,
    exploding,
    factors,
    identity_error,
    literal_identity_error,
    widest,
    width,
)
from tests.equations import (
    array,
    autodiff,
    backprop,
    forward,
    layer_of,
    loss,
    network,
    outputs,
    sigma,
    sigma_prime,
)

by_product, each_factor = jax.jit(chain_slope), jax.jit(factors)


# Chapter 4: a visual proof that neural nets can compute any function


def test_web_113_the_goal_and_its_logit():
    x = np.arange(101) / 100
    f = goal(x)
    np.testing.assert_allclose([f.min(), f.max()], [0.0967, 0.8528], atol=5e-5)
    ends = [logit(f).min(), logit(f).max()]
    np.testing.assert_allclose(ends, [-2.234, 1.757], atol=5e-4)
    np.testing.assert_allclose(sigma(logit(f)), f, rtol=1e-12)


def test_a_neuron_steps_at_minus_b_over_w_and_two_make_a_bump(x64):
    x = np.array([0.2, 0.4, 0.5, 0.9])
    for w in (8.0, 100.0, 999.0):
        [a] = outputs(steps(0.4, w), x)
        np.testing.assert_allclose(a, sigma(w * (x - 0.4)))
    [levels] = outputs(weighted(steps([0.4, 0.6]), [0.6, 1.2]), x)
    np.testing.assert_allclose(levels, [0, 0.3, 0.6, 1.8], atol=1e-12)
    both = stacked([bump(0.4, 0.6, -1.2), bump(0.7, 0.95, 0.3)])
    [sums] = outputs(weighted(both, [1.0, 1.0]), x)
    np.testing.assert_allclose(sums, [0, -0.6, -1.2, 0.3], atol=1e-12)


def test_the_design_challenge():
    """The book's heights are within its 0.40, and no others are better than medians."""
    assert score((-1.1, -1.4, -0.3, -1.0, 1.2)) == pytest.approx(0.378, abs=5e-4)
    best = best_heights()
    rounded = [-1.24, -1.42, -0.34, -0.98, 1.14]
    np.testing.assert_allclose(best, rounded, atol=5e-3)
    assert score(best) == pytest.approx(0.372, abs=5e-4)
    nudges = np.random.default_rng(0).normal(0, 0.1, (200, 5))
    assert min(score(best + nudge) for nudge in nudges) >= score(best)


def test_more_bumps_come_closer():
    """The whole network, with steps of w = 1000 from 0 to 1 as in the book."""
    x = np.linspace(0, 1, 2001)
    sizes = {5: 0.092, 10: 0.055, 20: 0.023, 50: 0.0077, 100: 0.0027, 200: 0.0008}
    for n, expected in sizes.items():
        error = np.abs(outputs(book_network(n), x) - goal(x)).mean()
        assert error == pytest.approx(expected, rel=0.01, abs=6e-5)


def test_a_tower_stands_where_all_inputs_are_within():
    """Inside, on the plateau of one input, and outside; and with m inputs."""
    low, high = (0.4, 0.3), (0.6, 0.7)
    x, y = np.array([[0.5, 0.5], [0.5, 0.1], [0.1, 0.1]]).T
    [sums] = outputs(bump(low, high, 0.3), x, y)
    np.testing.assert_allclose(sums, [0.6, 0.3, 0], atol=1e-6)
    [found] = outputs(tower(low, high, 10.0), x, y)
    np.testing.assert_allclose(found, [0.99331, 0.00669, 3e-7], atol=5e-6)
    assert found[2] == pytest.approx(3e-7, rel=0.05)
    hidden, last = tower(low, high, 0.3)
    [found] = outputs([hidden, layer_of(last.w, [-0.5])], x, y)
    np.testing.assert_allclose(found, [0.525, 0.450, 0.378], atol=5e-4)
    for m in (1, 3, 5):
        hidden, last = tower([0.4] * m, [0.6] * m, 10.0)
        assert len(hidden.b) == 2 * m and last.b == (-m + 0.5) * 10
        within = np.arange(m + 1)  # in how many inputs a point is within
        places = np.where(np.arange(m)[:, np.newaxis] < within, 0.5, 0.1)
        [found] = outputs([hidden, last], *places)
        np.testing.assert_allclose(found, sigma(10 * (within - m + 0.5)), rtol=1e-4)


def test_problem_rectified_linear_neurons_are_universal_and_linear_ones_are_not():
    x = np.linspace(0, 1, 501)
    params = jaxnet.universality.approximate(goal, 50, activation=ramp)
    relus = in_relus(params)
    assert [layer.activation for layer in relus] == [jaxnet.relu, jaxnet.sigmoid]
    assert np.abs(outputs(relus, x) - goal(x)).max() < 0.07
    with pytest.raises(ValueError, match="only ever a linear function"):
        steps(0.5, activation=jaxnet.linear)


# Chapter 5: why are deep neural networks hard to train?


def test_web_114_to_122_a_change_of_the_first_bias_spreads_along_the_chain(x64):
    _, x, y = network([1, 1], m=1)
    rng = np.random.default_rng(1)
    weights, biases = rng.normal(size=(2, 4))
    params, db = chain(weights, biases), 1e-7
    nudged = chain(weights, biases + np.array([db, 0, 0, 0]))
    (zs, activations), (nudged_zs, _) = (forward(p, x[0]) for p in (params, nudged))
    z1, z2, *_ = zs
    w2 = weights[1]

    da1 = sigma(nudged_zs[0]) - sigma(z1)
    np.testing.assert_allclose(da1, sigma_prime(z1) * db, rtol=1e-5)  # (115), (116)
    dz2 = nudged_zs[1] - z2
    np.testing.assert_allclose(dz2, w2 * da1, rtol=1e-5)  # (117), (118)
    np.testing.assert_allclose(dz2, sigma_prime(z1) * w2 * db, rtol=1e-5)  # (119)

    dC_da4 = activations[-1] - y[0]
    product = sigma_prime(zs[0]) * dC_da4
    for w, z in zip(weights[1:], zs[1:], strict=True):
        product = product * w * sigma_prime(z)
    dC = loss(nudged, x, y) - loss(params, x, y)
    np.testing.assert_allclose(dC, product[0] * db, rtol=1e-4)  # (120)
    for slope in (  # (121), (114), (122)
        by_product(params, x[0], y[0]),
        autodiff(params, x, y)[0].b[0],
        backprop(params, x, y)[0].b[0],
    ):
        np.testing.assert_allclose(slope, product[0], rtol=1e-12)


def test_in_a_chain_with_small_weights_gradients_vanish(x64):
    """sigma' is at most 1/4, so dC/db_1 at most a sixteenth of dC/db_3 for |w| <= 1."""
    z = np.linspace(-10, 10, 20_001)
    slope = jax.jit(jaxnet.sigmoid.prime)(z)
    assert slope.max() == 0.25 and z[slope.argmax()] == 0
    x, y = array([0.3]), array([[1.0]])
    for weights, biases in np.random.default_rng(0).uniform(-1, 1, (50, 2, 4)):
        gradient = backprop(chain(weights, biases), x[None], y)
        assert abs(gradient[0].b[0]) <= abs(gradient[2].b[0]) / 16


def test_with_weights_of_100_gradients_explode(x64):
    """Where the biases keep each z at 0, each factor is 100 x 1/4."""
    x = array([0.3])
    params = exploding(4, x=0.3)
    np.testing.assert_allclose(np.concatenate(forward(params, x)[0]), 0, atol=1e-12)
    np.testing.assert_allclose(each_factor(params, x), [0.25, 25, 25, 25], rtol=1e-12)
    slopes = [b[0] for _, b in backprop(params, x[None], array([[1.0]]))]
    np.testing.assert_allclose(np.divide(slopes[:-1], slopes[1:]), 25, rtol=1e-12)


def test_web_123_the_width_of_inputs_that_avoid_vanishing():
    a = np.linspace(-1, 1, 2_000_001)
    for w in (4.5, 6.9, -20.0):
        found = np.mean(np.abs(w * sigma_prime(w * a + 0.1)) >= 1) * 2
        assert found == pytest.approx(width(w), abs=3e-6)
    assert np.isnan(width(3.9)) and width(4.0) == 0
    np.testing.assert_allclose(widest(), [6.894, 0.4477], atol=5e-4)


def test_problem_the_identity_neuron():
    """With a constant to make up for, it is close; without, it cannot be."""
    for w, expected in ((1.0, 0.0102), (0.1, 1.04e-4), (0.01, 1.04e-6)):
        assert identity_error(w) == pytest.approx(expected, rel=5e-3)
    error, best_w = literal_identity_error()
    assert (error, best_w) == pytest.approx((0.056, 5.65), abs=5e-3)
    x = np.linspace(0, 1, 1001)

    def furthest(v):
        return np.abs(v[2] * sigma(v[0] * x + v[1]) - x).max()

    options = {"xatol": 1e-9, "fatol": 1e-10, "maxiter": 5000}
    found = minimize(furthest, [3.0, -1.0, 1.2], method="Nelder-Mead", options=options)
    assert found.fun == pytest.approx(error, abs=1e-4)
    np.testing.assert_allclose(found.x, [5.65, -2.82, 1.0], atol=0.02)
