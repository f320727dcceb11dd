"""Inputs and labels as a data set in three parts, with one-hot targets."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Integer, Shaped

from jaxnet.datasets.files import DataError
from jaxnet.layers import Dataset, as_numbers

MAX_CLASSES = 1000
MAX_TARGETS = 2**28  # a GiB of float32; examples of one pixel each would come to more

Labels = Integer[np.ndarray, " n"]


class Split(NamedTuple):
    """The three parts of a data set, with 50,000, 10,000 and 10,000 images in MNIST."""

    train: Dataset
    validation: Dataset
    test: Dataset


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

    `x` has a row, or rows and columns, for each of the integer `labels`: bytes, which
    stay bytes and stand for byte / 256, or floats. `classes` is by default one more
    than the largest label; `validation` and `test` are fractions of all examples.
    Raises DataError, a ValueError.
    """
    x = _check_inputs(np.asarray(x))
    labels = np.asarray(labels)
    classes = check_labels(labels, len(x), classes)
    if not (validation > 0 and test > 0 and validation + test < 1):
        raise DataError(
            "Expected fractions above 0 for validation and test, and below 1 together, "
            f"got {validation:g} and {test:g}."
        )
    n = len(x)
    n_test = min(max(1, round(test * n)), n - 2)
    n_validation = min(max(1, round(validation * n)), n - n_test - 1)
    order = np.random.default_rng(seed).permutation(n)
    parts = np.split(order, [n - n_validation - n_test, n - n_test])
    return Split(*(to_dataset(x[part], labels[part], classes) for part in parts))


def to_dataset(
    x: Shaped[np.ndarray, "n *pixels"], labels: Labels, classes: int
) -> Dataset:
    """Examples as rows, with one-hot targets."""
    y = np.eye(classes, dtype=jnp.result_type(float))[labels]
    return Dataset(jnp.asarray(x.reshape(len(x), -1)), jnp.asarray(y))


def as_floats(split: Split) -> Split:
    """The same data with inputs byte / 256 where they are bytes."""
    dtype = jnp.result_type(float)
    return Split(*(Dataset(as_numbers(part.x, dtype), part.y) for part in split))


def check_labels(labels: np.ndarray, n: int, classes: int | None) -> int:
    """The number of classes, by default one more than the largest label.

    Raises DataError unless there is a label below that for each of the n examples.
    """
    if labels.shape != (n,):
        hint = " One-hot? Pass y.argmax(axis=1)." if labels.ndim == 2 else ""
        raise DataError(
            f"Expected {n} labels, one for each example, got {labels.shape}.{hint}"
        )
    if not np.issubdtype(labels.dtype, np.integer):
        raise DataError(
            f"Expected integers as labels, got {labels.dtype}. Names become integers "
            "by np.unique(names, return_inverse=True)[1], floats by astype(int)."
        )
    limit = MAX_CLASSES if classes is None else classes
    invalid = np.flatnonzero((labels < 0) | (labels >= limit))
    if invalid.size:
        raise DataError(
            f"Expected labels from 0 to {limit - 1}, got {labels[invalid[0]]} at "
            f"position {invalid[0]}."
        )
    classes = int(labels.max()) + 1 if classes is None else classes
    if not 2 <= classes <= MAX_CLASSES:
        raise DataError(f"Expected 2 to {MAX_CLASSES} classes, got {classes}.")
    if n * classes > MAX_TARGETS:
        raise DataError(
            f"Expected at most {MAX_TARGETS} targets, examples times classes, got "
            f"{n} x {classes}."
        )
    return classes


def _check_inputs(x: np.ndarray) -> np.ndarray:
    """Inputs as rows of bytes or of finite floats; raises DataError for others."""
    if x.ndim not in (2, 3) or x.size == 0 or len(x) < 3:
        raise DataError(
            "Expected inputs of shape (n, pixels) or (n, rows, columns) with n of at "
            f"least 3, one for each part, got {x.shape}."
        )
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
    invalid = np.flatnonzero(~np.isfinite(x).all(axis=1))
    if invalid.size:
        raise DataError(
            f"Expected finite inputs, got nan, infinity or a number above {x.dtype}'s "
            f"in example {invalid[0]}."
        )
    return x
