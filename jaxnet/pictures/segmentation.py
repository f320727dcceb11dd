"""A line of digits cut into single ones by trial segmentations: chapter 1.4."""

from collections.abc import Callable
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from jaxnet.checks import require
from jaxnet.datasets.files import DataError
from jaxnet.pictures.preparing import (
    INK,
    SIDE,
    extent,
    find_ink,
    normalise,
    without_specks,
)
from jaxnet.pictures.reading import Grey

ndimage = require("scipy.ndimage", "images", "Pictures")

# Parts of a line's height.
_THIN = 0.5  # columns with less ink may be cut
_MIN_HEIGHT, _MAX_WIDTH = 0.4, 1.3  # of a digit
_BRIDGE = 1.0  # subtracted from a piece's score for each empty place in it
_MAX_CUTS = 20  # in a digit; stripes have hundreds, and would take minutes
_FRAGMENT = 0.1  # part of a piece's largest blot that a neighbour may have left in it

Classify = Callable[[Float[np.ndarray, "k 784"]], Any]


class Piece(NamedTuple):
    """A digit found on a picture. Its box is top, left, bottom, right, ends excluded.

    The confidence is the probability that its output fires and no other, if outputs
    are independent probabilities.
    """

    box: tuple[int, int, int, int]
    image: Float[np.ndarray, "28 28"]
    digit: int
    confidence: float


def segment(grey: Grey, classify: Classify) -> list[Piece]:
    """The digits in a line, left to right, cut where the classifier is most confident.

    `classify` maps k images as rows to ten outputs each. Of all ways to cut at empty
    columns and thin places, the best one has the highest sum of scores: the log of the
    confidence in a piece times its width, less the ink that its last cut goes through,
    less 1 for each empty column inside it, since few digits have one.
    Raises DataError, a ValueError, if there is no ink or no way to cut it.
    """
    ink = find_ink(grey)
    rows, columns = extent(ink)
    line = ink[rows, columns]
    cuts, costs = _cuts(line)
    spans, parts = [], []
    for (i, left), (j, right) in combinations(enumerate(cuts), 2):
        part = _plausible(line[:, left:right]) if j - i <= _MAX_CUTS else None
        if part is not None:
            spans.append((i, j))
            parts.append((part, normalise(part, part).image))
    images = np.stack([np.zeros(SIDE**2), *(image.ravel() for _, image in parts)])
    outputs = np.asarray(classify(images), np.float32)[1:].clip(1e-4, 1 - 1e-4)
    others = np.log1p(-outputs)
    logs = (np.log(outputs) - others).max(axis=1) + others.sum(axis=1)

    # The best way to each cut: its score, and the indices of its spans.
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
    """Columns to cut at, both ends included, and the part of each that is ink."""
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
    """The ink without fragments of its neighbours, or None if it cannot be a digit."""
    if not (part > INK).any():
        return None
    part = without_specks(part, _FRAGMENT)
    rows, columns = extent(part)
    height, width = rows.stop - rows.start, columns.stop - columns.start
    valid = height > _MIN_HEIGHT * len(part) and width < _MAX_WIDTH * len(part)
    return part if valid else None
