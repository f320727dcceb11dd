"""A process that is killed at whichever of its writes one likes.

What is forked here must not have started JAX, whose threads no child would have.
"""

import os
import signal
import sys
from collections.abc import Callable
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from unittest import mock


class Watched:
    """A file for writing that says beforehand what it writes."""

    def __init__(self, file, happens):
        self.file, self.happens = file, happens

    @property
    def __class__(self):  # type: ignore  # what isinstance sees
        return type(self.file)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()

    def __getattr__(self, name):
        return getattr(self.file, name)

    def write(self, content):
        self.happens(self.file, content)
        return self.file.write(content)

    def truncate(self, size):
        self.happens(None, b"")
        return self.file.truncate(size)


@contextmanager
def every_step(happens):
    """Call `happens(file, content)` before whatever changes a file.

    That is each opening for writing, write, truncate, fsync, rename and removal.
    """
    real_open = open

    def watched_open(path, mode="r", *args, **kwargs):
        if mode in ("r", "rb"):
            return real_open(path, mode, *args, **kwargs)
        happens(None, b"")
        return Watched(real_open(path, mode, *args, **kwargs), happens)

    def watched(function):
        def step(*args, **kwargs):
            happens(None, b"")
            return function(*args, **kwargs)

        return step

    # A killed process leaves the system what it wrote: no need to wait for the disk.
    with (
        mock.patch("builtins.open", watched_open),
        mock.patch("os.fsync", watched(lambda descriptor: None)),
        mock.patch("os.replace", watched(os.replace)),
        mock.patch("os.unlink", watched(os.unlink)),
    ):
        yield


def at_step(k: int, action: Callable[[], None], part: float = 0.5):
    """What happens: the action at step k, when a part is written of what is to be."""
    steps = count(1)

    def happens(file, content):
        if next(steps) == k:
            if file is not None:
                file.write(content[: int(part * len(content))])
                file.flush()
            action()

    return happens


def left_at_each_step(folder: Path, work: Callable[..., object]) -> list[Path]:
    """Copies of a folder as a kill at each step of `work(folder, happens)` leaves it.

    Of what is being written then, a half has been.
    """
    copies = []

    def happens(file, content):
        copy = folder.with_name(f"{folder.name}-{len(copies)}") / folder.name
        copy.mkdir(parents=True)
        for path in filter(Path.is_file, folder.iterdir()):
            (copy / path.name).write_bytes(path.read_bytes())
        if file is not None:
            path = copy / Path(file.name).name
            path.write_bytes(path.read_bytes() + content[: len(content) // 2])
        copies.append(copy)

    folder.mkdir()
    work(folder, happens)
    return copies


def kill_myself() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def forked(work: Callable[[], object]) -> int:
    """The number of a new process that does the work, and ends with 0 if it could."""
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        finally:  # whatever was raised, this is no second parent
            sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
            os._exit(1)
    return child
