"""Chapter 1.6: a network learns to read digits.

Book: 784-30-10 reaches 95.42 % and 784-100-10 reaches 96.59 %, each the best epoch of
the best of three runs; footnote 7 warns that some runs do much worse.
"""

from dataclasses import replace

from jaxnet import load_mnist
from jaxnet.experiments import CLAIMS
from jaxnet.progress import end_with_pipe, follow
from jaxnet.report import Record, lines


def main(
    data: str | None = None,
    claims: tuple[str, ...] = ("30 hidden", "100 hidden"),
    epochs: int = 30,
    seeds: int = 3,
) -> dict[str, Record]:
    """Train each network with `seeds` seeds and print what it comes to."""
    split = load_mnist(data)
    records = {}
    for name in claims:
        print(f"{name}:")
        experiment = replace(CLAIMS[name].experiment, epochs=epochs)
        records[name] = follow(experiment, split, range(1, seeds + 1))
        print(*lines(records[name]), sep="\n")
        if records[name].interrupted:
            break
    return records


if __name__ == "__main__":
    end_with_pipe()
    main()
