"""Every public function of the mathematics at the ends of its range, in float32 and 64.

Expected values are Python's decimal numbers, which have no largest and no smallest, or
the book's loops in float64.
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
    descent,
    fast,
    layers,
    oracles,
    perceptrons,
    regularization,
    sgd,
)
from tests.helpers import assert_close, compiled, numpy_gradient

MODULES = (
    "activations layers network costs gradients metrics regularization descent "
    "perceptrons sgd fast oracles"
).split()
NO_ARITHMETIC = {  # with numbers of any size
    "activations.not_elementwise",
    "network.stream",
    "gradients.as_layers",
    "gradients.on_any_mesh",
    "oracles.from_errors",
    "perceptrons.boolean_circuit",
    "perceptrons.compile_circuit",
    "perceptrons.half_adder",
    "sgd.gradient_descent",
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


def test_every_public_function_is_called_in_this_file():
    tree = ast.parse(Path(__file__).read_text())
    called = {ast.unparse(n) for n in ast.walk(tree) if isinstance(n, ast.Attribute)}
    missing = set()
    for module in MODULES:
        for name in public(module):
            function = getattr(import_module(f"jaxnet.{module}"), name)
            exported = getattr(jaxnet, name, None) is function
            if not called & {f"{module}.{name}", f"jaxnet.{name}" if exported else ""}:
                missing.add(f"{module}.{name}")
    assert missing == NO_ARITHMETIC


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


# Activations


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


EXACT_ACTIVATIONS = {
    jaxnet.sigmoid: (sigma, lambda z: sigma(z) * sigma(-z)),
    jaxnet.tanh: (tanh, lambda z: 4 * sigma(2 * z) * sigma(-2 * z)),
    jaxnet.relu: (lambda z: max(z, Decimal(0)), lambda z: Decimal(z > 0)),
    jaxnet.linear: (lambda z: z, lambda z: Decimal(1)),
    perceptrons.step: (lambda z: Decimal(z > 0), lambda z: Decimal(0)),
}


@pytest.mark.parametrize("activation", EXACT_ACTIVATIONS, ids=str)
def test_activations_and_their_derivatives_are_right_at_both_ends(activation, dtype):
    """Where subnormal numbers may be taken for 0."""
    fn, prime = EXACT_ACTIVATIONS[activation]
    info, z = np.finfo(dtype), ends(dtype)
    if activation in (jaxnet.relu, perceptrons.step):
        z = z[(z == 0) | (abs(z) >= info.tiny)]
    values, slopes = (jax.jit(f)(z) for f in (activation.fn, activation.prime))
    expected = rounded(map(fn, decimals(z)), dtype)
    np.testing.assert_allclose(values, expected, rtol=4 * info.eps, atol=info.tiny)
    expected = rounded(map(prime, decimals(z)), dtype)
    automatic = jax.jit(jax.vmap(jax.grad(activation.fn)))(z)
    for actual in (slopes, automatic):
        np.testing.assert_allclose(actual, expected, atol=4 * info.eps)
    if activation == jaxnet.sigmoid:  # tiny, and not 0, where it is saturated
        limits = {"rtol": 8 * info.eps, "atol": info.tiny}
        np.testing.assert_allclose(slopes, expected, **limits)
    assert values.dtype == slopes.dtype == dtype
    for f in (activation.fn, activation.prime):
        assert jax.eval_shape(f, np.zeros(0, dtype)).shape == (0,)


def test_softmax_is_right_at_both_ends(dtype):
    zs = np.array([*product(ends(dtype)[::3], repeat=2)])
    expected = [rounded(softmax(decimals(z)), dtype) for z in zs]
    actual = jax.jit(jax.vmap(jaxnet.softmax.fn))(zs)
    np.testing.assert_allclose(actual, expected, atol=4 * np.finfo(dtype).eps)


# Costs


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


@pytest.mark.parametrize("cost", EXACT_COSTS, ids=str)
def test_costs_and_their_derivatives_are_right_at_both_ends(cost, dtype):
    """Log-likelihood is infinite where both outputs count and are too far apart."""
    info = np.finfo(dtype)
    some = ends(dtype)[[0, 2, 5, 9, 10, 11, 15, 19, 21]]
    points = [(z, y) for z in product(some, repeat=2) for y in TARGETS]
    zs, ys = (np.array(column, dtype) for column in zip(*points, strict=True))
    exact = [EXACT_COSTS[cost](decimals(z), decimals(y)) for z, y in points]
    values = rounded([value for value, _ in exact], dtype)
    if cost == jaxnet.log_likelihood:
        with np.errstate(over="ignore"):
            values[np.isinf(np.subtract(*zs.T)) & np.all(ys != 0, axis=1)] = np.inf
    actual = jax.jit(jax.vmap(cost.value))(zs, ys)
    np.testing.assert_allclose(actual, values, rtol=8 * info.eps, atol=info.eps)
    deltas = np.array([rounded(slopes, dtype) for _, slopes in exact])
    limits = {"rtol": 8 * info.eps, "atol": 8 * info.eps}
    delta = jax.jit(jax.vmap(cost.delta))(zs, ys)
    np.testing.assert_allclose(delta, deltas, **limits)
    automatic = np.asarray(jax.jit(jax.vmap(jax.grad(cost.value)))(zs, ys))
    finite = np.isfinite(values)
    np.testing.assert_allclose(automatic[finite], deltas[finite], **limits)
    assert actual.dtype == delta.dtype == dtype


def test_a_class_of_no_weight_costs_nothing_however_far_off_it_is(dtype):
    value, largest = jax.jit(jaxnet.log_likelihood.value), np.finfo(dtype).max
    z, y = np.array([largest, -largest]), np.array([1, 0], dtype)
    assert value(z, y) == 0 and np.isnan(value(z * dtype(np.nan), y))


# Networks of one neuron a layer


def chain(dtype, layers, w=1.5):
    """One neuron a layer, and one example of one input."""
    arrays = (np.full((1, 1), number, dtype) for number in (w, 0.1, 0.3, 0.9))
    w, b, x, y = map(jnp.asarray, arrays)
    return [Layer(w, b.ravel())] * layers, x, y


def book(params, x, y):
    """The gradient by the book's loops in float64, as a network of this precision."""
    exact = [(np.float64(w), np.float64(b)) for w, b in params]
    gradient = numpy_gradient(exact, np.float64(x), np.float64(y), "quadratic")
    as_array = partial(jnp.asarray, dtype=x.dtype)
    return [Layer(as_array(w), as_array(b)) for w, b in gradient]


def all_zero(params):
    return all(not leaf.any() for leaf in jax.tree.leaves(params))


@pytest.mark.parametrize(
    "gradient",
    [
        jaxnet.backprop,
        jaxnet.autodiff,
        oracles.backprop_by_example,
        oracles.backprop_by_matrix,
        oracles.matrix_product,
        oracles.path_sum,
        oracles.complex_step,
    ],
    ids=lambda gradient: gradient.__name__,
)
def test_gradients_reach_through_layers_that_let_little_through(gradient, dtype):
    params, x, y = chain(dtype, layers=4, w=0.002)
    expected = book(params, x, y)
    assert 0 < abs(expected[0].b[0]) < 1e-9
    rtol = 200 * float(np.finfo(dtype).eps)
    assert_close(compiled(gradient)(params, x, y), expected, rtol=rtol)
    largest = np.finfo(dtype).max
    for end in (-largest, -1e4, 1e4, largest):  # a saturated output: nothing is learnt
        [last], *_ = chain(dtype, layers=1, w=end)
        assert all_zero(compiled(gradient)([*params[:-1], last], x, y))


def test_the_fast_gradient_of_two_examples_reaches_as_far(dtype):
    params, x, y = chain(dtype, layers=4, w=0.002)
    quick = jax.jit(fast.quick(jaxnet.backprop))
    two = quick(params, x.repeat(2, axis=0), y.repeat(2, axis=0))
    assert_close(two, book(params, x, y), rtol=200 * float(np.finfo(dtype).eps))
    a = np.full((2, 1), np.finfo(dtype).max / 2)
    layer = jax.jit(fast.summed_outer)(params[0], np.ones((2, 1), dtype), a)
    assert layer.w.item() == a[0, 0]


@pytest.mark.parametrize(
    "gradient", [oracles.forward_difference, oracles.central_difference]
)
def test_differences_see_slopes_above_rounding(gradient, dtype):
    params, x, y = chain(dtype, layers=3)
    rtol = 2e-2 if dtype == np.float32 else 1e-5
    assert_close(compiled(gradient)(params, x, y), book(params, x, y), rtol=rtol)
    saturated = chain(dtype, layers=3, w=np.finfo(dtype).max)
    assert all_zero(compiled(gradient)(*saturated))


def test_ten_layers_of_one_neuron_by_every_function(dtype):
    params, x, y = chain(dtype, layers=10)
    a, z = Decimal(float(x[0, 0])), []
    for w, b in params:
        z.append(Decimal(float(w[0, 0])) * a + Decimal(float(b[0])))
        a = sigma(z[-1])
    cost = (a - Decimal(float(y[0, 0]))) ** 2 / 2
    slopes = [float(b[0]) for _, b in book(params, x, y)]

    @jax.jit
    def found(params, x, y):
        no_nudge = [jnp.zeros(1, dtype)] * 10
        return (
            jaxnet.forward(params, x[0])[0],
            jaxnet.predict(params, x[0]),
            jaxnet.loss(params, x, y),
            jaxnet.total_cost(params, Dataset(x, y)),
            oracles.nudged_cost(params, x[0], y[0], no_nudge),
            jaxnet.errors(params, x[0], y[0])[0],
            oracles.demon(params, x[0], y[0]),
        )

    expected = (z, [a], [cost], [cost], [cost], slopes, slopes)
    for actual, exact in zip(found(params, x, y), expected, strict=True):
        actual = np.ravel(actual)
        assert actual.dtype == dtype
        rtol = 200 * np.finfo(dtype).eps
        np.testing.assert_allclose(actual, np.array(exact, dtype), rtol=rtol)


def test_one_example_is_learnt(dtype):
    """By `fast.fold`, from a slope of nearly 0, with an eta that makes up for it."""
    assert sgd.engine.fold is fast.fold
    params, x, y = chain(dtype, layers=3, w=0.01)
    key, state, data = jax.random.key(0), jaxnet.start(params), Dataset(x, y)
    run = {"batch_size": 1, "eta": 1000.0}
    slopes = book(params, x, y)
    expected = jax.tree.map(lambda p, g: np.asarray(p) - 1000 * g, params, slopes)
    for learnt in (
        compiled(jaxnet.step)(state, x, y, eta=1000.0).params,
        jaxnet.epoch(key, state, data, **run).params,
        jaxnet.train(key, params, data, epochs=1, **run)[0],
    ):
        assert_close(learnt, expected, rtol=200 * float(np.finfo(dtype).eps))
    unchanged, _ = jaxnet.train(key, params, data, epochs=0, **run)
    assert_close(unchanged, params, rtol=0)


def test_no_numbers_and_one_have_one_order(dtype):
    shuffle = jax.jit(fast.shuffle, static_argnums=1)
    assert shuffle(jax.random.key(0), 0).shape == (0,)
    assert shuffle(jax.random.key(0), 1).tolist() == [0]


# Initialisation, data and files


def test_the_smallest_layers_and_the_deepest_networks_are_drawn(dtype):
    key, *keys = jax.random.split(jax.random.key(0), 3)
    params = jaxnet.init(key, [1] * 21)
    assert len(params) == 20
    params += [jaxnet.large_layer(keys[0], 1, 1), jaxnet.scaled_layer(keys[1], 1, 1)]
    for w, b in params:
        assert w.shape == (1, 1) and b.shape == (1,) and w.dtype == b.dtype == dtype
        assert np.isfinite(w).all() and abs(w[0, 0]) < 6 and abs(b[0]) < 6


def test_every_byte_is_its_256th_and_numbers_stay(dtype):
    every = np.arange(256, dtype=np.uint8)[None]
    numbers = layers.as_numbers(jnp.asarray(every), dtype)
    np.testing.assert_array_equal(numbers, every.astype(dtype) / 256)
    assert numbers.dtype == dtype
    z = ends(dtype)[None]
    np.testing.assert_array_equal(layers.as_numbers(jnp.asarray(z), dtype), z)


def test_a_file_keeps_the_bits_of_any_finite_number(dtype, tmp_path):
    z = ends(np.float32).astype(dtype)  # the book's programs are given float32
    params = [Layer(jnp.asarray(z[:, None]), jnp.asarray(z))]
    jaxnet.save_book_network(tmp_path / "net", params)
    loaded, _ = jaxnet.load_book_network(tmp_path / "net")
    for kept in (loaded[0].w.ravel(), loaded[0].b):
        assert np.asarray(kept).tobytes() == z.astype(kept.dtype).tobytes()


# Metrics

accuracy = jax.jit(jaxnet.accuracy)
confusion_matrix = jax.jit(jaxnet.confusion_matrix)


def same(dtype=np.float32, w=((1, 0), (0, 1)), b=(0, 0)):
    """A network whose weighted inputs are its inputs, unless others are given."""
    return [Layer(jnp.asarray(np.array(w, dtype)), jnp.asarray(np.array(b, dtype)))]


def test_answers_are_read_at_both_ends(dtype):
    """The largest input is the answer; a tie, of signed zeros too, the lowest class."""
    info = np.finfo(dtype)
    numbers = [-info.max, -1e4, -info.tiny, 0.0, info.tiny, 1e4, info.max]
    x = np.array([*product(numbers, repeat=2), (-0.0, 0.0)], dtype)
    first = x[:, 0] >= x[:, 1]
    y = np.stack([first, ~first], axis=1).astype(dtype)
    data = Dataset(jnp.asarray(x), jnp.asarray(y))
    assert accuracy(same(dtype), data) == 1
    expected = np.diag([first.sum(), (~first).sum()])
    np.testing.assert_array_equal(confusion_matrix(same(dtype), data), expected)


def test_a_broken_output_is_no_answer():
    """Nan counts as the largest output, but a network with one has no accuracy."""
    x = y = jnp.array([[1.0, 0.0]])
    data = Dataset(x, y)
    broken = same(b=(0, np.nan))
    assert confusion_matrix(broken, data).tolist() == [[0, 1], [0, 0]]
    assert np.isnan(accuracy(broken, data))
    assert np.isnan(accuracy(same(b=(np.inf, 0)), data))
    two_infinite_outputs = same(w=np.full((2, 2), np.finfo(np.float32).max))
    assert accuracy(two_infinite_outputs, replace(data, x=2 * data.y)) == 1  # a tie


def test_the_largest_weights_have_costs_and_accuracies(dtype):
    params, x, y = chain(dtype, layers=2, w=np.finfo(dtype).max)
    found = jax.jit(jaxnet.monitor(Dataset(x, y), Dataset(x, y)))(params)
    cost = rounded([(1 - Decimal(float(y[0, 0]))) ** 2 / 2], dtype)[0]
    for part in ("training", "evaluation"):
        np.testing.assert_allclose(found[f"{part}_cost"], cost, rtol=1e-6)
        assert found[f"{part}_accuracy"] == 1


# Regularization

penalty = jax.jit(regularization.penalty, static_argnums=3)


def test_a_rate_of_0_costs_nothing_however_large_the_weights(dtype):
    """The squares of these weights are infinite."""
    largest = np.finfo(dtype).max
    params, _, _ = chain(dtype, layers=1, w=largest)
    assert penalty(params, 0.0, 0.0, 1) == 0
    assert penalty(params, 0.5, 0.0, 1) == largest / 2
    infinite = penalty(params, 0.0, 1.0, 1)
    assert infinite == np.inf and infinite.dtype == dtype


def test_a_network_of_float32_has_a_penalty_of_float32_beside_float64():
    params, x, y = chain(np.float32, layers=2)
    expected = penalty(params, 1.0, 1.0, 2)
    with jax.enable_x64(True):
        assert layers.dtype_of(params) == np.float32
        assert penalty(params, 1.0, 1.0, 2) == expected
        total = jaxnet.total_cost(params, Dataset(x, y), l2=1.0, n=2)
        assert total.dtype == expected.dtype == np.float32


def test_penalties_slope_by_the_weights_alone_at_both_ends(dtype):
    def no_slope(params, x, y, **options):
        return jax.tree.map(jnp.zeros_like, params)

    z = ends(dtype)[[0, 2, 8, 10, 11, 13, 19, 21]]
    params, x = same(dtype, w=z[None], b=z[:1]), np.zeros((1, 8), dtype)
    for rates, expected in (
        ({"l1_rate": 0.5}, 0.5 * np.sign(z)),
        ({"l2_rate": 0.5}, z / 2),
    ):
        gradient = jax.jit(regularization.with_penalty(no_slope, **rates))
        [slope] = gradient(params, x, x)
        tiny = np.finfo(dtype).tiny
        np.testing.assert_allclose(slope.w, expected[None], atol=tiny)
        np.testing.assert_array_equal(slope.b, 0)
        assert slope.w.dtype == dtype


def test_all_or_none_of_the_neurons_may_be_dropped(dtype):
    """And a network without hidden neurons has none to drop."""

    @jax.jit
    def dropped(params, x, y, rate):
        key = jax.random.key(0)
        gradient = regularization.with_dropout(jaxnet.backprop, key, rate)
        return gradient(params, x, y), jaxnet.backprop(params, x, y)

    examples, shallow = chain(dtype, layers=3), chain(dtype, layers=1)
    for found, expected in (dropped(*examples, 0.0), dropped(*shallow, 1.0)):
        assert_close(found, expected, rtol=0)
    *leaves, last_b = jax.tree.leaves(dropped(*examples, 1.0)[0])
    assert last_b != 0 and all_zero(leaves)


def test_the_largest_weights_are_scaled_by_the_share_that_was_present(dtype):
    params, _, _ = chain(dtype, layers=2, w=np.finfo(dtype).max)
    for rate in (0.0, 0.5):
        first, second = jaxnet.without_dropout(params, rate)
        assert first.w == params[0].w
        assert second.w == (1 - rate) * np.asarray(params[1].w)


# Gradient descent


@pytest.mark.parametrize("method", [jaxnet.descend, descent.newton])
def test_descent_begins_anywhere_and_may_stay_there(method, dtype):
    def square(v):
        return jnp.sum(v**2) / 2

    v = jnp.asarray(np.array([np.finfo(dtype).max / 4, -1e4, -0.0, 1.0], dtype))
    path = method(square, v, eta=1.0, steps=2)
    np.testing.assert_array_equal(path, np.outer([1, 0, 0], v))
    np.testing.assert_array_equal(method(square, v[:1], eta=1.0, steps=0), [v[:1]])
    with pytest.raises(ValueError, match="eta finite, got nan"):
        method(square, v, eta=jnp.nan, steps=1)
    if method is jaxnet.descend:
        assert method(square, v[:0], eta=1.0, steps=1).shape == (2, 0)


# Perceptrons


def threshold_rule(w, x, b):
    return perceptrons.threshold_rule(w, x, -b)


@pytest.mark.parametrize("rule", [threshold_rule, perceptrons.perceptron])
def test_a_perceptron_weighs_the_largest_and_the_smallest(rule, dtype):
    info = np.finfo(dtype)
    for w, b, answer in (
        ([info.max, -info.max], 0.0, 0),
        ([info.max, -info.max], float(info.tiny), 1),
        ([-0.0, 0.0], -0.0, 0),
        ([info.max, 0.0], -float(info.max / 2), 1),
        ([jnp.nan, 0.0], 0.0, 0),  # nan is not above 0
    ):
        found = rule(jnp.array(w, dtype), jnp.ones(2), b)
        assert found == answer and found.dtype == dtype
    assert rule(jnp.zeros(0), jnp.zeros(0), 1.0) == 1


@jax.jit
def answers(params, x):
    return jax.vmap(partial(jaxnet.predict, params))(x)


def test_gates_answer_whatever_the_size_of_their_weights(dtype):
    x = perceptrons.all_inputs(2)
    for c in (1.0, 2.0**-100, 2.0**100):
        nand = perceptrons.gate(*(c * number for number in perceptrons.NAND))
        found = answers(nand, x)
        assert found.ravel().tolist() == [1, 1, 1, 0] and found.dtype == dtype
    assert answers(nand, x[:0]).shape == (0, 1)
    assert perceptrons.all_inputs(0).shape == (1, 0)
    assert perceptrons.all_inputs(1).tolist() == [[0], [1]]


# Nan and infinity, as the README has it


def test_nan_and_infinity_are_carried_as_arithmetic_has_it():
    @jax.jit
    def found(z, y):
        costs = (jaxnet.quadratic, jaxnet.cross_entropy, jaxnet.log_likelihood)
        return {
            "bounded": [f.fn(z) for f in (jaxnet.sigmoid, jaxnet.tanh)],
            "unbounded": [f.fn(z) for f in (jaxnet.relu, jaxnet.linear)],
            "comparisons": [jaxnet.relu.prime(z), perceptrons.step.fn(z)],
            "costs": [(cost.value(z, y), cost.delta(z, z)) for cost in costs],
        }

    nan, inf = (
        found(np.full(1, end, np.float32), np.ones(1, np.float32))
        for end in (np.nan, np.inf)
    )
    assert all(leaf == 0 for leaf in nan.pop("comparisons"))
    assert all(np.isnan(leaf) for leaf in jax.tree.leaves(nan))
    assert all(leaf == 1 for leaf in inf["bounded"])
    assert all(leaf == np.inf for leaf in inf["unbounded"])
    params, x, y = chain(np.float32, layers=4)
    for gradient in (jaxnet.backprop, jaxnet.autodiff):
        broken = compiled(gradient)(params, x * jnp.nan, y)
        assert all(np.isnan(leaf).all() for leaf in jax.tree.leaves(broken))


@jax.jit
def learnt_under_jit(params, data):
    key, state = jax.random.key(0), jaxnet.start(params)
    return jaxnet.epoch(key, state, data, batch_size=1, eta=1.0).params


def test_under_jit_nan_in_the_data_is_learnt():
    """Outside, where values can be looked at, it is refused."""
    params, x, y = chain(np.float32, layers=2)
    learnt = learnt_under_jit(params, Dataset(x * jnp.nan, y))
    assert all(np.isnan(leaf).all() for leaf in jax.tree.leaves(learnt))
