"""An experiment: everything that determines a run, except its seed and its data.

This is the one list of options: the command line, saved runs, sweeps and the book's
claims are made from the fields of `Experiment`, each with its range and its help text.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import partial
from typing import Annotated, Any, get_args, get_type_hints

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
from jaxnet.layers import Convolution, Dataset, Layer, Params
from jaxnet.metrics import layer_speeds
from jaxnet.network import (
    Image,
    Size,
    convolution,
    init,
    large_layer,
    layers_of,
    max_pool,
    scaled_layer,
)
from jaxnet.sgd import Augment, Optimizer, Options

_MAX_LAYERS, _MAX_WEIGHTS = 100, 2**28  # a GiB of weights; XLA aborts on terabytes
_MAX_FLOAT, _MAX_FRACTION = 3.4e38, 0.9999999  # in float32: finite, and below 1

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
_Part = Annotated[str, Meta(pattern="^(conv\\d+x\\d+|pool\\d+|\\d+x\\d+(x\\d+)?)$")]
_Sizes = Annotated[
    tuple[AtLeast1 | _Part, ...],
    Meta(
        min_length=2,
        max_length=_MAX_LAYERS,
        description="two or more layer sizes such as 784,30,10",
    ),
]


def network3_layer(key: Key[Array, ""], n_in: int, n_out: int) -> Layer:
    """A layer as `large_layer`, for `Experiment.init` to scale as chapter 6 does."""
    return large_layer(key, n_in, n_out)


def _as_network3(params: Params) -> Params:
    """The network with the first weights of the book's third program, network3.py.

    Their variance is 1 / outputs, which the author calls a mistake, where a map of a
    convolution counts as its weights over its pooling's size squared; and the output
    layer is 0.
    """

    def divided(layer: Any, above: Any) -> Any:
        n = len(layer.b) if hasattr(layer, "b") else 1
        if isinstance(layer, Convolution):
            n = n * math.prod(layer.w.shape[2:]) // getattr(above, "size", 1) ** 2
        return replace(layer, w=layer.w / n**0.5) if hasattr(layer, "w") else layer

    *below, last = params
    output = replace(last, w=0 * last.w, b=0 * last.b)
    return [*map(divided, below, params[1:]), output]


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
    "init_layer": {
        "large": large_layer,
        "scaled": scaled_layer,
        "network3": network3_layer,
    },
    "shuffle": {"yes": True, "no": False},
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

    sizes: tuple[Size, ...] = _option(
        (784, 30, 10),
        "neurons in each layer, inputs first; or 28x28, which may be left out, "
        "convN1xN2 for N1 feature maps of N2 x N2 fields, poolN, ...",
        "N,N,...",
    )
    epochs: AtLeast1 = _option(30, "passes over the training images")
    batch_size: AtLeast1 = _option(10, "images in a mini-batch", "M")
    eta: Positive = _option(3.0, "learning rate", "ETA")
    cost: Cost = _option(quadratic, "cost function")
    gradient: Gradient = _option(backprop, "by hand, by jax.grad, or an oracle")
    hidden: Activation = _option(sigmoid, "activation of the hidden layers")
    init_layer: Callable[..., Layer] = _option(
        large_layer, "weights from N(0, 1), N(0, 1 / inputs), or as in chapter 6"
    )
    l1: NotNegative = _option(0.0, "L1 regularization, lambda/n |w|", "LAMBDA")
    l2: NotNegative = _option(0.0, "L2 regularization, lambda/2n w^2", "LAMBDA")
    dropout: Fraction = _option(0.0, "probability of dropping each hidden neuron", "P")
    optimizer: Optimizer = _option(optax.sgd, "how a gradient becomes a step")
    shuffle: bool = _option(True, "mini-batches anew in each epoch")
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
        output, init_layer = self.cost.output, self.init_layer
        params = init(key, self.sizes, self.hidden, output, init_layer)
        return _as_network3(params) if init_layer is network3_layer else params

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


TYPES = {**get_type_hints(Experiment, include_extras=True), "sizes": _Sizes}


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
    if option == "sizes":
        text = re.sub("^ *(?=conv|pool)", "28x28,", text)  # MNIST's images
        parts = [part.strip() for part in text.split(",")]
        return convert(option, [int(p) if p.isdecimal() else p for p in parts])
    never = text == "0" and option not in NAMES and _may_be_none(option)
    return convert(option, None if never else text)


def convert(option: str, value: Any, kind: Any = None, *, lax: bool = True) -> Any:
    """The value, converted to the type of an option, or to `kind`, and in its range.

    Functions are given by their names, and numbers may be texts if `lax`.
    Raises OptionError.
    """
    if (names := NAMES.get(option)) is not None:
        if value is None and _may_be_none(option):
            return None
        if not isinstance(value, str) or value not in names:
            expected = f"expected one of {', '.join(names)}, got {_short(value)}"
            raise OptionError(option, expected)
        return names[value]
    kind = kind or TYPES[option]
    try:
        converted = msgspec.convert(value, kind, strict=not lax)
    except msgspec.ValidationError:
        metadata = getattr(kind, "__metadata__", ()) or kind.__args__[0].__metadata__
        expected, below = metadata[0].description, metadata[0].lt
        if below and isinstance(value, str) and value.isdecimal():
            large = len(value) > 19 or int(value) >= below
            expected += f" and at most {below - 1}" * large
        shown = ",".join(map(str, value)) if isinstance(value, list) and lax else value
        message = f"expected {expected}, got {_short(shown)}"
        raise OptionError(option, message) from None
    return _checked_sizes(converted) if option == "sizes" else converted


def _may_be_none(option: str) -> bool:
    return type(None) in get_args(TYPES[option])


def _checked_sizes(parts: Sequence[int | str]) -> tuple[Size, ...]:
    """The sizes of a network, if they fit each other and are not too many."""

    def size(part: int | str) -> Size:
        if isinstance(part, int):
            return part
        kind, *numbers = re.fullmatch("(conv|pool|)(.*)", part).groups()  # type: ignore
        made = {"conv": convolution, "pool": max_pool, "": Image}[kind]
        return made(*map(int, numbers[0].split("x")))

    sizes = tuple(map(size, parts))
    try:
        weights = sum(n for n, _ in work(sizes))
    except (ValueError, TypeError) as error:
        message = str(error).removesuffix(".")
        raise OptionError("sizes", message[0].lower() + message[1:]) from None
    if weights > _MAX_WEIGHTS:
        expected = f"expected at most {_MAX_WEIGHTS:,} weights, got {weights:,}"
        raise OptionError("sizes", expected)
    return sizes


def work(sizes: Sequence[Size]) -> list[tuple[int, int]]:
    """For each layer, how many weights it has, and multiplications forward."""
    found = []
    for layer in layers_of(sizes):
        weights = layer.w.size if hasattr(layer, "w") else 0
        found.append((weights, weights * math.prod(layer.shape_out[1:])))
    return found


def described(experiment: Experiment) -> dict[str, Any]:
    """The experiment in JSON values: functions by their names."""

    def name_of(option: str, value: Any) -> Any:
        for name, known in NAMES.get(option, {}).items():
            if known is value or known == value:
                return name
        if option == "sizes":
            return [n if isinstance(n, int) else str(n) for n in value]
        plain = value is None or isinstance(value, str | int | float)
        return value if plain else getattr(value, "__name__", str(value))

    return {
        option.name: name_of(option.name, getattr(experiment, option.name))
        for option in fields(Experiment)
    }


def from_description(description: Mapping[str, Any]) -> Experiment:
    """The experiment of `described`; fields that are missing have their defaults.

    Raises OptionError for a field that an experiment does not have, or a wrong value.
    """
    for option in description:
        if option not in TYPES:
            raise OptionError(_short(option), "expected an option of this jaxnet")
    return Experiment(**{k: convert(k, v, lax=False) for k, v in description.items()})


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."
