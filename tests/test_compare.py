"""The comparison of gradients: its numbers, its report, and what is right at the edges.

What it says of wrong gradients is in test_candidates.py and test_compare_images.py.
"""

import re
from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnet
from jaxnet import backprop, compare_gradients, diagnose
from jaxnet.compare import (
    Candidate,
    CandidateError,
    Examination,
    ShapeError,
    edge_points,
    examine,
    probe,
    tolerance_for,
)
from jaxnet.compare.comparison import compare_trees
from jaxnet.compare.examination import Stage
from jaxnet.compare.internals import Problem, compare_at, internals
from jaxnet.compare.measures import ulps_between
from jaxnet.compare.report import lines
from tests.equations import sigma
from tests.helpers import compiled, numpy_gradient, problem


def by_hand(params, x, y, without=0, change=lambda g: g):
    """The book's gradient in NumPy, without sigma' in a layer, and then changed."""
    a, gradient = [np.asarray(x)], []
    for w, b in params:
        a.append(sigma(a[-1] @ np.asarray(w).T + np.asarray(b)))
    delta = a[-1] - np.asarray(y)
    for l in reversed(range(len(params))):
        if l + 1 != without:
            delta = delta * a[l + 1] * (1 - a[l + 1])
        gradient.insert(0, (delta.T @ a[l] / len(x), delta.mean(axis=0)))
        delta = delta @ np.asarray(params[l].w)
    return jax.tree.map(change, gradient)


def changed(change):
    """The book's gradient, each array changed."""
    return partial(by_hand, change=change)


def agrees_with_autodiff(gradient, *at):
    return compare_at(Candidate(gradient), Problem(*at)).agrees


def named(rows):
    return ", ".join(sorted(f"{row.name} {row.layer}" for row in rows))


# The numbers of a comparison


def test_any_two_functions_of_any_pytree_are_compared_in_float64():
    @jax.jit
    @jax.grad
    def automatic(tree, scale):
        return scale * jnp.sum(jnp.sin(tree["a"]) * tree["b"])

    def by_hand(tree, scale):
        a, b = np.asarray(tree["a"]), np.asarray(tree["b"])
        return {"a": scale * np.cos(a) * b, "b": scale * np.sin(a)}

    tree = {"a": np.array([0.1, 0.2]), "b": np.array([1.0, -2.0])}
    found = compare_gradients(by_hand, automatic, tree, 3.0)
    assert found.agrees and found.dtype == "float64"
    assert [leaf.name for leaf in found.leaves] == ["['a']", "['b']"]
    assert found.relative_error < 1e-15
    wrong = compare_gradients(
        lambda *args: by_hand(*args) | {"b": np.zeros(2)}, automatic, tree, 3.0
    )
    assert [leaf.agrees for leaf in wrong.leaves] == [True, False]
    found = compare_gradients(by_hand, by_hand, tree, 3.0, dtype="float32")
    assert found.dtype == "float32"


def test_the_measures_of_a_leaf():
    right = np.array([[3.0, 0.0], [0.0, 4.0]])
    wrong = np.array([[3.0, 0.0], [0.0, 4.5]])
    [leaf] = compare_trees([wrong], [right], 1e-3).leaves
    assert leaf.reference_norm == 5 and leaf.norm == pytest.approx(np.hypot(3, 4.5))
    assert leaf.relative_error == pytest.approx(0.1)
    assert leaf.max_absolute == 0.5 and leaf.max_elementwise == pytest.approx(0.125)
    assert (leaf.worst, leaf.worst_value, leaf.worst_reference) == ((1, 1), 4.5, 4.0)
    cosine = (9 + 18) / (5 * np.hypot(3, 4.5))
    assert leaf.one_minus_cosine == pytest.approx(1 - cosine)
    assert leaf.ulps == (0, 0, 0.5 / np.spacing(4.0))
    assert not leaf.agrees
    [leaf] = compare_trees([np.array([1.0, 1e-6])], [np.array([1.0, 0])], 1e-3).leaves
    assert leaf.max_elementwise == pytest.approx(1e-3)  # not infinite


def test_nan_and_infinity_never_agree_and_zero_with_zero_only():
    for bad in (np.nan, np.inf):
        [leaf] = compare_trees([np.array([1, bad])], [np.array([1.0, 2])], 1e9).leaves
        assert not leaf.agrees and leaf.worst == (1,)
    zero, empty = np.zeros(3), np.zeros((0, 2))
    assert compare_trees([zero, empty], [zero, empty], 1e-12).agrees
    assert not compare_trees([zero + 1e-300], [zero], 1e-12).agrees
    assert not compare_trees([zero], [zero + 1e-300], 1e-12).agrees


def test_ulps_count_the_numbers_between():
    """Through zero, too, and without overflow."""
    for x in (-1e308, -1.0, -5e-324, 0.0, 1e-310, 0.1, 1e308):
        here, after = np.array([x]), np.array([np.nextafter(x, np.inf)])
        assert ulps_between(here, after) == ulps_between(after, here) == 1
        assert ulps_between(here, here) == 0
    tiny, huge = np.array([5e-324]), np.array([np.finfo(float).max])
    assert ulps_between(-tiny, tiny) == 2
    assert ulps_between(-huge, huge) > 2**63
    assert ulps_between(np.ones(1, np.float32), np.full(1, 1 + 2**-23, np.float32)) == 1


def test_arrays_that_cannot_be_compared_are_refused_by_name():
    gradient, _, _ = problem([3, 4, 2])
    transposed = [replace(gradient[0], w=gradient[0].w.T), gradient[1]]
    strings = [replace(gradient[0], b=np.asarray(gradient[0].b).astype(str))]
    for wrong, message in (
        (transposed, r"w\^1 of shape \(4, 3\), got.*Transposed"),
        (gradient[:1], r"4 arrays, like the reference's, got 2.*missing w\^2, b\^2"),
        ([*strings, gradient[1]], r"b\^1 of real numbers"),
        (jax.tree.map(lambda a: np.asarray(a) + 1e-3j, gradient), "real numbers"),
    ):
        with pytest.raises(ShapeError, match=message):
            compare_trees(wrong, gradient, 1.0)
    with pytest.raises(ShapeError, match="at least one array"):
        compare_trees([], [], 1.0)


def test_layers_of_other_activations_and_pairs_are_compared_by_their_arrays(x64):
    gradient = problem([3, 4, 2], hidden=jaxnet.tanh)[0]
    pairs = [(w, b) for w, b in gradient]
    for same in ([jaxnet.Layer(w, b) for w, b in pairs], pairs, tuple(gradient)):
        assert compare_trees(same, gradient, 1e-12).relative_error == 0


def test_the_tolerance_grows_with_the_precision_and_the_longest_sum():
    assert tolerance_for("float64", 784) == pytest.approx(1.6e-12, rel=0.01)
    assert tolerance_for("float32", 784) > tolerance_for("float32", 30) > 1e-5


# The whole examination


@pytest.fixture(scope="module")
def small():
    params, x, y = problem([6, 5, 4], m=20)
    return params, jaxnet.Dataset(x, y)


def examined(gradient, small, epochs=(0,), **options):
    """What is found about a gradient, and the report of it."""
    candidate = Candidate(gradient, "mine")
    options = {"epochs": epochs, "details": False} | options
    found = examine(candidate, *small, **options)
    return found, "\n".join(lines(found, "mine"))


@pytest.mark.slow
def test_backprop_agrees_with_autodiff_at_every_edge_point():
    for hidden, cost in (
        (jaxnet.sigmoid, jaxnet.log_likelihood),
        (jaxnet.relu, jaxnet.quadratic),
    ):
        params, x, y = probe(2, m=20, hidden=hidden, cost=cost)
        small = params, jaxnet.Dataset(x, y)
        found, _ = examined(backprop, small, cost=cost, details=True)
        assert found.agrees and all(edge.agrees for edge in found.edges)
        names = {edge.name for edge in found.edges}
        assert {"a larger mini-batch", "cross_entropy cost", "tanh neurons"} < names
        assert "relu at z = 0" in names or hidden != jaxnet.relu


def test_a_gradient_in_numpy_without_options_is_examined(small):
    def for_any_activation(params, x, y):
        activation = params[0].activation.name
        return numpy_gradient(params, x, y, "quadratic", activation)

    found, report = examined(for_any_activation, small, epochs=(0, 1), details=True)
    assert found.agrees
    assert [s.comparison.dtype for s in found.stages] == ["float64", "float32"] * 2
    others = [edge.name for edge in found.edges if not edge.required]
    assert "tanh neurons" in others and "cross_entropy cost" not in others
    assert found.curve is not None
    assert min(found.curve.central) < 1e-8 < min(found.curve.forward)
    assert "float32, trained for 1 epoch" in report and "BROKEN" not in report
    assert "mine agrees with autodiff" in report


def test_a_cost_without_a_name_is_given_in_its_place(x64):
    def by_place(params, x, y, cost=jaxnet.quadratic, /):
        return backprop(params, x, y, cost)

    at = *probe(2), jaxnet.cross_entropy
    assert compare_gradients(partial(by_place), backprop, *at).agrees


def two_layers(params, x, y):
    assert len(params) == 2, "two layers only"
    return by_hand(params, x, y)


@pytest.mark.slow
def test_what_is_right_at_one_kind_of_network_is_right_there(small):
    """Other activations, depths and costs are reported apart."""
    found, report = examined(two_layers, small, details=True)
    assert found.agrees
    wrong = {edge.name for edge in found.edges if not edge.agrees}
    assert {"tanh neurons", "2 hidden layers"} < wrong
    assert not any(edge.required for edge in found.edges if not edge.agrees)
    assert "Other networks, without effect on the verdict" in report
    assert "mine agrees with autodiff" in report
    assert "raised AssertionError in line" in report and "two layers only" in report


@pytest.mark.slow
def test_a_network_that_training_breaks_is_not_compared():
    params, x, y = problem([6, 4], m=20, output=jaxnet.linear)
    large = params, jaxnet.Dataset(1e12 * x, y)
    options = {"edges": False, "cost": jaxnet.linear_quadratic}
    found, report = examined(backprop, large, epochs=(0, 9), **options)
    assert [stage.epochs for stage in found.stages] == [0, 0]
    assert found.diverged_after == 9
    assert "Trained for 9 epochs, the network is not finite: not compared." in report


def test_what_is_wrong_in_float32_only_is_said_to_be(small):
    def single(params, x, y):
        return changed(lambda g: g * (1.0 + 0.01 * (x.dtype == np.float32)))(
            params, x, y
        )

    found, report = examined(single, small, edges=False)
    assert not found.agrees and not found.broken
    assert "All equations hold in float64, untrained; not: float32, untrained" in report


def test_what_a_candidate_raises_is_told_with_its_line(small):
    class WithoutSource:
        def __call__(self, params, x, y):
            raise KeyError("w")

    def broken(params, x, y):
        return params[5]

    def tells(params, x, y):
        raise KeyError(float(x[0, 0]))

    params, data = small
    in_bytes = replace(data, x=np.full(data.x.shape, 128, np.uint8))  # 128 / 256
    for candidate, examples, message in (
        (WithoutSource(), data, r"mine raised KeyError.*: 'w'"),
        (broken, data, r"IndexError in line \d+ of .*test_comp"),
        (tells, in_bytes, r"KeyError.*: 0\.5"),
    ):
        with pytest.raises(CandidateError, match=message):
            examined(candidate, (params, examples))


def test_a_difference_that_is_rounding_is_not_reported_as_infinite():
    stage = Stage(0, compare_trees([np.ones(1)], [np.ones(1)], 1e-12))
    edges = [
        edge_points.Edge("right", np.inf, 1e-12, True),
        edge_points.Edge("wrong", np.inf, 1e-12, False),
    ]
    text = "\n".join(lines(Examination(stages=[stage], edges=edges), "mine"))
    assert re.search("right +rounding  agrees", text)
    assert re.search("wrong +inf  DIFFERS", text)


# Where neurons saturate at 1, jax.grad rounds a (1 - a), and backprop does not


def saturated(layer, z):
    """A probe in which the weighted inputs of a layer are all about z."""
    params, x, y = probe(2)
    w, b = params[layer - 1]
    w, b = 0.1 * np.asarray(w), np.full(b.shape, z)
    params[layer - 1] = replace(params[layer - 1], w=w, b=b)
    return params, x, y


@pytest.mark.parametrize("layer", [1, 2, 3])
@pytest.mark.parametrize("z", [10.0, 30.0, 100.0])
def test_what_is_right_is_right_and_1_percent_is_seen_where_neurons_saturate(
    x64, z, layer
):
    """At z = 30, jax.grad knows sigma' to 0.1 %, and at z = 100 it finds 0."""
    at = saturated(layer, z)
    for gradient in (compiled(backprop), by_hand):
        assert diagnose(gradient, *at) == []
        assert agrees_with_autodiff(gradient, *at)
    if z <= 30:
        wrong = changed(lambda g: 1.01 * g)
        assert diagnose(wrong, *at) != []
        assert not agrees_with_autodiff(wrong, *at)


@pytest.mark.parametrize("layer", [1, 2, 3])
def test_a_missing_slope_is_named_where_nothing_is_left_of_it(x64, layer):
    at, missing = saturated(layer, 40.0), partial(by_hand, without=layer)
    found = {(row.layer, row.mistake) for row in diagnose(missing, *at)}
    assert found == {(layer, f"sigma'(z^{layer}) is missing")}
    assert not agrees_with_autodiff(missing, *at)


def test_a_gradient_is_not_0_where_jax_grad_is(x64):
    at = saturated(3, 40.0)
    assert not compiled(jaxnet.autodiff)(*at, jaxnet.quadratic)[2].b.any()
    assert "BP3 3" in named(diagnose(changed(lambda g: g + 1e-9), *at))


def test_a_small_gradient_is_compared_as_closely_as_a_large_one(x64):
    def wrong(params, x, y, cost):
        first, *rest = compiled(jaxnet.autodiff)(params, x, y, cost)
        assert np.linalg.norm(first.b) < 1e-16
        return [replace(first, b=(1 + 1e-9) * np.asarray(first.b)), *rest]

    params, x, y = probe(2)
    at = [replace(layer, w=1e-8 * np.asarray(layer.w)) for layer in params], x, y
    assert named(diagnose(wrong, *at)) == "BP3 1"
    assert not agrees_with_autodiff(wrong, *at)


def test_the_derivative_of_an_activation_is_judged_by_the_activation(x64):
    wrong = jaxnet.Activation(jnp.tanh, lambda z: 1 - z**2)
    rows = diagnose(backprop, *probe(2, hidden=wrong))
    assert named(rows) == "BP2 1, BP2 2"
    assert rows[0].mistake == "the prime of tanh is not the derivative of its fn"
    cost = jaxnet.log_likelihood
    softmax = internals(Problem(*probe(0, cost=cost), cost).in_float64())
    diagonal = softmax.a[-1] * (1 - softmax.a[-1])
    np.testing.assert_allclose(softmax.slope[-1], diagonal, rtol=1e-12)
