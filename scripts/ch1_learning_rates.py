"""Chapter 1.6: too small a learning rate, too large a one, and the search between.

Book: 784-100-10 with eta 0.001 creeps from 1139 to 2142 right answers of 10,000 in 30
epochs; raising eta to 0.01, 0.1, 1.0 and 3.0 helps each time; 784-30-10 with eta 100
says one digit to everything (1009, later 982: how many nines and fours there are).
"""

import numpy as np

import jaxnet
from jaxnet.cli.console import script, track
from jaxnet.experiments import Experiment, curves, sweep


def main(
    data: str | None = None,
    etas: tuple[float, ...] = (0.001, 0.01, 0.1, 1.0, 3.0),
    too_large: float = 100.0,
    hidden: tuple[int, int] = (100, 30),
    epochs: int = 30,
    seeds: int = 3,
    batch_size: int = 10,
) -> dict[float, np.ndarray]:
    """Print and return accuracies of shape (epochs, seeds) for each eta."""
    split = jaxnet.load_mnist(data)
    n, n_in = len(split.test), split.test.x.shape[1]
    results, some = {}, range(1, seeds + 1)
    for hidden_neurons, rates in zip(hidden, (etas, (too_large,)), strict=True):
        sizes = (n_in, hidden_neurons, 10)
        experiment = Experiment(sizes=sizes, epochs=epochs, batch_size=batch_size)
        networks = sweep(
            experiment, split.train, split.test, some, eta=rates, progress=track
        )
        found = list(networks)
        for eta in rates:
            print(f"{'-'.join(map(str, sizes))}, eta {eta}: correct answers of {n}")
            networks = [network for network in found if network.rates["eta"] == eta]
            results[eta] = curves(networks).T / n
            for network in networks:
                print(f"  seed {network.seed}:", *network.curve)
    return results


if __name__ == "__main__":
    script(main)
