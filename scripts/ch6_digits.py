"""Chapter 6: a convolutional network learns to read digits.

Book: 98.78 % with one convolution and 99.06 % with two, the test accuracy at the epoch
of the best validation accuracy, best of three runs; a network without them 97.80 %.
`python -m jaxnet reproduce` has the chapter's other networks, by their names.
"""

from collections.abc import Iterator, Sequence

import jax

import jaxnet
from jaxnet import Image, convolution, max_pool
from jaxnet.cli.console import script
from jaxnet.network import Size

ONE = (Image(28, 28), convolution(20, 5), max_pool(2))
NETWORKS: dict[str, tuple[Size, ...]] = {
    "no convolution": (784, 100, 10),
    "one convolution": (*ONE, 100, 10),
    "two convolutions": (*ONE, convolution(40, 5), max_pool(2), 100, 10),
}
BOOK = dict(zip(NETWORKS, (97.80, 98.78, 99.06), strict=True))


def learn(
    split: jaxnet.Split, sizes: Sequence[Size], epochs: int, seed: int
) -> Iterator[tuple[float, float]]:
    """The validation and test accuracies of one network after each epoch."""
    key, scaled = jax.random.key(seed), jaxnet.scaled_layer
    params = jaxnet.init(key, sizes, output=jaxnet.softmax, init_layer=scaled)
    state, cost = jaxnet.start(params), jaxnet.log_likelihood
    accuracy = jax.jit(jaxnet.accuracy)
    for number in range(epochs):
        epoch_key = jax.random.fold_in(key, number)
        state = jaxnet.epoch(
            epoch_key, state, split.train, batch_size=10, eta=0.1, cost=cost
        )
        validation, test = (
            float(accuracy(state.params, data))
            for data in (split.validation, split.test)
        )
        yield validation, test


def main(
    data: str | None = None,
    networks: Sequence[str] = tuple(NETWORKS),
    epochs: int = 60,
    seeds: int = 3,
) -> dict[str, list[float]]:
    """Print and return the test accuracy of each run at its best validation epoch."""
    split = jaxnet.datasets.load_data(data, as_bytes=True)
    found: dict[str, list[float]] = {}
    for name in networks:
        found[name] = []
        for seed in range(1, seeds + 1):
            best = (0.0, 0.0)
            print(f"{name}, seed {seed}:")
            for number, after in enumerate(learn(split, NETWORKS[name], epochs, seed)):
                best = max(best, after, key=lambda pair: pair[0])
                words = f"validation {after[0]:.2%}, test {after[1]:.2%}"
                print(f"Epoch {number}: {words}", flush=True)
            found[name].append(best[1])
        each = ", ".join(f"{accuracy:.2%}" for accuracy in found[name])
        print(f"{name}: {each}; the book's {BOOK[name]:.2f}%")
    return found


if __name__ == "__main__":
    script(main)
