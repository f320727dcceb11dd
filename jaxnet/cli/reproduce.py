"""`python -m jaxnet reproduce`: the book's experiments, each with many seeds."""

import argparse
from pathlib import Path

from jaxnet.cli import devices
from jaxnet.cli.console import aligned, counted, tell, track
from jaxnet.cli.options import MAX_NETWORKS, UsageError, add_data, integer, source_of
from jaxnet.experiments import CLAIMS, Claim, reproduce, result
from jaxnet.experiments.reproduce import missing, table

DESCRIPTION = (
    "Run the book's experiments with many seeds on all cores or devices, save every "
    "curve in a file, and compare the book's number with the distribution. Finished "
    "networks are kept, and the same command continues; processes with the same folder "
    "share the work."
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Which experiments, how many seeds, and where the files are."""
    help = "experiments (default: all but those of chapter 6, of hours)"
    parser.add_argument("names", nargs="*", metavar="NAME", help=help)
    help = "seeds of each experiment, 1 to N (default: 20)"
    seeds = integer(1, MAX_NETWORKS)
    parser.add_argument("--seeds", metavar="N", default=20, type=seeds, help=help)
    help, folder = "where the files are kept (default: results)", Path("results")
    parser.add_argument("--out", metavar="FOLDER", default=folder, type=Path, help=help)
    parser.add_argument("--list", action="store_true", help="list the experiments")
    help = "print only the table, of the files as they are"
    parser.add_argument("--table", action="store_true", help=help)
    add_data(parser)


def run(args: argparse.Namespace) -> int:
    """Train what is missing, print the table, and return the exit code."""
    names = args.names or [
        name
        for name, claim in CLAIMS.items()
        if args.list or args.table or claim.section != "web 6"
    ]
    if unknown := [name for name in names if name not in CLAIMS]:
        wanted = "expected names of `jaxnet reproduce --list`"
        raise UsageError(f"{wanted}, got {unknown[0]!r}")
    if args.list:
        rows = [["experiment", "section", "the book", "its statistic"]]
        rows += [_listed(name, CLAIMS[name]) for name in names]
        print(*aligned(rows), sep="\n")
        return 0
    code = 0
    if not args.table:
        devices.prepare(args.seeds, (784, 30, 10), 10)
        data = source_of(args).load(as_bytes=True)
        try:
            for name in names:
                if todo := missing(name, args.seeds, args.out):
                    tell(f"{name}: {counted(len(todo), 'network')}")
                    for _ in reproduce(name, data, todo, args.out, track):
                        pass
        except KeyboardInterrupt:
            tell("interrupted; what is done is kept")
            code = 130
    results = [found for name in names if (found := result(name, args.out))]
    if not results:
        tell(f"no results in {args.out}")
        return code or 1
    print(*aligned(table(results, {})), sep="\n")
    return code


def _listed(name: str, claim: Claim) -> list[str]:
    """A row of the list: per cent with two decimals, a cost with its digits."""
    form = ".2f" if claim.measure.percent else "g"
    number = "-" if claim.number is None else f"{claim.number:{form}}"
    return [name, claim.section, number, claim.statistic.name]
