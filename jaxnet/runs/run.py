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


def is_run(path: Path) -> bool:
    """Whether a folder contains a run, even one without a finished epoch."""
    return (path / METRICS).exists() or any(path.glob(checkpoint.PATTERN))


def history(records: list[Record], examples: int) -> Float[np.ndarray, "seeds epochs"]:
    """The accuracies of one or more epochs, nan where a network has diverged."""
    counts = [[np.nan if n is None else n for n in each.correct] for each in records]
    return np.array(counts, float).T / examples


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
    return _read(path)[0]


def _read(path: str | Path) -> tuple[Run, dict[str, np.ndarray]]:
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
        valid = record.epoch == number and all(len(each) == n for each in lists)
        valid = valid and len(record.speeds or lists[0]) == n
        valid = valid and all(count is None or count <= examples for count in lists[0])
        wanted = f"epoch {number} of {n} networks on line {number + 1}"
        expect(valid, path / METRICS, wanted, str(record)[:60])
    return Run(path, manifest, experiment, records, skipped), arrays


def networks(path: str | Path) -> list[Params]:
    """The network of each seed after the last epoch saved, no neuron dropped.

    Raises StorageError if there is no run, or no epoch of it.
    """
    run, arrays = _read(path)
    epochs = run.manifest.epochs_done
    expect(epochs > 0, run.path, "a run that has done an epoch", "none done")
    with jax.enable_x64(run.manifest.environment.get("dtype") == "float64"):
        params = _restored(run, arrays).state.params
        leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(params)]
    finite = all(np.isfinite(leaf).all() for leaf in leaves)
    expect(finite, run.path, "finite weights and biases", "nan or infinity")
    here = jax.tree.unflatten(jax.tree.structure(params), map(jnp.asarray, leaves))
    present = without_dropout(here, run.experiment.dropout)
    return [
        jax.tree.map(lambda leaf, i=i: leaf[i], present) for i in range(len(run.seeds))
    ]


class TrainedNetwork(NamedTuple):
    """A network, and the cost it was trained with."""

    params: Params
    cost: Cost

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
    found = networks(path)[run.seeds.index(seed)]
    return TrainedNetwork(found, run.experiment.cost)


def _restored(run: Run, arrays: dict[str, np.ndarray]) -> Network:
    like = shapes(run.experiment, len(run.seeds))
    return checkpoint.restore(run.path, arrays, like)


class Writer:
    """Saves a run in its folder during training; from `begin` or `resume`.

    With `only_read` it writes nothing: of several processes, one saves the run.
    """

    def __init__(
        self, run: Run, arrays: dict[str, np.ndarray], only_read: bool = False
    ) -> None:
        """Continue from the run's last checkpoint."""
        self.run, self._arrays, self._only_read = run, arrays, only_read
        self._last: tuple[int, Callable[[], Any]] | None = None  # not yet saved
        self._when = time.monotonic()

    @property
    def resumed(self) -> tuple[int, Network] | None:
        """The number of epochs saved and the networks after them, or None.

        Raises StorageError if the networks are not the experiment's.
        """
        done = self.run.manifest.epochs_done
        return (done, _restored(self.run, self._arrays)) if done else None

    def extend(self, epochs: int) -> None:
        """Set the run's number of epochs."""
        experiment = replace(self.run.experiment, epochs=epochs)
        self.run = replace(self.run, experiment=experiment)
        self._write(self.run.manifest.epochs_done, self._arrays)

    def add(self, record: Record, networks: Callable[[], Network]) -> None:
        """Save an epoch's record, and from time to time the networks after it.

        Raises StorageError if they cannot be written.
        """
        self.run.records.append(record)
        if self._only_read:
            return
        append_line(self.run.path / METRICS, record)
        self._last = (record.epoch + 1, networks)
        if time.monotonic() - self._when >= _PAUSE:
            self.save()

    def save(self) -> None:
        """Save the networks after the last epoch, synced to disk when this returns."""
        if self._last is not None:
            epochs, networks = self._last
            self._write(epochs, checkpoint.by_path(networks()))
            self._last, self._when = None, time.monotonic()

    def _write(self, epochs: int, arrays: dict[str, np.ndarray]) -> None:
        manifest = msgspec.structs.replace(
            self.run.manifest,
            experiment=described(self.run.experiment),
            epochs_done=epochs,
        )
        self.run = replace(self.run, manifest=manifest)
        if not self._only_read:
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
    only_read: bool = False,
) -> Iterator[Writer]:
    """A context that saves a run in a new folder, locked against other processes.

    The last epoch is saved when the context ends. Raises StorageError if the folder has
    something in it, or cannot be written to.
    """
    path = Path(path)
    examples = len(getattr(data, experiment.evaluate_on))
    manifest = Manifest(
        "jaxnet run 2",
        *(described(experiment), seeds.start, len(seeds)),
        os.path.abspath(source.path) if source.path else None,
        *(checksum(data), examples, environment, 0),
        *(source.transpose, source.label_column, classes),
    )
    if only_read:
        yield Writer(Run(path, manifest, experiment), {}, only_read)
        return
    _check_new(path)
    with _locked(path):
        _check_new(path)
        writer = Writer(Run(path, manifest, experiment), {})
        writer._write(0, {})
        try:
            yield writer
        finally:
            writer.save()


@contextmanager
def resume(path: str | Path, only_read: bool = False) -> Iterator[Writer]:
    """A context that continues the run in a folder, from its last checkpoint.

    Raises StorageError if there is none, or another process writes to it.
    """
    run, arrays = _read(path)  # or another kind of folder would get a lock
    if only_read:
        done = run.records[: run.manifest.epochs_done]
        yield Writer(replace(run, records=done), arrays, only_read)
        return
    with _locked(Path(path)):
        run, arrays = _read(path)
        done = run.manifest.epochs_done
        metrics, n = run.path / METRICS, len(run.records)
        expect(n >= done, metrics, f"{done} records of the run", str(n))
        if n:
            keep_lines(metrics, done)
        writer = Writer(replace(run, records=run.records[:done]), arrays)
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
