"""The embedded MNIST is MNIST; any other data are read completely or rejected."""

import gzip
import hashlib
import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

import jaxnet
from jaxnet.cli import main
from jaxnet.datasets import MNIST_SHA256 as SHA256
from jaxnet.datasets import (
    DataError,
    Split,
    as_text,
    describe,
    load_data,
    load_mnist,
    oddities,
    read_csv,
    read_folder,
    read_idx,
    read_npz,
    split_arrays,
)
from jaxnet.datasets.picture_folders import class_folders
from jaxnet.layers import Dataset
from tests.helpers import idx

# MNIST, and arrays in files whose names say what they are

DATA = Path(__file__).parent.parent / "data"
README = (DATA / "README.md").read_text()
COUNTS = {
    "train": (4932, 5678, 4968, 5101, 4859, 4506, 4951, 5175, 4842, 4988),
    "validation": (991, 1064, 990, 1030, 983, 915, 967, 1090, 1009, 961),
    "test": (980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009),
}


@pytest.fixture
def folder(tmp_path) -> Path:
    """A tiny data set in MNIST's layout: 12 + 3 images of 2 x 2 pixels."""
    for prefix, n in (("train", 12), ("t10k", 3)):
        images = np.arange(4 * n).reshape(n, 2, 2)
        labels = np.arange(n) % 10
        (tmp_path / f"{prefix}-images-idx3-ubyte").write_bytes(idx(images))
        compressed = gzip.compress(idx(labels))
        (tmp_path / f"{prefix}-labels-idx1-ubyte.gz").write_bytes(compressed)
    return tmp_path


def test_the_files_are_the_originals():
    for name, checksum in SHA256.items():
        content = gzip.decompress((DATA / f"{name}.gz").read_bytes())
        assert hashlib.sha256(content).hexdigest() == checksum
        assert checksum in README


def test_mnist_is_split_as_in_the_book(mnist):
    for part, n in (("train", 50_000), ("validation", 10_000), ("test", 10_000)):
        data = getattr(mnist, part)
        y = np.asarray(data.y)
        assert data.x.shape == (n, 784) and y.shape == (n, 10)
        assert data.x.dtype == y.dtype == jnp.float32
        assert tuple(y.sum(axis=0).astype(int)) == COUNTS[part]
        assert (y.sum(axis=1) == 1).all()
        assert " | ".join(map(str, COUNTS[part])) in README
    assert np.asarray(mnist.train.y[:6]).argmax(axis=1).tolist() == [5, 0, 4, 1, 9, 2]
    assert mnist.train.x.devices() == {jax.devices()[0]}
    assert np.asarray(mnist.train.x).max() == 255 / 256
    raw = read_idx(DATA / "t10k-images-idx3-ubyte.gz")
    np.testing.assert_array_equal(np.asarray(mnist.test.x[7]) * 256, raw[7].ravel())
    means = [np.asarray(part.x).mean(dtype=float) for part in mnist]
    widely_published = 0.1307 * 255 / 256
    assert (5 * means[0] + means[1]) / 6 == pytest.approx(widely_published, abs=5e-5)


def test_the_data_of_an_installed_package_are_found(tmp_path, monkeypatch, folder):
    """In a wheel the data folder is inside the package, in a checkout next to it."""
    package = tmp_path / "site" / "jaxnet"
    shutil.copytree(folder, package / "data")
    place = str(package / "datasets" / "idx.py")
    monkeypatch.setattr("jaxnet.datasets.idx.__file__", place)
    assert len(load_mnist().train.x) == 10


IMAGES = idx(np.zeros((3, 2, 2)))
BAD_FILES = {
    "empty": (b"", "got an empty file"),
    "a web page": (b"<html>gone</html>", "a web page"),
    "no dimensions": (IMAGES[:9], "12 bytes of dimensions.*got 5"),
    "of another type": (b"\0\0\x0a\x03", "type of its numbers.* got 00 00 0a 03"),
    "truncated": (IMAGES[:-1], "3 x 2 x 2 = 12 bytes after the header, got 11"),
    "trailing byte": (IMAGES + b"\0", "got more than 12"),
    "huge": (IMAGES[:4] + b"\xff" * 12, "claims 4294967295 x 4294967295 x 42949672"),
    "a bomb": (gzip.compress(IMAGES + bytes(10**7)), "got more than 12"),
    "corrupt gzip": (gzip.compress(IMAGES)[:-8] + b"12345678", "CRC"),
}


@pytest.mark.parametrize(("content", "message"), BAD_FILES.values(), ids=BAD_FILES)
def test_a_bad_idx_file_is_rejected_with_its_name(tmp_path, content, message):
    path = tmp_path / "some-file"
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"(?s)some-file: expected .*{message}"):
        read_idx(path)


MNIST_LABELS = "train-labels-idx1-ubyte.gz"
UNFIT = {
    "no file": ("t10k-images-idx3-ubyte", None, "test images with t10k-labels"),
    "no labels": (MNIST_LABELS, None, "labels of the train images, got none"),
    "11 labels": (MNIST_LABELS, [0] * 11, r", train: .*12 labels.*got \(11,\)"),
    "one-hot": (
        MNIST_LABELS,
        np.eye(10)[np.arange(12) % 10],
        r"got \(12, 10\). One-hot",
    ),
    "another size": ("t10k-images-idx3-ubyte", np.zeros((3, 2, 3)), "of one size"),
}


@pytest.mark.parametrize(("name", "array", "message"), UNFIT.values(), ids=UNFIT)
def test_files_that_do_not_fit_together_are_rejected(folder, name, array, message):
    if array is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(idx(array))
    with pytest.raises(ValueError, match=message):
        load_mnist(folder)


def test_an_idx_file_is_of_the_type_that_its_header_declares(tmp_path):
    numbers = np.array([[[1, 2, 127], [0, 5, 7]]])
    types = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
    for code, dtype in types.items():
        (tmp_path / "a").write_bytes(idx(numbers, code, dtype))
        found = read_idx(tmp_path / "a")
        assert found.dtype == np.dtype(dtype).newbyteorder("=")
        np.testing.assert_array_equal(found, numbers)


NAMINGS = {
    "MNIST": "train-images-idx3-ubyte train-labels-idx1-ubyte.gz "
    "t10k-images-idx3-ubyte t10k-labels-idx1-ubyte",
    "dots": "train-images.idx3-ubyte train-labels.idx1-ubyte.gz "
    "t10k-images.idx3-ubyte t10k-labels.idx1-ubyte",
    "EMNIST": "emnist-letters-train-images-idx3-ubyte.gz emnist-letters-train-labels-"
    "idx1-ubyte emnist-letters-test-images-idx3-ubyte emnist-letters-test-labels-idx1",
    "QMNIST": "qmnist-train-images-idx3-ubyte qmnist-train-labels-idx2-int "
    "qmnist-test-images-idx3-ubyte qmnist-test-labels-idx2-int",
    "no endings": "trainImages trainLabels testImages testLabels",
    "NumPy": "x_train.npy y_train.npy X_test.npy y_test.npy",
    "KMNIST": "kmnist-train-imgs.npz kmnist-train-labels.npz kmnist-test-imgs.npz "
    "kmnist-test-labels.npz",
    "Keras": "a.npz: x_train y_train x_test y_test",
    "medical images": "a.npz: train_images train_labels test_images test_labels",
    "other names": "a.npz: xtrain ytrain X_test Y_test",
}


def write(path: Path, array) -> None:
    """An array in a file of the kind that its name says."""
    if path.suffix == ".npy":
        np.save(path, array)
    elif path.suffix == ".npz":
        np.savez_compressed(path, array)
    elif path.name.endswith("int"):
        columns = np.column_stack([array, *[np.full(len(array), 7)] * 7])
        path.write_bytes(idx(columns, 12, ">i4"))
    else:
        content = idx(array)
        path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


@pytest.mark.parametrize("names", NAMINGS.values(), ids=NAMINGS)
def test_four_arrays_are_found_by_what_their_names_say(tmp_path, names):
    """Whatever the order of their memory, and if labels are in a column.

    Labels go up to 26, and QMNIST's have eight columns, of which one is a class.
    """
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (15, 2, 2), np.uint8), 1 + np.arange(15) % 26
    labels = labels.astype(np.uint8)
    parts = images[:12], labels[:12], np.asfortranarray(images[12:]), labels[12:, None]
    archive, _, names = names.rpartition(": ")
    named: dict[str, Any] = dict(zip(names.split(), parts, strict=True))
    if archive:
        np.savez_compressed(tmp_path / archive, **named)
    else:
        for name, array in named.items():
            write(tmp_path / name, array)
    split = load_data(tmp_path / archive, as_bytes=True)
    found = np.concatenate([part.x for part in split])
    np.testing.assert_array_equal(found, images.reshape(15, 4))
    classes = np.concatenate([np.asarray(part.y).argmax(axis=1) for part in split])
    np.testing.assert_array_equal(classes, labels)
    assert [len(part) for part in split] == [10, 2, 3] and split.test.y.shape[1] == 16


def test_of_several_sets_mnist_s_own_names_are_read_and_others_listed(folder):
    other = folder / "emnist-letters-train-labels-idx1-ubyte"
    other.write_bytes(idx([1] * 12))
    assert len(load_data(folder).train) == 10
    name = "emnist-digits-train-labels-idx1-ubyte"
    (folder / MNIST_LABELS).rename(folder / f"{name}.gz")
    words = f"one array of train labels, found {name}.gz, {other.name}. Move each"
    with pytest.raises(DataError, match=words):
        load_data(folder)


# Arrays, CSV files and folders of pictures

X = np.random.default_rng(0).integers(0, 256, (12, 2, 3), np.uint8)
LABELS = np.arange(12) % 3
IMAGES = arrays(np.uint8, st.tuples(st.integers(3, 6), *[st.integers(1, 5)] * 2))


def rows(split: Split) -> Counter:
    """The examples of all parts, in no order, as (inputs, label)."""
    return Counter(
        (tuple(x.tolist()), int(y.argmax()))
        for part in split
        for x, y in zip(np.asarray(part.x), np.asarray(part.y), strict=True)
    )


def expected_rows(x, labels) -> Counter:
    flat = np.reshape(x, (len(x), -1)).tolist()
    return Counter(zip(map(tuple, flat), labels.tolist(), strict=True))


def write_csv(path: Path, x, labels, header="") -> Path:
    table = np.column_stack([labels, x.reshape(len(x), -1)])
    np.savetxt(path, table, "%d", ",", header=header, comments="")
    return path


def write_folder(path: Path, x, labels, names=("cat", "dog", "eel"), kind="png"):
    for name in names:
        (path / name).mkdir(parents=True)
    for i, (image, label) in enumerate(zip(x, labels, strict=True)):
        Image.fromarray(image).save(path / names[label] / f"{i:03}.{kind}")
    return path


FRACTIONS = st.floats(0.01, 0.49)


@settings(max_examples=10)
@given(n=st.integers(3, 20), validation=FRACTIONS, test=FRACTIONS)
def test_every_example_is_in_exactly_one_part(n, validation, test):
    x, labels = np.arange(2 * n, dtype=np.uint8).reshape(n, 2), np.arange(n) % 3
    split = split_arrays(x, labels, validation=validation, test=test)
    assert rows(split) == expected_rows(x, labels)
    assert all(len(part.x) == len(part.y) >= 1 for part in split)
    assert len(split.test.x) == min(max(1, round(test * n)), n - 2)
    assert all((np.asarray(part.y).sum(axis=1) == 1).all() for part in split)


def test_classes_without_examples_have_targets_and_a_seed_gives_one_split():
    split = split_arrays(np.zeros((60_000, 1), np.uint8), np.arange(60_000) % 10)
    assert [part.y.shape for part in split] == [(40_000, 10)] + 2 * [(10_000, 10)]
    assert split_arrays(X, LABELS, classes=5).train.y.shape == (8, 5)
    assert split_arrays(X, LABELS + 1).train.y.shape == (8, 4)
    first, again, other = (split_arrays(X, LABELS, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.train.x, again.train.x)
    assert not np.array_equal(first.train.x, other.train.x)
    assert not np.array_equal(first.train.x, X.reshape(12, 6)[:8])


def test_bytes_stay_bytes_and_floats_have_the_dtype_of_jax():
    floats = X / 64 - 1  # exact in float32
    for dtype in (np.float32, np.float64):
        with jax.enable_x64(dtype == np.float64):
            pixels, numbers = split_arrays(X, LABELS), split_arrays(floats, LABELS)
        assert pixels.train.x.dtype == np.uint8
        assert numbers.train.x.dtype == pixels.train.y.dtype == dtype
        assert rows(numbers) == expected_rows(floats, LABELS)


NAN = np.where(np.arange(48).reshape(12, 4) == 29, np.nan, 1.0)
BAD_ARRAYS = {
    "two examples": ((X[:2], LABELS[:2]), {}, "3 examples or more, .* got 2"),
    "integers": ((X.astype(int) + 256, LABELS), {}, "0 to 255, .*got int64"),
    "colours": ((np.zeros((12, 2, 2, 3)), LABELS), {}, r"Colours\? .*mean\(axis=-1\)"),
    "columns": ((np.zeros(12), LABELS), {}, r"\(n, pixels\).*got \(12,\)"),
    "nan": ((NAN, LABELS), {}, "finite inputs, .*in example 7"),
    "too large": ((np.full((12, 4), 1e300), LABELS), {}, "above float32's"),
    "too few labels": ((X, LABELS[:11]), {}, r"12 labels, .*got \(11,\)\.$"),
    "one-hot labels": ((X, np.eye(3)[LABELS]), {}, r"argmax\(axis=1\)"),
    "below 0": ((X, LABELS - 1), {}, "labels from 0 to 999, got -1 at position 0"),
    "many classes": ((X, LABELS), {"classes": 1001}, "2 to 1000 classes, got 1001"),
    "no test": ((X, LABELS), {"test": 0}, "above 0 .*got 0.166667 and 0"),
}


@pytest.mark.parametrize(
    ("arrays", "options", "message"), BAD_ARRAYS.values(), ids=BAD_ARRAYS
)
def test_arrays_that_are_no_data_set_are_rejected(arrays, options, message):
    with pytest.raises(DataError, match=f"^Expected .*{message}"):
        split_arrays(*arrays, **options)


def test_arrays_of_the_usual_shapes_and_integer_types_are_accepted():
    for shape in [(12, 2, 3, 1), (12, 1, 2, 3), (12, 6), (12, 6, 1)]:
        split = split_arrays(X.reshape(shape).astype(np.int64), LABELS[:, None])
        assert split.test.x.dtype == np.uint8
        assert rows(split) == expected_rows(X, LABELS)


@settings(max_examples=12)
@given(IMAGES, st.integers(0, 5), st.booleans(), st.sampled_from(("a.csv", "a.csv.gz")))
def test_what_is_written_as_csv_is_read(tmp_path_factory, x, place, header, name):
    """The label is in any column, named by the first line or by the caller."""
    labels, x = 37 * np.arange(len(x)) % 1000, x.reshape(len(x), -1)
    place = min(place, x.shape[1])
    path = tmp_path_factory.getbasetemp() / name
    columns = [f"pixel{i}" for i in range(x.shape[1])]
    columns.insert(place, "Label")
    table, head = np.insert(x.astype(int), place, labels, axis=1), ",".join(columns)
    np.savetxt(path, table, "%d", ",", header=head if header else "", comments="")
    read, read_labels, _ = read_csv(path, None if header else place + 1)
    assert read.dtype == np.uint8 or x.max() <= 1
    np.testing.assert_array_equal(read, x)
    np.testing.assert_array_equal(read_labels, labels)


SAME = {
    "blank lines": b"\n1,2,3\n\n  \n0,255,0\n\n",
    "windows": b"1,2,3\r\n0,255,0\r\n",
    "a header": b"label,0,1\n1,2,3\n0,255,0\n",
    "the label last": b"pixel1,pixel2,class\n2,3,1\n255,0,0\n",
    "the label between": b"a,Target,b\n2,1,3\n255,0,0\n",
    "a header in another encoding": b"\xe9tiquette,a,b\n1,2,3\n0,255,0\n",
    "named pixels": b"digit,p1,p2\n1,2,3\n0,255,0\n",
    "quotes and fractions": b'"label","a","b"\n"1",2.0,"3"\n"0",255,0.0\n',
    "semicolons": b"1;2;3\n0;255;0\n",
    "gzip by another name": gzip.compress(b"1,2,3\n0,255,0\n"),
}


@pytest.mark.parametrize("content", SAME.values(), ids=SAME)
def test_the_usual_ways_of_writing_csv_are_read(tmp_path, content):
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    x, labels, names = read_csv(path)
    np.testing.assert_array_equal(labels, [1, 0])
    assert x.tolist() == [[2, 3], [255, 0]]
    assert x.dtype == np.uint8 and names is None


def test_labels_may_be_names_and_inputs_floats(tmp_path):
    path = tmp_path / "iris.csv"
    path.write_text("5.1,0.25,setosa\n7,-1,virginica\n6,1,setosa\n")
    x, labels, names = read_csv(path)
    numbers = np.array([[5.1, 0.25], [7, -1], [6, 1]], np.float32)
    np.testing.assert_array_equal(x, numbers)
    np.testing.assert_array_equal(labels, [0, 1, 0])
    assert names == ["setosa", "virginica"]
    path.write_text("a,0,1\nb,0,1\na,0,0\n")  # 0 and 1 are no levels of 256
    x, labels, names = read_csv(path)
    assert x.dtype == np.float32 and names == ["a", "b"] and len(x) == 3


def test_a_label_column_that_is_in_doubt_is_asked_for(tmp_path):
    """Pixels first and the label last would be read as a label and pixels."""
    x = np.column_stack([[0] * 12, X.reshape(12, 6), LABELS])
    for first, told in ((0, 8), (3, 5)):  # the first is constant, or a varied pixel
        path = tmp_path / "last.csv"
        np.savetxt(path, x[:, first:], "%d", ",")
        words = "labels in the first column, .*in the last one, .*0 to 2"
        with pytest.raises(DataError, match=f"last.csv: .*{words}.*--label-column N"):
            read_csv(path)
        np.testing.assert_array_equal(read_csv(path, told)[1], LABELS)
    with pytest.raises(DataError, match="number from 1 to 5, got 'digit'"):
        read_csv(path, "digit")


def test_a_file_of_pixels_only_has_no_labels(tmp_path):
    pixels = X.reshape(12, 6)
    for name, header in (
        ("a.csv", "pixel0,pixel1,pixel2,pixel3,pixel4,pixel5"),
        ("b.csv", ""),
    ):
        table = pixels if header else np.where(np.arange(6) % 5, pixels, 0)
        np.savetxt(tmp_path / name, table, "%d", ",", header=header, comments="")
        x, labels, _ = read_csv(tmp_path / name)
        assert labels is None and x.shape == (12, 6)
        with pytest.raises(DataError, match=f"{name}: expected labels, got none"):
            load_data(tmp_path / name)


BAD_CSV = {
    "blank": (b"\n \n", "lines of numbers and a label, got none"),
    "short row": (b"1,2,3\n\n1,2\n", "line 3: expected 3 columns as in line 1, got 2"),
    "spaces": (b"1 2 3\n0 1 2\n", "line 1: .*with commas"),
    "digits without end": (b"1," + b"9" * 9999 + b"\n0,1\n1,1", "finite inputs"),
    "a fraction as label": (b"label,a\n0.5,1\n1,1\n", "integers or names .*got 0.5"),
    "a broken first row": (b"x5,0,0\n5,0,0\n", "all names, got 'x5' .* and 5 in"),
    "a broken number": (b"1,0,0\n0,1,4O\n", "line 2, column 3: .*number, got '4O'"),
    "not ASCII": ("1,2\n1,٣\n".encode(), "line 2, column 2: .*got '٣'"),
    "no label": (b"label,a\n1,2\n,2\n", "a label in column 1 of each line"),
    "row numbers": (b",label,a\n0,1,2\n1,0,2\n", "name for each column, .*column 1"),
    "a short header": (b"label,a\n1,2,3\n0,1,2\n", "line 2: expected 2 columns as in"),
    "many names": (
        b"label,a\n" + b"".join(b"n%d,1\n" % i for i in range(1500)),
        "at most 1000 different labels in column 1, got 1500",
    ),
    "truncated gzip": (
        gzip.compress(b"1,2\n")[:-9],
        "readable data file.*end-of-stream",
    ),
}


@pytest.mark.parametrize(("content", "message"), BAD_CSV.values(), ids=BAD_CSV)
def test_a_bad_csv_file_is_rejected_with_its_name(tmp_path, content, message):
    path = tmp_path / "some.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"(?s)^{path}.*{message}"):
        load_data(path)


def test_no_more_is_decompressed_than_is_allowed(tmp_path, monkeypatch):
    monkeypatch.setattr("jaxnet.datasets.csv._MAX_CHARACTERS", 1000)
    path = tmp_path / "bomb.csv.gz"
    path.write_bytes(gzip.compress(b"1,2,3\n" * 10**6))
    with pytest.raises(DataError, match="bomb.csv.gz: expected at most 1000 char"):
        read_csv(path)


def test_a_picture_is_read_as_it_is_shown_in_every_8_bit_mode(tmp_path):
    picture = Image.fromarray(X[0])
    (tmp_path / "a").mkdir()
    for mode in ("L", "RGB", "LA", "RGBA", "P"):
        picture.convert(mode).save(tmp_path / "a" / f"{mode}.png")
    picture.save(tmp_path / "a" / "other.tif")
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter, clockwise
    turned = Image.fromarray(np.rot90(X[0]))
    turned.save(tmp_path / "a" / "turned.png", exif=exif)
    (tmp_path / "a" / ".DS_Store").write_bytes(b"no picture")
    x, _ = read_folder(tmp_path)
    np.testing.assert_array_equal(x, np.broadcast_to(X[0], (7, 2, 3)))


def test_classes_are_in_the_order_of_names_or_of_numbers(tmp_path):
    for name in ("10", "9", "0", ".git"):
        (tmp_path / name).mkdir()
    (tmp_path / "README.md").write_text("where these are from")
    assert [p.name for p in class_folders(tmp_path)] == ["0", "9", "10"]
    (tmp_path / "a").mkdir()
    assert [p.name for p in class_folders(tmp_path)] == ["0", "10", "9", "a"]


def save(picture, name="eel/odd.png"):
    return lambda path: picture.save(path / name)


def animate(path: Path) -> None:
    frames = [Image.fromarray(image) for image in X[:2]]
    frames[0].save(path / "eel" / "odd.gif", save_all=True, append_images=frames[1:])


def truncate(path: Path) -> None:
    content = (path / "eel" / "002.png").read_bytes()
    (path / "eel" / "002.png").write_bytes(content[:-30])


GREY = Image.fromarray(X[0])
BAD_FOLDERS = {
    "another size": (save(GREY.rotate(90, expand=True)), "2 x 3 .*000.png, got 3 x 2"),
    "a folder inside": (lambda path: (path / "eel/more").mkdir(), "more: .*not a file"),
    "16 bits": (save(Image.new("I;16", (3, 2))), "odd.png: .*mode I;16, not of 8 bits"),
    "transparent": (save(Image.new("RGBA", (3, 2))), "odd.png: .*transparent pixels"),
    "animated": (animate, "odd.gif: .*2 pictures in one file"),
    "truncated": (truncate, "eel/002.png: expected a picture"),
    "no pictures": (lambda path: (path / "fox").mkdir(), "fox: expected pictures"),
    "outside a class": (save(GREY, "loose.JPG"), "loose.JPG: .*in its class's folder"),
    "no classes": (shutil.rmtree, "nothing there"),
}


@pytest.mark.parametrize(("spoil", "message"), BAD_FOLDERS.values(), ids=BAD_FOLDERS)
def test_a_bad_folder_is_rejected_with_its_name(tmp_path, spoil, message):
    path = write_folder(tmp_path / "a", X, LABELS)
    spoil(path)
    with pytest.raises(DataError, match=f"(?s){message}"):
        load_data(path)


def test_more_pixels_than_allowed_are_rejected_before_they_are_read(
    tmp_path, monkeypatch
):
    monkeypatch.setattr("jaxnet.datasets.picture_folders._MAX_PIXELS", 71)
    with pytest.raises(DataError, match="at most 71 pixels in all, got 12 x 6"):
        read_folder(write_folder(tmp_path / "a", X, LABELS))


def test_load_data_reads_every_format_as_bytes_or_bytes_over_256(tmp_path):
    plain = write_csv(tmp_path / "a.csv", X, LABELS)
    compressed = write_csv(tmp_path / "A.CSV.gz", X, LABELS)
    folder = write_folder(tmp_path / "a", X, LABELS)
    for path in (plain, str(compressed), folder):
        floats = load_data(path)
        assert floats.train.x.dtype == jnp.float32
        assert rows(floats) == expected_rows(X / np.float32(256), LABELS)
        assert rows(load_data(path, as_bytes=True)) == expected_rows(X, LABELS)
    other = load_data(plain, as_bytes=True, seed=3)
    np.testing.assert_array_equal(other.test.x, split_arrays(X, LABELS, seed=3).test.x)


def test_load_data_says_what_it_reads_and_what_it_got(tmp_path):
    formats = "expected a folder of IDX .*pictures.*npz.*CSV"
    contents = {
        b"": "expected lines of numbers",
        b"\x80\x04": f"{formats}.*a pickle, which is not read.*np.savez",
        gzip.compress(b"\x80\x04"): f"{formats}.*a pickle",
        b"@relation mnist": "ARFF. What follows its line @data is a CSV file",
        b"\x89HDF\r": "HDF5. Save its arrays by np.savez",
        b"\x7fELF\0": f"{formats}.*got something else",
        b"PK\3\4 and no more": "readable .npz or .npy file, got an error: ",
        b"\0\0\x08\x03": "12 bytes of dimensions",
    }
    for content, message in contents.items():
        (tmp_path / "a").write_bytes(content)
        with pytest.raises(DataError, match=f"(?s)^{tmp_path / 'a'}: .*{message}"):
            load_data(tmp_path / "a")
    with pytest.raises(DataError, match="none.csv: .*got nothing there"):
        load_data(tmp_path / "none.csv")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "train.csv").write_text("1,2\n")
    with pytest.raises(DataError, match="b: .*pictures per class, got train.csv"):
        load_data(tmp_path / "b")


def test_other_arrays_are_split_by_the_seed_or_named(tmp_path):
    np.savez(tmp_path / "a.npz", data=X / 256, target=LABELS)
    assert rows(load_data(tmp_path / "a.npz")) == expected_rows(X / 256, LABELS)
    bad: dict[str, dict[str, Any]] = {
        "objects": {"x": np.array([{}]), "y": LABELS},
        "found images": {"images": X, "x": X, "y": LABELS},
        "found none. Names such as": {"y": LABELS},
        "found a, b": {"a": X, "b": LABELS},
        "labels of the train images, got none": {
            "x_train": X,
            "x_test": X,
            "y_test": LABELS,
        },
    }
    for message, parts in bad.items():
        np.savez(tmp_path / "b.npz", **parts)
        with pytest.raises(DataError, match=rf"b\.npz.*{message}"):
            load_data(tmp_path / "b.npz")
    np.save(tmp_path / "c.npy", X)
    with pytest.raises(DataError, match="c.npy: expected labels, got none"):
        load_data(tmp_path / "c.npy")
    np.testing.assert_array_equal(read_npz(tmp_path / "c.npy")[""], X)


def test_describe_counts_what_numpy_counts():
    rng = np.random.default_rng(0)
    x, labels = rng.integers(0, 2, (20, 3), np.uint8), rng.integers(0, 3, 20)
    y = np.eye(3, dtype=np.float32)[labels]
    parts = slice(10), slice(10, 15), slice(15, 20)
    split = Split(*(Dataset(jnp.asarray(x[p]), jnp.asarray(y[p])) for p in parts))
    found = describe(split)
    assert (found["inputs"], found["type"]) == (3, "uint8")
    assert found["classes"] == ["0", "1", "2"]
    for part, got in zip(parts, found["parts"].values(), strict=True):
        some, n = x[part], len(x[part])
        assert got == {
            "examples": n,
            "counts": [int((labels[part] == k).sum()) for k in range(3)],
            "least": int(some.min()),
            "greatest": int(some.max()),
            "mean": pytest.approx(float(some.sum()) / (3 * n), rel=1e-12),
            "duplicates": n - len(np.unique(some, axis=0)),
        }
    assert found["parts"]["train"]["duplicates"] >= 2  # of 8 possible rows
    for shared, (i, j) in zip(found["shared"], ((0, 1), (0, 2), (1, 2)), strict=True):
        earlier, later = x[parts[i]], x[parts[j]]
        same = (later[:, None] == earlier).all(axis=2).any(axis=1).sum()
        names = split._fields
        assert shared == {"of": names[j], "in": names[i], "examples": int(same)}


def test_the_command_prints_a_table_or_json(tmp_path, capsys):
    x = np.zeros((12, 2, 2), np.uint8)
    x[:, 0, 0] = 200
    path = str(write_folder(tmp_path / "pets", x, LABELS))
    assert main(["describe", path]) == 0
    first, *lines = capsys.readouterr().out.splitlines()
    assert first == f"{path}: 4 inputs, bytes, which stand for byte / 256; 3 classes."
    cells = {word: cells for word, *cells in map(str.split, lines)}
    assert cells["examples"] == ["8", "2", "2"]
    assert sum(map(int, cells["cat"])) == 4 and cells["range"] == ["0", "to", "200"] * 3
    assert cells["duplicates"] == ["7", "1", "1"]
    assert lines[-3] == "2 validation examples are also in train."
    assert main(["describe", path, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["data"] == path and found["classes"] == ["cat", "dog", "eel"]


def digits_like(mnist, change) -> Split:
    """The first test images of MNIST as another set's, after a change of images."""
    few = mnist.test[:1500]
    images = np.asarray(few.x * 256, np.uint8).reshape(-1, 28, 28)
    x, labels = change(images), np.asarray(few.y).argmax(axis=1)
    return split_arrays(x, labels, classes=10)


ODD = {
    "look transposed": lambda images: images.swapaxes(1, 2),
    "dark ink on light paper": lambda images: 255 - images,
    "bytes up to 15 only": lambda images: images // 17,
    "Inputs go up to 255": lambda images: images.astype(float),
    "": lambda images: images,
}


@pytest.mark.parametrize("words", ODD)
def test_what_looks_odd_is_told_and_nothing_else(mnist, words):
    """Of transposed images too, once they are read with `transpose`."""
    found = list(oddities(digits_like(mnist, ODD[words])))
    assert len(found) == bool(words) and all(words in line for line in found)


def test_classes_without_training_examples_are_named():
    split = split_arrays(X, 1 + LABELS, classes=6)
    assert "No training example is of class 0, 4, 5." in list(oddities(split))


def test_transposed_images_are_read_upright(tmp_path):
    """Whether a file has rows and columns or only pixels."""
    square = X[:, :2, :2]
    np.savez(tmp_path / "a.npz", x=square.swapaxes(1, 2), y=LABELS)
    write_csv(tmp_path / "a.csv", square.swapaxes(1, 2), LABELS, "label,a,b,c,d")
    for name in ("a.npz", "a.csv"):
        split = load_data(tmp_path / name, as_bytes=True, transpose=True)
        assert rows(split) == expected_rows(square, LABELS)
    write_csv(tmp_path / "b.csv", X, LABELS, "label,a,b,c,d,e,f")
    with pytest.raises(DataError, match="square images to transpose, got 6 pixels"):
        load_data(tmp_path / "b.csv", transpose=True)


def test_images_are_shown_as_text():
    corner = np.zeros((3, 8, 8), np.uint8)
    corner[0, :4, :4], corner[1, :2, 7] = 255, 255
    y = jnp.asarray(np.eye(3, dtype=np.float32))
    data = jaxnet.Dataset(jnp.asarray(corner.reshape(3, 64)), y)
    lines = list(as_text(data, ["left", "right", "none"], width=40))
    assert lines[0].split() == ["left", "right"]
    assert lines[1:5] == ["########" + 24 * " " + "##"] * 2 + ["########"] * 2
    assert not any(lines[5:])
    assert not list(as_text(jaxnet.Dataset(data.x[:, :63], y), ["a", "b", "c"]))
