"""Figures of one network: what it has learnt, and what it mistakes."""

from functools import partial
from pathlib import Path

import jax
import numpy as np

import jaxnet
from jaxnet.figures import blank, save
from jaxnet.figures.canvas import BLUE, RED

GAP = 6  # pixels between images

# Test images that are hard to read: the author's list for the figure in chapter 1.6.
HARD_DIGITS = (
    *(324, 582, 659, 726, 846, 956, 1124, 1393, 1773),
    *(1868, 2018, 2109, 2654, 4199, 4201, 4620, 5457, 5642),
)


def trained(
    data: jaxnet.Dataset, epochs: int, hidden: int = 30, seed: int = 0
) -> jaxnet.Params:
    """A network with cross-entropy and L2, eta 0.5, and scaled first weights."""
    key = jax.random.key(seed)
    params = jaxnet.init(key, [784, hidden, 10], init_layer=jaxnet.scaled_layer)
    options = {"batch_size": 10, "eta": 0.5, "l2": 5.0, "cost": jaxnet.cross_entropy}
    return jaxnet.train(key, params, data, epochs=epochs, **options)[0]


def mosaic(x: np.ndarray, columns: int) -> np.ndarray:
    """The square images in the rows of x as tiles of a large one, nan between them."""
    side = round(x.shape[1] ** 0.5)
    rows, cell = -(-len(x) // columns), side + GAP
    cells = np.full((rows * columns, cell, cell), np.nan)
    cells[: len(x), :side, :side] = x.reshape(-1, side, side)
    grid = cells.reshape(rows, columns, cell, cell).swapaxes(1, 2)
    return grid.reshape(rows * cell, columns * cell)


def hidden_weights(w: np.ndarray, path: str | Path, columns: int = 10) -> Path:
    """The path of a picture of the weights into each hidden neuron, a row of w."""
    image = mosaic(w, columns)
    height = 0.9 * image.shape[0] * columns / image.shape[1] + 0.3
    figure = blank(0.95 * columns, height)
    axes = figure.subplots()
    limit = float(np.quantile(np.abs(w), 0.995))
    shown = axes.imshow(image, cmap="RdBu", vmin=-limit, vmax=limit)
    axes.set_axis_off()
    axes.set_title(f"Weights into {len(w)} hidden neurons", fontsize=10)
    figure.colorbar(shown, ax=axes, shrink=0.8, extend="both", label="weight")
    return save(figure, path)


def digits(
    x: np.ndarray,
    labels: np.ndarray,
    answers: np.ndarray,
    title: str,
    path: str | Path,
    columns: int,
) -> Path:
    """The path of a picture of images, each over its digit (left) and the answer."""
    image = mosaic(x, columns)
    cell, inches = image.shape[1] // columns, max(0.5, 6.5 / columns)
    figure = blank(inches * columns, inches * image.shape[0] / cell + 0.3)
    axes = figure.subplots()
    axes.imshow(image, cmap="binary", vmin=0, vmax=1)
    axes.set_axis_off()
    style = {"fontsize": 8, "fontweight": "bold", "va": "bottom"}
    for i, (label, answer) in enumerate(zip(labels, answers, strict=True)):
        row, column = divmod(i, columns)
        left, bottom = column * cell, (row + 1) * cell - GAP
        axes.text(left, bottom, str(label), color=BLUE, **style)
        right = left + cell - GAP
        axes.text(right, bottom, str(answer), color=RED, ha="right", **style)
    axes.set_title(f"{title}: left the digit, right the answer", fontsize=10)
    return save(figure, path)


def confusion(matrix: np.ndarray, path: str | Path) -> Path:
    """The path of a picture of how many of each digit (row) were taken for each."""
    figure = blank(6.0, 5.6)
    axes = figure.subplots()
    errors = np.where(np.eye(len(matrix), dtype=bool), 0, matrix)
    axes.imshow(errors, cmap="Oranges", vmax=1.5 * max(1, errors.max()))
    style = {"ha": "center", "va": "center", "fontsize": 8}
    for (row, column), count in np.ndenumerate(matrix):
        weight = "bold" if row == column else "normal"
        axes.text(column, row, str(count or ""), fontweight=weight, **style)
    places = range(len(matrix))
    axes.set(xticks=places, yticks=places, xlabel="answer", ylabel="digit")
    wrong = f"{errors.sum():,} of {matrix.sum():,} wrong; errors are coloured"
    axes.set_title(wrong, fontsize=10)
    return save(figure, path)


def draw(params: jaxnet.Params, test: jaxnet.Dataset, out: Path) -> list[Path]:
    """The figures drawn into `out` of a network's weights and of its mistakes."""
    outputs = np.asarray(jax.vmap(partial(jaxnet.predict, params))(test.x))
    x, labels = np.asarray(test.x), np.asarray(test.y).argmax(axis=1)
    answers = outputs.argmax(axis=1)
    matrix = np.asarray(jaxnet.confusion_matrix(params, test))
    paths = [
        hidden_weights(np.asarray(params[0].w), out / "gallery_weights.png"),
        confusion(matrix, out / "gallery_confusion.png"),
    ]

    def gallery(name: str, rows: np.ndarray, title: str, columns: int) -> None:
        some = x[rows], labels[rows], answers[rows]
        paths.append(digits(*some, title, out / name, columns))

    wrong = np.flatnonzero(answers != labels)
    wrong = wrong[np.argsort(-outputs[wrong].max(axis=1), kind="stable")]
    shown = wrong[:200]
    if len(wrong):
        title = f"{len(shown)} of {len(wrong)} mistakes, the most confident first"
        gallery("gallery_mistakes.png", shown, title, 20)
    else:
        print(f"left out {out / 'gallery_mistakes.png'}: there are none")
    if len(x) > max(HARD_DIGITS):
        hard = np.array(HARD_DIGITS)
        correct = int((answers[hard] == labels[hard]).sum())
        title = f"Hard test images, {correct} of {len(hard)} read correctly"
        gallery("gallery_hard.png", hard, title, 9)
    else:
        why = f"expected MNIST's 10,000 test images, got {len(x)}"
        print(f"left out {out / 'gallery_hard.png'}: {why}")
    print(*(f"wrote {path}" for path in paths), sep="\n")
    return paths
