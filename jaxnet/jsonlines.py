"""A log of JSON lines: one is added and on the disk, or not there at all."""

import json
import os
from io import FileIO
from pathlib import Path
from typing import Any

from jaxnet.files import content, expect, reported, wait_for_turn

_MOST_BYTES = 2**28  # two million epochs of a run


def append_line(path: str | Path, value: Any) -> None:
    """Add a line of JSON to a file, on the disk when this returns, or not at all.

    Processes that do so take turns. Raises ValueError for nan, TypeError if it is not
    JSON, StorageError if it cannot.
    """
    line = encoded(value)
    with reported(path, "to write here"), open(path, "ab", buffering=0) as file:
        wait_for_turn(file)
        append(file, line)


def encoded(value: Any) -> bytes:
    """A line of JSON. Raises ValueError for nan, TypeError if it is not JSON."""
    return json.dumps(value, allow_nan=False).encode() + b"\n"


def append(file: FileIO, line: bytes) -> None:
    """Add a line to an open file, as `append_line`; raises OSError if it cannot."""
    size = file.seek(0, os.SEEK_END)
    try:
        while line:  # a full disk takes a part, then refuses
            line = line[file.write(line) :]
        os.fsync(file.fileno())
    except OSError:
        file.truncate(size)
        raise


def read_lines(path: str | Path) -> list[Any]:
    """The values of a file's lines, without a last one cut short; of no file, none.

    Raises StorageError if a line is not JSON, or the file cannot be read.
    """
    path, values = Path(path), []
    with reported(path, "a readable file"):
        lines = content(path, _MOST_BYTES).split(b"\n")[:-1] if path.exists() else []
    for number, line in enumerate(lines, start=1):
        try:
            values.append(json.loads(line))
        except (ValueError, RecursionError):
            expect(False, path, f"JSON on line {number}", repr(line[:40]))
    return values


def keep_first(path: str | Path, n: int) -> list[Any]:
    """The values of the first n lines, with all that follows cut off the file.

    Raises StorageError if there are fewer, one is not JSON, or the file cannot be cut.
    """
    values = read_lines(path)
    expect(len(values) >= n, path, f"{n} lines of the run", f"{len(values)}")
    with reported(path, "to write here"), open(path, "a+b") as file:
        file.seek(0)
        file.truncate(sum(len(file.readline()) for _ in range(n)))
    return values[:n]
