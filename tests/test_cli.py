"""The command line: what it prints, what it refuses, how it is interrupted."""

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from jax.errors import JaxRuntimeError

from jaxnet.cli import main

COMMAND = [sys.executable, "-m", "jaxnet", "train"]


def train(small_mnist, *options):
    return main(["train", "--data", small_mnist, "--epochs", "2", *options])


def test_a_line_an_epoch_and_the_results(small_mnist, capsys):
    assert train(small_mnist) == 0
    first, *epochs, best, seconds = capsys.readouterr().out.splitlines()
    assert first.startswith("784-30-10, sigmoid, quadratic cost, large")
    assert [line.split(":")[0] for line in epochs] == ["Epoch 0", "Epoch 1"]
    assert all(line.endswith(" / 200") for line in epochs)
    assert best.startswith("Best ") and "compiling" in seconds


def test_the_book_s_number_is_not_claimed_for_other_data(small_mnist, capsys):
    train(small_mnist, "--epochs", "30")
    assert "The book, section" not in capsys.readouterr().out


def test_quiet_prints_no_epochs(small_mnist, capsys):
    assert train(small_mnist, "--quiet") == 0
    assert "Epoch 0" not in capsys.readouterr().out


def test_json_is_one_object_that_says_what_the_lines_say(small_mnist, capsys):
    options = ("--seeds", "2", "--seed", "5", "--cost", "cross_entropy", "--eta", "0.5")
    assert train(small_mnist, "--json", *options) == 0
    value = json.loads(capsys.readouterr().out)
    assert [run["seed"] for run in value["runs"]] == [5, 6]
    assert value["sizes"] == [784, 30, 10] and value["cost"] == "cross_entropy"
    assert value["epochs_done"] == 2 and value["interrupted"] is False
    assert {"jax", "jaxnet", "device", "dtype", "seconds_per_epoch"} <= set(value)
    train(small_mnist, *options)
    table = capsys.readouterr().out.splitlines()[4:6]
    for run, row in zip(value["runs"], table, strict=True):
        expected = [str(run["seed"]), f"{run['best']:.2%}", str(run["best_epoch"])]
        assert row.split()[:3] == expected
        assert run["best"] == max(run["correct"]) / 200


def test_the_first_line_names_the_techniques_in_use(small_mnist, capsys):
    options = "--l1 1 --l2 0.5 --dropout 0.3 --optimizer nesterov --momentum 0.5 "
    options += "--schedule 1 --early-stop 3 --expand shifts --train-on 20"
    assert train(small_mnist, *options.split(), "--sizes", "784,10") == 0
    first, *_ = capsys.readouterr().out.splitlines()
    assert first.startswith(
        "784-10, sigmoid, quadratic cost, large initialisation, eta 3, mini-batch 10, "
        "2 epochs, backprop, L1 1, L2 0.5, dropout 0.3, momentum 0.5, nesterov, eta "
        "halved after 1 epoch without a best, stopped after 3 epochs without a best, "
        "expanded by shifts, 20 training images, test data, float32 on "
    )


def test_pictures_of_another_size_are_not_expanded(tmp_path, capsys):
    rows = [f"{i % 2}," + ",".join(["128"] * 4) for i in range(60)]
    (tmp_path / "mine.csv").write_text("\n".join(rows))
    small = ["--data", str(tmp_path / "mine.csv"), "--sizes", "4,2"]
    assert main(["train", *small, "--expand", "shifts"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "of 28 x 28 pixels, got 4 pixels" in error


WRONG = {
    "--eta nan": "--eta: expected a number above 0, got 'nan'",
    "--eta 0": "--eta: expected a number above 0, got '0'",
    "--eta three": "--eta: expected a number above 0, got 'three'",
    "--cost cubic": "--cost: invalid choice: 'cubic' (choose from",
    "--hidden step": "--hidden: invalid choice: 'step'",
    "--sizes 784": "--sizes: expected two or more layer sizes such as 784,30,10",
    "--sizes 784,0,10": "--sizes: expected two or more layer sizes",
    "--sizes 100,30,10": "--sizes: expected 784 inputs and 10 outputs to fit the data",
    "--sizes 784,30,4": "--sizes: expected 784 inputs and 10 outputs to fit the data",
    "--batch-size 501": "--batch-size: expected at most 500, which is all the training",
    "--batch-size 0": "--batch-size: expected a whole number of at least 1, got '0'",
    "--epochs -1": "--epochs: expected a whole number of at least 1, got '-1'",
    "--seeds 1.5": "--seeds: expected a whole number of at least 1, got '1.5'",
    "--l1 -1": "--l1: expected 0 or a number above, got '-1'",
    "--l2 inf": "--l2: expected 0 or a number above, got 'inf'",
    "--dropout 1": "--dropout: expected a number of at least 0 and below 1, got '1'",
    "--momentum 0.5 --optimizer adam": "expected --optimizer sgd or nesterov with it",
    "--momentum 2": "--momentum: expected a number of at least 0 and below 1",
    "--optimizer nesterov": "--optimizer: expected --momentum with nesterov",
    "--early-stop -1": "--early-stop: expected a whole number of at least 0",
    "--expand all": "--expand: invalid choice: 'all'",
    "--train-on 5": "--batch-size: expected at most 5, which is all the training",
    "--train-on 501": "--train-on: expected at most 500, which is all the training",
    "--seed x": "--seed: expected a whole number of at least 0, got 'x'",
    "--data /nowhere": "/nowhere: expected a folder of IDX files, a folder with one of",
    "--ET 3": "unrecognized arguments: --ET 3",
    "--json --quiet": "--quiet: not allowed with argument --json",
}


@pytest.mark.parametrize(("options", "message"), WRONG.items(), ids=WRONG)
def test_wrong_values_get_one_line_and_exit_code_2(
    small_mnist, capsys, options, message
):
    try:
        code = train(small_mnist, *options.split())
    except SystemExit as stop:
        code = stop.code
    output = capsys.readouterr()
    assert code == 2 and output.out == ""
    assert output.err.count("\n") == 1 and message in output.err


def test_a_broken_file_gets_one_line_and_exit_code_2(small_mnist, tmp_path, capsys):
    for path in Path(small_mnist).iterdir():
        content = path.read_bytes()
        cut = len(content) - 1 if path.name.startswith("t10k-labels") else None
        (tmp_path / path.name).write_bytes(content[:cut])
    assert main(["train", "--data", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "t10k-labels-idx1-ubyte: expected 200 = 200 bytes after the header" in error


def test_a_gradient_that_cannot_be_had_is_one_line(small_mnist, capsys):
    assert train(small_mnist, "--gradient", "complex_step", "--hidden", "relu") == 2
    [line] = capsys.readouterr().err.splitlines()
    assert "Expected activations with a complex derivative" in line


def test_early_stopping_says_so(small_mnist, capsys):
    assert train(small_mnist, "--epochs", "60", "--early-stop", "2") == 0
    output = capsys.readouterr().out
    assert "stopped after 2 epochs without a best" in output
    assert "Stopped for want of improvement: seed 1 after epoch" in output
    assert "Epoch 59" not in output


def test_a_diverged_run_says_so(small_mnist, capsys):
    options = ("--hidden", "linear", "--eta", "1e30", "--sizes", "784,4,4,10")
    assert train(small_mnist, *options) == 1
    output = capsys.readouterr().out
    assert "Epoch 0: nan / 200" in output and "Epoch 1" not in output
    assert "No epoch ended with a finite network." in output and "%" not in output
    assert "Diverged, seed 1: in epoch 0 layer 1 became nan or infinite." in output


def test_no_command_is_one_line(capsys):
    with pytest.raises(SystemExit, match="2"):
        main([])
    assert capsys.readouterr().err.count("\n") == 1


@contextmanager
def endless_training(folder) -> Iterator[Any]:
    """A process that trains until it is told to stop, and at the latest is killed."""
    # Where tests run in the background Ctrl-C is ignored, and children inherit that.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(
        [*COMMAND, "--data", folder, "--epochs", "1000000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    signal.signal(signal.SIGINT, before)
    with process:
        try:
            yield process
        finally:
            process.kill()


def test_ctrl_c_keeps_what_is_done(small_mnist):
    with endless_training(small_mnist) as process:
        printed = [process.stdout.readline() for _ in range(4)]
        process.send_signal(signal.SIGINT)
        rest, trouble = process.communicate(timeout=60)
    assert printed[3].startswith("Epoch 2: ")
    assert process.returncode == 130 and trouble == ""
    assert "Interrupted after" in rest and "of 1000000 epochs" in rest
    assert "Best " in rest


@pytest.mark.parametrize(
    ("trouble", "code", "message"),
    [
        (KeyboardInterrupt(), 130, "interrupted before anything was done"),
        (JaxRuntimeError("RESOURCE_EXHAUSTED: no room\nmore"), 1, "no room"),
        (MemoryError("no room"), 1, "the device gave up: no room"),
    ],
)
def test_what_ends_a_run_early_is_one_line(
    small_mnist, monkeypatch, capsys, trouble, code, message
):
    def fail(*args, **kwargs):
        raise trouble

    monkeypatch.setattr("jaxnet.commands.train.follow", fail)
    assert train(small_mnist) == code
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and message in error


def test_a_reader_that_leaves_is_no_error(small_mnist):
    """As in `jaxnet train | head -1`."""
    with endless_training(small_mnist) as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(timeout=60) == 0
        assert process.stderr.read() == ""


def test_progress_and_time_left_show_on_a_terminal_only(small_mnist):
    command = [*COMMAND, "--data", small_mnist, "--epochs", "40"]
    piped = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "\x1b" not in piped.stdout + piped.stderr and piped.stderr == ""
    ours, theirs = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "80"}
    with subprocess.Popen(
        command, stdout=theirs, stderr=theirs, env=environment
    ) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                shown += os.read(ours, 4096)
            except OSError:  # the other end has closed
                break
    os.close(ours)
    assert process.returncode == 0
    assert b"compiling" in shown and b"/40" in shown and b"Epoch 39: " in shown


def test_without_a_command_the_commands_are_named(capsys):
    with pytest.raises(SystemExit) as end:
        main([])
    err = capsys.readouterr().err
    assert end.value.code == 2 and err.count("\n") == 1
    assert "expected a command, one of train, runs, evaluate," in err
