"""Runs and logs are killed at each of their writes, and continue to the same bits.

The process from which they are forked again and again is this module: `python -m` it.
"""

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest

import jaxnet
from jaxnet import runs
from jaxnet.cli import main
from jaxnet.experiments import CLAIMS, Claim, Experiment, Trained, checkpoint
from jaxnet.experiments.claims import BEST
from jaxnet.experiments.sweep import log_of
from jaxnet.runs.run import Manifest
from tests.kills import at_step, every_step, forked, kill_myself, left_at_each_step

ROOT = Path(__file__).parent.parent
E = Experiment(sizes=(4, 3, 2), epochs=2, batch_size=4)
SIZES = "--sizes 4,3,2 --batch-size 4"
PIXELS = np.random.default_rng(0).integers(0, 256, (24, 4))


def nothing(file, content):
    pass


def save_run(folder: Path, happens=nothing, epochs=500) -> None:
    """Begin a run or continue it, with arrays in place of networks, which JAX makes."""
    arrays: Any = (PIXELS.astype(np.uint8), np.eye(2)[np.arange(24) % 2])
    rows = jaxnet.Dataset(*arrays)
    data = jaxnet.Split(rows, rows, rows)
    resumed = begun(folder)
    with every_step(happens), mock.patch("jaxnet.runs.run._PAUSE", 0.0):
        new = (
            runs.resume(folder)
            if resumed
            else runs.begin(folder, E, range(1), data, {})
        )
        with new as writer:
            for epoch in range(len(writer.run.records), epochs):
                arrays = {"w": np.full((30, 50), epoch + 1.0)}
                record = runs.Record(epoch, [epoch % 24], [True], [0], 0.1)
                writer.add(record, lambda arrays=arrays: arrays)  # type: ignore


def save_lines(folder: Path, happens=nothing, networks=100) -> None:
    """Add each network to a sweep's file, but for those that it has."""
    log = log_of(folder / "sweep.jsonl", E)
    with every_step(happens):
        known = {each.seed for each in log.read()}
        for seed in set(range(networks)) - known:
            with log.claim([({}, seed)], wait=False) as free:
                assert free
                log.add(
                    Trained(
                        seed=seed, curve=[seed], of=24, failed_classes=[], seconds=1
                    )
                )
        log.forget_claims()


def do(command: str, folder: Path, happens=nothing) -> None:
    """Begin the command, or continue it, and have it keep every epoch."""
    data = folder.parent / "data.csv"
    rows = (",".join(map(str, [i % 2, *row])) for i, row in enumerate(PIXELS))
    data.write_text("\n".join(rows) + "\n")
    name, *options = command.split()
    place = folder / "sweep.jsonl" if name == "sweep" else folder
    words = [name, "--data", data, *options, place]
    if name == "train" and begun(folder):
        words = [name, "--resume", folder]
    text = io.StringIO()
    with (
        every_step(happens),
        mock.patch("jaxnet.runs.run._PAUSE", 0.0),
        mock.patch.dict(CLAIMS, {"tiny": Claim(E, 50.0, BEST, "1")}),
        redirect_stdout(text),
        redirect_stderr(text),
    ):
        code = main([str(word) for word in words])
    assert code == 0, text.getvalue()


ADAM = f"train {SIZES} --optimizer adam --eta 0.1 --dropout 0.2 --schedule 90"
# What is killed, how often, and its file of lines.
CASES: dict[str, tuple[Callable[..., None], int, str]] = {
    "run": (save_run, 125, runs.METRICS),
    "lines": (save_lines, 53, "sweep.jsonl"),
    "train": (partial(do, f"{ADAM} --epochs 30 --out"), 12, runs.METRICS),
    "sweep": (
        partial(do, f"sweep {SIZES} --eta 0.1,1 --epochs 2 --seeds 12 --out"),
        *(6, "sweep.jsonl"),
    ),
    "reproduce": (partial(do, "reproduce tiny --seeds 24 --out"), 4, "tiny.jsonl"),
}


def begun(folder: Path) -> bool:
    return any(folder.glob(checkpoint.PATTERN))


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
        assert is_killed(forked(partial(work, happens=happens)))
        before, now = now, done()
        assert before <= now <= before + 2
        most = max(most, step)
        step = 1 if now == before + 2 else step + 1
    return most


def kill(name: str, folder: Path) -> None:
    """Kill it again and again; print the steps done, and what was left to do."""
    for command in ("train", "sweep", "reproduce"):  # once, and not in every process
        import_module(f"jaxnet.cli.{command}")
    work, kills, file = CASES[name]
    straight, killed = folder / "straight", folder / "killed"
    assert not is_killed(forked(partial(work, straight)))
    expected = lines(straight / file)
    done = partial(check, killed / file, expected)
    steps = kill_at_each_write(partial(work, killed), done, kills)
    left = len(expected) - done()
    assert not is_killed(forked(partial(work, killed)))
    assert lines(killed / file) == expected and arrays(killed) == arrays(straight)
    print(json.dumps({"steps": steps, "left": left}))


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_200_kills_lose_nothing(tmp_path, name):
    """Each is a SIGKILL: 178 of what writes alone, and 22 of commands that train.

    Python and JAX take seconds to start, so a process that has imported them, and not
    let JAX start its threads, forks all others.
    """
    assert sum(kills for _, kills, _ in CASES.values()) == 200
    command = [sys.executable, "-W", "ignore::RuntimeWarning", "-m", "tests.test_kills"]
    words = [*command, name, str(tmp_path)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    # An epoch is four steps of its record, and seven of its checkpoint; a network is
    # one of its claim, and four of its line.
    assert found["steps"] > {"run": 2 * (4 + 7), "lines": 2 * (1 + 4)}.get(name, 3)
    assert found["left"] > 0


def test_what_a_kill_at_any_write_would_leave_of_a_run_is_resumed(tmp_path, capsys):
    run, work = tmp_path / "run", partial(save_run, epochs=3)
    copies = left_at_each_step(run, work)
    expected = lines(run / runs.METRICS)
    saved = [check(copy / runs.METRICS, expected) for copy in copies]
    assert saved == sorted(saved) and set(saved) == {0, 1, 2, 3}
    assert len(copies) > 3 * (4 + 7)
    for copy in copies:
        code, done = (
            main(["runs", "list", str(copy.parent)]),
            len(lines(copy / runs.METRICS)),
        )
        text = capsys.readouterr()
        if begun(copy):
            assert code == 0 and f" {done}/2 " in text.out.splitlines()[1]
        else:
            assert code == 2 and "a folder of runs, from train --out" in text.err
        work(copy)
        assert lines(copy / runs.METRICS) == expected and arrays(copy) == arrays(run)


if __name__ == "__main__":
    kill(sys.argv[1], Path(sys.argv[2]))
