"""`python -m jaxnet train`: the book's first network, and its variations."""

import argparse
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import structs

from jaxnet import figures, runs
from jaxnet.cli import devices
from jaxnet.cli.advice import advice
from jaxnet.cli.console import counted, print_json, printable, tell, track
from jaxnet.cli.options import (
    UsageError,
    add_experiment,
    as_text,
    experiment_of,
    fitted,
    flag,
    read_run,
    seeds_of,
    source_of,
    wrong,
)
from jaxnet.cli.summary import Summary, epoch_line
from jaxnet.datasets import Source, Split, oddities
from jaxnet.experiments import Experiment, Runner, claim_of, failed_classes
from jaxnet.experiments.experiment import TYPES, described
from jaxnet.experiments.runner import Measure
from jaxnet.experiments.sweep import environment
from jaxnet.layers import Dataset, Params
from jaxnet.metrics import monitor
from jaxnet.regularization import without_dropout

DESCRIPTION = (
    "Train a network and report its accuracy after each epoch. The defaults are the "
    "book's first network, section 1.6. With --out, the run is saved in a folder, and "
    "--resume continues it to the same bits, however it ended."
)
_OTHERS = ("seed", "seeds", "data", "transpose", "label_column")
_ALWAYS = (  # in the first line, whatever their values
    *("sizes", "hidden", "cost", "init_layer", "eta", "batch_size", "epochs"),
    *("gradient", "evaluate_on"),
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """An experiment's options, where to save it, and what to print."""
    add_experiment(parser)
    devices.add_devices(parser)
    kept = parser.add_mutually_exclusive_group()
    help = "new folder to save the run in, such as runs/name"
    kept.add_argument("--out", metavar="FOLDER", type=Path, help=help)
    help = "resume with the saved options; --epochs may be raised"
    kept.add_argument("--resume", metavar="FOLDER", type=Path, help=help)
    help = "picture of accuracy and cost after each epoch, training and evaluation data"
    parser.add_argument("--figure", metavar="FILE", type=Path, help=help)
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--json", action="store_true", help="print one JSON object")
    output.add_argument("--quiet", action="store_true", help="print only the results")


def run(args: argparse.Namespace) -> int:
    """Train, print, and return the exit code."""
    if args.figure:
        figures.check_can_save(args.figure)
    saved = read_run(args.resume) if args.resume else None
    if saved is None:
        e, seeds, source = experiment_of(args), seeds_of(args), source_of(args)
    else:
        e, seeds, source = _extended(args, saved), saved.seeds, saved.manifest.source
    first = devices.start(args, len(seeds), e.sizes, e.batch_size)
    data, classes = source.named(as_bytes=True)
    e = fitted(e, data, sizes_given=saved is not None or "sizes" in args)
    here, writer = environment(), None
    if saved:
        _check_same(saved, data, here)
    with ExitStack() as stack:
        if first and saved:
            writer = stack.enter_context(runs.resume(saved.path, e.epochs))
            saved = writer.run
        elif first and args.out:
            new = runs.begin(args.out, e, seeds, data, here, source, classes)
            writer = stack.enter_context(new)
        if not args.json:
            _introduce(e, source, here, saved)
        if first and source != Source():
            for words in oddities(data):
                tell(f"{source}: {words}")
        options: dict[str, Any] = {
            "lines": not (args.json or args.quiet),
            "rows": args.devices is not None or args.coordinator is not None,
            "measure": _monitored if args.figure else None,
        }
        summary = follow(e, data, seeds, saved, writer, **options)
    if source != Source() or e.expand or e.augment:
        summary = replace(summary, claim=None)  # the book's numbers are for MNIST
    if args.json:
        about = {"command": "train", **described(e), "data": source.path, **here}
        examples = len(getattr(data, e.evaluate_on))
        print_json({**about, "examples": examples, **summary.as_json()})
    else:
        print(*summary.lines(), sep="\n")
        if summary.interrupted and writer:
            print(printable(f"To continue: jaxnet train --resume {writer.run.path}"))
    if first and args.figure:
        if n := sum(record.measured is None for record in summary.records):
            tell(f"not drawn: costs of {counted(n, 'epoch')} trained without --figure")
        title = f"{'-'.join(map(str, e.sizes))}, {e.cost} cost, on {source}"
        found = {**(summary.curves or {}), "evaluation_accuracy": summary.history}
        tell(f"wrote {figures.learning(found, e.evaluate_on, title, args.figure)}")
    if summary.interrupted:
        return 130
    return 1 if np.isnan(summary.last).any() else 0


def follow(
    e: Experiment,
    data: Split,
    seeds: range,
    saved: runs.Run | None = None,
    writer: runs.Writer | None = None,
    *,
    lines: bool = True,
    rows: bool = False,
    measure: Measure | None = None,
) -> Summary:
    """Run the experiment and return its summary; print each epoch if `lines`.

    It continues after the last checkpoint of a saved run. `measure` returns numbers by
    name, which are recorded and become the summary's curves.

    Ctrl-C ends it with the epochs done so far, and before the first of them raises
    KeyboardInterrupt. It ends early when every network has stopped or diverged.
    """
    evaluation, n = getattr(data, e.evaluate_on), len(seeds)
    resumed = saved.resumed if saved else None
    records = saved.records[: resumed[0]] if saved and resumed else []
    epochs, compiling, params, interrupted = (), 0.0, None, False
    if resumed:
        params = without_dropout(resumed[1].state.params, e.dropout)
    if len(records) < e.reports and (not records or any(records[-1].going)):
        runner = Runner(e, data.train, evaluation, n, measure=measure, rows=rows)
        epochs, compiling = runner(seeds, resume=resumed), runner.compile_seconds
    try:
        for epoch in track(epochs, e.reports, "training", len(records)):
            record, params = epoch.record, epoch.params
            if measure:
                found = {name: a.tolist() for name, a in epoch.measured.items()}
                record = structs.replace(record, measured=found)
            if writer:
                writer.add(record, epoch.networks)
            records.append(record)
            if lines:
                print(epoch_line(record, len(evaluation)), flush=True)
    except KeyboardInterrupt:
        if not records:
            raise
        interrupted = True
    failed = failed_classes(params, evaluation) if params else []
    history = runs.history(records, len(evaluation))
    advised = tuple(advice(e, data, history[:, -1], failed, len(records)))
    results = (seeds, records, history, e.reports, failed, compiling)
    return Summary(*results, claim_of(e), interrupted, advised, _curves(records, n))


def _curves(records: Sequence[runs.Record], seeds: int) -> dict[str, np.ndarray]:
    """What was measured after each epoch, nan where it was not recorded."""
    names = max((record.measured or {} for record in records), key=len)
    unknown = dict.fromkeys(names, [None] * seeds)
    found = [{**unknown, **(record.measured or {})} for record in records]
    return {name: np.array([row[name] for row in found], float).T for name in names}


def _monitored(e: Experiment, params: Params, train: Dataset, test: Dataset) -> Any:
    return monitor(train, test, e.cost, l1=e.l1, l2=e.l2)(params)


def _extended(args: argparse.Namespace, run: runs.Run) -> Experiment:
    """The saved experiment, with more epochs if they are asked for."""
    names = [name for name in (*TYPES, *_OTHERS) if name in args]
    if others := ", ".join(flag(name) for name in names if name != "epochs"):
        expected = "no other options of a run than --epochs, since it keeps its own"
        raise wrong("resume", expected, others)
    before = run.experiment.epochs
    epochs = getattr(args, "epochs", before)
    if epochs < before:
        raise wrong("epochs", f"at least {before}, which the run has", epochs)
    return replace(run.experiment, epochs=epochs)


def _check_same(run: runs.Run, data: Split, here: dict[str, str]) -> None:
    dtype = run.manifest.environment.get("dtype", here["dtype"])
    if here["dtype"] != dtype:
        raise UsageError(
            f"{run.path}: expected to resume in {dtype}, got {here['dtype']}. Set "
            f"JAX_ENABLE_X64={int(dtype == 'float64')}."
        )
    if runs.checksum(data) != run.manifest.checksum:
        raise UsageError(
            f"{run.path}: expected the data that the run began with, got others. "
            "Were the files changed?"
        )


def _introduce(
    e: Experiment, source: Source, here: dict[str, str], resumed: runs.Run | None
) -> None:
    words, usual = described(e), described(Experiment())
    first = (
        f"{'-'.join(map(str, e.sizes))}, {e.hidden}, {e.cost} cost, "
        f"{words['init_layer']} initialisation, eta {e.eta:g}, mini-batch "
        f"{e.batch_size}, {counted(e.epochs, 'epoch')}, {words['gradient']}"
    )
    others = (
        f"{flag(name)[2:]} {as_text(value)}"
        for name, value in words.items()
        if name not in _ALWAYS and value != usual[name]
    )
    data = f"{e.evaluate_on} data" + f" of {source}" * (source != Source())
    parts = first, *others, data, f"{here['dtype']} on {here['device']}"
    print(printable(", ".join(parts)), flush=True)
    if resumed is None:
        return
    done = f"{len(resumed.records)} of {e.epochs} epochs were done before"
    print(f"{done}{': the run is finished' * resumed.finished}.", flush=True)
    for name, value in here.items():
        before = resumed.manifest.environment.get(name)
        if before != value and name != "commit":
            got = f"{name} {before}, not {value}"
            words = printable(f"It began with {got}: its last bits may differ.")
            print(words, flush=True)
