"""Edge points at which gradients tend to fail, and small networks of other kinds.

The edge points are those of the network that is examined, so they ask for no other
cost, activation or depth.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float

from jaxnet.activations import Activation, linear, relu, sigmoid, softmax, tanh
from jaxnet.compare.candidate import Candidate, CandidateError
from jaxnet.compare.internals import Problem, by_example, compare_at, internals
from jaxnet.compare.measures import relative_error
from jaxnet.costs import (
    Cost,
    cross_entropy,
    linear_quadratic,
    log_likelihood,
    quadratic,
)
from jaxnet.forms import ShapeError
from jaxnet.forms.calls import takes_cost
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
    those of the cost, and the targets of a softmax add up to 1.
    """
    key, rng = jax.random.key(seed), np.random.default_rng(seed)

    def random_layer(_: Any, n_in: int, n_out: int) -> Layer:
        # Of NumPy's numbers, for which nothing is compiled.
        w, b = rng.normal(size=(n_out, n_in)), rng.normal(size=n_out)
        return Layer(jax.device_put(w), jax.device_put(b))

    sizes = [n] * (hidden_layers + 2)
    params = init(key, sizes, hidden, cost.output, random_layer)
    x, y = rng.normal(size=(m, n)), rng.uniform(size=(m, n))
    if cost.output == softmax:
        y /= y.sum(axis=1, keepdims=True)
    return params, jax.device_put(x), jax.device_put(y)


class Edge(NamedTuple):
    """A point, and how far apart the two gradients are there."""

    name: str
    relative_error: float
    tolerance: float
    agrees: bool
    note: str = ""  # an exception, or a convention
    required: bool = True  # False for networks of other kinds than the examined one
    problem: Problem | None = None


def edge_points(
    candidate: Candidate, problem: Problem, larger: Problem, *, others: bool = True
) -> Iterator[Edge]:
    """The gradient at the edge points of this network, then at `others`.

    `larger` is the problem with more examples.
    """
    points = {**_points(problem), "a larger mini-batch": larger}
    for name, point in points.items():
        yield _edge(name, candidate, point)
    if any(_kinked(layer.activation) for layer in problem.params[:-1]):
        yield _at_the_kink(candidate, problem)
    for name, point in _others(problem).items() if others else ():
        if point.cost == problem.cost or takes_cost(candidate.source):
            yield _edge(name, candidate, point)._replace(required=False)


def _edge(name: str, candidate: Candidate, problem: Problem) -> Edge:
    try:
        found = compare_at(candidate, problem)
    except (CandidateError, ShapeError) as error:
        return Edge(name, np.nan, np.nan, False, str(error), problem=problem)
    numbers = found.relative_error, found.tolerance, found.agrees
    return Edge(name, *numbers, problem=problem)


def _points(problem: Problem) -> dict[str, Problem]:
    params, x, y, cost = problem
    first, last = params[0], params[-1]
    points = {
        "inputs all zero": problem._replace(x=0 * x),
        "the same example throughout": problem._replace(x=0 * x + x[0], y=0 * y + y[0]),
        "a mini-batch of one": problem._replace(x=x[:1], y=y[:1]),
    }
    # A softmax is saturated by outputs that differ, up to where exp overflows.
    levels, pattern = (-40.0, 40.0, -100.0, 100.0), 1.0
    if cost.output == softmax:
        levels, pattern = (40.0, 1000.0), np.arange(last.b.size) % 3 - 1.0
    for z in levels if cost.output != linear else ():
        outputs = replace(last, w=0 * last.w, b=z * pattern + 0 * last.b)
        name = f"outputs saturated at z = {z:g}"
        points[name] = problem._replace(params=[*params[:-1], outputs])
    if hasattr(first, "w") and len(params) > 1:
        steep = [replace(first, w=40 * first.w), *params[1:]]
        points["hidden neurons saturated"] = problem._replace(params=steep)
    if not any(_kinked(layer.activation) for layer in params):
        zeros = jax.tree.map(np.zeros_like, params)
        points["weights all zero"] = problem._replace(params=zeros)
    return points


def _kinked(sigma: Activation) -> bool:
    """Whether its derivative jumps at 0."""
    if sigma == softmax:
        return False
    below, above = by_example(sigma.prime, np.array([-1e-6, 1e-6]))
    return bool(abs(above - below) > 1e-3)


def _at_the_kink(candidate: Candidate, problem: Problem) -> Edge:
    """At weighted inputs of 0, where any derivative between two is a convention."""
    first = problem.params[0]
    b = np.where(np.arange(first.b.size) % 2, first.b, 0.0)
    rows = np.expand_dims(b != 0, tuple(range(1, first.w.ndim)))
    at_zero = replace(first, w=first.w * rows, b=b)
    point = problem._replace(params=[at_zero, *problem.params[1:]])
    edge = _edge(f"{first.activation} at z = 0", candidate, point)
    if edge.agrees or edge.note:
        return edge
    inside = internals(point)
    actual = jax.tree.leaves(candidate(*point))
    for value in (0.0, 0.5, 1.0):
        pairs = zip(inside.z, inside.slope, strict=True)
        slopes = [np.where(z == 0, value, slope) for z, slope in pairs]
        gradients = inside.all_gradients(inside.backward(inside.delta[-1], slopes))
        means = [leaf.mean(axis=0) for leaf in gradients]
        if all(map(inside.match, actual, means)):
            error = max(map(relative_error, actual, means))
            note = f"with {value:g} for the derivative at 0, a convention"
            return edge._replace(agrees=True, relative_error=error, note=note)
    return edge


def _others(problem: Problem) -> dict[str, Problem]:
    """Small networks of other depths, costs and activations than this problem's."""
    depth, cost = len(problem.params) - 1, problem.cost
    sigma = problem.params[0].activation if depth else sigmoid

    def small(depth: int = 1, hidden: Any = sigma, cost: Cost = cost) -> Problem:
        return Problem(*probe(depth, n=6, m=5, hidden=hidden, cost=cost), cost)

    costs = (quadratic, cross_entropy, linear_quadratic, log_likelihood)
    sigmas = (sigmoid, tanh, relu, linear)
    return {
        **{f"{n or 'no'} hidden layers": small(n) for n in (0, 2, 3) if n != depth},
        **{f"{c} cost": small(cost=c) for c in costs if c != cost},
        **{f"{s} neurons": small(hidden=s) for s in sigmas if s != sigma},
        "a layer each of tanh and relu": small(2, (tanh, relu)),
    }
