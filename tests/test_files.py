"""A log and a checkpoint survive a kill at any moment, a full disk and damage."""

import errno
import json
import os
import re
import resource
import subprocess
import sys
from itertools import count
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxnet.experiments import checkpoint
from jaxnet.experiments.files import (
    Log,
    StorageError,
    append_line,
    keep_lines,
    locked,
    read_lines,
    replace_file,
)
from tests.kills import at_step, every_step

ROOT = Path(__file__).parent.parent
HEADER = {"format": "kind 1", "experiment": {"epochs": 3, "eta": 0.5}}


class Number(msgspec.Struct, forbid_unknown_fields=True):
    number: int


def log(path, **experiment) -> Log:
    header = {**HEADER, "experiment": {**HEADER["experiment"], **experiment}}
    return Log(path, header, Number)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# Lines.


def test_a_log_cut_anywhere_keeps_its_complete_lines_and_continues(tmp_path):
    path = tmp_path / "file.jsonl"
    for number in (1, 2):
        log(path).add(Number(number))
    content = path.read_bytes()
    for size in range(len(content)):
        path.write_bytes(content[:size])
        kept = content[:size].count(b"\n") - 1
        assert [each.number for each in log(path).read()] == [1, 2][: max(kept, 0)]
        assert path.read_bytes() == content[:size], "reading changes nothing"
        for number in (1, 2)[max(kept, 0) :]:
            log(path).add(Number(number))
        assert path.read_bytes() == content


def test_files_and_lines_of_another_kind_are_refused_and_left_as_they_are(tmp_path):
    path = tmp_path / "file"
    message = "a first line with the format 'kind 1', got"
    for content in (b"\x89PNG\r\n\x1a\n", b'{"format": "kind 2"}\n', b"[1]\n"):
        path.write_bytes(content)
        with pytest.raises(StorageError, match=message):
            log(path).read()
        assert path.read_bytes() == content
    for line in (
        b"{}",
        b'{"number": "1"}',
        b'{"number": 1e400}',
        b"\xff",
        b"[" * 10**5,
    ):
        path.write_bytes(b'{"number":1}\n' + line + b'\n{"number":3}\n')
        with pytest.raises(StorageError, match="file: expected a valid line 2 .*, got"):
            read_lines(path, Number)


def test_a_log_is_cut_to_its_first_lines(tmp_path):
    path = tmp_path / "file"
    for rest in (b"", b'{"epo', b"3\n4\n5", b"\xff"):
        path.write_bytes(b"1\n2\n" + rest)
        keep_lines(path, 2)
        assert path.read_bytes() == b"1\n2\n"
        append_line(path, 3)
        assert read_lines(path, int) == [1, 2, 3]
    keep_lines(path, 0)
    assert read_lines(path, int) == []


OTHER = """
import sys
from jaxnet.experiments.files import append_line, locked
def hold():
    with locked(f"{sys.argv[1]}/lock"):
        print("locked", flush=True)
        input()
hold()
for number in range(200):
    append_line(f"{sys.argv[1]}/lines", number, "header")
hold()
"""


def test_processes_add_lines_in_turn_and_the_lock_of_a_killed_one_is_free(tmp_path):
    lock, path, pipe = tmp_path / "lock", tmp_path / "lines", subprocess.PIPE
    command = [sys.executable, "-c", OTHER, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe) as other:
        assert other.stdin and other.stdout
        assert other.stdout.readline() == b"locked\n"
        with locked(lock, wait=False) as file:
            assert file is None
        other.stdin.write(b"\n")
        other.stdin.flush()
        for number in range(200):
            append_line(path, number, "header")
        assert other.stdout.readline() == b"locked\n"
        other.kill()
    with locked(lock, wait=False) as file:
        assert file is not None
    header, *numbers = [json.loads(line) for line in path.read_text().splitlines()]
    assert header == "header" and sorted(numbers) == sorted([*range(200)] * 2)
    with pytest.raises(OSError, match="^of the work$"), locked(lock):
        raise OSError("of the work")


# Checkpoints.


class Manifest(msgspec.Struct, frozen=True):
    number: int


def save(folder: Path, *numbers: int) -> None:
    """Arrays of a few pages, by which a torn or mixed checkpoint would be seen."""
    for number in numbers:
        w = np.full((40, 50), number, np.float32)
        arrays = {"w": w, "n": np.asarray(number)}
        checkpoint.save(folder, number, arrays, Manifest(number))


def newest(folder: Path) -> int:
    """The number of the newest checkpoint, after a look at every value."""
    arrays, manifest, _ = checkpoint.load(folder, Manifest)
    assert arrays["w"].shape == (40, 50) and arrays["w"].dtype == np.float32
    assert (arrays["w"] == manifest.number).all() and arrays["n"] == manifest.number
    return manifest.number


def files(*numbers: int) -> list[str]:
    return [f"checkpoint-{number:08}.safetensors" for number in numbers]


DTYPES = ["bool", "int32", "uint8", "float16", "float32", "float64"]


@settings(max_examples=20)
@given(
    dtype=st.sampled_from(DTYPES),
    shape=st.lists(st.integers(0, 3), max_size=3),
    seed=st.integers(0, 2**31 - 1),
)
def test_a_round_trip_is_exact(tmp_path_factory, dtype, shape, seed):
    """Of any bits: nan, infinities and the smallest numbers among them."""
    bits = np.random.default_rng(seed).integers(0, 256, (*shape, 8), np.uint8)
    array = bits[..., 0] > 99 if dtype == "bool" else bits.view(dtype)[..., 0]
    folder = tmp_path_factory.getbasetemp() / "round-trip"
    checkpoint.save(folder, 1, {"a": np.array(array)}, Manifest(seed))
    (found, manifest, skipped) = checkpoint.load(folder, Manifest)
    assert found["a"].dtype == array.dtype and found["a"].shape == array.shape
    assert found["a"].tobytes() == array.tobytes()
    assert manifest == Manifest(seed) and skipped == ()


DAMAGE = {
    "empty": lambda data: b"",
    "a pickle": lambda data: b"\x80\x02}q\0.",
    "another number": lambda data: data[:-1] + bytes([data[-1] ^ 1]),
    "a huge header": lambda data: (2**63).to_bytes(8, "little"),
    "an edited manifest": lambda data: data.replace(b"number", b"numbed"),
}


@pytest.mark.parametrize("change", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_checkpoint_is_named_and_the_one_before_used(tmp_path, change):
    def damage(number: int) -> None:
        path = tmp_path / files(number)[0]
        path.write_bytes(change(path.read_bytes()))

    save(tmp_path, 1, 2)
    damage(2)
    assert newest(tmp_path) == 1
    *_, [reason] = checkpoint.load(tmp_path, Manifest)
    message = "00000002.safetensors: expected (safetensors|a checkpoint as it was sa)"
    assert re.search(message, reason) and len(reason.splitlines()) == 1
    damage(1)
    with pytest.raises(StorageError, match=f"^{tmp_path}: expected a folder with a ch"):
        checkpoint.load(tmp_path, Manifest)
    save(tmp_path, 3)
    assert newest(tmp_path) == 3


def test_no_checkpoint_is_refused(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "checkpoint-old.safetensors").touch()
    for place in ("", "nowhere", "file"):
        folder = tmp_path / place
        message = f"{folder}: expected a folder with a checkpoint, got none."
        with pytest.raises(StorageError, match=message):
            checkpoint.load(folder, Manifest)
    (tmp_path / files(1)[0]).symlink_to(files(1)[0])
    with pytest.raises(StorageError, match="an error: no such file"):
        checkpoint.load(tmp_path, Manifest)


# Disks.


def test_a_full_disk_leaves_the_checkpoint_before(tmp_path):
    def refuse():
        raise OSError(errno.ENOSPC, "what the system says")

    save(tmp_path, 1, 2)
    for k in count(1):
        before = newest(tmp_path)
        try:
            with every_step(at_step(k, refuse)):
                save(tmp_path, before + 1)
        except StorageError as error:
            message = "expected to write here, got an error: what the system says."
            assert str(error).endswith(message)
            assert newest(tmp_path) in (before, before + 1)
            save(tmp_path, newest(tmp_path) + 1)
            assert len(names(tmp_path)) == 2
        else:
            assert k > 5
            return


def test_a_disk_that_takes_a_part_of_a_file(tmp_path):
    save(tmp_path, 1, 2)
    append_line(tmp_path / "log", 1)
    before = names(tmp_path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, limits[1]))
        for use in (
            lambda: save(tmp_path, 3),
            lambda: append_line(tmp_path / "log", "a" * 6000),
            lambda: replace_file(tmp_path / "file", b"a" * 6000),
        ):
            with pytest.raises(StorageError, match="here, got an error: File too"):
                use()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert newest(tmp_path) == 2 and names(tmp_path) == before
    append_line(tmp_path / "log", 2)
    assert read_lines(tmp_path / "log", int) == [1, 2]


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    for place in (tmp_path / "file" / "below", Path("/proc/nowhere")):
        for use in (
            lambda place=place: save(place, 1),
            lambda place=place: append_line(place / "log", 1),
            lambda place=place: replace_file(place / "new", b""),
            lambda place=place: locked(place / "lock").__enter__(),
        ):
            with pytest.raises(StorageError, match=f"{place}.*: expected to write h"):
                use()
    assert os.path.getsize(tmp_path / "file") == 0
