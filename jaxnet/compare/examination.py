"""The complete examination of a gradient, which `python -m jaxnet compare` reports.

It is compared with `autodiff` in float64 and float32, before and after training; with
each equation; with differences of the cost alone; and at edge points.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle, islice
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxnet.activations import sigmoid
from jaxnet.compare.candidate import Candidate, CandidateError
from jaxnet.compare.comparison import Comparison
from jaxnet.compare.diagnosis import Equation, equations
from jaxnet.compare.edge_points import Edge, edge_points, probe
from jaxnet.compare.finite_differences import Curve, Opinion, third_opinion
from jaxnet.compare.internals import AUTOMATIC, Problem, compare_at
from jaxnet.costs import Cost, quadratic
from jaxnet.forms import ShapeError
from jaxnet.gradients import autodiff
from jaxnet.layers import Dataset, Params
from jaxnet.sgd import epoch, start

_ETA = 0.1  # of the training before the last comparison
_LARGER = 40  # examples in the larger mini-batch


class Stage(NamedTuple):
    """The gradient compared with `autodiff` after some epochs of training."""

    epochs: int
    comparison: Comparison


@dataclass
class Examination:
    """All that was found about a gradient."""

    form: str = ""
    precision: str = "float64"
    stages: list[Stage] = field(default_factory=list)
    equations: list[Equation] = field(default_factory=list)
    opinions: list[Opinion] = field(default_factory=list)
    curve: Curve | None = None
    edges: list[Edge] = field(default_factory=list)
    place: str = ""  # where `broken` was found, if not at the network itself
    broken: list[Equation] = field(default_factory=list)
    diverged_after: int | None = None  # epochs, after which nothing was compared

    @property
    def agrees(self) -> bool:
        """Whether the gradient is correct at this network, data and cost."""
        return (
            all(stage.comparison.agrees for stage in self.stages)
            and all(equation.holds for equation in self.equations)
            and not self.wrong_edges
        )

    @property
    def wrong_edges(self) -> list[Edge]:
        """The edge points of this network at which the gradient is wrong."""
        return [edge for edge in self.edges if edge.required and not edge.agrees]

    def as_dict(self) -> dict[str, Any]:
        """What it holds as plain dictionaries, lists and values."""
        return {"agrees": self.agrees, **_plain(vars(self))}


def _plain(value: Any) -> Any:
    value = value._asdict() if hasattr(value, "_asdict") else value  # of a NamedTuple
    if isinstance(value, dict):
        return {n: _plain(item) for n, item in value.items() if n != "problem"}
    return [_plain(v) for v in value] if isinstance(value, list | tuple) else value


def examine(
    candidate: Candidate,
    params: Params,
    data: Dataset,
    *,
    cost: Cost = quadratic,
    batch_size: int = 10,
    epochs: Sequence[int] = (0, 1),
    edges: bool = True,
    details: bool = True,
) -> Examination:
    """All that can be found out about a gradient, with a mini-batch of the data.

    `epochs` is how long the network has been trained at each comparison. Without
    `details`, only what decides the verdict is looked at.
    Raises CandidateError for any exception of the candidate at this network, and
    ShapeError if its result does not have the network's shapes.
    """
    found = Examination()
    with jax.enable_x64(True), jax.default_matmul_precision("highest"):
        everything = Problem(params, data.x, data.y, cost).in_float64()
        problem, larger = (
            everything._replace(x=everything.x[:m], y=everything.y[:m])
            for m in (batch_size, _LARGER)
        )
        found.equations = equations(candidate, problem)
        found.form, found.precision = candidate.form, candidate.precision
        for done, network in _trained(everything, epochs):
            if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(network)):
                found.diverged_after = done
                break
            for dtype in ("float64", "float32"):
                trained = problem._replace(params=network)
                compared = compare_at(candidate, trained, dtype)
                found.stages.append(Stage(done, compared))
        if details:
            both = candidate(*problem), AUTOMATIC(*problem)
            found.curve, found.opinions = third_opinion(*both, problem)
        if edges and (details or found.agrees):
            points = edge_points(candidate, problem, larger, others=details)
            found.edges = list(points)
        found.place, found.broken = _broken(candidate, problem, found)
    return found


def _trained(problem: Problem, epochs: Sequence[int]) -> Iterator[tuple[int, Params]]:
    """The network after each number of epochs."""
    params, x, y, cost = jax.device_put(problem)
    data, state = Dataset(x, y), start(params)
    options: dict[str, Any] = {"eta": _ETA, "gradient": autodiff, "cost": cost}
    options["batch_size"] = min(10, len(data))
    for done in range(max(epochs) + 1):
        if done:
            key = jax.random.fold_in(jax.random.key(0), done - 1)
            state = epoch(key, state, data, **options)
        if done in epochs:
            yield done, state.params


def _broken(
    candidate: Candidate, problem: Problem, found: Examination
) -> tuple[str, list[Equation]]:
    """The broken equations, and where: at the network, or else where they show.

    Those that have no explanation may have one in a small network of the same depth.
    """
    broken = [row for row in found.equations if not row.holds]
    points = [(e.name, e.problem) for e in found.wrong_edges if e.problem]
    if broken:
        layers, cost = problem.params, problem.cost
        sigmas = [layer.activation for layer in layers[:-1]] or [sigmoid]
        hidden = list(islice(cycle(sigmas), len(layers) - 1))
        small = Problem(*probe(len(layers) - 1, hidden=hidden, cost=cost), cost)
        points = [("a small network of 4 neurons in each layer", small)]
    if broken and all(row.mistake for row in broken):
        points = []
    for name, point in points:
        try:
            rows = equations(candidate, point.in_float64())
        except (CandidateError, ShapeError):
            continue
        wrong = [row for row in rows if not row.holds]
        if wrong and (not broken or all(row.mistake for row in wrong)):
            return name, wrong
    return "", broken
