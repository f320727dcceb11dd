"""The equation ledger: each numbered equation and computable exercise, as a test.

Numbers are those of the book's PDF. The table in tests/README.md names the tests in
this file, and `test_readme.py` keeps the two in step.
"""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnet
from jaxnet import descent
from jaxnet.perceptrons import (
    AND,
    NAND,
    OR,
    Circuit,
    all_inputs,
    compile_circuit,
    gate,
    half_adder,
    perceptron,
    step,
    threshold_rule,
)
from scripts.ch1_baselines import nearest
from scripts.ch1_gradient_descent import bowl
from scripts.ch1_mini_batches import estimate_errors
from scripts.ch1_sigmoid_neurons import linear_response, made_of, outputs, scale
from scripts.ch1_ten_or_four_outputs import bitwise_layer, digit_bits
from tests.equations import (
    array,
    autodiff,
    backprop,
    forward,
    layer_of,
    loss,
    network,
    predict,
    sigma,
    stepped,
)
from tests.helpers import assert_close, numpy_gradient, problem

SIZES = [3, 4, 2]
FESTIVAL = np.tile([6.0, 2.0, 2.0], (8, 1))  # for each of the eight inputs

by_threshold, by_bias = (
    jax.jit(jax.vmap(function)) for function in (threshold_rule, perceptron)
)
descend, newton = (
    jax.jit(function, static_argnames=("cost", "steps"))
    for function in (descent.descend, descent.newton)
)


# Chapter 1.1: perceptrons


def test_1_1_threshold_rule():
    """Weather decides at threshold 5; at 3 so do company and a train together.

    At 2, one of these gives 0, since the sum is the threshold and not more.
    """
    for threshold, goes in (
        (5.0, [0, 0, 0, 0, 1, 1, 1, 1]),
        (3.0, [0, 0, 0, 1, 1, 1, 1, 1]),
        (2.0, [0, 0, 0, 1, 1, 1, 1, 1]),
    ):
        answers = by_threshold(FESTIVAL, all_inputs(3), np.full(8, threshold))
        np.testing.assert_array_equal(answers, goes)


def test_1_2_bias_is_minus_the_threshold():
    """Both forms are one function, at equality too; without inputs it is constant.

    Footnote 2 of 1.2: the step function drawn there is 1 at 0, a perceptron is 0.
    """
    rng = np.random.default_rng(0)
    w, x = rng.integers(-5, 6, (2, 1000, 3)).astype(float)
    for excess in (-7.0, -1.0, 0.0, 1.0, 7.0):
        threshold = (w * x).sum(axis=1) - excess
        expected = np.full(1000, excess > 0)
        np.testing.assert_array_equal(by_threshold(w, x, threshold), expected)
        np.testing.assert_array_equal(by_bias(w, x, -threshold), expected)
    np.testing.assert_array_equal(step.fn(jnp.array([-1.0, 0, 1])), [0, 0, 1])
    constant = by_bias(np.zeros((3, 0)), np.zeros((3, 0)), np.array([1.0, -1, 0]))
    np.testing.assert_array_equal(constant, [1, 0, 0])


def test_nand_and_or_gates():
    pairs = np.asarray(all_inputs(2))
    np.testing.assert_array_equal(pairs @ NAND[:2] + NAND[2], [3, 1, 1, -1])
    for weights, expected in (
        (NAND, [1, 1, 1, 0]),
        (AND, [0, 0, 0, 1]),
        (OR, [0, 1, 1, 1]),
    ):
        answers = outputs(gate(*weights), pairs)
        np.testing.assert_array_equal(answers, np.transpose([expected]))


def test_half_adder_from_nand_gates():
    """Five NANDs add two bits; the carry's double line is one weight of -4."""
    sum_and_carry = outputs(compile_circuit(half_adder()), all_inputs(2))
    np.testing.assert_array_equal(sum_and_carry, [[0, 0], [1, 0], [1, 0], [0, 1]])
    single = compile_circuit(Circuit(1, [(0, 0)], [1]))
    assert single[0].w.tolist() == [[-4]] and single[0].b.tolist() == [3]
    merged = outputs(single, np.array([[0.0], [1.0]]))
    double = outputs(gate(-2.0, -2.0, 3.0), all_inputs(2))
    np.testing.assert_array_equal(merged, double[np.array([0, 3])])


# Chapter 1.2: sigmoid neurons


def test_1_3_sigmoid(x64):
    z = array(np.linspace(-30, 30, 61))
    actual = jaxnet.sigmoid.fn(z)
    np.testing.assert_allclose(actual, sigma(z), rtol=1e-14)
    assert actual[30] == 0.5


def test_1_4_output_of_a_sigmoid_neuron(x64):
    """It takes any inputs between 0 and 1, such as 0.638."""
    w, x, b = np.array([0.7, -1.2, 2.0]), np.array([0.638, 0.0, 1.0]), -0.3
    expected = 1 / (1 + math.exp(-sum(w * x) - b))
    output = predict([layer_of([w], [b])], x)
    np.testing.assert_allclose(output, [expected], rtol=1e-14)


def test_1_5_small_changes_add_up(x64):
    """What (1.5) leaves out shrinks as the square of the change."""
    steps, wrong = linear_response(jax.random.key(0), [1, 1])
    assert steps[2] / steps[3] == pytest.approx(10)
    assert wrong[2] / wrong[3] == pytest.approx(100, rel=0.1)


def test_exercise_sigmoid_neurons_simulating_perceptrons_1(x64):
    """Multiplying weights and biases by c > 0 changes no perceptron's output."""
    x = all_inputs(4)
    for seed, c in enumerate(np.geomspace(1e-3, 1e3, 10)):
        params, *_ = network([4, 3, 2], seed=seed, hidden=step, output=step)
        np.testing.assert_array_equal(outputs(scale(params, c), x), outputs(params, x))


def test_exercise_sigmoid_neurons_simulating_perceptrons_2(x64):
    """They tend to perceptrons as c grows, unless w.x + b = 0 somewhere."""
    params, x = jax.tree.map(np.asarray, (compile_circuit(half_adder()), all_inputs(2)))
    expected = np.asarray(outputs(params, x))
    distances = [
        np.abs(outputs(scale(made_of(jaxnet.sigmoid, params), c), x) - expected).max()
        for c in (1.0, 4.0, 16.0, 64.0)
    ]
    assert distances == sorted(distances, reverse=True)
    assert distances[-1] < 1e-12
    at_zero, at = jax.tree.map(np.asarray, gate(1.0, -1.0, 0.0)), np.ones((1, 2))
    for c in (1.0, 1e3, 1e6):
        assert outputs(scale(made_of(jaxnet.sigmoid, at_zero), c), at) == 0.5
    assert outputs(at_zero, at) == 0


# Chapter 1.4: a network to classify digits


def test_exercise_bitwise_output_layer():
    """Right at the worst when the right old output is >= 0.99 and the others < 0.01."""
    layer, worst = jax.tree.map(np.asarray, bitwise_layer()), 0.0
    others = 0.01 * np.array(list(np.ndindex(*[2] * 9)))
    for digit, bits in enumerate(np.asarray(digit_bits())):
        old = np.insert(others, digit, 0.99, axis=1)
        worst = max(worst, np.abs(sigma(old @ layer.w.T + layer.b) - bits).max())
    assert worst < 2e-4
    np.testing.assert_allclose(predict([layer], np.eye(10)[6]), [0, 1, 1, 0], atol=1e-4)


def test_targets_are_one_hot(small_mnist):
    """Section 1.5: a 6 has the target (0, 0, 0, 0, 0, 0, 1, 0, 0, 0)."""
    targets = np.asarray(jaxnet.load_mnist(small_mnist, as_bytes=True).train.y)
    six = targets[np.argmax(targets.argmax(axis=1) == 6)]
    np.testing.assert_array_equal(six, [0, 0, 0, 0, 0, 0, 1, 0, 0, 0])


# Chapter 1.5: gradient descent


def test_1_6_quadratic_cost(x64):
    """C = 1/(2n) sum_x ||y(x) - a||^2, which is 0 when every output is right."""
    params, x, y = network(SIZES)
    a = x
    for w, b in params:
        a = sigma(a @ w.T + b)
    total = sum(sum((y_x - a_x) ** 2) for y_x, a_x in zip(y, a, strict=True))
    actual = loss(params, x, y, jaxnet.quadratic)
    assert float(actual) == pytest.approx(total / 12, rel=1e-12)
    outputs = np.stack([predict(params, one) for one in x])
    assert loss(params, x, outputs, jaxnet.quadratic) == 0


MATRIX = np.random.default_rng(4).normal(size=(6, 6))
SIX = np.random.default_rng(5).normal(size=6)


@jax.jit
def height(v):
    return jnp.sin(v[0]) * v[1] + v[1] ** 2


@jax.jit
def waves(v):
    return jnp.sum(jnp.cos(MATRIX @ v)) + v @ v


# Functions of two and of m variables, a point, and their slope there by hand.
FUNCTIONS = {
    "two": (
        height,
        np.array([0.3, -0.7]),
        np.array([math.cos(0.3) * -0.7, math.sin(0.3) - 1.4]),
    ),
    "many": (waves, SIX, -MATRIX.T @ np.sin(MATRIX @ SIX) + 2 * SIX),
}


def downhill(cost, v, eta=1.0):
    """The first step of gradient descent, -eta grad C."""
    path = descend(cost, v, eta=eta, steps=1)
    return np.asarray(path[1] - path[0])


@pytest.mark.parametrize(("cost", "v", "slope"), FUNCTIONS.values(), ids=FUNCTIONS)
def test_1_7_to_1_10_and_1_12_to_1_14_the_gradient_and_what_a_step_changes(
    x64, cost, v, slope
):
    """It is the partial derivatives: the change is the sum of those by each variable.

    It is as exact as the square of the step. Against the gradient it is
    -eta ||grad C||^2 <= 0, to first order.
    """
    np.testing.assert_allclose(-downhill(cost, v), slope, rtol=1e-14)
    wrong = []
    for h in (1e-3, 1e-4):
        dv = h * np.sin(1 + np.arange(len(v)))
        by_each = sum(-downhill(cost, v)[j] * dv[j] for j in range(len(v)))
        wrong.append(abs(float(cost(v + dv)) - float(cost(v)) - by_each))
    assert wrong[0] / wrong[1] == pytest.approx(100, rel=0.1)
    bend = 10 if len(v) == 2 else 100  # a bound on its second order
    for eta in (1e-4, 1e-5):
        change = float(cost(v + downhill(cost, v, eta))) - float(cost(v))
        assert change < 0
        assert change == pytest.approx(-eta * slope @ slope, rel=bend * eta)


def test_1_11_update_rule_in_two_variables(x64):
    """On C = v1^2 + v2^2 a step multiplies v by 1 - 2 eta: down for eta < 1 only."""
    start = np.array([-0.9, 0.6])
    for eta in (0.1, 0.5, 1.0, 1.1):
        path = np.asarray(descend(bowl, start, eta=eta, steps=5))
        expected = [start * (1 - 2 * eta) ** k for k in range(6)]
        np.testing.assert_allclose(path, expected, rtol=1e-14, atol=1e-15)
        costs = [bowl(v) for v in path]
        assert (costs[1] < costs[0]) == (eta < 1)


def test_1_15_update_rule_in_m_variables(x64):
    """Repeated with a small eta, the cost only falls."""
    cost, v, slope = FUNCTIONS["many"]
    path = np.asarray(descend(cost, v, eta=0.01, steps=50))
    np.testing.assert_allclose(path[1], v - 0.01 * slope, rtol=1e-12)
    assert (np.diff([cost(v) for v in path]) < 0).all()


def test_exercise_no_step_of_its_length_beats_the_gradient_s(x64):
    """Cauchy-Schwarz: of all ||dv|| = eps, dv = -eps grad C / ||grad C|| is best."""
    rng = np.random.default_rng(0)
    slope = rng.normal(size=5)
    eps, length = 0.1, float(np.linalg.norm(slope))
    dv = downhill(partial(jnp.vdot, slope), np.zeros(5), eta=eps / length)
    assert np.linalg.norm(dv) == pytest.approx(eps, rel=1e-14)
    np.testing.assert_allclose(slope @ dv, -eps * length, rtol=1e-14)
    others = rng.normal(size=(10_000, 5))
    others = eps * others / np.linalg.norm(others, axis=1, keepdims=True)
    assert (others @ slope).min() >= slope @ dv


def test_exercise_one_variable_slides_down_its_slope(x64):
    """In one dimension v moves right where C falls to the right, and left elsewhere."""
    for start in (-2.0, 3.0):
        path = np.asarray(descend(bowl, jnp.array(start), eta=0.1, steps=40))
        assert (np.diff(np.abs(path)) < 0).all()
        assert np.sign(path[1] - path[0]) == -np.sign(start)


def test_second_derivatives_are_symmetric_and_many(x64):
    """Section 1.5: n variables have n^2 second partials, n(n + 1)/2 distinct."""
    cost, v, slope = FUNCTIONS["many"]
    hessian = np.asarray(jax.jit(jax.hessian(cost))(v))
    np.testing.assert_allclose(hessian, hessian.T, rtol=1e-12)
    path = np.asarray(newton(cost, v, steps=1))
    np.testing.assert_allclose(hessian @ (path[1] - path[0]), -slope, rtol=1e-10)
    assert len(np.unique(hessian.round(10))) == 6 * 7 // 2


def test_1_16_1_17_1_20_and_1_21_weights_and_biases_step_against_their_slopes(x64):
    """By -eta dC/dw, and by -eta/m times the sum over a mini-batch of dC_x/dw."""
    params, x, y = network(SIZES)
    after, slope = stepped(params, x, y, 0.3), autodiff(params, x, y)
    singles = [
        [layer_of(*each) for each in numpy_gradient(params, *one, "quadratic")]
        for one in zip(x[:, None], y[:, None], strict=True)
    ]
    expected = jax.tree.map(lambda p, dp: p - 0.3 * np.asarray(dp), params, slope)
    assert_close(after, expected, rtol=1e-12)
    expected = jax.tree.map(lambda p, *dp: p - 0.3 / 6 * sum(dp), params, *singles)
    assert_close(after, expected, rtol=1e-12)


def test_1_18_and_exercise_smaller_mini_batches_are_noisier_and_step_more(x64):
    """Their error is that of one example over the root of m.

    For online learning, mini-batches of one, are six times the updates.
    """
    params, x, y = problem([3, 2], m=500)
    data, key = jaxnet.Dataset(x, y), jax.random.key(3)
    wrong = estimate_errors(params, data, (1, 20), 300, key)
    assert wrong[1] / wrong[20] == pytest.approx(20**0.5, rel=0.15)
    params, x, y = network(SIZES, m=60)
    costs = []
    for m in (1, 6):
        learned = params
        for i in range(0, 60, m):
            learned = stepped(learned, x[i : i + m], y[i : i + m], 0.05)
        costs.append(loss(learned, x, y))
    assert costs[0] < costs[1] < loss(params, x, y)


def test_1_19_mini_batches_average_to_the_gradient(x64):
    """Over all the mini-batches of an epoch the estimate is exact."""
    params, x, y = network(SIZES, m=24)
    estimates = [backprop(params, x[i : i + 6], y[i : i + 6]) for i in (0, 6, 12, 18)]
    mean = jax.tree.map(lambda *leaves: sum(map(np.asarray, leaves)) / 4, *estimates)
    expected = [layer_of(*each) for each in numpy_gradient(params, x, y, "quadratic")]
    assert_close(mean, expected, rtol=1e-12)


def test_scaling_the_cost_is_scaling_eta(x64):
    """Section 1.5: leaving out the 1/m of (1.6) is the same as a larger eta."""

    def summed(params, x, y, cost):
        return jax.tree.map(lambda g: len(x) * g, backprop(params, x, y, cost))

    params, x, y = network(SIZES)
    one = stepped(params, x, y, 0.1, gradient=summed)
    assert_close(one, stepped(params, x, y, 0.6), rtol=1e-12)


# Chapter 1.6: the program


def test_1_22_a_layer_in_matrix_form(x64):
    """Exercise: a' = sigma(w a + b) is (1.4) in every component."""
    params, x, _ = network(SIZES)
    _, activations = forward(params, x[0])
    for (w, b), below, above in zip(params, activations, activations[1:], strict=False):
        components = [
            1 / (1 + math.exp(-sum(w[j] * np.asarray(below)) - b[j]))
            for j in range(len(b))
        ]
        np.testing.assert_allclose(above, components, rtol=1e-13)
    np.testing.assert_allclose(predict(params, x[0]), activations[-1], rtol=1e-13)


def test_exercise_network_of_two_layers(mnist):
    """784-10, with no hidden layer, reads 4 in 5 images after an epoch."""

    @jax.jit
    def run(key, data):
        params = jaxnet.init(key, [784, 10], init_layer=jaxnet.scaled_layer)
        options = {"epochs": 1, "batch_size": 10, "eta": 0.5}
        trained, _ = jaxnet.train(key, params, data.train, **options)
        return trained, jaxnet.accuracy(trained, data.test)

    trained, accuracy = run(jax.random.key(0), mnist)
    assert [layer.w.shape for layer in trained] == [(10, 784)] and accuracy > 0.8


def test_average_darkness_gets_2225(mnist):
    """Exactly, as in the book."""
    ink = np.asarray(mnist.train.x, float).sum(axis=1, keepdims=True)
    labels = np.asarray(mnist.train.y).argmax(axis=1)
    means = np.stack([ink[labels == digit].mean(axis=0) for digit in range(10)])
    test_ink = np.asarray(mnist.test.x, float).sum(axis=1, keepdims=True)
    answers = nearest(test_ink, means)
    assert (answers == np.asarray(mnist.test.y).argmax(axis=1)).sum() == 2225
