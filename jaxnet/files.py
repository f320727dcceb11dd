"""Bytes of files that nobody vouches for.

No pipe is waited for, and no more memory taken than there are bytes to fill it.
"""

import gzip
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedIOBase, BytesIO
from pathlib import Path
from typing import IO

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

_CHUNK = 2**26


class StorageError(ValueError):
    """A file that cannot be used: which one, what was expected, and what came."""


def expect(right: bool, path: str | Path, expected: str, came: str) -> None:
    """Raise StorageError, naming the file, unless it is right."""
    if not right:
        raise StorageError(f"{path}: expected {expected}, got {came}.")


@contextmanager
def reported(path: str | Path, expected: str) -> Iterator[None]:
    """A context where the system's errors become StorageErrors that name the file."""
    try:
        yield
    except OSError as error:
        expect(False, path, expected, f"an error: {error.strerror or error}")


def wait_for_turn(file: IO[bytes]) -> None:
    """Wait until no other process that calls this has the same file open.

    Not on Windows, nor where the file system has no locks.
    """
    if fcntl:
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX)


def _check_file(path: str | Path) -> None:
    if not os.path.isfile(path):  # reading a pipe might never end
        raise OSError("not a file" if os.path.exists(path) else "no such file")


@contextmanager
def opened(path: str | Path) -> Iterator[BufferedIOBase]:
    """A file to read from, unpacked as it is read if it is gzipped.

    Raises OSError for whatever is wrong with it, while it is read too.
    """
    try:
        _check_file(path)
        with open(path, "rb") as file:
            gzipped = file.read(2) == b"\x1f\x8b"
        with gzip.open(path) if gzipped else open(path, "rb") as stream:
            yield stream
    except (EOFError, zlib.error) as error:
        raise OSError(str(error)) from error


def at_most(stream: BufferedIOBase, n: int) -> bytes:
    """The next n bytes, or fewer if it ends; what is not there takes no memory."""
    found = BytesIO(stream.read(min(n, _CHUNK)))  # of MNIST all, which is not copied
    found.seek(0, os.SEEK_END)
    while part := stream.read(min(n - found.tell(), _CHUNK)):
        found.write(part)
    return found.getvalue()


def content(path: str | Path, most: int) -> bytes:
    """All bytes of a file, as they are. Raises OSError, for more than `most` too."""
    _check_file(path)
    with open(path, "rb") as file:
        found = at_most(file, most + 1)
    if len(found) > most:
        raise OSError(f"more than {most} bytes")
    return found
