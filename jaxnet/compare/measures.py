"""How far arrays are apart, and what a function does to its arguments."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np


def relative_error(actual: Any, expected: Any) -> float:
    """||actual - expected|| / ||expected||, which is 0 if both are equal."""
    return float(divide(norm_of(actual - expected), norm_of(expected)))


def norm_of(array: Any) -> float:
    """The root of the sum of squares, also where the squares would underflow."""
    largest = float(np.abs(array).max(initial=0))
    if not 0 < largest < np.inf:
        return largest
    return largest * float(np.linalg.norm(array / largest))


def divide(error: Any, size: Any) -> np.ndarray:
    """The error over the size, which is 0 where both are 0."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return np.where(np.asarray(error) == 0, 0.0, np.divide(error, size))


def ulps_between(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """How many floating-point numbers apart two arrays are, elementwise."""
    integer = np.int32 if right.dtype == np.float32 else np.int64

    def ordered(array: np.ndarray) -> np.ndarray:
        bits = np.ascontiguousarray(array).view(integer).astype(np.int64)
        return np.where(bits < 0, int(np.iinfo(integer).min) - bits, bits)

    one, other = ordered(left), ordered(right)
    # In uint64, the difference is correct even where it exceeds 2^63.
    high, low = np.maximum(one, other), np.minimum(one, other)
    return high.astype(np.uint64) - low.astype(np.uint64)


def called_twice(
    function: Callable[..., Any], *arguments: Any
) -> tuple[Any, list[Any], float]:
    """What a function returns for copies, and the paths of those it writes into.

    And how far from that is what it returns when it is called again.
    """
    given, again = (jax.tree.map(copied, arguments) for _ in range(2))
    named, changed = jax.tree_util.tree_leaves_with_path(given), []
    found = function(*given)
    for (path, leaf), before in zip(named, jax.tree.leaves(arguments), strict=True):
        if isinstance(before, np.ndarray):
            inexact = np.issubdtype(before.dtype, np.inexact)
            if not np.array_equal(leaf, before, equal_nan=inexact):
                changed.append(path)
    return found, changed, difference(found, function(*again))


def copied(leaf: Any) -> Any:
    """A copy of an array of NumPy's, and anything else as it is."""
    return np.array(leaf, order="K") if isinstance(leaf, np.ndarray) else leaf


def difference(one: Any, other: Any) -> float:
    """The largest relative difference of the arrays of two results."""
    pairs = [
        (np.asarray(a), np.asarray(b))
        for a, b in zip(*map(jax.tree.leaves, (one, other)), strict=True)
        if np.issubdtype(np.asarray(a).dtype, np.inexact)
    ]
    apart = [
        norm_of(np.abs(a - b)) / (norm_of(np.abs(b)) or 1.0)
        for a, b in pairs
        if not np.array_equal(a, b, equal_nan=True)
    ]
    return max(apart, default=0.0)
