"""`python -m jaxnet train`: the book's first network, and its variations."""

import argparse
import json
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from jaxnet import folders, processes
from jaxnet.commands import together
from jaxnet.commands.experiment import (
    add_experiment,
    data_for,
    experiment_of,
    techniques,
)
from jaxnet.commands.trained import tell_refused
from jaxnet.datasets import Split
from jaxnet.devices import Spread
from jaxnet.progress import follow
from jaxnet.report import Record, as_json, counted, lines
from jaxnet.storage import StorageError

HELP = "train a network and report its accuracy after each epoch"
DESCRIPTION = (
    "Train a network and report its accuracy after each epoch. "
    "Without options it is the book's first network, section 1.6. With --out, a folder "
    "keeps the run, and --resume goes on with it, whatever ended it, to the same bits."
)
_WHERE = together.WHERE
_NOT_THE_RUN_S = ("command", "given", "json", "quiet", "out", "resume", *_WHERE)
_BESIDE_RESUME = {"--resume", "--epochs", "--json", "--quiet"}
_BESIDE_RESUME |= {f"--{name}" for name in _WHERE}


def add_options(parser: argparse.ArgumentParser) -> None:
    """An experiment's, where it is kept, and how to print it."""
    add_experiment(parser)
    together.add_where(parser)
    kept = parser.add_mutually_exclusive_group()
    help = "new folder to keep the run in, such as runs/name"
    kept.add_argument("--out", metavar="FOLDER", type=Path, help=help)
    help = "go on with the run in this folder, with its options; more --epochs may be"
    kept.add_argument("--resume", metavar="FOLDER", type=Path, help=help)
    parser.set_defaults(given=set())  # options that are not defaults
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--json", action="store_true", help="print one JSON object")
    output.add_argument("--quiet", action="store_true", help="print only the results")


def run(args: argparse.Namespace) -> int:
    """Train, print, and return the exit code."""
    several = together.check(args)
    first = not several or together.begin(args, args.seeds, args.sizes)
    with ExitStack() as stack:
        keeper = None
        if args.resume:
            _check_alone(args)
            if first:
                keeper = stack.enter_context(folders.resume(args.resume))
                tell_refused(keeper.run)
                args = _resumed(args, keeper.run)
        elif args.out and args.data:
            args.data = str(Path(args.data).absolute())  # wherever it is resumed
        if several:
            options = together.agree(args, _options(args))
            args = argparse.Namespace(**vars(args) | options)
        experiment = experiment_of(args)
        if not several:
            together.begin(args, args.seeds, experiment.sizes)
        data = data_for(args)
        if several:
            together.check_same(args, folders.checksum(data))
        environment = folders.environment(data)
        rows = several or args.devices is not None
        if rows and (shared := Spread(args.seeds, rows=True).rows) > 1:
            environment["device"] = f"{shared} x {environment['device']}"
        if args.out and first:
            examples = len(getattr(data, args.evaluate).x)
            beginning = (_options(args), environment, data, examples)
            keeper = stack.enter_context(folders.begin(args.out, *beginning))
        elif keeper is not None:
            _check_same(keeper.run, data)
        if first and not args.json:
            _introduce(args, environment, keeper and keeper.run)
        seeds = range(args.seed, args.seed + args.seeds)
        talk = first and not (args.json or args.quiet)
        record = follow(experiment, data, seeds, lines=talk, keeper=keeper, rows=rows)
    if record.interrupted:
        code = 130
    else:
        code = 1 if first and np.isnan(record.last).any() else 0
    if first:
        _report(args, environment, record, keeper and keeper.run)
    if several and not record.interrupted:
        code = processes.agree(code)
        processes.leave()
    return code


def _report(
    args: argparse.Namespace,
    environment: Mapping[str, str],
    record: Record,
    run: folders.Run | None,
) -> None:
    if args.data is not None or args.expand != "none":
        record.claim = None  # the book's numbers are for MNIST
    if args.json:
        options = {"command": args.command, **_options(args)}
        print(json.dumps({**options, **environment, **as_json(record)}))
    else:
        print(*lines(record), sep="\n")
    if record.interrupted and run is not None and not args.json:
        print(f"To go on: jaxnet train --resume {run.path}")


def _options(args: argparse.Namespace) -> dict[str, Any]:
    return {k: v for k, v in vars(args).items() if k not in _NOT_THE_RUN_S}


def _check_alone(args: argparse.Namespace) -> None:
    others = sorted(args.given - _BESIDE_RESUME)
    if others:
        raise argparse.ArgumentError(
            None,
            "argument --resume: expected no other options of a run than --epochs, "
            f"since it keeps its own, got {', '.join(others)}",
        )


def _resumed(args: argparse.Namespace, run: folders.Run) -> argparse.Namespace:
    """The run's own options, in place of the defaults."""
    unknown = sorted(set(run.options) - set(_options(args)))
    if unknown:
        raise argparse.ArgumentError(
            None,
            f"argument --resume: expected a run of this jaxnet, got one of jaxnet "
            f"{run.environment['jaxnet']} with {', '.join(unknown)}",
        )
    options = vars(_parsed(run))
    if "--epochs" in args.given:
        if args.epochs < options["epochs"]:
            raise argparse.ArgumentError(
                None,
                f"argument --epochs: expected at least {options['epochs']}, which the "
                f"run has, got {args.epochs}",
            )
        options["epochs"] = args.epochs
    return argparse.Namespace(**vars(args) | options)


def _parsed(run: folders.Run) -> argparse.Namespace:
    """The run's options, read as if they came from the command line."""
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_experiment(parser)
    words = []
    for name, value in run.options.items():
        text = ",".join(map(str, value)) if name == "sizes" else str(value)
        if (name, value) != ("data", None):
            words.append(f"--{name.replace('_', '-')}={text}")
    try:
        return parser.parse_args(words)
    except argparse.ArgumentError as error:
        raise StorageError(f"{run.path}: the run's own options: {error}.") from None


def _check_same(run: folders.Run, data: Split) -> None:
    dtype, came = run.environment["dtype"], str(data.train.y.dtype)
    if came != dtype:
        advice = f"JAX_ENABLE_X64={int(dtype == 'float64')}"
        raise ValueError(
            f"{run.path}: expected to go on in {dtype}, got {came}. Set {advice}."
        )
    if folders.checksum(data) != run.data:
        raise ValueError(
            f"{run.path}: expected the data that the run began with, got others. "
            "Were the files changed?"
        )


def _introduce(
    args: argparse.Namespace, environment: Mapping[str, str], run: folders.Run | None
) -> None:
    print(
        f"{'-'.join(map(str, args.sizes))}, {args.hidden}, {args.cost} cost, "
        f"{args.init} initialisation, eta {args.eta:g}, mini-batch "
        f"{args.batch_size}, {counted(args.epochs, 'epoch')}, {args.gradient}, "
        + "".join(f"{words}, " for words in techniques(args))
        + f"{args.evaluate} data, {environment['dtype']} on {environment['device']}",
        flush=True,
    )
    if run is None or not args.resume:
        return
    done = f"{len(run.lines)} of {args.epochs} epochs were done before"
    run = run._replace(options={**run.options, "epochs": args.epochs})
    print(f"{done}: the run is finished." if run.finished else f"{done}.", flush=True)
    for name, value in environment.items():
        if run.environment.get(name) != value:
            came = f"{name} {run.environment.get(name)}, not {value}"
            print(f"It began with {came}: its last bits may differ.", flush=True)
