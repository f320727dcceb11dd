"""Data of one's own in three parts, as `load_mnist` gives: arrays, CSV or pictures.

Nothing is half loaded. `jaxnet.readers` says what a CSV file or a folder must hold.
"""

import os
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from jaxnet.datasets import MOST_TARGETS, DataError, Split, load_mnist
from jaxnet.layers import Dataset, as_numbers
from jaxnet.readers import MOST_CLASSES, Bytes, Labels, read_csv, read_folder


def split_arrays(
    x: np.ndarray,
    labels: np.ndarray,
    *,
    classes: int | None = None,
    validation: int | float = 1 / 6,
    test: int | float = 1 / 6,
    seed: int = 0,
) -> Split:
    """Examples, shuffled by a seed, in three parts with one-hot targets.

    `x` has a row, or rows and columns, for each of the whole-number `labels`: bytes,
    which stay bytes and stand for byte / 256, or floats. `classes` is by default one
    more than the largest label; `validation` and `test` are parts of all examples.
    Raises DataError, a ValueError.
    """
    x = _inputs(x)
    labels, classes = _labels(labels, len(x), classes)
    if not (validation > 0 and test > 0 and validation + test < 1):
        raise DataError(
            "Expected parts above 0 for validation and test, and below 1 together, "
            f"got {validation:g} and {test:g}."
        )
    n = len(x)
    tests = min(max(1, round(test * n)), n - 2)
    held = tests + min(max(1, round(validation * n)), n - tests - 1)
    order = np.random.default_rng(seed).permutation(n)
    parts = np.split(order, [n - held, n - tests])
    y = np.eye(classes, dtype=jnp.result_type(float))[labels]
    return Split(*(Dataset(jnp.asarray(x[p]), jnp.asarray(y[p])) for p in parts))


def load_data(path: str | Path | None = None, *, as_bytes: bool = False) -> Split:
    """The data set at `path`, of whichever kind it is, and by default MNIST.

    That is a folder for `load_mnist` or `load_folder`, or a .csv or .csv.gz file.
    Raises DataError, a ValueError, naming the file or folder.
    """
    if path is None:
        return load_mnist(as_bytes=as_bytes)
    path = Path(path)
    if os.path.isdir(path):  # where Path.is_dir raises for some names
        idx = any(path.glob("*-ubyte*"))
        return (load_mnist if idx else load_folder)(path, as_bytes=as_bytes)
    if os.path.isfile(path) and path.name.lower().endswith((".csv", ".csv.gz")):
        return load_csv(path, as_bytes=as_bytes)
    came = "something else" if os.path.exists(path) else "nothing there"
    raise DataError(
        f"{path}: expected a folder of IDX files, a folder with one of pictures for "
        f"each class, or a .csv or .csv.gz file, got {came}."
    )


def load_csv(path: str | Path, *, as_bytes: bool = False, seed: int = 0) -> Split:
    """The examples that `read_csv` finds, as bytes / 256 or bytes, in three parts.

    Raises DataError, a ValueError, naming the file.
    """
    return _split(path, *read_csv(path), as_bytes, seed)


def load_folder(path: str | Path, *, as_bytes: bool = False, seed: int = 0) -> Split:
    """The pictures that `read_folder` finds, as bytes / 256 or bytes, in three parts.

    Raises DataError, a ValueError, naming the file or folder.
    """
    return _split(path, *read_folder(path), as_bytes, seed)


def _split(
    path: str | Path, x: Bytes, labels: Labels, as_bytes: bool, seed: int
) -> Split:
    try:
        split = split_arrays(x, labels, seed=seed)
    except DataError as error:
        message = str(error)
        raise DataError(f"{path}: {message[0].lower()}{message[1:]}") from None
    if as_bytes:
        return split
    dtype = jnp.result_type(float)
    return Split(*(Dataset(as_numbers(part.x, dtype), part.y) for part in split))


def _inputs(x: np.ndarray) -> np.ndarray:
    x = np.asarray(x)
    if x.ndim not in (2, 3) or x.size == 0:
        raise DataError(
            "Expected inputs of shape (n, pixels) or (n, rows, columns), none of them "
            f"0, got {x.shape}."
        )
    if len(x) < 3:
        raise DataError(f"Expected 3 examples or more, one a part, got {len(x)}.")
    x = x.reshape(len(x), -1)
    if x.dtype == np.uint8:
        return x
    if not np.issubdtype(x.dtype, np.floating):
        raise DataError(
            f"Expected bytes (uint8) or floats as inputs, got {x.dtype}. Levels from 0 "
            "to 255 become bytes by x.astype('uint8')."
        )
    with np.errstate(over="ignore"):
        x = x.astype(jnp.result_type(float))
    wrong = np.flatnonzero(~np.isfinite(x).all(axis=1))
    if wrong.size:
        raise DataError(
            f"Expected finite inputs, got nan, infinity or a number above {x.dtype}'s "
            f"in example {wrong[0]}."
        )
    return x


def _labels(labels: np.ndarray, n: int, classes: int | None) -> tuple[np.ndarray, int]:
    labels = np.asarray(labels)
    if labels.shape != (n,):
        raise DataError(
            f"Expected {n} labels, one for each example, got shape {labels.shape}."
            + (
                " Is it one-hot? Then pass y.argmax(axis=1)."
                if labels.ndim == 2
                else ""
            )
        )
    if not np.issubdtype(labels.dtype, np.integer):
        raise DataError(
            f"Expected integers as labels, got {labels.dtype}. Names become integers "
            "by np.unique(names, return_inverse=True)[1], whole floats by astype(int)."
        )
    most = MOST_CLASSES if classes is None else classes
    wrong = np.flatnonzero((labels < 0) | (labels >= most))
    if wrong.size:
        raise DataError(
            f"Expected labels from 0 to {most - 1}, got {labels[wrong[0]]} at position "
            f"{wrong[0]}."
        )
    classes = int(labels.max()) + 1 if classes is None else classes
    if not 2 <= classes <= MOST_CLASSES:
        raise DataError(f"Expected 2 to {MOST_CLASSES} classes, got {classes}.")
    if n * classes > MOST_TARGETS:
        raise DataError(
            f"Expected at most {MOST_TARGETS} targets, examples times classes, got "
            f"{n} x {classes}."
        )
    return labels, classes
