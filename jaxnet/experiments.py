"""The book's experiments as data, and how to run one with several seeds at once.

The one place for the book's hyper-parameters and numbers: the command line, the scripts
and the tests read them here.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array

from jaxnet import schedule
from jaxnet.activations import Activation, sigmoid
from jaxnet.costs import Cost, cross_entropy, quadratic
from jaxnet.gradients import Gradient, backprop
from jaxnet.metrics import accuracy, confusion_matrix
from jaxnet.network import Dataset, Layer, Params, init, large_layer, scaled_layer
from jaxnet.regularization import whole_network
from jaxnet.sgd import Augment, Optimizer, State, epoch, start

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
    train_on: int | None = None  # the first so many training images; None: all
    l1: float = 0.0
    l2: float = 0.0
    dropout: float = 0.0
    optimizer: Optimizer = optax.sgd
    augment: Augment | None = None
    halve_after: int | None = None  # epochs without a best; ends at eta/128
    stop_after: int | None = None  # epochs without a best


class Claim(NamedTuple):
    """What the book reports of an experiment."""

    experiment: Experiment
    percent: float
    statistic: str
    section: str


_HUNDRED = Experiment(sizes=(784, 100, 10))
_BEST = "best epoch of the best of three runs"

_ENTROPY = Experiment(eta=0.5, cost=cross_entropy)
_THOUSAND = replace(_ENTROPY, train_on=1000, epochs=400)
_TUNED = replace(
    _ENTROPY, sizes=(784, 100, 10), eta=0.1, l2=5.0, epochs=60, evaluate_on="validation"
)
_INITIAL = replace(_ENTROPY, eta=0.1, l2=5.0, evaluate_on="validation")
_PEAK, _END = "best epoch", "last epoch"

CLAIMS = {
    "30 hidden": Claim(Experiment(), 95.42, _BEST, "1.6"),
    "100 hidden": Claim(_HUNDRED, 96.59, _BEST, "1.6"),
    "eta too small": Claim(replace(_HUNDRED, eta=0.001), 21.42, "last epoch", "1.6"),
    "eta too large": Claim(Experiment(eta=100.0), 9.82, "last epoch", "1.6"),
    "cross-entropy, 30": Claim(_ENTROPY, 95.49, _PEAK, "3.3"),
    "cross-entropy, 100": Claim(
        replace(_ENTROPY, sizes=(784, 100, 10)), 96.82, _PEAK, "3.3"
    ),
    "1,000 images": Claim(_THOUSAND, 82.27, _PEAK, "web 3.2"),
    "50,000 images": Claim(_ENTROPY, 95.33, _PEAK, "web 3.2"),
    "1,000 images, L2": Claim(replace(_THOUSAND, l2=0.1), 87.1, _PEAK, "web 3.2"),
    "50,000 images, L2": Claim(replace(_ENTROPY, l2=5.0), 96.49, _PEAK, "web 3.2"),
    "100 hidden, L2": Claim(
        replace(_TUNED, eta=0.5, epochs=30), 97.92, _PEAK, "web 3.2"
    ),
    "100 hidden, tuned": Claim(_TUNED, 98.04, _PEAK, "web 3.2"),
    "large weights, 30": Claim(_INITIAL, 96.37, _END, "web 3.3"),
    "scaled weights, 30": Claim(
        replace(_INITIAL, init_layer=scaled_layer), 96.50, _END, "web 3.3"
    ),
    "large weights, 100": Claim(
        replace(_INITIAL, sizes=(784, 100, 10)), 97.42, _END, "web 3.3"
    ),
    "scaled weights, 100": Claim(
        replace(_INITIAL, sizes=(784, 100, 10), init_layer=scaled_layer),
        97.81,
        _END,
        "web 3.3",
    ),
}


def claim_of(experiment: Experiment) -> Claim | None:
    """What the book says of this experiment, whichever way its gradient is computed."""
    as_in_book = replace(experiment, gradient=backprop)
    return next((c for c in CLAIMS.values() if c.experiment == as_in_book), None)


class Epoch(NamedTuple):
    """Where the networks of a run stand after an epoch; the first axis is seeds."""

    number: int
    accuracy: np.ndarray  # nan where a network has diverged, in this epoch or before
    params: Params  # the last finite ones, no neuron dropped
    going: np.ndarray  # False where a network has stopped, or diverged
    broken_layer: np.ndarray  # the first layer that is not finite any more, or 0
    seconds: float
    compile_seconds: float


class _Course(NamedTuple):
    state: State
    accuracy: Array
    going: Array
    broken_layer: Array
    halving: schedule.Plateau
    stopping: schedule.Plateau


def run(
    experiment: Experiment, train: Dataset, evaluation: Dataset, seeds: Sequence[int]
) -> Iterator[Epoch]:
    """Each epoch of the experiment in turn, with one network for each of the seeds.

    A seed draws the same streams whichever seeds train beside it. One that has stopped
    keeps its network, and one that has diverged the network before that; the run ends
    when none is going.
    Raises ValueError if the data do not fit the experiment.
    """
    e = experiment
    train = Dataset(*(array[: e.train_on] for array in train))

    def first(key: Array) -> _Course:
        params = init(jax.random.fold_in(key, _INIT), e.sizes, e.init_layer)
        plateaus = (schedule.begin(n or 1) for n in (e.halve_after, e.stop_after))
        going = (jnp.asarray(jnp.nan, params[0].w.dtype), jnp.asarray(True))
        return _Course(start(params, e.optimizer), *going, jnp.asarray(0), *plateaus)

    def one_epoch(
        key: Array, course: _Course, number: Array, train: Dataset, evaluation: Dataset
    ) -> _Course:
        state = epoch(
            jax.random.fold_in(jax.random.fold_in(key, _TRAIN), number),
            course.state,
            train,
            batch_size=e.batch_size,
            eta=e.eta * jnp.asarray(course.halving.scale),
            l1=e.l1,
            l2=e.l2,
            dropout=e.dropout,
            cost=e.cost,
            gradient=e.gradient,
            hidden=e.hidden,
            optimizer=e.optimizer,
            augment=e.augment,
        )
        right = accuracy(whole_network(state.params, e.dropout), evaluation, e.hidden)
        layer = jnp.where(jnp.isnan(right), len(state.params), 0)
        for l, leaves in reversed(list(enumerate(state.params, start=1))):
            finite = jnp.isfinite(leaves.w).all() & jnp.isfinite(leaves.b).all()
            layer = jnp.where(finite, layer, l)
        new = course._replace(state=state, accuracy=right, broken_layer=layer)
        if e.halve_after:
            halving = schedule.after_epoch(course.halving, right, e.halve_after)
            over = schedule.reached(halving, schedule.LAST_SCALE)
            new = new._replace(halving=halving, going=new.going & ~over)
        if e.stop_after:
            stopping = schedule.after_epoch(course.stopping, right, e.stop_after)
            over = schedule.reached(stopping, schedule.EARLY_STOP)
            new = new._replace(stopping=stopping, going=new.going & ~over)
        diverged = course._replace(
            accuracy=jnp.full_like(right, jnp.nan),
            broken_layer=layer,
            going=jnp.asarray(False),
        )
        after = jax.tree.map(partial(jnp.where, layer == 0), new, diverged)
        return jax.tree.map(partial(jnp.where, course.going), after, course)

    keys = jnp.stack([jax.random.key(seed) for seed in seeds])
    began = time.perf_counter()
    course = jax.jit(jax.vmap(first))(keys)
    learn = jax.jit(jax.vmap(one_epoch, in_axes=(0, 0, None, None, None)))
    learn = learn.lower(keys, course, jnp.asarray(0), train, evaluation).compile()
    compile_seconds = time.perf_counter() - began
    for number in range(e.epochs):
        began = time.perf_counter()
        course = learn(keys, course, jnp.asarray(number), train, evaluation)
        right = np.asarray(course.accuracy)  # waits for the epoch to end
        seconds = time.perf_counter() - began
        yield Epoch(
            number,
            right,
            whole_network(course.state.params, e.dropout),
            np.asarray(course.going),
            np.asarray(course.broken_layer),
            seconds,
            compile_seconds,
        )
        if not course.going.any():
            return


def sweep(
    experiment: Experiment,
    train: Dataset,
    evaluation: Dataset,
    seeds: Sequence[int],
    measure: Callable[[Params, Dataset, Dataset], Array] | None = None,
    **values: Sequence[float],
) -> Iterator[np.ndarray]:
    """What `measure(params, train, evaluation)` is after each epoch, (settings, seeds).

    `values` are sequences of one length for eta, l1, l2 or dropout: setting i has the
    i-th of each. All networks train at once, in one computation. The measure is by
    default the accuracy on the evaluation data, and nan where a network has diverged.
    """
    e, n_seeds = experiment, len(seeds)
    settings = {name: jnp.asarray(array, float) for name, array in values.items()}
    train = Dataset(*(array[: e.train_on] for array in train))

    def default(params: Params, train: Dataset, evaluation: Dataset) -> Array:
        return accuracy(params, evaluation, e.hidden)

    measure = measure or default

    def first(key: Array) -> State:
        params = init(jax.random.fold_in(key, _INIT), e.sizes, e.init_layer)
        return start(params, e.optimizer)

    def one_epoch(number, train, evaluation, key, state, setting):
        options = {
            "eta": e.eta,
            "l1": e.l1,
            "l2": e.l2,
            "dropout": e.dropout,
            **setting,
        }
        state = epoch(
            jax.random.fold_in(jax.random.fold_in(key, _TRAIN), number),
            state,
            train,
            batch_size=e.batch_size,
            cost=e.cost,
            gradient=e.gradient,
            hidden=e.hidden,
            optimizer=e.optimizer,
            augment=e.augment,
            **options,
        )
        whole = whole_network(state.params, options["dropout"])
        return state, measure(whole, train, evaluation)

    @jax.jit
    def all_networks(number, train, evaluation, keys, state, settings):
        each = partial(one_epoch, number, train, evaluation)
        over_seeds = jax.vmap(each, (0, 0, None))
        return jax.vmap(over_seeds, (None, 0, 0))(keys, state, settings)

    keys = jnp.stack([jax.random.key(seed) for seed in seeds])
    many = len(next(iter(settings.values())))
    state = jax.tree.map(
        lambda leaf: jnp.broadcast_to(leaf, (many, n_seeds, *leaf.shape[1:])),
        jax.vmap(first)(keys),
    )
    for number in range(e.epochs):
        state, found = all_networks(
            jnp.asarray(number), train, evaluation, keys, state, settings
        )
        yield np.asarray(found)


def unlearnt(params: Params, data: Dataset, hidden: Activation) -> list[list[int]]:
    """For each network of a run, the classes it gets mostly wrong."""
    matrices = jax.vmap(lambda p: confusion_matrix(p, data, hidden))(params)
    return [
        [k for k, row in enumerate(matrix) if 2 * row[k] < row.sum()]
        for matrix in np.asarray(matrices)
    ]
