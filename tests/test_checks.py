"""Mistakes are refused: the message says what was expected, and what was given."""

from functools import cache

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import optax
import pytest

import jaxnet
from jaxnet import oracles
from tests.helpers import problem


@pytest.fixture(autouse=True)
def unchecked(monkeypatch):
    """Without the type checker of the tests, which would refuse some mistakes first."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


@cache
def names():
    """What the calls below are made of: seven examples for a network 3-4-2."""
    params, x, y = problem([3, 4, 2])
    key, data, state = jax.random.key(0), jaxnet.Dataset(x, y), jaxnet.start(params)
    run = {"batch_size": 5, "eta": 1.0}
    return vars(jaxnet) | {
        **{"jnp": jnp, "optax": optax, "oracles": oracles, "tree_map": jax.tree.map},
        **{"nan": jnp.nan, "inf": jnp.inf, "array": jnp.array, "zeros": jnp.zeros},
        **{"params": params, "x": x, "y": y, "key": key, "state": state, "data": data},
        **{"run": run, "column": jnp.zeros((7, 1)), "row": jnp.zeros(7)},
        "learn": lambda **options: jaxnet.epoch(key, state, data, **run | options),
        "own": jaxnet.Activation(jax.nn.softplus, jax.nn.sigmoid),
        "vector": jaxnet.Cost(jaxnet.sigmoid, jnp.subtract, jnp.subtract),
        "one_output": problem([3, 4, 1])[0],
        "conv": jaxnet.Convolution(jnp.zeros((2, 1, 2, 2)), jnp.zeros(2), (1, 5, 5)),
        "hidden_softmax": problem([3, 4, 2], hidden=jaxnet.softmax)[0],
        "softmax_outputs": problem([3, 4, 2], output=jaxnet.softmax)[0],
        "linear_outputs": problem([3, 4, 2], output=jaxnet.linear)[0],
    }


ORACLES = "backprop_by_example", "backprop_by_matrix", "central_difference"
REFUSED = {
    # Shapes
    "one-hot targets of shape (5, 2), got (5,)": ["loss(params, x[:5], zeros(5))"],
    "Integer labels? Encode them with jax.nn.one_hot": [
        *(f"{f}(params, x, column)" for f in ("autodiff", "backprop")),
        *(f"oracles.{f}(params, x, column)" for f in ORACLES),
        "errors(params, x[0], jnp.ones(()))",
        "accuracy(params, Dataset(x, row))",
        "step(state, x, jnp.arange(7), eta=1.0)",
        "epoch(key, state, Dataset(x, row), **run)",
    ],
    "reshape them with y[:, None]": ["loss(one_output, x, row)"],
    "column vectors, as in the book? Use rows": [
        "loss(params, zeros((3, 1)), zeros((2, 1)))",
        "loss(params, x[:, :, None], y[:, :, None])",
        "predict(params, x[0][:, None])",
    ],
    "(examples, 3), got (5, 4)": ["loss(params, zeros((5, 4)), y[:5])"],
    "Several examples? Use jax.vmap": ["predict(params, x)"],
    "at least one example": ["backprop(params, x[:0], y[:0])"],
    "Is a sum over the outputs missing": [
        *(f"{f}(params, x, y, vector)" for f in ("loss", "backprop")),
        "learn(cost=vector)",
        "total_cost(params, data, vector)",
    ],
    "use jax.vmap": ["learn(eta=jnp.ones(3))"],
    "gradient of 4 arrays, w^1, b^1, w^2, b^2, got 1": [
        "learn(gradient=lambda p, x, y, cost: x)"
    ],
    # Numbers
    "floating-point inputs, got int32": ["loss(params, x.astype(int), y)"],
    "floating-point targets, got uint8": ["loss(params, x, y.astype(jnp.uint8))"],
    "targets between 0 and 1, as sigmoid outputs are, got": [
        "loss(params, x, y.at[2, 1].set(-1.0), cross_entropy)",
        "backprop(params, x, 10 * y)",
    ],
    "targets between 0 and 1, as softmax outputs are, got": [
        "loss(softmax_outputs, x, y.at[2, 1].set(-1.0), log_likelihood)",
        "backprop(softmax_outputs, x, 10 * y, log_likelihood)",
    ],
    "nan or infinity": [
        "epoch(key, state, Dataset(x.at[2, 1].set(inf), y), **run)",
    ],
    "batch_size of 1 to 7, got": [f"learn(batch_size={m})" for m in (0, 8)],
    "learning rate eta finite, got": [
        f"learn(eta={rate})" for rate in ("nan", "array(nan)")
    ],
    "l1 of at least 0, got": [f"learn(l1={rate})" for rate in ("nan", "array(-1.0)")],
    "l2 of at least 0, got": [
        *("learn(l2=inf)", "total_cost(params, data, l2=-1.0, n=7)")
    ],
    "dropout of at least 0 and below 1, got": [
        f"learn(dropout={rate})" for rate in (-0.1, 1.0)
    ],
    "training set, of at least 1, got -5": ["total_cost(params, data, l2=1.0, n=-5)"],
    "Expected n, the size of the training set": ["total_cost(params, data, l2=1.0)"],
    "epochs of at least 0, got -1": ["train(key, params, data, epochs=-1, **run)"],
    "number of steps of at least 0, got -1": ["descend(jnp.sum, x, eta=0.1, steps=-1)"],
    # Types
    "Expected a Cost such as jaxnet.quadratic, got 'cubic'": [
        "loss(params, x, y, 'cubic')",
        "backprop(params, x, y, cost='cubic')",
        "learn(cost='cubic')",
    ],
    "Expected an Activation such as jaxnet.tanh, got": [
        "init(key, [3, 4, 2], hidden='tanh')",
        "init(key, [3, 2], output='softmax')",
    ],
    "quadratic, got a network with linear outputs. Build it with jaxnet.init(key, "
    "sizes, output=jaxnet.sigmoid)": [
        *(f"{f}(linear_outputs, x, y)" for f in ("loss", "autodiff", "backprop")),
        "errors(linear_outputs, x[0], y[0])",
        "total_cost(linear_outputs, data)",
        "epoch(key, start(linear_outputs), data, **run)",
    ],
    "output=jaxnet.softmax": ["loss(params, x, y, log_likelihood)"],
    "output=jaxnet.linear": ["loss(params, x, y, linear_quadratic)"],
    "a State, from start(params), got a list": ["epoch(key, params, data, **run)"],
    "Dataset(x, y) such as mnist.train": ["epoch(key, state, (x, y), **run)"],
    "batch_size to be an integer": ["learn(batch_size=2.0)"],
    "gradient to be a function": ["learn(gradient='autodiff')"],
    "augment to be a function": ["learn(augment=15)"],
    "cost to be a function": ["descend(1.0, x, eta=0.1, steps=1)"],
    "unexpected keyword argument 'etaa'": ["learn(etaa=1.0)"],
    # Networks
    "one for each of the 2 hidden layers, got": [
        "init(key, [4, 3, 5, 2], hidden=())",
        "init(key, [4, 3, 5, 2], hidden=[tanh] * 3)",
    ],
    "the (2, 4, 4) outputs of layer 1, got one of (2, 3, 3)": [
        "start([conv, MaxPool((2, 3, 3), 3)])"
    ],
    "Expected w for 2 channels in layer 1": [
        "start([Convolution(zeros((2, 1, 2, 2)), zeros(2), (2, 5, 5))])"
    ],
    "at least (3, 3) rows and columns in layer 1, a Convolution, got (1, 2, 2)": [
        "start([Convolution(zeros((2, 1, 3, 3)), zeros(2), (1, 2, 2))])"
    ],
    "multiples of 3 rows and columns in layer 2, a MaxPool, got (2, 4, 4)": [
        "start([conv, MaxPool((2, 4, 4), 3)])"
    ],
    "multiples of 5 rows and columns in layer 2, a MaxPool, got (20, 24, 24)": [
        "init(key, [Image(28, 28), convolution(20, 5), max_pool(5), 10])"
    ],
    "at least (5, 5) rows and columns in layer 1, a Convolution, got (1, 4, 4)": [
        "init(key, [Image(4, 4), convolution(2, 5), 10])"
    ],
    "Images enter as Image(28, 28)": ["init(key, [784, convolution(20, 5), 10])"],
    "as the last layer, got pool2": ["init(key, [Image(4, 4), max_pool(2)])"],
    "sizes of two or more layers": ["init(key, [])", "init(key, [784])"],
    "in each layer of at least 1": ["init(key, [784, 0, 10])", "init(key, [3, -1])"],
    "a list of layers": ["start(zeros(3))"],
    "Expected layer 1 to be a jaxnet.Layer": ["forward([tuple(params[0])], x[0])"],
    "layer 2 to take the 4 outputs of layer 1": ["forward([params[0]] * 2, x[0])"],
    "Several networks? Use jax.vmap": [
        "forward(tree_map(lambda p: jnp.stack([p, p]), params), x[0])"
    ],
    "floating-point parameters in layer 1, got complex64": [
        "backprop(tree_map(lambda p: p.astype(complex), params), x, y)"
    ],
    "hidden activation with an elementwise derivative, got softmax": [
        "init(key, [3, 4, 2], hidden=softmax)",
        "forward(hidden_softmax, x[0])",
        "errors(hidden_softmax, x[0], y[0])",
        "backprop(hidden_softmax, x, y)",
    ],
    "activation with an elementwise derivative, got none": ["softmax.prime(x[0])"],
    # Oracles
    "101 x 100 x 100 = 1,010,000. Use fewer neurons": [
        "oracles.path_sum(init(key, [3, 101, 100, 100]), x, zeros((7, 100)))"
    ],
    "Expected activations with a complex derivative": [
        "oracles.complex_step(init(key, [3, 4, 2], relu), x, y)",
        "oracles.complex_step(init(key, [3, 4, 2], own), x, y)",
    ],
    "Expected a cost with a formula": [
        f"oracles.{f}(params, x, y, Cost(sigmoid, quadratic.value, quadratic.delta))"
        for f in ("matrix_product", "path_sum", "complex_step")
    ],
    # Optimizers
    "no eta with a ready-made": ["learn(optimizer=optax.adam(1.0))"],
    "not optax.adam(1e-3)": ["learn(optimizer=optax.adam(1.0))"],
    "Expected a learning rate eta": ["epoch(key, state, data, batch_size=2)"],
    "optax.sgd(schedule), and no eta": ["learn(eta=optax.constant_schedule(0.1))"],
    "Expected optimizer to be a": ["learn(optimizer='adam')"],
    "returns a float": ["learn(optimizer=lambda eta: 1 + eta)"],
    "a State of this optimizer, from start(params, optimizer), got that of another": [
        "learn(optimizer=optax.adam)",
        "epoch(key, start(params, optax.adam), data, **run)",
    ],
    "Pass it ready-made": [
        "start(params, optax.inject_hyperparams(optax.sgd))",
        "start(params, optax.rprop)",
    ],
    "Call it in a loop of your own": [
        "start(params, optax.lbfgs(1.0))",
        "start(params, optax.contrib.sophia(1.0))",
    ],
}


@pytest.mark.parametrize(
    ("call", "message"), [(call, m) for m, calls in REFUSED.items() for call in calls]
)
def test_a_mistake_is_refused_with_its_reason(call, message):
    with pytest.raises((TypeError, ValueError)) as refusal:
        eval(call, names())
    assert message in " ".join(str(refusal.value).split())


def test_inputs_may_be_bytes_and_targets_of_linear_outputs_any_number():
    params, x, y = problem([3, 4, 2], output=jaxnet.linear)
    for target in (-1.0, 10.0):
        y = y.at[2, 1].set(target)
        jaxnet.loss(params, x.astype(jnp.uint8), y, jaxnet.linear_quadratic)


def test_pixels_up_to_255_as_floats_are_warned_of():
    params, _, y = problem([4, 5, 3], m=23)
    raw = jaxnet.Dataset(jnp.asarray(np.arange(92.0).reshape(23, 4) * 2.7), y)
    with pytest.warns(UserWarning, match="divide them by 256"):
        jaxnet.accuracy(params, raw)
