"""An experiment: everything that determines a run, except its seed and its data.

This is the one list of options: the command line, saved runs, sweeps and the book's
claims are made from the fields of `Experiment`, each with its range and its help text.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from functools import partial
from itertools import pairwise
from typing import Annotated, Any, get_type_hints

import msgspec
import optax
from jaxtyping import Array, Float, Key
from msgspec import Meta

from jaxnet import oracles
from jaxnet.activations import Activation, linear, relu, sigmoid, tanh
from jaxnet.costs import (
    Cost,
    cross_entropy,
    linear_quadratic,
    log_likelihood,
    quadratic,
)
from jaxnet.datasets import elastic, expand, rotations
from jaxnet.gradients import Gradient, autodiff, backprop
from jaxnet.layers import Dataset, Layer, Params
from jaxnet.metrics import layer_speeds
from jaxnet.network import init, large_layer, scaled_layer
from jaxnet.sgd import Augment, Optimizer, Options

_MAX_LAYERS, _MAX_WEIGHTS = 100, 2**28  # a GiB of weights; XLA aborts on terabytes
_MAX_FLOAT, _MAX_FRACTION = 3.4e38, 0.9999999  # in float32: finite, and below 1

AtLeast0 = Annotated[int, Meta(ge=0, lt=2**31, description="an integer of at least 0")]
AtLeast1 = Annotated[int, Meta(ge=1, lt=2**31, description="an integer of at least 1")]
Positive = Annotated[
    float, Meta(ge=1.2e-38, le=_MAX_FLOAT, description="a number above 0")
]
NotNegative = Annotated[
    float, Meta(ge=0, le=_MAX_FLOAT, description="0 or a number above")
]
Fraction = Annotated[
    float,
    Meta(ge=0, le=_MAX_FRACTION, description="a number of at least 0 and below 1"),
]
Sizes = Annotated[
    tuple[AtLeast1, ...],
    Meta(
        min_length=2,
        max_length=_MAX_LAYERS,
        description="two or more layer sizes such as 784,30,10",
    ),
]

NAMES: dict[str, dict[str, Any]] = {
    "cost": {
        cost.name: cost
        for cost in (quadratic, cross_entropy, log_likelihood, linear_quadratic)
    },
    "gradient": {
        gradient.__name__: gradient
        for gradient in (
            *(backprop, autodiff, oracles.backprop_by_example),
            *(oracles.backprop_by_matrix, oracles.matrix_product, oracles.path_sum),
            *(oracles.forward_difference, oracles.central_difference),
            oracles.complex_step,
        )
    },
    "hidden": {sigma.name: sigma for sigma in (sigmoid, tanh, relu, linear)},
    "init_layer": {"large": large_layer, "scaled": scaled_layer},
    "evaluate_on": {"validation": "validation", "test": "test"},
    "optimizer": {
        "sgd": optax.sgd,
        "nesterov": partial(optax.sgd, nesterov=True),
        "adagrad": optax.adagrad,
        "rmsprop": optax.rmsprop,
        "adam": optax.adam,
    },
    "expand": {"shifts": expand},
    "augment": {"rotations": rotations(), "elastic": elastic()},
    "monitor": {"speeds": layer_speeds},
}
"""The values of fields that are functions or words, by their names in files."""


def _option(default: Any, help: str = "", metavar: str = "N") -> Any:
    return field(default=default, metadata={"help": help, "metavar": metavar})


@dataclass(frozen=True)
class Experiment:
    """Everything that determines a run, except its seed and data.

    The defaults are those of the book's first network.
    """

    sizes: Sizes = _option(
        (784, 30, 10), "neurons in each layer, inputs first", "N,N,..."
    )
    epochs: AtLeast1 = _option(30, "passes over the training images")
    batch_size: AtLeast1 = _option(10, "images in a mini-batch", "M")
    eta: Positive = _option(3.0, "learning rate", "ETA")
    cost: Cost = _option(quadratic, "cost function")
    gradient: Gradient = _option(backprop, "by hand, by jax.grad, or an oracle")
    hidden: Activation = _option(sigmoid, "activation of the hidden layers")
    init_layer: Callable[..., Layer] = _option(
        large_layer, "weights from N(0, 1) or N(0, 1 / inputs)"
    )
    l1: NotNegative = _option(0.0, "L1 regularization, lambda/n |w|", "LAMBDA")
    l2: NotNegative = _option(0.0, "L2 regularization, lambda/2n w^2", "LAMBDA")
    dropout: Fraction = _option(0.0, "probability of dropping each hidden neuron", "P")
    optimizer: Optimizer = _option(optax.sgd, "how a gradient becomes a step")
    momentum: Fraction = _option(
        0.0, "momentum coefficient mu, for sgd and nesterov", "MU"
    )
    halve_after: AtLeast1 | None = _option(
        None, "halve eta after N epochs without improvement, and stop at 1/128"
    )
    stop_after: AtLeast1 | None = _option(
        None, "stop after N epochs without improvement"
    )
    train_on: AtLeast1 | None = _option(None, "the first N training images only")
    evaluate_on: str = _option("test", "images to measure on")
    evaluate_every: AtLeast1 = _option(1)  # epochs; the others are not reported
    expand: Callable[[Dataset], Dataset] | None = _option(None)  # the training data
    augment: Augment | None = _option(None)  # each mini-batch
    monitor: Callable[[Params, Dataset, Cost], Float[Array, " layers"]] | None = (
        _option(
            None, "record how fast layers learn, ||dC/db|| of 1,000 training images"
        )
    )

    def init(self, key: Key[Array, ""]) -> Params:
        """A random network for the experiment."""
        return init(key, self.sizes, self.hidden, self.cost.output, self.init_layer)

    def options(self) -> Options:
        """The options of its epochs."""
        values = {name: getattr(self, name) for name in Options.__annotations__}
        if self.momentum:
            values["optimizer"] = partial(self.optimizer, momentum=self.momentum)  # type: ignore
        return values  # type: ignore

    @property
    def reports(self) -> int:
        """The number of epochs after which the experiment is evaluated."""
        return self.epochs // self.evaluate_every


TYPES = get_type_hints(Experiment, include_extras=True)


class OptionError(ValueError):
    """An invalid value of `option`; the message says what was expected and got."""

    def __init__(self, option: str, message: str) -> None:
        """Keep the name of the option with the message."""
        super().__init__(f"{option}: {message}")
        self.option, self.message = option, message


def parse(option: str, text: str) -> Any:
    """The value of an experiment's option, parsed from text.

    Raises OptionError.
    """
    if option in NAMES:
        return _named(option, text)
    if option == "sizes":
        return convert(option, [part.strip() for part in text.split(",")])
    if text == "0" and type(None) in getattr(TYPES[option], "__args__", ()):
        return None
    return convert(option, text)


def convert(option: str, value: Any, kind: Any = None, *, lax: bool = True) -> Any:
    """The value, converted to the type of an option, or to `kind`, and in its range.

    Numbers may be texts if `lax`. Raises OptionError.
    """
    kind = kind or TYPES[option]
    try:
        converted = msgspec.convert(value, kind, strict=not lax)
    except msgspec.ValidationError:
        metadata = getattr(kind, "__metadata__", ()) or kind.__args__[0].__metadata__
        most, limit = metadata[0].lt, ""
        if most and isinstance(value, str) and value.isdecimal():
            above = len(value) > 19 or int(value) >= most
            limit = f" and at most {most - 1}" if above else ""
        shown = ",".join(value) if isinstance(value, list) and lax else value
        raise OptionError(
            option, f"expected {metadata[0].description}{limit}, got {_short(shown)}"
        ) from None
    if option == "sizes":
        weights = sum(n_in * n_out for n_in, n_out in pairwise(converted))
        if weights > _MAX_WEIGHTS:
            raise OptionError(
                option, f"expected at most {_MAX_WEIGHTS:,} weights, got {weights:,}"
            )
    return converted


def described(experiment: Experiment) -> dict[str, Any]:
    """The experiment in JSON values: functions by their names."""

    def name_of(option: str, value: Any) -> Any:
        for name, known in NAMES.get(option, {}).items():
            if known is value or known == value:
                return name
        plain = value is None or isinstance(value, str | int | float | tuple)
        return value if plain else getattr(value, "__name__", str(value))

    return {
        option.name: name_of(option.name, getattr(experiment, option.name))
        for option in fields(Experiment)
    }


def from_description(description: Mapping[str, Any]) -> Experiment:
    """The experiment of `described`; fields that are missing have their defaults.

    Raises OptionError for a field that an experiment does not have, or a wrong value.
    """

    def values() -> Iterator[tuple[str, Any]]:
        for option, value in description.items():
            if option not in TYPES:
                raise OptionError(_short(option), "expected an option of this jaxnet")
            if option not in NAMES:
                yield option, convert(option, value, lax=False)
            elif value is None and option in ("expand", "augment", "monitor"):
                yield option, None
            else:
                yield option, _named(option, value)

    return Experiment(**dict(values()))


def _named(option: str, name: Any) -> Any:
    names = NAMES[option]
    if not isinstance(name, str) or name not in names:
        raise OptionError(
            option, f"expected one of {', '.join(names)}, got {_short(name)}"
        )
    return names[name]


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."
