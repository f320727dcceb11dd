"""Pictures and folders of them, changed at random, and what may be in their place."""

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from jaxnet import handwriting
from jaxnet.owndata import load_data
from tests.hostile import Case
from tests.mutations import Draw, mutated, mutated_png, pick


def pictures_bytes() -> list[bytes]:
    """Small pictures of all formats and modes, some with frames or an orientation."""
    levels = np.arange(240, dtype=np.uint8).reshape(12, 20)
    grey, found, turned = Image.fromarray(levels), [], Image.Exif()
    turned[0x112] = 6
    cases: list[tuple[Image.Image, str, dict]] = [
        (grey, kind, {})
        for kind in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM")
    ]
    cases += [(grey.convert(mode), "PNG", {}) for mode in ("1", "P", "LA", "RGBA")]
    for dtype in (np.uint16, np.int32, np.float32):
        cases.append((Image.fromarray(levels.astype(dtype)), "TIFF", {}))
    cases.append((Image.fromarray(levels.astype(np.uint16)), "PNG", {}))
    cases.append((grey.convert("CMYK"), "TIFF", {}))
    frames = {"save_all": True, "append_images": [grey.rotate(180)]}
    cases += [(grey, kind, frames) for kind in ("GIF", "WEBP", "PNG", "TIFF")]
    cases += [(grey, kind, {"exif": turned}) for kind in ("JPEG", "PNG")]
    for picture, kind, options in cases:
        file = io.BytesIO()
        picture.save(file, kind, **options)
        found.append(file.getvalue())
    return found


def changed_picture(content: bytes, draw: Draw) -> bytes:
    if content.startswith(b"\x89PNG") and draw.random() < 0.7:
        return mutated_png(content, draw)
    fields = [(int(draw.integers(64)), pick(draw, (1, 2, 4))) for _ in range(4)]
    return mutated(content, draw, fields)


def pictures(folder: Path) -> Case:
    path, contents = folder / "digit.png", pictures_bytes()

    def write(draw: Draw) -> None:
        path.write_bytes(changed_picture(pick(draw, contents), draw))

    return write, lambda: handwriting.read_picture(path), path.name


def picture_folders(folder: Path) -> Case:
    places = [folder / "pictures" / label / f"{i}.png" for label in "ab" for i in "12"]
    contents = pictures_bytes()

    def write(draw: Draw) -> None:
        for place in places:
            remove(place)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(contents[0])
        place = pick(draw, places)
        place.write_bytes(changed_picture(pick(draw, contents), draw))
        if draw.random() < 0.3:
            remove(place)
            pick(draw, PLACES)(place)

    return write, lambda: load_data(folder / "pictures", as_bytes=True), "pictures"


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    else:
        path.unlink(missing_ok=True)


PLACES: list[Callable[[Path], Any]] = [
    lambda path: path.mkdir(),
    lambda path: os.mkfifo(path),
    lambda path: path.symlink_to(path),
    lambda path: path.symlink_to("/dev/zero"),
    lambda path: path.symlink_to("/dev/full"),
    lambda path: path.symlink_to(path.parent),
    lambda path: path.touch(),
    lambda path: None,
]
