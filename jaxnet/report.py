"""What a training run came to, as numbers for machines and as lines for people."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from jaxnet.experiments import Claim


class Line(NamedTuple):
    """An epoch in JSON values; a list has an item for each seed."""

    epoch: int
    correct: list[int | None]  # None where a network has diverged
    going: list[bool]  # False where it has stopped, or diverged
    broken_layer: list[int]  # the first layer that is not finite any more, or 0
    seconds: float


@dataclass
class Record:
    """The accuracies of a run, an epoch at a time, and the time they took."""

    seeds: Sequence[int]
    examples: int
    epochs: int
    claim: Claim | None
    accuracies: list[np.ndarray] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    compile_seconds: float = 0.0
    unlearnt: list[list[int]] = field(default_factory=list)
    diverged: dict[int, tuple[int, int]] = field(default_factory=dict)
    """The epoch and the layer in which a seed's network stopped being finite."""
    stopped: dict[int, int] = field(default_factory=dict)
    """The epoch after which a seed stopped for want of improvement."""
    interrupted: bool = False

    def add(self, line: Line) -> None:
        """Add the next epoch."""
        correct = [math.nan if n is None else n for n in line.correct]
        self.accuracies.append(np.array(correct, float) / self.examples)
        self.seconds.append(line.seconds)
        for seed, still, layer in zip(
            self.seeds, line.going, line.broken_layer, strict=True
        ):
            if still or seed in self.diverged or seed in self.stopped:
                continue
            if layer:
                self.diverged[seed] = (line.epoch, layer)
            else:
                self.stopped[seed] = line.epoch

    @property
    def history(self) -> np.ndarray:
        """Accuracies of shape (seeds, epochs done)."""
        return np.stack(self.accuracies, axis=1)

    @property
    def best(self) -> np.ndarray:
        """The accuracy of each seed's best epoch; nan if it never had one."""
        history = self.history
        best = np.where(np.isnan(history), -1, history).max(axis=1)
        return np.where(best < 0, np.nan, best)

    @property
    def last(self) -> np.ndarray:
        """The accuracy of each seed's last epoch."""
        return self.history[:, -1]

    @property
    def best_epoch(self) -> np.ndarray:
        """The epoch at which each seed was first at its best."""
        history = self.history
        return np.where(np.isnan(history), -1, history).argmax(axis=1)


def counted(n: int, noun: str) -> str:
    """The number and the noun: 1 epoch, 30 epochs."""
    return f"{n} {noun}{'' if n == 1 else 's'}"


def count(accuracy: float, examples: int) -> int | None:
    """How many examples an accuracy stands for; None for nan."""
    return None if math.isnan(accuracy) else round(float(accuracy) * examples)


def epoch_line(number: int, accuracy: np.ndarray, examples: int) -> str:
    """The book's line for an epoch; for several seeds, their mean and range."""
    if len(accuracy) == 1:
        right = count(accuracy[0], examples)
        return f"Epoch {number}: {'nan' if right is None else right} / {examples}"
    mean, low, high = (f(accuracy) * examples for f in (np.mean, np.min, np.max))
    return (
        f"Epoch {number}: {mean:.1f} / {examples} "
        f"(mean of {len(accuracy)} seeds, {low:.0f} to {high:.0f})"
    )


def spread(accuracies: np.ndarray) -> dict[str, float | None]:
    """Mean, sample standard deviation, median, minimum and maximum."""
    values = {
        "mean": np.mean(accuracies),
        "sd": np.std(accuracies, ddof=1) if len(accuracies) > 1 else 0.0,
        "median": np.median(accuracies),
        "min": np.min(accuracies),
        "max": np.max(accuracies),
    }
    return {name: _number(value) for name, value in values.items()}


def as_json(record: Record) -> dict[str, Any]:
    """The run as a dictionary of JSON values, nan as null."""
    runs = zip(
        record.seeds,
        record.history,
        record.best,
        record.best_epoch,
        record.last,
        record.unlearnt,
        strict=True,
    )
    claim = record.claim
    return {
        "examples": record.examples,
        "runs": [
            {
                "seed": seed,
                "correct": [count(accuracy, record.examples) for accuracy in history],
                "best": _number(best),
                "best_epoch": int(best_epoch),
                "last": _number(last),
                "unlearnt": unlearnt,
                "diverged": record.diverged.get(seed),
                "stopped": record.stopped.get(seed),
            }
            for seed, history, best, best_epoch, last, unlearnt in runs
        ],
        "best": spread(record.best),
        "last": spread(record.last),
        "epochs_done": len(record.accuracies),
        "interrupted": record.interrupted,
        "seconds_per_epoch": float(np.median(record.seconds)),
        "compile_seconds": record.compile_seconds,
        "book": claim
        and {
            "accuracy": (claim.number or math.nan) / 100,
            "statistic": claim.statistic,
            "section": claim.section,
        },
    }


def lines(record: Record) -> Iterator[str]:
    """The run in words: results, the book's number, trouble, and time."""
    if record.interrupted:
        done = len(record.accuracies)
        yield f"Interrupted after {done} of {record.epochs} epochs."
    if np.isnan(record.best).all():
        yield "No epoch ended with a finite network."
    elif len(record.seeds) == 1:
        yield (
            f"Best {record.best[0]:.2%} (epoch {record.best_epoch[0]}), "
            f"last {record.last[0]:.2%}."
        )
    else:
        yield from _table(record)
    if record.claim is not None:
        _, number, statistic, section, _ = record.claim
        yield f"The book, section {section}: {number:.2f}%, {statistic}."
    yield from _trouble(record)
    yield (
        f"{np.median(record.seconds):.2f} s an epoch (median, evaluation included), "
        f"{record.compile_seconds:.1f} s compiling."
    )


def _table(record: Record) -> Iterator[str]:
    yield f"{'seed':>8}{'best':>9}{'epoch':>7}{'last':>9}"
    columns = (record.seeds, record.best, record.best_epoch, record.last)
    for seed, best, best_epoch, last in zip(*columns, strict=True):
        yield f"{seed:>8}{best:>9.2%}{best_epoch:>7}{last:>9.2%}"
    best, last = spread(record.best), spread(record.last)
    for name in best:
        left, right = (_percent(values[name]) for values in (best, last))
        yield f"{name:>8}{left:>9}{'':>7}{right:>9}"


def _trouble(record: Record) -> Iterator[str]:
    if record.stopped:
        stops = (f"seed {seed} after epoch {e}" for seed, e in record.stopped.items())
        yield f"Stopped for want of improvement: {', '.join(stops)}."
    for seed, (epoch, layer) in record.diverged.items():
        yield (
            f"Diverged, seed {seed}: in epoch {epoch} layer {layer} became nan or "
            "infinite. What came before stands. Lower eta, or lambda."
        )
    runs = list(zip(record.seeds, record.last, record.unlearnt, strict=True))
    # A network that has learnt its classes but for a few that it has given up.
    stuck = [
        f"seed {seed} on {' and '.join(map(str, unlearnt))}"
        for seed, last, unlearnt in runs
        if last > 0.5 and 1 <= len(unlearnt) <= 3
    ]
    if stuck:
        yield f"Stuck, most images of a digit wrong: {', '.join(stuck)}."
        yield (
            "The book's footnote 7 in section 1.6 warns of such runs: an output neuron "
            "that starts out saturated hardly learns. Another seed may not stick."
        )


def as_json_has_it(value: Any) -> Any:
    """The value with null for nan and infinity, of which JSON knows nothing."""
    if isinstance(value, dict):
        return {name: as_json_has_it(item) for name, item in value.items()}
    if isinstance(value, list):
        return [as_json_has_it(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _percent(value: float | None) -> str:
    return "nan" if value is None else f"{value:.2%}"
