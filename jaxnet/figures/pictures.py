"""How pictures of digits were read."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from jaxnet.figures.canvas import blank, images, save

if TYPE_CHECKING:
    from jaxnet.pictures import Piece, Stages


def stages(found: "Stages", path: str | Path) -> Path:
    """The path of a drawing of the stages of `pictures.prepare`, side by side."""
    titles = ("picture", "ink", "cropped", "in 20 x 20", "in 28 x 28")
    return images([1 - found.grey / 255, *found[1:]], titles, path)


def pieces(grey: np.ndarray, found: "Sequence[Piece]", path: str | Path) -> Path:
    """The path of a drawing of a picture, its pieces, and what each was read as."""
    figure = blank(max(4.0, 1.3 * len(found)), 3.4)
    grid = figure.add_gridspec(2, len(found), height_ratios=[1.3, 1])
    whole = figure.add_subplot(grid[0, :])
    whole.imshow(grey, cmap="gray", vmin=0, vmax=255)
    tops, lefts, bottoms, rights = zip(*(piece.box for piece in found), strict=True)
    top, bottom = min(tops), max(bottoms)
    margin = (bottom - top) / 3  # farther away there is only paper
    height, width = grey.shape
    whole.set_xlim(max(0, min(lefts) - margin), min(width, max(rights) + margin))
    whole.set_ylim(min(height, bottom + margin), max(0, top - margin))
    whole.set(xticks=[], yticks=[])
    for k, piece in enumerate(found):
        top, left, bottom, right = (edge - 0.5 for edge in piece.box)
        outline = [left, right, right, left, left], [top, top, bottom, bottom, top]
        whole.plot(*outline, color=f"C{k}")
        axes = figure.add_subplot(grid[1, k])
        axes.imshow(piece.image, cmap="binary", vmin=0, vmax=1)
        axes.set_title(f"{piece.digit}, {piece.confidence:.0%} sure", fontsize=9)
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_color(f"C{k}")
    return save(figure, path)
