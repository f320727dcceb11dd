"""Figures of the book's experiments from result files, and of what a network learns.

`python -m jaxnet reproduce --out data/results` writes the files. What has no file is
left out; the last four figures show a network that is trained here, in a few epochs.
A band is from 5 to 95 % of the seeds, and the line in it is their median. Epochs count
from 0, as in the book.
"""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))  # as a file or as a module

import jaxnet
from jaxnet.cli.console import script
from jaxnet.experiments import CLAIMS, Claim, Result, StorageError, recorded
from jaxnet.experiments import result as stored
from jaxnet.experiments.claims import LAST
from jaxnet.experiments.reproduce import file_of
from jaxnet.figures import blank, check_can_save, save
from jaxnet.figures.canvas import BLUE, GREEN, RED, YELLOW
from scripts import galleries, tables

if TYPE_CHECKING:
    from matplotlib.axes import Axes

THOUSAND = ("1,000 images", "1,000 images, L2")
# By the figure's name: the experiments of each panel, under its title.
CURVES: dict[str, dict[str, Sequence[str]]] = {
    "results_chapter_1": {
        f"Quadratic cost, 784-{n}-10": [f"{n} hidden"] for n in (30, 100)
    },
    "results_cross_entropy": {
        f"Cross-entropy, 784-{n}-10": [f"cross-entropy, {n}"] for n in (30, 100)
    },
    "results_1000_images": {"1,000 training images": THOUSAND},
    "results_overfitting": {
        "1,000 training images: the training cost": [
            f"{name}: training cost" for name in THOUSAND
        ],
        "The test accuracy": THOUSAND,
        "The test cost": [f"{name}: evaluation cost" for name in THOUSAND],
        "The training accuracy": [f"{name}: training accuracy" for name in THOUSAND],
    },
    "results_50000_images": {
        "50,000 training images": ["50,000 images", "50,000 images, L2"]
    },
    "results_first_weights": {
        f"784-{n}-10": [f"large weights, {n}", f"scaled weights, {n}"]
        for n in (30, 100)
    },
    "results_depth": {
        "Hidden layers of 30 neurons": [f"hidden layers: {n}" for n in (1, 2, 3, 4)]
    },
    "results_learning_rates": {
        "Cross-entropy with L2, 784-30-10": [
            f"training cost, eta {eta:g}" for eta in (0.025, 0.25, 2.5)
        ]
    },
}
# Of the y axis, where the first epochs are far off.
LIMITS = {"results_depth": (90, 98)}
# What the author recorded of support vector machines by the number of training images.
MACHINES = {
    **{100: 25.07, 200: 48.93, 500: 75.13, 1000: 83.87, 2000: 88.49, 5000: 91.46},
    **{10_000: 92.45, 20_000: 93.47, 50_000: 94.48},
}
SIZES = tuple(f"of {n:,} images" for n in MACHINES)

_DOTS = {"markersize": 4, "markerfacecolor": "white"}


def measured(claim: Claim) -> tuple[str, str]:
    """The data that a claim measures, "training" or "evaluation", and the quantity."""
    measure = claim.measure
    data = "training" if measure.on_training_data else "evaluation"
    return data, "accuracy" if measure.percent else "cost"


def recorded_by_author(result: Result) -> dict[int, float]:
    """What the author measured in his run after each epoch that he recorded."""
    claim = result.claim
    data, quantity = measured(claim)
    name = result.name.removeprefix("training cost, ").partition(": ")[0]
    if his := recorded(name):
        trained_on = claim.experiment.train_on or 50_000
        images = trained_on if data == "training" else 10_000
        scale = 100 / images if quantity == "accuracy" else 1  # from counts to per cent
        series = f"{data} {quantity}"
        return {
            epoch: scale * numbers[series]
            for epoch, numbers in sorted(his.items())
            if series in numbers
        }
    if claim.number is not None and claim.statistic == LAST:
        return {result.curves.shape[1] - 1: claim.number}
    return {}


def _draw_band(axes: "Axes", x: Any, values: Iterable[np.ndarray], **line: Any) -> None:
    """Draw the median and the band of the seeds' values at each x."""
    quantiles = [np.nanquantile(of_seeds, [0.05, 0.5, 0.95]) for of_seeds in values]
    low, middle, high = np.transpose(quantiles)
    axes.fill_between(x, low, high, color=line["color"], alpha=0.2, linewidth=0)
    axes.plot(x, middle, **line)


def _draw_result(axes: "Axes", result: Result, colour: str, grey: str | None) -> None:
    curves, claim = result.curves, result.claim
    epochs = np.flatnonzero(~np.isnan(curves).all(axis=0))
    label = f"{result.name}: median of {len(curves)} seeds, 5 to 95 %"
    _draw_band(axes, epochs, curves[:, epochs].T, color=colour, label=label, zorder=2.2)

    given_up = [
        curve
        for curve, classes in zip(curves, result.failed_classes, strict=True)
        if classes and measured(claim) == ("evaluation", "accuracy")
    ]
    label = f"{result.name}: the {len(given_up)} of them that gave up a digit"
    for curve in given_up:
        axes.plot(curve, color=grey or colour, linewidth=0.6, zorder=2.1, label=label)
        label = None

    recording = recorded_by_author(result)
    if recording:
        points = list(recording), list(recording.values())
        axes.plot(*points, "o", color=colour, zorder=2.3, **_DOTS)
    elif claim.number is not None:
        label = f"the book: {claim.number:g}, {claim.statistic.name}"
        axes.axhline(claim.number, color="black", ls=":", label=label)


def learning_curves(panels: Mapping[str, Sequence[Result]], path: str | Path) -> Path:
    """The path of a picture of curves by epoch, at most four under each title.

    The author's recorded numbers are points; where he recorded no run, the book's
    number is a dotted line. Networks that have given up a digit are thin lines.
    """
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    figure = blank(5.2 * columns, 4.3 * rows)
    same = {measured(result.claim) for some in panels.values() for result in some}
    sharing = "row" if len(same) == 1 else False
    grid = figure.subplots(rows, columns, sharey=sharing, squeeze=False)
    for axes in grid.flat[len(panels) :]:
        axes.set_axis_off()
    for axes, (title, results) in zip(grid.flat, panels.items(), strict=False):
        grey = "0.45" if len(results) == 1 else None
        for result, colour in zip(results, (BLUE, RED, GREEN, YELLOW), strict=False):
            _draw_result(axes, result, colour, grey)
        if any(map(recorded_by_author, results)):
            axes.plot([], "o", color="black", label="recorded by the author", **_DOTS)
        claim = results[0].claim
        data, quantity = measured(claim)
        data = claim.experiment.evaluate_on if data == "evaluation" else data
        accuracy = f"accuracy on {data} data, %"
        axes.set_ylabel(accuracy if quantity == "accuracy" else f"{data} {quantity}")
        axes.set_xlabel("epoch")
        axes.set_title(title, fontsize=10)
        if Path(path).stem in LIMITS:
            axes.set_ylim(LIMITS[Path(path).stem])
        axes.grid(alpha=0.3)
        below = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.14)}
        axes.legend(fontsize=8, frameon=False, **below)
    return save(figure, path)


def training_sizes(results: Sequence[Result], path: str | Path) -> Path:
    """The path of a picture of the last accuracy by the number of training images."""
    figure = blank(6.4, 4.6)
    axes = figure.subplots()
    sizes = [result.claim.experiment.train_on or 0 for result in results]
    last = [result.curves[:, -1] for result in results]
    seeds = " or ".join(map(str, sorted({len(of_seeds) for of_seeds in last})))
    label = f"30 hidden neurons: median of {seeds} seeds, 5 to 95 %"
    _draw_band(axes, sizes, last, marker=".", color=BLUE, label=label)
    numbers = [result.claim.number or np.nan for result in results]
    label = "30 hidden neurons, recorded by the author"
    axes.plot(sizes, numbers, "o", color=BLUE, **_DOTS, label=label)
    label = "support vector machine, recorded by the author"
    machines = list(MACHINES), list(MACHINES.values())
    axes.plot(*machines, "s--", color=RED, **_DOTS, label=label)
    axes.set(xscale="log", xlabel="training images")
    axes.set(ylim=(None, 100), ylabel="accuracy on validation data, %")
    axes.set_xticks(list(MACHINES), [f"{n:,}" for n in MACHINES], fontsize=9)
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right", fontsize=9)
    return save(figure, path)


def read(folder: str | Path) -> tuple[dict[str, Result], dict[str, str]]:
    """The results in the folder by experiment, and why the others have none."""
    found: dict[str, Result] = {}
    missing: dict[str, str] = {}
    for name in CLAIMS:
        try:
            kept = stored(name, folder)
        except StorageError as error:
            missing[name] = str(error)
            continue
        if kept is None:
            missing[name] = f"no results in {file_of(name, folder)}"
        else:
            found[name] = kept
    return found, missing


def from_files(folder: str | Path, out: Path) -> list[Path]:
    """The figures drawn into `out` from the result files in `folder`."""
    found, missing = read(folder)
    paths = []

    def add(
        figure: str, draw: Callable[..., Path], results: Any, names: Iterable[str]
    ) -> None:
        path = out / f"{figure}.png"
        why = dict.fromkeys(missing[name] for name in names if name in missing)
        if results:
            paths.append(draw(results, path))
            print(f"wrote {path}{', in part:' if why else ''}", *why, sep="\n  ")
        else:
            print(f"left out {path}:", *why, sep="\n  ")

    def available(names: Iterable[str]) -> list[Result]:
        return [found[name] for name in names if name in found]

    for figure, panels in CURVES.items():
        results = {title: available(names) for title, names in panels.items()}
        results = {title: some for title, some in results.items() if some}
        add(figure, learning_curves, results, chain(*panels.values()))
    add("results_training_sizes", training_sizes, available(SIZES), SIZES)
    return paths


def main(
    results: str | Path = tables.RESULTS,
    out: str | Path = tables.FIGURES,
    epochs: int = 5,
) -> list[Path]:
    """Draw what there is into `out`; return the paths of the figures.

    results: the folder of the files
    epochs: of the network that is trained here
    """
    check_can_save("a.png")
    paths = from_files(results, Path(out))
    mnist = jaxnet.load_mnist()
    params = galleries.trained(mnist.train, epochs)
    return paths + galleries.draw(params, mnist.test, Path(out))


if __name__ == "__main__":
    script(main)
