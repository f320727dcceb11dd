"""Each script returns what its docstring claims, and draws what it returns."""

import runpy
import sys
from importlib import import_module
from pathlib import Path
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
        assert f'main("{script.stem}"' in tests or f"{script.stem}.__file__" in tests


def test_a_script_that_uses_another_runs_as_a_file():
    for script in Path(ch3_digits.__file__).parent.glob("*.py"):
        text = script.read_text()
        alone = "__main__" not in text or "\nfrom scripts" not in text
        assert alone or "sys.path.insert" in text, script


def test_perceptrons():
    results = main("ch1_perceptrons", parity_of=3)
    assert results["festival, threshold 3"].tolist() == [0, 0, 0, 1, 1, 1, 1, 1]
    assert results["parity"].ravel().tolist() == [0, 1, 1, 0, 1, 0, 0, 1]


def test_sigmoid_neurons():
    results = main("ch1_sigmoid_neurons", sizes=(3, 3, 3))
    assert 0 < results["perceptrons"].mean() < 1
    assert (results["unchanged"] == 1).all()
    assert results["distance"][-1] < 1e-3 < results["distance"][0]
    assert results["perceptron jump"] == 1
    assert results["sigmoid move"] == pytest.approx(0.00025, rel=1e-2)
    ratios = results["linear error"][1:-1] / results["linear error"][2:]
    np.testing.assert_allclose(ratios, 100, rtol=0.1)


def test_gradient_descent(tmp_path, drawn):
    results = main("ch1_gradient_descent", steps=6, m=2, out=tmp_path / "a.png")
    for falling in ("two variables, eta 0.1", "one variable", "m variables"):
        assert (np.diff(results[falling]) < 0).all()
    assert results["two variables, eta 0.5"][1] < 1e-12
    assert np.ptp(results["two variables, eta 1.0"]) < 1e-6
    assert (np.diff(results["two variables, eta 1.1"]) > 0).all()
    assert results["ratio, eta 0.001"] == pytest.approx(0.999, abs=1e-3)
    ball = drawn[0].axes[0].lines[0].get_data_3d()
    np.testing.assert_allclose(np.transpose(ball)[0], [-0.9, 0.6, 1.17], rtol=1e-6)


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


def test_digits_by_a_convolutional_network(small_mnist):
    found = main("ch6_digits", small_mnist, ["one convolution"], epochs=15, seeds=1)
    assert found["one convolution"][0] > 0.2


def test_seconds_to_an_accuracy(small_mnist):
    recipe = ch6_fastest.RECIPES[0.99]._replace(most=10)
    found = main("ch6_fastest", small_mnist, 1, {0.5: recipe})
    assert 0 < found[0.5][0] < 1000


def test_the_speed_of_convolutions():
    found = main("ch6_speed", turns=1, images=20, batches=(10,))
    for times in found["epochs"].values():
        assert min(times.values()) > 0 and len(times) >= 3


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


def test_mini_batches(small_mnist):
    options = {"sizes": (1, 100), "draws": 100, "epochs": 15}
    results = main("ch1_mini_batches", small_mnist, **options)
    (one, hundred), of_one, of_twenty = results.values()
    assert one / hundred == pytest.approx(10, rel=0.2)
    assert of_one[-1] > 0.3 and of_twenty[-1] > 0.3


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


def test_gradients(small_mnist):
    results = main("ch2_gradients", small_mnist, sizes=(784, 3, 10), m=2)
    errors = {name: error for name, (error, _) in results.items()}
    assert errors.pop("forward_difference") < 1e-4
    assert errors.pop("central_difference") < 1e-6
    assert len(errors) == 6 and max(errors.values()) < 1e-12


def test_insights(tmp_path, drawn):
    results = main("ch2_insights", n=3, out=tmp_path / "a.png")
    rates = results["by input"]
    assert rates[0] / rates[-1] == pytest.approx(1e4, rel=0.3)
    wrong = results["z"] > 5  # and the target is 0
    assert (np.diff(results["quadratic"][wrong]) < 0).all()
    assert results["quadratic"][-1] < 1e-3 * results["cross-entropy"][-1]
    assert_drawn(drawn, rates, results["quadratic"], results["cross-entropy"])


def test_cost_of_gradients(small_mnist, tmp_path, drawn):
    options = {"hidden": (2, 4), "m": 2, "repeats": 2, "differences_up_to": 2}
    results = main("ch2_cost", small_mnist, **options, out=tmp_path / "a.png")
    sizes = [784 * 2 + 2 + 30, 784 * 4 + 4 + 50]
    assert results["parameters"].tolist() == sizes
    slow = results["differences over forward"]
    assert slow[0] > 0 and np.isnan(slow[1])
    assert results["backprop over autodiff, 30"] > 0
    assert_drawn(drawn, slow, results["backward over forward"] + 1)


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


def test_expanded_images(small_mnist, tmp_path, drawn):
    results = main("ch3_images", small_mnist, out=tmp_path / "a.png")
    for axes, (name, image) in zip(drawn[0].axes, results.items(), strict=True):
        assert axes.get_title() == name
        np.testing.assert_array_equal(axes.images[0].get_array(), image)
    five = results.pop("a five")
    np.testing.assert_array_equal(results["down"][1:], five[:-1])
    np.testing.assert_array_equal(results["left"][:, :-1], five[:, 1:])
    for version in results.values():
        assert version.sum() == pytest.approx(five.sum(), rel=0.15)
    assert len(results) == 1 + 4 + 3


def test_accelerator(small_mnist):
    data = jaxnet.load_mnist(small_mnist, as_bytes=True)
    lines = main(
        "accelerator", networks=(1, 2), names=("30 hidden",), seeds=2, data=data
    )
    rows = [line.split(" | ") for line in lines if line.startswith("| ")]
    assert [row[0] for row in rows if row[0][2:].isdigit()] == ["| 1", "| 2"]
    assert rows[-1][:2] == ["| 30 hidden", "95.42"]


def test_bumps(tmp_path, drawn):
    results = main("ch4_bumps", points=101, out=tmp_path / "a.png")
    assert np.abs(results["50 bumps"] - results["goal"]).max() < 0.05
    levels = np.unique(results["two bumps"][5:100:10].round(3))
    np.testing.assert_allclose(levels, [-1.2, 0, 0.3], atol=1e-3)
    assert_drawn(drawn, *(results[name] for name in ("bump", "goal", "50 bumps")))


def test_design_challenge(tmp_path, drawn):
    results = main("ch4_design_challenge", out=tmp_path / "a.png")
    assert (results["maximum"] <= results["bound"]).all()
    assert (results["mean"] <= results["as in the book"]).all()
    assert (np.diff(results["two inputs"]) < 0).all()
    assert_drawn(drawn, results["mean"], results["bound"])


def test_towers(tmp_path, drawn):
    results = main("ch4_towers", points=12, out=tmp_path / "a.png")
    *_, of_three = results.values()
    np.testing.assert_allclose(of_three, [0, 0, 0, 1], atol=1e-6)
    assert [axes.get_title() for axes in drawn[0].axes] == list(results)[:9]
    many = results["25 towers, (i² + j²)/50"]
    assert many.max() == pytest.approx(32 / 50) and many[1, 1] < 1e-9


def test_other_activations(tmp_path, drawn):
    results = main("ch4_other_activations", out=tmp_path / "a.png")
    for name, most in (("20 bumps of s", 0.2), ("50 bumps of relu", 0.08)):
        assert np.abs(results[name] - results["goal"]).max() < most
    for shifts in (1, 2, 4, 8):
        error = results[f"error, M = {shifts}"]
        assert error == pytest.approx(1 / shifts, abs=1e-3)
    halves = (results["bumps"] + results["shifted"]) / 2
    np.testing.assert_allclose(results["sum of halves"], halves, atol=1e-5)
    assert_drawn(drawn, results["sum of halves"])


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


def test_unstable_gradients(tmp_path, drawn):
    results = main("ch5_unstable_gradients", draws=50, out=tmp_path / "a.png")
    exploding = results["exploding"]
    np.testing.assert_allclose(exploding[:-1] / exploding[1:], 25, rtol=1e-3)
    middle = np.median(np.abs(results["vanishing"]), axis=0)
    assert (np.diff(middle) > 0).all() and results["below a sixteenth"] > 0.8
    assert_drawn(drawn, middle)


def test_research(small_mnist, capsys):
    found = main("research", small_mnist, epochs=3, seeds=2)
    assert found.shape == (2, 3) and (found[:, 2] > found[:, 0]).all()
    assert capsys.readouterr().out.startswith("BP1 to BP4 hold.")
