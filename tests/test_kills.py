"""`train` is killed at each of its writes, and resumes to the same bits.

The process from which it is forked again and again is this module: `python -m` it.
"""

import hashlib
import io
import json
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from functools import partial
from pathlib import Path
from unittest import mock

import msgspec
import pytest

from jaxnet import runs
from jaxnet.cli import main
from jaxnet.runs import checkpoint
from jaxnet.runs.run import Manifest
from tests.kills import at_step, every_step, forked, kill_myself

ROOT = Path(__file__).parent.parent
OPTIONS = ("--sizes", "784,4,10", "--optimizer", "adam", "--eta", "0.1")
OPTIONS += ("--dropout", "0.2", "--schedule", "90", "--json")
TIMES = {"seconds_per_epoch", "compile_seconds"}


def said(*words) -> tuple[int, str]:
    """A command's exit code, and all that it prints."""
    text = io.StringIO()
    with redirect_stdout(text), redirect_stderr(text):
        code = main([str(word) for word in words])
    return code, text.getvalue()


def begun(folder: Path) -> bool:
    return any(folder.glob(checkpoint.PATTERN))


def train(data: str, folder: Path, epochs: int, happens=lambda *_: None) -> dict:
    """Begin the run, or resume it if it was begun, and keep every epoch of it."""
    words = ["--data", data, *OPTIONS, "--epochs", epochs, "--out", folder]
    if begun(folder):
        words = ["--resume", folder, "--json"]
    with every_step(happens), mock.patch("jaxnet.runs.run._PAUSE", 0.0):
        code, text = said("train", *words)
    assert code == 0, text
    return {k: v for k, v in json.loads(text).items() if k not in TIMES}


def kept(folder: Path) -> tuple[int, list, str]:
    """What a folder has: epochs saved, records, and its arrays as a checksum."""
    run, digest = runs.read(folder), hashlib.sha256()
    records = [msgspec.structs.replace(record, seconds=0.0) for record in run.records]
    for place, array in sorted(checkpoint.load(folder, Manifest)[0].items()):
        digest.update(f"{place}{array.dtype}{array.shape}".encode())
        digest.update(array.tobytes())
    return run.manifest.epochs_done, records, digest.hexdigest()


def straight(data: str, folder: Path, epochs: int, happens=lambda *_: None) -> dict:
    """An uninterrupted run: its results, records, and arrays after each epoch."""
    arrays, save = [], checkpoint.save

    def save_and_look(*arguments):
        save(*arguments)
        arrays.append(kept(folder)[-1])

    with mock.patch("jaxnet.runs.checkpoint.save", save_and_look):
        results = train(data, folder, epochs, happens)
    assert len(arrays) == epochs + 1
    records = msgspec.to_builtins(kept(folder)[1])
    return {"results": results, "records": records, "arrays": arrays}


def check(folder: Path, expected: dict) -> int:
    """How many epochs are saved, once they are seen to be the uninterrupted run's."""
    if not begun(folder):
        return 0
    saved, records, arrays = kept(folder)
    assert msgspec.to_builtins(records) == expected["records"][: len(records)]
    assert saved in (len(records), len(records) - 1)
    assert arrays == expected["arrays"][saved]
    return saved


def check_listed(folder: Path, epochs: int) -> None:
    """`runs list` has the run, or says that there is none, and so does `--resume`."""
    code, text = said("runs", "list", folder.parent)
    if begun(folder):
        _, row = text.splitlines()
        done = f" {len(runs.read(folder).records)}/{epochs} "
        assert code == 0 and row.startswith("killed ") and done in row
        return
    assert code == 2 and "expected a folder of runs, from train --out" in text
    code, text = said("train", "--resume", folder)
    assert code == 2 and "expected a folder with a checkpoint, got none." in text


def is_killed(process: int) -> bool:
    _, status = os.waitpid(process, 0)
    assert status in (0, signal.SIGKILL), status
    return status == signal.SIGKILL


def kill_at_each_write(data: str, folder: Path, kills: int, expected: dict) -> int:
    """The most writes that a process was let do; it resumes from what the last left.

    The first is killed at its first write, the next at its second, and so on, until one
    has done two epochs; then from the first again. What the write that it is killed at
    has written is nothing, a half, or all.
    """
    saved, write, most, epochs = 0, 1, 0, len(expected["records"])
    for number in range(kills):
        happens = at_step(write, kill_myself, part=number % 3 / 2)
        assert is_killed(forked(partial(train, data, folder, epochs, happens)))
        check_listed(folder, epochs)
        before, saved = saved, check(folder, expected)
        assert before <= saved <= before + 2
        most = max(most, write)
        write = 1 if saved == before + 2 else write + 1
    return most


def kill_at_random_times(data: str, folder: Path, kills: int, expected: dict) -> None:
    """Each process is killed up to a tenth of a second after an epoch of its own."""
    draw, epochs = random.Random(0), len(expected["records"])
    for _ in range(kills):
        before = check(folder, expected)
        process = forked(partial(train, data, folder, epochs))
        while not begun(folder) or runs.read(folder).manifest.epochs_done == before:
            time.sleep(0.001)
        time.sleep(draw.uniform(0, 0.1))
        os.kill(process, signal.SIGKILL)
        assert is_killed(process)
        check_listed(folder, epochs)
        assert check(folder, expected) > before


def kill_trainer(data: str, folder: Path, epochs: int) -> None:
    """Kill `train` 200 times at a write and 20 times at random; print what was done."""
    answers = folder / "answers"

    def in_a_process(work) -> dict:
        assert not is_killed(forked(lambda: answers.write_text(json.dumps(work()))))
        return json.loads(answers.read_text())

    expected = in_a_process(partial(straight, data, folder / "straight", epochs))
    places = [folder / name / "killed" for name in ("writes", "random")]
    for place in places:
        place.parent.mkdir()
    writes = kill_at_each_write(data, places[0], 200, expected)
    kill_at_random_times(data, places[1], 20, expected)
    left = [epochs - check(place, expected) for place in places]
    for place in places:
        results = in_a_process(partial(train, data, place, epochs))
        assert results == expected["results"]
        assert check(place, expected) == epochs == len(kept(place)[1])
    print(json.dumps({"writes": writes, "left": left}))


@pytest.mark.slow
def test_train_survives_200_kills_at_its_writes_and_20_at_random(small_mnist, tmp_path):
    """Each kill is a SIGKILL of a process that runs the command itself.

    Python and JAX take seconds to start, so a process that has imported them, and not
    let JAX start its threads, forks all others.
    """
    options = ["-W", "ignore::RuntimeWarning", "-m", "tests.test_kills"]
    command = [sys.executable, *options, small_mnist, str(tmp_path)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    # An epoch is four steps of its record, and seven of its checkpoint.
    assert found["writes"] > 2 * (4 + 7)
    assert min(found["left"]) > 0


def test_what_a_kill_at_any_write_would_leave_is_resumed_to_the_same_bits(
    small_mnist, tmp_path
):
    """What is in the folder at each write is copied, with a half of what is written."""
    run, copies = tmp_path / "run", []

    def happens(file, content):
        if not run.exists():
            return
        copy = tmp_path / str(len(copies)) / "killed"
        copy.mkdir(parents=True)
        for path in run.iterdir():
            (copy / path.name).write_bytes(path.read_bytes())
        if file is not None:
            path = copy / Path(file.name).name
            path.write_bytes(path.read_bytes() + content[: len(content) // 2])
        copies.append(copy)

    expected = straight(small_mnist, run, 3, happens)
    saved = [check(copy, expected) for copy in copies]
    assert saved == sorted(saved) and set(saved) == {0, 1, 2, 3}
    for copy in (copies[5], copies[saved.index(2) - 1]):
        check_listed(copy, 3)
        assert train(small_mnist, copy, 3) == expected["results"]
        assert check(copy, expected) == 3


if __name__ == "__main__":
    kill_trainer(sys.argv[1], Path(sys.argv[2]), epochs=500)
