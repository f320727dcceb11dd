"""Pictures of digits brought to MNIST's form: chapters 1.4 and 1.5.

MNIST's digits are light on black, fill a box of 20 x 20 pixels, and have their centre
of mass at the centre of 28 x 28. This needs Pillow (the extra `images`).
"""

import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Shaped
from scipy import ndimage

from jaxnet import figures
from jaxnet.datasets import DataError
from jaxnet.readers import pillow

SIDE, BOX = 28, 20
_FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM")
_MOST_PIXELS = 64_000_000  # above most phones'; 256 MB with four bytes each
_LONGEST = 1600  # digits need far fewer pixels
_LEAST_CONTRAST = 10.0  # grey levels between paper and ink
_PAPER, INK = 0.3, 0.25  # parts of the ink's depth: surely paper below, ink above
_SPECK = 0.05  # part of the largest blot
_THINNEST, _USUAL = 1.9, 2.4  # pixels of the box; the median of MNIST's strokes
_FINE = 160  # pixels, at which edges and strokes are smooth

Grey = Shaped[np.ndarray, "rows columns"]


class Stages(NamedTuple):
    """A picture on its way to MNIST's form; all but `grey` have ink 1 on paper 0."""

    grey: Grey
    ink: Float[np.ndarray, "rows columns"]
    crop: Float[np.ndarray, "height width"]
    box: Float[np.ndarray, "box_height box_width"]
    image: Float[np.ndarray, "28 28"]


def read_picture(path: str | Path) -> Float[np.ndarray, "rows columns"]:
    """The levels in a picture, 0 to 255, of the colour channel with most contrast.

    It is turned upright, what is transparent is paper, and a side longer than 1600
    pixels is reduced to that.
    Raises DataError, a ValueError, for a file that is no PNG, JPEG, GIF, BMP, TIFF,
    WebP or PPM picture, is broken, has above 64 million pixels, or is all of one level.
    """
    path, images = Path(path), pillow()
    try:
        if path.exists() and not path.is_file():  # reading a pipe might never end
            raise ValueError("not a file")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd metadata; sizes are checked here
            with images.open(path, formats=_FORMATS) as picture:
                width, height = picture.size
                if width * height > _MOST_PIXELS:
                    raise ValueError(f"{width} x {height}, above {_MOST_PIXELS} pixels")
                grey = _levels(picture)
    except Exception as error:  # what decoders raise for broken files is not listed
        reason = getattr(error, "strerror", None) or error
        raise DataError(
            f"{path}: expected a picture ({', '.join(_FORMATS)}), got: {reason}."
        ) from error
    if np.ptp(grey) < _LEAST_CONTRAST:
        raise DataError(f"{path}: expected ink on paper, got a blank picture.")
    return grey


def _levels(picture: Any) -> np.ndarray:
    from PIL import ImageOps

    picture = ImageOps.exif_transpose(picture)
    if picture.mode[0] in "IF":  # numbers of any range
        levels = np.asarray(picture, np.float32)
        if not np.isfinite(levels).all():
            raise ValueError("pixels that are not finite")
        levels = levels - levels.min()
        levels = levels * np.float32(255 / max(float(levels.max()), 1e-30))
        picture = pillow().fromarray(levels)
    else:
        picture = picture.convert("RGBA")
    picture.thumbnail((_LONGEST, _LONGEST))
    if picture.mode == "F":
        return np.asarray(picture)
    *colours, alpha = np.moveaxis(np.asarray(picture, np.float32), 2, 0)
    return max((_on_paper(colour, alpha / 255) for colour in colours), key=np.std)


def _on_paper(levels: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    visible = levels[alpha > 0.5]
    if 2 * visible.size > alpha.size:
        paper = np.median(visible)
    else:  # what is drawn on nothing is ink
        paper = 255 if visible.size == 0 or visible.mean() < 128 else 0
    return levels * alpha + np.float32(paper) * (1 - alpha)


def prepare(grey: Grey) -> Stages:
    """A picture of one digit in MNIST's form, by stages, of which `image` is the last.

    Levels go from 0 to 255, and paper is what the border is. Uneven light is taken out
    by a quadratic surface; specks are dropped, and thin or thick strokes made less so.
    Raises DataError, a ValueError, if there is no ink.
    """
    return normalise(grey, find_ink(grey))


def find_ink(grey: Grey) -> Float[np.ndarray, "rows columns"]:
    """Where ink is on a picture, 1 at the core of strokes, and 0 on paper.

    Raises DataError, a ValueError, if there is none.
    """
    levels = np.asarray(grey, np.float32)
    if levels.ndim != 2 or levels.size == 0 or not np.isfinite(levels).all():
        raise DataError(
            f"Expected finite levels in rows and columns, got shape {levels.shape}."
        )
    border = (levels[0], levels[-1], levels[:, 0], levels[:, -1])
    depth = np.median(np.concatenate(border)) - levels
    if np.sum(depth.clip(0) ** 2) < np.sum(depth.clip(max=0) ** 2):
        depth = -depth
    paper = depth <= _PAPER * _full(depth)
    for _ in range(3):
        depth = depth - _surface(depth, paper)
        paper = depth <= _PAPER * _full(depth)
    full = _full(depth)
    noise = 1.5 * float(np.median(np.abs(depth[paper])))  # about one sigma
    if full < max(_LEAST_CONTRAST, 6 * noise):
        raise DataError("Expected ink on paper, got a blank picture.")
    ink = np.where(depth > max(4 * noise, 0.02 * full), depth / full, 0).clip(0, 1)
    return without_specks(ink, _SPECK)


def _full(depth: np.ndarray) -> float:
    """The depth of ink at the core of strokes, with no regard to single pixels."""
    top = ndimage.uniform_filter(depth, 3).max()
    return float(np.percentile(depth[depth > top / 2], 90)) if top > 0 else 0.0


def _surface(depth: np.ndarray, paper: np.ndarray) -> np.ndarray:
    """The quadratic surface nearest to the depth of the paper."""
    r, c = (np.linspace(-1, 1, n, dtype=np.float32) for n in depth.shape)
    r, c = np.broadcast_arrays(r[:, np.newaxis], c)
    terms = np.stack([np.ones_like(r), r, c, r * r, r * c, c * c], axis=-1)
    stride = 1 + depth.size // 20_000
    few, heights = terms[paper][::stride], depth[paper][::stride]
    return terms @ np.linalg.lstsq(few, heights, rcond=1e-3)[0]


def without_specks(
    ink: Float[np.ndarray, "rows columns"], least: float
) -> Float[np.ndarray, "rows columns"]:
    """The blots with at least so much of the largest one's ink."""
    labels = np.zeros(ink.shape, np.int32)
    ndimage.label(ink > 0, np.ones((3, 3)), labels)
    masses = np.bincount(labels.ravel(), (ink * (ink > INK)).ravel())
    return np.where(masses[labels] >= least * masses.max(), ink, 0)


def normalise(grey: Grey, ink: Float[np.ndarray, "rows columns"]) -> Stages:
    """The stages from the ink found on a picture, without paper, to MNIST's form."""
    crop = _redrawn(ink[extent(ink)])
    scale = BOX / max(crop.shape)
    height, width = (max(1, round(scale * n)) for n in crop.shape)
    how = pillow().Resampling.BOX if scale < 1 else pillow().Resampling.BILINEAR
    box = np.asarray(pillow().fromarray(crop).resize((width, height), how))
    box = np.round(255 * box.clip(0) / box.max()) / np.float32(256)
    image = np.zeros((SIDE, SIDE), np.float32)
    down, right = _start(box.sum(axis=1)), _start(box.sum(axis=0))
    image[down : down + height, right : right + width] = box
    return Stages(grey, ink, crop, box, image)


def extent(ink: Float[np.ndarray, "rows columns"]) -> tuple[slice, slice]:
    """The rows and the columns that have ink."""
    places = np.nonzero(ink > INK)
    rows, columns = (slice(int(p.min()), int(p.max()) + 1) for p in places)
    return rows, columns


def _start(masses: np.ndarray) -> int:
    """Where a box begins so that its centre of mass is within half a pixel of 14."""
    centre = np.arange(len(masses)) @ masses / masses.sum()
    return int(np.clip(np.ceil(SIDE / 2 - 0.5 - centre), 0, SIDE - len(masses)))


def _redrawn(crop: np.ndarray) -> np.ndarray:
    """The crop, its strokes half as far from MNIST's usual width as they were.

    Half, since MNIST's own pens differ as much as others do.
    """
    if max(crop.shape) <= BOX:  # too coarse to tell
        return crop
    scale = max(1.0, _FINE / max(crop.shape))
    height, width = (round(scale * n) for n in crop.shape)
    how = pillow().Resampling.BICUBIC
    fine = np.asarray(pillow().fromarray(crop).resize((width, height), how))
    length = max(fine.shape)
    fine = np.pad(fine, 1 + length // 20)
    strokes = fine > fine.max() / 2
    inside, outside = (
        np.asarray(ndimage.distance_transform_edt(part), np.float32)
        for part in (strokes, ~strokes)
    )
    # In a stroke of w pixels the mean distance to the nearest of paper is (w + 2) / 4.
    before = (4 * float(inside[strokes].mean()) - 2) * BOX / length
    after = max((before + _USUAL) / 2, _THINNEST)
    wider = np.float32((after - before) / 2 * length / BOX)  # on either side
    edge = (np.where(strokes, inside, 1 - outside) + wider).clip(0, 1)
    redrawn = (np.maximum if wider > 0 else np.minimum)(fine, edge).clip(0, 1)
    return redrawn[extent(redrawn)]


def show(stages: Stages, path: str | Path) -> Path:
    """Draw the stages of `prepare` side by side; the drawing's path is returned."""
    titles = ("picture", "ink", "cropped", "in 20 x 20", "in 28 x 28")
    return figures.images([1 - stages.grey / 255, *stages[1:]], titles, path)
