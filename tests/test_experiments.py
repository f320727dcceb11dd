"""A seed learns the same whatever runs beside it, and a report says what it came to."""

import json
import math
import pickle
from dataclasses import replace

import jax
import numpy as np
import pytest

import jaxnet
from jaxnet.experiments import CLAIMS, Experiment, claim_of
from jaxnet.report import Record, as_json, epoch_line, lines
from jaxnet.runs import run, sweep, unlearnt
from tests.helpers import assert_close


@pytest.fixture(scope="module")
def small(small_mnist):
    return jaxnet.load_mnist(small_mnist)


def test_a_seed_learns_the_same_alone_and_beside_others(small):
    experiment = Experiment(sizes=(784, 4, 10), epochs=2)
    together = list(run(experiment, small.train, small.test, (5, 6)))
    alone = list(run(experiment, small.train, small.test, [6]))
    assert [epoch.number for epoch in together] == [0, 1]
    one = jax.tree.map(lambda leaf: leaf[1], together[1].params)
    other = jax.tree.map(lambda leaf: leaf[0], alone[1].params)
    assert_close(one, other, rtol=1e-4)


def test_seeds_differ_and_gradients_agree(small):
    experiment = Experiment(sizes=(784, 4, 10), epochs=1)
    [by_hand] = run(experiment, small.train, small.test, (5, 6))
    automatic = replace(experiment, gradient=jaxnet.autodiff)
    [by_grad] = run(automatic, small.train, small.test, (5, 6))
    assert_close(by_hand.params, by_grad.params, rtol=1e-4)
    first, second, *_ = by_hand.params[0].w
    assert not np.array_equal(first, second)


def test_the_book_s_experiments_are_known_whichever_way_their_gradient_is_found():
    assert claim_of(Experiment()) is CLAIMS["30 hidden"]
    assert claim_of(Experiment(gradient=jaxnet.autodiff)) is CLAIMS["30 hidden"]
    assert claim_of(Experiment(sizes=(784, 100, 10))) is CLAIMS["100 hidden"]
    assert claim_of(Experiment(eta=2.9)) is None
    assert claim_of(Experiment(evaluate_on="validation")) is None


def test_unlearnt_names_the_classes_a_network_gives_up(small):
    """A network that always says 3 has learnt 3 and nothing else."""
    w = np.zeros((1, 10, 784), np.float32)
    b = np.eye(10, dtype=np.float32)[3:4]
    networks = [jaxnet.Layer(jax.numpy.array(w), jax.numpy.array(b))]
    expected = [0, 1, 2, 4, 5, 6, 7, 8, 9]
    assert unlearnt(networks, small.test) == [expected]


def record(*histories, claim=None, unlearnt=None, **changes):
    histories = np.array(histories)
    return Record(
        seeds=range(1, len(histories) + 1),
        examples=200,
        epochs=histories.shape[1],
        claim=claim,
        accuracies=list(histories.T),
        seconds=[0.5, 0.1, 0.3][: histories.shape[1]],
        compile_seconds=1.25,
        unlearnt=unlearnt or [[]] * len(histories),
        **changes,
    )


def test_one_run_in_the_book_s_words():
    one = record([0.5, 0.9, 0.85], claim=CLAIMS["30 hidden"])
    assert epoch_line(0, np.array([0.5]), 200) == "Epoch 0: 100 / 200"
    assert list(lines(one)) == [
        "Best 90.00% (epoch 1), last 85.00%.",
        "The book, section 1.6: 95.42%, best epoch of the best of three runs.",
        "0.30 s an epoch (median, evaluation included), 1.2 s compiling.",
    ]


def test_several_runs_as_a_table_with_their_spread():
    table = list(lines(record([0.5, 0.9], [0.6, 0.7], [0.8, 0.4])))
    assert table[1].split() == ["1", "90.00%", "1", "90.00%"]
    assert table[3].split() == ["3", "80.00%", "0", "40.00%"]
    assert table[4].split() == ["mean", "80.00%", "66.67%"]
    assert table[5].split() == ["sd", "10.00%", "25.17%"]
    assert table[6].split() == ["median", "80.00%", "70.00%"]
    assert table[7].split() == ["min", "70.00%", "40.00%"]
    assert table[8].split() == ["max", "90.00%", "90.00%"]
    line = epoch_line(1, np.array([0.9, 0.7, 0.4]), 200)
    assert line == "Epoch 1: 133.3 / 200 (mean of 3 seeds, 80 to 180)"


def test_stuck_diverged_and_interrupted_runs_are_named():
    """Stuck: nearly everything learnt but a few digits. Poor at all is not stuck."""
    histories = [[0.8, 0.85], [0.8, 0.95], [0.3, 0.2], [0.5, math.nan]]
    digits = [[4, 8], [], [0, 1, 2, 3, 4, 5], [1]]
    ends = {"diverged": {4: (1, 2)}, "stopped": {3: 1}, "interrupted": True}
    text = "\n".join(lines(record(*histories, unlearnt=digits, **ends)))
    assert "Interrupted after 2 of 2 epochs." in text
    assert "Stuck, most images of a digit wrong: seed 1 on 4 and 8.\n" in text
    assert "Diverged, seed 4: in epoch 1 layer 2 became nan or infinite." in text
    assert "Stopped for want of improvement: seed 3 after epoch 1." in text


def test_a_record_as_json_has_no_nan():
    value = as_json(record([0.5, 0.9], [0.5, math.nan]))
    json.dumps(value, allow_nan=False)
    assert value["runs"][0]["correct"] == [100, 180]
    assert value["runs"][1]["correct"] == [100, None]
    assert value["runs"][1]["best"] == 0.5 and value["runs"][1]["last"] is None
    assert value["last"]["mean"] is None and value["best"]["max"] == 0.9


def test_early_stopping_keeps_a_seed_s_network_and_lets_others_go_on(small):
    experiment = Experiment(
        sizes=(784, 4, 10),
        epochs=40,
        stop_after=3,
        cost=jaxnet.cross_entropy,
        eta=0.5,
    )
    epochs = list(run(experiment, small.train, small.test, range(1, 4)))
    history = np.stack([epoch.accuracy for epoch in epochs])
    going = np.stack([epoch.going for epoch in epochs])
    assert len(epochs) < 40 and not going[-1].any()
    for seed in range(3):
        stop = int(np.argmin(going[:, seed]))  # the first epoch it is not going
        best = history[: stop + 1, seed]
        assert np.argmax(best) == stop - 3
        assert (history[stop:, seed] == history[stop, seed]).all()
        frozen = [epoch.params[0].w[seed] for epoch in epochs[stop:]]
        assert all(np.array_equal(w, frozen[0]) for w in frozen)


def test_a_schedule_changes_eta_and_not_the_run_before(small):
    plain = Experiment(
        sizes=(784, 4, 10), epochs=12, cost=jaxnet.cross_entropy, eta=2.0
    )
    halved = replace(plain, halve_after=1)
    one, other = (
        np.stack([e.accuracy for e in run(e_, small.train, small.test, [1])])
        for e_ in (plain, halved)
    )
    assert (np.diff(one[:, 0]) <= 0).any()
    fall = int(np.argmax(np.diff(one[:, 0]) <= 0)) + 1  # the first epoch without a best
    np.testing.assert_array_equal(one[: fall + 1], other[: fall + 1])
    assert (one[fall + 1 :] != other[fall + 1 : len(one)]).any()


def test_a_diverged_seed_is_named_and_its_last_finite_network_kept(small):
    experiment = Experiment(
        sizes=(784, 4, 10), epochs=3, eta=10.0, l2=1e4, cost=jaxnet.cross_entropy
    )
    [first, *later] = run(experiment, small.train, small.test, [1, 2])
    assert not later, "no network is going"
    assert np.isnan(first.accuracy).all() and not first.going.any()
    assert (first.broken_layer > 0).all()
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(first.params))


def test_a_sweep_trains_each_setting_as_it_trains_alone(small):
    base = Experiment(sizes=(784, 4, 10), epochs=2, cost=jaxnet.cross_entropy)
    seeds, etas, l2s = [3, 4], (0.5, 0.1), (0.0, 5.0)
    swept = list(sweep(base, small.train, small.test, seeds, eta=etas, l2=l2s))
    assert swept[0].shape == (2, 2)
    for i, (eta, l2) in enumerate(zip(etas, l2s, strict=True)):
        alone = run(replace(base, eta=eta, l2=l2), small.train, small.test, seeds)
        for epoch, found in zip(alone, swept, strict=True):
            np.testing.assert_allclose(found[i], epoch.accuracy, atol=0.011)


def test_epochs_that_are_not_evaluated_are_learnt_all_the_same(small):
    often = Experiment(sizes=(784, 4, 10), epochs=4)
    rarely = replace(often, evaluate_every=2)
    every = list(run(often, small.train, small.test, [1]))
    second = list(run(rarely, small.train, small.test, [1]))
    assert rarely.reports == len(second) == 2
    for one, other in zip(every[1::2], second, strict=True):
        assert one.accuracy == other.accuracy
        assert_close(one.params, other.params, rtol=0)
    with pytest.raises(ValueError, match="whole groups of 3"):
        list(run(replace(often, evaluate_every=3), small.train, small.test, [1]))


def test_a_sweep_without_values_is_refused(small):
    with pytest.raises(ValueError, match=r"such as eta=\[0.1, 1.0\], got none"):
        next(sweep(Experiment(), small.train, small.test, [1]))


@pytest.mark.parametrize("name", CLAIMS)
def test_an_experiment_is_pickled_and_equal(name):
    experiment = CLAIMS[name].experiment
    assert pickle.loads(pickle.dumps(experiment)) == experiment
