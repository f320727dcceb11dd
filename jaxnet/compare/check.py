"""The whole examination of a gradient: what `python -m jaxnet compare` reports.

Beside the reference in float64 and float32, before and after training; equation by
equation; beside differences of the cost alone; at edge points; and what it costs.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from itertools import cycle, islice
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxnet.activations import sigmoid, softmax
from jaxnet.compare.candidate import CandidateError, Prepared
from jaxnet.compare.diagnosis import Equation, compare_at, diagnose, equations, probe
from jaxnet.compare.leaves import Comparison, ShapeError, compare_trees
from jaxnet.compare.points import Edge, edge_points
from jaxnet.compare.slopes import Curve, Opinion, third_opinion
from jaxnet.compare.work import Work, work
from jaxnet.costs import Cost, quadratic
from jaxnet.gradients import autodiff
from jaxnet.layers import Dataset, Params, as_numbers
from jaxnet.oracles import complex_step
from jaxnet.sgd import epoch, start

_ETA = 0.1  # of the training before the last comparison


class Stage(NamedTuple):
    """The gradient of one network beside the reference's."""

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
    work: list[Work] = field(default_factory=list)
    diverged_after: int | None = None  # epochs after which there was nothing to compare

    @property
    def agrees(self) -> bool:
        """Whether it is right everywhere that was looked at."""
        return (
            all(stage.comparison.agrees for stage in self.stages)
            and all(equation.holds for equation in self.equations)
            and all(edge.agrees for edge in self.edges if edge.required)
            and not self.broken
            and (self.complex_step_error or 0.0) < 1e-9
        )

    def as_dict(self) -> dict[str, Any]:
        """Plain dictionaries, lists and numbers, what is not finite as None."""
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
    """All that there is to say about a gradient, at a mini-batch of the data.

    `epochs` says how long the network has been trained at each comparison.
    Raises CandidateError for what the candidate raises at this network, and ShapeError
    if what it returns has another shape.
    """
    found = GradCheck()
    with jax.enable_x64(True), jax.default_matmul_precision("highest"):
        params, data = jax.tree.map(_as_float64, (params, data))
        x, y = data.x[:batch_size], data.y[:batch_size]
        for number, network in _trained(params, data, epochs, cost):
            if not all(jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(network)):
                found.diverged_after = number
                break
            for dtype in ("float64", "float32"):
                comparison = compare_at(
                    candidate, reference, network, x, y, cost, dtype
                )
                found.stages.append(Stage(number, comparison))
        found.equations = equations(candidate, params, x, y, cost)
        one, other = (f(params, x, y, cost) for f in (candidate, reference))
        found.curve, found.opinions = third_opinion(one, other, params, x, y, cost)
        found.complex_step_error = _beside_complex_step(candidate, params, cost)
        if edges:
            activations = {layer.activation for layer in params}
            found.edges = list(edge_points(candidate, reference, activations))
        found.broken = _broken(candidate, params, cost, found)
        found.work = work(candidate, reference, params, x, y, cost)
    return found


def _as_float64(array: Any) -> Any:
    return jnp.asarray(as_numbers(jnp.asarray(array), float), float)


def _trained(params, data, epochs, cost) -> Iterator[tuple[int, Params]]:
    """The network after each number of epochs."""
    state, done = start(params), 0
    for number in sorted(epochs):
        for e in range(done, number):
            key = jax.random.fold_in(jax.random.key(0), e)
            state = epoch(
                key,
                state,
                data,
                batch_size=min(10, len(data)),
                eta=_ETA,
                gradient=autodiff,
                cost=cost,
            )
        done = number
        yield number, state.params


def _beside_complex_step(
    candidate: Prepared, params: Params, cost: Cost
) -> float | None:
    """The relative error on a small network, or None where the step does not apply."""
    small = _probe_like(params, 1, cost)
    try:
        exact = complex_step(*small, cost)
        comparison = compare_trees(candidate(*small, cost), exact, 0.0)
    except (ValueError, CandidateError):
        return None
    return comparison.relative_error


def _probe_like(params: Params, hidden_layers: int, cost: Cost):
    """A `probe` of this depth whose hidden layers have the network's activations."""
    sigmas = [layer.activation for layer in params[:-1]] or [sigmoid]
    hidden = list(islice(cycle(sigmas), hidden_layers))
    return probe(hidden_layers, hidden=hidden, cost=cost)


def _broken(
    candidate: Prepared, params: Params, cost: Cost, found: GradCheck
) -> list[Equation]:
    """The equations that a small network shows to be broken, if anything is wrong."""
    if found.agrees:
        return []
    for depth in (len(params) - 1, 3, 2, 1, 0):
        try:
            small, x, y = _probe_like(params, depth, cost)
            if cost.output == softmax:
                y /= y.sum(axis=1, keepdims=True)  # where the book's delta is a - y
            broken = diagnose(candidate, small, x, y, cost)
        except (CandidateError, ShapeError):
            continue
        if broken:
            return broken
    return [equation for equation in found.equations if not equation.holds]
