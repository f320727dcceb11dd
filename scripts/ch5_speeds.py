"""Chapter 5 (web): early layers learn much more slowly than later ones.

Book: at initialisation the hidden layers of 784-30-30-10 learn at ||delta^l|| = 0.07
and 0.31, three hidden layers at 0.012, 0.060 and 0.283, four at 0.003, 0.017, 0.070 and
0.285. In 500 epochs of gradient descent on 1,000 images all slow down,
and the first of four layers stays about 100 times slower than the last.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

import jaxnet
from jaxnet.cli.console import script
from jaxnet.figures import blank, save
from jaxnet.figures.canvas import BLUE, GREEN, RED, YELLOW

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BOOK = {  # of the author's figures, at initialisation
    2: (0.06574, 0.30922),
    3: (0.012, 0.060, 0.283),
    4: (0.003, 0.017, 0.070, 0.285),
}
LAST = {  # and before the last of the 500 epochs
    2: (0.00343, 0.00963),
    3: (8.6e-5, 2.2e-4, 1.26e-3),
    4: (8.2e-6, 2.6e-5, 1.8e-4, 9.2e-4),
}
BARS = (  # dC/db of the first six neurons of both layers, in the author's 784-30-30-10
    (-0.00397, -0.00317, 0.00810, 0.01260, -0.02647, 0.00176),
    (0.04153, 0.04403, -0.00967, 0.04674, 0.03877, 0.01234),
)
COST = jaxnet.cross_entropy
COLOURS = (BLUE, RED, GREEN, YELLOW)


def network(key, depth: int, hidden: jaxnet.Activation = jaxnet.sigmoid):
    """A network with this number of hidden layers of 30 neurons, at initialisation."""
    sizes = [784, *[30] * depth, 10]
    return jaxnet.init(key, sizes, hidden, init_layer=jaxnet.scaled_layer)


def initial(
    data: jaxnet.Dataset, depth: int, seeds: int, hidden=jaxnet.sigmoid
) -> np.ndarray:
    """The speeds of the hidden layers at initialisation, a row for each seed."""

    @jax.jit
    def speeds(seed, data):
        params = network(jax.random.key(seed), depth, hidden)
        return jaxnet.layer_speeds(params, data, COST)[:-1]

    return np.stack([speeds(seed, data) for seed in range(seeds)])


def training(
    data: jaxnet.Dataset, depth: int, seeds: int, epochs: int, eta=0.1, l2=5.0
) -> np.ndarray:
    """The speeds of hidden layers before each epoch: (seeds, epochs, layers).

    An epoch is one step, with the gradient of all the data.
    """

    @jax.jit
    def history(seed, data):
        def speeds(params):
            return jaxnet.layer_speeds(params, data, COST)[:-1]

        key = jax.random.key(seed)
        params = network(key, depth)
        options = {"batch_size": len(data), "eta": eta, "l2": l2, "cost": COST}
        first, epochs_left = speeds(params)[None], epochs - 1
        options |= {"epochs": epochs_left, "evaluate": speeds}
        _, rest = jaxnet.train(key, params, data, **options)
        return jnp.concatenate([first, rest])

    return np.stack([history(seed, data) for seed in range(seeds)])


def bars(data: jaxnet.Dataset, seed: int = 0) -> np.ndarray:
    """dC/db of the first six neurons of both hidden layers of 784-30-30-10."""

    @jax.jit
    def slopes(data):
        params = network(jax.random.key(seed), 2)
        gradient = jaxnet.backprop(params, data.x, data.y, COST)
        return jnp.stack([b[:6] for _, b in gradient[:-1]])

    return np.asarray(slopes(data))


def _draw_initial(axes: "Axes", results: Mapping[str, np.ndarray]) -> None:
    """The seeds' speeds at initialisation by layer, and the book's as circles."""
    for depth, colour in zip((2, 3, 4), COLOURS, strict=False):
        rows = results[f"initial, {depth}"]
        layers = np.arange(1, depth + 1)
        places = np.broadcast_to(layers + 0.16 * (depth - 3), rows.shape)
        style = {"color": colour, "zorder": 1}
        axes.plot(places.ravel(), rows.ravel(), ".", ms=3, alpha=0.25, **style)
        label = f"{depth} hidden layers"
        axes.plot(places[0], rows.mean(axis=0), "-", lw=1.2, label=label, **style)
        style = {"mec": "black", "mfc": colour, "ls": "", "zorder": 3}
        axes.plot(places[0], BOOK[depth], "o", ms=5, **style)
    axes.plot([], [], "o", ms=5, mec="black", mfc="white", label="the book")
    axes.set(
        yscale="log", xlabel="layer $l$", ylabel="$||\\delta^l||$", xticks=range(1, 5)
    )
    seeds = len(results["initial, 2"])
    axes.set_title(f"At initialisation, {seeds} seeds and mean", fontsize=10)
    axes.legend(fontsize=8, frameon=False)


def draw(results: Mapping[str, np.ndarray], path: str | Path) -> Path:
    """The path of a picture of the first gradients, the first speeds, and training."""
    figure = blank(11.0, 6.6)
    (slopes, first, others), curves = figure.subplots(2, 3)
    for l, (place, colour) in enumerate(zip((0, 7), COLOURS, strict=False)):
        neurons = place + np.arange(6)
        slopes.bar(neurons, results["bars"][l], color=colour, label=f"layer {l + 1}")
        label = None if l else "the book's network"
        slopes.plot(neurons, BARS[l], "o", ms=5, mec="black", mfc="none", label=label)
    slopes.axhline(0, color="black", lw=0.8)
    slopes.set(xticks=[], ylabel="$\\partial C/\\partial b$")
    slopes.set_title("784-30-30-10: six neurons of each layer", fontsize=10)
    slopes.legend(fontsize=8, frameon=False)
    _draw_initial(first, results)
    kinds = {"sigmoid": "4", "tanh": "tanh", "relu": "relu"}
    for (name, key), colour in zip(kinds.items(), COLOURS, strict=False):
        speeds = results[f"initial, {key}"].mean(axis=0)
        others.semilogy(range(1, 5), speeds, "o-", color=colour, label=name)
    others.set(xlabel="layer $l$", xticks=range(1, 5), ylim=(1e-3, 3))
    others.set_title("Four hidden layers of other neurons", fontsize=10)
    others.legend(fontsize=8, frameon=False)
    for depth, axes in zip((2, 3, 4), curves, strict=True):
        rows = results[f"training, {depth}"]
        epochs = np.arange(rows.shape[1])
        for l, colour in enumerate(COLOURS[:depth]):
            low, middle, high = np.quantile(rows[:, :, l], [0, 0.5, 1], axis=0)
            axes.fill_between(epochs, low, high, color=colour, alpha=0.2, lw=0)
            label = f"layer {l + 1}"
            axes.semilogy(epochs, middle, color=colour, lw=1.2, label=label)
            axes.plot(epochs[-1], LAST[depth][l], "o", ms=5, mec="black", mfc=colour)
        axes.set(xlabel="epoch", ylabel="$||\\delta^l||$")
        axes.set_title(f"{depth} hidden layers, full-batch training", fontsize=10)
        axes.legend(fontsize=8, frameon=False, ncols=2)
    return save(figure, path)


def main(
    data: str | None = None,
    seeds: int = 40,
    trained: int = 5,
    epochs: int = 500,
    out: str | Path | None = "figures/ch5_speeds.png",
) -> dict[str, np.ndarray]:
    """Print speeds of the hidden layers, and draw them into `out` unless None."""
    thousand = jaxnet.load_mnist(data).train[:1000]
    results = {"bars": bars(thousand)}
    for depth in BOOK:
        rows = results[f"initial, {depth}"] = initial(thousand, depth, seeds)
        print(f"{depth} hidden layers at initialisation, {seeds} seeds:")
        for l, speeds in enumerate(rows.T):
            low, middle, high = np.min(speeds), np.mean(speeds), np.max(speeds)
            book = f"the book {BOOK[depth][l]:.3g}"
            print(f"  layer {l + 1}: {middle:.2g} [{low:.2g}, {high:.2g}], {book}")
        ratio = np.median(rows[:, 0] / rows[:, -1])
        print(f"  first over last: {ratio:.2g}, median")
        rows = results[f"training, {depth}"] = training(
            thousand, depth, trained, epochs
        )
        last = " ".join(f"{speed:.2g}" for speed in np.median(rows[:, -1], axis=0))
        print(
            f"  after {epochs} epochs, median of {trained}: {last}; his", *LAST[depth]
        )
    for hidden in (jaxnet.tanh, jaxnet.relu):
        rows = results[f"initial, {hidden}"] = initial(thousand, 4, seeds, hidden)
        middle = " ".join(f"{speed:.2g}" for speed in np.mean(rows, axis=0))
        print(f"4 hidden layers of {hidden} neurons at initialisation: {middle}")
    if out is not None:
        print(f"wrote {draw(results, out)}")
    return results


if __name__ == "__main__":
    script(main)
