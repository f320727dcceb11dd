"""What is at a path: the formats of data sets, recognised by names and first bytes."""

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jaxnet.datasets.arrays import (
    Split,
    as_floats,
    as_inputs,
    as_labels,
    split_arrays,
    to_split,
)
from jaxnet.datasets.csv import read_csv
from jaxnet.datasets.files import DataError, naming, opened
from jaxnet.datasets.idx import MNIST_SHA256, is_idx, mnist_folder, read_idx
from jaxnet.datasets.npz import read_npz
from jaxnet.datasets.picture_folders import class_folders, read_folder

Labels = np.ndarray | None
_FORMATS = (
    "a folder of IDX or .npy files, a folder with one of pictures for each class, an "
    ".npz file, or a CSV file"
)
_KINDS = {
    "labels": r"label|target|\by(train|val|test)?\b",
    "images": r"image|img|\bdata\b|\bx(train|val|test)?\b",
}
_PARTS = {"train": "train", "validation": "val", "test": "test|t10k"}
_FEW = 100  # files in a folder that are looked into
_OTHERS = {  # by their first bytes
    b"\x80": "a pickle, which is not read, since reading one runs code. MNIST comes "
    "with jaxnet; save other arrays by np.savez(path, x_train=..., y_train=..., "
    "x_test=..., y_test=...)",
    b"\x89HDF": "HDF5. Save its arrays by np.savez(path, x=..., y=...)",
    b"MATLAB": "MATLAB's format. Save its arrays by np.savez(path, x=..., y=...)",
    b"PAR1": "Parquet. Save it by pandas, to_csv(path, index=False)",
    b"%": "ARFF. What follows its line @data is a CSV file",
    b"@": "ARFF. What follows its line @data is a CSV file",
}


@dataclass(frozen=True)
class Examples:
    """What is at a path: images, and their labels if there are any, of each part.

    Parts are train, validation and test, or one called "". `names` are the classes'.
    """

    parts: Mapping[str, tuple[np.ndarray, Labels]]
    names: list[str] | None = None


@dataclass(frozen=True)
class Source:
    """Where data come from and how they are read; by default MNIST."""

    path: str | Path | None = None
    transpose: bool = False
    label_column: str | int | None = None

    def __str__(self) -> str:
        """The path, or MNIST, and how it is read."""
        words = ["MNIST" if self.path is None else str(self.path)]
        words += ["transposed"] * self.transpose
        if self.label_column is not None:
            words.append(f"labels in column {self.label_column}")
        return ", ".join(words)

    def read(self) -> Examples:
        """The examples, of which inputs are rows of bytes or floats.

        Raises DataError naming the file or folder.
        """
        path = mnist_folder() if self.path is None else Path(self.path)
        found = _reader(path, self.label_column)(path)
        parts = {}
        for part, (x, labels) in found.parts.items():
            with naming(f"{path}, {part}" if part else path):
                rows = as_inputs(x, transpose=self.transpose)
                labels = None if labels is None else as_labels(labels, len(rows))
                parts[part] = rows, labels
        return Examples(parts, found.names)

    def load(self, *, as_bytes: bool = False, seed: int = 0) -> Split:
        """The data set, as `load_data` returns it."""
        return self.named(as_bytes=as_bytes, seed=seed)[0]

    def named(
        self, *, as_bytes: bool = False, seed: int = 0
    ) -> tuple[Split, list[str] | None]:
        """The data set, and the names of its classes if they are not numbers."""
        found, parts = self.read(), {}
        with naming(self.path or "MNIST"):
            for part, (x, labels) in found.parts.items():
                if labels is None:
                    of = f" of the {part} images" if part else ""
                    raise DataError(f"Expected labels{of}, got none.")
                parts[part] = x, labels
            if {"test", "train"} <= set(parts):
                split = _with_own_test_part(parts)
            else:
                split = split_arrays(*_joined(parts), seed=seed)
        return split if as_bytes else as_floats(split), found.names


def load_data(
    path: str | Path | None = None,
    *,
    as_bytes: bool = False,
    seed: int = 0,
    transpose: bool = False,
    label_column: str | int | None = None,
) -> Split:
    """The data set at `path` in any of the formats, and by default MNIST.

    That is a folder of arrays, in IDX, .npy or .npz files whose names say which are the
    training and test images and labels; an .npz file of arrays with such names; a
    folder for `read_folder`; or a file for `read_csv` with its `label_column`. Inputs
    are bytes / 256, or bytes with `as_bytes`, or floats as they are. Test data stay
    test data, and without validation data the last sixth of the training data is used;
    data in one part are split by `split_arrays` with the seed. With `transpose`, rows
    and columns of each image are exchanged.
    Raises DataError, a ValueError, naming the file or folder.
    """
    return Source(path, transpose, label_column).load(as_bytes=as_bytes, seed=seed)


def load_mnist(folder: str | Path | None = None, *, as_bytes: bool = False) -> Split:
    """MNIST as the book splits it, or the data set of the same layout in `folder`.

    Inputs are bytes / 256 in rows, targets one-hot. The last sixth of the training
    files is the validation data. With `as_bytes` inputs stay bytes, which take a
    quarter of the memory, and training is a few per cent faster.
    Raises DataError, a ValueError, naming the file.
    """
    return load_data(folder, as_bytes=as_bytes)


def _reader(path: Path, label_column: str | int | None) -> Callable[[Path], Examples]:
    """The function that reads what is at the path."""
    if os.path.isdir(path):
        return _read_arrays if _array_files(path) else _read_pictures
    if not os.path.exists(path):
        raise DataError(f"{path}: expected {_FORMATS}, got nothing there.")
    with opened(path, "data") as stream:
        start = stream.read(1024)
    for magic, words in _OTHERS.items():
        if start.startswith(magic):
            raise DataError(f"{path}: expected {_FORMATS}, got {words}.")
    if start.startswith((b"PK\3\4", b"\x93NUMPY")):
        return _read_npz
    if is_idx(start):
        return lambda path: Examples({"": (read_idx(path), None)})
    if b"\0" in start:
        raise DataError(f"{path}: expected {_FORMATS}, got something else.")

    def read(path: Path) -> Examples:
        x, labels, names = read_csv(path, label_column)
        return Examples({"": (x, labels)}, names)

    return read


def _read_pictures(path: Path) -> Examples:
    names = [folder.name for folder in class_folders(path)]
    return Examples({"": read_folder(path)}, names)


def _read_npz(path: Path) -> Examples:
    arrays = read_npz(path)
    if list(arrays) == [""]:
        return Examples({"": (arrays[""], None)})
    return _by_role(path, arrays, lambda name: arrays[name])


def _read_arrays(folder: Path) -> Examples:
    return _by_role(
        folder, _array_files(folder), lambda name: _read_array(folder / name)
    )


def _read_array(path: Path) -> np.ndarray:
    if path.suffix not in (".npy", ".npz"):
        return read_idx(path)
    arrays = read_npz(path)
    if len(arrays) != 1:
        raise DataError(f"{path}: expected one array, got {', '.join(arrays)}.")
    return next(iter(arrays.values()))


def _array_files(folder: Path) -> list[str]:
    """The names of the IDX, .npy and .npz files in a folder, one of each stem."""
    found: dict[str, str] = {}
    paths = sorted(folder.iterdir(), reverse=True)  # of a and a.gz, a is later
    for path in paths:
        stem = path.name.removesuffix(".gz")
        named = re.search(r"-ubyte|[-.]idx\d|\.np[yz]$", stem)
        if path.name[0] == "." or os.path.isdir(path):
            continue
        if named or (len(paths) <= _FEW and _starts_as_idx(path)):
            found.setdefault(stem, path.name)
    return sorted(found.values())


def _starts_as_idx(path: Path) -> bool:
    """Whether it is an IDX file by its content; a pipe is not."""
    try:
        with opened(path, "IDX") as stream:
            return is_idx(stream.read(4))
    except DataError:
        return False


def _by_role(
    where: Path, names: Iterable[str], read: Callable[[str], np.ndarray]
) -> Examples:
    """The arrays that `read` reads, each for what its name says it is.

    Raises DataError if names say too little, or the same.
    """
    found: dict[tuple[str, str], list[str]] = {}
    for name in names:
        words = re.sub(r"[^a-z0-9]+", " ", name.lower())
        kinds = [kind for kind, word in _KINDS.items() if re.search(word, words)]
        part = next((p for p, word in _PARTS.items() if re.search(word, words)), "")
        if kinds:
            found.setdefault((part, kinds[0]), []).append(name)
    roles = {}
    for role, candidates in found.items():
        known = [n for n in candidates if n.removesuffix(".gz") in MNIST_SHA256]
        [roles[role], *others] = known if len(known) == 1 else candidates
        if others:
            raise DataError(
                f"{where}: expected one array of {' '.join(role).strip()}, found "
                f"{', '.join(candidates[:9])}. Move each data set to its own folder."
            )
    parts = {}
    there = {part for part, _ in roles}
    for part in (part for part in (*_PARTS, "") if part in there):
        if (part, "images") not in roles:
            raise DataError(
                f"{where}: expected {part} images with {roles[part, 'labels']}, found "
                "none. Names such as train-images and test-labels, or x_train and "
                "y_test, say what an array is."
            )
        images, labels = read(roles[part, "images"]), None
        if (part, "labels") in roles:
            labels = read(roles[part, "labels"])
            if labels.ndim == 2 and labels.shape[1] == 8:  # QMNIST's: class, writer...
                labels = labels[:, 0]
        parts[part] = images, labels
    if not parts:
        raise DataError(
            f"{where}: expected arrays named such as train-images and test-labels, or "
            f"x_train and y_test, found {', '.join(names) or 'none'}."
        )
    return Examples(parts)


def _with_own_test_part(parts: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Split:
    """Their own test part, and the last sixth as validation data unless there are."""
    x, labels = parts["train"]
    validation = parts.get("validation")
    if validation is None:
        last = len(x) - max(len(x) // 6, 1)
        (x, labels), validation = (x[:last], labels[:last]), (x[last:], labels[last:])
    three = [(x, labels), validation, parts["test"]]
    sizes = {part[0].shape[1] for part in three}
    if len(sizes) > 1 or len(x) == 0:
        raise DataError(
            "Expected training and test images of one size, and two or more, got "
            f"{' and '.join(map(str, sorted(sizes)))} pixels."
        )
    return to_split(three)


def _joined(
    parts: Mapping[str, tuple[np.ndarray, np.ndarray]],
) -> tuple[np.ndarray, np.ndarray]:
    """All parts as one. Raises DataError for images of different sizes."""
    x, labels = zip(*parts.values(), strict=True)
    if len({(part.shape[1], part.dtype) for part in x}) > 1:
        raise DataError(
            "Expected images of one size and type in all parts, got others."
        )
    return np.concatenate(x), np.concatenate(labels)
