"""How an experiment runs: many networks at once, an epoch at a time.

On a CPU each device is a thread that trains one network after another, since `vmap`
gains nothing there. On a GPU, as many networks as fit its memory are one computation.
Devices may belong to several processes, which then all make the same calls.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
import msgspec
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Float
from msgspec import Meta

from jaxnet.checks import check_numbers
from jaxnet.experiments.experiment import Experiment
from jaxnet.gradients import Gradient
from jaxnet.layers import Dataset, Params
from jaxnet.metrics import accuracy, answers_of
from jaxnet.network import Part, layers_of
from jaxnet.regularization import without_dropout
from jaxnet.sgd import State, epoch, start

_MONITORED = 1000  # training images, as many as in the book
_LAST_SCALE = 1 / 128  # of the first eta, in the book's exercise on schedules
_Index = Annotated[int, Meta(ge=0, lt=2**53)]


class Record(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True
):
    """An epoch of a run: a line of its file. A list has an item for each network."""

    epoch: _Index
    correct: list[_Index | None]  # evaluation examples; None once it has diverged
    going: list[bool]  # False once it has stopped, or diverged
    broken_layer: list[_Index]  # the first layer that is not finite, or 0
    seconds: Annotated[float, Meta(ge=0)]
    speeds: list[list[float] | None] | None = None  # of layers, if they are monitored
    measured: dict[str, list[float | None]] | None = None  # costs, if they are drawn


class Network(NamedTuple):
    """A network during an experiment, and everything that its next epoch needs."""

    state: State
    correct: Array  # evaluation examples, or -1
    best: Array
    stale: Array  # epochs since the best
    scale: Array  # of eta
    going: Array
    broken_layer: Array


class Epoch(NamedTuple):
    """The networks after an epoch; the first axis of arrays is networks."""

    record: Record
    examples: int  # that the networks are evaluated on
    measured: Any  # arrays as the measure returns them, nan where one has diverged
    params: Params  # the last finite ones, no neuron dropped
    networks: Callable[[], Network]  # to resume from

    @property
    def accuracy(self) -> Float[np.ndarray, " networks"]:
        """The accuracies on the evaluation data, nan where a network has diverged."""
        return np.array(self.record.correct, float) / self.examples


Measure = Callable[[Experiment, Params, Dataset, Dataset], Any]
"""What is measured after an epoch, of the network, the training and evaluation data.

It returns an array, or several in a dictionary or another pytree.
"""


def begin(e: Experiment, seed: Array) -> Network:
    """A seed's network before its first epoch."""
    state = start(e.init(jax.random.key(seed)), e.options()["optimizer"])  # type: ignore
    number = jnp.asarray(0)
    scale = jnp.ones((), jax.tree.leaves(state.params)[0].dtype)
    return Network(state, number - 1, number - 1, number, scale, scale > 0, number)


def advance(
    e: Experiment, network: Network, state: State, fraction: Float[Array, ""], n: int
) -> Network:
    """The network after an epoch with this state and this fraction of n correct.

    A stopped network does not change, and a diverged one keeps its last finite state.
    """
    layer = jnp.where(jnp.isnan(fraction), len(state.params), 0)
    for l, parameters in reversed(list(enumerate(state.params, start=1))):
        for leaf in jax.tree.leaves(parameters):
            layer = jnp.where(jnp.isfinite(leaf).all(), layer, l)
    correct = jnp.round(jnp.nan_to_num(fraction) * n).astype(network.correct.dtype)
    better = correct > network.best
    stale = jnp.where(better, 0, network.stale + 1)
    scale, going = network.scale, network.going
    if e.halve_after:  # (web 3.4): eta falls while nothing improves
        halve = (stale > 0) & (stale % e.halve_after == 0)
        scale = jnp.where(halve, scale / 2, scale)
        going &= scale > _LAST_SCALE
    if e.stop_after:
        going &= stale < e.stop_after
    best = jnp.where(better, correct, network.best)
    new = Network(state, correct, best, stale, scale, going, network.broken_layer)
    diverged = network._replace(
        correct=jnp.full_like(correct, -1),
        going=jnp.zeros_like(going),
        broken_layer=layer.astype(network.broken_layer.dtype),
    )
    after = jax.tree.map(partial(jnp.where, layer == 0), new, diverged)
    return jax.tree.map(partial(jnp.where, network.going), after, network)


def next_epoch(
    e: Experiment,
    measure: Measure | None,
    networks: tuple[Array, dict[str, Array], Network],
    number: Array,
    train: Dataset,
    evaluation: Dataset,
    test: Dataset | None = None,
) -> tuple[Network, Params, Any, Array | None]:
    """One network after an epoch, its parameters, the measure, and layers' speeds."""
    seed, rates, network = networks
    key = jax.random.key(seed)
    options = {**e.options(), **rates, "eta": rates["eta"] * network.scale}
    present = partial(without_dropout, rate=options["dropout"])

    def learn(state: State, i: Array) -> tuple[State, None]:
        return epoch(jax.random.fold_in(key, i), state, train, **options), None  # type: ignore

    numbers = jnp.arange(e.evaluate_every) + number * e.evaluate_every
    state, _ = jax.lax.scan(learn, network.state, numbers)
    fraction = accuracy(present(state.params), evaluation)
    network = advance(e, network, state, fraction, len(evaluation))
    params = present(network.state.params)
    speeds = e.monitor(params, train[:_MONITORED], e.cost) if e.monitor else None
    other = evaluation if test is None else test
    if measure is not None:
        found = measure(e, params, train, other)
    elif test is None:
        found = network.correct.astype(network.scale.dtype)
    else:
        found = jnp.round(accuracy(params, test) * len(test))
    finite = network.broken_layer == 0
    found, speeds = jax.tree.map(
        lambda a: jnp.where(finite, a, jnp.nan), (found, speeds)
    )
    return network, params, found, speeds


class Runner:
    """An experiment compiled for a number of networks at once.

    `varied` names the rates, of eta, l1, l2 and dropout, that are given for each
    network. `measure` is taken after each epoch, by default the number of correct
    answers to the evaluation data; with `test`, of these data in their place.
    With `rows`, mini-batches are spread over devices that have no network of their own:
    equal to rounding.
    Raises ValueError if the data do not fit the experiment.
    """

    def __init__(
        self,
        experiment: Experiment,
        train: Dataset,
        evaluation: Dataset,
        networks: int = 1,
        varied: Sequence[str] = (),
        measure: Measure | None = None,
        rows: bool = False,
        test: Dataset | None = None,
    ) -> None:
        """Compile; `compile_seconds` is how long it took."""
        e = self.experiment = experiment
        self.evaluation, self.measure, self.test = evaluation, measure, test
        if e.epochs % e.evaluate_every:
            raise ValueError(
                f"Expected epochs to be a multiple of {e.evaluate_every}, after which "
                f"the networks are evaluated, got {e.epochs}."
            )
        self.capacity, self.varied = networks, ("eta", *varied)
        self.mesh = layout(networks, rows)
        spread = partial(over_networks, self.mesh, together(e, networks, evaluation))
        if self.mesh.shape["data"] > 1:
            e = replace(e, gradient=over_rows(e.gradient))
        learned = train[: e.train_on]
        learned = e.expand(learned) if e.expand else learned
        self._shared = self._place(jax.device_get((learned, evaluation, test)))
        began = time.perf_counter()
        # Rates are traced, so others compile nothing.
        seeds, rates = self._arguments([0], dict.fromkeys(self.varied, [0.0]))
        first = spread(partial(begin, e)).lower(seeds)
        places = NamedSharding(self.mesh, P("networks"))
        networks_there = jax.tree.map(
            lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=places),
            first.out_info,
        )
        example = (seeds, rates, networks_there), self._place(np.asarray(0))
        after = spread(partial(next_epoch, e, measure)).lower(*example, *self._shared)
        lowered = first, after
        with ThreadPoolExecutor() as pool:  # XLA compiles a program on one core
            self._begin, self._epoch = pool.map(jax.stages.Lowered.compile, lowered)
        self.compile_seconds = time.perf_counter() - began

    def __call__(
        self,
        seeds: Sequence[int],
        rates: Mapping[str, Sequence[float]] | None = None,
        resume: tuple[int, Network] | None = None,
    ) -> Iterator[Epoch]:
        """Each epoch in turn, with one network for each of the seeds.

        A seed draws the same streams whichever seeds train with it. The run ends when
        no network is going. `resume` is how many epochs were done, and the networks
        after them. Raises ValueError for more seeds than networks, or rates that are
        not one for each seed or out of range.
        """
        n = len(seeds)
        rates = {"eta": [self.experiment.eta] * n, **(rates or {})}
        self._check(n, rates)
        places = self._arguments(seeds, rates)
        if resume is None:
            done, networks = 0, self._begin(places[0])
        else:
            done, networks = resume[0], self._lay_out(resume[1])
        for number in range(done, self.experiment.reports):
            began = time.perf_counter()
            networks, params, measured, speeds = self._epoch(
                (*places, networks), self._place(np.asarray(number)), *self._shared
            )
            results = networks.correct, networks.going, networks.broken_layer
            correct, going, layers, found, speeds = jax.tree.map(
                lambda array: np.asarray(array)[:n],
                self._gather((*results, measured, speeds)),
            )
            record = Record(
                number,
                [None if count < 0 else count for count in correct.tolist()],
                going.tolist(),
                layers.tolist(),
                time.perf_counter() - began,
                None if speeds is None else [_finite(row) for row in speeds],
            )
            later = partial(self._first, networks, n)
            if jax.process_count() > 1:  # gathering takes all processes
                later = partial(lambda gathered: gathered, later())
            params = self._first(params, n)
            yield Epoch(record, len(self.evaluation), found, params, later)
            if not going.any():
                return

    def _check(self, n: int, rates: Mapping[str, Sequence[float]]) -> None:
        if not 1 <= n <= self.capacity:
            raise ValueError(f"Expected 1 to {self.capacity} seeds, got {n}.")
        if set(rates) != set(self.varied):
            raise ValueError(
                f"Expected values of {', '.join(self.varied)}, got {', '.join(rates)}."
            )
        for name, values in rates.items():
            if len(values) != n:
                raise ValueError(
                    f"Expected {n} values of {name}, one for each network, got "
                    f"{len(values)}."
                )
        check_rates(rates)

    def _arguments(
        self, seeds: Sequence[int], rates: Mapping[str, Sequence[float]]
    ) -> tuple[Array, dict[str, Array]]:
        numbers = {name: np.asarray(rate, float) for name, rate in rates.items()}
        return self._lay_out((np.asarray(seeds, np.uint32), numbers))

    def _lay_out(self, networks: Any) -> Any:
        """Arrays with an axis of networks, over the devices; the last ones may repeat.

        Each device has equally many, and a process without a network has a copy.
        """
        devices = self.mesh.shape["networks"]
        padded = np.arange(-(-self.capacity // devices) * devices)

        def pad(leaf: Array | np.ndarray) -> np.ndarray:
            return np.asarray(leaf)[np.minimum(padded, len(leaf) - 1)]

        return self._place(jax.tree.map(pad, networks), "networks")

    def _place(self, arrays: Any, *axes: str) -> Any:
        """Arrays of all processes, on the devices of all: along the axes, or copied."""
        sharding = NamedSharding(self.mesh, P(*axes))
        if jax.process_count() == 1:
            return jax.device_put(arrays, sharding)
        return jax.jit(lambda tree: tree, out_shardings=sharding)(arrays)

    def _gather(self, arrays: Any) -> Any:
        """Arrays that this process has in full."""
        return self._place(arrays) if jax.process_count() > 1 else arrays

    def _first(self, arrays: Any, n: int) -> Any:
        """Results of the first n networks, on one device."""
        if self.mesh.size > 1:
            arrays = jax.device_get(self._gather(arrays))
        return jax.tree.map(lambda leaf: jnp.asarray(leaf[:n]), arrays)


def _finite(numbers: np.ndarray) -> list[float] | None:
    return numbers.tolist() if np.isfinite(numbers).all() else None


def check_rates(rates: Mapping[str, Sequence[float]]) -> None:
    """Raise ValueError for a rate out of its range."""
    for name, values in rates.items():
        for value in values:
            check_numbers({name: value}, 0, 1 if name == "dropout" else np.inf)


def run(
    experiment: Experiment, train: Dataset, evaluation: Dataset, seeds: Sequence[int]
) -> Iterator[Epoch]:
    """Each epoch of the experiment in turn, with one network for each of the seeds."""
    yield from Runner(experiment, train, evaluation, len(seeds))(seeds)


def layout(networks: int, rows: bool = False) -> Mesh:
    """The mesh for a number of networks.

    Devices are all there are, or one for each network; with `rows`, those left over
    take part of each network's mini-batches, along the axis `data`.
    """
    available = jax.devices()
    n = len(available)
    if rows:
        devices = max(k for k in range(1, n + 1) if n % k == 0 and k <= networks)
    else:
        devices = n if jax.process_count() > 1 else min(networks, n)
    shape = (devices, n // devices if rows else 1)
    return jax.make_mesh(
        shape,
        ("networks", "data"),
        axis_types=(AxisType.Auto, AxisType.Auto),
        devices=available[: shape[0] * shape[1]],
    )


def together(e: Experiment, networks: int, evaluation: Dataset) -> int:
    """The number of networks that a device trains in one computation."""
    device = jax.devices()[0]
    if device.platform == "cpu":
        return 1
    # Evaluation takes most of the memory: the numbers of each layer, and the fields of
    # a convolution, of which each place in the image has one.
    layers, size, n = layers_of(e.sizes), 0, len(evaluation.x)
    n = min(n, 1000) if len(layers[0].shape_in) == 3 else n
    for part, layer in zip(e.sizes[1:], layers, strict=True):
        images = isinstance(part, Part)
        out = layer.shape_out
        fields = layer.shape_in[0] * part.size**2 * math.prod(out[1:]) if images else 0
        size += 8 * n * (math.prod(out) + fields)
    memory = (device.memory_stats() or {}).get("bytes_limit", 2**33)
    return int(min(max(memory // (4 * size), 1), networks))


def capacity(e: Experiment, networks: int, evaluation: Dataset) -> int:
    """The number of networks that train at once, on all devices."""
    return min(layout(networks).size * together(e, networks, evaluation), networks)


def over_networks(mesh: Mesh, at_once: int, one: Callable[..., Any]) -> Any:
    """`one(network, *shared)` as a jitted function of many networks over the mesh."""
    by_hand = {"networks"} if mesh.shape["data"] > 1 else set(mesh.axis_names)

    def on_a_device(networks: Any, *shared: Any) -> Any:
        return jax.lax.map(
            lambda network: one(network, *shared),
            networks,
            batch_size=at_once if at_once > 1 else None,
        )

    def many(networks: Any, *shared: Any) -> Any:
        return jax.shard_map(
            on_a_device,
            mesh=mesh,
            in_specs=(P("networks"), *(P() for _ in shared)),
            out_specs=P("networks"),
            axis_names=by_hand,
            check_vma=False,  # each network's own values meet the shared ones
        )(networks, *shared)

    return jax.jit(many)


def over_rows(gradient: Gradient) -> Gradient:
    """The same gradient, with the mini-batch's rows distributed over the axis `data`.

    Each device of that axis of the mesh (`jax.set_mesh`) works on its own rows, and
    their gradients are added: equal to rounding, whatever the number of rows.
    """

    def spread(params: Params, x: Array, y: Array, **options: Any) -> Params:
        x, y = jax.lax.with_sharding_constraint((x, y), P("data"))
        slopes = gradient(params, x, y, **options)
        return jax.lax.with_sharding_constraint(slopes, P())

    return spread


def shapes(e: Experiment, networks: int) -> Network:
    """The shapes and dtypes of the networks of a run, as from `jax.eval_shape`."""
    seeds = jax.ShapeDtypeStruct((networks,), jnp.uint32)
    return jax.eval_shape(jax.vmap(partial(begin, e)), seeds)


def graded(
    params: Params, data: Dataset
) -> tuple[list[list[int]], list[dict[int, int]]]:
    """For each network of a run, the classes it failed, and its wrong answers by index.

    It failed a class of which most examples are wrong.
    """

    @jax.jit  # one program: call by call, its parts take a second to compile
    def answers(params: Params, data: Dataset) -> tuple[Array, Array]:
        return jax.vmap(lambda p: answers_of(p, data)[:2])(params)

    found, (truth, *_) = map(np.asarray, answers(params, data))
    wrong = found != truth
    examples = np.eye(max(data.y.shape[1], 2), dtype=int)[truth]
    failed = 2 * wrong @ examples > examples.sum(axis=0)
    mistakes = [
        {int(i): int(a[i]) for i in np.flatnonzero(w)}
        for a, w in zip(found, wrong, strict=True)
    ]
    return [np.flatnonzero(row).tolist() for row in failed], mistakes


def failed_classes(params: Params, data: Dataset) -> list[list[int]]:
    """For each network of a run, the classes of which most examples are wrong."""
    return graded(params, data)[0]
