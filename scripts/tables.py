"""The tables in README files, each written by the script that measured it."""

from collections.abc import Iterable, Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "data" / "results"
FIGURES = RESULTS / "figures"
README = ROOT / "README.md"
OF_RESULTS = RESULTS / "README.md"
OF_SCRIPTS = ROOT / "scripts" / "README.md"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return [f"| {' | '.join(cells)} |" for cells in lines]


def _marks(script: str) -> tuple[str, str]:
    return f"<!-- written by scripts/{script}.py -->", f"<!-- end of {script}.py -->"


def inside(path: Path, script: str) -> list[str]:
    """The lines in a README between a script's marks."""
    start, end = _marks(script)
    text = path.read_text().partition(start)[2].partition(end)[0]
    return text.strip().splitlines()


def put(path: Path, script: str, lines: Sequence[str]) -> None:
    """Replace the lines in a README between a script's marks."""
    start, end = _marks(script)
    before, _, rest = path.read_text().partition(start)
    after = rest.partition(end)[2]
    if not after:
        raise ValueError(f"{path}: expected the marks {start} and {end}, got neither.")
    text = "\n".join([start, "", *lines, "", end])
    path.write_text(before + text + after)
