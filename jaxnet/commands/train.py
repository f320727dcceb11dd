"""`python -m jaxnet train`: the book's first network, and its variations."""

import argparse
import json
from collections.abc import Iterator
from functools import partial
from importlib.metadata import version

import jax
import numpy as np

from jaxnet.augment import elastic, expand, rotations
from jaxnet.commands.options import (
    COSTS,
    EXPANSIONS,
    GRADIENTS,
    HIDDEN,
    INITIALISERS,
    OPTIMIZERS,
    Options,
    at_least_0,
    check_fit,
    fraction,
    positive,
    sizes,
    whole,
)
from jaxnet.datasets import Split, load_mnist
from jaxnet.experiments import Experiment
from jaxnet.network import Dataset
from jaxnet.progress import follow
from jaxnet.report import as_json, lines
from jaxnet.sgd import Optimizer

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
    add.value("--l1", 0.0, at_least_0, "LAMBDA", "L1 regularisation, lambda/n |w|")
    add.value("--l2", 0.0, at_least_0, "LAMBDA", "L2 regularisation, lambda/2n w^2")
    help = "chance of a hidden neuron to be left out of a mini-batch"
    add.value("--dropout", 0.0, fraction, "P", help)
    add.choice("--optimizer", "sgd", OPTIMIZERS, "how a gradient becomes a step")
    help = "momentum co-efficient mu, for sgd and nesterov"
    add.value("--momentum", 0.0, fraction, "MU", help)
    help = "halve eta after N epochs without a best, and stop at 1/128; 0: never"
    add.value("--schedule", 0, whole(0), "N", help)
    help = "stop after N epochs without a best; 0: never"
    add.value("--early-stop", 0, whole(0), "N", help)
    help = "more training data: each image and its four shifts, or each mini-batch anew"
    add.choice("--expand", "none", EXPANSIONS, help)
    help = "the first N training images only; 0: all"
    add.value("--train-on", 0, whole(0), "N", help)
    add.value("--seed", 1, whole(0), "K", "first seed")
    help = "networks to train, with seeds K, K + 1, ..."
    add.value("--seeds", 1, whole(1), "N", help)
    add.choice("--evaluate", "test", ("validation", "test"), "images to measure on")
    add.data()
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--json", action="store_true", help="print one JSON object")
    output.add_argument("--quiet", action="store_true", help="print only the results")


SIDE = 28
AUGMENTS = {
    "none": None,
    "shifts": None,  # made beforehand, as in the book
    "rotations": rotations(),
    "elastic": elastic(),
}


def _optimizer(args: argparse.Namespace) -> Optimizer:
    optimizer = OPTIMIZERS[args.optimizer]
    if args.optimizer == "nesterov" and not args.momentum:
        raise argparse.ArgumentError(
            None, "argument --optimizer: expected --momentum with nesterov, got none"
        )
    if not args.momentum:
        return optimizer
    if args.optimizer not in ("sgd", "nesterov"):
        raise argparse.ArgumentError(
            None,
            f"argument --momentum: expected --optimizer sgd or nesterov with it, got "
            f"{args.optimizer}",
        )
    return partial(optimizer, momentum=args.momentum)


def _techniques(args: argparse.Namespace) -> Iterator[str]:
    """Those of chapter 3 that are in use, in words."""
    names = {"l1": "L1", "l2": "L2", "dropout": "dropout", "momentum": "momentum"}
    for option, words in names.items():
        if getattr(args, option):
            yield f"{words} {getattr(args, option):g}"
    if args.optimizer != "sgd":
        yield args.optimizer
    if args.schedule:
        yield f"eta halved after {args.schedule} epochs without a best"
    if args.early_stop:
        yield f"stopped after {args.early_stop} epochs without a best"
    if args.expand != "none":
        yield f"expanded by {args.expand}"
    if args.train_on:
        yield f"{args.train_on} training images"


def _experiment(args: argparse.Namespace) -> Experiment:
    whole = args.expand == "shifts"  # which are made of the first images only
    return Experiment(
        sizes=args.sizes,
        epochs=args.epochs,
        batch_size=args.batch_size,
        eta=args.eta,
        cost=COSTS[args.cost],
        gradient=GRADIENTS[args.gradient],
        hidden=HIDDEN[args.hidden],
        init_layer=INITIALISERS[args.init],
        evaluate_on=args.evaluate,
        train_on=None if whole else args.train_on or None,
        l1=args.l1,
        l2=args.l2,
        dropout=args.dropout,
        optimizer=_optimizer(args),
        augment=AUGMENTS[args.expand],
        halve_after=args.schedule or None,
        stop_after=args.early_stop or None,
    )


def _data(args: argparse.Namespace) -> Split:
    data = load_mnist(args.data, as_bytes=True)
    n, n_in = data.train.x.shape
    if args.train_on > n:
        raise argparse.ArgumentError(
            None,
            f"argument --train-on: expected at most {n}, which is all the training "
            f"images, got {args.train_on}",
        )
    if args.expand != "none" and n_in != SIDE * SIDE:
        raise argparse.ArgumentError(
            None,
            f"argument --expand: expected images of {SIDE} x {SIDE} pixels, got "
            f"{n_in} pixels",
        )
    if args.train_on:
        first = Dataset(*(array[: args.train_on] for array in data.train))
        data = data._replace(train=first)
    check_fit(args, data)
    if args.expand == "shifts":
        data = data._replace(train=expand(data.train))
    return data


def run(args: argparse.Namespace) -> int:
    """Train, print, and return the exit code."""
    experiment, data = _experiment(args), _data(args)
    dtype, device = str(data.train.y.dtype), jax.devices()[0].device_kind
    if not args.json:
        print(
            f"{'-'.join(map(str, args.sizes))}, {args.hidden}, {args.cost} cost, "
            f"{args.init} initialisation, eta {args.eta:g}, mini-batch "
            f"{args.batch_size}, {args.epochs} epochs, {args.gradient}, "
            + "".join(f"{words}, " for words in _techniques(args))
            + f"{args.evaluate} data, {dtype} on {device}",
            flush=True,
        )
    seeds = range(args.seed, args.seed + args.seeds)
    record = follow(experiment, data, seeds, lines=not (args.json or args.quiet))
    if args.data is not None or args.expand != "none":
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
