"""No file breaks a reader, and no words break the command line.

A file is read, or refused in a line that names it. A few inputs of each kind in every
run of the tests, and with `-m slow` the number beside each, 16,000 in all.
"""

import argparse
import gzip
import io
import re
import resource
import signal
import sys
import tracemalloc
from collections.abc import Callable
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from io import TextIOWrapper
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

import jaxnet
from jaxnet import cli, pictures, runs
from jaxnet.cli import COMMANDS, main
from jaxnet.compare import CandidateError
from jaxnet.datasets import DataError, load_data, read_csv, read_idx, read_npz
from jaxnet.experiments import Experiment, StorageError
from jaxnet.experiments.files import read_lines
from jaxnet.experiments.sweep import log_of
from tests import hostile
from tests.helpers import raising
from tests.hostile import Draw, pick

SECONDS = 20  # a limit for one input, which takes a few milliseconds
FEW = 100
SEEDS = [0, pytest.param(1, marks=pytest.mark.slow)]


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
        assert name in message and "expected" in message.lower(), message
        assert len(message.splitlines()) == 1 and len(message) < 1500, message
        return False
    return True


CASES: dict[Callable[[Path], hostile.Case], int] = {
    hostile.idx_files: 3_000,
    hostile.npz_files: 1_000,
    hostile.csv_files: 2_500,
    hostile.book_files: 2_500,
    hostile.pictures: 2_500,
    hostile.picture_folders: 600,
    hostile.functions: 600,
    hostile.sweeps: 2_000,
    hostile.kept_runs: 700,
}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
@pytest.mark.parametrize("seed", SEEDS)
def test_changed_files_are_read_or_refused(tmp_path, case, seed):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    files = case(tmp_path)
    path = tmp_path / next(iter(files.files))
    draw, done = np.random.default_rng(seed), []
    for i in range(CASES[case] if seed else FEW):
        files.write(tmp_path, draw)
        try:
            done.append(read_or_refused(lambda: files.read(path), files.name))
        except BaseException as error:
            error.add_note(f"This was input {i} of seed {seed}.")
            raise
    assert any(done) and not all(done)  # or the changes are too large, or too small
    # In KiB. A picture of 64 million pixels takes half of it, unpacked.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < before + 2**20


READERS: dict[str, Callable[[Path], Any]] = {
    "a.idx": lambda path: read_idx(path),
    "a.csv": load_data,
    "b.csv": read_csv,
    "c.json": jaxnet.load_book_network,
    "d.png": pictures.read_picture,
    "e.jax": runs.load_function,
    "f.jsonl": lambda path: log_of(path, Experiment()).read(),
    "g.log": lambda path: read_lines(path, int),
    "h": runs.read,
    "i": load_data,
    "j.npz": read_npz,
}


@pytest.mark.parametrize("name", READERS)
def test_what_is_no_file_is_refused_and_not_waited_for(tmp_path, name):
    path = tmp_path / name
    nothing = {"f.jsonl", "g.log"}  # where a file may be missing, or be begun
    for put in hostile.PLACES:
        put(path)
        missing = name in nothing and (not path.exists() or path.stat().st_size == 0)
        missing = missing and not path.is_symlink()
        assert read_or_refused(lambda: READERS[name](path), name) in (False, missing)
        hostile.remove(path)
    long = tmp_path / (300 * "a" + name)
    assert not read_or_refused(lambda: READERS[name](long), name) or name in nothing


def hostile_headers() -> dict[str, tuple[str, bytes]]:
    """Small files that say they are large."""
    most = (2**30 - 1).to_bytes(4) + (1).to_bytes(4) * 2
    packed, csv = (
        gzip.compress(content, mtime=0)
        for content in (bytes([0, 0, 8, 3]) + most, b"1,2\n")
    )
    npy = io.BytesIO()
    claim = {"shape": (2**30 - 8,), "fortran_order": False, "descr": "|u1"}
    np.lib.format.write_array_header_1_0(npy, claim)
    png = bytearray(hostile.pictures_bytes()[0])
    png[16:24] = (7999).to_bytes(4) * 2
    return {
        "IDX": ("a.idx", bytes([0, 0, 8, 3]) + most + b"few"),
        "gzipped IDX": ("a.idx", packed),
        "gzip's own size": ("b.csv", csv[:-4] + b"\xff" * 4),
        "sizes": ("c.json", b'{"sizes": [1000000000, 1000000000], "weights": [[]]}'),
        "NumPy": ("j.npz", npy.getvalue() + b"few"),
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


# Command lines. What takes time, training and reading pictures, is left out.

WORDS = """0 1 -1 2 3.5 1e39 1e-60 -1e5 nan inf 1_0 ٣ -- - -x --help --version --e = a,b
$x$ %s {} ~ 漢 784,3,10 784,10 784,,10 784,2147483647,10 10 2147483648 0.1,1,3 quadratic
backprop nowhere:f os:sep os:nothing : os: . /dev/null /dev/full /dev/zero
/proc/self/mem nowhere pipe loop file file/below net.json kept data.csv pictures a.png
a.json a.onnx a.jax a.svg list compare""".split()
WORDS += ["", " ", "9" * 5000, "a\0b", "\udcff", "a\nb", "a\rb\u2028", "x" * 300]
WORDS += ["784," + "9," * 200 + "10", ",".join(map(str, range(1, 999))), "30 hidden"]


def options_of(command: str) -> list[str]:
    """The options that a command's help names."""
    parser = argparse.ArgumentParser()
    import_module(f"jaxnet.cli.{command}").add_options(parser)
    return sorted(set(re.findall(r"--[a-z0-9-]+", parser.format_help())))


OPTIONS = {command: options_of(command) for command in COMMANDS}


def command_line(draw: Draw) -> list[str]:
    """A command, usually one that there is, and some options and other words."""
    command = pick(draw, list(COMMANDS))
    argv = [command] if draw.random() < 0.97 else []
    if command == "runs" and draw.random() < 0.8:
        argv.append(pick(draw, ("list", "compare")))
    if command in ("evaluate", "predict", "export") and draw.random() < 0.8:
        argv.append(pick(draw, ("net.json", "kept")))
    for _ in range(int(draw.integers(5))):
        word = pick(draw, WORDS)
        if draw.random() < 0.8:
            name = pick(draw, OPTIONS[command] + ["--nothing"])
            argv += [f"{name}={word}"] if draw.random() < 0.5 else [name, word]
        else:
            argv.append(word)
    return argv


@pytest.fixture
def place(tmp_path, monkeypatch, small_mnist):
    """A folder to run commands in, with a file of each kind, where none takes long."""
    monkeypatch.chdir(tmp_path)
    # With the types checked, as in tests, making all the options takes 0.1 s.
    monkeypatch.setattr("jaxnet.cli._parser", cache(cli._parser))
    place = "jaxnet.datasets.formats.mnist_folder"
    monkeypatch.setattr(place, lambda: Path(small_mnist))
    stop = raising(KeyboardInterrupt)
    for name, instead in {
        "train.follow": stop,
        "sweep.train_networks": stop,
        "reproduce.reproduce": stop,
        "predict._read": raising(DataError, "Expected a picture, got none."),
        "compare.examine": raising(CandidateError, "no gradient"),
        "evaluate.measure": stop,
        "export.save_function": stop,
        "export.save_onnx": stop,
        "doctor.versions": stop,
    }.items():
        monkeypatch.setattr(f"jaxnet.cli.{name}", instead)
    monkeypatch.setattr("jaxnet.figures.curves", lambda *_: None)
    jaxnet.save_book_network("net.json", jaxnet.init(jax.random.key(0), [784, 10]))
    hostile.write_run(Path("kept"))
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "data.csv").write_text("0,1,2\n1,3,4\n0,5,6\n1,7,8\n")
    return tmp_path


def ends_well(argv: list[str], capsys) -> int:
    """The exit code, once what is printed has been looked at."""
    assert isinstance(sys.stderr, TextIOWrapper)
    sys.stderr.reconfigure(errors="backslashreplace")  # as Python has it
    try:
        code = main(argv)
    except SystemExit as stop:
        code = stop.code
    trouble = capsys.readouterr().err
    note, ends, after = trouble.partition("have changed since kept was trained.\n")
    trouble = after if ends and note.count("\n") == 0 else trouble
    assert code in (0, 1, 2, 130) and "Traceback" not in trouble
    several = argv[0:1] == ["reproduce"]  # which says what it trains
    assert several or trouble.count("\n") <= 1 and len(trouble) < 1100
    assert code != 2 or "predict" in argv[0:1] or re.match("jaxnet.*: .", trouble)
    return code


@pytest.mark.parametrize("seed", SEEDS)
def test_command_lines_end_well(place, capsys, seed):
    draw, codes = np.random.default_rng(seed), set()
    for i in range(1_000 if seed else 60):
        argv = command_line(draw)
        try:
            codes.add(ends_well(argv, capsys))
        except BaseException as error:
            error.add_note(f"These were words {i} of seed {seed}: {argv!r:.500}")
            raise
    assert codes == {0, 1, 2, 130}
