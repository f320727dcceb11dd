"""What a wrong gradient looks like: the likely mistakes, and what each would give.

Matrices and vectors of several examples are stacked along the first axis.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxnet.compare.leaves import norm_of


class Truth(NamedTuple):
    """What is inside a network: lists from layer 1 on, but `a` from layer 0 on."""

    w: list[np.ndarray]
    z: list[np.ndarray]
    a: list[np.ndarray]
    slope: list[np.ndarray]  # sigma'(z)
    slope_at_a: list[np.ndarray]  # sigma'(a)
    delta: list[np.ndarray]
    grad_a: np.ndarray | None
    rounding: Sequence[np.ndarray] = ()  # how far delta may be from exact


def outer(delta: np.ndarray, a: np.ndarray) -> np.ndarray:
    """Each example's delta a^T."""
    return delta[:, :, None] * a[:, None, :]


def off(actual: np.ndarray, expected: np.ndarray) -> float:
    """The relative error, and 0 for two zeros."""
    error, size = norm_of(actual - expected), norm_of(expected)
    return 0.0 if error == 0 else error / size if size else float("inf")


def is_rounding(actual: np.ndarray, expected: np.ndarray, rounding: np.ndarray) -> bool:
    """Whether the difference is no larger than the rounding of what is expected."""
    return norm_of(actual - expected) <= norm_of(rounding) < np.inf


Alternatives = Sequence[tuple[str, np.ndarray]]


def output_errors(truth: Truth) -> Alternatives:
    """Mistakes in BP1, as what they would give."""
    L, delta = len(truth.w), truth.delta[-1]
    found = [(f"one sigma'(z^{L}) too many", delta * truth.slope[-1])]
    if truth.grad_a is not None:
        found += [
            (f"sigma'(z^{L}) is missing", truth.grad_a),
            (
                f"sigma'(a^{L}) in place of sigma'(z^{L})",
                truth.grad_a * truth.slope_at_a[-1],
            ),
            (f"sigma(z^{L}) in place of sigma'(z^{L})", truth.grad_a * truth.a[-1]),
        ] + [
            (f"sigma'(z^{k + 1}) in place of sigma'(z^{L})", truth.grad_a * slope)
            for k, slope in enumerate(truth.slope[:-1])
            if slope.shape == delta.shape
        ]
    return found


def hidden_errors(truth: Truth, l: int, above: np.ndarray) -> Alternatives:
    """Mistakes in BP2 at layer l + 1, as what they would give."""
    n, carried = l + 1, above @ truth.w[l + 1]
    found = [
        (f"sigma'(z^{n}) is missing", carried),
        (f"sigma'(a^{n}) in place of sigma'(z^{n})", carried * truth.slope_at_a[l]),
        (f"sigma(z^{n}) in place of sigma'(z^{n})", carried * truth.a[l + 1]),
        (f"one sigma'(z^{n}) too many", carried * truth.slope[l] ** 2),
    ]
    for k, (w, slope) in enumerate(zip(truth.w, truth.slope, strict=True)):
        if slope.shape == carried.shape and k != l:
            found.append(
                (f"sigma'(z^{k + 1}) in place of sigma'(z^{n})", carried * slope)
            )
        if w.shape[::-1] == truth.w[l + 1].shape:
            words = f"w^{n + 1} is not transposed" if k == n else None
            product = (above @ w.T) * truth.slope[l]
            found.append(
                (words or f"w^{k + 1}, not transposed, in place of w^{n + 1}", product)
            )
        if w.shape == truth.w[l + 1].shape and k != n:
            product = (above @ w) * truth.slope[l]
            found.append((f"w^{k + 1} in place of w^{n + 1}", product))
    for k, delta in enumerate(truth.delta):
        if delta.shape == above.shape and k != n:
            product = (delta @ truth.w[n]) * truth.slope[l]
            found.append((f"delta^{k + 1} in place of delta^{n + 1}", product))
    return found


def weight_gradients(
    truth: Truth, l: int, delta: np.ndarray, shown: np.ndarray
) -> Alternatives:
    """Mistakes in BP4 at layer l + 1, as what they would give."""
    n = l + 1
    entering = [(f"a^{k}", a) for k, a in enumerate(truth.a) if k != l]
    entering += [(f"z^{k}", z) for k, z in enumerate(truth.z, start=1)]
    found = [(f"{name} in place of a^{l}", outer(delta, a)) for name, a in entering]
    found.append(("the matrix is transposed", outer(delta, truth.a[l]).swapaxes(1, 2)))
    for k, other in enumerate(truth.delta):
        if k != l:
            own, its = outer(other, truth.a[l]), outer(other, truth.a[k])
            found.append((f"delta^{k + 1} in place of delta^{n}", own))
            found.append((f"the gradient of w^{k + 1} in place of that of w^{n}", its))
    found.append((f"another delta^{n} than that of b^{n}", outer(shown, truth.a[l])))
    return found


def looks_like(actual, expected, alternatives: Alternatives, tolerance: float) -> str:
    """What the mistake looks like, in words."""
    if not np.isfinite(actual).all():
        return "nan or infinity"
    if not actual.any():
        return "it is zero"
    for words, other in alternatives:
        if other.shape == actual.shape and off(actual, other) <= tolerance:
            return words
    size = float(np.vdot(expected, expected))
    factor = float(np.vdot(actual, expected)) / size if size else 0.0
    if off(actual, factor * expected) <= tolerance:
        if abs(factor + 1) < 1e-6:
            return "the sign is wrong"
        return f"{factor:.10g} times what it should be"
    wrong = ~np.isclose(actual, expected, rtol=1e-9, atol=1e-12).all(axis=0)
    if 0 < wrong.sum() <= max(1, wrong.size // 4):
        places = [", ".join(str(i) for i in place) for place in np.argwhere(wrong)]
        return f"only at [{'], ['.join(places)}]"
    error = off(actual, expected)
    if error < 1e-5:
        return f"off by {error:.0e}, as if computed in float32"
    return ""


def mean_words(actual: np.ndarray, singles: np.ndarray, tolerance: float) -> str:
    """Which other sum of the examples' gradients it is, if it is one."""
    if not np.isfinite(actual).all():
        return "nan or infinity"
    m = len(singles)
    basis = singles.reshape(m, -1).T
    shares, *_ = np.linalg.lstsq(basis, actual.ravel(), rcond=None)
    error = off(basis @ shares, actual.ravel())
    if error > 1e3 * tolerance:
        small = off(actual, singles.mean(axis=0))
        return f"off by {small:.0e}, as if summed in float32" if small < 1e-5 else ""
    if np.allclose(shares, 1, rtol=1e-6):
        return "summed over the mini-batch, not averaged"
    missing = [str(i) for i in range(m) if abs(shares[i]) < 1e-6 / m]
    if missing:
        return f"example {' and '.join(missing)} of 0 to {m - 1} is left out"
    if np.ptp(shares) < 1e-6 * np.abs(shares).max():
        return f"{shares.mean() * m:.6g} times the mean over the mini-batch"
    shown = ", ".join(f"{share:.3g}" for share in shares)
    return f"examples weighted {shown}, not 1/{m} each"
