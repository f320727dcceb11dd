"""CSV files of a label and pixels a line."""

import re
import warnings
from collections.abc import Iterator
from functools import partial
from io import TextIOWrapper
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from jaxnet.datasets.arrays import MAX_CLASSES, Labels
from jaxnet.datasets.files import DataError, opened

_MAX_CHARACTERS = 2**30
_MAX_LINES = _MAX_LENGTH = 2**22  # lines in the file, and characters in a line
_INTEGER = re.compile(r"\s*[+-]?[0-9]{1,18}\s*")


def read_csv(path: str | Path) -> tuple[UInt8[np.ndarray, "n pixels"], Labels]:
    """The pixels and labels in a CSV file, plain or gzipped: a label and pixels a line.

    All are integers, and pixels go to 255. The first line may name the columns.
    Raises DataError, a ValueError, naming the file and the line.
    """
    path = Path(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # older NumPys only warn of 1.5
            lines = (line for _, line in _data_lines(path))
            table = np.loadtxt(lines, np.int16, comments=None, delimiter=",", ndmin=2)
    except DataError:
        raise
    except (ValueError, Warning):
        table = np.array([[-1]])  # as invalid as the file
    labels, pixels = table[:, 0], table[:, 1:]
    valid = pixels.size and table.min() >= 0 and pixels.max() < 256
    if not valid or labels.max() >= MAX_CLASSES:
        raise DataError(f"{path}: {_problem(path)}")
    return pixels.astype(np.uint8), labels


def _data_lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines that are neither blank nor a header, with their numbers."""
    characters, first = 0, True
    with opened(path, "CSV") as stream:
        # A header may be in any encoding; what is not ASCII is no integer anyway.
        text = TextIOWrapper(stream, "utf-8-sig", "replace")
        read = partial(text.readline, _MAX_LENGTH + 1)
        for number, line in enumerate(iter(read, ""), start=1):
            characters += len(line)
            line = line.rstrip("\n")
            too_long = characters > _MAX_CHARACTERS or len(line) > _MAX_LENGTH
            if too_long or number > _MAX_LINES:
                raise DataError(
                    f"{path}: expected at most {_MAX_CHARACTERS} characters, and "
                    f"{_MAX_LINES} lines of at most {_MAX_LENGTH}, got more."
                )
            if line.strip():
                if not (first and _is_header(line)):
                    yield number, line
                first = False


def _is_header(line: str) -> bool:
    """Whether its fields differ, and the first is a name rather than a number.

    An empty first name may be the column of row numbers that pandas adds: no label.
    """
    fields = line.split(",")
    try:
        float(fields[0])
    except ValueError:
        return bool(fields[0].strip()) and len(set(fields)) == len(fields)
    return False


def _problem(path: Path) -> str:
    """What is wrong with a file that is not a table of labels and pixels."""
    first = width = 0
    for number, line in _data_lines(path):
        fields = line.split(",")
        if not first:
            first, width = number, len(fields)
        if width < 2:
            return f"line {number}: expected a label and pixels with commas between."
        if len(fields) != width:
            columns = f"{width} columns as in line {first}"
            return f"line {number}: expected {columns}, got {len(fields)}."
        for column, field in enumerate(fields, start=1):
            name, limit = ("pixel", 255) if column > 1 else ("label", MAX_CLASSES - 1)
            if not _INTEGER.fullmatch(field) or not 0 <= int(field) <= limit:
                return (
                    f"line {number}, column {column}: expected a {name}, an integer "
                    f"from 0 to {limit}, got {field[:20]!r}. Floats can go to "
                    "split_arrays."
                )
    return "expected lines of a label and pixels, got none."
