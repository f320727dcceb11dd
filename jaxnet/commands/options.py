"""What options may be: the names of choices, and how values are read."""

import argparse
import math
from collections.abc import Callable, Iterable
from functools import partial
from itertools import pairwise

import jax.numpy as jnp
import numpy as np
import optax

from jaxnet import oracles
from jaxnet.activations import linear, relu, sigmoid, tanh
from jaxnet.costs import cross_entropy, linear_quadratic, log_likelihood, quadratic
from jaxnet.datasets import Split
from jaxnet.gradients import autodiff, backprop
from jaxnet.network import large_layer, scaled_layer

COSTS = {
    "quadratic": quadratic,
    "cross_entropy": cross_entropy,
    "log_likelihood": log_likelihood,
    "linear_quadratic": linear_quadratic,
}
GRADIENTS = {
    "backprop": backprop,
    "autodiff": autodiff,
    "backprop_by_example": oracles.backprop_by_example,
    "backprop_by_matrix": oracles.backprop_by_matrix,
    "matrix_product": oracles.matrix_product,
    "path_sum": oracles.path_sum,
    "forward_difference": oracles.forward_difference,
    "central_difference": oracles.central_difference,
    "complex_step": oracles.complex_step,
}
HIDDEN = {"sigmoid": sigmoid, "tanh": tanh, "relu": relu, "linear": linear}
OPTIMIZERS = {
    "sgd": optax.sgd,
    "nesterov": partial(optax.sgd, nesterov=True),
    "adagrad": optax.adagrad,
    "rmsprop": optax.rmsprop,
    "adam": optax.adam,
}
EXPANSIONS = ("none", "shifts", "rotations", "elastic")
INITIALISERS = {"large": large_layer, "scaled": scaled_layer}
_MOST_LAYERS, _MOST_WEIGHTS = 100, 2**28  # a GiB of weights; XLA aborts on terabytes
MOST_NETWORKS = 100_000  # at once: a list of more takes longer than one expects


class Options:
    """Adds options to a command, each with its default in its help."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        """Keep the parser to add to."""
        self.parser = parser

    def value(
        self, name: str, default: object, type: Callable, metavar: str, help: str
    ) -> None:
        """An option read by `type`."""
        help = f"{help} (default: %(default)s)"
        self.parser.add_argument(
            name, default=default, type=type, metavar=metavar, help=help
        )

    def choice(
        self, name: str, default: str, choices: Iterable[str], help: str
    ) -> None:
        """One of a few names."""
        help = f"{help} (default: %(default)s)"
        self.parser.add_argument(
            name, default=default, choices=tuple(choices), help=help
        )

    def data(self) -> None:
        """--data FOLDER."""
        self.parser.add_argument(
            "--data",
            metavar="PATH",
            help="folder of IDX files in MNIST's layout, or with a folder of pictures "
            "for each class, or a CSV file (default: MNIST itself)",
        )


def whole(least: int, most: int = 2**31 - 1) -> Callable[[str], int]:
    """Reads a whole number of at least `least` and at most `most`."""

    def parse(text: str) -> int:
        digits = text.isascii() and text.isdigit() and len(text) < 20
        if not digits or not least <= int(text) <= most:
            above = f" and at most {most}" if digits and int(text) > most else ""
            raise argparse.ArgumentTypeError(
                f"expected a whole number of at least {least}{above}, "
                f"got {_short(text)}"
            )
        return int(text)

    return parse


def positive(text: str) -> float:
    """A finite number above 0, in the precision that is trained in."""
    number = _number(text)
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(
            f"expected a number above 0, got {_short(text)}"
        )
    return _in_range(number, text)


def at_least_0(text: str) -> float:
    """A finite number, 0 or above, in the precision that is trained in."""
    number = _number(text)
    if not 0 <= number < math.inf:
        raise argparse.ArgumentTypeError(
            f"expected 0 or a number above, got {_short(text)}"
        )
    return _in_range(number, text)


def fraction(text: str) -> float:
    """A number of at least 0 and below 1, in the precision that is trained in."""
    number = _number(text)
    # By NumPy: a computation of JAX's would start it, before it is told of the devices.
    if not 0 <= number < 1 or np.asarray(number, jnp.result_type(float)) == 1:
        raise argparse.ArgumentTypeError(
            f"expected a number of at least 0 and below 1, got {_short(text)}"
        )
    return _in_range(number, text)


def _in_range(number: float, text: str) -> float:
    """The number, unless it would be rounded to 0 or infinity."""
    limits = jnp.finfo(jnp.result_type(float))
    least, most = float(limits.tiny), float(limits.max)
    if number and not least <= number <= most:
        raise argparse.ArgumentTypeError(
            f"expected a number that {limits.dtype} holds, {least:.1e} to {most:.1e}, "
            f"got {_short(text)}"
        )
    return number


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:40]}...")


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def several(parse: Callable[[str], float]) -> Callable[[str], tuple[float, ...]]:
    """Reads different numbers with commas between."""

    def parse_all(text: str) -> tuple[float, ...]:
        numbers = tuple(parse(part.strip()) for part in text.split(","))
        if len(set(numbers)) < len(numbers):
            raise argparse.ArgumentTypeError(
                f"expected each number once, got {_short(text)}"
            )
        return numbers

    return parse_all


def sizes(text: str) -> tuple[int, ...]:
    """Two or more layer sizes with commas between."""
    try:
        sizes = tuple(whole(1)(part.strip()) for part in text.split(","))
    except argparse.ArgumentTypeError:
        sizes = ()
    if len(sizes) < 2:
        raise argparse.ArgumentTypeError(
            f"expected two or more layer sizes such as 784,30,10, got {_short(text)}"
        )
    weights = sum(n_in * n_out for n_in, n_out in pairwise(sizes))
    if len(sizes) > _MOST_LAYERS or weights > _MOST_WEIGHTS:
        raise argparse.ArgumentTypeError(
            f"expected at most {_MOST_LAYERS} layers and {_MOST_WEIGHTS:,} weights, "
            f"got {len(sizes)} and {weights:,}"
        )
    return sizes


def check_fit(args: argparse.Namespace, data: Split) -> None:
    """Refuse sizes and mini-batches that do not fit the data."""
    n, n_in, n_out = *data.train.x.shape, data.train.y.shape[1]
    if (args.sizes[0], args.sizes[-1]) != (n_in, n_out):
        raise argparse.ArgumentError(
            None,
            f"argument --sizes: expected {n_in} inputs and {n_out} outputs to fit the "
            f"data, got {','.join(map(str, args.sizes))}",
        )
    if args.batch_size > n:
        raise argparse.ArgumentError(
            None,
            f"argument --batch-size: expected at most {n}, which is all the training "
            f"images, got {args.batch_size}",
        )
