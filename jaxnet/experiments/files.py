"""Files that survive whatever ends the process that writes them.

A file is replaced atomically, or is a log of JSON lines: each line is synced to disk,
and an incomplete last line is ignored and overwritten. What is read is validated by
msgspec, and nothing is executed.
"""

import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from io import FileIO
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

T = TypeVar("T")
_MAX_BYTES = 2**28  # of a log: two million epochs, or all results of the book
_NOT_JSON = (msgspec.MsgspecError, RecursionError, UnicodeDecodeError)


class StorageError(ValueError):
    """An unusable file: the message names it, what was expected and got."""


def expect(valid: bool, path: str | Path, expected: str, got: str) -> None:
    """Raise StorageError, naming the file, unless it is valid."""
    if not valid:
        raise StorageError(f"{path}: expected {expected}, got {got}.")


@contextmanager
def reported(path: str | Path, expected: str) -> Iterator[None]:
    """A context where the system's errors become StorageErrors that name the file."""
    try:
        yield
    except OSError as error:
        expect(False, path, expected, f"an error: {error.strerror or error}")


def read_file(path: str | Path, max_bytes: int) -> bytes:
    """All bytes of a regular file. Raises StorageError if it is larger than allowed."""
    with reported(path, "a readable file"):
        if not os.path.isfile(path):  # reading a pipe might never end
            there = os.path.exists(path)
            raise OSError("not a file" if there else "no such file")
        size = os.path.getsize(path)
        expect(size <= max_bytes, path, f"at most {max_bytes} bytes", str(size))
        return Path(path).read_bytes()


def replace_file(path: str | Path, content: bytes) -> None:
    """Write a file atomically: completely, or not at all. A missing folder is created.

    Raises StorageError if it cannot be written.
    """
    path = Path(path)
    # One name for all attempts: what a killed process leaves, the next one overwrites.
    temporary = path.with_name(f".{path.name}.tmp")
    with reported(path, "to write here"):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(temporary, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
        if os.name != "nt":  # which opens no folders
            folder = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)  # or a power cut may undo the renaming
            finally:
                os.close(folder)


@contextmanager
def locked(path: str | Path, *, wait: bool = True) -> Iterator[FileIO | None]:
    """A context with the file open for appending and locked against other processes.

    Without `wait`, the file is None if another process has the lock. The lock of a
    killed process is released.
    """
    import portalocker

    flags = portalocker.LOCK_EX if wait else portalocker.LOCK_EX | portalocker.LOCK_NB
    with ExitStack() as stack:
        with reported(path, "to write here"):
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            file: FileIO | None = stack.enter_context(open(path, "a+b", buffering=0))
            try:
                portalocker.lock(file, flags)  # type: ignore
            except portalocker.AlreadyLocked:
                file = None
            except portalocker.LockException:
                pass  # the file system has no locks
        yield file


def append_line(path: str | Path, value: Any, header: Any = None) -> None:
    """Add a line of JSON to a file, synced to disk when this returns, or not at all.

    An incomplete last line is overwritten. A header, if given, is the first line of a
    new file. Raises StorageError if the file cannot be written.
    """
    with locked(path) as file, reported(path, "to write here"):
        assert file is not None
        size = _complete(file)
        file.truncate(size)
        lines = [header, value] if header is not None and size == 0 else [value]
        content = b"".join(msgspec.json.encode(line) + b"\n" for line in lines)
        try:
            while content:  # a full disk takes a part, then refuses
                content = content[file.write(content) :]
            os.fsync(file.fileno())
        except OSError:
            file.truncate(size)
            raise


def _complete(file: FileIO) -> int:
    """The size of a file without an incomplete last line."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - 1))
    if file.read(1) in (b"", b"\n"):
        return size
    file.seek(0)
    return file.read().rfind(b"\n") + 1


def read_lines(path: str | Path, kind: type[T], *, skip: int = 0) -> list[T]:
    """The values of a file's lines, without an incomplete last one; none if no file.

    The first `skip` lines are left out. Raises StorageError for a line of another kind.
    """
    if not os.path.lexists(path):
        return []
    lines = read_file(path, _MAX_BYTES).split(b"\n")[skip:-1]
    decoder, values = msgspec.json.Decoder(kind), []
    for number, line in enumerate(lines, start=skip + 1):
        try:
            values.append(decoder.decode(line))
        except _NOT_JSON as error:
            got, why = line[:60].decode(errors="replace"), str(error)[:100]
            expect(False, path, f"a valid line {number} ({why})", repr(got))
    return values


def keep_lines(path: str | Path, n: int) -> None:
    """Cut a log after its first n lines. Raises StorageError if it cannot be cut."""
    with reported(path, "to write here"), open(path, "a+b") as file:
        file.seek(0)
        file.truncate(sum(len(file.readline()) for _ in range(n)))


class Log(Generic[T]):
    """A file of JSON lines whose first one, the header, says what the others share.

    A header has a format and the options of an experiment. Several processes may add to
    one file, and share the work: see `claim`.
    """

    def __init__(self, path: str | Path, header: dict[str, Any], kind: type[T]) -> None:
        """Name the file. Nothing is read or written yet."""
        self.path, self.kind = Path(path), kind
        self.header = header
        self._claims = self.path.with_name(f".{self.path.name}.claims")

    def read(self) -> list[T]:
        """The values of its lines.

        Raises StorageError if the header is another, or a line of another kind.
        """
        if not os.path.lexists(self.path):
            return []
        first, end, _ = read_file(self.path, _MAX_BYTES).partition(b"\n")
        whole = msgspec.json.encode(self.header)
        if not end and whole.startswith(first):  # new, or cut in its first line
            return []
        try:
            found = msgspec.json.decode(first)
        except _NOT_JSON:
            found = None
        kind = self.header["format"]
        same = isinstance(found, dict) and found.get("format") == kind
        got = repr(first[:60].decode(errors="replace"))
        expect(same, self.path, f"a first line with the format {kind!r}", got)
        ours, theirs = _flat(msgspec.json.decode(whole)), _flat(found)
        for name in ours | theirs:
            value, other = ours.get(name), theirs.get(name)
            expected = f"{name} {str(value):.100}"
            expect(value == other, self.path, expected, f"{str(other):.100}")
        return read_lines(self.path, self.kind, skip=1)

    def add(self, value: Any) -> None:
        """Add a line, synced to disk when this returns, as `append_line` does."""
        append_line(self.path, value, self.header)

    @contextmanager
    def claim(self, work: Sequence[Any], *, wait: bool) -> Iterator[bool]:
        """A context that claims work; False if another process is doing it."""
        with locked(self._claims / _digest(work), wait=wait) as file:
            yield file is not None

    def beside(self, work: Sequence[Any]) -> Path:
        """A folder for this work, beside the log. It is not made."""
        return self.path.with_suffix("") / _digest(work)

    def forget_claims(self) -> None:
        """Remove the files of the claims, when there is nothing left to claim."""
        shutil.rmtree(self._claims, ignore_errors=True)


def _flat(header: Any) -> dict[str, Any]:
    """A header with the options of its experiment beside its other facts."""
    options = header.get("experiment")
    others = {name: value for name, value in header.items() if name != "experiment"}
    return {**others, **options} if isinstance(options, dict) else others


def _digest(work: Sequence[Any]) -> str:
    return hashlib.sha256(repr(list(work)).encode()).hexdigest()[:16]
