"""Mistakes in the forward pass: a right gradient of another network than was meant.

BP1 to BP4 are then held against weighted inputs that the gradient never saw, and seem
broken from the last layer down. So each likely mistake is made here too, and whoever
makes the same gives the same errors.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from jaxnet.activations import linear, relu, sigmoid, tanh
from jaxnet.compare.mistakes import Truth, off, outer
from jaxnet.costs import Cost
from jaxnet.gradients import errors
from jaxnet.layers import Params

_OTHERS = {"sigmoid": sigmoid, "tanh": tanh, "relu": relu, "no activation": linear}


def mistaken_pass(
    ws: Sequence[np.ndarray],
    bs: Sequence[np.ndarray],
    truth: Truth,
    params: Params,
    examples: tuple[jax.Array, jax.Array],
    cost: Cost,
    tolerance: float,
) -> tuple[int, str] | None:
    """The layer and the mistake in (2.3) that explains all gradients of the examples.

    Layer 0 is all of them.
    """
    for layer, words, network in _mistakes(params):
        one = partial(errors, network, cost=cost)
        deltas, activations = jax.vmap(one)(*examples)
        if off(bs[-1], np.asarray(deltas[-1])) > tolerance:
            continue
        deltas, activations = (
            [np.asarray(array) for array in arrays] for arrays in (deltas, activations)
        )
        meant = zip(activations, truth.a, strict=False)
        if layer < len(params) and all(off(*pair) <= tolerance for pair in meant):
            continue  # only a derivative is another
        shown = zip(ws, bs, deltas, activations, strict=True)
        if all(
            off(b, delta) <= tolerance and off(w, outer(delta, a)) <= tolerance
            for w, b, delta, a in shown
        ):
            return layer, words
    return None


def _mistakes(params: Params) -> Iterator[tuple[int, str, Params]]:
    layers = range(1, len(params) + 1)
    for where in (0, *layers):
        at = layers if where == 0 else (where,)
        name = where or "l"
        without = [
            replace(layer, b=jnp.zeros_like(layer.b)) if l in at else layer
            for l, layer in enumerate(params, start=1)
        ]
        yield where, f"b^{name} is left out of z^{name}", without
        if where and params[where - 1].w.shape[0] == params[where - 1].w.shape[1]:
            turned = list(params)
            turned[where - 1] = replace(params[where - 1], w=params[where - 1].w.T)
            yield where, f"w^{where} is transposed", turned
        if len(params) == 1 or where == len(params):
            continue
        for other, sigma in _OTHERS.items():
            for prime in (True, False):  # the other's derivative too, or the right one
                changed = list(params)
                for l in set(at) - {len(params)}:
                    own = params[l - 1].activation
                    made = sigma if prime else replace(own, fn=sigma.fn)
                    changed[l - 1] = replace(params[l - 1], activation=made)
                yield where, f"a^{name} is made by {other}", changed
