"""The author's recorded runs, by jaxnet: the first epochs here, the rest if asked."""

import json
import random
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

import jaxnet
from jaxnet.experiments import CLAIMS, recorded
from jaxnet.experiments.claims import LAST
from scripts import replay as script
from scripts import tables
from scripts.replay import REPLAYS, Replayed, drawn, replay, replay_length, shuffle

SHORT = "1,000 images"
WEIGHTS = [f"{kind} weights, {n}" for kind in ("scaled", "large") for n in (30, 100)]


@pytest.fixture(scope="module")
def as_bytes() -> jaxnet.Split:
    return jaxnet.load_mnist(as_bytes=True)


def numbers(*args, **options):
    """All the comparisons of a replay."""
    return [c for epoch in replay(*args, **options) for c in epoch]


def test_a_shuffle_draws_from_a_hat():
    """NumPy's twister seeded by a list is Python's, and the last fills the gap."""
    n = 1000
    stream = np.random.RandomState([12345678])
    hat, expected = list(range(n)), []
    while len(hat) > 1:
        j = int(stream.random_sample() * len(hat))
        hat[j], hat[-1] = hat[-1], hat[j]
        expected.insert(0, hat.pop())
    items = list(range(n))
    shuffle(items, random.Random(12345678))
    assert items == hat + expected


def test_first_networks_are_drawn_biases_first():
    for scaled in (True, False):
        stream = np.random.RandomState(0)
        [(w_1, b_1), (w_2, b_2)] = drawn(stream, (4, 3, 2), scaled=scaled)
        assert np.asarray(b_1)[0] == 1.764052345967664, "NumPy's best known number"
        stream = np.random.RandomState(0).randn(5 + 12 + 6)
        expected = np.split(stream, np.cumsum([3, 2, 12]))
        arrays = zip((b_1, b_2, w_1, w_2), expected, (1, 1, 4, 3), strict=True)
        for array, flat, n_in in arrays:
            assert array.dtype == jnp.float64
            divisor = n_in**0.5 if scaled else 1.0
            np.testing.assert_array_equal(np.ravel(array), flat / divisor)


def test_what_is_recorded_is_what_the_book_reports():
    for name in (SHORT, "1,000 images, L2", "50,000 images, L2", *WEIGHTS):
        counts = [
            his["evaluation accuracy"]
            for _, his in sorted(recorded(name).items())
            if "evaluation accuracy" in his
        ]
        reported = CLAIMS[name]
        number = counts[-1] if reported.statistic == LAST else max(counts)
        assert round(number / 100, 2) == reported.number, name
    assert recorded("30 hidden") == {}


def test_a_replay_ends_with_the_last_recorded_number():
    lengths = {name: replay_length(name) for name in REPLAYS}
    assert lengths.pop("50,000 images") == 3, "of 30: the others do not replay"
    for name, epochs in lengths.items():
        assert epochs == REPLAYS[name].experiment.epochs
    assert [replay_length(name, 5) for name in (SHORT, "50,000 images")] == [5, 3]


def test_a_first_epoch_replays(as_bytes):
    found = numbers("1,000 images, L2", as_bytes, epochs=1)
    assert len(found) == 4 and all(c.equal and c.required for c in found)
    # The streams are float64; whoever uses them is not.
    assert jnp.zeros(()).dtype == jnp.float32


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in REPLAYS if " of " not in name])
def test_runs_replay(as_bytes, name):
    """For 200 or 2 epochs; `scripts/replay.py` replays all of them as a whole."""
    n = REPLAYS[name].experiment.train_on or 100_000
    found = numbers(name, as_bytes, epochs=200_000 // n)
    assert found
    assert [c for c in found if c.required and not c.equal] == []
    # Rounding errors move a cost by 1e-5, and a few images over the edge.
    assert [c for c in found if c.difference > 5e-4] == []


def test_other_pixels_are_reported(mnist):
    """Of bytes / 255, for which others have measured 5885 and 2.07680."""
    brighter = (jaxnet.Dataset(part.x * (256 / 255), part.y) for part in mnist)
    cost, right, *_ = numbers(SHORT, jaxnet.Split(*brighter), epochs=1)
    assert not cost.equal and cost.replayed == pytest.approx(2.07680, abs=5e-6)
    assert not right.equal and right.replayed == 5885
    with pytest.raises(ValueError, match=r"Expected MNIST, .* got \(50000, 9, 10000\)"):
        next(replay(SHORT, mnist._replace(validation=mnist.validation[:9])))


def test_another_seed_another_shuffle_and_nan_are_reported(as_bytes, monkeypatch):
    other = numbers(SHORT, as_bytes, epochs=1, seed=12345679)
    whole = REPLAYS[SHORT]
    with monkeypatch.context() as patch:
        changed = whole._replace(experiment=replace(whole.experiment, l2=1e9))
        patch.setitem(REPLAYS, SHORT, changed)
        diverged = numbers(SHORT, as_bytes, epochs=1)
    assert np.isnan([c.replayed for c in diverged]).all()
    # Python 3's is another than Python 2's.
    monkeypatch.setattr(script, "shuffle", lambda items, stream: stream.shuffle(items))
    shuffled = numbers(SHORT, as_bytes, epochs=1)
    for found in (other, diverged, shuffled):
        assert len(found) == 4 and not any(c.equal for c in found)


def test_counts_are_equal_and_costs_to_so_many_digits():
    right = Replayed(0, "test accuracy", 9000, 9000.0, None, True)
    assert right.equal and not right._replace(replayed=9001.0).equal
    cost = Replayed(0, "test cost", 2.0, 2.0 + 1e-12, 12, True)
    assert cost.difference == pytest.approx(5e-13, rel=1e-3)
    assert cost.equal and not cost._replace(digits=13).equal


@pytest.mark.parametrize(("exact", "code"), [(None, 1), (0, 0)])
def test_a_difference_is_an_exit_code_if_it_matters(monkeypatch, capsys, exact, code):
    his = recorded(SHORT)
    his[0]["training accuracy"] += 1
    monkeypatch.setattr(script, "recorded", lambda name: his)
    monkeypatch.setitem(REPLAYS, SHORT, REPLAYS[SHORT]._replace(exact=exact))
    assert script.main([SHORT], epochs=1) == code
    *numbers, row = capsys.readouterr().out.splitlines()
    assert "Epoch 0: training accuracy 691, replayed 690" in numbers
    differs = "epoch 0: training accuracy 691, replayed 690"
    assert row == f"| {SHORT} | 1 of 2 | 2 of 2, 12 digits | {differs} |"


def test_the_table_in_readme_is_that_of_the_file():
    found = json.loads(script.RESULTS.read_text())
    assert set(found) == set(REPLAYS)
    assert tables.inside(tables.OF_RESULTS, "replay") == script.in_markdown(found)
