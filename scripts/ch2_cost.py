"""Chapter 2.8: backpropagation costs about two forward passes, whatever the size.

Book: a million weights take a million and one forward passes by (2.21), and one forward
and one backward pass by backpropagation. The Hadamard product is faster than matrices
(2.4), and a matrix for the mini-batch about twice as fast as a loop over it (2.7).
"""

import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import jax
import numpy as np

import jaxnet
from jaxnet import oracles
from jaxnet.cli.console import script, track
from jaxnet.figures import blank, save


def medians(calls, repeats):
    """The median seconds of each call; the calls take turns, after one to compile."""

    def seconds(call):
        began = time.perf_counter()
        jax.block_until_ready(call())
        return time.perf_counter() - began

    times = [[seconds(call) for call in calls] for _ in range(1 + repeats)]
    return np.median(times[1:], axis=0)


def epoch_times(hidden, data, repeats):
    """The times of an epoch of training with backprop and with autodiff."""
    state = jaxnet.start(jaxnet.init(jax.random.key(0), [data.x.shape[1], hidden, 10]))
    epoch = partial(
        jaxnet.epoch, jax.random.key(1), state, data, batch_size=10, eta=3.0
    )
    gradients = (jaxnet.backprop, jaxnet.autodiff)
    return medians([partial(epoch, gradient=f) for f in gradients], repeats)


def draw(results: Mapping[str, np.ndarray], path: str | Path) -> Path:
    """The path of a picture of a gradient's time in forward passes, by its size."""
    figure = blank(6.0, 4.0)
    axes = figure.subplots()
    size, differences = results["parameters"], results["differences over forward"]
    backprop = results["backward over forward"] + 1
    axes.loglog(size, size + 1, "k--", label="passes of (2.21)", linewidth=1)
    axes.loglog(size, differences, "o-", label="(2.21), measured")
    axes.loglog(size, backprop, "s-", label="backprop, measured")
    axes.axhline(2, color="grey", linestyle=":", label="2 passes")
    axes.set(xlabel="weights and biases", ylabel="time of a gradient / forward pass")
    axes.legend()
    return save(figure, path)


def main(
    data: str | None = None,
    hidden: tuple[int, ...] = (10, 30, 100, 300),
    m: int = 100,
    repeats: int = 25,
    differences_up_to: int = 30,
    out: str | Path | None = "figures/ch2_cost.png",
) -> dict[str, np.ndarray]:
    """Print and draw passes and times of a gradient, by the number of parameters."""
    train = jaxnet.load_mnist(data).train
    x, y = train.x[:m], train.y[:m]
    rows = []
    for n in track(hidden, len(hidden), "sizes"):
        params = jaxnet.init(jax.random.key(0), [x.shape[1], n, 10])
        size = sum(leaf.size for leaf in jax.tree.leaves(params))
        ways = [
            jaxnet.loss,
            jaxnet.backprop,
            oracles.matrix_product,
            oracles.backprop_by_example,
        ]
        times = medians([partial(jax.jit(f), params, x, y) for f in ways], repeats)
        slow = [partial(jax.jit(oracles.forward_difference), params, x, y)]
        [seconds] = medians(slow, 1) if n <= differences_up_to else [np.nan]
        rows.append([size, *times, seconds])
    table = np.array(rows)
    forward, by_hand, matrices, examples, differences = table[:, 1:].T
    print("parameters   passes by (2.21)   times of a forward pass: backprop,")
    print("             and for backprop   its matrices, example by example, (2.21)")
    for size, *times in table:
        ratios = " ".join(f"{t / times[0]:9.1f}" for t in times[1:])
        print(f"{size:10,.0f}   {size + 1:9,.0f} and 2  {ratios}")
    results = {
        "parameters": table[:, 0],
        "backward over forward": by_hand / forward - 1,
        "matrices over Hadamard": matrices / by_hand,
        "examples over mini-batch": examples / by_hand,
        "differences over forward": differences / forward,
    }
    for n in (30, 100):
        manual, automatic = epoch_times(n, train, max(3, repeats // 3))
        results[f"backprop over autodiff, {n}"] = np.array(manual / automatic)
        print(
            f"an epoch with {n} hidden neurons: backprop takes "
            f"{manual / automatic:.2f} times the time of jax.grad ({manual:.2f} s)"
        )
    if out is not None:
        print(f"wrote {draw(results, out)}")
    return results


if __name__ == "__main__":
    script(main)
