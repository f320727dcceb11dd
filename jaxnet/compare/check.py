"""The complete check of a gradient, which `python -m jaxnet compare` reports.

It is compared with a reference in float64 and float32, before and after training; with
each equation; with differences of the cost alone; at edge points; and timed.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from itertools import cycle, islice
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxnet.activations import sigmoid, softmax
from jaxnet.compare.candidate import CandidateError, Prepared
from jaxnet.compare.comparison import Comparison, ShapeError, compare_trees
from jaxnet.compare.diagnosis import Equation, diagnose, equations
from jaxnet.compare.edge_points import Edge, edge_points, probe
from jaxnet.compare.finite_differences import Curve, Opinion, third_opinion
from jaxnet.compare.internals import Problem, compare_at
from jaxnet.compare.timing import Timing, time_calls
from jaxnet.costs import Cost, quadratic
from jaxnet.gradients import autodiff
from jaxnet.layers import Dataset, Params, as_numbers
from jaxnet.oracles import complex_step
from jaxnet.sgd import epoch, start

_ETA = 0.1  # of the training before the last comparison
_COMPLEX_STEP_TOLERANCE = 1e-9
_compiled_complex_step = jax.jit(complex_step)


class Stage(NamedTuple):
    """The gradient compared with the reference after some epochs of training."""

    epochs: int
    comparison: Comparison


@dataclass
class GradCheck:
    """All that was found about a gradient."""

    stages: list[Stage] = field(default_factory=list)
    equations: list[Equation] = field(default_factory=list)
    opinions: list[Opinion] = field(default_factory=list)
    curve: Curve | None = None
    complex_step_error: float | None = None
    edges: list[Edge] = field(default_factory=list)
    broken: list[Equation] = field(default_factory=list)
    timings: list[Timing] = field(default_factory=list)
    diverged_after: int | None = None  # epochs, after which nothing was compared

    @property
    def agrees(self) -> bool:
        """Whether the gradient is correct everywhere that was checked."""
        return (
            all(stage.comparison.agrees for stage in self.stages)
            and all(equation.holds for equation in self.equations)
            and all(edge.agrees for edge in self.edges if edge.required)
            and not self.broken
            and (self.complex_step_error or 0.0) < _COMPLEX_STEP_TOLERANCE
        )

    def as_dict(self) -> dict[str, Any]:
        """Plain dictionaries, lists and numbers, with None for nan and infinity."""
        values = {f.name: _plain(getattr(self, f.name)) for f in fields(self)}
        return {"agrees": self.agrees, **values}


def _plain(value: Any) -> Any:
    as_dict = getattr(value, "_asdict", None)  # of a NamedTuple
    if as_dict is not None:
        return {name: _plain(item) for name, item in as_dict().items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def check_gradient(
    candidate: Prepared,
    params: Params,
    data: Dataset,
    *,
    reference: Prepared,
    cost: Cost = quadratic,
    batch_size: int = 10,
    epochs: Sequence[int] = (0, 1),
    edges: bool = True,
) -> GradCheck:
    """All that can be found out about a gradient, with a mini-batch of the data.

    `epochs` is how long the network has been trained at each comparison.
    Raises CandidateError for any exception of the candidate at this network, and
    ShapeError if its result does not have the network's shapes.
    """
    found = GradCheck()
    with jax.enable_x64(True), jax.default_matmul_precision("highest"):
        params, data = jax.tree.map(_as_float64, (params, data))
        x, y = (jax.device_put(np.asarray(a)[:batch_size]) for a in (data.x, data.y))
        problem = Problem(params, x, y, cost)
        for done, network in _trained(params, data, epochs, cost):
            if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(network)):
                found.diverged_after = done
                break
            for dtype in ("float64", "float32"):
                trained = problem._replace(params=network)
                compared = compare_at(candidate, reference, trained, dtype)
                found.stages.append(Stage(done, compared))
        found.equations = equations(candidate, problem)
        both = candidate(*problem), reference(*problem)
        found.curve, found.opinions = third_opinion(*both, problem)
        found.complex_step_error = _complex_step_error(candidate, params, cost)
        if edges:
            activations = {layer.activation for layer in params}
            found.edges = list(edge_points(candidate, reference, activations))
        found.broken = _broken(candidate, params, cost, found)
        found.timings = time_calls(candidate, reference, problem)
    return found


def _as_float64(array: Any) -> Any:
    numbers = as_numbers(jnp.asarray(array), float)
    return jax.device_put(np.asarray(numbers).astype(float))  # NumPy compiles nothing


def _trained(
    params: Params, data: Dataset, epochs: Sequence[int], cost: Cost
) -> Iterator[tuple[int, Params]]:
    """The network after each number of epochs."""
    options: dict[str, Any] = {"eta": _ETA, "gradient": autodiff, "cost": cost}
    state, done = start(params), 0
    for number in sorted(epochs):
        for e in range(done, number):
            key = jax.random.fold_in(jax.random.key(0), e)
            state = epoch(key, state, data, batch_size=min(10, len(data)), **options)
        done = number
        yield number, state.params


def _complex_step_error(
    candidate: Prepared, params: Params, cost: Cost
) -> float | None:
    """The relative error at a small network, None if there is no complex step."""
    small = _probe_like(params, 1, cost)
    try:
        exact = _compiled_complex_step(*small)
        return compare_trees(candidate(*small), exact, 0.0).relative_error
    except (ValueError, CandidateError):
        return None


def _probe_like(params: Params, hidden_layers: int, cost: Cost) -> Problem:
    """A `probe` of this depth whose hidden layers have the network's activations."""
    sigmas = [layer.activation for layer in params[:-1]] or [sigmoid]
    hidden = list(islice(cycle(sigmas), hidden_layers))
    return Problem(*probe(hidden_layers, hidden=hidden, cost=cost), cost)


def _broken(
    candidate: Prepared, params: Params, cost: Cost, found: GradCheck
) -> list[Equation]:
    """The equations that are broken at a small network, if anything is wrong."""
    if found.agrees:
        return []
    for depth in (len(params) - 1, 3, 2, 1, 0):
        try:
            small = _probe_like(params, depth, cost)
            if cost.output == softmax:  # the book's delta is a - y where sums are 1
                y = np.asarray(small.y)
                y = jax.device_put(y / y.sum(axis=1, keepdims=True))
                small = small._replace(y=y)
            broken = diagnose(candidate, *small)
        except (CandidateError, ShapeError):
            continue
        if broken:
            return broken
    return [equation for equation in found.equations if not equation.holds]
