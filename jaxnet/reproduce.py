"""The book's experiments over many seeds: kept in files, and as rows of a table.

A file is a journal: the experiment and what it ran on, then a line for each seed with
its whole curve. Tables and figures are drawn from the files, with no training.
"""

import re
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxnet import activations, costs, gradients, network
from jaxnet.datasets import Split
from jaxnet.experiments import CLAIMS, Claim, Experiment
from jaxnet.journal import Journal
from jaxnet.layers import Dataset, Params
from jaxnet.metrics import accuracy, total_cost
from jaxnet.runs import Measure, Runner, capacity, unlearnt
from jaxnet.wellformed import experiment_line

_DRAWS = 10_000  # of three runs, whose best the book reports


class Result(NamedTuple):
    """What is known of an experiment: curves of shape (seeds, epochs), and the rest."""

    name: str
    claim: Claim
    curves: np.ndarray
    unlearnt: list[list[int]]
    seconds: float  # a network, all its epochs


def described(experiment: Experiment) -> dict[str, Any]:
    """The experiment in JSON values: functions and costs by their names."""
    names = {
        id(value): name
        for module in (activations, costs, gradients, network)
        for name, value in vars(module).items()
    }

    def word(value: Any) -> Any:
        if isinstance(value, tuple) and id(value) not in names:
            return list(value)
        if value is None or isinstance(value, str | int | float):
            return value
        return names.get(id(value)) or getattr(value, "__name__", str(value))

    return {
        field.name: word(getattr(experiment, field.name))
        for field in fields(experiment)
    }


def file_of(name: str, folder: str | Path) -> Path:
    """The file of an experiment; two claims about the same one share it."""
    claim = CLAIMS[name]
    same = [
        other
        for other, that in CLAIMS.items()
        if (that.experiment, that.measure) == (claim.experiment, claim.measure)
    ]
    slug = re.sub("[,:]", "", same[0]).replace(" ", "-")
    return Path(folder) / f"{slug}.jsonl"


def _journal(name: str, folder: str | Path, only_read: bool = False) -> Journal:
    shared = {
        "experiment": described(CLAIMS[name].experiment),
        "measure": CLAIMS[name].measure,
    }
    path = file_of(name, folder)
    options = {"right": experiment_line, "only_read": only_read}
    return Journal(path, "jaxnet experiment 1", shared, **options)


def environment() -> dict[str, str]:
    """What a result depends on beside its experiment and seed."""
    checkout, commit = Path(__file__).parent.parent, ""
    if (checkout / ".git").exists():  # or it would be another project's commit
        command = ["git", "rev-parse", "--short", "HEAD"]
        try:
            done = subprocess.run(command, cwd=checkout, capture_output=True, text=True)
            commit = done.stdout.strip()
        except OSError:  # there is no git
            pass
    device = jax.devices()[0]
    return {
        "jaxnet": version("jaxnet"),
        "jax": jax.__version__,
        "device": f"{device.platform} {device.device_kind}",
        "dtype": str(jax.numpy.result_type(float)),
        "commit": commit,
    }


def missing(name: str, seeds: int, folder: str | Path) -> list[int]:
    """Which of the first seeds, from 1, the file does not have."""
    done = {value["seed"] for value in _journal(name, folder, only_read=True).values}
    return [seed for seed in range(1, seeds + 1) if seed not in done]


def reproduce(
    name: str, data: Split, seeds: Sequence[int], folder: str | Path
) -> Iterator[int]:
    """Trains these seeds into the experiment's file: how many networks at each epoch.

    Raises StorageError if the file is of another experiment.
    """
    e, journal = CLAIMS[name].experiment, _journal(name, folder)
    evaluation, here = getattr(data, e.evaluate_on), environment()
    at_once = capacity(e, len(seeds), evaluation)
    measure = _measure_of(CLAIMS[name])
    runner = Runner(e, data.train, evaluation, at_once, measure=measure)
    n = len(evaluation.x)
    for first in range(0, len(seeds), at_once):
        group = seeds[first : first + at_once]
        found, seconds, after = [], 0.0, None
        for after in runner(group):
            counts = np.round(after.found.astype(float) * n)
            found.append(counts if measure is None else after.found.astype(float))
            seconds += after.seconds / len(group)
            yield len(group)
        assert after is not None
        given_up = unlearnt(after.params, evaluation)
        for i, (seed, classes) in enumerate(zip(group, given_up, strict=True)):
            curve = [float(values[i]) for values in found]
            if measure is None:
                curve = [None if np.isnan(x) else int(x) for x in curve]
            line = {"seed": seed, "curve": curve, "of": n, "unlearnt": classes}
            journal.add({**line, "seconds": round(seconds, 3), **here})


def _measure_of(claim: Claim) -> Measure | None:
    """What is measured, as the book's second program does it; None for accuracy."""
    e = claim.experiment

    def training_accuracy(params: Params, train: Dataset, _: Dataset) -> jax.Array:
        return 100 * accuracy(params, train)

    def cost(params: Params, data: Dataset) -> jax.Array:
        # The program divides lambda by the number of the data it measures.
        return total_cost(params, data, e.cost, l2=e.l2, n=len(data.x))

    return {
        "accuracy": None,
        "training accuracy": training_accuracy,
        "training cost": lambda params, train, _: cost(params, train),
        "evaluation cost": lambda params, _, evaluation: cost(params, evaluation),
    }[claim.measure]


def result(name: str, folder: str | Path) -> Result | None:
    """What the experiment's file has; None if there is none."""
    lines = _journal(name, folder, only_read=True).values
    one_each = {line["seed"]: line for line in lines}  # two processes may have added it
    values = sorted(one_each.values(), key=lambda value: value["seed"])
    if not values:
        return None
    whole = max(len(value["curve"]) for value in values)
    curves = np.full((len(values), whole), np.nan)
    for row, value in zip(curves, values, strict=True):
        curve = np.array([np.nan if x is None else x for x in value["curve"]], float)
        scale = 100 / value["of"] if CLAIMS[name].measure == "accuracy" else 1
        row[: len(curve)] = scale * curve
    digits = [value["unlearnt"] for value in values]
    seconds = float(np.median([value["seconds"] for value in values]))
    return Result(name, CLAIMS[name], curves, digits, seconds)


def statistic(found: Result) -> np.ndarray:
    """Draws of the book's own statistic: a seed's, or the best of three seeds'."""
    if "last" in found.claim.statistic:
        return found.curves[:, -1]
    best = np.fmax.reduce(found.curves, axis=1)  # nan where all are, with no warning
    if "three" not in found.claim.statistic:
        return best
    draws = np.random.default_rng(0).integers(len(best), size=(_DRAWS, 3))
    return best[draws].max(axis=1)


def stuck(found: Result) -> dict[int, list[int]]:
    """Which networks, by their place, have given up a few classes, and which."""
    last = found.curves[:, -1]
    return {
        i: classes
        for i, classes in enumerate(found.unlearnt)
        if found.claim.measure == "accuracy" and last[i] > 50 and 1 <= len(classes) <= 3
    }


_Words = Callable[[float], str]


def _words(found: Result) -> _Words:
    places = 2 if found.claim.measure.endswith("accuracy") else 4
    return lambda x: "-" if np.isnan(x) else f"{x:.{places}f}"


def table(results: Sequence[Result], notes: Mapping[str, str]) -> list[str]:
    """The results in Markdown, a row for each of the book's numbers."""
    lines = [
        "| experiment | section | the book | its statistic | found: median [5 %, 95 %] "
        "| the book's number lies | last epoch, mean +- sd | networks without a digit "
        "| seeds | s each |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for found in results:
        claim, say = found.claim, _words(found)
        draws, last = _finite(statistic(found)), _finite(found.curves[:, -1])
        low, middle, high = np.quantile(draws, [0.05, 0.5, 0.95])
        sd = np.std(last, ddof=1) if len(last) > 1 else 0.0
        held = stuck(found)
        of = "" if claim.measure == "accuracy" else f", {claim.measure}"
        digits = sorted({digit for classes in held.values() for digit in classes})
        cells = (
            found.name,
            claim.section,
            "-" if claim.number is None else say(claim.number),
            claim.statistic + of,
            f"{say(middle)} [{say(low)}, {say(high)}]",
            _place(claim.number, draws) + notes.get(found.name, ""),
            f"{say(float(np.mean(last)))} +- {say(float(sd))}",
            f"{len(held)} on {', '.join(map(str, digits))}" if held else "none",
            str(len(found.curves)),
            f"{found.seconds:.1f}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return lines


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
