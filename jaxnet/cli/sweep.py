"""`python -m jaxnet sweep`: every combination of some rates, with several seeds."""

import argparse
import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxnet import figures
from jaxnet.cli import devices
from jaxnet.cli.console import (
    aligned,
    counted,
    print_json,
    summary_statistics,
    tell,
    track,
)
from jaxnet.cli.options import (
    MAX_NETWORKS,
    UsageError,
    add_experiment,
    experiment_of,
    fitted,
    seeds_of,
    source_of,
)
from jaxnet.datasets import Source
from jaxnet.experiments import RATES, Experiment, Trained, curves
from jaxnet.experiments.claims import best_of_epochs
from jaxnet.experiments.files import Log
from jaxnet.experiments.sweep import environment, identity, log_of, train_networks

DESCRIPTION = (
    "Train networks with every combination of the values given for --eta, --l1, --l2 "
    "and --dropout, with several seeds each, on all cores or devices, and report the "
    "accuracy of each network's best and last epoch. With --out, finished networks are "
    "saved, and the same command, or one with more values or seeds, continues; "
    "processes with the same file share the work."
)

Setting = tuple[float, ...]  # a value of each rate that varies
Row = dict[str, int | float]


def add_options(parser: argparse.ArgumentParser) -> None:
    """An experiment's options, with several values of each rate, and the output."""
    add_experiment(parser, lists=RATES)
    devices.add_devices(parser)
    help = "file to save finished networks in, and to continue from"
    parser.add_argument("--out", metavar="FILE", type=Path, help=help)
    help = "picture of the accuracies, by the rates that vary"
    parser.add_argument("--figure", metavar="FILE", type=Path, help=help)
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Train what is not done yet, print, and return the exit code."""
    if args.figure:
        figures.check_can_save(args.figure)
    default, seeds = Experiment(), seeds_of(args)
    values = {name: getattr(args, name, (getattr(default, name),)) for name in RATES}
    many = math.prod(map(len, values.values())) * len(seeds)
    if many > MAX_NETWORKS:
        raise UsageError(f"expected at most {MAX_NETWORKS:,} networks, got {many:,}")
    names = [name for name in RATES if len(values[name]) > 1] or ["eta"]
    e = experiment_of(args, **{name: getattr(default, name) for name in RATES})
    first = devices.start(args, many, e.sizes, e.batch_size)
    source = source_of(args)
    data = source.load(as_bytes=True)
    e = fitted(e, data, sizes_given="sizes" in args)
    rates = [dict(zip(RATES, each, strict=True)) for each in product(*values.values())]
    networks = [(each, seed) for each in rates for seed in seeds]
    log = _log(args.out, e, source) if args.out else None
    there = {trained.identity for trained in log.read()} if log else set()
    before = sum(identity(*network) in there for network in networks)
    resumed = f", {before} done before" * bool(args.out)
    if not args.json:
        used = min(len(jax.devices()), many)
        print(
            f"{counted(len(rates), 'setting')} x {counted(len(seeds), 'seed')} = "
            f"{counted(many, 'network')}{resumed}, {counted(e.epochs, 'epoch')}, "
            f"{e.evaluate_on} data, on {used} x {jax.devices()[0].device_kind}",
            flush=True,
        )
    found = {at: [] for at in product(*(values[name] for name in names))}
    evaluation, interrupted = getattr(data, e.evaluate_on), False
    try:
        label = counted(many - before, "network")
        options: dict[str, Any] = {"log": log, "progress": track, "label": label}
        for trained in train_networks(e, data.train, evaluation, networks, **options):
            group = found[tuple(trained.rates[name] for name in names)]
            group.append(trained)
            if not args.json and len(group) == len(seeds):
                print(_line(group, names), flush=True)
    except KeyboardInterrupt:
        interrupted = True
    rows = summaries({at: group for at, group in found.items() if group})
    done = sum(map(len, found.values()))
    if interrupted and not rows:
        raise KeyboardInterrupt
    if args.json:
        about = {"networks": many, "done": done, "interrupted": interrupted}
        print_json({**about, "settings": list(rows.values())})
    else:
        if interrupted:
            print(f"Interrupted: {done} of {many} networks are done.")
        print(*_table(rows, names), sep="\n")
    if args.figure and first:
        titles = [RATES[name] for name in names]
        title = f"{'-'.join(map(str, e.sizes))}, {e.cost} cost, on {source}"
        tell(f"wrote {figures.sweep(rows, titles, title, args.figure)}")
    return 130 if interrupted else 0


def _log(path: Path, e: Experiment, source: Source) -> Log[Trained]:
    data = None if source == Source() else str(source)
    return log_of(path, e, data=data, dtype=environment()["dtype"])


def summaries(found: Mapping[Setting, Sequence[Trained]]) -> dict[Setting, Row]:
    """For each setting, its best epochs' mean, sd and max, and its last ones' mean."""
    rows = {}
    for setting, group in found.items():
        best = summary_statistics(best_of_epochs(curves(group)) / group[0].of)
        last = float(np.mean([each.accuracy[-1] for each in group]))
        numbers = {name: best[name] for name in ("mean", "sd", "max")}
        counts = {**group[0].rates, "seeds": len(group)}
        rows[setting] = {**counts, **numbers, "last": last}
    return rows


def _line(group: Sequence[Trained], names: Sequence[str]) -> str:
    """The rates that vary, and how the networks with these came out."""
    (row,) = summaries({(): group}).values()
    words = ", ".join(f"{RATES[name]} {row[name]:g}" for name in names)
    return f"{words}: best {row['mean']:.2%}, mean of {counted(len(group), 'seed')}"


def _table(rows: Mapping[Setting, Row], names: Sequence[str]) -> Iterator[str]:
    """A line for each setting; the best mean is marked."""
    best = np.fmax.reduce([row["mean"] for row in rows.values()])
    titles = [RATES[name] for name in names]
    table = [[*titles, "seeds", "best", "sd", "max", "last", ""]]
    for setting, row in rows.items():
        rates = (f"{value:g}" for value in setting)
        numbers = (f"{row[k]:.2%}" for k in ("mean", "sd", "max", "last"))
        mark = "<- best mean" if row["mean"] == best and len(rows) > 1 else ""
        table.append([*rates, str(row["seeds"]), *numbers, mark])
    yield from aligned(table)
