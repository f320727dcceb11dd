"""Every public function of the mathematics at the ends of its range, in float32 and 64.

`stresses` and `covers` name what a test takes there; the first test fails if a public
function is in none of them. Expected values are Python's decimal numbers, which have no
largest and no smallest, or the book's loops in float64.
"""

import ast
from decimal import Decimal, getcontext
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
    activations,
    augment,
    circuits,
    costs,
    network,
    perceptrons,
    regularization,
    schedule,
)
from tests.helpers import assert_close, numpy_gradient

MODULES = (
    "activations network costs gradients metrics regularization schedule descent "
    "augment perceptrons circuits sgd oracles differences"
).split()
COVERED = {"datasets.load_mnist"}  # it reads files, as test_datasets.py has it
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
    """Note that a test takes these functions to their ends, all in one."""
    COVERED.update(names)
    return lambda test: test


def stresses(*names):
    """Parametrise a test by these functions, and note that it covers them."""
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


@stresses(
    "activations.sigmoid",
    "activations.tanh",
    "activations.relu",
    "activations.linear",
    "perceptrons.step",
)
def test_activations_and_their_derivatives_are_right_at_both_ends(f, dtype):
    fn, prime = EXACTLY[f]
    info, z = np.finfo(dtype), ends(dtype)
    if f in (
        jaxnet.relu,
        perceptrons.step,
    ):  # a subnormal may be 0, and so is its slope
        z = z[(z == 0) | (abs(z) >= info.tiny)]
    limits = {"rtol": 4 * info.eps, "atol": info.tiny}  # XLA may take subnormals for 0
    expected = rounded(map(fn, decimals(z)), dtype)
    np.testing.assert_allclose(f.fn(jnp.asarray(z)), expected, **limits)
    slopes = f.prime(jnp.asarray(z))
    expected = rounded(map(prime, decimals(z)), dtype)
    automatic = jax.vmap(jax.grad(f.fn))(jnp.asarray(z))
    for actual in (slopes, automatic):
        np.testing.assert_allclose(actual, expected, atol=4 * info.eps)
    for value in (f.fn(jnp.asarray(z)), slopes):
        assert value.dtype == dtype
    nothing = jnp.zeros((0,), dtype)
    assert f.fn(nothing).shape == f.prime(nothing).shape == (0,)


@stresses("activations.softmax", "activations.with_neuron")
def test_softmax_and_a_mixed_layer_are_right_at_both_ends(f, dtype):
    eps = np.finfo(dtype).eps
    for z in product(ends(dtype)[::3], repeat=2):
        a = softmax(decimals(z))
        wanted = [a, [one * (1 - one) for one in a]]
        chosen = f
        if f is activations.with_neuron:
            chosen = f(1, jaxnet.tanh, jaxnet.sigmoid)
            first, second = decimals(z)
            wanted = [
                [sigma(first), tanh(second)],
                [
                    sigma(first) * sigma(-first),
                    4 * sigma(2 * second) * sigma(-2 * second),
                ],
            ]
        for function, exact in zip((chosen.fn, chosen.prime), wanted, strict=True):
            actual = function(jnp.array(z, dtype))
            np.testing.assert_allclose(actual, rounded(exact, dtype), atol=4 * eps)


def cost_of(cost, z, y):
    """The exact cost, and its exact derivatives by z."""
    if cost is jaxnet.log_likelihood:
        top = max(z)
        rest = sum(((one - top).exp() for one in z), Decimal(0)).ln()
        value = sum(t * (top - one + rest) for one, t in zip(z, y, strict=True))
        pairs = zip(softmax(z), y, strict=True)
        return value, [sum(y) * a - t for a, t in pairs]
    values, slopes = [], []
    for one, t in zip(z, y, strict=True):
        a = one if cost is jaxnet.linear_quadratic else sigma(one)
        slope = a - t
        if cost is jaxnet.cross_entropy:
            values.append(t * softplus(-one) + (1 - t) * softplus(one))
        else:
            values.append(slope**2 / 2)
            slope *= sigma(one) * sigma(-one) if cost is jaxnet.quadratic else 1
        slopes.append(slope)
    return sum(values), slopes


TARGETS = ((1, 0), (0, 1), (0.25, 0.75))


@stresses(
    "costs.quadratic",
    "costs.linear_quadratic",
    "costs.cross_entropy",
    "costs.log_likelihood",
    "costs.formula_of",
)
def test_costs_and_their_derivatives_are_right_at_both_ends(f, dtype):
    cost = jaxnet.quadratic if f is costs.formula_of else f
    info = np.finfo(dtype)
    some = ends(dtype)[[0, 2, 5, 9, 10, 11, 15, 19, 21]]
    points = [(z, y) for z in product(some, repeat=2) for y in TARGETS]
    zs, ys = (np.array(column, dtype) for column in zip(*points, strict=True))
    exact = [
        cost_of(cost, decimals(z), decimals(y)) for z, y in zip(zs, ys, strict=True)
    ]
    values = rounded([value for value, _ in exact], dtype)
    if f is costs.formula_of:  # the cost as the book writes it
        outputs = jax.vmap(cost.output.fn)(jnp.asarray(zs))
        actual = jax.vmap(f(cost))(outputs, jnp.asarray(ys))
        np.testing.assert_allclose(actual, values, rtol=8 * info.eps)
        return
    if cost is jaxnet.log_likelihood:  # what lies further apart is infinitely far
        with np.errstate(over="ignore"):
            far = np.isinf(np.subtract(*zs.T)) & np.all(ys != 0, axis=1)
        values[far] = np.inf
    actual = jax.jit(jax.vmap(cost.value))(zs, ys)
    np.testing.assert_allclose(actual, values, rtol=8 * info.eps, atol=info.eps)
    deltas = np.array([rounded(slopes, dtype) for _, slopes in exact])
    limits = {"rtol": 8 * info.eps, "atol": 8 * info.eps}
    delta = jax.jit(jax.vmap(cost.delta))
    np.testing.assert_allclose(delta(zs, ys), deltas, **limits)
    automatic = jax.jit(jax.vmap(jax.grad(cost.value)))(zs, ys)
    finite = np.isfinite(values)
    np.testing.assert_allclose(automatic[finite], deltas[finite], **limits)


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
    return [Layer(*(jnp.asarray(a, x.dtype) for a in layer)) for layer in gradient]


@stresses(
    "gradients.backprop",
    "gradients.autodiff",
    "oracles.backprop_by_example",
    "oracles.backprop_by_matrix",
    "oracles.matrix_product",
    "oracles.path_sum",
    "differences.complex_step",
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


@stresses("differences.forward_difference", "differences.central_difference")
def test_differences_see_slopes_above_rounding(f, dtype):
    params, x, y = chain(dtype, layers=3)
    rtol = 2e-2 if dtype == np.float32 else 1e-5
    assert_close(f(params, x, y), book(params, x, y), rtol=rtol)
    params, x, y = chain(dtype, layers=2, w=np.finfo(dtype).max)
    assert all(not leaf.any() for leaf in jax.tree.leaves(f(params, x, y)))


@stresses(
    "gradients.errors",
    "gradients.mean_outer",
    "oracles.demon",
    "oracles.nudged_cost",
    "gradients.loss",
    "metrics.total_cost",
    "network.forward",
    "network.predict",
    "network.hidden_activations",
)
def test_twenty_layers_of_one_neuron_by_every_function(f, dtype):
    params, x, y = chain(dtype)
    a, z = Decimal(float(x[0, 0])), []
    for w, b in params:
        z.append(Decimal(float(w[0, 0])) * a + Decimal(float(b[0])))
        a = sigma(z[-1])
    cost = (a - Decimal(float(y[0, 0]))) ** 2 / 2
    slopes = [float(layer.b[0]) for layer in book(params, x, y)]
    no_nudge = [jnp.zeros(1, dtype)] * 20
    actual, expected = {
        "errors": lambda: (f(params, x[0], y[0])[0], slopes),
        "mean_outer": lambda: (f(x, y), x[0] * y[0]),
        "demon": lambda: (f(params, x[0], y[0]), slopes),
        "nudged_cost": lambda: (f(params, x[0], y[0], no_nudge), float(cost)),
        "loss": lambda: (f(params, x, y), float(cost)),
        "total_cost": lambda: (f(params, Dataset(x, y)), float(cost)),
        "forward": lambda: (f(params, x[0])[0], [float(one) for one in z]),
        "predict": lambda: (f(params, x[0]), float(a)),
        "hidden_activations": lambda: (
            [s.fn(x[0]) for s in f(params, jaxnet.linear)],
            [0.3] * 19,
        ),
    }[f.__name__]()
    actual = jnp.ravel(jnp.asarray(actual))
    assert actual.dtype == dtype
    np.testing.assert_allclose(
        actual, jnp.ravel(jnp.asarray(expected, dtype)), rtol=200 * np.finfo(dtype).eps
    )


@stresses("network.collapse", "perceptrons.scale", "regularization.whole_network")
def test_networks_that_are_remade_keep_their_numbers(f, dtype):
    params, _, _ = chain(dtype, layers=20, w=2.0)
    largest = [Layer(*(jnp.full_like(a, np.finfo(dtype).max) for a in params[0]))] * 2
    if f is network.collapse:
        assert f(params).w[0, 0] == 2.0**20
        assert f(largest[:1]).w[0, 0] == np.finfo(dtype).max
        return
    rate = 0.0 if f is jaxnet.whole_network else 1.0
    for kept, was in zip(f(largest, rate), largest, strict=True):
        assert jax.tree.map(np.array_equal, kept, was) == (True, True)
    assert f(params, 0.5)[1].w[0, 0] == 1.0


@stresses("network.init", "network.large_layer", "network.scaled_layer")
def test_the_smallest_networks_and_the_deepest_are_drawn(f, dtype):
    key = jax.random.key(0)
    layers = f(key, [1] * 21) if f is jaxnet.init else [f(key, 1, 1)]
    assert len(layers) == (20 if f is jaxnet.init else 1)
    for w, b in layers:
        assert w.shape == (1, 1) and b.shape == (1,) and w.dtype == b.dtype == dtype
        assert np.isfinite(w).all() and abs(w[0, 0]) < 6 and abs(b[0]) < 6


@stresses("network.as_numbers")
def test_every_byte_is_its_256th_and_numbers_stay(f, dtype):
    every = np.arange(256, dtype=np.uint8)[None]
    np.testing.assert_array_equal(
        f(jnp.asarray(every), dtype), every.astype(dtype) / 256
    )
    assert f(jnp.asarray(every), dtype).dtype == dtype
    z = ends(dtype)[None]
    np.testing.assert_array_equal(f(jnp.asarray(z), dtype), z)
    assert f(jnp.zeros((0, 3), jnp.uint8), dtype).shape == (0, 3)


def one_each(dtype, x):
    """A network whose weighted inputs are its inputs, and the right answer 0."""
    same = [Layer(jnp.eye(2, dtype=dtype), jnp.zeros(2, dtype))]
    return same, Dataset(jnp.array([x], dtype), jnp.array([[1, 0]], dtype))


@stresses("metrics.accuracy", "metrics.confusion_matrix")
def test_answers_are_read_at_both_ends(f, dtype):
    info = np.finfo(dtype)
    measure = jax.jit(f)
    numbers = [-info.max, -1e4, -info.tiny, 0.0, info.tiny, 1e4, info.max]
    for first, second in product(numbers, repeat=2):
        params, data = one_each(dtype, [first, second])
        right = first >= second  # a tie is the lowest class, of signed zeros too
        expected = right if f is jaxnet.accuracy else [[right, not right], [0, 0]]
        np.testing.assert_array_equal(measure(params, data), expected)
    assert f(*one_each(dtype, [-0.0, 0.0])).ravel()[0] == 1


@stresses("metrics.monitor", "regularization.penalty")
def test_a_rate_of_0_costs_nothing_however_large_the_weights(f, dtype):
    """The squares of these weights are infinite."""
    params, x, y = chain(dtype, layers=2, w=np.finfo(dtype).max)
    if f is regularization.penalty:
        for nothing in (0.0, jnp.zeros(())):
            assert f(params, nothing, nothing, 1) == 0
        assert f(params[:1], 0.5, 0.0, 1) == np.finfo(dtype).max / 2
        assert f(params, 0.0, 1.0, 1) == jnp.inf
        assert f(params, 0.0, 1.0, 1).dtype == dtype
        return
    found = f(Dataset(x, y), Dataset(x, y))(params)
    cost = rounded([(1 - Decimal(float(y[0, 0]))) ** 2 / 2], dtype)[0]
    for part in ("training", "evaluation"):
        np.testing.assert_allclose(found[f"{part}_cost"], cost, rtol=1e-6)
        assert found[f"{part}_accuracy"] == 1


def test_a_network_of_float32_has_a_penalty_of_float32_beside_float64():
    params, x, y = chain(np.float32, layers=2)
    expected = regularization.penalty(params, 1.0, 1.0, 2)
    with jax.enable_x64(True):
        assert regularization.penalty(params, 1.0, 1.0, 2) == expected
        total = jaxnet.total_cost(params, Dataset(x, y), l2=1.0, n=2)
        assert total.dtype == expected.dtype == np.float32


@stresses("regularization.l1", "regularization.l2", "regularization.weights_only")
def test_penalties_slope_by_the_weights_alone_at_both_ends(f, dtype):
    z = ends(dtype)[[0, 2, 8, 10, 11, 13, 19, 21]]
    params = [Layer(jnp.asarray(z[None]), jnp.asarray(z[:1]))]
    if f is regularization.weights_only:
        assert f(params) == [(True, False)]
        return
    none = jax.tree.map(jnp.zeros_like, params)
    slope, _ = f(0.5).update(none, f(0.5).init(params), params)
    expected = 0.5 * np.sign(z) if f is regularization.l1 else z / 2
    np.testing.assert_allclose(slope[0].w, expected[None], atol=np.finfo(dtype).tiny)
    np.testing.assert_array_equal(slope[0].b, 0)


@stresses("regularization.drop")
def test_all_none_or_one_neuron_may_be_dropped(f, dtype):
    params, x, _ = chain(dtype, layers=3)
    for rate, kept in ((0.0, 1), (1.0, 0)):
        for sigma in f(jax.random.key(0), params, jaxnet.tanh, rate):
            assert sigma.fn(x[0]) == kept * jnp.tanh(x[0])
            assert sigma.prime(x[0]) == kept * jaxnet.tanh.prime(x[0])
    assert f(jax.random.key(0), params[:1], jaxnet.tanh, 0.5) == ()


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
    assert jnp.isnan(f(square, v, eta=jnp.nan, steps=1)[1]).all()
    assert f(square, v[:0] if f is jaxnet.descend else v[:1], eta=1.0, steps=1).size < 3


@stresses("augment.shift", "augment.rotate", "augment.distort")
def test_an_image_is_moved_by_nothing_and_out_of_sight(f, dtype):
    largest = np.finfo(dtype).max
    image = jnp.arange(1.0, 10.0).reshape(3, 3)

    def moved(by):
        if f is augment.shift:
            return f(image, int(np.clip(by, -9, 9)), 0)
        return f(image, by if f is augment.rotate else jnp.full((2, 3, 3), by))

    np.testing.assert_array_equal(moved(0.0), image)
    for far in (-largest, 2.0**31, largest):
        if f is augment.rotate:  # about its centre, so some of it stays
            assert moved(far)[1, 1] == 5 and (moved(far) <= 9).all()
        else:
            assert not moved(far).any()
    if f is not augment.shift:
        assert jnp.isnan(moved(jnp.nan)).all() and jnp.isnan(moved(jnp.inf)).all()
    white = jnp.full((1, 1), largest)
    still = {augment.shift: (0, 0), augment.rotate: (30.0,)}.get(f)
    assert f(white, *(still or (jnp.zeros((2, 1, 1)),))) == largest


@stresses("augment.expand", "augment.rotations", "augment.elastic")
def test_no_images_and_one_of_a_pixel_are_augmented(f, dtype):
    for n, side in ((0, 3), (1, 1)):
        x, y = jnp.ones((n, side * side)), jnp.ones((n, 2))
        if f is augment.expand:
            more = f(Dataset(x, y), side)
            assert more.x.shape == (5 * n, side * side) and more.y.shape == (5 * n, 2)
            assert more.x.sum() == n
        else:
            assert f(side=side)(jax.random.key(0), x).shape == x.shape
    if f is not augment.expand:
        most = float(np.finfo(np.float32).max)
        assert jnp.isfinite(f(most, side=3)(jax.random.key(0), jnp.ones((1, 9)))).all()
        for number in (1e39, np.inf, np.nan):  # infinite in float32, or already
            with pytest.raises(ValueError, match="Expected .* finite"):
                f(number)


@stresses("perceptrons.threshold_rule", "perceptrons.perceptron")
def test_a_perceptron_weighs_the_largest_and_the_smallest(f, dtype):
    info = np.finfo(dtype)
    minus = -1 if f is perceptrons.threshold_rule else 1  # b = -threshold
    for w, b, answer in (
        ([info.max, -info.max], 0.0, 0),
        ([info.max, -info.max], float(info.tiny), 1),
        ([-0.0, 0.0], -0.0, 0),
        ([info.max, 0.0], -float(info.max / 2), 1),
        ([jnp.nan, 0.0], 0.0, 0),  # no number is above another that is none
    ):
        found = f(jnp.array(w, dtype), jnp.ones(2), minus * b)
        assert found == answer and found.dtype == dtype
    assert f(jnp.zeros(0), jnp.zeros(0), minus * 1.0) == 1


@covers("perceptrons.gate", "perceptrons.all_inputs", "perceptrons.run_perceptrons")
def test_gates_answer_whatever_the_size_of_their_weights(dtype):
    for c in (1.0, 2.0**-100, 2.0**100):
        nand = perceptrons.gate(*(c * number for number in perceptrons.NAND))
        x = perceptrons.all_inputs(2)
        answers = perceptrons.run_perceptrons(nand, x)
        assert answers.ravel().tolist() == [1, 1, 1, 0] and answers.dtype == dtype
    assert perceptrons.run_perceptrons(nand, x[:0]).shape == (0, 1)
    assert perceptrons.all_inputs(0).shape == (1, 0)
    assert perceptrons.all_inputs(1).tolist() == [[0], [1]]


@stresses(
    "circuits.half_adder",
    "circuits.boolean_circuit",
    "circuits.ripple_carry_adder",
    "circuits.compile_circuit",
)
def test_the_smallest_circuits_are_networks(f, dtype):
    def answers(made):
        params = circuits.compile_circuit(made)
        x = perceptrons.all_inputs(made.n_inputs)
        return perceptrons.run_perceptrons(params, x).astype(int).tolist()

    expected = {
        circuits.half_adder: ([], [[0, 0], [1, 0], [1, 0], [0, 1]]),
        circuits.boolean_circuit: ([[1, 1]], [[1], [1]]),
        circuits.ripple_carry_adder: ([1], [[0, 0], [0, 1], [0, 1], [1, 0]]),
    }
    if f is circuits.compile_circuit:  # no gate: the input is carried to the output
        assert answers(circuits.Circuit(1, [], [0])) == [[0], [1]]
        return
    options, outputs = expected[f]
    assert answers(f(*options)) == outputs


@stresses("sgd.shuffled")
def test_no_numbers_and_one_have_one_order(f, dtype):
    assert f(jax.random.key(0), 0).shape == (0,)
    assert f(jax.random.key(0), 1).tolist() == [0]


@stresses("sgd.start", "sgd.step", "sgd.epoch", "sgd.train")
def test_one_example_is_learnt_by_twenty_layers_of_one_neuron(f, dtype):
    params, x, y = chain(dtype)
    eta, data = 1000.0, Dataset(x, y)
    run = {"batch_size": 1, "eta": eta}
    key, state = jax.random.key(0), jaxnet.start(params)
    learnt = {
        jaxnet.start: lambda: state.params,
        jaxnet.step: lambda: f(state, x, y, eta).params,
        jaxnet.epoch: lambda: f(key, state, data, **run).params,
        jaxnet.train: lambda: f(key, params, data, epochs=1, **run)[0],
    }[f]()
    if f is jaxnet.start:
        eta = 0.0
    slopes = book(params, x, y)
    expected = jax.tree.map(lambda p, slope: p - eta * slope, params, slopes)
    assert_close(learnt, expected, rtol=200 * float(np.finfo(dtype).eps))
    if f is jaxnet.train:
        assert_close(f(key, params, data, epochs=0, **run)[0], params, rtol=0)


@stresses("storage.save_book_network", "storage.load_book_network")
def test_a_file_keeps_the_bits_of_any_finite_number(f, dtype, tmp_path):
    z = ends(np.float32).astype(dtype)  # the book's programs are given float32
    params = [Layer(jnp.asarray(z[:, None]), jnp.asarray(z))]
    jaxnet.save_book_network(tmp_path / "net", params)
    loaded, _ = jaxnet.load_book_network(tmp_path / "net")
    for kept in (loaded[0].w.ravel(), loaded[0].b):
        assert np.asarray(kept).tobytes() == z.astype(kept.dtype).tobytes()


@stresses("compare.compare_gradients", "compare.diagnose")
def test_comparisons_reach_through_twenty_layers_of_one_neuron(f, dtype):
    params, x, y = chain(dtype)
    if f is jaxnet.diagnose:
        assert all(equation.holds for equation in f(jaxnet.backprop, params, x, y))
    else:
        found = f(jaxnet.backprop, jaxnet.autodiff, params, x, y)
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
    state = jaxnet.epoch(
        jax.random.key(0),
        jaxnet.start(params),
        Dataset(x * jnp.nan, y),
        batch_size=1,
        eta=1.0,
    )
    assert jnp.isnan(state.params[0].w).all()


def test_a_broken_output_is_no_answer():
    """Nan counts as the largest output, but a network with one has no accuracy."""
    params, data = one_each(np.float32, [1.0, 0.0])
    params = [params[0]._replace(b=jnp.array([0.0, jnp.nan]))]
    assert jaxnet.confusion_matrix(params, data).tolist() == [[0, 1], [0, 0]]
    assert jnp.isnan(jaxnet.accuracy(params, data))
    wide = data._replace(x=jnp.array([[1.0, jnp.inf]]))
    ones = [Layer(jnp.ones((2, 2)), jnp.zeros(2))]
    assert jaxnet.accuracy(ones, wide) == 1  # inf beside inf is a tie, of one example
    infinite = [params[0]._replace(b=jnp.array([jnp.inf, 0.0]))]
    assert jnp.isnan(jaxnet.accuracy(infinite, wide))
