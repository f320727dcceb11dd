"""Figures show what the result files hold, and say what they leave out."""

import json
import struct
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure

import jaxnet
from jaxnet import figures, replay, reproduce
from jaxnet.experiments import CLAIMS
from jaxnet.grid import Network, Setting, summaries
from scripts import benchmark
from scripts import figures as script

SEEDS, EPOCHS = 5, 8
STUCK = {1: [8], 3: [2, 5]}  # by the place of the seed
SWEPT = [(0.5, 1), (0.5, 2), (5.0, 1), (5.0, 2)]  # rates of L2, and seeds


def measured(name: str) -> np.ndarray:
    """Made-up counts, or costs, of shape (SEEDS, EPOCHS): no two experiments' alike."""
    rng = np.random.default_rng(list(CLAIMS).index(name))
    if CLAIMS[name].measure == "training cost":
        return rng.uniform(0.3, 1.0, (SEEDS, EPOCHS))
    counts = rng.integers(9000, 9700, (SEEDS, EPOCHS))
    for seed, classes in STUCK.items():
        counts[seed] -= 1000 * len(classes)
    return counts


def write(name: str, folder: Path, curves: list[list]) -> None:
    journal = reproduce._journal(name, folder)
    for i, curve in enumerate(curves):
        line = {"seed": i + 1, "curve": curve, "of": 10_000}
        journal.add({**line, "unlearnt": STUCK.get(i, []), "seconds": 1.0})


def in_file(name: str) -> str:
    """The first experiment that shares this one's file."""
    path = reproduce.file_of(name, "")
    return next(other for other in CLAIMS if reproduce.file_of(other, "") == path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    for name in {in_file(name) for name in CLAIMS}:
        write(name, folder, measured(name).tolist())
    return folder


@pytest.fixture
def drawn(monkeypatch) -> dict[str, Figure]:
    """The figures that are saved from now on, by the names of their files."""
    saved, save = {}, Figure.savefig

    def keep(figure, path, **options):
        saved[path.stem] = figure
        save(figure, path, **options)

    monkeypatch.setattr(Figure, "savefig", keep)
    return saved


def found(name: str, folder: Path) -> reproduce.Result:
    kept = reproduce.result(name, folder)
    assert kept is not None
    return kept


def is_picture(path: Path) -> bool:
    content = path.read_bytes()
    width, height = struct.unpack(">II", content[16:24])
    plausible = 600 < width < 2000 and 200 < height < 1500
    return content[:4] == b"\x89PNG" and len(content) > 10_000 and plausible


def lines(axes) -> dict[str, np.ndarray]:
    """The data of lines by their labels; those without one are in `_child...`."""
    return {line.get_label(): np.array(line.get_data()) for line in axes.lines}


def texts(axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def test_every_figure_is_drawn_and_nothing_is_left_out(folder, tmp_path, capsys):
    paths = script.from_files(folder, tmp_path / "new")
    names = [*script.CURVES, "results_training_sizes", "results_best_epochs"]
    assert paths == [tmp_path / "new" / f"{name}.png" for name in names]
    assert all(map(is_picture, paths))
    assert capsys.readouterr().out.split() == [
        word for path in paths for word in ("wrote", str(path))
    ]


def test_every_name_is_an_experiment():
    panels = [panel for curves in script.CURVES.values() for panel in curves.values()]
    names = {name for panel in (*panels, script.SIZES, script.BEST) for name in panel}
    assert names <= set(CLAIMS)
    assert {name for name in CLAIMS if "cost" in name or "weights" in name} <= names


def test_curves_are_those_of_the_file(folder, tmp_path, drawn):
    panels = {"A": [found("30 hidden", folder)], "B": [found("100 hidden", folder)]}
    figures.learning_curves(panels, tmp_path / "a.png")
    for axes, title in zip(drawn["a"].axes, ("A", "B"), strict=True):
        (result,) = panels[title]
        percent = measured(result.name) / 100
        of = f"{result.name}: "
        shown = lines(axes)
        epochs, median = shown[of + f"median of {SEEDS} seeds, 5 to 95 %"]
        np.testing.assert_array_equal(epochs, range(EPOCHS))
        np.testing.assert_allclose(median, np.median(percent, axis=0))

        (band,) = [c for c in axes.collections if isinstance(c, PolyCollection)]
        edges = band.get_paths()[0].vertices
        for part in (0.05, 0.95):
            for epoch, height in enumerate(np.quantile(percent, part, axis=0)):
                distance = np.abs(np.asarray(edges) - [epoch, height]).max(axis=1)
                assert distance.min() < 1e-9

        label = of + f"the {len(STUCK)} of them that gave up a digit"
        thin = [line for line in axes.lines if line.get_linewidth() < 1]
        assert label in shown and len(thin) == len(STUCK)
        for line, seed in zip(thin, STUCK, strict=True):
            np.testing.assert_allclose(line.get_ydata(), percent[seed])

        claim = result.claim
        _, number = shown[f"the book: {claim.number}, {claim.statistic}"]
        assert number.tolist() == [claim.number] * 2
        assert axes.get_title() == title
        assert axes.get_ylabel() == "accuracy on test data, %"


@pytest.mark.parametrize(
    ("name", "series", "scale"),
    [
        ("1,000 images, L2", "evaluation accuracy", 100),
        ("50,000 images, L2", "evaluation accuracy", 100),
        ("scaled weights, 100", "evaluation accuracy", 100),
        ("training cost, eta 0.25", "training cost", 1),
    ],
)
def test_what_the_author_recorded_is_drawn(
    folder, tmp_path, drawn, name, series, scale
):
    figures.learning_curves({"A": [found(name, folder)]}, tmp_path / "a.png")
    (axes,) = drawn["a"].axes
    file = Path(replay.__file__).with_name("recorded.json")
    kept = json.loads(file.read_text())[name.removeprefix("training cost, ")]
    (dots,) = [
        np.array(line.get_data())
        for line in axes.lines
        if line.get_marker() == "o" and len(np.array(line.get_data()[0]))
    ]
    numbers = kept[series]
    epochs = kept.get("epoch", range(len(numbers)))
    pairs = [pair for pair in zip(epochs, numbers, strict=True) if pair[1] is not None]
    np.testing.assert_allclose(dots.T * [1, scale], pairs)
    assert "recorded by the author" in lines(axes)
    assert not any("the book" in label for label in lines(axes))


def test_a_last_epoch_without_a_recorded_run_is_one_point(folder, tmp_path, drawn):
    result = found("training cost, eta 2.5", folder)
    figures.learning_curves({"A": [result]}, tmp_path / "a.png")
    (axes,) = drawn["a"].axes
    points = [np.array(line.get_data()).tolist() for line in axes.lines]
    assert [[EPOCHS - 1], [0.86069]] in points
    assert axes.get_ylabel() == "training cost"
    assert not any(line.get_linewidth() < 1 for line in axes.lines)


def test_epochs_after_a_network_has_diverged_are_left_out(tmp_path, drawn):
    name = "eta too large"
    write(name, tmp_path, [[9000, 8000, None, None], [9100, 8200, 8100, None]])
    figures.learning_curves({"A": [found(name, tmp_path)]}, tmp_path / "a.png")
    median = lines(drawn["a"].axes[0])[f"{name}: median of 2 seeds, 5 to 95 %"]
    np.testing.assert_allclose(median, [[0, 1, 2], [90.5, 81.0, 81.0]])


def test_training_sizes(folder, tmp_path, drawn):
    results = [found(name, folder) for name in script.SIZES]
    figures.training_sizes(results, tmp_path / "a.png")
    (axes,) = drawn["a"].axes
    shown = lines(axes)
    sizes = [100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000]
    x, y = shown["30 hidden neurons: median of 5 seeds, 5 to 95 %"]
    last = [measured(name)[:, -1] / 100 for name in script.SIZES]
    np.testing.assert_array_equal(x, sizes)
    np.testing.assert_allclose(y, np.median(last, axis=1))
    x, y = shown["30 hidden neurons, recorded by the author"]
    np.testing.assert_array_equal(y, [CLAIMS[name].number for name in script.SIZES])
    x, y = shown["support vector machine, recorded by the author"]
    np.testing.assert_array_equal(x, sizes)
    assert y[0] == 25.07 and y[-1] == 94.48
    assert axes.get_xscale() == "log"


def test_best_epochs(folder, tmp_path, drawn):
    results = [found(name, folder) for name in script.BEST]
    figures.best_epochs(results, tmp_path / "a.png")
    for axes, name in zip(drawn["a"].axes, script.BEST, strict=True):
        best = measured(name).max(axis=1) / 100
        bars = [
            (bar.get_x(), bar.get_x() + bar.get_width(), bar.get_height(), lost)
            for lost, group in enumerate(axes.containers)
            for bar in group
        ]
        assert sum(height for *_, height, _ in bars) == SEEDS
        for seed, value in enumerate(best):
            lost = len(STUCK.get(seed, []))
            assert any(a <= value < b and n and k == lost for a, b, n, k in bars)
        (number,) = lines(axes)["the book"][0][:1]
        assert number == CLAIMS[name].number


def test_a_missing_file_is_left_out_and_named(folder, tmp_path, capsys):
    some = tmp_path / "some"
    some.mkdir()
    for name in ("30 hidden", "of 100 images"):
        file = reproduce.file_of(name, folder)
        (some / file.name).write_bytes(file.read_bytes())
    paths = script.from_files(some, tmp_path)
    stems = ["results_chapter_1", "results_training_sizes", "results_best_epochs"]
    assert [path.stem for path in paths] == stems and all(map(is_picture, paths))
    out = capsys.readouterr().out
    lacking = f"no results in {some / '100-hidden.jsonl'}\n"
    assert f"wrote {paths[0]}, in part:\n  {lacking}" in out
    lacking = f"no results in {some / 'cross-entropy-30.jsonl'}\n"
    assert f"left out {tmp_path / 'results_cross_entropy.png'}:\n  {lacking}" in out
    assert not list(tmp_path.glob("results_c*entropy.png"))


def test_a_file_of_something_else_is_left_out_and_named(tmp_path, capsys):
    path = reproduce.file_of("30 hidden", tmp_path)
    path.write_text("seed, accuracy\n1, 95\n")
    assert script.from_files(tmp_path, tmp_path) == []
    assert f"{path}: expected a file whose first line" in capsys.readouterr().out


def test_galleries_show_the_network(mnist, tmp_path, drawn):
    params = jaxnet.init(
        jax.random.key(0), [784, 12, 10], init_layer=jaxnet.scaled_layer
    )
    paths = script.galleries(params, mnist.test, tmp_path)
    assert len(paths) == 4 and all(map(is_picture, paths))

    outputs = np.array(jax.vmap(lambda x: jaxnet.predict(params, x))(mnist.test.x))
    truth, answers = np.array(mnist.test.y).argmax(axis=1), outputs.argmax(axis=1)
    first, second = np.argsort(-np.where(answers != truth, outputs.max(axis=1), 0))[:2]
    corners = texts(drawn["gallery_mistakes"].axes[0])
    expected = [truth[first], answers[first], truth[second], answers[second]]
    assert corners[:4] == list(map(str, expected)) and len(corners) == 400
    image = drawn["gallery_mistakes"].axes[0].images[0].get_array()
    np.testing.assert_array_equal(image[:28, :28].ravel(), mnist.test.x[first])
    np.testing.assert_array_equal(image[:28, 34:62].ravel(), mnist.test.x[second])

    weights = drawn["gallery_weights"].axes[0].images[0].get_array()
    np.testing.assert_allclose(weights[:28, 34:62].ravel(), params[0].w[1])
    np.testing.assert_allclose(weights[34:62, 34:62].ravel(), params[0].w[11])

    counts = texts(drawn["gallery_confusion"].axes[0])
    for place, count in enumerate(counts):
        digit, answer = divmod(place, 10)
        both = (truth == digit) & (answers == answer)
        assert int(count or 0) == both.sum()

    hard = texts(drawn["gallery_hard"].axes[0])
    assert "".join(hard[::2]) == "082771851113671611"
    assert hard[1::2] == [str(answers[i]) for i in figures.HARD_DIGITS]


def test_images_must_be_square_and_there_must_be_some(tmp_path):
    for x in (np.zeros((2, 783)), np.zeros((0, 784))):
        with pytest.raises(ValueError, match=r"Expected square images in rows, got"):
            figures.hidden_weights(x, tmp_path / "a.png")


def test_the_script_without_results(small_mnist, tmp_path, capsys):
    paths = script.main(tmp_path, tmp_path / "out", small_mnist, epochs=1)
    names = ["gallery_weights", "gallery_confusion", "gallery_mistakes"]
    assert [path.stem for path in paths] == names and all(map(is_picture, paths))
    out = capsys.readouterr().out
    assert out.count("left out") == len(script.CURVES) + 3
    assert "gallery_hard.png: expected MNIST's 10,000 test images, got 200" in out


def test_a_network_without_mistakes_has_no_gallery_of_them(tmp_path, capsys):
    layer = jaxnet.Layer(20 * jax.numpy.eye(4), -10 * jax.numpy.ones(4))
    data = jaxnet.Dataset(jax.numpy.eye(4), jax.numpy.eye(4))
    paths = script.galleries([layer], data, tmp_path)
    assert len(paths) == 2
    assert "gallery_mistakes.png: there are none" in capsys.readouterr().out


def setting(**rates: float) -> Setting:
    return Setting(**{"eta": 0.5, "l1": 0.0, "l2": 0.0, "dropout": 0.0} | rates)


def test_a_sweep_of_one_rate_is_a_line_with_its_spread(tmp_path, drawn):
    curves = {Network(setting(l2=l2), seed): [0.9 + seed / 100] for l2, seed in SWEPT}
    path = figures.sweep(summaries(curves), ["l2"], tmp_path / "line.png")
    assert is_picture(path)
    [axes] = drawn["line"].axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0.5", "5"]
    line, _, [bars] = axes.containers[0].lines
    np.testing.assert_allclose(line.get_ydata(orig=False), [91.5, 91.5])
    [[low, high], _] = bars.get_segments()
    assert high[1] - low[1] == pytest.approx(2 * np.std([91, 92], ddof=1))


def test_a_sweep_in_which_all_broke_is_drawn(tmp_path, drawn):
    nan = float("nan")
    settings = [setting(eta=eta, l2=l2) for eta in (1.0, 2.0) for l2 in (0.0, 5.0)]
    found = summaries({Network(each, 1): [nan] for each in settings})
    assert is_picture(figures.sweep(found, ["eta", "l2"], tmp_path / "broken.png"))
    assert [text.get_text() for text in drawn["broken"].axes[0].texts] == ["broken"] * 4
    assert is_picture(figures.sweep(found, ["eta"], tmp_path / "line.png"))


def test_a_sweep_of_three_rates_has_a_row_for_every_two(tmp_path, drawn):
    settings = [
        setting(eta=eta, l2=l2, dropout=dropout)
        for eta in (0.1, 0.2)
        for l2 in (0.0, 5.0)
        for dropout in (0.0, 0.5)
    ]
    nan = float("nan")
    curves = {Network(s, 1): [0.9 if s.eta == 0.1 else nan] for s in settings}
    names = ["eta", "l2", "dropout"]
    figures.sweep(summaries(curves), names, tmp_path / "map.png")
    axes = drawn["map"].axes[0]
    rows = [label.get_text() for label in axes.get_yticklabels()]
    assert rows == ["0.1, 0", "0.1, 5", "0.2, 0", "0.2, 5"]
    words = [text.get_text() for text in axes.texts]
    assert words == ["90.00"] * 4 + ["broken"] * 4


def test_the_benchmark_is_drawn_as_it_was_measured(tmp_path, drawn):
    measured = json.loads(benchmark.RESULTS.read_text())
    assert is_picture(figures.benchmark(measured, tmp_path / "benchmark.png"))
    epochs, rates, many = drawn["benchmark"].axes
    bars = sorted(bar.get_width() for bar in epochs.patches if bar.get_width() > 0)
    found = [
        row["seconds"] for of in measured["epochs"].values() for row in of.values()
    ]
    np.testing.assert_allclose(bars, sorted(found))
    assert len(many.get_lines()) == len(measured["many"])
    points = sum(len(line.get_xdata()) for line in rates.get_lines()[:-1])
    assert points == sum(len(row["sizes"]) == 3 for row in measured["steps"])


def test_without_matplotlib_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ModuleNotFoundError, match=r"python -m pip install "):
        script.main(tmp_path, tmp_path)
