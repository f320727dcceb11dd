"""What one network has learnt, and what it mistakes."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jaxnet.figures.canvas import BLUE, RED, blank, save

_GAP = 6  # pixels between images

# Test images that are hard to read: the author's list for the figure in chapter 1.6.
HARD_DIGITS = (
    *(324, 582, 659, 726, 846, 956, 1124, 1393, 1773),
    *(1868, 2018, 2109, 2654, 4199, 4201, 4620, 5457, 5642),
)


def _mosaic(x: np.ndarray, columns: int) -> np.ndarray:
    """Square images in rows of a large one, nan between them."""
    side = round(x.shape[1] ** 0.5)
    if len(x) == 0 or side**2 != x.shape[1]:
        raise ValueError(f"Expected square images in rows, got shape {x.shape}.")
    rows, cell = -(-len(x) // columns), side + _GAP
    cells = np.full((rows * columns, cell, cell), np.nan)
    cells[: len(x), :side, :side] = x.reshape(-1, side, side)
    grid = cells.reshape(rows, columns, cell, cell).swapaxes(1, 2)
    return grid.reshape(rows * cell, columns * cell)


def hidden_weights(w: np.ndarray, path: str | Path, columns: int = 10) -> Path:
    """The weights into each hidden neuron, a row of w, as an image.

    Raises ValueError if there are none, or they are not of square images.
    """
    image = _mosaic(w, columns)
    figure = blank(
        0.95 * columns, 0.9 * image.shape[0] * columns / image.shape[1] + 0.3
    )
    axes = figure.subplots()
    most = float(np.quantile(np.abs(w), 0.995))
    shown = axes.imshow(image, cmap="RdBu", vmin=-most, vmax=most)
    axes.set_axis_off()
    axes.set_title(f"Weights into {len(w)} hidden neurons", fontsize=10)
    figure.colorbar(shown, ax=axes, shrink=0.8, extend="both", label="weight")
    return save(figure, path)


def digits(
    x: np.ndarray,
    truth: Sequence[int],
    answers: Sequence[int],
    title: str,
    path: str | Path,
    columns: int = 20,
) -> Path:
    """Images, what they are in the lower left corner and the answer in the right one.

    Raises ValueError if there are none, or they are not square.
    """
    image = _mosaic(x, columns)
    cell = image.shape[1] // columns
    inches = max(0.5, 6.5 / columns)
    figure = blank(inches * columns, inches * image.shape[0] / cell + 0.3)
    axes = figure.subplots()
    axes.imshow(image, cmap="binary", vmin=0, vmax=1)
    axes.set_axis_off()
    corner = {"fontsize": 8, "fontweight": "bold", "va": "bottom"}
    for i, (true, answer) in enumerate(zip(truth, answers, strict=True)):
        row, column = divmod(i, columns)
        bottom = (row + 1) * cell - _GAP
        axes.text(column * cell, bottom, str(true), color=BLUE, **corner)
        right = (column + 1) * cell - _GAP
        axes.text(right, bottom, str(answer), color=RED, ha="right", **corner)
    axes.set_title(title, fontsize=10)
    return save(figure, path)


def confusion(matrix: np.ndarray, path: str | Path) -> Path:
    """How many examples of each class (row) were taken for each (column)."""
    figure = blank(6.0, 5.6)
    axes = figure.subplots()
    errors = np.where(np.eye(len(matrix), dtype=bool), 0, matrix)
    axes.imshow(errors, cmap="Oranges", vmax=1.5 * max(1, errors.max()))
    for (row, column), count in np.ndenumerate(matrix):
        weight = "bold" if row == column else "normal"
        middle = {"ha": "center", "va": "center", "fontsize": 8}
        axes.text(column, row, str(count) if count else "", fontweight=weight, **middle)
    places = range(len(matrix))
    axes.set(xticks=places, yticks=places, xlabel="answer", ylabel="digit")
    wrong = f"{errors.sum():,} of {matrix.sum():,} wrong; errors are coloured"
    axes.set_title(wrong, fontsize=10)
    return save(figure, path)
