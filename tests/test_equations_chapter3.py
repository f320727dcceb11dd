"""The equation ledger of chapter 3: costs, softmax, regularisation, first weights.

Numbers are those of the book's PDF, and for what only the web edition has, the web's.
"""

import itertools
import math
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnet
from jaxnet import Layer, regularization
from jaxnet.descent import descend, newton
from jaxnet.fast import shuffle
from jaxnet.network import stream
from jaxnet.regularization import with_penalty
from tests.helpers import assert_close, compiled, formula_of, problem

SIZES = [3, 4, 5, 2]
GOALS = [0.0, 0.1, 0.25, 0.5, 0.7, 0.9, 1.0]
backprop, autodiff, errors, loss, predict = map(
    compiled,
    (jaxnet.backprop, jaxnet.autodiff, jaxnet.errors, jaxnet.loss, jaxnet.predict),
)
EXAMPLE = (2.5, -1.0, 3.2, 0.5)  # where the web edition's softmax starts


def sigma(z):
    return 1 / (1 + np.exp(-z))


def sigma_prime(z):
    return np.exp(-z) / (1 + np.exp(-z)) ** 2


def logit(a):
    return math.log(a / (1 - a))


def soft(z):
    """The softmax, by components."""
    total = sum(math.exp(z_k) for z_k in z)
    return np.array([math.exp(z_j) / total for z_j in z])


def one_hot(labels, classes):
    return jnp.asarray(np.eye(classes)[np.asarray(labels)])


@pytest.fixture
def neuron(x64):
    """A neuron with three inputs and six examples, and its z and a by a loop."""
    params, x, y = problem([3, 1], m=6)
    w, b = np.asarray(params[0].w)[0], float(params[0].b[0])
    z = np.array([sum(w[j] * float(one[j]) for j in range(3)) + b for one in x])
    return params, x, y, np.asarray(x), np.asarray(y)[:, 0], z, sigma(z)


@pytest.fixture
def deep(x64):
    """A network of several layers, and what enters and leaves its last one."""
    params, x, y = problem(SIZES, m=6)
    a = np.asarray(x)
    for w, b in params[:-1]:
        a = sigma(a @ np.asarray(w).T + np.asarray(b))
    z = a @ np.asarray(params[-1].w).T + np.asarray(params[-1].b)
    return params, x, y, np.asarray(y), a, z


def with_outputs(activation, params):
    """The network with this activation in its last layer."""
    return [*params[:-1], replace(params[-1], activation=activation)]


def assert_both(params, x, y, cost, *, w=None, b=None):
    """The last layer's slope, by hand and by jax.grad, is what is expected."""
    for gradient in (backprop, autodiff):
        last = gradient(params, x, y, cost)[-1]
        for actual, expected in ((last.w, w), (last.b, b)):
            if expected is not None:
                expected = np.asarray(expected)
                assert actual.shape == expected.shape
                np.testing.assert_allclose(actual, expected, rtol=1e-12)


# 3.1 to 3.3: why a neuron learns slowly, and the cost with which it does not


def test_3_1_the_quadratic_cost_of_one_neuron(x64):
    for w, b, x, y in itertools.product(
        (0.6, 2.0, -3.0), (0.9, 2.0), (1.0, 0.3), GOALS
    ):
        params = [Layer(jnp.array([[w]]), jnp.array([b]))]
        a = 1 / (1 + math.exp(-w * x - b))
        actual = loss(params, jnp.array([[x]]), jnp.array([[y]]), jaxnet.quadratic)
        assert float(actual) == pytest.approx((y - a) ** 2 / 2, rel=1e-13)


def toy(w, b):
    """The neuron of the section, with its one example x = 1 and y = 0."""
    params = [Layer(jnp.array([[w]]), jnp.array([b]))]
    return params, jnp.ones((1, 1)), jnp.zeros((1, 1)), 1 / (1 + math.exp(-w - b))


@pytest.mark.parametrize(("w", "b"), [(0.6, 0.9), (2.0, 2.0), (-1.0, 0.5)])
def test_3_2_the_derivative_by_the_weight_has_the_factor_sigma_prime(x64, w, b):
    """(a - y) sigma'(z) x, which is a sigma'(z)."""
    params, x, y, a = toy(w, b)
    assert_both(params, x, y, jaxnet.quadratic, w=[[a * sigma_prime(w + b)]])
    x, y = jnp.array([[-0.7]]), jnp.array([[0.3]])
    z = -0.7 * w + b
    expected = (sigma(z) - 0.3) * sigma_prime(z) * -0.7
    assert_both(params, x, y, jaxnet.quadratic, w=[[expected]])


@pytest.mark.parametrize(("w", "b"), [(0.6, 0.9), (2.0, 2.0), (-1.0, 0.5)])
def test_3_3_the_derivative_by_the_bias_has_it_too(x64, w, b):
    params, x, y, a = toy(w, b)
    assert_both(params, x, y, jaxnet.quadratic, b=[a * sigma_prime(w + b)])
    x, y = jnp.array([[-0.7]]), jnp.array([[0.3]])
    z = -0.7 * w + b
    expected = (sigma(z) - 0.3) * sigma_prime(z)
    assert_both(params, x, y, jaxnet.quadratic, b=[expected])


def test_3_4_the_cross_entropy_of_one_neuron(neuron):
    params, x, y, _, ys, _, a = neuron
    terms = [
        y_x * math.log(a_x) + (1 - y_x) * math.log(1 - a_x)
        for y_x, a_x in zip(ys, a, strict=True)
    ]
    actual = loss(params, x, y, jaxnet.cross_entropy)
    assert float(actual) == pytest.approx(-sum(terms) / 6, rel=1e-13)


def test_3_4_is_positive_and_tends_to_zero_as_the_output_becomes_right(x64):
    """Also at a = y = 0 and a = y = 1, where it is 0 and not nan."""
    for y, sign in ((1.0, 1), (0.0, -1)):
        zs = [sign * size for size in (0.0, 1.0, 5.0, 20.0, 50.0)]
        costs = [
            float(jaxnet.cross_entropy.value(jnp.array([z]), jnp.array([y])))
            for z in zs
        ]
        expected = [math.log1p(math.exp(-abs(z))) for z in zs]  # -ln of the right side
        np.testing.assert_allclose(costs, expected, rtol=1e-13)
        assert (np.diff(costs) < 0).all() and costs[-1] > 0
        right = jnp.array([sign * 1e3])
        assert jaxnet.cross_entropy.value(right, jnp.array([y])) == 0


def test_3_5_the_derivative_by_a_weight_before_sigma_is_put_in(neuron):
    """-1/n sum_x (y/sigma - (1 - y)/(1 - sigma)) dsigma/dw_j, with sigma' x_j last."""
    params, x, y, xs, ys, z, a = neuron
    factor = ys / a - (1 - ys) / (1 - a)
    expected = [-np.mean(factor * sigma_prime(z) * xs[:, j]) for j in range(3)]

    def activation(w, one):
        return jaxnet.sigmoid.fn(w @ one + params[0].b)[0]

    slopes = jax.vmap(jax.grad(activation), (None, 0))(params[0].w, x)  # dsigma/dw
    by_chain = -np.mean(factor[:, None] * np.asarray(slopes)[:, 0], axis=0)
    np.testing.assert_allclose(by_chain, expected, rtol=1e-12)
    assert_both(params, x, y, jaxnet.cross_entropy, w=[expected])


def test_3_6_over_the_common_denominator(neuron):
    params, x, y, xs, ys, z, a = neuron
    shares = sigma_prime(z) / (a * (1 - a)) * (a - ys)
    expected = [np.mean(shares * xs[:, j]) for j in range(3)]
    assert_both(params, x, y, jaxnet.cross_entropy, w=[expected])


def test_3_7_the_derivative_by_a_weight_is_the_input_times_the_error(neuron):
    params, x, y, xs, ys, _, a = neuron
    expected = [sum(xs[i, j] * (a[i] - ys[i]) for i in range(6)) / 6 for j in range(3)]
    assert_both(params, x, y, jaxnet.cross_entropy, w=[expected])


def test_3_8_the_derivative_by_the_bias_is_the_error(neuron):
    params, x, y, _, ys, _, a = neuron
    expected = sum(a[i] - ys[i] for i in range(6)) / 6
    assert_both(params, x, y, jaxnet.cross_entropy, b=[expected])


def test_exercise_the_derivative_of_the_sigmoid(x64):
    """Section 3.2: sigma' = sigma (1 - sigma), where sigma' is by the quotient rule."""
    for z in np.linspace(-12, 12, 25):
        expected = math.exp(-z) / (1 + math.exp(-z)) ** 2
        a = 1 / (1 + math.exp(-z))
        assert a * (1 - a) == pytest.approx(expected, rel=1e-10)
        actual = jaxnet.sigmoid.prime(jnp.asarray(z))
        assert float(actual) == pytest.approx(expected, rel=1e-10)


def test_3_9_the_cross_entropy_of_many_neurons(deep):
    params, x, y, ys, _, z = deep
    a = sigma(z)
    total = 0.0
    for i, j in itertools.product(range(6), range(2)):
        total += ys[i, j] * math.log(a[i, j]) + (1 - ys[i, j]) * math.log(1 - a[i, j])
    actual = loss(params, x, y, jaxnet.cross_entropy)
    assert float(actual) == pytest.approx(-total / 6, rel=1e-13)
    by_formula = jax.vmap(formula_of(jaxnet.cross_entropy))(jnp.asarray(a), y)
    assert float(jnp.mean(by_formula)) == pytest.approx(-total / 6, rel=1e-13)


def test_exercise_the_roles_of_y_and_a(x64):
    """With y and a exchanged, targets of 0 and 1 make the cross-entropy infinite."""
    formula = formula_of(jaxnet.cross_entropy)
    for y, a in itertools.product((0.0, 1.0), (0.1, 0.5, 0.9)):
        y, a = jnp.array([y]), jnp.array([a])
        right_side = float(a[0] if y[0] == 1 else 1 - a[0])
        assert float(formula(a, y)) == pytest.approx(-math.log(right_side), rel=1e-13)
        assert jnp.isposinf(formula(y, a))


def binary_entropy(y):
    return -sum(p * math.log(p) for p in (y, 1 - y) if p > 0)


def test_3_10_the_least_cross_entropy_is_the_binary_entropy(x64):
    """Of the targets, over examples; not 0 unless they are all 0 or 1."""
    goals = [y for y in GOALS if 0 < y < 1]
    params = [Layer(jnp.ones((1, 1)), jnp.zeros(1))]
    x, y = (jnp.array(rows)[:, None] for rows in (list(map(logit, goals)), goals))
    least = loss(params, x, y, jaxnet.cross_entropy)
    expected = sum(map(binary_entropy, goals)) / len(goals)
    assert float(least) == pytest.approx(expected, rel=1e-13) and expected > 0.4


@pytest.mark.parametrize("y", [y for y in GOALS if 0 < y < 1])
def test_exercise_the_least_is_where_the_output_is_the_target(x64, y):
    """By its value on a grid, its slope, and its second derivative everywhere."""
    outputs = np.linspace(0.005, 0.995, 199)  # among them each of the goals
    zs, goal = jnp.array([[logit(a)] for a in outputs]), jnp.array([y])
    costs, slopes = (
        np.asarray(jax.jit(jax.vmap(function, (0, None)))(zs, goal))
        for function in (jaxnet.cross_entropy.value, jaxnet.cross_entropy.delta)
    )
    assert outputs[np.argmin(costs)] == pytest.approx(y, rel=1e-12)
    assert costs.min() == pytest.approx(binary_entropy(y), rel=1e-12)
    slopes = slopes[:, 0]
    assert (np.diff(slopes) > 0).all()
    below, above = outputs < y - 1e-9, outputs > y + 1e-9
    assert (slopes[below] < 0).all() and (slopes[above] > 0).all()
    np.testing.assert_allclose(slopes[~(below | above)], 0, atol=1e-14)


def test_3_11_quadratic_output_weights_keep_sigma_prime(deep):
    params, x, y, ys, a, z = deep
    error = (sigma(z) - ys) * sigma_prime(z)
    w = [
        [sum(a[i, k] * error[i, j] for i in range(6)) / 6 for k in range(5)]
        for j in range(2)
    ]
    b = [sum(error[i, j] for i in range(6)) / 6 for j in range(2)]
    assert_both(params, x, y, jaxnet.quadratic, w=w, b=b)


def test_3_12_cross_entropy_output_error_is_the_difference(deep):
    params, x, y, ys, _, z = deep
    for i in range(6):
        delta = errors(params, x[i], y[i], jaxnet.cross_entropy)[0][-1]
        np.testing.assert_allclose(delta, sigma(z[i]) - ys[i], rtol=1e-12)
        slope = jax.grad(jaxnet.cross_entropy.value)(jnp.asarray(z[i]), y[i])
        np.testing.assert_allclose(delta, slope, rtol=1e-12)


def test_3_13_cross_entropy_output_weights_lose_sigma_prime(deep):
    """And biases: 1/n sum_x (a_j - y_j)."""
    params, x, y, ys, a, z = deep
    error = sigma(z) - ys
    w = [
        [sum(a[i, k] * error[i, j] for i in range(6)) / 6 for k in range(5)]
        for j in range(2)
    ]
    b = [sum(error[i, j] for i in range(6)) / 6 for j in range(2)]
    assert_both(params, x, y, jaxnet.cross_entropy, w=w, b=b)


@pytest.fixture
def linear(deep):
    """The network of several layers with linear outputs."""
    params, *others = deep
    return with_outputs(jaxnet.linear, params), *others


def test_3_14_linear_outputs_with_the_quadratic_cost(linear):
    """a^L = z^L, and the error is the difference as it is."""
    params, x, y, ys, _, z = linear
    for i in range(6):
        delta = errors(params, x[i], y[i], jaxnet.linear_quadratic)[0][-1]
        np.testing.assert_allclose(delta, z[i] - ys[i], rtol=1e-12)
    expected = sum((z[i, j] - ys[i, j]) ** 2 for i in range(6) for j in range(2)) / 12
    actual = loss(params, x, y, jaxnet.linear_quadratic)
    assert float(actual) == pytest.approx(expected, rel=1e-13)


def test_3_15_their_weights_do_not_learn_slowly(linear):
    params, x, y, ys, a, z = linear
    w = [
        [sum(a[i, k] * (z[i, j] - ys[i, j]) for i in range(6)) / 6 for k in range(5)]
        for j in range(2)
    ]
    assert_both(params, x, y, jaxnet.linear_quadratic, w=w)


def test_3_16_nor_do_their_biases(linear):
    params, x, y, ys, _, z = linear
    b = [sum(z[i, j] - ys[i, j] for i in range(6)) / 6 for j in range(2)]
    assert_both(params, x, y, jaxnet.linear_quadratic, b=b)


@pytest.mark.parametrize("y", [0.0, 1.0])
def test_footnote_a_sixth_is_the_mean_of_sigma_prime(x64, y):
    """Section 3.3: over outputs in [0, 1], the quadratic error is 1/6 of the other.

    So eta 3.0 becomes 3.0 / 6 = 0.5.
    """
    outputs = (np.arange(1000) + 0.5) / 1000
    z = jnp.array([[logit(a)] for a in outputs])
    quadratic, cross_entropy = (
        np.asarray(jax.vmap(cost.delta, (0, None))(z, jnp.array([y])))
        for cost in (jaxnet.quadratic, jaxnet.cross_entropy)
    )
    shares = quadratic / cross_entropy
    # The midpoint rule is off by h^2/24 times the difference of slopes at the ends, 2.
    assert shares.mean() == pytest.approx(1 / 6 + 1e-6 / 12, abs=1e-12)


# Web edition: where the cross-entropy comes from


def test_web_71_and_72_what_is_asked_of_the_cost(x64):
    """dC/dw_j = x_j (a - y) and dC/db = a - y, for one example."""
    params, x, y = problem([3, 1], m=1)
    a = sigma(np.asarray(params[0].w)[0] @ np.asarray(x[0]) + float(params[0].b[0]))
    b = a - float(y[0, 0])
    w = [[float(x[0, j]) * b for j in range(3)]]
    assert_both(params, x, y, jaxnet.cross_entropy, w=w, b=[b])


@pytest.mark.parametrize("y", GOALS)
def test_web_73_to_75_the_slope_that_it_must_have(x64, y):
    """dC/db = dC/da sigma'(z) = dC/da a (1 - a), so dC/da = (a - y) / (a (1 - a))."""
    formula, goal = formula_of(jaxnet.cross_entropy), jnp.array([y])
    for a in (0.02, 0.3, 0.5, 0.77, 0.98):
        slope = float(jax.grad(formula)(jnp.array([a]), goal)[0])
        assert slope == pytest.approx((a - y) / (a * (1 - a)), rel=1e-12, abs=1e-14)
        delta = float(jaxnet.cross_entropy.delta(jnp.array([logit(a)]), goal)[0])
        assert delta == pytest.approx(slope * sigma_prime(logit(a)), 1e-12, 1e-14)
        assert delta == pytest.approx(slope * a * (1 - a), rel=1e-12, abs=1e-14)


@pytest.mark.parametrize("y", GOALS)
def test_web_76_and_77_integrated_it_is_the_cross_entropy(x64, y):
    """Up to a constant, by Gauss's rule; (77) is the mean of that over examples."""
    nodes, weights = np.polynomial.legendre.leggauss(60)
    start = 0.5

    def integral(end):
        a = (start + end) / 2 + (end - start) / 2 * nodes
        return (end - start) / 2 * np.sum(weights * (a - y) / (a * (1 - a)))

    def cost(a):
        return float(jaxnet.cross_entropy.value(jnp.array([logit(a)]), jnp.array([y])))

    ends = (0.05, 0.3, 0.6, 0.95)
    for a in ends:
        expected = cost(a) - cost(start)
        assert integral(a) == pytest.approx(expected, rel=1e-11, abs=1e-13)
    params = [Layer(jnp.ones((1, 1)), jnp.zeros(1))]
    x, goals = jnp.array([[logit(a)] for a in ends]), jnp.full((4, 1), y)
    mean = float(loss(params, x, goals, jaxnet.cross_entropy))
    expected = np.mean([integral(a) for a in ends]) + math.log(2)  # C at a = 1/2
    assert mean == pytest.approx(expected, rel=1e-11)


def test_problem_the_slope_by_the_activation_blows_up(x64):
    """Web, 3.4: (a - y) / (a (1 - a)) times sigma' is 0 / 0 where delta is a - y."""
    z, y = jnp.array([-800.0, 800.0]), jnp.array([0.0, 0.0])
    slope = jax.grad(formula_of(jaxnet.cross_entropy))(jaxnet.sigmoid.fn(z), y)
    assert not jnp.isfinite(slope * jaxnet.sigmoid.prime(z)).any()
    np.testing.assert_array_equal(jaxnet.cross_entropy.delta(z, y), [0, 1])
    moderate = jnp.array([-3.0, 3.0])
    slope = jax.grad(formula_of(jaxnet.cross_entropy))(jaxnet.sigmoid.fn(moderate), y)
    np.testing.assert_allclose(
        slope * jaxnet.sigmoid.prime(moderate),
        jaxnet.cross_entropy.delta(moderate, y),
        rtol=1e-12,
    )


# Web edition: softmax


@pytest.mark.parametrize("z", [EXAMPLE, (-1.0, 0.0, 1.0, 5.0), (0.0, 0.0, 0.0, 0.0)])
def test_web_78_softmax(x64, z):
    actual = jaxnet.softmax.fn(jnp.array(z))
    np.testing.assert_allclose(actual, soft(z), rtol=1e-14)
    params = [Layer(jnp.eye(4), jnp.zeros(4), jaxnet.softmax)]
    output = predict(params, jnp.array(z))
    np.testing.assert_allclose(output, soft(z), rtol=1e-14)
    if z == EXAMPLE:
        np.testing.assert_allclose(actual, [0.315, 0.009, 0.633, 0.043], atol=5e-4)


def test_web_79_the_outputs_of_softmax_are_a_distribution(x64):
    """And stay one as z_4 grows: a_4 gains what the others lose."""
    before = None
    for z_4 in np.linspace(-5, 5, 21):
        a = jaxnet.softmax.fn(jnp.array([*EXAMPLE[:3], z_4]))
        assert float(sum(a)) == pytest.approx(1, rel=1e-14) and (a > 0).all()
        if before is not None:
            assert a[3] > before[3] and (a[:3] < before[:3]).all()
            lost = float(jnp.sum(before[:3] - a[:3]))
            assert float(a[3] - before[3]) == pytest.approx(lost, rel=1e-10)
        before = a


def test_exercise_sigmoid_outputs_need_not_sum_to_one(x64):
    params = [Layer(jnp.eye(4), jnp.zeros(4))]
    outputs = predict(params, jnp.array(EXAMPLE))
    expected = sum(1 / (1 + math.exp(-z)) for z in EXAMPLE)
    assert float(jnp.sum(outputs)) == pytest.approx(expected, rel=1e-13)
    assert expected > 2.7


def test_exercise_softmax_is_monotonic(x64):
    """da_j/dz_k is a_j (1 - a_j) > 0 for j = k, and -a_j a_k < 0 otherwise."""
    for z in (EXAMPLE, (0.0, 1.0, -20.0, 8.0)):
        a = soft(z)
        jacobian = np.asarray(jax.jacobian(jaxnet.softmax.fn)(jnp.array(z)))
        for j, k in itertools.product(range(4), range(4)):
            if j == k:
                others = sum(a[i] for i in range(4) if i != j)
                expected = a[j] * others
                assert jacobian[j, k] > 0
            else:
                expected = -a[j] * a[k]
                assert jacobian[j, k] < 0
            assert jacobian[j, k] == pytest.approx(expected, rel=1e-12)


def test_exercise_softmax_is_not_local(x64):
    """Each output depends on every z, where a sigmoid's depends on its own only.

    So sigma' is a matrix, and softmax has no elementwise `prime`.
    """
    z = jnp.array(EXAMPLE)
    others = ~np.eye(4, dtype=bool)
    by_softmax = np.asarray(jax.jacobian(jaxnet.softmax.fn)(z))
    by_sigmoid = np.asarray(jax.jacobian(jaxnet.sigmoid.fn)(z))
    assert (by_softmax[others] != 0).all() and (by_sigmoid[others] == 0).all()
    with pytest.raises(ValueError, match="elementwise derivative"):
        jaxnet.softmax.prime(z)


def test_exercise_inverting_softmax(x64):
    """z_j = ln a_j + C, with one C for all j, which softmax does not see."""
    z = jnp.array(EXAMPLE)
    a = jaxnet.softmax.fn(z)
    rest = np.asarray(z) - np.log(a)
    total = math.log(sum(map(math.exp, EXAMPLE)))
    np.testing.assert_allclose(rest, total, rtol=1e-14)
    for constant in (-3.0, 0.0, 7.0):
        again = jaxnet.softmax.fn(jnp.log(a) + constant)
        np.testing.assert_allclose(again, a, rtol=1e-13)


def test_web_80_log_likelihood(x64):
    """C = -ln a_y, where y is the right digit."""
    params, x, _ = problem(SIZES, m=6, output=jaxnet.softmax)
    labels = [0, 1, 1, 0, 1, 0]
    costs = []
    for i, label in enumerate(labels):
        z = jaxnet.forward(params, x[i])[0][-1]
        costs.append(-math.log(soft(list(map(float, z)))[label]))
        cost = jaxnet.log_likelihood.value(z, one_hot(label, 2))
        assert float(cost) == pytest.approx(costs[-1], rel=1e-13)
    actual = loss(params, x, one_hot(labels, 2), jaxnet.log_likelihood)
    assert float(actual) == pytest.approx(sum(costs) / 6, rel=1e-13)
    sure = jnp.array([30.0, 0.0])
    assert jaxnet.log_likelihood.value(sure, one_hot(0, 2)) < 1e-12
    assert jaxnet.log_likelihood.value(sure, one_hot(1, 2)) > 29


@pytest.fixture
def classes(deep):
    """The network of several layers with one-hot targets and a softmax output."""
    params, x, _, _, a, z = deep
    params = with_outputs(jaxnet.softmax, params)
    y = one_hot([0, 1, 1, 0, 1, 0], 2)
    return params, x, y, np.asarray(y), a, np.array([soft(one) for one in z])


def test_web_81_log_likelihood_by_a_bias(classes):
    params, x, y, ys, _, outputs = classes
    b = [sum(outputs[i, j] - ys[i, j] for i in range(6)) / 6 for j in range(2)]
    assert_both(params, x, y, jaxnet.log_likelihood, b=b)


def test_web_82_log_likelihood_by_a_weight(classes):
    params, x, y, ys, a, outputs = classes
    error = outputs - ys
    w = [
        [sum(a[i, k] * error[i, j] for i in range(6)) / 6 for k in range(5)]
        for j in range(2)
    ]
    assert_both(params, x, y, jaxnet.log_likelihood, w=w)


def test_web_83_softness(x64):
    """As c grows, e^(c z_j) / sum_k e^(c z_k) leaves all to the largest z_j."""
    z = jnp.array(EXAMPLE)
    largest = []
    for c in (0.1, 1.0, 3.0, 10.0, 30.0):
        a = jaxnet.softmax.fn(c * z)
        np.testing.assert_allclose(a, soft([c * z_j for z_j in EXAMPLE]), rtol=1e-13)
        largest.append(float(a[2]))
    assert (np.diff(largest) > 0).all()
    limit = jaxnet.softmax.fn(5000 * z)
    np.testing.assert_array_equal(limit, [0, 0, 1, 0])
    shared = jaxnet.softmax.fn(5000 * jnp.array([3.2, -1.0, 3.2, 0.5]))
    np.testing.assert_array_equal(shared, [0.5, 0, 0.5, 0])
    flat = jaxnet.softmax.fn(1e-9 * z)
    np.testing.assert_allclose(flat, 0.25, rtol=1e-8)


def test_web_84_the_error_of_softmax_with_log_likelihood(classes):
    """a^L - y, also by the chain rule through all outputs: -1/a_y da_y/dz_j."""
    params, x, y, ys, _, outputs = classes
    for i in range(6):
        delta = errors(params, x[i], y[i], jaxnet.log_likelihood)[0][-1]
        np.testing.assert_allclose(delta, outputs[i] - ys[i], rtol=1e-12)
        right, a = int(np.argmax(ys[i])), outputs[i]
        by_z = [a[right] * ((j == right) - a[j]) for j in range(2)]
        chained = [-slope / a[right] for slope in by_z]
        np.testing.assert_allclose(delta, chained, rtol=1e-12)


def test_log_likelihood_is_exact_where_its_formula_is_infinite(x64):
    z, y = jnp.array([-1000.0, 0.0, 3.0]), one_hot(0, 3)
    exact = 1000 + 3 + math.log1p(math.exp(-3))
    assert float(jaxnet.log_likelihood.value(z, y)) == pytest.approx(exact, rel=1e-15)
    np.testing.assert_allclose(
        jaxnet.log_likelihood.delta(z, y),
        [-1, math.exp(-3) / (1 + math.exp(-3)), 1 / (1 + math.exp(-3))],
        rtol=1e-14,
    )

    def naive(z):
        return formula_of(jaxnet.log_likelihood)(jaxnet.softmax.fn(z), y)

    assert jnp.isinf(naive(z)) and not jnp.isfinite(jax.grad(naive)(z)).all()


# Web edition: regularisation. Mini-batches of m = 5 of n = 40 examples.

N, M, ETA, LAMBDA = 40, 5, 0.3, 1.7


def squares(params):
    return sum(float(np.sum(np.asarray(w) ** 2)) for w, _ in params)


def regularised(penalty):
    """A cost with a penalty on each weight, divided by n, written out here."""

    def total(params, x, y, cost):
        weights = sum(jnp.sum(penalty(w)) for w, _ in params)
        return loss(params, x, y, cost) + LAMBDA / N * weights

    return total


def after_step(params, x, y, **rates):
    """The network after a step with the cross-entropy and these penalties."""
    state = jaxnet.start(params)
    gradient = with_penalty(jaxnet.backprop, **rates)
    cost = jaxnet.cross_entropy
    return jaxnet.step(state, x, y, eta=ETA, cost=cost, gradient=gradient).params


@pytest.mark.parametrize(
    "cost",
    [jaxnet.cross_entropy, jaxnet.quadratic, jaxnet.log_likelihood],
    ids=["cross_entropy", "quadratic", "log_likelihood"],
)
def test_web_85_to_87_a_cost_with_l2(x64, cost):
    """C_0 + lambda/2n sum w^2, over weights and not biases."""
    params, x, y = problem(SIZES, m=M, output=cost.output)
    data = jaxnet.Dataset(x, y)
    unregularised = float(loss(params, x, y, cost))
    expected = unregularised + LAMBDA / (2 * N) * squares(params)
    actual = jaxnet.total_cost(params, data, cost, l2=LAMBDA, n=N)
    assert float(actual) == pytest.approx(expected, rel=1e-13)
    alone = regularization.penalty(params, 0.0, LAMBDA, N)
    assert float(alone) == pytest.approx(LAMBDA / 80 * squares(params), rel=1e-13)
    assert expected > 1.1 * unregularised


def test_web_88_l2_adds_to_the_derivative_by_a_weight(x64):
    params, x, y = problem(SIZES, m=M)
    total = regularised(lambda w: w**2 / 2)
    slope = compiled(jax.grad(total))(params, x, y, jaxnet.cross_entropy)
    plain = backprop(params, x, y, jaxnet.cross_entropy)
    gradient = with_penalty(backprop, l2_rate=LAMBDA / N)
    with_term = gradient(params, x, y, cost=jaxnet.cross_entropy)
    assert_close(with_term, slope, rtol=1e-12)
    for one, other, (w, _) in zip(slope, plain, params, strict=True):
        expected = np.asarray(other.w) + LAMBDA / N * np.asarray(w)
        np.testing.assert_allclose(one.w, expected, rtol=1e-12)


def test_web_89_and_90_l2_leaves_biases_to_learn_as_before(x64):
    params, x, y = problem(SIZES, m=M)
    total = regularised(lambda w: w**2 / 2)
    slope = compiled(jax.grad(total))(params, x, y, jaxnet.cross_entropy)
    plain = autodiff(params, x, y, jaxnet.cross_entropy)
    assert_close([b for _, b in slope], [b for _, b in plain], rtol=1e-13)
    after = after_step(params, x, y, l2_rate=LAMBDA / N)
    without = after_step(params, x, y)
    for one, other, (_, b), by in zip(after, without, params, plain, strict=True):
        np.testing.assert_array_equal(one.b, other.b)
        expected = np.asarray(b) - ETA * np.asarray(by.b)
        np.testing.assert_allclose(one.b, expected, rtol=1e-12)


def test_web_91_and_92_l2_is_weight_decay(x64):
    """w - eta dC_0/dw - eta lambda/n w, or (1 - eta lambda/n) w - eta dC_0/dw."""
    params, x, y = problem(SIZES, m=M)
    after = after_step(params, x, y, l2_rate=LAMBDA / N)
    slope = autodiff(params, x, y, jaxnet.cross_entropy)
    for one, (w, _), by in zip(after, params, slope, strict=True):
        w, by_w = np.asarray(w), np.asarray(by.w)
        apart = w - ETA * by_w - ETA * LAMBDA / N * w
        decayed = (1 - ETA * LAMBDA / N) * w - ETA * by_w
        np.testing.assert_allclose(one.w, apart, rtol=1e-12)
        np.testing.assert_allclose(one.w, decayed, rtol=1e-12)


def test_web_93_and_94_l2_in_stochastic_gradient_descent(x64):
    """The decay is by lambda/n, n all examples; the slope is over the m of a batch."""
    params, x, y = problem(SIZES, m=N)
    key = jax.random.key(3)
    state = jaxnet.epoch(
        key,
        jaxnet.start(params),
        jaxnet.Dataset(x, y),
        batch_size=M,
        eta=ETA,
        l2=LAMBDA,
        cost=jaxnet.cross_entropy,
    )
    order = np.asarray(shuffle(stream(key, "order"), N))
    expected = params
    for batch in order.reshape(-1, M):
        sums = [[np.zeros(w.shape), np.zeros(b.shape)] for w, b in expected]
        for i in batch:
            deltas, entering = errors(expected, x[i], y[i], jaxnet.cross_entropy)
            for l in range(len(sums)):
                sums[l][0] += np.outer(deltas[l], entering[l])
                sums[l][1] += np.asarray(deltas[l])
        expected = [
            Layer(
                (1 - ETA * LAMBDA / N) * w - ETA / M * by_w,
                b - ETA / M * by_b,
            )
            for (w, b), (by_w, by_b) in zip(expected, sums, strict=True)
        ]
    assert_close(state.params, expected, rtol=1e-11)


def test_web_95_a_cost_with_l1(x64):
    """C_0 + lambda/n sum |w|."""
    params, x, y = problem(SIZES, m=M)
    absolute = sum(float(np.sum(np.abs(np.asarray(w)))) for w, _ in params)
    expected = float(loss(params, x, y, jaxnet.cross_entropy)) + LAMBDA / N * absolute
    data = jaxnet.Dataset(x, y)
    actual = jaxnet.total_cost(params, data, jaxnet.cross_entropy, l1=LAMBDA, n=N)
    assert float(actual) == pytest.approx(expected, rel=1e-13)
    alone = regularization.penalty(params, LAMBDA, 0.0, N)
    assert float(alone) == pytest.approx(LAMBDA / N * absolute, rel=1e-13)


@pytest.fixture
def with_a_zero(x64):
    """A network with a weight of 0, whose sgn is 0."""
    params, x, y = problem(SIZES, m=M)
    params[0] = replace(params[0], w=params[0].w.at[1, 2].set(0.0))
    return params, x, y


def test_web_96_l1_adds_the_sign_of_the_weight_to_its_derivative(x64, with_a_zero):
    """Where w is 0, |w| has no slope, and the book takes 0 for it."""
    params, x, y = problem(SIZES, m=M)
    total = regularised(jnp.abs)
    slope = compiled(jax.grad(total))(params, x, y, jaxnet.cross_entropy)
    gradient = with_penalty(backprop, l1_rate=LAMBDA / N)
    with_term = gradient(params, x, y, cost=jaxnet.cross_entropy)
    assert_close(with_term, slope, rtol=1e-12)
    params, *_ = with_a_zero
    plain = backprop(params, x, y, jaxnet.cross_entropy)
    with_term = gradient(params, x, y, cost=jaxnet.cross_entropy)
    for one, other, (w, _) in zip(with_term, plain, params, strict=True):
        expected = np.asarray(other.w) + LAMBDA / N * np.sign(np.asarray(w))
        np.testing.assert_allclose(one.w, expected, rtol=1e-12)
        np.testing.assert_array_equal(one.b, other.b)
    assert with_term[0].w[1, 2] == plain[0].w[1, 2]


def test_web_97_l1_shrinks_by_a_constant_and_l2_in_proportion(with_a_zero):
    params, x, y = with_a_zero
    after = after_step(params, x, y, l1_rate=LAMBDA / N)
    without = after_step(params, x, y)
    by_l2 = after_step(params, x, y, l2_rate=LAMBDA / N)
    slope = autodiff(params, x, y, jaxnet.cross_entropy)
    layers = zip(after, without, by_l2, params, slope, strict=True)
    for one, other, decayed, (w, b), by in layers:
        w, by_w = np.asarray(w), np.asarray(by.w)
        expected = w - ETA * LAMBDA / N * np.sign(w) - ETA * by_w
        np.testing.assert_allclose(one.w, expected, rtol=1e-12)
        moved = np.abs(np.asarray(one.w - other.w)[w != 0])
        np.testing.assert_allclose(moved, ETA * LAMBDA / N, rtol=1e-12)
        moved = np.asarray(other.w - decayed.w)
        np.testing.assert_allclose(moved, ETA * LAMBDA / N * w, atol=1e-15)
        expected = np.asarray(b) - ETA * np.asarray(by.b)
        np.testing.assert_allclose(one.b, expected, rtol=1e-12)
    assert after[0].w[1, 2] == without[0].w[1, 2]


# Web edition: first weights, and other neurons

SATURATED = logit(0.99)  # where |z| is more, a is within 0.01 of 0 or 1


@pytest.mark.parametrize(
    ("layer", "variance"),
    [(jaxnet.large_layer, 501), (jaxnet.scaled_layer, 3 / 2)],
    ids=["large_layer", "scaled_layer"],
)
def test_the_variance_of_weighted_inputs_and_what_saturates(layer, variance):
    """1,000 inputs, half of them 1 and half 0: 500 weights and a bias add up."""
    neurons = 4000
    first = layer(jax.random.key(0), 1000, neurons)
    x = jnp.arange(1000) % 2 * jnp.ones(1000, int)
    [z], _ = jaxnet.forward([first], x.astype(float))
    z = np.asarray(z, np.float64)
    sd = math.sqrt(variance)
    assert sd == pytest.approx(22.4 if layer is jaxnet.large_layer else 1.22, abs=0.03)
    assert abs(z.mean()) < 4 * sd / math.sqrt(neurons)
    assert z.std() == pytest.approx(sd, rel=4 / math.sqrt(2 * neurons))
    chance = math.erfc(SATURATED / sd / math.sqrt(2))
    margin = 4 * math.sqrt(chance * (1 - chance) / neurons) + 1 / neurons
    saturated = np.mean(np.abs(z) > SATURATED)
    assert saturated == pytest.approx(chance, abs=margin)
    assert saturated > 0.8 if layer is jaxnet.large_layer else saturated < 0.002


def test_web_109_and_110_a_tanh_neuron(x64):
    params, x, _ = problem([3, 1], m=4, output=jaxnet.tanh)
    w, b = np.asarray(params[0].w)[0], float(params[0].b[0])
    for one in x:
        z = float(w @ np.asarray(one)) + b
        expected = (math.exp(z) - math.exp(-z)) / (math.exp(z) + math.exp(-z))
        [actual] = predict(params, one)
        assert float(actual) == pytest.approx(expected, rel=1e-13)


def test_web_111_the_sigmoid_is_a_rescaled_tanh(x64):
    z = jnp.linspace(-15, 15, 61)
    expected = [(1 + math.tanh(float(one) / 2)) / 2 for one in z]
    np.testing.assert_allclose(jaxnet.sigmoid.fn(z), expected, rtol=1e-9)
    by_tanh = (1 + jaxnet.tanh.fn(z / 2)) / 2
    np.testing.assert_allclose(by_tanh, 1 / (1 + np.exp(-np.asarray(z))), rtol=1e-9)


def test_web_111_so_a_tanh_network_does_what_a_sigmoid_network_does(x64):
    """With half the weights into its neurons, and half those out of them."""
    [first, last], x, _ = problem([3, 4, 2], m=5)
    halved = Layer(first.w / 2, first.b / 2, jaxnet.tanh)
    after = Layer(last.w / 2, last.b + jnp.sum(last.w, axis=1) / 2)
    for one in x:
        np.testing.assert_allclose(
            predict([halved, after], one),
            predict([first, last], one),
            rtol=1e-12,
        )


def test_web_112_a_rectified_linear_neuron(x64):
    """max(0, w x + b), and its slope does not fall where z is large."""
    params, x, _ = problem([3, 1], m=8, output=jaxnet.relu)
    w, b = np.asarray(params[0].w)[0], float(params[0].b[0])
    zs = [float(w @ np.asarray(one)) + b for one in x]
    assert min(zs) < 0 < max(zs)
    for one, z in zip(x, zs, strict=True):
        [actual] = predict(params, one)
        assert float(actual) == pytest.approx(max(0.0, z), rel=1e-13)
    slopes = jaxnet.relu.prime(jnp.array([-100.0, -0.1, 0.1, 100.0]))
    np.testing.assert_array_equal(slopes, [0, 0, 1, 1])


# Web 103 to 108: other ways down


def quartic(v):
    return v[0] ** 4 + v[0] * v[1] + (1 + v[1]) ** 2


def test_web_103_to_106_the_hessian_technique(x64):
    """By eta H^-1 grad C; with eta 1 a step ends at the minimum of a quadratic."""
    matrix, centre = np.array([[3.0, 1.0], [1.0, 2.0]]), np.array([0.4, -1.2])

    def bowl(v):
        return (v - centre) @ jnp.asarray(matrix) @ (v - centre)

    v = np.array([5.0, -7.0])
    path = newton(bowl, jnp.array(v), steps=1)
    np.testing.assert_allclose(path, [v, centre], rtol=1e-12)
    slope = np.array([4 * v[0] ** 3 + v[1], v[0] + 2 * (1 + v[1])])
    hessian = np.array([[12 * v[0] ** 2, 1.0], [1.0, 2.0]])
    expected = v - 0.5 * np.linalg.inv(hessian) @ slope
    path = newton(quartic, jnp.array(v), steps=1, eta=0.5)
    np.testing.assert_allclose(path[1], expected, rtol=1e-12)


@pytest.mark.parametrize("mu", [0.0, 0.5, 1.0])
def test_web_107_and_108_momentum(x64, mu):
    """v' = mu v - eta grad C and w' = w + v'; mu = 0 is gradient descent."""
    w, v = np.array([0.9, -0.4]), np.zeros(2)
    path = descend(quartic, jnp.array(w), eta=0.05, steps=6, mu=mu)
    for k in range(6):
        np.testing.assert_allclose(path[k], w, rtol=1e-12)
        slope = np.array([4 * w[0] ** 3 + w[1], w[0] + 2 * (1 + w[1])])
        v = mu * v - 0.05 * slope
        w = w + v
