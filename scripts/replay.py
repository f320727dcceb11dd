"""Chapter 3 (web): the author's recorded runs, replayed number for number.

Book: the figures of overfitting, regularisation, first weights, learning rates and data
size come from seeded programs, whose numbers are published. With their random streams
jaxnet's network, gradient and step give the same accuracies, image for image, and the
same costs to 9 digits or more, until rounding errors have grown large.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))  # as a file or as a module

from jaxnet import load_mnist
from jaxnet.cli import devices
from jaxnet.cli.console import counted, end_with_pipe, track
from jaxnet.experiments import REPLAYS, Replayed, replay, replay_length
from scripts import tables

RESULTS = tables.RESULTS / "replay.json"


@dataclass
class Result:
    """The numbers of a run, recorded and replayed, and whether Ctrl-C ended it."""

    comparisons: list[Replayed] = field(default_factory=list)
    interrupted: bool = False
    seconds: float = 0.0

    @property
    def agrees(self) -> bool:
        """Whether every number that must be equal is."""
        return all(c.equal for c in self.comparisons if c.required)


Comparisons = Sequence[Replayed]


def by_kind(comparisons: Comparisons) -> tuple[Comparisons, Comparisons]:
    """The accuracies, which are counts, and the costs, which have digits."""
    accuracies = [c for c in comparisons if c.digits is None]
    return accuracies, [c for c in comparisons if c.digits is not None]


def line(c: Replayed, data: str) -> str:
    """A number, recorded and replayed; `data` is what the author evaluated it on."""
    series = c.series.replace("evaluation", data)
    exact = ".0f" if c.digits is None else ".16g"
    values = f"recorded {c.recorded:<20{exact}} replayed {c.replayed:<20{exact}}"
    how = "equal" if c.equal else "DIFFERS" if c.required else "differs, as it may"
    return f"Epoch {c.epoch}: {series:<19} {values} {how}"


def verdict(result: Result) -> Iterator[str]:
    """How many of the accuracies and of the costs are equal, in words."""
    if not result.comparisons:
        yield "No number is recorded for these epochs."
    for required, where in ((True, ""), (False, " where rounding errors decide")):
        those = [c for c in result.comparisons if c.required is required]
        accuracies, costs = by_kind(those)
        if accuracies:
            equal = sum(c.equal for c in accuracies)
            yield f"{equal} of {len(accuracies)} accuracies equal{where}."
        if costs:
            equal, worst = sum(c.equal for c in costs), max(c.difference for c in costs)
            yield (
                f"{equal} of {len(costs)} costs equal to {costs[0].digits} digits"
                f"{where}, largest relative difference {worst:.0e}."
            )


def main(
    names: Sequence[str] = tuple(REPLAYS),
    data: str | None = None,
    epochs: int | None = None,
) -> dict[str, Result]:
    """Print and return the numbers of each run; Ctrl-C ends it and keeps them."""
    split = load_mnist(data, as_bytes=True)
    results = {}
    for name in names:
        print(f"{name}:")
        result = results[name] = Result()
        on, began = REPLAYS[name].experiment.evaluate_on, time.perf_counter()
        replayed = replay(name, split, epochs=epochs)
        try:
            for comparisons in track(replayed, replay_length(name, epochs), name):
                result.comparisons += comparisons
                for c in comparisons:
                    print(line(c, on), flush=True)
        except KeyboardInterrupt:
            result.interrupted = True
            print("Interrupted.")
        result.seconds = time.perf_counter() - began
        print(*verdict(result), f"{result.seconds:.1f} s.", sep="\n")
        if result.interrupted:
            break
    return results


def summary(result: Result) -> dict[str, Any]:
    """What a run came to, as JSON values."""
    accuracies, costs = by_kind(result.comparisons)
    differs = [c for c in result.comparisons if not c.equal]
    return {
        "accuracies": [sum(c.equal for c in accuracies), len(accuracies)],
        "costs": [sum(c.equal for c in costs), len(costs)],
        "digits": costs[0].digits if costs else None,
        "differs": [[c.epoch, c.series, c.recorded, c.replayed] for c in differs],
        "seconds": round(result.seconds, 1),
    }


def in_markdown(found: dict[str, Any]) -> list[str]:
    """The table of what `summary` found of each run."""
    rows = []
    for name, run in found.items():
        pairs = [
            f"{equal} of {n}" if n else "-"
            for equal, n in (run["accuracies"], run["costs"])
        ]
        if run["digits"]:
            pairs[1] += f", {run['digits']} digits"
        words = [
            f"epoch {epoch}: {series} {float(there):.10g}, replayed {float(here):.10g}"
            for epoch, series, there, here in run["differs"]
        ]
        rows.append([name, *pairs, "; ".join(words) or "-"])
    header = ("recorded run", "accuracies equal", "costs equal", "what differs")
    return tables.table(header, rows)


def command(argv: Sequence[str] | None = None) -> int:
    """The exit code: 1 if a number differs that must not, 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(
        description="Replay the author's recorded runs.", allow_abbrev=False
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="a run, as listed")
    parser.add_argument("--list", action="store_true", help="list the runs")
    parser.add_argument("--all", action="store_true", help="replay all the runs")
    help = "with --all, and every epoch: put the table in data/results/README.md"
    parser.add_argument("--readme", action="store_true", help=help)
    parser.add_argument("--epochs", type=int, help="only this many epochs of each")
    parser.add_argument("--data", help="the folder of MNIST (default: the one inside)")
    args = parser.parse_args(argv)
    names = list(REPLAYS) if args.all or args.list else args.names
    unknown = [name for name in names if name not in REPLAYS]
    if not names or unknown:
        parser.error(
            f"expected runs from --list, or --all, got {', '.join(unknown) or 'none'}"
        )
    if args.epochs is not None and args.epochs < 1:
        parser.error(f"expected --epochs of at least 1, got {args.epochs}")
    if args.list:
        for name in names:
            e = REPLAYS[name].experiment
            sizes, epochs = (
                "-".join(map(str, e.sizes)),
                counted(replay_length(name), "epoch"),
            )
            print(f"{name}: {sizes}, {epochs}")
        return 0
    devices.prepare(1, REPLAYS[names[0]].experiment.sizes, 10)
    devices.keep_compiled()
    try:
        found = main(names, args.data, args.epochs)
    except ValueError as error:
        parser.error(str(error))
    interrupted = any(result.interrupted for result in found.values())
    if args.readme and args.all and args.epochs is None and not interrupted:
        summaries = {name: summary(result) for name, result in found.items()}
        RESULTS.write_text(json.dumps(summaries, indent=1) + "\n")
        tables.put(tables.OF_RESULTS, "replay", in_markdown(summaries))
    if not all(result.agrees for result in found.values()):
        return 1
    return 130 if interrupted else 0


if __name__ == "__main__":
    end_with_pipe()
    sys.exit(command())
