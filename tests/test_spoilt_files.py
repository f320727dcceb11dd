"""Runs and results that no jaxnet has written, or not whole, are refused by name."""

import copy
import hashlib
import json
from pathlib import Path

import jax
import numpy as np
import pytest

from jaxnet import checkpoints, folders, grid, reproduce
from jaxnet.cli import main
from jaxnet.storage import StorageError
from tests.hostile import sealed, write_run
from tests.test_refusals import refused


@pytest.fixture
def kept(tmp_path):
    """A run's folder, and a function to change its manifest, checksum and all."""
    folder = tmp_path / "kept"
    write_run(folder)
    path = folder / "checkpoint-00000001.json"
    document = json.loads(path.read_text())

    def change(options: dict | None = None, **parts) -> None:
        manifest = copy.deepcopy(document["manifest"])
        manifest["options"] |= options or {}
        path.write_bytes(sealed(document | {"manifest": manifest} | parts))

    return folder, change


def test_a_manifest_that_no_jaxnet_has_written_is_refused(kept):
    folder, change = kept
    ours = "a run as `train --out` keeps it"
    for options, parts, message in (
        ({}, {"sha256": None}, "expected 'sha256' in the manifest, a str, got None"),
        ({}, {"manifest": []}, r"'manifest' in the manifest, a dict, got \[\]"),
        ({}, {"manifest": {"kind": "jaxnet run 1"}}, ours),
        ({"seeds": 2**63}, {}, ours),
        ({"dropout": None}, {}, ours),
        ({"sizes": [3, 4, 2]}, {}, r"floats \[2, 4, 3\] in '.state.params"),
    ):
        change(options, **parts)
        with pytest.raises(StorageError, match=message):
            folders.networks(folder)


def test_options_that_no_command_line_gives_are_not_resumed(kept, capsys):
    folder, change = kept
    for options, message in (
        ({"batch_size": [1]}, "--batch-size: expected a whole number of at least 1"),
        ({"cost": "cubic"}, "--cost: invalid choice: 'cubic'"),
        (
            {"later": 1},
            "expected a run of this jaxnet, got one of jaxnet 0.1 with later",
        ),
    ):
        change(options)
        assert message in refused(capsys, "train", "--resume", folder)
    change({"cost": "cubic"})
    error = refused(capsys, "export", folder, "net.json")
    assert "expected a cost and an activation that this jaxnet has" in error


def put_arrays(folder: Path, content: bytes) -> None:
    """Replace a checkpoint's arrays, with the right checksum."""
    path = folder / "checkpoint-00000001.json"
    document = json.loads(path.read_text())
    path.with_suffix(".safetensors").write_bytes(content)
    path.write_bytes(sealed(document | {"sha256": hashlib.sha256(content).hexdigest()}))


def test_arrays_that_are_no_safetensors_are_refused(kept):
    for content in (b"", b"\xff" * 8, b"\x80\x02}q\0.", (2**63).to_bytes(8, "little")):
        put_arrays(kept[0], content)
        with pytest.raises(StorageError, match="expected safetensors, got others"):
            checkpoints.load(kept[0])


def test_arrays_of_another_shape_than_stated_are_refused(tmp_path):
    like = {"w": np.zeros(3), "key": jax.random.key(0)}
    for bad in ({"w": np.zeros(4), "key": np.zeros(2)}, {"w": np.zeros(3)}):
        for place, arrays in (("one", like), ("two", bad)):
            checkpoints.save(tmp_path / place, arrays, {})
        put_arrays(
            tmp_path / "one",
            max((tmp_path / "two").glob("*.safetensors")).read_bytes(),
        )
        with pytest.raises(StorageError, match="as it states, got another array"):
            checkpoints.load(tmp_path / "one", like)
        (tmp_path / "one" / "checkpoint-00000001.json").unlink()


def test_a_run_of_no_numbers_is_not_used(tmp_path, capsys):
    write_run(tmp_path, weight=np.nan)
    assert "got nan or infinity" in refused(capsys, "evaluate", tmp_path)


def test_whoever_uses_an_older_checkpoint_is_told_so(kept, capsys):
    folder, _ = kept
    checkpoints.save(folder, {}, checkpoints.load(folder).manifest)
    newest = folder / "checkpoint-00000002.safetensors"
    newest.write_bytes(newest.read_bytes()[:-1])
    capsys.readouterr()
    for words, told in (
        (("export", folder, folder / "net.json"), f"wrote {folder / 'net.json'}\n"),
        (("runs", "list", folder.parent), "\nkept "),
        (("runs", "compare", folder), "epochs done "),
    ):
        assert main([str(word) for word in words]) == 0
        output = capsys.readouterr()
        assert told in output.out
        assert output.err.count("\n") == 1
        assert "checkpoint-00000002.json: " in output.err
        assert output.err.endswith("The checkpoint before is used.\n")


DEEP = b"[" * 10**5
LINE = {"eta": 3.0, "l1": 0.0, "l2": 0.0, "dropout": 0.0, "seed": 1, "accuracy": [0.5]}


@pytest.mark.parametrize(
    "line",
    [
        DEEP,
        json.dumps(LINE | {"eta": 10**400}).encode(),
        json.dumps(LINE | {"seed": float("inf")}).encode(),
        json.dumps(LINE | {"accuracy": []}).encode(),
        json.dumps(LINE | {"accuracy": "12"}).encode(),
        json.dumps(LINE | {"accuracy": [2.0]}).encode(),
    ],
    ids=["deep", "huge eta", "no seed", "no epoch", "text", "above 1"],
)
def test_a_line_that_is_no_network_of_a_sweep_is_refused(tmp_path, line):
    path = tmp_path / "sweep.jsonl"
    grid.Kept(path, {})
    path.write_bytes(path.read_bytes() + line + b"\n")
    with pytest.raises(StorageError, match="'jaxnet sweep 1' on line 2, got b"):
        grid.Kept(path, {})
    path.write_bytes(DEEP + b"\n")
    with pytest.raises(StorageError, match="whose first line has the format"):
        grid.Kept(path, {})


def result_file(folder: Path, *lines: object) -> str:
    name = "30 hidden"
    experiment = reproduce.described(reproduce.CLAIMS[name].experiment)
    header = {"format": "jaxnet experiment 1", "experiment": experiment}
    values = [header | {"measure": "accuracy"}, *lines]
    text = "".join(json.dumps(value) + "\n" for value in values)
    reproduce.file_of(name, folder).write_text(text)
    return name


SEED = {"seed": 1, "curve": [None], "of": 10, "unlearnt": [], "seconds": 1.0}


def test_a_line_that_is_no_seed_of_an_experiment_is_refused(tmp_path):
    spoilt = [SEED | {k: v} for k, v in (("of", 0), ("curve", []), ("unlearnt", [[]]))]
    lacking = [{k: v for k, v in SEED.items() if k != name} for name in SEED]
    for line in (*spoilt, *lacking, 3.0):
        name = result_file(tmp_path, SEED, line)
        with pytest.raises(StorageError, match="'jaxnet experiment 1' on line 3"):
            reproduce.result(name, tmp_path)
        with pytest.raises(StorageError, match="'jaxnet experiment 1' on line 3"):
            reproduce.missing(name, 3, tmp_path)


def test_an_experiment_of_which_nothing_is_a_number_has_a_row(tmp_path):
    """NumPy warned of medians and deviations of nothing."""
    name = result_file(tmp_path, SEED, SEED | {"seed": 2, "curve": [None, None]})
    found = reproduce.result(name, tmp_path)
    assert found is not None
    *_, row = reproduce.table([found], {})
    assert "| - [-, -] | - | - +- 0.00 | none | 2 |" in row


def test_a_network_whose_cost_is_infinite_is_json_too(small_mnist, tmp_path, capsys):
    big = [[3e38] * 784] + [[-3e38] * 784] * 9
    document = {"sizes": [784, 10], "weights": [big], "biases": [[[0.0]] * 10]}
    path = tmp_path / "net.json"
    path.write_text(json.dumps(document | {"cost": "CrossEntropyCost"}))
    assert main(["evaluate", str(path), "--data", small_mnist, "--json"]) == 0
    text = capsys.readouterr().out

    def refuse(word: str) -> None:
        raise AssertionError(word)

    assert json.loads(text, parse_constant=refuse)["cost"] is None


def test_a_folder_of_links_in_a_circle_holds_no_run(tmp_path):
    for name in ("checkpoint-00000001.json", "checkpoint-00000001.safetensors"):
        (tmp_path / name).symlink_to(name)
    with pytest.raises(StorageError, match="a readable file, got an error: no such"):
        checkpoints.load(tmp_path)
