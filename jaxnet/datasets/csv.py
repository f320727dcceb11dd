"""CSV files with an example a line: numbers, and a label in one of the columns."""

import re
from collections.abc import Iterator, Sequence
from functools import partial
from io import TextIOWrapper
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxnet.datasets.arrays import MAX_CLASSES
from jaxnet.datasets.files import DataError, naming, opened

_MAX_CHARACTERS = 2**30
_MAX_LINES = _MAX_LENGTH = 2**22  # lines in the file, and characters in a line
_LABELS = ("label", "class", "target", "y")  # names of a column of labels
_ADVICE = "say which column has the labels: --label-column N, or label_column=N"


class Table(NamedTuple):
    """The examples in a CSV file; `names` are those of its labels, if they have any."""

    x: np.ndarray
    labels: np.ndarray | None
    names: list[str] | None


def read_csv(path: str | Path, label_column: str | int | None = None) -> Table:
    """The examples in a CSV file, plain or gzipped: numbers and a label in each line.

    Labels are integers or names, in the column `label_column`, a name in the first line
    or a number from 1. By default it is the column called label, class, target or y, or
    the one that holds names, or the first. There are no labels if neither the first nor
    the last column can hold them; if the last one is likelier, the file is rejected.
    Raises DataError, a ValueError, naming the file and the line.
    """
    # A header may be in any encoding; what is not UTF-8 is no number anyway.
    with (
        naming(path),
        opened(path, "CSV") as stream,
        TextIOWrapper(stream, "utf-8-sig", "replace") as text,
    ):
        return _read(_lines(text), label_column)


def _read(lines: Iterator[tuple[int, str]], wanted: str | int | None) -> Table:
    start = list(islice(lines, 2))
    first, line = start[0] if start else (0, "")
    delimiter = next((d for d in ";\t" if d in line), ",")
    width = line.count(delimiter) + 1
    header = _header(line.split(delimiter))
    start = start[bool(header) :]
    if not start:
        raise DataError("Expected lines of numbers and a label, got none.")
    if width < 2:
        raise DataError(f"Line {first}: expected numbers with commas between.")
    column = _known_column(wanted, header, start[0][1].split(delimiter))
    codes, texts, number = [], {}, 0  # of labels: a code for each text

    def checked() -> Iterator[str]:
        nonlocal number, line
        for number, line in chain(start, lines):
            if line.count(delimiter) != width - 1:
                columns = f"{width} columns as in line {first}"
                got = line.count(delimiter) + 1
                raise DataError(f"Line {number}: expected {columns}, got {got}.")
            if column is not None:
                label = line.split(delimiter)[column].strip()
                codes.append(texts.setdefault(label, len(texts)))
            yield line

    inputs = [i for i in range(width) if i != column]
    options = {"comments": None, "delimiter": delimiter, "usecols": inputs, "ndmin": 2}
    try:
        table = np.loadtxt(checked(), jnp.result_type(float), **options)
    except DataError:
        raise
    except ValueError:  # of the last line that was checked
        fields = line.split(delimiter)
        i = next(i for i in inputs if not _is_number(fields[i]))
        got = f"column {i + 1}: expected a number, got {fields[i].strip()[:20]!r}"
        raise DataError(f"Line {number}, {got}.") from None
    if column is not None:
        labels, names = _labels(list(texts), column)
        return Table(_bytes_if_levels(table), labels[codes], names)
    if not _first_column_has_labels(table, header):
        return Table(_bytes_if_levels(table), None, None)
    return Table(_bytes_if_levels(table[:, 1:]), _integers(table[:, 0], 0), None)


def _lines(text: TextIOWrapper) -> Iterator[tuple[int, str]]:
    """The lines that are not blank, without quotes, and their numbers."""
    characters, read = 0, partial(text.readline, _MAX_LENGTH + 1)
    for number, line in enumerate(iter(read, ""), start=1):
        characters += len(line)
        too_long = characters > _MAX_CHARACTERS or len(line.rstrip("\n")) > _MAX_LENGTH
        if too_long or number > _MAX_LINES:
            raise DataError(
                f"Expected at most {_MAX_CHARACTERS} characters, and {_MAX_LINES} "
                f"lines of at most {_MAX_LENGTH}, got more."
            )
        if line.strip():
            yield number, line.rstrip("\n").replace('"', "")


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return field.isascii() and "_" not in field


def _header(fields: Sequence[str]) -> list[str]:
    """The names of the columns in lower case, if these fields are names.

    They are if they are words, or a word and 0, 1, 2, ..., or have label among them.
    """
    names = [field.strip().lower() for field in fields]
    numbers = [name for name in names if _is_number(name)]
    counted = [[str(i) for i in range(k, k + len(numbers))] for k in (0, 1)]
    # Fewer than four might be the numbers of an example.
    are_counted = numbers in counted and len(numbers) > 3 and not _is_number(names[0])
    named = not numbers or are_counted or bool({*names} & {*_LABELS})
    return names if named and len({*names}) == len(names) else []


def _known_column(
    wanted: str | int | None, header: list[str], fields: Sequence[str]
) -> int | None:
    """The index of the column of labels, if it is told or the first lines show it."""
    if wanted is not None:
        name, numbers = str(wanted).lower(), [str(i + 1) for i in range(len(fields))]
        for names in (header, numbers):
            if name in names:
                return names.index(name)
        shown = f"{', '.join(header[:3])}, ..., " if header else ""
        raise DataError(
            f"Expected a column of labels, {shown}or a number from 1 to {len(fields)}, "
            f"got {str(wanted)[:40]!r}."
        )
    if "" in header:
        raise DataError(
            "Expected a name for each column, got none for column "
            f"{header.index('') + 1}. Row numbers? Save the table without them."
        )
    known = [header.index(name) for name in _LABELS if name in header]
    words = [i for i, field in enumerate(fields) if not _is_number(field)]
    return known[0] if known else words[0] if len(words) == 1 else None


def _first_column_has_labels(table: np.ndarray, header: Sequence[str]) -> bool:
    """Whether labels are in the first column. Raises DataError if in the last."""
    if header and len({re.sub(r"\d+", "", name) for name in header}) == 1:
        return False  # pixel0, pixel1, ...
    first, last = (np.unique(table[:, i]) for i in (0, -1))
    first_is_complete = _completeness(first) == 1 and len(first) >= len(last)
    if _completeness(last) == 1 and not first_is_complete:
        raise DataError(
            "Expected labels in the first column, and they may be in the last one, "
            f"which has the integers {last[0]:g} to {last[-1]:g} (the first: "
            f"{first[0]:g} to {first[-1]:g}). Please {_ADVICE}."
        )
    return _completeness(first) > 0


def _completeness(values: np.ndarray) -> float:
    """The fraction of labels 0, 1, 2, ... or 1, 2, 3, ... that are there, 0 for others.

    Labels are complete, and pixels hardly ever.
    """
    integers = len(values) > 1 and bool((values == np.round(values)).all())
    if not (integers and 0 <= values[0] <= values[-1] < MAX_CLASSES):
        return 0.0
    return float(len(values) / (values[-1] + 1 - min(values[0], 1)))


def _labels(texts: list[str], column: int) -> tuple[np.ndarray, list[str] | None]:
    """The labels that texts stand for, and the classes' names if they have any."""
    names = sorted(text for text in texts if not _is_number(text))
    if not names:
        return _integers(np.array(texts, float), column), None
    if names[0] == "":
        raise DataError(f"Expected a label in column {column + 1} of each line.")
    if len(names) < len(texts):
        number = next(filter(_is_number, texts))
        raise DataError(
            "Expected labels that are all integers or all names, got "
            f"{names[0][:20]!r} in a line and {number[:20]} in another."
        )
    if len(names) > MAX_CLASSES:
        raise DataError(
            f"Expected at most {MAX_CLASSES} different labels in column {column + 1}, "
            f"got {len(names)}."
        )
    return np.array([names.index(text) for text in texts]), names


def _integers(labels: np.ndarray, column: int) -> np.ndarray:
    wrong = labels[~(np.abs(labels) < 2**31) | (labels != np.round(labels))]
    if wrong.size:
        raise DataError(
            f"Expected integers or names as labels, in column {column + 1}, got "
            f"{wrong[0]:g}. If they are elsewhere, {_ADVICE}."
        )
    return labels.astype(int)


def _bytes_if_levels(x: np.ndarray) -> np.ndarray:
    """Integers from 0 to 255 as bytes, unless they are 0 and 1 only."""
    levels = x.min() >= 0 and 1 < x.max() <= 255 and bool((x == np.round(x)).all())
    return x.astype(np.uint8) if levels else x
