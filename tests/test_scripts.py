"""Each script runs with small arguments and returns what its docstring claims."""

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

import jaxnet
from jaxnet.experiments import Experiment
from jaxnet.runs import run
from scripts import (
    ch1_baselines,
    ch1_digits,
    ch1_gradient_descent,
    ch1_images,
    ch1_learning_rates,
    ch1_mini_batches,
    ch1_no_hidden_layer,
    ch1_perceptrons,
    ch1_sigmoid_neurons,
    ch1_ten_or_four_outputs,
    ch2_cost,
    ch2_gradients,
    ch2_insights,
    ch3_digits,
    ch3_hyperparameters,
    ch3_images,
    ch3_l1_and_l2,
    ch3_optimizers,
    ch3_toy_neuron,
    research,
)

SCRIPTS = sorted((Path(__file__).parent.parent / "scripts").glob("ch*.py"))


def is_picture(path: Path) -> bool:
    return path.read_bytes()[:4] == b"\x89PNG" and path.stat().st_size > 2000


def test_perceptrons():
    results = ch1_perceptrons.main(bits=3, parity_of=3)
    assert results["festival, threshold 5"].tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert results["festival, threshold 3"].tolist() == [0, 0, 0, 1, 1, 1, 1, 1]
    assert results["NAND"].tolist() == [1, 1, 1, 0]
    assert results["AND"].tolist() == [0, 0, 0, 1]
    assert results["OR"].tolist() == [0, 1, 1, 1]
    assert results["half adder"].tolist() == [[0, 0], [1, 0], [1, 0], [0, 1]]
    assert results["parity"].ravel().tolist() == [0, 1, 1, 0, 1, 0, 0, 1]
    assert len(results["sums are right"]) == 64 and results["sums are right"].all()


def test_sigmoid_neurons():
    results = ch1_sigmoid_neurons.main(inputs=100)
    assert (results["unchanged"] == 1).all()
    assert results["distance"][-1] < 1e-3 < results["distance"][0]
    assert (results["at zero"] == 0.5).all()
    assert results["perceptron jump"] == 1
    assert results["sigmoid move"] == pytest.approx(0.00025, rel=1e-2)
    ratios = results["linear error"][1:-1] / results["linear error"][2:]
    np.testing.assert_allclose(ratios, 100, rtol=0.1)


def test_gradient_descent(tmp_path):
    results = ch1_gradient_descent.main(steps=6, m=50, out=tmp_path / "new" / "a.png")
    assert (np.diff(results["two variables, eta 0.1"]) < 0).all()
    assert results["two variables, eta 0.5"][1] < 1e-12
    assert np.ptp(results["two variables, eta 1.0"]) < 1e-6
    assert (np.diff(results["two variables, eta 1.1"]) > 0).all()
    assert (np.diff(results["one variable"]) < 0).all()
    assert (np.diff(results["m variables"]) < 0).all()
    assert results["ratio, eta 0.001"] == pytest.approx(0.999, abs=1e-3)
    assert is_picture(tmp_path / "new" / "a.png")


def test_images(tmp_path):
    assert ch1_images.main(out=tmp_path) == [5, 0, 4, 1, 9, 2]
    assert is_picture(tmp_path / "ch1_six_digits.png")
    assert is_picture(tmp_path / "ch1_quarters_of_a_zero.png")


def test_digits(small_mnist, capsys):
    runs = ch1_digits.main(small_mnist, hidden=[30], epochs=10, seeds=2)
    assert list(runs) == [30] and np.shape(runs[30]) == (2, 10)
    assert np.max(runs[30]) > 0.3
    lines = capsys.readouterr().out.splitlines()
    for seed, accuracies in enumerate(runs[30], start=1):
        assert lines.pop(0) == f"30 hidden neurons, seed {seed}:"
        for epoch, accuracy in enumerate(accuracies):
            assert lines.pop(0) == f"Epoch {epoch}: {round(200 * accuracy)} / 200"
    one, other = np.max(runs[30], axis=1)
    assert lines == [
        f"30 hidden neurons: best epoch of each run {one:.2%}, {other:.2%}",
        f"  best of these runs {max(one, other):.2%}, the book's 95.42%",
    ]


def test_digits_are_what_the_command_line_learns(small_mnist, small_mnist_data):
    [[*accuracies]] = ch1_digits.main(small_mnist, [30], epochs=3, seeds=1).values()
    epochs = run(Experiment(epochs=3), *small_mnist_data[::2], seeds=[1])
    assert accuracies == [[float(epoch.accuracy[0]) for epoch in epochs]]


def test_digits_keep_what_is_done_at_ctrl_c(small_mnist, monkeypatch, capsys):
    found = iter([0.25, 0.75, KeyboardInterrupt()])

    def accuracy(params, data):
        after = next(found)
        if isinstance(after, KeyboardInterrupt):
            raise after
        return after

    monkeypatch.setattr(jaxnet, "accuracy", accuracy)
    assert ch1_digits.main(small_mnist, epochs=5) == {30: [[0.25, 0.75]], 100: []}
    lines = capsys.readouterr().out.splitlines()
    assert lines[1:4] == ["Epoch 0: 50 / 200", "Epoch 1: 150 / 200", "Interrupted."]
    assert lines[-1] == "  best of these runs 75.00%, the book's 95.42%"


def test_learning_rates(small_mnist):
    results = ch1_learning_rates.main(small_mnist, epochs=15, seeds=2)
    assert list(results) == [0.001, 0.01, 0.1, 1.0, 3.0, 100.0]
    last = {eta: history[-1].mean() for eta, history in results.items()}
    assert all(history.shape == (15, 2) for history in results.values())
    assert last[0.001] < 0.25 < last[1.0]
    assert last[100.0] < 0.4 < last[3.0]


@pytest.mark.slow
def test_no_hidden_layer(small_mnist):
    records = ch1_no_hidden_layer.main(small_mnist, epochs=3, seeds=2)
    assert len(records) == 4
    last = [record.last.mean() for record in records.values()]
    assert last[-1] > 0.7 and last[-1] > last[0]


@pytest.mark.slow
def test_ten_or_four_outputs(small_mnist):
    results = ch1_ten_or_four_outputs.main(small_mnist, epochs=10, seeds=3)
    ten, four = results["ten outputs"], results["four outputs"]
    assert ten.shape == four.shape == (10, 3)
    assert ten[-1].mean() > four[-1].mean() > 0.2


@pytest.mark.slow
def test_mini_batches(small_mnist):
    results = ch1_mini_batches.main(small_mnist, sizes=(1, 100), draws=100, epochs=15)
    one, hundred = results["estimate"]
    assert one / hundred == pytest.approx(10, rel=0.2)
    assert results["mini-batches of 1"][-1] > 0.3
    assert results["mini-batches of 20"][-1] > 0.3


def test_baselines():
    right = ch1_baselines.main(machines=False)
    assert right["average darkness"] == 2225
    assert right["nearest mean image"] == 8200
    assert abs(right["guessing"] - 1000) < 150


def test_support_vector_machines_on_little_data(small_mnist):
    right = ch1_baselines.main(small_mnist, gammas=(0.02, 0.03), components=20)
    machine, tuned = list(right.values())[-2:]
    assert 20 < machine < tuned <= 200


@pytest.mark.slow
def test_support_vector_machines_as_in_the_book():
    right = ch1_baselines.main()
    assert right["support vector machine"] == 9435
    tuned = next(n for name, n in right.items() if name.startswith("tuned"))
    assert tuned >= 9850


def test_gradients(small_mnist):
    results = ch2_gradients.main(small_mnist, sizes=(784, 3, 10), m=2)
    errors = {name: error for name, (error, _) in results.items()}
    assert errors.pop("forward_difference") < 1e-4
    assert errors.pop("central_difference") < 1e-6
    assert len(errors) == 6 and max(errors.values()) < 1e-12


def test_insights(tmp_path):
    results = ch2_insights.main(out=tmp_path / "a.png")
    rates = results["by input"]
    assert rates[0] / rates[-1] == pytest.approx(1e4, rel=0.3)
    wrong = results["z"] > 5  # and the target is 0
    assert (np.diff(results["quadratic"][wrong]) < 0).all()
    assert results["quadratic"][-1] < 1e-3 * results["cross-entropy"][-1]
    assert is_picture(tmp_path / "a.png")


@pytest.mark.slow
def test_cost_of_gradients(small_mnist, tmp_path):
    results = ch2_cost.main(
        small_mnist,
        hidden=(2, 4),
        m=2,
        repeats=2,
        differences_up_to=2,
        out=tmp_path / "a.png",
    )
    assert results["parameters"].tolist() == [784 * 2 + 2 + 30, 784 * 4 + 4 + 50]
    assert results["differences over forward"][0] > 0
    assert np.isnan(results["differences over forward"][1])
    assert results["backprop over autodiff, 30"] > 0
    assert is_picture(tmp_path / "a.png")


def test_toy_neuron(tmp_path):
    results = ch3_toy_neuron.main(out=tmp_path / "a.png")
    easy, wrong = "from w = 0.6, b = 0.9", "from w = 2, b = 2"
    animated = "cross-entropy, WRONG gradient"
    for kind, begin, at, expected in (
        ("quadratic, eta 0.15", easy, (0, 300), (0.8176, 0.0940)),
        ("quadratic, eta 0.15", wrong, (0, 150, 300), (0.982, 0.9334, 0.2028)),
        ("cross-entropy, eta 0.005", easy, (0, 300), (0.8176, 0.4177)),
        ("cross-entropy, eta 0.005", wrong, (0, 150, 300), (0.982, 0.9282, 0.7796)),
        ("cross-entropy, eta 0.025", wrong, (300,), (0.1011,)),
        (f"{animated}, eta 0.005", easy, (0, 300), (0.8176, 0.0404)),
        (f"{animated}, eta 0.005", wrong, (50, 150, 300), (0.5857, 0.2148, 0.0479)),
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
    by_epoch = {
        kind: np.diff(results[f"{kind}, {wrong}"][:, 0])
        for kind in ("quadratic, eta 0.15", "cross-entropy, eta 0.025")
    }
    assert np.argmin(by_epoch["cross-entropy, eta 0.025"]) == 0
    assert np.argmin(by_epoch["quadratic, eta 0.15"]) > 200
    assert is_picture(tmp_path / "a.png")


def test_chapter_3_digits(small_mnist):
    claims = ("cross-entropy, 30", "1,000 images, L2")
    records = ch3_digits.main(small_mnist, claims, epochs=3, seeds=2)
    assert list(records) == list(claims)
    assert all(record.history.shape == (2, 3) for record in records.values())
    assert records["1,000 images, L2"].last.min() > 0.4
    assert len(ch3_digits.CHAPTER_3) == 12


@pytest.mark.slow
def test_l1_and_l2(small_mnist, tmp_path):
    results = ch3_l1_and_l2.main(
        small_mnist, l1=0.5, l2=0.5, epochs=15, seeds=1, out=tmp_path / "a.png"
    )
    plain, l2, l1 = (share for _, share, _ in results.values())
    assert l1 > l2 >= plain
    assert is_picture(tmp_path / "a.png")


@pytest.mark.slow
def test_hyperparameters(small_mnist):
    results = ch3_hyperparameters.main(
        small_mnist, epochs=4, quick_epochs=3, seeds=2, batch_sizes=(10, 50)
    )
    assert np.isnan(results["bad start"]).all(), "1 - eta lambda/n = -19"
    stripped = results["stripped"].mean(axis=(1, 2))
    assert np.isnan(stripped[0]) and stripped[3] > stripped[1]
    assert 0.01 < results["threshold"] < 100
    assert (np.diff(results["three etas"][0]) < 0).all()
    assert results["lambda"][0.0] > results["lambda"][100.0]
    assert (np.diff(results["mini-batch"][10][0]) > 0).all()


@pytest.mark.slow
def test_optimizers(small_mnist):
    kinds = ("rectified linear",)
    results = ch3_optimizers.main(small_mnist, epochs=2, seeds=1, kinds=kinds)
    assert results["valley"][0.5][-1] < results["valley"][0.0][-1]
    assert results["valley"][1.0][-1] > results["valley"][0.9][-1], "no friction"
    np.testing.assert_allclose(results["newton"], 0, atol=1e-6)
    assert results["hessian"][-1] < 1e-4 < 0.5 * results["descent"][-1]
    assert results["rectified linear"][-1] > 0.3


def test_expanded_images(small_mnist, tmp_path):
    ch3_images.main(small_mnist, out=tmp_path / "a.png")
    assert is_picture(tmp_path / "a.png")


def test_research(small_mnist, capsys):
    found = research.main(small_mnist, epochs=3, seeds=2)
    assert found.shape == (2, 3) and (found[:, 2] > found[:, 0]).all()
    assert capsys.readouterr().out.startswith("BP1 to BP4 hold.")


def test_a_script_runs_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    script = next(path for path in SCRIPTS if path.stem == "ch1_gradient_descent")
    results = runpy.run_path(str(script), run_name="__main__")
    assert callable(results["main"])
    assert is_picture(tmp_path / "figures" / "ch1_valley.png")


def test_every_script_of_a_chapter_is_tested_here():
    imported = {name for name in globals() if name.startswith("ch")}
    assert imported == {path.stem for path in SCRIPTS}


@pytest.mark.parametrize(
    ("package", "call"),
    [
        ("matplotlib.figure", lambda folder: ch1_images.main(folder, folder)),
        ("sklearn.svm", lambda folder: ch1_baselines.main(folder)),
    ],
)
def test_a_missing_extra_says_what_to_install(small_mnist, monkeypatch, package, call):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ModuleNotFoundError, match=r"python -m pip install "):
        call(small_mnist)
