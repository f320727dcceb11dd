"""Functions are static arguments that are equal by content, readable and picklable."""

import inspect
import pickle
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxnet
from jaxnet import Activation, Cost
from jaxnet.static import ByContent
from tests.helpers import CountedBackprop, problem

FACTOR = 0.5


def times(factor, key, x):
    return factor * x


def times_closure(factor):
    return lambda key, x: factor * x


def times_default(factor):
    def times(key, x, factor=factor):
        return factor * x

    return times


def times_method(factor):
    return Times((factor,)).times


class Times(tuple):
    def times(self, key, x):
        return self[0] * x


def times_in_a_list(factor):
    return partial(times_all, [{"factor": factor}])


def times_all(factors, key, x):
    return factors[0]["factor"] * x


def times_called_twice(factor):
    inner = times_closure(factor)
    return lambda key, x: inner(key, x)


BUILT_ANEW = {
    "closure": times_closure,
    "default": times_default,
    "partial": lambda factor: partial(times, factor),
    "method": times_method,
    "containers": times_in_a_list,
    "closure over a closure": times_called_twice,
    "optimizer": optax.adam,
}


@pytest.mark.parametrize("build", BUILT_ANEW.values(), ids=BUILT_ANEW)
def test_functions_are_equal_by_content(build):
    one, again = ByContent(build(0.5)), ByContent(build(0.5))
    assert one == again and hash(one) == hash(again)
    assert one != ByContent(build(0.25))


def test_an_integer_is_not_equal_to_a_float():
    """They give other dtypes."""
    assert ByContent(times_closure(1)) != ByContent(times_closure(1.0))


def test_other_code_is_not_equal():
    assert ByContent(lambda key, x: x + 1) != ByContent(lambda key, x: x + 2)


def by_global(key, x):
    return FACTOR * x


def by_global_inside(key, x):
    return jax.lax.map(lambda row: FACTOR * row, x)


@pytest.mark.parametrize("function", [by_global, by_global_inside])
def test_a_function_changes_with_a_global_constant(function, monkeypatch):
    before = ByContent(function)
    assert before == ByContent(function) and hash(before)  # compared before the change
    monkeypatch.setitem(globals(), "FACTOR", 0.25)
    assert before != ByContent(function)


def recursive(n):
    def power(x):
        return x if n == 0 else power(x)

    return power


def mutually_recursive(n):
    def even(x):
        return odd(x)

    def odd(x):
        return even(x + n)

    return even


def by_global_table(x):
    return TABLE[0](x)


TABLE = (by_global_table,)


@pytest.mark.parametrize("build", [recursive, mutually_recursive])
def test_functions_that_call_themselves_are_compared(build):
    assert ByContent(build(1)) == ByContent(build(1))
    assert ByContent(build(1)) != ByContent(build(2))


def test_a_function_in_a_table_that_it_reads_is_compared():
    assert ByContent(by_global_table) == ByContent(TABLE[0])


def test_arrays_in_a_closure_are_compared_by_identity():
    array = jnp.ones(4)
    assert ByContent(times_closure(array)) == ByContent(times_closure(array))
    assert ByContent(times_closure(array)) != ByContent(times_closure(jnp.ones(4)))
    numbers = np.ones(4)
    assert ByContent(times_closure(numbers)) != ByContent(times_closure(numbers.copy()))


# What that is for: no function that is built anew compiles an epoch again.


def cubic():
    return Cost(
        jaxnet.sigmoid,
        value=lambda z, y: jnp.sum(jnp.abs(jax.nn.sigmoid(z) - y) ** 3),
        delta=lambda z, y: z - y,
        name="cubic",
    )


def mean_of(*gradients):
    def mean(*args, **options):
        found = [gradient(*args, **options) for gradient in gradients]
        return jax.tree.map(lambda *slopes: sum(slopes) / len(slopes), *found)

    return mean


counted = CountedBackprop()

OPTIONS = {
    "lambda": lambda: {"eta": 1.0, "augment": lambda key, x: x / 2},
    "partial": lambda: {"eta": 1.0, "augment": partial(times, 0.5)},
    "closure": lambda: {"eta": 1.0, "augment": times_closure(0.5)},
    "gradient": lambda: {"eta": 1.0, "gradient": mean_of(counted, jaxnet.autodiff)},
    "optimizer": lambda: {"optimizer": optax.adam(1e-3)},
    "optimizer of eta": lambda: {"eta": 1.0, "optimizer": partial(optax.adam, b1=0.8)},
    "cost": lambda: {"eta": 1.0, "cost": cubic()},
}


def learn(data, params, **options):
    state = jaxnet.start(params, options.get("optimizer", optax.sgd))
    options = {"batch_size": 3, "gradient": counted} | options
    return jaxnet.epoch(jax.random.key(0), state, data, **options).params


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_options_that_a_loop_builds_anew_compile_once(options):
    params, x, y = problem([5, 3], m=9)
    data = jaxnet.Dataset(x, y)
    before = counted.traces
    learn(data, params, **options())
    once = counted.traces
    assert once > before
    for _ in range(3):
        learn(data, params, **options())
    assert counted.traces == once


def test_a_changed_global_constant_is_learnt_with(monkeypatch):
    params, x, y = problem([5, 3], m=9)
    data = jaxnet.Dataset(x, y)
    [before] = learn(data, params, eta=1.0, augment=by_global)
    monkeypatch.setitem(globals(), "FACTOR", 0.25)
    [after] = learn(data, params, eta=1.0, augment=by_global)
    [expected] = learn(data, params, eta=1.0, augment=times_closure(0.25))
    np.testing.assert_array_equal(after.w, expected.w)
    assert (after.w != before.w).any()


def test_the_third_compilation_warns_of_the_option_that_changes():
    params, x, y = problem([5, 3], m=9)
    data = jaxnet.Dataset(x, y)

    def times_new_array():
        array = jnp.ones(5)
        return lambda key, x: x * array[None]

    def learn_again():
        learn(data, params, eta=1.0, augment=times_new_array())

    learn_again()
    learn_again()
    with pytest.warns(UserWarning, match=r"three times .* another augment\. Build it"):
        learn_again()
    learn_again()


# Activations and costs.

NAMED = ["quadratic", "linear_quadratic", "cross_entropy", "log_likelihood"]
NAMED += ["sigmoid", "tanh", "relu", "linear", "softmax"]


@pytest.mark.parametrize("name", NAMED)
def test_activations_and_costs_print_and_pickle_as_their_name(name):
    function = getattr(jaxnet, name)
    assert repr(function) == name
    assert pickle.loads(pickle.dumps(function)) is function


def softplus(z):
    return jnp.logaddexp(z, 0.0)


def logistic(z):
    return 1 / (1 + jnp.exp(-z))


def softplus_activation(fn=softplus, prime=logistic, name=""):
    return Activation(fn, prime, name)


def test_an_activation_of_one_s_own_is_named_and_pickled_as_its_function():
    assert repr(softplus_activation()) == "softplus"
    loaded = pickle.loads(pickle.dumps(softplus_activation()))
    assert loaded == softplus_activation() and loaded.fn is softplus


def test_activations_and_costs_are_equal_by_content():
    for build in (cubic, softplus_activation):
        assert build() == build() and hash(build()) == hash(build())
    assert cubic() != jaxnet.quadratic
    for other in (
        softplus_activation(fn=jnp.tanh),
        softplus_activation(prime=jnp.tanh),
        softplus_activation(name="other"),
    ):
        assert other != softplus_activation()


def test_signatures_show_names():
    signature = str(inspect.signature(jaxnet.loss))
    assert "cost: jaxnet.costs.Cost = quadratic" in signature
    assert " at 0x" not in signature


def test_a_cost_is_an_argument_of_a_jitted_function():
    params, x, y = problem([4, 5, 3])
    jitted = jax.jit(jaxnet.loss)
    for cost in (jaxnet.quadratic, jaxnet.cross_entropy):
        expected = jaxnet.loss(params, x, y, cost)
        np.testing.assert_allclose(jitted(params, x, y, cost), expected, rtol=1e-6)


def test_a_list_that_a_function_fills_changes_nothing():
    """Such as one that counts calls: JAX compiles a function once for its object."""
    calls = []

    def counted(*arguments, **options):
        calls.append(None)
        return jaxnet.backprop(*arguments, **options)

    before = ByContent(counted)
    assert before == ByContent(counted)  # compared before the change
    calls.append(None)
    assert before == ByContent(counted) and hash(before) == hash(ByContent(counted))


def test_an_activation_in_another_module_is_pickled_by_name():
    from jaxnet.perceptrons import step

    assert pickle.loads(pickle.dumps(step)) is step
