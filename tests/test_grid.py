"""A sweep keeps what is done, and goes on from there, whatever ended it."""

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxnet.cli import main
from jaxnet.files import wait_for_turn
from jaxnet.grid import (
    Kept,
    Network,
    Setting,
    combinations,
    label,
    summaries,
    table,
    varied,
)
from jaxnet.journal import Journal
from jaxnet.storage import StorageError

SHARED = {"sizes": [784, 30, 10], "epochs": 3}
ONE = Network(Setting(0.5, 0.0, 5.0, 0.0), 1)
TWO = Network(Setting(0.5, 0.0, 1.0, 0.0), 1)


def test_combinations_are_every_one_once():
    values = {"eta": (1.0, 2.0), "l1": (0.0,), "l2": (0.0, 5.0, 6.0), "dropout": (0.0,)}
    settings = combinations(values)
    assert len(settings) == len(set(settings)) == 6
    assert settings[:2] == [Setting(1.0, 0.0, 0.0, 0.0), Setting(1.0, 0.0, 5.0, 0.0)]
    assert varied(settings) == ["eta", "l2"] and varied(settings[:1]) == []
    assert label(settings[1], ["eta", "l2"]) == "eta 1, L2 5"


CURVES = st.lists(st.floats(0, 1) | st.just(float("nan")), min_size=1, max_size=5)


@given(curves=st.dictionaries(st.integers(0, 9), CURVES, max_size=4))
def test_what_is_kept_comes_back(curves, tmp_path_factory):
    path = tmp_path_factory.mktemp("kept") / "folder" / "sweep.jsonl"
    kept = Kept(path, SHARED)
    for seed, curve in curves.items():
        kept.add(ONE._replace(seed=seed), curve)
    again = Kept(path, SHARED)
    expected = {ONE._replace(seed=seed): curve for seed, curve in curves.items()}
    assert again.curves.keys() == expected.keys() == kept.curves.keys()
    for network, curve in expected.items():
        np.testing.assert_array_equal(again.curves[network], curve)


def test_a_file_cut_anywhere_keeps_its_whole_lines_and_goes_on(tmp_path):
    path = tmp_path / "sweep.jsonl"
    kept = Kept(path, SHARED)
    kept.add(ONE, [0.5, 0.75])
    after_one = path.stat().st_size
    kept.add(TWO, [0.25, 0.5])
    whole = path.read_bytes()
    for size in range(after_one, len(whole) + 1):
        path.write_bytes(whole[:size])
        again = Kept(path, SHARED)
        assert again.curves[ONE] == [0.5, 0.75]
        assert (TWO in again.curves) == (size == len(whole))
        if TWO not in again.curves:
            again.add(TWO, [0.25, 0.5])
            assert path.read_bytes() == whole


def test_a_file_that_is_only_read_stays_as_it_is(tmp_path):
    path = tmp_path / "sweep.jsonl"
    journal = Journal(path, "kind 1", SHARED)
    journal.add({"a": 1})
    whole = path.read_bytes()
    for size in range(len(whole) + 1):
        path.write_bytes(whole[:size])
        values = Journal(path, "kind 1", SHARED, only_read=True).values
        assert values == ([{"a": 1}] if size == len(whole) else [])
        assert path.read_bytes() == whole[:size]
    missing = tmp_path / "no" / "file"
    assert Journal(missing, "kind 1", SHARED, only_read=True).values == []
    assert not missing.parent.exists()


@pytest.mark.skipif(os.name == "nt", reason="without locks")
def test_processes_that_share_a_file_take_turns(tmp_path):
    path = tmp_path / "sweep.jsonl"
    Journal(path, "kind 1", SHARED).add({"a": 1})
    whole = path.read_bytes()
    path.unlink()
    with open(path, "ab") as other, ThreadPoolExecutor() as pool:
        wait_for_turn(other)
        waiting = pool.submit(Journal, path, "kind 1", SHARED)
        time.sleep(0.1)
        other.write(whole)
        other.close()
        journal = waiting.result()
    assert journal.values == [{"a": 1}] and path.read_bytes() == whole
    Journal(path, "kind 1", SHARED).add({"b": 2})
    journal.add({"c": 3})
    every = [{"a": 1}, {"b": 2}, {"c": 3}]
    assert Journal(path, "kind 1", SHARED, only_read=True).values == every


def test_a_file_cut_in_its_first_line_begins_anew(tmp_path):
    path = tmp_path / "sweep.jsonl"
    Kept(path, SHARED)
    whole = path.read_bytes()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        assert Kept(path, SHARED).curves == {}
        assert path.read_bytes() == whole


@pytest.mark.parametrize(
    "content, message",
    [
        (b"\x89PNG\r\n\x1a\n", "expected a file whose first line has the format"),
        (b'{"format": "jaxnet sweep 2"}\n', "whose first line has the format"),
        (b"[1]\n", "has the format 'jaxnet sweep 1', got"),
    ],
)
def test_another_kind_of_file_is_refused_and_left_as_it_is(tmp_path, content, message):
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(StorageError, match=message):
        Kept(path, SHARED)
    assert path.read_bytes() == content


def test_another_experiment_or_a_spoilt_line_is_refused(tmp_path):
    path = tmp_path / "sweep.jsonl"
    Kept(path, SHARED).add(ONE, [0.5])
    with pytest.raises(StorageError, match="expected epochs 4, got 3"):
        Kept(path, SHARED | {"epochs": 4})
    with open(path, "a") as file:
        file.write('{"eta": 1}\n')
    with pytest.raises(StorageError, match="the format 'jaxnet sweep 1' on line 3"):
        Kept(path, SHARED)


def test_the_table_says_what_the_curves_say():
    nan = float("nan")
    curves = {
        ONE: [0.5, 0.9, 0.8],
        ONE._replace(seed=2): [0.5, 0.7, 0.6],
        TWO: [0.3, nan, nan],
    }
    found = summaries(curves)
    row = found[ONE.setting]
    assert row["seeds"] == 2 and row["max"] == 0.9
    assert row["mean"] == pytest.approx(0.8) and row["last"] == pytest.approx(0.7)
    assert row["sd"] == pytest.approx(np.std([0.9, 0.7], ddof=1))
    head, first, second = table(found)
    assert head.split() == ["L2", "seeds", "best", "sd", "max", "last"]
    assert first.split()[:3] == ["5", "2", "80.00%"] and first.endswith("<- best mean")
    assert second.split() == ["1", "1", "30.00%", "0.00%", "30.00%", "nan%"]


def options(small_mnist, *more):
    small = ["--data", small_mnist, "--sizes", "784,4,10", "--epochs", "2"]
    return ["sweep", *small, "--eta", "0.5,3", "--seeds", "2", *more]


def test_a_sweep_says_what_train_says(small_mnist, capsys, tmp_path):
    file, figure = tmp_path / "sweep.jsonl", tmp_path / "heat.png"
    more = ("--l2", "0,5", "--out", str(file), "--figure", str(figure))
    assert main(options(small_mnist, *more)) == 0
    text = capsys.readouterr().out
    assert "4 settings x 2 seeds = 8 networks, 0 done before" in text
    assert figure.read_bytes().startswith(b"\x89PNG")
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert len(lines) == 9
    train = ["train", *options(small_mnist)[1:7], "--json"]
    assert main([*train, "--eta", "3", "--l2", "5", "--seed", "2"]) == 0
    [alone] = json.loads(capsys.readouterr().out)["runs"]
    wanted = {"eta": 3.0, "l1": 0.0, "l2": 5.0, "dropout": 0.0, "seed": 2}
    [same] = [line for line in lines[1:] if wanted.items() <= line.items()]
    assert [round(200 * x) for x in same["accuracy"]] == alone["correct"]


def test_a_sweep_goes_on_and_takes_more_values_and_seeds(small_mnist, capsys, tmp_path):
    out = ("--out", str(tmp_path / "sweep.jsonl"))
    assert main(options(small_mnist, *out)) == 0
    capsys.readouterr()
    assert main(options(small_mnist, *out, "--seeds", "3", "--eta", "0.5,1,3")) == 0
    assert "3 seeds = 9 networks, 4 done before" in capsys.readouterr().out
    assert main(options(small_mnist, *out, "--json")) == 0
    value = json.loads(capsys.readouterr().out)
    assert value["done"] == value["networks"] == 4 and len(value["settings"]) == 2
    assert main(options(small_mnist, *out, "--cost", "cross_entropy")) == 2
    assert "expected cost cross_entropy, got quadratic" in capsys.readouterr().err


@pytest.mark.parametrize("values", ["", "1,", "1,1", "1,nan", "0"])
def test_wrong_values_are_refused_in_a_line(small_mnist, capsys, values):
    with pytest.raises(SystemExit, match="2"):
        main(options(small_mnist, "--eta", values))
    error = capsys.readouterr().err
    assert "--eta: expected" in error and error.count("\n") == 1


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
def test_a_sweep_ended_anywhere_goes_on(small_mnist, capsys, tmp_path, sent):
    """The second process trains only what the first has not kept."""
    file = tmp_path / "sweep.jsonl"
    more = ("--out", str(file), "--epochs", "10", "--seeds", "10")
    command = [sys.executable, "-m", "jaxnet", *options(small_mnist, *more)]
    # Where tests run in the background Ctrl-C is ignored, and children inherit that.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parent.parent,
        env=os.environ,
    )
    signal.signal(signal.SIGINT, before)
    with process:
        while not file.exists() or file.read_bytes().count(b"\n") < 4:
            assert process.poll() is None
        process.send_signal(sent)
        text, _ = process.communicate(timeout=60)
    done = file.read_bytes().count(b"\n") - 1
    assert 3 <= done < 20
    if sent == signal.SIGINT:
        assert process.returncode == 130
        said = [f"Interrupted: {n} of 20 networks are done." for n in (done - 1, done)]
        assert said[0] in text or said[1] in text  # the last one just as it was kept
    assert main(options(small_mnist, *more)) == 0
    assert f"20 networks, {done} done before" in capsys.readouterr().out
    assert file.read_bytes().count(b"\n") == 21


def test_a_figure_that_cannot_be_written_is_refused_before_the_work(
    small_mnist, capsys
):
    assert main(options(small_mnist, "--figure", "heat.txt")) == 2
    found = capsys.readouterr()
    assert found.out == "" and "such as .png, .svg or .pdf, got '.txt'" in found.err
