"""Which equation a wrong gradient breaks, in which layer, and perhaps how.

From a mini-batch of one example, a gradient reveals by BP3 the errors that it was made
of. So each layer, from the last down, is checked against the equation that gives it
from the layer above, and a mistake is reported where it is made, not where it is
passed on.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import jax
import numpy as np

from jaxnet.compare import mistakes
from jaxnet.compare.candidate import CandidateError
from jaxnet.compare.comparison import compare_trees, relative_error
from jaxnet.compare.forward_pass import forward_mistake
from jaxnet.compare.internals import Arrays, Internals, Problem, internals, outer
from jaxnet.costs import Cost, quadratic
from jaxnet.gradients import Gradient, Inputs, Targets
from jaxnet.layers import Params


class Equation(NamedTuple):
    """Whether a gradient satisfies an equation in a layer, or in all layers (0)."""

    name: str
    layer: int
    relative_error: float
    holds: bool
    mistake: str = ""  # in words, if the difference has an explanation
    single_precision: bool = False  # whether rounding to float32 is the explanation


def diagnose(
    candidate: Gradient, params: Params, x: Inputs, y: Targets, cost: Cost = quadratic
) -> list[Equation]:
    """The equations that `candidate`, a gradient like `backprop`, breaks here.

    It tells most in float64, and where layers have more neurons than there are
    examples, as in a `probe`.

    >>> def doubled(params, x, y, cost):
    ...     return jax.tree.map(lambda g: 2 * g, jaxnet.backprop(params, x, y, cost))
    >>> params, x = jaxnet.init(jax.random.key(0), [4, 5, 5]), jnp.eye(4)
    >>> for equation in jaxnet.diagnose(doubled, params, x, jnp.ones((4, 5))):
    ...     print(equation.name, "is broken in layer", equation.layer)
    BP1 is broken in layer 2

    Raises ShapeError if the gradient does not have the network's shapes.
    """
    rows = equations(candidate, Problem(params, x, y, cost))
    return [row for row in rows if not row.holds]


def equations(candidate: Gradient, problem: Problem) -> list[Equation]:
    """BP1 to BP4 in every layer and the mean over the mini-batch (2.4).

    Where a mistake in the forward pass explains everything, (2.3) only.
    Where BP1 or BP2 is broken, BP3 and BP4 are checked with the candidate's own errors.
    """
    params, x, y, cost = problem

    def gradient(x: Inputs, y: Targets) -> list[np.ndarray]:
        slopes = candidate(params, x, y, cost=cost)
        compare_trees(slopes, params, np.inf)  # raises for other shapes
        return [np.asarray(leaf, float) for leaf in jax.tree.leaves(slopes)]

    inside = internals(problem)
    batch = gradient(x, y)
    try:
        rows = zip(np.asarray(x)[:, None], np.asarray(y)[:, None], strict=True)
        each = [gradient(jax.device_put(x), jax.device_put(y)) for x, y in rows]
    except (CandidateError, ArithmeticError):
        each = []  # it need not take a mini-batch of one
    examples = [np.stack(leaves) for leaves in zip(*each, strict=True)]
    if not examples or (_finite(batch) and not _finite(examples)):
        return _check_mean(batch, inside)
    divisor = _constant_divisor(batch, examples, inside)
    if divisor:
        mistake = f"divided by {divisor:.6g}, whatever the number of examples"
        return [Equation("2.4", 0, abs(1 / divisor - 1), False, mistake)]
    rows = list(_check_layers(examples, inside))
    broken = [row for row in rows if not row.holds]
    mean = _check_mean(batch, inside)
    no_information = not all(leaf.any() for leaf in examples)
    if not broken or (no_information and mean[0].layer == 0):
        return [*(row for row in rows if row.holds), *mean]
    if not broken[0].mistake:
        found = forward_mistake(examples, inside, problem)
        if found:
            layer, mistake = found
            error = broken[0].relative_error
            return [Equation("2.3", layer, error, False, mistake)]
    if len(broken) == len(examples) and all(row.single_precision for row in broken):
        worst = max(row.relative_error for row in broken)
        mistake = "as if computed in float32"
        return [Equation("BP1 to BP4", 0, worst, False, mistake, True)]
    return rows


def _finite(arrays: Iterable[np.ndarray]) -> bool:
    return all(np.isfinite(array).all() for array in arrays)


def _check_layers(examples: Arrays, inside: Internals) -> Iterator[Equation]:
    """BP1 to BP4 of each layer, from the last down, at each example."""
    last, above = len(inside.w) - 1, inside.delta[-1]
    for l in range(last, -1, -1):
        n, a, rounding = l + 1, inside.a[l], inside.rounding[l]
        w, b = examples[2 * l : 2 * n]
        if l == last:
            name, delta = "BP1", inside.delta[l]
            likely = mistakes.output_errors(inside)
        else:
            name, delta = "BP2", inside.carry(n, above) * inside.slope[l]
            likely = mistakes.hidden_errors(inside, l, above)
        others = mistakes.bias_gradients(inside, l)
        bp3 = _check("BP3", n, b, delta, rounding, others, inside)
        others = mistakes.weight_gradients(inside, l, delta, b)
        product, of_product = outer(delta, a), outer(rounding, np.abs(a))
        bp4 = _check("BP4", n, w, product, of_product, others, inside)
        if not (bp3.holds or bp4.holds) and inside.match(w, outer(b, a)):
            # w and b are made of the same error, so that is what is wrong.
            yield _check(name, n, b, delta, rounding, likely, inside)
            yield Equation("BP3", n, 0.0, True)
            yield Equation("BP4", n, relative_error(w, outer(b, a)), True)
            above = b
        else:
            error = min(bp3.relative_error, bp4.relative_error)
            yield from (Equation(name, n, error, True), bp3, bp4)
            above = delta


def _check(
    name: str,
    layer: int,
    actual: np.ndarray,
    expected: np.ndarray,
    rounding: np.ndarray,
    likely: Iterable[mistakes.Mistake],
    inside: Internals,
) -> Equation:
    error = relative_error(actual, expected)
    if inside.match(actual, expected, rounding):
        return Equation(name, layer, error, True)
    mistake = mistakes.explain(actual, expected, likely, inside)
    if mistake or not error < mistakes.SINGLE_PRECISION:
        return Equation(name, layer, error, False, mistake)
    mistake = f"relative error {error:.0e}, as if computed in float32"
    return Equation(name, layer, error, False, mistake, single_precision=True)


def _constant_divisor(
    batch: Arrays, examples: Arrays, inside: Internals
) -> float | None:
    """The number by which sums over examples are divided, if it is always the same."""
    size = np.vdot(inside.delta[-1], inside.delta[-1])
    if len(examples[0]) == 1 or not size > 0:  # a sum is a mean, or both are 0
        return None
    share = np.vdot(inside.delta[-1], examples[-1]) / size
    if not share > 0 or abs(share - 1) <= inside.tolerance:
        return None
    shares = [share * leaf for leaf in inside.gradients]
    sums = [leaf.sum(axis=0) for leaf in examples]
    always = map(inside.match, [*examples, *batch], [*shares, *sums])
    return 1 / share if all(always) else None


def _check_mean(batch: Arrays, inside: Internals) -> list[Equation]:
    """The mean over the mini-batch (2.4), or the BP3 and BP4 where alone it breaks."""
    rows = []
    leaves = zip(batch, inside.gradients, inside.gradient_rounding, strict=True)
    for i, (actual, examples, rounding) in enumerate(leaves):
        expected = examples.mean(axis=0)
        holds = inside.match(actual, expected, rounding.mean(axis=0))
        mistake = "" if holds else mistakes.explain_mean(actual, examples, inside)
        name, layer = ("BP4", "BP3")[i % 2], i // 2 + 1
        error = relative_error(actual, expected)
        rows.append(Equation(name, layer, error, holds, mistake))
    if len({(row.holds, row.mistake) for row in rows}) == 1:
        worst = max(row.relative_error for row in rows)
        return [rows[0]._replace(name="2.4", layer=0, relative_error=worst)]
    return [row for row in rows if not row.holds]
