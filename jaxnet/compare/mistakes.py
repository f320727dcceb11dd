"""The known mistakes: each in words, with the gradient of somebody who makes it.

A mistake is named only if its gradient is the candidate's to rounding. Those of an
equation change the errors or the gradient of one layer, so that several at once are
told apart; the others change all arrays, of each example or of the mini-batch. The
first axis of arrays is examples; l counts layers from 0, sentences count from 1 as the
book.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxnet.activations import linear, relu, sigmoid, softmax, tanh
from jaxnet.compare.internals import (
    Internals,
    Leaves,
    Problem,
    by_example,
    image_of,
    squares_of,
    weigh,
)
from jaxnet.compare.internals import internals as internals_of
from jaxnet.compare.measures import norm_of
from jaxnet.costs import Cost
from jaxnet.layers import Layer, MaxPool, Params

_OTHERS = {"sigmoid": sigmoid, "tanh": tanh, "relu": relu, "no activation": linear}
_EPSILONS = [10.0**-k for k in range(1, 17)]
_MOST_UNKNOWN = 16  # examples of which a permutation is looked for
_SHIFTS = (1, 0), (0, 1), (1, 1), (-1, 0), (0, -1), (-1, -1)
_PARTS = {
    "without its border": np.s_[1:-1, 1:-1],
    "without its first row and column": np.s_[1:, 1:],
    "without its last row and column": np.s_[:-1, :-1],
    "at its first place only": np.s_[:1, :1],
    "at its last place only": np.s_[-1:, -1:],
    "at even rows only": np.s_[::2],
    "at odd rows only": np.s_[1::2],
    "at even columns only": np.s_[:, ::2],
    "at odd columns only": np.s_[:, 1::2],
    "at even rows and columns only": np.s_[::2, ::2],
    "at odd rows and columns only": np.s_[1::2, 1::2],
}


class Mistake(NamedTuple):
    """What a mistake results in: value + c direction, with a c that {c} tells."""

    words: str
    value: Any  # errors, or a list of arrays
    direction: Any = None
    equation: str = ""
    layer: int = 0


def output_errors(inside: Internals, problem: Problem) -> Iterator[Mistake]:
    """Mistakes in (BP1), by the error of the output that they result in."""
    L, y, cost = len(inside.params), np.asarray(problem.y), problem.cost
    z, a, slope, grad_a = inside.z[-1], inside.a[-1], inside.slope[-1], inside.grad_a
    is_softmax = cost.output == softmax
    if is_softmax and grad_a is not None:
        yield Mistake("softmax's Jacobian is taken as diagonal", grad_a * slope)
    if is_softmax:
        yield Mistake("softmax is normalised over the mini-batch", 1 - y)
    yield Mistake(f"one sigma'(z^{L}) too many", inside.delta[-1] * slope)
    if grad_a is not None:
        yield from _slopes(inside, L - 1, grad_a)
    for shift in (1, -1):
        shifted = error(cost, z, np.roll(y, shift, axis=1))
        yield Mistake("the targets are shifted by one output", shifted)
    if grad_a is None:
        return
    for factor in (1, slope, z * (1 - z)):
        words = f"z^{L} in place of a^{L}: no activation"
        yield Mistake(words, _grad_a(cost, z, y) * factor)

    def through(grad_a: np.ndarray, a: np.ndarray) -> np.ndarray:
        if is_softmax:
            return a * (grad_a - np.sum(grad_a * a, axis=1, keepdims=True))
        return grad_a * a * (1 - a)

    for e in _EPSILONS if cost.output in (sigmoid, softmax) else ():
        clipped = np.clip(a, e, 1 - e)
        at_clipped, kept = _grad_a(cost, clipped, y), (a > e) & (a < 1 - e)
        for value in (
            *(through(at_clipped, clipped), through(at_clipped * kept, a)),
            *(through(at_clipped, a), clipped - y),
        ):
            yield Mistake(f"a^{L} is clipped to {e:g} and 1 - {e:g}", value)
        logarithms = {"cross_entropy": (1 - y) / (1 - a + e), "log_likelihood": 0.0}
        if cost.name in logarithms:
            shifted = through(logarithms[cost.name] - y / (a + e), a)
            yield Mistake(f"log(a^{L} + {e:g}) in place of log(a^{L})", shifted)


def _slopes(inside: Internals, l: int, factor: np.ndarray) -> Iterator[Mistake]:
    """Mistakes in sigma'(z^n), given the factor that it multiplies."""
    n, z, a, slope = l + 1, inside.z[l], inside.a[l + 1], inside.slope[l]
    if not inside.match(inside.prime[l], slope):
        sigma = inside.params[l].activation
        words = f"the prime of {sigma} is not the derivative of its fn"
        yield Mistake(words, factor * inside.prime[l])
    yield Mistake(f"sigma'(z^{n}) is missing", factor)
    yield Mistake(f"one sigma'(z^{n}) too many", factor * slope**2)
    others = {
        f"sigma'(a^{n})": inside.slope_at_a[l],
        f"sigma(z^{n})": a,
        f"1 - a^{n}": 1 - a,
        "tanh's derivative, 1 - a^2,": 1 - a**2,
        "sigmoid's derivative, a (1 - a),": a * (1 - a),
        "relu's derivative, 1 where z > 0,": z > 0,
        f"z^{n}": z,
        **{f"sigma'(z^{k})": s for k, s in enumerate(inside.slope, 1) if k != n},
    }
    for name, value in others.items():
        if value.shape == factor.shape:
            yield Mistake(f"{name} in place of sigma'(z^{n})", factor * value)


def hidden_errors(
    inside: Internals, l: int, delta: np.ndarray, factor: np.ndarray | None
) -> Iterator[Mistake]:
    """Mistakes in (BP2), given the error in the layer above.

    `factor` is what sigma' multiplies there, if it is known.
    """
    n, layer, slope = l + 1, inside.params[l + 1], inside.slope[l]
    carry, a = partial(inside.carried, l + 1), inside.a[l + 1]
    yield from _slopes(inside, l, carry(delta))
    if factor is not None:
        words = f"sigma'(z^{n + 1}) is missing in the error that is carried back"
        yield Mistake(words, carry(factor) * slope)
    for k, other in enumerate(inside.delta, start=1):
        if other.shape == delta.shape and k != n + 1:
            words = f"delta^{k} in place of delta^{n + 1}"
            yield Mistake(words, carry(other) * slope)
    if not isinstance(layer, Layer):
        for words, carried in _of_images(n, carry, layer, delta, a):
            yield Mistake(words, carried * slope)
        return
    for k, other in enumerate(inside.params, start=1):
        if not isinstance(other, Layer):
            continue
        if other.w.shape[::-1] == layer.w.shape:
            which = "" if k == n + 1 else f", in place of w^{n + 1},"
            yield Mistake(f"w^{k}{which} is not transposed", delta @ other.w.T * slope)
        if other.w.shape == layer.w.shape and k != n + 1:
            words = f"w^{k} in place of w^{n + 1}"
            yield Mistake(words, carry(delta, other) * slope)
    words = f"w^{n + 1} is updated, with eta = {{c:.4g}}, before it carries back"
    update = -np.sum(delta**2, axis=1, keepdims=True) * a.reshape(len(a), -1)
    yield Mistake(words, carry(delta) * slope, update.reshape(a.shape) * slope)


def bias_gradients(inside: Internals, l: int, delta: np.ndarray) -> Iterator[Mistake]:
    """Mistakes in (BP3), given the error of the layer."""
    for k, other in enumerate(inside.delta):
        if k != l and (leaves := inside.gradients(k, other)):
            yield Mistake(f"delta^{k + 1} in place of delta^{l + 1}", leaves[1])
    if delta.ndim == 4:
        for words, changed in _changes(delta):
            yield Mistake(f"delta^{l + 1} {words}", changed.sum(axis=(2, 3)))
        for axes in ((1, 2), (1, 3)):
            words = f"delta^{l + 1} is summed over the wrong axes"
            yield Mistake(words, delta.sum(axis=axes))


def weight_gradients(inside: Internals, l: int, delta: np.ndarray) -> Iterator[Mistake]:
    """Mistakes in (BP4), given the error of the layer."""
    n, a = l + 1, inside.a[l]

    def of(delta: np.ndarray, a: np.ndarray) -> np.ndarray:
        return inside.gradients(l, delta, a)[0]

    expected = of(delta, a)
    for name, values, first in (("a", inside.a, 0), ("z", inside.z, 1)):
        for k, other in enumerate(values, start=first):
            if other.shape == a.shape and other is not a:
                yield Mistake(f"{name}^{k} in place of a^{l}", of(delta, other))
    if delta.ndim == 2:
        yield Mistake("the matrix is transposed", expected.swapaxes(-1, -2))
    for k, other in enumerate(inside.delta):
        if k != l and other.shape == delta.shape:
            yield Mistake(f"delta^{k + 1} in place of delta^{n}", of(other, a))
        if k != l and (leaves := inside.gradients(k, other)):
            words = f"the gradient of w^{k + 1} in place of that of w^{n}"
            yield Mistake(words, leaves[0])
    if delta.ndim < 4:
        return
    for words, changed in _changes(delta):
        yield Mistake(f"delta^{n} {words}", of(changed, a))
    for words, changed in _changes(a.reshape(len(a), *inside.params[l].shape_in)):
        yield Mistake(f"a^{l} {words}", of(delta, changed))
    for words, changed in (*_changes(expected), _exchanged(expected)):
        yield Mistake(f"the gradient of w^{n} {words}", changed)


# Images: rows and columns are the last two axes, maps or channels the one before


def _of_images(
    n: int,
    carry: Callable[..., np.ndarray],
    layer: Any,
    delta: np.ndarray,
    a: np.ndarray,
) -> Iterator[tuple[str, np.ndarray]]:
    """What a convolution or a pooling may carry back in place of `carry(delta)`."""
    right = carry(delta)
    if isinstance(layer, MaxPool):
        squares, error = squares_of(layer, a), delta[..., None, None]
        largest = squares == squares.max(axis=(4, 5), keepdims=True)
        first = np.arange(layer.size**2).reshape(layer.size, -1) == 0
        ways = [
            ("goes to all of a square, not to its maximum", error + 0 * squares),
            ("goes to each of several maxima", error * largest),
            ("goes to the first place of a square", error * first),
            *(
                (f"{w} in each square", v)
                for w, v in _changes(squares_of(layer, right))
            ),
        ]
        for words, way in ways:
            yield f"the error {words}", image_of(way, a)
    else:
        for words, w in (*_changes(layer.w), _exchanged(layer.w)):
            if w.shape == layer.w.shape:
                yield f"w^{n + 1} {words}", carry(delta, replace(layer, w=w))
    for words, changed in _changes(delta):
        yield f"delta^{n + 1} {words}", carry(changed)
    for words, changed in _changes(right.reshape(len(a), *layer.shape_in)):
        yield f"the error that is carried back {words}", changed.reshape(a.shape)


def _changes(v: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """What wrong indices make of images."""
    yield "is turned by 180 degrees", v[..., ::-1, ::-1]
    yield "has rows and columns exchanged", v.swapaxes(-1, -2)
    for words, part in _PARTS.items():
        used = np.zeros(v.shape[-2:])
        used[part] = 1
        yield f"is used {words}", v * used
    maps, rows, columns = np.indices(v.shape[-3:])
    for i, j in _SHIFTS:
        rolled = np.roll(v, (i, j), axis=(-2, -1))
        kept = (i <= rows) & (rows < i + v.shape[-2])
        kept &= (j <= columns) & (columns < j + v.shape[-1])
        yield f"is shifted by {i, j}", rolled * kept
        yield f"is rolled by {i, j}", rolled
    if v.shape[-3] > 1 and v.ndim < 6:  # no squares
        yield "is used in its first map only", v * (maps == 0)
        yield "is that of the first map in all of them", v[..., :1, :, :] + 0 * v
        yield "is averaged over the maps", v.mean(axis=-3, keepdims=True) + 0 * v


def _exchanged(w: np.ndarray) -> tuple[str, np.ndarray]:
    return "has maps and channels exchanged", w.swapaxes(-3, -4)


# All arrays at once


def of_all(examples: Leaves, inside: Internals, problem: Problem) -> Iterator[Mistake]:
    """Mistakes in the gradient of each example, by all arrays."""
    truth, rows = inside.all_gradients(), range(len(examples[0]))
    largest = max(float(np.abs(leaf).max(initial=0)) for leaf in examples)
    words = f"the gradient is clipped to {largest:.4g}"
    yield Mistake(words, [np.clip(leaf, -largest, largest) for leaf in truth])
    norms, actual = (
        [norm_of(np.concatenate([g[i].ravel() for g in leaves])) for i in rows]
        for leaves in (truth, examples)
    )
    limit = max(actual)
    scales = np.minimum(1, limit / np.array([norm or np.inf for norm in norms]))
    if sum(scales < 1) > 1:
        words = f"the gradient is clipped to a norm of {limit:.4g}"
        yield Mistake(words, [(g.T * scales).T for g in truth])
    leaves = jax.tree.leaves(problem.params)
    for term, name, of in (("L2", "w", np.positive), ("L1", "sgn(w)", np.sign)):
        for also, least in (("", 2), (", of biases too,", 1)):
            added = [
                np.broadcast_to(of(leaf) * (leaf.ndim >= least), g.shape)
                for leaf, g in zip(leaves, truth, strict=True)
            ]
            words = f"the {term} term{also} is included: {{c:.4g}} {name} is added"
            yield Mistake(words, truth, added, "BP4")
    for n, words, forward, backward in _networks(problem.params):
        if changed := _of_network(inside, forward, backward, problem):
            yield Mistake(words, changed, None, "2.3", n)


def _networks(params: Params) -> Iterator[tuple[int, str, Params, Params]]:
    """The layer, the words, and the networks forward and back, of mistakes in (2.3)."""
    others = [dict(_others(own, own is params[-1])) for own in params]
    for n in range(len(params) + 1):
        for key in dict.fromkeys(key for each in others for key in each):
            layers = [l for l, o in enumerate(others, 1) if key in o and n in (0, l)]
            if not layers or (n == 0 and len(layers) == 1):
                continue
            pairs = enumerate(zip(params, others, strict=True), 1)
            network = [o[key] if l in layers else own for l, (own, o) in pairs]
            words = key[0].format(n=n or "l")
            yield n, words, network, network
            if words[0] == "w":  # or forward only
                yield n, words, network, params


def _others(own: Any, is_last: bool) -> Iterator[tuple[tuple[str, bool], Any]]:
    """What a layer may be by mistake, by words and whether sigma' is its own."""
    if hasattr(own, "w"):
        yield ("b^{n} is left out of z^{n}", False), replace(own, b=0 * own.b)
        ways = [("is transposed", own.w.T)]
        if own.w.ndim == 4:
            ways = [*_changes(own.w), _exchanged(own.w)]
        for words, w in ways:
            if w.shape == own.w.shape:
                yield (f"w^{{n}} {words}", False), replace(own, w=w)
    for made_by, sigma in _OTHERS.items() if not is_last else ():
        for keep in (False, True):
            new = replace(own.activation, fn=sigma.fn) if keep else sigma
            words = f"a^{{n}} is made by {made_by}"
            yield (words, keep), replace(own, activation=new)


def _of_network(
    inside: Internals, forward: Params, backward: Params, problem: Problem
) -> Leaves | None:
    """The gradients of each example of other networks; None if the values are equal.

    The derivatives are those that activations give as `prime`.
    """
    _, x, y, cost = problem
    a, z = [np.asarray(x)], []
    for layer in forward:
        z.append(weigh(layer, a[-1]))
        a.append(by_example(layer.activation.fn, z[-1]))
    if all(map(inside.match, a, inside.a)):
        return None  # only a derivative differs
    pairs = zip(backward[:-1], z, strict=False)
    slopes = [by_example(layer.activation.prime, v) for layer, v in pairs]
    other = inside._replace(params=backward, a=a, z=z)
    delta = error(cost, z[-1], np.asarray(y))
    return other.all_gradients(other.backward(delta, slopes))


def of_the_mean(
    batch: Leaves, inside: Internals, problem: Problem
) -> Iterator[Mistake]:
    """Mistakes that make the gradient of a mini-batch of all examples at once."""
    params, x, y, cost = problem
    y = np.asarray(y)

    def means(values: Any) -> Any:
        return jax.tree.map(lambda v: v.mean(axis=0, keepdims=True), values)

    a, z, delta = means(inside.a), means(inside.z), means(inside.delta)
    of_means = inside._replace(a=a, z=z)

    def made(values: Internals, deltas: list[np.ndarray]) -> Leaves:
        return [leaf.mean(axis=0) for leaf in values.all_gradients(deltas)]

    words = "errors and activations are averaged before they are multiplied"
    yield Mistake(words, made(of_means, delta))
    at_mean = problem._replace(x=0 * x + means(x), y=0 * y + means(y))  # of one shape
    at_mean = internals_of(at_mean)
    words = "the mini-batch is averaged before the forward pass"
    yield Mistake(words, made(at_mean, at_mean.delta))
    pairs = zip(params[:-1], z, strict=False)
    slopes = [by_example(layer.activation.prime, v) for layer, v in pairs]
    last = [delta[-1], error(cost, z[-1], means(y))]
    if inside.grad_a is not None:
        last.append(means(inside.grad_a) * means(inside.slope[-1]))
    for delta in last:
        words = "the mini-batch is averaged before the backward pass"
        yield Mistake(words, made(of_means, of_means.backward(delta, slopes)))
    for order in _orders(batch, inside, y, cost):
        mixed = error(cost, inside.z[-1], y[order])
        words = "examples are mixed up: inputs of one go with targets of another"
        yield Mistake(words, made(inside, inside.backward(mixed, inside.slope)))


def _orders(
    batch: Leaves, inside: Internals, y: np.ndarray, cost: Cost
) -> Iterator[np.ndarray]:
    """Orders of the targets in which they may have been taken."""
    m = len(y)
    yield from (np.roll(np.arange(m), 1), np.roll(np.arange(m), -1), np.arange(m)[::-1])
    if m > _MOST_UNKNOWN:
        return

    # Every input with every target: the gradient is a mean of m of these m^2.
    def every(values: list[np.ndarray]) -> list[np.ndarray]:
        return [value.repeat(m, axis=0) for value in values]

    pairs = inside._replace(a=every(inside.a), slope=every(inside.slope))
    errors = error(cost, inside.z[-1].repeat(m, axis=0), np.tile(y, (m, 1)))
    each = pairs.all_gradients(pairs.backward(errors, pairs.slope))
    yield shares(batch, each)[0].reshape(m, m).argmax(axis=1)


def shares(batch: Leaves, examples: Leaves) -> tuple[np.ndarray, float]:
    """The weights with which the examples make the batch, and the relative error."""
    basis = np.concatenate([g.reshape(len(g), -1) for g in examples], axis=1).T
    actual = np.concatenate([g.ravel() for g in batch])
    found = np.linalg.lstsq(basis, actual, rcond=None)[0]
    error = np.linalg.norm(basis @ found - actual) / np.linalg.norm(actual)
    return found, float(error)


def error(cost: Cost, z: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The error of the output for each example, dC/dz^L."""
    return np.asarray(_slope_of(cost, "value", z, y))


def _grad_a(cost: Cost, a: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.asarray(_slope_of(cost, "formula", a, y))


@partial(jax.jit, static_argnames=("cost", "what"))
def _slope_of(cost: Cost, what: str, z: Any, y: Any) -> Any:
    return jax.vmap(jax.grad(getattr(cost, what)))(z, y)
