"""A figure to draw on, the file it is saved to, and images side by side."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Num

from jaxnet.checks import require
from jaxnet.experiments import StorageError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe and Ito's palette, which colour-blind readers can tell apart.
BLUE, RED, GREEN, YELLOW = "#0072B2", "#D55E00", "#009E73", "#E69F00"


def blank(width: float, height: float) -> "Figure":
    """An empty figure of this size in inches.

    Raises ModuleNotFoundError if matplotlib is missing.
    """
    matplotlib = require("matplotlib.figure", "figures", "Figures")
    return matplotlib.Figure(figsize=(width, height), layout="constrained")


def save(figure: "Figure", path: str | Path) -> Path:
    """The path that the figure was written to; missing folders are created."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # it is drawn as a box
        figure.savefig(path, dpi=150)
    return path


def check_can_save(path: str | Path) -> None:
    """Check, before any work is done, that `save` will be able to write this file.

    Raises ModuleNotFoundError if matplotlib is missing, and StorageError if it has no
    format for the path's ending.
    """
    formats = blank(1.0, 1.0).canvas.get_supported_filetypes()
    if Path(path).suffix.removeprefix(".").lower() not in formats:
        raise StorageError(
            f"{path}: expected a picture's file, such as .png, .svg or .pdf, got "
            f"{Path(path).suffix or 'no ending'!r}."
        )


def images(
    rows: Sequence[Num[np.ndarray, "_ _"]],
    titles: Sequence[str],
    path: str | Path,
) -> Path:
    """The path of a picture of grey images side by side, ink in black, with titles."""
    figure = blank(1.3 * len(rows), 1.6)
    for axes, image, title in zip(
        figure.subplots(1, len(rows), squeeze=False).flat, rows, titles, strict=True
    ):
        axes.imshow(image, cmap="binary", vmin=0, vmax=1)
        axes.set_title(title, fontsize=9)
        axes.set(xticks=[], yticks=[])
    return save(figure, path)
