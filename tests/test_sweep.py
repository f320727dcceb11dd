"""Sweeps and claims keep what is trained, and continue from there."""

import itertools
import json
import math
import sys
from dataclasses import replace
from unittest import mock

import numpy as np
import pytest
from msgspec.structs import replace as replaced

import jaxnet
from jaxnet.cli import main
from jaxnet.cli.sweep import _table, summaries
from jaxnet.experiments import (
    CLAIMS,
    Claim,
    Experiment,
    Result,
    StorageError,
    Trained,
    reproduce,
    result,
    sweep,
)
from jaxnet.experiments import claims as book
from jaxnet.experiments.reproduce import file_of, log_of_claim, missing, table
from jaxnet.experiments.sweep import environment, log_of, train_networks
from scripts import tables
from scripts.reproduce import lines
from tests.helpers import cached_runner, refused

reproduction = sys.modules["jaxnet.experiments.reproduce"]
SMALL = Experiment(sizes=(784, 4, 10), epochs=2, eta=0.5, cost=jaxnet.cross_entropy)


@pytest.fixture(scope="module", autouse=True)
def compiled_once():
    """Networks of the same program are compiled once for all tests."""
    with (
        mock.patch("jaxnet.experiments.sweep.Runner", cached_runner),
        mock.patch("jaxnet.cli.train.Runner", cached_runner),
    ):
        yield


def no_progress(items, total, label):
    return iter(items)


# In a script.


def test_a_sweep_trains_each_setting_as_it_trains_alone(small_mnist_data):
    train, _, test = small_mnist_data
    found = list(sweep(SMALL, train, test, [3, 4], eta=[0.5, 0.1], l2=[0.0, 5.0]))
    settings = [({"eta": 0.5, "l2": 0.0}, 3), ({"eta": 0.5, "l2": 0.0}, 4)]
    settings += [({"eta": 0.1, "l2": 5.0}, 3), ({"eta": 0.1, "l2": 5.0}, 4)]
    assert [(network.rates, network.seed) for network in found] == settings
    alone = cached_runner(replace(SMALL, eta=0.1, l2=5.0), train, test)
    for network in found[2:]:
        expected = [epoch.record.correct[0] for epoch in alone([network.seed])]
        np.testing.assert_allclose(200 * network.accuracy, expected, atol=2)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, r"such as eta=\[0.1, 1.0\], got none"),
        ({"eta": [0.1, 1.0], "l2": [5.0]}, "got {'eta': 2, 'l2': 1}"),
        ({"momentum": [0.1]}, "each of eta, l1, l2, dropout"),
        ({"eta": [0.1, math.nan]}, "eta of at least 0, got nan"),
        ({"l2": [-100.0]}, "l2 of at least 0, got -100"),
        ({"dropout": [1.5]}, "dropout of at least 0 and below 1, got 1.5"),
    ],
)
def test_values_that_no_network_can_have_are_refused(small_mnist_data, values, message):
    train, _, test = small_mnist_data
    with pytest.raises(ValueError, match=message):
        sweep(SMALL, train, test, [1], **values)


def test_processes_that_share_a_file_share_the_work(small_mnist_data, tmp_path):
    """What another process has claimed is waited for, and trained if it is killed."""
    train, _, test = small_mnist_data
    networks = [({"eta": eta}, 1) for eta in (0.5, 0.1)]
    [first, second] = train_networks(SMALL, train, test, networks)
    log, theirs = (log_of(tmp_path / "sweep.jsonl", SMALL) for _ in range(2))
    with theirs.claim([networks[0]], wait=False) as free:
        assert free
        ours = train_networks(SMALL, train, test, networks, log=log)
        assert next(ours).rates == second.rates, "the other network comes first"
        log.add(first)  # by the other process
    assert [network.rates for network in ours] == [first.rates]
    assert len(log.read()) == 2 and not list(tmp_path.glob(".*"))


# On the command line.


def options(small_mnist, *more):
    small = ["--data", small_mnist, "--sizes", "784,4,10", "--epochs", "2"]
    small += ["--cost", "cross_entropy"]
    return ["sweep", *small, "--eta", "0.5,3", "--seeds", "2", *more]


def test_a_sweep_says_what_train_says_continues_and_takes_more_values_and_seeds(
    small_mnist, capsys, tmp_path, monkeypatch
):
    file, figure = tmp_path / "sweep.jsonl", tmp_path / "heat.png"
    out, more = ("--out", str(file)), ("--seeds", "3", "--eta", "0.5,1,3")
    assert main(options(small_mnist, *out, "--figure", str(figure))) == 0
    text = capsys.readouterr().out
    assert "2 settings x 2 seeds = 4 networks, 0 done before" in text
    assert figure.read_bytes().startswith(b"\x89PNG")
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert len(lines) == 5
    train = ["train", *options(small_mnist)[1:9], "--json"]
    assert main([*train, "--eta", "3", "--seed", "2"]) == 0
    alone = json.loads(capsys.readouterr().out)["records"]
    rates = {"eta": 3.0, "l1": 0.0, "l2": 0.0, "dropout": 0.0}
    [same] = [x for x in lines[1:] if x["rates"] == rates and x["seed"] == 2]
    assert [same["curve"]] == np.transpose([x["correct"] for x in alone]).tolist()

    def interrupted(items, total, label):
        yield from itertools.islice(items, total - 1)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("jaxnet.cli.sweep.track", interrupted)
        assert main(options(small_mnist, *out, *more)) == 130
    kept = file.read_text().count("\n") - 1
    text = capsys.readouterr().out
    assert 4 < kept < 9 and f"Interrupted: {kept} of 9 networks are done." in text
    assert main(options(small_mnist, *out, *more, "--json")) == 0
    value = json.loads(capsys.readouterr().out)
    assert value["done"] == value["networks"] == 9 and len(value["settings"]) == 3
    assert main(options(small_mnist, *out, *more)) == 0
    assert "3 seeds = 9 networks, 9 done before" in capsys.readouterr().out
    assert file.read_text().count("\n") == 10
    error = refused(capsys, *options(small_mnist, *out, "--cost", "quadratic"))
    assert "expected cost quadratic, got cross_entropy" in error
    error = refused(capsys, "sweep", *options(small_mnist, *out)[3:])
    assert "sweep.jsonl: expected data None, got " in error


def test_wrong_values_and_figures_are_refused_in_a_line_before_the_work(
    small_mnist, capsys
):
    for values in ("1,", "1,1", "1,nan", "0"):
        error = refused(capsys, *options(small_mnist, "--eta", values))
        assert "--eta: expected" in error
    error = refused(capsys, *options(small_mnist, "--figure", "heat.txt"))
    assert "such as .png, .svg or .pdf, got '.txt'" in error


def trained(curve, seed=1, **rates):
    also = {"of": 10, "failed_classes": [], "seconds": 1.0, "rates": rates}
    return Trained(seed=seed, curve=curve, **also)


def test_the_table_says_what_the_curves_say():
    found = {
        (5.0,): [trained([5, 9, 8]), trained([5, 7, 6], seed=2)],
        (1.0,): [trained([3, None, None])],
    }
    rows = summaries(found)
    row = rows[5.0,]
    assert row["seeds"] == 2 and row["max"] == 0.9
    assert row["mean"] == pytest.approx(0.8) and row["last"] == pytest.approx(0.7)
    assert row["sd"] == pytest.approx(np.std([0.9, 0.7], ddof=1))
    head, first, second = _table(rows, ["l2"])
    assert head.split() == ["L2", "seeds", "best", "sd", "max", "last"]
    assert first.split()[:3] == ["5", "2", "80.00%"] and first.endswith("<- best mean")
    assert second.split() == ["1", "1", "30.00%", "0.00%", "30.00%", "nan%"]


# The book's claims.


@pytest.fixture
def short_claims(monkeypatch):
    """Three short experiments in place of the book's."""
    e = replace(SMALL, l2=5.0)
    short = {
        "one": Claim(SMALL, 50.0, book.BEST, "1.6"),
        "the same": Claim(SMALL, 40.0, book.LAST, "1.6"),
        "a cost": Claim(e, 2.0, book.LAST, "3", book.TRAINING_COST),
    }
    monkeypatch.setattr(reproduction, "CLAIMS", short)
    return short


def found_of(curves, statistic=book.BEST, failed_classes=None, number=95.0):
    claim = Claim(Experiment(), number, statistic, "1.6")
    curves = np.array(curves, float)
    return Result("name", claim, curves, failed_classes or [[]] * len(curves), 1.0)


def test_a_claim_continues_and_has_the_curves_of_a_run(
    short_claims, small_mnist_data, tmp_path
):
    assert result("one", tmp_path) is None
    for seed, left in ((1, [1, 2]), (2, [2])):
        assert missing("one", 2, tmp_path) == left
        list(reproduce("one", small_mnist_data, [seed], tmp_path, no_progress))
    found, (train, _, test) = result("one", tmp_path), small_mnist_data
    assert found is not None and found.curves.shape == (2, 2)
    runner = cached_runner(SMALL, train, test)
    expected = [[epoch.record.correct[0] / 2 for epoch in runner([k])] for k in (1, 2)]
    np.testing.assert_allclose(found.curves, expected, atol=1)
    path = file_of("one", tmp_path)
    text = path.read_text()
    path.write_text(text + text.splitlines(keepends=True)[2])  # there twice
    again = result("one", tmp_path)
    assert again is not None and np.array_equal(again.curves, found.curves)
    line = json.loads(text.splitlines()[1])
    assert {"seed", "curve", "seconds", "jax", "device", "dtype", "commit"} <= set(line)
    assert path == file_of("the same", tmp_path) != file_of("a cost", tmp_path)


def test_a_file_of_other_settings_or_of_no_networks_is_refused(short_claims, tmp_path):
    path = file_of("one", tmp_path)
    log_of(path, replace(short_claims["one"].experiment, eta=0.4)).add(trained([1]))
    with pytest.raises(StorageError, match="eta 0.5, got 0.4"):
        missing("one", 2, tmp_path)
    path.unlink()
    log_of(path, short_claims["one"].experiment).add(trained([1]))
    content = path.read_text()
    valid = {"seed": 1, "curve": [None], "of": 10, "failed_classes": [], "seconds": 1.0}
    wrong = {
        "of": 0,
        "curve": [],
        "failed_classes": [[]],
        "rates": {"eta": -1},
        "seed": "1",
    }
    for line in (*({**valid, k: v} for k, v in wrong.items()), {}, 3.0):
        path.write_text(content + json.dumps(line) + "\n")
        with pytest.raises(StorageError, match="expected a valid line 3 "):
            result("one", tmp_path)


def test_statistics_are_the_book_s_own():
    curves = [[90, 95, 94], [91, 93, 92], [60, 70, math.nan]]
    np.testing.assert_array_equal(found_of(curves, book.BEST).draws, [95, 93, 70])
    last = found_of(curves, book.LAST).draws
    np.testing.assert_array_equal(last, [94, 92, math.nan])
    draws = found_of(curves, book.BEST_OF_THREE).draws
    for value, chance in ((95, 1 - (2 / 3) ** 3), (93, 7 / 27), (70, 1 / 27)):
        assert np.mean(draws == value) == pytest.approx(chance, abs=0.02)


def test_a_row_says_where_the_book_s_number_lies():
    """Without NumPy's warnings of medians and deviations of nothing."""
    curves = [[90.0, x] for x in (93, 94, 95, 96)]
    _, cells = table([found_of(curves, book.LAST, number=94.5)], {})
    assert cells[:4] == ("name", "1.6", "94.50", "last epoch")
    assert cells[4].startswith("94.50 [93.15, 95.85") and cells[5] == "above 50%"
    assert cells[6:] == ("94.50 +- 1.29", "none", "4", "1.0")
    for number, words in ((97.0, "above all; why"), (92.0, "below all; why")):
        rows = table([found_of(curves, book.LAST, number=number)], {"name": "; why"})
        assert rows[1][5] == words
    stuck = found_of([[85.0], [95.0], [20.0]], book.LAST, [[4, 8], [], [0, 1, 2, 3]])
    assert stuck.stuck == {0: [4, 8]} and table([stuck], {})[1][7] == "1 on 4, 8"
    none = found_of([[math.nan], [math.nan]])
    row = table([none], {})[1]
    assert row[4:] == ("- [-, -]", "-", "- +- 0.00", "none", "2", "1.0")


def test_a_checkout_on_a_machine_without_git_has_no_commit(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert environment()["commit"] == ""


def test_the_command_trains_what_is_missing(
    short_claims, small_mnist, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr("jaxnet.cli.reproduce.CLAIMS", short_claims)
    words = ["--data", small_mnist, "--out", str(tmp_path), "--seeds", "2"]
    assert main(["reproduce", "one", "the same", *words]) == 0
    first = capsys.readouterr()
    assert first.err.splitlines() == ["one: 2 networks"]  # the same file has both
    assert len(first.out.splitlines()) == 3
    assert main(["reproduce", "one", *words, "--table"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == first.out.splitlines()[-2]
    assert "expected names of" in refused(capsys, "reproduce", "nothing", *words)
    assert main(["reproduce", "--list"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[0] == "one"


def test_a_claim_of_chapter_6_continues_to_the_same_bits(
    short_claims, small_mnist_data, tmp_path, monkeypatch
):
    """It is measured on the test data at the best validation epoch."""
    monkeypatch.setattr(sys.modules["jaxnet.experiments.sweep"], "_PAUSE", 0.0)
    e = replace(SMALL, epochs=3, evaluate_on="validation", dropout=0.1)
    claim = Claim(e, 99.0, book.AT_BEST_OF_THREE, "web 6", book.TEST_ACCURACY)
    monkeypatch.setitem(short_claims, "six", claim)
    done = []

    def stop(items, total, label):
        yield from itertools.islice(items, 2)
        raise KeyboardInterrupt

    def count(items, total, label):
        for item in items:
            done.append(item)
            yield item

    def learn(folder, progress):
        return list(reproduce("six", small_mnist_data, [1, 2], folder, progress))

    with pytest.raises(KeyboardInterrupt):
        learn(tmp_path, stop)
    assert len(list(tmp_path.glob("six/*/checkpoint-00000002.safetensors"))) == 1
    assert len(learn(tmp_path, count)) == 2
    assert len(done) == 3 * 2 - 2, "two epochs are not done again"
    assert len(learn(tmp_path / "whole", no_progress)) == 2
    continued, whole = (
        [replaced(each, seconds=0) for each in log_of_claim("six", folder).read()]
        for folder in (tmp_path, tmp_path / "whole")
    )
    assert continued == whole
    for network in whole:
        assert len(network.mistakes) + (network.curve[-1] or 0) == 200
        assert len(network.curve) == len(network.validation) == 3
    found = result("six", tmp_path)
    assert found is not None
    for network, row in zip(whole, found.curves, strict=True):
        best = max(range(3), key=lambda i: (network.validation[i], i))
        assert 2 * row[-1] == network.curve[best]


def test_of_equal_validation_epochs_the_last_is_the_best():
    validation = np.array([[1, 3, 2, 3, 2], [np.nan, 1, 2, 1, np.nan]], float)
    test = np.arange(10.0).reshape(2, 5)
    expected = [[0, 1, 1, 3, 3], [5, 6, 7, 7, 7]]
    np.testing.assert_array_equal(book.at_best(validation, test), expected)


def test_every_claim_of_the_book_has_its_results():
    for name, claim in CLAIMS.items():
        if claim.section != "web 6":  # whose networks take up to hours
            found = result(name, tables.RESULTS)
            assert found is not None and len(found.curves) == 20, name


def test_readme_has_the_table_of_the_files():
    assert tables.inside(tables.OF_RESULTS, "reproduce") == lines()
