"""MNIST, and other data in its layout: four IDX files in a folder.

A file is read completely or rejected: nothing here returns part of a data set.
"""

import hashlib
import math
import os
import struct
from pathlib import Path

import numpy as np

from jaxnet.datasets.arrays import Split, as_floats, check_labels, to_dataset
from jaxnet.datasets.files import DataError, naming, opened, read_up_to

# The checksums of MNIST's four files, uncompressed.
MNIST_SHA256 = {
    "train-images-idx3-ubyte": (
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"
    ),
    "train-labels-idx1-ubyte": (
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"
    ),
    "t10k-images-idx3-ubyte": (
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"
    ),
    "t10k-labels-idx1-ubyte": (
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"
    ),
}

_CLASSES = 10
_MAX_BYTES = 2**30  # more than any IDX data set in use; a header may claim 2^128
_HINTS = {
    b"<": ": a web page saved in its place?",
    b"{": ": a web page saved in its place?",
    b"\x80": ": a pickle?",
    b"\0\0\x08": ": images in place of labels, or labels in place of images?",
}


def load_mnist(folder: str | Path | None = None, *, as_bytes: bool = False) -> Split:
    """MNIST as the book splits it, or the data set of the same layout in `folder`.

    Inputs are bytes / 256 in rows, targets one-hot. The last sixth of the training
    files is the validation data. With `as_bytes` inputs stay bytes, which take a
    quarter of the memory, and training is a few per cent faster.
    Raises DataError, a ValueError, naming the file.
    """
    folder = mnist_folder() if folder is None else Path(folder)
    if not os.path.isdir(folder):
        raise DataError(
            f"{folder}: expected a folder of four IDX files such as "
            "train-images-idx3-ubyte.gz, found no such folder."
        )
    images, labels = _read_pair(folder, "train")
    test_images, test_labels = _read_pair(folder, "t10k")
    if images.shape[1:] != test_images.shape[1:]:
        raise DataError(
            f"{folder}: expected training and test images of one size, got "
            f"{images.shape[1:]} and {test_images.shape[1:]} pixels."
        )
    last = len(images) - len(images) // 6
    split = Split(
        train=to_dataset(images[:last], labels[:last], _CLASSES),
        validation=to_dataset(images[last:], labels[last:], _CLASSES),
        test=to_dataset(test_images, test_labels, _CLASSES),
    )
    return split if as_bytes else as_floats(split)


def holds_idx(path: str | Path) -> bool:
    """Whether it is a folder that has files named as MNIST's are."""
    # Path.is_dir raises for some names.
    return os.path.isdir(path) and any(Path(path).glob("*-ubyte*"))


def checksum(folder: str | Path | None, name: str) -> str:
    """The SHA-256 of a file of IDX data, uncompressed, in `folder` or MNIST's own.

    Raises DataError, a ValueError, if there is none, or it cannot be read.
    """
    path = _find(mnist_folder() if folder is None else Path(folder), name)
    with opened(path, "IDX") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def read_idx(path: str | Path, dimensions: int) -> np.ndarray:
    """The unsigned bytes in an IDX file, plain or gzipped, of this many dimensions.

    Raises DataError, a ValueError, for any other file.
    """
    expected = bytes([0, 0, 8, dimensions])
    with opened(path, "IDX") as stream:
        magic, header = stream.read(4), stream.read(4 * dimensions)
        if magic != expected:
            hints = (hint for start, hint in _HINTS.items() if magic.startswith(start))
            raise DataError(
                f"{path}: expected an IDX file of unsigned bytes in {dimensions} "
                f"dimensions, which begins with the bytes {expected.hex(' ')}, "
                f"got {magic.hex(' ') or 'an empty file'}{next(hints, '')}."
            )
        if len(header) < 4 * dimensions:
            raise DataError(
                f"{path}: expected {4 * dimensions} bytes of dimensions after the "
                f"first four, got {len(header)}. The file is truncated."
            )
        # Python integers, which cannot overflow whatever the header claims.
        shape = struct.unpack(f">{dimensions}I", header)
        size = math.prod(shape)
        claim = f"{' x '.join(map(str, shape))} = {size}"
        if not 1 <= size <= _MAX_BYTES:
            raise DataError(
                f"{path}: expected 1 to {_MAX_BYTES} bytes of data, and the header "
                f"claims {claim}."
            )
        content = read_up_to(stream, size + 1)
    if len(content) != size:
        short = len(content) < size
        raise DataError(
            f"{path}: expected {claim} bytes after the header, got "
            f"{len(content) if short else f'more than {size}'}. The file is "
            f"{'truncated' if short else 'not what its header says'}."
        )
    return np.frombuffer(content, np.uint8).reshape(shape)


def mnist_folder() -> Path:
    """The data folder of the installed package, or of a checkout run in place."""
    package = Path(__file__).parent.parent
    inside = package / "data"
    return inside if inside.is_dir() else package.parent / "data"


def _find(folder: Path, name: str) -> Path:
    for path in (folder / f"{name}.gz", folder / name):
        if path.exists():
            return path
    raise DataError(
        f"{folder / name}.gz: expected this file or {name}, found neither in {folder}."
    )


def _read_pair(folder: Path, prefix: str) -> tuple[np.ndarray, np.ndarray]:
    images = read_idx(_find(folder, f"{prefix}-images-idx3-ubyte"), 3)
    path = _find(folder, f"{prefix}-labels-idx1-ubyte")
    labels = read_idx(path, 1)
    with naming(path):
        check_labels(labels, len(images), _CLASSES)
    return images, labels
