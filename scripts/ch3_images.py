"""Chapter 3: more training data from the same images.

Book: a five rotated by 15 degrees is still a five, though its pixels are quite
different ones, so a training set may be expanded by small rotations. Chapter 6 shifts
each image by a pixel in four directions; Simard, Steinkraus and Platt (2003) also bend
images as the muscles of a hand might.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import jaxnet
from jaxnet import figures
from jaxnet.cli.console import script
from jaxnet.datasets import elastic, expand, rotate


def main(
    data: str | None = None,
    out: str | Path = "figures/ch3_expanded.png",
    degrees: float = 15.0,
    alpha: float = 34.0,
    sigma: float = 4.0,
    seeds: int = 3,
) -> dict[str, np.ndarray]:
    """Draw the first five and its versions; return these images by their titles."""
    train = jaxnet.load_mnist(data).train
    five = int(jnp.argmax(train.y[:, 5]))
    side = int(train.x.shape[1] ** 0.5)
    one = train[five : five + 1]
    image = one.x.reshape(side, side)

    shifted = expand(one, side).x
    bend = elastic(alpha, sigma, side)
    found = {"a five": image, f"{degrees:g} degrees": rotate(image, degrees)}
    found |= dict(zip(("down", "up", "right", "left"), shifted[1:], strict=True))
    for seed in range(1, seeds + 1):
        found[f"elastic {seed}"] = bend(jax.random.key(seed), one.x)

    results = {
        name: np.asarray(version).reshape(side, side) for name, version in found.items()
    }
    for name, version in results.items():
        same = np.mean(version == results["a five"])
        print(f"{name:12} ink {version.sum():6.1f}, pixels as they were {same:.0%}")
    print("wrote", figures.images(list(results.values()), list(results), out))
    return results


if __name__ == "__main__":
    script(main)
