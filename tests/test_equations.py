"""The equation ledger: each numbered equation and computable exercise, as a test.

Numbers are those of the book's PDF. README.md's table names the tests in this file, and
`test_readme.py` keeps the two in step.
"""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import jaxnet
from jaxnet import Layer, descend
from jaxnet.descent import newton
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
from tests.helpers import assert_close, compiled, problem

autodiff, backprop, loss, predict = map(
    compiled, (jaxnet.autodiff, jaxnet.backprop, jaxnet.loss, jaxnet.predict)
)

FESTIVAL = jnp.array([6.0, 2.0, 2.0])
small_whole_numbers = st.integers(-5, 5)


def sigma(z):
    """The book's formula, as the oracle."""
    return 1 / (1 + np.exp(-np.asarray(z)))


# Chapter 1.1: perceptrons


@pytest.mark.parametrize(
    ("threshold", "goes"),
    [(5, [0, 0, 0, 0, 1, 1, 1, 1]), (3, [0, 0, 0, 1, 1, 1, 1, 1])],
)
def test_1_1_threshold_rule(threshold, goes):
    """Weather decides at threshold 5; at 3 so do company and a train together."""
    answers = [threshold_rule(FESTIVAL, x, threshold) for x in all_inputs(3)]
    assert answers == goes
    x = jnp.array([0.0, 1, 0])
    assert threshold_rule(FESTIVAL, x, 2) == 0, "0 when the sum is the threshold"


@settings(max_examples=40)
@given(
    w=st.lists(small_whole_numbers, min_size=3, max_size=3),
    x=st.lists(small_whole_numbers, min_size=3, max_size=3),
    threshold=st.integers(-20, 20),
)
def test_1_2_bias_is_minus_the_threshold(w, x, threshold):
    """Both forms are one function, at equality too."""
    w_array, x_array = jnp.array(w, float), jnp.array(x, float)
    expected = float(np.dot(w, x) > threshold)
    assert threshold_rule(w_array, x_array, threshold) == expected
    assert perceptron(w_array, x_array, -threshold) == expected


def test_1_2_step_is_zero_at_zero():
    """Footnote 2 of 1.2: the step function drawn there is 1 at 0, a perceptron 0."""
    np.testing.assert_array_equal(step.fn(jnp.array([-1.0, 0, 1])), [0, 0, 1])


def test_nand_and_or_gates():
    pairs = all_inputs(2)
    np.testing.assert_array_equal(pairs @ jnp.array(NAND[:2]) + NAND[2], [3, 1, 1, -1])
    for weights, expected in (
        (NAND, [1, 1, 1, 0]),
        (AND, [0, 0, 0, 1]),
        (OR, [0, 1, 1, 1]),
    ):
        answers = outputs(gate(*weights), pairs)[:, 0]
        np.testing.assert_array_equal(answers, expected)


def test_half_adder_from_nand_gates():
    """Five NANDs add two bits; the carry's double line is one weight of -4."""
    sum_and_carry = outputs(compile_circuit(half_adder()), all_inputs(2))
    np.testing.assert_array_equal(sum_and_carry, [[0, 0], [1, 0], [1, 0], [0, 1]])
    double = gate(-2.0, -2.0, 3.0)
    single = compile_circuit(Circuit(1, [(0, 0)], [1]))
    assert single[0].w.tolist() == [[-4]] and single[0].b.tolist() == [3]
    for bit in (0.0, 1.0):
        merged = outputs(single, jnp.array([[bit]]))
        assert merged == outputs(double, jnp.array([[bit, bit]]))


def test_a_perceptron_without_inputs_is_constant():
    for b, output in ((1.0, 1), (-1.0, 0), (0.0, 0)):
        assert perceptron(jnp.zeros(0), jnp.zeros(0), b) == output


# Chapter 1.2: sigmoid neurons


def test_1_3_sigmoid(x64):
    z = jnp.linspace(-30, 30, 61)
    np.testing.assert_allclose(jaxnet.sigmoid.fn(z), sigma(z), rtol=1e-14)
    assert jaxnet.sigmoid.fn(jnp.array(0.0)) == 0.5


def test_1_4_output_of_a_sigmoid_neuron(x64):
    """It takes any inputs between 0 and 1, such as 0.638."""
    w, x, b = np.array([0.7, -1.2, 2.0]), np.array([0.638, 0.0, 1.0]), -0.3
    expected = 1 / (1 + math.exp(-sum(w * x) - b))
    neuron = [Layer(jnp.array([w]), jnp.array([b]))]
    output = predict(neuron, jnp.array(x))
    np.testing.assert_allclose(output, [expected], rtol=1e-14)


def test_1_5_small_changes_add_up(x64):
    """What (1.5) leaves out shrinks as the square of the change."""
    params, x, _ = problem([3, 4, 1])
    changes, *_ = problem([3, 4, 1], seed=1)

    def output(params):
        return predict(params, x[0])[0]

    slope = jax.jit(jax.grad(output))(params)
    products = jax.tree.map(np.vdot, slope, changes)
    predicted = sum(jax.tree.leaves(products))
    wrong = []
    for h in (1e-2, 1e-3):
        moved = jax.tree.map(lambda p, d, h=h: p + h * d, params, changes)
        wrong.append(abs(output(moved) - output(params) - h * predicted))
    assert wrong[0] / wrong[1] == pytest.approx(100, rel=0.1)
    steps, errors = linear_response(jax.random.key(0), [3, 4, 1])
    assert steps[2] / steps[3] == pytest.approx(10)
    assert errors[2] / errors[3] == pytest.approx(100, rel=0.1)


@settings(max_examples=40)
@given(seed=st.integers(0, 2**31 - 1), c=st.floats(1e-3, 1e3))
def test_exercise_sigmoid_neurons_simulating_perceptrons_1(seed, c):
    """Multiplying weights and biases by c > 0 changes no perceptron's output."""
    with jax.enable_x64(True):
        params, *_ = problem([4, 3, 2], seed=seed, hidden=step, output=step)
        x = all_inputs(4)
        np.testing.assert_array_equal(outputs(scale(params, c), x), outputs(params, x))


def test_exercise_sigmoid_neurons_simulating_perceptrons_2(x64):
    """They tend to perceptrons as c grows, unless w.x + b = 0 somewhere."""
    params, x = compile_circuit(half_adder()), all_inputs(2)
    perceptrons, sigmoid_neurons = outputs(params, x), made_of(jaxnet.sigmoid, params)
    distances = [
        float(jnp.max(jnp.abs(outputs(scale(sigmoid_neurons, c), x) - perceptrons)))
        for c in (1.0, 4.0, 16.0, 64.0)
    ]
    assert distances == sorted(distances, reverse=True)
    assert distances[-1] < 1e-12
    at_zero = gate(1.0, -1.0, 0.0)
    for c in (1.0, 1e3, 1e6):
        smooth = scale(made_of(jaxnet.sigmoid, at_zero), c)
        assert predict(smooth, jnp.ones(2)) == 0.5
    assert predict(at_zero, jnp.ones(2)) == 0


# Chapter 1.4: a network to classify digits


def test_exercise_bitwise_output_layer():
    """Right at the worst when the right old output is >= 0.99 and the others < 0.01."""
    (w, b), worst = jax.tree.map(np.asarray, bitwise_layer()), 0.0
    others = 0.01 * np.array(list(np.ndindex(*[2] * 9)))
    for digit, bits in enumerate(np.asarray(digit_bits())):
        old = np.insert(others, digit, 0.99, axis=1)
        worst = max(worst, np.abs(sigma(old @ w.T + b) - bits).max())
    assert worst < 2e-4
    output = predict([bitwise_layer()], jnp.eye(10)[6])
    np.testing.assert_allclose(output, [0, 1, 1, 0], atol=1e-4)


def test_targets_are_one_hot(mnist):
    """Section 1.5: a 6 has the target (0, 0, 0, 0, 0, 0, 1, 0, 0, 0)."""
    six = mnist.train.y[jnp.argmax(jnp.argmax(mnist.train.y[:1000], axis=1) == 6)]
    np.testing.assert_array_equal(six, [0, 0, 0, 0, 0, 0, 1, 0, 0, 0])


# Chapter 1.5: gradient descent


def test_1_6_quadratic_cost(x64):
    """C = 1/(2n) sum_x ||y(x) - a||^2, which is 0 when every output is right."""
    params, x, y = problem([3, 4, 2], m=5)
    total = 0.0
    for one_x, one_y in zip(x, y, strict=True):
        a = np.asarray(one_x)
        for w, b in params:
            a = sigma(np.asarray(w) @ a + np.asarray(b))
        total += float(sum((one_y - a) ** 2))
    actual = loss(params, x, y, jaxnet.quadratic)
    assert float(actual) == pytest.approx(total / 10, rel=1e-12)
    a = jax.vmap(partial(predict, params))(x)
    assert loss(params, x, a, jaxnet.quadratic) == 0


def height(v):
    return jnp.sin(v[0]) * v[1] + v[1] ** 2


POINT = np.array([0.3, -0.7])
SLOPE = np.array([math.cos(0.3) * -0.7, math.sin(0.3) - 1.4])


def change_of(cost, v, dv):
    return float(cost(v + dv) - cost(v))


def downhill(cost, v, eta=1.0):
    """The first step of gradient descent, -eta grad C."""
    path = descend(cost, v, eta=eta, steps=1)
    return path[1] - path[0]


def test_1_7_change_of_a_function_of_two_variables(x64):
    slope1, slope2 = -downhill(height, jnp.array(POINT))
    for h in (1e-3, 1e-4):
        dv1, dv2 = 2 * h, -h
        predicted = float(slope1 * dv1 + slope2 * dv2)
        change = change_of(height, jnp.array(POINT), np.array([dv1, dv2]))
        assert abs(change - predicted) < 10 * h**2


def test_1_8_gradient_is_the_vector_of_partial_derivatives(x64):
    np.testing.assert_allclose(-downhill(height, jnp.array(POINT)), SLOPE, rtol=1e-14)


def test_1_9_change_is_the_gradient_times_the_step(x64):
    slope = -downhill(height, jnp.array(POINT))
    for h in (1e-3, 1e-4):
        dv = h * np.array([0.6, 0.8])
        change = change_of(height, jnp.array(POINT), dv)
        assert abs(change - float(slope @ dv)) < 10 * h**2


def test_1_10_stepping_against_the_gradient_goes_down(x64):
    """The change of C is -eta ||grad C||^2 <= 0, to first order."""
    squared, v = float(SLOPE @ SLOPE), jnp.array(POINT)
    for eta in (1e-3, 1e-4):
        change = change_of(height, v, downhill(height, v, eta))
        assert change < 0
        assert change == pytest.approx(-eta * squared, rel=10 * eta)


def test_1_11_update_rule_in_two_variables(x64):
    start = jnp.array([-0.9, 0.6])
    path = descend(bowl, start, eta=0.1, steps=5)
    expected = [np.array([-0.9, 0.6]) * (1 - 2 * 0.1) ** k for k in range(6)]
    np.testing.assert_allclose(path, np.stack(expected), rtol=1e-14)


@pytest.mark.parametrize(
    ("eta", "ratio"), [(0.1, 0.8), (0.5, 0.0), (1.0, -1.0), (1.1, -1.2)]
)
def test_1_11_a_too_large_eta_goes_up(x64, eta, ratio):
    """On C = v1^2 + v2^2 a step multiplies v by 1 - 2 eta."""
    start = jnp.array([0.5, -0.25])
    path = descend(bowl, start, eta=eta, steps=4)
    np.testing.assert_allclose(path[1], ratio * start, atol=1e-15)
    costs = jax.vmap(bowl)(path)
    if eta < 1:
        assert costs[-1] < costs[0]
    elif eta == 1:
        np.testing.assert_allclose(costs, costs[0])
    else:
        assert (jnp.diff(costs) > 0).all()


def many_variables(m=6):
    rng = np.random.default_rng(4)
    v, dv, matrix = (jnp.asarray(rng.normal(size=s)) for s in (m, m, (m, m)))

    @jax.jit
    def cost(v):
        return jnp.sum(jnp.cos(matrix @ v)) + v @ v

    return cost, v, dv, np.asarray(matrix)


def test_1_12_change_of_a_function_of_m_variables(x64):
    cost, v, dv, _ = many_variables()
    slope = -downhill(cost, v)
    wrong = [
        abs(change_of(cost, v, h * dv) - float(h * slope @ dv)) for h in (1e-3, 1e-4)
    ]
    assert wrong[0] / wrong[1] == pytest.approx(100, rel=0.1)


def test_1_13_gradient_in_m_variables(x64):
    cost, v, _, matrix = many_variables()
    at = np.asarray(v)
    expected = -matrix.T @ np.sin(matrix @ at) + 2 * at
    np.testing.assert_allclose(-downhill(cost, v), expected, rtol=1e-12)


def test_1_14_step_in_m_variables_goes_down(x64):
    cost, v, _, _ = many_variables()
    slope = jax.jit(jax.grad(cost))(v)
    eta = 1e-5
    change = change_of(cost, v, downhill(cost, v, eta))
    assert change == pytest.approx(-eta * float(slope @ slope), rel=1e-3)


def test_1_15_update_rule_in_m_variables(x64):
    """Repeated with a small eta, the cost only falls."""
    cost, v, _, _ = many_variables()
    path = descend(cost, v, eta=0.01, steps=50)
    np.testing.assert_allclose(
        path[1], v - 0.01 * jax.jit(jax.grad(cost))(v), rtol=1e-12
    )
    assert (jnp.diff(jax.vmap(cost)(path)) < 0).all()


def test_exercise_no_step_of_its_length_beats_the_gradient_s(x64):
    """Cauchy-Schwarz: of all ||dv|| = eps, dv = -eps grad C / ||grad C|| is best."""
    rng = np.random.default_rng(0)
    slope = rng.normal(size=5)
    eps, length = 0.1, float(np.linalg.norm(slope))
    dv = downhill(partial(jnp.vdot, slope), jnp.zeros(5), eta=eps / length)
    assert float(jnp.linalg.norm(dv)) == pytest.approx(eps, rel=1e-14)
    best = float(slope @ dv)
    np.testing.assert_allclose(best, -eps * length, rtol=1e-14)
    others = rng.normal(size=(10_000, 5))
    others = eps * others / np.linalg.norm(others, axis=1, keepdims=True)
    assert (others @ slope).min() >= best


def test_exercise_one_variable_slides_down_its_slope(x64):
    """In one dimension v moves right where C falls to the right, and left elsewhere."""
    for start in (-2.0, 3.0):
        path = descend(bowl, jnp.array(start), eta=0.1, steps=40)
        assert (jnp.diff(jnp.abs(path)) < 0).all()
        assert jnp.sign(path[1] - path[0]) == -jnp.sign(jnp.array(start))


def test_second_derivatives_are_symmetric_and_many(x64):
    """Section 1.5: n variables have n^2 second partials, n(n + 1)/2 distinct."""
    cost, v, _, _ = many_variables(6)
    hessian = np.asarray(jax.jit(jax.hessian(cost))(v))
    np.testing.assert_allclose(hessian, hessian.T, rtol=1e-12)
    path = newton(cost, v, steps=1)
    slope = -downhill(cost, v)
    np.testing.assert_allclose(hessian @ (path[1] - path[0]), -slope, rtol=1e-10)
    assert len(np.unique(hessian.round(10))) == 6 * 7 // 2


def learned(x, y, params, batch_size, eta):
    data = jaxnet.Dataset(x, y)
    key = jax.random.key(0)
    state = jaxnet.epoch(
        key, jaxnet.start(params), data, batch_size=batch_size, eta=eta
    )
    return state.params


def test_1_16_weights_step_against_their_derivatives(x64):
    params, x, y = problem([3, 4, 2], m=5)
    slope = autodiff(params, x, y)
    for new, old, d in zip(learned(x, y, params, 5, 0.3), params, slope, strict=True):
        np.testing.assert_allclose(new.w, old.w - 0.3 * d.w, rtol=1e-12)


def test_1_17_biases_step_against_their_derivatives(x64):
    params, x, y = problem([3, 4, 2], m=5)
    slope = autodiff(params, x, y)
    for new, old, d in zip(learned(x, y, params, 5, 0.3), params, slope, strict=True):
        np.testing.assert_allclose(new.b, old.b - 0.3 * d.b, rtol=1e-12)


def test_1_18_mini_batches_estimate_the_gradient(x64):
    """Their error is that of one example over the root of m."""
    params, x, y = problem([3, 4, 2], m=500)
    data = jaxnet.Dataset(x, y)
    errors = estimate_errors(params, data, (1, 25, 400), 300, jax.random.key(3))
    assert errors[1] / errors[25] == pytest.approx(5, rel=0.15)
    assert errors[1] / errors[400] == pytest.approx(20, rel=0.15)


def test_1_19_mini_batches_average_to_the_gradient(x64):
    """Over all the mini-batches of an epoch the estimate is exact."""
    params, x, y = problem([3, 4, 2], m=12)
    estimates = [backprop(params, x[i : i + 3], y[i : i + 3]) for i in range(0, 12, 3)]
    mean = jax.tree.map(lambda *leaves: sum(leaves) / 4, *estimates)
    assert_close(mean, backprop(params, x, y), rtol=1e-12)


def one_step(m=4, eta=0.3):
    """A step, and the sums over x of the gradients of C_x, one example at a time."""
    params, x, y = problem([3, 4, 2], m)
    after = compiled(jaxnet.step)(jaxnet.start(params), x, y, eta=eta).params
    singles = [autodiff(params, x[i : i + 1], y[i : i + 1]) for i in range(m)]
    sums = jax.tree.map(lambda *leaves: sum(leaves), *singles)
    return zip(params, after, sums, strict=True)


def test_1_20_sgd_updates_the_weights(x64):
    for before, after, total in one_step():
        np.testing.assert_allclose(after.w, before.w - 0.3 / 4 * total.w, rtol=1e-12)


def test_1_21_sgd_updates_the_biases(x64):
    for before, after, total in one_step():
        np.testing.assert_allclose(after.b, before.b - 0.3 / 4 * total.b, rtol=1e-12)


def test_scaling_the_cost_is_scaling_eta(x64):
    """Section 1.5: leaving out the 1/m of (1.6) is the same as a larger eta."""

    def summed(params, x, y, cost):
        return jax.tree.map(lambda g: len(x) * g, backprop(params, x, y, cost))

    params, x, y = problem([3, 4, 2], m=8)
    state = jaxnet.start(params)
    one = compiled(jaxnet.step)(state, x, y, eta=0.1, gradient=summed)
    other = compiled(jaxnet.step)(state, x, y, eta=0.8)
    assert_close(one.params, other.params, rtol=1e-12)


def test_exercise_online_learning():
    """Mini-batches of one: for, 20 times the updates; against, noisier ones."""
    params, x, y = problem([5, 4, 2], m=400)
    data = jaxnet.Dataset(x, y)
    errors = estimate_errors(params, data, (1, 20), 400, jax.random.key(3))
    assert errors[1] / errors[20] == pytest.approx(20**0.5, rel=0.15)
    online = learned(x, y, params, 1, 0.05)
    batches = learned(x, y, params, 20, 0.05)
    start = loss(params, x, y)
    assert loss(online, x, y) < loss(batches, x, y) < start


# Chapter 1.6: the program


def test_1_22_a_layer_in_matrix_form(x64):
    """Exercise: a' = sigma(w a + b) is (1.4) in every component."""
    params, x, _ = problem([4, 3])
    [(w, b)] = params
    for a in np.asarray(x):
        components = [
            1 / (1 + math.exp(-sum(w[j, k] * a[k] for k in range(4)) - b[j]))
            for j in range(3)
        ]
        output = predict(params, jnp.array(a))
        np.testing.assert_allclose(output, components, rtol=1e-13)
        _, activations = jaxnet.forward(params, jnp.array(a))
        np.testing.assert_allclose(activations[1], components, rtol=1e-13)


def test_exercise_network_of_two_layers(mnist):
    """784-10, with no hidden layer, reads 4 in 5 images after an epoch."""
    params = jaxnet.init(jax.random.key(0), [784, 10], init_layer=jaxnet.scaled_layer)
    trained, history = jaxnet.train(
        jax.random.key(1),
        params,
        mnist.train,
        epochs=3,
        batch_size=10,
        eta=0.5,
        evaluate=lambda params: jaxnet.accuracy(params, mnist.test),
    )
    assert [layer.w.shape for layer in trained] == [(10, 784)]
    assert history[0] > 0.8


def test_average_darkness_gets_2225(mnist):
    """Exactly, as in the book."""
    ink = np.asarray(mnist.train.x, float).sum(axis=1, keepdims=True)
    labels = np.asarray(mnist.train.y).argmax(axis=1)
    means = np.stack([ink[labels == digit].mean(axis=0) for digit in range(10)])
    test_ink = np.asarray(mnist.test.x, float).sum(axis=1, keepdims=True)
    answers = nearest(test_ink, means)
    assert (answers == np.asarray(mnist.test.y).argmax(axis=1)).sum() == 2225
