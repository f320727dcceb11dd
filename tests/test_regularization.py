"""L2, L1 and dropout: the book's rules, in both gradients, on weights only."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxnet
from jaxnet.fast import shuffle
from jaxnet.metrics import monitor, total_cost
from jaxnet.network import stream
from jaxnet.regularization import with_dropout, with_penalty
from tests.helpers import CountedBackprop, assert_close, compiled, problem

autodiff, backprop, step = map(
    compiled, (jaxnet.autodiff, jaxnet.backprop, jaxnet.step)
)

N = 50  # the training set's size, which is not the mini-batch's
COSTS = [jaxnet.quadratic, jaxnet.cross_entropy, jaxnet.log_likelihood]


def regularised(params, x, y, cost, l1, l2):
    data = jaxnet.Dataset(x, y)
    return total_cost(params, data, cost, l1=l1, l2=l2, n=N)


slope_of_regularised = compiled(jax.grad(regularised))


@pytest.mark.parametrize("cost", COSTS, ids=str)
@pytest.mark.parametrize(("l1", "l2"), [(0.0, 3.0), (2.0, 0.0), (2.0, 3.0)])
def test_a_step_descends_the_regularised_cost(x64, l1, l2, cost):
    params, x, y = problem([3, 4, 2], m=5, output=cost.output)
    y = y / y.sum(axis=1, keepdims=True)
    gradient = with_penalty(jaxnet.backprop, l1 / N, l2 / N)
    state = jaxnet.start(params)
    after = step(state, x, y, eta=0.3, cost=cost, gradient=gradient)
    slope = slope_of_regularised(params, x, y, cost, l1, l2)
    expected = jax.tree.map(lambda p, g: p - 0.3 * g, params, slope)
    assert_close(after.params, expected, rtol=1e-13)


def test_an_epoch_decays_by_lambda_over_the_size_of_the_training_set(x64):
    """Web 93, 94: weights by 1 - eta lambda/n in each step, biases not at all."""
    params, x, y = problem([3, 4, 2], m=6)
    data, key = jaxnet.Dataset(x, y), jax.random.key(0)
    after = jaxnet.epoch(
        key, jaxnet.start(params), data, batch_size=2, eta=0.3, l2=5.0
    ).params
    expected = params
    order = shuffle(stream(key, "order"), 6).reshape(3, 2)
    for batch in order:
        slope = backprop(expected, x[batch], y[batch])
        expected = [
            jaxnet.Layer(
                w=(1 - 0.3 * 5.0 / 6) * p.w - 0.3 * g.w,
                b=p.b - 0.3 * g.b,
            )
            for p, g in zip(expected, slope, strict=True)
        ]
    assert_close(after, expected, rtol=1e-13)


def test_l1_moves_weights_by_a_constant_and_0_not_at_all(x64):
    params = [jaxnet.Layer(jnp.array([[2.0, -0.5, 0.0]]), jnp.array([7.0]))]

    def nothing(params, x, y):
        return jax.tree.map(jnp.zeros_like, params)

    x, y = jnp.zeros((1, 3)), jnp.zeros((1, 1))
    [(w, b)] = with_penalty(nothing, l1_rate=0.1)(params, x, y)
    np.testing.assert_array_equal(w, [[0.1, -0.1, 0.0]])
    np.testing.assert_array_equal(b, [0])


def test_lambda_0_and_no_lambda_are_the_same(x64):
    params, x, y = problem([3, 4, 2], m=6)
    run = partial(
        jaxnet.epoch,
        jax.random.key(0),
        jaxnet.start(params),
        jaxnet.Dataset(x, y),
        batch_size=2,
        eta=0.3,
    )
    zero = jnp.zeros(())
    assert_close(run(l1=zero, l2=zero, dropout=zero), run(), rtol=1e-14)


def test_a_sweep_over_lambda_and_dropout_is_one_vmap_and_compiles_once():
    params, x, y = problem([3, 4, 2], m=6)
    data, gradient = jaxnet.Dataset(x, y), CountedBackprop()

    def run(l2, dropout):
        return jaxnet.epoch(
            jax.random.key(0),
            jaxnet.start(params),
            data,
            batch_size=2,
            eta=0.3,
            l2=l2,
            dropout=dropout,
            gradient=gradient,
        ).params

    for l2, dropout in ((1.0, 0.5), (2.0, 0.1)):
        run(l2, dropout)
    assert gradient.traces == 1
    l2s, rates = jnp.array([0.0, 1.0, 2.0]), jnp.array([0.0, 0.5, 0.1])
    swept = jax.vmap(run)(l2s, rates)
    for i in (1, 2):
        one = jax.tree.map(lambda leaf, i=i: leaf[i], swept)
        assert_close(one, run(float(l2s[i]), float(rates[i])), rtol=1e-5)


def masks(key, params, rate):
    """1 for each parameter, and 0 for the weights that leave dropped neurons."""
    gradient = with_dropout(lambda params, x, y: params, key, rate)
    x = y = jnp.zeros(0)  # which this gradient ignores
    return gradient(jax.tree.map(jnp.ones_like, params), x, y)


@pytest.mark.parametrize("cost", COSTS, ids=str)
@pytest.mark.parametrize("hidden", [jaxnet.sigmoid, jaxnet.tanh, jaxnet.relu], ids=str)
def test_dropout_is_the_same_in_both_gradients(x64, cost, hidden):
    """And both are that of the network without the dropped neurons."""
    params, x, y = problem([4, 6, 5, 3], 4, hidden=hidden, output=cost.output)
    key = jax.random.key(1)

    def dropped_loss(params):
        left = jax.tree.map(jnp.multiply, masks(key, params, 0.5), params)
        return jaxnet.loss(left, x, y, cost)

    expected = jax.jit(jax.grad(dropped_loss))(params)
    for gradient in (backprop, autodiff):
        actual = with_dropout(gradient, key, 0.5)(params, x, y, cost=cost)
        assert_close(actual, expected, rtol=1e-12)


def test_dropped_neurons_are_gone_for_the_whole_mini_batch(x64):
    """No weight into or out of them learns; inputs and outputs are never dropped."""
    params, x, y = problem([4, 6, 5, 3], m=4)
    key = jax.random.key(1)
    first, *others = masks(key, params, 0.5)
    gone = [~np.asarray(layer.w).any(axis=0) for layer in others]
    assert [mask.any() and not mask.all() for mask in gone] == [True, True]
    assert (first.w == 1).all()
    smaller = [
        jaxnet.Layer(params[0].w[~gone[0]], params[0].b[~gone[0]]),
        jaxnet.Layer(params[1].w[~gone[1]][:, ~gone[0]], params[1].b[~gone[1]]),
        jaxnet.Layer(params[2].w[:, ~gone[1]], params[2].b),
    ]
    full = with_dropout(backprop, key, 0.5)(params, x, y)
    part = backprop(smaller, x, y)
    np.testing.assert_allclose(full[0].w[~gone[0]], part[0].w, rtol=1e-12)
    np.testing.assert_allclose(full[1].w[~gone[1]][:, ~gone[0]], part[1].w, rtol=1e-12)
    np.testing.assert_allclose(full[2].w[:, ~gone[1]], part[2].w, rtol=1e-12)
    assert not full[0].w[gone[0]].any() and not full[1].w[:, gone[0]].any()
    assert not full[0].b[gone[0]].any() and not full[1].w[gone[1]].any()
    assert not full[1].b[gone[1]].any() and not full[2].w[:, gone[1]].any()


def test_each_mini_batch_drops_others_and_about_the_right_share(x64):
    params, *_ = problem([4, 1000, 3])
    shares, dropped = [], []
    for seed in range(3):
        _, last = masks(jax.random.key(seed), params, 0.3)
        assert (last.w == last.w[:1]).all()
        dropped.append(np.asarray(last.w[0]) == 0)
        shares.append(dropped[-1].mean())
    assert np.allclose(shares, 0.3, atol=0.05)
    assert (dropped[0] != dropped[1]).any() and (dropped[1] != dropped[2]).any()


def test_without_dropout_a_network_says_what_dropped_ones_say_on_average(x64):
    """Exactly so when neurons are linear."""
    linear = jaxnet.linear
    params, x, _ = problem([4, 3, 2], hidden=linear, output=linear)
    keys = jax.random.split(jax.random.key(0), 40_000)

    def dropped(key):
        left = jax.tree.map(jnp.multiply, masks(key, params, 0.5), params)
        return jaxnet.predict(left, x[0])

    outputs = jax.jit(jax.vmap(dropped))(keys)
    all_present = jaxnet.predict(jaxnet.without_dropout(params, 0.5), x[0])
    error = outputs.std(axis=0) / len(keys) ** 0.5
    assert (jnp.abs(outputs.mean(axis=0) - all_present) < 4 * error).all()


def test_train_evaluates_and_returns_the_network_without_dropout():
    params, x, y = problem([3, 4, 2], m=6)
    data, key = jaxnet.Dataset(x, y), jax.random.key(0)
    options = {"batch_size": 2, "eta": 0.3, "dropout": 0.5}
    trained, history = jaxnet.train(
        key, params, data, epochs=2, evaluate=lambda params: params, **options
    )
    state = jaxnet.start(params)
    for number in range(2):
        state = jaxnet.epoch(jax.random.fold_in(key, number), state, data, **options)
        evaluated = jax.tree.map(lambda leaf, i=number: leaf[i], history)
        expected = jaxnet.without_dropout(state.params, 0.5)
        assert_close(evaluated, expected, rtol=1e-5)
    assert_close(trained, jaxnet.without_dropout(state.params, 0.5), rtol=1e-5)


@pytest.mark.parametrize("gradient", [jaxnet.backprop, jaxnet.autodiff])
def test_an_epoch_with_dropout_learns(gradient):
    key = jax.random.key(0)
    x = jax.random.uniform(key, (200, 10))
    y = jax.nn.one_hot((x[:, 0] > x[:, 1]).astype(int), 2)
    params = jaxnet.init(key, [10, 30, 2], init_layer=jaxnet.scaled_layer)
    data = jaxnet.Dataset(x, y)
    params, history = jaxnet.train(
        jax.random.key(1),
        params,
        data,
        epochs=60,
        batch_size=10,
        eta=0.5,
        dropout=0.5,
        cost=jaxnet.cross_entropy,
        gradient=gradient,
        evaluate=lambda params: jaxnet.accuracy(params, data),
    )
    assert history[-1] > 0.9


@pytest.mark.parametrize(
    ("name", "value"),
    [("l1", -1.0), ("l2", float("nan")), ("dropout", 1.0), ("dropout", -0.1)],
)
def test_rates_out_of_range_are_refused(name, value):
    params, x, y = problem([3, 4, 2], m=6)
    with pytest.raises(ValueError, match=rf"Expected {name} of at least 0"):
        jaxnet.epoch(
            jax.random.key(0),
            jaxnet.start(params),
            jaxnet.Dataset(x, y),
            batch_size=2,
            eta=0.3,
            **{name: value},
        )


# Monitoring


def test_total_cost_has_the_training_set_s_n_whatever_is_measured(x64):
    params, x, y = problem([3, 4, 2], m=7)
    data = jaxnet.Dataset(x, y)
    squares = sum(float((w**2).sum()) for w, _ in params)
    absolute = sum(float(abs(w).sum()) for w, _ in params)
    plain = float(jaxnet.loss(params, x, y))
    assert float(total_cost(params, data)) == plain
    found = total_cost(params, data, l1=0.2, l2=5.0, n=N)
    expected = plain + 0.2 * absolute / N + 5.0 * squares / (2 * N)
    assert float(found) == pytest.approx(expected, rel=1e-14)
    as_in_the_book = total_cost(params, data, l2=5.0, n=len(x))
    assert float(as_in_the_book) == pytest.approx(plain + 5 * squares / 14, rel=1e-14)
    with pytest.raises(ValueError, match="size of the training set"):
        total_cost(params, data, l2=5.0)


def test_a_monitor_says_cost_and_accuracy_after_each_epoch(x64):
    params, x, y = problem([3, 4, 2], m=12)
    training = jaxnet.Dataset(x[:8], y[:8])
    evaluation = jaxnet.Dataset(x[8:], y[8:])
    watch = monitor(training, evaluation, jaxnet.cross_entropy, l2=2.0)
    after, history = jaxnet.train(
        jax.random.key(0),
        params,
        training,
        epochs=3,
        batch_size=4,
        eta=0.1,
        l2=2.0,
        cost=jaxnet.cross_entropy,
        evaluate=watch,
    )
    assert set(history) == {
        "training_cost",
        "training_accuracy",
        "evaluation_cost",
        "evaluation_accuracy",
    }
    assert all(values.shape == (3,) for values in history.values())
    expected = total_cost(after, evaluation, jaxnet.cross_entropy, l2=2.0, n=8)
    assert float(history["evaluation_cost"][-1]) == pytest.approx(float(expected))
    assert set(monitor(training)(params)) == {"training_cost", "training_accuracy"}


# Other optimizers


def test_momentum_is_the_book_s(x64):
    """Web 107, 108: v' = mu v - eta grad C and w' = w + v', the penalty in grad C."""
    params, x, y = problem([3, 4, 2], m=5)
    optimizer = partial(optax.sgd, momentum=0.9)
    state = jaxnet.start(params, optimizer)
    w = params
    v = jax.tree.map(jnp.zeros_like, params)
    gradient = with_penalty(jaxnet.backprop, l2_rate=0.2)
    for _ in range(4):
        state = step(state, x, y, eta=0.1, optimizer=optimizer, gradient=gradient)
        slope = slope_of_regularised(w, x, y, jaxnet.quadratic, 0.0, 0.2 * N)
        v = jax.tree.map(lambda v, g: 0.9 * v - 0.1 * g, v, slope)
        w = jax.tree.map(jnp.add, w, v)
    assert_close(state.params, w, rtol=1e-13)
