"""Chapter 3 (web): the author's recorded runs, replayed number for number.

Book: the figures of overfitting, regularisation, first weights, learning rates and data
size come from seeded programs, whose numbers are published. With their random streams,
NumPy's legacy normal numbers for the first weights and Python 2's shuffle for the order
of the examples, jaxnet's network, gradient and step in float64 give the same
accuracies, image for image, and the same costs to 9 digits or more, until rounding
errors have grown large. A program draws from one pair of streams for all its runs.
"""

import json
import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

sys.path.insert(0, str(Path(__file__).parent.parent))  # as a file or as a module

import jaxnet
from jaxnet.cli import devices
from jaxnet.cli.console import script, track
from jaxnet.experiments import CLAIMS, Experiment, recorded
from jaxnet.layers import as_numbers
from jaxnet.regularization import with_penalty
from scripts import tables

RESULTS = tables.RESULTS / "replay.json"
SEED = 12345678  # of both streams, in all the programs
_MNIST = (50_000, 10_000, 10_000)


class Replay(NamedTuple):
    """A recorded run: its settings, and how exactly rounding lets it be replayed."""

    experiment: Experiment
    after: str | None = None  # the run before it in the program, which drew first
    digits: int = 12  # to which a cost must be equal
    exact: int | None = None  # epochs that must be equal; None: all


def _replays() -> dict[str, Replay]:
    book = {name: claim.experiment for name, claim in CLAIMS.items()}
    whole = book["50,000 images"]
    replays = {
        "1,000 images": Replay(book["1,000 images"]),
        "1,000 images, L2": Replay(book["1,000 images, L2"]),
        "50,000 images": Replay(whole, digits=9, exact=2),
        "50,000 images, L2": Replay(book["50,000 images, L2"], digits=7, exact=10),
    }
    for hidden in (30, 100):
        scaled, large = f"scaled weights, {hidden}", f"large weights, {hidden}"
        replays[scaled] = Replay(book[scaled])
        replays[large] = Replay(book[large], after=scaled)
    before = None
    for eta in (0.025, 0.25):
        experiment = replace(book["scaled weights, 30"], eta=eta)
        replays[f"eta {eta}"] = Replay(experiment, before)
        before = f"eta {eta}"
    before = None
    for n in (100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000):
        options = {"epochs": 1_500_000 // n, "evaluate_every": 1}
        experiment = replace(book[f"of {n:,} images"], **options)
        replays[f"{n:,} images of 50,000"] = Replay(experiment, before)
        before = f"{n:,} images of 50,000"
    return replays


REPLAYS = _replays()


# The author's random streams.


def shuffle(items: list[int], stream: random.Random) -> None:
    """Reorder the items in place, as Python 2's `random.shuffle` does."""
    for i in range(len(items) - 1, 0, -1):
        j = int(stream.random() * (i + 1))
        items[i], items[j] = items[j], items[i]


def drawn(
    stream: np.random.RandomState, sizes: tuple[Any, ...], *, scaled: bool
) -> jaxnet.Params:
    """A float64 network in the author's order: all the biases, then all the weights."""
    biases = [stream.randn(n_out) for n_out in sizes[1:]]
    weights = [
        stream.randn(n_out, n_in) / (n_in**0.5 if scaled else 1.0)
        for n_in, n_out in pairwise(sizes)
    ]
    with jax.enable_x64(True):
        pairs = zip(weights, biases, strict=True)
        return [jaxnet.Layer(jnp.asarray(w), jnp.asarray(b)) for w, b in pairs]


def _program(name: str) -> list[Experiment]:
    """The runs of the program up to this one."""
    experiment, after, *_ = REPLAYS[name]
    return [*(_program(after) if after else ()), experiment]


def _beginning(
    name: str, examples: int, seed: int
) -> tuple[jaxnet.Params, list[int], random.Random]:
    """The first network and the order of the examples, and the stream to shuffle them.

    Earlier runs of the program have drawn from the streams, which is repeated here
    without training them.
    """
    normal, uniform = np.random.RandomState(seed), random.Random(seed)
    order = everything = list(range(examples))
    params: jaxnet.Params = []
    epochs = 0  # of the run before
    for e in _program(name):
        for _ in range(epochs):
            shuffle(order, uniform)
        # Making a network draws scaled weights; large ones are drawn in their place.
        if not params or e.init_layer is jaxnet.scaled_layer:
            params = drawn(normal, e.sizes, scaled=True)
        if e.init_layer is jaxnet.large_layer:
            params = drawn(normal, e.sizes, scaled=False)
        # All the images stay as the last run left them; a part of them is a new list.
        order = everything if e.train_on is None else list(range(e.train_on))
        epochs = e.epochs
    return params, order, uniform


# The run, in jaxnet.


def _double(data: jaxnet.Dataset, n: int | None = None) -> jaxnet.Dataset:
    """The first n examples in float64, on the CPU; bytes stay bytes."""
    x, y = data.x[:n], data.y[:n].astype(jnp.float64)
    x = x if x.dtype == jnp.uint8 else x.astype(jnp.float64)
    return jax.device_put(jaxnet.Dataset(x, y), jax.devices("cpu")[0])


@partial(jax.jit, static_argnames=("cost",))
def _epoch(
    params: jaxnet.Params,
    data: jaxnet.Dataset,
    batches: Int[Array, "batches m"],
    eta: Float[Array, ""],
    rate: Float[Array, ""],
    cost: jaxnet.Cost,
) -> jaxnet.Params:
    def learn(state: jaxnet.State, batch: Array) -> tuple[jaxnet.State, None]:
        x, y = as_numbers(data.x[batch], eta.dtype), data.y[batch]
        return jaxnet.step(state, x, y, eta=eta, cost=cost, gradient=gradient), None

    gradient = with_penalty(jaxnet.backprop, l2_rate=rate)
    return jax.lax.scan(learn, jaxnet.start(params), batches)[0].params


@partial(jax.jit, static_argnames=("cost",))
def _measured(
    params: jaxnet.Params,
    data: jaxnet.Dataset,
    l2: Float[Array, ""],
    cost: jaxnet.Cost,
) -> dict[str, Array]:
    n = len(data)  # by which his program divides lambda, whichever data they are
    right = jnp.round(jaxnet.accuracy(params, data) * n)
    return {
        "accuracy": right,
        "cost": jaxnet.total_cost(params, data, cost, l2=l2, n=n),
    }


class Replayed(NamedTuple):
    """A number after an epoch, recorded and replayed, and whether it must be equal."""

    epoch: int
    series: str  # such as "training cost" or "evaluation accuracy", which is a count
    recorded: int | float
    replayed: int | float
    digits: int | None  # to which it must be equal; None: it is a count
    required: bool

    @property
    def equal(self) -> bool:
        """Equal as counts, or as costs to `digits` decimals."""
        tolerance = 0.0 if self.digits is None else 10.0**-self.digits
        return self.difference <= tolerance

    @property
    def difference(self) -> float:
        """The difference relative to the recorded number."""
        return abs(self.replayed - self.recorded) / abs(self.recorded)


def replay_length(name: str, epochs: int | None = None) -> int:
    """How many epochs a replay takes: to the last recorded number, or fewer."""
    return min(epochs or REPLAYS[name].experiment.epochs, max(recorded(name)) + 1)


def replay(
    name: str, data: jaxnet.Split, *, epochs: int | None = None, seed: int = SEED
) -> Iterator[list[Replayed]]:
    """For each epoch of a run of `REPLAYS`, its numbers and the recorded ones.

    It ends with the last recorded number, or after `epochs`; the list is empty where
    nothing is recorded. Another seed is another run. It is computed on the CPU,
    whatever other devices there are.
    Raises ValueError if the data are not of MNIST's size.
    """
    lengths = tuple(map(len, data))
    if lengths != _MNIST:
        raise ValueError(
            f"Expected MNIST, {_MNIST} images to train, validate and test, got "
            f"{lengths}."
        )
    (e, _, digits, exact), his = REPLAYS[name], recorded(name)
    params, order, stream = _beginning(name, len(data.train), seed)
    with jax.enable_x64(True):
        parts = {
            "training": _double(data.train, e.train_on),
            "evaluation": _double(getattr(data, e.evaluate_on)),
        }
        # He scales by 1 - eta lambda/n; thousands of steps add up how that is rounded.
        rate = (1 - (1 - e.eta * (e.l2 / len(order)))) / e.eta
        eta, l2, rate = map(jnp.asarray, (e.eta, e.l2, rate))
    for epoch in range(replay_length(name, epochs)):
        shuffle(order, stream)
        required = exact is None or epoch < exact
        numbers, found = his.get(epoch, {}), []
        measured_on = {series.split()[0] for series in numbers}
        # Not around the loop: the caller of this generator may be in float32.
        with jax.enable_x64(True):
            batches = jnp.asarray(order).reshape(-1, e.batch_size)
            params = _epoch(params, parts["training"], batches, eta, rate, e.cost)
            values = {p: _measured(params, parts[p], l2, e.cost) for p in measured_on}
            for series, number in numbers.items():
                part, quantity = series.split()
                got = float(values[part][quantity])
                to = None if quantity == "accuracy" else digits
                found.append(Replayed(epoch, series, number, got, to, required))
        yield found


# What the script prints.


def summary(comparisons: Sequence[Replayed]) -> dict[str, Any]:
    """What a run came to, as JSON values."""
    accuracies = [c for c in comparisons if c.digits is None]
    costs = [c for c in comparisons if c.digits is not None]
    differs = [c for c in comparisons if not c.equal]
    return {
        "accuracies": [sum(c.equal for c in accuracies), len(accuracies)],
        "costs": [sum(c.equal for c in costs), len(costs)],
        "digits": costs[0].digits if costs else None,
        "differs": [[c.epoch, c.series, c.recorded, c.replayed] for c in differs],
    }


def in_markdown(found: Mapping[str, dict[str, Any]]) -> list[str]:
    """The table of what `summary` found of each run."""
    rows = []
    for name, run in found.items():
        pairs = [
            f"{equal} of {n}" if n else "-"
            for equal, n in (run["accuracies"], run["costs"])
        ]
        if run["digits"]:
            pairs[1] += f", {run['digits']} digits"
        words = [
            f"epoch {epoch}: {series} {float(there):.10g}, replayed {float(here):.10g}"
            for epoch, series, there, here in run["differs"]
        ]
        rows.append([name, *pairs, "; ".join(words) or "-"])
    header = ("recorded run", "accuracies equal", "costs equal", "what differs")
    return tables.table(header, rows)


def main(
    names: Sequence[str] = tuple(REPLAYS),
    epochs: int | None = None,
    readme: bool = False,
) -> int:
    """Print each number and row; return 1 if a number differs that must not.

    epochs: the first of each run (default: all)
    readme: put the rows into data/results/README.md, if of all epochs
    """
    devices.prepare(1, REPLAYS[names[0]].experiment.sizes, 10)
    devices.keep_compiled()
    data = jaxnet.load_mnist(as_bytes=True)
    rows, code = json.loads(RESULTS.read_text()), 0
    for name in names:
        found: list[Replayed] = []
        length = replay_length(name, epochs)
        for comparisons in track(replay(name, data, epochs=epochs), length, name):
            found += comparisons
            for c in comparisons:
                numbers = f"{c.recorded:.16g}, replayed {c.replayed:.16g}"
                print(f"Epoch {c.epoch}: {c.series} {numbers}", flush=True)
                code |= c.required and not c.equal
        rows[name] = summary(found)
        print(in_markdown({name: rows[name]})[-1], flush=True)
    if readme and epochs is None:
        RESULTS.write_text(json.dumps(rows, indent=1) + "\n")
        tables.put(tables.OF_RESULTS, "replay", in_markdown(rows))
    return int(code)


if __name__ == "__main__":
    script(main)
