"""The embedded MNIST is MNIST; every other file is read whole or refused by name."""

import gzip
import hashlib
import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxnet import DataError, load_mnist
from jaxnet.augment import expand
from jaxnet.datasets import read_idx
from tests.helpers import idx

DATA = Path(__file__).parent.parent / "data"
SHA256 = {
    "train-images-idx3-ubyte": (
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"
    ),
    "train-labels-idx1-ubyte": (
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"
    ),
    "t10k-images-idx3-ubyte": (
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"
    ),
    "t10k-labels-idx1-ubyte": (
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"
    ),
}
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
        packed = gzip.compress(idx(labels))
        (tmp_path / f"{prefix}-labels-idx1-ubyte.gz").write_bytes(packed)
    return tmp_path


@pytest.mark.parametrize("name", SHA256)
def test_the_files_are_the_originals(name):
    content = gzip.decompress((DATA / f"{name}.gz").read_bytes())
    assert hashlib.sha256(content).hexdigest() == SHA256[name]
    assert SHA256[name] in (DATA / "README.md").read_text()


def test_bytes_are_the_same_pixels_and_expand_alike(folder):
    numbers, pixels = load_mnist(folder), load_mnist(folder, as_bytes=True)
    for part, whole in zip(pixels, numbers, strict=True):
        assert part.x.dtype == jnp.uint8 and part.y.dtype == whole.y.dtype
        np.testing.assert_array_equal(part.x / 256, whole.x)
    one, other = (expand(data.train, side=2).x for data in (pixels, numbers))
    np.testing.assert_array_equal(one / 256, other)


def test_mnist_is_split_as_in_the_book(mnist):
    for part, n in (("train", 50_000), ("validation", 10_000), ("test", 10_000)):
        data = getattr(mnist, part)
        assert data.x.shape == (n, 784) and data.y.shape == (n, 10)
        assert tuple(jnp.sum(data.y, axis=0).astype(int).tolist()) == COUNTS[part]
        assert bool(jnp.all(jnp.sum(data.y, axis=1) == 1))
    first = jnp.argmax(mnist.train.y[:6], axis=1).tolist()
    assert first == [5, 0, 4, 1, 9, 2]
    readme = (DATA / "README.md").read_text()
    for counts in COUNTS.values():
        assert " | ".join(map(str, counts)) in readme


def test_pixels_are_bytes_over_256(mnist):
    assert mnist.train.x.dtype == mnist.train.y.dtype == jnp.float32
    assert float(mnist.train.x.max()) == 255 / 256
    raw = read_idx(DATA / "t10k-images-idx3-ubyte.gz", 3)
    np.testing.assert_array_equal(mnist.test.x[7] * 256, raw[7].ravel())


def test_another_folder_of_the_same_layout_loads(folder):
    data = load_mnist(folder)
    assert [len(part.x) for part in data] == [10, 2, 3]
    assert data.train.x[1].tolist() == [4 / 256, 5 / 256, 6 / 256, 7 / 256]
    assert jnp.argmax(data.validation.y, axis=1).tolist() == [0, 1]
    assert load_mnist(str(folder)).test.y.shape == (3, 10)


def test_under_x64_the_arrays_are_float64(folder, x64):
    assert load_mnist(folder).train.x.dtype == jnp.float64


def patch(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_a_missing_folder_and_a_missing_file_are_named(folder):
    with pytest.raises(DataError, match="nowhere: expected a folder"):
        load_mnist(folder / "nowhere")
    (folder / "t10k-images-idx3-ubyte").unlink()
    with pytest.raises(
        DataError, match="t10k-images-idx3-ubyte.gz: expected this file"
    ):
        load_mnist(folder)


IMAGES = idx(np.zeros((3, 2, 2)))
TROUBLE = {
    "empty": (b"", "got an empty file"),
    "short magic": (b"\0\0", "got 00 00"),
    "a web page": (b"<html>gone</html>", "a web page"),
    "a pickle": (b"\x80\x02}q\0.", "a pickle"),
    "labels for images": (idx([1, 2, 3]), "images in place of labels, or labels"),
    "32-bit integers": (b"\0\0\x0c" + IMAGES[3:], "unsigned bytes in 3 dimensions"),
    "no dimensions": (IMAGES[:9], "12 bytes of dimensions.*got 5"),
    "truncated": (IMAGES[:-1], "3 x 2 x 2 = 12 bytes after the header, got 11"),
    "trailing byte": (IMAGES + b"\0", "got more than 12"),
    "no images": (idx(np.zeros((0, 2, 2))), "claims 0 x 2 x 2 = 0"),
    "huge": (IMAGES[:4] + b"\xff" * 12, "claims 4294967295 x 4294967295 x 42949672"),
    "truncated gzip": (gzip.compress(IMAGES)[:-9], "end-of-stream"),
    "corrupt gzip": (gzip.compress(IMAGES)[:-8] + b"12345678", "CRC"),
    "gzip of junk": (b"\x1f\x8bjunk" * 9, "readable IDX file"),
}


@pytest.mark.parametrize(("content", "message"), TROUBLE.values(), ids=TROUBLE)
def test_a_bad_file_is_refused_by_name(tmp_path, content, message):
    path = patch(tmp_path / "some-file", content)
    with pytest.raises(DataError, match=f"(?s)some-file: expected .*{message}"):
        read_idx(path, 3)


def test_a_bomb_is_not_unpacked(tmp_path):
    """10 MB of zeros behind a header that asks for 12 bytes: only 13 are read."""
    path = patch(tmp_path / "bomb.gz", gzip.compress(IMAGES + bytes(10**7)))
    with pytest.raises(DataError, match="got more than 12"):
        read_idx(path, 3)


def test_a_folder_in_place_of_a_file_is_refused(tmp_path):
    with pytest.raises(DataError, match="expected a readable IDX file"):
        read_idx(tmp_path, 3)


def test_labels_and_images_must_agree(folder):
    labels = folder / "train-labels-idx1-ubyte.gz"
    patch(labels, idx(np.zeros(11)))
    with pytest.raises(DataError, match="expected 12 labels, one for each.*got 11"):
        load_mnist(folder)
    patch(labels, idx([0] * 5 + [10] + [0] * 6))
    with pytest.raises(DataError, match="from 0 to 9, got 10 at position 5"):
        load_mnist(folder)


def test_training_and_test_images_must_be_of_one_size(folder):
    patch(folder / "t10k-images-idx3-ubyte", idx(np.zeros((3, 2, 3))))
    with pytest.raises(DataError, match="images of one size"):
        load_mnist(folder)


def test_data_errors_are_value_errors():
    assert issubclass(DataError, ValueError)


@settings(max_examples=200)
@given(
    shape=st.tuples(*[st.integers(1, 4)] * 3),
    packed=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_what_is_written_is_read(tmp_path_factory, shape, packed, seed):
    array = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
    path = tmp_path_factory.getbasetemp() / "idx-file"
    patch(path, gzip.compress(idx(array)) if packed else idx(array))
    np.testing.assert_array_equal(read_idx(path, 3), array)


mutations = st.lists(
    st.one_of(
        st.tuples(st.just("set"), st.integers(0, 60), st.integers(0, 255)),
        st.tuples(st.just("cut"), st.integers(0, 60), st.just(0)),
        st.tuples(st.just("insert"), st.integers(0, 60), st.integers(0, 255)),
        st.tuples(st.just("append"), st.integers(1, 20), st.integers(0, 255)),
    ),
    min_size=1,
    max_size=4,
)


def mutated(content: bytes, changes) -> bytes:
    for kind, where, value in changes:
        where = min(where, len(content))
        if kind == "set":
            content = content[:where] + bytes([value]) + content[where + 1 :]
        elif kind == "cut":
            content = content[:where]
        elif kind == "insert":
            content = content[:where] + bytes([value]) + content[where:]
        else:
            content += bytes([value]) * where
    return content


@settings(max_examples=200)
@given(changes=mutations, packed=st.booleans(), dimensions=st.sampled_from([1, 3]))
def test_a_mutated_file_is_read_or_refused(
    tmp_path_factory, changes, packed, dimensions
):
    """It is accepted with as many bytes as its header says, or raises DataError."""
    whole = idx(np.arange(12).reshape((3, 2, 2) if dimensions == 3 else 12))
    content = gzip.compress(whole, mtime=0) if packed else whole
    path = tmp_path_factory.getbasetemp() / "mutated"
    patch(path, mutated(content, changes))
    try:
        array = read_idx(path, dimensions)
    except DataError as error:
        assert str(path) in str(error)
    else:
        assert array.ndim == dimensions and array.dtype == np.uint8


@settings(max_examples=200)
@given(content=st.binary(max_size=80), dimensions=st.sampled_from([1, 3]))
def test_any_bytes_are_read_or_refused(tmp_path_factory, content, dimensions):
    path = patch(tmp_path_factory.getbasetemp() / "bytes", content)
    try:
        read_idx(path, dimensions)
    except DataError as error:
        assert str(path) in str(error)


def test_the_installed_layout_is_found(tmp_path, monkeypatch, folder):
    """In a wheel the data folder lies inside the package, in a checkout beside it."""
    package = tmp_path / "site" / "jaxnet"
    shutil.copytree(folder, package / "data")
    monkeypatch.setattr("jaxnet.datasets.__file__", str(package / "datasets.py"))
    assert len(load_mnist().train.x) == 10


def test_loading_stays_on_the_default_device(mnist):
    assert mnist.train.x.devices() == {jax.devices()[0]}
