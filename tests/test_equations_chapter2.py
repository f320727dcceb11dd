"""The equation ledger of chapter 2: backpropagation, each equation as a test.

Numbers are those of the book's PDF. Chapter 1 is in `test_equations.py`.
"""

import itertools
import math
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnet
from jaxnet import Layer, oracles
from jaxnet.activations import Activation
from tests.equations import (
    autodiff,
    backprop,
    errors,
    forward,
    layer_of,
    loss,
    network,
    predict,
    sigma,
    sigma_prime,
    stepped,
)
from tests.helpers import (
    assert_close,
    compiled,
    formula_of,
    numpy_gradient,
    relative_error,
)

SIZES = [3, 4, 5, 2]
demon, matrix_product, path_sum = map(
    compiled, (oracles.demon, oracles.matrix_product, oracles.path_sum)
)


@pytest.fixture
def one(x64):
    """A network, one example, and all that is inside by the book's loops.

    Lists are numbered as in the book: w[1] belongs to the first layer, a[0] is x.
    """
    params, [x, *_], [y, *_] = network(SIZES)
    w, b = ([None, *each] for each in zip(*params, strict=True))
    z, a = [None], [x]
    for l in (1, 2, 3):
        sums = [
            sum(w_jk * a_k for w_jk, a_k in zip(w_j, a[-1], strict=True))
            for w_j in w[l]
        ]
        z.append(np.array(sums) + b[l])
        a.append(sigma(z[l]))
    return SimpleNamespace(params=params, x=x, y=y, w=w, b=b, z=z, a=a)


def but(one, **changes):
    """The same with other values."""
    return SimpleNamespace(**{**vars(one), **changes})


def numbered(layers):
    """Layers or errors in NumPy, the first one being number 1."""
    return [None, *jax.tree.map(np.asarray, layers)]


def deltas(one):
    """delta^1, ..., delta^L by `errors`."""
    return numbered(errors(one.params, one.x, one.y)[0])


def truth(one):
    """delta^1, ..., delta^L as derivatives by z."""
    return numbered(demon(one.params, one.x, one.y))


def alone(one):
    """The example as a mini-batch of six, for which everything is compiled anyway."""
    return np.tile(one.x, (6, 1)), np.tile(one.y, (6, 1))


def slopes(one, gradient):
    return numbered(gradient(one.params, *alone(one)))


def slope_by_a(one):
    """The slope of the quadratic cost by the outputs."""
    return one.a[3] - one.y


# 2.1 to 2.3: notation, and what is asked of a cost


def test_2_1_an_activation_by_components(one):
    _, activations = forward(one.params, one.x)
    for l in (1, 2, 3):
        for j, actual in enumerate(np.asarray(activations[l])):
            total = sum(w * a for w, a in zip(one.w[l][j], one.a[l - 1], strict=True))
            expected = 1 / (1 + math.exp(-total - one.b[l][j]))
            assert actual == pytest.approx(expected, rel=1e-14)


def test_2_2_a_vectorized_function_acts_on_each_element():
    square = Activation(lambda z: z**2, lambda z: 2 * z, "square")
    np.testing.assert_array_equal(square.fn(jnp.array([2.0, 3.0])), [4, 9])


def test_2_3_activations_in_matrix_form(one):
    zs, activations = forward(one.params, one.x)
    for l in (1, 2, 3):
        z = one.w[l] @ one.a[l - 1] + one.b[l]
        np.testing.assert_allclose(zs[l - 1], z, rtol=1e-13)
        np.testing.assert_allclose(activations[l], sigma(one.z[l]), rtol=1e-13)


def test_2_4_the_cost_is_a_mean_over_examples(x64):
    """So its gradient is the mean of theirs."""
    params, x, y = network(SIZES)
    a = np.stack([predict(params, one_x) for one_x in x])
    expected = np.sum((y - a) ** 2) / (2 * 6)
    np.testing.assert_allclose(loss(params, x, y), expected, rtol=1e-14)
    repeated = [(np.tile(x[i], (6, 1)), np.tile(y[i], (6, 1))) for i in range(6)]
    singles = [jax.tree.map(np.asarray, autodiff(params, *one)) for one in repeated]
    mean = jax.tree.map(lambda *leaves: sum(leaves) / 6, *singles)
    assert_close(autodiff(params, x, y), mean, rtol=1e-13)


def test_2_5_the_cost_is_a_function_of_the_outputs(one):
    expected = sum((one.y[j] - one.a[3][j]) ** 2 for j in range(2)) / 2
    np.testing.assert_allclose(loss(one.params, *alone(one)), expected, rtol=1e-14)
    by_formula = formula_of(jaxnet.quadratic)(one.a[3], one.y)
    np.testing.assert_allclose(by_formula, expected, rtol=1e-14)


def test_2_6_hadamard_product():
    """The book's (1, 2) . (3, 4), of an error from above and of sigma' = 2z."""
    product = np.array([1.0, 2.0]) * np.array([3.0, 4.0])
    np.testing.assert_array_equal(product, [3, 8])
    square = Activation(lambda z: z**2, lambda z: 2 * z, "square")
    identity, nothing = np.eye(2), np.zeros(2)
    params = [layer_of(identity, nothing, each) for each in (square, jaxnet.linear)]
    z = np.array([1.5, 2.0])
    [delta, _], _ = errors(params, z, z**2 - [1, 2], jaxnet.linear_quadratic)
    np.testing.assert_array_equal(delta, product)


# 2.4: the four equations


def test_2_7_the_error_is_what_the_demon_gains(one):
    """A small dz at any neuron of any layer changes C by delta dz."""
    nudged_cost = jax.jit(oracles.nudged_cost)
    nothing = [np.zeros_like(b) for _, b in one.params]
    before = float(nudged_cost(one.params, one.x, one.y, nothing))
    by_hand = deltas(one)[1:]
    for l, delta in enumerate(by_hand):
        for j, dz in itertools.product(range(len(delta)), (1e-5, -1e-5)):
            nudges = [*nothing[:l], dz * np.eye(len(delta))[j], *nothing[l + 1 :]]
            gain = float(nudged_cost(one.params, one.x, one.y, nudges)) - before
            assert abs(gain - delta[j] * dz) < dz**2
    assert_close(by_hand, truth(one)[1:], rtol=1e-13)


def test_bp1_the_error_of_the_output_layer_by_components(one):
    for delta in (deltas(one), truth(one)):
        for j in range(2):
            expected = (one.a[3][j] - one.y[j]) * sigma_prime(one.z[3][j])
            assert delta[3][j] == pytest.approx(expected, rel=1e-13)


def test_bp1a_the_error_of_the_output_layer_as_a_hadamard_product(one):
    """delta^L = grad_a C . sigma'(z^L), for the quadratic cost (a^L - y) . sigma'."""
    slope = jax.jit(jax.grad(formula_of(jaxnet.quadratic)))(one.a[3], one.y)
    np.testing.assert_allclose(slope, slope_by_a(one), rtol=1e-13)
    expected = np.asarray(slope) * sigma_prime(one.z[3])
    np.testing.assert_allclose(deltas(one)[3], expected, rtol=1e-13)


def test_bp2_the_error_of_a_layer_from_the_next_one(one):
    for l in (1, 2):
        expected = (one.w[l + 1].T @ truth(one)[l + 1]) * sigma_prime(one.z[l])
        np.testing.assert_allclose(deltas(one)[l], expected, rtol=1e-12)
        np.testing.assert_allclose(truth(one)[l], expected, rtol=1e-12)


@pytest.mark.parametrize("gradient", [backprop, autodiff])
def test_bp3_and_2_8_the_derivative_by_a_bias_is_the_error(one, gradient):
    """By components, and in shorthand dC/db = delta, a vector for each layer."""
    slope, delta = slopes(one, gradient), truth(one)
    for l in (1, 2, 3):
        for j in range(len(one.b[l])):
            assert slope[l].b[j] == pytest.approx(delta[l][j], rel=1e-12)
    assert_close([b for _, b in slope[1:]], deltas(one)[1:], rtol=1e-12)


@pytest.mark.parametrize("gradient", [backprop, autodiff])
def test_bp4_and_2_9_the_derivative_by_a_weight(one, gradient):
    """By components, and in shorthand dC/dw = a_in delta_out, an outer product."""
    slope, delta = slopes(one, gradient), truth(one)
    for l in (1, 2, 3):
        for j, k in itertools.product(range(len(one.a[l])), range(len(one.a[l - 1]))):
            expected = one.a[l - 1][k] * delta[l][j]
            assert slope[l].w[j, k] == pytest.approx(expected, rel=1e-12)
    entering = errors(one.params, one.x, one.y)[1]
    outer = [np.outer(d, a) for d, a in zip(deltas(one)[1:], entering, strict=True)]
    assert_close([w for w, _ in slope[1:]], outer, rtol=1e-12)


@pytest.mark.parametrize("quiet", [1e-3, 0.0])
def test_insight_a_weight_from_a_quiet_neuron_learns_slowly(one, quiet):
    """Section 2.4: by BP4 its derivative is proportional to a_in."""
    w, b = slopes(but(one, x=quiet * one.x), backprop)[1]
    most = quiet * np.linalg.norm(one.x) * np.linalg.norm(b)
    assert np.linalg.norm(w) <= most * (1 + 1e-12)


def test_insight_a_saturated_output_learns_slowly(one):
    """Section 2.4: by BP1 its error has the factor sigma', at most e^-z."""
    *hidden, last = one.params
    for z in (10.0, 20.0, 30.0):
        saturated = [*hidden, replace(last, w=0 * last.w, b=np.full(2, z))]
        delta = deltas(but(one, params=saturated))[3]
        assert (np.abs(delta) < math.exp(-z)).all()


def slope_matrices(one):
    """Sigma'(z^1), ..., Sigma'(z^L): diagonal matrices."""
    return [None, *(np.diag(sigma_prime(z)) for z in one.z[1:])]


def test_2_10_output_error_as_a_matrix_times_the_slope(one):
    expected = slope_matrices(one)[3] @ slope_by_a(one)
    np.testing.assert_allclose(deltas(one)[3], expected, rtol=1e-13)
    np.testing.assert_allclose(slopes(one, matrix_product)[3].b, expected, rtol=1e-13)


def test_2_11_bp2_as_matrices(one):
    S, delta = slope_matrices(one), deltas(one)
    for l in (1, 2):
        expected = S[l] @ one.w[l + 1].T @ delta[l + 1]
        np.testing.assert_allclose(delta[l], expected, rtol=1e-12)
        by_matrices = slopes(one, matrix_product)[l].b
        np.testing.assert_allclose(by_matrices, expected, rtol=1e-12)


def test_2_12_the_error_of_any_layer_as_one_product_of_matrices(one):
    S, w = slope_matrices(one), one.w
    product = S[1] @ w[2].T @ S[2] @ w[3].T @ S[3] @ slope_by_a(one)
    np.testing.assert_allclose(deltas(one)[1], product, rtol=1e-12)
    np.testing.assert_allclose(slopes(one, matrix_product)[1].b, product, rtol=1e-12)


# 2.5: the proof, step by step, each derivative by jax


@jax.jit
def output_jacobian(z):
    """da^L_k/dz^L_j as a matrix, rows k."""
    return jax.jacobian(jaxnet.sigmoid.fn)(z)


def test_2_13_output_error_is_the_derivative_by_z(one):
    slope = jax.jit(jax.grad(jaxnet.quadratic.value))(one.z[3], one.y)
    np.testing.assert_allclose(deltas(one)[3], slope, rtol=1e-13)


def test_2_14_chain_rule_over_all_outputs(one):
    slope, jacobian = slope_by_a(one), np.asarray(output_jacobian(one.z[3]))
    expected = [sum(slope[k] * jacobian[k, j] for k in range(2)) for j in range(2)]
    np.testing.assert_allclose(deltas(one)[3], expected, rtol=1e-13)


def test_2_15_an_output_depends_on_its_own_weighted_input_only(one):
    jacobian = np.asarray(output_jacobian(one.z[3]))
    assert (jacobian[~np.eye(2, dtype=bool)] == 0).all()
    expected = slope_by_a(one) * np.diag(jacobian)
    np.testing.assert_allclose(deltas(one)[3], expected, rtol=1e-13)


def test_2_16_which_is_bp1(one):
    jacobian = np.diag(output_jacobian(one.z[3]))
    np.testing.assert_allclose(jacobian, sigma_prime(one.z[3]), rtol=1e-13)
    expected = slope_by_a(one) * sigma_prime(one.z[3])
    np.testing.assert_allclose(deltas(one)[3], expected, rtol=1e-13)


@partial(jax.jit, static_argnames="l")
def next_z(params, z, l):
    """z^(l+1) as a function of z^l."""
    [next_z], _ = jaxnet.forward(params[l : l + 1], jaxnet.sigmoid.fn(z))
    return next_z


@partial(jax.jit, static_argnames="l")
def next_jacobian(params, z, l):
    """dz^(l+1)_k/dz^l_j as a matrix, rows k."""
    return jax.jacobian(next_z, argnums=1)(params, z, l)


def test_2_17_chain_rule_over_the_next_layer(one):
    for l in (1, 2):
        jacobian = np.asarray(next_jacobian(one.params, one.z[l], l))
        expected = jacobian.T @ truth(one)[l + 1]
        np.testing.assert_allclose(truth(one)[l], expected, rtol=1e-12)
        np.testing.assert_allclose(deltas(one)[l], expected, rtol=1e-12)


def test_2_18_the_next_weighted_input_by_components(one):
    for l in (1, 2):
        w, b, z = one.w[l + 1], one.b[l + 1], one.z[l]
        expected = [
            sum(w[k, j] * sigma(z[j]) for j in range(len(z))) + b[k]
            for k in range(len(b))
        ]
        actual = next_z(one.params, z, l)
        np.testing.assert_allclose(actual, expected, rtol=1e-13)
        np.testing.assert_allclose(one.z[l + 1], expected, rtol=1e-13)


def test_2_19_the_derivative_of_the_next_weighted_input(one):
    for l in (1, 2):
        expected = one.w[l + 1] * sigma_prime(one.z[l])[None]
        actual = next_jacobian(one.params, one.z[l], l)
        np.testing.assert_allclose(actual, expected, rtol=1e-12)


def test_2_20_which_is_bp2_by_components(one):
    delta = deltas(one)
    for l in (1, 2):
        for j, z in enumerate(one.z[l]):
            w_j = one.w[l + 1][:, j]
            total = sum(w_j[k] * delta[l + 1][k] for k in range(len(w_j)))
            assert delta[l][j] == pytest.approx(total * sigma_prime(z), rel=1e-12)


def test_exercise_prove_bp3_and_bp4(one):
    """dz^l_j/db^l_i and dz^l_j/dw^l_ik, so dC/db and dC/dw by the chain rule."""
    delta, found = truth(one), [slopes(one, each) for each in (autodiff, backprop)]
    for l, layer in enumerate(one.params, start=1):
        by = jax.jit(jax.jacobian(Layer.weigh))(layer, one.a[l - 1])
        identity = np.eye(len(layer.b))
        np.testing.assert_array_equal(by.b, identity)
        expected = np.einsum("ji,k->jik", identity, one.a[l - 1])
        np.testing.assert_allclose(by.w, expected, rtol=1e-13)
        for slope in found:
            by_chain = delta[l] @ np.asarray(by.b)
            np.testing.assert_allclose(slope[l].b, by_chain, rtol=1e-12)
            by_chain = np.einsum("j,jik->ik", delta[l], by.w)
            np.testing.assert_allclose(slope[l].w, by_chain, rtol=1e-12)


# 2.6 to 2.8: the algorithm, its exercises, and its rival


@pytest.mark.parametrize(
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
def test_the_backpropagation_algorithm_and_all_that_equal_it(x64, gradient):
    """Exact forms agree with the book's loops and with jax.grad in every layer."""
    params, x, y = network(SIZES)
    actual = compiled(gradient)(params, x, y)
    loops = [layer_of(*each) for each in numpy_gradient(params, x, y, "quadratic")]
    assert_close(actual, loops, rtol=1e-12)
    assert_close(actual, autodiff(params, x, y), rtol=1e-12)


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
    params, x, y = network(SIZES, hidden=hidden)
    zs, activations = forward(params, x[0])
    expected = sigma(zs[1])
    expected[3] = np.sin(zs[1][3])
    np.testing.assert_allclose(activations[2], expected, rtol=1e-13)
    gradient = backprop(params, x, y)
    assert_close(gradient, autodiff(params, x, y), rtol=1e-12)
    other = jax.tree.leaves(backprop(network(SIZES)[0], x, y))
    assert relative_error(jax.tree.leaves(gradient), other) > 1e-3


def test_exercise_backpropagation_with_linear_neurons(x64):
    """sigma' = 1 everywhere, and the network equals one with a single matrix."""
    params, x, y = network(SIZES, hidden=jaxnet.linear, output=jaxnet.linear)
    delta, _ = errors(params, x[0], y[0], jaxnet.linear_quadratic)
    output = predict(params, x[0])
    np.testing.assert_allclose(delta[2], output - y[0], rtol=1e-13)
    for l in (1, 0):
        expected = params[l + 1].w.T @ np.asarray(delta[l + 1])
        np.testing.assert_allclose(delta[l], expected, rtol=1e-13)
    by_hand, automatic = (
        gradient(params, x, y, jaxnet.linear_quadratic)
        for gradient in (backprop, autodiff)
    )
    assert_close(by_hand, automatic, rtol=1e-12)
    w, b = np.eye(3), np.zeros(3)
    for layer in params:
        w, b = layer.w @ w, layer.w @ b + layer.b
    np.testing.assert_allclose(w @ x[0] + b, output, rtol=1e-12)


def test_the_algorithm_for_a_mini_batch(x64):
    """Section 2.6: w steps by eta/m times the sum of delta a^T, b by that of delta."""
    params, x, y = network(SIZES)
    inside = [errors(params, x[i], y[i]) for i in range(6)]
    for l, layer in enumerate(stepped(params, x, y, 0.7)):
        by_w = sum(np.outer(delta[l], entering[l]) for delta, entering in inside)
        by_b = sum(np.asarray(delta[l]) for delta, _ in inside)
        expected = params[l].w - 0.7 / 6 * by_w
        np.testing.assert_allclose(layer.w, expected, rtol=1e-12)
        expected = params[l].b - 0.7 / 6 * by_b
        np.testing.assert_allclose(layer.b, expected, rtol=1e-12)


def test_problem_fully_matrix_based_mini_batches(x64):
    """Section 2.7: a column for each example gives the loop's gradients."""
    params, x, y = network(SIZES)
    loop = compiled(oracles.backprop_by_example)(params, x, y)
    by_matrix = compiled(oracles.backprop_by_matrix)(params, x, y)
    assert_close(by_matrix, loop, rtol=1e-12)
    assert_close(backprop(params, x, y), loop, rtol=1e-12)


def test_2_21_a_finite_difference_approximates_a_derivative(x64):
    """Its error is proportional to epsilon until rounding takes over."""
    params, x, y = network(SIZES)
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

L, J, K, DW = 1, 2, 1, 1e-6  # a small change of the weight w^1_21


@pytest.fixture
def moved(one):
    """The example after the change, with its activations by `forward`."""
    params = jax.tree.map(np.copy, one.params)
    params[L - 1].w[J, K] += DW
    _, a = jax.tree.map(np.asarray, forward(params, one.x))
    return but(one, params=params, a=a)


def change_of_cost(one, moved):
    return float(loss(moved.params, *alone(one))) - float(loss(one.params, *alone(one)))


def by_activation(one, l):
    """da^(l+1)_q/da^l_j = sigma'(z_q) w_qj, rows q."""
    return sigma_prime(one.z[l + 1])[:, None] * one.w[l + 1]


def test_2_22_a_small_change_of_a_weight_changes_the_cost(one, moved):
    for gradient in (autodiff, path_sum):
        expected = slopes(one, gradient)[L].w[J, K] * DW
        assert change_of_cost(one, moved) == pytest.approx(expected, rel=1e-4)


def test_2_23_it_changes_the_activation_of_its_neuron(one, moved):
    expected = sigma_prime(one.z[L][J]) * one.a[L - 1][K] * DW
    assert moved.a[L][J] - one.a[L][J] == pytest.approx(expected, rel=1e-4)


def test_2_24_which_changes_all_activations_of_the_next_layer(one, moved):
    expected = by_activation(one, L)[:, J] * (moved.a[L][J] - one.a[L][J])
    change = moved.a[L + 1] - one.a[L + 1]
    np.testing.assert_allclose(change, expected, rtol=1e-4)


def test_2_25_in_terms_of_the_change_of_the_weight(one, moved):
    rate = by_activation(one, L)[:, J] * sigma_prime(one.z[L][J]) * one.a[L - 1][K]
    change = moved.a[L + 1] - one.a[L + 1]
    np.testing.assert_allclose(change, rate * DW, rtol=1e-4)


def rate_along(path, one, k):
    """The product of rates along one path of neurons j, q, m from w^1_jk to C."""
    rate = sigma_prime(one.z[1][path[0]]) * one.a[0][k]
    for l, (j, q) in enumerate(itertools.pairwise(path), start=1):
        rate *= by_activation(one, l)[q, j]
    return rate * slope_by_a(one)[path[-1]]


def sum_over_paths(one, j, k):
    paths = itertools.product([j], range(5), range(2))
    return sum(rate_along(path, one, k) for path in paths)


def test_2_26_along_one_path_the_change_is_a_product_of_rates(one):
    """All other paths cut, what reaches the cost is what went along this one."""
    k, path = 1, (2, 4, 0)
    zs, activations = forward(one.params, one.x)

    def cost_along(dw):
        """C, linear in what the neurons off the path hold still."""
        a = jaxnet.sigmoid.fn(zs[0][path[0]] + dw * one.x[k])
        for l, (j, q) in enumerate(itertools.pairwise(path), start=1):
            change = a - activations[l][j]
            a = jaxnet.sigmoid.fn(zs[l][q] + one.w[l + 1][q, j] * change)
        output = activations[-1].at[path[-1]].set(a)
        return formula_of(jaxnet.quadratic)(output, one.y)

    rate = float(jax.jit(jax.grad(cost_along))(0.0))
    assert rate == pytest.approx(rate_along(path, one, k), rel=1e-12)


def test_2_27_over_all_paths_the_changes_add_up(one, moved):
    total = sum_over_paths(one, J, K)
    assert change_of_cost(one, moved) == pytest.approx(total * DW, rel=1e-4)
    by_paths = slopes(one, path_sum)[L].w[J, K]
    assert by_paths == pytest.approx(total, rel=1e-12)


def test_2_28_a_derivative_is_a_sum_over_paths(one):
    """Path by path, and as `path_sum` lists them."""
    slope = slopes(one, autodiff)
    for j, k in itertools.product(range(4), range(3)):
        assert slope[1].w[j, k] == pytest.approx(sum_over_paths(one, j, k), rel=1e-12)
    assert_close(slopes(one, path_sum)[1:], slope[1:], rtol=1e-12)
