"""The likely mistakes: each is told what was expected, what came, and its cause."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import pytest

import jaxnet
from jaxnet.checks import check_examples
from tests.helpers import problem


def data_of(sizes):
    params, x, y = problem(sizes)
    return params, jaxnet.Dataset(x, y)


BAD = {
    "integer labels": ((5, 3), (5,), r"one-hot targets of shape \(5, 2\), got \(5,\)"),
    "a column of labels": ((5, 3), (5, 1), "Integer labels"),
    "columns of the book": ((3, 1), (2, 1), "column vectors"),
    "a list of columns": ((5, 3, 1), (5, 2, 1), "column vectors"),
    "one bare example": ((3,), (2,), r"got \(3,\)"),
    "another number of inputs": ((5, 4), (5, 2), r"\(examples, 3\)"),
    "fewer targets than inputs": ((5, 3), (4, 2), r"\(5, 2\), got \(4, 2\)"),
}


@pytest.mark.parametrize(("x", "y", "message"), BAD.values(), ids=BAD)
def test_examples_that_do_not_fit_are_refused(x, y, message):
    params, _, _ = problem([3, 4, 2])
    with pytest.raises(ValueError, match=message):
        check_examples(params, jnp.zeros(x), jnp.zeros(y), jaxnet.sigmoid)


def test_no_examples_are_refused():
    params, x, y = problem([3, 4, 2])
    with pytest.raises(ValueError, match="at least one example"):
        jaxnet.backprop(params, x[:0], y[:0])


def test_bytes_and_integer_targets_are_refused():
    params, x, y = problem([3, 4, 2])
    with pytest.raises(ValueError, match="floating-point inputs, got uint8"):
        check_examples(params, x.astype(jnp.uint8), y, jaxnet.sigmoid)
    with pytest.raises(ValueError, match="floating-point targets, got int32"):
        check_examples(params, x, y.astype(jnp.int32), jaxnet.sigmoid)


def run_epoch(params, data, **changes):
    options = {"batch_size": 5, "eta": 1.0} | changes
    return jaxnet.epoch(jax.random.key(0), jaxnet.start(params), data, **options)


@pytest.mark.parametrize("batch_size", [0, -1, 8, 50_000])
def test_a_mini_batch_larger_than_the_data_is_refused(batch_size):
    with pytest.raises(ValueError, match=rf"1 to 7 examples.*got {batch_size}"):
        run_epoch(*data_of([4, 3]), batch_size=batch_size)


@pytest.mark.parametrize("eta", [float("nan"), float("inf"), jnp.array(jnp.nan)])
def test_an_eta_that_is_not_finite_is_refused(eta):
    with pytest.raises(ValueError, match="finite learning rate"):
        run_epoch(*data_of([4, 3]), eta=eta)


def test_integer_labels_and_columns_are_refused():
    params, data = data_of([4, 3])
    with pytest.raises(ValueError, match="Integer labels"):
        run_epoch(params, data._replace(y=jnp.zeros(7)))
    with pytest.raises(ValueError, match="column vectors"):
        run_epoch(params, data._replace(x=data.x[:, :, None]))


@pytest.mark.parametrize("bad", [jnp.nan, jnp.inf])
def test_nan_and_infinity_in_the_data_are_refused(bad):
    params, data = data_of([4, 3])
    broken = data._replace(x=data.x.at[2, 1].set(bad))
    with pytest.raises(ValueError, match="nan or infinity"):
        jaxnet.train(jax.random.key(0), params, broken, epochs=1, batch_size=5, eta=1.0)


MISTAKES = {
    "loss(params, x, y, cost='cubic')": "Expected a Cost like",
    "backprop(params, x, y, cost='cubic')": "Expected a Cost like",
    "train(key, params, data, **run, epochs=1, cost='cubic')": "Expected a Cost like",
    "epoch(key, state, data, **run, cost='cubic')": "quadratic, got 'cubic'",
    "accuracy(params, data, hidden='tanh')": "Expected an Activation like",
    "backprop(params, x, y, hidden='tanh')": "Expected an Activation like",
    "epoch(key, params, data, **run)": "Expected a State, from start(params), got list",
    "epoch(key, state, (x, y), **run)": "Expected a Dataset(x, y) like mnist.train",
    "epoch(key, state, data, **run, gradient='autodiff')": "Expected a gradient like",
    "epoch(key, state, data, batch_size=2, eta=jnp.ones(3))": "use jax.vmap",
    "epoch(key, state, data, **run, optimizer=optax.adam(1.))": "not optax.adam(eta)",
}


def test_things_of_another_kind_are_refused():
    """In a process of its own, where no type checker refuses them first."""
    program = """
import jax, jax.numpy as jnp, jaxnet, optax
key = jax.random.key(0)
params = jaxnet.init(key, [3, 2])
state, x, y = jaxnet.start(params), jnp.ones((4, 3)), jnp.ones((4, 2))
data, run = jaxnet.Dataset(x, y), {'batch_size': 2, 'eta': 1.0}
for mistake in MISTAKES:
    try:
        eval("jaxnet." + mistake)
    except (TypeError, ValueError) as error:
        print(error)
""".replace("MISTAKES", repr(list(MISTAKES)))
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    messages = result.stdout.splitlines()
    assert len(messages) == len(MISTAKES)
    for message, expected in zip(messages, MISTAKES.values(), strict=True):
        assert expected in message
