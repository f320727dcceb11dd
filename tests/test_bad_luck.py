"""Full disks, two runs in one folder, clocks, and odd data: what a user may meet."""

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import jaxnet
from jaxnet import datasets, figures, folders
from jaxnet.cli import main
from jaxnet.course import first_course
from jaxnet.datasets import DataError, load_mnist
from jaxnet.experiments import Experiment
from jaxnet.handwriting import prepare, read_picture
from jaxnet.owndata import load_data, split_arrays
from jaxnet.readers import read_csv, read_folder
from jaxnet.report import Line
from jaxnet.segmentation import segment
from jaxnet.storage import StorageError, save_book_network
from tests.helpers import idx
from tests.test_refusals import refused

ROOT = Path(__file__).parent.parent
HERE = {"jaxnet": "0", "dtype": "float32"}
OPTIONS = {"sizes": [3, 2], "epochs": 99, "seed": 1, "seeds": 1, "eta": 0.5}
OPTIONS |= {"dropout": 0.0, "cost": "quadratic", "hidden": "sigmoid"}


@pytest.fixture(scope="module")
def course():
    keys = jnp.stack([jax.random.key(1)])
    return jax.vmap(lambda key: first_course(Experiment(sizes=(3, 2)), key))(keys)


@pytest.fixture
def data():
    return split_arrays(np.eye(3, dtype=np.uint8), np.array([0, 1, 1]))


def line(epoch: int) -> Line:
    return Line(epoch, [1], [True], [0], 0.5)


# Disks.


def test_a_disk_that_fills_during_a_run_leaves_what_the_run_goes_on_from(
    tmp_path, course, data, monkeypatch
):
    """The system itself says that the disk is full: /dev/full is where the file is."""
    monkeypatch.setattr(folders, "_PAUSE", 0.0)
    message = "expected to write here, got an error: No space left on device"
    # A checkpoint is tried again at the end, when the disk may have room.
    places = {"metrics.jsonl": 3, "checkpoint-00000005.safetensors.tmp": 4}
    for spoilt, saved in places.items():
        path, aside = tmp_path / spoilt[:3], tmp_path / "aside"
        with (
            pytest.raises(StorageError, match=message),
            folders.begin(path, OPTIONS, HERE, data, 1) as keeper,
        ):
            for epoch in range(99):
                if epoch == 3:
                    if (path / spoilt).exists():
                        (path / spoilt).rename(aside)
                    (path / spoilt).symlink_to("/dev/full")
                keeper.add(line(epoch), lambda: course)
        (path / spoilt).unlink(missing_ok=True)
        if aside.exists():
            aside.rename(path / spoilt)
        assert folders.read(path).saved == saved and len(folders.networks(path)) == 1
        with folders.resume(path) as keeper:
            assert [each.epoch for each in keeper.run.lines] == list(range(saved))
            keeper.add(line(saved), lambda: course)
        assert folders.read(path).saved == saved + 1


def small_disk(folder: Path) -> bool:
    """Whether a disk of 64 KiB could be put there, which takes a superuser."""
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    try:
        return subprocess.run(command, capture_output=True).returncode == 0
    except OSError:
        return False


def test_a_small_disk_keeps_the_last_good_checkpoint(
    tmp_path, course, data, monkeypatch
):
    if not small_disk(tmp_path):
        pytest.skip("needs to mount a disk")
    monkeypatch.setattr(folders, "_PAUSE", 0.0)
    try:
        path = tmp_path / "run"
        with (
            pytest.raises(StorageError, match="No space left on device"),
            folders.begin(path, OPTIONS, HERE, data, 1) as keeper,
        ):
            for epoch in range(10_000):
                keeper.add(line(epoch), lambda: course)
        saved = folders.read(path).saved
        assert saved > 10 and len(folders.networks(path)) == 1
        with folders.resume(path) as keeper:
            assert len(keeper.run.lines) == saved
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_where_nothing_can_be_written_is_said_in_a_line(tmp_path, capsys, small_mnist):
    save_book_network(tmp_path / "net.json", jaxnet.init(jax.random.key(0), [784, 10]))
    net, small = tmp_path / "net.json", ["--data", small_mnist, "--sizes", "784,10"]
    for place in (net / "below", Path("/proc/nowhere")):
        for words in (
            ["train", *small, "--out", place],
            ["sweep", *small, "--out", place / "file"],
            ["export", net, place / "file.json"],
        ):
            assert str(place) in refused(capsys, *words)


def test_two_processes_do_not_keep_runs_in_one_folder(tmp_path, small_mnist):
    command = [sys.executable, "-m", "jaxnet", "train", "--data", small_mnist]
    command += ["--sizes", "784,2,10", "--epochs", "40", "--json", "--out", "run"]
    environment, pipe = os.environ | {"PYTHONPATH": str(ROOT)}, subprocess.PIPE
    options: Any = {"cwd": tmp_path, "env": environment, "text": True}
    started = [
        subprocess.Popen(command, stdout=pipe, stderr=pipe, **options) for _ in range(2)
    ]
    ends = [(p.communicate(timeout=120), p.returncode) for p in started]
    (printed, code), (refusal, other) = sorted(ends, key=lambda end: end[1])
    assert (code, printed[1], other, refusal[0]) == (0, "", 2, "")
    assert refusal[1].count("\n") == 1
    kept = json.loads(printed[0])["runs"][0]["correct"]
    run = folders.read(tmp_path / "run")
    assert [each.correct for each in run.lines] == [[count] for count in kept]


def test_a_clock_that_goes_backwards_loses_no_epoch(
    tmp_path, course, data, monkeypatch
):
    times = iter(range(1000, 0, -1))
    monkeypatch.setattr("time.monotonic", lambda: float(next(times)))
    with folders.begin(tmp_path / "run", OPTIONS, HERE, data, 1) as keeper:
        for epoch in range(3):
            keeper.add(line(epoch), lambda: course)
    run = folders.read(tmp_path / "run")
    assert run.saved == len(run.lines) == 3


# Data.


def test_text_that_unpacks_to_more_lines_than_memory_has_is_refused(
    tmp_path, monkeypatch
):
    monkeypatch.setattr("jaxnet.readers._MOST_LINES", 10)
    monkeypatch.setattr("jaxnet.readers._LONGEST", 30)
    for content, message in (
        (b"\n" * 11, "at most 10 lines, got 11"),
        (b"1,2\n" + b"1," * 15 + b"1\n", "line 2: expected at most 30 char.*got 31"),
    ):
        path = tmp_path / "a.csv.gz"
        path.write_bytes(gzip.compress(content))
        with pytest.raises(DataError, match=f"a.csv.gz: .*{message}"):
            read_csv(path)


def test_more_targets_than_memory_has_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("jaxnet.owndata.MOST_TARGETS", 5)
    (tmp_path / "a.csv").write_text("0,1\n1,1\n1,1\n")
    with pytest.raises(DataError, match="a.csv: expected at most 5 targets.*3 x 2"):
        load_data(tmp_path / "a.csv")
    monkeypatch.setattr(datasets, "MOST_TARGETS", 29)
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(np.ones((3, 1, 1))))
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx([0, 1, 2]))
    with pytest.raises(DataError, match="labels.*: expected at most 2 examples, got 3"):
        load_mnist(tmp_path)


def test_a_picture_of_one_pixel_is_data_but_no_digit(tmp_path):
    for label in "ab":
        (tmp_path / "data" / label).mkdir(parents=True)
        for i in range(3):
            place = tmp_path / "data" / label / f"{i}.png"
            Image.new("L", (1, 1), 40 * i).save(place)
    assert load_data(tmp_path / "data", as_bytes=True).train.x.shape[1] == 1
    assert read_folder(tmp_path / "data")[0].ravel().tolist() == [0, 40, 80] * 2
    with pytest.raises(DataError, match="1.png: expected ink on paper"):
        read_picture(tmp_path / "data" / "a" / "1.png")


def test_four_inks_and_frames_are_read(tmp_path):
    """Of an animation the first picture, as viewers show it when it is printed."""
    levels = np.full((40, 40), 255, np.uint8)
    levels[8:32, 18:22] = 0
    one, blank = Image.fromarray(levels), Image.new("L", (40, 40), 255)
    one.convert("CMYK").save(tmp_path / "four.jpg", quality=95)
    one.save(tmp_path / "frames.gif", save_all=True, append_images=[blank])
    one.convert("P").save(tmp_path / "palette.png", transparency=255)
    one.save(tmp_path / "plain.png")
    expected = prepare(read_picture(tmp_path / "plain.png")).image
    for name in ("four.jpg", "frames.gif", "palette.png"):
        image = prepare(read_picture(tmp_path / name)).image
        np.testing.assert_allclose(image, expected, atol=0.1, err_msg=name)


def test_a_picture_is_named_whatever_its_name_is(tmp_path, capsys, monkeypatch):
    """Its name may be a word of the message; noise is found blank only later."""
    monkeypatch.chdir(tmp_path)
    save_book_network("net.json", jaxnet.init(jax.random.key(0), [784, 10]))
    noise = np.random.default_rng(0).normal(128, 8, (60, 60))
    Image.fromarray(noise.astype(np.uint8)).save("ink", "PNG")
    assert main(["predict", "net.json", "ink"]) == 2
    line = "ink: expected ink on paper, got a blank picture.\n"
    assert capsys.readouterr().out == line


def test_a_run_of_any_name_is_drawn(tmp_path):
    """Dollar signs are no mathematics, and what the font lacks is a box."""
    history = np.array([[0.5, 0.6]])
    names = ("_hidden", r"$\nonsense$", "a$b", "\u6f22")
    path = figures.curves(dict.fromkeys(names, history), tmp_path / "curves.svg")
    assert r"$\nonsense$" in path.read_text()


def test_stripes_are_not_cut_for_minutes(monkeypatch):
    """Of hundreds of places to cut any two made a piece that was looked at."""
    levels = np.full((30, 1600), 255, np.uint8)
    for column in (4, 5):
        levels[5:-5, column:-4:4] = 0
    pieces = []

    def watched(ink: np.ndarray, least: float) -> np.ndarray:
        pieces.append(ink)
        return ink

    monkeypatch.setattr("jaxnet.segmentation.without_specks", watched)
    assert segment(levels, lambda images: np.full((len(images), 10), 0.1))
    assert len(pieces) < 10_000
