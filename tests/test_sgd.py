"""A step is the book's, an epoch visits everything once, a run is a fold of epochs."""

import shutil
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxnet
from jaxnet import Layer, fast, sgd
from jaxnet.network import stream
from tests.helpers import (
    CountedBackprop,
    assert_close,
    compiled,
    numpy_gradient,
    problem,
)

loss, autodiff = compiled(jaxnet.loss), compiled(jaxnet.autodiff)


def data_of(sizes, m=7, seed=0):
    params, x, y = problem(sizes, m, seed)
    return params, jaxnet.Dataset(x, y)


def as_params(layers):
    return [Layer(jnp.asarray(w), jnp.asarray(b)) for w, b in layers]


@pytest.mark.parametrize("cost", ["quadratic", "cross_entropy"])
@pytest.mark.parametrize("gradient", [jaxnet.backprop, jaxnet.autodiff])
def test_an_epoch_equals_the_book_s_loops(x64, cost, gradient):
    """23 examples in mini-batches of 5: the last one has 3, and is divided by 3."""
    params, data = data_of([4, 5, 3], m=23)
    key, eta = jax.random.key(5), 0.7
    state = jaxnet.epoch(
        key,
        jaxnet.start(params),
        data,
        batch_size=5,
        eta=eta,
        cost=getattr(jaxnet, cost),
        gradient=gradient,
    )
    order = np.asarray(fast.shuffle(stream(key, "order"), 23))
    assert sorted(order) == list(range(23))
    layers = [(np.array(w), np.array(b)) for w, b in params]
    x, y = np.asarray(data.x), np.asarray(data.y)
    for k in range(0, 23, 5):
        batch = order[k : k + 5]
        nabla = numpy_gradient(layers, x[batch], y[batch], cost)
        layers = [
            (w - eta * nw, b - eta * nb)
            for (w, b), (nw, nb) in zip(layers, nabla, strict=True)
        ]
    assert_close(state.params, as_params(layers), rtol=1e-12)


@pytest.mark.parametrize("n", [1, 2, 3, 1000, 50_000, 2**18, 2**18 + 1])
def test_an_order_is_a_permutation(n):
    order = np.asarray(jax.jit(fast.shuffle, static_argnums=1)(jax.random.key(n), n))
    np.testing.assert_array_equal(np.sort(order), np.arange(n))
    assert n < 4 or (order != np.arange(n)).any()


def test_an_order_is_by_32_random_bits():
    """Of 50,000 numbers, 16 bits of each sort; ties go to the 16 bits before them."""
    key, n = jax.random.key(3), 50_000
    bits = np.asarray(jax.random.bits(jax.random.clone(key), (2, n), np.uint32)) >> 16
    first = np.argsort(bits[0], kind="stable")
    expected = first[np.argsort(bits[1], kind="stable")]
    np.testing.assert_array_equal(fast.shuffle(key, n), expected)


def test_all_orders_are_equally_likely():
    """All six orders of three numbers are as frequent, by chi squared at 1 in 10^4."""
    keys = jax.random.split(jax.random.key(0), 60_000)
    orders = np.asarray(jax.jit(jax.vmap(lambda key: fast.shuffle(key, 3)))(keys))
    _, counts = np.unique(orders, axis=0, return_counts=True)
    assert len(counts) == 6
    assert ((counts - 10_000) ** 2 / 10_000).sum() < 25.7


def test_bytes_are_learnt_from_as_their_256ths():
    params, _ = data_of([4, 5, 3])
    pixels = jax.random.bits(jax.random.key(1), (23, 4), np.uint8)
    y = jax.nn.one_hot(jnp.arange(23) % 3, 3)
    data = jaxnet.Dataset(pixels, y), jaxnet.Dataset(pixels.astype(float) / 256, y)
    key, state = jax.random.key(5), jaxnet.start(params)
    for measure in (jaxnet.accuracy, jaxnet.total_cost):
        assert measure(params, data[0]) == measure(params, data[1])
    one, other = (jaxnet.epoch(key, state, d, batch_size=5, eta=1.0) for d in data)
    assert_close(one.params, other.params, rtol=1e-6)


def test_a_step_over_all_the_data_is_gradient_descent(x64):
    params, data = data_of([4, 5, 3])
    state = jaxnet.epoch(
        jax.random.key(0), jaxnet.start(params), data, batch_size=7, eta=0.5
    )
    slope = autodiff(params, data.x, data.y)
    expected = jax.tree.map(lambda p, g: p - 0.5 * g, params, slope)
    assert_close(state.params, expected, rtol=1e-12)


def test_eta_zero_changes_nothing():
    params, data = data_of([4, 5, 3], m=23)
    key = jax.random.key(0)
    state = jaxnet.epoch(key, jaxnet.start(params), data, batch_size=5, eta=0.0)
    assert_close(state.params, params, rtol=0)


def test_train_is_a_loop_over_epochs():
    params, data = data_of([4, 5, 3], m=23)
    key = jax.random.key(2)
    trained, history = jaxnet.train(
        key,
        params,
        data,
        epochs=3,
        batch_size=5,
        eta=1.0,
        evaluate=lambda p: loss(p, data.x, data.y),
    )
    state, losses = jaxnet.start(params), []
    for number in range(3):
        epoch_key = jax.random.fold_in(key, number)
        state = jaxnet.epoch(epoch_key, state, data, batch_size=5, eta=1.0)
        losses.append(loss(state.params, data.x, data.y))
    assert_close(trained, state.params, rtol=1e-6)
    np.testing.assert_allclose(history, jnp.stack(losses), rtol=1e-6)
    assert history[2] < history[0]


def test_twenty_seeds_by_three_etas_train_under_two_vmaps():
    _, data = data_of([4, 5, 3], m=20)

    def run(key, eta):
        params = jaxnet.init(key, [4, 5, 3])
        options = {"epochs": 2, "batch_size": 5, "eta": eta}
        return jaxnet.train(key, params, data, **options)[0]

    etas = jnp.array([0.1, 1.0, 3.0])
    over_etas = jax.vmap(run, in_axes=(None, 0))
    swept = jax.jit(jax.vmap(over_etas, in_axes=(0, None)))(
        jax.random.split(jax.random.key(0), 20), etas
    )
    assert swept[0].w.shape == (20, 3, 5, 4)
    for seed, number in ((0, 0), (7, 1), (19, 2)):
        key = jax.random.split(jax.random.key(0), 20)[seed]
        alone = jax.jit(run)(key, etas[number])
        one = jax.tree.map(lambda leaf, i=seed, j=number: leaf[i, j], swept)
        assert_close(one, alone, rtol=1e-5)


def test_a_new_eta_or_key_compiles_nothing():
    params, data = data_of([5, 3], m=9)
    counted = CountedBackprop()

    def run(seed, eta):
        options = {"batch_size": 3, "eta": eta, "gradient": counted}
        jaxnet.epoch(jax.random.key(seed), jaxnet.start(params), data, **options)

    run(0, 0.5)
    before = counted.traces
    assert before > 0
    for seed, eta in ((1, 0.25), (2, 3), (3, np.float64(0.1)), (4, jnp.array(2.0))):
        run(seed, eta)
    assert counted.traces == before


def test_the_same_key_gives_the_same_bits_and_another_another_order():
    params, data = data_of([4, 5, 3], m=23)
    state = jaxnet.start(params)

    def run(seed):
        learnt = jaxnet.epoch(jax.random.key(seed), state, data, batch_size=5, eta=2.0)
        return jax.tree.leaves(learnt.params)

    assert all(map(np.array_equal, run(0), run(0)))
    assert not any(map(np.array_equal, run(0), run(1)))


def momentum(eta):
    return optax.sgd(eta, momentum=0.9)


@pytest.mark.parametrize("optimizer", [momentum, optax.adam])
def test_any_optax_optimizer_trains_and_keeps_its_memory(x64, optimizer):
    params, data = data_of([4, 5, 3])
    state = jaxnet.start(params, optimizer)
    expected, reference = params, optimizer(0.1)
    memory = reference.init(params)
    for number in range(4):
        key = jax.random.key(number)
        state = jaxnet.epoch(
            key, state, data, batch_size=7, eta=0.1, optimizer=optimizer
        )
        slope = autodiff(expected, data.x, data.y)
        with jax.numpy_dtype_promotion("standard"):  # adam mixes int32 and floats
            updates, memory = reference.update(slope, memory, expected)
        expected = jax.tree.map(jnp.add, expected, updates)
    assert_close(state.params, expected, rtol=1e-9)


def test_a_state_of_another_optimizer_is_refused():
    params, data = data_of([4, 5, 3])
    state = jaxnet.start(params, momentum)
    with pytest.raises(ValueError, match="of this optimizer, .* of another optimizer"):
        jaxnet.epoch(jax.random.key(0), state, data, batch_size=7, eta=0.1)


def test_a_gradient_of_one_s_own_may_return_pairs():
    params, data = data_of([4, 5, 3])

    def pairs(params, x, y, cost):
        return [(dw, db) for dw, db in jaxnet.backprop(params, x, y, cost)]

    run = {"batch_size": 5, "eta": 1.0}
    key, state = jax.random.key(0), jaxnet.start(params)
    expected = jaxnet.epoch(key, state, data, **run)
    learnt = jaxnet.epoch(key, state, data, gradient=pairs, **run)
    assert_close(learnt.params, expected.params, rtol=1e-6)


def brighter(key, x):
    return x * jax.random.uniform(key, (), x.dtype)


WAYS_TO_TRAIN = {
    "sgd with L1, augmented": {"l1": 0.1, "augment": brighter},
    "momentum with L2": {"optimizer": momentum, "l2": 0.1},
    "adam with dropout": {"optimizer": optax.adam, "dropout": 0.3},
}


@pytest.mark.parametrize("options", WAYS_TO_TRAIN.values(), ids=WAYS_TO_TRAIN)
def test_fast_training_equals_plain_training(x64, monkeypatch, options):
    """In 200 steps, every fifth of them with three examples in place of five."""
    params, data = data_of([4, 5, 3], m=23)

    def trained():
        run = {"epochs": 40, "batch_size": 5, "eta": 0.1} | options
        return jaxnet.train(jax.random.key(0), params, data, **run)[0]

    fast_params = trained()
    plain = sgd.Engine(fast.shuffle, sgd.plain.fold, sgd.plain.gradient)
    monkeypatch.setattr(sgd, "engine", plain)
    assert_close(trained(), fast_params, rtol=1e-12)
    assert loss(fast_params, data.x, data.y) < loss(params, data.x, data.y)


TRAIN_WITHOUT_FAST = """
import jax, jax.numpy as jnp
import jaxnet
from jaxnet import sgd

assert sgd.engine is sgd.plain and not hasattr(jaxnet, "fast")
data, key = jaxnet.Dataset(jnp.eye(4), jnp.eye(4)), jax.random.key(0)
params = jaxnet.init(key, [4, 3, 4])
run = {"epochs": 20, "batch_size": 3, "eta": 3.0}
trained, _ = jaxnet.train(key, params, data, **run)
assert jaxnet.total_cost(trained, data) < jaxnet.total_cost(params, data)
print(jaxnet.__file__)
"""


def test_without_fast_py_training_still_works(tmp_path):
    """`fast.py` and one line of `__init__.py` may be deleted."""
    package = tmp_path / "jaxnet"
    without = shutil.ignore_patterns("__pycache__", "fast.py")
    shutil.copytree(Path(jaxnet.__file__).parent, package, ignore=without)
    names = (package / "__init__.py").read_text()
    without_import = names.replace("from jaxnet import fast as fast\n", "")
    assert without_import != names
    (package / "__init__.py").write_text(without_import)
    command = [sys.executable, "-c", TRAIN_WITHOUT_FAST]
    found = subprocess.run(
        command, cwd=tmp_path, stdout=subprocess.PIPE, text=True, check=True
    )
    assert found.stdout.strip() == str(package / "__init__.py")
