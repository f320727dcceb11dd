"""Commands are killed at each of their writes, and continue to the same bits.

The process from which they are forked again and again is this module: `python -m` it.
"""

import io
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from functools import partial
from importlib import import_module
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

from jaxnet import runs
from jaxnet.cli import main
from jaxnet.experiments import CLAIMS, Claim, Experiment, checkpoint
from jaxnet.experiments.claims import BEST
from jaxnet.runs.run import Manifest
from tests.kills import at_step, every_step, forked, kill_myself, left_at_each_step

ROOT = Path(__file__).parent.parent
TINY = Claim(Experiment(sizes=(4, 3, 2), epochs=2, batch_size=4), 50.0, BEST, "1")
SIZES = "--sizes 4,3,2 --batch-size 4"
MOMENTUM = f"train {SIZES} --momentum 0.5 --eta 0.1"
ADAM = f"train {SIZES} --optimizer adam --eta 0.1 --dropout 0.2 --schedule 90"
SWEEP = f"sweep {SIZES} --eta 0.1,1"
# A command, how often it is killed at a write and at random, and its file of lines.
COMMANDS = {
    "adam": (f"{ADAM} --epochs 500 --out", 80, 10, runs.METRICS),
    "momentum": (f"{MOMENTUM} --seeds 2 --epochs 500 --out", 70, 10, runs.METRICS),
    "sweep": (f"{SWEEP} --epochs 2 --seeds 12 --out", 15, 0, "sweep.jsonl"),
    "reproduce": ("reproduce tiny --seeds 24 --out", 15, 0, "tiny.jsonl"),
}


def data_file(folder: Path) -> Path:
    """Twenty-four pictures of four pixels, in two classes."""
    pixels = np.random.default_rng(0).integers(0, 256, (24, 4)).tolist()
    rows = (",".join(map(str, [i % 2, *row])) for i, row in enumerate(pixels))
    path = folder / "data.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


def said(*words) -> tuple[int, str]:
    """A command's exit code, and all that it prints."""
    text = io.StringIO()
    with redirect_stdout(text), redirect_stderr(text):
        code = main([str(word) for word in words])
    return code, text.getvalue()


def begun(folder: Path) -> bool:
    return any(folder.glob(checkpoint.PATTERN))


def do(command: str, data: Path, folder: Path, happens=lambda *_: None) -> None:
    """Begin the command, or continue it, and have it keep every epoch."""
    name, *options = command.split()
    place = folder / "sweep.jsonl" if name == "sweep" else folder
    words = [name, "--data", data, *options, place]
    if name == "train" and begun(folder):
        words = [name, "--resume", folder]
    with (
        every_step(happens),
        mock.patch("jaxnet.runs.run._PAUSE", 0.0),
        mock.patch.dict(CLAIMS, {"tiny": TINY}),
    ):
        code, text = said(*words)
    assert code == 0, text


def lines(path: Path) -> list[dict]:
    """What each complete line says, without how long it took."""
    complete = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    return [json.loads(line) | {"seconds": 0} for line in complete]


def check(path: Path, expected: list[dict]) -> int:
    """How much is kept, once it is seen to be the beginning of what is expected."""
    found = lines(path)
    assert found == expected[: len(found)]
    if not begun(path.parent):
        return len(found)
    saved = runs.read(path.parent).manifest.epochs_done
    assert saved in (len(found), len(found) - 1)
    return saved


def arrays(folder: Path) -> dict[str, bytes]:
    if not begun(folder):
        return {}
    found = checkpoint.load(folder, Manifest)[0]
    return {name: array.tobytes() for name, array in found.items()}


def is_killed(process: int) -> bool:
    _, status = os.waitpid(process, 0)
    assert status in (0, signal.SIGKILL), status
    return status == signal.SIGKILL


def kill_at_each_write(
    work: Callable[..., None], done: Callable[[], int], kills: int
) -> int:
    """The most steps that a process was let do; it continues what the last left.

    The first is killed at its first step, the next at its second, and so on, until one
    has kept two epochs or networks; then from the first again. What the write that it
    is killed at has written is nothing, a half, or all.
    """
    now, step, most = 0, 1, 0
    for number in range(kills):
        happens = at_step(step, kill_myself, part=number % 3 / 2)
        assert is_killed(forked(partial(work, happens)))
        before, now = now, done()
        assert before <= now <= before + 2
        most = max(most, step)
        step = 1 if now == before + 2 else step + 1
    return most


def kill_at_random(
    work: Callable[..., None], done: Callable[[], int], path: Path, kills: int
) -> None:
    """Each process is killed up to a tenth of a second after an epoch of its own."""
    draw = random.Random(0)
    for _ in range(kills):
        done()
        before = len(lines(path))
        process = forked(work)
        while len(lines(path)) <= before:  # while it writes, nothing else is settled
            time.sleep(0.05)
        time.sleep(draw.uniform(0, 0.1))
        os.kill(process, signal.SIGKILL)
        assert is_killed(process)


def kill(name: str, folder: Path) -> None:
    """Kill a command again and again; print the steps done, and what was left to do."""
    for each in ("train", "sweep", "reproduce"):  # once, and not in every process
        import_module(f"jaxnet.cli.{each}")
    command, at_writes, at_random, file = COMMANDS[name]
    data, straight, killed = data_file(folder), folder / "straight", folder / "killed"
    assert not is_killed(forked(partial(do, command, data, straight)))
    expected = lines(straight / file)
    work = partial(do, command, data, killed)
    done = partial(check, killed / file, expected)
    steps = kill_at_each_write(work, done, at_writes)
    kill_at_random(work, done, killed / file, at_random)
    left = len(expected) - done()
    assert not is_killed(forked(work))
    assert lines(killed / file) == expected and arrays(killed) == arrays(straight)
    print(json.dumps({"steps": steps, "left": left}))


@pytest.mark.slow
@pytest.mark.parametrize("names", [("adam", "momentum"), ("sweep", "reproduce")])
def test_commands_survive_180_kills_at_their_writes_and_20_at_random(tmp_path, names):
    """Each kill is a SIGKILL of a process that runs the command itself.

    Python and JAX take seconds to start, so a process that has imported them, and not
    let JAX start its threads, forks all others.
    """
    command = [sys.executable, "-W", "ignore::RuntimeWarning", "-m", "tests.test_kills"]
    started = []
    for name in names:
        (tmp_path / name).mkdir()
        words, pipe = [*command, name, str(tmp_path / name)], subprocess.PIPE
        started.append(
            subprocess.Popen(words, cwd=ROOT, stdout=pipe, stderr=pipe, text=True)
        )
    ended = [process.communicate() for process in started]  # all, before any fails
    for name, process, (out, err) in zip(names, started, ended, strict=True):
        assert process.returncode == 0, err
        found = json.loads(out)
        # An epoch is four steps of its record, and seven of its checkpoint; a network
        # is one of its claim, and four of its line.
        assert found["steps"] > (2 * (4 + 7) if "train" in COMMANDS[name][0] else 8)
        assert found["left"] > 0


def test_what_a_kill_at_any_write_would_leave_of_a_run_is_resumed_to_the_same_bits(
    tmp_path,
):
    data, run = data_file(tmp_path), tmp_path / "run"
    work = partial(do, f"{MOMENTUM} --epochs 3 --out", data)
    copies = left_at_each_step(run, work)
    expected = lines(run / runs.METRICS)
    saved = [check(copy / runs.METRICS, expected) for copy in copies]
    assert saved == sorted(saved) and set(saved) == {0, 1, 2, 3}
    assert len(copies) > 3 * (4 + 7)
    for copy in (copies[5], copies[saved.index(2) - 1]):
        code, text = said("runs", "list", copy.parent)
        done = len(lines(copy / runs.METRICS))
        if begun(copy):
            assert code == 0 and f" {done}/3 " in text.splitlines()[1]
        else:
            assert code == 2 and "expected a folder of runs, from train --out" in text
        work(copy)
        assert lines(copy / runs.METRICS) == expected and arrays(copy) == arrays(run)


def test_what_a_kill_at_any_write_would_leave_of_a_sweep_is_continued(tmp_path):
    data, folder = data_file(tmp_path), tmp_path / "sweep"
    work = partial(do, f"{SWEEP} --epochs 1 --out", data)
    copies = left_at_each_step(folder, work)
    expected = lines(folder / "sweep.jsonl")
    done = [check(copy / "sweep.jsonl", expected) for copy in copies]
    assert done == sorted(done) and set(done) == {0, 2, 3}  # with the header
    copy = copies[done.index(2) + 1]
    work(copy)
    assert lines(copy / "sweep.jsonl") == expected


if __name__ == "__main__":
    kill(sys.argv[1], Path(sys.argv[2]))
