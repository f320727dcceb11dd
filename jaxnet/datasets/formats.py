"""The formats of data sets, and which of them is at a path."""

import os
from pathlib import Path

from jaxnet.datasets.arrays import Split, as_floats, split_arrays
from jaxnet.datasets.csv import read_csv
from jaxnet.datasets.files import DataError, naming
from jaxnet.datasets.idx import holds_idx, load_mnist
from jaxnet.datasets.picture_folders import class_folders, read_folder


def load_data(
    path: str | Path | None = None, *, as_bytes: bool = False, seed: int = 0
) -> Split:
    """The data set at `path` in any of the formats, and by default MNIST.

    That is a folder of IDX files for `load_mnist`, a folder for `read_folder`, or a
    .csv or .csv.gz file for `read_csv`. Inputs are bytes / 256, or bytes with
    `as_bytes`; all but IDX files are split by `split_arrays` with the seed.
    Raises DataError, a ValueError, naming the file or folder.
    """
    if path is None or holds_idx(path):
        return load_mnist(path, as_bytes=as_bytes)
    if os.path.isdir(path):
        read = read_folder
    elif os.path.isfile(path) and str(path).lower().endswith((".csv", ".csv.gz")):
        read = read_csv
    else:
        got = "something else" if os.path.exists(path) else "nothing there"
        raise DataError(
            f"{path}: expected a folder of IDX files, a folder with one of pictures "
            f"for each class, or a .csv or .csv.gz file, got {got}."
        )
    examples = read(path)
    with naming(path):
        split = split_arrays(*examples, seed=seed)
    return split if as_bytes else as_floats(split)


def class_names(path: str | Path | None) -> list[str] | None:
    """The names of a folder's classes, or None where classes have numbers only."""
    if path is None or holds_idx(path) or not os.path.isdir(path):
        return None
    return [folder.name for folder in class_folders(path)]
