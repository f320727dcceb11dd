"""The summary of a training run, as text and as JSON."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from jaxnet.cli.console import aligned, percent, summary_statistics
from jaxnet.experiments.claims import Claim, best_of_epochs
from jaxnet.experiments.runner import Record

Curves = Mapping[str, Float[np.ndarray, "seeds epochs"]]


def epoch_line(record: Record, examples: int) -> str:
    """The book's line for an epoch; for several seeds, their mean and range.

    Speeds of layers, if they are monitored, are medians over seeds.
    """
    counts = [np.nan if count is None else count for count in record.correct]
    speeds = ""
    if known := [row for row in record.speeds or [] if row is not None]:
        layers = " ".join(f"{speed:.2g}" for speed in np.median(known, axis=0))
        speeds = f", speeds {layers}"
    if len(counts) == 1:
        return f"Epoch {record.epoch}: {counts[0]} / {examples}{speeds}"
    mean, low, high = (f(counts) for f in (np.mean, np.min, np.max))
    return (
        f"Epoch {record.epoch}: {mean:.1f} / {examples} "
        f"(mean of {len(counts)} seeds, {low:.0f} to {high:.0f}){speeds}"
    )


@dataclass(frozen=True)
class Summary:
    """The results of a run of one or more epochs."""

    seeds: Sequence[int]
    records: Sequence[Record]
    history: Float[np.ndarray, "seeds epochs"]
    epochs: int
    failed_classes: list[list[int]]
    compile_seconds: float
    claim: Claim | None
    interrupted: bool
    advice: Sequence[str] = ()
    curves: Curves | None = None  # of `monitor`, if it was asked for

    @property
    def best(self) -> Float[np.ndarray, " seeds"]:
        """The accuracy of each seed's best epoch; nan if it never had one."""
        return best_of_epochs(self.history)

    @property
    def last(self) -> Float[np.ndarray, " seeds"]:
        """The accuracy of each seed's last epoch."""
        return self.history[:, -1]

    @property
    def best_epoch(self) -> np.ndarray:
        """The epoch at which each seed was first at its best."""
        return np.where(np.isnan(self.history), -1, self.history).argmax(axis=1)

    @property
    def ends(self) -> dict[int, tuple[int, int]]:
        """The epoch that ended each seed early, and the layer that diverged, or 0."""
        ends: dict[int, tuple[int, int]] = {}
        for record in self.records:
            each = zip(self.seeds, record.going, record.broken_layer, strict=True)
            for seed, going, layer in each:
                if not going and seed not in ends:
                    ends[seed] = (record.epoch, layer)
        return ends

    def as_json(self) -> dict[str, Any]:
        """The run in JSON values, a record for each epoch; nan becomes null."""
        return {
            "seeds": list(self.seeds),
            "best": self.best.tolist(),
            "last": self.last.tolist(),
            "records": self.records,
            "failed_classes": self.failed_classes,
            "interrupted": self.interrupted,
            "advice": self.advice,
            "compile_seconds": self.compile_seconds,
        }

    def lines(self) -> Iterator[str]:
        """The run as text: results, the book's number, warnings, and time."""
        best, last = self.best, self.last
        if self.interrupted:
            yield f"Interrupted after {len(self.records)} of {self.epochs} epochs."
        if np.isnan(best).all():
            yield "No epoch ended with a finite network."
        elif len(self.seeds) == 1:
            epoch = self.best_epoch[0]
            yield f"Best {best[0]:.2%} (epoch {epoch}), last {percent(last[0])}."
        else:
            rows = [*zip(self.seeds, best, self.best_epoch, last, strict=True)]
            bests, lasts = summary_statistics(best), summary_statistics(last)
            rows += [(name, bests[name], "", lasts[name]) for name in bests]
            table = [(a, percent(b), c, percent(d)) for a, b, c, d in rows]
            yield from aligned([("seed", "best", "epoch", "last"), *table])
        if self.claim is not None:
            number, statistic = self.claim.number, self.claim.statistic.name
            yield f"The book, section {self.claim.section}: {number:.2f}%, {statistic}."
        ends = [(seed, epoch, layer) for seed, (epoch, layer) in self.ends.items()]
        stops = [f"seed {seed} after epoch {epoch}" for seed, epoch, l in ends if not l]
        if stops:
            yield f"Stopped, as accuracy no longer improved: {', '.join(stops)}."
        for seed, epoch, layer in ends:
            if layer:
                yield (
                    f"Diverged, seed {seed}: in epoch {epoch} layer {layer} became nan "
                    "or infinite. Earlier epochs are kept. Lower eta, or lambda."
                )
        # A network that has learned most classes, but not a few of them.
        each = zip(self.seeds, last, self.failed_classes, strict=True)
        stuck = [
            f"seed {seed} never learned {' and '.join(map(str, classes))}"
            for seed, accuracy, classes in each
            if accuracy > 0.5 and 1 <= len(classes) <= 3
        ]
        if stuck:
            yield f"Most images of a class are wrong: {', '.join(stuck)}."
        yield from self.advice
        yield (
            f"{self._seconds:.2f} s an epoch (median, evaluation included), "
            f"{self.compile_seconds:.1f} s compiling."
        )

    @property
    def _seconds(self) -> float:
        return float(np.median([record.seconds for record in self.records]))
