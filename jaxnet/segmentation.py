"""A line of digits cut into single ones by trial segmentations: chapter 1.4."""

from collections.abc import Callable, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import ndimage

from jaxnet.datasets import DataError
from jaxnet.figures.canvas import blank, save
from jaxnet.handwriting import (
    INK,
    SIDE,
    Grey,
    extent,
    find_ink,
    normalise,
    without_specks,
)

_THIN = 0.5  # part of a line's height: columns with less ink may be cut
_LOWEST, _WIDEST = 0.4, 1.3  # parts of a line's height: what a digit may be
_BRIDGE = 1.0  # what a piece loses of its score for each empty place in it
_MOST_CUTS = 20  # that a digit has in it; stripes have hundreds, and would take minutes
_FRAGMENT = 0.1  # part of a piece's largest blot: what a neighbour may have left

Classify = Callable[[Float[np.ndarray, "k 784"]], Any]


class Piece(NamedTuple):
    """A digit found on a picture. Its box is top, left, bottom, right, ends excluded.

    The confidence is that its output fires and no other, were the outputs chances.
    """

    box: tuple[int, int, int, int]
    image: Float[np.ndarray, "28 28"]
    digit: int
    confidence: float


def segment(grey: Grey, classify: Classify) -> list[Piece]:
    """The digits in a line from left to right, cut as the classifier is surest of them.

    `classify` maps k images as rows to ten outputs each. Of all ways to cut at empty
    columns and thin places, the one is taken whose pieces score best: the log of the
    confidence in a piece times its width, less the ink that its last cut goes through,
    and less 1 for each empty column in it, where few digits have one.
    Raises DataError, a ValueError, if there is no ink or no way to cut it.
    """
    ink = find_ink(grey)
    rows, columns = extent(ink)
    line = ink[rows, columns]
    cuts, costs = _cuts(line)
    spans, parts = [], []
    for (i, left), (j, right) in combinations(enumerate(cuts), 2):
        part = _plausible(line[:, left:right]) if j - i <= _MOST_CUTS else None
        if part is not None:
            spans.append((i, j))
            parts.append((part, normalise(part, part).image))
    images = np.stack([np.zeros(SIDE**2), *(image.ravel() for _, image in parts)])
    outputs = np.asarray(classify(images), np.float32)[1:].clip(1e-4, 1 - 1e-4)
    others = np.log1p(-outputs)
    logs = (np.log(outputs) - others).max(axis=1) + others.sum(axis=1)

    # The best way up to each cut: its score, and its spans by number.
    best: list[tuple[float, list[int]]] = [(0.0, [])] + [(-np.inf, [])] * len(cuts)
    for k, (i, j) in sorted(enumerate(spans), key=lambda span: span[1][1]):
        width = (cuts[j] - cuts[i]) / len(line)
        bridges = _BRIDGE * costs[i + 1 : j].count(0.0)
        score = best[i][0] + width * float(logs[k]) - costs[j] - bridges
        best[j] = max(best[j], (score, [*best[i][1], k]))
    score, path = best[len(cuts) - 1]
    if score == -np.inf:
        raise DataError("Expected a line of digits, got one that cannot be cut up.")
    pieces = []
    for k in path:
        (part, image), top, left = parts[k], rows.start, columns.start
        y, x = extent(part)
        left += cuts[spans[k][0]]
        box = (top + y.start, left + x.start, top + y.stop, left + x.stop)
        digit, confidence = int(outputs[k].argmax()), float(np.exp(logs[k]))
        pieces.append(Piece(box, image, digit, confidence))
    return pieces


def _cuts(line: np.ndarray) -> tuple[list[int], list[float]]:
    """Columns to cut at, with both ends, and the ink in each by the line's height."""
    height, width = line.shape
    profile = line.sum(axis=0) / height
    smooth = ndimage.gaussian_filter1d(profile, height / 40)
    here, before, after = smooth[1:-1], smooth[:-2], smooth[2:]
    low = (here <= before) & (here <= after) & (here < _THIN)
    edges = np.flatnonzero(np.diff(np.pad(low, 1).astype(int)))
    middles = [int(middle) for middle in (edges[::2] + edges[1::2] + 1) // 2]
    costs = [0.0, *(float(profile[middle]) for middle in middles), 0.0]
    return [0, *middles, width], costs


def _plausible(part: np.ndarray) -> np.ndarray | None:
    """The ink without bits of its neighbours, or None if no digit has its form."""
    if not (part > INK).any():
        return None
    part = without_specks(part, _FRAGMENT)
    rows, columns = extent(part)
    tall, wide = rows.stop - rows.start, columns.stop - columns.start
    right = tall > _LOWEST * len(part) and wide < _WIDEST * len(part)
    return part if right else None


def show_pieces(grey: Grey, pieces: Sequence[Piece], path: str | Path) -> Path:
    """Draw a picture, its pieces and what they were taken for; return the path."""
    figure = blank(max(4.0, 1.3 * len(pieces)), 3.4)
    grid = figure.add_gridspec(2, len(pieces), height_ratios=[1.3, 1])
    whole = figure.add_subplot(grid[0, :])
    whole.imshow(grey, cmap="gray", vmin=0, vmax=255)
    tops, lefts, bottoms, rights = zip(*(piece.box for piece in pieces), strict=True)
    top, bottom = min(tops), max(bottoms)
    margin = (bottom - top) / 3  # farther away is empty paper
    height, width = grey.shape
    whole.set_xlim(max(0, min(lefts) - margin), min(width, max(rights) + margin))
    whole.set_ylim(min(height, bottom + margin), max(0, top - margin))
    whole.set(xticks=[], yticks=[])
    for k, piece in enumerate(pieces):
        top, left, bottom, right = (edge - 0.5 for edge in piece.box)
        outline = [left, right, right, left, left], [top, top, bottom, bottom, top]
        whole.plot(*outline, color=f"C{k}")
        axes = figure.add_subplot(grid[1, k])
        axes.imshow(piece.image, cmap="binary", vmin=0, vmax=1)
        axes.set_title(f"{piece.digit}, {piece.confidence:.0%} sure", fontsize=9)
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_color(f"C{k}")
    return save(figure, path)
