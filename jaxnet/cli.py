"""The command line: `python -m jaxnet train`, with the book's first network as default.

Results go to standard output, as plain text in a pipe; a progress display only to a
terminal. Exit codes: 0 done, 1 diverged, 2 wrong arguments or data, 130 interrupted.
"""

import argparse
import json
import math
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import version
from typing import NoReturn

import jax
import numpy as np

from jaxnet.activations import linear, relu, sigmoid, tanh
from jaxnet.costs import cross_entropy, quadratic
from jaxnet.datasets import DataError, Split, load_mnist
from jaxnet.experiments import Experiment
from jaxnet.gradients import autodiff, backprop
from jaxnet.network import large_layer, scaled_layer
from jaxnet.progress import follow
from jaxnet.report import as_json, lines

COSTS = {"quadratic": quadratic, "cross_entropy": cross_entropy}
GRADIENTS = {"backprop": backprop, "autodiff": autodiff}
HIDDEN = {"sigmoid": sigmoid, "tanh": tanh, "relu": relu, "linear": linear}
INITIALISERS = {"large": large_layer, "scaled": scaled_layer}


class _Parser(argparse.ArgumentParser):
    """A parser that complains in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")


def _parser() -> argparse.ArgumentParser:
    book = Experiment()
    parser = _Parser(
        prog="jaxnet",
        description="Neural Networks and Deep Learning, the book, in JAX.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=version("jaxnet"))
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    train = commands.add_parser(
        "train",
        help="train a network and report its accuracy after each epoch",
        description="Train a network and report its accuracy after each epoch. "
        "Without options it is the book's first network, section 1.6.",
        allow_abbrev=False,
    )

    def option(name: str, default: object, type: Callable, metavar: str, help: str):
        help = f"{help} (default: %(default)s)"
        train.add_argument(name, default=default, type=type, metavar=metavar, help=help)

    def choice(name: str, default: str, choices: Iterable[str], help: str):
        help = f"{help} (default: %(default)s)"
        train.add_argument(name, default=default, choices=tuple(choices), help=help)

    sizes = ",".join(map(str, book.sizes))
    option("--sizes", sizes, _sizes, "N,N,...", "neurons in each layer, inputs first")
    option("--epochs", book.epochs, _whole(1), "N", "visits to every training image")
    option("--batch-size", book.batch_size, _whole(1), "M", "images in a mini-batch")
    option("--eta", book.eta, _positive, "ETA", "learning rate")
    choice("--cost", "quadratic", COSTS, "cost function")
    choice("--gradient", "backprop", GRADIENTS, "by hand, or by jax.grad")
    choice("--hidden", "sigmoid", HIDDEN, "activation of the hidden layers")
    choice("--init", "large", INITIALISERS, "weights from N(0, 1) or N(0, 1 / inputs)")
    option("--seed", 1, _whole(0), "K", "first seed")
    option("--seeds", 1, _whole(1), "N", "networks to train, with seeds K, K + 1, ...")
    choice("--evaluate", "test", ("validation", "test"), "images to measure on")
    train.add_argument(
        "--data",
        metavar="FOLDER",
        help="folder of IDX files in MNIST's layout (default: MNIST itself)",
    )
    output = train.add_mutually_exclusive_group()
    output.add_argument("--json", action="store_true", help="print one JSON object")
    output.add_argument("--quiet", action="store_true", help="print only the results")
    return parser


def _whole(least: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not least <= int(text) < 2**31:
            raise argparse.ArgumentTypeError(
                f"expected a whole number of at least {least}, got {text!r}"
            )
        return int(text)

    return parse


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text!r}")
    return number


def _sizes(text: str) -> tuple[int, ...]:
    try:
        sizes = tuple(_whole(1)(part.strip()) for part in text.split(","))
    except argparse.ArgumentTypeError:
        sizes = ()
    if len(sizes) < 2:
        raise argparse.ArgumentTypeError(
            f"expected two or more layer sizes such as 784,30,10, got {text!r}"
        )
    return sizes


def _check_fit(args: argparse.Namespace, data: Split) -> None:
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


def _train(args: argparse.Namespace) -> int:
    experiment = Experiment(
        sizes=args.sizes,
        epochs=args.epochs,
        batch_size=args.batch_size,
        eta=args.eta,
        cost=COSTS[args.cost],
        gradient=GRADIENTS[args.gradient],
        hidden=HIDDEN[args.hidden],
        init_layer=INITIALISERS[args.init],
        evaluate_on=args.evaluate,
    )
    data = load_mnist(args.data)
    _check_fit(args, data)
    dtype, device = str(data.train.x.dtype), jax.devices()[0].device_kind
    if not args.json:
        print(
            f"{'-'.join(map(str, args.sizes))}, {args.hidden}, {args.cost} cost, "
            f"{args.init} initialisation, eta {args.eta:g}, mini-batch "
            f"{args.batch_size}, {args.epochs} epochs, {args.gradient}, "
            f"{args.evaluate} data, {dtype} on {device}",
            flush=True,
        )
    seeds = range(args.seed, args.seed + args.seeds)
    record = follow(experiment, data, seeds, lines=not (args.json or args.quiet))
    if args.data is not None:
        record.claim = None  # the book's numbers are for MNIST
    if args.json:
        arguments = {k: v for k, v in vars(args).items() if k not in ("json", "quiet")}
        environment = {
            "jaxnet": version("jaxnet"),
            "jax": jax.__version__,
            "device": device,
            "dtype": dtype,
        }
        print(json.dumps({**arguments, **environment, **as_json(record)}))
    else:
        print(*lines(record), sep="\n")
    if record.interrupted:
        return 130
    return 1 if np.isnan(record.last).any() else 0


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code of the command in `argv`, by default the process's own."""
    args = _parser().parse_args(argv)
    try:
        return _train(args)
    except (DataError, argparse.ArgumentError) as error:
        trouble, code = str(error), 2
    except KeyboardInterrupt:
        trouble, code = "interrupted before an epoch was done", 130
    except (MemoryError, jax.errors.JaxRuntimeError) as error:
        trouble, code = f"the device gave up: {str(error).splitlines()[0]}", 1
    except BrokenPipeError:
        # Whoever read the pipe has left; keep Python from writing to it as it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    print(f"jaxnet {args.command}: {trouble}", file=sys.stderr)
    return code
