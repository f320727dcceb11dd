"""What used to go wrong silently: each case now works, or is refused with a reason."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxnet
from jaxnet.fast import shuffle
from jaxnet.network import stream
from tests.helpers import assert_close, problem

ROOT = Path(__file__).parent.parent


def data_of(sizes, m=23, seed=0, **activations):
    params, x, y = problem(sizes, m, seed, **activations)
    return params, jaxnet.Dataset(x, y)


MINE = {
    "a schedule": lambda: optax.sgd(optax.exponential_decay(0.5, 3, 0.5)),
    "inject_hyperparams": lambda: optax.inject_hyperparams(optax.sgd)(0.5),
    "injected schedule": lambda: optax.inject_hyperparams(optax.adam)(
        optax.linear_schedule(0.1, 0.01, 10)
    ),
    "rprop": lambda: optax.rprop(0.1),
    "a chain": lambda: optax.chain(optax.clip_by_global_norm(0.1), optax.adam(0.01)),
    "a mask": lambda: optax.masked(optax.sgd(0.5), lambda params: [True, False]),
    "weight decay": lambda: optax.adamw(0.01),
    "several steps": lambda: optax.MultiSteps(
        optax.sgd(0.5), 2
    ).gradient_transformation(),
}


@pytest.mark.parametrize("name", MINE)
def test_a_ready_made_optimizer_learns_what_an_optax_loop_learns(x64, name):
    (params, data), key = data_of([4, 5, 3]), jax.random.key(1)
    optimizer = MINE[name]()
    options = {"batch_size": 5, "optimizer": optimizer}
    state = jaxnet.epoch(key, jaxnet.start(params, optimizer), data, **options)

    expected: Any = params
    memory = optimizer.init(params)
    order = np.asarray(shuffle(stream(key, "order"), 23))
    for k in range(0, 23, 5):
        rows = order[k : k + 5]
        slopes = jax.grad(jaxnet.loss)(expected, data.x[rows], data.y[rows])
        with jax.numpy_dtype_promotion("standard"):
            updates, memory = optimizer.update(slopes, memory, expected)
        expected = optax.apply_updates(expected, updates)
    assert not np.array_equal(expected[0].w, params[0].w)
    assert_close(state.params, expected, rtol=1e-12)


@pytest.mark.parametrize("factory", [optax.inject_hyperparams(optax.sgd), optax.rprop])
def test_an_optimizer_that_keeps_eta_is_refused_by_start_and_works_in_train(factory):
    params, data = data_of([4, 5, 3])
    with pytest.raises(ValueError, match="Pass it ready-made"):
        jaxnet.start(params, factory)
    key = jax.random.key(0)
    options: Any = {"epochs": 2, "batch_size": 5}
    learned, _ = jaxnet.train(key, params, data, eta=0.1, optimizer=factory, **options)
    ready = factory(0.1)
    expected, _ = jaxnet.train(key, params, data, optimizer=ready, **options)
    assert not np.array_equal(learned[0].w, params[0].w)
    assert_close(learned, expected, rtol=1e-5)


@pytest.mark.parametrize(
    "optimizer",
    [optax.lbfgs(1.0), optax.polyak_sgd(), optax.contrib.sophia(1.0)],
    ids=["lbfgs", "polyak_sgd", "sophia"],
)
def test_an_optimizer_that_needs_more_than_gradients_is_refused(optimizer):
    params, _ = data_of([4, 5, 3])
    with pytest.raises(TypeError, match="Call it in a loop of your own"):
        jaxnet.start(params, optimizer)


def test_eta_sweeps_with_an_optimizer_that_keeps_it():
    params, data = data_of([4, 5, 3])

    def run(eta):
        options = {"batch_size": 5, "optimizer": optax.inject_hyperparams(optax.sgd)}
        trained, _ = jaxnet.train(
            jax.random.key(0), params, data, epochs=1, eta=eta, **options
        )
        return trained

    together = jax.jit(jax.vmap(run))(jnp.array([0.1, 1.0]))
    for i, eta in enumerate((0.1, 1.0)):
        one = jax.tree.map(lambda leaf, i=i: leaf[i], together)
        assert_close(one, run(eta), rtol=1e-5)


def refused(message, **changes):
    params, data = data_of([4, 5, 3])
    options = {"batch_size": 5, "eta": 1.0} | changes
    optimizer = options.get("optimizer", optax.sgd)
    ready = optimizer if hasattr(optimizer, "update") else optax.sgd
    with pytest.raises((TypeError, ValueError), match=message):
        jaxnet.epoch(jax.random.key(0), jaxnet.start(params, ready), data, **options)


def test_mistaken_learning_rates_are_refused():
    refused("no eta with a ready-made optimizer", optimizer=optax.adam(1e-3))
    refused("Expected a learning rate eta", eta=None)
    refused("of another optimizer", optimizer=optax.adam)
    refused("returns a float", optimizer=lambda eta: 1.0 + eta)
    refused("unexpected keyword argument 'etaa'", etaa=1.0)


def test_one_key_for_init_and_train_gives_independent_numbers():
    """No two of the streams that a user's one key feeds are correlated."""
    key, n = jax.random.key(7), 4000
    first, second = jaxnet.init(key, [n, 1, n])
    draws = {"w^1": first.w[0], "w^2": second.w[:, 0], "b^2": second.b}
    for number in range(2):
        epoch_key = jax.random.fold_in(key, number)
        for purpose in ("order", "dropout", "augment"):
            draws[f"{purpose} {number}"] = jax.random.normal(
                stream(epoch_key, purpose), (n,)
            )
    correlations = np.corrcoef(np.array(list(draws.values())))
    np.fill_diagonal(correlations, 0)
    assert np.abs(correlations).max() < 5 / n**0.5


def test_a_data_set_has_a_length_and_parts():
    _, data = data_of([4, 3], m=23)
    assert len(data) == 23
    mask, rows = np.arange(23) % 2 == 0, [3, 1, 4]
    for part, index in ((slice(5), slice(5)), (mask, mask), (rows, np.array(rows))):
        selected = data[part]
        assert isinstance(selected, jaxnet.Dataset)
        np.testing.assert_array_equal(selected.x, np.asarray(data.x)[index])
        np.testing.assert_array_equal(selected.y, np.asarray(data.y)[index])
    with pytest.raises(TypeError, match="data.x\\[i\\]"):
        data[3]  # type: ignore
    with pytest.raises(TypeError, match="not iterable"):
        x, y = data  # type: ignore


def test_bytes_are_their_256ths_everywhere():
    params, x, y = problem([4, 5, 3])
    pixels = (np.arange(28).reshape(7, 4) * 9).astype(np.uint8)
    as_bytes, numbers = jnp.asarray(pixels), jnp.asarray(pixels / np.float32(256))
    one = jax.tree_util.Partial(jaxnet.predict, params)
    np.testing.assert_array_equal(one(as_bytes[3]), one(numbers[3]))
    for f in (jaxnet.loss, jaxnet.backprop, jaxnet.autodiff):
        assert_close(f(params, as_bytes, y), f(params, numbers, y), rtol=1e-6)
    for found, expected in zip(
        jax.tree.leaves(jaxnet.errors(params, as_bytes[3], y[3])),
        jax.tree.leaves(jaxnet.errors(params, numbers[3], y[3])),
        strict=True,
    ):
        np.testing.assert_array_equal(found, expected)


def test_pixels_up_to_255_as_floats_are_warned_of():
    params, data = data_of([4, 5, 3])
    raw = jaxnet.Dataset(jnp.asarray(np.arange(92.0).reshape(23, 4) * 2.7), data.y)
    with pytest.warns(UserWarning, match="divide them by 256"):
        jaxnet.accuracy(params, raw)


WRONG = {
    "integer parameters": lambda p, x, y: jaxnet.loss(
        jax.tree.map(lambda leaf: leaf.astype(int), p), x, y
    ),
    "complex parameters": lambda p, x, y: jaxnet.backprop(
        jax.tree.map(lambda leaf: leaf.astype(complex), p), x, y
    ),
    "a cost that returns a vector": lambda p, x, y: jaxnet.loss(
        p, x, y, jaxnet.Cost(jaxnet.sigmoid, lambda z, y: z - y, lambda z, y: z - y)
    ),
    "targets of 10": lambda p, x, y: jaxnet.loss(p, x, 10 * y, jaxnet.cross_entropy),
    "targets of -1": lambda p, x, y: jaxnet.backprop(p, x, -y, jaxnet.cross_entropy),
    "n = -5": lambda p, x, y: jaxnet.total_cost(p, jaxnet.Dataset(x, y), l2=1.0, n=-5),
    "-1 epochs": lambda p, x, y: jaxnet.train(
        jax.random.key(0), p, jaxnet.Dataset(x, y), epochs=-1, batch_size=2, eta=1.0
    ),
    "a schedule for eta": lambda p, x, y: jaxnet.epoch(
        jax.random.key(0),
        jaxnet.start(p),
        jaxnet.Dataset(x, y),
        batch_size=2,
        eta=optax.constant_schedule(0.1),  # type: ignore
    ),
    "-1 steps": lambda p, x, y: jaxnet.descend(jnp.sum, x, eta=0.1, steps=-1),
    "a number for a cost": lambda p, x, y: jaxnet.descend(1.0, x, eta=0.1, steps=1),  # type: ignore
    "integer labels for a step": lambda p, x, y: jaxnet.step(
        jaxnet.start(p), x, jnp.arange(7), eta=1.0
    ),
    "l2 of -100": lambda p, x, y: jaxnet.total_cost(
        p, jaxnet.Dataset(x, y), l2=-100.0, n=7
    ),
    "a batch for predict": lambda p, x, y: jaxnet.predict(p, x),
    "a column for predict": lambda p, x, y: jaxnet.predict(p, x[0][:, None]),
    "layers that do not fit": lambda p, x, y: jaxnet.forward([p[0], p[0]], x[0]),
    "a pair for a layer": lambda p, x, y: jaxnet.forward([tuple(p[0])], x[0]),
    "no network": lambda p, x, y: jaxnet.start(jnp.zeros(3)),  # type: ignore
    "several networks": lambda p, x, y: jaxnet.forward(
        jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), p), x[0]
    ),
}
REASONS = {
    "integer parameters": "floating-point parameters in layer 1, got int32",
    "complex parameters": "floating-point parameters in layer 1, got complex64",
    "a cost that returns a vector": "Is a sum over the outputs missing",
    "targets of 10": "between 0 and 1, as sigmoid outputs are, got .* to",
    "targets of -1": "between 0 and 1",
    "n = -5": "at least 1, got -5",
    "-1 epochs": "at least 0, got -1",
    "a schedule for eta": r"optax.sgd\(schedule\)",
    "-1 steps": "number of steps of at least 0, got -1",
    "a number for a cost": "cost to be a function",
    "integer labels for a step": r"Integer labels\? Encode them with jax.nn.one_hot",
    "l2 of -100": "l2 of at least 0, got -100",
    "a batch for predict": "Use jax.vmap",
    "a column for predict": "column vectors",
    "layers that do not fit": "layer 2 to take the 5 outputs of layer 1",
    "a pair for a layer": "layer 1 to be a jaxnet.Layer",
    "no network": "a list of layers",
    "several networks": "Several networks\\? Use jax.vmap",
}


def wrong_reasons() -> list[str]:
    """The mistakes that are accepted, or refused with another reason."""
    params, x, y = problem([4, 5, 3])
    found = []
    for mistake, run in WRONG.items():
        try:
            run(params, x, y)
        except (TypeError, ValueError) as error:
            if re.search(REASONS[mistake], str(error)):
                continue
            found.append(f"{mistake}: {error}")
        else:
            found.append(f"{mistake}: accepted")
    return found


def test_mistakes_are_refused_with_a_reason():
    """In a process without the type checker, which would find some of them first."""
    code = (
        "from tests.test_traps import wrong_reasons; print(*wrong_reasons(), sep='\\n')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, text=True, capture_output=True
    )
    assert (done.stdout.strip(), done.returncode) == ("", 0), done.stderr


def test_every_submodule_and_public_name_is_an_attribute():
    code = """
import jaxnet, pkgutil
names = [m.name for m in pkgutil.iter_modules(jaxnet.__path__) if m.name[0] != "_"]
assert set(names) <= set(dir(jaxnet)), set(names) - set(dir(jaxnet))
assert {"diagnose", "compare_gradients", "epoch"} <= set(dir(jaxnet))
for name in dir(jaxnet):
    getattr(jaxnet, name)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


SHARDED = """
import jax
jax.config.update("jax_num_cpu_devices", 4)
jax.config.update("jax_enable_x64", True)
import jax.numpy as jnp, jaxnet
from jax.sharding import NamedSharding, PartitionSpec as P
mesh = jax.make_mesh((4,), ("data",))
assert mesh.explicit_axes
key = jax.random.key(0)
params = jaxnet.init(key, [6, 5, 3])
x, y = jax.random.normal(key, (40, 6)), jax.nn.one_hot(jnp.arange(40) % 3, 3)
rows = jax.device_put((x, y), NamedSharding(mesh, P("data")))
expected = jaxnet.backprop(params, x, y)
for gradient in (jaxnet.backprop, jax.jit(jaxnet.backprop)):
    found = gradient(params, *rows)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert abs(jax.device_get(a) - jax.device_get(b)).max() < 1e-15
for options in ({}, {"dropout": 0.5, "l2": 0.1}, {"gradient": jaxnet.autodiff}):
    options = {"batch_size": 7, "eta": 1.0, **options}
    start = jaxnet.start(params)
    found = jaxnet.epoch(key, start, jaxnet.Dataset(*rows), **options)
    expected = jaxnet.epoch(key, start, jaxnet.Dataset(x, y), **options)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert abs(jax.device_get(a) - jax.device_get(b)).max() < 1e-12
"""


def test_backprop_and_epoch_work_on_rows_sharded_over_an_explicit_mesh():
    subprocess.run([sys.executable, "-c", SHARDED], check=True, cwd=ROOT)
