"""Which equation a wrong gradient breaks, in which layer, and perhaps how.

Given a mini-batch of one example, a gradient shows by BP3 the errors it was made from.
So each layer, from the last down, is held against the equation that gives it from the
layer above, and a mistake is blamed where it is made, not where it is passed on.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxnet.activations import Activation, sigmoid, softmax
from jaxnet.compare.candidate import CandidateError
from jaxnet.compare.leaves import compare_trees, tolerance_for
from jaxnet.compare.mistakes import (
    Truth,
    hidden_errors,
    looks_like,
    mean_words,
    off,
    outer,
    output_errors,
    weight_gradients,
)
from jaxnet.compare.passes import mistaken_pass
from jaxnet.costs import Cost, quadratic
from jaxnet.network import Hidden, Params, forward, hidden_activations, init
from jaxnet.oracles import demon


class Equation(NamedTuple):
    """How far a gradient is from an equation in a layer, or in all of them (0)."""

    name: str
    layer: int
    relative_error: float
    holds: bool
    words: str = ""


def probe(
    hidden_layers: int, seed: int = 0, n: int = 4, m: int = 3
) -> tuple[Params, Float[Array, "m n"], Float[Array, "m n"]]:
    """A small random network all of whose layers are square, with m examples.

    Where all shapes are alike, a wrong index shows as a wrong value and can be named.
    """
    key = jax.random.key(seed)
    params_key, x_key, y_key = (jax.random.fold_in(key, i) for i in range(3))
    params = init(params_key, [n] * (hidden_layers + 2))
    x = jax.random.normal(x_key, (m, n))
    return params, x, jax.random.uniform(y_key, (m, n))


def diagnose(
    candidate: Callable[..., Any],
    params: Params,
    x: Float[Array, "m in"],
    y: Float[Array, "m out"],
    cost: Cost = quadratic,
    hidden: Hidden = sigmoid,
) -> list[Equation]:
    """The equations that `candidate`, a gradient like `backprop`, breaks here.

    Says most in float64 and where layers have more neurons than there are examples, as
    in a `probe`. Raises ShapeError if the gradient is not of the network's shape.
    """
    rows = equations(candidate, params, x, y, cost, hidden)
    return [row for row in rows if not row.holds]


def equations(
    candidate: Callable[..., Any],
    params: Params,
    x: Float[Array, "m in"],
    y: Float[Array, "m out"],
    cost: Cost = quadratic,
    hidden: Hidden = sigmoid,
) -> list[Equation]:
    """BP1 to BP4 in every layer and the mean over the mini-batch (2.4), as `diagnose`.

    Where a mistake in the forward pass explains it all, (2.3) only.
    Where BP1 or BP2 is broken, BP3 and BP4 are held against the errors as they came.
    """

    def call(x: Array, y: Array) -> list[np.ndarray]:
        gradient = candidate(params, x, y, cost=cost, hidden=hidden)
        compare_trees(gradient, params, np.inf)  # refuses other shapes
        return [np.asarray(leaf, float) for leaf in jax.tree.leaves(gradient)]

    truth, m = _inside(params, x, y, cost, hidden), len(x)
    longest = max(m, *(n for layer in params for n in layer.w.shape))
    tolerance = 16 * tolerance_for(x.dtype, longest)
    whole = call(x, y)
    try:
        singles = [call(x[i : i + 1], y[i : i + 1]) for i in range(m)]
    except (CandidateError, ArithmeticError):
        singles = []  # a mini-batch of one may be what it cannot take
    all_finite = all(np.isfinite(leaf).all() for leaves in singles for leaf in leaves)
    if not singles or (not all_finite and all(np.isfinite(g).all() for g in whole)):
        return _at_mini_batch(whole, truth, tolerance)
    stacked = [np.stack(leaves) for leaves in zip(*singles, strict=True)]
    divisor = _divisor(whole, stacked, truth, tolerance)
    if divisor:
        words = f"divided by {divisor:.6g}, whatever the number of examples"
        return [Equation("2.4", 0, abs(1 / divisor - 1), False, words)]
    ws, bs = stacked[::2], stacked[1::2]
    rows = list(_at_examples(ws, bs, truth, tolerance))
    of_mean = _at_mini_batch(whole, truth, tolerance)
    nothing = not all(leaf.any() for leaf in stacked)
    if all(row.holds for row in rows) or (nothing and of_mean[0].layer == 0):
        return [*(row for row in rows if row.holds), *of_mean]
    broken = [row for row in rows if not row.holds]
    mistake = mistaken_pass(ws, bs, truth, params, (x, y), cost, hidden, tolerance)
    if mistake and not broken[0].words:  # where one in BP1 gives the same, it is that
        layer, words = mistake
        return [Equation("2.3", layer, broken[0].relative_error, False, words)]
    if len(broken) == 2 * len(params) and all("float32" in r.words for r in broken):
        worst = max(row.relative_error for row in broken)
        return [Equation("BP1 to BP4", 0, worst, False, "as if computed in float32")]
    return rows


def _inside(params, x, y, cost, hidden) -> Truth:
    return Truth(*jax.tree.map(np.asarray, _values(params, x, y, cost, hidden)))


@partial(jax.jit, static_argnames=("cost", "hidden"))  # its parts compile for seconds
def _values(params, x, y, cost, hidden) -> tuple:
    sigmas = (*hidden_activations(params, hidden), cost.output)
    run = partial(forward, params, hidden=hidden, output=cost.output)
    zs, activations = jax.vmap(run)(x)
    slopes = [_slope(s, z) for s, z in zip(sigmas, zs, strict=True)]
    inside = zip(sigmas, activations[1:], strict=True)
    slopes_at_a = [s.prime(a) for s, a in inside]
    deltas = jax.vmap(partial(demon, params, cost=cost, hidden=hidden))(x, y)
    grad_a = None
    if cost.formula is not None:
        grad_a = jax.vmap(jax.grad(cost.formula))(activations[-1], y)
    w = [layer.w for layer in params]
    return w, zs, activations, slopes, slopes_at_a, deltas, grad_a


def _slope(sigma: Activation, z: Array) -> Array:
    """The derivative of sigma.fn itself, lest a wrong sigma.prime be the judge."""
    if sigma == softmax:
        return sigma.prime(z)
    return jax.jvp(sigma.fn, (z,), (jnp.ones_like(z),))[1]


def _at_examples(ws, bs, truth: Truth, tolerance: float) -> Iterator[Equation]:
    """BP1 to BP4 of each layer, from the last down, at examples one by one."""
    last, above = len(ws) - 1, truth.delta[-1]
    for l in reversed(range(len(ws))):
        w, b, a, n = ws[l], bs[l], truth.a[l], l + 1
        if l == last:
            name, delta = "BP1", truth.delta[l]
        else:
            name, delta = "BP2", (above @ truth.w[l + 1]) * truth.slope[l]
        by_b, by_w, consistent = (
            off(actual, expected)
            for actual, expected in (
                (b, delta),
                (w, outer(delta, a)),
                (w, outer(b, a)),
            )
        )
        # Where both are wrong and w is made of what b shows, it is the error's fault.
        faulty = min(by_b, by_w) > tolerance >= consistent
        words = ""
        if faulty:
            likely = (
                output_errors(truth) if l == last else hidden_errors(truth, l, above)
            )
            words = looks_like(b, delta, likely, tolerance)
        yield Equation(name, n, by_b if faulty else min(by_b, by_w), not faulty, words)
        above = b if faulty else delta
        b_holds, w_holds = faulty or by_b <= tolerance, faulty or by_w <= tolerance
        words = ""
        if not b_holds:
            others = [
                (f"delta^{k} in place of delta^{n}", other)
                for k, other in enumerate(truth.delta, start=1)
                if k != n
            ]
            words = looks_like(b, delta, others, tolerance)
        yield Equation("BP3", n, 0.0 if faulty else by_b, b_holds, words)
        words = ""
        if not w_holds:
            likely = weight_gradients(truth, l, delta, b)
            words = looks_like(w, outer(delta, a), likely, tolerance)
        yield Equation("BP4", n, consistent if faulty else by_w, w_holds, words)


def _divisor(whole, stacked, truth: Truth, tolerance: float) -> float | None:
    """The number by which sums over examples are divided, if it is always the same."""
    right = [
        part
        for delta, a in zip(truth.delta, truth.a, strict=False)
        for part in (outer(delta, a), delta)
    ]
    share = np.vdot(right[-1], stacked[-1]) / np.vdot(right[-1], right[-1])
    pairs = [
        *((shown, share * part) for shown, part in zip(stacked, right, strict=True)),
        *((g, shown.sum(axis=0)) for g, shown in zip(whole, stacked, strict=True)),
    ]
    alone = len(truth.delta[0]) == 1  # where nothing tells a sum from a mean
    if alone or not share > 0 or abs(share - 1) <= tolerance:
        return None
    return 1 / share if all(off(*pair) <= tolerance for pair in pairs) else None


def _at_mini_batch(gradient, truth: Truth, tolerance: float) -> list[Equation]:
    """The mean over the mini-batch, as one row if all parameters have it alike."""
    rows = []
    pairs = zip(gradient[::2], gradient[1::2], truth.delta, strict=True)
    for l, (w, b, delta) in enumerate(pairs, start=1):
        a = truth.a[l - 1]
        for name, actual, singles in (("BP4", w, outer(delta, a)), ("BP3", b, delta)):
            error = off(actual, singles.mean(axis=0))
            holds = error <= tolerance
            words = "" if holds else mean_words(actual, singles, tolerance)
            rows.append(Equation(name, l, error, holds, words))
    if len({(row.holds, row.words) for row in rows}) == 1:
        worst = max(row.relative_error for row in rows)
        return [Equation("2.4", 0, worst, rows[0].holds, rows[0].words)]
    return [row for row in rows if not row.holds]
