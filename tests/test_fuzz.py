"""No file breaks a reader: it is read, or refused in a line that names it.

A few inputs of each kind in every run of the tests, and with `-m slow` the number
beside each, 104,000 in all; `test_fuzz_commands.py` has 10,000 command lines.
"""

import gzip
import resource
import signal
import tracemalloc
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import jaxnet
from jaxnet import export, folders, grid, handwriting, jsonlines
from jaxnet.datasets import DataError, read_idx
from jaxnet.owndata import load_data
from jaxnet.readers import read_csv
from jaxnet.storage import StorageError, load_book_network
from tests import hostile, hostile_pictures

SECONDS = 20  # a limit for one input, which takes a few milliseconds
FEW = 120


@contextmanager
def in_time():
    """A context that is left with TimeoutError rather than waited for."""

    def give_up(*_):
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def read_or_refused(read: Callable[[], Any], name: str) -> bool:
    """Whether it is read; if it is not, the error must be one of ours, and name it."""
    try:
        with in_time():
            read()
    except (DataError, StorageError) as error:
        message = str(error)
        assert name in message and "expected" in message, message
        assert len(message.splitlines()) == 1 and len(message) < 1500, message
        return False
    return True


CASES: dict[Callable[[Path], hostile.Case], int] = {
    hostile.idx_files: 20_000,
    hostile.csv_files: 15_000,
    hostile.book_files: 15_000,
    hostile_pictures.pictures: 16_000,
    hostile_pictures.picture_folders: 4_000,
    hostile.functions: 4_000,
    hostile.sweeps: 10_000,
    hostile.results: 8_000,
    hostile.kept_runs: 12_000,
}


def fuzz(case: Callable[[Path], hostile.Case], folder: Path, seed: int, n: int) -> None:
    write, read, name = case(folder)
    draw, done = np.random.default_rng(seed), []
    for i in range(n):
        write(draw)
        try:
            done.append(read_or_refused(read, name))
        except BaseException as error:
            error.add_note(f"This was input {i} of seed {seed}.")
            raise
    assert any(done) and not all(done)  # or the changes are too large, or too small


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_a_few_changed_files_are_read_or_refused(tmp_path, case):
    fuzz(case, tmp_path, 0, FEW)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_thousands_of_changed_files_are_read_or_refused(tmp_path, case):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    fuzz(case, tmp_path, 1, CASES[case])
    # In KiB. A picture of 64 million pixels takes half of it, unpacked.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < before + 2**20


READERS: dict[str, Callable[[Path], Any]] = {
    "a.idx": lambda path: read_idx(path, 3),
    "a.csv": load_data,
    "b.csv": read_csv,
    "c.json": load_book_network,
    "d.png": handwriting.read_picture,
    "e.jax": export.load_function,
    "f.jsonl": lambda path: grid.Kept(path, {}),
    "g.log": jsonlines.read_lines,
    "h": folders.read,
    "i": jaxnet.load_mnist,
    "j": load_data,
}


@pytest.mark.parametrize("name", READERS)
def test_what_is_no_file_is_refused_and_not_waited_for(tmp_path, name):
    path = tmp_path / name
    nothing = {"f.jsonl", "g.log"}  # where a file may be missing, or be begun
    for put in hostile_pictures.PLACES:
        put(path)
        missing = name in nothing and (not path.exists() or path.stat().st_size == 0)
        assert read_or_refused(lambda: READERS[name](path), name) in (False, missing)
        hostile_pictures.remove(path)
    long = tmp_path / (300 * "a" + name)
    assert not read_or_refused(lambda: READERS[name](long), name)


def hostile_headers() -> dict[str, tuple[str, bytes]]:
    """Small files that say they are large."""
    most = (2**30 - 1).to_bytes(4) + (1).to_bytes(4) * 2
    packed, csv = (
        gzip.compress(content, mtime=0)
        for content in (bytes([0, 0, 8, 3]) + most, b"1,2\n")
    )
    png = bytearray(hostile_pictures.pictures_bytes()[0])
    png[16:24] = (7999).to_bytes(4) * 2
    return {
        "IDX": ("a.idx", bytes([0, 0, 8, 3]) + most + b"few"),
        "gzipped IDX": ("a.idx", packed),
        "gzip's own size": (
            "b.csv",
            gzip.compress(b"1,2\n", mtime=0)[:-4] + b"\xff" * 4,
        ),
        "sizes": ("c.json", b'{"sizes": [1000000000, 1000000000], "weights": [[]]}'),
        "PNG": ("d.png", bytes(png)),
    }


@pytest.mark.parametrize(("name", "content"), hostile_headers().values())
def test_what_a_header_claims_takes_no_memory(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    assert not read_or_refused(lambda: READERS[name](path), name)  # imports come first
    tracemalloc.start()
    assert not read_or_refused(lambda: READERS[name](path), name)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**27  # of a GiB that is claimed
