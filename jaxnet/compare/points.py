"""Edge points: networks and mini-batches at which gradients tend to go wrong."""

from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxnet.activations import Activation, linear, relu, sigmoid, tanh
from jaxnet.compare.candidate import CandidateError, Prepared
from jaxnet.compare.diagnosis import compare_at, probe
from jaxnet.compare.leaves import ShapeError
from jaxnet.costs import (
    Cost,
    cross_entropy,
    linear_quadratic,
    log_likelihood,
    quadratic,
)
from jaxnet.layers import Params


class Edge(NamedTuple):
    """An edge point, how far the gradients are apart there, or what was raised."""

    name: str
    relative_error: float
    tolerance: float
    agrees: bool
    trouble: str = ""
    required: bool = True  # or of activations that a gradient need not know


def edge_points(
    candidate: Prepared, reference: Prepared, activations: Collection[Activation] = ()
) -> Iterator[Edge]:
    """A gradient and a reference, compared at each edge point that both can take.

    Sigmoid hidden neurons and the given activations are required of the gradient.
    """
    for name, params, x, y, cost in _points():
        hidden = {layer.activation for layer in params[:-1]}
        required = hidden <= {sigmoid, *activations}
        if not candidate.takes(cost):
            continue
        try:
            reference(params, x, y, cost)
        except CandidateError:
            continue  # the reference has nothing to say here
        try:
            comparison = compare_at(candidate, reference, params, x, y, cost)
        except (CandidateError, ShapeError) as error:
            nan = float("nan")
            yield Edge(name, nan, nan, False, str(error), required)
        else:
            error, tolerance = comparison.relative_error, comparison.tolerance
            agrees = comparison.agrees
            yield Edge(name, error, tolerance, agrees, required=required)


def _points() -> Iterator[tuple[str, Params, Any, Any, Cost]]:
    params, x, y = probe(hidden_layers=1, n=6, m=5)
    one_hot = jnp.eye(6)[jnp.arange(5)]
    first, last = params

    def saturated(z: float) -> Params:
        return [first, replace(last, w=0 * last.w, b=jnp.full_like(last.b, z))]

    yield "soft targets", params, x, y, quadratic
    yield "one-hot targets", params, x, one_hot, quadratic
    yield "inputs all zero", params, 0 * x, y, quadratic
    same = (params, x[:1].repeat(5, 0), y[:1].repeat(5, 0))
    yield "the same example five times", *same, quadratic
    yield "a mini-batch of one", params, x[:1], y[:1], quadratic
    for z in (-40.0, 40.0, -100.0, 100.0):
        yield f"outputs saturated at z = {z:g}", saturated(z), x, y, quadratic
    steep = replace(first, w=40 * first.w)
    yield "hidden neurons saturated", [steep, last], x, y, quadratic
    yield "weights all zero", jax.tree.map(jnp.zeros_like, params), x, y, quadratic
    for depth in (0, 2, 3, 4):
        layers = f"{depth or 'no'} hidden layers"
        yield layers, *probe(depth, n=6, m=5), quadratic
    yield "cross-entropy", params, x, y, cross_entropy
    outputs = probe(1, n=6, m=5, cost=linear_quadratic)
    yield "linear outputs", *outputs, linear_quadratic
    softmax_outputs, *_ = probe(1, n=6, m=5, cost=log_likelihood)
    yield "softmax with log-likelihood", softmax_outputs, x, one_hot, log_likelihood
    yield "one neuron in each layer", *probe(2, n=1, m=5), quadratic
    yield "cross-entropy at z = 100", saturated(100.0), x, y, cross_entropy
    for sigma in (tanh, relu, linear):
        yield f"{sigma} neurons", *probe(2, n=6, m=5, hidden=sigma), quadratic
    mixture = probe(2, hidden=(tanh, relu))
    yield "a layer each of tanh and relu", *mixture, quadratic
