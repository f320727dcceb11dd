"""A run that a folder keeps goes on to the same bits, whatever ended it."""

import argparse
import json
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest

import jaxnet
from jaxnet import checkpoints, folders, jsonlines
from jaxnet.cli import main
from jaxnet.commands.experiment import add_experiment
from jaxnet.commands.options import OPTIMIZERS
from jaxnet.storage import StorageError

SMALL = ("--sizes", "784,4,10", "--cost", "cross_entropy", "--eta", "0.5")
TIMES = {"seconds_per_epoch", "compile_seconds"}


@pytest.fixture
def train(small_mnist, capsys):
    """Two functions that train and give what is printed: on a few images, and on."""

    def run(*options, code: int = 0):
        assert main(["train", *map(str, options)]) == code
        return capsys.readouterr().out

    def new(*options, code: int = 0):
        return run("--data", small_mnist, *SMALL, *options, code=code)

    return new, run


def results(text: str) -> dict:
    return {k: v for k, v in json.loads(text).items() if k not in TIMES}


def arrays(folder: Path) -> dict[str, bytes]:
    return {k: v.tobytes() for k, v in checkpoints.load(folder).arrays.items()}


def metrics(folder: Path) -> list[dict]:
    lines = jsonlines.read_lines(folder / folders.METRICS)
    return [{k: v for k, v in line.items() if k != "seconds"} for line in lines]


CASES = {
    "sgd": "--schedule 1 --eta 3 --l2 0.5 --expand rotations --sizes 784,10",
    "momentum": "--momentum 0.5 --dropout 0.3 --l2 1 --sizes 784,4,4,10 --batch-size 7",
    "nesterov": "--optimizer nesterov --momentum 0.5 --gradient autodiff --hidden tanh "
    "--init scaled --eta 0.1 --expand elastic --seeds 3",
    "adagrad": "--optimizer adagrad --seeds 3 --early-stop 1 --eta 1",
    "rmsprop": "--optimizer rmsprop --eta 0.01 --l1 1 --cost linear_quadratic "
    "--gradient path_sum --hidden linear --sizes 784,3,10 --dropout 0.3",
    "adam": "--optimizer adam --eta 0.1 --schedule 1 --early-stop 5 --seeds 2 --seed 3 "
    "--hidden relu --cost log_likelihood --expand shifts --train-on 50 "
    "--evaluate validation",
    "diverging": "--seeds 2 --l2 2420",
}
ALL_AT_ONCE = "--schedule 1 --early-stop 3 --dropout 0.2 --eta 0.1 --l2 0.1"
EVERY_OPTIMIZER = {f"{name}, all at once": f"--optimizer {name}" for name in OPTIMIZERS}
EVERY_OPTIMIZER["nesterov, all at once"] += " --momentum 0.5"
EVERY_OPTIMIZER["momentum, all at once"] = "--momentum 0.5"
CASES_OF_ALL = [
    *(pytest.param(options, id=name) for name, options in CASES.items()),
    *(
        pytest.param(f"{options} {ALL_AT_ONCE}", id=name, marks=pytest.mark.slow)
        for name, options in EVERY_OPTIMIZER.items()
    ),
]


def test_every_option_of_an_experiment_is_in_a_case():
    parser = argparse.ArgumentParser(add_help=False)
    add_experiment(parser)
    options = {name for action in parser._actions for name in action.option_strings}
    tried = {word for case in CASES.values() for word in case.split()}
    assert options - tried == {"--data", "--epochs"}  # which every case has


@pytest.mark.parametrize("options", CASES_OF_ALL)
def test_a_resumed_run_is_the_uninterrupted_one_bit_for_bit(train, tmp_path, options):
    new, run = train
    straight, parts = tmp_path / "straight", tmp_path / "parts"
    code = 1 if "2420" in options else 0  # it breaks in a later epoch
    words = (*options.split(), "--json")
    expected = new(*words, "--epochs", 9, "--out", straight, code=code)
    new(*words, "--epochs", 4, "--out", parts)
    found = run("--resume", parts, "--epochs", 9, "--json", code=code)
    again = run("--resume", parts, "--json", code=code)
    assert results(again) == results(found) == results(expected)
    assert arrays(parts) == arrays(straight)
    assert metrics(parts) == metrics(straight)
    stops = [line["going"].count(False) for line in metrics(parts)]
    assert 0 < stops[-2] < 3 or "adagrad --seeds 3" not in options
    assert 4 < len(stops) < 9 or "2420" not in options


def test_keeping_changes_nothing_and_the_network_is_the_one_that_was_measured(
    train, tmp_path, small_mnist_data
):
    new, _ = train
    words = ("--epochs", 3, "--seeds", 2, "--dropout", 0.4, "--json")
    text = new(*words, "--out", tmp_path / "run")
    assert results(text) == results(new(*words))
    for found, params in zip(
        json.loads(text)["runs"], folders.networks(tmp_path / "run"), strict=True
    ):
        right = float(jaxnet.accuracy(params, small_mnist_data.test))
        assert round(200 * right) == found["correct"][-1]
    [newest, *_] = sorted(tmp_path.glob("run/*.json"), reverse=True)
    document = json.loads(newest.read_text())
    assert document["arrays"][".state.params[0].w"] == "float32[2,4,784]"
    assert {"jaxnet", "jax", "device", "dtype"} <= set(
        document["manifest"]["environment"]
    )
    assert len(document["sha256"]) == len(document["manifest"]["data"]) == 64


def test_lines_ahead_of_the_checkpoint_are_done_again(train, tmp_path):
    new, run = train
    straight, parts = tmp_path / "straight", tmp_path / "parts"
    expected = new("--epochs", 5, "--json", "--out", straight)
    new("--epochs", 3, "--out", parts)
    line = {"epoch": 3, "correct": [1], "going": [True], "broken_layer": [0]}
    with open(parts / folders.METRICS, "a") as file:
        file.write(json.dumps({**line, "seconds": 1.0}) + '\n{"epoch": 4, "corr')
    assert len(folders.read(parts).lines) == 4
    found = run("--resume", parts, "--epochs", 5, "--json")
    assert results(found) == results(expected)
    assert metrics(parts) == metrics(straight) and arrays(parts) == arrays(straight)


def test_a_finished_run_says_so_and_prints_its_results(train, tmp_path):
    new, run = train
    words = ("--epochs", 3, "--seeds", 2)
    text = new(*words, "--out", tmp_path / "run")
    again = run("--resume", tmp_path / "run")
    assert "3 of 3 epochs were done before: the run is finished." in again
    assert "Epoch" not in again
    assert text.splitlines()[4:-1] == again.splitlines()[2:-1]


def test_ctrl_c_keeps_what_is_done_and_says_how_to_go_on(train, tmp_path, monkeypatch):
    new, run = train
    straight, parts = tmp_path / "straight", tmp_path / "parts"
    expected = new("--epochs", 5, "--json", "--out", straight)
    line = "jaxnet.progress.epoch_line"
    with monkeypatch.context() as patched:
        patched.setattr(line, lambda number, *_: 1 / (2 - number) and "")
        with pytest.raises(ZeroDivisionError):  # any other end keeps it too
            new("--epochs", 5, "--out", parts)
    assert len(folders.read(parts).lines) == folders.read(parts).saved == 3

    def interrupt(number, *_):
        if number == 3:
            raise KeyboardInterrupt
        return ""

    with monkeypatch.context() as patched:
        patched.setattr(line, interrupt)
        text = run("--resume", parts, code=130)
    assert "Interrupted after 4 of 5 epochs." in text
    assert f"To go on: jaxnet train --resume {parts}" in text
    assert results(run("--resume", parts, "--json")) == results(expected)
    assert arrays(parts) == arrays(straight)


@pytest.fixture(scope="module")
def kept(small_mnist, tmp_path_factory):
    """A folder of two runs: of two seeds and one, with other etas."""
    folder = tmp_path_factory.mktemp("kept")
    common = ["train", "--quiet", "--data", small_mnist, *SMALL, "--epochs"]
    main([*common, "3", "--seeds", "2", "--out", str(folder / "one")])
    main([*common, "2", "--eta", "1", "--out", str(folder / "two")])
    return folder


def refused(capsys, *words) -> str:
    """The line with which a command is refused."""
    capsys.readouterr()
    try:
        code = main([str(word) for word in words])
    except SystemExit as stop:
        code = stop.code
    output = capsys.readouterr()
    assert code == 2 and output.out == "" and output.err.count("\n") == 1
    return output.err


def test_a_folder_with_something_in_it_is_refused(kept, capsys, tmp_path):
    one = kept / "one"
    error = refused(capsys, "train", "--out", one)
    assert f"got one with a run, which --resume {one} goes on with." in error
    (tmp_path / "photo.png").touch()
    assert "got one with photo.png in it" in refused(capsys, "train", "--out", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["photo.png"]


def test_what_cannot_be_resumed_is_refused_in_a_line(kept, capsys, tmp_path):
    one, missing = kept / "one", tmp_path / "missing"
    error = refused(capsys, "train", "--resume", missing)
    assert "expected a folder with a checkpoint, got none." in error
    assert not missing.exists()
    error = refused(capsys, "train", "--resume", one, "--eta=3", "--seeds", "2")
    assert "since it keeps its own, got --eta, --seeds" in error
    error = refused(capsys, "train", "--resume", one, "--epochs", "2")
    assert "argument --epochs: expected at least 3, which the run has, got 2" in error
    error = refused(capsys, "train", "--resume", one, "--out", missing)
    assert "not allowed with argument" in error
    with checkpoints.lock(one):
        assert "got one in use" in refused(capsys, "train", "--resume", one)


def test_another_kind_of_folder_is_refused_and_left_as_it_is(capsys, tmp_path):
    checkpoints.save(tmp_path, {"w": np.zeros(3)}, {"kind": "another"})
    names = sorted(path.name for path in tmp_path.iterdir())
    error = refused(capsys, "train", "--resume", tmp_path)
    assert "expected the format 'jaxnet run 1', got 'another'" in error
    assert sorted(path.name for path in tmp_path.iterdir()) == names


def test_other_data_are_refused(train, small_mnist, capsys, tmp_path):
    _, run = train
    data, folder = tmp_path / "data", tmp_path / "run"
    shutil.copytree(small_mnist, data)
    run("--data", data, *SMALL, "--epochs", 1, "--out", folder)
    images = data / "t10k-images-idx3-ubyte"
    content = bytearray(images.read_bytes())
    content[-1] ^= 1
    images.write_bytes(content)
    error = refused(capsys, "train", "--resume", folder, "--epochs", "2")
    assert "expected the data that the run began with, got others" in error


def test_another_precision_is_refused(kept, capsys):
    with jax.enable_x64(True):
        error = refused(capsys, "train", "--resume", kept / "two")
    assert "expected to go on in float32, got float64. Set JAX_ENABLE_X64=0." in error


def test_another_environment_is_told(kept, capsys, monkeypatch):
    here = folders.environment
    newer = {"jax": "99"}
    monkeypatch.setattr(folders, "environment", lambda data: here(data) | newer)
    assert main(["train", "--resume", str(kept / "two")]) == 0
    told = f"It began with jax {jax.__version__}, not 99: its last bits may differ."
    assert told in capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(
    "line",
    ['{"epoch": 1}', "[1]", '{"epoch": 0, "correct": 1, "going": 1}', "nonsense"],
)
def test_a_spoilt_line_is_refused(kept, tmp_path, capsys, line):
    folder = tmp_path / "run"
    shutil.copytree(kept / "two", folder)
    path = folder / folders.METRICS
    path.write_text(line + "\n" + path.read_text().partition("\n")[2])
    assert "metrics.jsonl: expected" in refused(capsys, "train", "--resume", folder)


def test_a_network_is_had_only_of_a_run_with_an_epoch(kept, tmp_path):
    assert [len(params) for params in folders.networks(kept / "one")] == [2, 2]
    manifest = checkpoints.load(kept / "one").manifest
    checkpoints.save(tmp_path, {}, manifest | {"saved": 0})
    with pytest.raises(StorageError, match="expected a run that has done an epoch"):
        folders.networks(tmp_path)


def test_a_run_is_evaluated_by_its_seed(kept, small_mnist, capsys):
    one, last = kept / "one", folders.read(kept / "one").record.last
    for options, accuracy in (((), last[0]), (("--seed", "2"), last[1])):
        capsys.readouterr()
        words = ["evaluate", str(one), "--data", small_mnist, "--json", *options]
        assert main(words) == 0
        found = json.loads(capsys.readouterr().out)["accuracy"]
        assert found == pytest.approx(accuracy)
    assert "got 3" in refused(capsys, "evaluate", one, "--seed", "3")


def test_runs_are_listed(kept, capsys):
    capsys.readouterr()
    assert main(["runs", "list", str(kept)]) == 0
    head, one, two = capsys.readouterr().out.splitlines()
    assert head.split() == "run sizes seeds epochs best last eta cost".split()
    record = folders.read(kept / "one").record
    best, last = (f"{np.mean(found):.2%}" for found in (record.best, record.last))
    cells = ["one", "784-4-10", "2", "3/3", best, last, "0.5", "cross_entropy"]
    assert one.split() == cells
    assert two.split()[:4] == ["two", "784-4-10", "1", "2/2"]


def test_a_broken_run_is_listed_as_such_and_no_run_is_refused(kept, capsys, tmp_path):
    shutil.copytree(kept, tmp_path / "runs")
    for path in (tmp_path / "runs" / "two").glob("*.safetensors"):
        path.write_bytes(b"")
    assert main(["runs", "list", str(tmp_path / "runs")]) == 0
    *_, one, two = capsys.readouterr().out.splitlines()
    assert one.startswith("one ") and "runs/two: expected a folder with a" in two
    assert "got one without any" in refused(capsys, "runs", "list", tmp_path)
    assert "No such file" in refused(capsys, "runs", "list", tmp_path / "none")


def test_runs_are_compared(kept, capsys, tmp_path):
    one, two = str(kept / "one"), str(kept / "two")
    figure = tmp_path / "curves.png"
    capsys.readouterr()
    assert main(["runs", "compare", one, two, "--figure", str(figure)]) == 0
    head, *rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert head == [one, two]
    assert rows[:3] == [["epochs", "3", "2"], ["eta", "0.5", "1"], ["seeds", "2", "1"]]
    assert [row[0] for row in rows[3:]] == "best last epochs seconds seconds".split()
    assert rows[5] == ["epochs", "done", "3", "2"]
    assert figure.read_bytes().startswith(b"\x89PNG")
    error = refused(capsys, "runs", "compare", one, tmp_path)
    assert "expected a folder with a checkpoint" in error
