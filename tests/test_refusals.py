"""Words that were once too much for the command line, and output that nobody takes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from jaxnet.cli import main

ROOT = Path(__file__).parent.parent
COMMAND = [sys.executable, "-m", "jaxnet"]


def refused(capsys, *argv: object) -> str:
    """The line with which a command is refused."""
    try:
        code = main([str(word) for word in argv])
    except SystemExit as stop:
        code = stop.code
    output = capsys.readouterr()
    assert code == 2 and output.out == "" and output.err.count("\n") == 1
    return output.err


# Words.


@pytest.mark.parametrize("number", ["1e39", "1e-60"])
def test_a_number_that_float32_does_not_hold_is_refused(capsys, number):
    message = (
        f"expected a number that float32 holds, 1.2e-38 to 3.4e+38, got '{number}'"
    )
    for option in ("--eta", "--l1", "--l2"):
        assert message in refused(capsys, "train", option, number)
    assert message in refused(capsys, "sweep", "--eta", f"1,{number}")
    error = refused(capsys, "train", "--dropout", "0.999999999")
    assert "of at least 0 and below 1, got '0.999999999'" in error


def test_an_empty_path_is_not_this_folder(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for words in (
        ["--out", ""],
        ["--out="],
        ["--data", ""],
        ["--data=--"],
        ["--eta=--"],
    ):
        assert "got an empty one" in refused(capsys, "train", *words)
    assert "got an empty one" in refused(capsys, "describe", "")
    assert "--eta: expected a number" in refused(capsys, "train", "--eta", "")
    assert not list(tmp_path.iterdir())


def test_a_name_with_a_line_break_is_told_in_a_line(capsys):
    assert "a b: expected a folder of IDX" in refused(capsys, "describe", "a\nb")
    assert "unrecognized arguments: a b" in refused(capsys, "runs", "list", ".", "a\nb")


def test_what_would_take_all_memory_or_days_is_refused(capsys):
    error = refused(capsys, "train", "--sizes", "784,2147483647,2147483647,10")
    assert (
        "expected at most 100 layers and 268,435,456 weights, got 4 and 4,61" in error
    )
    layers = ",".join(["784", *["9"] * 99, "10"])
    assert "weights, got 101 and" in refused(capsys, "train", "--sizes", layers)
    error = refused(capsys, "train", "--seeds", "100001")
    assert "at least 1 and at most 100000, got '100001'" in error
    thousand = ",".join(map(str, range(1, 1001)))
    error = refused(capsys, "sweep", "--eta", thousand, "--l2", thousand)
    assert "Expected at most 100,000 networks, got 1,000,000." in error
    assert "got '9999999999999999999" in refused(capsys, "train", "--seed", "9" * 5000)


def test_a_link_to_itself_is_no_data(capsys, tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    out = ("--out", tmp_path / "run")
    assert "nothing there" in refused(
        capsys, "train", "--data", tmp_path / "loop", *out
    )


def test_one_epoch_is_not_epochs(small_mnist, capsys):
    small = ["--data", small_mnist, "--sizes", "784,2,10", "--train-on", "20"]
    assert main(["train", *small, "--epochs", "1", "--early-stop", "1"]) == 0
    header = capsys.readouterr().out.splitlines()[0]
    assert ", 1 epoch, " in header and "after 1 epoch without" in header
    assert main(["sweep", *small, "--epochs", "1"]) == 0
    header = capsys.readouterr().out.splitlines()[0]
    assert header.startswith("1 setting x 1 seed = 1 network, 1 epoch, ")


# Output that nobody takes.


@pytest.mark.parametrize("argv", [[*COMMAND, "reproduce", "--list"], ["replay"]])
def test_a_reader_that_has_left_is_no_error(argv):
    if argv == ["replay"]:
        argv = [sys.executable, "scripts/replay.py", "--all", "--list"]
    reading, writing = os.pipe()
    os.close(reading)
    result = subprocess.run(argv, cwd=ROOT, stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    assert result.stderr == b"" and result.returncode in (0, -13)  # killed by SIGPIPE


def test_output_on_a_full_disk_is_an_error_in_a_line():
    command = [*COMMAND, "reproduce", "--list"]
    with open("/dev/full", "w") as full:
        result = subprocess.run(command, cwd=ROOT, stdout=full, stderr=subprocess.PIPE)
    assert result.returncode == 2
    assert result.stderr == b"jaxnet reproduce: output: No space left on device\n"
