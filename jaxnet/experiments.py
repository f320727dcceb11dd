"""The book's experiments as data.

The one place for the book's hyper-parameters and numbers: the command line, the scripts
and the tests read them here.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import optax

from jaxnet.activations import Activation, sigmoid
from jaxnet.costs import Cost, cross_entropy, quadratic
from jaxnet.gradients import Gradient, backprop
from jaxnet.network import Layer, large_layer, scaled_layer
from jaxnet.sgd import Augment, Optimizer


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
