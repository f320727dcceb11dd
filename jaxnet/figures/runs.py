"""Runs as curves, one over the other."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from jaxnet.figures.canvas import blank, save


def curves(histories: Mapping[str, np.ndarray], path: str | Path) -> Path:
    """The path of a picture of each run's accuracies, of shape (seeds, epochs).

    A line is the mean over seeds, and the band round it their range.
    Raises ModuleNotFoundError if matplotlib is missing.
    """
    figure = blank(7.0, 4.4)
    axes = figure.add_subplot()
    for name, history in histories.items():
        name = f" {name}" if name.startswith("_") else name  # or it gets no entry
        epochs, percent = np.arange(history.shape[1]), 100 * history
        marker = "o-" if len(epochs) < 20 else "-"
        [line] = axes.plot(epochs, percent.mean(axis=0), marker, ms=4, label=name)
        if len(history) > 1:
            low, high = percent.min(axis=0), percent.max(axis=0)
            colour = line.get_color()
            axes.fill_between(epochs, low, high, color=colour, alpha=0.2, linewidth=0)
    axes.locator_params(axis="x", integer=True)
    several = any(len(history) > 1 for history in histories.values())
    words = "accuracy, %, mean and range over seeds" if several else "accuracy, %"
    axes.set(xlabel="epoch", ylabel=words)
    axes.grid(alpha=0.3)
    if histories:
        for text in axes.legend().get_texts():
            text.set_parse_math(False)  # a folder's name may have dollar signs
    return save(figure, path)
