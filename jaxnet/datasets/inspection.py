"""What a data set contains: classes, ranges, duplicates, and what looks odd."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from jaxnet.checks import unusual_range
from jaxnet.datasets.arrays import Split
from jaxnet.datasets.idx import mnist_folder, read_idx
from jaxnet.layers import Dataset

_LEVELS = " .:+#"
_ALIKE = 0.8  # the correlation of a digit's mean images in sets of the same form


def describe(data: Split, names: list[str] | None = None) -> dict[str, Any]:
    """What the three parts contain, as JSON values.

    `duplicates` are examples with the inputs of an earlier one in their part, and
    `shared` those of a later part whose inputs are in an earlier part.
    """
    parts, distinct, shared = {}, {}, []
    for name, part in data._asdict().items():
        x, y = np.asarray(part.x), np.asarray(part.y)
        rows = [row.tobytes() for row in x]
        for earlier, known in distinct.items():
            both = sum(row in known for row in rows)
            shared.append({"of": name, "in": earlier, "examples": both})
        distinct[name] = set(rows)
        parts[name] = {
            "examples": len(x),
            "counts": np.bincount(y.argmax(axis=1), minlength=y.shape[1]).tolist(),
            "least": x.min().item(),
            "greatest": x.max().item(),
            "mean": float(x.mean(dtype=np.float64)),
            "duplicates": len(x) - len(distinct[name]),
        }
    return {
        "inputs": data.train.x.shape[1],
        "type": str(data.train.x.dtype),
        "classes": names or [str(k) for k in range(data.train.y.shape[1])],
        "parts": parts,
        "shared": shared,
    }


def oddities(data: Split) -> Iterator[str]:
    """What looks odd in a data set, a sentence each: likely mistakes in making it."""
    x, y = np.asarray(data.train.x), np.asarray(data.train.y)
    yield from filter(None, [unusual_range(data.train)])
    minimum, maximum, *_ = data.train.extremes
    if maximum > minimum and x[:1000].mean() > (minimum + maximum) / 2:
        yield (
            "Most inputs are high: dark ink on light paper? MNIST has 0 for paper, and "
            "the highest values for ink."
        )
    missing = [str(k) for k in np.flatnonzero(y.max(axis=0) == 0)]
    if missing:
        yield f"No training example is of class {', '.join(missing[:20])}."
    if _digits_look_transposed(x, y):
        yield (
            "The digits look transposed beside MNIST's: rows and columns exchanged. "
            "Read them with --transpose, or transpose=True."
        )
    if labels_look_random(data):
        yield (
            "Labels seem unrelated to inputs: the nearest mean image is no better than "
            "chance. Are they in the order of the inputs?"
        )


def labels_look_random(data: Split) -> bool:
    """Whether the nearest mean image, chapter 1.6's, is no better than chance.

    It is on validation data, and False if there are too few to tell.
    """
    train, held_out = data.train[:5000], data.validation[:1000]
    x, y, few, truth = (
        np.asarray(a, np.float32) for a in (train.x, train.y, held_out.x, held_out.y)
    )
    n, counts = len(truth), y.sum(axis=0)
    if n < 50 or len(y) < 50:
        return False
    means = (y.T @ x) / np.maximum(counts, 1)[:, None]
    distances = (means**2).sum(axis=1) - 2 * few @ means.T
    answers = np.where(counts > 0, distances, np.inf).argmin(axis=1)
    right = float((answers == truth.argmax(axis=1)).mean())
    given = np.bincount(answers, minlength=len(means)) / n
    chance = float(given @ truth.mean(axis=0))
    return right < chance + 3 * math.sqrt(chance * (1 - chance) / n)


def _digits_look_transposed(x: np.ndarray, y: np.ndarray) -> bool:
    """Whether mean images are MNIST's once rows and columns are exchanged.

    Classes 0 to 9 of images of 28 x 28 pixels are compared, if there are nine or more.
    """
    few, truth = x[:5000], y[:5000].argmax(axis=1)
    digits = np.intersect1d(truth, np.arange(10))
    if x.shape[1] != 784 or len(digits) < 9:
        return False
    images = read_idx(mnist_folder() / "t10k-images-idx3-ubyte.gz")[:2000]
    labels = read_idx(mnist_folder() / "t10k-labels-idx1-ubyte.gz")[:2000]
    alike = []
    for digit in digits:
        ours = images[labels == digit].mean(axis=0).ravel()
        theirs = few[truth == digit].mean(axis=0)
        exchanged = theirs.reshape(28, 28).T.ravel()
        with np.errstate(all="ignore"):  # of images without any ink
            alike.append(np.corrcoef([ours, theirs, exchanged])[0, 1:])
    as_they_are, exchanged = np.mean(alike, axis=0)
    return bool(exchanged > max(_ALIKE, as_they_are))


def as_text(data: Dataset, names: list[str], *, width: int = 78) -> Iterator[str]:
    """Lines that show the first square images as text, with their classes.

    Yields nothing if inputs are not square images.
    """
    side = math.isqrt(data.x.shape[1])
    if side**2 != data.x.shape[1] or side < 4:
        return
    step, repeat = -(-side // 28), 2 if side <= 14 else 1
    cell = -(-side // step) * repeat  # characters
    n = min(len(data), max(1, width // (cell + 2)))
    x, classes = np.asarray(data.x[:n], float), np.asarray(data.y[:n]).argmax(axis=1)
    images = (x - x.min()).reshape(n, side, side) / (np.ptp(x) or 1)
    yield "  ".join(f"{names[k][:cell]:<{cell}}" for k in classes).rstrip()
    tall = 2 * step // repeat  # a character is twice as high as wide
    for top in range(0, side, tall):
        strip = images[:, top : top + tall]
        columns = np.split(strip, range(step, side, step), axis=2)
        shades = np.stack([block.mean(axis=(1, 2)) for block in columns], axis=1)
        levels = np.minimum(5 * shades, 4).astype(int)
        cells = ("".join(_LEVELS[k] * repeat for k in row) for row in levels)
        yield "  ".join(cells).rstrip()
