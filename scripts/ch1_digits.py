"""Chapter 1.6: a network learns to read digits.

Book: 784-30-10 reaches 95.42 % and 784-100-10 reaches 96.59 %, each the best epoch of
the best of three runs; footnote 7 warns that some runs do much worse.
"""

from collections.abc import Iterator, Sequence

import jax

import jaxnet
from jaxnet.cli.console import script

BOOK = {30: 95.42, 100: 96.59}  # per cent, by the number of hidden neurons


def learn(split: jaxnet.Split, hidden: int, epochs: int, seed: int) -> Iterator[float]:
    """The test accuracy of one network after each epoch."""
    key = jax.random.key(seed)
    state = jaxnet.start(jaxnet.init(key, [784, hidden, 10]))
    for number in range(epochs):
        epoch_key = jax.random.fold_in(key, number)
        state = jaxnet.epoch(epoch_key, state, split.train, batch_size=10, eta=3.0)
        yield float(jaxnet.accuracy(state.params, split.test))


def main(
    data: str | None = None,
    hidden: Sequence[int] = (30, 100),
    epochs: int = 30,
    seeds: int = 3,
) -> dict[int, list[list[float]]]:
    """Print and return the accuracies of each run, by the number of hidden neurons.

    Ctrl-C ends the runs, and keeps the epochs that are done.
    """
    split = jaxnet.load_mnist(data)
    runs = {n: [] for n in hidden}
    try:
        for n in hidden:
            for seed in range(1, seeds + 1):
                print(f"{n} hidden neurons, seed {seed}:")
                runs[n].append([])
                for number, accuracy in enumerate(learn(split, n, epochs, seed)):
                    runs[n][-1].append(accuracy)
                    right = round(accuracy * len(split.test))
                    print(f"Epoch {number}: {right} / {len(split.test)}", flush=True)
    except KeyboardInterrupt:
        print("Interrupted.")
    for n in hidden:
        best = [max(accuracies) for accuracies in runs[n] if accuracies]
        if best:
            each = ", ".join(f"{accuracy:.2%}" for accuracy in best)
            book = f", the book's {BOOK[n]:.2f}%" if n in BOOK else ""
            print(f"{n} hidden neurons: best epoch of each run {each}")
            print(f"  best of these runs {max(best):.2%}{book}")
    return runs


if __name__ == "__main__":
    script(main)
