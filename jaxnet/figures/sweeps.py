"""Sweeps and benchmarks as pictures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxnet.figures.canvas import blank, save
from jaxnet.grid import RATES, Setting


def sweep(
    found: Mapping[Setting, Mapping[str, int | float]],
    names: Sequence[str],
    path: str | Path,
) -> Path:
    """Mean accuracies of best epochs: a heat-map of two rates, or a line of one.

    With more than two rates, every combination of the first ones is a row of the map.
    """
    figure = blank(6.4, 4.4)
    axes = figure.add_subplot()
    *first, last = names
    columns = sorted({getattr(setting, last) for setting in found})
    if not first:
        rows = [found[setting] for setting in sorted(found)]
        axes.errorbar(
            range(len(rows)),
            [100 * row["mean"] for row in rows],
            yerr=[100 * row["sd"] for row in rows],
            fmt="o-",
            capsize=3,
        )
        axes.set(ylabel="accuracy of the best epoch, %, mean and sd over seeds")
    else:
        keys = sorted({tuple(getattr(s, name) for name in first) for s in found})
        grid = np.full((len(keys), len(columns)), np.nan)
        for setting, row in found.items():
            key = tuple(getattr(setting, name) for name in first)
            place = keys.index(key), columns.index(getattr(setting, last))
            grid[place] = 100 * row["mean"]
        image = axes.imshow(grid, cmap="viridis", aspect="auto")
        finite = grid[np.isfinite(grid)]
        middle = (finite.min() + finite.max()) / 2 if finite.size else 0.0
        for (i, j), value in np.ndenumerate(grid):
            colour = "white" if value < middle else "black"
            words = "broken" if np.isnan(value) else f"{value:.2f}"
            axes.text(j, i, words, ha="center", va="center", color=colour)
        labels = [", ".join(f"{value:g}" for value in key) for key in keys]
        axes.set_yticks(range(len(keys)), labels)
        axes.set(ylabel=", ".join(RATES[name] for name in first))
        label = "accuracy of the best epoch, %, mean over seeds"
        figure.colorbar(image, label=label)
    axes.set_xticks(range(len(columns)), [f"{value:g}" for value in columns])
    axes.set(xlabel=RATES[last])
    return save(figure, path)


def benchmark(results: Mapping[str, Any], path: str | Path) -> Path:
    """Epochs of each way to train, speed by size and mini-batch, networks at once."""
    figure = blank(13.0, 4.4)
    ways, rates, many = figure.subplots(1, 3, width_ratios=(1.2, 1, 1))
    names = list(next(iter(results["epochs"].values())))[::-1]
    for i, (hidden, found) in enumerate(results["epochs"].items()):
        seconds = [found.get(name, {}).get("seconds", np.nan) for name in names]
        places = np.arange(len(names)) + 0.4 * (0.5 - i)
        ways.barh(places, seconds, height=0.38, label=f"784-{hidden}-10")
    ways.set_yticks(range(len(names)), [name.replace("_", " ") for name in names])
    ways.set(xscale="log", xlabel="seconds an epoch")
    ways.legend()
    by_batch: dict[int, list[tuple[int, float]]] = {}
    for row in results["steps"]:
        if len(row["sizes"]) == 3:
            point = (row["sizes"][1], row["gflops"])
            by_batch.setdefault(row["batch"], []).append(point)
    for batch, points in by_batch.items():
        rates.plot(*np.array(points).T, "o-", label=f"mini-batch {batch}")
    rates.axhline(results["roofline"]["gflops"], color="black", linestyle=":")
    rates.set(xscale="log", yscale="log", xlabel="hidden neurons")
    rates.set(ylabel="GFLOP/s, one core; dotted: a large product")
    rates.legend()
    for hidden, rows in results["many"].items():
        points = np.array([(row["networks"], row["a_second"]) for row in rows])
        many.plot(*points.T, "o-", label=f"784-{hidden}-10")
    many.set(xscale="log", xlabel="networks at once", ylabel="network-epochs a second")
    many.set(ylim=(0, None))
    many.legend()
    return save(figure, path)
