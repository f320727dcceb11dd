"""The likely mistakes: each message says what was expected, what was given, and why."""

import subprocess
import sys
from dataclasses import replace

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
        check_examples(params, jnp.zeros(x), jnp.zeros(y))


def test_targets_in_a_row_for_one_output_are_refused():
    params, x, _ = problem([3, 4, 1])
    with pytest.raises(ValueError, match=r"reshape them with y\[:, None\]"):
        check_examples(params, x, jnp.zeros(len(x)))


def test_no_examples_are_refused():
    params, x, y = problem([3, 4, 2])
    with pytest.raises(ValueError, match="at least one example"):
        jaxnet.backprop(params, x[:0], y[:0])


def test_integers_are_refused_except_for_inputs_as_bytes():
    params, x, y = problem([3, 4, 2])
    check_examples(params, x.astype(jnp.uint8), y)
    with pytest.raises(ValueError, match="floating-point inputs, got int32"):
        check_examples(params, x.astype(jnp.int32), y)
    with pytest.raises(ValueError, match="floating-point targets, got uint8"):
        check_examples(params, x, y.astype(jnp.uint8))


@pytest.mark.parametrize("output", [jaxnet.sigmoid, jaxnet.softmax])
@pytest.mark.parametrize("target", [-1.0, 10.0])
def test_targets_that_no_output_can_reach_are_refused(output, target):
    params, x, y = problem([3, 4, 2], output=output)
    with pytest.raises(ValueError, match="targets between 0 and 1"):
        check_examples(params, x, y.at[2, 1].set(target))
    linear, x, y = problem([3, 4, 2], output=jaxnet.linear)
    check_examples(linear, x, y.at[2, 1].set(target))


NOT_ELEMENTWISE = "hidden activation with an elementwise derivative"


def test_a_hidden_softmax_is_refused():
    with pytest.raises(ValueError, match=NOT_ELEMENTWISE):
        jaxnet.init(jax.random.key(0), [3, 4, 2], hidden=jaxnet.softmax)
    params, x, y = problem([3, 4, 2], hidden=jaxnet.softmax)
    with pytest.raises(ValueError, match=NOT_ELEMENTWISE):
        jaxnet.backprop(params, x, y)


COSTS = [jaxnet.quadratic, jaxnet.log_likelihood, jaxnet.linear_quadratic]


@pytest.mark.parametrize("cost", COSTS)
def test_outputs_that_do_not_suit_the_cost_are_refused(cost):
    params, x, y = problem([3, 4, 2], output=jaxnet.tanh)
    data, state = jaxnet.Dataset(x, y), jaxnet.start(params)
    run = {"batch_size": 5, "eta": 1.0, "cost": cost}
    for refused in (
        lambda: jaxnet.loss(params, x, y, cost),
        lambda: jaxnet.backprop(params, x, y, cost),
        lambda: jaxnet.errors(params, x[0], y[0], cost),
        lambda: jaxnet.total_cost(params, data, cost),
        lambda: jaxnet.epoch(jax.random.key(0), state, data, **run),
    ):
        with pytest.raises(ValueError, match=f"Expected outputs of {cost.output}"):
            refused()


def run_epoch(params, data, **changes):
    options = {"batch_size": 5, "eta": 1.0} | changes
    return jaxnet.epoch(jax.random.key(0), jaxnet.start(params), data, **options)


@pytest.mark.parametrize("batch_size", [0, -1, 8, 50_000])
def test_a_mini_batch_larger_than_the_data_is_refused(batch_size):
    with pytest.raises(ValueError, match=rf"batch_size of 1 to 7, got {batch_size}"):
        run_epoch(*data_of([4, 3]), batch_size=batch_size)


RATES = {
    "eta": [float("nan"), float("inf"), jnp.array(jnp.nan)],
    "l1": [-1.0, jnp.array(-1.0), float("nan")],
    "l2": [-100, float("inf")],
    "dropout": [-0.1, 1.0, 1.5],
}
OUT_OF_RANGE = [(name, rate) for name, rates in RATES.items() for rate in rates]


@pytest.mark.parametrize(("name", "rate"), OUT_OF_RANGE, ids=str)
def test_a_rate_out_of_its_range_is_refused(name, rate):
    with pytest.raises(ValueError, match=f"Expected .*{name} "):
        run_epoch(*data_of([4, 3]), **{name: rate})


def test_integer_labels_and_columns_are_refused():
    params, data = data_of([4, 3])
    with pytest.raises(ValueError, match="Integer labels"):
        run_epoch(params, replace(data, y=jnp.zeros(7)))
    with pytest.raises(ValueError, match="column vectors"):
        run_epoch(params, replace(data, x=data.x[:, :, None]))


@pytest.mark.parametrize("bad", [jnp.nan, jnp.inf])
def test_nan_and_infinity_in_the_data_are_refused(bad):
    params, data = data_of([4, 3])
    broken = replace(data, x=data.x.at[2, 1].set(bad))
    with pytest.raises(ValueError, match="nan or infinity"):
        jaxnet.train(jax.random.key(0), params, broken, epochs=1, batch_size=5, eta=1.0)


MISTAKES = {
    "loss(params, x, y, cost='cubic')": "Expected a Cost such as",
    "backprop(params, x, y, cost='cubic')": "Expected a Cost such as",
    "train(key, params, data, **run, epochs=1, cost='cubic')": "Expected a Cost such",
    "epoch(key, state, data, **run, cost='cubic')": "quadratic, got 'cubic'",
    "init(key, [3, 4, 2], hidden='tanh')": "Expected an Activation such as",
    "init(key, [3, 2], jaxnet.scaled_layer)": "Expected an Activation such as",
    "init(key, [3, 2], output='softmax')": "jaxnet.tanh, got 'softmax'",
    "epoch(key, params, data, **run)": "State, from start(params), got a list",
    "epoch(key, state, (x, y), **run)": "Expected a Dataset(x, y) such as mnist.train",
    "epoch(key, state, data, **run, gradient='autodiff')": "Expected gradient to be a",
    "epoch(key, state, data, **run, augment=15)": "Expected augment to be a function",
    "epoch(key, state, data, batch_size=2, eta=jnp.ones(3))": "use jax.vmap",
    "epoch(key, state, data, batch_size=2, eta='3')": "learning rate eta, got '3'",
    "epoch(key, state, data, batch_size=2.0, eta=1.0)": "batch_size to be an integer",
    "epoch(key, state, data, **run, optimizer=optax.adam(1.))": "not optax.adam(1e-3)",
    "epoch(key, state, data, **run, optimizer='adam')": "Expected optimizer to be a",
    "epoch(key, state, data, **run, gradient=lambda p, x, y, cost: x)": (
        "Expected a gradient of the parameters' shapes"
    ),
    "total_cost(params, data, l2=1.0)": "Expected n, the size of the training set",
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
        print(str(error).replace("\\n", " "))
    else:
        print("nothing is refused")
""".replace("MISTAKES", repr(list(MISTAKES)))
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    messages = result.stdout.splitlines()
    assert len(messages) == len(MISTAKES)
    wrong = {
        mistake: message
        for (mistake, expected), message in zip(MISTAKES.items(), messages, strict=True)
        if expected not in message
    }
    assert not wrong
