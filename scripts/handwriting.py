"""Chapter 1.4: digits on pictures as people make them, and several on one picture.

Book: a program must first cut a picture such as 504192 into single digits; trying many
ways to cut and asking the classifier how sure it is of each piece is one solution.
Claim: brought to MNIST's form, pictures of any size, colour and place are read nearly
as well as the test images they were made of, and without that hardly at all.
"""

import tempfile
from collections import defaultdict
from pathlib import Path

import jax
import numpy as np
from jaxtyping import Float
from PIL import Image
from scipy import ndimage

import jaxnet
from jaxnet import handwriting, segmentation


def drawn(
    ink: Float[np.ndarray, "28 28"], size: int, thicker: float, degrees: float
) -> Float[np.ndarray, "height width"]:
    """A digit drawn anew with sharp edges, `size` pixels long, and turned.

    Strokes grow on either side by the part `thicker` of that; they may shrink by half.
    """
    fine = max(1, -(-size // 20))
    large = Image.fromarray(np.asarray(ink, np.float32)).resize(
        (28 * fine, 28 * fine), Image.Resampling.BICUBIC
    )
    mask = np.asarray(large.rotate(degrees, Image.Resampling.BICUBIC)) > 0.5
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    mask = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    scale = size / max(mask.shape)
    mask = np.pad(mask, 2 + int(max(0, thicker) * size / scale))
    outside = np.asarray(ndimage.distance_transform_edt(~mask))
    inside = np.asarray(ndimage.distance_transform_edt(mask))
    widen = max(thicker * size / scale, -np.median(inside[mask]) / 2)
    edge = (inside - outside + widen + 0.5).clip(0, 1).astype(np.float32)
    height, width = (max(1, round(scale * n)) for n in edge.shape)
    how = Image.Resampling.BOX if scale < 1 else Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(edge).resize((width, height), how))


def photographed(
    ink: Float[np.ndarray, "height width"], rng: np.random.Generator
) -> Image.Image:
    """A colour picture of the ink, somewhere on paper under uneven light, noisy."""
    margins = (rng.uniform(0.1, 0.9, (2, 2)) * max(ink.shape)).astype(int) + 2
    ink = np.pad(ink, margins)
    paper, colour = rng.uniform(200, 255, 3), rng.uniform(0, 110, 3)
    if rng.random() < 0.4:  # chalk on a board
        paper, colour = 255 - paper, 255 - colour
    r, c = (np.linspace(-1, 1, n) for n in ink.shape)
    slope = rng.uniform(-12, 12, 2)
    light = np.add.outer(slope[0] * r, slope[1] * c)
    levels = paper + ink[..., np.newaxis] * (colour - paper) + light[..., np.newaxis]
    levels = levels + rng.normal(0, rng.uniform(0, 5), levels.shape)
    return Image.fromarray(levels.clip(0, 255).astype(np.uint8))


def resized(picture: Image.Image, stretched: bool) -> Float[np.ndarray, "28 28"]:
    """The whole picture made 28 x 28, dark parts as ink.

    If stretched, to the whole range of levels, with the rarer end as ink.
    """
    grey = np.asarray(picture.convert("L").resize((28, 28)), np.float32)
    if not stretched:
        return (255 - grey) / 256
    low, high = grey.min(), max(grey.max(), grey.min() + 1)
    ink = (high - grey) / (high - low)
    return (ink if ink.mean() < 0.5 else 1 - ink) * 255 / 256


def trained(split: jaxnet.Split, hidden: int, epochs: int) -> jaxnet.Params:
    """A network taught with the cross-entropy and the book's eta and lambda."""
    key = jax.random.key(0)
    params = jaxnet.init(key, [784, hidden, 10], jaxnet.scaled_layer)
    state = jaxnet.start(params)
    for number in range(epochs):
        state = jaxnet.epoch(
            jax.random.fold_in(key, 100 + number),
            state,
            split.train,
            batch_size=10,
            eta=0.5,
            l2=5.0,
            cost=jaxnet.cross_entropy,
        )
    return state.params


def pasted(
    digits: Float[np.ndarray, "k 28 28"],
    gaps: tuple[int, int],
    rng: np.random.Generator,
) -> Float[np.ndarray, "28 width"]:
    """Digits side by side with so many empty columns between, up to 2 rows off a line.

    A gap of -1 lets the outermost columns of neighbours fall together.
    """
    line = np.zeros((32, 0), np.float32)
    for k, digit in enumerate(digits):
        columns = np.flatnonzero((digit > 0.1).any(axis=0))
        down = int(rng.integers(0, 5))
        part = np.pad(
            digit[:, columns[0] : columns[-1] + 1], ((down, 4 - down), (0, 0))
        )
        gap = int(rng.integers(gaps[0], gaps[1] + 1)) if k else 0
        start = line.shape[1] + gap
        line = np.pad(line, ((0, 0), (0, part.shape[1] + gap)))
        line[:, start:] = np.maximum(line[:, start:], part)
    return line


def distance(one: list[int], other: list[int]) -> int:
    """The fewest digits to insert, leave out or change to make one of the other."""
    row = list(range(len(other) + 1))
    for i, left in enumerate(one, start=1):
        diagonal, row[0] = row[0], i
        for j, right in enumerate(other, start=1):
            changed = diagonal + (left != right)
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, changed)
    return row[-1]


def read_pictures(
    digits: np.ndarray, rng: np.random.Generator, drawing: Path
) -> dict[str, list[np.ndarray]]:
    """Each digit as a picture of it is read, in MNIST's form and in simpler ways."""
    images = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture.jpg"
        for number, digit in enumerate(digits):
            size = round(float(np.exp(rng.uniform(np.log(20), np.log(300)))))
            thicker, degrees = rng.uniform(-0.04, 0.04), rng.uniform(-10, 10)
            picture = photographed(drawn(digit, size, thicker, degrees), rng)
            picture.save(path, quality=int(rng.integers(40, 96)))
            stages = handwriting.prepare(handwriting.read_picture(path))
            if number == 0:
                print("wrote", handwriting.show(stages, drawing))
            images["the test digits of the pictures"].append(digit)
            images["pictures, whole made 28 x 28"].append(resized(picture, False))
            images["the same, stretched, ink found"].append(resized(picture, True))
            images["pictures, in MNIST's form"].append(stages.image)
    return images


def read_lines(
    split: tuple[np.ndarray, np.ndarray],
    classify: segmentation.Classify,
    lines: int,
    gaps: tuple[int, int],
    rng: np.random.Generator,
    drawing: Path,
) -> tuple[float, float]:
    """The parts of lines read whole, and of their digits, with such gaps in columns."""
    digits, labels = split
    whole = right = total = 0
    for number in range(lines):
        numbers = rng.integers(0, len(digits), rng.integers(2, 7))
        ink = pasted(digits[numbers], gaps, rng)
        larger = np.kron(ink, np.ones((3, 3), np.float32))
        grey = np.asarray(photographed(larger, rng).convert("L"))
        pieces = segmentation.segment(grey, classify)
        if number == 0:
            print("wrote", segmentation.show_pieces(grey, pieces, drawing))
        wrong = distance([piece.digit for piece in pieces], list(labels[numbers]))
        whole += wrong == 0
        right += max(0, len(numbers) - wrong)
        total += len(numbers)
    return whole / lines, right / total


def main(
    data: str | None = None,
    out: str | Path = "figures",
    pictures: int = 1000,
    lines: int = 100,
    hidden: int = 100,
    epochs: int = 5,
) -> dict[str, float]:
    """Print and return the parts of test digits, pictures and lines read right."""
    split, out = jaxnet.load_mnist(data), Path(out)
    params = trained(split, hidden, epochs)
    network = jax.jit(jax.vmap(lambda x: jaxnet.predict(params, x)))

    def classify(x: np.ndarray) -> np.ndarray:
        # In one shape of a hundred or more rows, so that little is compiled.
        rows = np.zeros((-(-len(x) // 256) * 256, 784), np.float32)
        rows[: len(x)] = x
        return np.asarray(network(rows))[: len(x)]

    digits = np.asarray(split.test.x).reshape(-1, 28, 28)
    labels = np.asarray(split.test.y).argmax(axis=1)
    rng = np.random.default_rng(0)
    chosen = rng.permutation(len(digits))[:pictures]
    found = {"test digits, all": float(jaxnet.accuracy(params, split.test))}
    images = read_pictures(digits[chosen], rng, out / "handwriting_stages.png")
    for name, rows in images.items():
        answers = classify(np.stack(rows).reshape(len(rows), -1)).argmax(axis=1)
        found[name] = float(np.mean(answers == labels[chosen]))
    for name, gaps in (("apart", (1, 6)), ("touching", (-1, 0))):
        drawing = out / f"handwriting_{name}.png"
        of_lines = read_lines((digits, labels), classify, lines, gaps, rng, drawing)
        for part, value in zip(("whole", "by digit"), of_lines, strict=True):
            found[f"lines of digits {name}, {part}"] = value
    for name, part in found.items():
        print(f"{name:34} {part:7.2%}")
    return found


if __name__ == "__main__":
    main()
