"""The book's numbers, chapters 1, 3 and 5, over many seeds: the tables of results.

`python scripts/reproduce.py` does what `python -m jaxnet reproduce` does, into
data/results, then counts the baselines' correct answers, measures the speeds of layers,
and writes the tables in that folder's README and the main one. The same command resumes
after an interruption; `--only-table` only writes the tables again.
"""

import json
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))  # as a file or as a module

from jaxnet.cli import main as jaxnet  # noqa: E402
from jaxnet.cli.console import script  # noqa: E402
from jaxnet.experiments import CLAIMS, result  # noqa: E402
from jaxnet.experiments.reproduce import table  # noqa: E402
from scripts import (  # noqa: E402
    ch1_baselines,
    ch1_ten_or_four_outputs,
    ch5_speeds,
    tables,
)

BASELINES = tables.RESULTS / "baselines.json"
OUTPUTS = tables.RESULTS / "ten-or-four-outputs.json"
SPEEDS = tables.RESULTS / "layer-speeds.json"
BOOK = {
    "guessing": "about 10",
    "average darkness": "exactly 22.25",
    "support vector machine": "exactly 94.35",
    "tuned support vector machine": "above 98.5",
}
NOTES = {
    name: "; replayed exactly, see below"
    for name in (
        *("1,000 images", "1,000 images, L2", "50,000 images, L2"),
        *("large weights, 30", "scaled weights, 30"),
        *("large weights, 100", "scaled weights, 100"),
        *("training cost, eta 0.025", "training cost, eta 0.25"),
        *(name for name in CLAIMS if name.startswith("of ")),
        *(name for name in CLAIMS if name.startswith("1,000 images") and ":" in name),
    )
}
SHORT = (
    *("30 hidden", "100 hidden", "cross-entropy, 100"),
    *("50,000 images, L2", "scaled weights, 100", "100 hidden, tuned"),
)
"""The rows of the main README."""


def short() -> list[str]:
    """The main README's table, of the files as they are."""
    results = [r for name in SHORT if (r := result(name, tables.RESULTS))]
    header, *rows = (row[:6] for row in table(results, {}))
    return tables.table(header, rows)


def lines() -> list[str]:
    """The tables of the files as they are."""
    results = [r for name in CLAIMS if (r := result(name, tables.RESULTS))]
    header, *rows = table(results, NOTES)
    found = tables.table(header, rows)
    if BASELINES.exists():
        rows = [
            (name, BOOK.get(name.partition(" (")[0], "-"), f"{count / 100:.2f}")
            for name, count in json.loads(BASELINES.read_text()).items()
        ]
        header = ("baseline, test images", "the book", "found")
        found += ["", *tables.table(header, rows)]
    if OUTPUTS.exists():
        rows = []
        for name, curves in json.loads(OUTPUTS.read_text()).items():
            best = 100 * np.max(curves, axis=1)
            low, middle, high = np.quantile(best, [0.05, 0.5, 0.95])
            rows.append((name, f"{middle:.2f} [{low:.2f}, {high:.2f}]", str(len(best))))
        header = ["784-30, eta 3 (1.4: ten outputs learn better)"]
        header += ["best epoch: median [5 %, 95 %]", "seeds"]
        found += ["", *tables.table(header, rows)]
    if SPEEDS.exists():
        found += ["", *speeds(json.loads(SPEEDS.read_text()))]
    return found


def measure_speeds() -> dict[str, list]:
    """The speeds of layers at initialisation, and before the last epoch of training."""
    found = ch5_speeds.main(out=tables.FIGURES / "ch5_speeds.png")
    rows = {k: v for k, v in found.items() if k.startswith("initial")}
    rows |= {k: v[:, -1] for k, v in found.items() if k.startswith("training")}
    return {k: [[float(f"{s:.4g}") for s in row] for row in v] for k, v in rows.items()}


def speeds(found: dict[str, list]) -> list[str]:
    """The table of the speeds of layers."""
    rows = []
    for depth, book in ch5_speeds.BOOK.items():
        first, last = (
            np.array(found[f"{k}, {depth}"]) for k in ("initial", "training")
        )
        for l in range(depth):
            numbers = ch5_speeds.LAST[depth][l], last[:, l]
            cells = [f"{depth}, layer {l + 1}"]
            for number, speeds in ((book[l], first[:, l]), numbers):
                low, high = speeds.min(), speeds.max()
                cells += [
                    f"{number:.2g}",
                    f"{speeds.mean():.2g} [{low:.2g}, {high:.2g}]",
                ]
            rows.append(cells)
    seeds, trained = len(found["initial, 2"]), len(found["training, 2"])
    header = ["hidden layers (web 5.2): speed", "the book, at initialisation"]
    header += [f"mean [min, max] of {seeds} seeds", "the book, after 500 epochs"]
    return tables.table([*header, f"mean [min, max] of {trained} seeds"], rows)


def main(seeds: int = 20, only_table: bool = False) -> int:
    """Fill the files and write the tables; the exit code is 130 after Ctrl-C.

    seeds: of each experiment
    only_table: write the tables of the files as they are
    """
    code = 0
    if not only_table:
        out = ["--out", str(tables.RESULTS), "--seeds", str(seeds)]
        code = jaxnet(["reproduce", *out])
        if code == 0 and not BASELINES.exists():
            correct = ch1_baselines.main()
            BASELINES.write_text(json.dumps(correct, indent=1) + "\n")
        if code == 0 and not OUTPUTS.exists():
            of_seeds = ch1_ten_or_four_outputs.main(seeds=seeds)
            curves = {k: v.T.round(4).tolist() for k, v in of_seeds.items()}
            OUTPUTS.write_text(json.dumps(curves) + "\n")
        if code == 0 and not SPEEDS.exists():
            SPEEDS.write_text(json.dumps(measure_speeds()) + "\n")
    tables.put(tables.OF_RESULTS, "reproduce", lines())
    tables.put(tables.README, "reproduce", short())
    return code


if __name__ == "__main__":
    script(main)
