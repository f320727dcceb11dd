"""The book's numbers as distributions: files that go on, and their table."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

import jaxnet
from jaxnet import reproduce as reproduction
from jaxnet.cli import main
from jaxnet.experiments import CLAIMS, Claim, Experiment
from jaxnet.reproduce import (
    Result,
    described,
    environment,
    file_of,
    missing,
    reproduce,
    result,
    statistic,
    stuck,
    table,
)
from jaxnet.runs import run
from jaxnet.storage import StorageError
from scripts import tables
from scripts.reproduce import lines

COST = "training cost"
SMALL = Experiment(sizes=(784, 4, 10), epochs=3, eta=0.5, cost=jaxnet.cross_entropy)


@pytest.fixture
def claims(monkeypatch):
    """Three short experiments in place of the book's."""
    short = {
        "one": Claim(SMALL, 50.0, "best epoch", "1.6"),
        "the same": Claim(SMALL, 40.0, "last epoch", "1.6"),
        "a cost": Claim(
            replace(SMALL, l2=5.0), 2.0, "last epoch", "3", "training cost"
        ),
    }
    monkeypatch.setattr(reproduction, "CLAIMS", short)
    return short


def found_of(curves, statistic, unlearnt=None, number=95.0):
    claim = Claim(Experiment(), number, statistic, "1.6")
    curves = np.array(curves, float)
    return Result("name", claim, curves, unlearnt or [[]] * len(curves), 1.0)


def test_an_experiment_goes_on_and_has_the_curves_of_a_run(
    claims, small_mnist_data, tmp_path
):
    assert result("one", tmp_path) is None
    assert missing("one", 4, tmp_path) == [1, 2, 3, 4]
    assert sum(reproduce("one", small_mnist_data, [1, 2], tmp_path)) == 2 * 3
    assert missing("one", 4, tmp_path) == [3, 4]
    list(reproduce("one", small_mnist_data, [3, 4], tmp_path))
    found = result("one", tmp_path)
    assert found is not None and found.curves.shape == (4, 3)
    data = small_mnist_data
    for first in (1, 3):
        runs = run(SMALL, data.train, data.test, [first, first + 1])
        expected = 100 * np.stack([after.accuracy for after in runs])
        np.testing.assert_allclose(
            found.curves[first - 1 : first + 1].T, expected, rtol=1e-5
        )
    text = file_of("one", tmp_path).read_text()
    with open(file_of("one", tmp_path), "a") as file:  # by another process
        file.write(text.splitlines(keepends=True)[2])
    again = result("one", tmp_path)
    assert again is not None and np.array_equal(again.curves, found.curves)
    line = json.loads(text.splitlines()[1])
    assert {"seed", "curve", "seconds", "jax", "device", "dtype", "commit"} <= set(line)


def test_two_claims_about_one_experiment_share_a_file(claims, tmp_path):
    assert file_of("one", tmp_path) == file_of("the same", tmp_path)
    assert file_of("one", tmp_path) != file_of("a cost", tmp_path)


MEASURES = {
    "training cost": lambda p, data: total(p, data.train),
    "evaluation cost": lambda p, data: total(p, data.test),
    "training accuracy": lambda p, data: 100 * jaxnet.accuracy(p, data.train),
}


def total(params, data):
    """The cost as the book's second program measures it."""
    options = {"l2": 5.0, "n": len(data.x)}
    return jaxnet.total_cost(params, data, jaxnet.cross_entropy, **options)


@pytest.mark.parametrize("measure", MEASURES)
def test_what_is_measured_is_of_the_network(
    claims, small_mnist_data, tmp_path, measure
):
    data, claim = small_mnist_data, claims["a cost"]._replace(measure=measure)
    claims["a cost"] = claim
    list(reproduce("a cost", data, [1], tmp_path))
    found = result("a cost", tmp_path)
    *_, after = run(claim.experiment, data.train, data.test, [1])
    params = [jaxnet.Layer(w[0], b[0]) for w, b in after.params]
    assert found is not None
    expected = pytest.approx(float(MEASURES[measure](params, data)), rel=1e-5)
    assert found.curves[0, -1] == expected


def test_a_file_of_other_settings_is_refused(
    claims, small_mnist_data, tmp_path, monkeypatch
):
    list(reproduce("one", small_mnist_data, [1], tmp_path))
    other = claims | {"one": Claim(replace(SMALL, eta=0.4), 50.0, "best epoch", "1.6")}
    monkeypatch.setattr(reproduction, "CLAIMS", other)
    with pytest.raises(StorageError, match="expected experiment .*'eta': 0.4"):
        missing("one", 2, tmp_path)


def test_every_setting_of_an_experiment_is_described():
    words = described(CLAIMS["scaled weights, 30"].experiment)
    assert words["cost"] == "cross_entropy" and words["init_layer"] == "scaled_layer"
    assert words["hidden"] == "sigmoid" and words["gradient"] == "backprop"
    assert words["sizes"] == [784, 30, 10] and words["optimizer"] == "sgd"
    texts = [json.dumps(described(claim.experiment)) for claim in CLAIMS.values()]
    experiments = [claim.experiment for claim in CLAIMS.values()]
    for text, experiment in zip(texts, experiments, strict=True):
        assert experiments[texts.index(text)] == experiment


def test_statistics_are_the_book_s_own():
    curves = [[90, 95, 94], [91, 93, 92], [60, 70, math.nan]]
    np.testing.assert_array_equal(
        statistic(found_of(curves, "best epoch")), [95, 93, 70]
    )
    last = statistic(found_of(curves, "last epoch"))
    np.testing.assert_array_equal(last, [94, 92, math.nan])
    draws = statistic(found_of(curves, "best epoch of the best of three runs"))
    for value, chance in ((95, 1 - (2 / 3) ** 3), (93, 7 / 27), (70, 1 / 27)):
        assert np.mean(draws == value) == pytest.approx(chance, abs=0.02)


def test_a_row_says_where_the_book_s_number_lies():
    curves = [[90.0, x] for x in (93, 94, 95, 96)]
    [*_, row] = table([found_of(curves, "last epoch", number=94.5)], {})
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[:4] == ["name", "1.6", "94.50", "last epoch"]
    assert cells[4].startswith("94.50 [93.15, 95.85") and cells[5] == "above 50%"
    assert cells[6] == "94.50 +- 1.29" and cells[7:] == ["none", "4", "1.0"]
    [*_, row] = table([found_of(curves, "last epoch", number=97.0)], {"name": "; why"})
    assert "| above all; why |" in row
    [*_, row] = table([found_of(curves, "last epoch", number=92.0)], {})
    assert "| below all |" in row


def test_a_checkout_on_a_machine_without_git_has_no_commit(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert environment()["commit"] == ""


def test_stuck_networks_are_those_that_gave_up_a_few_classes():
    curves = [[85.0], [95.0], [20.0]]
    found = found_of(curves, "best epoch", [[4, 8], [], [0, 1, 2, 3, 5, 6]])
    assert stuck(found) == {0: [4, 8]}
    assert "1 on 4, 8" in table([found], {})[-1]


def test_the_command_trains_what_is_missing(claims, small_mnist, tmp_path, capsys):
    import jaxnet.commands.reproduce as command

    options = ["--data", small_mnist, "--out", str(tmp_path), "--seeds", "2"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, "CLAIMS", claims)
        assert main(["reproduce", "one", "the same", *options]) == 0
        first = capsys.readouterr()
        assert first.err.splitlines() == ["one: 2 networks"]  # the same file has both
        assert len(first.out.splitlines()) == 4
        assert main(["reproduce", "one", *options, "--table"]) == 0
        assert capsys.readouterr().out.splitlines()[-1] == first.out.splitlines()[-2]
        assert main(["reproduce", "nothing", *options]) == 2
        assert "expected names of" in capsys.readouterr().err
        assert main(["reproduce", "--list"]) == 0
        assert capsys.readouterr().out.splitlines()[0].split()[0] == "one"


def test_readme_has_the_table_of_the_files():
    assert tables.inside("reproduce") == lines()
