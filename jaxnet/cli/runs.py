"""`python -m jaxnet runs`: saved runs, in a list or compared."""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from jaxnet import figures, runs
from jaxnet.cli.console import aligned, percent, printable, tell
from jaxnet.cli.options import as_text, flag, read_run
from jaxnet.experiments import StorageError
from jaxnet.experiments.claims import best_of_epochs
from jaxnet.experiments.experiment import described

DESCRIPTION = (
    "List the runs that `train --out` has saved, or compare some of them. The "
    "accuracies of a run with several seeds are means over them."
)
# What a run has besides its experiment.
_ALSO = ("seed", "seeds", "data", "transpose", "label_column")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Two commands: a list, and a comparison."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    each = {
        "list": "a line for each run in a folder",
        "compare": "runs side by side, with the options in which they differ",
    }
    listed, compared = (
        actions.add_parser(name, help=help, description=help, allow_abbrev=False)
        for name, help in each.items()
    )
    help, default = "folder of the runs' folders (default: runs)", Path("runs")
    options = {"metavar": "FOLDER", "type": Path, "help": help}
    listed.add_argument("folder", nargs="?", default=default, **options)
    help = "folders, of a run each"
    compared.add_argument("runs", nargs="+", type=Path, metavar="RUN", help=help)
    help = "picture of the accuracies after each epoch"
    compared.add_argument("--figure", metavar="FILE", type=Path, help=help)


def run(args: argparse.Namespace) -> int:
    """Print a table, draw, and return the exit code."""
    if args.action == "list":
        print(*_list(args.folder), sep="\n")
        return 0
    if args.figure:
        figures.check_can_save(args.figure)
    compared = {str(path): read_run(path) for path in args.runs}
    print(*_compare(compared), sep="\n")
    if args.figure:
        histories = {name: r.history for name, r in compared.items() if r.records}
        tell(f"wrote {figures.curves(histories, args.figure)}")
    return 0


def _list(folder: Path) -> Iterator[str]:
    rows, damaged = [], []
    for path in sorted(folder.iterdir()):
        if not runs.is_run(path):
            continue
        try:
            found = read_run(path)
        except StorageError as error:
            damaged.append(str(error))
            continue
        e = found.experiment
        first = [path.name, "-".join(map(str, e.sizes)), str(len(found.seeds))]
        epochs = f"{len(found.records)}/{e.epochs}"
        last = [f"{e.eta:g}", e.cost.name]
        rows.append([*first, epochs, *_accuracies(found), *last])
    if not rows and not damaged:
        raise StorageError(
            f"{folder}: expected a folder of runs, from train --out "
            f"{folder / 'name'}, got one without any."
        )
    titles = ["run", "sizes", "seeds", "epochs", "best", "last", "eta", "cost"]
    yield from aligned([titles, *rows] if rows else [])
    yield from map(printable, damaged)


def _accuracies(run: runs.Run) -> list[str]:
    if not run.records:
        return ["-", "-"]
    best, last = best_of_epochs(run.history), run.history[:, -1]
    return [percent(float(np.mean(best))), percent(float(np.mean(last)))]


def _compare(compared: dict[str, runs.Run]) -> Iterator[str]:
    options = [
        {**described(run.experiment), **{n: getattr(run.manifest, n) for n in _ALSO}}
        for run in compared.values()
    ]
    rows = [["", *compared]]
    for name in options[0]:
        values = [as_text(each[name]) for each in options]
        if len(set(values)) > 1:
            rows.append([flag(name).strip("-"), *values])
    best, last = zip(*map(_accuracies, compared.values()), strict=True)
    seconds = [[record.seconds for record in r.records] for r in compared.values()]
    medians = [f"{np.median(times):.2g}" if times else "-" for times in seconds]
    rows += [
        ["best", *best],
        ["last", *last],
        ["epochs done", *(str(len(r.records)) for r in compared.values())],
        ["seconds an epoch", *medians],
        ["seconds in all", *(f"{sum(times):.1f}" for times in seconds)],
    ]
    yield from aligned(rows)
