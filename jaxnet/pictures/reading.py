"""The grey levels in a picture file, of any colours."""

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped

from jaxnet.datasets.files import DataError, opened_picture, pillow

MIN_CONTRAST = 10.0  # grey levels between paper and ink
_MAX_SIDE = 1600  # digits need far fewer pixels

Grey = Shaped[np.ndarray, "rows columns"]


def read_picture(path: str | Path) -> Float[np.ndarray, "rows columns"]:
    """The levels in a picture, 0 to 255, of the colour channel with most contrast.

    It is turned upright, what is transparent is paper, and a side longer than 1600
    pixels is reduced to that.
    Raises DataError, a ValueError, for a file that is not a PNG, JPEG, GIF, BMP, TIFF,
    WebP or PPM picture, is broken, has several pages or above 64 million pixels, or is
    all of one level.
    """
    with opened_picture(path) as picture:
        if picture.format != "MPO" and getattr(picture, "n_frames", 1) > 1:
            raise ValueError(f"{picture.n_frames} pictures in one file")
        grey = _levels(picture)
    if np.ptp(grey) < MIN_CONTRAST:
        raise DataError(f"{path}: expected ink on paper, got a blank picture.")
    return grey


def _levels(picture: Any) -> Float[np.ndarray, "rows columns"]:
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
    picture.thumbnail((_MAX_SIDE, _MAX_SIDE))
    if picture.mode == "F":
        return np.asarray(picture)
    *colours, alpha = np.moveaxis(np.asarray(picture, np.float32), 2, 0)
    return max((_on_paper(colour, alpha / 255) for colour in colours), key=np.std)


def _on_paper(levels: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """The levels where they are opaque, and the level of paper elsewhere."""
    visible = levels[alpha > 0.5]
    if 2 * visible.size > alpha.size:
        paper = np.median(visible)
    else:  # what is drawn on a transparent background is ink
        paper = 255 if visible.size == 0 or visible.mean() < 128 else 0
    return levels * alpha + np.float32(paper) * (1 - alpha)
