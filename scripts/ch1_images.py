"""Chapter 1.4: what the network is shown.

Book: the first six training images, cut from one picture, read 504192; a network might
know a 0 by finding ink in each of its four quarters.
"""

from pathlib import Path

import numpy as np

from jaxnet import figures, load_mnist
from jaxnet.cli.console import script


def main(data: str | None = None, out: str | Path = "figures") -> list[int]:
    """Draw six images and the quarters of a 0 into `out`; return the six labels."""
    train = load_mnist(data).train
    side = int(train.x.shape[1] ** 0.5)
    digits = np.asarray(train.x[:1000]).reshape(-1, side, side)
    labels = np.asarray(train.y[:1000]).argmax(axis=1)

    first = [int(label) for label in labels[:6]]
    print("the first six training images read", "".join(map(str, first)))
    path = Path(out) / "ch1_six_digits.png"
    print(
        "wrote", figures.images(list(digits[:6]), [str(label) for label in first], path)
    )

    zero = digits[list(labels).index(0)]
    low, right = np.mgrid[:side, :side] >= side // 2
    quarters = {
        "a 0": zero,
        "top left": zero * (~low & ~right),
        "top right": zero * (~low & right),
        "bottom left": zero * (low & ~right),
        "bottom right": zero * (low & right),
    }
    path = Path(out) / "ch1_quarters_of_a_zero.png"
    print("wrote", figures.images(list(quarters.values()), list(quarters), path))
    return first


if __name__ == "__main__":
    script(main)
