"""The likely mistakes in each equation, and which of them explains a wrong gradient.

A mistake is a pair: its description, and the array that it results in. The first axis
of arrays is examples; l counts layers from 0, descriptions count from 1 as the book.
"""

from collections.abc import Iterable, Iterator

import numpy as np

from jaxnet.compare.comparison import relative_error
from jaxnet.compare.internals import Internals, outer

SINGLE_PRECISION = 1e-5  # a smaller relative error may be due to float32

Mistake = tuple[str, np.ndarray]


def output_errors(inside: Internals) -> Iterator[Mistake]:
    """Mistakes in (BP1)."""
    L = len(inside.w)
    yield f"one sigma'(z^{L}) too many", inside.delta[-1] * inside.slope[-1]
    if inside.grad_a is not None:
        yield from _slopes(inside, L - 1, inside.grad_a)


def _slopes(inside: Internals, l: int, factor: np.ndarray) -> Iterator[Mistake]:
    """Mistakes in sigma'(z^n), given the factor that it multiplies."""
    n = l + 1
    yield f"sigma'(z^{n}) is missing", factor
    yield f"sigma'(a^{n}) in place of sigma'(z^{n})", factor * inside.slope_at_a[l]
    yield f"sigma(z^{n}) in place of sigma'(z^{n})", factor * inside.a[n]
    yield f"one sigma'(z^{n}) too many", factor * inside.slope[l] ** 2
    for k, slope in enumerate(inside.slope, start=1):
        if k != n and slope.shape == factor.shape:
            yield f"sigma'(z^{k}) in place of sigma'(z^{n})", factor * slope


def hidden_errors(inside: Internals, l: int, above: np.ndarray) -> Iterator[Mistake]:
    """Mistakes in (BP2), given the error in the layer above."""
    n, w_above, slope = l + 1, inside.w[l + 1], inside.slope[l]
    yield from _slopes(inside, l, inside.carry(n, above))
    for k, w in enumerate(inside.w, start=1):
        if w.shape[::-1] == w_above.shape:
            other = "" if k == n + 1 else f", in place of w^{n + 1},"
            yield f"w^{k}{other} is not transposed", (above @ w.T) * slope
        if w.shape == w_above.shape and k != n + 1:
            yield f"w^{k} in place of w^{n + 1}", (above @ w) * slope
    for k, delta in enumerate(inside.delta, start=1):
        if delta.shape == above.shape and k != n + 1:
            yield f"delta^{k} in place of delta^{n + 1}", inside.carry(n, delta) * slope


def bias_gradients(inside: Internals, l: int) -> Iterator[Mistake]:
    """Mistakes in (BP3)."""
    for k, delta in enumerate(inside.delta):
        if k != l:
            yield f"delta^{k + 1} in place of delta^{l + 1}", delta


def weight_gradients(
    inside: Internals, l: int, delta: np.ndarray, bias: np.ndarray
) -> Iterator[Mistake]:
    """Mistakes in (BP4), given the error of the layer and its gradient of the bias."""
    n, a = l + 1, inside.a[l]
    for k, other in enumerate(inside.a):
        if k != l:
            yield f"a^{k} in place of a^{l}", outer(delta, other)
    for k, z in enumerate(inside.z, start=1):
        yield f"z^{k} in place of a^{l}", outer(delta, z)
    yield "the matrix is transposed", outer(delta, a).swapaxes(1, 2)
    for k, other in enumerate(inside.delta):
        if k != l:
            yield f"delta^{k + 1} in place of delta^{n}", outer(other, a)
            theirs = outer(other, inside.a[k])
            yield f"the gradient of w^{k + 1} in place of that of w^{n}", theirs
    yield f"another delta^{n} than that of b^{n}", outer(bias, a)


def explain(
    actual: np.ndarray,
    expected: np.ndarray,
    mistakes: Iterable[Mistake],
    inside: Internals,
) -> str:
    """A description of the difference, empty if nothing explains it."""
    if not np.isfinite(actual).all():
        return "nan or infinity"
    if not actual.any():
        return "it is zero"
    for description, result in mistakes:
        if result.shape == actual.shape and inside.match(actual, result):
            return description
    size = float(np.vdot(expected, expected))
    factor = float(np.vdot(actual, expected)) / size if size else 0.0
    if inside.match(actual, factor * expected):
        if abs(factor + 1) < 1e-6:
            return "the sign is wrong"
        return f"{factor:.10g} times what it should be"
    wrong = ~np.isclose(actual, expected, rtol=1e-9, atol=1e-12).all(axis=0)
    if 0 < wrong.sum() <= max(1, wrong.size // 4):
        places = [", ".join(map(str, place)) for place in np.argwhere(wrong)]
        return f"wrong only at [{'], ['.join(places)}]"
    return ""


def explain_mean(actual: np.ndarray, examples: np.ndarray, inside: Internals) -> str:
    """Which other sum of the examples' gradients it is, empty if it is none."""
    if not (np.isfinite(actual).all() and np.isfinite(examples).all()):
        return "nan or infinity"
    m = len(examples)
    basis = examples.reshape(m, -1).T
    shares, *_ = np.linalg.lstsq(basis, actual.ravel(), rcond=None)
    if relative_error(basis @ shares, actual.ravel()) > 1e3 * inside.tolerance:
        error = relative_error(actual, examples.mean(axis=0))
        if error < SINGLE_PRECISION:
            return f"relative error {error:.0e}, as if summed in float32"
        return ""
    if np.allclose(shares, 1, rtol=1e-6):
        return "summed over the mini-batch, not averaged"
    missing = [str(i) for i in range(m) if abs(shares[i]) < 1e-6 / m]
    if missing:
        return f"example {' and '.join(missing)} of 0 to {m - 1} is left out"
    if np.ptp(shares) < 1e-6 * np.abs(shares).max():
        return f"{shares.mean() * m:.6g} times the mean over the mini-batch"
    weights = ", ".join(f"{share:.3g}" for share in shares)
    return f"examples weighted {weights}, not 1/{m} each"
