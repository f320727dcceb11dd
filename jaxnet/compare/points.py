"""Edge points: networks and mini-batches at which gradients tend to go wrong."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxnet.activations import linear, relu, sigmoid, tanh
from jaxnet.compare.candidate import CandidateError, Prepared
from jaxnet.compare.diagnosis import probe
from jaxnet.compare.leaves import ShapeError, compare_gradients
from jaxnet.costs import (
    Cost,
    cross_entropy,
    linear_quadratic,
    log_likelihood,
    quadratic,
)
from jaxnet.network import Hidden, Layer, Params

# Where a gradient is 0 but for rounding, of sums of numbers about 1.
_ROUNDING = 1e-14


class Edge(NamedTuple):
    """An edge point, how far the gradients are apart there, or what was raised."""

    name: str
    relative_error: float
    tolerance: float
    agrees: bool
    trouble: str = ""


def edge_points(candidate: Prepared, reference: Prepared) -> Iterator[Edge]:
    """A gradient beside another at each of them that both can be asked about."""
    for name, params, x, y, cost, hidden in _points():
        if not candidate.takes(cost, hidden):
            continue
        choices = {"cost": cost, "hidden": hidden}
        try:
            reference(params, x, y, **choices)
        except CandidateError:
            continue  # the reference has nothing to say here
        try:
            comparison = compare_gradients(
                candidate, reference, params, x, y, floor=_ROUNDING, **choices
            )
        except (CandidateError, ShapeError) as error:
            yield Edge(name, float("nan"), float("nan"), False, str(error))
        else:
            error, tolerance = comparison.relative_error, comparison.tolerance
            yield Edge(name, error, tolerance, comparison.agrees)


def _points() -> Iterator[tuple[str, Params, Any, Any, Cost, Hidden]]:
    params, x, y = probe(hidden_layers=1, n=6, m=5)
    book = (quadratic, sigmoid)
    one_hot = jnp.eye(6)[jnp.arange(5)]
    first, last = params

    def saturated(z: float) -> Params:
        return [first, Layer(0 * last.w, jnp.full_like(last.b, z))]

    yield "soft targets", params, x, y, *book
    yield "one-hot targets", params, x, one_hot, *book
    yield "inputs all zero", params, 0 * x, y, *book
    yield (
        "the same example five times",
        params,
        x[:1].repeat(5, 0),
        y[:1].repeat(5, 0),
        *book,
    )
    yield "a mini-batch of one", params, x[:1], y[:1], *book
    for z in (-40.0, 40.0, -100.0, 100.0):
        yield f"outputs saturated at z = {z:g}", saturated(z), x, y, *book
    steep = first._replace(w=40 * first.w)
    yield "hidden neurons saturated", [steep, last], x, y, *book
    yield "weights all zero", jax.tree.map(jnp.zeros_like, params), x, y, *book
    for depth in (0, 2, 3, 4):
        layers = f"{depth or 'no'} hidden layers"
        yield layers, *probe(depth, n=6, m=5), *book
    for name, cost in (
        ("cross-entropy", cross_entropy),
        ("linear outputs", linear_quadratic),
    ):
        yield name, params, x, y, cost, sigmoid
    one_hot = (params, x, one_hot)
    yield "softmax with log-likelihood", *one_hot, log_likelihood, sigmoid
    yield "one neuron in each layer", *probe(2, n=1, m=5), *book
    yield "cross-entropy at z = 100", saturated(100.0), x, y, cross_entropy, sigmoid
    for name, hidden in (("tanh", tanh), ("relu", relu), ("linear", linear)):
        yield f"{name} neurons", *probe(2, n=6, m=5), quadratic, hidden
    yield "a layer each of tanh and relu", *probe(2), quadratic, (tanh, relu)
