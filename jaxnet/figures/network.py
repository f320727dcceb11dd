"""One network: what it has learned, and what it mistakes."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from jaxnet.figures.canvas import BLUE, RED, blank, save

GAP = 6  # pixels between images


def mosaic(
    x: Float[np.ndarray, "n pixels"], columns: int
) -> Float[np.ndarray, "height width"]:
    """The square images in the rows of x as tiles of a large one, nan between them."""
    side = round(x.shape[1] ** 0.5)
    rows, cell = -(-len(x) // columns), side + GAP
    cells = np.full((rows * columns, cell, cell), np.nan)
    cells[: len(x), :side, :side] = x.reshape(-1, side, side)
    grid = cells.reshape(rows, columns, cell, cell).swapaxes(1, 2)
    return grid.reshape(rows * cell, columns * cell)


def weights(w: Float[np.ndarray, "n pixels"], title: str, path: str | Path) -> Path:
    """The path of a picture of the weights into each neuron, a row of w."""
    columns = min(10, len(w))
    image = mosaic(w, columns)
    height = 0.9 * image.shape[0] * columns / image.shape[1] + 0.5
    figure = blank(max(0.95 * columns, 4.0), height)
    axes = figure.subplots()
    limit = float(np.quantile(np.abs(w), 0.995))
    shown = axes.imshow(image, cmap="RdBu", vmin=-limit, vmax=limit)
    axes.set_axis_off()
    axes.set_title(f"Weights into {len(w)} neurons: {title}", fontsize=10, wrap=True)
    figure.colorbar(shown, ax=axes, shrink=0.8, extend="both", label="weight")
    return save(figure, path)


def digits(
    x: Float[np.ndarray, "n pixels"],
    labels: Sequence[tuple[str, str]],
    title: str,
    path: str | Path,
    columns: int = 10,
) -> Path:
    """The path of a picture of images, each over its class (left) and the answer."""
    columns = min(columns, len(x))
    image = mosaic(x, columns)
    cell, inches = image.shape[1] // columns, max(0.5, 6.5 / columns)
    figure = blank(inches * columns, inches * image.shape[0] / cell + 0.5)
    axes = figure.subplots()
    axes.imshow(image, cmap="binary", vmin=0, vmax=max(1.0, float(x.max())))
    axes.set_axis_off()
    style = {"fontsize": 8, "fontweight": "bold", "va": "bottom"}
    for i, (label, answer) in enumerate(labels):
        row, column = divmod(i, columns)
        left, bottom = column * cell, (row + 1) * cell - GAP
        axes.text(left, bottom, label, color=BLUE, **style)
        right = left + cell - GAP
        axes.text(right, bottom, answer, color=RED, ha="right", **style)
    axes.set_title(f"{title}: left the class, right the answer", fontsize=10, wrap=True)
    return save(figure, path)


def confusion(
    matrix: Int[np.ndarray, "n n"], names: Sequence[str], title: str, path: str | Path
) -> Path:
    """The path of a picture of how many of each class (row) were taken for each."""
    inches = max(5.6, 0.4 * len(matrix))
    figure = blank(inches + 0.4, inches)
    axes = figure.subplots()
    errors = np.where(np.eye(len(matrix), dtype=bool), 0, matrix)
    axes.imshow(errors, cmap="Oranges", vmax=1.5 * max(1, errors.max()))
    style = {"ha": "center", "va": "center", "fontsize": 8}
    for (row, column), count in np.ndenumerate(matrix):
        weight = "bold" if row == column else "normal"
        axes.text(column, row, str(count or ""), fontweight=weight, **style)
    places = range(len(matrix))
    axes.set_xticks(places, names, rotation=90 if max(map(len, names)) > 3 else 0)
    axes.set_yticks(places, names)
    axes.set(xlabel="answer", ylabel="class")
    wrong = f"{errors.sum():,} of {matrix.sum():,} wrong; errors are coloured"
    axes.set_title(f"{title}\n{wrong}" if title else wrong, fontsize=10, wrap=True)
    return save(figure, path)
