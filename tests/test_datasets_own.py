"""Arrays, CSV files and folders of pictures are read completely or rejected."""

import gzip
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
from jaxnet.datasets import (
    DataError,
    Split,
    as_text,
    load_data,
    load_mnist,
    oddities,
    read_csv,
    read_folder,
    read_npz,
    split_arrays,
)
from jaxnet.datasets.picture_folders import class_folders

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


GREY, WIDE = Image.fromarray(X[0]), Image.new("1", (10_000, 10_000))
BAD_FOLDERS = {
    "another size": (save(GREY.rotate(90, expand=True)), "2 x 3 .*000.png, got 3 x 2"),
    "a folder inside": (lambda path: (path / "eel/more").mkdir(), "more: .*not a file"),
    "16 bits": (save(Image.new("I;16", (3, 2))), "odd.png: .*mode I;16, not of 8 bits"),
    "transparent": (save(Image.new("RGBA", (3, 2))), "odd.png: .*transparent pixels"),
    "animated": (animate, "odd.gif: .*2 pictures in one file"),
    "a bomb": (save(WIDE), "odd.png: .*10000 x 10000, above 64000000 pixels"),
    "truncated": (truncate, "eel/002.png: expected a picture"),
    "text": (
        lambda path: (path / "eel/a").write_text("x"),
        "eel/a: .*got something else",
    ),
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


def test_load_data_reads_every_format_as_bytes_or_bytes_over_256(tmp_path, small_mnist):
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
    mine, theirs = load_data(small_mnist), load_mnist(small_mnist)
    np.testing.assert_array_equal(mine.validation.x, theirs.validation.x)


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


NPZ = {
    "Keras": "x_train y_train x_test y_test",
    "medical images": "train_images train_labels test_images test_labels",
    "other names": "xtrain ytrain X_test Y_test",
}


@pytest.mark.parametrize("names", NPZ.values(), ids=NPZ)
def test_an_npz_file_has_its_own_test_part(tmp_path, names):
    """Whatever the order of its memory and the type of its integers."""
    parts = X[:8], LABELS[:8, None], np.asfortranarray(X[8:]), LABELS[8:].astype("u1")
    arrays: dict[str, Any] = dict(zip(names.split(), parts, strict=True))
    np.savez_compressed(tmp_path / "a.npz", **arrays)
    split = load_data(tmp_path / "a.npz", as_bytes=True)
    np.testing.assert_array_equal(np.asarray(split.test.x), X[8:].reshape(4, 6))
    assert [len(part) for part in split] == [7, 1, 4]
    assert rows(split) == expected_rows(X, LABELS)


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


def test_the_command_prints_a_table_or_json(tmp_path, capsys):
    x = np.zeros((12, 2, 2), np.uint8)
    x[:, 0, 0] = 200
    path = str(write_folder(tmp_path / "pets", x, LABELS))
    assert main(["describe", path]) == 0
    first, *lines = capsys.readouterr().out.splitlines()
    assert first == (
        f"{path}: 4 inputs (2 x 2), bytes, which stand for byte / 256; 3 classes."
    )
    cells = {line[:16].strip(): line[16:].split() for line in lines}
    assert cells["examples"] == ["8", "2", "2"]
    assert sum(map(int, cells["cat"])) == 4 and cells["range"] == ["0", "to", "200"] * 3
    assert cells["constant pixels"] == ["4"] * 3
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
