"""Each script returns what its docstring claims, and draws what it returns."""

import inspect
import runpy
import sys
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import jax
import numpy as np
import pytest

import jaxnet
from jaxnet.datasets import load_data
from jaxnet.experiments import CLAIMS, Trained
from jaxnet.experiments.reproduce import log_of_claim
from scripts import ch1_images, ch3_digits, ch5_speeds, ch6_fastest

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True, scope="module")
def compiled_quickly():
    """Without optimizations: these programs compile for longer than they run."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


def main(script: str, *args, **options):
    """What a script's `main` returns."""
    return import_module(f"scripts.{script}").main(*args, **options)


def assert_drawn(figures, *arrays):
    """Each of these is what a line of the figures goes through."""
    axes = [axes for figure in figures for axes in figure.axes]
    lines = [np.asarray(line.get_ydata()) for each in axes for line in each.lines]
    for array in arrays:
        alike = [y for y in lines if y.shape == np.shape(array)]
        assert any(np.allclose(y, array, rtol=1e-6, equal_nan=True) for y in alike)


def test_every_script_of_a_chapter_is_tested_here():
    tests, scripts = Path(__file__).read_text(), Path(ch3_digits.__file__).parent
    for script in scripts.glob("ch*.py"):
        called = f'main("{script.stem}"', f"{script.stem}.__file__"
        assert script.stem in QUICK or any(words in tests for words in called)


QUICK: dict[str, dict[str, Any]] = {
    "ch1_perceptrons": {},
    "ch1_sigmoid_neurons": {"sizes": (3, 3, 3)},
    "ch1_gradient_descent": {"steps": 6, "m": 2},
    "ch1_mini_batches": {"sizes": (1, 100), "draws": 10, "epochs": 2},
    "ch2_gradients": {"sizes": (784, 3, 10), "m": 2},
    "ch2_insights": {"n": 3},
    "ch2_cost": {"hidden": (2, 4), "m": 2, "repeats": 2, "differences_up_to": 2},
    "ch3_images": {},
    "ch4_bumps": {"points": 101},
    "ch4_design_challenge": {},
    "ch4_towers": {"points": 12},
    "ch4_other_activations": {},
    "ch5_unstable_gradients": {"draws": 50},
    "ch6_digits": {"networks": ["one convolution"], "epochs": 2, "seeds": 1},
    "ch6_fastest": {
        "recipes": {0.5: ch6_fastest.RECIPES[0.99]._replace(most=10)},
        "seeds": 1,
    },
}
NOT_MEASURED = {"ch2_cost": {"differences over forward"}}


@pytest.mark.parametrize("script", QUICK)
def test_results_are_finite_and_drawn(script, small_mnist, tmp_path, drawn):
    """What the book says of them is in the ledger, and in data/results."""
    function = import_module(f"scripts.{script}").main
    places = {"data": small_mnist, "out": tmp_path / "a.png"}
    taken = places.keys() & inspect.signature(function).parameters.keys()
    results = function(**QUICK[script], **{name: places[name] for name in taken})
    broken = {
        name
        for name, value in results.items()
        if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(value))
    }
    assert broken == NOT_MEASURED.get(script, set()) and results
    assert len(drawn) == ("out" in taken)
    for axes in (axes for figure in drawn for axes in figure.axes):
        lines = [line.get_ydata() for line in axes.lines]
        assert axes.has_data() and all(np.isfinite(line).any() for line in lines)


def test_images_by_a_script_that_runs_alone(tmp_path, monkeypatch, drawn, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", [ch1_images.__file__])
    monkeypatch.setattr("jaxnet.cli.console.end_with_pipe", lambda: None)
    runpy.run_path(ch1_images.__file__, run_name="__main__")
    assert "the first six training images read 504192\n" in capsys.readouterr().out
    assert len(list(Path("figures").glob("*.png"))) == 2
    six, quarters = drawn
    assert [axes.get_title() for axes in six.axes] == list("504192")
    zero, *parts = (axes.images[0].get_array() for axes in quarters.axes)
    np.testing.assert_array_equal(zero, six.axes[1].images[0].get_array())
    np.testing.assert_array_equal(sum(parts), zero)
    assert quarters.axes[2].get_title() == "top right"
    np.testing.assert_array_equal(parts[1][:14, 14:], zero[:14, 14:])


def test_the_speed_of_convolutions():
    found = main("ch6_speed", turns=1, images=20, batches=(10,), many=(2,))
    for times in found["epochs"].values():
        assert min(times.values()) > 0 and len(times) >= 4


def test_what_a_vote_mistakes_and_its_figures(small_mnist, tmp_path, drawn):
    truth = np.asarray(load_data(small_mnist).test.y).argmax(axis=1)
    both, once = (truth[:2] + 1) % 10
    each = ({0: both, 1: once}, {0: both}, {0: both}, {}, {})
    for seed, wrong in enumerate(each, start=1):
        mistakes = {i: int(answer) for i, answer in wrong.items()}
        row = Trained(
            **{"seed": seed, "curve": [200 - len(wrong)], "validation": [190]},
            **{"of": 200, "mistakes": mistakes, "failed_classes": [], "seconds": 1.0},
        )
        log_of_claim("dropout", tmp_path).add(row)
    options = {"folder": tmp_path, "results": tmp_path}
    found = main("ch6_images", data=small_mnist, **options)
    assert found == {"dropout": 199 / 200}
    assert drawn[-1].axes[0].get_title() == f"{truth[0]}: {both}"


def test_digits_keep_what_is_done_at_ctrl_c(small_mnist, monkeypatch, capsys):
    accuracy = Mock(side_effect=[0.25, 0.75, KeyboardInterrupt])
    monkeypatch.setattr(jaxnet, "accuracy", accuracy)
    assert main("ch1_digits", small_mnist, epochs=5) == {30: [[0.25, 0.75]], 100: []}
    lines = capsys.readouterr().out.splitlines()
    assert lines[1:4] == ["Epoch 0: 50 / 200", "Epoch 1: 150 / 200", "Interrupted."]
    assert "30 hidden neurons: best epoch of each run 75.00%" in lines
    assert lines[-1] == "  best of these runs 75.00%, the book's 95.42%"


def test_learning_rates(small_mnist):
    """Of one size and one eta at a time, so that one program is compiled."""
    options = {"hidden": (30, 30), "epochs": 10, "seeds": 1}
    results = main("ch1_learning_rates", small_mnist, (3.0,), 0.001, **options)
    assert list(results) == [3.0, 0.001]
    assert all(history.shape == (10, 1) for history in results.values())
    assert results[0.001][-1] < 0.25 < 0.4 < results[3.0][-1]


def test_no_hidden_layer(small_mnist):
    records = main("ch1_no_hidden_layer", small_mnist, epochs=3, seeds=2)
    assert len(records) == 4
    first, *_, last = (record.last.mean() for record in records.values())
    assert last > 0.7 and last > first


def test_ten_or_four_outputs(small_mnist):
    results = main("ch1_ten_or_four_outputs", small_mnist, epochs=10, seeds=2)
    ten, four = results.values()
    assert ten.shape == four.shape == (10, 2)
    assert ten[-1].mean() > four[-1].mean() > 0.2


def test_baselines():
    """Those of the book exactly; for the darkness of images a quick test stays."""
    correct = main("ch1_baselines", gammas=(0.03,))
    assert correct["average darkness"] == 2225
    assert correct["nearest mean image"] == 8200
    assert abs(correct["guessing"] - 1000) < 150
    *_, machine, tuned = correct.values()
    assert machine == 9435 and tuned >= 9850


def test_without_scikit_learn_it_says_what_to_install(small_mnist, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.svm", None)
    with pytest.raises(ModuleNotFoundError, match=r"python -m pip install "):
        main("ch1_baselines", small_mnist)


def test_toy_neuron(tmp_path, drawn):
    results = main("ch3_toy_neuron", out=tmp_path / "a.png")
    easy, wrong = "from w = 0.6, b = 0.9", "from w = 2, b = 2"
    wrong_gradient = "cross-entropy, WRONG gradient"
    for kind, begin, at, expected in (
        ("quadratic, eta 0.15", easy, (0, 300), (0.8176, 0.0940)),
        ("quadratic, eta 0.15", wrong, (0, 150, 300), (0.982, 0.9334, 0.2028)),
        ("cross-entropy, eta 0.005", easy, (0, 300), (0.8176, 0.4177)),
        ("cross-entropy, eta 0.005", wrong, (0, 150, 300), (0.982, 0.9282, 0.7796)),
        ("cross-entropy, eta 0.025", wrong, (300,), (0.1011,)),
        (f"{wrong_gradient}, eta 0.005", easy, (0, 300), (0.8176, 0.0404)),
        (f"{wrong_gradient}, eta 0.005", wrong, (50, 300), (0.5857, 0.0479)),
    ):
        output = results[f"{kind}, {begin}"][list(at), 2]
        np.testing.assert_allclose(output, expected, atol=6e-5)
    weight, _, _, cost = results[f"quadratic, eta 0.15, {easy}"].T
    assert weight[-1] == pytest.approx(-1.283, abs=6e-4)
    np.testing.assert_allclose(cost[[0, -1]], [0.3342, 0.0044], atol=6e-5)
    assert (np.diff(results["cross-entropy"]) > 0).all()
    np.testing.assert_allclose(results["cross-entropy"], results["a"], rtol=1e-4)
    fastest = results["a"][np.argmax(results["quadratic"])]
    assert fastest == pytest.approx(2 / 3, abs=0.01)
    for kind, begins in (("cross-entropy, eta 0.025", 0), ("quadratic, eta 0.15", 201)):
        assert np.argmin(np.diff(results[f"{kind}, {wrong}"][:, 0])) >= begins
    assert_drawn(drawn, weight, cost, results["quadratic"])


def test_chapter_3_digits(small_mnist):
    claim = "1,000 images, L2"
    [(name, record)] = main("ch3_digits", small_mnist, [claim], 3, seeds=1).items()
    assert name == claim and record.history.shape == (1, 3) and record.last > 0.4
    assert len(set(ch3_digits.CHAPTER_3) & set(CLAIMS)) == 12


def test_l1_and_l2(small_mnist, tmp_path, drawn):
    options = {"l1": 0.5, "l2": 0.5, "epochs": 15, "seeds": 1}
    results = main("ch3_l1_and_l2", small_mnist, **options, out=tmp_path / "a.png")
    plain, l2, l1 = (share for _, share, _ in results.values())
    assert l1 > l2 >= plain
    (axes,) = drawn[0].axes
    assert [patch.get_label() for patch in axes.patches] == list(results)


def test_hyperparameters(small_mnist):
    options = {"epochs": 3, "quick_epochs": 3, "seeds": 1, "batch_sizes": (10,)}
    results = main("ch3_hyperparameters", small_mnist, **options)
    assert np.isnan(results["bad start"]).all(), "1 - eta lambda/n = -19"
    stripped = results["stripped"].mean(axis=(1, 2))
    assert np.isnan(stripped[0]) and stripped[3] > stripped[1]
    assert 0.01 < results["threshold"] <= 100
    assert (np.diff(results["three etas"][0]) < 0).all()
    assert results["lambda"][0.0] > results["lambda"][100.0]
    assert (np.diff(results["mini-batch"][10][0]) > 0).all()


def test_optimizers(small_mnist):
    options = {"epochs": 2, "seeds": 1, "kinds": ("rectified linear",)}
    results = main("ch3_optimizers", small_mnist, **options)
    assert results["valley"][0.5][-1] < results["valley"][0.0][-1]
    assert results["valley"][1.0][-1] > results["valley"][0.9][-1], "no friction"
    np.testing.assert_allclose(results["newton"], 0, atol=1e-6)
    assert results["hessian"][-1] < 1e-4 < 0.5 * results["descent"][-1]
    assert results["rectified linear"][-1] > 0.3


def test_accelerator(small_mnist):
    data = jaxnet.load_mnist(small_mnist, as_bytes=True)
    lines = main(
        "accelerator", networks=(1, 2), names=("30 hidden",), seeds=2, data=data
    )
    rows = [line.split(" | ") for line in lines if line.startswith("| ")]
    assert [row[0] for row in rows if row[0][2:].isdigit()] == ["| 1", "| 2"]
    assert rows[-1][:2] == ["| 30 hidden", "95.42"]


def test_depth(small_mnist, monkeypatch):
    monkeypatch.setattr(ch3_digits, "main", Mock())
    main("ch5_depth", small_mnist, seeds=7)
    _, names, _, seeds = ch3_digits.main.call_args.args  # type: ignore
    claims = [CLAIMS[name] for name in names]
    sizes = [claim.experiment.sizes for claim in claims]
    assert sizes == [(784, *[30] * n, 10) for n in (1, 2, 3, 4)] and seeds == 7
    assert [claim.number for claim in claims] == [96.48, 96.90, 96.57, 96.53]


def test_speeds(tmp_path, drawn):
    """The book's numbers are among those of 40 seeds, whose means are these."""
    options = {"trained": 1, "epochs": 20, "out": tmp_path / "a.png"}
    results = main("ch5_speeds", **options)
    means = {2: [0.058, 0.283], 3: [0.012, 0.059, 0.299]}
    means[4] = [0.0023, 0.0117, 0.058, 0.289]
    for (depth, expected), ratio in zip(means.items(), (0.195, 0.041, 0.0079)):  # noqa: B905
        speeds = results[f"initial, {depth}"]
        np.testing.assert_allclose(speeds.mean(axis=0), expected, rtol=0.15)
        book = ch5_speeds.BOOK[depth]
        assert (speeds.min(axis=0) < book).all() and (book < speeds.max(axis=0)).all()
        median = np.median(speeds[:, 0] / speeds[:, -1])
        assert median == pytest.approx(ratio, rel=0.15)
        of_training = results[f"training, {depth}"]
        assert of_training.shape == (1, 20, depth)
        np.testing.assert_allclose(of_training[:, 0], speeds[:1], rtol=1e-4)
    for name in ("initial, tanh", "initial, relu"):
        first, *_, last = results[name].mean(axis=0)
        assert first / last > 0.1 > 10 * means[4][0] / means[4][-1]
    assert_drawn(drawn, results["training, 4"][0, :, 0])


def test_research(small_mnist, capsys):
    found = main("research", small_mnist, epochs=3, seeds=2)
    assert found.shape == (2, 3) and (found[:, 2] > found[:, 0]).all()
    assert capsys.readouterr().out.startswith("BP1 to BP4 hold.")
