"""Chapter 3 (web): how to choose a neural network's hyper-parameters.

Book: with eta 10 and lambda 1000 a network learns nothing; stripped down to 784-10 and
1,000 images it answers at once, and eta 1, lambda 20 come out best; the threshold for
eta is about 0.5; eta 0.025, 0.25 and 2.5 creep, saturate and oscillate; lambda goes by
factors of 10; a mini-batch size is chosen by the clock.
"""

from dataclasses import replace

import numpy as np

import jaxnet
from jaxnet.experiments import Experiment
from jaxnet.progress import end_with_pipe, track
from jaxnet.runs import run, sweep

BOOK = Experiment(
    eta=0.5,
    cost=jaxnet.cross_entropy,
    init_layer=jaxnet.scaled_layer,
    evaluate_on="validation",
)


LAMBDA = 5.0


def training_cost(params, train, evaluation):
    """The cost of the training data, with its L2 term as in the book."""
    options = {"l2": LAMBDA, "n": len(train)}
    return jaxnet.total_cost(params, train, jaxnet.cross_entropy, **options)


def history(experiment, data, seeds, label, measure=None, **values) -> np.ndarray:
    """What a sweep measured, of shape (settings, seeds, epochs)."""
    train, evaluation = data
    epochs = sweep(experiment, train, evaluation, seeds, measure, **values)
    return np.stack(list(track(epochs, experiment.epochs, label)), axis=-1)


def show(name, values):
    """One line: a setting, and what came of it, nan being a network that broke."""
    print(f"  {name:<24}", *(f"{value:.4g}" for value in values))


def bad_start(experiment, data, seeds):
    """Accuracies of shape (seeds, epochs)."""
    print("A bad start, eta 10 and lambda 1000: accuracy after each epoch")
    found = history(experiment, data, seeds, "bad start", eta=[10.0], l2=[1000.0])[0]
    for seed, accuracies in zip(seeds, found, strict=True):
        show(f"seed {seed}", accuracies)
    return found


def stripped_down(experiment, data, seeds):
    """Right answers of 100, (settings, seeds, epochs), of 784-10 on 1,000 images."""
    print("784-10, 1,000 images, 100 for validation: right answers of 100")
    train, validation = data
    few = (train[:1000], validation[:100])
    etas, l2s = (10.0, 10.0, 100.0, 1.0), (1000.0, 20.0, 20.0, 20.0)
    small = replace(experiment, sizes=(784, 10), train_on=None)
    found = 100 * history(small, few, seeds, "784-10", eta=etas, l2=l2s)
    for eta, l2, right in zip(etas, l2s, found, strict=True):
        show(f"eta {eta:g}, lambda {l2:g}", right[0][:10])
    return found


def find_threshold(experiment, data, seeds, low=0.01, high=100.0):
    """The largest eta of a grid up to which the training cost falls in every epoch."""
    print("The threshold for eta: training cost after each epoch")
    for points in (5, 9):  # by factors of 10, then finer between neighbours
        etas = np.geomspace(low, high, points).tolist()
        costs = history(experiment, data, seeds, "eta", training_cost, eta=etas)
        costs = costs.mean(axis=1)
        falls = np.cumprod((np.diff(costs, axis=1) < 0).all(axis=1))
        best = max(int(falls.sum()) - 1, 0)
        for eta, cost in zip(etas, costs, strict=True):
            show(f"eta {eta:.3g}", cost)
        low, high = etas[best], etas[min(best + 1, points - 1)]
    print(f"  the cost still falls at eta {low:.2g}; take half of that")
    return float(low)


def three_etas(experiment, data, seeds, etas=(0.025, 0.25, 2.5)):
    """Training costs of shape (etas, epochs)."""
    print("Three learning rates: training cost after each epoch")
    found = history(experiment, data, seeds, "three etas", training_cost, eta=etas)
    for eta, costs in zip(etas, found[:, 0], strict=True):
        show(f"eta {eta:g}", costs)
    return found[:, 0]


def choose_lambda(experiment, data, seeds):
    """The best validation accuracy, mean over seeds, for each lambda tried."""
    print("lambda by factors of 10, then between: best validation accuracy")
    tried: dict[float, float] = {}
    l2s = [0.0, 0.1, 1.0, 10.0, 100.0]
    for _ in range(2):
        found = history(experiment, data, seeds, "lambda", l2=l2s)
        best = np.nan_to_num(found).max(axis=2).mean(axis=1)
        tried |= dict(zip(l2s, map(float, best), strict=True))
        centre = max(max(tried, key=lambda l2: tried[l2]), 0.1)
        l2s = [part * centre for part in (0.25, 0.5, 2.0, 4.0)]
    for l2, accuracy in sorted(tried.items()):
        show(f"lambda {l2:.3g}", [accuracy])
    return tried


def by_the_clock(experiment, train, validation, batch_sizes):
    """Seconds and accuracies after each epoch, for each mini-batch size."""
    print("Mini-batch size, eta 0.05 m up to 1: validation accuracy by elapsed seconds")
    found = {}
    for m in batch_sizes:
        sized = replace(experiment, batch_size=m, eta=min(0.05 * m, 1.0))
        epochs = list(run(sized, train, validation, [1]))
        elapsed = np.cumsum([epoch.seconds for epoch in epochs])
        accuracies = np.array([float(epoch.accuracy[0]) for epoch in epochs])
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
    """Go the book's way from a bad start to good values, printing each step."""
    split, some = jaxnet.load_mnist(data), range(1, seeds + 1)
    whole = (split.train, split.validation)
    book = replace(BOOK, train_on=images, epochs=epochs)
    quick = replace(book, epochs=quick_epochs)
    return {
        "bad start": bad_start(book, whole, some),
        "stripped": stripped_down(book, whole, some),
        "threshold": find_threshold(replace(quick, l2=LAMBDA), whole, some[:1]),
        "three etas": three_etas(replace(book, l2=LAMBDA), whole, some[:1]),
        "lambda": choose_lambda(quick, whole, some),
        "mini-batch": by_the_clock(quick, *whole, batch_sizes),
    }


if __name__ == "__main__":
    end_with_pipe()
    main()
