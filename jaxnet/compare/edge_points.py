"""Small networks: a random one, and edge points at which gradients tend to fail."""

from collections.abc import Collection, Iterator
from dataclasses import replace
from math import nan
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float

from jaxnet.activations import Activation, linear, relu, sigmoid, tanh
from jaxnet.compare.candidate import CandidateError, Prepared
from jaxnet.compare.comparison import ShapeError
from jaxnet.compare.internals import Problem, compare_at
from jaxnet.costs import (
    Cost,
    cross_entropy,
    linear_quadratic,
    log_likelihood,
    quadratic,
)
from jaxnet.layers import Layer, Params
from jaxnet.network import init


def probe(
    hidden_layers: int,
    seed: int = 0,
    n: int = 4,
    m: int = 3,
    hidden: Activation | list[Activation] | tuple[Activation, ...] = sigmoid,
    cost: Cost = quadratic,
) -> tuple[Params, Float[Array, "m n"], Float[Array, "m n"]]:
    """A small random network whose layers all have n neurons, and m examples x and y.

    Where all shapes are equal, a wrong index gives a wrong value and can be named.
    `hidden` is the activation of all hidden layers, or one for each; the outputs are
    those of the cost.
    """
    key, rng = jax.random.key(seed), np.random.default_rng(seed)

    def random_layer(_: Any, n_in: int, n_out: int) -> Layer:
        # Of NumPy's numbers, for which nothing is compiled.
        w, b = rng.normal(size=(n_out, n_in)), rng.normal(size=n_out)
        return Layer(jax.device_put(w), jax.device_put(b))

    sizes = [n] * (hidden_layers + 2)
    params = init(key, sizes, hidden, cost.output, random_layer)
    x, y = rng.normal(size=(m, n)), rng.uniform(size=(m, n))
    return params, jax.device_put(x), jax.device_put(y)


class Edge(NamedTuple):
    """An edge point, and how far apart the two gradients are there."""

    name: str
    relative_error: float
    tolerance: float
    agrees: bool
    exception: str = ""  # that the candidate raised there
    required: bool = True  # False for activations that it need not support


def edge_points(
    candidate: Prepared, reference: Prepared, activations: Collection[Activation] = ()
) -> Iterator[Edge]:
    """Both gradients compared at each edge point that the reference supports.

    The candidate is required to support sigmoid and the given activations.
    """
    for name, problem in _points():
        problem = jax.tree.map(jax.device_put, problem)
        hidden = {layer.activation for layer in problem.params[:-1]}
        required = hidden <= {sigmoid, *activations}
        if not candidate.takes(problem.cost):
            continue
        try:
            reference(*problem)
        except CandidateError:
            continue
        try:
            found = compare_at(candidate, reference, problem)
            numbers = found.relative_error, found.tolerance, found.agrees
            yield Edge(name, *numbers, required=required)
        except (CandidateError, ShapeError) as error:
            yield Edge(name, nan, nan, False, str(error), required)


def _points() -> Iterator[tuple[str, Problem]]:
    # What is done here to NumPy's arrays needs no compiling.
    plain = jax.tree.map(np.asarray, Problem(*probe(hidden_layers=1, n=6, m=5)))
    (first, last), x, y, _ = plain
    one_hot = np.eye(6)[:5]

    def saturated(z: float) -> Problem:
        outputs = replace(last, w=0 * last.w, b=np.full_like(last.b, z))
        return plain._replace(params=[first, outputs])

    yield "soft targets", plain
    yield "one-hot targets", plain._replace(y=one_hot)
    yield "inputs all zero", plain._replace(x=0 * x)
    same = plain._replace(x=x[:1].repeat(5, 0), y=y[:1].repeat(5, 0))
    yield "the same example five times", same
    yield "a mini-batch of one", plain._replace(x=x[:1], y=y[:1])
    for z in (-40.0, 40.0, -100.0, 100.0):
        yield f"outputs saturated at z = {z:g}", saturated(z)
    steep = [replace(first, w=40 * first.w), last]
    yield "hidden neurons saturated", plain._replace(params=steep)
    zeros = jax.tree.map(np.zeros_like, plain.params)
    yield "weights all zero", plain._replace(params=zeros)
    for depth in (0, 2, 3, 4):
        yield f"{depth or 'no'} hidden layers", Problem(*probe(depth, n=6, m=5))
    yield "cross-entropy", plain._replace(cost=cross_entropy)
    outputs = probe(1, n=6, m=5, cost=linear_quadratic)
    yield "linear outputs", Problem(*outputs, linear_quadratic)
    softmax = [first, replace(last, activation=log_likelihood.output)]
    softmax = plain._replace(params=softmax, y=one_hot, cost=log_likelihood)
    yield "softmax with log-likelihood", softmax
    yield "one neuron in each layer", Problem(*probe(2, n=1, m=5))
    yield "cross-entropy at z = 100", saturated(100.0)._replace(cost=cross_entropy)
    for sigma in (tanh, relu, linear):
        yield f"{sigma} neurons", Problem(*probe(2, n=6, m=5, hidden=sigma))
    yield "a layer each of tanh and relu", Problem(*probe(2, hidden=(tanh, relu)))
