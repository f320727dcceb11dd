"""Chapter 1.6, exercise: a network of two layers, 784-10, with no hidden one.

Book: "what classification accuracy can you achieve?"; no number is given.
"""

from dataclasses import replace

from jaxnet import cross_entropy, load_mnist, scaled_layer
from jaxnet.cli.console import script
from jaxnet.cli.summary import Summary
from jaxnet.cli.train import follow
from jaxnet.experiments import Experiment


def main(
    data: str | None = None, epochs: int = 30, seeds: int = 5
) -> dict[str, Summary]:
    """Train 784-10 as chapter 1 does, then with what chapter 3 brings."""
    split = load_mnist(data)
    n_in = split.train.x.shape[1]
    book = Experiment(sizes=(n_in, 10), epochs=epochs)
    experiments = {
        "quadratic cost, large weights, eta 3": book,
        "quadratic cost, large weights, eta 0.5": replace(book, eta=0.5),
        "quadratic cost, scaled weights, eta 0.5": replace(
            book, eta=0.5, init_layer=scaled_layer
        ),
        "cross-entropy, scaled weights, eta 0.1": replace(
            book, eta=0.1, init_layer=scaled_layer, cost=cross_entropy
        ),
    }
    records = {}
    for name, experiment in experiments.items():
        print(f"{name}:")
        records[name] = follow(experiment, split, range(1, seeds + 1), lines=False)
        print(*records[name].lines(), sep="\n")
        if records[name].interrupted:
            break
    return records


if __name__ == "__main__":
    script(main)
