"""The equation ledger of chapter 2: backpropagation, each equation as a test.

Numbers are those of the book's PDF. Chapter 1 is in `test_equations.py`.
"""

import itertools
import math
from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnet
from jaxnet import Layer, oracles
from jaxnet.activations import Activation
from tests.helpers import (
    assert_close,
    compiled,
    formula_of,
    numpy_gradient,
    problem,
    relative_error,
)

SIZES = [3, 4, 5, 2]
backprop, errors, forward, loss = map(
    compiled, (jaxnet.backprop, jaxnet.errors, jaxnet.forward, jaxnet.loss)
)
autodiff, demon = compiled(jaxnet.autodiff), compiled(oracles.demon)
each_gradient = pytest.mark.parametrize(
    "gradient",
    [
        oracles.backprop_by_example,
        oracles.backprop_by_matrix,
        oracles.matrix_product,
        oracles.path_sum,
        oracles.complex_step,
    ],
    ids=lambda gradient: gradient.__name__,
)


def sigma(z):
    return 1 / (1 + np.exp(-z))


def sigma_prime(z):
    return np.exp(-z) / (1 + np.exp(-z)) ** 2


@pytest.fixture
def one(x64):
    """A network, one example, and all that is inside by the book's loops.

    Lists are numbered as in the book: w[1] belongs to the first layer, a[0] is x.
    """
    params, xs, ys = problem(SIZES, m=1)
    nothing = np.zeros(0)
    w, b, z = [nothing], [nothing], [nothing]
    a = [np.asarray(xs[0])]
    for layer in params:
        w.append(np.asarray(layer.w))
        b.append(np.asarray(layer.b))
        z.append(
            np.array(
                [
                    sum(w[-1][j, k] * a[-1][k] for k in range(len(a[-1]))) + b[-1][j]
                    for j in range(len(b[-1]))
                ]
            )
        )
        a.append(sigma(z[-1]))
    return params, xs[0], ys[0], w, b, z, a


def true_errors(params, x, y):
    """delta^1, ..., delta^L as derivatives by z, numbered from 1."""
    return [None, *map(np.asarray, demon(params, x, y))]


def cost_of(params, x, y):
    return loss(params, x[None], y[None])


slope_of = jax.jit(jax.grad(cost_of))


# 2.1 to 2.3: notation, and what is asked of a cost


def test_2_1_an_activation_by_components(one):
    params, x, _, w, b, _, a = one
    _, activations = forward(params, x)
    for l in (1, 2, 3):
        for j in range(len(a[l])):
            total = sum(w[l][j, k] * a[l - 1][k] for k in range(len(a[l - 1])))
            expected = 1 / (1 + math.exp(-total - b[l][j]))
            assert float(activations[l][j]) == pytest.approx(expected, rel=1e-14)


def test_2_2_a_vectorized_function_acts_on_each_element():
    square = Activation(lambda z: z**2, lambda z: 2 * z, "square")
    np.testing.assert_array_equal(square.fn(jnp.array([2.0, 3.0])), [4, 9])


def test_2_3_activations_in_matrix_form(one):
    params, x, _, w, b, z, a = one
    zs, activations = forward(params, x)
    for l in (1, 2, 3):
        np.testing.assert_allclose(zs[l - 1], w[l] @ a[l - 1] + b[l], rtol=1e-13)
        np.testing.assert_allclose(activations[l], sigma(z[l]), rtol=1e-13)


def test_2_4_the_cost_is_a_mean_over_examples(x64):
    """So its gradient is the mean of theirs."""
    params, x, y = problem(SIZES, m=5)
    a = np.stack([compiled(jaxnet.predict)(params, one_x) for one_x in x])
    expected = np.sum((np.asarray(y) - a) ** 2) / (2 * 5)
    np.testing.assert_allclose(loss(params, x, y), expected, rtol=1e-14)
    singles = [slope_of(params, x[i], y[i]) for i in range(5)]
    mean = jax.tree.map(lambda *leaves: sum(leaves) / 5, *singles)
    assert_close(autodiff(params, x, y), mean, rtol=1e-13)


def test_2_5_the_cost_is_a_function_of_the_outputs(one):
    params, x, y, _, _, _, a = one
    expected = sum((float(y[j]) - a[3][j]) ** 2 for j in range(2)) / 2
    np.testing.assert_allclose(cost_of(params, x, y), expected, rtol=1e-14)
    np.testing.assert_allclose(
        formula_of(jaxnet.quadratic)(jnp.asarray(a[3]), y), expected, rtol=1e-14
    )


def test_2_6_hadamard_product():
    """The book's (1, 2) . (3, 4), of an error from above and of sigma' = 2z."""
    product = jnp.array([1.0, 2.0]) * jnp.array([3.0, 4.0])
    np.testing.assert_array_equal(product, [3, 8])
    square = Activation(lambda z: z**2, lambda z: 2 * z, "square")
    identity, nothing = jnp.eye(2), jnp.zeros(2)
    params = [Layer(identity, nothing, square), Layer(identity, nothing, jaxnet.linear)]
    z = jnp.array([1.5, 2.0])
    deltas, _ = errors(params, z, z**2 - jnp.array([1.0, 2]), jaxnet.linear_quadratic)
    np.testing.assert_array_equal(deltas[0], product)


# 2.4: the four equations


def test_2_7_the_error_is_what_the_demon_gains(one):
    """A small dz at any neuron of any layer changes C by delta dz."""
    params, x, y, *_ = one
    deltas, _ = errors(params, x, y)
    nudged_cost = jax.jit(oracles.nudged_cost)
    nothing = [jnp.zeros_like(b) for _, b in params]
    before = nudged_cost(params, x, y, nothing)
    for l, delta in enumerate(deltas):
        for j in range(len(delta)):
            for sign in (1, -1):
                dz = sign * 1e-5
                nudges = list(nothing)
                nudges[l] = nothing[l].at[j].set(dz)
                gain = nudged_cost(params, x, y, nudges) - before
                assert abs(float(gain - delta[j] * dz)) < dz**2
    assert_close(deltas, demon(params, x, y), rtol=1e-13)


def slope_of_quadratic(a, y):
    return a - np.asarray(y)


def test_bp1_the_error_of_the_output_layer_by_components(one):
    params, x, y, _, _, z, a = one
    delta = errors(params, x, y)[0][-1]
    for j in range(2):
        expected = (a[3][j] - float(y[j])) * sigma_prime(z[3][j])
        assert float(delta[j]) == pytest.approx(expected, rel=1e-13)
        assert true_errors(params, x, y)[3][j] == pytest.approx(expected, rel=1e-13)


def test_bp1a_the_error_of_the_output_layer_as_a_hadamard_product(one):
    """delta^L = grad_a C . sigma'(z^L), for the quadratic cost (a^L - y) . sigma'."""
    params, x, y, _, _, z, a = one
    slope = jax.grad(formula_of(jaxnet.quadratic))(jnp.asarray(a[3]), y)
    np.testing.assert_allclose(slope, slope_of_quadratic(a[3], y), rtol=1e-13)
    delta = errors(params, x, y)[0][-1]
    np.testing.assert_allclose(delta, np.asarray(slope) * sigma_prime(z[3]), rtol=1e-13)


def test_bp2_the_error_of_a_layer_from_the_next_one(one):
    params, x, y, w, _, z, _ = one
    deltas, truth = [None, *errors(params, x, y)[0]], true_errors(params, x, y)
    for l in (1, 2):
        expected = (w[l + 1].T @ truth[l + 1]) * sigma_prime(z[l])
        np.testing.assert_allclose(deltas[l], expected, rtol=1e-12)
        np.testing.assert_allclose(truth[l], expected, rtol=1e-12)


def test_bp3_the_derivative_by_a_bias_is_the_error(one):
    params, x, y, *_ = one
    truth, slope = true_errors(params, x, y), slope_of(params, x, y)
    for l, layer in enumerate(backprop(params, x[None], y[None]), start=1):
        np.testing.assert_allclose(layer.b, truth[l], rtol=1e-12)
        np.testing.assert_allclose(slope[l - 1].b, truth[l], rtol=1e-12)


def test_2_8_bp3_in_shorthand(one):
    """dC/db = delta, a vector for each layer."""
    params, x, y, *_ = one
    deltas, _ = errors(params, x, y)
    for slope in (slope_of(params, x, y), backprop(params, x[None], y[None])):
        assert_close([b for _, b in slope], deltas, rtol=1e-12)


def test_bp4_the_derivative_by_a_weight(one):
    params, x, y, _, _, _, a = one
    truth, slope = true_errors(params, x, y), slope_of(params, x, y)
    for l, layer in enumerate(backprop(params, x[None], y[None]), start=1):
        for j, k in itertools.product(range(len(a[l])), range(len(a[l - 1]))):
            expected = a[l - 1][k] * truth[l][j]
            assert float(layer.w[j, k]) == pytest.approx(expected, rel=1e-12)
            assert float(slope[l - 1].w[j, k]) == pytest.approx(expected, rel=1e-12)


def test_2_9_bp4_in_shorthand(one):
    """dC/dw = a_in delta_out, an outer product for each layer."""
    params, x, y, *_ = one
    deltas, entering = errors(params, x, y)
    outer = [jnp.outer(d, a) for d, a in zip(deltas, entering, strict=True)]
    for slope in (slope_of(params, x, y), backprop(params, x[None], y[None])):
        assert_close([w for w, _ in slope], outer, rtol=1e-12)


@pytest.mark.parametrize("quiet", [1e-3, 0.0])
def test_insight_a_weight_from_a_quiet_neuron_learns_slowly(one, quiet):
    """Section 2.4: by BP4 its derivative is proportional to a_in."""
    params, x, y, *_ = one
    slope = backprop(params, (quiet * x)[None], y[None])[0]
    assert jnp.linalg.norm(slope.w) <= quiet * jnp.linalg.norm(x) * jnp.linalg.norm(
        slope.b
    ) * (1 + 1e-12)


def test_insight_a_saturated_output_learns_slowly(one):
    """Section 2.4: by BP1 its error has the factor sigma', at most e^-z."""
    params, x, y, *_ = one
    for z in (10.0, 20.0, 30.0):
        saturated = [*params[:-1], Layer(0 * params[-1].w, jnp.full(2, z))]
        deltas, _ = errors(saturated, x, y)
        assert (jnp.abs(deltas[-1]) < math.exp(-z)).all()


def test_2_10_output_error_as_a_matrix_times_the_slope(one):
    params, x, y, _, _, z, a = one
    matrix = np.diag(sigma_prime(z[3]))
    expected = matrix @ slope_of_quadratic(a[3], y)
    np.testing.assert_allclose(errors(params, x, y)[0][-1], expected, rtol=1e-13)
    by_matrices = compiled(oracles.matrix_product)(params, x[None], y[None])
    np.testing.assert_allclose(by_matrices[-1].b, expected, rtol=1e-13)


def test_2_11_bp2_as_matrices(one):
    params, x, y, w, _, z, _ = one
    deltas = [None, *errors(params, x, y)[0]]
    by_matrices = compiled(oracles.matrix_product)(params, x[None], y[None])
    for l in (1, 2):
        expected = np.diag(sigma_prime(z[l])) @ w[l + 1].T @ np.asarray(deltas[l + 1])
        np.testing.assert_allclose(deltas[l], expected, rtol=1e-12)
        np.testing.assert_allclose(by_matrices[l - 1].b, expected, rtol=1e-12)


def test_2_12_the_error_of_any_layer_as_one_product_of_matrices(one):
    params, x, y, w, _, z, a = one
    S = [None, *(np.diag(sigma_prime(z[l])) for l in (1, 2, 3))]
    product = S[1] @ w[2].T @ S[2] @ w[3].T @ S[3] @ slope_of_quadratic(a[3], y)
    np.testing.assert_allclose(errors(params, x, y)[0][0], product, rtol=1e-12)
    by_matrices = compiled(oracles.matrix_product)(params, x[None], y[None])
    np.testing.assert_allclose(by_matrices[0].b, product, rtol=1e-12)


# 2.5: the proof, step by step, each derivative by jax


def cost_from(l, params, z, y):
    """C as a function of z^l alone."""
    a = jaxnet.sigmoid.fn(z)
    for layer in params[l:]:
        z = layer.w @ a + layer.b
        a = jaxnet.sigmoid.fn(z)
    return jnp.sum((y - a) ** 2) / 2


def test_2_13_output_error_is_the_derivative_by_z(one):
    params, x, y, _, _, z, _ = one
    slope = jax.jit(jax.grad(partial(cost_from, 3, params)))(jnp.asarray(z[3]), y)
    np.testing.assert_allclose(errors(params, x, y)[0][-1], slope, rtol=1e-13)


def output_jacobian(z):
    """da^L_k/dz^L_j as a matrix, rows k."""
    return np.asarray(jax.jit(jax.jacobian(jaxnet.sigmoid.fn))(jnp.asarray(z)))


def test_2_14_chain_rule_over_all_outputs(one):
    params, x, y, _, _, z, a = one
    slope, jacobian = slope_of_quadratic(a[3], y), output_jacobian(z[3])
    expected = [sum(slope[k] * jacobian[k, j] for k in range(2)) for j in range(2)]
    np.testing.assert_allclose(errors(params, x, y)[0][-1], expected, rtol=1e-13)


def test_2_15_an_output_depends_on_its_own_weighted_input_only(one):
    params, x, y, _, _, z, a = one
    jacobian = output_jacobian(z[3])
    assert (jacobian[~np.eye(2, dtype=bool)] == 0).all()
    expected = slope_of_quadratic(a[3], y) * np.diag(jacobian)
    np.testing.assert_allclose(errors(params, x, y)[0][-1], expected, rtol=1e-13)


def test_2_16_which_is_bp1(one):
    params, x, y, _, _, z, a = one
    jacobian = np.diag(output_jacobian(z[3]))
    np.testing.assert_allclose(jacobian, sigma_prime(z[3]), rtol=1e-13)
    expected = slope_of_quadratic(a[3], y) * sigma_prime(z[3])
    np.testing.assert_allclose(errors(params, x, y)[0][-1], expected, rtol=1e-13)


def next_z(params, l, z):
    """z^(l+1) as a function of z^l."""
    [next_z], _ = jaxnet.forward(params[l : l + 1], jaxnet.sigmoid.fn(z))
    return next_z


def test_2_17_chain_rule_over_the_next_layer(one):
    params, x, y, _, _, z, _ = one
    deltas, truth = [None, *errors(params, x, y)[0]], true_errors(params, x, y)
    for l in (1, 2):
        jacobian = jax.jit(jax.jacobian(partial(next_z, params, l)))(jnp.asarray(z[l]))
        np.testing.assert_allclose(truth[l], jacobian.T @ truth[l + 1], rtol=1e-12)
        np.testing.assert_allclose(deltas[l], jacobian.T @ truth[l + 1], rtol=1e-12)


def test_2_18_the_next_weighted_input_by_components(one):
    params, _, _, w, b, z, _ = one
    for l in (1, 2):
        expected = [
            sum(w[l + 1][k, j] * sigma(z[l][j]) for j in range(len(z[l]))) + b[l + 1][k]
            for k in range(len(z[l + 1]))
        ]
        actual = next_z(params, l, jnp.asarray(z[l]))
        np.testing.assert_allclose(actual, expected, rtol=1e-13)
        np.testing.assert_allclose(z[l + 1], expected, rtol=1e-13)


def test_2_19_the_derivative_of_the_next_weighted_input(one):
    params, _, _, w, _, z, _ = one
    for l in (1, 2):
        jacobian = jax.jit(jax.jacobian(partial(next_z, params, l)))(jnp.asarray(z[l]))
        expected = w[l + 1] * sigma_prime(z[l])[None]
        np.testing.assert_allclose(jacobian, expected, rtol=1e-12)


def test_2_20_which_is_bp2_by_components(one):
    params, x, y, w, _, z, _ = one
    deltas = [None, *errors(params, x, y)[0]]
    for l in (1, 2):
        for j in range(len(z[l])):
            above = range(len(z[l + 1]))
            total = sum(w[l + 1][k, j] * float(deltas[l + 1][k]) for k in above)
            expected = total * sigma_prime(z[l][j])
            assert float(deltas[l][j]) == pytest.approx(expected, rel=1e-12)


def test_exercise_prove_bp3_and_bp4(one):
    """dz^l_j/db^l_i and dz^l_j/dw^l_ik, so dC/db and dC/dw by the chain rule."""
    params, x, y, _, _, _, a = one
    truth, slope = true_errors(params, x, y), slope_of(params, x, y)
    by_hand = backprop(params, x[None], y[None])

    def weighted(layer, a):
        return layer.w @ a + layer.b

    for l, layer in enumerate(params, start=1):
        by = jax.jit(jax.jacobian(weighted))(layer, a[l - 1])
        np.testing.assert_array_equal(by.b, np.eye(len(layer.b)))
        expected = np.einsum("ji,k->jik", np.eye(len(layer.b)), a[l - 1])
        np.testing.assert_allclose(by.w, expected, rtol=1e-13)
        by_b, by_w = truth[l] @ by.b, np.einsum("j,jik->ik", truth[l], by.w)
        for found in (slope[l - 1], by_hand[l - 1]):
            np.testing.assert_allclose(found.b, by_b, rtol=1e-12)
            np.testing.assert_allclose(found.w, by_w, rtol=1e-12)


# 2.6 to 2.8: the algorithm, its exercises, and its rival


@each_gradient
def test_the_backpropagation_algorithm_and_all_that_equal_it(x64, gradient):
    """Exact forms agree with the book's loops and with jax.grad in every layer."""
    params, x, y = problem(SIZES, m=5)
    loops = numpy_gradient(params, x, y, "cross_entropy")
    expected = [Layer(jnp.asarray(w), jnp.asarray(b)) for w, b in loops]
    actual = compiled(gradient)(params, x, y, jaxnet.cross_entropy)
    assert_close(actual, expected, rtol=1e-12)
    assert_close(actual, autodiff(params, x, y, jaxnet.cross_entropy), 1e-12)


def with_neuron(number, neuron, others):
    """The activation of a layer in which one neuron has another than the others."""

    def choose(f, g):
        return lambda z: jnp.where(jnp.arange(len(z)) == number, f(z), g(z))

    return Activation(
        choose(neuron.fn, others.fn), choose(neuron.prime, others.prime), "mixed"
    )


def test_exercise_backpropagation_with_a_single_modified_neuron(x64):
    """Only its own f and f' change, in the forward pass and in BP2."""
    f = Activation(jnp.sin, jnp.cos)
    hidden = (jaxnet.sigmoid, with_neuron(3, f, jaxnet.sigmoid))
    params, x, y = problem(SIZES, m=5, hidden=hidden)
    zs, activations = forward(params, x[0])
    expected = np.asarray(jaxnet.sigmoid.fn(zs[1])).copy()
    expected[3] = np.sin(zs[1][3])
    np.testing.assert_allclose(activations[2], expected, rtol=1e-13)
    gradient = backprop(params, x, y)
    assert_close(gradient, autodiff(params, x, y), rtol=1e-12)
    central = compiled(oracles.central_difference)(params, x, y)
    assert_close(gradient, central, rtol=1e-7)
    unmodified, *_ = problem(SIZES, m=5)
    other = jax.tree.leaves(backprop(unmodified, x, y))
    assert relative_error(jax.tree.leaves(gradient), other) > 1e-3


def test_exercise_backpropagation_with_linear_neurons(x64):
    """sigma' = 1 everywhere, and the network equals one with a single matrix."""
    params, x, y = problem(SIZES, m=5, hidden=jaxnet.linear, output=jaxnet.linear)
    deltas, _ = errors(params, x[0], y[0], jaxnet.linear_quadratic)
    output = compiled(jaxnet.predict)(params, x[0])
    np.testing.assert_allclose(deltas[2], output - y[0], rtol=1e-13)
    for l in (1, 0):
        expected = params[l + 1].w.T @ deltas[l + 1]
        np.testing.assert_allclose(deltas[l], expected, rtol=1e-13)
    by_hand = backprop(params, x, y, jaxnet.linear_quadratic)
    automatic = autodiff(params, x, y, jaxnet.linear_quadratic)
    assert_close(by_hand, automatic, rtol=1e-12)
    w, b = np.eye(SIZES[0]), np.zeros(SIZES[0])
    for layer in params:
        w, b = layer.w @ w, layer.w @ b + layer.b
    np.testing.assert_allclose(w @ x[0] + b, output, rtol=1e-12)


def test_the_algorithm_for_a_mini_batch(x64):
    """Section 2.6: w steps by eta/m times the sum of delta a^T, b by that of delta."""
    params, x, y = problem(SIZES, m=4)
    after = compiled(jaxnet.step)(jaxnet.start(params), x, y, eta=0.7).params
    for l in range(3):
        w, b = np.array(params[l].w), np.array(params[l].b)
        for i in range(4):
            deltas, entering = errors(params, x[i], y[i])
            w -= 0.7 / 4 * np.outer(deltas[l], entering[l])
            b -= 0.7 / 4 * np.asarray(deltas[l])
        np.testing.assert_allclose(after[l].w, w, rtol=1e-12)
        np.testing.assert_allclose(after[l].b, b, rtol=1e-12)


def test_problem_fully_matrix_based_mini_batches(x64):
    """Section 2.7: a column for each example gives the loop's gradients."""
    params, x, y = problem(SIZES, m=10)
    loop = compiled(oracles.backprop_by_example)(params, x, y)
    by_matrix = compiled(oracles.backprop_by_matrix)(params, x, y)
    assert_close(by_matrix, loop, rtol=1e-12)
    assert_close(backprop(params, x, y), loop, rtol=1e-12)


def test_2_21_a_finite_difference_approximates_a_derivative(x64):
    """Its error is proportional to epsilon until rounding takes over."""
    params, x, y = problem([3, 4, 2], m=5)
    truth = backprop(params, x, y)

    def error(difference, epsilon):
        slope = compiled(difference)(params, x, y, epsilon=epsilon)
        return relative_error(slope, truth)

    forward = [error(oracles.forward_difference, h) for h in (1e-3, 1e-4, 1e-5)]
    assert forward[0] / forward[1] == pytest.approx(10, rel=0.05)
    assert forward[1] / forward[2] == pytest.approx(10, rel=0.05)
    central = [error(oracles.central_difference, h) for h in (1e-2, 1e-3)]
    assert central[0] / central[1] == pytest.approx(100, rel=0.05)
    rounding = [error(oracles.forward_difference, h) for h in (1e-11, 1e-13)]
    assert rounding[1] > 10 * rounding[0] > 100 * forward[2] / 1e3


# 2.9: the big picture


def nudge_weight(params, l, j, k, dw):
    layer = params[l - 1]
    return [
        *params[: l - 1],
        replace(layer, w=layer.w.at[j, k].add(dw)),
        *params[l:],
    ]


@pytest.fixture
def small_change(one):
    """A weight w^1_jk, what a small change of it does, and its size."""
    params, x, y, w, b, z, a = one
    l, j, k, dw = 1, 2, 1, 1e-6
    moved = nudge_weight(params, l, j, k, dw)
    _, after = forward(moved, x)
    return params, moved, after, (l, j, k, dw)


def by_activation(w, z, l):
    """da^(l+1)_q/da^l_j = sigma'(z_q) w_qj, rows q."""
    return sigma_prime(z[l + 1])[:, None] * w[l + 1]


def test_2_22_a_small_change_of_a_weight_changes_the_cost(one, small_change):
    params, x, y, *_ = one
    _, moved, _, (l, j, k, dw) = small_change
    change = float(cost_of(moved, x, y) - cost_of(params, x, y))
    by_paths = compiled(oracles.path_sum)(params, x[None], y[None])
    for slope in (slope_of(params, x, y), by_paths):
        assert change == pytest.approx(float(slope[l - 1].w[j, k]) * dw, rel=1e-4)


def test_2_23_it_changes_the_activation_of_its_neuron(one, small_change):
    _, _, _, _, _, z, a = one
    _, _, after, (l, j, k, dw) = small_change
    change = float(after[l][j]) - a[l][j]
    assert change == pytest.approx(sigma_prime(z[l][j]) * a[l - 1][k] * dw, rel=1e-4)


def test_2_24_which_changes_all_activations_of_the_next_layer(one, small_change):
    _, _, _, w, _, z, a = one
    _, _, after, (l, j, _, _) = small_change
    change = np.asarray(after[l]) - a[l]
    expected = by_activation(w, z, l)[:, j] * change[j]
    np.testing.assert_allclose(np.asarray(after[l + 1]) - a[l + 1], expected, rtol=1e-4)


def test_2_25_in_terms_of_the_change_of_the_weight(one, small_change):
    _, _, _, w, _, z, a = one
    _, _, after, (l, j, k, dw) = small_change
    rate = by_activation(w, z, l)[:, j] * sigma_prime(z[l][j]) * a[l - 1][k]
    change = np.asarray(after[l + 1]) - a[l + 1]
    np.testing.assert_allclose(change, rate * dw, rtol=1e-4)


def rate_along(path, one, l, k):
    """The product of rates along one path of neurons j, q, ..., m from w^l_jk to C."""
    _, _, y, w, _, z, a = one
    rate = sigma_prime(z[l][path[0]]) * a[l - 1][k]
    for above, (j, q) in enumerate(zip(path, path[1:], strict=False), start=l):
        rate *= by_activation(w, z, above)[q, j]
    return rate * slope_of_quadratic(a[3], y)[path[-1]]


def test_2_26_along_one_path_the_change_is_a_product_of_rates(one):
    """All other paths cut, what reaches the cost is what went along this one."""
    params, x, y, w, *_ = one
    l, k, path = 1, 1, (2, 4, 0)
    rate = rate_along(path, one, l, k)

    def cost_along(dw):
        """C, linear in what the neurons off the path hold still."""
        zs, activations = forward(params, x)
        a = jaxnet.sigmoid.fn(zs[0][path[0]] + dw * x[k])
        for above, (j, q) in enumerate(zip(path, path[1:], strict=False), start=1):
            change = a - activations[above][j]
            a = jaxnet.sigmoid.fn(zs[above][q] + w[above + 1][q, j] * change)
        output = activations[-1].at[path[-1]].set(a)
        return formula_of(jaxnet.quadratic)(output, y)

    assert float(jax.jit(jax.grad(cost_along))(0.0)) == pytest.approx(rate, rel=1e-12)


def test_2_27_over_all_paths_the_changes_add_up(one, small_change):
    params, x, y, *_ = one
    _, moved, _, (l, j, k, dw) = small_change
    paths = itertools.product([j], range(5), range(2))
    total = sum(rate_along(path, one, l, k) for path in paths)
    change = float(cost_of(moved, x, y) - cost_of(params, x, y))
    assert change == pytest.approx(total * dw, rel=1e-4)
    by_paths = compiled(oracles.path_sum)(params, x[None], y[None])
    assert float(by_paths[l - 1].w[j, k]) == pytest.approx(total, rel=1e-12)


def test_2_28_a_derivative_is_a_sum_over_paths(one):
    """Path by path, and as `path_sum` lists them."""
    params, x, y, *_ = one
    slope = slope_of(params, x, y)
    for j, k in itertools.product(range(4), range(3)):
        paths = itertools.product([j], range(5), range(2))
        total = sum(rate_along(path, one, 1, k) for path in paths)
        assert float(slope[0].w[j, k]) == pytest.approx(total, rel=1e-12)
    assert_close(
        compiled(oracles.path_sum)(params, x[None], y[None]), slope, rtol=1e-12
    )
