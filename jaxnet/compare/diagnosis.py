"""Which equation a wrong gradient breaks, in which layer, and by which mistake.

From a mini-batch of one example, a gradient reveals by BP3 the errors that it was made
of. So each layer, from the last down, is checked against the equation that gives it
from the layer above, and a mistake is reported where it is made, not where it is
passed on. What is right for each example alone is then checked for the mini-batch.
"""

import itertools
import math
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxnet.compare import mistakes
from jaxnet.compare.candidate import Candidate, CandidateError
from jaxnet.compare.comparison import tolerance_for
from jaxnet.compare.internals import Internals, Leaves, Problem, internals
from jaxnet.compare.measures import norm_of, relative_error
from jaxnet.compare.mistakes import Mistake
from jaxnet.costs import Cost, quadratic
from jaxnet.layers import Params

_MIXED = "it is not a weighted mean of what it is for each example alone"
_SINGLE = 1e-9, 1e-5  # between which a relative error may be due to float32
_COARSE = {"float16": np.float16, "bfloat16": jnp.bfloat16}
_ALL = "BP1 to BP4"


class Equation(NamedTuple):
    """Whether a gradient satisfies an equation in a layer, or in all layers (0).

    The name "call" stands for what a function does besides returning a gradient.
    """

    name: str
    layer: int
    relative_error: float
    holds: bool
    mistake: str = ""  # in words, if the difference has an explanation

    def __str__(self) -> str:
        if self.name == "call":
            return f"{self.mistake[:1].upper()}{self.mistake[1:]}."
        where = f" in layer {self.layer}" if self.layer else ""
        how = self.mistake or f"relative error {self.relative_error:.1e}"
        name = {"2.4": "The mean over the mini-batch (2.4)"}.get(self.name, self.name)
        verb = "holds" if self.holds else "is broken"
        return f"{name} {verb}{where}" + ("." if self.holds else f": {how}.")


def diagnose(
    candidate: Callable[..., Any],
    params: Params,
    x: Any,
    y: Any,
    cost: Cost = quadratic,
) -> list[Equation]:
    """The equations that `candidate`, a gradient in any form, breaks here.

    All is computed in float64, of copies of the arguments. It tells most where layers
    have more neurons than there are examples, as in a `probe`.

    >>> def doubled(params, x, y, cost):
    ...     return jax.tree.map(lambda g: 2 * g, jaxnet.backprop(params, x, y, cost))
    >>> params, x = jaxnet.init(jax.random.key(0), [4, 5, 5]), jnp.eye(4)
    >>> print(*jaxnet.diagnose(doubled, params, x, jnp.ones((4, 5))))
    BP1 is broken in layer 2: 2 times what it should be: the cost without its 1/2.

    Raises ShapeError if the gradient does not have the network's shapes, and
    CandidateError if it raises an exception.
    """
    given = candidate if isinstance(candidate, Candidate) else Candidate(candidate)
    with jax.enable_x64(True):
        rows = equations(given, Problem(params, x, y, cost).in_float64())
    return [row for row in rows if not row.holds]


def equations(candidate: Candidate, problem: Problem) -> list[Equation]:
    """BP1 to BP4 in every layer and the mean over the mini-batch (2.4), in float64.

    Where a mistake in all arrays explains everything, that only. Where BP1 or BP2 is
    broken, BP3 and BP4 are checked with the candidate's own errors.
    """
    params, x, y, cost = problem
    batch = jax.tree.leaves(candidate(*problem))
    inside = internals(problem).as_pooled(batch)
    try:
        rows = zip(x[:, None], y[:, None], strict=True)
        each = [jax.tree.leaves(candidate(params, *row, cost)) for row in rows]
    except (CandidateError, ArithmeticError):
        each = []  # it need not take a mini-batch of one
    if candidate.unsteady > inside.tolerance:
        words = (
            "not deterministic: two calls with the same arguments differ by "
            f"{candidate.unsteady:.1e} (relative)"
        )
        return [Equation("call", 0, candidate.unsteady, False, words)]
    examples = [np.stack(leaf) for leaf in zip(*each, strict=True)]
    found = _rows(batch, examples, inside, problem)
    if examples and _in_float32(found, examples, inside):
        wide = 16 * tolerance_for(np.float32, 1) + inside.tolerance
        again = _rows(batch, examples, inside._replace(tolerance=wide), problem)
        if all(row.holds for row in again):
            candidate.precision, found = "float32", again
    if candidate.modified:
        words = f"it writes into its arguments: {', '.join(sorted(candidate.modified))}"
        call = Equation("call", 0, 0.0, False, words)
        known = all(row.holds or row.mistake not in ("", _MIXED) for row in found)
        found = [*found, call] if known else [call]
    return found


def _in_float32(found: list[Equation], examples: Leaves, inside: Internals) -> bool:
    """Whether the errors may be rounding: of such numbers, or small and random.

    Random errors point nowhere, as an offset or a factor does.
    """
    broken = [row for row in found if not row.holds]
    if not broken or any(_representable(examples, d) for d in _COARSE.values()):
        return False
    least, most = _SINGLE
    small = (
        row.mistake in ("", _MIXED) and least < row.relative_error < most
        for row in broken
    )
    unit = [], []
    for actual, truth in zip(examples, inside.all_gradients(), strict=True):
        for each, array in zip(unit, (actual - truth, truth), strict=True):
            each.append(array.ravel() * array.size**0.5 / (norm_of(array) or 1))
    error, truth = map(np.concatenate, unit)
    random = abs(error.mean()) < 0.5 and abs((error * truth).mean()) < 0.5
    return bool(all(small) and random) or _representable(examples, np.float32)


def _representable(leaves: Leaves, dtype: Any) -> bool:
    with np.errstate(all="ignore"):
        return all((leaf.astype(dtype) == leaf).all() for leaf in leaves)


def _rows(
    batch: Leaves, examples: Leaves, inside: Internals, problem: Problem
) -> list[Equation]:
    truth = inside.all_gradients()
    roundings = [r for l in range(len(inside.params)) for r in inside.rounding(l)]
    mean = partial(_mean, batch, inside=inside, problem=problem)
    if not examples or (_finite(batch) and not _finite(examples)):
        return mean(truth, roundings)
    share = inside.factor(examples, truth)
    sums = [leaf.sum(axis=0) for leaf in examples]
    if 0 < share < 1 - inside.tolerance and all(map(inside.match, batch, sums)):
        if len(problem.x) > 1:
            words = f"divided by {1 / share:.6g}, whatever the number of examples"
            return [Equation("2.4", 0, 1 - share, False, words)]
    rows = _layers(examples, inside, problem)
    broken = [row for row in rows if not row.holds]
    of_batch = mean(truth, roundings)
    no_information = _any(batch) and not all(leaf.any() for leaf in examples)
    explained = of_batch[0].layer == 0 and of_batch[0].mistake not in ("", _MIXED)
    if not broken or (no_information and explained):
        return [*(row for row in rows if row.holds), *of_batch]
    unexplained = any(row.mistake[:10] in ("", "wrong only") for row in broken)
    if unexplained and _finite(examples) and _any(examples):
        error = max(map(relative_error, examples, truth))
        for name, dtype in _COARSE.items():
            if _representable(examples, dtype):
                return [Equation(_ALL, 0, error, False, f"computed in {name}")]
        likely = mistakes.of_all(examples, inside, problem)
        found = explain(examples, truth, likely, inside, "{:.6g} times".format)
        if found.words:
            name = found.equation or _ALL
            return [Equation(name, found.layer, error, False, found.words)]
    if _finite(examples):
        of_batch = mean(examples, [np.zeros(1)] * len(examples))
        rows += [r for r in of_batch if not r.holds and r.mistake != _MIXED]
    return rows


def _finite(arrays: Iterable[np.ndarray]) -> bool:
    return all(np.isfinite(array).all() for array in arrays)


def _any(arrays: Iterable[np.ndarray]) -> bool:
    return any(array.any() for array in arrays)


def _layers(examples: Leaves, inside: Internals, problem: Problem) -> list[Equation]:
    """BP1 to BP4 of each layer, from the last down, at each example.

    A layer without parameters, as pooling, does not show its errors: each mistake that
    may have been made there is followed to the next layer that does.
    """
    rows, left, earlier = [], list(examples), []
    last = len(inside.params) - 1
    name, errors, factor = "BP1", inside.delta[last], inside.grad_a
    likely = mistakes.output_errors(inside, problem)
    for l in range(last, -1, -1):
        if l < last:
            name, slope, carry = "BP2", inside.slope[l], partial(inside.carried, l + 1)
            likely = mistakes.hidden_errors(inside, l, errors, factor)
            earlier = [m._replace(value=carry(m.value) * slope) for m in earlier]
            factor = carry(errors)
            errors = factor * slope
        count = len(jax.tree.leaves(inside.params[l]))
        leaves, left = left[len(left) - count :], left[: len(left) - count]
        if leaves:
            found, errors = _layer(
                name, l, leaves, errors, itertools.chain(earlier, likely), inside
            )
            rows, earlier = rows + found, []
            continue
        for m in likely:
            same = np.shape(m.value) == errors.shape
            if m.direction is None and same and not inside.match(m.value, errors):
                earlier.append(m._replace(equation=name, layer=l + 1))
    return rows


def _layer(
    name: str,
    l: int,
    leaves: Leaves,
    right: np.ndarray,
    likely: Iterable[Mistake],
    inside: Internals,
) -> tuple[list[Equation], np.ndarray]:
    """The equations of a layer with parameters, and the errors that it was made of."""
    n, made, rounding = l + 1, partial(inside.gradients, l), inside.rounding(l)
    say = partial(_factor_in_words, inside, l)
    found, (w, b), expected = Mistake("", right), leaves, made(right)
    exact = all(map(inside.match, leaves, expected, rounding))
    dense = b.shape == right.shape
    common = dense and inside.match(w, made(b)[0])  # so their errors are what is wrong
    if not exact and common:
        found = explain([b], right, likely, inside, say(name))
        found = found._replace(words=found.words or _in_words(b, right), value=b)
    elif not exact and not dense:
        found = explain(leaves, right, likely, inside, say(name), made)
    if not (exact or common or found.words):
        rows = [Equation(name, n, math.nan, True)]
        for equation, i, gradients in (
            ("BP3", 1, mistakes.bias_gradients),
            ("BP4", 0, mistakes.weight_gradients),
        ):
            words, error = "", relative_error(leaves[i], expected[i])
            holds = inside.match(leaves[i], expected[i], rounding[i])
            if not holds:
                ones = gradients(inside, l, right)
                words = explain(
                    [leaves[i]], expected[i], ones, inside, say(equation)
                ).words or _in_words(leaves[i], expected[i])
            rows.append(Equation(equation, n, error, holds, words))
        return rows, right
    errors = list(map(relative_error, leaves, made(found.value)))
    rows = [Equation("BP3", n, errors[1], True), Equation("BP4", n, errors[0], True)]
    if exact or found.layer:
        rows.insert(0, Equation(name, n, min(errors), True))
    if not exact:
        name, n = found.equation or name, found.layer or n
        error = relative_error(found.value, right)
        rows.insert(0, Equation(name, n, error, False, found.words))
    return rows, found.value


def _mean(
    batch: Leaves,
    examples: Leaves,
    roundings: Leaves,
    inside: Internals,
    problem: Problem,
) -> list[Equation]:
    """The mean over the mini-batch (2.4), or the BP3 and BP4 where alone it breaks."""
    m, rows, means = len(problem.x), [], [leaf.mean(axis=0) for leaf in examples]
    say = partial(_share_in_words, m)
    named = jax.tree_util.tree_leaves_with_path(inside.params)
    for (path, _), actual, mean, rounding in zip(
        named, batch, means, roundings, strict=True
    ):
        holds = inside.match(actual, mean, rounding.mean(axis=0))
        words = "" if holds else explain([actual], mean, (), inside, say).words
        where = "BP3" if path[1].name == "b" else "BP4", path[0].idx + 1
        rows.append(Equation(*where, relative_error(actual, mean), holds, words))
    overall = Equation("2.4", 0, max(row.relative_error for row in rows), rows[0].holds)
    kinds = {(row.holds, row.mistake) for row in rows}
    if len(kinds) == 1 and (rows[0].holds or rows[0].mistake):
        return [overall._replace(mistake=rows[0].mistake)]
    likely = mistakes.of_the_mean(batch, inside, problem)
    words = explain(batch, means, likely, inside, say).words
    if not words and sum(leaf.size for leaf in batch) > 2 * m and _finite(batch):
        shares, error = mistakes.shares(batch, examples)
        words = _weights(shares) if error <= 1e3 * inside.tolerance else ""
    if words or len(kinds) == 1:
        return [overall._replace(holds=False, mistake=words or _MIXED)]
    return [
        row._replace(mistake=row.mistake or _MIXED) for row in rows if not row.holds
    ]


def explain(
    actual: Leaves,
    right: Any,
    likely: Iterable[Mistake],
    inside: Internals,
    say: Callable[[float], str],
    make: Callable[[Any], Leaves] | None = None,
) -> Mistake:
    """The mistake that results in `actual` in place of `right`; without words if none.

    Both are arrays or lists of arrays, or errors of which `make` makes the arrays;
    `say` puts a factor in words.
    """

    def made(value: Any) -> Leaves:
        value = make(value) if make else value
        return value if isinstance(value, list) else [value]

    if not any(np.isfinite(leaf).all() for leaf in actual):
        return Mistake("nan or infinity", right)
    if not _any(actual):
        return Mistake("it is zero", jax.tree.map(np.zeros_like, right))
    scaled = []
    for m in likely:
        if make and np.shape(m.value) != np.shape(right):
            continue
        if m.direction is not None:
            if c := inside.factor(actual, made(m.direction), made(m.value)):
                return m._replace(words=m.words.format(c=c))
        elif c := inside.factor(actual, made(m.value)):
            if abs(c - 1) <= inside.tolerance:
                return m
            value = jax.tree.map(lambda v, c=c: c * v, m.value)
            scaled.append(m._replace(words=f"{m.words}, and {say(c)}", value=value))
    if c := inside.factor(actual, made(right)):
        return Mistake(say(c), jax.tree.map(lambda v: c * v, right))
    return scaled[0] if scaled else Mistake("", right)


def _in_words(actual: np.ndarray, right: np.ndarray) -> str:
    """What can be seen of an array of each example that no mistake explains."""
    if (actual == np.round(actual)).all():
        return "rounded to integers"
    wrong = ~np.isclose(actual, right, rtol=1e-9, atol=1e-12).all(axis=0)
    if not 0 < wrong.sum() <= max(1, wrong.size // 4):
        return ""
    places = [", ".join(map(str, place)) for place in np.argwhere(wrong)[:8]]
    more = f" and {wrong.sum() - 8} more places" if wrong.sum() > 8 else ""
    return f"wrong only at [{'], ['.join(places)}]{more}"


def _factor_in_words(inside: Internals, l: int, name: str) -> Callable[[float], str]:
    """How many times too large, and what has such a factor in this equation."""
    n, places = inside.a[-1][0].size, math.prod(inside.delta[l].shape[2:])
    known = {
        "BP1": {
            2.0: "the cost without its 1/2",
            1 / n: f"a mean over the {n} outputs, not a sum",
            2 / n: f"a mean of squares over the {n} outputs, as PyTorch's MSELoss",
            1 / math.log(2): "log base 2",
            1 / math.log(10): "log base 10",
        },
        "BP3": {1 / places: f"a mean over the {places} places, not a sum"},
        "BP4": {1 / places: f"a mean over the {places} places, not a sum"},
    }.get(name, {})

    def say(factor: float) -> str:
        if abs(factor + 1) < 1e-6:
            return "the sign is wrong"
        words = [w for f, w in known.items() if f != 1 and abs(factor / f - 1) < 1e-9]
        return ": ".join([f"{factor:.10g} times what it should be", *words[:1]])

    return say


def _share_in_words(m: int, factor: float) -> str:
    known = {
        m: "summed over the mini-batch, not averaged",
        1 / m: f"averaged twice over the {m} examples",
        m / (m - 1 or 0.5): f"divided by {m - 1}, one less than the examples",
    }
    near = (words for f, words in known.items() if abs(factor / f - 1) < 1e-6)
    return next(near, f"{factor:.6g} times the mean over the mini-batch")


def _weights(shares: np.ndarray) -> str:
    m = len(shares)
    used = np.abs(shares) >= 1e-6 / m
    if not used.all() and np.ptp(shares[used]) < 1e-6:
        k = int(used.sum())
        if used[:k].all() and m - k > 1:
            divisor = 1 / shares[0]
            scale = "" if abs(divisor / k - 1) < 1e-6 else f", divided by {divisor:.6g}"
            return f"only the first {k} of {m} examples are used{scale}"
        missing = " and ".join(str(i) for i in np.flatnonzero(~used)[:8])
        return f"example {missing} of 0 to {m - 1} is left out"
    weights = ", ".join(f"{share:.3g}" for share in shares[:8])
    return f"examples weighted {weights}{', ...' if m > 8 else ''}, not 1/{m} each"
