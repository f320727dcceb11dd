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
)
from tests.helpers import (
    assert_close,
    compiled,
    formula_of,
    numpy_gradient,
    relative_error,
)

SIZES = [3, 4, 5, 2]
SQUARE = Activation(lambda z: z**2, lambda z: 2 * z, "square")
close = partial(np.testing.assert_allclose, rtol=1e-13)
demon, matrix_product, path_sum = map(
    compiled, (oracles.demon, oracles.matrix_product, oracles.path_sum)
)


@pytest.fixture
def one(x64):
    """A network, one example, and all that is inside by the book's loops.

    Lists are numbered as in the book: w[1] belongs to the first layer, a[0] is x. The
    slope of C by the outputs is by_a, and `truth` has the errors as derivatives by z.
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
    inside = SimpleNamespace(params=params, x=x, y=y, w=w, b=b, z=z, a=a)
    inside.by_a, inside.truth = a[3] - y, numbered(demon(params, x, y))
    return inside


def numbered(layers):
    """Layers or errors in NumPy, the first one being number 1."""
    return [None, *jax.tree.map(np.asarray, layers)]


def deltas(one):
    """delta^1, ..., delta^L by `errors`."""
    return numbered(errors(one.params, one.x, one.y)[0])


def alone(one):
    """The example as a mini-batch of six, for which everything is compiled anyway."""
    return np.tile(one.x, (6, 1)), np.tile(one.y, (6, 1))


def slopes(one, gradient):
    return numbered(gradient(one.params, *alone(one)))


# 2.1 to 2.3: notation, and what is asked of a cost


def test_2_1_and_2_3_activations_by_components_and_in_matrix_form(one):
    zs, activations = forward(one.params, one.x)
    for l in (1, 2, 3):
        for j, actual in enumerate(np.asarray(activations[l])):
            total = sum(w * a for w, a in zip(one.w[l][j], one.a[l - 1], strict=True))
            close(actual, 1 / (1 + math.exp(-total - one.b[l][j])), rtol=1e-14)
        close(zs[l - 1], one.w[l] @ one.a[l - 1] + one.b[l])
        close(activations[l], sigma(one.z[l]))


def test_2_2_a_vectorized_function_acts_on_each_element():
    np.testing.assert_array_equal(SQUARE.fn(jnp.array([2.0, 3.0])), [4, 9])


def test_2_4_the_cost_is_a_mean_over_examples(x64):
    """So its gradient is the mean of theirs."""
    params, x, y = network(SIZES)
    a = np.stack([predict(params, one_x) for one_x in x])
    close(loss(params, x, y), np.sum((y - a) ** 2) / (2 * 6), rtol=1e-14)
    repeated = [(np.tile(x[i], (6, 1)), np.tile(y[i], (6, 1))) for i in range(6)]
    singles = [jax.tree.map(np.asarray, autodiff(params, *one)) for one in repeated]
    mean = jax.tree.map(lambda *leaves: sum(leaves) / 6, *singles)
    assert_close(autodiff(params, x, y), mean, rtol=1e-13)


def test_2_5_the_cost_is_a_function_of_the_outputs(one):
    expected = sum((one.y[j] - one.a[3][j]) ** 2 for j in range(2)) / 2
    close(loss(one.params, *alone(one)), expected, rtol=1e-14)
    close(formula_of(jaxnet.quadratic)(one.a[3], one.y), expected, rtol=1e-14)


def test_2_6_hadamard_product():
    """The book's (1, 2) . (3, 4), of an error from above and of sigma' = 2z."""
    identity, nothing = np.eye(2), np.zeros(2)
    params = [layer_of(identity, nothing, each) for each in (SQUARE, jaxnet.linear)]
    z = np.array([1.5, 2.0])
    [delta, _], _ = errors(params, z, z**2 - [1, 2], jaxnet.linear_quadratic)
    np.testing.assert_array_equal(delta, [3, 8])


# 2.4: the four equations


def test_2_7_the_error_is_what_the_demon_gains(one):
    """A small dz at any neuron of any layer changes C by delta dz."""
    nudged_cost = jax.jit(oracles.nudged_cost)
    nothing = [np.zeros_like(b) for _, b in one.params]
    before = float(nudged_cost(one.params, one.x, one.y, nothing))
    for l, delta in enumerate(deltas(one)[1:]):
        for j, dz in itertools.product(range(len(delta)), (1e-5, -1e-5)):
            nudges = [*nothing[:l], dz * np.eye(len(delta))[j], *nothing[l + 1 :]]
            gain = float(nudged_cost(one.params, one.x, one.y, nudges)) - before
            assert abs(gain - delta[j] * dz) < dz**2
    assert_close(deltas(one)[1:], one.truth[1:], rtol=1e-13)


def test_bp1_and_bp1a_the_error_of_the_output_layer(one):
    """By components, and delta^L = grad_a C . sigma'(z^L) as a Hadamard product."""
    slope = jax.jit(jax.grad(formula_of(jaxnet.quadratic)))(one.a[3], one.y)
    close(slope, one.by_a)
    for delta in (deltas(one), one.truth):
        close(delta[3], np.asarray(slope) * sigma_prime(one.z[3]))
        for j in range(2):
            expected = (one.a[3][j] - one.y[j]) * sigma_prime(one.z[3][j])
            close(delta[3][j], expected)


def test_bp2_the_error_of_a_layer_from_the_next_one(one):
    for l in (1, 2):
        expected = (one.w[l + 1].T @ one.truth[l + 1]) * sigma_prime(one.z[l])
        close(deltas(one)[l], expected)
        close(one.truth[l], expected)


def test_bp3_and_2_8_the_derivative_by_a_bias_is_the_error(one):
    """In shorthand dC/db = delta, a vector for each layer."""
    for gradient in (backprop, autodiff):
        for l, (_, b) in enumerate(slopes(one, gradient)[1:], start=1):
            close(b, one.truth[l])
            close(b, deltas(one)[l])


def test_bp4_and_2_9_the_derivative_by_a_weight(one):
    """By components, and in shorthand dC/dw = a_in delta_out, an outer product."""
    entering = errors(one.params, one.x, one.y)[1]
    for gradient in (backprop, autodiff):
        for l, (w, _) in enumerate(slopes(one, gradient)[1:], start=1):
            for (j, k), actual in np.ndenumerate(w):
                close(actual, one.a[l - 1][k] * one.truth[l][j])
            close(w, np.outer(deltas(one)[l], entering[l - 1]))


def test_insight_a_weight_from_a_quiet_neuron_learns_slowly(one):
    """Section 2.4: by BP4 its derivative is proportional to a_in."""
    for quiet in (1e-3, 0.0):
        examples = np.tile(quiet * one.x, (6, 1)), np.tile(one.y, (6, 1))
        w, b = backprop(one.params, *examples)[0]
        most = quiet * np.linalg.norm(one.x) * np.linalg.norm(b)
        assert np.linalg.norm(w) <= most * (1 + 1e-12)


def test_insight_a_saturated_output_learns_slowly(one):
    """Section 2.4: by BP1 its error has the factor sigma', at most e^-z."""
    *hidden, last = one.params
    for z in (10.0, 20.0, 30.0):
        saturated = [*hidden, replace(last, w=0 * last.w, b=np.full(2, z))]
        delta = np.asarray(errors(saturated, one.x, one.y)[0][2])
        assert (np.abs(delta) < math.exp(-z)).all()


def test_2_10_to_2_12_errors_as_matrices(one):
    """Sigma'(z^l) is a diagonal matrix; (2.12) is one product of all the matrices."""
    S = [None, *(np.diag(sigma_prime(z)) for z in one.z[1:])]
    w, by_a, delta = one.w, one.by_a, deltas(one)
    expected = {
        3: S[3] @ by_a,  # (2.10)
        2: S[2] @ w[3].T @ delta[3],  # (2.11)
        1: S[1] @ w[2].T @ S[2] @ w[3].T @ S[3] @ by_a,  # (2.12)
    }
    by_matrices = slopes(one, matrix_product)
    for l, product in expected.items():
        close(delta[l], product)
        close(by_matrices[l].b, product)


# 2.5: the proof, step by step, each derivative by jax


@jax.jit
def output_jacobian(z):
    """da^L_k/dz^L_j as a matrix, rows k."""
    return jax.jacobian(jaxnet.sigmoid.fn)(z)


def test_2_13_to_2_16_the_proof_of_bp1(one):
    delta, by_a = deltas(one)[3], one.by_a
    close(delta, jax.jit(jax.grad(jaxnet.quadratic.value))(one.z[3], one.y))  # (2.13)
    jacobian = np.asarray(output_jacobian(one.z[3]))
    by_chain = [sum(by_a[k] * jacobian[k, j] for k in range(2)) for j in range(2)]
    close(delta, by_chain)  # (2.14)
    assert jacobian[0, 1] == jacobian[1, 0] == 0
    close(delta, by_a * np.diag(jacobian))  # (2.15)
    close(np.diag(jacobian), sigma_prime(one.z[3]))
    close(delta, by_a * sigma_prime(one.z[3]))  # (2.16)


@partial(jax.jit, static_argnames="l")
def next_z(params, z, l):
    """z^(l+1) as a function of z^l, and dz^(l+1)_k/dz^l_j as a matrix, rows k."""

    def weighted(z):
        [next_z], _ = jaxnet.forward(params[l : l + 1], jaxnet.sigmoid.fn(z))
        return next_z

    return weighted(z), jax.jacobian(weighted)(z)


@pytest.mark.parametrize("l", [1, 2])
def test_2_17_to_2_20_the_proof_of_bp2(one, l):
    delta, truth, w, z = deltas(one), one.truth, one.w[l + 1], one.z[l]
    actual, jacobian = map(np.asarray, next_z(one.params, z, l))
    for each in (delta, truth):
        close(each[l], jacobian.T @ truth[l + 1])  # (2.17)
    for k, b in enumerate(one.b[l + 1]):
        expected = sum(w[k, j] * sigma(z[j]) for j in range(len(z))) + b  # (2.18)
        close(actual[k], expected)
        close(one.z[l + 1][k], expected)
    close(jacobian, w * sigma_prime(z)[None])  # (2.19)
    for j, z_j in enumerate(z):
        total = sum(w[k, j] * delta[l + 1][k] for k in range(len(w)))
        close(delta[l][j], total * sigma_prime(z_j))  # (2.20)


def test_exercise_prove_bp3_and_bp4(one):
    """dz^l_j/db^l_i and dz^l_j/dw^l_ik, so dC/db and dC/dw by the chain rule."""
    found = [slopes(one, each) for each in (autodiff, backprop)]
    for l, layer in enumerate(one.params, start=1):
        by = jax.jit(jax.jacobian(Layer.weigh))(layer, one.a[l - 1])
        identity = np.eye(len(layer.b))
        np.testing.assert_array_equal(by.b, identity)
        close(by.w, np.einsum("ji,k->jik", identity, one.a[l - 1]))
        for slope in found:
            close(slope[l].b, one.truth[l] @ np.asarray(by.b))
            close(slope[l].w, np.einsum("j,jik->ik", one.truth[l], by.w))


# 2.6 to 2.8: the algorithm, its exercises, and its rival


SIGMOIDS = SIZES, jaxnet.sigmoid, jaxnet.quadratic
MIXED = SIZES, (jaxnet.tanh, jaxnet.linear)


@pytest.mark.parametrize(
    ("gradient", "sizes", "hidden", "cost"),
    [
        (oracles.backprop_by_example, *SIGMOIDS),
        (oracles.backprop_by_example, *MIXED, jaxnet.linear_quadratic),
        (oracles.backprop_by_matrix, *SIGMOIDS),
        (oracles.backprop_by_matrix, *MIXED, jaxnet.linear_quadratic),
        (oracles.complex_step, *SIGMOIDS),
        (oracles.complex_step, *MIXED, jaxnet.linear_quadratic),
        (oracles.matrix_product, *SIGMOIDS),
        (oracles.matrix_product, *MIXED, jaxnet.log_likelihood),
        (oracles.path_sum, *SIGMOIDS),
        (oracles.path_sum, *MIXED, jaxnet.log_likelihood),
        (oracles.path_sum, [3, 2], (), jaxnet.quadratic),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_the_backpropagation_algorithm_and_all_that_equal_it(
    x64, gradient, sizes, hidden, cost
):
    """Exact forms agree with the book's loops and with jax.grad in every layer.

    Among them the problem of 2.7, a matrix with a column for each example.
    """
    params, x, y = network(sizes, hidden=hidden, output=cost.output)
    actual = compiled(gradient)(params, x, y, cost)
    assert_close(actual, autodiff(params, x, y, cost), rtol=1e-12)
    if cost == jaxnet.quadratic:
        loops = [layer_of(*each) for each in numpy_gradient(params, x, y, "quadratic")]
        assert_close(actual, loops, rtol=1e-12)


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
    close(activations[2], expected)
    assert_close(backprop(params, x, y), autodiff(params, x, y), rtol=1e-12)


def test_exercise_backpropagation_with_linear_neurons(x64):
    """sigma' = 1 everywhere, and the network equals one with a single matrix."""
    params, x, y = network(SIZES, hidden=jaxnet.linear, output=jaxnet.linear)
    delta, _ = errors(params, x[0], y[0], jaxnet.linear_quadratic)
    _, activations = forward(params, x[0])
    close(delta[2], activations[3] - y[0])
    for l in (1, 0):
        close(delta[l], params[l + 1].w.T @ np.asarray(delta[l + 1]))
    by_hand, automatic = (
        gradient(params, x, y, jaxnet.linear_quadratic)
        for gradient in (backprop, autodiff)
    )
    assert_close(by_hand, automatic, rtol=1e-12)
    w, b = np.eye(3), np.zeros(3)
    for layer in params:
        w, b = layer.w @ w, layer.w @ b + layer.b
    close(w @ x[0] + b, activations[3])


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


def by_activation(one, l):
    """da^(l+1)_q/da^l_j = sigma'(z_q) w_qj, rows q."""
    return sigma_prime(one.z[l + 1])[:, None] * one.w[l + 1]


def change_of_cost(one, params):
    return float(loss(params, *alone(one))) - float(loss(one.params, *alone(one)))


def moved(one):
    """The network after the change."""
    params = jax.tree.map(np.copy, one.params)
    params[L - 1].w[J, K] += DW
    return params


def test_2_22_to_2_25_a_small_change_of_a_weight_spreads_through_the_network(one):
    for gradient in (autodiff, path_sum):
        expected = slopes(one, gradient)[L].w[J, K] * DW
        assert change_of_cost(one, moved(one)) == pytest.approx(expected, rel=1e-4)
    _, a = jax.tree.map(np.asarray, forward(moved(one), one.x))
    change = [after - before for after, before in zip(a, one.a, strict=True)]
    rate = sigma_prime(one.z[L][J]) * one.a[L - 1][K]
    close(change[L][J], rate * DW, rtol=1e-4)  # (2.23)
    onward = by_activation(one, L)[:, J]
    close(change[L + 1], onward * change[L][J], rtol=1e-4)  # (2.24)
    close(change[L + 1], onward * rate * DW, rtol=1e-4)  # (2.25)


def rate_along(path, one, k):
    """The product of rates along one path of neurons j, q, m from w^1_jk to C."""
    rate = sigma_prime(one.z[1][path[0]]) * one.a[0][k]
    for l, (j, q) in enumerate(itertools.pairwise(path), start=1):
        rate *= by_activation(one, l)[q, j]
    return rate * one.by_a[path[-1]]


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


def test_2_27_and_2_28_over_all_paths_the_changes_add_up(one):
    """To the derivative, path by path and as `path_sum` lists them."""
    slope, by_paths = slopes(one, autodiff), slopes(one, path_sum)
    for (j, k), actual in np.ndenumerate(slope[1].w):
        paths = itertools.product([j], range(5), range(2))
        total = sum(rate_along(path, one, k) for path in paths)
        close([actual, by_paths[1].w[j, k]], total)
        if (j, k) == (J, K):
            expected = pytest.approx(total * DW, rel=1e-4)
            assert change_of_cost(one, moved(one)) == expected
    assert_close(by_paths[1:], slope[1:], rtol=1e-12)
