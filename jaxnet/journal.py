"""A file of JSON lines that may be cut anywhere, and is then gone on with.

The first line says what the others share. Each is on the disk before it counts. One cut
short, by whatever ended the process, is left out, and what it was is done again.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxnet.checkpoints import append_line
from jaxnet.storage import StorageError


class Journal:
    """The lines of a file, in `values`, and after the first one more by `add`."""

    def __init__(
        self,
        path: str | Path,
        kind: str,
        shared: Mapping[str, Any],
        *,
        only_read: bool = False,
    ) -> None:
        """Open the file, or begin it with its kind and what its lines share.

        With `only_read` the file stays as it is: another process may be writing it.

        Raises StorageError if it is of another kind, or shares something else.
        """
        self.path, self.values = Path(path), []
        header = {"format": kind, **shared}
        if not only_read:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        content = self.path.read_bytes() if self.path.exists() else b""
        if json.dumps(header).encode().startswith(content):  # it was cut, or is new
            if not only_read:
                self.path.write_bytes(b"")
                append_line(self.path, header)
            return
        whole, _, cut = content.rpartition(b"\n")
        first, *lines = whole.split(b"\n")
        self._check(first, header)
        for number, line in enumerate(lines, start=2):
            try:
                self.values.append(json.loads(line))
            except ValueError as error:
                raise StorageError(
                    f"{self.path}: expected JSON on line {number}, got "
                    f"{line[:60]!r}. Delete the line to have it done again."
                ) from error
        if cut and not only_read:
            os.truncate(self.path, len(whole) + 1)

    def _check(self, first: bytes, header: Mapping[str, Any]) -> None:
        try:
            found = json.loads(first)
        except ValueError:
            found = None
        if not isinstance(found, dict) or found.get("format") != header["format"]:
            raise StorageError(
                f"{self.path}: expected a file whose first line has the format "
                f"{header['format']!r}, got {first[:60]!r}."
            )
        for name, value in json.loads(json.dumps(header)).items():
            if found.get(name) != value:
                raise StorageError(
                    f"{self.path}: expected {name} {value}, got {found.get(name)}. "
                    "Choose another file."
                )

    def add(self, value: Mapping[str, Any]) -> None:
        """Add a line; it is on the disk when this returns, or StorageError says why."""
        append_line(self.path, value)
        self.values.append(dict(value))
