"""The book's numbers, chapters 1 and 3, over many seeds: README.md's table.

`python scripts/reproduce.py` does what `python -m jaxnet reproduce` does, into
data/results, then counts what the baselines get right, and writes the table. Started
again after an interruption it goes on; `--table` only writes the table again.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))  # as a file or as a module

from jaxnet.cli import main as jaxnet  # noqa: E402
from jaxnet.experiments import CLAIMS  # noqa: E402
from jaxnet.reproduce import result, table  # noqa: E402
from scripts import ch1_baselines, tables  # noqa: E402

BASELINES = tables.RESULTS / "baselines.json"
BOOK = {
    "guessing": ("10", "about"),
    "average darkness": ("22.25", "exactly"),
    "support vector machine": ("94.35", "exactly"),
    "tuned support vector machine": ("98.5", "above"),
}
NOTES = {
    name: "; replayed exactly, see below"
    for name in (
        *("1,000 images", "1,000 images, L2", "50,000 images, L2"),
        *("large weights, 30", "scaled weights, 30"),
        *("large weights, 100", "scaled weights, 100"),
        *("training cost, eta 0.025", "training cost, eta 0.25"),
        *(name for name in CLAIMS if name.startswith("of ")),
    )
}


def lines() -> list[str]:
    """The tables of the files as they are."""
    results = [r for name in CLAIMS if (r := result(name, tables.RESULTS))]
    found = table(results, NOTES)
    if BASELINES.exists():
        right = json.loads(BASELINES.read_text())
        found += [
            "",
            "| baseline, test images | the book | found |",
            "| --- | --- | --- |",
        ]
        for name, count in right.items():
            plain = name.partition(" (")[0]
            number, how = BOOK.get(plain, ("-", ""))
            found.append(f"| {name} | {how} {number} | {count / 100:.2f} |")
    return found


def main(seeds: int = 20, only_table: bool = False) -> int:
    """Fill the files and write the table; the exit code is 130 after Ctrl-C."""
    code = 0
    if not only_table:
        out = ["--out", str(tables.RESULTS), "--seeds", str(seeds)]
        code = jaxnet(["reproduce", *out])
        if code == 0 and not BASELINES.exists():
            right: dict[str, Any] = ch1_baselines.main()
            BASELINES.write_text(json.dumps(right, indent=1) + "\n")
    tables.put("reproduce", lines())
    return code


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=20, help="(default: 20)")
    parser.add_argument("--table", action="store_true", help="only write the table")
    options = parser.parse_args()
    sys.exit(main(options.seeds, options.table))
