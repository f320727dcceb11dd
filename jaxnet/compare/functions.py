"""Derivatives of any function of any pytrees: gradients, VJPs and JVPs.

Each is compared with JAX's and, independently, with differences of the function along
directions in which one array moves: all axes of a small array, random ones of a large
one. Differences are extrapolated to a step of 0, which also tells how exact they are.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxnet.compare.comparison import matched
from jaxnet.compare.measures import (
    call_on_copies,
    copied,
    difference,
    norm_of,
    relative_error,
)
from jaxnet.forms import name_of

_FEW, _DIRECTIONS = 10, 6  # elements of which each is an axis, or else directions
_STEPS = 0.1 * 2.0 ** -np.arange(12)  # of the size of the array
_SEVERAL = 4  # steps
_KNOWN = 1e-3  # a larger relative uncertainty of differences tells nothing
_EPS = float(np.finfo(float).eps)

Function = Callable[..., Any]


class Row(NamedTuple):
    """How the derivative with respect to one array, or of one output, compares."""

    name: str
    shape: tuple[int, ...]
    from_jax: float | None  # relative errors; None without JAX
    from_differences: float
    uncertainty: float  # of the differences, relative as well
    agrees: bool
    note: str = ""


@dataclass(frozen=True)
class Check:
    """What was found about derivatives; prints as a table."""

    rows: list[Row]
    problems: list[str]  # such as two calls that differ

    @property
    def agrees(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems and all(row.agrees for row in self.rows)

    def __str__(self) -> str:
        """A line for each array, then a line for each problem."""
        width = max(map(len, ["array", *(row.name for row in self.rows)]))
        heads = f"{'shape':>9}{'from JAX':>10}{'from differences':>18}"
        lines = [f"{'array':<{width}}{heads}{'their error':>13}"]
        for row in self.rows:
            from_jax = "-" if row.from_jax is None else f"{row.from_jax:.1e}"
            shape = "x".join(map(str, row.shape)) or "()"
            verdict = "agrees" if row.agrees else "DIFFERS"
            lines.append(
                f"{row.name:<{width}}{shape:>9}{from_jax:>10}"
                f"{row.from_differences:>18.1e}{row.uncertainty:>13.1e}  "
                f"{', '.join(filter(None, [verdict, row.note]))}"
            )
        return "\n".join([*lines, *self.problems])


def check_gradient(
    f: Function,
    gradient: Function,
    *args: Any,
    argnums: int = 0,
    tolerance: float = 1e-9,
) -> Check:
    """`gradient(*args)` compared with the gradient of a scalar function f.

    It is with respect to the argument `argnums`, any pytree, whose arrays it returns by
    the same keys. All is computed in float64 of copies of the arguments. f need not be
    in JAX; differences are then all there is.

    >>> print(jaxnet.compare.check_gradient(jnp.sum, jnp.ones_like, jnp.ones(3)).agrees)
    True

    Raises ShapeError if the gradient has other arrays.
    """
    with jax.enable_x64(True):
        args = jax.tree.map(_as_float64, args)
        actual, problems = _called_twice("gradient", gradient, args)
        function = _compiled(f, args)
        value, more = _called_twice("f", function, args)
        value = np.asarray(value)
        if value.shape != () or np.iscomplexobj(value):
            raise ValueError(
                f"Expected f to return a real number, got {value.dtype} of shape "
                f"{value.shape}. For several outputs, use check_vjp."
            )
        try:
            automatic = jax.grad(f, argnums, allow_int=True)(*args)
        except Exception:  # f is not in JAX
            automatic = None

        def moved(argument: Any) -> float:
            given = [*args[:argnums], argument, *args[argnums + 1 :]]
            return float(function(*jax.tree.map(copied, given)))

        rows = _rows(moved, args[argnums], actual, automatic, tolerance)
        return Check(list(rows), problems + more)


def assert_gradients_match(
    f: Function, gradient: Function, *args: Any, **options: Any
) -> None:
    """Raise AssertionError, with the table of `check_gradient`, unless it agrees."""
    found = check_gradient(f, gradient, *args, **options)
    if not found.agrees:
        raise AssertionError(f"the gradients do not match\n{found}")


def check_vjp(
    f: Function, *args: Any, order: int = 1, tolerance: float = 1e-9, seed: int = 0
) -> Check:
    """The VJP of f, such as that of a `jax.custom_vjp`, compared with differences of f.

    A random linear function of all outputs makes a scalar function of f. The VJP is
    also compared with itself under `jit` and `vmap`, and its primal output with f. With
    `order=2`, the VJP of the VJP is checked likewise.
    """
    with jax.enable_x64(True):
        args = jax.tree.map(_as_float64, args)
        outputs, pull = jax.vjp(f, *args)
        v = _random_like(outputs, np.random.default_rng(seed))
        function = _compiled(lambda *args: _dot(v, f(*args)), args)
        actual = pull(v)
        rows = _rows(lambda a: float(function(*a)), args, actual, None, tolerance)
        vjp = lambda *args: jax.vjp(f, *args)[1](v)  # noqa: E731
        again = partial(check_vjp, vjp, *args, tolerance=tolerance, seed=seed + 1)
        return _of_rule(f, vjp, args, (outputs, actual), rows, again, order)


def check_jvp(
    f: Function, *args: Any, order: int = 1, tolerance: float = 1e-9, seed: int = 0
) -> Check:
    """The JVP of f in a random direction compared with differences, output by output.

    Otherwise as `check_vjp`.
    """
    with jax.enable_x64(True):
        args = jax.tree.map(_as_float64, args)
        rng = np.random.default_rng(seed)
        tangents = _random_like(args, rng)
        outputs, actual = jax.jvp(f, args, tangents)
        function, rows = _compiled(f, args), []
        for i, (path, leaf) in enumerate(jax.tree_util.tree_leaves_with_path(actual)):
            v = rng.normal(size=leaf.shape)

            def along(t: float, i: int = i, v: np.ndarray = v) -> float:
                moved = jax.tree.map(partial(_moved, t), args, tangents)
                return float(_dot(v, jax.tree.leaves(function(*moved))[i]))

            pair = float(_dot(v, leaf)), _difference(along, 1.0)
            name = f"output{name_of(path) if path else ''}"
            rows.append(_row(name, leaf.shape, [pair], None, tolerance))
        jvp = lambda *args: jax.jvp(f, args, tangents)[1]  # noqa: E731
        again = partial(check_jvp, jvp, *args, tolerance=tolerance, seed=seed + 1)
        return _of_rule(f, jvp, args, (outputs, actual), iter(rows), again, order)


def _of_rule(
    f: Function,
    derivative: Function,
    args: Any,
    results: tuple[Any, Any],
    rows: Iterator[Row],
    again: Callable[..., Check],
    order: int,
) -> Check:
    """What holds for VJPs and JVPs: forward pass, transformations, and higher order."""
    outputs, actual = results
    twice = jax.tree.map(lambda a: jnp.stack([a, a]), args)
    mapped = jax.tree.map(lambda a: a[1], jax.vmap(derivative)(*twice))
    problems = [
        *_differing("the output of the rule's forward pass", outputs, f(*args)),
        *_differing("under jit, it", jax.jit(derivative)(*args), actual),
        *_differing("under vmap, it", mapped, actual),
    ]
    rows = list(rows)
    if order > 1:
        higher = again(order=order - 1)
        rows += [row._replace(name=f"2nd {row.name}") for row in higher.rows]
        problems += higher.problems
    return Check(rows, problems)


class _Slope(NamedTuple):
    value: float
    error: float
    sides: tuple[float, float] | None = None  # of a kink: the slopes left and right


def _difference(along: Callable[[float], float], size: float) -> _Slope:
    """The slope at 0, by Richardson's extrapolation of central differences.

    The error is how far the entries of the table with the smallest changes differ.
    """
    steps, here = size * _STEPS, along(0.0)
    left, right = (np.array([along(s * h) for h in steps]) for s in (-1, 1))
    with np.errstate(all="ignore"):
        column = central = (right - left) / (2 * steps)
        rounding = 4 * _EPS * (abs(left) + abs(right)) / steps
        changes, values = np.full((2, len(steps), len(steps)), np.inf)
        for k in range(1, len(steps)):  # column[i] is of steps i, ..., i + k
            better = column[1:] + (column[1:] - column[:-1]) / (4.0**k - 1)
            change = np.maximum(abs(better - column[:-1]), abs(better - column[1:]))
            changes[k, k:], values[k, k:] = change + rounding[k:], better
            column = better
        # The best entry for each step; one small change may be chance, so several
        # steps have to lead to the same value, and the smallest one has to agree.
        changes = np.where(np.isfinite(changes), changes, np.inf)
        best = np.argsort(changes.min(axis=0))[:_SEVERAL]
        error = changes.min(axis=0)[best[-1]]
        if not np.isfinite(error):
            return _Slope(np.nan, np.inf)
        found = values[changes.argmin(axis=0)[best], best]
        last = abs(central[-1] - found[0])
        error = max(error, float(np.ptp(found)))
        if last > 0.01 * abs(found[0]) + rounding[-1]:
            error = max(error, last)
        # Where f is smooth, the one-sided slopes come together as h does.
        jumps = (right + left - 2 * here) / steps
        jump, noise = abs(jumps[-1]), 16 * _EPS * abs(here) / steps[-1]
        if np.ptp(jumps[-4:]) < 0.1 * jump and jump > noise + 1e-6 * abs(found[0]):
            sides = (here - left[-1]) / steps[-1], (right[-1] - here) / steps[-1]
            return _Slope(sum(sides) / 2, abs(sides[1] - sides[0]), sides)
    return _Slope(found[0], error)


def _rows(
    function: Callable[[Any], float],
    argument: Any,
    actual: Any,
    automatic: Any,
    tolerance: float,
) -> Iterator[Row]:
    """A row for each array of the argument that is not of integers."""
    leaves, tree = jax.tree.flatten(argument)
    places = [i for i, leaf in enumerate(leaves) if _is_inexact(leaf)]
    wanted = jax.tree.map(lambda a: a if _is_inexact(a) else None, argument)
    pairs = matched(_without_integers(actual), wanted)
    exact = [None] * len(pairs)
    if automatic is not None:
        exact = [a for _, a, _ in matched(_without_integers(automatic), wanted)]
    rng = np.random.default_rng(0)
    for (name, slopes, leaf), place, right in zip(pairs, places, exact, strict=True):
        slopes, leaf = np.asarray(slopes), np.asarray(leaf)
        if slopes.shape != leaf.shape:
            yield Row(name, leaf.shape, None, np.inf, np.nan, False, f"{slopes.shape}")
            continue
        size = norm_of(np.abs(leaf)) / max(leaf.size, 1) ** 0.5 or 1.0
        both = []
        for direction in _directions(leaf, rng):

            def along(
                t: float, place: int = place, direction: np.ndarray = direction
            ) -> float:
                changed = [copied(each) for each in leaves]
                changed[place] = leaves[place] + t * direction
                return function(jax.tree.unflatten(tree, changed))

            slope = float(np.sum(slopes * direction).real)
            both.append((slope, _difference(along, size)))
        from_jax = None if right is None else relative_error(slopes, right)
        row = _row(name, leaf.shape, both, from_jax, tolerance)
        if right is not None and from_jax > tolerance:
            if relative_error(slopes.conj(), right) <= tolerance:
                note = "the complex conjugate, as PyTorch defines it"
                row = row._replace(note=note)
        yield row


def _row(
    name: str,
    shape: tuple[int, ...],
    both: list[tuple[float, _Slope]],
    from_jax: float | None,
    tolerance: float,
) -> Row:
    """The verdict on slopes, each beside that of differences in the same direction."""
    size = norm_of(np.array([slope.value for _, slope in both])) or 1.0
    smooth = [(actual, slope) for actual, slope in both if slope.sides is None]
    kinks = [(actual, slope.sides) for actual, slope in both if slope.sides]
    error = norm_of(np.array([actual - slope.value for actual, slope in smooth])) / size
    uncertainty = norm_of(np.array([slope.error for _, slope in smooth])) / size
    by_jax = from_jax is None or from_jax <= tolerance
    by_differences = error <= 10 * uncertainty + tolerance
    between = all(
        min(sides) - 1e-6 * size <= actual <= max(sides) + 1e-6 * size
        for actual, sides in kinks
    )
    note = ""
    if kinks and between:
        left, right = kinks[0][1]
        note = f"a kink, where slopes from {left:.3g} to {right:.3g} are a convention"
        by_jax = by_jax or by_differences
    elif not uncertainty < _KNOWN and smooth:
        note = "the difference quotient cannot tell"
        by_differences = from_jax is not None or by_differences
    elif by_differences and not by_jax:
        note = "differences agree with it, and not with jax.grad"
    elif by_jax and not by_differences and from_jax is not None:
        note = "as jax.grad, but differences do not agree: a rule of f's?"
    agrees = bool(by_jax and by_differences and between)
    return Row(name, shape, from_jax, error, uncertainty, agrees, note)


def _directions(leaf: np.ndarray, rng: np.random.Generator) -> Iterator[Any]:
    units = [1.0, 1j] if np.iscomplexobj(leaf) else [1.0]
    if leaf.size <= _FEW:
        axes = np.eye(leaf.size).reshape(leaf.size, *leaf.shape)
        yield from (unit * axis for axis in axes for unit in units)
        return
    for _ in range(_DIRECTIONS):
        direction = sum(unit * rng.normal(size=leaf.shape) for unit in units)
        yield direction / np.linalg.norm(direction)


def _called_twice(name: str, function: Function, args: Any) -> tuple[Any, list[str]]:
    """The result for copies of the arguments, and what else a call does."""
    try:
        first, changed = call_on_copies(function, *args)
    except Exception:  # it may need arrays of JAX's
        args = jax.device_put(args)
        first, changed = call_on_copies(function, *args)
    second, _ = call_on_copies(function, *args)
    problems = _differing(f"a second call of {name}", second, first)
    if changed:
        names = [
            jax.tree_util.keystr(path[1:]) or f"argument {path[0].idx}"
            for path in changed
        ]
        problems.insert(0, f"{name} writes into its arguments: {', '.join(names)}")
    return first, problems


def _differing(what: str, one: Any, other: Any) -> list[str]:
    """A line that says how far two results are apart, if they are."""
    apart = difference(one, other)
    return [] if apart <= 1e-12 else [f"{what} differs by {apart:.1e}"]


def _compiled(f: Function, args: Any) -> Function:
    """The function compiled, or as it is where JAX cannot trace it."""
    compiled = jax.jit(f)
    try:
        compiled(*args)
    except Exception:
        return f
    return compiled


def _as_float64(leaf: Any) -> Any:
    if not hasattr(leaf, "dtype"):
        return leaf
    array = np.array(leaf, order="K")
    if jnp.issubdtype(array.dtype, jnp.complexfloating):
        return array.astype(np.complex128)
    return array.astype(float) if jnp.issubdtype(array.dtype, jnp.floating) else array


def _is_inexact(leaf: Any) -> bool:
    return jnp.issubdtype(jnp.result_type(leaf), jnp.inexact)


def _without_integers(tree: Any) -> Any:
    """Gradients with respect to integers, which have none, left out."""

    def kept(leaf: Any) -> Any:
        dtype = getattr(leaf, "dtype", np.dtype(float))
        empty = dtype == jax.dtypes.float0 or (dtype.kind in "iub" and not np.any(leaf))
        return None if empty else leaf

    return jax.tree.map(kept, tree)


def _random_like(tree: Any, rng: np.random.Generator) -> Any:
    def draw(leaf: Any) -> Any:
        if not _is_inexact(leaf):
            return np.zeros(np.shape(leaf), jax.dtypes.float0)
        numbers = rng.normal(size=np.shape(leaf))
        imaginary = 1j * rng.normal(size=np.shape(leaf)) if np.iscomplexobj(leaf) else 0
        return np.asarray(numbers + imaginary)

    return jax.tree.map(draw, tree)


def _dot(v: Any, outputs: Any) -> Any:
    pairs = zip(*map(jax.tree.leaves, (v, outputs)), strict=True)
    return sum(jnp.sum(a * b).real for a, b in pairs if a.dtype != jax.dtypes.float0)


def _moved(t: float, leaf: Any, tangent: Any) -> Any:
    return leaf + t * tangent if _is_inexact(leaf) else leaf
