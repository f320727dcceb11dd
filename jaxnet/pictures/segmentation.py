"""A line of digits cut into single ones by trial segmentations: chapter 1.4."""

from collections.abc import Callable
from itertools import combinations, pairwise
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Num
from numpy.typing import ArrayLike

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

# Of 10,000 training images, the nearest to a test image has a cosine of 0.87 (median),
# and the nearest to a letter one of 0.74.
_UNLIKE, _ALIKE = 0.7, 0.8
_MIN_LINE = 0.4  # part of the highest line's height

# Parts of a line's height.
_THIN = 0.5  # columns with less ink may be cut
_MIN_HEIGHT, _MAX_WIDTH = 0.4, 1.6  # of a digit
_BRIDGE = 1.0  # subtracted from a piece's score for each empty place in it
_MAX_CUTS = 20  # in a digit; stripes have hundreds, and would take minutes
_FRAGMENT = 0.1  # part of a piece's largest blot that a neighbour may have left in it

Classify = Callable[[Float[np.ndarray, "k 784"]], Any]


class Piece(NamedTuple):
    """A digit found on a picture. Its box is top, left, bottom, right, ends excluded.

    The confidence is the probability that its output fires and no other, if outputs
    are independent probabilities; it is less if the image is unlike digits.
    """

    box: tuple[int, int, int, int]
    image: Float[np.ndarray, "28 28"]
    digit: int
    confidence: float
    line: int = 0


def segment(
    grey: Grey,
    classify: Classify,
    *,
    one: bool = False,
    known: Num[np.ndarray, "n 784"] | None = None,
) -> list[Piece]:
    """The digits on a picture, line by line and left to right.

    `classify` maps k images as rows to ten outputs each. A line is cut where the
    classifier is most confident, but not within an isolated shape unless it is wider
    than high, and with `one` the picture is one digit. Of all ways to cut at empty
    columns and thin places, the best one has the highest sum of scores: the log of the
    confidence in a piece times its width, less the ink that its last cut goes through,
    less 1 for each empty column inside it, since few digits have one. The confidence in
    a piece that is unlike all `known` digits, such as training images, is reduced.
    Raises DataError, a ValueError, if there is no ink or no way to cut it.
    """
    ink = find_ink(grey)
    found, pieces = [], []
    for number, band in enumerate([slice(None)] if one else _bands(ink)):
        line = np.zeros_like(ink)
        line[band] = ink[band]
        found += [(number, *part) for part in _cut_up(line, classify, one)]
    familiar = _familiarity(np.stack([image for *_, image, _ in found]), known)
    for (number, box, image, logs), part in zip(found, familiar, strict=True):
        confidence = float(np.exp(logs.max()) * part)
        pieces.append(Piece(box, image, int(logs.argmax()), confidence, number))
    return pieces


def _familiarity(images: np.ndarray, known: np.ndarray | None) -> np.ndarray:
    """From 0 for images unlike all known ones to 1, by the cosine with the nearest."""
    if known is None:
        return np.ones(len(images))
    lengths = np.linalg.norm(images, axis=(1, 2))
    cosines = images.reshape(-1, SIDE**2) @ known.T.astype(np.float32)
    cosines /= np.outer(lengths, np.linalg.norm(known.astype(np.float32), axis=1))
    nearest = cosines.max(axis=1)
    return np.interp(nearest, (_UNLIKE, _ALIKE), (0.0, 1.0))


def _bands(ink: np.ndarray) -> list[slice]:
    """The rows of each line, where what is much lower than the highest is part of one.

    It may be the bar of a 5, and belongs to the nearest line.
    """
    bands = _runs((ink > INK).any(axis=1))
    highest = max(bottom - top for top, bottom in bands)
    while len(bands) > 1:
        heights = [bottom - top for top, bottom in bands]
        low = int(np.argmin(heights))
        if heights[low] >= _MIN_LINE * highest:
            break
        gaps = [lower[0] - upper[1] for upper, lower in pairwise(bands)]
        first = min(
            range(max(0, low - 1), min(low + 1, len(gaps))), key=gaps.__getitem__
        )
        bands[first : first + 2] = [[bands[first][0], bands[first + 1][1]]]
    return [slice(top, bottom) for top, bottom in bands]


def _cut_up(page: np.ndarray, classify: Classify, one: bool) -> list[tuple[Any, ...]]:
    """The box, the image and the log confidence in each digit of the line on a page."""
    rows, columns = extent(page)
    line = page[rows, columns]
    cuts, costs = ([0, line.shape[1]], [0.0, 0.0]) if one else _cuts(line)
    spans, parts = [], []
    for (i, left), (j, right) in combinations(enumerate(cuts), 2):
        part = _plausible(line[:, left:right]) if j - i <= _MAX_CUTS else None
        if one or part is not None:
            spans.append((i, j))
            parts.append(line if part is None else part)
    images = [normalise(part, part).image for part in parts]
    inputs = np.stack([np.zeros(SIDE**2), *(image.ravel() for image in images)])
    outputs = np.asarray(classify(inputs), np.float32)[1:].clip(1e-4, 1 - 1e-4)
    others = np.log1p(-outputs)
    logs = np.log(outputs) - others + others.sum(axis=1, keepdims=True)

    # The best way to each cut: its score, and the indices of its spans.
    best: list[tuple[float, list[int]]] = [(0.0, [])] + [(-np.inf, [])] * len(cuts)
    for k, (i, j) in sorted(enumerate(spans), key=lambda span: span[1][1]):
        width = (cuts[j] - cuts[i]) / len(line)
        bridges = _BRIDGE * costs[i + 1 : j].count(0.0)
        score = best[i][0] + width * float(logs[k].max()) - costs[j] - bridges
        best[j] = max(best[j], (score, [*best[i][1], k]))
    score, path = best[len(cuts) - 1]
    if score == -np.inf:
        raise DataError("Expected a line of digits, got one that cannot be cut up.")
    found = []
    for k in path:
        y, x = extent(parts[k])
        top, left = rows.start, columns.start + cuts[spans[k][0]]
        box = (top + y.start, left + x.start, top + y.stop, left + x.stop)
        found.append((box, images[k], logs[k]))
    return found


def _cuts(line: np.ndarray) -> tuple[list[int], list[float]]:
    """Columns to cut at, both ends included, and the part of each that is ink."""
    height, width = line.shape
    profile = line.sum(axis=0) / height
    smooth = ndimage.gaussian_filter1d(profile, height / 40)
    here, before, after = smooth[1:-1], smooth[:-2], smooth[2:]
    low = (here <= before) & (here <= after) & (here < _THIN)
    middles = [(start + stop + 1) // 2 for start, stop in _runs(low)]
    shapes = [s for s in _runs((line > INK).any(axis=0)) if s[1] - s[0] <= height]
    middles = [
        m for m in middles if not any(start < m < stop for start, stop in shapes)
    ]
    costs = [0.0, *(float(profile[middle]) for middle in middles), 0.0]
    return [0, *middles, width], costs


def _runs(mask: ArrayLike) -> list[list[int]]:
    """Where each run of what is true starts and stops."""
    return np.flatnonzero(np.diff(np.pad(mask, 1).astype(int))).reshape(-1, 2).tolist()


def _plausible(part: np.ndarray) -> np.ndarray | None:
    """The ink without fragments of its neighbours, or None if it cannot be a digit."""
    if not (part > INK).any():
        return None
    part = without_specks(part, _FRAGMENT)
    rows, columns = extent(part)
    height, width = rows.stop - rows.start, columns.stop - columns.start
    valid = height > _MIN_HEIGHT * len(part) and width < _MAX_WIDTH * len(part)
    return part if valid else None
