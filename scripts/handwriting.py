"""Chapter 1.4: digits on pictures as people make them, and several on one picture.

Book: a program must first cut a picture such as 504192 into single digits; trying many
ways to cut and asking the classifier how sure it is of each piece is one solution.
Claim: brought to MNIST's form, pictures of any size, pen, colour and place are read
about as well as the test images they were made of, and without that hardly at all.
Turned by up to 10 degrees they are read a little worse: MNIST's form keeps any slant.
"""

import sys
import tempfile
from collections import defaultdict
from pathlib import Path

import jax
import numpy as np
from jaxtyping import Float
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent.parent))  # as a file or as a module

import jaxnet
from jaxnet import figures
from jaxnet.pictures import Classify, prepare, read_picture, segment
from scripts.drawings import drawn, pasted, penned, photographed
from scripts.galleries import trained


def resized(picture: Image.Image, stretched: bool) -> Float[np.ndarray, "28 28"]:
    """The whole picture made 28 x 28, dark parts as ink.

    If stretched, it gets the whole range of levels, and the rarer end is ink.
    """
    grey = np.asarray(picture.convert("L").resize((28, 28)), np.float32)
    if not stretched:
        return (255 - grey) / 256
    low, high = grey.min(), max(grey.max(), grey.min() + 1)
    ink = (high - grey) / (high - low)
    return (ink if ink.mean() < 0.5 else 1 - ink) * 255 / 256


def edit_distance(one: list[int], other: list[int]) -> int:
    """The fewest digits to insert, delete or change to make one of the other."""
    row = list(range(len(other) + 1))
    for i, left in enumerate(one, start=1):
        diagonal, row[0] = row[0], i
        for j, right in enumerate(other, start=1):
            changed = diagonal + (left != right)
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, changed)
    return row[-1]


def read_pictures(
    inks: list[np.ndarray], rng: np.random.Generator, drawing: Path
) -> dict[str, np.ndarray]:
    """Each ink as its picture is read, in MNIST's form and in simpler ways."""
    images = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture.jpg"
        for ink in inks:
            picture = photographed(ink, rng)
            picture.save(path, quality=int(rng.integers(40, 96)))
            stages = prepare(read_picture(path))
            if not images:
                print("wrote", figures.stages(stages, drawing))
            images["whole made 28 x 28"].append(resized(picture, False))
            images["the same, stretched, ink found"].append(resized(picture, True))
            images["in MNIST's form"].append(stages.image)
    return {name: np.stack(rows).reshape(-1, 784) for name, rows in images.items()}


def read_digits(
    split: tuple[np.ndarray, np.ndarray],
    classify: Classify,
    turned: float,
    rng: np.random.Generator,
    drawing: Path,
) -> dict[str, float]:
    """The fractions read correctly of digits, and of pictures of them in each way.

    Digits are redrawn in several sizes, with other pens, and turned by up to `turned`
    degrees. How pictures compare with their digits is printed, with its 95 % interval.
    """
    digits, labels = split
    sizes = np.exp(rng.uniform(np.log(20), np.log(300), len(digits)))
    pens = rng.uniform(-0.04, 0.04, len(digits))
    degrees = rng.uniform(-turned, turned, len(digits))
    inks = [
        drawn(digit, round(size), pen, angle)
        for digit, size, pen, angle in zip(digits, sizes, pens, degrees, strict=True)
    ]
    images = {"the test digits themselves": digits.reshape(-1, 784)}
    images |= read_pictures(inks, rng, drawing)
    correct = {k: classify(x).argmax(axis=1) == labels for k, x in images.items()}
    before, *_, after = correct.values()
    kinds = {
        "all": pens == pens,
        "below 50 pixels": sizes < 50,
        "above 150 pixels": sizes > 150,
        "thinner pens": pens < -0.02,
        "thicker pens": pens > 0.02,
    }
    for name, chosen in kinds.items():
        change = after[chosen].astype(int) - before[chosen]
        half = 1.96 * change.std() / len(change) ** 0.5
        lost, won = (change < 0).sum(), (change > 0).sum()
        counts = f"{lost} lost and {won} won of {len(change)}"
        print(f"  {name:20} {counts:28} {change.mean():+.2%} +- {half:.2%}")
    return {name: float(found.mean()) for name, found in correct.items()}


def read_lines(
    split: tuple[np.ndarray, np.ndarray],
    classify: Classify,
    lines: int,
    gaps: tuple[int, int],
    rng: np.random.Generator,
    drawing: Path,
) -> tuple[float, float]:
    """The fractions of lines and of their digits read correctly, with these gaps."""
    digits, labels = split
    whole = correct = total = 0
    for number in range(lines):
        numbers = rng.integers(0, len(digits), rng.integers(2, 7))
        ink = pasted(digits[numbers], gaps, rng)
        larger = np.kron(ink, np.ones((3, 3), np.float32))
        grey = np.asarray(photographed(larger, rng).convert("L"))
        pieces = segment(grey, classify)
        if number == 0:
            print("wrote", figures.pieces(grey, pieces, drawing))
        wrong = edit_distance([piece.digit for piece in pieces], list(labels[numbers]))
        whole += wrong == 0
        correct += max(0, len(numbers) - wrong)
        total += len(numbers)
    return whole / lines, correct / total


def main(
    data: str | None = None,
    out: str | Path = "figures",
    pictures: int = 2000,
    lines: int = 100,
    hidden: int = 100,
    epochs: int = 5,
    seed: int = 1,
) -> dict[str, float]:
    """Print and return the fractions of digits, pictures and lines read correctly."""
    split, out = jaxnet.load_mnist(data), Path(out)
    params = trained(split.train, epochs, hidden)
    network = jax.jit(jax.vmap(lambda x: jaxnet.predict(params, x)))

    def classify(x: np.ndarray) -> np.ndarray:
        # Padded to a multiple of 256 rows, so that few shapes are compiled.
        rows = np.zeros((-(-len(x) // 256) * 256, 784), np.float32)
        rows[: len(x)] = x
        return np.asarray(network(rows))[: len(x)]

    digits = np.asarray(split.test.x).reshape(-1, 28, 28)
    labels = np.asarray(split.test.y).argmax(axis=1)
    rng = np.random.default_rng(seed)
    found = {"test digits, all": float(jaxnet.accuracy(params, split.test))}
    for name, turned in (("pictures", 0.0), ("turned pictures", 10.0)):
        chosen = rng.permutation(len(digits))[:pictures]
        some = (digits[chosen], labels[chosen])
        drawing = out / f"handwriting_{name.replace(' ', '_')}.png"
        of_digits = read_digits(some, classify, turned, rng, drawing)
        found |= {f"{name}, {way}": part for way, part in of_digits.items()}
    each = np.arange(pictures // 5) % 10
    inks = [penned(int(digit), int(rng.integers(20, 200)), rng) for digit in each]
    of_pens = read_pictures(inks, rng, out / "handwriting_penned.png")
    for way, rows in of_pens.items():
        correct = classify(rows).argmax(axis=1) == each
        found[f"drawn with a pen, {way}"] = float(correct.mean())
    for name, gaps in (("apart", (1, 6)), ("touching", (-1, 0))):
        drawing = out / f"handwriting_{name}.png"
        of_lines = read_lines((digits, labels), classify, lines, gaps, rng, drawing)
        for part, value in zip(("whole", "by digit"), of_lines, strict=True):
            found[f"lines of digits {name}, {part}"] = value
    for name, part in found.items():
        print(f"{name:50} {part:7.2%}")
    return found


if __name__ == "__main__":
    main()
