"""A CSV file of pixels, or a folder with one of pictures for each class, as arrays.

Both are read whole or refused. Pictures need Pillow (the extra `images`).
"""

import os
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Integer, UInt8

from jaxnet.datasets import DataError
from jaxnet.files import at_most, opened

MOST_CLASSES = 1000
_MOST_BYTES = 2**30  # of text, or of pixels
_MOST_LINES = _LONGEST = 2**22  # lines in all, and characters in one
_FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM")
_MODES = ("1", "L", "P", "LA", "PA", "RGB", "RGBA", "CMYK", "YCbCr")  # of 8 bits
_WHOLE = re.compile(rb" *[+-]?[0-9]{1,18} *")

Bytes = UInt8[np.ndarray, "n pixels"] | UInt8[np.ndarray, "n rows columns"]
Labels = Integer[np.ndarray, " n"]


def read_csv(path: str | Path) -> tuple[Bytes, Labels]:
    """Pixels and labels in a CSV file, plain or gzipped, of a label and pixels a line.

    All are whole numbers, and pixels go to 255. The first line may name the columns.
    Raises DataError, a ValueError, naming the file.
    """
    path = Path(path)
    numbered = enumerate(_content(path).splitlines(), start=1)
    lines = [each for each in numbered if each[1].strip()]
    for number, line in lines:
        if len(line) > _LONGEST:
            raise DataError(
                f"{path}: line {number}: expected at most {_LONGEST} characters, got "
                f"{len(line)}."
            )
    if lines and _names_columns(lines[0][1].split(b",")):
        del lines[0]
    if not lines:
        raise DataError(f"{path}: expected lines of a label and pixels, got none.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # older NumPys only warn of 1.5
            text = [line for _, line in lines]
            table = np.loadtxt(text, np.int16, comments=None, delimiter=",", ndmin=2)
    except (ValueError, Warning):
        table = np.array([[-1, 0]])  # which does not fit
    labels, pixels = table[:, 0], table[:, 1:]
    fit = pixels.size and table.min() >= 0 and pixels.max() < 256
    if not fit or labels.max() >= MOST_CLASSES:
        raise DataError(f"{path}: {next(_troubles(lines))}")
    return pixels.astype(np.uint8), labels


def read_folder(path: str | Path) -> tuple[Bytes, Labels]:
    """Grey levels of the pictures in the `class_folders`, and whose folder each is in.

    Raises DataError, a ValueError, naming the file or folder.
    """
    paths, labels = [], []
    for label, folder in enumerate(class_folders(path)):
        inside = [p for p in sorted(folder.iterdir()) if p.name[0] != "."]
        if not inside:
            raise DataError(f"{folder}: expected pictures, got none. Remove it?")
        paths += inside
        labels += [label] * len(inside)
    first = _levels(paths[0])
    if first.size * len(paths) > _MOST_BYTES:
        raise DataError(
            f"{path}: expected at most {_MOST_BYTES} pixels in all, got "
            f"{len(paths)} x {first.size}. Make the pictures smaller."
        )
    images = np.empty((len(paths), *first.shape), np.uint8)
    for i, each in enumerate(paths):
        levels = _levels(each)
        if levels.shape != first.shape:
            one, other = (" x ".join(map(str, a.shape)) for a in (first, levels))
            raise DataError(
                f"{each}: expected {one} pixels as in {paths[0]}, got {other}. "
                "Bring all pictures to one size."
            )
        images[i] = levels
    return images, np.array(labels)


def class_folders(path: str | Path) -> list[Path]:
    """The folders of pictures of each class, in the order of the labels 0, 1, ...

    They are sorted by name, or by number if all names are numbers.
    Raises DataError, a ValueError, if there are none or pictures lie beside them.
    """
    path = Path(path)
    there = path.iterdir() if os.path.isdir(path) else ()
    inside = [p for p in there if p.name[0] != "."]
    folders = [p for p in inside if p.is_dir()]
    if not folders:
        raise DataError(f"{path}: expected a folder of pictures per class, got none.")
    suffixes = {f".{name.lower()}" for name in (*_FORMATS, "jpg", "tif", "pgm")}
    loose = [p for p in inside if p.suffix.lower() in suffixes and p not in folders]
    if loose:
        raise DataError(f"{loose[0]}: expected each picture in its class's folder.")
    numbers = all(re.fullmatch("[0-9]{1,18}", p.name) for p in folders)
    return sorted(folders, key=lambda p: (int(p.name) if numbers else 0, p.name))


def _content(path: Path) -> bytes:
    try:
        with opened(path) as stream:
            content = at_most(stream, _MOST_BYTES + 1)
    except OSError as error:
        raise DataError(
            f"{path}: expected a readable CSV file, got an error: "
            f"{error.strerror or error}."
        ) from error
    if len(content) > _MOST_BYTES:
        raise DataError(f"{path}: expected at most {_MOST_BYTES} bytes, got more.")
    # A line takes some hundred bytes, even an empty one, and a column about as many.
    ends = content.count(b"\n") + content.count(b"\r")
    if ends > _MOST_LINES:
        raise DataError(f"{path}: expected at most {_MOST_LINES} lines, got {ends}.")
    return content.removeprefix(b"\xef\xbb\xbf")


def _names_columns(fields: list[bytes]) -> bool:
    """Whether a line is a header: its names differ, and the first is no number.

    Without a name it may be the column of row numbers that pandas adds: no label.
    """
    try:
        float(fields[0])
    except ValueError:
        return bool(fields[0].strip()) and len(set(fields)) == len(fields)
    return False


def _troubles(lines: list[tuple[int, bytes]]) -> Iterator[str]:
    first, width = lines[0][0], lines[0][1].count(b",") + 1
    if width < 2:
        yield f"line {first}: expected a label and pixels with commas between, got one."
    for number, line in lines:
        fields = line.split(b",")
        if len(fields) != width:
            yield (
                f"line {number}: expected {width} columns as in line {first}, got "
                f"{len(fields)}."
            )
        for column, field in enumerate(fields, start=1):
            what, most = ("pixel", 255) if column > 1 else ("label", MOST_CLASSES - 1)
            if not _WHOLE.fullmatch(field) or not 0 <= int(field) <= most:
                came = field[:20].decode("utf-8", "replace")
                yield (
                    f"line {number}, column {column}: expected a {what}, whole and "
                    f"from 0 to {most}, got {came!r}. Floats can go to split_arrays."
                )


def pillow() -> Any:
    """Pillow's Image; ModuleNotFoundError, saying what to install, without it."""
    try:
        from PIL import Image
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            'Pictures need Pillow: python -m pip install "jaxnet[images]", '
            'or ".[images]" in a checkout.'
        ) from error
    return Image


def _levels(path: Path) -> np.ndarray:
    image = pillow()
    try:
        if not path.is_file():
            raise ValueError("a folder, or no file")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd metadata
            warnings.simplefilter("error", image.DecompressionBombWarning)
            with image.open(path, formats=_FORMATS) as picture:
                return _grey(picture)
    except Exception as error:  # what decoders raise for broken files is not listed
        reason = getattr(error, "strerror", None) or error
        raise DataError(
            f"{path}: expected a picture ({', '.join(_FORMATS)}), got: {reason}."
        ) from error


def _grey(picture: Any) -> np.ndarray:
    from PIL import ImageOps

    if picture.mode not in _MODES:
        raise ValueError(f"pixels of mode {picture.mode}, not of 8 bits")
    if getattr(picture, "n_frames", 1) > 1:
        raise ValueError(f"{picture.n_frames} pictures in one file")
    picture = ImageOps.exif_transpose(picture)
    clear = picture.has_transparency_data
    if clear and picture.convert("RGBA").getextrema()[3][0] < 255:
        raise ValueError("transparent pixels, which may stand for ink or for paper")
    return np.asarray(picture.convert("L"))
