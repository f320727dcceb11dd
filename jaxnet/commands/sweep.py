"""`python -m jaxnet sweep`: every combination of some rates, with several seeds."""

import argparse
import json
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import jax
import numpy as np

from jaxnet import figures, folders, processes
from jaxnet.commands import together
from jaxnet.commands.experiment import add_experiment, data_for, experiment_of
from jaxnet.commands.options import MOST_NETWORKS
from jaxnet.datasets import Split
from jaxnet.experiments import Experiment
from jaxnet.grid import (
    RATES,
    Curves,
    Kept,
    Network,
    combinations,
    label,
    summaries,
    table,
    varied,
)
from jaxnet.progress import track
from jaxnet.report import counted
from jaxnet.runs import Runner, capacity

HELP = "train with every combination of some rates, with several seeds each"
DESCRIPTION = (
    "Train networks with every combination of the values given for --eta, --l1, --l2 "
    "and --dropout, with several seeds each, on all cores or devices, and report their "
    "accuracies: of each network's best epoch, and of its last. With --out, networks "
    "that are done are kept, and the same command, or one for more values or seeds, "
    "goes on from there."
)
_EXPERIMENT = (
    *("sizes", "epochs", "batch_size", "cost", "gradient", "hidden", "init"),
    *("optimizer", "momentum", "schedule", "early_stop", "expand", "train_on"),
    *("evaluate", "data"),
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """An experiment's, where rates may be several, and where the results go."""
    add_experiment(parser, lists=True)
    together.add_where(parser)
    help = "file to keep networks in that are done, and to go on from"
    parser.add_argument("--out", metavar="FILE", type=Path, help=help)
    help = "picture of the accuracies, by the rates that vary"
    parser.add_argument("--figure", metavar="FILE", type=Path, help=help)
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Train what is not done yet, print, and return the exit code."""
    if args.figure:
        figures.check_can_save(args.figure)
    values = {name: getattr(args, name) for name in RATES}
    many = args.seeds * math.prod(map(len, values.values()))
    if many > MOST_NETWORKS:
        raise ValueError(f"Expected at most {MOST_NETWORKS:,} networks, got {many:,}.")
    settings = combinations(values)
    seeds = range(args.seed, args.seed + args.seeds)
    networks = [Network(setting, seed) for setting in settings for seed in seeds]
    several = together.check(args)
    first = together.begin(args, len(networks), args.sizes)
    if several:
        shared = (*_EXPERIMENT, *RATES, "seed", "seeds")
        together.agree(args, {name: getattr(args, name) for name in shared})
    experiment = experiment_of(argparse.Namespace(**vars(args) | settings[0]._asdict()))
    data = data_for(args)
    if several:
        together.check_same(args, folders.checksum(data))
    curves = Curves()
    keep: Callable[[Network, list[float]], None] = curves.__setitem__
    if args.out and first:
        shared = {name: getattr(args, name) for name in _EXPERIMENT}
        shared["dtype"] = str(data.train.y.dtype)
        kept = Kept(args.out, shared)
        curves, keep = kept.curves, kept.add
    todo = [network for network in networks if network not in curves]
    if several:
        left = set(processes.agree([networks.index(network) for network in todo]))
        todo = [network for i, network in enumerate(networks) if i in left]
    names = varied(settings) or ["eta"]
    talk = first and not args.json
    if talk:
        _introduce(args, len(settings), len(networks), len(todo))
    interrupted = False
    try:
        for network, curve in _train(experiment, data, todo, names):
            keep(network, curve)
            same = [n for n in networks if n.setting == network.setting]
            if talk and all(n in curves for n in same):
                [row] = summaries({n: curves[n] for n in same}).values()
                words, of = label(network.setting, names), counted(len(same), "seed")
                print(f"{words}: best {row['mean']:.2%}, mean of {of}", flush=True)
    except KeyboardInterrupt:
        interrupted = True
    curves = {n: curves[n] for n in networks if n in curves}
    if interrupted and not curves:
        raise KeyboardInterrupt
    if first:
        _report(args, curves, len(networks), names, interrupted)
    if several and not interrupted:
        processes.leave()
    return 130 if interrupted else 0


def _introduce(
    args: argparse.Namespace, settings: int, networks: int, todo: int
) -> None:
    before = f", {networks - todo} done before" if args.out else ""
    used = min(len(jax.devices()), networks)
    print(
        f"{counted(settings, 'setting')} x {counted(args.seeds, 'seed')} = "
        f"{counted(networks, 'network')}{before}, {counted(args.epochs, 'epoch')}, "
        f"{args.evaluate} data, on {used} x {jax.devices()[0].device_kind}",
        flush=True,
    )


def _train(
    experiment: Experiment, data: Split, todo: Sequence[Network], names: Sequence[str]
) -> Iterator[tuple[Network, list[float]]]:
    """Each network when it is done, with its accuracies."""
    if not todo:
        return
    evaluation = getattr(data, experiment.evaluate_on)
    at_once = capacity(experiment, len(todo), evaluation)
    groups = [todo[i : i + at_once] for i in range(0, len(todo), at_once)]
    runner = Runner(experiment, data.train, evaluation, at_once, names)
    n = len(evaluation.x)

    def epochs() -> Iterator[list[tuple[Network, list[float]]]]:
        for group in groups:
            rates = {k: [getattr(x.setting, k) for x in group] for k in names}
            curves: list[list[float]] = [[] for _ in group]
            for after in runner([x.seed for x in group], **rates):
                for curve, right in zip(curves, after.accuracy, strict=True):
                    curve.append(float(np.round(float(right) * n) / n))
                over = after.number == experiment.reports - 1 or not after.going.any()
                yield list(zip(group, curves, strict=True)) if over else []

    total = len(groups) * experiment.reports
    for done in track(epochs(), total, counted(len(todo), "network")):
        yield from done


def _report(
    args: argparse.Namespace,
    curves: Curves,
    networks: int,
    names: Sequence[str],
    interrupted: bool,
) -> None:
    found = summaries(curves)
    if args.json:
        rows = [{**setting._asdict(), **row} for setting, row in found.items()]
        for row in rows:
            row.update({k: None for k, x in row.items() if np.isnan(x)})
        done = {"networks": networks, "done": len(curves), "interrupted": interrupted}
        print(json.dumps({**done, "settings": rows}))
    else:
        if interrupted:
            print(f"Interrupted: {len(curves)} of {networks} networks are done.")
        print(*table(found), sep="\n")
    if args.figure:
        figures.sweep(found, names, args.figure)
