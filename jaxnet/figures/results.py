"""The book's experiments, from their result files.

A band is from 5 to 95 % of the seeds, and the line in it is their median. Epochs count
from 0, as in the book.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from jaxnet.experiments import Claim
from jaxnet.figures.canvas import BLUE, GREEN, RED, YELLOW, blank, save
from jaxnet.replay import REPLAYS, recorded
from jaxnet.reproduce import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# What the author recorded of support vector machines by the number of training images.
MACHINES = {
    **{100: 25.07, 200: 48.93, 500: 75.13, 1000: 83.87, 2000: 88.49, 5000: 91.46},
    **{10_000: 92.45, 20_000: 93.47, 50_000: 94.48},
}


def _quantiles(values: np.ndarray) -> np.ndarray:
    return np.nanquantile(values, [0.05, 0.5, 0.95], axis=0)


def _recorded(result: Result) -> tuple[list[int], list[float]]:
    """The author's run: epochs, and what he measured after them."""
    name = result.name.removeprefix("training cost, ").partition(": ")[0]
    claim = result.claim
    series = claim.measure if claim.measure != "accuracy" else "evaluation accuracy"
    if name in REPLAYS:
        images = (
            (claim.experiment.train_on or 50_000) if "training" in series else 10_000
        )
        scale = images / 100 if "accuracy" in series else 1  # of counts, to per cent
        points = {
            epoch: numbers[series] / scale
            for epoch, numbers in recorded(name).items()
            if series in numbers
        }
    elif claim.number is not None and "last" in claim.statistic:
        points = {result.curves.shape[1] - 1: claim.number}
    else:
        points = {}
    return sorted(points), [points[epoch] for epoch in sorted(points)]


def _draw_result(axes: "Axes", result: Result, colour: str, grey: str | None) -> None:
    curves = result.curves
    some = np.flatnonzero(~np.isnan(curves).all(axis=0))
    low, middle, high = _quantiles(curves[:, some])
    axes.fill_between(some, low, high, color=colour, alpha=0.2, linewidth=0)
    label = f"{result.name}: median of {len(curves)} seeds, 5 to 95 %"
    axes.plot(some, middle, color=colour, label=label, zorder=2.2)

    given_up = [
        curve
        for curve, classes in zip(curves, result.unlearnt, strict=True)
        if classes and result.claim.measure == "accuracy"
    ]
    thin = {"color": grey or colour, "linewidth": 0.6, "zorder": 2.1}
    label = f"{result.name}: the {len(given_up)} of them that gave up a digit"
    for i, curve in enumerate(given_up):
        axes.plot(curve, **thin, label=None if i else label)

    epochs, values = _recorded(result)
    if epochs:
        dots = {"markersize": 4, "markerfacecolor": "white", "markeredgewidth": 1}
        axes.plot(epochs, values, "o", color=colour, **dots, zorder=2.3)
    elif result.claim.number is not None:
        label = f"the book: {result.claim.number:g}, {result.claim.statistic}"
        axes.axhline(result.claim.number, color="black", ls=":", label=label)


def _words(claim: Claim) -> str:
    part = claim.experiment.evaluate_on
    if claim.measure.endswith("accuracy"):
        part = "training" if claim.measure.startswith("training") else part
        return f"accuracy on {part} data, %"
    return claim.measure.replace("evaluation", part)


def learning_curves(panels: Mapping[str, Sequence[Result]], path: str | Path) -> Path:
    """Curves by epoch, at most three in a panel under each title; two panels a row.

    The author's recorded numbers are points; where he recorded no run, the book's
    number is a dotted line. Networks that have given up a digit are thin lines.
    """
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    figure = blank(5.2 * columns, 4.3 * rows)
    alike = len({result.claim.measure for some in panels.values() for result in some})
    sharing = "row" if alike == 1 else False
    grid = figure.subplots(rows, columns, sharey=sharing, squeeze=False)
    for axes in grid.flat[len(panels) :]:
        axes.set_axis_off()
    for axes, (title, results) in zip(grid.flat, panels.items(), strict=False):
        grey = "0.45" if len(results) == 1 else None
        for result, colour in zip(results, (BLUE, RED, GREEN), strict=False):
            _draw_result(axes, result, colour, grey)
        if any(_recorded(result)[0] for result in results):
            white = {"color": "black", "markerfacecolor": "white", "markersize": 4}
            axes.plot([], [], "o", **white, label="recorded by the author")
        claim = results[0].claim
        axes.set_ylabel(_words(claim))
        axes.set(xlabel="epoch")
        axes.set_title(title, fontsize=10)
        axes.grid(alpha=0.3)
        below = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.14)}
        axes.legend(**below, fontsize=8, frameon=False)
    return save(figure, path)


def training_sizes(results: Sequence[Result], path: str | Path) -> Path:
    """Accuracy after the last epoch, by the number of training images."""
    figure = blank(6.4, 4.6)
    axes = figure.subplots()
    sizes = [result.claim.experiment.train_on or 0 for result in results]
    spread = [_quantiles(result.curves[:, -1]) for result in results]
    low, middle, high = np.array(spread).T
    seeds = [len(result.curves) for result in results]
    least, most = min(seeds), max(seeds)
    of = f"{most}" if least == most else f"{least} to {most}"
    axes.fill_between(sizes, low, high, color=BLUE, alpha=0.2, linewidth=0)
    label = f"30 hidden neurons: median of {of} seeds, 5 to 95 %"
    axes.plot(sizes, middle, ".-", color=BLUE, label=label)
    dots = {"markersize": 5, "markerfacecolor": "white"}
    told = [result.claim.number or np.nan for result in results]
    label = "30 hidden neurons, recorded by the author"
    axes.plot(sizes, told, "o", color=BLUE, **dots, label=label)
    label = "support vector machine, recorded by the author"
    machines = list(MACHINES), list(MACHINES.values())
    axes.plot(*machines, "s--", color=RED, **dots, label=label)
    axes.set(xscale="log", xlabel="training images", ylim=(None, 100))
    axes.set(ylabel="accuracy on validation data, %")
    axes.set_xticks(list(MACHINES), [f"{n:,}" for n in MACHINES], fontsize=9)
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right", fontsize=9)
    return save(figure, path)


def best_epochs(results: Sequence[Result], path: str | Path) -> Path:
    """How many seeds reach which accuracy at best, by how many digits they give up."""
    figure = blank(7.0, 2.6 * len(results))
    grid = figure.subplots(len(results), 1, sharex=True, squeeze=False)
    best = [np.nanmax(result.curves, axis=1) for result in results]
    bins = np.arange(np.floor(min(map(np.min, best))), 100.5, 0.5).tolist()
    names = ("none given up", "1 digit given up", "2 digits", "3 or more")
    for axes, result, values in zip(grid.flat, results, best, strict=True):
        lost = np.minimum([len(classes) for classes in result.unlearnt], 3)
        groups = [values[lost == n].tolist() for n in range(4)]
        colours = [BLUE, YELLOW, RED, "black"]
        axes.hist(groups, bins, stacked=True, color=colours, label=names)
        title = f"{result.name}, {len(values)} seeds"
        if result.claim.number is not None:
            axes.axvline(result.claim.number, color="black", ls=":", label="the book")
            title += f"; the book: {result.claim.number:g}, {result.claim.statistic}"
        axes.set_title(title, fontsize=10)
        axes.set(ylabel="seeds")
        axes.yaxis.get_major_locator().set_params(integer=True)
    grid[-1, 0].set(xlabel="accuracy at the best epoch, %")
    handles, labels = grid[0, 0].get_legend_handles_labels()
    below = {"loc": "outside lower center", "frameon": False}
    figure.legend(handles, labels, ncols=len(labels), fontsize=9, **below)
    return save(figure, path)
