"""MNIST, and any other folder of IDX files in its layout, as arrays.

A file is read whole or refused: nothing here returns half a data set. No pickle, no
download; `load_mnist()` reads the four files that come with jaxnet.
"""

import hashlib
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedIOBase
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxnet.files import at_most, opened
from jaxnet.layers import Dataset, as_numbers

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
"""The checksums of MNIST's four files, uncompressed."""

_CLASSES = 10
_MOST_BYTES = 2**30  # more than any IDX data set in use; a header may claim 2^128
MOST_TARGETS = 2**28  # a GiB of float32; examples of a pixel each would come to more


class DataError(ValueError):
    """A data file that cannot be used: which one, what was expected, and what came."""


class Split(NamedTuple):
    """The three parts of a data set, with 50,000, 10,000 and 10,000 images in MNIST."""

    train: Dataset
    validation: Dataset
    test: Dataset


def load_mnist(folder: str | Path | None = None, *, as_bytes: bool = False) -> Split:
    """MNIST as the book splits it, or the data set of the same layout in `folder`.

    Inputs are bytes / 256 in rows, targets one-hot. The last sixth of the training
    files is the validation data. With `as_bytes` inputs stay bytes, which take a
    quarter of the memory, and training is a few per cent faster.
    Raises DataError, a ValueError, naming the file.
    """
    folder = _embedded() if folder is None else Path(folder)
    if not os.path.isdir(folder):  # where Path.is_dir raises for some names
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
    return Split(
        train=_dataset(images[:last], labels[:last], as_bytes),
        validation=_dataset(images[last:], labels[last:], as_bytes),
        test=_dataset(test_images, test_labels, as_bytes),
    )


def read_idx(path: str | Path, dimensions: int) -> np.ndarray:
    """The unsigned bytes in an IDX file, plain or gzipped, of so many dimensions.

    Raises DataError, a ValueError, for a file that is anything else.
    """
    path = Path(path)
    with _uncompressed(path) as stream:
        return _parse(path, stream, dimensions)


def checksum(folder: str | Path | None, name: str) -> str:
    """The SHA-256 of a file of IDX data, uncompressed, in `folder` or MNIST's own.

    Raises DataError, a ValueError, if there is none, or it cannot be read.
    """
    path = _find(_embedded() if folder is None else Path(folder), name)
    with _uncompressed(path) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def _uncompressed(path: Path) -> Iterator[BufferedIOBase]:
    """The content of a file, plain or gzipped; what goes wrong is a DataError."""
    try:
        with opened(path) as stream:
            yield stream
    except OSError as error:
        raise DataError(
            f"{path}: expected a readable IDX file, plain or gzipped, "
            f"got an error: {error.strerror or error}."
        ) from error


def _parse(path: Path, stream: BufferedIOBase, dimensions: int) -> np.ndarray:
    magic = stream.read(4)
    expected = bytes([0, 0, 8, dimensions])
    if magic != expected:
        raise DataError(
            f"{path}: expected an IDX file of unsigned bytes in {dimensions} "
            f"dimensions, which begins with the bytes {expected.hex(' ')}, "
            f"got {magic.hex(' ') or 'an empty file'}{_guess(magic)}."
        )
    header = stream.read(4 * dimensions)
    if len(header) < 4 * dimensions:
        raise DataError(
            f"{path}: expected {4 * dimensions} bytes of dimensions after the first "
            f"four, got {len(header)}. The file is truncated."
        )
    # Python integers, which cannot overflow whatever the header claims.
    shape = tuple(int.from_bytes(header[i : i + 4]) for i in range(0, len(header), 4))
    size = math.prod(shape)
    if not 1 <= size <= _MOST_BYTES:
        raise DataError(
            f"{path}: expected 1 to {_MOST_BYTES} bytes of data, and the header "
            f"claims {' x '.join(map(str, shape))} = {size}."
        )
    content = at_most(stream, size + 1)
    if len(content) != size:
        came = len(content) if len(content) < size else f"more than {size}"
        cause = "truncated" if len(content) < size else "not what its header says"
        raise DataError(
            f"{path}: expected {' x '.join(map(str, shape))} = {size} bytes after the "
            f"header, got {came}. The file is {cause}."
        )
    return np.frombuffer(content, np.uint8).reshape(shape)


def _guess(magic: bytes) -> str:
    if magic[:1] in (b"<", b"{"):
        return ": a web page saved in its place?"
    if magic[:1] == b"\x80":
        return ": a pickle?"
    if magic[:3] == b"\0\0\x08" and len(magic) == 4:
        return ": images in place of labels, or labels in place of images?"
    return ""


def _embedded() -> Path:
    """The data folder of the installed package, or of a checkout run in place."""
    here = Path(__file__).parent
    return here / "data" if (here / "data").is_dir() else here.parent / "data"


def _find(folder: Path, name: str) -> Path:
    candidates = [folder / f"{name}.gz", folder / name]
    for path in candidates:
        if path.exists():
            return path
    raise DataError(
        f"{candidates[0]}: expected this file or {name}, found neither in {folder}."
    )


def _read_pair(folder: Path, prefix: str) -> tuple[np.ndarray, np.ndarray]:
    image_path = _find(folder, f"{prefix}-images-idx3-ubyte")
    label_path = _find(folder, f"{prefix}-labels-idx1-ubyte")
    images, labels = read_idx(image_path, 3), read_idx(label_path, 1)
    if len(images) != len(labels):
        raise DataError(
            f"{label_path}: expected {len(images)} labels, one for each image in "
            f"{image_path.name}, got {len(labels)}."
        )
    if len(labels) * _CLASSES > MOST_TARGETS:
        raise DataError(
            f"{label_path}: expected at most {MOST_TARGETS // _CLASSES} examples, got "
            f"{len(labels)}."
        )
    if labels.max() >= _CLASSES:
        raise DataError(
            f"{label_path}: expected labels from 0 to {_CLASSES - 1}, got "
            f"{labels.max()} at position {labels.argmax()}."
        )
    return images, labels


def _dataset(images: np.ndarray, labels: np.ndarray, as_bytes: bool) -> Dataset:
    dtype = jnp.result_type(float)
    pixels = jnp.asarray(images.reshape(len(images), -1))
    return Dataset(
        x=pixels if as_bytes else as_numbers(pixels, dtype),
        y=jax.nn.one_hot(labels, _CLASSES, dtype=dtype),
    )
