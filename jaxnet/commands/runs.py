"""`python -m jaxnet runs`: the runs that folders keep, in a list or side by side."""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from jaxnet import figures, folders
from jaxnet.commands.trained import tell_refused
from jaxnet.report import spread
from jaxnet.storage import StorageError

HELP = "list the runs that `train --out` has kept, or compare some of them"
DESCRIPTION = (
    "List the runs that `train --out` has kept, or put some of them side by side. The "
    "accuracies of a run with several seeds are means over them."
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Two commands: a list, and a comparison."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    help = "a line for each run in a folder"
    listed = actions.add_parser("list", help=help, description=help, allow_abbrev=False)
    listed.add_argument(
        "folder",
        nargs="?",
        default=Path("runs"),
        type=Path,
        metavar="FOLDER",
        help="folder of the runs' folders (default: %(default)s)",
    )
    help = "runs side by side, with the options in which they differ"
    compared = actions.add_parser(
        "compare", help=help, description=help, allow_abbrev=False
    )
    compared.add_argument(
        "runs", nargs="+", type=Path, metavar="RUN", help="folders, of a run each"
    )
    help = "picture of the accuracies after each epoch"
    compared.add_argument("--figure", metavar="FILE", type=Path, help=help)


def run(args: argparse.Namespace) -> int:
    """Print a table, draw, and return the exit code."""
    if args.action == "list":
        print(*_list(args.folder), sep="\n")
        return 0
    if args.figure:
        figures.check_can_save(args.figure)
    runs = {str(path): folders.read(path) for path in args.runs}
    for each in runs.values():
        tell_refused(each)
    print(*_compare(runs), sep="\n")
    if args.figure:
        done = {name: run.record for name, run in runs.items() if run.lines}
        figures.curves(
            {name: record.history for name, record in done.items()}, args.figure
        )
    return 0


def _list(folder: Path) -> Iterator[str]:
    rows, broken = [], []
    for path in sorted(folder.iterdir()):
        begun = any(path.glob("checkpoint-*.json"))  # if only to its first epoch
        if not begun and not (path / folders.METRICS).exists():
            continue
        try:
            found = folders.read(path)
            tell_refused(found)
            rows.append(_row(path.name, found))
        except StorageError as error:
            broken.append(str(error))
    if not rows and not broken:
        raise StorageError(
            f"{folder}: expected a folder of runs, from train --out "
            f"{folder / 'name'}, got one without any."
        )
    titles = ["run", "sizes", "seeds", "epochs", "best", "last", "eta", "cost"]
    yield from _aligned([titles, *rows] if rows else [])
    yield from broken


def _row(name: str, run: folders.Run) -> list[str]:
    options = run.options
    return [
        name,
        "-".join(map(str, options["sizes"])),
        str(options["seeds"]),
        f"{len(run.lines)}/{options['epochs']}",
        *_accuracies(run),
        f"{options['eta']:g}",
        options["cost"],
    ]


def _accuracies(run: folders.Run) -> list[str]:
    if not run.lines:
        return ["-", "-"]
    means = [spread(found)["mean"] for found in (run.record.best, run.record.last)]
    return ["nan" if mean is None else f"{mean:.2%}" for mean in means]


def _compare(runs: dict[str, folders.Run]) -> Iterator[str]:
    names = list(dict.fromkeys(name for run in runs.values() for name in run.options))
    rows = [["", *runs]]
    for name in names:
        values = [_words(run.options.get(name)) for run in runs.values()]
        if len(set(values)) > 1:
            rows.append([name.replace("_", "-"), *values])
    best, last = zip(*map(_accuracies, runs.values()), strict=True)
    rows += [["best", *best], ["last", *last]]
    rows.append(["epochs done", *(str(len(run.lines)) for run in runs.values())])
    seconds = [[line.seconds for line in run.lines] for run in runs.values()]
    medians = [f"{np.median(times):.2g}" if times else "-" for times in seconds]
    rows.append(["seconds an epoch", *medians])
    rows.append(["seconds in all", *(f"{sum(times):.1f}" for times in seconds)])
    yield from _aligned(rows)


def _words(value: object) -> str:
    if isinstance(value, list):
        return "-".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """The rows with columns below each other, the first to the left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for first, *others in rows:
        cells = zip(others, widths[1:], strict=True)
        yield first.ljust(widths[0]) + "".join(f"  {c:>{width}}" for c, width in cells)
