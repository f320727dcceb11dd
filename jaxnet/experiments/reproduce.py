"""The book's claims over many seeds: kept in files, and as rows of a table.

A file has a line for each seed, with its whole curve. Tables and figures are drawn from
the files, without training.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from jaxnet.datasets import Split
from jaxnet.experiments.claims import ACCURACY, CLAIMS, Claim, Curves, at_best
from jaxnet.experiments.files import Log, expect
from jaxnet.experiments.sweep import Progress, Trained, curves, log_of, train_networks


class Result(NamedTuple):
    """The results for a claim: curves of shape (seeds, epochs), and the rest."""

    name: str
    claim: Claim
    curves: Curves  # in per cent, or in the unit of the measure
    failed_classes: list[list[int]]
    seconds: float  # a network, all its epochs

    @property
    def draws(self) -> Float[np.ndarray, " draws"]:
        """Draws of the statistic that the book reports."""
        return self.claim.statistic.draw(self.curves)

    @property
    def stuck(self) -> dict[int, list[int]]:
        """The networks, by index, that never learned one to three classes."""
        last = self.curves[:, -1]
        return {
            i: classes
            for i, classes in enumerate(self.failed_classes)
            if self.claim.measure == ACCURACY
            and last[i] > 50
            and 1 <= len(classes) <= 3
        }


def file_of(name: str, folder: str | Path) -> Path:
    """The file of a claim; two claims about the same experiment share it."""
    claim = CLAIMS[name]
    same = [
        other
        for other, that in CLAIMS.items()
        if (that.experiment, that.measure) == (claim.experiment, claim.measure)
    ]
    slug = re.sub("[,:]", "", same[0]).replace(" ", "-")
    return Path(folder) / f"{slug}.jsonl"


def log_of_claim(name: str, folder: str | Path) -> Log[Trained]:
    """The log of a claim in a folder, which need not exist."""
    claim = CLAIMS[name]
    return log_of(file_of(name, folder), claim.experiment, claim.measure)


def missing(name: str, seeds: int, folder: str | Path) -> list[int]:
    """Which of the first seeds, from 1, the file does not have."""
    done = {trained.seed for trained in log_of_claim(name, folder).read()}
    return [seed for seed in range(1, seeds + 1) if seed not in done]


def reproduce(
    name: str, data: Split, seeds: Sequence[int], folder: str | Path, progress: Progress
) -> Iterator[Trained]:
    """The trained network of each seed, read from the claim's file or added to it.

    Raises StorageError if the file is of another experiment.
    """
    claim = CLAIMS[name]
    yield from train_networks(
        claim.experiment,
        data.train,
        getattr(data, claim.experiment.evaluate_on),
        [({}, seed) for seed in seeds],
        log=log_of_claim(name, folder),
        measure=claim.measure,
        test=data.test if claim.measure.on_test_data else None,
        progress=progress,
        label=name,
    )


def result(name: str, folder: str | Path) -> Result | None:
    """The results in the claim's file; None if there is none."""
    one_each = {trained.seed: trained for trained in log_of_claim(name, folder).read()}
    found = [one_each[seed] for seed in sorted(one_each)]
    if not found:
        return None
    claim, rows = CLAIMS[name], curves(found)
    if claim.measure.on_test_data:
        validation, file = curves(found, "validation"), file_of(name, folder)
        epochs, got = f"{rows.shape[1]} validation accuracies", validation.shape[1]
        expect(validation.shape == rows.shape, file, epochs, str(got))
        rows = at_best(validation, rows)
    if claim.measure.take is None:  # which counts
        rows *= 100 / np.array([[trained.of] for trained in found])
    seconds = float(np.median([trained.seconds for trained in found]))
    return Result(name, claim, rows, [each.failed_classes for each in found], seconds)


def table(results: Sequence[Result], notes: Mapping[str, str]) -> list[Sequence[str]]:
    """Titles, and a row for each of the book's numbers."""
    rows: list[Sequence[str]] = [
        (
            *("experiment", "section", "the book", "its statistic"),
            *("found: median [5 %, 95 %]", "the book's number lies"),
            *("last epoch, mean +- sd", "networks without a digit", "seeds", "s each"),
        )
    ]
    for found in results:
        claim, places = found.claim, 2 if found.claim.measure.percent else 4
        draws, last = _finite(found.draws), _finite(found.curves[:, -1])
        low, middle, high = np.quantile(draws, [0.05, 0.5, 0.95])
        sd = np.std(last, ddof=1) if len(last) > 1 else 0.0
        counted = claim.measure.take is None
        of = "" if counted else f", {claim.measure.name}"
        digits = sorted({k for classes in found.stuck.values() for k in classes})
        of_digits = f"{len(found.stuck)} on {', '.join(map(str, digits))}"
        cells = (
            found.name,
            claim.section,
            "-" if claim.number is None else f"{claim.number:.{places}f}",
            claim.statistic.name + of,
            f"{_number(middle, places)} [{_number(low, places)}, "
            f"{_number(high, places)}]",
            _place(claim.number, draws) + notes.get(found.name, ""),
            f"{_number(np.mean(last), places)} +- {_number(sd, places)}",
            of_digits if digits else "none",
            str(len(found.curves)),
            f"{found.seconds:.1f}",
        )
        rows.append(cells)
    return rows


def _number(value: float | np.floating, places: int) -> str:
    return "-" if np.isnan(value) else f"{value:.{places}f}"


def _finite(values: np.ndarray) -> np.ndarray:
    return values[np.isfinite(values)] if np.isfinite(values).any() else values[:1]


def _place(number: float | None, draws: np.ndarray) -> str:
    if number is None or np.isnan(draws).any():
        return "-"
    if number > np.max(draws):
        return "above all"
    if number < np.min(draws):
        return "below all"
    return f"above {np.mean(draws < number):.0%}"
