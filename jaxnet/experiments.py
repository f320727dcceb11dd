"""The book's experiments as data, and how to run one with several seeds at once.

The one place for the book's hyper-parameters and numbers: the command line, the scripts
and the tests read them here.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxnet.activations import Activation, sigmoid
from jaxnet.costs import Cost, quadratic
from jaxnet.gradients import Gradient, backprop
from jaxnet.metrics import accuracy, confusion_matrix
from jaxnet.network import Dataset, Layer, Params, init, large_layer
from jaxnet.sgd import State, epoch, start

_INIT, _TRAIN = 0, 1  # fold_in numbers of a seed's two streams


@dataclass(frozen=True)
class Experiment:
    """All that decides a run but its seed and the data; by default the book's first."""

    sizes: tuple[int, ...] = (784, 30, 10)
    epochs: int = 30
    batch_size: int = 10
    eta: float = 3.0
    cost: Cost = quadratic
    gradient: Gradient = backprop
    hidden: Activation = sigmoid
    init_layer: Callable[..., Layer] = large_layer
    evaluate_on: str = "test"


class Claim(NamedTuple):
    """What the book reports of an experiment."""

    experiment: Experiment
    percent: float
    statistic: str
    section: str


_HUNDRED = Experiment(sizes=(784, 100, 10))
_BEST = "best epoch of the best of three runs"

CLAIMS = {
    "30 hidden": Claim(Experiment(), 95.42, _BEST, "1.6"),
    "100 hidden": Claim(_HUNDRED, 96.59, _BEST, "1.6"),
    "eta too small": Claim(replace(_HUNDRED, eta=0.001), 21.42, "last epoch", "1.6"),
    "eta too large": Claim(Experiment(eta=100.0), 9.82, "last epoch", "1.6"),
}


def claim_of(experiment: Experiment) -> Claim | None:
    """What the book says of this experiment, whichever way its gradient is computed."""
    as_in_book = replace(experiment, gradient=backprop)
    return next((c for c in CLAIMS.values() if c.experiment == as_in_book), None)


class Epoch(NamedTuple):
    """Where the networks of a run stand after an epoch; the first axis is seeds."""

    number: int
    accuracy: np.ndarray
    params: Params
    seconds: float
    compile_seconds: float


def run(
    experiment: Experiment, train: Dataset, evaluation: Dataset, seeds: Sequence[int]
) -> Iterator[Epoch]:
    """Each epoch of the experiment in turn, with one network for each of the seeds.

    A seed draws the same streams whichever seeds train beside it.
    Raises ValueError if the data do not fit the experiment.
    """
    e = experiment

    def first_state(key: Array) -> State:
        return start(init(jax.random.fold_in(key, _INIT), e.sizes, e.init_layer))

    def one_epoch(
        key: Array, state: State, number: Array, train: Dataset, evaluation: Dataset
    ) -> tuple[State, Array]:
        state = epoch(
            jax.random.fold_in(jax.random.fold_in(key, _TRAIN), number),
            state,
            train,
            batch_size=e.batch_size,
            eta=e.eta,
            cost=e.cost,
            gradient=e.gradient,
            hidden=e.hidden,
        )
        return state, accuracy(state.params, evaluation, e.hidden)

    keys = jnp.stack([jax.random.key(seed) for seed in seeds])
    began = time.perf_counter()
    state = jax.jit(jax.vmap(first_state))(keys)
    learn = jax.jit(jax.vmap(one_epoch, in_axes=(0, 0, None, None, None)))
    learn = learn.lower(keys, state, jnp.asarray(0), train, evaluation).compile()
    compile_seconds = time.perf_counter() - began
    for number in range(e.epochs):
        began = time.perf_counter()
        state, right = learn(keys, state, jnp.asarray(number), train, evaluation)
        right = np.asarray(right)  # waits for the epoch to end
        seconds = time.perf_counter() - began
        yield Epoch(number, right, state.params, seconds, compile_seconds)


def unlearnt(params: Params, data: Dataset, hidden: Activation) -> list[list[int]]:
    """For each network of a run, the classes it gets mostly wrong."""
    matrices = jax.vmap(lambda p: confusion_matrix(p, data, hidden))(params)
    return [
        [k for k, row in enumerate(matrix) if 2 * row[k] < row.sum()]
        for matrix in np.asarray(matrices)
    ]
