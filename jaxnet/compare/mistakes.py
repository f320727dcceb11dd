"""The known mistakes: each in words, with the gradient of somebody who makes it.

A mistake is named only if its gradient is the candidate's to rounding. Those of an
equation change the errors or the gradient of one layer, so that several at once are
told apart; those of `whole` change all arrays. The first axis of arrays is examples;
l counts layers from 0, sentences count from 1 as the book.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxnet.activations import linear, relu, sigmoid, softmax, tanh
from jaxnet.compare.comparison import norm_of
from jaxnet.compare.internals import Internals, Leaves, Problem, weigh
from jaxnet.costs import Cost
from jaxnet.layers import Layer, Params

_OTHERS = {"sigmoid": sigmoid, "tanh": tanh, "relu": relu, "no activation": linear}
_EPSILONS = [10.0**-k for k in range(1, 17)]


class Mistake(NamedTuple):
    """What a mistake results in: value + c direction, with a c that {c} tells."""

    sentence: str
    value: Any
    direction: Any = None


def output_errors(inside: Internals, problem: Problem) -> Iterator[Mistake]:
    """Mistakes in (BP1), by the error of the output that they result in."""
    L, y, cost = len(inside.params), np.asarray(problem.y), problem.cost
    z, a, slope = inside.z[-1], inside.a[-1], inside.slope[-1]
    is_softmax = cost.output == softmax
    if is_softmax and inside.grad_a is not None:
        yield Mistake("softmax's Jacobian is taken as diagonal", inside.grad_a * slope)
    if is_softmax:
        yield Mistake("softmax is normalised over the mini-batch", 1 - y)
    yield Mistake(f"one sigma'(z^{L}) too many", inside.delta[-1] * slope)
    if inside.grad_a is not None:
        yield from _slopes(inside, L - 1, inside.grad_a)
    for shift in (1, -1):
        shifted = error(cost, z, np.roll(y, shift, axis=1))
        yield Mistake("the targets are shifted by one output", shifted)
    if inside.grad_a is None:
        return
    at_z = _grad_a(cost, z, y)
    for factor in (1, slope, z * (1 - z)):
        yield Mistake(f"z^{L} in place of a^{L}: no activation", at_z * factor)

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
            grad_a = logarithms[cost.name] - y / (a + e)
            yield Mistake(
                f"log(a^{L} + {e:g}) in place of log(a^{L})", through(grad_a, a)
            )


def _slopes(inside: Internals, l: int, factor: np.ndarray) -> Iterator[Mistake]:
    """Mistakes in sigma'(z^n), given the factor that it multiplies."""
    n, z, a, slope = l + 1, inside.z[l], inside.a[l + 1], inside.slope[l]
    sigma, it = inside.params[l].activation, f"in place of sigma'(z^{l + 1})"
    if not inside.match(inside.prime[l], slope):
        sentence = f"the prime of {sigma} is not the derivative of its fn"
        yield Mistake(sentence, factor * inside.prime[l])
    yield Mistake(f"sigma'(z^{n}) is missing", factor)
    yield Mistake(f"sigma'(a^{n}) {it}", factor * inside.slope_at_a[l])
    yield Mistake(f"sigma(z^{n}) {it}", factor * a)
    yield Mistake(f"one sigma'(z^{n}) too many", factor * slope**2)
    yield Mistake(f"1 - a^{n} {it}", factor * (1 - a))
    yield Mistake(f"tanh's derivative, 1 - a^2, {it}", factor * (1 - a**2))
    yield Mistake(f"sigmoid's derivative, a (1 - a), {it}", factor * a * (1 - a))
    yield Mistake(f"relu's derivative, 1 where z > 0, {it}", factor * (z > 0))
    yield Mistake(f"z^{n} {it}", factor * z)
    for k, other in enumerate(inside.slope, start=1):
        if k != n and other.shape == factor.shape:
            yield Mistake(f"sigma'(z^{k}) {it}", factor * other)


def hidden_errors(
    inside: Internals, l: int, above: np.ndarray, factor_above: np.ndarray | None
) -> Iterator[Mistake]:
    """Mistakes in (BP2), given the error in the layer above.

    `factor_above` is what sigma' multiplies there.
    """
    n, layer, slope = l + 1, inside.params[l + 1], inside.slope[l]
    carried, a = inside.carried(l + 1, above), inside.a[l + 1]
    yield from _slopes(inside, l, carried)
    if factor_above is not None:
        sentence = f"sigma'(z^{n + 1}) is missing in the error that is carried back"
        yield Mistake(sentence, inside.carried(l + 1, factor_above) * slope)
    for k, other in enumerate(inside.params, start=1):
        if not (isinstance(other, Layer) and isinstance(layer, Layer)):
            continue
        if other.w.shape[::-1] == layer.w.shape:
            which = "" if k == n + 1 else f", in place of w^{n + 1},"
            yield Mistake(f"w^{k}{which} is not transposed", above @ other.w.T * slope)
        if other.w.shape == layer.w.shape and k != n + 1:
            yield Mistake(f"w^{k} in place of w^{n + 1}", above @ other.w * slope)
    for k, delta in enumerate(inside.delta, start=1):
        if delta.shape == above.shape and k != n + 1:
            value = inside.carried(l + 1, delta) * slope
            yield Mistake(f"delta^{k} in place of delta^{n + 1}", value)
    if isinstance(layer, Layer):
        sentence = f"w^{n + 1} is updated, with eta = {{c:.4g}}, before it carries back"
        update = -np.sum(above**2, axis=1, keepdims=True) * a.reshape(len(a), -1)
        yield Mistake(sentence, carried * slope, update.reshape(a.shape) * slope)
    elif getattr(layer, "w", None) is not None:  # a convolution
        flipped = replace(layer, w=layer.w[..., ::-1, ::-1])
        value = inside.carried(l + 1, above, flipped) * slope
        yield Mistake(f"the kernels of w^{n + 1} are turned by 180 degrees", value)
    elif a.ndim == above.ndim == 4:  # pooling
        rows, columns = (
            n // k for n, k in zip(a.shape[2:], above.shape[2:], strict=True)
        )
        spread = above.repeat(rows, axis=2).repeat(columns, axis=3)
        if spread.shape == a.shape:
            sentence = "the error goes to all of a window, not to its maximum"
            yield Mistake(sentence, spread * slope)
            yield Mistake(
                f"{sentence}, in equal parts", spread * slope / (rows * columns)
            )


def bias_gradients(inside: Internals, l: int) -> Iterator[Mistake]:
    """Mistakes in (BP3)."""
    for k in range(len(inside.delta)):
        if k != l and (leaves := inside.gradients(k, inside.delta[k])):
            yield Mistake(f"delta^{k + 1} in place of delta^{l + 1}", leaves[-1])


def weight_gradients(
    inside: Internals, l: int, delta: np.ndarray, bias: np.ndarray
) -> Iterator[Mistake]:
    """Mistakes in (BP4), given the error of the layer and its gradient of the bias."""
    n, a = l + 1, inside.a[l]

    def of(delta: np.ndarray, a: np.ndarray) -> np.ndarray:
        return inside.gradients(l, delta, a)[0]

    expected = of(delta, a)
    for name, values, first in (("a", inside.a, 0), ("z", inside.z, 1)):
        for k, other in enumerate(values, start=first):
            if other.shape == a.shape and other is not a:
                yield Mistake(f"{name}^{k} in place of a^{l}", of(delta, other))
    yield Mistake("the matrix is transposed", expected.swapaxes(-1, -2))
    if expected.ndim == 5:
        yield Mistake(
            "the kernels are turned by 180 degrees", expected[..., ::-1, ::-1]
        )
    for k, other in enumerate(inside.delta):
        if k != l and other.shape == delta.shape:
            yield Mistake(f"delta^{k + 1} in place of delta^{n}", of(other, a))
        if k != l and (leaves := inside.gradients(k, other)):
            sentence = f"the gradient of w^{k + 1} in place of that of w^{n}"
            yield Mistake(sentence, leaves[0])
    if bias.shape == delta.shape:
        yield Mistake(f"another delta^{n} than that of b^{n}", of(bias, a))


def whole(
    examples: Leaves, inside: Internals, problem: Problem
) -> Iterator[tuple[str, int, str, Leaves, Leaves | None]]:
    """Mistakes in all arrays: equation, layer (0 for all), and a Mistake of lists."""
    truth = inside.all_gradients()
    largest = max(float(np.abs(leaf).max(initial=0)) for leaf in examples)
    clipped = [np.clip(leaf, -largest, largest) for leaf in truth]
    yield "BP1 to BP4", 0, f"the gradient is clipped to {largest:.4g}", clipped, None
    m = len(examples[0])
    norms, actual = (
        [_norm(leaf[i] for leaf in each) for i in range(m)]
        for each in (truth, examples)
    )
    limit = max(actual)
    scales = [min(1, limit / norm) if norm else 1.0 for norm in norms]
    scaled = [
        np.stack([s * g for s, g in zip(scales, leaf, strict=True)]) for leaf in truth
    ]
    words = f"the gradient is clipped to a norm of {limit:.4g}"
    if m > 1 and sum(s < 1 for s in scales) > 1:
        yield "BP1 to BP4", 0, words, scaled, None
    leaves = jax.tree.leaves(problem.params)
    for term, of in (("L2", lambda w: w), ("L1", np.sign)):
        for biases in (False, True):
            direction = [
                np.broadcast_to(of(leaf) * float(leaf.ndim > 1 or biases), g.shape)
                for leaf, g in zip(leaves, truth, strict=True)
            ]
            of_w = "w" if term == "L2" else "sgn(w)"
            also = ", of biases too," if biases else ""
            words = f"the {term} term{also} is included: {{c:.4g}} {of_w} is added"
            yield "BP4", 0, words, truth, direction
    for layer, words, network in _networks(problem.params):
        changed = changed_pass(inside, network, problem)
        if changed is not None:
            yield "2.3", layer, words, changed, None


def _networks(params: Params) -> Iterator[tuple[int, str, Params]]:
    """The layer, the description and the network of each mistake in (2.3)."""
    L = len(params)
    for n in range(L + 1):
        name, layers = (n, {n}) if n else ("l", set(range(1, L + 1)))

        def changed(change: Callable[[Any], Any], layers: set[int] = layers) -> Params:
            pairs = enumerate(params, start=1)
            return [change(own) if l in layers else own for l, own in pairs]

        if any(hasattr(layer, "b") for layer in params):
            no_bias = changed(
                lambda own: replace(own, b=0 * own.b) if hasattr(own, "b") else own
            )
            yield n, f"b^{name} is left out of z^{name}", no_bias
        w = getattr(params[n - 1], "w", None) if n else None
        if w is not None and w.shape[-1] == w.shape[-2]:
            yield (
                n,
                f"w^{n} is transposed",
                changed(lambda own: replace(own, w=own.w.swapaxes(-1, -2))),
            )
        layers = layers - {L}
        for made_by, sigma in _OTHERS.items() if layers else ():
            for keep in (False, True):

                def other(own: Any, sigma: Any = sigma, keep: bool = keep) -> Any:
                    new = replace(own.activation, fn=sigma.fn) if keep else sigma
                    return replace(own, activation=new)

                yield n, f"a^{name} is made by {made_by}", changed(other, layers)


def changed_pass(inside: Internals, params: Params, problem: Problem) -> Leaves | None:
    """The gradients of each example of another network; None if it has the same values.

    Its derivatives are those that its activations give as `prime`.
    """
    _, x, y, cost = problem
    a, z = [np.asarray(x)], []
    for layer in params:
        z.append(weigh(layer, a[-1]))
        a.append(apply(layer.activation.fn, z[-1]))
    if all(map(inside.match, a, inside.a)):
        return None  # only a derivative differs
    slopes = [
        apply(layer.activation.prime, v)
        for layer, v in zip(params[:-1], z, strict=False)
    ]
    other = inside._replace(params=params, a=a, z=z)
    return other.all_gradients(
        other.backward(error(cost, z[-1], np.asarray(y)), slopes)
    )


def explain(
    actual: np.ndarray,
    expected: np.ndarray,
    mistakes: Iterable[Mistake],
    inside: Internals,
) -> str:
    """The mistake that makes `actual` of what should be `expected`, or nothing."""
    if not np.isfinite(actual).all():
        return "nan or infinity"
    if not actual.any():
        return "it is zero"
    made = [m for m in mistakes if np.shape(m.value) == actual.shape]
    for sentence, value, direction in made:
        if direction is None and inside.match(actual, value):
            return sentence
        if direction is not None and (
            c := fitted([actual], [value], [direction], inside)
        ):
            return sentence.format(c=c)
    if factor := _factor(actual, expected, inside):
        return factor_in_words(factor, inside)
    if (actual == np.round(actual)).all():
        return "rounded to integers"
    for sentence, value, direction in made:
        if direction is None and (factor := _factor(actual, value, inside)):
            return f"{sentence}, and {factor_in_words(factor, inside)}"
    wrong = ~np.isclose(actual, expected, rtol=1e-9, atol=1e-12).all(axis=0)
    if 0 < wrong.sum() <= max(1, wrong.size // 4):
        places = [", ".join(map(str, place)) for place in np.argwhere(wrong)[:8]]
        more = f" and {wrong.sum() - 8} more places" if wrong.sum() > 8 else ""
        return f"wrong only at [{'], ['.join(places)}]{more}"
    return ""


def _factor(actual: np.ndarray, value: np.ndarray, inside: Internals) -> float:
    """The c with which actual = c value; 0 if there is none."""
    size = float(np.vdot(value, value))
    factor = float(np.vdot(actual, value)) / size if size else 0.0
    return factor if inside.match(actual, factor * value) else 0.0


def fitted(
    actual: Leaves, value: Leaves, direction: Leaves, inside: Internals
) -> float:
    """The c with which actual = value + c direction in all arrays; 0 for none."""
    pairs = list(zip(actual, value, direction, strict=True))
    size = sum(float(np.vdot(d, d)) for *_, d in pairs)
    if not 0 < size < math.inf:
        return 0.0
    c = sum(float(np.vdot(d, g - v)) for g, v, d in pairs) / size
    return c if all(inside.match(g, v + c * d) for g, v, d in pairs) else 0.0


def factor_in_words(factor: float, inside: Internals) -> str:
    """How many times too large, and what has such a factor in this network."""
    n = inside.a[-1][0].size
    known = {
        2.0: "the cost without its 1/2",
        1 / n: f"a mean over the {n} outputs, not a sum",
        2 / n: f"a mean of squares over the {n} outputs, as PyTorch's MSELoss",
        1 / math.log(2): "log base 2",
        1 / math.log(10): "log base 10",
    }
    if abs(factor + 1) < 1e-6:
        return "the sign is wrong"
    words = next(
        (w for f, w in known.items() if n > 1 and abs(factor / f - 1) < 1e-9), ""
    )
    return f"{factor:.10g} times what it should be" + (f": {words}" if words else "")


def _norm(leaves: Iterable[np.ndarray]) -> float:
    return norm_of(np.array([norm_of(leaf) for leaf in leaves]))


@partial(jax.jit, static_argnames="function")
def _applied(function: Any, z: Any) -> Any:
    return jax.vmap(function)(z)


def apply(function: Any, z: np.ndarray) -> np.ndarray:
    """The values of a function of each example."""
    return np.asarray(_applied(function, z))


def error(cost: Cost, z: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The error of the output for each example, dC/dz^L."""
    return np.asarray(_slope_of(cost, "value", z, y))


def _grad_a(cost: Cost, a: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.asarray(_slope_of(cost, "formula", a, y))


@partial(jax.jit, static_argnames=("cost", "what"))
def _slope_of(cost: Cost, what: str, z: Any, y: Any) -> Any:
    return jax.vmap(jax.grad(getattr(cost, what)))(z, y)
