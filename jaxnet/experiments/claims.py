"""The book's claims as data: experiments, numbers, and the statistics that they are.

The book's hyper-parameters and numbers are in the table of claims.md alone: the command
line, the scripts and the tests read them here.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

import numpy as np
from jaxtyping import Array, Float

from jaxnet.experiments import runner
from jaxnet.experiments.experiment import Experiment, parse
from jaxnet.gradients import backprop
from jaxnet.layers import Dataset, Params
from jaxnet.metrics import accuracy, total_cost

_DRAWS = 10_000  # of three runs, whose best the book reports
Curves = Float[np.ndarray, "seeds epochs"]


@dataclass(frozen=True)
class Statistic:
    """What the book reports of a run: `draw(curves)` has a value for each draw."""

    name: str
    draw: Callable[[Curves], Float[np.ndarray, " draws"]]


@dataclass(frozen=True)
class Measure:
    """What is measured after an epoch; `take` is None for counts of correct answers."""

    name: str
    take: runner.Measure | None = None
    percent: bool = False
    on_training_data: bool = False
    on_test_data: bool = False  # while the experiment's own evaluation selects an epoch


def best_of_epochs(curves: Curves) -> Float[np.ndarray, " seeds"]:
    """Each run's best epoch; nan where it never had one."""
    return np.fmax.reduce(curves, axis=1)


def _best_of_three(values: Float[np.ndarray, " seeds"]) -> Float[np.ndarray, " draws"]:
    draws = np.random.default_rng(0).integers(len(values), size=(_DRAWS, 3))
    return values[draws].max(axis=1)


def at_best(selecting: Curves, curves: Curves) -> Curves:
    """The curves at the epoch, so far, at which the selecting ones are highest.

    Of equal epochs it is the last, as in the book's third program.
    """
    highest = selecting >= np.fmax.accumulate(selecting, axis=1)
    epochs = np.where(highest, np.arange(selecting.shape[1]), 0)
    return np.take_along_axis(curves, np.maximum.accumulate(epochs, axis=1), axis=1)


LAST = Statistic("last epoch", lambda curves: curves[:, -1])
BEST = Statistic("best epoch", best_of_epochs)
BEST_OF_THREE = Statistic(
    "best epoch of the best of three runs",
    lambda curves: _best_of_three(best_of_epochs(curves)),
)
AT_BEST_OF_THREE = Statistic(
    "test accuracy at the best validation epoch, best of three runs",
    lambda curves: _best_of_three(LAST.draw(curves)),
)


def _training_accuracy(
    e: Experiment, params: Params, train: Dataset, evaluation: Dataset
) -> Float[Array, ""]:
    return 100 * accuracy(params, train)


def _cost(e: Experiment, params: Params, data: Dataset) -> Float[Array, ""]:
    # The book's program divides lambda by the number of the data it measures.
    return total_cost(params, data, e.cost, l2=e.l2, n=len(data))


ACCURACY = Measure("accuracy", percent=True)
TEST_ACCURACY = Measure("test accuracy", percent=True, on_test_data=True)
TRAINING_ACCURACY = Measure("training accuracy", _training_accuracy, True, True)
TRAINING_COST = Measure(
    "training cost",
    lambda e, params, train, _: _cost(e, params, train),
    on_training_data=True,
)
EVALUATION_COST = Measure(
    "evaluation cost", lambda e, params, _, evaluation: _cost(e, params, evaluation)
)


@dataclass(frozen=True)
class Claim:
    """What the book reports of an experiment; the number is None if it states none."""

    experiment: Experiment
    number: float | None
    statistic: Statistic
    section: str
    measure: Measure = ACCURACY


_KNOWN = (LAST, BEST, BEST_OF_THREE, AT_BEST_OF_THREE)
_STATISTICS = {statistic.name: statistic for statistic in _KNOWN}
_TAKEN = (ACCURACY, TEST_ACCURACY, TRAINING_ACCURACY, TRAINING_COST, EVALUATION_COST)
_MEASURES = {measure.name: measure for measure in _TAKEN}


def _claims() -> Iterator[tuple[str, Claim]]:
    """The rows of the table in claims.md."""
    text = Path(__file__).with_name("claims.md").read_text("utf-8")
    _, _, *rows = (line for line in text.splitlines() if line.startswith("|"))
    for row in rows:
        name, section, number, measure, statistic, words = (
            cell.strip() for cell in row.strip("|").split("|")
        )
        options = dict(word.split("=") for word in words.split())
        e = Experiment(**{key: parse(key, value) for key, value in options.items()})
        stated = None if number == "-" else float(number)
        facts = (stated, _STATISTICS[statistic], section, _MEASURES[measure])
        yield name, Claim(e, *facts)


CLAIMS = dict(_claims())


def claim_of(experiment: Experiment) -> Claim | None:
    """The accuracy that the book states for this experiment, with any gradient."""
    as_in_book = replace(experiment, gradient=backprop, monitor=None)
    for claim in CLAIMS.values():
        stated = claim.number is not None and claim.measure == ACCURACY
        if stated and claim.experiment == as_in_book:
            return claim
    return None


def recorded(name: str) -> dict[int, dict[str, int | float]]:
    """What the author recorded of a run: numbers by epoch and by what was measured.

    It is empty for a run that he did not record.
    """
    runs = json.loads(Path(__file__).with_name("recorded.json").read_text())
    columns = runs.get(name, {})
    epochs = columns.pop("epoch", None)
    found: dict[int, dict[str, int | float]] = {}
    for series, numbers in columns.items():
        for epoch, number in zip(epochs or count(), numbers, strict=False):
            if number is not None:
                found.setdefault(epoch, {})[series] = number
    return found
