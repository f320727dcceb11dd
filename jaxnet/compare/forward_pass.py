"""Mistakes in the forward pass: the correct gradient, but of another network.

BP1 to BP4 are checked with weighted inputs that such a gradient never saw, so they seem
broken from the last layer down. Here each likely mistake is made on purpose: if it
leads to the candidate's gradient, it is the explanation.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from jaxnet.activations import linear, relu, sigmoid, tanh
from jaxnet.compare.internals import Arrays, Internals, Problem, gradients_of
from jaxnet.gradients import errors
from jaxnet.layers import Params

_OTHERS = {"sigmoid": sigmoid, "tanh": tanh, "relu": relu, "no activation": linear}


def forward_mistake(
    examples: Arrays, inside: Internals, problem: Problem
) -> tuple[int, str] | None:
    """The layer and description of a mistake in (2.3) that explains all gradients.

    `examples` are the gradients of w^1, b^1, ... of each example. Layer 0 means all.
    """
    params, x, y, cost = problem
    for layer, description, network in _mistakes(params):
        deltas, activations = jax.tree.map(
            np.asarray, jax.vmap(partial(errors, network, cost=cost))(x, y)
        )
        same_activations = all(map(inside.match, activations, inside.a))
        if same_activations and layer < len(params):
            continue  # only a derivative differs
        results = gradients_of(deltas, activations)
        if all(map(inside.match, reversed(examples), reversed(results))):
            return layer, description
    return None


def _mistakes(params: Params) -> Iterator[tuple[int, str, Params]]:
    """The layer, the description and the network of each likely mistake."""
    L = len(params)
    for n in range(L + 1):
        name, layers = (n, {n}) if n else ("l", set(range(1, L + 1)))
        no_bias = [replace(layer, b=jnp.zeros_like(layer.b)) for layer in params]
        yield n, f"b^{name} is left out of z^{name}", _mixed(params, no_bias, layers)
        if n and params[n - 1].w.shape[0] == params[n - 1].w.shape[1]:
            transposed = [replace(layer, w=layer.w.T) for layer in params]
            yield n, f"w^{n} is transposed", _mixed(params, transposed, layers)
        hidden = layers - {L}
        for made_by, sigma in _OTHERS.items() if hidden else ():
            own = [layer.activation for layer in params]
            own_prime = [replace(activation, fn=sigma.fn) for activation in own]
            for activations in ([sigma] * L, own_prime):
                pairs = zip(params, activations, strict=True)
                others = [replace(layer, activation=s) for layer, s in pairs]
                network = _mixed(params, others, hidden)
                yield n, f"a^{name} is made by {made_by}", network


def _mixed(params: Params, others: Params, layers: set[int]) -> Params:
    """The network `params` with these layers of `others`."""
    pairs = enumerate(zip(params, others, strict=True), start=1)
    return [other if l in layers else own for l, (own, other) in pairs]
