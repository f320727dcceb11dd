"""How an experiment is run: with several seeds, or several settings, at once."""

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxnet import schedule
from jaxnet.activations import Activation
from jaxnet.experiments import Experiment
from jaxnet.metrics import accuracy, confusion_matrix
from jaxnet.network import Dataset, Params, init
from jaxnet.regularization import whole_network
from jaxnet.sgd import State, epoch, start

_INIT, _TRAIN = 0, 1  # fold_in numbers of a seed's two streams


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
    """A network on its way: what is known of it after each epoch."""

    state: State
    accuracy: Array
    going: Array
    broken_layer: Array
    halving: schedule.Plateau
    stopping: schedule.Plateau


def _first_state(e: Experiment, key: Array) -> State:
    params = init(jax.random.fold_in(key, _INIT), e.sizes, e.init_layer)
    return start(params, e.optimizer)


def _first_course(e: Experiment, key: Array) -> _Course:
    state = _first_state(e, key)
    return _Course(
        state,
        accuracy=jnp.asarray(jnp.nan, state.params[0].w.dtype),
        going=jnp.asarray(True),
        broken_layer=jnp.asarray(0),
        halving=schedule.begin(e.halve_after or 1),
        stopping=schedule.begin(e.stop_after or 1),
    )


def _learn(
    e: Experiment, key: Array, number: Array, state: State, train: Dataset, **changes
) -> State:
    """The state after the experiment's epoch of that number; changes are to rates."""
    rates: dict[str, Any] = {"eta": e.eta, "l1": e.l1, "l2": e.l2, "dropout": e.dropout}
    return epoch(
        jax.random.fold_in(jax.random.fold_in(key, _TRAIN), number),
        state,
        train,
        batch_size=e.batch_size,
        cost=e.cost,
        gradient=e.gradient,
        hidden=e.hidden,
        optimizer=e.optimizer,
        augment=e.augment,
        **(rates | changes),
    )


def _next(e: Experiment, course: _Course, state: State, evaluation: Dataset) -> _Course:
    """The course with what an epoch has come to, or as it was if that is not finite."""
    right = accuracy(whole_network(state.params, e.dropout), evaluation, e.hidden)
    layer = jnp.where(jnp.isnan(right), len(state.params), 0)
    for l, (w, b) in reversed(list(enumerate(state.params, start=1))):
        layer = jnp.where(jnp.isfinite(w).all() & jnp.isfinite(b).all(), layer, l)
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


def _keys(seeds: Sequence[int]) -> Array:
    return jnp.stack([jax.random.key(seed) for seed in seeds])


def _first_images(e: Experiment, train: Dataset) -> Dataset:
    return Dataset(*(array[: e.train_on] for array in train))


def run(
    experiment: Experiment, train: Dataset, evaluation: Dataset, seeds: Sequence[int]
) -> Iterator[Epoch]:
    """Each epoch of the experiment in turn, with one network for each of the seeds.

    A seed draws the same streams whichever seeds train beside it. One that has stopped
    keeps its network, and one that has diverged the network before that; the run ends
    when none is going.
    Raises ValueError if the data do not fit the experiment.
    """
    e, train = experiment, _first_images(experiment, train)

    def one_epoch(
        key: Array, course: _Course, number: Array, train: Dataset, evaluation: Dataset
    ) -> _Course:
        eta = e.eta * jnp.asarray(course.halving.scale)
        state = _learn(e, key, number, course.state, train, eta=eta)
        return _next(e, course, state, evaluation)

    keys = _keys(seeds)
    began = time.perf_counter()
    course = jax.jit(jax.vmap(partial(_first_course, e)))(keys)
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


Measure = Callable[[Params, Dataset, Dataset], Array]


def sweep(
    experiment: Experiment,
    train: Dataset,
    evaluation: Dataset,
    seeds: Sequence[int],
    measure: Measure | None = None,
    **values: Sequence[float],
) -> Iterator[np.ndarray]:
    """What `measure(params, train, evaluation)` is after each epoch, (settings, seeds).

    `values` are sequences of one length for eta, l1, l2 or dropout: setting i has the
    i-th of each. All networks train at once, in one computation. The measure is by
    default the accuracy on the evaluation data, and nan where a network has diverged.
    """
    e, train = experiment, _first_images(experiment, train)
    settings = {name: jnp.asarray(array, float) for name, array in values.items()}

    def one_epoch(number, train, evaluation, key, state, setting):
        state = _learn(e, key, number, state, train, **setting)
        whole = whole_network(state.params, setting.get("dropout", e.dropout))
        if measure is None:
            return state, accuracy(whole, evaluation, e.hidden)
        return state, measure(whole, train, evaluation)

    @jax.jit
    def all_networks(number, train, evaluation, keys, state, settings):
        each = partial(one_epoch, number, train, evaluation)
        over_seeds = jax.vmap(each, (0, 0, None))
        return jax.vmap(over_seeds, (None, 0, 0))(keys, state, settings)

    keys, n = _keys(seeds), len(next(iter(settings.values())))
    state = jax.tree.map(
        lambda leaf: jnp.broadcast_to(leaf, (n, *leaf.shape)),
        jax.vmap(partial(_first_state, e))(keys),
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
