"""The equation ledger of chapter 3: costs, softmax, regularization, first weights.

Numbers are those of the book's PDF, and for what only the web edition has, the web's.
"""

import itertools
import math
from dataclasses import replace
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnet
from jaxnet import Layer, descent, regularization
from jaxnet.fast import shuffle
from jaxnet.network import stream
from tests.equations import (
    array,
    autodiff,
    backprop,
    layer_of,
    loss,
    network,
    predict,
    sigma,
    sigma_prime,
    stepped,
)
from tests.helpers import assert_close, compiled, formula_of, numpy_gradient, problem

SIZES = [3, 4, 2]
GOALS = [0.0, 0.1, 0.25, 0.5, 0.7, 0.9, 1.0]
EXAMPLE = (2.5, -1.0, 3.2, 0.5)  # where the web edition's softmax starts
cross_entropy = jaxnet.cross_entropy
descend, newton = (
    jax.jit(function, static_argnames=("cost", "steps"))
    for function in (descent.descend, descent.newton)
)


def logit(a):
    return np.log(a / (1 - np.asarray(a)))


def soft(z):
    """The softmax, by components."""
    total = sum(math.exp(z_k) for z_k in z)
    return np.array([math.exp(z_j) / total for z_j in z])


def column(numbers):
    return np.array(numbers, float)[:, np.newaxis]


@cache
def for_each(function):
    """The function of each row of its arguments, in NumPy."""
    rows = jax.jit(jax.vmap(function))
    return lambda *arguments: np.asarray(rows(*arguments))


@pytest.fixture
def neuron(x64):
    """A neuron with three inputs, six examples with y as numbers, and its outputs."""
    params, x, y = network([3, 1])
    [(w, b)] = params
    z = np.array([sum(w[0, j] * one[j] for j in range(3)) for one in x]) + b
    return params, x, y[:, 0], z, sigma(z)


def with_outputs(activation, params):
    """The network with this activation in its last layer."""
    return [*params[:-1], replace(params[-1], activation=activation)]


@compiled
def output_errors(params, x, y, cost):
    """delta^L of each example."""
    deltas, _ = jax.vmap(partial(jaxnet.errors, params, cost=cost))(x, y)
    return deltas[-1]


def assert_both(params, x, y, cost, *, w, b):
    """The last layer's slope, by hand and by jax.grad, is what is expected."""
    for gradient in (backprop, autodiff):
        last = gradient(params, x, np.reshape(y, (len(x), -1)), cost)[-1]
        for actual, expected in ((last.w, w), (last.b, b)):
            assert actual.shape == np.shape(expected)
            np.testing.assert_allclose(actual, expected, rtol=1e-12)


def mean_products(a, error):
    """1/n sum_x a_k error_j, rows j, by loops."""
    n = len(a)
    return [
        [sum(a[i, k] * error[i, j] for i in range(n)) / n for k in range(a.shape[1])]
        for j in range(error.shape[1])
    ]


# 3.1 to 3.3: why a neuron learns slowly, and the cost with which it does not


def test_3_1_to_3_3_the_quadratic_cost_of_one_neuron(neuron):
    """Its derivatives have the factor sigma'(z): times x_j by w_j, without it by b."""
    params, x, y, z, a = neuron
    actual = loss(params, x, column(y), jaxnet.quadratic)
    assert float(actual) == pytest.approx(np.mean((y - a) ** 2 / 2), rel=1e-13)
    slope = (a - y) * sigma_prime(z)
    w, b = [(column(slope) * x).mean(axis=0)], [slope.mean()]
    assert_both(params, x, y, jaxnet.quadratic, w=w, b=b)


@pytest.mark.parametrize("sizes", [[3, 1], SIZES], ids=str)
def test_3_4_and_3_9_the_cross_entropy_of_one_neuron_and_of_many(x64, sizes):
    params, x, y = network(sizes)
    a, total = x, 0.0
    for w, b in params:
        a = sigma(a @ w.T + b)
    for goal, output in zip(y.ravel(), a.ravel(), strict=True):
        total += goal * math.log(output) + (1 - goal) * math.log(1 - output)
    actual = loss(params, x, y, cross_entropy)
    assert float(actual) == pytest.approx(-total / 6, rel=1e-13)


def test_3_4_is_positive_and_tends_to_zero_as_the_output_becomes_right(x64):
    """Also at a = y = 0 and a = y = 1, where it is 0 and not nan."""
    sizes = [0.0, 1.0, 5.0, 20.0, 50.0, 1e3]
    for y, sign in ((1.0, 1), (0.0, -1)):
        goals = np.full((6, 1), y)
        costs = for_each(cross_entropy.value)(sign * column(sizes), goals)
        expected = [math.log1p(math.exp(-z)) for z in sizes]  # -ln of the right side
        np.testing.assert_allclose(costs, expected, rtol=1e-13)
        assert (np.diff(costs) < 0).all() and costs[-2] > 0 and costs[-1] == 0


def test_3_5_to_3_8_the_derivative_of_the_cross_entropy_loses_sigma_prime(neuron):
    """By a weight it is the input times the error, and by the bias the error."""
    params, x, y, z, a = neuron
    slopes = np.reshape(sigma_prime(z), (6, 1)) * x  # dsigma/dw_j
    for factors in (
        -column(y / a - (1 - y) / (1 - a)) * slopes,  # (3.5)
        column((a - y) / (a * (1 - a))) * slopes,  # (3.6)
        column(a - y) * x,  # (3.7)
    ):
        w, b = [factors.mean(axis=0)], [sum(a - y) / 6]  # (3.8)
        assert_both(params, x, y, cross_entropy, w=w, b=b)


def test_exercise_the_derivative_of_the_sigmoid(x64):
    """Section 3.2: sigma' = sigma (1 - sigma), where sigma' is by the quotient rule."""
    z = np.linspace(-12, 12, 25)
    np.testing.assert_allclose(sigma(z) * (1 - sigma(z)), sigma_prime(z), rtol=1e-10)
    actual = for_each(jaxnet.sigmoid.prime)(z)
    np.testing.assert_allclose(actual, sigma_prime(z), rtol=1e-10)


def test_exercise_the_roles_of_y_and_a(x64):
    """With y and a exchanged, targets of 0 and 1 make the cross-entropy infinite."""
    y, a = map(column, zip(*itertools.product((0, 1), (0.1, 0.5, 0.9)), strict=True))
    right_side = np.where(y == 1, a, 1 - a)[:, 0]
    costs_of = for_each(formula_of(cross_entropy))
    np.testing.assert_allclose(costs_of(a, y), -np.log(right_side), rtol=1e-13)
    assert np.isposinf(costs_of(y, a)).all()


def binary_entropy(y):
    return -sum(p * math.log(p) for p in (y, 1 - y) if p > 0)


def test_3_10_and_exercise_the_least_cross_entropy_is_where_the_output_is_the_target(
    x64,
):
    """There it is the target's binary entropy, not 0 unless the target is 0 or 1.

    By its value on a grid, its slope, and its second derivative everywhere.
    """
    goals = GOALS[1:-1]
    entropies = list(map(binary_entropy, goals))
    params = [layer_of([[1]], [0])]
    least = loss(params, column(logit(goals)), column(goals), cross_entropy)
    assert float(least) == pytest.approx(np.mean(entropies), rel=1e-13)
    assert least > 0.4
    outputs = np.linspace(0.005, 0.995, 199)  # among them each of the goals
    z = column(logit(outputs))
    for y, entropy in zip(goals, entropies, strict=True):
        costs = for_each(cross_entropy.value)(z, np.full((199, 1), y))
        assert outputs[np.argmin(costs)] == pytest.approx(y, rel=1e-12)
        assert costs.min() == pytest.approx(entropy, rel=1e-12)
        slopes = for_each(cross_entropy.delta)(z, np.full((199, 1), y))[:, 0]
        assert (np.diff(slopes) > 0).all()
        below, above = outputs < y - 1e-9, outputs > y + 1e-9
        assert (slopes[below] < 0).all() and (slopes[above] > 0).all()
        np.testing.assert_allclose(slopes[~(below | above)], 0, atol=1e-14)


@pytest.mark.parametrize(
    ("cost", "error"),
    [
        (jaxnet.quadratic, lambda z, y: (sigma(z) - y) * sigma_prime(z)),
        (cross_entropy, lambda z, y: sigma(z) - y),
        (jaxnet.linear_quadratic, lambda z, y: z - y),
        (jaxnet.log_likelihood, lambda z, y: np.array(list(map(soft, z))) - y),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_3_11_to_3_16_and_web_81_82_and_84_what_output_neurons_learn(x64, cost, error):
    """a_k delta_j by a weight and delta_j by a bias, averaged over examples."""
    params, x, y = network(SIZES, output=cost.output)
    y = y / y.sum(axis=1, keepdims=True)  # a distribution, for the log-likelihood
    [hidden, output] = params
    a = sigma(x @ hidden.w.T + hidden.b)
    z = a @ output.w.T + output.b
    delta = error(z, y)
    actual = output_errors(params, x, y, cost)
    np.testing.assert_allclose(actual, delta, rtol=1e-12)
    by_z = for_each(jax.grad(cost.value))(z, y)
    np.testing.assert_allclose(by_z, delta, rtol=1e-12)
    w, b = mean_products(a, delta), delta.mean(axis=0)
    assert_both(params, x, y, cost, w=w, b=b)


def test_3_14_the_quadratic_cost_of_linear_outputs(x64):
    params, x, y = network(SIZES, output=jaxnet.linear)
    outputs = np.stack([predict(params, one) for one in x])
    actual, expected = loss(params, x, y, jaxnet.linear_quadratic), (outputs - y) ** 2
    assert float(actual) == pytest.approx(np.sum(expected) / 12, rel=1e-13)


@pytest.mark.parametrize("y", [0.0, 1.0])
def test_footnote_a_sixth_is_the_mean_of_sigma_prime(x64, y):
    """Section 3.3: over outputs in [0, 1], the quadratic error is 1/6 of the other.

    So eta 3.0 becomes 3.0 / 6 = 0.5.
    """
    z = column(logit((np.arange(1000) + 0.5) / 1000))
    quadratic, other = (
        for_each(cost.delta)(z, np.full((1000, 1), y))
        for cost in (jaxnet.quadratic, jaxnet.cross_entropy)
    )
    # The midpoint rule is off by h^2/24 times the difference of slopes at the ends, 2.
    expected = 1 / 6 + 1e-6 / 12
    assert (quadratic / other).mean() == pytest.approx(expected, abs=1e-12)


# Web edition: where the cross-entropy comes from


def test_web_71_and_72_and_problem_the_input_stays_in_the_slope_of_every_cost(neuron):
    """dC/dw_j = x_j dC/db for one example, and dC/db = a - y for the cross-entropy."""
    params, x, y, _, a = neuron
    for cost, i in itertools.product((jaxnet.quadratic, cross_entropy), range(6)):
        alone = np.tile(x[i], (6, 1)), np.full((6, 1), y[i])
        [(w, b)] = jax.tree.map(np.asarray, backprop(params, *alone, cost))
        np.testing.assert_allclose(w[0], x[i] * b, rtol=1e-12)
        if cost is cross_entropy:
            np.testing.assert_allclose(b, a[i] - y[i], rtol=1e-12)


def test_web_73_to_75_the_slope_that_it_must_have(x64):
    """dC/db = dC/da sigma'(z) = dC/da a (1 - a), so dC/da = (a - y) / (a (1 - a))."""
    pairs = itertools.product((0.02, 0.3, 0.5, 0.77, 0.98), GOALS)
    a, y = map(column, zip(*pairs, strict=True))
    slope = for_each(jax.grad(formula_of(cross_entropy)))(a, y)
    expected = (a - y) / (a * (1 - a))
    assert slope == pytest.approx(expected, rel=1e-12, abs=1e-14)
    delta = for_each(cross_entropy.delta)(logit(a), y)
    for derivative in (sigma_prime(logit(a)), a * (1 - a)):
        assert delta == pytest.approx(slope * derivative, rel=1e-12, abs=1e-14)


@pytest.mark.parametrize("y", [0.0, 0.25, 1.0])
def test_web_76_and_77_integrated_it_is_the_cross_entropy(x64, y):
    """Up to a constant, by Gauss's rule; (77) is the mean of that over examples."""
    nodes, weights = np.polynomial.legendre.leggauss(60)
    start, ends = 0.5, (0.05, 0.3, 0.6, 0.95)

    def integral(end):
        a = (start + end) / 2 + (end - start) / 2 * nodes
        return (end - start) / 2 * np.sum(weights * (a - y) / (a * (1 - a)))

    integrals = np.array([integral(end) for end in ends])
    z, goals = column(logit([start, *ends])), np.full((5, 1), y)
    before, *costs = for_each(cross_entropy.value)(z, goals)
    assert integrals == pytest.approx(costs - before, rel=1e-11, abs=1e-13)
    params = [layer_of([[1]], [0])]
    mean = float(loss(params, z[1:], goals[1:], cross_entropy))
    expected = integrals.mean() + math.log(2)  # C at a = 1/2
    assert mean == pytest.approx(expected, rel=1e-11)


def test_problem_the_slope_by_the_activation_blows_up(x64):
    """Web, 3.4: (a - y) / (a (1 - a)) times sigma' is 0 / 0 where delta is a - y."""

    @jax.jit
    def by_chain(z):
        slope = jax.grad(formula_of(cross_entropy))(jaxnet.sigmoid.fn(z), y)
        return slope * jaxnet.sigmoid.prime(z)

    y, saturated, moderate = map(array, ([0, 0], [-800, 800], [-3, 3]))
    assert not np.isfinite(by_chain(saturated)).any()
    np.testing.assert_array_equal(cross_entropy.delta(saturated, y), [0, 1])
    expected = cross_entropy.delta(moderate, y)
    np.testing.assert_allclose(by_chain(moderate), expected, rtol=1e-12)


# Web edition: softmax


def test_web_78_softmax(x64):
    params = [layer_of(np.eye(4), np.zeros(4), jaxnet.softmax)]
    for z in (EXAMPLE, (-1.0, 0.0, 1.0, 5.0), (0.0, 0.0, 0.0, 0.0)):
        [actual] = for_each(jaxnet.softmax.fn)(np.array([z]))
        np.testing.assert_allclose(actual, soft(z), rtol=1e-14)
        np.testing.assert_allclose(predict(params, np.array(z)), soft(z), rtol=1e-14)
    np.testing.assert_allclose(soft(EXAMPLE), [0.315, 0.009, 0.633, 0.043], atol=5e-4)


def test_web_79_and_exercise_outputs_of_softmax_are_a_distribution(x64):
    """And stay one as z_4 grows: a_4 gains what the others lose. Sigmoids are not."""
    z = np.tile(EXAMPLE, (21, 1))
    z[:, 3] = np.linspace(-5, 5, 21)
    a = for_each(jaxnet.softmax.fn)(z)
    assert a.sum(axis=1) == pytest.approx(np.ones(21), rel=1e-14) and (a > 0).all()
    change = np.diff(a, axis=0)
    assert (change[:, 3] > 0).all() and (change[:, :3] < 0).all()
    assert change[:, 3] == pytest.approx(-change[:, :3].sum(axis=1), rel=1e-10)
    outputs = predict([layer_of(np.eye(4), np.zeros(4))], np.array(EXAMPLE))
    np.testing.assert_allclose(outputs, sigma(np.array(EXAMPLE)), rtol=1e-13)
    assert np.sum(outputs) > 2.7


def test_exercise_softmax_is_monotonic_and_not_local(x64):
    """da_j/dz_k is a_j (1 - a_j) > 0 for j = k, and -a_j a_k < 0 otherwise.

    So each output depends on every z, sigma' is a matrix, and softmax has no `prime`.
    """
    same = np.eye(4, dtype=bool)
    for z in (EXAMPLE, (0.0, 1.0, -20.0, 8.0)):
        a = soft(z)
        [jacobian] = for_each(jax.jacobian(jaxnet.softmax.fn))(np.array([z]))
        assert (jacobian[same] > 0).all() and (jacobian[~same] < 0).all()
        others = [sum(a[i] for i in range(4) if i != j) for j in range(4)]  # 1 - a_j
        expected = np.where(same, np.diag(a * others), -np.outer(a, a))
        np.testing.assert_allclose(jacobian, expected, rtol=1e-12)
    with pytest.raises(ValueError, match="elementwise derivative"):
        jaxnet.softmax.prime(jnp.array(EXAMPLE))


def test_web_80_log_likelihood(x64):
    """C = -ln a_y, where y is the right digit; from z, also where a_y is 0."""
    cost = jaxnet.log_likelihood
    params, x, _ = network(SIZES, output=jaxnet.softmax)
    right = [0, 1, 1, 0, 1, 0]
    outputs = np.stack([predict(params, one) for one in x])
    costs = [-math.log(a[digit]) for a, digit in zip(outputs, right, strict=True)]
    actual = loss(params, x, np.eye(2)[right], cost)
    assert float(actual) == pytest.approx(sum(costs) / 6, rel=1e-13)
    by_formula = for_each(formula_of(cost))
    assert by_formula(outputs, np.eye(2)[right]) == pytest.approx(costs, rel=1e-13)
    z, y = np.array([[30.0, 0], [30, 0], [1000, 0]]), np.eye(2)[[0, 1, 1]]
    least, most, exact = for_each(cost.value)(z, y)
    assert least < 1e-12 and most > 29 and exact == 1000
    assert np.isinf(by_formula(np.eye(2)[[0]], y[2:])).all()


def test_web_83_and_exercise_softness_and_the_inverse_of_softmax(x64):
    """As c grows, e^(c z_j) / sum_k e^(c z_k) leaves all to the largest z_j.

    The inverse is z_j = ln a_j + C, with one C for all j, which softmax does not see.
    """
    softmax, z = for_each(jaxnet.softmax.fn), np.array(EXAMPLE)
    scaled = np.outer([0.1, 1, 3, 10, 30], z)
    a = softmax(scaled)
    np.testing.assert_allclose(a, list(map(soft, scaled)), rtol=1e-13)
    assert (np.diff(a[:, 2]) > 0).all()
    total = math.log(sum(map(math.exp, EXAMPLE)))
    np.testing.assert_allclose(z - np.log(a[1]), total, rtol=1e-13)
    inverses = np.add.outer([-3.0, 0, 7, 0, 0], np.log(a[1]))
    np.testing.assert_allclose(softmax(inverses), a[[1] * 5], rtol=1e-13)
    tie = [3.2, -1.0, 3.2, 0.5]
    ends = softmax(np.array([5000 * z, np.multiply(5000, tie), 1e-9 * z, z, z]))
    np.testing.assert_array_equal(ends[:2], [[0, 0, 1, 0], [0.5, 0, 0.5, 0]])
    np.testing.assert_allclose(ends[2], 0.25, rtol=1e-8)


# Web edition: regularization. Mini-batches of m = 6 of n = 44 examples: the last of 2.

N, M, ETA, LAMBDA = 44, 6, 0.3, 1.7


def total(params, x, y, l1, l2):
    """The cross-entropy with both penalties, divided by n, written out here."""
    absolute = sum(jnp.sum(jnp.abs(w)) for w, _ in params)
    squares = sum(jnp.sum(w**2) for w, _ in params)
    mean = jaxnet.loss(params, x, y, cross_entropy)
    return mean + l1 / N * absolute + l2 / (2 * N) * squares


def with_penalties(l1, l2):
    """`backprop` with both penalties by `with_penalty`."""
    return regularization.with_penalty(jaxnet.backprop, l1 / N, l2 / N)


automatic_slope = jax.jit(jax.grad(total))


@jax.jit
def slope_by_hand(params, x, y, l1, l2):
    return with_penalties(l1, l2)(params, x, y, cost=cross_entropy)


@jax.jit
def after_step(params, x, y, l1, l2):
    options = {"eta": ETA, "cost": cross_entropy, "gradient": with_penalties(l1, l2)}
    return jaxnet.step(jaxnet.start(params), x, y, **options).params


@compiled
def cost_and_penalty(params, x, y, cost, l1, l2):
    data = jaxnet.Dataset(x, y)
    cost_with_both = jaxnet.total_cost(params, data, cost, l1=l1, l2=l2, n=N)
    return cost_with_both, regularization.penalty(params, l1, l2, N)


@pytest.fixture
def slow(x64):
    """A network with a weight of 0, whose sgn is 0, examples, and its plain slope."""
    params, x, y = network(SIZES)
    params[0] = replace(params[0], w=params[0].w * (np.arange(12).reshape(4, 3) != 5))
    return params, x, y, backprop(params, x, y, cross_entropy)


PENALTIES = pytest.mark.parametrize(("l1", "l2"), [(0.0, LAMBDA), (LAMBDA, 0.0)])


@PENALTIES
def test_web_85_to_87_and_95_a_cost_with_l2_or_l1(slow, l1, l2):
    """C_0 + lambda/2n sum w^2, or + lambda/n sum |w|, over weights and not biases."""
    params, x, y, _ = slow
    absolute, squares = (
        sum(np.sum(np.abs(w) ** power) for w, _ in params) for power in (1, 2)
    )
    added = l1 / N * absolute + l2 / (2 * N) * squares
    actual, alone = cost_and_penalty(params, x, y, cross_entropy, l1, l2)
    plain = float(loss(params, x, y, cross_entropy))
    assert float(actual) == pytest.approx(plain + added, rel=1e-13)
    assert float(alone) == pytest.approx(added, rel=1e-13) and added > 0.1 * plain


@PENALTIES
def test_web_88_to_92_96_and_97_what_they_add_to_slopes_and_steps(slow, l1, l2):
    """lambda/n w or lambda/n sgn(w) by a weight, nothing by a bias.

    So weights decay, by a factor of 1 - eta lambda/n with L2 and by a constant with L1,
    and biases learn as before. Where w is 0, |w| has no slope, and the book takes 0.
    """
    params, x, y, plain = slow
    by_hand, after, plain = jax.tree.map(
        np.asarray,
        (slope_by_hand(params, x, y, l1, l2), after_step(params, x, y, l1, l2), plain),
    )
    for slope, one, other, (w, b) in zip(by_hand, after, plain, params, strict=True):
        expected = other.w + l1 / N * np.sign(w) + l2 / N * w
        np.testing.assert_allclose(slope.w, expected, rtol=1e-12)
        np.testing.assert_allclose(slope.b, other.b, rtol=1e-13)
        shrunk = (1 - ETA * l2 / N) * w - ETA * l1 / N * np.sign(w)
        np.testing.assert_allclose(one.w, shrunk - ETA * other.w, rtol=1e-12)
        np.testing.assert_allclose(one.b, b - ETA * other.b, rtol=1e-12)
    params, *_ = network(SIZES)  # whose weights are not 0 anywhere
    by_hand = slope_by_hand(params, x, y, l1, l2)
    assert_close(by_hand, automatic_slope(params, x, y, l1, l2), rtol=1e-12)


def test_web_93_and_94_l2_in_stochastic_gradient_descent(x64):
    """The decay is by lambda/n, n all examples; the slope is over those of a batch."""
    params, x, y = problem(SIZES, m=N)
    key, state = jax.random.key(3), jaxnet.start(params)
    options = {"batch_size": M, "eta": ETA, "l2": LAMBDA, "cost": cross_entropy}
    state = jaxnet.epoch(key, state, jaxnet.Dataset(x, y), **options)
    expected, x, y = jax.tree.map(np.asarray, (params, x, y))
    order = np.asarray(shuffle(stream(key, "order"), N))
    for batch in np.split(order, range(M, N, M)):
        slope = numpy_gradient(expected, x[batch], y[batch], "cross_entropy")
        expected = [
            Layer((1 - ETA * LAMBDA / N) * w - ETA * by_w, b - ETA * by_b)
            for (w, b), (by_w, by_b) in zip(expected, slope, strict=True)
        ]
    assert_close(state.params, expected, rtol=1e-11)


# Web edition: first weights, and other neurons


def test_problem_l2_alone_shrinks_weights_as_an_exponential(x64):
    """Web, 3.3: by exp(-eta lambda/m) in an epoch, here to 95 %, and no biases."""
    n, m, eta, lmbda = 50_000, 10, 0.1, 5.0

    def no_slope(params, x, y, cost):
        return jax.tree.map(jnp.zeros_like, params)

    gradient = regularization.with_penalty(no_slope, l2_rate=lmbda / n)

    @jax.jit
    def after_epoch(params, x, y):
        def step(_, state):
            return jaxnet.step(state, x, y, eta=eta, gradient=gradient)

        return jax.lax.fori_loop(0, n // m, step, jaxnet.start(params)).params

    params, x, y = network([3, 1])
    [(w, b)], [after] = params, after_epoch(params, x, y)
    np.testing.assert_allclose(after.w / w, math.exp(-eta * lmbda / m), rtol=1e-6)
    np.testing.assert_array_equal(after.b, b)


SATURATED = logit(0.99)  # where |z| is more, a is within 0.01 of 0 or 1


@pytest.mark.parametrize(
    ("layer", "of_weights", "variance", "rounded"),
    [
        (jaxnet.large_layer, 1, 501, 22.4),
        (jaxnet.scaled_layer, 1 / 1000, 3 / 2, 1.22),
    ],
    ids=["large_layer", "scaled_layer"],
)
def test_the_variance_of_weighted_inputs_and_what_saturates(
    layer, of_weights, variance, rounded
):
    """1,000 inputs, half of them 1 and half 0: 500 weights and a bias add up."""
    neurons, x = 4000, np.arange(1000) % 2 * 1.0
    draw = jax.jit(layer, static_argnums=(1, 2))
    w, b = jax.tree.map(np.asarray, draw(jax.random.key(0), 1000, neurons))
    assert abs(w.mean()) < 4 * (of_weights / w.size) ** 0.5
    assert w.var() == pytest.approx(of_weights, rel=0.03)
    assert b.var() == pytest.approx(1, rel=0.1)
    z, sd = w @ x + b, math.sqrt(variance)
    assert sd == pytest.approx(rounded, abs=0.03)
    assert abs(z.mean()) < 4 * sd / math.sqrt(neurons)
    assert z.std() == pytest.approx(sd, rel=4 / math.sqrt(2 * neurons))
    chance = math.erfc(SATURATED / sd / math.sqrt(2))
    margin = 4 * math.sqrt(chance * (1 - chance) / neurons) + 1 / neurons
    saturated = np.mean(np.abs(z) > SATURATED)
    assert saturated == pytest.approx(chance, abs=margin)
    assert saturated > 0.8 if layer is jaxnet.large_layer else saturated < 0.002


def tanh(z):
    return (math.exp(z) - math.exp(-z)) / (math.exp(z) + math.exp(-z))


@pytest.mark.parametrize(
    ("activation", "expected", "slope"),
    [
        (jaxnet.tanh, tanh, [0, *[1 / math.cosh(0.1) ** 2] * 2, 0]),
        (jaxnet.relu, partial(max, 0.0), [0, 0, 1, 1]),
    ],
    ids=["tanh", "relu"],
)
def test_web_109_110_and_112_a_tanh_neuron_and_a_rectified_linear_one(
    neuron, activation, expected, slope
):
    """The slope of the second stays 1, however large z is."""
    params, x, _, zs, _ = neuron
    assert min(zs) < 0 < max(zs)
    for one, z in zip(x, zs, strict=True):
        [actual] = predict(with_outputs(activation, params), one)
        assert float(actual) == pytest.approx(expected(z), rel=1e-13)
    slopes = for_each(activation.prime)(np.array([-100.0, -0.1, 0.1, 100.0]))
    np.testing.assert_allclose(slopes, slope, rtol=1e-12)


def test_web_111_the_sigmoid_is_a_rescaled_tanh(x64):
    """So a tanh network with halved weights does what a sigmoid network does."""
    z = np.linspace(-15, 15, 61)
    expected = [(1 + math.tanh(one / 2)) / 2 for one in z]
    np.testing.assert_allclose(for_each(jaxnet.sigmoid.fn)(z), expected, rtol=1e-9)
    by_tanh = (1 + for_each(jaxnet.tanh.fn)(z / 2)) / 2
    np.testing.assert_allclose(by_tanh, sigma(z), rtol=1e-9)
    [first, last], x, _ = network(SIZES)
    halved = Layer(first.w / 2, first.b / 2, jaxnet.tanh)
    after = Layer(last.w / 2, last.b + last.w.sum(axis=1) / 2)
    for one in x:
        expected = predict([first, last], one)
        np.testing.assert_allclose(predict([halved, after], one), expected, rtol=1e-12)


# Web 100 to 108: mini-batches, and other ways down


def test_web_100_to_102_a_mini_batch_does_what_online_learning_does(x64):
    """One step of m eta is m steps of eta, but for what shrinks as eta squared."""
    params, x, y = network(SIZES)
    wrong = []
    for eta in (1e-3, 1e-4):
        online = params
        for one, goal in zip(x, y, strict=True):
            alone = np.tile(one, (6, 1)), np.tile(goal, (6, 1))
            online = stepped(online, *alone, eta)  # (101)
        batch = stepped(params, x, y, 6 * eta)  # (100), and with 6 eta (102)
        wrong.append(np.linalg.norm(online[0].w - batch[0].w))
    assert wrong[0] / wrong[1] == pytest.approx(100, rel=0.1)


def quartic(v):
    return v[0] ** 4 + v[0] * v[1] + (1 + v[1]) ** 2


def slope_of_quartic(v):
    return np.array([4 * v[0] ** 3 + v[1], v[0] + 2 * (1 + v[1])])


def test_web_103_to_106_the_hessian_technique(x64):
    """By -eta H^-1 grad C; with eta 1 to the minimum of a quadratic.

    C(w + dw) is grad C . dw + dw^T H dw / 2 more than C(w), but for a third power.
    """
    matrix, centre = np.array([[3.0, 1.0], [1.0, 2.0]]), np.array([0.4, -1.2])

    def bowl(v):
        return (v - centre) @ matrix @ (v - centre)

    v = np.array([5.0, -7.0])
    np.testing.assert_allclose(newton(bowl, v, steps=1), [v, centre], rtol=1e-12)
    hessian = np.array([[12 * v[0] ** 2, 1.0], [1.0, 2.0]])
    wrong = []
    for dv in (np.array([0.1, -0.2]), np.array([0.01, -0.02])):
        change = slope_of_quartic(v) @ dv + dv @ hessian @ dv / 2
        wrong.append(quartic(v + dv) - quartic(v) - change)
    assert wrong[0] / wrong[1] == pytest.approx(1000, rel=0.1)
    expected = v - 0.5 * np.linalg.inv(hessian) @ slope_of_quartic(v)
    path = newton(quartic, v, steps=1, eta=0.5)
    np.testing.assert_allclose(path[1], expected, rtol=1e-12)


def test_web_107_and_108_momentum(x64):
    """v' = mu v - eta grad C and w' = w + v'; mu = 0 is gradient descent."""
    for mu in (0.0, 0.5, 1.0):
        w, v = np.array([0.9, -0.4]), np.zeros(2)
        for actual in np.asarray(descend(quartic, w, eta=0.05, steps=6, mu=mu)):
            np.testing.assert_allclose(actual, w, rtol=1e-12)
            v = mu * v - 0.05 * slope_of_quartic(w)
            w = w + v
