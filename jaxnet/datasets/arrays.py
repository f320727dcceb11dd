"""Inputs and labels as a data set in three parts, with one-hot targets."""

import math
from collections.abc import Sequence
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
    x = as_inputs(x)
    n = len(x)
    labels = as_labels(labels, n, classes)
    if n < 3:
        raise DataError(f"Expected 3 examples or more, one a part, got {n}.")
    if not (validation > 0 and test > 0 and validation + test < 1):
        raise DataError(
            "Expected fractions above 0 for validation and test, and below 1 together, "
            f"got {validation:g} and {test:g}."
        )
    n_test = min(max(1, round(test * n)), n - 2)
    n_validation = min(max(1, round(validation * n)), n - n_test - 1)
    order = np.random.default_rng(seed).permutation(n)
    parts = np.split(order, [n - n_validation - n_test, n - n_test])
    return to_split([(x[part], labels[part]) for part in parts], classes)


def to_split(
    parts: Sequence[tuple[np.ndarray, np.ndarray]], classes: int | None = None
) -> Split:
    """The inputs and labels of three parts, with one-hot targets.

    Raises DataError for too few classes, or too many targets.
    """
    least = 1 + max(int(labels.max()) for _, labels in parts)
    classes = least if classes is None else classes
    if not 2 <= classes <= MAX_CLASSES:
        raise DataError(f"Expected 2 to {MAX_CLASSES} classes, got {classes}.")
    n = sum(len(labels) for _, labels in parts)
    if n * classes > MAX_TARGETS:
        raise DataError(
            f"Expected at most {MAX_TARGETS} targets, examples times classes, got "
            f"{n} x {classes}."
        )
    one_hot = np.eye(classes, dtype=jnp.result_type(float))
    return Split(
        *(Dataset(jnp.asarray(x), jnp.asarray(one_hot[labels])) for x, labels in parts)
    )


def as_floats(split: Split) -> Split:
    """The same data with inputs byte / 256 where they are bytes."""
    dtype = jnp.result_type(float)
    return Split(*(Dataset(as_numbers(part.x, dtype), part.y) for part in split))


def as_labels(labels: np.ndarray, n: int, classes: int | None = None) -> Labels:
    """The labels of n examples, of shape (n,).

    Raises DataError unless they are n integers from 0, below `classes` if given.
    """
    labels = np.asarray(labels)
    if labels.shape == (n, 1):
        labels = labels[:, 0]
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
    return labels


def as_inputs(
    x: np.ndarray, *, transpose: bool = False
) -> Shaped[np.ndarray, "n pixels"]:
    """Inputs as rows of bytes or of finite floats, each image transposed if asked for.

    Integers from 0 to 255 become bytes. Raises DataError for other inputs.
    """
    x = np.asarray(x)
    if x.ndim == 4 and 1 in (x.shape[1], x.shape[3]):  # the channel of a grey image
        x = x.reshape(len(x), *(x.shape[2:] if x.shape[1] == 1 else x.shape[1:3]))
    if x.ndim not in (2, 3) or x.size == 0:
        colour = " Colours? Average them, x.mean(axis=-1)." if x.ndim == 4 else ""
        raise DataError(
            "Expected inputs of shape (n, pixels), (n, rows, columns) or (n, rows, "
            f"columns, 1), got {x.shape}.{colour} Otherwise, x.reshape(len(x), -1)."
        )
    if transpose:
        side = math.isqrt(x[0].size)
        if x.ndim == 2 and side**2 != x.shape[1]:
            raise DataError(
                f"Expected square images to transpose, got {x.shape[1]} pixels."
            )
        x = (x if x.ndim == 3 else x.reshape(-1, side, side)).swapaxes(1, 2)
    x = x.reshape(len(x), -1)
    if np.issubdtype(x.dtype, np.integer) and 0 <= x.min() <= x.max() <= 255:
        return x.astype(np.uint8, copy=False)
    if not (np.issubdtype(x.dtype, np.floating) or x.dtype == bool):
        raise DataError(
            "Expected floats, or integers from 0 to 255, as inputs, got "
            f"{x.dtype} from {x.min()} to {x.max()}. Divide them by their maximum?"
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
