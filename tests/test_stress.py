"""Every public function of the mathematics at the ends of its range, in float32 and 64.

`stresses` and `covers` name what a test examines there; the first test fails if a
public function is in none of them. Expected values are Python's decimal numbers, which
have no largest and no smallest, or the book's loops in float64.
"""

import ast
from dataclasses import replace
from decimal import Decimal, getcontext
from functools import partial
from importlib import import_module
from itertools import product
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnet
from jaxnet import (
    Dataset,
    Layer,
    augment,
    fast,
    perceptrons,
    regularization,
    schedule,
)
from jaxnet.layers import as_numbers, dtype_of
from jaxnet.oracles import demon, nudged_cost
from tests.helpers import assert_close, compiled, numpy_gradient

MODULES = (
    "activations layers network costs gradients metrics regularization schedule "
    "descent augment perceptrons sgd fast oracles"
).split()
COVERED = {  # tested elsewhere: they read files, or do no arithmetic of their own
    "datasets.load_mnist",
    "activations.not_elementwise",
    "network.stream",
    "gradients.as_layers",
    "gradients.on_any_mesh",
    "oracles.from_errors",
    "sgd.check_state",
    "sgd.engine",
    "sgd.plain",
}
getcontext().prec = 50


def public(module):
    """The functions, activations and costs that a module defines for others."""
    source = Path(jaxnet.__file__).parent / f"{module}.py"
    for node in ast.parse(source.read_text()).body:
        targets = node.targets if isinstance(node, ast.Assign) else []
        names = [target.id for target in targets if isinstance(target, ast.Name)]
        names += [node.name] if isinstance(node, ast.FunctionDef) else []
        yield from (n for n in names if n.islower() and not n.startswith("_"))


def covers(*names):
    """Note that a test examines all these functions at their ends."""
    COVERED.update(names)
    return lambda test: test


def stresses(*names):
    """Parametrize a test by these functions, and note that it covers them."""
    COVERED.update(names)
    found = [name.split(".") for name in names]
    functions = [getattr(import_module(f"jaxnet.{m}"), f) for m, f in found]
    return pytest.mark.parametrize("f", functions, ids=names)


def test_no_public_function_is_missing_here():
    defined = {f"{module}.{name}" for module in MODULES for name in public(module)}
    others = {name for name in COVERED if name.split(".")[0] not in MODULES}
    assert defined == COVERED - others
    source = Path(jaxnet.__file__).read_text()
    exported = {
        alias.name
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ImportFrom)
        and (node.module or "").startswith("jaxnet.")
        for alias in node.names
        if alias.name.islower()
    }
    assert exported <= {name.split(".")[1] for name in COVERED}
    assert {"compare_gradients", "diagnose", "train", "sigmoid"} <= exported


@pytest.fixture(params=[np.float32, np.float64], ids=["float32", "float64"])
def dtype(request):
    with jax.enable_x64(request.param == np.float64):
        yield request.param


def ends(dtype):
    """Numbers of both signs from nothing to the largest there is."""
    info = np.finfo(dtype)
    sizes = [0, info.smallest_subnormal, info.tiny, info.eps, 0.5, 17, 40, 710, 1e4]
    sizes = np.array([*sizes, info.max / 2, info.max], dtype)
    return np.concatenate([-sizes[::-1], sizes])


def rounded(exact, dtype):
    """Decimal numbers as the nearest ones of `dtype`, infinity if out of its range."""
    with np.errstate(over="ignore"):
        return np.array([float(number) for number in exact]).astype(dtype)


def decimals(array):
    return [Decimal(float(number)) for number in array]


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


EXACTLY = {
    jaxnet.sigmoid: (sigma, lambda z: sigma(z) * sigma(-z)),
    jaxnet.tanh: (tanh, lambda z: 4 * sigma(2 * z) * sigma(-2 * z)),
    jaxnet.relu: (lambda z: max(z, Decimal(0)), lambda z: Decimal(z > 0)),
    jaxnet.linear: (lambda z: z, lambda z: Decimal(1)),
    perceptrons.step: (lambda z: Decimal(z > 0), lambda z: Decimal(0)),
}


def check_activation(f, z):
    """`f` and both its derivatives are right at z, where subnormal numbers may be 0."""
    fn, prime = EXACTLY[f]
    info = np.finfo(z.dtype)
    values, slopes = f.fn(jnp.asarray(z)), f.prime(jnp.asarray(z))
    expected = rounded(map(fn, decimals(z)), z.dtype)
    np.testing.assert_allclose(values, expected, rtol=4 * info.eps, atol=info.tiny)
    expected = rounded(map(prime, decimals(z)), z.dtype)
    automatic = jax.vmap(jax.grad(f.fn))(jnp.asarray(z))
    for actual in (slopes, automatic):
        np.testing.assert_allclose(actual, expected, atol=4 * info.eps)
    assert values.dtype == slopes.dtype == z.dtype
    nothing = jnp.zeros((0,), z.dtype)
    assert f.fn(nothing).shape == f.prime(nothing).shape == (0,)


@stresses("activations.sigmoid", "activations.tanh", "activations.linear")
def test_activations_and_their_derivatives_are_right_at_both_ends(f, dtype):
    check_activation(f, ends(dtype))


@stresses("activations.relu", "perceptrons.step")
def test_activations_with_a_kink_are_right_at_both_ends(f, dtype):
    z = ends(dtype)
    normal = (z == 0) | (abs(z) >= np.finfo(dtype).tiny)
    check_activation(f, z[normal])


def test_the_slope_of_a_saturated_sigmoid_is_tiny_and_not_0(dtype):
    info, z = np.finfo(dtype), ends(dtype)
    expected = rounded((sigma(one) * sigma(-one) for one in decimals(z)), dtype)
    slopes = jaxnet.sigmoid.prime(jnp.asarray(z))
    np.testing.assert_allclose(slopes, expected, rtol=8 * info.eps, atol=info.tiny)


@covers("activations.softmax")
def test_softmax_is_right_at_both_ends(dtype):
    for z in product(ends(dtype)[::3], repeat=2):
        expected = rounded(softmax(decimals(z)), dtype)
        actual = jaxnet.softmax.fn(jnp.array(z, dtype))
        np.testing.assert_allclose(actual, expected, atol=4 * np.finfo(dtype).eps)


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


def points_at_both_ends(dtype):
    """Weighted inputs of two neurons, and targets for them, as rows."""
    some = ends(dtype)[[0, 2, 5, 9, 10, 11, 15, 19, 21]]
    points = [(z, y) for z in product(some, repeat=2) for y in TARGETS]
    return (np.array(column, dtype) for column in zip(*points, strict=True))


def check_cost(cost, zs, ys, too_far: np.ndarray | bool = False):
    """The cost and both its derivatives are right; where `too_far`, it is infinite."""
    info = np.finfo(zs.dtype)
    exact = [
        EXACT_COSTS[cost](decimals(z), decimals(y)) for z, y in zip(zs, ys, strict=True)
    ]
    values = rounded([value for value, _ in exact], zs.dtype)
    values = np.where(too_far, np.inf, values)
    actual = jax.jit(jax.vmap(cost.value))(zs, ys)
    np.testing.assert_allclose(actual, values, rtol=8 * info.eps, atol=info.eps)
    deltas = np.array([rounded(slopes, zs.dtype) for _, slopes in exact])
    limits = {"rtol": 8 * info.eps, "atol": 8 * info.eps}
    delta = jax.jit(jax.vmap(cost.delta))
    np.testing.assert_allclose(delta(zs, ys), deltas, **limits)
    automatic = jax.jit(jax.vmap(jax.grad(cost.value)))(zs, ys)
    finite = np.isfinite(values)
    np.testing.assert_allclose(automatic[finite], deltas[finite], **limits)


@stresses("costs.quadratic", "costs.linear_quadratic", "costs.cross_entropy")
def test_costs_and_their_derivatives_are_right_at_both_ends(f, dtype):
    check_cost(f, *points_at_both_ends(dtype))


@covers("costs.log_likelihood")
def test_log_likelihood_is_infinite_where_outputs_are_too_far_apart(dtype):
    zs, ys = points_at_both_ends(dtype)
    with np.errstate(over="ignore"):
        too_far = np.isinf(np.subtract(*zs.T)) & np.all(ys != 0, axis=1)
    check_cost(jaxnet.log_likelihood, zs, ys, too_far)


def test_a_class_of_no_weight_costs_nothing_however_far_off_it_is(dtype):
    largest = np.finfo(dtype).max
    z, y = jnp.array([largest, -largest]), jnp.array([1.0, 0.0])
    assert jaxnet.log_likelihood.value(z, y) == 0
    assert jnp.isnan(jaxnet.log_likelihood.value(z * jnp.nan, y))


def chain(dtype, layers=20, w=1.5):
    """One neuron a layer, and one example of one input."""
    rows = [Layer(jnp.full((1, 1), w, dtype), jnp.full(1, 0.1, dtype))] * layers
    return rows, jnp.full((1, 1), 0.3, dtype), jnp.full((1, 1), 0.9, dtype)


def book(params, x, y):
    """The gradient by the book's loops in float64, as a network of this precision."""
    exact = [(np.float64(w), np.float64(b)) for w, b in params]
    gradient = numpy_gradient(exact, np.float64(x), np.float64(y), "quadratic")
    as_array = partial(jnp.asarray, dtype=x.dtype)
    return [Layer(as_array(w), as_array(b)) for w, b in gradient]


@stresses(
    "gradients.backprop",
    "gradients.autodiff",
    "oracles.backprop_by_example",
    "oracles.backprop_by_matrix",
    "oracles.matrix_product",
    "oracles.path_sum",
    "oracles.complex_step",
)
def test_gradients_reach_through_twenty_layers_of_one_neuron(f, dtype):
    params, x, y = chain(dtype)
    expected = book(params, x, y)
    assert 0 < abs(expected[0].b[0]) < 1e-9
    rtol = 200 * float(np.finfo(dtype).eps)
    assert_close(f(params, x, y), expected, rtol=rtol)
    largest = np.finfo(dtype).max
    for end in (-largest, -1e4, 1e4, largest):  # saturated: nothing is learnt
        params, x, y = chain(dtype, layers=1, w=end)
        assert all(not leaf.any() for leaf in jax.tree.leaves(f(params, x, y)))


@covers("fast.quick", "fast.summed_outer")
def test_the_fast_gradient_of_two_examples_reaches_as_far(dtype):
    params, x, y = chain(dtype)
    two = fast.quick(jaxnet.backprop)(params, x.repeat(2, axis=0), y.repeat(2, axis=0))
    assert_close(two, book(params, x, y), rtol=200 * float(np.finfo(dtype).eps))


@stresses("oracles.forward_difference", "oracles.central_difference")
def test_differences_see_slopes_above_rounding(f, dtype):
    params, x, y = chain(dtype, layers=3)
    rtol = 2e-2 if dtype == np.float32 else 1e-5
    assert_close(f(params, x, y), book(params, x, y), rtol=rtol)
    params, x, y = chain(dtype, layers=2, w=np.finfo(dtype).max)
    assert all(not leaf.any() for leaf in jax.tree.leaves(f(params, x, y)))


@covers("gradients.errors", "gradients.loss", "metrics.total_cost")
@covers("network.forward", "network.predict", "oracles.demon", "oracles.nudged_cost")
def test_twenty_layers_of_one_neuron_by_every_function(dtype):
    params, x, y = chain(dtype)
    a, z = Decimal(float(x[0, 0])), []
    for w, b in params:
        z.append(Decimal(float(w[0, 0])) * a + Decimal(float(b[0])))
        a = sigma(z[-1])
    cost = (a - Decimal(float(y[0, 0]))) ** 2 / 2
    slopes = [layer.b[0] for layer in book(params, x, y)]
    no_nudge = [jnp.zeros(1, dtype)] * 20
    for actual, expected in (
        (jaxnet.forward(params, x[0])[0], z),
        (jaxnet.predict(params, x[0]), [a]),
        (jaxnet.loss(params, x, y), [cost]),
        (jaxnet.total_cost(params, Dataset(x, y)), [cost]),
        (nudged_cost(params, x[0], y[0], no_nudge), [cost]),
        (jaxnet.errors(params, x[0], y[0])[0], slopes),
        (demon(params, x[0], y[0]), slopes),
    ):
        actual = jnp.ravel(jnp.asarray(actual))
        assert actual.dtype == dtype
        rtol = 200 * np.finfo(dtype).eps
        np.testing.assert_allclose(actual, np.array(expected, dtype), rtol=rtol)


@covers("regularization.without_dropout")
def test_the_largest_weights_are_scaled_by_the_share_that_was_present(dtype):
    params, _, _ = chain(dtype, layers=2, w=np.finfo(dtype).max)
    for rate in (0.0, 0.5):
        first, second = jaxnet.without_dropout(params, rate)
        assert first.w == params[0].w
        assert second.w == (1 - rate) * params[1].w


def check_smallest(layer, dtype):
    """A layer of one neuron with one input, with random numbers of the dtype."""
    w, b = layer
    assert w.shape == (1, 1) and b.shape == (1,) and w.dtype == b.dtype == dtype
    assert np.isfinite(w).all() and abs(w[0, 0]) < 6 and abs(b[0]) < 6


@stresses("network.large_layer", "network.scaled_layer")
def test_the_smallest_layers_are_drawn(f, dtype):
    check_smallest(f(jax.random.key(0), 1, 1), dtype)


@covers("network.init")
def test_the_deepest_networks_are_drawn(dtype):
    params = jaxnet.init(jax.random.key(0), [1] * 21)
    assert len(params) == 20
    for layer in params:
        check_smallest(layer, dtype)


@covers("layers.as_numbers")
def test_every_byte_is_its_256th_and_numbers_stay(dtype):
    every = np.arange(256, dtype=np.uint8)[None]
    numbers = as_numbers(jnp.asarray(every), dtype)
    np.testing.assert_array_equal(numbers, every.astype(dtype) / 256)
    assert numbers.dtype == dtype
    z = ends(dtype)[None]
    np.testing.assert_array_equal(as_numbers(jnp.asarray(z), dtype), z)
    assert as_numbers(jnp.zeros((0, 3), jnp.uint8), dtype).shape == (0, 3)


def one_each(dtype, x):
    """A network whose weighted inputs are its inputs, and the right answer 0."""
    same = [Layer(jnp.eye(2, dtype=dtype), jnp.zeros(2, dtype))]
    return same, Dataset(jnp.array([x], dtype), jnp.array([[1, 0]], dtype))


@covers("metrics.accuracy", "metrics.confusion_matrix")
def test_answers_are_read_at_both_ends(dtype):
    info = np.finfo(dtype)
    accuracy, confusion = map(jax.jit, (jaxnet.accuracy, jaxnet.confusion_matrix))
    numbers = [-info.max, -1e4, -info.tiny, 0.0, info.tiny, 1e4, info.max]
    for first, second in [*product(numbers, repeat=2), (-0.0, 0.0)]:
        right = first >= second  # a tie is the lowest class, of signed zeros too
        at = one_each(dtype, [first, second])
        np.testing.assert_array_equal(accuracy(*at), right)
        np.testing.assert_array_equal(confusion(*at), [[right, not right], [0, 0]])


@covers("regularization.penalty")
def test_a_rate_of_0_costs_nothing_however_large_the_weights(dtype):
    """The squares of these weights are infinite."""
    largest = np.finfo(dtype).max
    params, _, _ = chain(dtype, layers=2, w=largest)
    for nothing in (0.0, jnp.zeros(())):
        assert regularization.penalty(params, nothing, nothing, 1) == 0
    assert regularization.penalty(params[:1], 0.5, 0.0, 1) == largest / 2
    infinite = regularization.penalty(params, 0.0, 1.0, 1)
    assert infinite == jnp.inf and infinite.dtype == dtype


@covers("metrics.monitor")
def test_the_largest_weights_have_costs_and_accuracies(dtype):
    params, x, y = chain(dtype, layers=2, w=np.finfo(dtype).max)
    found = jaxnet.monitor(Dataset(x, y), Dataset(x, y))(params)
    cost = rounded([(1 - Decimal(float(y[0, 0]))) ** 2 / 2], dtype)[0]
    for part in ("training", "evaluation"):
        np.testing.assert_allclose(found[f"{part}_cost"], cost, rtol=1e-6)
        assert found[f"{part}_accuracy"] == 1


@covers("layers.dtype_of")
def test_a_network_of_float32_has_a_penalty_of_float32_beside_float64():
    params, x, y = chain(np.float32, layers=2)
    expected = regularization.penalty(params, 1.0, 1.0, 2)
    with jax.enable_x64(True):
        assert dtype_of(params) == np.float32
        assert regularization.penalty(params, 1.0, 1.0, 2) == expected
        total = jaxnet.total_cost(params, Dataset(x, y), l2=1.0, n=2)
        assert total.dtype == expected.dtype == np.float32


def no_slope(params, x, y, **options):
    return jax.tree.map(jnp.zeros_like, params)


@covers("regularization.with_penalty")
def test_penalties_slope_by_the_weights_alone_at_both_ends(dtype):
    z = ends(dtype)[[0, 2, 8, 10, 11, 13, 19, 21]]
    params, x = [Layer(jnp.asarray(z[None]), jnp.asarray(z[:1]))], jnp.zeros((1, 8))
    for rates, expected in (
        ({"l1_rate": 0.5}, 0.5 * np.sign(z)),
        ({"l2_rate": 0.5}, z / 2),
    ):
        [slope] = regularization.with_penalty(no_slope, **rates)(params, x, x)
        tiny = np.finfo(dtype).tiny
        np.testing.assert_allclose(slope.w, expected[None], atol=tiny)
        np.testing.assert_array_equal(slope.b, 0)
        assert slope.w.dtype == dtype


def dropped_slopes(params, x, y, rate):
    key = jax.random.key(0)
    return regularization.with_dropout(jaxnet.backprop, key, rate)(params, x, y)


@covers("regularization.with_dropout")
def test_all_or_none_of_the_neurons_may_be_dropped(dtype):
    params, x, y = chain(dtype, layers=3)
    none_dropped = dropped_slopes(params, x, y, 0.0)
    assert_close(none_dropped, jaxnet.backprop(params, x, y), rtol=0)
    *leaves, last_b = jax.tree.leaves(dropped_slopes(params, x, y, 1.0))
    assert last_b != 0 and not any(leaf.any() for leaf in leaves)


def test_a_network_without_hidden_neurons_has_none_to_drop(dtype):
    params, x, y = chain(dtype, layers=1)
    slopes = dropped_slopes(params, x, y, 1.0)
    assert_close(slopes, jaxnet.backprop(params, x, y), rtol=0)


@covers("schedule.begin", "schedule.after_epoch", "schedule.reached")
def test_a_scale_goes_down_to_nothing_and_nan_is_no_best(dtype):
    after = schedule.begin(1)
    assert not schedule.reached(after, 0.5)
    for halvings, accuracy in enumerate((0.0, jnp.nan, 0.0, jnp.nan)):
        assert after.scale == 0.5**halvings
        assert schedule.reached(after, 0.5) == (halvings > 0)
        after = schedule.after_epoch(after, accuracy, 1)
        after = schedule.after_epoch(after, accuracy, 1) if halvings == 0 else after
    after = schedule.after_epoch(after, 1.0, 1)
    assert after.best_value == 0 and after.scale == 1 / 16


def square(v):
    return jnp.sum(v**2) / 2


@stresses("descent.descend", "descent.newton")
def test_descent_begins_anywhere_and_may_stay_there(f, dtype):
    largest = np.finfo(dtype).max
    v = jnp.array([largest / 4, -1e4, -0.0, 1.0], dtype)
    path = f(square, v, eta=1.0, steps=2)
    np.testing.assert_array_equal(path, [v, 0 * v, 0 * v])
    np.testing.assert_array_equal(f(square, v, eta=1.0, steps=0), [v])
    with pytest.raises(ValueError, match="eta finite, got nan"):
        f(square, v, eta=jnp.nan, steps=1)
    one = f(square, v[:1], eta=1.0, steps=1)
    np.testing.assert_array_equal(one, [v[:1], 0 * v[:1]])


def test_descent_of_no_variables_stays_there(dtype):
    nothing = jnp.zeros(0, dtype)
    assert jaxnet.descend(square, nothing, eta=1.0, steps=1).shape == (2, 0)


def an_image():
    return jnp.arange(1.0, 10.0).reshape(3, 3)


def far_away(dtype):
    return [-np.finfo(dtype).max, 2.0**31, np.finfo(dtype).max]


@covers("augment.shift")
def test_a_shift_of_0_changes_nothing_and_a_large_one_leaves_0(dtype):
    image = an_image()
    np.testing.assert_array_equal(augment.shift(image, 0, 0), image)
    for far in (-9, -3, 3, 9):
        assert not augment.shift(image, far, 0).any()
        assert not augment.shift(image, 0, far).any()


@covers("augment.rotate")
def test_a_rotation_by_0_changes_nothing_and_any_keeps_the_centre(dtype):
    image = an_image()
    np.testing.assert_array_equal(augment.rotate(image, 0.0), image)
    for angle in far_away(dtype):
        turned = augment.rotate(image, angle)
        assert turned[1, 1] == 5 and (turned <= 9).all()
    for angle in (jnp.nan, jnp.inf):
        assert jnp.isnan(augment.rotate(image, angle)).all()


@covers("augment.distort")
def test_a_distortion_by_0_changes_nothing_and_a_large_one_leaves_0(dtype):
    image, field = an_image(), jnp.ones((2, 3, 3))
    np.testing.assert_array_equal(augment.distort(image, 0 * field), image)
    for far in far_away(dtype):
        assert not augment.distort(image, far * field).any()
    for broken in (jnp.nan, jnp.inf):
        assert jnp.isnan(augment.distort(image, broken * field)).all()


def test_one_pixel_of_the_largest_number_stays(dtype):
    white = jnp.full((1, 1), np.finfo(dtype).max)
    for moved in (
        augment.shift(white, 0, 0),
        augment.rotate(white, 30.0),
        augment.distort(white, jnp.zeros((2, 1, 1))),
    ):
        np.testing.assert_array_equal(moved, white)


NO_IMAGES_AND_ONE_OF_A_PIXEL = [(0, 3), (1, 1)]


@covers("augment.expand")
@pytest.mark.parametrize(("n", "side"), NO_IMAGES_AND_ONE_OF_A_PIXEL)
def test_the_smallest_data_sets_are_expanded(n, side, dtype):
    x, y = jnp.ones((n, side * side)), jnp.ones((n, 2))
    more = augment.expand(Dataset(x, y), side)
    assert more.x.shape == (5 * n, side * side) and more.y.shape == (5 * n, 2)
    assert more.x.sum() == n


@stresses("augment.rotations", "augment.elastic")
@pytest.mark.parametrize(("n", "side"), NO_IMAGES_AND_ONE_OF_A_PIXEL)
def test_the_smallest_mini_batches_are_augmented(f, n, side, dtype):
    x = jnp.ones((n, side * side))
    assert f(side=side)(jax.random.key(0), x).shape == x.shape


@pytest.mark.parametrize("f", [augment.rotations, augment.elastic])
def test_images_may_be_moved_by_what_float32_holds(f, dtype):
    assert jnp.isfinite(f(3e38, side=3)(jax.random.key(0), jnp.ones((1, 9)))).all()
    for number in (1e39, np.inf, np.nan):
        with pytest.raises(ValueError, match="of at least 0 and below 3.4"):
            f(number)


def threshold_rule(w, x, b):
    return perceptrons.threshold_rule(w, x, -b)


@covers("perceptrons.threshold_rule", "perceptrons.perceptron")
@pytest.mark.parametrize("f", [threshold_rule, perceptrons.perceptron])
def test_a_perceptron_weighs_the_largest_and_the_smallest(f, dtype):
    info = np.finfo(dtype)
    for w, b, answer in (
        ([info.max, -info.max], 0.0, 0),
        ([info.max, -info.max], float(info.tiny), 1),
        ([-0.0, 0.0], -0.0, 0),
        ([info.max, 0.0], -float(info.max / 2), 1),
        ([jnp.nan, 0.0], 0.0, 0),  # nan is not above 0
    ):
        found = f(jnp.array(w, dtype), jnp.ones(2), b)
        assert found == answer and found.dtype == dtype
    assert f(jnp.zeros(0), jnp.zeros(0), 1.0) == 1


def answers(params, x):
    return jax.vmap(partial(jaxnet.predict, params))(x)


@covers("perceptrons.gate", "perceptrons.all_inputs")
def test_gates_answer_whatever_the_size_of_their_weights(dtype):
    for c in (1.0, 2.0**-100, 2.0**100):
        nand = perceptrons.gate(*(c * number for number in perceptrons.NAND))
        x = perceptrons.all_inputs(2)
        found = answers(nand, x)
        assert found.ravel().tolist() == [1, 1, 1, 0] and found.dtype == dtype
    assert answers(nand, x[:0]).shape == (0, 1)
    assert perceptrons.all_inputs(0).shape == (1, 0)
    assert perceptrons.all_inputs(1).tolist() == [[0], [1]]


SMALLEST_CIRCUITS = {
    "half_adder": (perceptrons.half_adder(), [[0, 0], [1, 0], [1, 0], [0, 1]]),
    "a constant": (perceptrons.boolean_circuit([1, 1]), [[1], [1]]),
    "one bit": (perceptrons.ripple_carry_adder(1), [[0, 0], [0, 1], [0, 1], [1, 0]]),
    "no gate, the input carried on": (perceptrons.Circuit(1, [], [0]), [[0], [1]]),
}


@covers("perceptrons.half_adder", "perceptrons.boolean_circuit")
@covers("perceptrons.ripple_carry_adder", "perceptrons.compile_circuit")
@pytest.mark.parametrize(
    ("circuit", "table"), SMALLEST_CIRCUITS.values(), ids=SMALLEST_CIRCUITS
)
def test_the_smallest_circuits_are_networks(circuit, table, dtype):
    params = perceptrons.compile_circuit(circuit)
    x = perceptrons.all_inputs(circuit.n_inputs)
    assert answers(params, x).astype(int).tolist() == table


@covers("fast.shuffle")
def test_no_numbers_and_one_have_one_order(dtype):
    assert fast.shuffle(jax.random.key(0), 0).shape == (0,)
    assert fast.shuffle(jax.random.key(0), 1).tolist() == [0]


@covers("sgd.start", "sgd.step", "sgd.epoch", "sgd.train", "fast.fold")
def test_one_example_is_learnt_by_twenty_layers_of_one_neuron(dtype):
    params, x, y = chain(dtype)
    key, state, data = jax.random.key(0), jaxnet.start(params), Dataset(x, y)
    run = {"batch_size": 1, "eta": 1000.0}
    slopes = book(params, x, y)
    expected = jax.tree.map(lambda p, slope: p - 1000 * slope, params, slopes)
    for learnt in (
        compiled(jaxnet.step)(state, x, y, eta=1000.0).params,
        jaxnet.epoch(key, state, data, **run).params,
        jaxnet.train(key, params, data, epochs=1, **run)[0],
    ):
        assert_close(learnt, expected, rtol=200 * float(np.finfo(dtype).eps))


def test_no_epochs_leave_a_network_as_it_is(dtype):
    params, x, y = chain(dtype, layers=2)
    run = {"epochs": 0, "batch_size": 1, "eta": 1000.0}
    unchanged, _ = jaxnet.train(jax.random.key(0), params, Dataset(x, y), **run)
    assert_close(unchanged, params, rtol=0)


@covers("storage.save_book_network", "storage.load_book_network")
def test_a_file_keeps_the_bits_of_any_finite_number(dtype, tmp_path):
    z = ends(np.float32).astype(dtype)  # the book's programs are given float32
    params = [Layer(jnp.asarray(z[:, None]), jnp.asarray(z))]
    jaxnet.save_book_network(tmp_path / "net", params)
    loaded, _ = jaxnet.load_book_network(tmp_path / "net")
    for kept in (loaded[0].w.ravel(), loaded[0].b):
        assert np.asarray(kept).tobytes() == z.astype(kept.dtype).tobytes()


@covers("compare.compare_gradients", "compare.diagnose")
def test_comparisons_reach_through_twenty_layers_of_one_neuron(dtype):
    params, x, y = chain(dtype)
    equations = jaxnet.diagnose(jaxnet.backprop, params, x, y)
    assert all(equation.holds for equation in equations)
    found = jaxnet.compare_gradients(jaxnet.backprop, jaxnet.autodiff, params, x, y)
    assert all(leaf.agrees for leaf in found.leaves)


def test_nan_and_infinity_are_carried_as_arithmetic_has_it():
    """What the README says of them."""
    nan, inf = jnp.array([jnp.nan]), jnp.array([jnp.inf])
    for activation in (jaxnet.sigmoid, jaxnet.tanh, jaxnet.relu, jaxnet.linear):
        assert jnp.isnan(activation.fn(nan)).all()
        expected = jnp.inf if activation in (jaxnet.relu, jaxnet.linear) else 1
        assert activation.fn(inf) == expected
    assert jaxnet.relu.prime(nan) == perceptrons.step.fn(nan) == 0
    for cost in (jaxnet.quadratic, jaxnet.cross_entropy, jaxnet.log_likelihood):
        assert jnp.isnan(cost.value(nan, jnp.ones(1))) and jnp.isnan(
            cost.delta(nan, nan)
        )
    params, x, y = chain(np.float32, layers=2)
    for gradient in (jaxnet.backprop, jaxnet.autodiff):
        broken = gradient(params, x * jnp.nan, y)
        assert all(jnp.isnan(leaf).all() for leaf in jax.tree.leaves(broken))


@jax.jit
def learnt_under_jit(params, data):
    key, state = jax.random.key(0), jaxnet.start(params)
    return jaxnet.epoch(key, state, data, batch_size=1, eta=1.0).params


def test_under_jit_nan_in_the_data_is_learnt():
    """Outside, where values can be looked at, it is refused."""
    params, x, y = chain(np.float32, layers=2)
    learnt = learnt_under_jit(params, Dataset(x * jnp.nan, y))
    assert all(jnp.isnan(leaf).all() for leaf in jax.tree.leaves(learnt))


def test_a_broken_output_is_no_answer():
    """Nan counts as the largest output, but a network with one has no accuracy."""
    params, data = one_each(np.float32, [1.0, 0.0])
    params = [replace(params[0], b=jnp.array([0.0, jnp.nan]))]
    assert jaxnet.confusion_matrix(params, data).tolist() == [[0, 1], [0, 0]]
    assert jnp.isnan(jaxnet.accuracy(params, data))
    infinite = [replace(params[0], b=jnp.array([jnp.inf, 0.0]))]
    assert jnp.isnan(jaxnet.accuracy(infinite, data))


def test_two_infinite_outputs_are_a_tie():
    _, data = one_each(np.float32, [1.0, 1.0])
    largest = [Layer(jnp.full((2, 2), np.finfo(np.float32).max), jnp.zeros(2))]
    assert jaxnet.accuracy(largest, data) == 1
