"""`python -m jaxnet train`: the book's first network, and its variations."""

import argparse
import json
from importlib.metadata import version

import jax
import numpy as np

from jaxnet.commands.options import (
    COSTS,
    GRADIENTS,
    HIDDEN,
    INITIALISERS,
    Options,
    check_fit,
    positive,
    sizes,
    whole,
)
from jaxnet.datasets import load_mnist
from jaxnet.experiments import Experiment
from jaxnet.progress import follow
from jaxnet.report import as_json, lines

HELP = "train a network and report its accuracy after each epoch"
DESCRIPTION = (
    "Train a network and report its accuracy after each epoch. "
    "Without options it is the book's first network, section 1.6."
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """All that an experiment has, with the book's as defaults."""
    book, add = Experiment(), Options(parser)
    default = ",".join(map(str, book.sizes))
    add.value(
        "--sizes", default, sizes, "N,N,...", "neurons in each layer, inputs first"
    )
    add.value("--epochs", book.epochs, whole(1), "N", "visits to every training image")
    add.value("--batch-size", book.batch_size, whole(1), "M", "images in a mini-batch")
    add.value("--eta", book.eta, positive, "ETA", "learning rate")
    add.choice("--cost", "quadratic", COSTS, "cost function")
    add.choice(
        "--gradient", "backprop", GRADIENTS, "by hand, by jax.grad, or an oracle"
    )
    add.choice("--hidden", "sigmoid", HIDDEN, "activation of the hidden layers")
    help = "weights from N(0, 1) or N(0, 1 / inputs)"
    add.choice("--init", "large", INITIALISERS, help)
    add.value("--seed", 1, whole(0), "K", "first seed")
    help = "networks to train, with seeds K, K + 1, ..."
    add.value("--seeds", 1, whole(1), "N", help)
    add.choice("--evaluate", "test", ("validation", "test"), "images to measure on")
    add.data()
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--json", action="store_true", help="print one JSON object")
    output.add_argument("--quiet", action="store_true", help="print only the results")


def run(args: argparse.Namespace) -> int:
    """Train, print, and return the exit code."""
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
    check_fit(args, data)
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
