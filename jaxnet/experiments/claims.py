"""The book's claims as data: experiments, numbers, and the statistics that they are.

The one place for the book's hyper-parameters and numbers: the command line, the scripts
and the tests read them here.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Array, Float

from jaxnet.activations import relu, tanh
from jaxnet.costs import cross_entropy, log_likelihood
from jaxnet.datasets import expand
from jaxnet.experiments import runner
from jaxnet.experiments.experiment import Experiment, network3_layer
from jaxnet.gradients import backprop
from jaxnet.layers import Dataset, Params
from jaxnet.metrics import accuracy, total_cost
from jaxnet.network import Image, convolution, max_pool, scaled_layer

_DRAWS = 10_000  # of three runs, whose best the book reports
Curves = Float[np.ndarray, "seeds epochs"]


@dataclass(frozen=True)
class Statistic:
    """What the book reports of a run: `draw(curves)` has a value for each draw."""

    name: str
    draw: Callable[[Curves], Float[np.ndarray, " draws"]]


@dataclass(frozen=True)
class Measure:
    """What is measured after an epoch; `take` is None for counts of correct answers."""

    name: str
    take: runner.Measure | None = None
    percent: bool = False
    on_training_data: bool = False
    on_test_data: bool = False  # while the experiment's own evaluation selects an epoch


def best_of_epochs(curves: Curves) -> Float[np.ndarray, " seeds"]:
    """Each run's best epoch; nan where it never had one."""
    return np.fmax.reduce(curves, axis=1)


def _best_of_three(values: Float[np.ndarray, " seeds"]) -> Float[np.ndarray, " draws"]:
    draws = np.random.default_rng(0).integers(len(values), size=(_DRAWS, 3))
    return values[draws].max(axis=1)


def at_best(selecting: Curves, curves: Curves) -> Curves:
    """The curves at the epoch, so far, at which the selecting ones are highest.

    Of equal epochs it is the last, as in the book's third program.
    """
    highest = selecting >= np.fmax.accumulate(selecting, axis=1)
    epochs = np.where(highest, np.arange(selecting.shape[1]), 0)
    return np.take_along_axis(curves, np.maximum.accumulate(epochs, axis=1), axis=1)


LAST = Statistic("last epoch", lambda curves: curves[:, -1])
BEST = Statistic("best epoch", best_of_epochs)
BEST_OF_THREE = Statistic(
    "best epoch of the best of three runs",
    lambda curves: _best_of_three(best_of_epochs(curves)),
)
AT_BEST_OF_THREE = Statistic(
    "test accuracy at the best validation epoch, best of three runs",
    lambda curves: _best_of_three(LAST.draw(curves)),
)


def _training_accuracy(
    e: Experiment, params: Params, train: Dataset, evaluation: Dataset
) -> Float[Array, ""]:
    return 100 * accuracy(params, train)


def _cost(e: Experiment, params: Params, data: Dataset) -> Float[Array, ""]:
    # The book's program divides lambda by the number of the data it measures.
    return total_cost(params, data, e.cost, l2=e.l2, n=len(data))


ACCURACY = Measure("accuracy", percent=True)
TEST_ACCURACY = Measure("test accuracy", percent=True, on_test_data=True)
TRAINING_ACCURACY = Measure("training accuracy", _training_accuracy, True, True)
TRAINING_COST = Measure(
    "training cost",
    lambda e, params, train, _: _cost(e, params, train),
    on_training_data=True,
)
EVALUATION_COST = Measure(
    "evaluation cost", lambda e, params, _, evaluation: _cost(e, params, evaluation)
)


@dataclass(frozen=True)
class Claim:
    """What the book reports of an experiment; the number is None if it states none."""

    experiment: Experiment
    number: float | None
    statistic: Statistic
    section: str
    measure: Measure = ACCURACY


_HUNDRED = Experiment(sizes=(784, 100, 10))

_ENTROPY = Experiment(eta=0.5, cost=cross_entropy)
_ENTROPY_HUNDRED = replace(_ENTROPY, sizes=(784, 100, 10))
_THOUSAND = replace(_ENTROPY, train_on=1000, epochs=400)
_THOUSAND_L2, _ENTROPY_L2 = replace(_THOUSAND, l2=0.1), replace(_ENTROPY, l2=5.0)
_TUNED = replace(_ENTROPY_HUNDRED, eta=0.1, l2=5.0, epochs=60, evaluate_on="validation")
_INITIAL = replace(_ENTROPY, eta=0.1, l2=5.0, evaluate_on="validation")
_INITIAL_HUNDRED = replace(_INITIAL, sizes=(784, 100, 10))
_ETA = replace(_ENTROPY, l2=5.0, init_layer=scaled_layer)


def _of_size(n: int) -> Experiment:
    """As many mini-batches, and as much regularisation, as with 50,000 images."""
    visits = 50_000 // n  # to n images, as long as one to 50,000
    return replace(
        _ENTROPY,
        train_on=n,
        l2=n * 1e-4,
        epochs=30 * visits,
        evaluate_every=visits,
        evaluate_on="validation",
    )


_SIZES = {
    **{100: 69.09, 200: 76.37, 500: 85.29, 1000: 88.85, 2000: 91.27, 5000: 93.24},
    **{10_000: 94.89, 20_000: 95.85, 50_000: 95.97},
}

_IMAGE = Image(28, 28)
_ONE = (_IMAGE, convolution(20, 5), max_pool(2))
_TWO = (*_ONE, convolution(40, 5), max_pool(2))
_CHAPTER_6 = Experiment(
    sizes=(784, 100, 10),
    epochs=60,
    eta=0.1,
    cost=log_likelihood,
    init_layer=scaled_layer,
    evaluate_on="validation",
)
_TWO_CONVOLUTIONS = replace(_CHAPTER_6, sizes=(*_TWO, 100, 10))
# The book's lambda of 0.1 is divided by the number of mini-batches, of ten images each.
_RELU = replace(_TWO_CONVOLUTIONS, hidden=relu, eta=0.03, l2=0.1 * 10)
_EXPANDED = replace(_RELU, expand=expand)
_DROPOUT = replace(
    _EXPANDED, sizes=(*_TWO, 1000, 1000, 10), l2=0.0, dropout=0.5, epochs=40
)


def _as_network3(experiment: Experiment) -> Experiment:
    return replace(experiment, init_layer=network3_layer, shuffle=False)


def _of_chapter_6() -> Iterator[tuple[str, Experiment, float | None]]:
    one = replace(_CHAPTER_6, sizes=(*_ONE, 100, 10))
    yield "softmax, 100 hidden", _CHAPTER_6, 97.80
    yield "one convolution", one, 98.78
    yield "one convolution, none hidden", replace(one, sizes=(*_ONE, 10)), None
    yield "two convolutions", _TWO_CONVOLUTIONS, 99.06
    yield "two convolutions, tanh", replace(_TWO_CONVOLUTIONS, hidden=tanh), None
    for power in range(-5, 3):
        rate = 10.0**power
        regularized = replace(_TWO_CONVOLUTIONS, l2=rate * 10)
        yield f"two convolutions, lambda {rate:g}", regularized, None
    yield "two convolutions, relu", _RELU, 99.23
    yield "expanded", _EXPANDED, 99.37
    for hidden, number in (
        *(((300,), 99.46), ((1000,), 99.43)),
        *(((100, 100), 99.43), ((300, 300), 99.48), ((1000, 1000), 99.47)),
    ):
        sizes = (*_TWO, *hidden, 10)
        name = f"expanded, {' and '.join(map(str, hidden))} hidden"
        yield name, replace(_EXPANDED, sizes=sizes), number
    yield "dropout", _DROPOUT, 99.60
    yield "one convolution, as network3", _as_network3(one), 98.78
    yield "two convolutions, as network3", _as_network3(_TWO_CONVOLUTIONS), 99.06
    yield "two convolutions, relu, as network3", _as_network3(_RELU), 99.23
    yield "dropout, as network3", _as_network3(_DROPOUT), 99.60


CLAIMS = {
    "30 hidden": Claim(Experiment(), 95.42, BEST_OF_THREE, "1.6"),
    "100 hidden": Claim(_HUNDRED, 96.59, BEST_OF_THREE, "1.6"),
    "eta too small": Claim(replace(_HUNDRED, eta=0.001), 21.42, LAST, "1.6"),
    "eta 0.01": Claim(replace(_HUNDRED, eta=0.01), None, LAST, "1.6"),
    "eta 0.1": Claim(replace(_HUNDRED, eta=0.1), None, LAST, "1.6"),
    "eta 1": Claim(replace(_HUNDRED, eta=1.0), None, LAST, "1.6"),
    "eta too large": Claim(Experiment(eta=100.0), 9.82, LAST, "1.6"),
    "no hidden layer": Claim(Experiment(sizes=(784, 10)), None, BEST, "1.6"),
    "mini-batch 1": Claim(Experiment(batch_size=1, eta=0.3), None, BEST, "1.5"),
    "mini-batch 20": Claim(Experiment(batch_size=20, eta=6.0), None, BEST, "1.5"),
    "cross-entropy, 30": Claim(_ENTROPY, 95.49, BEST, "3.3"),
    "cross-entropy, 100": Claim(_ENTROPY_HUNDRED, 96.82, BEST, "3.3"),
    "1,000 images": Claim(_THOUSAND, 82.27, BEST, "web 3.2"),
    "50,000 images": Claim(_ENTROPY, 95.33, BEST, "web 3.2"),
    "1,000 images, L2": Claim(_THOUSAND_L2, 87.1, BEST, "web 3.2"),
    "50,000 images, L2": Claim(_ENTROPY_L2, 96.49, BEST, "web 3.2"),
    "100 hidden, L2": Claim(
        replace(_TUNED, eta=0.5, epochs=30), 97.92, BEST, "web 3.2"
    ),
    "100 hidden, tuned": Claim(_TUNED, 98.04, BEST, "web 3.2"),
    "large weights, 30": Claim(_INITIAL, 96.37, LAST, "web 3.3"),
    "scaled weights, 30": Claim(
        replace(_INITIAL, init_layer=scaled_layer), 96.50, LAST, "web 3.3"
    ),
    "large weights, 100": Claim(_INITIAL_HUNDRED, 97.42, LAST, "web 3.3"),
    "scaled weights, 100": Claim(
        replace(_INITIAL_HUNDRED, init_layer=scaled_layer), 97.81, LAST, "web 3.3"
    ),
    **{
        f"of {n:,} images": Claim(_of_size(n), percent, LAST, "web 3.2")
        for n, percent in _SIZES.items()
    },
    **{
        f"training cost, eta {eta:g}": Claim(
            replace(_ETA, eta=eta), cost, LAST, "web 3.4", TRAINING_COST
        )
        for eta, cost in ((0.025, 0.33920), (0.25, 0.33880), (2.5, 0.86069))
    },
    **{
        f"hidden layers: {n}": Claim(
            replace(_INITIAL, sizes=(784, *[30] * n, 10), init_layer=scaled_layer),
            percent,
            LAST,
            "web 5.1",
        )
        for n, percent in ((1, 96.48), (2, 96.90), (3, 96.57), (4, 96.53))
    },
    **{
        name: Claim(experiment, number, AT_BEST_OF_THREE, "web 6", TEST_ACCURACY)
        for name, experiment, number in _of_chapter_6()
    },
    # What figures show and the text sums up: his recorded runs, or the text's per cent.
    **{
        f"{run}: {measure.name}": Claim(
            experiment, number, statistic, "web 3.2", measure
        )
        for run, experiment, measure, number, statistic in (
            ("1,000 images", _THOUSAND, TRAINING_COST, 0.0042016, LAST),
            ("1,000 images", _THOUSAND, TRAINING_ACCURACY, 100.0, LAST),
            ("1,000 images", _THOUSAND, EVALUATION_COST, 1.77315, LAST),
            ("1,000 images, L2", _THOUSAND_L2, TRAINING_COST, 0.1153906, LAST),
            ("1,000 images, L2", _THOUSAND_L2, TRAINING_ACCURACY, 100.0, LAST),
            ("1,000 images, L2", _THOUSAND_L2, EVALUATION_COST, 0.8910413, LAST),
            ("50,000 images", _ENTROPY, TRAINING_ACCURACY, 97.86, BEST),
            ("50,000 images, L2", _ENTROPY_L2, TRAINING_ACCURACY, 97.12, BEST),
        )
    },
}


def claim_of(experiment: Experiment) -> Claim | None:
    """The accuracy that the book states for this experiment, with any gradient."""
    as_in_book = replace(experiment, gradient=backprop, monitor=None)
    for claim in CLAIMS.values():
        stated = claim.number is not None and claim.measure == ACCURACY
        if stated and claim.experiment == as_in_book:
            return claim
    return None
