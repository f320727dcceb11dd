"""A gradient beside another, leaf by leaf: numbers in, a comparison out.

No one measure sees every fault: a cosine is blind to scale, a norm of the whole hides a
bias, an elementwise maximum is noise near zero. So each leaf gets all of them, and the
verdict goes by the relative error of its norm.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

# Rounding took up to 90 of these in 3,000 random networks, where sums cancelled.
_ROUNDINGS = 256
_FLOOR = 1e-3  # of the leaf's largest element: below it, elements are compared to it


class ShapeError(ValueError):
    """A gradient whose arrays are not those of the reference."""


class Leaf(NamedTuple):
    """How one array of a gradient compares with the reference's."""

    name: str
    shape: tuple[int, ...]
    norm: float
    reference_norm: float
    relative_error: float
    max_absolute: float
    max_elementwise: float
    ulp_median: float
    ulp_99: float
    ulp_max: float
    one_minus_cosine: float
    worst: tuple[int, ...]
    worst_value: float
    worst_reference: float
    agrees: bool


class Comparison(NamedTuple):
    """All leaves of a gradient beside the reference's, and the tolerance they met."""

    leaves: list[Leaf]
    tolerance: float
    dtype: str

    @property
    def agrees(self) -> bool:
        """Whether every leaf is within the tolerance."""
        return all(leaf.agrees for leaf in self.leaves)

    @property
    def relative_error(self) -> float:
        """The largest relative error of a leaf."""
        return max(leaf.relative_error for leaf in self.leaves)


def tolerance_for(dtype: str | np.dtype, longest: int) -> float:
    """The largest relative error that rounding explains, 256 eps sqrt(longest).

    `longest` is the number of terms in the longest sum, the largest fan-in.
    """
    return _ROUNDINGS * float(np.finfo(dtype).eps) * math.sqrt(longest)


def compare_gradients(
    candidate: Callable,
    reference: Callable,
    *args: Any,
    dtype: str = "float64",
    tolerance: float | None = None,
    floor: float | Sequence[float] = 0.0,
    **kwargs: Any,
) -> Comparison:
    """What `candidate(*args, **kwargs)` returns beside what `reference` does.

    Both may return any pytree of arrays. All floating-point arguments are converted to
    `dtype`, whatever JAX's own setting, since in float64 a fault stands out from
    rounding. The default tolerance is that of `tolerance_for` the longest dimension.
    Raises ShapeError, a ValueError, if they do not return arrays of the same shapes.
    """
    with jax.enable_x64(dtype == "float64"):
        args, kwargs = jax.tree.map(lambda leaf: _cast(leaf, dtype), (args, kwargs))
        actual, expected = candidate(*args, **kwargs), reference(*args, **kwargs)
    if tolerance is None:
        arrays = [a for a in jax.tree.leaves((args, expected)) if hasattr(a, "shape")]
        longest = max((n for array in arrays for n in array.shape), default=1)
        tolerance = tolerance_for(dtype, longest)
    return compare_trees(actual, expected, tolerance, floor)


def compare_trees(
    actual: Any,
    expected: Any,
    tolerance: float,
    floor: float | Sequence[float] = 0.0,
) -> Comparison:
    """Two pytrees of arrays, leaf by leaf; ShapeError if their shapes differ.

    The trees may be of different types, such as layers and pairs. A difference of norm
    `floor` or less, which may be one for each leaf, is rounding, whatever it is
    relative to.
    """
    named = jax.tree_util.tree_flatten_with_path(expected)[0]
    found = jax.tree.leaves(actual)
    if len(found) != len(named):
        raise ShapeError(
            f"Expected a gradient of {len(named)} arrays, like the reference's, "
            f"got {len(found)}."
        )
    if not named:
        raise ShapeError("Expected at least one array to compare, got none.")
    leaves, floors = [], np.broadcast_to(floor, len(named))
    for (path, right), left, least in zip(named, found, floors, strict=True):
        left, right, name = np.asarray(left), np.asarray(right), name_of(path)
        if not all(np.isrealobj(a) and a.dtype.kind in "fiubV" for a in (left, right)):
            raise ShapeError(
                f"Expected {name} of real numbers, got {left.dtype}, and {right.dtype} "
                "of the reference."
            )
        if left.shape != right.shape:
            hint = " Transposed?" if left.T.shape == right.shape else ""
            raise ShapeError(
                f"Expected {name} of shape {right.shape}, got {left.shape}.{hint}"
            )
        leaves.append(_leaf(name, left, right, tolerance, float(least)))
    return Comparison(leaves, tolerance, str(np.asarray(named[0][1]).dtype))


def name_of(path: tuple) -> str:
    """w^1, b^1, w^2, ... for what is in a network; else JAX's name for the place."""
    match path:
        case (jax.tree_util.SequenceKey(), jax.tree_util.GetAttrKey()):
            return f"{path[1].name}^{path[0].idx + 1}"
    return jax.tree_util.keystr(path) or "the gradient"


def _cast(leaf: Any, dtype: str) -> Any:
    floating = hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jnp.floating)
    return jnp.asarray(leaf).astype(dtype) if floating else leaf


def _leaf(
    name: str, left: np.ndarray, right: np.ndarray, tolerance: float, floor: float
) -> Leaf:
    ulps = np.sort(ulps_between(left.astype(right.dtype), right), axis=None)
    places = [int(q * (ulps.size - 1)) for q in (0.5, 0.99, 1)]
    ulp_median, ulp_99, ulp_max = ulps[places].astype(float) if ulps.size else (0,) * 3
    l, r = left.astype(float), right.astype(float)
    norm, reference_norm = norm_of(l), norm_of(r)
    absolute = np.abs(l - r)
    least = _FLOOR * np.abs(r).max(initial=0)
    elementwise = _ratio(absolute, np.maximum(np.abs(r), least))
    error = norm_of(l - r)
    relative = float(_ratio(error, reference_norm))
    cosine = np.vdot(_ratio(l, norm), _ratio(r, reference_norm)) if norm else 1.0
    place = np.argmax(np.where(np.isnan(absolute), np.inf, absolute)) if l.size else 0
    worst = tuple(int(i) for i in np.unravel_index(place, l.shape)) if l.size else ()
    return Leaf(
        name,
        left.shape,
        norm,
        reference_norm,
        relative,
        float(absolute.max(initial=0)),
        float(elementwise.max(initial=0)),
        ulp_median,
        ulp_99,
        ulp_max,
        abs(float(1 - cosine)),
        worst,
        float(l[worst]) if l.size else 0.0,
        float(r[worst]) if l.size else 0.0,
        bool(relative <= tolerance or error <= floor),  # False for nan
    )


def norm_of(array: np.ndarray) -> float:
    """The root of the sum of squares, where squares would underflow too."""
    largest = float(np.abs(array).max(initial=0))
    if not 0 < largest < np.inf:
        return largest
    return largest * float(np.linalg.norm(array / largest))


def _ratio(error: Any, size: Any) -> np.ndarray:
    """The error over the size, which is 0 where both are 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(np.asarray(error) == 0, 0.0, np.divide(error, size))


def ulps_between(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """How many floating-point numbers lie between two arrays, elementwise."""
    integer = np.int32 if right.dtype == np.float32 else np.int64

    def ordered(array: np.ndarray) -> np.ndarray:
        bits = np.ascontiguousarray(array).view(integer).astype(np.int64)
        return np.where(bits < 0, int(np.iinfo(integer).min) - bits, bits)

    one, other = ordered(left), ordered(right)
    # In uint64 a difference of more than 2^63 comes out right.
    high, low = np.maximum(one, other), np.minimum(one, other)
    return high.astype(np.uint64) - low.astype(np.uint64)
