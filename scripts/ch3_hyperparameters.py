"""Chapter 3 (web): how to choose a neural network's hyper-parameters.

Book: with eta 10 and lambda 1000 a network learns nothing; stripped down to 784-10 and
1,000 images it answers at once, and eta 1, lambda 20 come out best; the threshold for
eta is about 0.5; eta 0.025, 0.25 and 2.5 creep, saturate and oscillate; lambda goes by
factors of 10; a mini-batch size is chosen by the clock.
"""

from dataclasses import replace

import numpy as np

import jaxnet
from jaxnet.cli.console import script, track
from jaxnet.experiments import Experiment, curves, run, sweep
from jaxnet.experiments.claims import ACCURACY, TRAINING_COST

BOOK = Experiment(
    eta=0.5,
    cost=jaxnet.cross_entropy,
    init_layer=jaxnet.scaled_layer,
    evaluate_on="validation",
)
LAMBDA = 5.0


def history(experiment, data, seeds, measure=ACCURACY, **values) -> np.ndarray:
    """What a sweep measured, of shape (settings, seeds, epochs)."""
    options = {"measure": measure, "progress": track}
    networks = sweep(experiment, data[0], data[1], seeds, **values, **options)
    found = curves(list(networks))
    scale = len(data[1]) if measure == ACCURACY else 1
    return found.reshape(-1, len(seeds), found.shape[1]) / scale


def show(name, values):
    """Print a setting, and what it led to, where nan is a network that diverged."""
    print(f"  {name:<24}", *(f"{value:.4g}" for value in values))


def bad_start(experiment, data, seeds):
    """Accuracies of shape (seeds, epochs)."""
    print("A bad start, eta 10 and lambda 1000: accuracy after each epoch")
    [found] = history(experiment, data, seeds, eta=[10.0], l2=[1000.0])
    for seed, accuracies in zip(seeds, found, strict=True):
        show(f"seed {seed}", accuracies)
    return found


def stripped_down(experiment, data, seeds):
    """Correct answers of 100, (settings, seeds, epochs), of 784-10 on 1,000 images."""
    print("784-10, 1,000 images, 100 for validation: correct answers of 100")
    train, validation = data
    few = (train[:1000], validation[:100])
    etas, l2s = (10.0, 10.0, 100.0, 1.0), (1000.0, 20.0, 20.0, 20.0)
    small = replace(experiment, sizes=(784, 10), train_on=None)
    found = 100 * history(small, few, seeds, eta=etas, l2=l2s)
    for eta, l2, counts in zip(etas, l2s, found, strict=True):
        show(f"eta {eta:g}, lambda {l2:g}", counts[0][:10])
    return found


def training_costs(experiment, data, seed, etas):
    """Training costs of shape (etas, epochs), which are printed."""
    costs = history(experiment, data, [seed], TRAINING_COST, eta=etas)[:, 0]
    for eta, cost in zip(etas, costs, strict=True):
        show(f"eta {eta:.3g}", cost)
    return costs


def find_threshold(experiment, data, seed, low=0.01, high=100.0):
    """The largest eta of a grid up to which the training cost falls in every epoch."""
    print("The threshold for eta: training cost after each epoch")
    for points in (5, 9):  # by factors of 10, then finer between neighbours
        etas = np.geomspace(low, high, points).tolist()
        costs = training_costs(experiment, data, seed, etas)
        falls = np.cumprod((np.diff(costs, axis=1) < 0).all(axis=1))
        if falls.all():  # no upper end to be found in this range
            return high
        best = max(int(falls.sum()) - 1, 0)
        low, high = etas[best : best + 2]
    print(f"  the cost still falls at eta {low:.2g}; take half of that")
    return float(low)


def three_etas(experiment, data, seed, etas=(0.025, 0.25, 2.5)):
    """Training costs of shape (etas, epochs)."""
    print("Three learning rates: training cost after each epoch")
    return training_costs(experiment, data, seed, etas)


def choose_lambda(experiment, data, seeds):
    """The best validation accuracy, mean over seeds, for each lambda tried."""
    print("lambda by factors of 10, then between: best validation accuracy")
    tried: dict[float, float] = {}
    l2s = [0.0, 0.1, 1.0, 10.0, 100.0]
    for _ in range(2):
        found = history(experiment, data, seeds, l2=l2s)
        best = np.nan_to_num(found).max(axis=2).mean(axis=1)
        tried |= dict(zip(l2s, map(float, best), strict=True))
        centre = max(max(tried, key=lambda l2: tried[l2]), 0.1)
        l2s = [part * centre for part in (0.25, 0.5, 2.0, 4.0)]
    for l2, accuracy in sorted(tried.items()):
        show(f"lambda {l2:.3g}", [accuracy])
    return tried


def by_the_clock(experiment, data, batch_sizes):
    """Seconds and accuracies after each epoch, for each mini-batch size."""
    print("Mini-batch size, eta 0.05 m up to 1: validation accuracy by elapsed seconds")
    found = {}
    for m in batch_sizes:
        sized = replace(experiment, batch_size=m, eta=min(0.05 * m, 1.0))
        epochs = list(run(sized, data[0], data[1], [1]))
        elapsed = np.cumsum([epoch.record.seconds for epoch in epochs])
        accuracies = [float(epoch.accuracy[0]) for epoch in epochs]
        found[m] = np.array([elapsed, accuracies])
        print(f"  {m:>5}:", *(f"{t:.2f}s {a:.4f}" for t, a in found[m].T))
    return found


def main(
    data: str | None = None,
    epochs: int = 30,
    quick_epochs: int = 5,
    seeds: int = 3,
    images: int | None = None,
    batch_sizes: tuple[int, ...] = (1, 10, 100, 1000),
) -> dict:
    """Go the book's way from a bad start to good values, printing each step.

    images: to learn from, at the end (default: all)
    """
    train, validation, _ = jaxnet.load_mnist(data)
    split, some = (train, validation), range(1, seeds + 1)
    book = replace(BOOK, train_on=images, epochs=epochs)
    quick = replace(book, epochs=quick_epochs)
    return {
        "bad start": bad_start(book, split, some),
        "stripped": stripped_down(book, split, some),
        "threshold": find_threshold(replace(quick, l2=LAMBDA), split, 1),
        "three etas": three_etas(replace(book, l2=LAMBDA), split, 1),
        "lambda": choose_lambda(quick, split, some),
        "mini-batch": by_the_clock(quick, split, batch_sizes),
    }


if __name__ == "__main__":
    script(main)
