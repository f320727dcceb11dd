"""`python -m jaxnet sweep`: every combination of some rates, with several seeds."""

import argparse
import itertools
from collections.abc import Iterator, Mapping, Sequence
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
from jaxnet.experiments import RATES, Experiment, Trained
from jaxnet.experiments.sweep import environment, log_of, train_networks

DESCRIPTION = (
    "Train networks with every combination of the values given for --eta, --l1, --l2 "
    "and --dropout, with several seeds each, on all cores or devices, and report the "
    "accuracy of each network's best and last epoch. With --out, finished networks are "
    "saved, and the same command, or one with more values or seeds, continues; "
    "processes with the same file share the work."
)

Setting = tuple[float, ...]  # a value for each of RATES


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
    values = [getattr(args, name, (getattr(default, name),)) for name in RATES]
    settings = list(itertools.product(*values))
    if (many := len(settings) * len(seeds)) > MAX_NETWORKS:
        raise UsageError(f"expected at most {MAX_NETWORKS:,} networks, got {many:,}")
    varied = [name for name, each in zip(RATES, values, strict=True) if len(each) > 1]
    names = varied or ["eta"]
    e = experiment_of(args, **{name: getattr(default, name) for name in RATES})
    first = devices.start(args, many, e.sizes, e.batch_size)
    source = source_of(args)
    learned_from = None if source == Source() else str(source)
    data = source.load(as_bytes=True)
    e = fitted(e, data, sizes_given="sizes" in args)
    evaluation = getattr(data, e.evaluate_on)
    rates = [dict(zip(RATES, setting, strict=True)) for setting in settings]
    networks = [(each, seed) for each in rates for seed in seeds]
    log, before, done = None, 0, ""
    if args.out:
        log = log_of(args.out, e, data=learned_from, dtype=environment()["dtype"])
        there = {trained.identity for trained in log.read()}
        before = sum((frozenset(r.items()), seed) in there for r, seed in networks)
        done = f", {before} done before"
    talk = first and not args.json
    if talk:
        used = min(len(jax.devices()), many)
        print(
            f"{counted(len(settings), 'setting')} x {counted(len(seeds), 'seed')} = "
            f"{counted(many, 'network')}{done}, {counted(e.epochs, 'epoch')}, "
            f"{e.evaluate_on} data, on {used} x {jax.devices()[0].device_kind}",
            flush=True,
        )
    found: dict[Setting, list[Trained]] = {setting: [] for setting in settings}
    interrupted = False
    try:
        label = counted(many - before, "network")
        options: dict[str, Any] = {"log": log, "progress": track, "label": label}
        for trained in train_networks(e, data.train, evaluation, networks, **options):
            setting = tuple(trained.rates[name] for name in RATES)
            found[setting].append(trained)
            if talk and len(found[setting]) == len(seeds):
                at = ", ".join(f"{RATES[n]} {trained.rates[n]:g}" for n in names)
                mean = summaries({setting: found[setting]})[setting]["mean"]
                of = counted(len(seeds), "seed")
                print(f"{at}: best {mean:.2%}, mean of {of}", flush=True)
    except KeyboardInterrupt:
        interrupted = True
    found = {setting: group for setting, group in found.items() if group}
    if interrupted and not found:
        raise KeyboardInterrupt
    if first:
        title = f"{'-'.join(map(str, e.sizes))}, {e.cost} cost, on {source}"
        _report(args, found, many, names, interrupted, title)
    return 130 if interrupted else 0


def summaries(
    found: Mapping[Setting, Sequence[Trained]],
) -> dict[Setting, dict[str, int | float]]:
    """For each setting, its best epochs' mean, sd and max, and its last ones' mean."""
    rows = {}
    for setting, group in found.items():
        best = summary_statistics(
            np.array([np.fmax.reduce(each.accuracy) for each in group])
        )
        last = float(np.mean([each.accuracy[-1] for each in group]))
        numbers = {name: best[name] for name in ("mean", "sd", "max")}
        rows[setting] = {"seeds": len(group), **numbers, "last": last}
    return rows


def _report(
    args: argparse.Namespace,
    found: Mapping[Setting, Sequence[Trained]],
    networks: int,
    names: Sequence[str],
    interrupted: bool,
    title: str,
) -> None:
    rows, done = summaries(found), sum(map(len, found.values()))
    if args.json:
        settings = [
            {**dict(zip(RATES, at, strict=True)), **row} for at, row in rows.items()
        ]
        about = {"networks": networks, "done": done, "interrupted": interrupted}
        print_json({**about, "settings": settings})
    else:
        if interrupted:
            print(f"Interrupted: {done} of {networks} networks are done.")
        print(*_table(rows, names), sep="\n")
    if args.figure:
        places = [list(RATES).index(name) for name in names]
        by_rates = {tuple(s[i] for i in places): row for s, row in rows.items()}
        titles = [RATES[name] for name in names]
        tell(f"wrote {figures.sweep(by_rates, titles, title, args.figure)}")


def _table(
    rows: Mapping[Setting, Mapping[str, int | float]], names: Sequence[str]
) -> Iterator[str]:
    """A line for each setting; the best mean is marked."""
    titles = ("seeds", "best", "sd", "max", "last", "")
    best = np.fmax.reduce([row["mean"] for row in rows.values()])
    places = [list(RATES).index(name) for name in names]
    table = [[*(RATES[name] for name in names), *titles]]
    for setting, row in rows.items():
        rates = (f"{setting[i]:g}" for i in places)
        numbers = (f"{row[k]:.2%}" for k in ("mean", "sd", "max", "last"))
        mark = "<- best mean" if row["mean"] == best and len(rows) > 1 else ""
        table.append([*rates, str(row["seeds"]), *numbers, mark])
    yield from aligned(table)
