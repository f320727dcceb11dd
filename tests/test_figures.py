"""Figures show the numbers that they are given, and say what they leave out."""

import itertools
import sys

import jax.numpy as jnp
import numpy as np
import pytest
from matplotlib.figure import Figure

import jaxnet
from jaxnet import figures
from jaxnet.compare.comparison import compare_trees
from jaxnet.compare.examination import Examination, Stage
from jaxnet.compare.finite_differences import Curve
from jaxnet.experiments import CLAIMS, Result, recorded
from jaxnet.experiments.reproduce import file_of
from scripts import figures as script
from scripts import galleries, tables
from tests.helpers import assert_lines, problem

NAN = float("nan")
STUCK = [[], [8], [], [2, 5], []]  # the digits that each seed has given up


@pytest.fixture
def path(tmp_path):
    return tmp_path / "new" / "a.png"


def texts(items) -> list[str]:
    return [item.get_text() for item in items]


def legend(axes) -> list[str]:
    return texts(axes.get_legend().get_texts())


def assert_band(axes, x, low, high):
    """The one filled area has these edges."""
    (band,) = (c for c in axes.collections if hasattr(c, "get_paths"))
    corners = {tuple(corner) for corner in band.get_paths()[0].vertices.round(9)}
    edges = np.round([*zip(x, low, strict=True), *zip(x, high, strict=True)], 9)
    assert corners == set(map(tuple, edges))


def test_what_cannot_be_saved_is_refused_before_the_work(monkeypatch):
    figures.check_can_save("a.SVG")
    for name in ("heat.txt", "heat"):
        with pytest.raises(ValueError, match=f"{name}: expected a picture's file"):
            figures.check_can_save(name)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ModuleNotFoundError, match=r"python -m pip install "):
        figures.check_can_save("a.png")


def test_runs_are_means_and_ranges_over_seeds(path, drawn):
    several = np.array([[0.5, 0.75], [0.75, 1.0], [0.625, 0.5]])
    figures.curves({"several": several, "_one": np.array([[0.25]])}, path)
    (axes,) = drawn[0].axes
    assert_lines(axes, {"several": [[0, 1], [62.5, 75]], " _one": [[0], [25]]})
    assert_band(axes, [0, 1], [50, 50], [75, 100])
    assert axes.get_ylabel() == "accuracy, %, mean and range over seeds"
    assert legend(axes) == ["several", " _one"]


def swept(means: dict[tuple[float, ...], float]) -> dict:
    """The results of a sweep: a mean for each setting."""
    return {setting: {"mean": mean, "sd": 0.01} for setting, mean in means.items()}


def test_a_sweep_of_one_rate_is_a_line_with_its_spread(path, drawn):
    figures.sweep(swept({(5.0,): 0.9, (0.5,): 0.8}), ["L2"], "of 4-2", path)
    (axes,) = drawn[0].axes
    line, _, (bars,) = axes.containers[0].lines
    np.testing.assert_allclose(line.get_ydata(orig=False), [80, 90])
    np.testing.assert_allclose(bars.get_segments()[0][:, 1], [79, 81])
    assert texts(axes.get_xticklabels()) == ["0.5", "5"]
    assert (axes.get_xlabel(), drawn[0].get_suptitle()) == ("L2", "of 4-2")


def test_a_sweep_of_more_rates_is_a_map_with_a_row_for_the_first_ones(path, drawn):
    means = [0.1, 0.2, 0.3, 0.4, NAN, 0.6, 0.7, 0.8]
    settings = itertools.product((0.1, 0.2), (0.0, 5.0), (0.0, 0.5))
    found = swept(dict(zip(settings, means, strict=True)))
    figures.sweep(found, ["eta", "L2", "dropout"], "of 4-2", path)
    axes, _ = drawn[0].axes
    assert texts(axes.get_yticklabels()) == ["0.1, 0", "0.1, 5", "0.2, 0", "0.2, 5"]
    assert texts(axes.get_xticklabels()) == ["0", "0.5"]
    shown = axes.images[0].get_array().filled(NAN)
    np.testing.assert_allclose(shown, 100 * np.reshape(means, (4, 2)))
    words = ["diverged" if np.isnan(mean) else f"{100 * mean:.2f}" for mean in means]
    assert texts(axes.texts) == words
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("eta, L2", "dropout")


def test_a_gradient_s_errors_are_bars_and_its_steps_a_curve(path, drawn):
    """An error of zero is drawn as 1e-17, and nan as 1."""
    one, wrong, broken = (
        [jaxnet.Layer(jnp.full((2, 3), w), jnp.ones(2))] for w in (1.0, 1.25, NAN)
    )
    stages = enumerate(compare_trees(layers, one, 1e-3) for layers in (wrong, broken))
    curve = Curve([0.1, 0.01], [1e-1, 1e-2], [1e-2, 1e-4])
    found = Examination(stages=[Stage(*stage) for stage in stages], curve=curve)
    figures.gradient_comparison(found, "mine", path)
    bars, steps = drawn[0].axes
    heights = [bar.get_height() for group in bars.containers for bar in group]
    np.testing.assert_allclose(heights, [0.25, 1e-17, 1, 1e-17])
    assert texts(bars.get_xticklabels()) == ["$w^1$", "$b^1$"]
    assert legend(bars) == ["float32, untrained", "float32, trained for 1 epoch"]
    assert bars.lines[0].get_ydata() == [1e-3, 1e-3]
    assert bars.get_title() == "mine against the reference (dashed: tolerance)"
    h, forward, central = curve
    assert_lines(steps, {"forward": (h, forward), "central": (h, central)})


def result(name: str) -> Result:
    """Made-up curves of an experiment, in per cent: no two experiments' are alike."""
    rng = np.random.default_rng(list(CLAIMS).index(name))
    return Result(name, CLAIMS[name], rng.uniform(0, 90, (5, 8)), STUCK, 1.0)


def test_results_are_medians_and_the_seeds_that_gave_up_a_digit(path, drawn):
    panels = {title: [result(title)] for title in ("30 hidden", "100 hidden")}
    script.learning_curves(panels | {"third": panels["30 hidden"]}, path)
    *shown, _, unused = drawn[0].axes
    assert not unused.axison
    for axes, (title, (found,)) in zip(shown, panels.items(), strict=True):
        low, median, high = np.quantile(found.curves, [0.05, 0.5, 0.95], axis=0)
        label = f"the book: {found.claim.number}, {found.claim.statistic.name}"
        expected = {
            f"{title}: median of 5 seeds, 5 to 95 %": (range(8), median),
            f"{title}: the 2 of them that gave up a digit": (range(8), found.curves[1]),
            label: ([0, 1], [found.claim.number] * 2),
        }
        assert_lines(axes, expected)
        assert legend(axes) == list(expected)
        assert_band(axes, range(8), low, high)
        thin = [line.get_ydata() for line in axes.lines if line.get_linewidth() < 1]
        np.testing.assert_array_equal(thin, found.curves[[1, 3]])
        assert axes.get_title() == title
        assert axes.get_ylabel() == "accuracy on test data, %"


RECORDED = (  # an experiment, his series, what of it is 100 % or 100, and the axis
    ("1,000 images, L2", "evaluation accuracy", 10_000, "accuracy on test data, %"),
    ("training cost, eta 0.25", "training cost", 100, "training cost"),
)


@pytest.mark.parametrize(("name", "series", "whole", "label"), RECORDED)
def test_what_the_author_recorded_is_drawn(path, drawn, name, series, whole, label):
    script.learning_curves({"A": [result(name)]}, path)
    (axes,) = drawn[0].axes
    his = recorded(name.removeprefix("training cost, ").partition(":")[0])
    points = [(i, 100 / whole * of[series]) for i, of in his.items() if series in of]
    dots = [np.transpose(x.get_data()) for x in axes.lines if x.get_marker() == "o"]
    np.testing.assert_allclose(max(dots, key=len), sorted(points))
    assert legend(axes)[-1] == "recorded by the author"
    assert not any("the book" in label for label in legend(axes))
    assert axes.get_ylabel() == label


def test_training_sizes_are_last_epochs_and_the_author_s_numbers(path, drawn):
    results = [result(name) for name in script.SIZES]
    script.training_sizes(results, path)
    (axes,) = drawn[0].axes
    sizes = [100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000]
    last = [found.curves[:, -1] for found in results]
    low, median, high = np.quantile(last, [0.05, 0.5, 0.95], axis=1)
    of_seeds, of_author, of_machine = legend(axes)
    author = [found.claim.number for found in results]
    assert_lines(axes, {of_seeds: (sizes, median), of_author: (sizes, author)})
    assert_band(axes, sizes, low, high)
    machine = np.transpose(axes.lines[-1].get_data())
    assert machine[[0, -1]].tolist() == [[100, 25.07], [50_000, 94.48]]
    assert of_machine.startswith("support vector") and axes.get_xscale() == "log"


@pytest.mark.slow
def test_the_script_draws_every_result_and_a_network(
    tmp_path, monkeypatch, capsys, drawn
):
    """With the results of this repository nothing is left out."""
    params, *_ = problem([784, 12, 10])
    monkeypatch.setattr(galleries, "trained", lambda data, epochs: params)
    paths = script.main(tables.RESULTS, tmp_path)
    names = [*script.CURVES, "results_training_sizes"]
    names += ["confusion", "weights", "mistakes", "hard_digits"]
    assert [path.stem for path in paths] == names
    out = capsys.readouterr().out
    assert out.count("wrote ") == len(names)
    assert ", in part" not in out and "left out" not in out
    panels = [panel for curves in script.CURVES.values() for panel in curves.values()]
    shown = {name for panel in (*panels, script.SIZES) for name in panel}
    assert {name for name in CLAIMS if "cost" in name or "weights" in name} <= shown
    hard = texts(drawn[-1].axes[0].texts)
    assert "".join(hard[::2]) == "082771851113671611"


def test_a_file_that_is_missing_or_something_else_is_named(
    tmp_path, monkeypatch, capsys
):
    for name in ("30 hidden", "of 100 images"):
        file = file_of(name, tables.RESULTS)
        (tmp_path / file.name).write_bytes(file.read_bytes())
    monkeypatch.setattr(Figure, "savefig", lambda self, path, **_: path.touch())
    spoilt = file_of("100 hidden", tmp_path)
    spoilt.write_text("seed, accuracy\n1, 95\n")
    paths = script.from_files(tmp_path, tmp_path)
    stems = ["results_chapter_1", "results_training_sizes"]
    assert [path.stem for path in paths] == stems
    out = capsys.readouterr().out
    reason = f"{spoilt}: expected a first line"
    assert f"wrote {paths[0]}, in part:\n  {reason}" in out
    reason = f"no results in {tmp_path / 'cross-entropy-30.jsonl'}\n"
    assert f"left out {tmp_path / 'results_cross_entropy.png'}:\n  {reason}" in out
