"""A run saved in a folder, which can be resumed however it ended.

`metrics.jsonl` has a `Record` for each epoch. The newest checkpoint has the networks
and everything needed to train them further, and its manifest describes them. The
records may be up to a second ahead of it; resuming repeats those epochs.
"""

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import msgspec
import numpy as np
from jaxtyping import Float
from msgspec import Meta

from jaxnet.costs import Cost
from jaxnet.datasets import Source, Split
from jaxnet.experiments import checkpoint
from jaxnet.experiments.experiment import (
    Experiment,
    OptionError,
    described,
    from_description,
)
from jaxnet.experiments.files import (
    StorageError,
    append_line,
    expect,
    keep_lines,
    locked,
    read_lines,
)
from jaxnet.experiments.runner import Network, Record, shapes
from jaxnet.layers import Params, dtype_of
from jaxnet.metrics import each_example
from jaxnet.network import predict
from jaxnet.regularization import without_dropout
from jaxnet.runs.book import load_book_network

METRICS = "metrics.jsonl"
_MNIST = Source()
_PAUSE = 1.0  # seconds between checkpoints, of which each takes about 0.02


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a checkpoint says about its run."""

    format: Literal["jaxnet run 2"]
    experiment: dict[str, Any]
    seed: Annotated[int, Meta(ge=0, lt=2**31)]
    seeds: Annotated[int, Meta(ge=1, lt=2**31)]
    data: str | None  # path
    checksum: str  # of the data
    examples: Annotated[int, Meta(ge=1, lt=2**53)]  # that accuracies are measured on
    environment: dict[str, str]
    epochs_done: Annotated[int, Meta(ge=0, lt=2**53)]
    transpose: bool = False  # how the data are read
    label_column: str | int | None = None
    classes: list[str] | None = None  # their names, if they are not numbers

    @property
    def source(self) -> Source:
        """The data that it learns from."""
        return Source(self.data, self.transpose, self.label_column)


@dataclass(frozen=True)
class Run:
    """The run in a folder."""

    path: Path
    manifest: Manifest
    experiment: Experiment
    records: list[Record] = field(default_factory=list)  # one for each epoch
    skipped: tuple[str, ...] = ()  # why newer checkpoints, if any, are not used
    # Those of the checkpoint, from which it is resumed.
    arrays: dict[str, np.ndarray] = field(
        default_factory=dict, repr=False, compare=False
    )

    @property
    def seeds(self) -> range:
        """The seeds of its networks."""
        return range(self.manifest.seed, self.manifest.seed + self.manifest.seeds)

    @property
    def finished(self) -> bool:
        """Whether no epoch is left, or no network is still training."""
        over = bool(self.records) and not any(self.records[-1].going)
        return over or len(self.records) >= self.experiment.reports

    @property
    def history(self) -> Float[np.ndarray, "seeds epochs"]:
        """The accuracies."""
        return history(self.records, self.manifest.examples)

    @property
    def resumed(self) -> tuple[int, Network] | None:
        """The number of epochs saved and the networks after them, or None.

        Raises StorageError if the networks are not the experiment's.
        """
        if not self.manifest.epochs_done:
            return None
        like = shapes(self.experiment, len(self.seeds))
        networks = checkpoint.restore(self.path, self.arrays, like)
        return self.manifest.epochs_done, networks


def is_run(path: Path) -> bool:
    """Whether a folder contains a run, even one without a finished epoch."""
    return (path / METRICS).exists() or any(path.glob(checkpoint.PATTERN))


def history(records: list[Record], examples: int) -> Float[np.ndarray, "seeds epochs"]:
    """The accuracies of one or more epochs, nan where a network has diverged."""
    return np.array([each.correct for each in records], float).T / examples


def checksum(data: Split) -> str:
    """The SHA-256 of all arrays of the data, with their shapes and dtypes."""
    digest = hashlib.sha256()
    for array in map(np.asarray, jax.tree.leaves(data)):
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def read(path: str | Path) -> Run:
    """The run in a folder, which another process may be training.

    Raises StorageError if there is none, or it is damaged.
    """
    path = Path(path)
    arrays, manifest, skipped = checkpoint.load(path, Manifest)
    try:
        experiment = from_description(manifest.experiment)
    except OptionError as error:
        raise StorageError(f"{path}: the options of the run: {error}.") from None
    records = read_lines(path / METRICS, Record)
    n, examples = manifest.seeds, manifest.examples
    for number, record in enumerate(records):
        lists = (record.correct, record.going, record.broken_layer)
        lists += (record.speeds or lists[0], *(record.measured or {}).values())
        valid = record.epoch == number and all(len(each) == n for each in lists)
        valid = valid and all(count is None or count <= examples for count in lists[0])
        wanted = f"epoch {number} of {n} networks on line {number + 1}"
        expect(valid, path / METRICS, wanted, str(record)[:60])
    return Run(path, manifest, experiment, records, skipped, arrays)


def networks(path: str | Path) -> list[Params]:
    """The network of each seed after the last epoch saved, no neuron dropped.

    Raises StorageError if there is no run, or no epoch of it.
    """
    return _networks_of(read(path))


def _networks_of(run: Run) -> list[Params]:
    with jax.enable_x64(run.manifest.environment.get("dtype") == "float64"):
        if (resumed := run.resumed) is None:
            raise StorageError(f"{run.path}: expected a run that has done an epoch.")
        found = jax.device_get(resumed[1].state.params)
    finite = all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(found))
    expect(finite, run.path, "finite weights and biases", "nan or infinity")
    here = jax.tree.map(jnp.asarray, found)  # in the precision of this process
    present = without_dropout(here, run.experiment.dropout)
    return [jax.tree.map(lambda a, i=i: a[i], present) for i in range(len(run.seeds))]


class TrainedNetwork(NamedTuple):
    """A network, the cost it was trained with, and its run, if it is of one."""

    params: Params
    cost: Cost
    run: Run | None = None

    def outputs(self, x: Any) -> Float[np.ndarray, "m out"]:
        """The activations of the last layer for each row of x."""
        rows = jnp.asarray(x, dtype_of(self.params))
        return np.asarray(jax.jit(partial(each_example, predict))(self.params, rows))


def load_network(path: str | Path, seed: int | None = None) -> TrainedNetwork:
    """The network in a run's folder, by default of its first seed, or in a book file.

    Raises StorageError if there is none.
    """
    if not os.path.isdir(path):
        return TrainedNetwork(*load_book_network(path))
    run = read(path)
    seed = run.seeds[0] if seed is None else seed
    wanted = f"a seed of this run, {run.seeds[0]} to {run.seeds[-1]}"
    expect(seed in run.seeds, path, wanted, str(seed))
    found = _networks_of(run)[run.seeds.index(seed)]
    return TrainedNetwork(found, run.experiment.cost, run)


class Writer:
    """Saves a run in its folder during training; from `begin` or `resume`."""

    def __init__(self, run: Run) -> None:
        """Continue after the run's last epoch."""
        self.run = run
        self._last: tuple[int, Callable[[], Network]] | None = None  # not yet saved
        self._when = time.monotonic()

    def add(self, record: Record, networks: Callable[[], Network]) -> None:
        """Save an epoch's record, and from time to time the networks after it.

        Raises StorageError if they cannot be written.
        """
        self.run.records.append(record)
        append_line(self.run.path / METRICS, record)
        self._last = (record.epoch + 1, networks)
        if time.monotonic() - self._when >= _PAUSE:
            self.save()

    def save(self) -> None:
        """Save the networks after the last epoch, synced to disk when this returns."""
        if self._last is not None:
            epochs, networks = self._last
            self.write(epochs, checkpoint.by_path(networks()))
            self._last, self._when = None, time.monotonic()

    def write(self, epochs: int, arrays: dict[str, np.ndarray]) -> None:
        """Write a checkpoint of the networks after some epochs."""
        manifest = msgspec.structs.replace(
            self.run.manifest,
            experiment=described(self.run.experiment),
            epochs_done=epochs,
        )
        self.run = replace(self.run, manifest=manifest)
        checkpoint.save(self.run.path, epochs, arrays, manifest)


@contextmanager
def begin(
    path: str | Path,
    experiment: Experiment,
    seeds: range,
    data: Split,
    environment: dict[str, str],
    source: Source = _MNIST,
    classes: list[str] | None = None,
) -> Iterator[Writer]:
    """A context that saves a run in a new folder, locked against other processes.

    The last epoch is saved when the context ends. Raises StorageError if the folder has
    something in it, or cannot be written to.
    """
    path = Path(path)
    manifest = Manifest(
        "jaxnet run 2",
        *(described(experiment), seeds.start, len(seeds)),
        os.path.abspath(source.path) if source.path else None,
        *(checksum(data), len(getattr(data, experiment.evaluate_on)), environment, 0),
        *(source.transpose, source.label_column, classes),
    )
    _check_new(path)  # or what is there would get a lock
    with _locked(path):
        _check_new(path)
        writer = Writer(Run(path, manifest, experiment))
        writer.write(0, {})
        yield from _until_saved(writer)


@contextmanager
def resume(path: str | Path, epochs: int | None = None) -> Iterator[Writer]:
    """A context that continues the run in a folder, from its last checkpoint.

    `epochs` is its number of epochs from now on. Raises StorageError if there is no
    run, or another process writes to it.
    """
    run = read(path)  # or another kind of folder would get a lock
    with _locked(run.path):
        run = read(path)
        done, metrics, n = (
            run.manifest.epochs_done,
            run.path / METRICS,
            len(run.records),
        )
        expect(n >= done, metrics, f"{done} records of the run", str(n))
        if n:
            keep_lines(metrics, done)
        experiment = replace(run.experiment, epochs=epochs or run.experiment.epochs)
        changed = experiment != run.experiment
        run = replace(run, experiment=experiment, records=run.records[:done])
        writer = Writer(run)
        if changed:
            writer.write(done, run.arrays)
        yield from _until_saved(writer)


def _until_saved(writer: Writer) -> Iterator[Writer]:
    try:
        yield writer
    finally:
        writer.save()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with locked(path / ".lock", wait=False) as file:
        wanted = "a folder that no other run writes to"
        got = "one in use. Wait for the other run, or choose another folder"
        expect(file is not None, path / ".lock", wanted, got)
        yield


def _check_new(path: Path) -> None:
    names = {entry.name for entry in path.iterdir()} if os.path.isdir(path) else set()
    advice = f"one with a run, which --resume {path} continues"
    expect(not is_run(path), path, "a new folder", advice)
    # A process killed as it began leaves a part of its first checkpoint.
    others = [name for name in names if name[0] != "."]
    expect(not others, path, "a new folder", f"one with {', '.join(others[:3])} in it")
