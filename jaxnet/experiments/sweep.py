"""Many networks of one experiment, each with its seed and its rates; kept in a file.

Each trained network is a line of the file, and is not trained again. Processes with
the same file share the work.
"""

import shutil
import subprocess
import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import jax
import msgspec
import numpy as np
from jaxtyping import Float
from msgspec import Meta

from jaxnet import __version__
from jaxnet.experiments import checkpoint
from jaxnet.experiments.claims import ACCURACY, Measure
from jaxnet.experiments.experiment import Experiment, described
from jaxnet.experiments.files import Log
from jaxnet.experiments.runner import (
    Runner,
    capacity,
    check_rates,
    graded,
    shapes,
)
from jaxnet.layers import Dataset

RATES = {"eta": "eta", "l1": "L1", "l2": "L2", "dropout": "dropout"}
"""The rates that a sweep can vary, and what they are called in tables."""

_PAUSE = 60.0  # seconds between checkpoints
_NotNegative = Annotated[float, Meta(ge=0)]
_Count = Annotated[int, Meta(ge=0, lt=2**53)]
Rates = Mapping[str, float]
Group = Sequence[tuple[Rates, int]]  # rates and a seed for each network
Progress = Callable[[Iterable[list["Trained"]], int, str], Iterator[list["Trained"]]]


class Trained(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A trained network: a line of the file of a sweep or of a claim."""

    seed: _Count
    rates: dict[str, _NotNegative] = {}  # where they are not the experiment's own
    curve: Annotated[list[float | None], Meta(min_length=1)]
    """What was measured after each epoch, by default correct answers, or None."""
    validation: list[float | None] = []
    """Correct answers to the data that select an epoch, if the curve is of others."""
    of: Annotated[int, Meta(ge=1, lt=2**53)]  # evaluation examples
    mistakes: dict[_Count, _Count] = {}  # wrong answers to them, if they were kept
    failed_classes: list[_Count]  # most of their examples are wrong
    seconds: _NotNegative
    jaxnet: str = ""
    jax: str = ""
    device: str = ""
    dtype: str = ""
    commit: str = ""

    @property
    def identity(self) -> Hashable:
        """Equal for two networks with the same rates and seed."""
        return identity(self.rates, self.seed)

    @property
    def accuracy(self) -> Float[np.ndarray, " epochs"]:
        """The curve of correct answers as fractions, nan once it has diverged."""
        return np.array(self.curve, float) / self.of


def curves(
    networks: Sequence[Trained], name: str = "curve"
) -> Float[np.ndarray, "networks epochs"]:
    """The curves of networks, with nan after the last epoch of one that diverged."""
    found = [getattr(network, name) for network in networks]
    rows = np.full((len(found), max(map(len, found))), np.nan)
    for row, curve in zip(rows, found, strict=True):
        row[: len(curve)] = curve
    return rows


def identity(rates: Rates, seed: int) -> Hashable:
    """What distinguishes the networks of one experiment."""
    return frozenset(rates.items()), seed


def environment() -> dict[str, str]:
    """What a result depends on, besides its experiment, seed and data."""
    checkout, commit = Path(__file__).parents[2], ""
    if (checkout / ".git").exists():  # or it would be another project's commit
        command = ["git", "rev-parse", "--short", "HEAD"]
        try:
            done = subprocess.run(command, cwd=checkout, capture_output=True, text=True)
            commit = done.stdout.strip()
        except OSError:  # there is no git
            pass
    return {
        "jaxnet": __version__,
        "jax": jax.__version__,
        "device": jax.devices()[0].device_kind,
        "dtype": str(jax.numpy.result_type(float)),
        "commit": commit,
    }


def log_of(
    path: str | Path, experiment: Experiment, measure: Measure = ACCURACY, **also: Any
) -> Log[Trained]:
    """The log of an experiment's networks; `also` is added to its header."""
    header = {
        "format": "jaxnet experiment 2",
        "experiment": {
            option: value
            for option, value in described(experiment).items()
            if option != "shuffle" or not experiment.shuffle  # older files lack it
        },
        "measure": measure.name,
        **also,
    }
    return Log(path, header, Trained)


def sweep(
    experiment: Experiment,
    train: Dataset,
    evaluation: Dataset,
    seeds: Sequence[int],
    *,
    measure: Measure = ACCURACY,
    progress: Progress = lambda items, total, label: iter(items),
    **values: Sequence[float],
) -> Iterator[Trained]:
    """Each trained network, of every seed with every setting, in this order.

    `values` are sequences of one length for eta, l1, l2 or dropout: setting i has the
    i-th of each. `progress(epochs, total, label)` may show how far it is.

        for network in sweep(e, train, test, range(3), eta=[0.1, 1.0], l2=[0.0, 5.0]):
            print(network.rates["eta"], network.seed, network.accuracy.max())

    Raises ValueError for other rates, values of different lengths or out of range.
    """
    lengths = {name: len(each) for name, each in values.items()}
    if not values or not set(values) <= set(RATES) or len(set(lengths.values())) > 1:
        raise ValueError(
            f"Expected as many values of each of {', '.join(RATES)} as of the others, "
            f"such as eta=[0.1, 1.0], got {lengths or 'none'}."
        )
    check_rates(values)
    rows = zip(*values.values(), strict=True)
    settings = [dict(zip(values, row, strict=True)) for row in rows]
    networks = [(rates, seed) for rates in settings for seed in seeds]
    options = {"measure": measure, "progress": progress}
    return train_networks(experiment, train, evaluation, networks, **options)


def train_networks(
    experiment: Experiment,
    train: Dataset,
    evaluation: Dataset,
    networks: Group,
    *,
    log: Log[Trained] | None = None,
    measure: Measure = ACCURACY,
    test: Dataset | None = None,
    progress: Progress = lambda items, total, label: iter(items),
    label: str = "training",
) -> Iterator[Trained]:
    """Each network, of pairs of rates and a seed, as soon as it is trained.

    Those in the log come first. The others are trained and added to it, unless another
    process with the same log has done so; networks that take minutes are continued from
    checkpoints near it. All have the same rates by name. With `test`, these data are
    measured, and mistakes are kept.
    Raises StorageError if the log is of another experiment.
    """
    wanted = {identity(*network) for network in networks}
    known: set[Hashable] = set()

    def new(found: Iterable[Trained]) -> Iterator[Trained]:
        for each in found:
            if each.identity in wanted - known:  # a line may be there twice
                known.add(each.identity)
                yield each

    yield from new(log.read() if log else ())
    todo = [network for network in networks if identity(*network) not in known]
    if not todo:
        return
    # A rate that all networks share is a constant of the program: 0 costs nothing.
    each = {name: {rates[name] for rates, _ in networks} for name in todo[0][0]}
    varied = [name for name, values in each.items() if len(values) > 1]
    shared = {name: values.pop() for name, values in each.items() if name not in varied}
    e, n = replace(experiment, **shared), capacity(experiment, len(todo), evaluation)
    runner = Runner(e, train, evaluation, n, varied, measure.take, test=test)
    groups = [todo[i : i + n] for i in range(0, len(todo), n)]
    epochs = _train_groups(runner, groups, log)
    for found in progress(epochs, len(groups) * experiment.reports, label):
        yield from new(found)
    if log:
        log.forget_claims()


def _train_groups(
    runner: Runner, groups: Sequence[Group], log: Log[Trained] | None
) -> Iterator[list[Trained]]:
    """After each epoch, the finished networks: none, or those of a complete group.

    Processes that compute together train all groups, and the first of them keeps them.
    Others that have the log claim a group each.
    """
    claims = log if jax.process_count() == 1 else None
    left = list(groups)
    for wait in (False, True):  # others' groups are waited for, in case they are killed
        for group in list(left):
            claim = claims.claim(group, wait=wait) if claims else nullcontext(True)
            with claim as free:
                if not free:
                    continue
                left.remove(group)
                ids = {identity(*network) for network in group}
                lines = claims.read() if claims else []
                done = {line.identity: line for line in lines if line.identity in ids}
                missing = [each for each in group if identity(*each) not in done]
                for found in _train(runner, missing, claims) if missing else [[]]:
                    if log and jax.process_index() == 0:
                        for network in found:
                            log.add(network)
                    yield [*done.values(), *found]


class _Unfinished(msgspec.Struct, frozen=True):
    """The networks of a group: what a checkpoint says of them."""

    header: dict[str, Any]
    networks: list[Trained]


def _train(
    runner: Runner, group: Group, log: Log[Trained] | None
) -> Iterator[list[Trained]]:
    """After each epoch no networks, and after the last one those of the group.

    With a log, a checkpoint is saved near it each minute, and continued from.
    """
    seeds = [seed for _, seed in group]
    names = [name for name in runner.varied if name in group[0][0]]
    rates = {name: [each[name] for each, _ in group] for name in names}
    data = runner.evaluation if runner.test is None else runner.test
    facts: dict[str, Any] = {"of": len(data), "seconds": 0.0, **environment()}
    networks = [
        Trained(seed=seed, rates=dict(rates), curve=[], failed_classes=[], **facts)
        for rates, seed in group
    ]
    now = _Unfinished(log.header if log else {}, networks)
    folder, resume = log.beside(group) if log else None, None
    if folder and folder.is_dir():
        arrays, before, _ = checkpoint.load(folder, _Unfinished)
        same = [n.identity for n in before.networks] == [n.identity for n in networks]
        if same and before.header == now.header:
            like = shapes(runner.experiment, len(group))
            done = len(before.networks[0].curve)
            now, resume = before, (done, checkpoint.restore(folder, arrays, like))
    whole = int if runner.measure is None else float  # counts are exact
    epoch, saved = None, time.monotonic()
    for epoch in runner(seeds, rates, resume):
        found = zip(epoch.measured.tolist(), epoch.record.correct, strict=True)
        for network, (value, count) in zip(now.networks, found, strict=True):
            network.curve.append(None if np.isnan(value) else whole(value))
            if runner.test is not None:
                network.validation.append(count)
            network.seconds += epoch.record.seconds / len(group)
        over = epoch.record.epoch == runner.experiment.reports - 1
        if over or not any(epoch.record.going):
            break
        if folder and time.monotonic() - saved > _PAUSE:
            arrays = checkpoint.by_path(epoch.networks())
            checkpoint.save(folder, epoch.record.epoch + 1, arrays, now)
            saved = time.monotonic()
        yield []
    assert epoch is not None
    each = zip(now.networks, *graded(epoch.params, data), strict=True)
    for network, failed, wrong in each:
        network.failed_classes, network.seconds = failed, round(network.seconds, 3)
        network.mistakes = wrong if runner.test is not None else {}
    yield now.networks
    if folder:
        shutil.rmtree(folder, ignore_errors=True)
