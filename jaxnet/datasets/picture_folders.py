"""Folders with one folder of pictures for each class; they need Pillow (`images`)."""

import os
import re
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from jaxnet.datasets.arrays import Labels
from jaxnet.datasets.files import PICTURE_FORMATS, DataError, opened_picture

_MAX_PIXELS = 2**30
_MODES = ("1", "L", "P", "LA", "PA", "RGB", "RGBA", "CMYK", "YCbCr")  # of 8 bits
_SUFFIXES = {f".{name.lower()}" for name in (*PICTURE_FORMATS, "jpg", "tif", "pgm")}


def read_folder(path: str | Path) -> tuple[UInt8[np.ndarray, "n rows columns"], Labels]:
    """The grey levels of the pictures in the `class_folders`, and their labels.

    Raises DataError, a ValueError, naming the file or folder.
    """
    paths, labels = [], []
    for label, folder in enumerate(class_folders(path)):
        inside = [p for p in sorted(folder.iterdir()) if p.name[0] != "."]
        if not inside:
            raise DataError(f"{folder}: expected pictures, got none. Remove it?")
        paths += inside
        labels += [label] * len(inside)
    first, n = _levels(paths[0]), len(paths)
    if n * first.size > _MAX_PIXELS:
        raise DataError(
            f"{path}: expected at most {_MAX_PIXELS} pixels in all, got {n} x "
            f"{first.size}. Make the pictures smaller."
        )
    images = np.empty((n, *first.shape), np.uint8)
    for i, each in enumerate(paths):
        levels = _levels(each)
        if levels.shape != first.shape:
            expected, got = (" x ".join(map(str, a.shape)) for a in (first, levels))
            raise DataError(
                f"{each}: expected {expected} pixels as in {paths[0]}, got {got}. "
                "Bring all pictures to one size."
            )
        images[i] = levels
    return images, np.array(labels)


def class_folders(path: str | Path) -> list[Path]:
    """The folders of pictures of each class, in the order of the labels 0, 1, ...

    They are sorted by name, or by number if all names are numbers.
    Raises DataError, a ValueError, if there are none, or pictures outside them.
    """
    path = Path(path)
    entries = path.iterdir() if os.path.isdir(path) else ()
    visible = [p for p in entries if p.name[0] != "."]
    folders = [p for p in visible if p.is_dir()]
    if not folders:
        got = ", ".join(sorted(p.name for p in visible)[:5])
        raise DataError(
            f"{path}: expected a folder of pictures per class, got {got or 'none'}."
        )
    for each in visible:
        if each.suffix.lower() in _SUFFIXES and each not in folders:
            raise DataError(f"{each}: expected each picture in its class's folder.")
    numbers = all(re.fullmatch("[0-9]{1,18}", p.name) for p in folders)
    return sorted(folders, key=lambda p: (int(p.name) if numbers else 0, p.name))


def _levels(path: Path) -> UInt8[np.ndarray, "rows columns"]:
    with opened_picture(path) as picture:
        from PIL import ImageOps

        if picture.mode not in _MODES:
            raise ValueError(f"pixels of mode {picture.mode}, not of 8 bits")
        if getattr(picture, "n_frames", 1) > 1:
            raise ValueError(f"{picture.n_frames} pictures in one file")
        picture = ImageOps.exif_transpose(picture)
        if picture.has_transparency_data:
            alpha = picture.convert("RGBA").getchannel("A")
            if np.asarray(alpha).min() < 255:
                raise ValueError("transparent pixels, which may be ink or paper")
        return np.asarray(picture.convert("L"))
