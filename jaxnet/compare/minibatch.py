"""Mistakes in the mean over a mini-batch, which combines gradients of examples."""

from collections.abc import Iterator

import numpy as np

from jaxnet.compare import mistakes
from jaxnet.compare.internals import Internals, Leaves, Problem, internals

_MOST_UNKNOWN = 16  # examples of which a permutation is looked for


def mean_mistake(
    batch: Leaves, examples: Leaves, inside: Internals, problem: Problem | None = None
) -> str:
    """How the gradient of a mini-batch is made of those of its examples.

    With a problem, all arrays of it are given.
    """
    m = len(examples[0])
    if not all(np.isfinite(leaf).all() for leaf in (*batch, *examples)):
        return "nan or infinity"
    if not any(leaf.any() for leaf in batch):
        return "it is zero"
    basis = np.concatenate([leaf.reshape(m, -1) for leaf in examples], axis=1).T
    actual = np.concatenate([leaf.ravel() for leaf in batch])
    mean = basis.mean(axis=1)
    size = float(mean @ mean)
    factor = float(mean @ actual) / size if size else 0.0
    if inside.match(actual, factor * mean):
        return _in_words(factor, m)
    if problem is None:
        return ""
    for words, value in _whole(batch, inside, problem):
        if all(map(inside.match, batch, value)):
            return words
    if actual.size > 2 * m:
        shares, *_ = np.linalg.lstsq(basis, actual, rcond=None)
        error = np.linalg.norm(basis @ shares - actual) / np.linalg.norm(actual)
        if error <= 1e3 * inside.tolerance:
            return _weights(shares)
    return ""


def _in_words(factor: float, m: int) -> str:
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
            scale = shares[0] * k
            factor = (
                "" if abs(scale - 1) < 1e-6 else f", divided by {1 / shares[0]:.6g}"
            )
            return f"only the first {k} of {m} examples are used{factor}"
        missing = " and ".join(str(i) for i in np.flatnonzero(~used)[:8])
        return f"example {missing} of 0 to {m - 1} is left out"
    weights = ", ".join(f"{share:.3g}" for share in shares[:8])
    return f"examples weighted {weights}{', ...' if m > 8 else ''}, not 1/{m} each"


def _whole(
    batch: Leaves, inside: Internals, problem: Problem
) -> Iterator[tuple[str, Leaves]]:
    """Mistakes that make the gradient of a mini-batch from all examples at once."""
    layers = range(len(inside.params))
    mean_a = [a.mean(axis=0, keepdims=True) for a in inside.a]
    mean_z = [z.mean(axis=0, keepdims=True) for z in inside.z]
    mean_delta = [delta.mean(axis=0, keepdims=True) for delta in inside.delta]
    of_means = inside._replace(a=mean_a, z=mean_z)
    words = "errors and activations are averaged before they are multiplied"
    yield words, [g[0] for l in layers for g in of_means.gradients(l, mean_delta[l])]
    x, y = (np.asarray(array).mean(axis=0, keepdims=True) for array in problem[1:3])
    at_mean = internals(problem._replace(x=x, y=y))
    words = "the mini-batch is averaged before the forward pass"
    yield words, [g[0] for g in at_mean.all_gradients()]
    slopes = [
        mistakes.apply(layer.activation.prime, z)
        for layer, z in zip(inside.params[:-1], mean_z, strict=False)
    ]
    first = [inside.delta[-1].mean(axis=0, keepdims=True)]
    if inside.grad_a is not None:
        grad_a = inside.grad_a.mean(axis=0, keepdims=True)
        first.append(grad_a * inside.slope[-1].mean(axis=0))
    first.append(mistakes.error(problem.cost, mean_z[-1], y))
    for delta in first:
        deltas = of_means.backward(delta, slopes)
        words = "the mini-batch is averaged before the backward pass"
        yield words, [g[0] for g in of_means.all_gradients(deltas)]
    y = np.asarray(problem.y)
    for order in _orders(batch, inside, y, problem):
        mixed = inside.backward(
            mistakes.error(problem.cost, inside.z[-1], y[order]), inside.slope
        )
        words = "examples are mixed up: inputs of one go with targets of another"
        yield words, [g.mean(axis=0) for g in inside.all_gradients(mixed)]


def _orders(
    batch: Leaves, inside: Internals, y: np.ndarray, problem: Problem
) -> Iterator[np.ndarray]:
    """Orders of the targets in which they may have been taken."""
    m = len(y)
    for shift in (1, -1):
        yield np.roll(np.arange(m), shift)
    yield np.arange(m)[::-1]
    if m > _MOST_UNKNOWN:
        return

    # Every input with every target: the gradient is a mean of m of these m^2.
    def every(values: list[np.ndarray]) -> list[np.ndarray]:
        return [value.repeat(m, axis=0) for value in values]

    all_pairs = inside._replace(a=every(inside.a), slope=every(inside.slope))
    z = inside.z[-1].repeat(m, axis=0)
    errors = mistakes.error(problem.cost, z, np.tile(y, (m, 1)))
    deltas = all_pairs.backward(errors, all_pairs.slope)
    each = all_pairs.all_gradients(deltas)
    basis = np.concatenate([g.reshape(m * m, -1) for g in each], axis=1).T
    actual = np.concatenate([g.ravel() for g in batch])
    shares, *_ = np.linalg.lstsq(basis, actual, rcond=None)
    yield shares.reshape(m, m).argmax(axis=1)
