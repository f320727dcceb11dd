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
    Epoch,
    Network,
    Runner,
    capacity,
    failed_classes,
    mistakes,
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


class Trained(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
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
    def values(self) -> Float[np.ndarray, " epochs"]:
        """The curve, nan where the network has diverged."""
        return _as_array(self.curve)

    @property
    def accuracy(self) -> Float[np.ndarray, " epochs"]:
        """The curve of correct answers as fractions."""
        return self.values / self.of


def curves(
    networks: Sequence[Trained], name: str = "curve"
) -> Float[np.ndarray, "networks epochs"]:
    """The curves of networks, with nan after the last epoch of one that diverged."""
    found = [_as_array(getattr(network, name)) for network in networks]
    rows = np.full((len(found), max(map(len, found))), np.nan)
    for row, curve in zip(rows, found, strict=True):
        row[: len(curve)] = curve
    return rows


def _as_array(values: Sequence[int | float | None]) -> Float[np.ndarray, " epochs"]:
    return np.array([np.nan if x is None else x for x in values], float)


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
    settings = [dict(zip(values, each, strict=True)) for each in zip(*values.values())]  # noqa: B905
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
    measured, and the last networks stay beside the log.
    Raises StorageError if the log is of another experiment.
    """
    wanted = {identity(rates, seed) for rates, seed in networks}
    known: set[Any] = set()

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
    each = {name: [rates[name] for rates, _ in networks] for name in todo[0][0]}
    varied = [name for name, values in each.items() if len(set(values)) > 1]
    shared = {name: each[name][0] for name in each if name not in varied}
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
    writer = log if jax.process_index() == 0 else None
    claims = log if jax.process_count() == 1 else None
    left = list(groups)
    for wait in (False, True):  # others' groups are waited for, in case they are killed
        for group in list(left):
            with (
                claims.claim(group, wait=wait) if claims else nullcontext(True) as free
            ):
                if not free:
                    continue
                left.remove(group)
                there = (
                    {each.identity: each for each in claims.read()} if claims else {}
                )
                missing = [n for n in group if identity(*n) not in there]
                found = [there[i] for n in group if (i := identity(*n)) in there]
                for trained in _train(runner, missing, claims) if missing else [[]]:
                    for network in trained if writer else ():
                        writer.add(network)  # type: ignore
                    yield found + trained


class _Unfinished(msgspec.Struct, frozen=True):
    """What a checkpoint says of the networks of a group."""

    header: dict[str, Any]
    group: list[tuple[dict[str, float], int]]
    curves: list[list[float | None]]
    validation: list[list[float | None]]
    seconds: float


def _continued(
    runner: Runner, folder: Path | None, now: _Unfinished
) -> tuple[_Unfinished, tuple[int, Network] | None]:
    """What the folder's checkpoint says and resumes from, if it is of this group."""
    if folder is None or not folder.is_dir():
        return now, None
    arrays, before, _ = checkpoint.load(folder, _Unfinished)
    if (before.header, before.group) != (now.header, now.group):
        return now, None
    like = shapes(runner.experiment, len(now.group))
    return before, (len(before.curves[0]), checkpoint.restore(folder, arrays, like))


def _train(
    runner: Runner, group: Group, log: Log[Trained] | None
) -> Iterator[list[Trained]]:
    whole = int if runner.measure is None else float  # counts are exact
    seeds = [seed for _, seed in group]
    names = [name for name in runner.varied if name in group[0][0]]
    rates = {name: [each[name] for each, _ in group] for name in names}
    pairs = [(dict(rates), seed) for rates, seed in group]
    header = log.header if log else {}
    now = _Unfinished(header, pairs, [[] for _ in group], [[] for _ in group], 0.0)
    folder = log.beside(pairs) if log else None
    now, resume = _continued(runner, folder, now)

    def save(epoch: Epoch, now: _Unfinished) -> None:
        arrays = checkpoint.by_path(epoch.networks())
        checkpoint.save(folder, len(now.curves[0]), arrays, now)  # type: ignore

    seconds, epoch, saved = now.seconds, None, time.monotonic()
    for epoch in runner(seeds, rates, resume):
        each = zip(
            *(now.curves, epoch.measured.tolist()),
            *(now.validation, epoch.record.correct),
            strict=True,
        )
        for curve, value, validation, count in each:
            curve.append(None if np.isnan(value) else whole(value))
            if runner.test is not None:
                validation.append(count)
        seconds += epoch.record.seconds / len(group)
        last = epoch.record.epoch == runner.experiment.reports - 1
        if last or not any(epoch.record.going):
            break
        if folder and time.monotonic() - saved > _PAUSE:
            now = msgspec.structs.replace(now, seconds=seconds)
            save(epoch, now)
            saved = time.monotonic()
        yield []
    assert epoch is not None
    measured_on = runner.evaluation if runner.test is None else runner.test
    failed = failed_classes(epoch.params, measured_on)
    wrong: list[dict[int, int]] = [{}] * len(group)
    if runner.test is not None:
        wrong = mistakes(epoch.params, measured_on)
    here = environment()
    yield [
        Trained(
            seed=seed,
            rates=rates,
            curve=now.curves[i],
            validation=now.validation[i],
            of=len(measured_on),
            failed_classes=failed[i],
            mistakes=wrong[i],
            seconds=round(seconds, 3),
            **here,
        )
        for i, (rates, seed) in enumerate(pairs)
    ]
    if folder and runner.test is not None:
        save(epoch, now)
    elif folder:
        shutil.rmtree(folder, ignore_errors=True)
