"""A picture of a digit in MNIST's form.

MNIST's digits are light on black, fill a box of 20 x 20 pixels, and have their centre
of mass at the centre of 28 x 28.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from jaxnet.checks import require
from jaxnet.datasets.files import DataError, pillow
from jaxnet.pictures.reading import MIN_CONTRAST, Grey

ndimage = require("scipy.ndimage", "images", "Pictures")

SIDE, BOX = 28, 20
INK, _PAPER = 0.25, 0.3  # parts of the ink's depth: ink above, certainly paper below
_PHOTO = 40  # pixels of a side, below which nothing is taken for a shadow or a line
_SHADOWED = 0.25  # part of a picture's border that is not level if there is a shadow,
_UNEVEN = 0.12  # which is a larger part of the ink's depth
_WIDEST = 0.25  # stroke, as part of a picture with a shadow
_LONG, _SLOPE, _THIN = 0.9, 0.015, 0.05  # lines on paper, as parts of the picture
_FRAMED = 0.4  # part of a frame's height that is not empty inside it
_MIN_SPECK = 0.05  # part of the largest blot's ink, below which a blot is a speck
_MIN_STROKE, _USUAL_STROKE = 1.9, 2.4  # pixels of the box; the median of MNIST's
_FINE = 160  # pixels of a side at which edges and strokes are smooth

Ink = Float[np.ndarray, "rows columns"]


class Stages(NamedTuple):
    """A picture on its way to MNIST's form; all but `grey` have ink 1 on paper 0."""

    grey: Grey
    ink: Ink
    crop: Float[np.ndarray, "height width"]
    box: Float[np.ndarray, "box_height box_width"]
    image: Float[np.ndarray, "28 28"]


def prepare(grey: Grey) -> Stages:
    """A picture of one digit in MNIST's form, by stages, of which `image` is the last.

    Levels go from 0 to 255, and the border is paper. A quadratic surface compensates
    for uneven light, specks are removed, and thin or thick strokes are corrected.
    Raises DataError, a ValueError, if there is no ink.
    """
    return normalise(grey, find_ink(grey))


def find_ink(grey: Grey) -> Ink:
    """Where ink is on a picture, 1 at the core of strokes, and 0 on paper.

    Long thin lines from edge to edge, frames, and specks are paper.
    Raises DataError, a ValueError, if there is none.
    """
    levels = np.asarray(grey, np.float32)
    if levels.ndim != 2 or levels.size == 0 or not np.isfinite(levels).all():
        raise DataError(
            f"Expected finite levels in rows and columns, got shape {levels.shape}."
        )
    depth = np.median(_border(levels)) - levels
    if np.sum(depth.clip(0) ** 2) < np.sum(depth.clip(max=0) ** 2):
        depth = -depth
    depth, paper = _levelled(depth)
    is_photo = min(levels.shape) >= _PHOTO
    if (
        is_photo
        and np.mean(np.abs(_border(depth)) > _UNEVEN * _core_depth(depth)) > _SHADOWED
    ):
        depth, paper = _levelled(_depth_in_shadow(levels))
    core = _core_depth(depth)
    noise = 1.5 * float(np.median(np.abs(depth[paper])))  # about one sigma
    if core < max(MIN_CONTRAST, 6 * noise):
        raise DataError("Expected ink on paper, got a blank picture.")
    ink = np.where(depth > max(4 * noise, 0.02 * core), depth / core, 0).clip(0, 1)
    if is_photo:
        strokes = np.where(_lines(ink > 0) | _lines(ink.T > 0).T, 0, ink)
        ink = strokes if (strokes > INK).any() else ink
    return _without_frames(without_specks(ink, _MIN_SPECK))


def _border(levels: np.ndarray) -> np.ndarray:
    return np.concatenate((levels[0], levels[-1], levels[:, 0], levels[:, -1]))


def _levelled(depth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The depth above the surface of the paper, and where there is paper."""
    paper = depth <= _PAPER * _core_depth(depth)
    for _ in range(3):
        depth = depth - _fitted_surface(depth, paper)
        paper = depth <= _PAPER * _core_depth(depth)
    return depth, paper


def _depth_in_shadow(levels: np.ndarray) -> np.ndarray:
    """How much darker, or lighter, strokes are than what is on both sides of them."""
    size = max(3, int(_WIDEST * min(levels.shape)) | 1)
    smooth = np.pad(ndimage.median_filter(levels, 3), size, mode="edge")
    inside = (slice(size, -size), slice(size, -size))
    light = ndimage.grey_closing(smooth, (size, size))[inside]
    dark = ndimage.grey_opening(smooth, (size, size))[inside]
    if np.abs(np.diff(dark)).sum() < np.abs(np.diff(light)).sum():  # that is the paper
        return levels - dark
    return 255 * (light - levels) / np.maximum(light, 32)


def _lines(dark: np.ndarray) -> np.ndarray:
    """Thin, nearly level lines from edge to edge, less the strokes that cross them."""
    length = int(_LONG * dark.shape[1]) | 1
    slack = 2 * int(_SLOPE * length) + 3
    near = ndimage.maximum_filter(dark, (slack, 3))
    near = ndimage.minimum_filter1d(near, length, axis=1)
    long = ndimage.maximum_filter1d(near, length, axis=1) & dark
    if not long.any():
        return long
    runs, _ = ndimage.label(dark, [[0, 1, 0]] * 3)
    sizes = np.bincount(runs.ravel())
    thickness, usual = sizes[runs], np.median(sizes[np.unique(runs[long])])
    if usual > max(2.0, _THIN * min(dark.shape)):
        return np.zeros_like(dark)
    return long & (thickness <= 1.5 * usual + 1)


def _without_frames(ink: Ink) -> Ink:
    """The ink without what encloses most of its own height of other ink."""
    labels, _ = ndimage.label(ink > 0, np.ones((3, 3)))
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        frame = labels[box] == number
        inside = ndimage.binary_fill_holes(frame) & (labels[box] > 0) & ~frame
        if np.count_nonzero(inside.any(axis=1)) > _FRAMED * len(frame):
            ink = np.where(labels == number, 0, ink)
    return ink


def _core_depth(depth: np.ndarray) -> float:
    """The depth of ink at the core of strokes, robust against single pixels."""
    top = ndimage.uniform_filter(depth, 3).max()
    return float(np.percentile(depth[depth > top / 2], 90)) if top > 0 else 0.0


def _fitted_surface(depth: np.ndarray, paper: np.ndarray) -> np.ndarray:
    """The quadratic surface that fits the depth of the paper best."""
    r, c = (np.linspace(-1, 1, n, dtype=np.float32) for n in depth.shape)
    r, c = np.broadcast_arrays(r[:, np.newaxis], c)
    terms = np.stack([np.ones_like(r), r, c, r * r, r * c, c * c], axis=-1)
    stride = 1 + depth.size // 20_000
    few, heights = terms[paper][::stride], depth[paper][::stride]
    return terms @ np.linalg.lstsq(few, heights, rcond=1e-3)[0]


def without_specks(ink: Ink, minimum: float) -> Ink:
    """The blots with at least this part of the largest one's ink."""
    labels = np.zeros(ink.shape, np.int32)
    ndimage.label(ink > 0, np.ones((3, 3)), labels)
    masses = np.bincount(labels.ravel(), (ink * (ink > INK)).ravel())
    return np.where(masses[labels] >= minimum * masses.max(), ink, 0)


def normalise(grey: Grey, ink: Ink) -> Stages:
    """The stages from the ink found on a picture to MNIST's form."""
    crop = _with_usual_strokes(ink[extent(ink)])
    scale = BOX / max(crop.shape)
    height, width = (max(1, round(scale * n)) for n in crop.shape)
    box = _resized(crop, height, width, "BOX" if scale < 1 else "BILINEAR")
    box = np.round(255 * box.clip(0) / box.max()) / np.float32(256)
    image = np.zeros((SIDE, SIDE), np.float32)
    down, right = _offset(box.sum(axis=1)), _offset(box.sum(axis=0))
    image[down : down + height, right : right + width] = box
    return Stages(grey, ink, crop, box, image)


def _resized(ink: np.ndarray, height: int, width: int, filter: str) -> np.ndarray:
    image = pillow()
    resampling = image.Resampling[filter]
    return np.asarray(image.fromarray(ink).resize((width, height), resampling))


def extent(ink: Ink) -> tuple[slice, slice]:
    """The rows and the columns that have ink."""
    places = np.nonzero(ink > INK)
    rows, columns = (slice(int(p.min()), int(p.max()) + 1) for p in places)
    return rows, columns


def _offset(masses: np.ndarray) -> int:
    """Where a box begins so that its centre of mass is within half a pixel of 14."""
    centre = np.arange(len(masses)) @ masses / masses.sum()
    return int(np.clip(np.ceil(SIDE / 2 - 0.5 - centre), 0, SIDE - len(masses)))


def _with_usual_strokes(crop: np.ndarray) -> np.ndarray:
    """The crop with strokes half as far from MNIST's usual width, as pens differ."""
    if max(crop.shape) <= BOX:  # too coarse to measure strokes
        return crop
    scale = max(1.0, _FINE / max(crop.shape))
    height, width = (round(scale * n) for n in crop.shape)
    fine = _resized(crop, height, width, "BICUBIC")
    length = max(fine.shape)
    fine = np.pad(fine, 1 + length // 20)
    strokes = fine > fine.max() / 2
    inside, outside = (
        np.asarray(ndimage.distance_transform_edt(part), np.float32)
        for part in (strokes, ~strokes)
    )
    # In a stroke of w pixels the mean distance to the nearest paper is (w + 2) / 4.
    before = (4 * float(inside[strokes].mean()) - 2) * BOX / length
    after = max((before + _USUAL_STROKE) / 2, _MIN_STROKE)
    wider = np.float32((after - before) / 2 * length / BOX)  # on each side
    edge = (np.where(strokes, inside, 1 - outside) + wider).clip(0, 1)
    changed = (np.maximum if wider > 0 else np.minimum)(fine, edge).clip(0, 1)
    return changed[extent(changed)]
