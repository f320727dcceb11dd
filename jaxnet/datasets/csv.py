"""CSV files with an example a line: numbers, and a label in one of the columns."""

import re
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from io import TextIOWrapper
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxnet.datasets.arrays import MAX_CLASSES
from jaxnet.datasets.files import DataError, opened

_MAX_CHARACTERS = 2**30
_MAX_LINES = _MAX_LENGTH = 2**22  # lines in the file, and characters in a line
_LABELS = ("label", "class", "target", "y")  # names of a column of labels
_FIRST_NAME = 2**20  # the number for the first label that is a name
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
    path, names = Path(path), {}
    start = [line for _, line in islice(_lines(path), 2)] or [""]
    split = partial(_fields, delimiter=_delimiter(start[0]))
    header = split(start[0]) if _is_header(split(start[0])) else None
    fields = split(start[-1] if header else start[0])
    column = _known_column(path, label_column, header, fields)

    def label(field: str) -> float:
        field = field.strip(' "')
        if _is_number(field):
            return float(field) if abs(float(field)) < _FIRST_NAME else np.nan
        if not field or len(names) > MAX_CLASSES:
            raise ValueError
        return float(names.setdefault(field, _FIRST_NAME + len(names)))

    lines = (line for _, line in islice(_lines(path), bool(header), None))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # of a file without data
            table = np.loadtxt(
                lines,
                jnp.result_type(float),
                comments=None,
                delimiter=_delimiter(start[0]),
                quotechar='"',
                encoding=None,
                converters={} if column is None else {column: label},
                ndmin=2,
            )
    except DataError:
        raise
    except (ValueError, Warning):
        raise DataError(f"{path}: {_problem(path, header, column, split)}") from None
    n, width = table.shape
    if width < 2 or (header and len(header) != width):
        raise DataError(f"{path}: {_problem(path, header, column, split)}")
    if column is None:
        column = _likely_column(path, table, header)
    if column is None:
        return Table(_bytes_if_levels(table), None, None)
    x, codes = _bytes_if_levels(np.delete(table, column, axis=1)), table[:, column]
    labels, known = _labels(path, codes, names, column)
    return Table(x, labels, known)


def _labels(
    path: Path, codes: np.ndarray, names: dict[str, int], column: int
) -> tuple[np.ndarray, list[str] | None]:
    """The labels as integers from their codes, and their names if they have any."""
    if names:
        if not codes.min() >= _FIRST_NAME:
            raise DataError(
                f"{path}: expected labels that are all integers or all names, got "
                f"{next(iter(names))!r} in a line and {codes.min():g} in another."
            )
        known = sorted(names)
        ranks = np.array([known.index(name) for name in names])
        return ranks[codes.astype(int) - _FIRST_NAME], known
    wrong = codes[~(np.abs(codes) < _FIRST_NAME) | (codes != np.round(codes))]
    if wrong.size:
        raise DataError(
            f"{path}: expected integers or names as labels, in column {column + 1}, "
            f"got {wrong[0]:g}. If they are elsewhere, {_ADVICE}."
        )
    return codes.astype(int), None


def _bytes_if_levels(x: np.ndarray) -> np.ndarray:
    """Integers from 0 to 255 as bytes, unless they are 0 and 1 only."""
    levels = x.min() >= 0 and 1 < x.max() <= 255 and bool((x == np.round(x)).all())
    return x.astype(np.uint8) if levels else x


def _known_column(
    path: Path, wanted: str | int | None, header: list[str] | None, fields: list[str]
) -> int | None:
    """The index of the column of labels, if it is told or the first lines show it."""
    names = [name.lower() for name in header or ()]
    if wanted is not None:
        if str(wanted).lower() in names:
            return names.index(str(wanted).lower())
        if str(wanted).isdecimal() and 1 <= int(wanted) <= len(fields):
            return int(wanted) - 1
        shown = f"{', '.join(names[:3])}, ..., " if names else ""
        raise DataError(
            f"{path}: expected a column of labels, {shown}or a number from 1 to "
            f"{len(fields)}, got {str(wanted)[:40]!r}."
        )
    if "" in names:
        raise DataError(
            f"{path}: expected a name for each column, got none for column "
            f"{names.index('') + 1}. Row numbers? Save the table without them."
        )
    known = [names.index(name) for name in _LABELS if name in names]
    words = [i for i, field in enumerate(fields) if not _is_number(field)]
    return known[0] if known else words[0] if len(words) == 1 else None


def _likely_column(
    path: Path, table: np.ndarray, header: list[str] | None
) -> int | None:
    """The first column, or None if there is no column of labels.

    Raises DataError if they may be in the last.
    """
    stems = {re.sub(r"\d+", "", name) for name in header or ()}
    if header and len(stems) == 1:  # such as pixel0, pixel1, ...
        return None
    first, last = (np.unique(table[:, i]) for i in (0, -1))
    can_be = [
        len(values) > 1
        and bool((values == np.round(values)).all())
        and 0 <= values[0] <= values[-1] < MAX_CLASSES
        for values in (first, last)
    ]
    # Labels are 0, 1, 2, ... or 1, 2, 3, ... without gaps, and pixels hardly ever.
    without_gaps = [
        can and values[-1] - values[0] == len(values) - 1 and values[0] <= 1
        for can, values in zip(can_be, (first, last), strict=True)
    ]
    if without_gaps[1] and not (without_gaps[0] and len(first) >= len(last)):
        raise DataError(
            f"{path}: expected labels in the first column, and they may be in the "
            f"last one, which has the integers {last[0]:g} to {last[-1]:g} (the first: "
            f"{first[0]:g} to {first[-1]:g}). Please {_ADVICE}."
        )
    return 0 if can_be[0] else None


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines that are not blank, with their numbers."""
    characters = 0
    with opened(path, "CSV") as stream:
        # A header may be in any encoding; what is not ASCII is no number anyway.
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
                yield number, line


def _delimiter(line: str) -> str:
    return next((d for d in ";\t" if d in line), ",")


def _fields(line: str, delimiter: str) -> list[str]:
    return [field.strip(' "') for field in line.split(delimiter)]


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return field.isascii() and "_" not in field


def _is_header(fields: list[str]) -> bool:
    """Whether they name columns: label or class, words only, or a word and 0, 1, ..."""
    numbers = [field for field in fields if _is_number(field)]
    counted = [[str(i) for i in range(k, k + len(numbers))] for k in (0, 1)]
    named = not _is_number(fields[0]) and (not numbers or numbers in counted)
    different = len(set(fields)) == len(fields)
    return (
        different
        and fields != [""]
        and (named or any(f.lower() in _LABELS for f in fields))
    )


def _problem(
    path: Path,
    header: list[str] | None,
    column: int | None,
    split: Callable[[str], list[str]],
) -> str:
    """What is wrong with a file that is not a table of numbers and labels."""
    first = width = 0
    labels = set()
    for number, line in islice(_lines(path), bool(header), None):
        fields = split(line)
        if not first:
            first, width = number, len(fields)
            if header and len(header) != width:
                names = f"{len(header)} columns as in the first line"
                return f"line {number}: expected {names}, got {width}."
        if width < 2:
            return f"line {number}: expected numbers with commas between."
        if len(fields) != width:
            columns = f"{width} columns as in line {first}"
            return f"line {number}: expected {columns}, got {len(fields)}."
        for i, field in enumerate(fields):
            if i == column and field:
                labels.add(field)
            elif not _is_number(field):
                what = "a label" if i == column else "a number"
                place = f"line {number}, column {i + 1}"
                return f"{place}: expected {what}, got {field[:20]!r}."
    if not first:
        return "expected lines of numbers and a label, got none."
    return (
        f"expected at most {MAX_CLASSES} different labels in column "
        f"{(column or 0) + 1}, got {len(labels)}."
    )
