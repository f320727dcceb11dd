"""The embedded MNIST is MNIST; any other IDX file is read completely or rejected."""

import gzip
import hashlib
import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnet.datasets import MNIST_SHA256 as SHA256
from jaxnet.datasets import (
    DataError,
    Split,
    describe,
    load_data,
    load_mnist,
    read_idx,
)
from jaxnet.layers import Dataset
from tests.helpers import idx

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


def test_another_folder_of_the_same_layout_loads(folder):
    data, pixels = load_mnist(folder), load_mnist(str(folder), as_bytes=True)
    assert [len(part.x) for part in data] == [10, 2, 3]
    assert data.train.x[1].tolist() == [4 / 256, 5 / 256, 6 / 256, 7 / 256]
    assert np.asarray(data.validation.y).argmax(axis=1).tolist() == [0, 1]
    for part, floats in zip(pixels, data, strict=True):
        assert part.x.dtype == jnp.uint8 and part.y.dtype == floats.y.dtype
        np.testing.assert_array_equal(np.asarray(part.x) / 256, floats.x)


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


LABELS = "train-labels-idx1-ubyte.gz"
BAD_FOLDERS = {
    "no file": ("t10k-images-idx3-ubyte", None, "test images with t10k-labels"),
    "no labels": (LABELS, None, "labels of the train images, got none"),
    "11 labels": (LABELS, [0] * 11, r", train: .*12 labels.*got \(11,\)"),
    "one-hot": (LABELS, np.eye(10)[np.arange(12) % 10], r"got \(12, 10\). One-hot"),
    "another size": ("t10k-images-idx3-ubyte", np.zeros((3, 2, 3)), "of one size"),
}


@pytest.mark.parametrize(
    ("name", "array", "message"), BAD_FOLDERS.values(), ids=BAD_FOLDERS
)
def test_files_that_do_not_fit_together_are_rejected(folder, name, array, message):
    if array is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(idx(array))
    with pytest.raises(ValueError, match=message):
        load_mnist(folder)


def idx_of(array, code: int, dtype: str) -> bytes:
    array = np.asarray(array, dtype)
    sizes = b"".join(size.to_bytes(4) for size in array.shape)
    return bytes([0, 0, code, array.ndim]) + sizes + array.tobytes()


def test_an_idx_file_is_of_the_type_that_its_header_declares(tmp_path):
    numbers = np.array([[[1, 2, 127], [0, 5, 7]]])
    types = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
    for code, dtype in types.items():
        (tmp_path / "a").write_bytes(idx_of(numbers, code, dtype))
        found = read_idx(tmp_path / "a")
        assert found.dtype == np.dtype(dtype).newbyteorder("=")
        np.testing.assert_array_equal(found, numbers)


NAMINGS = {
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
}


@pytest.mark.parametrize("names", NAMINGS.values(), ids=NAMINGS)
def test_four_arrays_are_found_by_what_their_names_say(tmp_path, names):
    """Labels go up to 26, and QMNIST's have eight columns, of which one is a class."""
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (15, 2, 2), np.uint8), 1 + np.arange(15) % 26
    for i, name in enumerate(names.split()):
        rows = slice(12) if i < 2 else slice(12, 15)
        array = images[rows] if i % 2 == 0 else labels[rows].astype(np.uint8)
        path = tmp_path / name
        if name.endswith(".npy"):
            np.save(path, array)
        elif name.endswith(".npz"):
            np.savez_compressed(path, array)
        elif name.endswith("int"):
            columns = np.column_stack([array, *[np.full(len(array), 7)] * 7])
            path.write_bytes(idx_of(columns, 12, ">i4"))
        else:
            content = idx(array)
            path.write_bytes(
                gzip.compress(content) if path.suffix == ".gz" else content
            )
    split = load_data(tmp_path, as_bytes=True)
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
    (folder / LABELS).rename(folder / f"{name}.gz")
    words = f"one array of train labels, found {name}.gz, {other.name}. Move each"
    with pytest.raises(DataError, match=words):
        load_data(folder)


def test_describe_counts_what_numpy_counts():
    rng = np.random.default_rng(0)
    x = rng.integers(0, 2, (20, 4), np.uint8)
    x[:, 2] = 7
    labels = rng.integers(0, 3, 20)
    parts = slice(10), slice(10, 15), slice(15, 20)
    y = np.eye(3, dtype=np.float32)[labels]
    split = Split(*(Dataset(jnp.asarray(x[p]), jnp.asarray(y[p])) for p in parts))
    found = describe(split)
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
    for shared, (i, j) in zip(found["shared"], ((0, 1), (0, 2), (1, 2)), strict=True):
        earlier, later = x[parts[i]], x[parts[j]]
        same = (later[:, None] == earlier).all(axis=2).any(axis=1).sum()
        names = split._fields
        assert shared == {"of": names[j], "in": names[i], "examples": int(same)}
