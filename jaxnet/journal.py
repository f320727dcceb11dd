"""A file of JSON lines that may be cut anywhere, and is then gone on with.

The first line says what the others share. Each is on the disk before it counts. One cut
short, by whatever ended the process, is left out, and what it was is done again.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jaxnet.files import StorageError, content, reported, wait_for_turn
from jaxnet.jsonlines import append, append_line, encoded

_MOST_BYTES = 2**28  # more than all results of the book together


class Journal:
    """The lines of a file, in `values`, and after the first one more by `add`.

    Several processes may add to one file: each knows the lines that were there when it
    began, and its own.
    """

    def __init__(
        self,
        path: str | Path,
        kind: str,
        shared: Mapping[str, Any],
        right: Callable[[Any], bool] = lambda value: value is not None,
        *,
        only_read: bool = False,
    ) -> None:
        """Open the file, or begin it with its kind and what its lines share.

        `right` says of the value of a line, after the first, whether it may be there.
        With `only_read` the file stays as it is: another process may be writing it.

        Raises StorageError if it is of another kind, or shares something else, or has
        another line in it.
        """
        self.path, self.values = Path(path), []
        header = {"format": kind, **shared}
        with reported(self.path, "a file of results"):
            there = content(self.path, _MOST_BYTES) if self.path.exists() else b""
        if only_read:
            self._read(there, header, right)
            return
        with reported(self.path, "to write here"):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with open(self.path, "ab", buffering=0) as file:
                wait_for_turn(file)
                there = content(self.path, _MOST_BYTES)
                whole = self._read(there, header, right)
                if whole < len(there):
                    file.truncate(whole)
                if not whole:
                    append(file, encoded(header))

    def _read(
        self, there: bytes, header: Mapping[str, Any], right: Callable[[Any], bool]
    ) -> int:
        """How many bytes are whole lines, whose values are now in `values`."""
        if encoded(header)[:-1].startswith(there):  # it was cut, or is new
            return 0
        whole, _, cut = there.rpartition(b"\n")
        first, *lines = whole.split(b"\n")
        self._check(first, header)
        for number, line in enumerate(lines, start=2):
            value = _parsed(line)
            if not right(value):
                raise StorageError(
                    f"{self.path}: expected JSON of the format {header['format']!r} on "
                    f"line {number}, got {line[:60]!r}. Delete it to have it done "
                    "again."
                )
            self.values.append(value)
        return len(there) - len(cut)

    def _check(self, first: bytes, header: Mapping[str, Any]) -> None:
        found = _parsed(first)
        if not isinstance(found, dict) or found.get("format") != header["format"]:
            raise StorageError(
                f"{self.path}: expected a file whose first line has the format "
                f"{header['format']!r}, got {first[:60]!r}."
            )
        for name, value in json.loads(json.dumps(header)).items():
            if found.get(name) != value:
                raise StorageError(
                    f"{self.path}: expected {name} {value}, got "
                    f"{str(found.get(name))[:60]}. Choose another file."
                )

    def add(self, value: Mapping[str, Any]) -> None:
        """Add a line; it is on the disk when this returns, or StorageError says why."""
        append_line(self.path, value)
        self.values.append(dict(value))


def _parsed(line: bytes) -> Any:
    """The value of a line of JSON, or None."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None
