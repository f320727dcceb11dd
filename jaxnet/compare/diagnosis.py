"""Which equation a wrong gradient breaks, in which layer, and by which mistake.

From a mini-batch of one example, a gradient reveals by BP3 the errors that it was made
of. So each layer, from the last down, is checked against the equation that gives it
from the layer above, and a mistake is reported where it is made, not where it is
passed on. What is right for each example alone is then checked for the mini-batch.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxnet.compare import mistakes
from jaxnet.compare.candidate import Candidate, CandidateError
from jaxnet.compare.comparison import norm_of, relative_error, tolerance_for
from jaxnet.compare.internals import Internals, Leaves, Problem, internals
from jaxnet.compare.minibatch import mean_mistake
from jaxnet.compare.mistakes import Mistake
from jaxnet.costs import Cost, quadratic
from jaxnet.layers import Params

_MIXED = "it is not a weighted mean of what it is for each example alone"
_SINGLE = 1e-9, 1e-5  # between which a relative error may be due to float32


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
    inside = internals(problem)
    batch = jax.tree.leaves(candidate(*problem))
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
    examples = [
        np.concatenate([g[None] for g in leaf]) for leaf in zip(*each, strict=True)
    ]
    found = _rows(batch, examples, inside, problem)
    broken = [row for row in found if not row.holds]
    if broken and examples:
        rounded = all(map(_is_rounding, broken)) and _random(examples, inside)
        float32 = rounded or _representable(examples, np.float32)
        coarser = (_representable(examples, d) for d in (np.float16, jnp.bfloat16))
        if float32 and not any(coarser):
            wide = inside._replace(
                tolerance=16 * tolerance_for(np.float32, 1) + inside.tolerance
            )
            again = _rows(batch, examples, wide, problem)
            if all(row.holds for row in again):
                candidate.precision, found = "float32", again
    if candidate.modified:
        words = f"it writes into its arguments: {', '.join(sorted(candidate.modified))}"
        call = Equation("call", 0, 0.0, False, words)
        known = all(row.holds or row.mistake not in ("", _MIXED) for row in found)
        found = [*found, call] if known else [call]
    return found


def _is_rounding(row: Equation) -> bool:
    least, most = _SINGLE
    unexplained = row.mistake in ("", _MIXED)
    return unexplained and least < row.relative_error < most


def _random(examples: Leaves, inside: Internals) -> bool:
    """Whether errors point nowhere, as those of rounding do, and an offset does not."""
    errors, truths = [], []
    for actual, truth in zip(examples, inside.all_gradients(), strict=True):
        for found, array in ((errors, actual - truth), (truths, truth)):
            found.append(array.ravel() * array.size**0.5 / (norm_of(array) or 1))
    error, truth = np.concatenate(errors), np.concatenate(truths)
    return bool(abs(error.mean()) < 0.5 and abs((error * truth).mean()) < 0.5)


def _representable(leaves: Leaves, dtype: Any) -> bool:
    with np.errstate(all="ignore"):
        return all((leaf.astype(dtype) == leaf).all() for leaf in leaves)


def _rows(
    batch: Leaves, examples: Leaves, inside: Internals, problem: Problem
) -> list[Equation]:
    truth = inside.all_gradients()
    roundings = [r for l in range(len(inside.params)) for r in inside.rounding(l)]
    if not examples or (_finite(batch) and not _finite(examples)):
        return _mean(batch, truth, roundings, inside, problem)
    if divisor := _constant_divisor(batch, examples, truth, inside):
        words = f"divided by {divisor:.6g}, whatever the number of examples"
        return [Equation("2.4", 0, abs(1 / divisor - 1), False, words)]
    rows = list(_layers(examples, inside, problem))
    broken = [row for row in rows if not row.holds]
    mean = _mean(batch, truth, roundings, inside, problem)
    no_information = _any(batch) and not all(leaf.any() for leaf in examples)
    explained = mean[0].layer == 0 and mean[0].mistake not in ("", _MIXED)
    if not broken or (no_information and explained):
        return [*(row for row in rows if row.holds), *mean]
    if any(not row.mistake or row.mistake.startswith("wrong only") for row in broken):
        if row := _whole(examples, truth, inside, problem):
            return [row]
    if _finite(examples):
        own = [np.zeros_like(leaf) for leaf in examples]
        mean = _mean(batch, examples, own, inside, problem)
        rows += [r for r in mean if not r.holds and r.mistake != _MIXED]
    return rows


def _finite(arrays: Iterable[np.ndarray]) -> bool:
    return all(np.isfinite(array).all() for array in arrays)


def _any(arrays: Iterable[np.ndarray]) -> bool:
    return any(array.any() for array in arrays)


def _whole(
    examples: Leaves, truth: Leaves, inside: Internals, problem: Problem
) -> Equation | None:
    """The mistake in all arrays that explains everything."""
    if not _finite(examples) or not _any(examples):
        return None
    error = max(map(relative_error, examples, truth))
    for name, dtype in (("float16", np.float16), ("bfloat16", jnp.bfloat16)):
        if _representable(examples, dtype):
            return Equation("BP1 to BP4", 0, error, False, f"computed in {name}")
    for name, layer, words, value, direction in mistakes.whole(
        examples, inside, problem
    ):
        if direction is not None:
            if c := mistakes.fitted(examples, value, direction, inside):
                return Equation(name, layer, error, False, words.format(c=c))
        elif all(map(inside.match, examples, value)):
            return Equation(name, layer, error, False, words)
    return None


class _Errors(NamedTuple):
    """Errors of a layer that a gradient may have been made of."""

    delta: np.ndarray
    factor: np.ndarray | None  # what sigma' multiplies in them
    broken: tuple[Equation, ...] = ()  # by which mistakes further up


def _layers(
    examples: Leaves, inside: Internals, problem: Problem
) -> Iterator[Equation]:
    """BP1 to BP4 of each layer, from the last down, at each example.

    A layer without parameters, as pooling, does not show its errors: each mistake that
    may have been made there is followed to the next layer that does.
    """
    counts = [len(jax.tree.leaves(layer)) for layer in inside.params]
    last, possible = len(counts) - 1, [_Errors(inside.delta[-1], inside.grad_a)]
    for l in range(last, -1, -1):
        n, name = l + 1, "BP1" if l == last else "BP2"
        leaves = examples[sum(counts[:l]) : sum(counts[: l + 1])]
        above = possible
        if l < last:
            carried = [inside.carried(n, each.delta) for each in above]
            possible = [
                _Errors(c * inside.slope[l], c, each.broken)
                for c, each in zip(carried, above, strict=True)
            ]

        def likely(
            i: int, l: int = l, above: list[_Errors] = above
        ) -> Iterator[Mistake]:
            if l == last:
                return mistakes.output_errors(inside, problem)
            return mistakes.hidden_errors(inside, l, above[i].delta, above[i].factor)

        if not leaves:
            possible += [
                _Errors(
                    m.value,
                    possible[0].factor,
                    (_broken(name, n, m, possible[0].delta),),
                )
                for m in likely(0)
                if m.direction is None and np.shape(m.value) == possible[0].delta.shape
            ]
            continue
        rows, chosen = _observed(name, n, leaves, possible, likely, inside)
        yield from rows
        possible = [chosen]


def _broken(name: str, n: int, mistake: Mistake, delta: np.ndarray) -> Equation:
    error = relative_error(np.asarray(mistake.value), delta)
    return Equation(name, n, error, False, mistake.sentence)


def _observed(
    name: str,
    n: int,
    leaves: Leaves,
    possible: list[_Errors],
    likely: Callable[[int], Iterator[Mistake]],
    inside: Internals,
) -> tuple[list[Equation], _Errors]:
    """The equations of a layer with parameters, and the errors that it was made of."""
    l, rounding = n - 1, inside.rounding(n - 1)

    def agree(delta: np.ndarray) -> bool:
        return all(map(inside.match, leaves, inside.gradients(l, delta), rounding))

    def both(delta: np.ndarray) -> Iterator[Equation]:
        for equation, leaf, expected in zip(
            ("BP4", "BP3"), leaves, inside.gradients(l, delta), strict=False
        ):
            yield Equation(equation, n, relative_error(leaf, expected), True)

    for each in possible:
        if agree(each.delta):
            bp4, bp3 = both(each.delta)
            error = min(bp3.relative_error, bp4.relative_error)
            return [*each.broken, Equation(name, n, error, True), bp3, bp4], each
    delta, factor, _ = possible[0]
    w, b = leaves
    dense = b.shape == delta.shape
    made_of_b = dense and inside.match(w, inside.gradients(l, b)[0])
    if made_of_b:  # w and b are made of the same error, so that is what is wrong
        error, words = (
            relative_error(b, delta),
            mistakes.explain(b, delta, likely(0), inside),
        )
        bp4, bp3 = both(b)
        row = Equation(name, n, error, False, words)
        return [row, bp3, bp4], _Errors(b, factor)
    for i, each in enumerate(() if dense else possible):
        for m in likely(i):
            if m.direction is None and m.value.shape == delta.shape and agree(m.value):
                bp4, bp3 = both(m.value)
                return [*each.broken, _broken(name, n, m, delta), bp3, bp4], _Errors(
                    m.value, None
                )
    expected = inside.gradients(l, delta)
    scale = float(np.vdot(expected[0], w) / (np.vdot(expected[0], expected[0]) or 1))
    if scale and not dense and agree(scale * delta):
        bp4, bp3 = both(scale * delta)
        words = mistakes.factor_in_words(scale, inside)
        row = Equation(name, n, abs(scale - 1), False, words)
        return [row, bp3, bp4], _Errors(scale * delta, None)
    rows = _each_alone(n, leaves, delta, inside)
    return [Equation(name, n, float("nan"), True), *rows], possible[0]


def _each_alone(
    n: int, leaves: Leaves, delta: np.ndarray, inside: Internals
) -> list[Equation]:
    """BP3 and BP4 of a layer whose weights and biases agree with no common error."""
    l, (_, b), rows = n - 1, leaves, []
    expected, rounding = inside.gradients(l, delta), inside.rounding(l)
    others = mistakes.weight_gradients(inside, l, delta, b)
    for equation, i, likely_ones in (
        ("BP3", 1, mistakes.bias_gradients(inside, l)),
        ("BP4", 0, others),
    ):
        error = relative_error(leaves[i], expected[i])
        holds = inside.match(leaves[i], expected[i], rounding[i])
        words = (
            ""
            if holds
            else mistakes.explain(leaves[i], expected[i], likely_ones, inside)
        )
        rows.append(Equation(equation, n, error, holds, words))
    return rows


def _constant_divisor(
    batch: Leaves, examples: Leaves, truth: Leaves, inside: Internals
) -> float | None:
    """The number by which sums over examples are divided, if it is always the same."""
    size = sum(float(np.vdot(leaf, leaf)) for leaf in truth)
    if len(examples[0]) == 1 or not size > 0:  # a sum is a mean, or both are 0
        return None
    share = sum(map(np.vdot, truth, examples)) / size
    if not 0 < share < 1 or abs(share - 1) <= inside.tolerance:
        return None
    shares = [share * leaf for leaf in truth]
    sums = [leaf.sum(axis=0) for leaf in examples]
    always = map(inside.match, [*examples, *batch], [*shares, *sums])
    return 1 / float(share) if all(always) else None


def _mean(
    batch: Leaves,
    examples: Leaves,
    roundings: Leaves,
    inside: Internals,
    problem: Problem,
) -> list[Equation]:
    """The mean over the mini-batch (2.4), or the BP3 and BP4 where alone it breaks."""
    rows, named = [], jax.tree_util.tree_leaves_with_path(inside.params)
    for (path, _), actual, leaf, rounding in zip(
        named, batch, examples, roundings, strict=True
    ):
        expected = leaf.mean(axis=0)
        holds = inside.match(actual, expected, rounding.mean(axis=0))
        name = "BP3" if path[1].name == "b" else "BP4"
        words = "" if holds else mean_mistake([actual], [leaf], inside)
        error = relative_error(actual, expected)
        rows.append(Equation(name, path[0].idx + 1, error, holds, words))
    overall = Equation("2.4", 0, max(row.relative_error for row in rows), rows[0].holds)
    kinds = {(row.holds, row.mistake) for row in rows}
    if len(kinds) == 1 and (rows[0].holds or rows[0].mistake):
        return [overall._replace(mistake=rows[0].mistake)]
    words = mean_mistake(batch, examples, inside, problem)
    if words or len(kinds) == 1:
        return [overall._replace(holds=False, mistake=words or _MIXED)]
    wrong = [row for row in rows if not row.holds]
    return [row if row.mistake else row._replace(mistake=_MIXED) for row in wrong]
