"""The book's experiments as data.

The one place for the book's hyper-parameters and numbers: the command line, the scripts
and the tests read them here.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import optax
from jaxtyping import Array, Key

from jaxnet.activations import Activation, sigmoid
from jaxnet.costs import Cost, cross_entropy, quadratic
from jaxnet.gradients import Gradient, backprop
from jaxnet.layers import Layer, Params
from jaxnet.network import init, large_layer, scaled_layer
from jaxnet.sgd import Augment, Optimizer, Options


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
    evaluate_every: int = 1  # epochs; the others are not reported

    def init(self, key: Key[Array, ""]) -> Params:
        """A random network for the experiment."""
        return init(key, self.sizes, self.hidden, self.cost.output, self.init_layer)

    def options(self) -> Options:
        """The options of its epochs."""
        return {name: getattr(self, name) for name in Options.__annotations__}  # type: ignore

    @property
    def reports(self) -> int:
        """After how many of its epochs an experiment is evaluated."""
        return self.epochs // self.evaluate_every


class Claim(NamedTuple):
    """What the book reports of an experiment; a number of None is none it states."""

    experiment: Experiment
    number: float | None
    statistic: str
    section: str
    measure: str = "accuracy"  # on evaluation data, in per cent; or see `reproduce`


_HUNDRED = Experiment(sizes=(784, 100, 10))
_PEAK, _END = "best epoch", "last epoch"
_BEST = "best epoch of the best of three runs"

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
    whole = 50_000 // n  # visits to n images, as long as one to 50,000
    return replace(
        _ENTROPY,
        train_on=n,
        l2=n * 1e-4,
        epochs=30 * whole,
        evaluate_every=whole,
        evaluate_on="validation",
    )


_SIZES = {
    **{100: 69.09, 200: 76.37, 500: 85.29, 1000: 88.85, 2000: 91.27, 5000: 93.24},
    **{10_000: 94.89, 20_000: 95.85, 50_000: 95.97},
}

CLAIMS = {
    "30 hidden": Claim(Experiment(), 95.42, _BEST, "1.6"),
    "100 hidden": Claim(_HUNDRED, 96.59, _BEST, "1.6"),
    "eta too small": Claim(replace(_HUNDRED, eta=0.001), 21.42, _END, "1.6"),
    "eta 0.01": Claim(replace(_HUNDRED, eta=0.01), None, _END, "1.6"),
    "eta 0.1": Claim(replace(_HUNDRED, eta=0.1), None, _END, "1.6"),
    "eta 1": Claim(replace(_HUNDRED, eta=1.0), None, _END, "1.6"),
    "eta too large": Claim(Experiment(eta=100.0), 9.82, _END, "1.6"),
    "no hidden layer": Claim(Experiment(sizes=(784, 10)), None, _PEAK, "1.6"),
    "mini-batch 1": Claim(Experiment(batch_size=1, eta=0.3), None, _PEAK, "1.5"),
    "mini-batch 20": Claim(Experiment(batch_size=20, eta=6.0), None, _PEAK, "1.5"),
    "cross-entropy, 30": Claim(_ENTROPY, 95.49, _PEAK, "3.3"),
    "cross-entropy, 100": Claim(_ENTROPY_HUNDRED, 96.82, _PEAK, "3.3"),
    "1,000 images": Claim(_THOUSAND, 82.27, _PEAK, "web 3.2"),
    "50,000 images": Claim(_ENTROPY, 95.33, _PEAK, "web 3.2"),
    "1,000 images, L2": Claim(_THOUSAND_L2, 87.1, _PEAK, "web 3.2"),
    "50,000 images, L2": Claim(_ENTROPY_L2, 96.49, _PEAK, "web 3.2"),
    "100 hidden, L2": Claim(
        replace(_TUNED, eta=0.5, epochs=30), 97.92, _PEAK, "web 3.2"
    ),
    "100 hidden, tuned": Claim(_TUNED, 98.04, _PEAK, "web 3.2"),
    "large weights, 30": Claim(_INITIAL, 96.37, _END, "web 3.3"),
    "scaled weights, 30": Claim(
        replace(_INITIAL, init_layer=scaled_layer), 96.50, _END, "web 3.3"
    ),
    "large weights, 100": Claim(_INITIAL_HUNDRED, 97.42, _END, "web 3.3"),
    "scaled weights, 100": Claim(
        replace(_INITIAL_HUNDRED, init_layer=scaled_layer), 97.81, _END, "web 3.3"
    ),
    **{
        f"of {n:,} images": Claim(_of_size(n), percent, _END, "web 3.2")
        for n, percent in _SIZES.items()
    },
    **{
        f"training cost, eta {eta:g}": Claim(
            replace(_ETA, eta=eta), cost, _END, "web 3.4", "training cost"
        )
        for eta, cost in ((0.025, 0.33920), (0.25, 0.33880), (2.5, 0.86069))
    },
    # What figures show and the text sums up: his recorded runs, or the text's per cent.
    **{
        f"{run}: {measure}": Claim(experiment, number, statistic, "web 3.2", measure)
        for run, experiment, measure, number, statistic in (
            ("1,000 images", _THOUSAND, "training cost", 0.0042016, _END),
            ("1,000 images", _THOUSAND, "training accuracy", 100.0, _END),
            ("1,000 images", _THOUSAND, "evaluation cost", 1.77315, _END),
            ("1,000 images, L2", _THOUSAND_L2, "training cost", 0.1153906, _END),
            ("1,000 images, L2", _THOUSAND_L2, "training accuracy", 100.0, _END),
            ("1,000 images, L2", _THOUSAND_L2, "evaluation cost", 0.8910413, _END),
            ("50,000 images", _ENTROPY, "training accuracy", 97.86, _PEAK),
            ("50,000 images, L2", _ENTROPY_L2, "training accuracy", 97.12, _PEAK),
        )
    },
}


def claim_of(experiment: Experiment) -> Claim | None:
    """What accuracy the book states for this experiment, whatever its gradient is."""
    as_in_book = replace(experiment, gradient=backprop)
    for claim in CLAIMS.values():
        stated = claim.number is not None and claim.measure == "accuracy"
        if stated and claim.experiment == as_in_book:
            return claim
    return None
