"""The learning curves of runs, and the accuracies of a sweep by its rates."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from jaxnet.figures.canvas import blank, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def curves(
    histories: Mapping[str, Float[np.ndarray, "seeds epochs"]], path: str | Path
) -> Path:
    """The path of a picture of each run's accuracies by epoch.

    A line is the mean over seeds, and the band around it their range.
    Raises ModuleNotFoundError if matplotlib is missing.
    """
    figure = blank(7.0, 4.4)
    percents = {name: 100 * history for name, history in histories.items()}
    _draw(figure.add_subplot(), percents, "accuracy, %")
    return save(figure, path)


def learning(
    found: Mapping[str, Float[np.ndarray, "seeds epochs"]],
    part: str,
    title: str,
    path: str | Path,
) -> Path:
    """The path of a picture of accuracy and cost on training and evaluation data.

    The keys of `found` are those of `jaxnet.monitor`; evaluation data are the `part`.
    """
    figure = blank(10.0, 4.4)
    figure.suptitle(title, fontsize=10, parse_math=False)
    quantities = {"accuracy": ("accuracy, %", 100), "cost": ("cost", 1)}
    for axes, (quantity, (label, unit)) in zip(
        figure.subplots(1, 2), quantities.items(), strict=True
    ):
        names = {f"training_{quantity}": "training", f"evaluation_{quantity}": part}
        _draw(axes, {names[k]: unit * found[k] for k in names if k in found}, label)
    return save(figure, path)


def _draw(
    axes: "Axes", curves: Mapping[str, Float[np.ndarray, "seeds epochs"]], label: str
) -> None:
    for name, history in curves.items():
        # matplotlib leaves labels that begin with an underscore out of the legend.
        name = f" {name}" if name.startswith("_") else name
        epochs = np.arange(history.shape[1])
        marker = "o-" if len(epochs) < 20 else "-"
        [line] = axes.plot(epochs, history.mean(axis=0), marker, ms=4, label=name)
        if len(history) > 1:
            low, high = history.min(axis=0), history.max(axis=0)
            colour = line.get_color()
            axes.fill_between(epochs, low, high, color=colour, alpha=0.2, linewidth=0)
    axes.locator_params(axis="x", integer=True)
    several = any(len(history) > 1 for history in curves.values())
    label += ", mean and range over seeds" if several else ""
    axes.set(xlabel="epoch", ylabel=label)
    axes.grid(alpha=0.3)
    if curves:
        for text in axes.legend().get_texts():
            text.set_parse_math(False)  # a folder's name may have dollar signs


def sweep(
    found: Mapping[tuple[float, ...], Mapping[str, int | float]],
    names: Sequence[str],
    title: str,
    path: str | Path,
) -> Path:
    """Mean accuracies of best epochs: a heat-map of two rates, or a line of one.

    The keys of `found` are values of the rates named. With more than two, every
    combination of the first ones is a row of the map.
    """
    figure = blank(6.4, 4.4)
    figure.suptitle(title, fontsize=10, parse_math=False)
    axes = figure.add_subplot()
    columns = sorted({setting[-1] for setting in found})
    label = "accuracy of the best epoch, %"
    if len(names) == 1:
        rows = [found[setting] for setting in sorted(found)]
        means, sds = ([100 * row[k] for row in rows] for k in ("mean", "sd"))
        axes.errorbar(range(len(rows)), means, yerr=sds, fmt="o-", capsize=3)
        axes.set_ylabel(label)
        axes.set_title("mean and standard deviation over seeds", fontsize=10)
    else:
        keys = sorted({setting[:-1] for setting in found})
        grid = np.full((len(keys), len(columns)), np.nan)
        for setting, row in found.items():
            place = keys.index(setting[:-1]), columns.index(setting[-1])
            grid[place] = 100 * row["mean"]
        image = axes.imshow(grid, cmap="viridis", aspect="auto")
        finite = grid[np.isfinite(grid)]
        middle = (finite.min() + finite.max()) / 2 if finite.size else 0.0
        for (i, j), value in np.ndenumerate(grid):
            colour = "white" if value < middle else "black"
            words = "diverged" if np.isnan(value) else f"{value:.2f}"
            axes.text(j, i, words, ha="center", va="center", color=colour)
        labels = [", ".join(f"{value:g}" for value in key) for key in keys]
        axes.set_yticks(range(len(keys)), labels)
        axes.set(ylabel=", ".join(names[:-1]))
        figure.colorbar(image, label=label)
        axes.set_title("mean over seeds", fontsize=10)
    axes.set_xticks(range(len(columns)), [f"{value:g}" for value in columns])
    axes.set(xlabel=names[-1])
    return save(figure, path)
