"""Chapter 3 (web): L1 drives small weights to zero, L2 shrinks the large ones.

Book: L2 shrinks a weight by a part of it and L1 by a constant, so L1 keeps a few
weights and drives the others to zero. No number is given; this compares them at like
accuracy.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

import jaxnet
from jaxnet.cli.console import script, track
from jaxnet.experiments import CLAIMS, run
from jaxnet.figures import blank, save

NEAR_ZERO = 0.01


def draw(networks: Mapping[str, np.ndarray], path: str | Path) -> Path:
    """The path of a histogram of each network's weights by size."""
    figure = blank(8.0, 3.8)
    axes = figure.subplots()
    bins = np.logspace(-6, 1, 71).tolist()
    for name, weights in networks.items():
        sizes = np.clip(np.abs(weights), bins[0], bins[-1])
        axes.hist(sizes, bins, histtype="step", linewidth=1.5, label=name)
    axes.set(xscale="log", xlabel="$|w|$", ylabel="weights")
    axes.legend(loc="upper left")
    return save(figure, path)


def main(
    data: str | None = None,
    l1: float = 5.0,
    l2: float = 5.0,
    epochs: int = 30,
    seeds: int = 3,
    out: str | Path | None = "figures/ch3_l1_and_l2.png",
) -> dict[str, tuple[float, float, np.ndarray]]:
    """Print and return accuracy, the share of weights near 0, and the weights."""
    split = jaxnet.load_mnist(data)
    book = replace(
        CLAIMS["50,000 images"].experiment, epochs=epochs, evaluate_on="validation"
    )
    results = {}
    for name, options in (
        ("no regularisation", {}),
        (f"L2, lambda {l2:g}", {"l2": l2}),
        (f"L1, lambda {l1:g}", {"l1": l1}),
    ):
        experiment = replace(book, init_layer=jaxnet.scaled_layer, **options)
        done = run(experiment, split.train, split.validation, range(1, seeds + 1))
        last = list(track(done, epochs, name))[-1]
        weights = np.concatenate([np.ravel(w) for w, _ in last.params])
        share = float(np.mean(np.abs(weights) < NEAR_ZERO))
        accuracy = float(last.accuracy.mean())
        results[name] = (accuracy, share, weights)
        print(
            f"{name:<20} validation accuracy {accuracy:.2%} (mean of {seeds} seeds), "
            f"{share:.1%} of the weights below {NEAR_ZERO}, "
            f"largest {np.abs(weights).max():.2f}"
        )
    if out is not None:
        shown = {name: weights for name, (_, _, weights) in results.items()}
        print(f"wrote {draw(shown, out)}")
    return results


if __name__ == "__main__":
    script(main)
