"""No words on the command line break it: exit code 0, 1, 2 or 130, and no traceback.

What takes time, training and reading pictures, is left out. 10,000 with `-m slow`.
"""

import argparse
import re
import sys
from functools import cache
from io import TextIOWrapper
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

import jaxnet
from jaxnet import cli
from jaxnet.cli import COMMANDS, main
from jaxnet.compare import CandidateError
from jaxnet.datasets import DataError
from tests.hostile import write_run
from tests.mutations import Draw, pick

WORDS = ["0", "1", "-1", "2", "3.5", "1e39", "1e-60", "-1e5", "nan", "inf", "1_0", "٣"]
WORDS += [
    "",
    " ",
    "--",
    "-",
    "-x",
    "--help",
    "--version",
    "--e",
    "=",
    "9" * 5000,
    "a,b",
]
WORDS += [
    "a\0b",
    "\udcff",
    "a\nb",
    "a\rb\u2028",
    "$x$",
    "%s",
    "{}",
    "~",
    "x" * 300,
    "漢",
]
WORDS += ["784,3,10", "784,10", "784,,10", "784,2147483647,10", "10", "2147483648"]
WORDS += ["784," + "9," * 200 + "10", "0.1,1,3", ",".join(map(str, range(1, 999)))]
WORDS += ["quadratic", "backprop", "nowhere:f", "os:sep", "os:nothing", ":", "os:", "."]
WORDS += ["/dev/null", "/dev/full", "/dev/zero", "/proc/self/mem", "nowhere", "pipe"]
WORDS += ["loop", "file", "file/below", "net.json", "kept", "data.csv", "pictures"]
WORDS += ["a.png", "a.json", "a.onnx", "a.jax", "a.svg", "list", "compare", "30 hidden"]


def options_of(command: str) -> list[str]:
    """The options that a command's help names."""
    parser = argparse.ArgumentParser()
    COMMANDS[command].add_options(parser)
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

    def stop(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    def refuse(*_: Any, **__: Any) -> Any:
        raise DataError("Expected a picture, got none.")

    def fail(*_: Any, **__: Any) -> Any:
        raise CandidateError("no gradient")

    monkeypatch.chdir(tmp_path)
    # With the types looked at, as in tests, making all the options takes 0.1 s.
    monkeypatch.setattr("jaxnet.cli._parser", cache(cli._parser))
    monkeypatch.setattr("jaxnet.datasets._embedded", lambda: Path(small_mnist))
    monkeypatch.setattr("jaxnet.commands.train.follow", stop)
    monkeypatch.setattr("jaxnet.commands.sweep._train", stop)
    monkeypatch.setattr("jaxnet.commands.reproduce.reproduce", stop)
    monkeypatch.setattr("jaxnet.commands.predict._read", refuse)
    monkeypatch.setattr("jaxnet.commands.compare.check_gradient", fail)
    monkeypatch.setattr("jaxnet.commands.evaluate.measure", stop)
    monkeypatch.setattr("jaxnet.commands.experiment.expand", lambda data: data)
    for name in ("save_function", "save_onnx"):
        monkeypatch.setattr(f"jaxnet.commands.export.{name}", stop)
    monkeypatch.setattr("jaxnet.figures.curves", lambda *_: None)
    jaxnet.save_book_network("net.json", jaxnet.init(jax.random.key(0), [784, 10]))
    write_run(Path("kept"))
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "data.csv").write_text("0,1,2\n1,3,4\n0,5,6\n1,7,8\n")
    return tmp_path


def ends_well(argv: list[str], capsys) -> int:
    """The exit code, after a look at what is printed."""
    assert isinstance(sys.stderr, TextIOWrapper)
    sys.stderr.reconfigure(errors="backslashreplace")  # as Python has it
    try:
        code = main(argv)
    except SystemExit as stop:
        code = stop.code
    trouble = capsys.readouterr().err
    assert code in (0, 1, 2, 130) and "Traceback" not in trouble
    several = argv[0:1] == ["reproduce"]  # which says what it trains
    assert several or trouble.count("\n") <= 1 and len(trouble) < 1100
    assert code != 2 or "predict" in argv[0:1] or re.match("jaxnet.*: .", trouble)
    return code


def fuzz(capsys, seed: int, n: int) -> None:
    draw, codes = np.random.default_rng(seed), set()
    for i in range(n):
        argv = command_line(draw)
        try:
            codes.add(ends_well(argv, capsys))
        except BaseException as error:
            error.add_note(f"These were words {i} of seed {seed}: {argv!r:.500}")
            raise
    assert codes == {0, 1, 2, 130}


def test_a_few_command_lines_end_well(place, capsys):
    fuzz(capsys, 0, 120)


@pytest.mark.slow
def test_thousands_of_command_lines_end_well(place, capsys):
    fuzz(capsys, 1, 10_000)
