"""Two gradients compared array by array.

No single measure shows every fault: a cosine ignores scale, the norm of a whole
gradient hides a bias, and an elementwise maximum is noise near zero. So each array gets
all of them; the verdict is by the relative error of its norm.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxnet.compare.candidate import Candidate
from jaxnet.compare.measures import divide, norm_of, relative_error, ulps_between
from jaxnet.forms import ShapeError, name_of

_ROUNDINGS = 256  # 90 occurred in 3,000 random networks, in sums that cancelled
_MEANINGLESS = 0.1  # a tolerance that would let wrong gradients pass
_SMALL = 1e-3  # of an array's largest element: smaller ones are compared with that


class Leaf(NamedTuple):
    """How one array of a gradient compares with the reference's."""

    name: str
    shape: tuple[int, ...]
    norm: float
    reference_norm: float
    relative_error: float
    max_absolute: float
    max_elementwise: float
    ulps: tuple[float, float, float]  # apart: the median, 99 % and maximum of elements
    one_minus_cosine: float
    worst: tuple[int, ...]
    worst_value: float
    worst_reference: float
    agrees: bool


class Comparison(NamedTuple):
    """Every array of a gradient compared with the reference's, to a tolerance."""

    leaves: list[Leaf]
    tolerance: float
    dtype: str

    @property
    def agrees(self) -> bool:
        """Whether every array is within the tolerance."""
        return all(leaf.agrees for leaf in self.leaves)

    @property
    def relative_error(self) -> float:
        """The largest relative error of an array."""
        return max(leaf.relative_error for leaf in self.leaves)

    def __str__(self) -> str:
        """A line for each array."""
        lines = [f"{'array':<12}{'shape':>9}{'relative error':>16}"]
        for leaf in self.leaves:
            shape = "x".join(map(str, leaf.shape)) or "()"
            verdict = "agrees" if leaf.agrees else "DIFFERS"
            line = f"{leaf.name:<12}{shape:>9}{leaf.relative_error:>16.1e}  {verdict}"
            lines.append(line)
        end = f"{self.dtype}, tolerance {self.tolerance:.1e}"
        return "\n".join([*lines, end])


def tolerance_for(dtype: Any, longest: int) -> float:
    """The largest relative error that rounding explains, 256 eps sqrt(longest).

    `longest` is the number of terms in the longest sum, the largest fan-in.
    """
    return _ROUNDINGS * float(jnp.finfo(dtype).eps) * math.sqrt(longest)


def compare_gradients(
    candidate: Callable[..., Any],
    reference: Callable[..., Any],
    *args: Any,
    dtype: str = "float64",
    tolerance: float | None = None,
    **kwargs: Any,
) -> Comparison:
    """The result of `candidate(*args, **kwargs)` compared with that of `reference`.

    Both may return any pytree of arrays; if the arguments are a network and examples,
    both may have any of the forms of `jaxnet.forms`. All floating-point arguments are
    converted to `dtype`, whatever JAX's own setting, since in float64 a fault stands
    out from rounding. The default tolerance is that of `tolerance_for` the longest
    dimension.

    >>> automatic = jax.grad(lambda v: jnp.sum(v**3))
    >>> jaxnet.compare_gradients(lambda v: 3 * v**2, automatic, jnp.ones(4)).agrees
    True

    Raises ShapeError, a ValueError, if they do not return arrays of the same names and
    shapes, and ValueError for a `dtype` whose rounding hides a wrong gradient.
    """
    network = args[0] if len(args) > 2 and isinstance(args[0], list | tuple) else ()
    if network and all(hasattr(layer, "weigh") for layer in network):
        candidate, reference = (
            f if isinstance(f, Candidate) else Candidate(f)
            for f in (candidate, reference)
        )
    with jax.enable_x64(dtype == "float64"):
        args, kwargs = jax.tree.map(lambda leaf: _cast(leaf, dtype), (args, kwargs))
        actual, expected = candidate(*args, **kwargs), reference(*args, **kwargs)
    if tolerance is None:
        arrays = [a for a in jax.tree.leaves((args, expected)) if hasattr(a, "shape")]
        longest = max((n for array in arrays for n in array.shape), default=1)
        tolerance = tolerance_for(dtype, longest)
        if tolerance > _MEANINGLESS:
            raise ValueError(
                f"Expected float32 or float64: in {dtype}, rounding explains relative "
                f"errors up to {tolerance:.2g}. Pass tolerance= to compare anyway."
            )
    return compare_trees(actual, expected, tolerance)


def _cast(leaf: Any, dtype: str) -> Any:
    floating = hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jnp.floating)
    if not floating:
        return leaf
    numbers = np.array(leaf)  # a copy; NumPy converts without compiling anything
    return jax.device_put(numbers.astype(jnp.dtype(dtype)))


def compare_trees(
    actual: Any, expected: Any, tolerance: float, floor: float | Sequence[float] = 0.0
) -> Comparison:
    """Two pytrees compared array by array, whatever their types: layers and pairs, say.

    An array whose difference has a norm of at most `floor`, one number or one for each
    array, agrees whatever its relative error.
    Raises ShapeError unless both have real arrays of the same names and shapes.
    """
    named = matched(actual, expected)
    if not named:
        raise ShapeError("Expected at least one array to compare, got none.")
    floors = np.broadcast_to(floor, len(named)).tolist()
    leaves = [
        _compare_arrays(name, np.asarray(a), np.asarray(e), tolerance, least)
        for (name, a, e), least in zip(named, floors, strict=True)
    ]
    return Comparison(leaves, tolerance, str(np.asarray(named[0][2]).dtype))


def matched(actual: Any, expected: Any) -> list[tuple[str, Any, Any]]:
    """The name of each array and what both pytrees have there, matched by key.

    Where one has names and the other has places, as layers and pairs, they are matched
    in order. Raises ShapeError, listing what is missing and what is too much.
    """
    trees = [
        jax.tree_util.tree_leaves_with_path(tree, is_leaf=lambda leaf: leaf is None)
        for tree in (actual, expected)
    ]
    kinds = [{type(key).__name__ for path, _ in tree for key in path} for tree in trees]
    by_place = kinds[0] != kinds[1] and not any("DictKey" in k for k in kinds)
    ours, theirs = (
        {
            place if by_place else jax.tree_util.keystr(path): (name_of(path), leaf)
            for place, (path, leaf) in enumerate(tree)
        }
        for tree in trees
    )
    wanted = {key: pair for key, pair in theirs.items() if pair[1] is not None}
    missing = [n for k, (n, _) in wanted.items() if k not in ours]
    extra = [
        name
        for key, (name, leaf) in ours.items()
        if key not in wanted and leaf is not None
    ]
    if missing or extra:
        raise ShapeError(
            f"Expected a gradient of {len(wanted)} arrays, like the reference's, got "
            f"{len(wanted) - len(missing) + len(extra)}: missing "
            f"{', '.join(missing) or 'none'}, and not in the reference "
            f"{', '.join(extra) or 'none'}."
        )
    for key, (name, _) in wanted.items():
        if ours[key][1] is None:
            raise ShapeError(f"Expected an array {name}, got {name} = None.")
    return [(name, ours[key][1], leaf) for key, (name, leaf) in wanted.items()]


def _compare_arrays(
    name: str, actual: np.ndarray, expected: np.ndarray, tolerance: float, floor: float
) -> Leaf:
    kinds = {actual.dtype.kind, expected.dtype.kind}
    if not kinds <= set("fiubV"):  # V is bfloat16
        raise ShapeError(
            f"Expected {name} of real numbers, got {actual.dtype}, and "
            f"{expected.dtype} of the reference."
        )
    if actual.shape != expected.shape:
        hint = " Transposed?" if actual.T.shape == expected.shape else ""
        raise ShapeError(
            f"Expected {name} of shape {expected.shape}, got {actual.shape}.{hint}"
        )
    shape = actual.shape
    if not actual.size:  # compared like a single 0
        actual, expected = np.zeros(1), np.zeros(1)
    ulps = np.sort(ulps_between(actual.astype(expected.dtype), expected), axis=None)
    median, percentile, most = (ulps[int(q * (ulps.size - 1))] for q in (0.5, 0.99, 1))
    a, e = actual.astype(float), expected.astype(float)
    norm, reference_norm = norm_of(a), norm_of(e)
    absolute, relative = np.abs(a - e), relative_error(a, e)
    elementwise = divide(absolute, np.maximum(np.abs(e), _SMALL * np.abs(e).max()))
    cosine = np.vdot(divide(a, norm), divide(e, reference_norm)) if norm else 1.0
    flat = np.argmax(np.where(np.isnan(absolute), np.inf, absolute))
    worst = tuple(int(i) for i in np.unravel_index(flat, a.shape))
    return Leaf(
        name=name,
        shape=shape,
        norm=norm,
        reference_norm=reference_norm,
        relative_error=relative,
        max_absolute=float(absolute.max()),
        max_elementwise=float(elementwise.max()),
        ulps=(float(median), float(percentile), float(most)),
        one_minus_cosine=abs(float(1 - cosine)),
        worst=worst,
        worst_value=float(a[worst]),
        worst_reference=float(e[worst]),
        agrees=bool(relative <= tolerance or norm_of(a - e) <= floor),  # not if nan
    )
