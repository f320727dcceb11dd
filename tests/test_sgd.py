"""An epoch visits everything once, a run is a fold of epochs."""

import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxnet
from jaxnet import fast, sgd
from jaxnet.network import stream
from tests.helpers import CountedBackprop, assert_close, compiled, problem

loss = compiled(jaxnet.loss)
RUN: Any = {"batch_size": 5, "eta": 2.0}


def data_of(m=23):
    """A network 4-5-3, and examples of which five at a time leave three over."""
    params, x, y = problem([4, 5, 3], m)
    return params, jaxnet.Dataset(x, y)


def order_of(key, n):
    return np.asarray(fast.shuffle(stream(key, "order"), n))


# The order of the examples


def test_an_order_is_a_permutation_and_all_are_equally_likely():
    """All six orders of three numbers are as frequent, by chi squared at 1 in 10^4."""
    for n in (0, 1, 2**18, 2**18 + 1):
        order = jax.jit(fast.shuffle, static_argnums=1)(jax.random.key(n), n)
        np.testing.assert_array_equal(np.sort(order), np.arange(n))
        assert n < 2 or not np.array_equal(order, np.arange(n))
    keys = jax.random.split(jax.random.key(0), 60_000)
    orders = np.asarray(jax.jit(jax.vmap(lambda key: fast.shuffle(key, 3)))(keys))
    _, counts = np.unique(orders, axis=0, return_counts=True)
    assert len(counts) == 6
    assert ((counts - 10_000) ** 2 / 10_000).sum() < 25.7


# Keys and rates


def test_the_same_key_gives_the_same_bits_and_another_another_order():
    params, data = data_of(20)

    def run(seed, **changes):
        state, options = jaxnet.start(params), RUN | changes
        learnt = jaxnet.epoch(jax.random.key(seed), state, data, **options)
        return jax.tree.leaves(learnt.params)

    assert all(map(np.array_equal, run(0), run(0)))
    assert not any(map(np.array_equal, run(0), run(1)))
    assert all(map(np.array_equal, run(0, eta=0.0), jax.tree.leaves(params)))


def test_a_new_key_or_rate_compiles_nothing():
    params, data = data_of(20)
    counted, found = CountedBackprop(), []
    for seed, eta, rate in (
        (0, 0.5, 0.5),
        (1, 0.25, 0.1),
        (2, 3, 0.25),
        (3, np.float64(0.1), np.float64(0.5)),
        (4, jnp.array(2.0), jnp.array(0.5)),
    ):
        rates = {"eta": eta, "l1": rate, "l2": rate, "dropout": rate}
        state, options = jaxnet.start(params), RUN | rates | {"gradient": counted}
        jaxnet.epoch(jax.random.key(seed), state, data, **options)
        found.append(counted.traces)
    assert 0 < found[0] == found[-1]


def test_rates_of_0_and_none_are_the_same(x64):
    params, data = data_of()
    key, state, zero = jax.random.key(0), jaxnet.start(params), jnp.zeros(())
    expected = jaxnet.epoch(key, state, data, **RUN)
    found = jaxnet.epoch(key, state, data, **RUN, l1=zero, l2=zero, dropout=zero)
    assert_close(found.params, expected.params, rtol=1e-14)


KEEPS_ETA = optax.inject_hyperparams(optax.sgd)


def test_seeds_by_rates_train_under_two_vmaps():
    """With an optimizer that keeps eta in its state."""
    _, data = data_of(20)

    @jax.jit
    def run(params, key, rates):
        options = {"epochs": 1, "batch_size": 5, "optimizer": KEEPS_ETA}
        return jaxnet.train(key, params, data, **options, **rates)[0]

    keys = jax.random.split(jax.random.key(0), 5)
    networks = jax.tree.map(
        lambda *leaves: np.stack(leaves),
        *(problem([4, 5, 3], seed=seed)[0] for seed in range(5)),
    )
    rates = {"eta": [0.1, 1.0, 3.0], "l2": [0.0, 1.0, 2.0], "dropout": [0.0, 0.5, 0.1]}
    rates = {name: np.array(column, np.float32) for name, column in rates.items()}
    over_rates = jax.vmap(run, in_axes=(None, None, 0))
    swept = jax.vmap(over_rates, in_axes=(0, 0, None))(networks, keys, rates)
    assert swept[0].w.shape == (5, 3, 5, 4)
    for i, j in ((0, 0), (2, 1), (4, 2)):
        params = jax.tree.map(lambda leaf, i=i: leaf[i], networks)
        alone = run(params, keys[i], {name: rates[name][j] for name in rates})
        one = jax.tree.map(lambda leaf, i=i, j=j: np.asarray(leaf)[i, j], swept)
        assert_close(one, alone, rtol=1e-5)


# Runs


def test_train_is_a_loop_over_epochs():
    """It evaluates and returns the network with all its neurons, none dropped."""
    params, data = data_of(20)
    key, options = jax.random.key(2), RUN | {"dropout": 0.5}
    trained, history = jaxnet.train(
        key, params, data, epochs=2, evaluate=lambda params: params, **options
    )
    state, expected = jaxnet.start(params), params
    for number in range(2):
        epoch_key = jax.random.fold_in(key, number)
        state = jaxnet.epoch(epoch_key, state, data, **options)
        evaluated = jax.tree.map(lambda leaf, i=number: np.asarray(leaf)[i], history)
        expected = jaxnet.without_dropout(state.params, 0.5)
        assert_close(evaluated, expected, rtol=1e-5)
    assert_close(trained, expected, rtol=1e-5)
    assert loss(trained, data.x, data.y) < loss(params, data.x, data.y)


# Optimizers


MOMENTUM = partial(optax.sgd, momentum=0.9)


def many_parts():
    """Clipping, a mask, a schedule, weight decay, and two mini-batches to a step."""
    schedule = optax.exponential_decay(0.5, 3, 0.5)
    masked = optax.masked(optax.trace(0.5), lambda params: [True, False])
    update = optax.chain(optax.clip_by_global_norm(0.1), masked, optax.adamw(schedule))
    return optax.MultiSteps(update, 2).gradient_transformation()


@pytest.mark.parametrize(
    "optimizer", [MOMENTUM, many_parts()], ids=["function", "ready"]
)
def test_an_optimizer_learns_what_an_optax_loop_learns(x64, optimizer):
    """And keeps its memory from epoch to epoch."""
    params, data = data_of(20)
    options: Any = {"batch_size": 5, "optimizer": optimizer}
    reference: Any = optimizer
    if not hasattr(optimizer, "update"):
        options["eta"], reference = 0.1, optimizer(0.1)

    @jax.jit
    def step(params, memory, x, y):
        slopes = jax.grad(jaxnet.loss)(params, x, y)
        with jax.numpy_dtype_promotion("standard"):  # adam mixes int32 and floats
            updates, memory = reference.update(slopes, memory, params)
        return optax.apply_updates(params, updates), memory

    state = jaxnet.start(params, optimizer)
    expected, memory = params, reference.init(params)
    for seed in range(2):
        key = jax.random.key(seed)
        state = jaxnet.epoch(key, state, data, **options)
        for batch in order_of(key, 20).reshape(-1, 5):
            expected, memory = step(expected, memory, data.x[batch], data.y[batch])
    assert not np.array_equal(expected[0].w, params[0].w)
    assert_close(state.params, expected, rtol=1e-12)


# With and without fast.py


def brighter(key, x):
    return x * jax.random.uniform(key, (), x.dtype)


REGULARIZED = {"l1": 0.1, "l2": 0.1, "dropout": 0.3, "augment": brighter}
WAYS_TO_TRAIN: dict[str, dict[str, Any]] = {
    "momentum": REGULARIZED | {"optimizer": MOMENTUM},
    "adam": {"optimizer": optax.adam, "eta": 0.01, "cost": jaxnet.log_likelihood},
    "adagrad": {"optimizer": optax.adagrad},
    "rmsprop": {"optimizer": optax.rmsprop, "eta": 0.001},
}


def wide(output=jaxnet.sigmoid, hidden=jaxnet.sigmoid):
    """A network and 33 examples, of which fast.py turns mini-batches of 10."""
    params, x, y = problem([300, 17, 5, 4], 33, hidden=hidden, output=output)
    return params, jaxnet.Dataset(x, y)


@pytest.fixture
def without_fast(monkeypatch):
    """A context without the faster parts, except for the order of the examples."""

    def leave_out():
        jax.clear_caches()
        monkeypatch.setattr(sgd, "fold", fast._plain_fold)

    yield leave_out
    jax.clear_caches()


@pytest.mark.parametrize(
    "name",
    [
        "momentum",
        *(pytest.param(n, marks=pytest.mark.slow) for n in list(WAYS_TO_TRAIN)[1:]),
    ],
)
def test_fast_training_equals_plain_training(x64, without_fast, name):
    """In 200 steps, every fourth of them with three examples in place of ten."""
    options = WAYS_TO_TRAIN[name]
    params, data = wide(options.get("cost", jaxnet.quadratic).output)
    run = {"epochs": 50, "batch_size": 10, "eta": 0.3} | options

    def trained():
        return jaxnet.train(jax.random.key(0), params, data, **run)[0]

    fast_params = trained()
    without_fast()
    assert_close(trained(), fast_params, rtol=1e-12)
    cost = run.get("cost", jaxnet.quadratic)
    assert loss(fast_params, data.x, data.y, cost) < loss(params, data.x, data.y, cost)


def test_the_network_of_the_loop_is_turned_and_padded(monkeypatch):
    """Or the comparison above would compare equal programs."""
    shapes = []

    def learn(state, number, x, y):
        shapes.extend(jnp.shape(w) for w, _ in map(jax.tree.leaves, state.params))
        return state

    params, data = wide()
    batches = jnp.arange(30).reshape(3, 10)

    def load(number, batch):
        return data.x[batch], data.y[batch]

    choices = (jaxnet.backprop, sgd.gradient_descent)
    state = jaxnet.start(params)
    left = fast.fold(load, learn, state, batches, *choices)
    assert shapes[:3] == [(300, 32), (32, 16), (16, 4)]
    assert_close(left, state, rtol=0)
    shapes.clear()
    fast.fold(load, learn, state, batches, jaxnet.autodiff, sgd.gradient_descent)
    assert shapes[:3] == [(17, 300), (5, 17), (4, 5)]


TRAIN_WITHOUT_FAST = """
import jax, jax.numpy as jnp
import jaxnet

assert not hasattr(jaxnet, "fast")
data, key = jaxnet.Dataset(jnp.eye(4), jnp.eye(4)), jax.random.key(0)
params = jaxnet.init(key, [4, 3, 4])
cost = jax.tree_util.Partial(jaxnet.total_cost, data=data)
run = {"epochs": 20, "batch_size": 3, "eta": 3.0, "evaluate": cost}
_, costs = jaxnet.train(key, params, data, **run)
assert costs[-1] < costs[0]
print(jaxnet.__file__)
"""


@pytest.mark.slow
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
