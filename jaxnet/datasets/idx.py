"""IDX files, the format of MNIST: a header of sizes, then numbers."""

import hashlib
import re
import struct
from pathlib import Path

import numpy as np

from jaxnet.datasets.files import DataError, naming, opened, read_array

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

_TYPES = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
_HEADER = re.compile(rb"\0\0[\x08\x09\x0b-\x0e][\x01-\x04]")


def is_idx(start: bytes) -> bool:
    """Whether a file that starts with these bytes is an IDX file."""
    return _HEADER.match(start) is not None


def read_idx(path: str | Path) -> np.ndarray:
    """The array in an IDX file, plain or gzipped, of any type and 1 to 4 dimensions.

    Raises DataError, a ValueError, for any other file.
    """
    with naming(path), opened(path, "IDX") as stream:
        magic = stream.read(4)
        if not is_idx(magic):
            page = ": a web page saved in its place?" if magic[:1] in b"<{" else ""
            raise DataError(
                "Expected an IDX file, which begins with two bytes of 0, the type of "
                "its numbers (8 for bytes) and 1 to 4 dimensions, got "
                f"{magic.hex(' ') + page if magic else 'an empty file'}."
            )
        header = stream.read(4 * magic[3])
        if len(header) < 4 * magic[3]:
            raise DataError(
                f"Expected {4 * magic[3]} bytes of dimensions after the first four, "
                f"got {len(header)}. The file is truncated."
            )
        shape = struct.unpack(f">{magic[3]}I", header)
        return read_array(stream, shape, np.dtype(_TYPES[magic[2]]))


def checksums(folder: Path) -> dict[str, str]:
    """The SHA-256, uncompressed, of those of MNIST's files that are in a folder.

    Raises DataError, a ValueError, if one cannot be read.
    """
    found = {}
    for name in MNIST_SHA256:
        for path in (folder / f"{name}.gz", folder / name):
            if path.exists() and name not in found:
                with opened(path, "IDX") as stream:
                    found[name] = hashlib.file_digest(stream, "sha256").hexdigest()
    return found


def mnist_folder() -> Path:
    """The data folder of the installed package, or of a checkout run in place."""
    package = Path(__file__).parent.parent
    inside = package / "data"
    return inside if inside.is_dir() else package.parent / "data"
