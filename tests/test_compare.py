"""The comparison of gradients: its numbers, its diagnosis, and that both can fail.

The checker is checked by faults planted in the four equations, one at a time: it must
name the right equation and layer of each, and find nothing wrong with what is right.
"""

import re
from dataclasses import replace
from functools import partial
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import jaxnet
from jaxnet import backprop, compare_gradients, diagnose
from jaxnet.compare import (
    CandidateError,
    GradCheck,
    Prepared,
    ShapeError,
    check_gradient,
    probe,
    tolerance_for,
)
from jaxnet.compare.check import Stage
from jaxnet.compare.diagnosis import compare_at
from jaxnet.compare.leaves import compare_trees, ulps_between
from jaxnet.compare.points import Edge, edge_points
from jaxnet.compare.report import lines
from tests import faults
from tests.faults import at, backprop_with, bp1, bp2, bp3, bp4, with_grad
from tests.helpers import compiled, problem


def edit(l, **changes):
    """A change of layer l's gradient."""

    def change(gradient):
        new = list(gradient)
        layer = new[l - 1]
        fields = {name: f(getattr(layer, name)) for name, f in changes.items()}
        new[l - 1] = replace(layer, **fields)
        return new

    return with_grad(change)


def swap(gradient):
    return [gradient[1], gradient[0], *gradient[2:]]


EVERY_BIAS = {("BP3", 1), ("BP3", 2), ("BP3", 3)}
FAULTS = {
    "sigma' missing at the output": (
        backprop_with(bp1=lambda c: c.a[c.L] - c.y),
        {("BP1", 3)},
        "sigma'(z^3) is missing",
    ),
    "the sign of the output error": (
        backprop_with(bp1=lambda c: -bp1(c)),
        {("BP1", 3)},
        "the sign is wrong",
    ),
    "the cost without its 1/2": (
        backprop_with(bp1=lambda c: 2 * bp1(c)),
        {("BP1", 3)},
        "2 times what it should be",
    ),
    "sigma'(a) at the output": (
        backprop_with(bp1=lambda c: (c.a[c.L] - c.y) * jaxnet.sigmoid.prime(c.a[c.L])),
        {("BP1", 3)},
        "sigma'(a^3) in place of sigma'(z^3)",
    ),
    "one error of the output layer zero": (
        backprop_with(bp1=lambda c: bp1(c).at[:, 2].set(0)),
        {("BP1", 3)},
        "only at [2]",
    ),
    "sigma'(a) for sigma'(z)": (
        backprop_with(
            bp2=at(2, lambda c, l: c.delta[3] @ c.w[3] * c.prime[2](c.a[2]), bp2)
        ),
        {("BP2", 2)},
        "sigma'(a^2) in place of sigma'(z^2)",
    ),
    "sigma' missing in a hidden layer": (
        backprop_with(bp2=at(1, lambda c, l: c.delta[2] @ c.w[2], bp2)),
        {("BP2", 1)},
        "sigma'(z^1) is missing",
    ),
    "sigma' twice in a hidden layer": (
        backprop_with(bp2=at(1, lambda c, l: bp2(c, l) * c.prime[1](c.z[1]), bp2)),
        {("BP2", 1)},
        "one sigma'(z^1) too many",
    ),
    "sigma for sigma'": (
        backprop_with(bp2=at(2, lambda c, l: c.delta[3] @ c.w[3] * c.a[2], bp2)),
        {("BP2", 2)},
        "sigma(z^2) in place of sigma'(z^2)",
    ),
    "weights not transposed": (
        backprop_with(
            bp2=at(1, lambda c, l: c.delta[2] @ c.w[2].T * c.prime[1](c.z[1]), bp2)
        ),
        {("BP2", 1)},
        "w^2 is not transposed",
    ),
    "weights not transposed in any layer": (
        backprop_with(
            bp2=lambda c, l: c.delta[l + 1] @ c.w[l + 1].T * c.prime[l](c.z[l])
        ),
        {("BP2", 1), ("BP2", 2)},
        "w^2 is not transposed",
    ),
    "another layer's z": (
        backprop_with(
            bp2=at(2, lambda c, l: c.delta[3] @ c.w[3] * c.prime[2](c.z[1]), bp2)
        ),
        {("BP2", 2)},
        "sigma'(z^1) in place of sigma'(z^2)",
    ),
    "another layer's weights": (
        backprop_with(
            bp2=at(1, lambda c, l: c.delta[2] @ c.w[3] * c.prime[1](c.z[1]), bp2)
        ),
        {("BP2", 1)},
        "w^3 in place of w^2",
    ),
    "an error that skips a layer": (
        backprop_with(
            bp2=at(1, lambda c, l: c.delta[3] @ c.w[2] * c.prime[1](c.z[1]), bp2)
        ),
        {("BP2", 1)},
        "delta^3 in place of delta^2",
    ),
    "biases summed, not averaged": (
        backprop_with(bp3=lambda c, l: c.delta[l].sum(axis=0)),
        EVERY_BIAS,
        "summed over the mini-batch, not averaged",
    ),
    "a bias gradient 1 % off": (
        edit(1, b=lambda b: 1.01 * b),
        {("BP3", 1)},
        "1.01 times what it should be",
    ),
    "one bias gradient zero": (
        edit(2, b=lambda b: b.at[1].set(0)),
        {("BP3", 2)},
        "only at [1]",
    ),
    "all biases of a layer left out": (
        edit(2, b=jnp.zeros_like),
        {("BP3", 2)},
        "it is zero",
    ),
    "another layer's error for the bias": (
        backprop_with(bp3=at(1, lambda c, l: bp3(c, 2), bp3)),
        {("BP3", 1)},
        "delta^2 in place of delta^1",
    ),
    "the sign of one weight": (
        edit(1, w=lambda w: w.at[0, 1].multiply(-1)),
        {("BP4", 1)},
        "only at [0, 1]",
    ),
    "the activation of the layer before": (
        backprop_with(bp4=at(2, lambda c, l: c.delta[2].T @ c.a[0] / len(c.y), bp4)),
        {("BP4", 2)},
        "a^0 in place of a^1",
    ),
    "a stale activation, before sigma": (
        backprop_with(bp4=at(3, lambda c, l: c.delta[3].T @ c.z[2] / len(c.y), bp4)),
        {("BP4", 3)},
        "z^2 in place of a^2",
    ),
    "another layer's error for the weights": (
        backprop_with(bp4=at(2, lambda c, l: c.delta[3].T @ c.a[1] / len(c.y), bp4)),
        {("BP4", 2)},
        "delta^3 in place of delta^2",
    ),
    "a matrix of weights transposed": (
        edit(2, w=lambda w: w.T),
        {("BP4", 2)},
        "the matrix is transposed",
    ),
    "1/m missing for one matrix": (
        backprop_with(bp4=at(2, lambda c, l: bp4(c, l) * len(c.y), bp4)),
        {("BP4", 2)},
        "summed over the mini-batch, not averaged",
    ),
    "1/m missing": (
        backprop_with(
            bp3=lambda c, l: len(c.y) * bp3(c, l), bp4=lambda c, l: len(c.y) * bp4(c, l)
        ),
        {("2.4", 0)},
        "summed over the mini-batch, not averaged",
    ),
    "no bias in the forward pass": (
        faults.of_another_network(
            lambda params: [replace(p, b=0 * p.b) for p in params]
        ),
        {("2.3", 0)},
        "b^l is left out of z^l",
    ),
    "one bias forgotten": (
        faults.of_another_network(lambda p: [p[0], replace(p[1], b=0 * p[1].b), p[2]]),
        {("2.3", 2)},
        "b^2 is left out of z^2",
    ),
    "a matrix transposed in the forward pass": (
        faults.of_another_network(lambda p: [replace(p[0], w=p[0].w.T), *p[1:]]),
        {("2.3", 1)},
        "w^1 is transposed",
    ),
    "another activation": (
        faults.with_hidden(lambda own: jaxnet.tanh),
        {("2.3", 0)},
        "a^l is made by tanh",
    ),
    "sigma forgotten, but not sigma'": (
        faults.with_hidden(lambda own: replace(own, fn=jaxnet.linear.fn)),
        {("2.3", 0)},
        "a^l is made by no activation",
    ),
    "a number written out in place of m": (
        faults.by_seven,
        {("2.4", 0)},
        "divided by 7, whatever the number of examples",
    ),
    "a factor, and the mean": (
        with_grad(partial(jax.tree.map, lambda g: g / 7)),
        {("BP1", 3)},
        "0.1428571429 times what it should be",
    ),
    "the last row dropped": (
        faults.without_last_row,
        {("2.4", 0)},
        "example 2 of 0 to 2 is left out",
    ),
    "one example counted twice": (
        faults.first_twice,
        {("2.4", 0)},
        "examples weighted 0.5, 0.25, 0.25",
    ),
    "two layers swapped": (
        with_grad(swap),
        {("BP3", 1), ("BP4", 1), ("BP3", 2), ("BP4", 2)},
        "the gradient of w^1 in place of that of w^2",
    ),
    "all of it in float32": (
        faults.in_float32,
        {("BP1 to BP4", 0)},
        "as if computed in float32",
    ),
    "a sum in float32": (
        backprop_with(bp4=at(1, faults.sum_in_float32, bp4)),
        {("BP4", 1)},
        "float32",
    ),
    "nan in one layer": (
        edit(2, w=lambda w: w.at[0, 0].set(jnp.nan)),
        {("BP4", 2)},
        "nan or infinity",
    ),
    "two faults at once": (
        backprop_with(
            bp1=lambda c: c.a[c.L] - c.y, bp3=at(1, lambda c, l: 0 * bp3(c, l), bp3)
        ),
        {("BP1", 3), ("BP3", 1)},
        "sigma'(z^3) is missing",
    ),
}


def named(rows):
    return {(row.name, row.layer) for row in rows}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_planted_fault_is_caught_with_its_equation_and_layer(x64, fault):
    wrong, expected, words = fault
    rows = diagnose(wrong, *probe(hidden_layers=2))
    assert named(rows) == expected
    assert words in " / ".join(row.words for row in rows)


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_planted_fault_differs_from_jax_grad(fault):
    found = compare_gradients(
        fault[0],
        compiled(jaxnet.autodiff),
        *problem([4, 4, 4, 4], m=3),
        cost=jaxnet.quadratic,
    )
    assert not found.agrees


def test_a_fault_of_cross_entropy_and_one_of_relu_are_named(x64):
    squared = backprop_with(bp1=lambda c: bp1(c) * jaxnet.sigmoid.prime(c.z[c.L]))
    rows = diagnose(squared, *probe(2), jaxnet.cross_entropy)
    assert named(rows) == {("BP1", 3)}
    assert rows[0].words == "one sigma'(z^3) too many"
    always_on = backprop_with(bp2=lambda c, l: c.delta[l + 1] @ c.w[l + 1])
    rows = diagnose(always_on, *probe(2, hidden=jaxnet.relu))
    assert named(rows) == {("BP2", 1), ("BP2", 2)}


@pytest.mark.parametrize("hidden_layers", range(5))
@pytest.mark.parametrize("gradient", [backprop, jaxnet.autodiff, backprop_with()])
def test_what_is_right_breaks_no_equation(x64, gradient, hidden_layers):
    assert diagnose(gradient, *probe(hidden_layers)) == []


COSTS = [jaxnet.quadratic, jaxnet.cross_entropy, jaxnet.linear_quadratic]
HIDDEN = [jaxnet.sigmoid, jaxnet.tanh, jaxnet.relu, jaxnet.linear]


@pytest.mark.slow
def test_backprop_passes_on_1000_random_networks(x64):
    """Of 10 shapes, 1 to 4 layers, every cost and activation."""
    rng, networks = np.random.default_rng(0), 100
    for i in range(10):
        sizes = [int(n) for n in rng.integers(1, 9, rng.integers(2, 6))]
        m, cost, hidden = int(rng.integers(1, 11)), COSTS[i % 3], HIDDEN[i % 4]
        sigmas = [hidden] * (len(sizes) - 2) + [cost.output]
        params = [
            jaxnet.Layer(
                w=jnp.asarray(rng.normal(size=(networks, n_out, n_in))),
                b=jnp.asarray(rng.normal(size=(networks, n_out))),
                activation=sigma,
            )
            for (n_in, n_out), sigma in zip(pairwise(sizes), sigmas, strict=True)
        ]
        x = jnp.asarray(rng.normal(size=(networks, m, sizes[0])))
        y = jnp.asarray(rng.uniform(size=(networks, m, sizes[-1])))
        one, other = (
            jax.tree.map(
                np.asarray,
                jax.jit(jax.vmap(partial(f, cost=cost)))(params, x, y),
            )
            for f in (backprop, jaxnet.autodiff)
        )
        tolerance = tolerance_for("float64", max([*sizes, m]))
        for k in range(networks):
            left, right = jax.tree.map(lambda a, k=k: a[k], (one, other))
            assert compare_trees(left, right, tolerance).agrees, (sizes, k)


# The numbers of a comparison


def test_any_two_functions_of_any_pytree():
    def value(tree, scale):
        return scale * jnp.sum(jnp.sin(tree["a"]) * tree["b"])

    def by_hand(tree, scale):
        return {
            "a": scale * jnp.cos(tree["a"]) * tree["b"],
            "b": scale * jnp.sin(tree["a"]),
        }

    tree = {"a": jnp.array([0.1, 0.2]), "b": jnp.array([1.0, -2.0])}
    found = compare_gradients(by_hand, jax.grad(value), tree, 3.0)
    assert found.agrees and found.dtype == "float64"
    assert [leaf.name for leaf in found.leaves] == ["['a']", "['b']"]
    assert found.relative_error < 1e-15
    wrong = compare_gradients(
        lambda *args: by_hand(*args) | {"b": jnp.zeros(2)}, jax.grad(value), tree, 3.0
    )
    assert [leaf.agrees for leaf in wrong.leaves] == [True, False]


def test_float64_is_used_whatever_the_setting_and_float32_on_request():
    seen = []

    def gradient(x):
        seen.append(x.dtype)
        return x

    compare_gradients(gradient, gradient, jnp.ones(3))
    compare_gradients(gradient, gradient, jnp.ones(3), dtype="float32")
    assert [str(dtype) for dtype in seen] == ["float64"] * 2 + ["float32"] * 2


def test_the_measures_of_a_leaf():
    right = np.array([[3.0, 0.0], [0.0, 4.0]])
    wrong = np.array([[3.0, 0.0], [0.0, 4.5]])
    [leaf] = compare_trees([wrong], [right], 1e-3).leaves
    assert leaf.reference_norm == 5 and leaf.norm == pytest.approx(np.hypot(3, 4.5))
    assert leaf.relative_error == pytest.approx(0.1)
    assert leaf.max_absolute == 0.5 and leaf.max_elementwise == pytest.approx(0.125)
    assert leaf.worst == (1, 1)
    assert (leaf.worst_value, leaf.worst_reference) == (4.5, 4.0)
    cosine = (9 + 18) / (5 * np.hypot(3, 4.5))
    assert leaf.one_minus_cosine == pytest.approx(1 - cosine)
    assert leaf.ulp_median == 0 and leaf.ulp_max == 0.5 / np.spacing(4.0)
    assert not leaf.agrees


def test_small_elements_are_measured_against_a_floor():
    right, wrong = np.array([1.0, 0.0]), np.array([1.0, 1e-6])
    [leaf] = compare_trees([wrong], [right], 1e-3).leaves
    assert leaf.max_elementwise == pytest.approx(1e-3)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_never_agree(bad):
    [leaf] = compare_trees([np.array([1.0, bad])], [np.array([1.0, 2.0])], 1e9).leaves
    assert not leaf.agrees and leaf.worst == (1,)


def test_zero_agrees_with_zero_only():
    zero = np.zeros(3)
    assert compare_trees([zero], [zero], 1e-12).agrees
    assert not compare_trees([zero + 1e-300], [zero], 1e-12).agrees
    assert not compare_trees([zero], [zero + 1e-300], 1e-12).agrees


@given(st.floats(-1e308, 1e308))
def test_ulps_count_the_numbers_between(x):
    here, after = np.array([x]), np.array([np.nextafter(x, np.inf)])
    assert ulps_between(here, after) == ulps_between(after, here) == 1
    assert ulps_between(here, here) == 0


def test_ulps_go_through_zero_and_do_not_overflow():
    tiny, huge = np.array([5e-324]), np.array([np.finfo(float).max])
    assert ulps_between(-tiny, tiny) == 2
    assert ulps_between(-huge, huge) > 2**63
    assert ulps_between(np.ones(1, np.float32), np.full(1, 1 + 2**-23, np.float32)) == 1


def test_other_shapes_are_refused_by_name(x64):
    params, x, y = problem([3, 4, 2])
    gradient = backprop(params, x, y)
    transposed = [replace(gradient[0], w=gradient[0].w.T), gradient[1]]
    with pytest.raises(ShapeError, match=r"w\^1 of shape \(4, 3\), got.*Transposed"):
        compare_trees(transposed, gradient, 1.0)
    with pytest.raises(ShapeError, match="4 arrays, like the reference's, got 2"):
        compare_trees(gradient[:1], gradient, 1.0)


def test_layers_of_other_activations_and_pairs_are_compared_by_their_arrays(x64):
    params, x, y = problem([3, 4, 2], hidden=jaxnet.tanh)
    gradient = backprop(params, x, y)
    pairs = [(w, b) for w, b in gradient]
    for same in ([jaxnet.Layer(w, b) for w, b in pairs], pairs, tuple(gradient)):
        found = compare_trees(same, gradient, 1e-12)
        assert found.agrees and found.relative_error == 0

    def in_pairs(params, x, y, cost):
        return [tuple(layer) for layer in backprop(params, x, y, cost)]

    assert diagnose(in_pairs, params, x, y) == []


def test_the_tolerance_grows_with_the_precision_and_the_longest_sum():
    assert tolerance_for("float64", 784) == pytest.approx(1.6e-12, rel=0.01)
    assert tolerance_for("float32", 784) > tolerance_for("float32", 30) > 1e-5


# The whole examination


def numpy_backprop(params, x, y):
    """What a reader of the book writes: NumPy, pairs, no options.

    sigma' is a (1 - a), which is 0 at z = 40.
    """
    slopes = {
        jaxnet.sigmoid: lambda a: a * (1 - a),
        jaxnet.tanh: lambda a: 1 - a**2,
        jaxnet.relu: lambda a: 1.0 * (a > 0),
        jaxnet.linear: np.ones_like,
    }
    x, y, singles = np.asarray(x), np.asarray(y), []
    w = [np.asarray(layer.w) for layer in params]
    for one_x, one_y in zip(x, y, strict=True):
        activations = [one_x]
        for layer in params:
            z = np.asarray(layer.w) @ activations[-1] + np.asarray(layer.b)
            activations.append(np.asarray(layer.activation.fn(z)))
        delta, gradient = activations[-1] - one_y, []
        for l in reversed(range(len(params))):
            delta = delta * slopes[params[l].activation](activations[l + 1])
            gradient.insert(0, (np.outer(delta, activations[l]), delta))
            delta = w[l].T @ delta
        singles.append(gradient)
    return [
        [sum(leaves) / len(x) for leaves in zip(*layers, strict=True)]
        for layers in zip(*singles, strict=True)
    ]


@pytest.fixture(scope="module")
def small():
    params, x, y = problem([6, 5, 4], m=20)
    return params, jaxnet.Dataset(x, y)


def examine(gradient, small, **options):
    params, data = small
    candidate, reference = Prepared(gradient, "mine"), Prepared(jaxnet.autodiff)
    return check_gradient(candidate, params, data, reference=reference, **options)


def test_options_without_names_are_given_in_their_places(small):
    def by_place(params, x, y, cost=jaxnet.quadratic, /):
        return backprop(params, x, y, cost)

    options = {"epochs": (0,), "edges": False, "cost": jaxnet.cross_entropy}
    found = examine(by_place, small, **options)
    assert found.agrees and found.work[1].compile_seconds is not None


def test_a_gradient_in_numpy_without_options_is_examined(small):
    found = examine(numpy_backprop, small)
    assert found.agrees
    assert [s.comparison.dtype for s in found.stages] == ["float64", "float32"] * 2
    names = [edge.name for edge in found.edges]
    assert "relu neurons" in names and "cross-entropy" not in names
    assert found.work[1].compile_seconds is None
    assert found.complex_step_error is not None and found.curve is not None
    assert found.complex_step_error < 1e-12
    assert min(found.curve.central) < 1e-8 < min(found.curve.forward)
    text = "\n".join(lines(found, "mine", "autodiff"))
    assert "mine agrees with autodiff" in text and "BROKEN" not in text


def test_a_wrong_gradient_is_told_its_equation_in_words(small):
    wrong = FAULTS["sigma'(a) for sigma'(z)"][0]
    found = examine(wrong, small, cost=jaxnet.quadratic, epochs=(0,))
    assert not found.agrees
    text = "\n".join(lines(found, "mine", "autodiff"))
    assert "BP2 is broken in layer 2: sigma'(a^2) in place of sigma'(z^2)." in text


def test_a_gradient_for_sigmoids_need_not_know_other_activations(small):
    def for_sigmoids(params, x, y, cost):
        *hidden, last = params
        hidden = [replace(layer, activation=jaxnet.sigmoid) for layer in hidden]
        return backprop([*hidden, last], x, y, cost)

    found = examine(for_sigmoids, small, epochs=(0,))
    wrong = [edge.name for edge in found.edges if not edge.agrees]
    assert "tanh neurons" in wrong and found.agrees
    text = "\n".join(lines(found, "mine", "autodiff"))
    assert "DIFFERS, not counted: these neurons were not asked for" in text
    assert "mine agrees with autodiff" in text


def test_what_is_right_at_one_network_only_is_said_to_be(small):
    def stops_at_two_layers(params, x, y, cost):
        assert len(params) == 2, "two layers only"
        return backprop(params, x, y, cost)

    found = examine(stops_at_two_layers, small, epochs=(0,))
    assert not found.agrees
    failed = [edge for edge in found.edges if not edge.agrees]
    assert all("two layers only" in edge.trouble for edge in failed)
    assert "AssertionError in line" in failed[0].trouble
    text = "\n".join(lines(found, "mine", "autodiff"))
    assert "At the network above it is right, but not at: no hidden layers" in text


def test_a_network_that_training_breaks_is_not_compared(small):
    params, data = small
    linear = [replace(layer, activation=jaxnet.linear) for layer in params]
    steep = linear, replace(data, x=1e3 * data.x)
    cost = jaxnet.linear_quadratic
    found = examine(backprop, steep, epochs=(0, 9), edges=False, cost=cost)
    assert [stage.epochs for stage in found.stages] == [0, 0]
    assert found.diverged_after == 9
    text = "\n".join(lines(found, "mine", "autodiff"))
    assert "Trained for 9 epochs the network is not finite: not compared." in text


def test_what_is_wrong_in_float32_only_is_said_to_be(small):
    def single(params, x, y, cost):
        slope = backprop(params, x, y, cost)
        factor = 1.0 + 0.01 * (x.dtype == jnp.float32)
        return jax.tree.map(lambda leaf: factor * leaf, slope)

    found = examine(single, small, epochs=(0,), edges=False)
    text = "\n".join(lines(found, "mine", "autodiff"))
    assert not found.agrees and not found.broken
    assert "All equations hold in a small network; look at float32." in text


def test_an_edge_point_that_the_reference_does_not_take_is_left_out():
    def two_layers(params, x, y, cost):
        assert len(params) == 2
        return backprop(params, x, y, cost)

    with jax.enable_x64(True):
        edges = list(edge_points(Prepared(backprop), Prepared(two_layers)))
    assert edges and all(edge.agrees for edge in edges)
    assert "no hidden layers" not in [edge.name for edge in edges]


def test_what_a_candidate_without_a_source_raises_is_told_too(small):
    class Broken:
        def __call__(self, params, x, y):
            raise KeyError("w")

    with pytest.raises(CandidateError, match="mine raised KeyError: 'w'"):
        examine(Broken(), small)


def test_what_a_candidate_raises_names_its_line(small):
    def broken(params, x, y):
        return params[5]

    with pytest.raises(CandidateError, match=r"IndexError in line \d+ of .*test_comp"):
        examine(broken, small)


def test_bytes_stand_for_byte_256_here_too(small):
    def tells(params, x, y):
        raise KeyError(float(x[0, 0]))

    params, data = small
    x = jnp.full(data.x.shape, 128, jnp.uint8)
    with pytest.raises(CandidateError, match=r"KeyError.*: 0\.5"):
        examine(tells, (params, replace(data, x=x)))


def test_a_finding_is_plain_data(small):
    found = examine(partial(backprop), small, epochs=(0,), edges=False)
    plain = found.as_dict()
    assert plain["agrees"] is True and plain["edges"] == []
    assert plain["stages"][0]["comparison"]["leaves"][0]["name"] == "w^1"


# What a second pair of eyes found


@pytest.mark.parametrize("wrong", [lambda x: x + 1e-3j, lambda x: x.astype(str)])
def test_what_is_not_a_real_number_is_refused(wrong):
    with pytest.raises(ShapeError, match="real numbers"):
        compare_gradients(lambda x: wrong(np.asarray(x)), lambda x: x, jnp.ones(3))


def test_nothing_to_compare_is_refused():
    with pytest.raises(ShapeError, match="at least one array"):
        compare_trees([], [], 1.0)


# Where neurons saturate at 1, jax.grad rounds a (1 - a), and backprop does not


def saturated(layer, z):
    """A probe in which the weighted inputs of a layer are all about z."""
    params, x, y = probe(2)
    w, b = params[layer - 1]
    params[layer - 1] = replace(params[layer - 1], w=0.1 * w, b=jnp.full_like(b, z))
    return params, x, y


def agrees_with_autodiff(gradient, params, x, y):
    reference = compiled(jaxnet.autodiff)
    return compare_at(gradient, reference, params, x, y, jaxnet.quadratic).agrees


def sigma_prime_from_a(c, l):
    return c.a[l] * (1 - c.a[l])


AS_IN_THE_BOOK = backprop_with(
    bp1=lambda c: (c.a[c.L] - c.y) * sigma_prime_from_a(c, c.L),
    bp2=lambda c, l: c.delta[l + 1] @ c.w[l + 1] * sigma_prime_from_a(c, l),
)


@pytest.mark.parametrize("layer", [1, 2, 3])
@pytest.mark.parametrize("z", [10.0, 20.0, 30.0, 40.0, 100.0])
@pytest.mark.parametrize("gradient", [backprop, AS_IN_THE_BOOK])
def test_what_is_right_is_right_where_neurons_saturate(x64, gradient, z, layer):
    at, gradient = saturated(layer, z), compiled(gradient)
    assert diagnose(gradient, *at) == []
    assert agrees_with_autodiff(gradient, *at)


@pytest.mark.parametrize("layer", [1, 2, 3])
@pytest.mark.parametrize("z", [10.0, 20.0, 30.0])
def test_a_fault_of_1_percent_is_seen_where_neurons_saturate(x64, z, layer):
    """At z = 30, jax.grad knows sigma' to 0.1 %."""

    def wrong(params, x, y, cost):
        return jax.tree.map(lambda g: 1.01 * g, compiled(backprop)(params, x, y, cost))

    at = saturated(layer, z)
    assert diagnose(wrong, *at) != []
    assert not agrees_with_autodiff(wrong, *at)


@pytest.mark.parametrize("layer", [1, 2, 3])
def test_a_missing_slope_is_named_where_nothing_is_left_of_it(x64, layer):
    where = saturated(layer, 40.0)
    missing = {
        3: backprop_with(bp1=lambda c: c.a[c.L] - c.y),
        2: backprop_with(bp2=at(2, lambda c, l: c.delta[3] @ c.w[3], bp2)),
        1: backprop_with(bp2=at(1, lambda c, l: c.delta[2] @ c.w[2], bp2)),
    }
    rows = diagnose(compiled(missing[layer]), *where)
    assert {(row.layer, row.words) for row in rows} == {
        (layer, f"sigma'(z^{layer}) is missing")
    }
    assert not agrees_with_autodiff(compiled(missing[layer]), *where)


def test_a_gradient_is_not_0_where_jax_grad_is(x64):
    def too_large(params, x, y, cost):
        return jax.tree.map(lambda g: g + 1e-9, compiled(backprop)(params, x, y, cost))

    at = saturated(3, 40.0)
    assert not jaxnet.autodiff(*at)[2].b.any()
    assert ("BP3", 3) in named(diagnose(too_large, *at))


def test_a_small_gradient_is_compared_as_closely_as_a_large_one(x64):
    def wrong(params, x, y, cost):
        first, *rest = compiled(jaxnet.autodiff)(params, x, y, cost)
        assert jnp.linalg.norm(first.b) < 1e-16
        return [replace(first, b=(1 + 1e-9) * first.b), *rest]

    params, x, y = probe(3)
    at = [replace(layer, w=1e-5 * layer.w) for layer in params], x, y
    assert named(diagnose(wrong, *at)) == {("BP3", 1)}
    assert not agrees_with_autodiff(wrong, *at)


def test_a_difference_that_is_rounding_is_not_reported_as_infinite():
    stage = Stage(0, compare_trees([np.ones(1)], [np.ones(1)], 1e-12))
    edges = [Edge("right", np.inf, 1e-12, True), Edge("wrong", np.inf, 1e-12, False)]
    text = "\n".join(lines(GradCheck([stage], edges=edges), "mine", "autodiff"))
    assert re.search("right +rounding  agrees", text)
    assert re.search("wrong +inf  DIFFERS", text)


def test_the_derivative_of_an_activation_is_judged_by_the_activation(x64):
    wrong = jaxnet.Activation(jnp.tanh, lambda z: 1 - z**2)
    assert named(diagnose(backprop, *probe(2, hidden=wrong))) == {
        ("BP2", 1),
        ("BP2", 2),
    }


def test_a_mean_over_all_but_the_last_row_is_named_though_one_row_breaks_it(x64):
    def without_last(params, x, y, cost):
        right = jax.tree.map(np.asarray, backprop(params, x, y, cost))
        last = jax.tree.map(np.asarray, backprop(params, x[-1:], y[-1:], cost))
        m = len(x)
        rest = 1 / (m - 1)  # of a mini-batch of one there is nothing left
        return jax.tree.map(lambda a, b: (m * a - b) * rest, right, last)

    rows = diagnose(Prepared(without_last), *probe(2))
    assert named(rows) == {("2.4", 0)}
    assert rows[0].words == "example 2 of 0 to 2 is left out"


def test_log_likelihood_is_diagnosed_where_the_book_s_delta_holds(small):
    book = backprop_with(
        bp1=lambda c: c.a[c.L] - c.y, bp4=at(1, lambda c, l: 1.01 * bp4(c, l), bp4)
    )
    params, data = small
    one_hot = jax.nn.one_hot(jnp.arange(20) % 4, 4)
    softmax = [params[0], replace(params[1], activation=jaxnet.softmax)]
    found = examine(
        book,
        (softmax, replace(data, y=one_hot)),
        cost=jaxnet.log_likelihood,
        epochs=(0,),
        edges=False,
    )
    assert named(found.broken) == {("BP4", 1)}
