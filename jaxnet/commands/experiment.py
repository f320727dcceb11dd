"""The options of an experiment, which `train` and `sweep` share."""

import argparse
from collections.abc import Callable, Iterator
from functools import partial

from jaxnet.augment import elastic, expand, rotations
from jaxnet.commands.options import (
    COSTS,
    EXPANSIONS,
    GRADIENTS,
    HIDDEN,
    INITIALISERS,
    MOST_NETWORKS,
    OPTIMIZERS,
    Options,
    at_least_0,
    check_fit,
    fraction,
    positive,
    several,
    sizes,
    whole,
)
from jaxnet.datasets import Split
from jaxnet.experiments import Experiment
from jaxnet.owndata import load_data
from jaxnet.report import counted
from jaxnet.sgd import Optimizer


def add_experiment(parser: argparse.ArgumentParser, *, lists: bool = False) -> None:
    """All that an experiment has, with the book's as defaults.

    With `lists`, each of the rates may be several.
    """
    book, add = Experiment(), Options(parser)

    def rate(name: str, default: str, parse: Callable, metavar: str, help: str) -> None:
        if lists:
            parse, metavar = several(parse), f"{metavar},..."
        add.value(name, default, parse, metavar, help)

    default = ",".join(map(str, book.sizes))
    add.value(
        "--sizes", default, sizes, "N,N,...", "neurons in each layer, inputs first"
    )
    add.value("--epochs", book.epochs, whole(1), "N", "visits to every training image")
    add.value("--batch-size", book.batch_size, whole(1), "M", "images in a mini-batch")
    rate("--eta", f"{book.eta:g}", positive, "ETA", "learning rate")
    add.choice("--cost", "quadratic", COSTS, "cost function")
    add.choice(
        "--gradient", "backprop", GRADIENTS, "by hand, by jax.grad, or an oracle"
    )
    add.choice("--hidden", "sigmoid", HIDDEN, "activation of the hidden layers")
    help = "weights from N(0, 1) or N(0, 1 / inputs)"
    add.choice("--init", "large", INITIALISERS, help)
    rate("--l1", "0", at_least_0, "LAMBDA", "L1 regularisation, lambda/n |w|")
    rate("--l2", "0", at_least_0, "LAMBDA", "L2 regularisation, lambda/2n w^2")
    help = "probability of dropping each hidden neuron"
    rate("--dropout", "0", fraction, "P", help)
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
    add.value("--seeds", 1, whole(1, MOST_NETWORKS), "N", help)
    add.choice("--evaluate", "test", ("validation", "test"), "images to measure on")
    add.data()


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


def techniques(args: argparse.Namespace) -> Iterator[str]:
    """Those of chapter 3 that are in use, in words."""
    names = {"l1": "L1", "l2": "L2", "dropout": "dropout", "momentum": "momentum"}
    for option, words in names.items():
        if getattr(args, option):
            yield f"{words} {getattr(args, option):g}"
    if args.optimizer != "sgd":
        yield args.optimizer
    if args.schedule:
        yield f"eta halved after {counted(args.schedule, 'epoch')} without a best"
    if args.early_stop:
        yield f"stopped after {counted(args.early_stop, 'epoch')} without a best"
    if args.expand != "none":
        yield f"expanded by {args.expand}"
    if args.train_on:
        yield counted(args.train_on, "training image")


def experiment_of(args: argparse.Namespace) -> Experiment:
    """The experiment that the options describe."""
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


def data_for(args: argparse.Namespace) -> Split:
    """The data that the options name, if the network fits them."""
    data = load_data(args.data, as_bytes=True)
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
        first = data.train[: args.train_on]
        data = data._replace(train=first)
    check_fit(args, data)
    if args.expand == "shifts":
        data = data._replace(train=expand(data.train))
    return data
