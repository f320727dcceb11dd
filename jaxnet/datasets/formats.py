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

_FORMATS = (
    "a folder of IDX or .npy files, a folder with one of pictures for each class, an "
    ".npz file, or a CSV file"
)
_KINDS = {
    "labels": r"label|target|\by(train|val|test)?\b",
    "images": r"image|img|\bdata\b|\bx(train|val|test)?\b",
}
_PARTS = {"train": "train", "validation": "val", "test": "test|t10k", "": ""}
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

    parts: Mapping[str, tuple[np.ndarray, np.ndarray | None]]
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
        with naming(path):
            found = _read(path, self.label_column)
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
        found = self.read()
        with naming(self.path or "MNIST"):
            split = _split(found.parts, seed)
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


def _read(path: Path, label_column: str | int | None) -> Examples:
    """What is at the path, as it is there."""
    if os.path.isdir(path):
        if files := _array_files(path):
            return _by_role(files, lambda name: _read_array(path / name))
        names = [folder.name for folder in class_folders(path)]
        return Examples({"": read_folder(path)}, names)
    if not os.path.exists(path):
        raise DataError(f"Expected {_FORMATS}, got nothing there.")
    with opened(path, "data") as stream:
        start = stream.read(1024)
    for magic, words in _OTHERS.items():
        if start.startswith(magic):
            raise DataError(f"Expected {_FORMATS}, got {words}.")
    if is_idx(start):
        return Examples({"": (read_idx(path), None)})
    if start.startswith((b"PK\3\4", b"\x93NUMPY")):
        arrays = read_npz(path)
        if list(arrays) == [""]:
            return Examples({"": (arrays[""], None)})
        return _by_role(arrays, arrays.__getitem__)
    if b"\0" in start:
        raise DataError(f"Expected {_FORMATS}, got something else.")
    x, labels, names = read_csv(path, label_column)
    return Examples({"": (x, labels)}, names)


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


def _by_role(names: Iterable[str], read: Callable[[str], np.ndarray]) -> Examples:
    """The arrays that `read` reads, each for what its name says it is.

    Raises DataError if names say too little, or the same.
    """
    roles: dict[tuple[str, str], list[str]] = {}
    for name in names:
        words = re.sub(r"[^a-z0-9]+", " ", name.lower())
        part = next(part for part, word in _PARTS.items() if re.search(word, words))
        kinds = [kind for kind, word in _KINDS.items() if re.search(word, words)]
        if kinds:
            roles.setdefault((part, kinds[0]), []).append(name)
    if not roles:
        raise DataError(
            "Expected arrays named such as train-images and test-labels, or x_train "
            f"and y_test, found {', '.join(names) or 'none'}."
        )
    for (part, kind), several in roles.items():
        known = [name for name in several if name.removesuffix(".gz") in MNIST_SHA256]
        roles[part, kind] = known if len(known) == 1 else several
        if len(roles[part, kind]) > 1:
            raise DataError(
                f"Expected one array of {f'{part} {kind}'.strip()}, found "
                f"{', '.join(several[:9])}. Move each data set to its own folder."
            )
        if (part, "images") not in roles:
            raise DataError(
                f"Expected {part} images with {several[0]}, found none. Names such as "
                "train-images and test-labels, or x_train and y_test, say what an "
                "array is."
            )
    parts = {}
    for part in (part for part in _PARTS if (part, "images") in roles):
        images, labels = read(roles[part, "images"][0]), None
        if (part, "labels") in roles:
            labels = read(roles[part, "labels"][0])
            if labels.ndim == 2 and labels.shape[1] == 8:  # QMNIST's: class, writer...
                labels = labels[:, 0]
        parts[part] = images, labels
    return Examples(parts)


def _split(
    found: Mapping[str, tuple[np.ndarray, np.ndarray | None]], seed: int
) -> Split:
    """Their own test part, and the last sixth of the training part for validation.

    Without both, all examples are shuffled.
    """
    parts = {}
    for part, (x, labels) in found.items():
        if labels is None:
            of = f" of the {part} images" if part else ""
            raise DataError(f"Expected labels{of}, got none.")
        parts[part] = x, labels
    if len({(x.shape[1], x.dtype) for x, _ in parts.values()}) > 1:
        raise DataError(
            "Expected images of one size and type in all parts, got others."
        )
    if not {"train", "test"} <= {*parts}:
        x, labels = map(np.concatenate, zip(*parts.values(), strict=True))
        return split_arrays(x, labels, seed=seed)
    if "validation" not in parts:
        x, labels = parts["train"]
        last = len(x) - max(len(x) // 6, 1)
        if last == 0:
            raise DataError("Expected two or more training images, got one.")
        new = {
            "train": (x[:last], labels[:last]),
            "validation": (x[last:], labels[last:]),
        }
        parts = {**parts, **new}
    return to_split([parts[part] for part in Split._fields])
