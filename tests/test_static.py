"""Functions are static arguments that are equal by content, readable and picklable."""

import copy
import pickle
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxnet
from jaxnet import Activation, Cost, perceptrons
from jaxnet.static import ByContent
from tests.helpers import CountedBackprop, problem

FACTOR = 0.5


def times(key, x, factor):
    return factor * x


def times_closure(factor):
    return lambda key, x: factor * x


class Times(tuple):
    def times(self, key, x):
        return self[0] * x


def recursive(n):
    def power(x):
        return x if n == 0 else power(x)

    return power


def cubic(factor=1.0):
    return Cost(
        jaxnet.sigmoid,
        value=lambda z, y: factor * jnp.sum(jnp.abs(jax.nn.sigmoid(z) - y) ** 3),
        delta=lambda z, y: z - y,
        name="cubic",
    )


BUILT_ANEW = {
    "closure": times_closure,
    "default": lambda factor: lambda key, x, factor=factor: factor * x,
    "keyword": lambda factor: lambda key, x, *, factor=factor: factor * x,
    "partial": lambda factor: partial(times, factor=factor),
    "method": lambda factor: Times((factor,)).times,
    "recursive": recursive,
    "optimizer": lambda eta: optax.masked(optax.adam(eta), {"a": [True]}),
    "cost": cubic,
}


@pytest.mark.parametrize("build", BUILT_ANEW.values(), ids=BUILT_ANEW)
def test_functions_are_equal_by_content(build):
    one, again = ByContent(build(1.0)), ByContent(build(1.0))
    assert one == again and hash(one) == hash(again)
    assert one != ByContent(build(0.25)) and one != ByContent(build(1))


@pytest.mark.parametrize("array", [jnp.ones(4), np.ones(4)], ids=["jax", "numpy"])
def test_arrays_in_a_closure_are_compared_by_identity(array):
    assert ByContent(times_closure(array)) == ByContent(times_closure(array))
    assert ByContent(times_closure(array)) != ByContent(times_closure(array.copy()))


def test_lists_and_dictionaries_are_compared_by_items_unless_they_are_the_same():
    """Such as a list that counts calls: JAX compiles a function once for its object."""
    calls = [{"a": 1.0}]
    before = ByContent(times_closure(calls))
    assert before == ByContent(times_closure([{"a": 1.0}])) and hash(before)
    assert before != ByContent(times_closure([{"a": 2.0}]))
    calls.append({})
    assert before == ByContent(times_closure(calls))


def by_global(key, x):
    return FACTOR * x


def test_a_function_changes_with_its_code_and_a_global_constant(monkeypatch):
    before = ByContent(by_global)
    assert before == ByContent(by_global) and hash(before)  # compared before the change
    assert before != ByContent(lambda key, x: FACTOR * x * x)
    monkeypatch.setitem(globals(), "FACTOR", 0.25)
    assert before != ByContent(by_global)


# What that is for: an epoch with functions that are built anew is not compiled again.


def learn(**options):
    params, x, y = problem([5, 3], m=9)
    state = jaxnet.start(params, options.get("optimizer", optax.sgd))
    key, data = jax.random.key(0), jaxnet.Dataset(x, y)
    return jaxnet.epoch(key, state, data, batch_size=3, **options).params


def mean_of(*gradients):
    def mean(*args, **options):
        found = [gradient(*args, **options) for gradient in gradients]
        return jax.tree.map(lambda *slopes: sum(slopes) / len(slopes), *found)

    return mean


def test_options_that_a_loop_builds_anew_compile_once():
    counted, traces = CountedBackprop(), []
    for _ in range(3):
        learn(
            eta=1.0,
            optimizer=partial(optax.sgd, momentum=0.5),
            gradient=mean_of(counted),
            augment=lambda key, x: x / 2,
            cost=cubic(),
        )
        traces.append(counted.traces)
    assert 0 < traces[0] == traces[-1]


def test_the_third_compilation_warns_of_the_option_that_changes():
    def learn_again():
        array = jnp.ones((1, 5))
        learn(eta=1.0, augment=lambda key, x: x * array)

    learn_again()
    learn_again()
    with pytest.warns(UserWarning, match=r"three times .* another augment\. Build it"):
        learn_again()
    learn_again()  # without another warning


# Activations and costs.

NAMED = ["quadratic", "linear_quadratic", "cross_entropy", "log_likelihood"]
NAMED += ["sigmoid", "tanh", "relu", "linear", "softmax"]


@pytest.mark.parametrize("name", [*NAMED, "step"])
def test_activations_and_costs_print_and_pickle_as_their_name(name):
    function = getattr(perceptrons if name == "step" else jaxnet, name)
    assert repr(function) == name
    assert pickle.loads(pickle.dumps(function)) is copy.deepcopy(function) is function


def softplus(z):
    return jnp.logaddexp(z, 0.0)


def logistic(z):
    return 1 / (1 + jnp.exp(-z))


def test_activations_and_costs_are_equal_by_content():
    one, again = (Activation(softplus, logistic) for _ in range(2))
    assert one == again == pickle.loads(pickle.dumps(one))
    assert hash(one) == hash(again) and repr(one) == "softplus"
    for different in ((jnp.tanh, logistic), (softplus, jnp.tanh)):
        assert one != Activation(*different)
    assert one != Activation(softplus, logistic, "other")
    assert len({cubic(), cubic(), *(getattr(jaxnet, name) for name in NAMED)}) == 10


def test_a_cost_is_a_static_argument_of_a_jitted_function():
    traced = []

    @jax.jit
    def value(cost, z, y):
        traced.append(str(cost))
        return cost.value(z, y)

    z, y = jnp.array([0.5, -0.5]), jnp.array([1.0, 0.0])
    for name in (*NAMED[:4], *NAMED[:4]):
        cost = getattr(jaxnet, name)
        assert value(pickle.loads(pickle.dumps(cost)), z, y) == cost.value(z, y)
    assert traced == NAMED[:4]
