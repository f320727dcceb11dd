"""The functions of the mathematics between and at the ends of their range.

Expected values are Python's decimal numbers, which have no largest and no smallest, or
the book's loops in float64.
"""

from decimal import Decimal, getcontext
from functools import partial
from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnet
from jaxnet import Dataset, Layer, oracles, perceptrons, regularization
from tests.helpers import assert_close, compiled, numpy_gradient

getcontext().prec = 50


@pytest.fixture(params=[np.float32, np.float64], ids=["float32", "float64"])
def dtype(request):
    with jax.enable_x64(request.param == np.float64):
        yield request.param


def ends(dtype):
    """Numbers of both signs from nothing to the largest there is."""
    info = np.finfo(dtype)
    sizes = [0, info.smallest_subnormal, info.tiny, info.eps, 0.5, 3, 17, 40, 710, 1e4]
    sizes = np.array([*sizes, info.max / 2, info.max], dtype)
    return np.concatenate([-sizes[::-1], sizes])


def rounded(exact, dtype):
    """Decimal numbers as the nearest ones of `dtype`, infinity if out of its range."""
    with np.errstate(over="ignore"):
        return np.array([float(number) for number in exact]).astype(dtype)


def decimals(array):
    return [Decimal(float(number)) for number in array]


# Activations


def sigma(z):
    e = (-abs(z)).exp()
    return (1 if z >= 0 else e) / (1 + e)


def softplus(z):
    return max(z, Decimal(0)) + (1 + (-abs(z)).exp()).ln()


def tanh(z):
    return z if abs(z) < Decimal("1e-20") else 2 * sigma(2 * z) - 1


def softmax(z):
    e = [(one - max(z)).exp() for one in z]
    return [one / sum(e) for one in e]


EXACT_ACTIVATIONS = {
    jaxnet.sigmoid: (sigma, lambda z: sigma(z) * sigma(-z)),
    jaxnet.tanh: (tanh, lambda z: 4 * sigma(2 * z) * sigma(-2 * z)),
    jaxnet.relu: (lambda z: max(z, Decimal(0)), lambda z: Decimal(z > 0)),
    jaxnet.linear: (lambda z: z, lambda z: Decimal(1)),
    perceptrons.step: (lambda z: Decimal(z > 0), lambda z: Decimal(0)),
}


@pytest.mark.parametrize("activation", EXACT_ACTIVATIONS, ids=str)
def test_activations_and_their_derivatives_are_right_at_both_ends(activation, dtype):
    """Where subnormal numbers may be taken for 0."""
    fn, prime = EXACT_ACTIVATIONS[activation]
    info, z = np.finfo(dtype), ends(dtype)
    if activation in (jaxnet.relu, perceptrons.step):
        z = z[(z == 0) | (abs(z) >= info.tiny)]
    values, slopes = (jax.jit(f)(z) for f in (activation.fn, activation.prime))
    expected = rounded(map(fn, decimals(z)), dtype)
    np.testing.assert_allclose(values, expected, rtol=4 * info.eps, atol=info.tiny)
    expected = rounded(map(prime, decimals(z)), dtype)
    automatic = jax.jit(jax.vmap(jax.grad(activation.fn)))(z)
    for actual in (slopes, automatic):
        np.testing.assert_allclose(actual, expected, atol=4 * info.eps)
    if activation == jaxnet.sigmoid:  # tiny, and not 0, where it is saturated
        limits = {"rtol": 8 * info.eps, "atol": info.tiny}
        np.testing.assert_allclose(slopes, expected, **limits)
    assert values.dtype == slopes.dtype == dtype
    for f in (activation.fn, activation.prime):
        assert jax.eval_shape(f, np.zeros(0, dtype)).shape == (0,)


def test_softmax_is_right_at_both_ends(dtype):
    zs = np.array([*product(ends(dtype)[::3], repeat=2)])
    expected = [rounded(softmax(decimals(z)), dtype) for z in zs]
    actual = jax.jit(jax.vmap(jaxnet.softmax.fn))(zs)
    np.testing.assert_allclose(actual, expected, atol=4 * np.finfo(dtype).eps)


# Costs


def per_neuron(value, slope):
    """A cost that is a sum over neurons, and its derivatives by z."""

    def cost_and_slopes(z, y):
        pairs = list(zip(z, y, strict=True))
        return sum(value(*pair) for pair in pairs), [slope(*pair) for pair in pairs]

    return cost_and_slopes


def log_likelihood(z, y):
    top = max(z)
    rest = sum(((one - top).exp() for one in z), Decimal(0)).ln()
    cost = sum(t * (top - one + rest) for one, t in zip(z, y, strict=True))
    return cost, [sum(y) * a - t for a, t in zip(softmax(z), y, strict=True)]


EXACT_COSTS = {
    jaxnet.quadratic: per_neuron(
        lambda z, y: (sigma(z) - y) ** 2 / 2,
        lambda z, y: (sigma(z) - y) * sigma(z) * sigma(-z),
    ),
    jaxnet.linear_quadratic: per_neuron(
        lambda z, y: (z - y) ** 2 / 2,
        lambda z, y: z - y,
    ),
    jaxnet.cross_entropy: per_neuron(
        lambda z, y: y * softplus(-z) + (1 - y) * softplus(z),
        lambda z, y: sigma(z) - y,
    ),
    jaxnet.log_likelihood: log_likelihood,
}
TARGETS = ((1, 0), (0, 1), (0.25, 0.75))


@pytest.mark.parametrize("cost", EXACT_COSTS, ids=str)
def test_costs_and_their_derivatives_are_right_at_both_ends(cost, dtype):
    """Log-likelihood is infinite where both outputs count and are too far apart."""
    info = np.finfo(dtype)
    some = ends(dtype)[[0, 2, 5, 7, 11, 12, 16, 21, 23]]
    points = [(z, y) for z in product(some, repeat=2) for y in TARGETS]
    zs, ys = (np.array(column, dtype) for column in zip(*points, strict=True))
    exact = [EXACT_COSTS[cost](decimals(z), decimals(y)) for z, y in points]
    values = rounded([value for value, _ in exact], dtype)
    if cost == jaxnet.log_likelihood:
        with np.errstate(over="ignore"):
            values[np.isinf(np.subtract(*zs.T)) & np.all(ys != 0, axis=1)] = np.inf
    actual = jax.jit(jax.vmap(cost.value))(zs, ys)
    np.testing.assert_allclose(actual, values, rtol=8 * info.eps, atol=info.eps)
    deltas = np.array([rounded(slopes, dtype) for _, slopes in exact])
    limits = {"rtol": 8 * info.eps, "atol": 8 * info.eps}
    delta = jax.jit(jax.vmap(cost.delta))(zs, ys)
    np.testing.assert_allclose(delta, deltas, **limits)
    automatic = np.asarray(jax.jit(jax.vmap(jax.grad(cost.value)))(zs, ys))
    finite = np.isfinite(values)
    np.testing.assert_allclose(automatic[finite], deltas[finite], **limits)
    assert actual.dtype == delta.dtype == dtype


# Networks of one neuron a layer


def chain(dtype, layers, w=1.5):
    """One neuron a layer, and one example of one input."""
    arrays = (np.full((1, 1), number, dtype) for number in (w, 0.1, 0.3, 0.9))
    w, b, x, y = map(jnp.asarray, arrays)
    return [Layer(w, b.ravel())] * layers, x, y


def book(params, x, y):
    """The gradient by the book's loops in float64, as a network of this precision."""
    exact = [(np.float64(w), np.float64(b)) for w, b in params]
    gradient = numpy_gradient(exact, np.float64(x), np.float64(y), "quadratic")
    as_array = partial(jnp.asarray, dtype=x.dtype)
    return [Layer(as_array(w), as_array(b)) for w, b in gradient]


def all_zero(params):
    return all(not leaf.any() for leaf in jax.tree.leaves(params))


@compiled
def all_gradients(params, x, y):
    gradients = (
        *(jaxnet.backprop, jaxnet.autodiff, oracles.backprop_by_matrix),
        *(oracles.path_sum, oracles.complex_step),
    )
    return [gradient(params, x, y) for gradient in gradients]


def test_gradients_reach_through_layers_that_let_little_through(dtype):
    params, x, y = chain(dtype, layers=4, w=0.002)
    expected = book(params, x, y)
    assert 0 < abs(expected[0].b[0]) < 1e-9
    for actual in all_gradients(params, x, y):
        assert_close(actual, expected, rtol=200 * float(np.finfo(dtype).eps))
    largest = np.finfo(dtype).max
    for end in (-largest, -1e4, 1e4, largest):  # a saturated output: nothing is learnt
        [last], *_ = chain(dtype, layers=1, w=end)
        assert all(map(all_zero, all_gradients([*params[:-1], last], x, y)))


# Penalties, where a weight has no square

penalty = jax.jit(regularization.penalty, static_argnums=3)


def test_a_rate_of_0_costs_nothing_however_large_the_weights(dtype):
    """The squares of these weights are infinite."""
    largest = np.finfo(dtype).max
    params, _, _ = chain(dtype, layers=1, w=largest)
    assert penalty(params, 0.0, 0.0, 1) == 0
    assert penalty(params, 0.5, 0.0, 1) == largest / 2
    infinite = penalty(params, 0.0, 1.0, 1)
    assert infinite == np.inf and infinite.dtype == dtype


# Nan and infinity, as the README has it


def test_nan_and_infinity_are_carried_as_arithmetic_has_it():
    @jax.jit
    def found(z, y):
        costs = (jaxnet.quadratic, jaxnet.cross_entropy, jaxnet.log_likelihood)
        return {
            "bounded": [f.fn(z) for f in (jaxnet.sigmoid, jaxnet.tanh)],
            "unbounded": [f.fn(z) for f in (jaxnet.relu, jaxnet.linear)],
            "comparisons": [jaxnet.relu.prime(z), perceptrons.step.fn(z)],
            "costs": [(cost.value(z, y), cost.delta(z, z)) for cost in costs],
        }

    nan, inf = (
        found(np.full(1, end, np.float32), np.ones(1, np.float32))
        for end in (np.nan, np.inf)
    )
    assert all(leaf == 0 for leaf in nan.pop("comparisons"))
    assert all(np.isnan(leaf) for leaf in jax.tree.leaves(nan))
    assert all(leaf == 1 for leaf in inf["bounded"])
    assert all(leaf == np.inf for leaf in inf["unbounded"])
    params, x, y = chain(np.float32, layers=4)
    for gradient in (jaxnet.backprop, jaxnet.autodiff):
        broken = compiled(gradient)(params, x * jnp.nan, y)
        assert all(np.isnan(leaf).all() for leaf in jax.tree.leaves(broken))


@jax.jit
def learnt_under_jit(params, data):
    key, state = jax.random.key(0), jaxnet.start(params)
    return jaxnet.epoch(key, state, data, batch_size=1, eta=1.0).params


def test_under_jit_nan_in_the_data_is_learnt():
    """Outside, where values can be looked at, it is refused."""
    params, x, y = chain(np.float32, layers=2)
    learnt = learnt_under_jit(params, Dataset(x * jnp.nan, y))
    assert all(np.isnan(leaf).all() for leaf in jax.tree.leaves(learnt))
