"""A run that a folder keeps is resumed to the same bits, however it ended."""

import argparse
import json
import shutil
from pathlib import Path
from unittest import mock

import jax
import numpy as np
import pytest
from msgspec.structs import replace as replaced

import jaxnet
from jaxnet import runs
from jaxnet.cli import main
from jaxnet.cli.options import add_experiment
from jaxnet.experiments import StorageError, checkpoint
from jaxnet.experiments.experiment import NAMES
from jaxnet.experiments.files import locked
from jaxnet.runs.run import Manifest
from tests.helpers import assert_lines, cached_runner, compiled, refused
from tests.hostile import write_run

SMALL = ("--sizes", "784,4,10", "--cost", "cross_entropy", "--eta", "0.5")
TIMES = {"seconds", "compile_seconds"}


@pytest.fixture(scope="module", autouse=True)
def compiled_once():
    with mock.patch("jaxnet.cli.train.Runner", cached_runner):
        yield


@pytest.fixture
def train(small_mnist, capsys):
    """Two functions that train and return what is printed: anew, and any command."""

    def run(*options, code: int = 0):
        assert main(["train", *map(str, options)]) == code
        return capsys.readouterr().out

    def new(*options, code: int = 0):
        return run("--data", small_mnist, *SMALL, *options, code=code)

    return new, run


def results(text: str) -> dict:
    """What `--json` prints, without how long it took."""
    return json.loads(text, object_hook=lambda v: {k: v[k] for k in v.keys() - TIMES})


def arrays(folder: Path) -> dict[str, bytes]:
    return {k: v.tobytes() for k, v in checkpoint.load(folder, Manifest)[0].items()}


def records(folder: Path) -> list[runs.Record]:
    found = runs.read(folder).records
    return [replaced(record, seconds=0.0) for record in found]


QUICK = {"momentum": "--momentum 0.5 --eta 0.1 --schedule 2 --dropout 0.3"}
SLOW = {
    "adam": "--optimizer adam --eta 0.1 --schedule 1 --early-stop 5 --seeds 2 --seed 3 "
    "--hidden relu --cost log_likelihood --train-on 50 --dropout 0.2 --l2 0.1 "
    "--monitor speeds",
    "diverging": "--seeds 2 --l2 2420",
    "sgd": "--schedule 1 --eta 3 --l2 0.5 --expand rotations --sizes 784,10",
    "batches": "--momentum 0.5 --dropout 0.3 --l2 1 --sizes 784,4,4,10 --batch-size 7",
    "nesterov": "--optimizer nesterov --momentum 0.5 --gradient autodiff --hidden tanh "
    "--init scaled --eta 0.1 --expand elastic --seeds 3 --schedule 1",
    "adagrad": "--optimizer adagrad --seeds 3 --early-stop 1 --eta 1 --expand shifts",
    "rmsprop": "--optimizer rmsprop --eta 0.01 --l1 1 --cost linear_quadratic "
    "--gradient path_sum --hidden linear --sizes 784,3,10 --evaluate validation",
    "convolution": "--sizes 28x28,conv2x5,pool4,10 --cost log_likelihood --dropout 0.2 "
    "--eta 0.1 --init network3 --shuffle no --hidden relu --l2 0.1",
}


def test_every_option_of_an_experiment_and_every_optimizer_is_in_a_case():
    parser = argparse.ArgumentParser(add_help=False)
    add_experiment(parser)
    options = {name for action in parser._actions for name in action.option_strings}
    tried = {word for case in (QUICK | SLOW).values() for word in case.split()}
    # Every case has these; --layers is --sizes.
    of_data = {"--data", "--transpose", "--label-column"}
    assert options - tried == {"--epochs", "--layers", *of_data}
    assert set(NAMES["optimizer"]) <= tried | {"sgd"}


@pytest.mark.parametrize(
    "options",
    [
        *QUICK.values(),
        *(pytest.param(o, marks=pytest.mark.slow) for o in SLOW.values()),
    ],
    ids=[*QUICK, *SLOW],
)
def test_a_resumed_run_is_the_uninterrupted_one_bit_for_bit(train, tmp_path, options):
    new, run = train
    straight, parts = tmp_path / "straight", tmp_path / "parts"
    code = 1 if "2420" in options else 0  # it diverges in a later epoch
    words = (*options.split(), "--json")
    expected = new(*words, "--epochs", 9, "--out", straight, code=code)
    new(*words, "--epochs", 4, "--out", parts)
    found = run("--resume", parts, "--epochs", 9, "--json", code=code)
    again = run("--resume", parts, "--json", code=code)
    assert results(again) == results(found) == results(expected)
    assert arrays(parts) == arrays(straight)
    assert records(parts) == records(straight)
    stops = [record.going.count(False) for record in records(parts)]
    assert 0 < stops[-2] < 3 or "adagrad" not in options
    assert 4 < len(stops) < 9 or "2420" not in options


@pytest.mark.slow
def test_keeping_changes_nothing_and_the_network_is_the_one_that_was_measured(
    train, tmp_path, small_mnist_data
):
    new, _ = train
    words = ("--epochs", 3, "--dropout", 0.4, "--monitor", "speeds", "--json")
    text = new(*words, "--out", tmp_path / "run")
    assert results(text) == results(new(*words))
    [params] = runs.networks(tmp_path / "run")
    correct = round(200 * float(jaxnet.accuracy(params, small_mnist_data.test)))
    found = json.loads(text)["records"]
    assert found[-1]["correct"] == [correct] and len(found) == 3
    speeds = jaxnet.layer_speeds(params, small_mnist_data.train, jaxnet.cross_entropy)
    np.testing.assert_allclose(found[-1]["speeds"][0], speeds, rtol=1e-4)
    _, manifest, _ = checkpoint.load(tmp_path / "run", Manifest)
    assert {"jaxnet", "jax", "device", "dtype"} <= set(manifest.environment)
    assert len(manifest.checksum) == 64 and manifest.epochs_done == 3


def test_records_ahead_of_the_checkpoint_are_done_again(train, tmp_path):
    new, run = train
    straight, parts = tmp_path / "straight", tmp_path / "parts"
    expected = new("--epochs", 5, "--json", "--out", straight)
    new("--epochs", 3, "--out", parts)
    line = {"epoch": 3, "correct": [1], "going": [True], "broken_layer": [0]}
    with open(parts / runs.METRICS, "a") as file:
        file.write(json.dumps({**line, "seconds": 1.0}) + '\n{"epoch": 4, "corr')
    assert len(runs.read(parts).records) == 4
    found = run("--resume", parts, "--epochs", 5, "--json")
    assert results(found) == results(expected)
    assert records(parts) == records(straight) and arrays(parts) == arrays(straight)


def test_ctrl_c_keeps_what_is_done_and_says_how_to_continue(
    train, tmp_path, monkeypatch
):
    new, run = train
    straight, parts = tmp_path / "straight", tmp_path / "parts"
    expected = new("--epochs", 5, "--json", "--out", straight)

    def ends_at(epoch: int, error: type[BaseException]):
        def line(record: runs.Record, examples: int) -> str:
            if record.epoch == epoch:
                raise error
            return ""

        monkeypatch.setattr("jaxnet.cli.train.epoch_line", line)

    ends_at(2, ZeroDivisionError)
    with pytest.raises(ZeroDivisionError):  # any other end keeps it too
        new("--epochs", 5, "--out", parts)
    run_ = runs.read(parts)
    assert len(run_.records) == run_.manifest.epochs_done == 3
    ends_at(3, KeyboardInterrupt)
    text = run("--resume", parts, code=130)
    assert "Interrupted after 4 of 5 epochs." in text
    assert f"To continue: jaxnet train --resume {parts}" in text
    assert results(run("--resume", parts, "--json")) == results(expected)
    assert arrays(parts) == arrays(straight)
    again = run("--resume", parts)
    assert "5 of 5 epochs were done before: the run is finished." in again
    assert "Epoch" not in again


@pytest.fixture(scope="module")
def kept(small_mnist, tmp_path_factory):
    """A folder of two runs: of two seeds and one, with other etas."""
    folder = tmp_path_factory.mktemp("kept")
    common = ["train", "--quiet", "--data", small_mnist, *SMALL, "--epochs"]
    main([*common, "3", "--seeds", "2", "--out", str(folder / "one")])
    main([*common, "2", "--eta", "1", "--out", str(folder / "two")])
    return folder


def test_what_cannot_be_kept_or_resumed_is_refused_in_a_line(
    kept, capsys, tmp_path, small_mnist
):
    one, missing = kept / "one", tmp_path / "missing"
    (tmp_path / "photos" / "photo.png").mkdir(parents=True)
    for words, message in (
        (("--out", one), f"got one with a run, which --resume {one} continues."),
        (("--out", tmp_path / "photos"), "got one with photo.png in it"),
        (("--resume", missing), "expected a folder with a checkpoint, got none."),
        (("--resume", one, "--eta=3", "--seeds", 2), "its own, got --eta, --seeds"),
        (("--resume", one, "--epochs", 2), "expected at least 3, which the run has"),
        (("--resume", one, "--out", missing), "not allowed with argument"),
    ):
        assert message in refused(capsys, "train", *words)
    assert not missing.exists() and len(list((tmp_path / "photos").iterdir())) == 1
    for words in (("--resume", one), ("--data", small_mnist, *SMALL, "--out", missing)):
        with locked(words[-1] / ".lock"):  # by another process
            assert "got one in use" in refused(capsys, "train", *words)


def test_a_resumed_run_draws_all_its_costs(train, tmp_path, drawn, capsys):
    new, _ = train
    folder, file = tmp_path / "run", tmp_path / "a.png"
    new("--epochs", 1, "--out", folder, "--figure", file)
    for epochs, more in (
        (2, ["--figure", str(file)]),
        (3, []),
        (4, ["--figure", str(file)]),
    ):
        words = ["train", "--resume", str(folder), "--epochs", str(epochs), *more]
        assert main(words) == 0
    costs = [[line.get_ydata() for line in each.axes[1].lines] for each in drawn]
    assert np.isfinite(costs[1]).all() and np.shape(costs[1]) == (2, 2)
    np.testing.assert_array_equal(np.transpose(costs[1])[0], np.ravel(costs[0]))
    missing = np.isnan(costs[2])
    assert missing.tolist() == [[False, False, True, False]] * 2
    told = capsys.readouterr().err
    assert "not drawn: costs of 1 epoch trained without --figure" in told
    assert told.count("not drawn") == 1
    assert_lines(
        drawn[2].axes[0], {"test": (range(4), 100 * runs.read(folder).history[0])}
    )


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


def test_another_precision_is_refused_and_another_environment_told(
    kept, capsys, monkeypatch
):
    with jax.enable_x64(True):
        error = refused(capsys, "train", "--resume", kept / "two")
    assert "expected to resume in float32, got float64. Set JAX_ENABLE_X64=0." in error
    here = runs.read(kept / "two").manifest.environment
    newer = {**here, "jax": "99"}
    monkeypatch.setattr("jaxnet.cli.train.environment", lambda: newer)
    assert main(["train", "--resume", str(kept / "two")]) == 0
    told = f"It began with jax {jax.__version__}, not 99: its last bits may differ."
    assert told in capsys.readouterr().out.splitlines()


def test_a_damaged_record_is_refused(kept, tmp_path, capsys):
    folder = tmp_path / "run"
    shutil.copytree(kept / "two", folder)
    path = folder / runs.METRICS
    first, second = path.read_text().splitlines(keepends=True)
    path.write_text('{"epoch": 1}\n' + second)
    error = refused(capsys, "train", "--resume", folder)
    assert "metrics.jsonl: expected a valid line 1" in error
    path.write_text(second + first)
    error = refused(capsys, "evaluate", folder)
    assert "expected epoch 0 of 1 networks on line 1" in error


# What a checkpoint says in place of what was saved, checksum and all.
CHANGES: dict[str, tuple[dict, dict, float, str]] = {
    "seeds": ({}, {"seeds": 2}, 1, r"expected int32\[2\] in .*|epoch 0 of 2 networks"),
    "format": ({}, {"format": "jaxnet run 3"}, 1, "Invalid enum value 'jaxnet run 3'"),
    "dropout": ({"dropout": None}, {}, 1, "dropout: expected a number of at least 0"),
    "sizes": ({"sizes": [3, 4, 10]}, {}, 1, r"expected float32\[1,4,3\] in .*, got"),
    "no epoch": ({}, {"epochs_done": 0}, 1, "expected a run that has done an epoch"),
    "nan": ({}, {}, np.nan, "finite weights and biases, got nan or inf"),
}


@pytest.mark.parametrize(("options", "facts", "factor", "message"), CHANGES.values())
def test_a_checkpoint_that_no_jaxnet_has_written_is_refused(
    kept, tmp_path, options, facts, factor, message
):
    folder = tmp_path / "run"
    shutil.copytree(kept / "two", folder)
    found, manifest, _ = checkpoint.load(folder, Manifest)
    facts = {"experiment": {**manifest.experiment, **options}, **facts}
    found[".state.params[0].w"] = found[".state.params[0].w"] * np.float32(factor)
    for number in (9, 10):  # the one before must not be used either
        checkpoint.save(folder, number, found, replaced(manifest, **facts))
    with pytest.raises(StorageError, match=message):
        runs.networks(folder)


def test_a_run_in_float64_gives_networks_of_the_default_precision(tmp_path):
    with jax.enable_x64(True):
        write_run(tmp_path, "float64")
        exact, _ = runs.networks(tmp_path)
    params, _ = runs.networks(tmp_path)
    assert exact[0].w.dtype == np.float64 and params[0].w.dtype == np.float32
    np.testing.assert_array_equal(params[0].w, np.asarray(exact[0].w, np.float32))
    assert (np.asarray(params[0].w, float) != np.asarray(exact[0].w)).all()


def test_a_network_of_a_run_is_had_by_its_seed(kept, small_mnist_data, capsys):
    one, last = kept / "one", runs.read(kept / "one").history[:, -1]
    for seed, expected in ((None, last[0]), (1, last[0]), (2, last[1])):
        params, cost, _ = runs.load_network(one, seed)
        found = compiled(jaxnet.accuracy)(params, small_mnist_data.test)
        assert found == pytest.approx(expected) and cost is jaxnet.cross_entropy
    assert "got 3" in refused(capsys, "evaluate", one, "--seed", "3")


def test_a_run_is_evaluated_on_its_own_data_and_part(tmp_path, train, capsys):
    """With its names of classes, whatever the current folder, and not on MNIST."""
    new, run = train
    rng, data, out = np.random.default_rng(0), tmp_path / "pets.csv", tmp_path / "run"
    x, kinds = rng.integers(0, 256, (60, 6)), np.array(["cat", "dog", "eel"])
    x[:, :3] = 255 * np.eye(3, dtype=int)[np.arange(60) % 3]
    lines = (f"{kinds[i % 3]},{','.join(map(str, row))}" for i, row in enumerate(x))
    data.write_text("\n".join(lines))
    options = "--evaluate validation --epochs 3 --cost cross_entropy --label-column 1"
    said = run("--data", data, "--out", out, *options.split())
    assert said.startswith("6-30-3, ") and f"validation data of {data}" in said
    assert main(["evaluate", str(out)]) == 0
    table = capsys.readouterr().out
    assert f"10 validation images of {data}, labels in column 1 correct" in table
    assert all(f"\n{kind}" in table for kind in kinds)
    assert main(["predict", str(out), str(data), "--label-column", "1"]) == 0
    answers = [
        line.split(": ")[1].split()[0] for line in capsys.readouterr().out.splitlines()
    ]
    assert set(answers) <= set(kinds) and len(answers) == 60
    size = f"{tmp_path / 'small.csv'}: Expected inputs of shape (examples, 6)"
    (tmp_path / "small.csv").write_text("label,a\n0,1\n1,3\n2,5\n")
    words = ["evaluate", out, "--data", tmp_path / "small.csv"]
    assert size in refused(capsys, *words)
    data.write_text(data.read_text().replace("255", "254"))
    assert main(["evaluate", str(out)]) == 0
    assert "have changed since" in capsys.readouterr().err
    data.unlink()
    gone = f"{data}: expected the data that {out} learned from"
    assert gone in refused(capsys, "evaluate", out)


def test_runs_are_listed_and_a_damaged_one_as_such(kept, capsys, tmp_path):
    shutil.copytree(kept, tmp_path / "runs")
    for path in (tmp_path / "runs" / "two").glob("*.safetensors"):
        path.write_bytes(b"")
    capsys.readouterr()
    assert main(["runs", "list", str(tmp_path / "runs")]) == 0
    head, one, two = capsys.readouterr().out.splitlines()
    assert head.split() == "run sizes seeds epochs best last eta cost".split()
    history = runs.read(kept / "one").history
    best, last = (f"{np.mean(x):.2%}" for x in (history.max(axis=1), history[:, -1]))
    cells = ["one", "784-4-10", "2", "3/3", best, last, "0.5", "cross_entropy"]
    assert one.split() == cells
    assert "runs/two: expected a folder with a" in two
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


def test_all_who_use_an_older_checkpoint_are_told_so(kept, tmp_path, capsys):
    folder = tmp_path / "runs" / "kept"
    shutil.copytree(kept / "two", folder)
    found, manifest, _ = checkpoint.load(folder, Manifest)
    checkpoint.save(folder, 9, found, manifest)
    newest = folder / "checkpoint-00000009.safetensors"
    newest.write_bytes(newest.read_bytes()[:-1])
    capsys.readouterr()
    for words, told in (
        (("export", folder, tmp_path / "net.json"), f"wrote {tmp_path / 'net.json'}\n"),
        (("runs", "list", folder.parent), "\nkept "),
        (("runs", "compare", folder), "epochs done "),
        (("train", "--resume", folder), "the run is finished"),
    ):
        assert main([str(word) for word in words]) == 0
        output = capsys.readouterr()
        assert told in output.out
        assert output.err.count("\n") == 1
        assert "checkpoint-00000009.safetensors: " in output.err
        assert output.err.endswith("The checkpoint before is used.\n")
