"""A run in a folder: to look at, to compare, and to go on with whatever ended it.

`metrics.jsonl` has a line for each epoch. The newest checkpoint has the networks, with
all that training them further takes, and its manifest says what they are. The lines
may be up to a second ahead of it; a run that is resumed does those epochs again.
"""

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxnet import activations, checkpoints, costs, jsonlines, wellformed
from jaxnet.activations import Activation
from jaxnet.costs import Cost
from jaxnet.course import Course, shapes
from jaxnet.datasets import Split
from jaxnet.experiments import Experiment
from jaxnet.files import expect, reported
from jaxnet.layers import Layer, Params
from jaxnet.regularization import without_dropout
from jaxnet.report import Line, Record

METRICS = "metrics.jsonl"
_KIND = "jaxnet run 1"
_PAUSE = 1.0  # seconds between checkpoints, of which each takes about 0.02


class Run(NamedTuple):
    """What a folder says of its run."""

    path: Path
    options: dict[str, Any]  # of the command line
    environment: dict[str, str]
    data: str  # their checksum
    examples: int  # that accuracies are measured on
    saved: int  # epochs in the checkpoint
    lines: list[Line]  # one for each epoch
    refused: tuple[str, ...] = ()  # why newer checkpoints, if any, are passed over

    @property
    def seeds(self) -> range:
        """The seeds of its networks."""
        first = self.options["seed"]
        return range(first, first + self.options["seeds"])

    @property
    def finished(self) -> bool:
        """Whether no epoch is left, or no network going."""
        over = bool(self.lines) and not any(self.lines[-1].going)
        return over or len(self.lines) >= self.options["epochs"]

    @property
    def record(self) -> Record:
        """Its epochs, one or more, as a record, without a look at the networks."""
        record = Record(self.seeds, self.examples, self.options["epochs"], None)
        for line in self.lines:
            record.add(line)
        return record


def environment(data: Split) -> dict[str, str]:
    """What a run's last bits may depend on, beside its options and data."""
    return {
        "jaxnet": version("jaxnet"),
        "jax": jax.__version__,
        "device": jax.devices()[0].device_kind,
        "dtype": str(data.train.y.dtype),
    }


def checksum(data: Split) -> str:
    """The SHA-256 of all arrays of the data, with their shapes and dtypes."""
    digest = hashlib.sha256()
    for array in map(np.asarray, jax.tree.leaves(data)):
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def read(path: str | Path) -> Run:
    """The run in a folder, which may be going.

    Raises StorageError if there is none, or it is spoilt.
    """
    path = Path(path)
    _, manifest, _, refused = checkpoints.load(path)
    came = manifest.pop("kind", None)
    expect(came == _KIND, path, f"the format {_KIND!r}", repr(came)[:40])
    right = wellformed.run_manifest(manifest)
    expect(right, path, "a run as `train --out` keeps it", str(manifest)[:60])
    run = Run(path, **manifest, lines=[], refused=refused)
    return run._replace(lines=_checked(jsonlines.read_lines(path / METRICS), run))


def networks(path: str | Path) -> list[Params]:
    """The network of each seed after the last epoch saved, no neuron dropped.

    Raises StorageError if there is no run, or no epoch of it.
    """
    run = read(path)
    hidden, output = _activations(run)
    expect(run.saved > 0, run.path, "a run that has done an epoch", "none done")
    arrays, seeds = checkpoints.load(path).arrays, len(run.seeds)
    many = []
    sizes = run.options["sizes"]
    for l, (n_in, n_out) in enumerate(pairwise(sizes)):
        layer = []
        for name, shape in (("w", (seeds, n_out, n_in)), ("b", (seeds, n_out))):
            place = f".state.params[{l}].{name}"
            found = arrays.get(place, np.zeros(()))
            came = f"{found.dtype}{list(found.shape)}"
            right = found.shape == shape and found.dtype.kind == "f"
            if right and not np.isfinite(found).all():
                right, came = False, "nan or infinity"
            expect(right, run.path, f"floats {list(shape)} in {place!r}", came)
            layer.append(jnp.asarray(found))
        many.append(Layer(layer[0], layer[1], hidden if l < len(sizes) - 2 else output))
    scaled = without_dropout(many, run.options["dropout"])
    return [jax.tree.map(lambda leaf, i=i: leaf[i], scaled) for i in range(seeds)]


def _activations(run: Run) -> tuple[Activation, Activation]:
    """The activations of the hidden layers and of the outputs, by the saved names."""
    names = run.options["cost"], run.options["hidden"]
    cost, hidden = getattr(costs, names[0], None), getattr(activations, names[1], None)
    expect(
        isinstance(cost, Cost) and isinstance(hidden, Activation),
        run.path,
        "a cost and an activation that this jaxnet has",
        repr(" and ".join(names)[:60]),
    )
    return hidden, cost.output  # type: ignore


class Keeper:
    """Keeps a run in its folder as it goes; from `begin` or `resume`."""

    def __init__(self, run: Run) -> None:
        """Take the run from where it stands."""
        self.run = run
        self._last: tuple[int, Callable[[], Course]] | None = None  # not yet saved
        self._when = time.monotonic()

    def restored(self, experiment: Experiment) -> Course | None:
        """The course of all networks after the epochs saved, or None before the first.

        More epochs than the run had are its from now on. Raises StorageError if the
        networks are not the experiment's.
        """
        course = None
        if self.run.saved:
            like = shapes(experiment, len(self.run.seeds))
            course = checkpoints.load(self.run.path, like).arrays
        if experiment.epochs != self.run.options["epochs"]:
            self.run.options["epochs"] = experiment.epochs
            self._write(course or {}, self.run.saved)
        return course

    def add(self, line: Line, course: Callable[[], Course]) -> None:
        """Keep an epoch's line, and from time to time the course after it.

        Raises StorageError if they cannot be written.
        """
        text = json.dumps(line._asdict(), allow_nan=False) + "\n"
        with self._metrics() as file:
            file.write(text.encode())
        self.run.lines.append(line)
        self._last = (line.epoch + 1, course)
        if time.monotonic() - self._when >= _PAUSE:
            self.save()

    def save(self) -> None:
        """Keep the course after the last epoch, on the disk when this returns."""
        if self._last is None:
            return
        epochs, course = self._last
        with self._metrics() as file:
            os.fsync(file.fileno())
        self._write(course(), epochs)
        self._last, self._when = None, time.monotonic()

    def _write(self, arrays: Any, epochs: int) -> None:
        self.run = self.run._replace(saved=epochs)
        facts = self.run._asdict()
        path, *_ = (facts.pop(name) for name in ("path", "lines", "refused"))
        checkpoints.save(path, arrays, {"kind": _KIND, **facts})

    @contextmanager
    def _metrics(self) -> Iterator[Any]:
        path = self.run.path / METRICS
        with reported(path, "to write here"), open(path, "ab") as file:
            yield file


@contextmanager
def begin(
    path: str | Path,
    options: Mapping[str, Any],
    environment: Mapping[str, str],
    data: Split,
    examples: int,
) -> Iterator[Keeper]:
    """A context in which a new folder keeps a run, and no other process writes to it.

    What is done when the context ends is kept. Raises StorageError if the folder has
    something in it, or cannot be written to.
    """
    path = Path(path)
    _check_free(path)
    with checkpoints.lock(path):
        _check_free(path)
        facts = (dict(environment), checksum(data), examples, 0)
        keeper = Keeper(Run(path, dict(options), *facts, lines=[]))
        keeper._write({}, 0)
        try:
            yield keeper
        finally:
            keeper.save()


@contextmanager
def resume(path: str | Path) -> Iterator[Keeper]:
    """A context in which a folder goes on keeping its run, from the last checkpoint.

    Raises StorageError if there is none, or another process writes to it.
    """
    read(path)  # or another kind of folder would get a lock
    with checkpoints.lock(path):
        run = read(path)
        lines = jsonlines.keep_first(run.path / METRICS, run.saved)
        keeper = Keeper(run._replace(lines=_checked(lines, run)))
        try:
            yield keeper
        finally:
            keeper.save()


def _check_free(path: Path) -> None:
    names = {entry.name for entry in path.iterdir()} if os.path.isdir(path) else set()
    kept = METRICS in names or any(path.glob("checkpoint-*.json"))
    advice = f"one with a run, which --resume {path} goes on with"
    expect(not kept, path, "a new folder", advice)
    # A process killed as it began leaves a part of its first checkpoint.
    others = [n for n in names if n != ".lock" and not n.startswith("checkpoint-")]
    expect(not others, path, "a new folder", f"one with {', '.join(others[:3])} in it")


def _checked(values: list[Any], run: Run) -> list[Line]:
    lines, path = [], run.path / METRICS
    for number, value in enumerate(values):
        right = wellformed.run_line(value, number, len(run.seeds), run.examples)
        wanted = f"epoch {number} on line {number + 1}"
        expect(right, path, wanted, str(value)[:60])
        lines.append(Line(**value))
    return lines
