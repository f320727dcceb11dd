"""Derivatives of any function of any pytrees: gradients, VJPs and JVPs.

Each is compared with JAX's and, independently, with differences of the function along
directions in which one array moves: all axes of a small array, random ones of a large
one. Differences are extrapolated to a step of 0, which also tells how exact they are.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxnet.compare.comparison import matched
from jaxnet.compare.measures import (
    called_twice,
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


class _Flat(NamedTuple):
    """A function of real and complex arrays alone, with their names."""

    names: list[str]
    arrays: list[Any]
    outputs: Function


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
        value, more = _called_twice("f", _compiled(f, args), args)
        if np.shape(value) != () or np.iscomplexobj(value):
            raise ValueError(
                f"Expected f to return a real number, got {np.asarray(value).dtype} of "
                f"shape {np.shape(value)}. For several outputs, use check_vjp."
            )
        own = jax.tree.map(lambda a: a if _is_inexact(a) else None, args[argnums])
        slopes = [slope for _, slope, _ in matched(_without_integers(actual), own)]
        names, arrays, outputs = _flattened(f, args, argnums)

        def at(*arrays: Any) -> Any:
            return outputs(*arrays)[0]

        try:
            automatic = jax.grad(at, tuple(range(len(arrays))))(*arrays)
        except Exception:  # f is not in JAX
            automatic = [None] * len(arrays)
        flat = _Flat(names, arrays, at)
        return Check(_rows(flat, slopes, automatic, tolerance), problems + more)


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
    return _check_rule(_vjp, f, args, order, tolerance, seed)


def check_jvp(
    f: Function, *args: Any, order: int = 1, tolerance: float = 1e-9, seed: int = 0
) -> Check:
    """The JVP of f in a random direction compared with differences, output by output.

    Otherwise as `check_vjp`.
    """
    return _check_rule(_jvp, f, args, order, tolerance, seed)


def _check_rule(
    rule: Function, f: Function, args: Any, order: int, tolerance: float, seed: int
) -> Check:
    with jax.enable_x64(True):
        flat = _flattened(f, jax.tree.map(_as_float64, args))
        arrays, rng = flat.arrays, np.random.default_rng(seed)
        both, rows = rule(flat, rng, tolerance)

        def derivative(*arrays: Any) -> Any:
            return both(*arrays)[1]

        forward, found = both(*arrays)
        mapped = jax.vmap(derivative)(*(jnp.stack([a, a]) for a in arrays))
        direct, compiled = flat.outputs(*arrays), jax.jit(derivative)(*arrays)
        apart = {
            "the output of the rule's forward pass": difference(forward, direct),
            "under jit, it": difference(compiled, found),
            "under vmap, it": difference([leaf[1] for leaf in mapped], found),
        }
        problems = _differing(apart)
        if order > 1:
            higher = _check_rule(
                rule, derivative, arrays, order - 1, tolerance, seed + 1
            )
            rows += [row._replace(name=f"2nd {row.name}") for row in higher.rows]
            problems += higher.problems
        return Check(rows, problems)


Rule = tuple[Function, list[Row]]  # the outputs and derivatives at arrays, and rows


def _vjp(flat: _Flat, rng: np.random.Generator, tolerance: float) -> Rule:
    names, arrays, outputs = flat
    v = _random_like(outputs(*arrays), rng)

    def both(*arrays: Any) -> Any:
        found, pull = jax.vjp(outputs, *arrays)
        return found, list(pull(v))

    def at(*arrays: Any) -> Any:
        return _dot(v, outputs(*arrays))

    flat = flat._replace(outputs=at)
    return both, _rows(flat, both(*arrays)[1], [None] * len(names), tolerance)


def _jvp(flat: _Flat, rng: np.random.Generator, tolerance: float) -> Rule:
    _, arrays, outputs = flat
    tangents, function, rows = _random_like(arrays, rng), _compiled(outputs, arrays), []

    def both(*arrays: Any) -> Any:
        return jax.jvp(outputs, arrays, tuple(tangents))

    for i, slope in enumerate(both(*arrays)[1]):
        v = [rng.normal(size=slope.shape)]

        def along(t: float, i: int = i, v: Any = v) -> float:
            moved = [a + t * d for a, d in zip(arrays, tangents, strict=True)]
            return float(_dot(v, [function(*moved)[i]]))

        pair = float(_dot(v, [slope])), _difference(along, 1.0)
        rows.append(_row(f"output {i}", slope.shape, [pair], None, tolerance))
    return both, rows


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
    flat: _Flat, actual: Sequence[Any], automatic: Sequence[Any], tolerance: float
) -> list[Row]:
    """A row for each array, an argument of a scalar function."""
    names, arrays, f = flat
    rng, function, rows = np.random.default_rng(0), _compiled(f, arrays), []
    for i, (name, array) in enumerate(zip(names, arrays, strict=True)):
        slopes, right = np.asarray(actual[i]), automatic[i]
        if slopes.shape != array.shape:
            note = f"of shape {slopes.shape}"
            rows.append(Row(name, array.shape, None, np.inf, np.nan, False, note))
            continue
        size = norm_of(np.abs(array)) / max(array.size, 1) ** 0.5 or 1.0
        both = []
        for direction in _directions(array, rng):

            def along(t: float, i: int = i, d: np.ndarray = direction) -> float:
                return float(function(*arrays[:i], arrays[i] + t * d, *arrays[i + 1 :]))

            slope = float(np.sum(slopes * direction).real)
            both.append((slope, _difference(along, size)))
        from_jax = None if right is None else relative_error(slopes, right)
        row = _row(name, array.shape, both, from_jax, tolerance)
        conjugate = right is not None and relative_error(slopes.conj(), right)
        if not row.agrees and conjugate is not False and conjugate <= tolerance:
            row = row._replace(note="the complex conjugate, as PyTorch defines it")
        rows.append(row)
    return rows


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
        found, changed, apart = called_twice(function, *args)
    except Exception:  # it may need arrays of JAX's
        found, changed, apart = called_twice(function, *jax.device_put(args))
    problems = _differing({f"a second call of {name}": apart})
    if changed:
        names = [
            jax.tree_util.keystr(path[1:]) or f"argument {path[0].idx}"
            for path in changed
        ]
        problems.insert(0, f"{name} writes into its arguments: {', '.join(names)}")
    return found, problems


def _differing(apart: dict[str, float]) -> list[str]:
    """A line for each two results that differ, with how far they are apart."""
    return [f"{what} differs by {d:.1e}" for what, d in apart.items() if not d <= 1e-12]


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


def _flattened(f: Function, args: Any, argnum: int | None = None) -> _Flat:
    """The real and complex arrays, by name, and f as a function of these alone.

    They are those of all arguments, or of one; the results are a list of such arrays.
    """
    named, tree = jax.tree_util.tree_flatten_with_path(args)
    own = [
        i
        for i, (path, leaf) in enumerate(named)
        if _is_inexact(leaf) and argnum in (None, path[0].idx)
    ]

    def outputs(*arrays: Any) -> list[Any]:
        leaves = [leaf for _, leaf in named]
        for i, array in zip(own, arrays, strict=True):
            leaves[i] = array
        found = f(*jax.tree.unflatten(tree, map(copied, leaves)))
        return [leaf for leaf in jax.tree.leaves(found) if _is_inexact(leaf)]

    names = [name_of(named[i][0][argnum is not None :]) for i in own]
    return _Flat(names, [named[i][1] for i in own], outputs)


def _without_integers(tree: Any) -> Any:
    """Gradients with respect to integers, which have none, left out."""

    def kept(leaf: Any) -> Any:
        dtype = getattr(leaf, "dtype", np.dtype(float))
        empty = dtype == jax.dtypes.float0 or (dtype.kind in "iub" and not np.any(leaf))
        return None if empty else leaf

    return jax.tree.map(kept, tree)


def _random_like(arrays: Sequence[Any], rng: np.random.Generator) -> Any:
    def draw(array: Any) -> Any:
        imaginary = 1j * rng.normal(size=array.shape) if np.iscomplexobj(array) else 0
        return np.asarray(rng.normal(size=array.shape) + imaginary)

    return jax.tree.map(draw, arrays)


def _dot(v: Sequence[Any], outputs: Sequence[Any]) -> Any:
    return sum(jnp.sum(a * b).real for a, b in zip(v, outputs, strict=True))
