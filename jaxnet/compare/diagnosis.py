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

from jaxnet.activations import Activation, sigmoid
from jaxnet.compare.candidate import CandidateError
from jaxnet.compare.leaves import (
    Comparison,
    compare_gradients,
    compare_trees,
    norm_of,
    tolerance_for,
)
from jaxnet.compare.mistakes import (
    Truth,
    hidden_errors,
    is_rounding,
    looks_like,
    mean_words,
    off,
    outer,
    output_errors,
    weight_gradients,
)
from jaxnet.compare.passes import mistaken_pass
from jaxnet.costs import Cost, quadratic
from jaxnet.layers import Params
from jaxnet.network import forward, init
from jaxnet.oracles import demon


class Equation(NamedTuple):
    """How far a gradient is from an equation in a layer, or in all of them (0)."""

    name: str
    layer: int
    relative_error: float
    holds: bool
    words: str = ""


def probe(
    hidden_layers: int,
    seed: int = 0,
    n: int = 4,
    m: int = 3,
    hidden: Activation | list[Activation] | tuple[Activation, ...] = sigmoid,
    cost: Cost = quadratic,
) -> tuple[Params, Float[Array, "m n"], Float[Array, "m n"]]:
    """A small random network all of whose layers are square, with m examples.

    Where all shapes are alike, a wrong index shows as a wrong value and can be named.
    `hidden` is the activation of all hidden layers, or one for each; the outputs are
    those of the cost.
    """
    key = jax.random.key(seed)
    params_key, x_key, y_key = (jax.random.fold_in(key, i) for i in range(3))
    params = init(params_key, [n] * (hidden_layers + 2), hidden, cost.output)
    x = jax.random.normal(x_key, (m, n))
    return params, x, jax.random.uniform(y_key, (m, n))


def diagnose(
    candidate: Callable[..., Any],
    params: Params,
    x: Float[Array, "m in"],
    y: Float[Array, "m out"],
    cost: Cost = quadratic,
) -> list[Equation]:
    """The equations that `candidate`, a gradient like `backprop`, breaks here.

    Says most in float64 and where layers have more neurons than there are examples, as
    in a `probe`. Raises ShapeError if the gradient is not of the network's shape.
    """
    rows = equations(candidate, params, x, y, cost)
    return [row for row in rows if not row.holds]


def equations(
    candidate: Callable[..., Any],
    params: Params,
    x: Float[Array, "m in"],
    y: Float[Array, "m out"],
    cost: Cost = quadratic,
) -> list[Equation]:
    """BP1 to BP4 in every layer and the mean over the mini-batch (2.4), as `diagnose`.

    Where a mistake in the forward pass explains it all, (2.3) only.
    Where BP1 or BP2 is broken, BP3 and BP4 are held against the errors as they came.
    """

    def call(x: Array, y: Array) -> list[np.ndarray]:
        gradient = candidate(params, x, y, cost=cost)
        compare_trees(gradient, params, np.inf)  # refuses other shapes
        return [np.asarray(leaf, float) for leaf in jax.tree.leaves(gradient)]

    truth, m = _inside(params, x, y, cost), len(x)
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
    mistake = mistaken_pass(ws, bs, truth, params, (x, y), cost, tolerance)
    if mistake and not broken[0].words:  # where one in BP1 gives the same, it is that
        layer, words = mistake
        return [Equation("2.3", layer, broken[0].relative_error, False, words)]
    if len(broken) == 2 * len(params) and all("float32" in r.words for r in broken):
        worst = max(row.relative_error for row in broken)
        return [Equation("BP1 to BP4", 0, worst, False, "as if computed in float32")]
    return rows


def compare_at(
    candidate: Callable[..., Any],
    reference: Callable[..., Any],
    params: Params,
    x: Float[Array, "m in"],
    y: Float[Array, "m out"],
    cost: Cost,
    dtype: str = "float64",
) -> Comparison:
    """Two gradients of a network, compared no more closely than `jax.grad` is exact."""
    with jax.enable_x64(dtype == "float64"):
        params, x, y = jax.tree.map(lambda a: a.astype(dtype), (params, x, y))
        floor = _floors(params, x, y, cost)
    return compare_gradients(
        candidate, reference, params, x, y, dtype=dtype, floor=floor, cost=cost
    )


def _floors(params, x, y, cost) -> list[float]:
    """The norm of the error of each parameter's gradient by rounding of sigma'."""
    truth, found = _inside(params, x, y, cost), []
    for rounding, a in zip(truth.rounding, truth.a, strict=False):
        found += [outer(rounding, np.abs(a)).mean(axis=0), rounding.mean(axis=0)]
    norms = map(norm_of, found)
    return [norm if np.isfinite(norm) else 0.0 for norm in norms]


def _inside(params, x, y, cost) -> Truth:
    truth = Truth(*jax.tree.map(np.asarray, _values(params, x, y, cost)))
    return truth._replace(rounding=_rounding(truth, np.asarray(y)))


@jax.jit  # its parts compile for seconds
def _values(params, x, y, cost) -> tuple:
    sigmas = [layer.activation for layer in params]
    zs, activations = jax.vmap(partial(forward, params))(x)
    slopes = [_slope(s, z) for s, z in zip(sigmas, zs, strict=True)]
    inside = zip(sigmas, activations[1:], strict=True)
    slopes_at_a = [_slope(s, a) for s, a in inside]
    deltas = jax.vmap(partial(demon, params, cost=cost))(x, y)
    grad_a = None
    if cost.formula is not None:
        grad_a = jax.vmap(jax.grad(cost.formula))(activations[-1], y)
    w = [layer.w for layer in params]
    return w, zs, activations, slopes, slopes_at_a, deltas, grad_a


def _slope(sigma: Activation, z: Array) -> Array:
    """The derivative of sigma.fn itself, so that a wrong sigma.prime is no judge.

    Of softmax it is the diagonal of the matrix.
    """
    if sigma.prime is None:
        return jax.vmap(lambda z: jnp.diagonal(jax.jacobian(sigma.fn)(z)))(z)
    return jax.jvp(sigma.fn, (z,), (jnp.ones_like(z),))[1]


def _rounding(truth: Truth, y: np.ndarray) -> list[np.ndarray]:
    """How far the deltas, which are `jax.grad`'s, may be from exact ones.

    It takes sigma' from a, as a (1 - a), with an error of about eps; so where neurons
    saturate at 1 nothing is left of it, and sigma(z) sigma(-z) is more exact. Errors
    are independent, so their squares add up.
    """
    eps = 4 * float(np.finfo(y.dtype).eps)
    found = [eps * np.abs(truth.a[-1] - y, dtype=float)]
    for l in reversed(range(len(truth.w) - 1)):
        w = truth.w[l + 1].astype(float)
        passed_on = np.sqrt(found[0] ** 2 @ w**2) * (np.abs(truth.slope[l]) + eps)
        found.insert(0, eps * np.abs(truth.delta[l + 1] @ w) + passed_on)
    return found


def _at_examples(ws, bs, truth: Truth, tolerance: float) -> Iterator[Equation]:
    """BP1 to BP4 of each layer, from the last down, at examples one by one."""
    last, above = len(ws) - 1, truth.delta[-1]
    for l in reversed(range(len(ws))):
        w, b, a, n = ws[l], bs[l], truth.a[l], l + 1
        rounding = truth.rounding[l]
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
        b_holds = by_b <= tolerance or is_rounding(b, delta, rounding)
        w_rounding = outer(rounding, np.abs(a))
        w_holds = by_w <= tolerance or is_rounding(w, outer(delta, a), w_rounding)
        # Where both are wrong and w is made of what b shows, it is the error's fault.
        faulty = not (b_holds or w_holds) and consistent <= tolerance
        words = ""
        if faulty:
            likely = (
                output_errors(truth) if l == last else hidden_errors(truth, l, above)
            )
            words = looks_like(b, delta, likely, tolerance)
        yield Equation(name, n, by_b if faulty else min(by_b, by_w), not faulty, words)
        above = b if faulty else delta
        b_holds, w_holds = faulty or b_holds, faulty or w_holds
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
    size = np.vdot(right[-1], right[-1])
    if not size > 0:
        return None
    share = np.vdot(right[-1], stacked[-1]) / size
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
    both = zip(truth.delta, truth.rounding, strict=True)
    pairs = zip(gradient[::2], gradient[1::2], both, strict=True)
    for l, (w, b, (delta, rounding)) in enumerate(pairs, start=1):
        a = truth.a[l - 1]
        for name, actual, singles, allowed in (
            ("BP4", w, outer(delta, a), outer(rounding, np.abs(a))),
            ("BP3", b, delta, rounding),
        ):
            pair = (actual, singles.mean(axis=0))
            error = off(*pair)
            holds = error <= tolerance or is_rounding(*pair, allowed.mean(axis=0))
            words = "" if holds else mean_words(actual, singles, tolerance)
            rows.append(Equation(name, l, error, holds, words))
    if len({(row.holds, row.words) for row in rows}) == 1:
        worst = max(row.relative_error for row in rows)
        return [Equation("2.4", 0, worst, rows[0].holds, rows[0].words)]
    return [row for row in rows if not row.holds]
