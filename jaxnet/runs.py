"""How an experiment is run: with several seeds, or several settings, at once."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import PartitionSpec as P
from jaxtyping import Array

from jaxnet.course import Course, first_course, learn, next_course
from jaxnet.devices import Spread, over_rows
from jaxnet.experiments import Experiment
from jaxnet.layers import Dataset, Params
from jaxnet.metrics import confusion_matrix
from jaxnet.regularization import without_dropout


class Epoch(NamedTuple):
    """Where the networks of a run stand after an epoch; the first axis is seeds."""

    number: int
    found: np.ndarray  # what was measured; nan as in accuracy
    accuracy: np.ndarray  # nan where a network has diverged, in this epoch or before
    params: Params  # the last finite ones, no neuron dropped
    going: np.ndarray  # False where a network has stopped, or diverged
    broken_layer: np.ndarray  # the first layer that is not finite any more, or 0
    seconds: float
    compile_seconds: float
    course: Callable[[], Course]  # to begin from after this epoch


Measure = Callable[[Params, Dataset, Dataset], Array]


class Runner:
    """An experiment compiled for so many networks at once.

    `varied` names the rates, of eta, l1, l2 and dropout, that are given for each
    network. `measure(params, train, evaluation)` is what is found after an epoch, by
    default the accuracy on the evaluation data. With `rows`, mini-batches are spread
    over devices that have no network of their own: equal to rounding.
    Raises ValueError if the data do not fit the experiment.
    """

    def __init__(
        self,
        experiment: Experiment,
        train: Dataset,
        evaluation: Dataset,
        networks: int,
        varied: Sequence[str] = (),
        measure: Measure | None = None,
        rows: bool = False,
    ) -> None:
        """Compile; `compile_seconds` is how long it took."""
        e = self.experiment = experiment
        if e.epochs % e.evaluate_every:
            raise ValueError(
                f"Expected epochs in whole groups of {e.evaluate_every}, after which "
                f"they are evaluated, got {e.epochs}."
            )
        self.spread = Spread(networks, _together(e, networks, evaluation), rows)
        if self.spread.rows > 1:
            e = replace(e, gradient=over_rows(e.gradient))
        train = train[: e.train_on]
        self.shared = self.spread.share((train, evaluation))

        def one_epoch(network, number, train, evaluation):
            key, setting, course = network
            if self.spread.rows > 1:
                evaluation = jax.lax.with_sharding_constraint(evaluation, P("data"))
            rates = {"l1": e.l1, "l2": e.l2, "dropout": e.dropout} | setting
            whole = partial(without_dropout, rate=rates["dropout"])
            rates["eta"] *= jnp.asarray(course.halving.scale)
            state = course.state
            numbers = jnp.arange(e.evaluate_every) + number * e.evaluate_every
            state, _ = jax.lax.scan(
                lambda state, i: (learn(e, key, i, state, train, rates), None),
                state,
                numbers,
            )
            course = next_course(e, course, state, whole(state.params), evaluation)
            params = whole(course.state.params)
            found = course.accuracy
            if measure is not None:
                found = measure(params, train, evaluation)
                found = jnp.where(course.broken_layer == 0, found, jnp.nan)
            return course, params, found

        began = time.perf_counter()
        self.begin = self.spread(partial(first_course, e))
        # eta is always among them, so that another one is no other program.
        keys, settings = self._networks([0], {x: [0.0] for x in ("eta", *varied)})
        example = (keys, settings, self.begin(keys))
        every = self.spread(one_epoch)
        self.epoch = every.lower(example, self._number(0), *self.shared).compile()
        self.compile_seconds = time.perf_counter() - began

    def _networks(
        self, seeds: Sequence[int], rates: Mapping[str, Sequence[float]]
    ) -> tuple[Array, dict[str, Array]]:
        keys = jnp.stack([jax.random.key(seed) for seed in seeds])
        settings = {name: jnp.asarray(values, float) for name, values in rates.items()}
        return self.spread.stack((keys, settings))

    def _gathered(self, networks: Any, seeds: int) -> Any:
        return jax.tree.map(lambda leaf: leaf[:seeds], self.spread.gather(networks))

    def _number(self, number: int) -> Array:
        return self.spread.share(jnp.asarray(number))

    def __call__(
        self, seeds: Sequence[int], **rates: Sequence[float]
    ) -> Iterator[Epoch]:
        """Each epoch in turn, with one network for each of the seeds.

        A seed draws the same streams whichever seeds train beside it. One that has
        stopped keeps its network, and one that has diverged the network before that;
        the run ends when none is going.
        """
        yield from self.epochs(seeds, rates)

    def epochs(
        self,
        seeds: Sequence[int],
        rates: Mapping[str, Sequence[float]],
        begin: tuple[int, Course] | None = None,
    ) -> Iterator[Epoch]:
        """The same; `begin` is how many were done before, and the course after them."""
        gather = self.spread.gather
        etas = [self.experiment.eta] * len(seeds)
        keys, settings = self._networks(seeds, {"eta": etas, **rates})
        done, course = begin or (0, None)
        course = self.spread.stack(course) if begin else self.begin(keys)
        for number in range(done, self.experiment.reports):
            began = time.perf_counter()
            networks = (keys, settings, course)
            result = self.epoch(networks, self._number(number), *self.shared)
            course, params, found = result
            numbers = (found, course.accuracy, course.going, course.broken_layer)
            found, right, going, layer = (
                np.asarray(gather(array))[: len(seeds)] for array in numbers
            )
            seconds = time.perf_counter() - began
            params = self._gathered(params, len(seeds))
            times = (seconds, self.compile_seconds)
            after = partial(self._gathered, course, len(seeds))
            if jax.process_count() > 1:  # it takes them all, whoever asks for it
                after = partial(lambda course: course, after())
            yield Epoch(number, found, right, params, going, layer, *times, after)
            if not going.any():
                return


def run(
    experiment: Experiment,
    train: Dataset,
    evaluation: Dataset,
    seeds: Sequence[int],
    begin: tuple[int, Course] | None = None,
    rows: bool = False,
) -> Iterator[Epoch]:
    """Each epoch of the experiment in turn, as a `Runner` for these seeds has it.

    `begin` is how many were done before, and the course after them.
    """
    runner = Runner(experiment, train, evaluation, len(seeds), rows=rows)
    yield from runner.epochs(seeds, {}, begin)


def capacity(e: Experiment, networks: int, evaluation: Dataset) -> int:
    """How many of so many networks train at once, on all devices."""
    spread = Spread(networks, _together(e, networks, evaluation))
    return min(spread.devices * spread.together, networks)


def _together(e: Experiment, networks: int, evaluation: Dataset) -> int:
    """How many networks a device trains in one computation."""
    device = jax.devices()[0]
    if device.platform == "cpu":
        return 1
    # What most of the memory goes to is evaluating.
    size = 8 * len(evaluation.x) * sum(e.sizes[1:])
    memory = (device.memory_stats() or {}).get("bytes_limit", 2**33)
    return int(min(max(memory // (4 * size), 1), networks))


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
    i-th of each. All networks train together. The measure is by default the accuracy
    on the evaluation data, and nan where a network has diverged.
    Raises ValueError if there are no values.
    """
    if not values:
        raise ValueError("Expected values to sweep, such as eta=[0.1, 1.0], got none.")
    settings = len(next(iter(values.values())))
    n = settings * len(seeds)
    runner = Runner(experiment, train, evaluation, n, tuple(values), measure)
    each = {k: np.repeat(array, len(seeds)).tolist() for k, array in values.items()}
    for after in runner(list(seeds) * settings, **each):
        yield after.found.reshape(settings, len(seeds))


def unlearnt(params: Params, data: Dataset) -> list[list[int]]:
    """For each network of a run, the classes it gets mostly wrong."""

    @jax.jit  # one program: call by call, its parts take a second to compile
    def matrices(params: Params, data: Dataset) -> Array:
        return jax.vmap(lambda p: confusion_matrix(p, data))(params)

    return [
        [k for k, row in enumerate(matrix) if 2 * row[k] < row.sum()]
        for matrix in np.asarray(matrices(params, data))
    ]
