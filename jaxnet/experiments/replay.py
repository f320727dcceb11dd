"""The author's recorded runs again, number for number: web, chapter 3.

His figure programs were seeded, and what they measured is published. The network, the
gradient and the step here are jaxnet's own, in float64; only the random streams are
his: NumPy's legacy normal numbers for the first weights, and Python 2's shuffle for the
order of the examples. A program draws from one pair of streams for all its runs.
"""

import json
import random
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxnet.costs import Cost
from jaxnet.datasets import Split
from jaxnet.experiments.claims import CLAIMS
from jaxnet.experiments.experiment import Experiment
from jaxnet.gradients import backprop
from jaxnet.layers import Dataset, Layer, Params, as_numbers
from jaxnet.metrics import accuracy, total_cost
from jaxnet.network import large_layer, scaled_layer
from jaxnet.regularization import with_penalty
from jaxnet.sgd import State, start, step

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
        options = {"epochs": 1_500_000 // n, "l2": n * 0.0001}
        experiment = replace(whole, train_on=n, evaluate_on="validation", **options)
        replays[f"{n:,} images of 50,000"] = Replay(experiment, before)
        before = f"{n:,} images of 50,000"
    return replays


REPLAYS = _replays()


def recorded(name: str) -> dict[int, dict[str, int | float]]:
    """The author's recorded numbers of a run, by epoch and by what was measured."""
    columns = json.loads(Path(__file__).with_name("recorded.json").read_text())[name]
    epochs = columns.pop("epoch", range(REPLAYS[name].experiment.epochs))
    found: dict[int, dict[str, int | float]] = {}
    for series, numbers in columns.items():
        for epoch, number in zip(epochs, numbers, strict=False):
            if number is not None:
                found.setdefault(epoch, {})[series] = number
    return found


def shuffle(items: list[int], stream: random.Random) -> None:
    """Reorder the items in place, as Python 2's `random.shuffle` does."""
    for i in range(len(items) - 1, 0, -1):
        j = int(stream.random() * (i + 1))
        items[i], items[j] = items[j], items[i]


def drawn(
    stream: np.random.RandomState, sizes: tuple[Any, ...], *, scaled: bool
) -> Params:
    """A float64 network in the author's order: all the biases, then all the weights."""
    biases = [stream.randn(n_out) for n_out in sizes[1:]]
    weights = [
        stream.randn(n_out, n_in) / (n_in**0.5 if scaled else 1.0)
        for n_in, n_out in pairwise(sizes)
    ]
    with jax.enable_x64(True):
        return [
            Layer(jnp.asarray(w), jnp.asarray(b))
            for w, b in zip(weights, biases, strict=True)
        ]


def _program(name: str) -> list[Experiment]:
    """The runs of the program up to this one."""
    experiment, after, *_ = REPLAYS[name]
    return [*(_program(after) if after else ()), experiment]


def _beginning(
    name: str, examples: int, seed: int
) -> tuple[Params, list[int], random.Random]:
    """The first network and the order of the examples, and the stream to shuffle them.

    Earlier runs of the program have drawn from the streams, which is repeated here
    without training them.
    """
    normal, uniform = np.random.RandomState(seed), random.Random(seed)
    order = everything = list(range(examples))
    params: Params = []
    epochs = 0  # of the run before
    for e in _program(name):
        for _ in range(epochs):
            shuffle(order, uniform)
        # Making a network draws scaled weights; large ones are drawn in their place.
        if not params or e.init_layer is scaled_layer:
            params = drawn(normal, e.sizes, scaled=True)
        if e.init_layer is large_layer:
            params = drawn(normal, e.sizes, scaled=False)
        # All the images stay as the last run left them; a part of them is a new list.
        order = everything if e.train_on is None else list(range(e.train_on))
        epochs = e.epochs
    return params, order, uniform


def _double(data: Dataset, n: int | None = None) -> Dataset:
    """The first n examples in float64, on the CPU; bytes stay bytes."""
    x, y = data.x[:n], data.y[:n].astype(jnp.float64)
    x = x if x.dtype == jnp.uint8 else x.astype(jnp.float64)
    return jax.device_put(Dataset(x, y), jax.devices("cpu")[0])


@partial(jax.jit, static_argnames=("cost",))
def _epoch(
    params: Params,
    data: Dataset,
    batches: Int[Array, "batches m"],
    eta: Float[Array, ""],
    rate: Float[Array, ""],
    cost: Cost,
) -> Params:
    def learn(state: State, batch: Array) -> tuple[State, None]:
        x, y = as_numbers(data.x[batch], eta.dtype), data.y[batch]
        return step(state, x, y, eta=eta, cost=cost, gradient=gradient), None

    gradient = with_penalty(backprop, l2_rate=rate)

    return jax.lax.scan(learn, start(params), batches)[0].params


@jax.jit
def _right(params: Params, data: Dataset) -> Float[Array, ""]:
    return jnp.round(accuracy(params, data) * len(data.x))


@partial(jax.jit, static_argnames=("cost",))
def _cost(
    params: Params, data: Dataset, l2: Float[Array, ""], cost: Cost
) -> Float[Array, ""]:
    # His program divides lambda by the size of the measured data, whichever they are.
    return total_cost(params, data, cost, l2=l2, n=len(data.x))


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
    name: str, data: Split, *, epochs: int | None = None, seed: int = SEED
) -> Iterator[list[Replayed]]:
    """For each epoch of a run of `REPLAYS`, its numbers and the recorded ones.

    It ends with the last recorded number, or after `epochs`; the list is empty where
    nothing is recorded. Another seed is another run. It is computed on the CPU,
    whatever other devices there are.
    Raises ValueError if there is no such run or the data are not of MNIST's size.
    """
    if name not in REPLAYS:
        raise ValueError(f"Expected a run, one of {'; '.join(REPLAYS)}, got {name}.")
    sizes = tuple(len(part.x) for part in data)
    if sizes != _MNIST:
        raise ValueError(
            f"Expected MNIST, {_MNIST} images to train, validate and test, got {sizes}."
        )
    (e, _, digits, exact), his = REPLAYS[name], recorded(name)
    params, order, stream = _beginning(name, len(data.train.x), seed)
    with jax.enable_x64(True):
        train = _double(data.train, e.train_on)
        evaluation = _double(getattr(data, e.evaluate_on))
        # He scales by 1 - eta lambda/n; thousands of steps add up how that is rounded.
        rate = (1 - (1 - e.eta * (e.l2 / len(order)))) / e.eta
        eta, l2, rate = map(jnp.asarray, (e.eta, e.l2, rate))
    for epoch in range(replay_length(name, epochs)):
        shuffle(order, stream)
        required = exact is None or epoch < exact
        found = []
        # Not around the loop: the caller of this generator may be in float32.
        with jax.enable_x64(True):
            batches = jnp.asarray(order).reshape(-1, e.batch_size)
            params = _epoch(params, train, batches, eta, rate, e.cost)
            for series, number in his.get(epoch, {}).items():
                measured = train if series.startswith("training") else evaluation
                if series.endswith("accuracy"):
                    got, to = float(_right(params, measured)), None
                else:
                    got, to = float(_cost(params, measured, l2, e.cost)), digits
                found.append(Replayed(epoch, series, number, got, to, required))
        yield found
