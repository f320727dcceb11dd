"""`python -m jaxnet train`: the book's first network, and its variations."""

import argparse
import json
from importlib.metadata import version

import jax
import numpy as np

from jaxnet import devices
from jaxnet.commands.experiment import (
    add_experiment,
    data_for,
    experiment_of,
    techniques,
)
from jaxnet.progress import follow
from jaxnet.report import as_json, lines

HELP = "train a network and report its accuracy after each epoch"
DESCRIPTION = (
    "Train a network and report its accuracy after each epoch. "
    "Without options it is the book's first network, section 1.6."
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """An experiment's, and how to print it."""
    add_experiment(parser)
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--json", action="store_true", help="print one JSON object")
    output.add_argument("--quiet", action="store_true", help="print only the results")


def run(args: argparse.Namespace) -> int:
    """Train, print, and return the exit code."""
    experiment = experiment_of(args)
    devices.prepare(args.seeds, experiment.sizes, args.batch_size)
    data = data_for(args)
    dtype, device = str(data.train.y.dtype), jax.devices()[0].device_kind
    if not args.json:
        print(
            f"{'-'.join(map(str, args.sizes))}, {args.hidden}, {args.cost} cost, "
            f"{args.init} initialisation, eta {args.eta:g}, mini-batch "
            f"{args.batch_size}, {args.epochs} epochs, {args.gradient}, "
            + "".join(f"{words}, " for words in techniques(args))
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
