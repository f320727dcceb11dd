"""Arrays, CSV files and folders of pictures are read whole and right, or refused."""

import argparse
import csv
import gzip
import json
import os
import shutil
import sys
from collections import Counter
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from jaxnet import DataError, Dataset, Split, load_mnist
from jaxnet.commands import describe
from jaxnet.owndata import load_csv, load_data, load_folder, split_arrays
from jaxnet.readers import class_folders, read_csv, read_folder

rng = np.random.default_rng(0)
X = rng.integers(0, 256, (12, 2, 3), np.uint8)
LABELS = np.arange(12) % 3


def rows(split: Split) -> Counter:
    """The examples of all parts, in no order, as (inputs, label)."""
    return Counter(
        (tuple(x.tolist()), int(y.argmax()))
        for part in split
        for x, y in zip(np.asarray(part.x), np.asarray(part.y), strict=True)
    )


def expected_rows(x, labels) -> Counter:
    flat = np.reshape(x, (len(x), -1))
    return Counter(
        (tuple(row.tolist()), int(k)) for row, k in zip(flat, labels, strict=True)
    )


def write_csv(path: Path, x, labels, header: bool = False) -> Path:
    packed = path.suffix == ".gz"
    with (
        gzip.open(path, "wt", newline="")
        if packed
        else open(path, "w", newline="") as file
    ):
        writer = csv.writer(file)
        if header:
            writer.writerow(["label", *(f"pixel{i}" for i in range(x[0].size))])
        for image, label in zip(x, labels, strict=True):
            writer.writerow([label, *image.ravel().tolist()])
    return path


def write_folder(path: Path, x, labels, names=("cat", "dog", "eel"), kind="png"):
    for name in names:
        (path / name).mkdir(parents=True)
    for i, (image, label) in enumerate(zip(x, labels, strict=True)):
        Image.fromarray(image).save(path / names[label] / f"{i:03}.{kind}")
    return path


@settings(max_examples=20)
@given(
    n=st.integers(3, 40),
    classes=st.integers(2, 5),
    validation=st.floats(0.01, 0.49),
    test=st.floats(0.01, 0.49),
    seed=st.integers(0, 9),
)
def test_every_example_is_in_exactly_one_part(n, classes, validation, test, seed):
    x = np.arange(2 * n, dtype=np.uint8).reshape(n, 2)
    labels = np.arange(n) % classes
    split = split_arrays(x, labels, validation=validation, test=test, seed=seed)
    assert rows(split) == expected_rows(x, labels)
    assert all(len(part.x) == len(part.y) >= 1 for part in split)
    assert len(split.test.x) == min(max(1, round(test * n)), n - 2)
    assert all(bool((part.y.sum(axis=1) == 1).all()) for part in split)


@pytest.mark.parametrize(
    ("validation", "test"), [(0.05, 0.9), (0.9, 0.05), (0.49, 0.5)]
)
def test_three_examples_are_one_for_each_part(validation, test):
    split = split_arrays(X[:3], LABELS[:3], validation=validation, test=test)
    assert [len(part.x) for part in split] == [1, 1, 1]
    assert rows(split) == expected_rows(X[:3], LABELS[:3])


def test_the_sixths_of_mnist_are_its_own():
    x, labels = np.zeros((60_000, 1), np.uint8), np.arange(60_000) % 10
    sizes = [len(part.x) for part in split_arrays(x, labels)]
    assert sizes == [40_000, 10_000, 10_000]


def test_a_seed_gives_one_split_and_another_seed_another():
    first, again, other = (split_arrays(X, LABELS, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.train.x, again.train.x)
    assert not np.array_equal(first.train.x, other.train.x)
    assert not np.array_equal(first.train.x, X.reshape(12, 6)[:8])


def test_bytes_stay_bytes_and_floats_stay_what_they_are():
    split = split_arrays(X, LABELS)
    assert split.train.x.dtype == jnp.uint8 and split.train.y.dtype == jnp.float32
    floats = (X / 100 - 1).astype(np.float32)
    split = split_arrays(floats, LABELS)
    assert split.train.x.dtype == jnp.float32
    assert rows(split) == expected_rows(floats, LABELS)
    assert split_arrays(floats.astype(np.float64), LABELS).test.x.dtype == jnp.float32


def test_under_x64_the_arrays_are_float64(x64, tmp_path):
    split = split_arrays(X / 3, LABELS)
    assert split.train.x.dtype == split.train.y.dtype == jnp.float64
    assert rows(split) == expected_rows(X / 3, LABELS)
    path = write_csv(tmp_path / "a.csv", X, LABELS)
    assert load_csv(path).train.x.dtype == jnp.float64


def test_classes_without_examples_have_a_target_too():
    assert split_arrays(X, LABELS, classes=5).train.y.shape == (8, 5)
    assert split_arrays(X, LABELS + 1).train.y.shape == (8, 4)


NAN = np.ones((12, 4))
NAN[7, 1] = np.nan
REFUSED = {
    "one dimension": ((X[0, 0], LABELS[:3]), {}, r"\(n, pixels\) or .*got \(3,\)"),
    "no pixels": ((X[:, :, :0], LABELS), {}, r"got \(12, 2, 0\)"),
    "no examples": ((X[:0], LABELS[:0]), {}, r"got \(0, 2, 3\)"),
    "colour": ((np.zeros((9, 2, 2, 3)), LABELS[:9]), {}, r"got \(9, 2, 2, 3\)"),
    "two examples": ((X[:2], LABELS[:2]), {}, "3 examples or more, .*got 2"),
    "integers": ((X.astype(int), LABELS), {}, "uint8.*got int64.*astype"),
    "text": ((X.astype(str), LABELS), {}, "got <U"),
    "nan": ((NAN, LABELS), {}, "finite inputs, .*in example 7"),
    "too large": ((np.full((12, 4), 1e300), LABELS), {}, "above float32's"),
    "too few labels": ((X, LABELS[:11]), {}, r"12 labels, .*got shape \(11,\)\.$"),
    "one-hot labels": ((X, np.eye(3)[LABELS]), {}, r"argmax\(axis=1\)"),
    "float labels": ((X, LABELS / 2), {}, "integers as labels, got float64"),
    "names": ((X, LABELS.astype(str)), {}, "integers as labels.*np.unique"),
    "below 0": ((X, LABELS - 1), {}, "labels from 0 to 999, got -1 at position 0"),
    "huge": ((X, LABELS * 999), {}, "from 0 to 999, got 1998 at position 2"),
    "above classes": ((X, LABELS), {"classes": 2}, "from 0 to 1, got 2 at position 2"),
    "one class": ((X, 0 * LABELS), {}, "2 to 1000 classes, got 1"),
    "many classes": ((X, LABELS), {"classes": 1001}, "2 to 1000 classes, got 1001"),
    "no test": ((X, LABELS), {"test": 0}, "above 0 .*got 0.166667 and 0"),
    "no training": ((X, LABELS), {"test": 0.5, "validation": 0.5}, "below 1 together"),
    "nan part": ((X, LABELS), {"test": float("nan")}, "got 0.166667 and nan"),
}


@pytest.mark.parametrize(
    ("arrays", "options", "message"), REFUSED.values(), ids=REFUSED
)
def test_arrays_that_are_no_data_set_are_refused(arrays, options, message):
    with pytest.raises(DataError, match=f"^Expected .*{message}"):
        split_arrays(*arrays, **options)


@settings(max_examples=60)
@given(
    n=st.integers(3, 9),
    pixels=st.integers(1, 6),
    header=st.booleans(),
    packed=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_what_is_written_as_csv_is_read(
    tmp_path_factory, n, pixels, header, packed, seed
):
    generator = np.random.default_rng(seed)
    x = generator.integers(0, 256, (n, pixels), np.uint8)
    labels = generator.integers(0, 1000, n)
    path = tmp_path_factory.getbasetemp() / ("a.csv.gz" if packed else "a.csv")
    read, read_labels = read_csv(write_csv(path, x, labels, header))
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, x)
    np.testing.assert_array_equal(read_labels, labels)


def test_a_csv_file_is_a_data_set_of_bytes_over_256(tmp_path):
    path = write_csv(tmp_path / "a.csv", X, LABELS)
    assert rows(load_csv(path)) == expected_rows(X / np.float32(256), LABELS)
    pixels = load_csv(str(path), as_bytes=True)
    assert pixels.train.x.dtype == jnp.uint8
    assert rows(pixels) == expected_rows(X, LABELS)
    np.testing.assert_array_equal(pixels.test.x, split_arrays(X, LABELS).test.x)
    other = load_csv(path, as_bytes=True, seed=3)
    np.testing.assert_array_equal(other.test.x, split_arrays(X, LABELS, seed=3).test.x)


SAME = {
    "blank lines": b"\n1,2,3\n\n  \n0,255,0\n\n",
    "windows": b"1,2,3\r\n0,255,0\r\n",
    "a byte order mark": b"\xef\xbb\xbf1,2,3\n0,255,0",
    "blanks": b"1, 2, 3\n 0,255 ,0\n",
    "a header": b"label,0,1\n1,2,3\n0,255,0\n",
    "a quoted header": b'"label","1x1","1x2"\n1,2,3\n0,255,0\n',
    "a header in another encoding": b"\xe9tiquette,a,b\n1,2,3\n0,255,0\n",
    "gzip by another name": gzip.compress(b"1,2,3\n0,255,0\n"),
}


@pytest.mark.parametrize("content", SAME.values(), ids=SAME)
def test_the_usual_ways_of_writing_csv_are_read(tmp_path, content):
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    x, labels = read_csv(path)
    assert x.tolist() == [[2, 3], [255, 0]] and labels.tolist() == [1, 0]


TROUBLE = {
    "empty": (b"", "lines of a label and pixels, got none"),
    "blank": (b"\n \n", "got none"),
    "header only": (b"label,a,b\n", "got none"),
    "short row": (b"1,2,3\n\n1,2\n", "line 3: expected 3 columns as in line 1, got 2"),
    "long row": (
        b"a,b,c\n1,2,3\n1,2,3,4\n",
        "line 3: .* 3 columns as in line 2, got 4",
    ),
    "labels only": (b"1\n2\n", "line 1: expected a label and pixels with commas"),
    "semicolons": (b"1;2;3\n0;1;2\n", "line 2: .*with commas"),
    "trailing comma": (b"1,2,\n0,1,\n", "line 1, column 3: .*got ''"),
    "above 255": (b"1,2\n1,256\n", "line 2, column 2: .*pixel.* 0 to 255, got '256'"),
    "far above": (b"1,99999999999\n", "line 1, column 2: .*got '99999999999'"),
    "digits without end": (b"1," + b"9" * 9999, "line 1, column 2: .*got '9{20}'"),
    "below 0": (b"1,-2\n", "line 1, column 2: .*got '-2'"),
    "a fraction": (b"1,0.5\n", "got '0.5'. Floats can go to split_arrays"),
    "nan": (b"1,2\nx,nan\n", "line 2, column 1: .*label.*0 to 999, got 'x'"),
    "nan pixel": (b"1,nan\n", "line 1, column 2: .*got 'nan'"),
    "nan label": (b"nan,1\n", "line 1, column 1: .*got 'nan'"),
    "half a label": (b"1,2\n1.5,1\n", "line 2, column 1: .*got '1.5'"),
    "label below 0": (b"-1,2\n", "line 1, column 1: .*got '-1'"),
    "label above": (b"1,2\n1000,2\n", "line 2, column 1: .*0 to 999, got '1000'"),
    "name for label": (b"label,a\ncat,2\n", "line 2, column 1: .*got 'cat'"),
    "row numbers of pandas": (b",label,0\n0,5,1\n", "line 1, column 1: .*got ''"),
    "a broken first row": (b"x5,0,0\n5,0,0\n", "line 1, column 1: .*got 'x5'"),
    "NUL": (b"1,2\x00\n", "line 1, column 2"),
    "not ASCII": ("1,٣\n".encode(), "line 1, column 2: .*got '٣'"),
    "UTF-16": ("1,2\n3,4\n".encode("utf-16"), "line 1|line 2"),
    "a comment": (b"1,2\n# 1,2\n", "line 2, column 1: .*got '# 1'"),
    "truncated gzip": (gzip.compress(b"1,2\n")[:-9], "readable CSV.*end-of-stream"),
    "corrupt gzip": (gzip.compress(b"1,2\n")[:-8] + b"12345678", "CRC"),
    "gzip of junk": (b"\x1f\x8bjunk" * 9, "readable CSV"),
}


@pytest.mark.parametrize(("content", "message"), TROUBLE.values(), ids=TROUBLE)
def test_a_bad_csv_file_is_refused_by_name(tmp_path, content, message):
    path = tmp_path / "some.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"(?s)some.csv: .*{message}"):
        read_csv(path)


tokens = [
    "0",
    "1",
    "9",
    "25",
    ",",
    ",",
    "\n",
    "\r\n",
    "-",
    ".",
    "e",
    " ",
    "#",
    '"',
    "é",
]


@settings(max_examples=200)
@given(st.lists(st.sampled_from(tokens[:8]) | st.sampled_from(tokens), max_size=20))
def test_any_text_is_read_as_python_reads_it_or_refused(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes("".join(content).encode())
    try:
        x, labels = read_csv(path)
    except DataError as error:
        assert str(path) in str(error)
    else:
        lines = [line.split(",") for line in path.read_text("utf-8").splitlines()]
        lines = [line for line in lines if any(map(str.strip, line))]
        assert len(lines) - 1 <= len(x) == len(labels) <= len(lines)
        table = [[int(field) for field in line] for line in lines[-len(x) :]]
        assert table == np.column_stack([labels, x]).tolist()


def test_a_missing_csv_file_and_a_folder_in_its_place_are_refused(tmp_path):
    for path, why in (
        (tmp_path / "none.csv", "no such file"),
        (tmp_path, "not a file"),
    ):
        with pytest.raises(DataError, match=f"{path}: .*{why}"):
            read_csv(path)


@pytest.mark.skipif(sys.platform == "win32", reason="needs pipes with names")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(DataError, match="not a file"):
        read_csv(tmp_path / "pipe.csv")


def test_no_more_is_unpacked_than_is_allowed(tmp_path, monkeypatch):
    monkeypatch.setattr("jaxnet.readers._MOST_BYTES", 1000)
    path = tmp_path / "bomb.csv.gz"
    path.write_bytes(gzip.compress(b"1,2,3\n" * 10**6))
    with pytest.raises(DataError, match="bomb.csv.gz: expected at most 1000 bytes"):
        read_csv(path)


def test_what_split_arrays_refuses_is_refused_with_the_name_of_the_file(tmp_path):
    path = write_csv(tmp_path / "few.csv", X[:2], LABELS[:2])
    with pytest.raises(DataError, match="few.csv: expected 3 examples or more"):
        load_csv(path)
    path = write_folder(tmp_path / "one", X[:3], [0, 0, 0], ("cat",))
    with pytest.raises(DataError, match="one: expected 2 to 1000 classes, got 1"):
        load_folder(path)


@settings(max_examples=15)
@given(
    size=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    kind=st.sampled_from(("png", "bmp", "pgm", "tif")),
    seed=st.integers(0, 2**32 - 1),
)
def test_what_is_written_as_pictures_is_read(tmp_path_factory, size, kind, seed):
    x = np.random.default_rng(seed).integers(0, 256, (7, *size), np.uint8)
    labels = np.array([0, 0, 1, 1, 1, 2, 2])
    path = tmp_path_factory.getbasetemp() / "pictures"
    shutil.rmtree(path, ignore_errors=True)
    read, read_labels = read_folder(write_folder(path, x, labels, kind=kind))
    np.testing.assert_array_equal(read, x)
    np.testing.assert_array_equal(read_labels, labels)


def test_a_folder_is_a_data_set_of_bytes_over_256(tmp_path):
    path = write_folder(tmp_path / "a", X, LABELS)
    assert rows(load_folder(path)) == expected_rows(X / np.float32(256), LABELS)
    assert rows(load_folder(str(path), as_bytes=True)) == expected_rows(X, LABELS)


def test_grey_levels_are_the_same_in_every_8_bit_mode(tmp_path):
    picture = Image.fromarray(X[0])
    (tmp_path / "a").mkdir()
    for mode in ("L", "RGB", "LA", "RGBA"):
        picture.convert(mode).save(tmp_path / "a" / f"{mode}.png")
    grey = picture.convert("P")
    grey.save(tmp_path / "a" / "P.png")
    x, _ = read_folder(tmp_path)
    np.testing.assert_array_equal(x, np.broadcast_to(X[0], (5, 2, 3)))


def test_a_picture_is_read_as_it_is_shown(tmp_path):
    (tmp_path / "a").mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter, clockwise
    Image.fromarray(X[0]).save(tmp_path / "a" / "turned.png", exif=exif)
    np.testing.assert_array_equal(read_folder(tmp_path)[0][0], np.rot90(X[0], -1))


def test_classes_are_in_the_order_of_names_or_of_numbers(tmp_path):
    for name in ("10", "9", "0"):
        (tmp_path / name).mkdir()
    assert [p.name for p in class_folders(tmp_path)] == ["0", "9", "10"]
    (tmp_path / "a").mkdir()
    assert [p.name for p in class_folders(tmp_path)] == ["0", "10", "9", "a"]


def test_hidden_files_and_notes_beside_the_classes_are_no_pictures(tmp_path):
    path = write_folder(tmp_path / "a", X, LABELS)
    (path / ".git").mkdir()
    (path / "cat" / ".DS_Store").write_bytes(b"1")
    (path / "README.md").write_text("where these are from")
    assert len(read_folder(path)[0]) == 12


def other_size(path: Path) -> None:
    Image.fromarray(X[0].T).save(path / "eel" / "odd.png")


def deep(path: Path) -> None:
    (path / "eel" / "more").mkdir()


def sixteen_bits(path: Path) -> None:
    Image.fromarray(X[0].astype(np.uint16)).save(path / "eel" / "odd.png")


def transparent(path: Path) -> None:
    Image.fromarray(X[0]).convert("RGBA").save(path / "eel" / "solid.png")
    Image.new("RGBA", (3, 2)).save(path / "eel" / "odd.png")


def animated(path: Path) -> None:
    frames = [Image.fromarray(image) for image in X[:2]]
    frames[0].save(path / "eel" / "odd.gif", save_all=True, append_images=frames[1:])


def bomb(path: Path) -> None:
    Image.new("1", (10_000, 10_000)).save(path / "eel" / "odd.png")


def truncated(path: Path) -> None:
    file = path / "eel" / "002.png"
    file.write_bytes(file.read_bytes()[:-30])


FOLDERS = {
    "another size": (other_size, "odd.png: expected 2 x 3 .*cat/000.png, got 3 x 2"),
    "a folder inside": (deep, "eel/more: expected a picture.*a folder"),
    "16 bits": (sixteen_bits, "odd.png: .*mode I;16, not of 8 bits"),
    "transparent": (transparent, "odd.png: .*transparent pixels"),
    "animated": (animated, "odd.gif: .*2 pictures in one file"),
    "a bomb": (bomb, "odd.png: .*decompression bomb"),
    "truncated": (truncated, "eel/002.png: expected a picture"),
    "text": (
        lambda path: (path / "eel" / "a.txt").write_text("x"),
        "eel/a.txt: .*cannot identify",
    ),
    "empty file": (
        lambda path: (path / "eel" / "a.png").write_bytes(b""),
        "eel/a.png: expected a picture",
    ),
    "no pictures": (
        lambda path: (path / "fox").mkdir(),
        "fox: expected pictures, got none",
    ),
    "hidden only": (
        lambda path: [(path / "fox").mkdir(), (path / "fox" / ".a").write_text("")],
        "fox: expected pictures, got none",
    ),
    "beside the classes": (
        lambda path: Image.fromarray(X[0]).save(path / "loose.JPG"),
        "loose.JPG: expected each picture in its class's folder",
    ),
}


@pytest.mark.parametrize(("spoil", "message"), FOLDERS.values(), ids=FOLDERS)
def test_a_bad_folder_is_refused_by_name(tmp_path, spoil, message):
    path = write_folder(tmp_path / "a", X, LABELS)
    spoil(path)
    with pytest.raises(DataError, match=f"(?s){message}"):
        load_folder(path)


def test_a_folder_without_classes_and_a_missing_one_are_refused(tmp_path):
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(DataError, match=f"{path}: expected a folder of pictures"):
            read_folder(path)


def test_more_pixels_than_allowed_are_refused_before_they_are_kept(
    tmp_path, monkeypatch
):
    monkeypatch.setattr("jaxnet.readers._MOST_BYTES", 71)
    with pytest.raises(DataError, match="at most 71 pixels in all, got 12 x 6"):
        read_folder(write_folder(tmp_path / "a", X, LABELS))


def test_without_pillow_the_error_says_how_to_get_it(tmp_path, monkeypatch):
    path = write_folder(tmp_path / "a", X, LABELS)
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(
        ModuleNotFoundError, match="Pictures need Pillow: python -m pip"
    ):
        load_folder(path)


def test_load_data_reads_whatever_is_there(tmp_path, small_mnist):
    plain = write_csv(tmp_path / "a.csv", X, LABELS)
    packed = write_csv(tmp_path / "A.CSV.gz", X, LABELS)
    folder = write_folder(tmp_path / "a", X, LABELS)
    for path in (plain, str(packed), folder):
        assert rows(load_data(path, as_bytes=True)) == expected_rows(X, LABELS)
        assert load_data(path).train.x.dtype == jnp.float32
    mine, theirs = load_data(small_mnist), load_mnist(small_mnist)
    np.testing.assert_array_equal(mine.validation.x, theirs.validation.x)
    assert len(load_data(as_bytes=True).train.x) == 50_000


def test_load_data_says_what_it_reads_and_what_came(tmp_path):
    (tmp_path / "a.npz").write_bytes(b"")
    with pytest.raises(DataError, match="a.npz: .*IDX.*pictures.*csv.*something else"):
        load_data(tmp_path / "a.npz")
    with pytest.raises(DataError, match="none.csv: .*got nothing there"):
        load_data(tmp_path / "none.csv")


def command(capsys, *argv: str) -> str:
    parser = argparse.ArgumentParser()
    describe.add_options(parser)
    assert describe.run(parser.parse_args(argv)) == 0
    return capsys.readouterr().out


def dataset(x, labels) -> Dataset:
    one_hot = np.eye(3, dtype=np.float32)[labels]
    return Dataset(jnp.asarray(x), jnp.asarray(one_hot))


def test_describe_counts_what_numpy_counts():
    x = rng.integers(0, 2, (20, 4), np.uint8)
    x[:, 2] = 7
    labels = rng.integers(0, 3, 20)
    parts = slice(10), slice(10, 15), slice(15, 20)
    found = describe.describe(Split(*(dataset(x[p], labels[p]) for p in parts)))
    assert (found["inputs"], found["shape"], found["type"]) == (4, [2, 2], "uint8")
    assert found["classes"] == ["0", "1", "2"]
    for part, got in zip(parts, found["parts"].values(), strict=True):
        some, n = x[part], len(x[part])
        assert got == {
            "examples": n,
            "counts": [int((labels[part] == k).sum()) for k in range(3)],
            "least": int(some.min()),
            "greatest": 7,
            "mean": pytest.approx(float(some.sum()) / (4 * n), rel=1e-12),
            "zeros": pytest.approx(1 - np.count_nonzero(some) / (4 * n), rel=1e-12),
            "constant": int((np.ptp(some, axis=0) == 0).sum()),
            "bytes": 4 * n + 3 * 4 * n,
            "duplicates": n - len(np.unique(some, axis=0)),
        }
    assert found["parts"]["train"]["duplicates"] >= 2  # of 8 possible rows
    train, validation, test = (x[p] for p in parts)
    assert found["shared"] == [
        {
            "of": of,
            "in": of_in,
            "examples": int((later[:, None] == earlier).all(axis=2).any(axis=1).sum()),
        }
        for of, later, of_in, earlier in (
            ("validation", validation, "train", train),
            ("test", test, "train", train),
            ("test", test, "validation", validation),
        )
    ]


def test_describe_takes_numbers_and_inputs_that_are_no_square():
    split = Split(*(dataset(np.array([[-1.5, 0, 2]], np.float32), [1]),) * 3)
    found = describe.describe(split)
    assert found["shape"] is None and found["type"] == "float32"
    assert found["parts"]["test"]["least"] == -1.5
    assert [each["examples"] for each in found["shared"]] == [1, 1, 1]


def test_describe_prints_a_table(tmp_path, capsys):
    x = np.zeros((12, 2, 2), np.uint8)
    x[:, 0, 0] = 200
    path = write_folder(tmp_path / "pets", x, LABELS)
    lines = command(capsys, str(path)).splitlines()
    assert lines[0] == (
        f"{path}: 4 inputs (2 x 2), bytes, which stand for byte / 256; 3 classes."
    )
    cells = {line[:16].strip(): line[16:].split() for line in lines[1:]}
    assert cells["examples"] == ["8", "2", "2"]
    counts = np.array([cells[name] for name in ("cat", "dog", "eel")], int)
    assert counts.sum(axis=1).tolist() == [4, 4, 4]
    assert cells["range"] == ["0", "to", "200"] * 3
    assert cells["mean"] == ["50"] * 3 and cells["zeros"] == ["75.00%"] * 3
    assert cells["constant pixels"] == ["4"] * 3
    assert cells["duplicates"] == ["7", "1", "1"]
    assert cells["memory"] == ["128", "B", "32", "B", "32", "B"]
    assert lines[-3] == "2 validation examples are also in train."


def test_describe_prints_json_of_a_csv_file(tmp_path, capsys):
    path = write_csv(tmp_path / "a.csv", X, LABELS)
    found = json.loads(command(capsys, str(path), "--json"))
    split = load_csv(path, as_bytes=True)
    assert found == {"data": str(path), **describe.describe(split)}
    assert found["shape"] is None and found["classes"] == ["0", "1", "2"]


def test_describe_knows_mnist(capsys):
    found = json.loads(command(capsys, "--json"))
    assert found["data"] == "MNIST" and found["shape"] == [28, 28]
    assert found["parts"]["test"]["counts"][:3] == [980, 1135, 1032]
    # The mean of the 60,000 training images is 33.3184, as is widely published.
    train, validation = found["parts"]["train"], found["parts"]["validation"]
    mean = (5 * train["mean"] + validation["mean"]) / 6
    assert mean / 255 == pytest.approx(0.1307, abs=5e-5)


def test_describe_refuses_as_the_loaders_do(tmp_path, capsys):
    with pytest.raises(DataError, match="nothing there"):
        command(capsys, str(tmp_path / "none"))
