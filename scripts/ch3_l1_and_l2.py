"""Chapter 3 (web): L1 drives small weights to zero, L2 shrinks the large ones.

Book: L2 shrinks a weight by a part of it and L1 by a constant, so L1 keeps a few
weights and drives the others to zero. No number is given; this compares them at like
accuracy.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

import jaxnet
from jaxnet import figures
from jaxnet.experiments import CLAIMS
from jaxnet.progress import end_with_pipe, track
from jaxnet.runs import run

NEAR_ZERO = 0.01


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
        right = float(last.accuracy.mean())
        results[name] = (right, share, weights)
        print(
            f"{name:<20} validation accuracy {right:.2%} (mean of {seeds} seeds), "
            f"{share:.1%} of the weights below {NEAR_ZERO}, "
            f"largest {np.abs(weights).max():.2f}"
        )
    if out is not None:
        shown = {name: weights for name, (_, _, weights) in results.items()}
        print(f"wrote {figures.weights(shown, out)}")
    return results


if __name__ == "__main__":
    end_with_pipe()
    main()
