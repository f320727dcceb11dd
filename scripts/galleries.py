"""Figures of one network: what it has learnt, and what it mistakes."""

from pathlib import Path

import jax
import numpy as np

import jaxnet
from jaxnet import figures
from jaxnet.cli import evaluate
from jaxnet.runs import TrainedNetwork

# Test images that are hard to read: the author's list for the figure in chapter 1.6.
HARD_DIGITS = (
    *(324, 582, 659, 726, 846, 956, 1124, 1393, 1773),
    *(1868, 2018, 2109, 2654, 4199, 4201, 4620, 5457, 5642),
)


def trained(
    data: jaxnet.Dataset, epochs: int, hidden: int = 30, seed: int = 0
) -> jaxnet.Params:
    """A network with cross-entropy and L2, eta 0.5, and scaled first weights."""
    key = jax.random.key(seed)
    params = jaxnet.init(key, [784, hidden, 10], init_layer=jaxnet.scaled_layer)
    options = {"batch_size": 10, "eta": 0.5, "l2": 5.0, "cost": jaxnet.cross_entropy}
    return jaxnet.train(key, params, data, epochs=epochs, **options)[0]


def draw(params: jaxnet.Params, test: jaxnet.Dataset, out: Path) -> list[Path]:
    """The figures of `evaluate` on MNIST's test images, and of the hard ones."""
    network = TrainedNetwork(params, jaxnet.cross_entropy)
    found = evaluate.measure(network, test, 100)
    names, title = [str(k) for k in range(10)], "784-30-10, cross-entropy and L2"
    paths = [*evaluate.draw(network, test, found, names, title, out)]
    hard = test[np.array(HARD_DIGITS)]
    truth = np.asarray(hard.y).argmax(axis=1)
    answers = network.outputs(hard.x).argmax(axis=1)
    pairs = [*zip(truth.astype(str), answers.astype(str), strict=True)]
    correct = (truth == answers).sum()
    title = f"Hard test images, {correct} of {len(hard)} read correctly"
    path = out / "hard_digits.png"
    paths.append(figures.digits(np.asarray(hard.x), pairs, title, path, 9))
    print(*(f"wrote {path}" for path in paths), sep="\n")
    return paths
