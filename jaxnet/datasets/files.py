"""Files that may be broken or hostile, read so that every error names the file.

Pipes and devices are rejected, since reading them might never end, and memory is
allocated for the data that is there, never for what a header claims.
"""

import math
import os
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from gzip import GzipFile
from io import BufferedReader
from pathlib import Path
from typing import Any

import numpy as np

from jaxnet.checks import require

PICTURE_FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM")
_NAMES = ", ".join(PICTURE_FORMATS)
MAX_PICTURE = 64_000_000  # pixels, more than most phones' pictures have
MAX_BYTES = 2**30  # of an array, more than any such data set in use has
_CHUNK = 2**26


class DataError(ValueError):
    """Unusable data: the message names the file, what was expected and got."""


@contextmanager
def naming(path: str | Path) -> Iterator[None]:
    """A context in which the message of a DataError begins with the path."""
    try:
        yield
    except DataError as error:
        message = str(error)
        if message.startswith((f"{path}:", f"{path},", f"{path}{os.sep}")):
            raise
        raise DataError(f"{path}: {message[0].lower()}{message[1:]}") from None


def check_file(path: str | Path) -> None:
    """Raise OSError unless it is a regular file, or a link to one."""
    if not os.path.isfile(path):
        raise OSError("not a file" if os.path.exists(path) else "no such file")


@contextmanager
def opened(path: str | Path, kind: str) -> Iterator[BufferedReader | GzipFile]:
    """The content of a file of this kind, decompressed while it is read if gzipped.

    Errors in opening or reading it become DataErrors.
    """
    try:
        check_file(path)
        with open(path, "rb") as file:
            gzipped = file.peek(2)[:2] == b"\x1f\x8b"
            yield GzipFile(fileobj=file) if gzipped else file
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"{path}: expected a readable {kind} file, plain or gzipped, got an "
            f"error: {_reason(error)}."
        ) from error


def read_array(stream: Any, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """The array that a header claims, which must be all that follows in the stream.

    Raises DataError, without the name of the file.
    """
    # Python integers, which cannot overflow whatever the header claims.
    size = math.prod(shape) * dtype.itemsize
    each = f" x {dtype.itemsize}" if dtype.itemsize > 1 else ""
    claim = f"{' x '.join(map(str, shape))}{each} = {size}"
    if not 1 <= size <= MAX_BYTES:
        raise DataError(
            f"Expected 1 to {MAX_BYTES} bytes of data, and the header claims {claim}."
        )
    parts, missing = [], size
    while missing and (part := stream.read(min(missing, _CHUNK))):
        parts.append(part)
        missing -= len(part)
    if missing or stream.read(1):
        got = f"{size - missing}" if missing else f"more than {size}"
        raise DataError(
            f"Expected {claim} bytes after the header, got {got}. The file is "
            f"{'truncated' if missing else 'not what its header says'}."
        )
    array = np.frombuffer(b"".join(parts), dtype).reshape(shape)
    return array.astype(dtype.newbyteorder("="), copy=False)


def pillow() -> Any:
    """The module PIL.Image; raises ModuleNotFoundError, saying what to install."""
    return require("PIL.Image", "images", "Pictures")


@contextmanager
def opened_picture(path: str | Path) -> Iterator[Any]:
    """A context with a picture opened by Pillow, whose errors become DataErrors."""
    image, expected = pillow(), f"{path}: expected a picture ({_NAMES}), got"
    try:
        check_file(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd metadata; sizes are checked here
            with image.open(path, formats=PICTURE_FORMATS) as picture:
                width, height = picture.size
                if width * height > MAX_PICTURE:
                    raise ValueError(f"{width} x {height}, above {MAX_PICTURE} pixels")
                yield picture
    except image.UnidentifiedImageError:  # HEIC, PDF, SVG
        raise DataError(
            f"{expected} something else, or a broken one. Convert it to PNG or JPEG."
        ) from None
    except Exception as error:  # decoders do not document what they raise
        raise DataError(f"{expected}: {_reason(error)}.") from error


def _reason(error: Exception) -> object:
    return getattr(error, "strerror", None) or error
