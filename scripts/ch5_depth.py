"""Chapter 5 (web): more hidden layers do not classify digits better.

Book, validation data: 96.48 % with one hidden layer of 30 neurons, 96.90 % with two,
96.57 % with three and 96.53 % with four: early layers hardly learn.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))  # as a file or as a module

from jaxnet.cli.console import script
from jaxnet.cli.summary import Summary
from scripts import ch3_digits

DEPTHS = tuple(f"hidden layers: {n}" for n in (1, 2, 3, 4))


def main(
    data: str | None = None, epochs: int | None = None, seeds: int = 3
) -> dict[str, Summary]:
    """Train each network with `seeds` seeds and print what it comes to.

    epochs: of each (default: those of the book)
    """
    return ch3_digits.main(data, DEPTHS, epochs, seeds)


if __name__ == "__main__":
    script(main)
