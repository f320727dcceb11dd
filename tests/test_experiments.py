"""An experiment is data, and a seed learns the same whatever trains with it."""

import json
import pickle
from dataclasses import replace
from functools import cache
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import jaxnet
from jaxnet.experiments import (
    CLAIMS,
    Experiment,
    OptionError,
    Runner,
    claim_of,
    failed_classes,
)
from jaxnet.experiments import runner as runners
from jaxnet.experiments.experiment import NAMES, described, from_description
from tests.helpers import assert_close, compiled

SMALL = Experiment(sizes=(784, 4, 10), epochs=2)


def measure(e, params, train, evaluation):
    largest = jnp.stack([jnp.abs(layer.w).max() for layer in params])
    return {"accuracy": jaxnet.accuracy(params, evaluation), "largest": largest}


@pytest.fixture(scope="module")
def of_two(small_mnist_data):
    """A runner of one or two networks, each with an L2 of its own."""
    train, _, test = small_mnist_data
    return Runner(SMALL, train, test, 2, ["l2"], measure)


@pytest.fixture
def longer(of_two):
    """Epochs of the same program, of as many as one likes."""

    def run(epochs, seeds):
        of_two.experiment = replace(SMALL, epochs=epochs)
        return list(of_two(seeds, {"l2": [0.0] * len(seeds)}))

    yield run
    of_two.experiment = SMALL


# The options.


def test_an_experiment_comes_back_from_its_description_and_from_a_pickle():
    named = [
        replace(Experiment(), **{option: value})
        for option, values in NAMES.items()
        for value in values.values()
    ]
    claimed = [claim.experiment for claim in CLAIMS.values()]
    for e in named + claimed:
        assert from_description(json.loads(json.dumps(described(e)))) == e
    assert pickle.loads(pickle.dumps(claimed)) == claimed


@pytest.mark.parametrize(
    ("description", "message"),
    [
        ({"later": 1}, "'later': expected an option of this jaxnet"),
        ({"eta": "3"}, "eta: expected a number above 0, got '3'"),
        ({"dropout": 1.0}, "dropout: expected a number of at least 0 and below 1"),
        ({"sizes": [784]}, "sizes: expected two or more layer sizes"),
        ({"sizes": [784, 2**31 - 1, 10]}, "sizes: expected at most 268,435,456 weigh"),
        ({"batch_size": [1]}, "batch_size: expected an integer of at least 1"),
        (
            {"cost": "cubic"},
            "cost: expected one of quadratic, cross_entropy, .*'cubic'",
        ),
        ({"cost": None}, "cost: expected one of quadratic"),
    ],
)
def test_a_description_that_is_none_is_refused(description, message):
    with pytest.raises(OptionError, match=message):
        from_description(description)


def test_the_book_s_experiments_are_known_whichever_way_their_gradient_is_found():
    assert claim_of(Experiment()) is CLAIMS["30 hidden"]
    assert claim_of(Experiment(gradient=jaxnet.autodiff)) is CLAIMS["30 hidden"]
    assert claim_of(Experiment(sizes=(784, 100, 10))) is CLAIMS["100 hidden"]
    assert claim_of(Experiment(eta=2.9)) is None
    assert claim_of(Experiment(evaluate_on="validation")) is None


# Running.


def test_a_seed_beside_others_learns_what_a_loop_over_epoch_does(
    of_two, small_mnist_data
):
    train, _, test = small_mnist_data

    key = jax.random.key(6)
    state = jaxnet.start(jax.jit(SMALL.init)(key))
    for number in range(2):
        epoch_key = jax.random.fold_in(key, number)
        state = jaxnet.epoch(epoch_key, state, train, **SMALL.options())
    expected, accuracy = state.params, compiled(jaxnet.accuracy)(state.params, test)
    before, after = of_two([5, 6], {"l2": [0.0, 0.0]})
    assert (before.record.epoch, after.record.epoch) == (0, 1)
    assert_close(jax.tree.map(lambda a: a[1], after.params), expected, rtol=1e-5)
    assert after.record.correct[1] == round(200 * float(accuracy))
    first, second = after.params[0].w
    assert not np.array_equal(first, second)


def test_a_diverged_seed_is_named_and_its_last_finite_network_kept(of_two):
    """What is measured has an axis of networks, and nan for one that has diverged."""
    first, second = of_two([1, 2], {"eta": [10.0, 3.0], "l2": [1e4, 0.0]})
    assert first.record.going == second.record.going == [False, True]
    assert first.record.correct[0] is None
    assert first.record.broken_layer[0] > 0 == first.record.broken_layer[1]
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(second.params))
    np.testing.assert_allclose(first.measured["accuracy"], first.accuracy, rtol=1e-6)
    assert np.isnan(first.measured["largest"]).tolist() == [[True] * 2, [False] * 2]
    [alone] = of_two([1], {"eta": [10.0], "l2": [1e4]})
    assert not any(alone.record.going), "no network is going"


def test_epochs_that_are_not_evaluated_are_learnt_all_the_same(
    longer, small_mnist_data
):
    train, _, test = small_mnist_data
    rarely = replace(SMALL, epochs=4, evaluate_every=2)
    every, second = longer(4, [1]), list(Runner(rarely, train, test)([1]))
    assert rarely.reports == len(second) == 2
    for one, other in zip(every[1::2], second, strict=True):
        assert one.record.correct == other.record.correct
        assert_close(one.params, other.params, rtol=1e-5)
    with pytest.raises(ValueError, match="a multiple of 3"):
        Runner(replace(rarely, evaluate_every=3), train, test)


def test_a_schedule_changes_eta_and_not_the_run_before(longer, small_mnist_data):
    train, _, test = small_mnist_data
    runner = Runner(replace(SMALL, epochs=12, halve_after=1), train, test)
    one, other = (
        [float(epoch.record.correct[0] or 0) for epoch in epochs]
        for epochs in (longer(12, [1]), runner([1]))
    )
    fall = int(np.argmax(np.diff(one) <= 0)) + 1  # the first epoch without a best
    assert 0 < fall < 11 and one[: fall + 1] == other[: fall + 1]
    assert one[fall + 1 : len(other)] != other[fall + 1 :]


def test_failed_classes_are_those_that_a_network_gives_up(small_mnist_data):
    """A network that always says 3 has learnt 3 and nothing else."""
    b = np.eye(10, dtype=np.float32)[3:4]
    networks = [jaxnet.Layer(jnp.zeros((1, 10, 784)), jnp.asarray(b))]
    failed = failed_classes(networks, small_mnist_data.test)
    assert failed == [[0, 1, 2, 4, 5, 6, 7, 8, 9]]


@pytest.mark.parametrize(
    ("seeds", "rates", "message"),
    [
        ([1, 2, 3], {"l2": [0.0] * 3}, "Expected 1 to 2 seeds, got 3"),
        ([1, 2], {"l2": [0.0]}, "Expected 2 values of l2, one for each network, got 1"),
        ([1], {"l2": [0.0], "eta": [np.nan]}, "Expected eta of at least 0, got nan"),
        ([1], {"l1": [0.0]}, "Expected values of eta, l2, got eta, l1"),
    ],
)
def test_networks_that_it_cannot_train_are_refused(of_two, seeds, rates, message):
    with pytest.raises(ValueError, match=message):
        next(of_two(seeds, rates))


@pytest.mark.parametrize(
    "memory, at_once",
    [({"bytes_limit": 2**26}, 10), (None, 20), ({"bytes_limit": 1}, 1)],
)
def test_an_accelerator_trains_as_many_networks_at_once_as_its_memory_holds(
    small_mnist_data, monkeypatch, memory, at_once
):
    """A quarter of 64 MiB holds ten times 200 x 1,010 numbers of eight bytes."""
    device = SimpleNamespace(platform="gpu", memory_stats=lambda: memory)
    monkeypatch.setattr(jax, "devices", lambda: [device])
    e = Experiment(sizes=(784, 1000, 10))
    assert runners.together(e, 20, small_mnist_data.test) == at_once


# The schedule: eta is halved after n epochs without a best, and training stops.


@cache
def trained(**options):
    """A function of 30 counts of correct answers: what `advance` makes of them."""
    e = Experiment(sizes=(2, 2), **options)
    first = runners.begin(e, jnp.asarray(0, jnp.uint32))

    def after(network, right):
        # Each epoch's state is another, of the number of networks so far.
        b = jnp.full(2, network.stale + network.best + 1, float)
        state = first.state._replace(params=[replace(first.state.params[0], b=b)])
        network = runners.advance(e, network, state, right, 20)
        kept = network.state.params[0].b[0], network.correct
        return network, (network.scale, network.going, *kept)

    return jax.jit(lambda rights: jax.lax.scan(after, first, rights)[1])


def counts(rights, **options):
    """Scales of eta, whether it goes on, biases and answers, after each epoch."""
    rights = np.asarray([*rights, *[0] * (30 - len(rights))], np.float32) / 20
    return [found.tolist() for found in trained(**options)(rights)]


@settings(max_examples=40)
@given(
    rights=st.lists(st.integers(0, 20), min_size=1, max_size=30),
    patience=st.sampled_from([1, 3]),
)
def test_eta_is_halved_after_n_epochs_without_a_best(rights, patience):
    scales, going, *_ = counts(rights, halve_after=patience)
    best, since, scale = -1, 0, 1.0
    for right, found, on in zip(rights, scales, going, strict=False):
        since = 0 if right > best else since + 1
        best = max(best, right)
        if since == patience:
            since, scale = 0, scale / 2
        assert found == scale
        if scale == 1 / 128:
            return
        assert on


def test_a_schedule_ends_at_one_128th():
    scales, going, *_ = counts([10] * 30, halve_after=3)
    assert going.index(False) == 7 * 3  # 1/128 is seven halvings
    assert scales[21] == 1 / 128


def test_early_stopping_ends_after_n_epochs_without_a_best_and_keeps_the_network():
    _, going, biases, correct = counts([5, 6, 6, 6, 7, 7, 7, 7, 9, 9], stop_after=3)
    assert going[:8] == [True] * 7 + [False] and not any(going[8:])
    assert len(set(biases[7:])) == len(set(correct[7:])) == 1 < len(set(biases[:8]))
