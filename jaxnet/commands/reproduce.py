"""`python -m jaxnet reproduce`: the book's experiments, each with many seeds."""

import argparse
import sys
from pathlib import Path

from jaxnet import devices
from jaxnet.commands.options import MOST_NETWORKS, Options, whole
from jaxnet.experiments import CLAIMS
from jaxnet.owndata import load_data
from jaxnet.progress import track
from jaxnet.report import counted
from jaxnet.reproduce import file_of, missing, reproduce, result, table

HELP = "run the book's experiments with many seeds, and compare its numbers"
DESCRIPTION = (
    "Run the book's experiments with many seeds on all cores or devices, keep every "
    "curve in a file for each, and say where the book's number lies among what was "
    "found. Networks that are done are kept: the same command goes on from there."
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Which experiments, how many seeds, and where the files are."""
    add = Options(parser)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="experiments (default: all)"
    )
    add.value(
        "--seeds", 20, whole(1, MOST_NETWORKS), "N", "seeds of each experiment, 1 to N"
    )
    add.value("--out", Path("results"), Path, "FOLDER", "where the files are kept")
    parser.add_argument("--list", action="store_true", help="list the experiments")
    parser.add_argument(
        "--table", action="store_true", help="only the table, of the files as they are"
    )
    add.data()


def run(args: argparse.Namespace) -> int:
    """Train what is missing, print the table, and return the exit code."""
    names = args.names or list(CLAIMS)
    for name in names:
        if name not in CLAIMS:
            raise argparse.ArgumentError(
                None, f"expected names of `jaxnet reproduce --list`, got {name!r}"
            )
    if args.list:
        for name in names:
            stated = CLAIMS[name].number
            print(f"{name:<28}section {CLAIMS[name].section:<9}{stated or ''}")
        return 0
    code = 0
    if not args.table:
        devices.prepare(args.seeds, (784, 30, 10), 10)
        data = load_data(args.data, as_bytes=True)
        try:
            for name in names:
                todo = missing(name, args.seeds, args.out)
                if not todo:
                    continue
                words = f"{name}: {counted(len(todo), 'network')}"
                print(words, file=sys.stderr, flush=True)
                done = reproduce(name, data, todo, args.out)
                total = len(todo) * CLAIMS[name].experiment.reports
                for _ in track((1 for n in done for _ in range(n)), total, name):
                    pass
        except KeyboardInterrupt:
            print("interrupted; what is done is kept", file=sys.stderr)
            code = 130
    results = [found for name in names if (found := result(name, args.out))]
    if not results:
        print(f"no results in {file_of(names[0], args.out).parent}", file=sys.stderr)
        return code or 1
    print(*table(results, {}), sep="\n")
    return code
