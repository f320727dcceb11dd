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

from jaxnet.compare.comparison import matched, norm_of, relative_error
from jaxnet.forms import name_of

_FEW, _DIRECTIONS = 10, 6  # elements of which each is an axis, or else directions
_STEPS = 0.1 * 2.0 ** -np.arange(12)  # of the size of the array
_SEVERAL = 4  # steps
_KNOWN = 1e-3  # a larger relative uncertainty of differences tells nothing

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
        names = [row.name for row in self.rows]
        width = max(map(len, ["array", *names]))
        heads = (
            f"{'shape':>9}{'from JAX':>10}{'from differences':>18}{'their error':>13}"
        )
        lines = [f"{'array':<{width}}{heads}"]
        for row in self.rows:
            jax_s = "-" if row.from_jax is None else f"{row.from_jax:.1e}"
            shape = "x".join(map(str, row.shape)) or "()"
            verdict = "agrees" if row.agrees else "DIFFERS"
            lines.append(
                f"{row.name:<{width}}{shape:>9}{jax_s:>10}{row.from_differences:>18.1e}"
                f"{row.uncertainty:>13.1e}  {verdict}{', ' * bool(row.note)}{row.note}"
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
        problems: list[str] = []
        actual = _called_twice("gradient", gradient, args, problems)
        function = _compiled(f, args)
        value = np.asarray(_called_twice("f", function, args, problems))
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
            return float(function(*map(_copied, given)))

        rows = _rows(moved, args[argnums], actual, automatic, tolerance)
        return Check(list(rows), problems)


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
        problems = _differing(
            "the output of the rule's forward pass", outputs, f(*args)
        )
        v = _random_like(outputs, np.random.default_rng(seed))
        actual = pull(v)

        def vjp(*args: Any) -> Any:
            return jax.vjp(f, *args)[1](v)

        problems += _under_transformations(vjp, args, actual)
        function = _compiled(lambda *args: _dot(v, f(*args)), args)
        rows = list(_rows(lambda a: float(function(*a)), args, actual, None, tolerance))
        if order > 1:
            again = check_vjp(
                vjp, *args, order=order - 1, tolerance=tolerance, seed=seed + 1
            )
            rows += [row._replace(name=f"2nd {row.name}") for row in again.rows]
            problems += again.problems
        return Check(rows, problems)


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

        def jvp(*args: Any) -> Any:
            return jax.jvp(f, args, tangents)[1]

        outputs, actual = jax.jvp(f, args, tangents)
        problems = _differing(
            "the output of the rule's forward pass", outputs, f(*args)
        )
        problems += _under_transformations(jvp, args, actual)
        function, rows = _compiled(f, args), []
        for i, (path, leaf) in enumerate(_leaves(actual)):
            v = rng.normal(size=leaf.shape)

            def along(t: float, i: int = i, v: np.ndarray = v) -> float:
                moved = jax.tree.map(partial(_moved, t), args, tangents)
                output = np.asarray(jax.tree.leaves(function(*moved))[i])
                return float(np.vdot(v, np.real(output)))

            pair = (
                float(np.vdot(v, np.real(np.asarray(leaf)))),
                _difference(along, 1.0),
            )
            name = f"output{name_of(path) if path else ''}"
            rows.append(_row(name, leaf.shape, [pair], None, tolerance))
        if order > 1:
            again = check_jvp(
                jvp, *args, order=order - 1, tolerance=tolerance, seed=seed + 1
            )
            rows += [row._replace(name=f"2nd {row.name}") for row in again.rows]
            problems += again.problems
        return Check(rows, problems)


class _Slope(NamedTuple):
    value: float
    error: float
    sides: tuple[float, float] | None = None  # of a kink: the slopes left and right


def _difference(along: Callable[[float], float], size: float) -> _Slope:
    """The slope at 0, by Richardson's extrapolation of central differences.

    The error is how far the entries of the table with the smallest changes differ.
    """
    here = along(0.0)
    steps, table, rounding = size * _STEPS, [], 0.0
    entries: list[tuple[float, float]] = []  # for each step, a change and the value
    with np.errstate(all="ignore"):
        ends = [(along(-h), along(h)) for h in steps]
        for h, (left, right) in zip(steps, ends, strict=True):
            row = [(right - left) / (2 * h)]
            for k, above in enumerate(table[-1] if table else [], start=1):
                row.append(row[-1] + (row[-1] - above) / (4.0**k - 1))
            rounding = 4 * np.finfo(float).eps * (abs(left) + abs(right)) / h
            found = [
                (max(abs(row[k] - above), abs(row[k] - row[k - 1])) + rounding, row[k])
                for k, above in enumerate(table[-1] if table else [], start=1)
            ]
            entries += [min(found)] if np.isfinite(found).all() and found else []
            table.append(row)
        if len(entries) < _SEVERAL:
            return _Slope(np.nan, np.inf)
        # One small change may be chance: several steps have to lead to the same value.
        changes, values = np.array(sorted(entries)[:_SEVERAL]).T
        error, last = (
            max(changes[-1], float(np.ptp(values))),
            abs(table[-1][0] - values[0]),
        )
        if last > 0.01 * abs(values[0]) + rounding:  # nor does a smaller step agree
            error = max(error, last)
        best = _Slope(values[0], error)
        jumps = [
            (right + left - 2 * here) / h
            for h, (left, right) in zip(steps, ends, strict=True)
        ]
        # Where f is smooth, the one-sided slopes come together as h does.
        jump, noise = abs(jumps[-1]), 16 * np.finfo(float).eps * abs(here) / steps[-1]
        steady = np.ptp(jumps[-4:]) < 0.1 * jump
        if steady and jump > noise + 1e-6 * abs(best.value):
            left = (here - ends[-1][0]) / steps[-1]
            right = (ends[-1][1] - here) / steps[-1]
            return _Slope((left + right) / 2, abs(right - left), (left, right))
    return best


def _rows(
    function: Callable[[Any], float],
    argument: Any,
    actual: Any,
    automatic: Any,
    tolerance: float,
) -> Iterator[Row]:
    """A row for each array of the argument that is not of integers."""
    wanted = jax.tree.map(lambda a: a if _is_inexact(a) else None, argument)
    automatics = {}
    if automatic is not None:
        found = matched(_without_integers(automatic), wanted)
        automatics = {name: np.asarray(a) for name, a, _ in found}
    leaves, tree = jax.tree.flatten(argument)
    places = [i for i, leaf in enumerate(leaves) if _is_inexact(leaf)]
    rng = np.random.default_rng(0)
    pairs = zip(matched(_without_integers(actual), wanted), places, strict=True)
    for (name, slopes, leaf), place in pairs:
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
                changed = [_copied(each) for each in leaves]
                changed[place] = leaves[place] + t * direction
                return function(jax.tree.unflatten(tree, changed))

            slope = float(np.sum(slopes * direction).real)
            both.append((slope, _difference(along, size)))
        note, from_jax = "", None
        if (exact := automatics.get(name)) is not None:
            from_jax = relative_error(slopes, exact)
            if (
                from_jax > tolerance
                and relative_error(slopes.conj(), exact) <= tolerance
            ):
                note = "the complex conjugate, as PyTorch defines it"
        row = _row(name, leaf.shape, both, from_jax, tolerance)
        yield row._replace(note=note) if note else row


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
    errors = np.array([actual - slope.value for actual, slope in smooth])
    error = norm_of(errors) / size
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
        for place in np.ndindex(leaf.shape):
            for unit in units:
                direction = np.zeros_like(leaf)
                direction[place] = unit
                yield direction
        return
    for _ in range(_DIRECTIONS):
        direction = sum(unit * rng.normal(size=leaf.shape) for unit in units)
        yield direction / np.linalg.norm(direction)


def _called_twice(name: str, function: Function, args: Any, problems: list[str]) -> Any:
    """The result for copies of the arguments; tells what else a call does."""
    results = []
    for _ in range(2):
        given = jax.tree.map(_copied, args)
        try:
            results.append(function(*given))
        except Exception:  # it may need arrays of JAX's
            given = jax.device_put(given)
            results.append(function(*given))
        kept = zip(_leaves(given), jax.tree.leaves(args), strict=True)
        changed = [
            jax.tree_util.keystr(path[1:]) or f"argument {path[0].idx}"
            for (path, leaf), before in kept
            if not np.array_equal(leaf, before, equal_nan=_is_inexact(before))
        ]
        line = f"{name} writes into its arguments: {', '.join(changed)}"
        if changed and line not in problems:
            problems.append(line)
    problems += _differing(f"a second call of {name}", results[1], results[0])
    return results[0]


def _differing(what: str, one: Any, other: Any, most: float = 1e-12) -> list[str]:
    """A line that says how far two results are apart, if they are."""
    pairs = zip(*map(jax.tree.leaves, (one, other)), strict=True)
    arrays = [(np.asarray(a), np.asarray(b)) for a, b in pairs if _is_inexact(a)]
    sizes = [(norm_of(np.abs(a - b)), norm_of(np.abs(b)) or 1.0) for a, b in arrays]
    apart = max((difference / size for difference, size in sizes), default=0.0)
    return [f"{what} differs by {apart:.1e}"] if not apart <= most else []


def _under_transformations(function: Function, args: Any, expected: Any) -> list[str]:
    twice = jax.tree.map(lambda a: jnp.stack([a, a]), args)
    problems = _differing("under jit, it", jax.jit(function)(*args), expected)
    found = jax.tree.map(lambda a: a[1], jax.vmap(function)(*twice))
    return problems + _differing("under vmap, it", found, expected)


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


def _copied(leaf: Any) -> Any:
    return jax.tree.map(
        lambda a: np.array(a, order="K") if isinstance(a, np.ndarray) else a, leaf
    )


def _is_inexact(leaf: Any) -> bool:
    return jnp.issubdtype(jnp.result_type(leaf), jnp.inexact)


def _without_integers(tree: Any) -> Any:
    """Gradients with respect to integers, which have none, left out."""

    def kept(leaf: Any) -> Any:
        dtype = getattr(leaf, "dtype", np.dtype(float))
        empty = dtype == jax.dtypes.float0 or (dtype.kind in "iub" and not np.any(leaf))
        return None if empty else leaf

    return jax.tree.map(kept, tree)


def _leaves(tree: Any) -> list[tuple[Any, Any]]:
    return jax.tree_util.tree_leaves_with_path(tree)


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
