"""Chapter 1.4: digits on pictures as people make them, and several on one picture.

Book: a program must first cut a picture such as 504192 into single digits; trying many
ways to cut and asking the classifier how sure it is of each piece is one solution.
Claim: brought to MNIST's form, pictures of any size, pen, colour and paper are read
nearly as well as the test images they were made of, and without that hardly at all.
The confidence is lower in wrong answers, and in letters.
"""

import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import jax
import numpy as np
from jaxtyping import Float, Int
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent.parent))  # as a file or as a module

import jaxnet
from jaxnet import figures
from jaxnet.cli.console import script
from jaxnet.datasets import DataError
from jaxnet.pictures import Classify, read_picture, segment
from scripts import drawings
from scripts.drawings import Ink, photographed
from scripts.galleries import trained
from scripts.tables import OF_RESULTS, put, table

# A picture, the text on it, and the numbers of the test images that it was made of.
Made = tuple[Image.Image, str, list[int]]
Paper = Callable[[Ink, np.random.Generator], Ink]


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


@dataclass(frozen=True)
class Maker:
    """Pictures made of test images, or of shapes drawn with a pen."""

    digits: Float[np.ndarray, "n 28 28"]
    labels: Int[np.ndarray, " n"]
    rng: np.random.Generator

    def image(self, cropped: bool = False) -> Made:
        """A test image as it is, or without its margins."""
        [number] = self._chosen(1)
        levels = (256 * self.digits[number]).astype(np.uint8)
        if cropped:
            rows, columns = (np.flatnonzero(levels.any(axis=axis)) for axis in (1, 0))
            levels = levels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        return Image.fromarray(levels), self._text([number]), [number]

    def photograph(
        self, paper: Paper = drawings.placed, shadow: bool = False, turned: float = 0.0
    ) -> Made:
        """A test image redrawn in any size, with other pens, and turned."""
        [number] = self._chosen(1)
        size = np.exp(self.rng.uniform(np.log(20), np.log(300)))
        pen, degrees = self.rng.uniform((-0.04, -turned), (0.04, turned))
        ink = drawings.drawn(self.digits[number], round(size), pen, degrees)
        picture = photographed(paper(ink, self.rng), self.rng, shadow)
        return picture, self._text([number]), [number]

    def line(
        self,
        paper: Paper = drawings.placed,
        shadow: bool = False,
        gaps: tuple[int, int] = (1, 6),
        lines: int = 1,
    ) -> Made:
        """Two to six test images in each line, with these gaps."""
        numbers = [self._chosen(int(self.rng.integers(2, 7))) for _ in range(lines)]
        inks = [drawings.pasted(self.digits[n], gaps, self.rng) for n in numbers]
        ink = drawings.stacked(inks, self.rng) if lines > 1 else inks[0]
        larger = np.kron(ink, np.ones((3, 3), np.float32))
        picture = photographed(paper(larger, self.rng), self.rng, shadow)
        every = [number for line in numbers for number in line]
        return picture, self._text(every), every

    def penned(self, shapes: dict[str, list[str]]) -> Made:
        """One of the shapes, whose name begins with its text."""
        name = list(shapes)[int(self.rng.integers(len(shapes)))]
        ink = drawings.penned(shapes[name], int(self.rng.integers(30, 200)), self.rng)
        picture = photographed(drawings.placed(ink, self.rng), self.rng)
        return picture, name[0], []

    def _chosen(self, count: int) -> list[int]:
        return self.rng.integers(0, len(self.digits), count).tolist()

    def _text(self, numbers: list[int]) -> str:
        return "".join(str(self.labels[number]) for number in numbers)


def on(paper: Paper) -> Paper:
    """The ink with margins on this paper."""
    return lambda ink, rng: paper(drawings.placed(ink, rng), rng)


RULED, FRAMED = on(drawings.ruled), on(drawings.framed)
SQUARED = on(partial(drawings.ruled, squared=True))
KINDS: dict[str, Callable[[Maker], Made]] = {
    "test image, as it is": Maker.image,
    "without margin": partial(Maker.image, cropped=True),
    "photograph": Maker.photograph,
    "turned by up to 10 degrees": partial(Maker.photograph, turned=10.0),
    "ruled paper": partial(Maker.photograph, paper=RULED),
    "squared paper": partial(Maker.photograph, paper=SQUARED),
    "framed": partial(Maker.photograph, paper=FRAMED),
    "hard shadow": partial(Maker.photograph, shadow=True),
    "drawn with a pen": partial(Maker.penned, shapes=drawings.DIGITS),
    "other forms, with a pen": partial(Maker.penned, shapes=drawings.OTHER_FORMS),
    "letter, with a pen": partial(Maker.penned, shapes=drawings.LETTERS),
    "line": Maker.line,
    "line of digits that touch": partial(Maker.line, gaps=(-1, 0)),
    "line on ruled paper": partial(Maker.line, paper=RULED),
    "line on squared paper": partial(Maker.line, paper=SQUARED),
    "framed line": partial(Maker.line, paper=FRAMED),
    "line in a hard shadow": partial(Maker.line, shadow=True),
    "two lines": partial(Maker.line, lines=2),
}


def measured(
    made: list[Made],
    classify: Classify,
    known: np.ndarray,
    right: np.ndarray,
    out: Path,
) -> dict[str, float]:
    """The fractions read correctly, and the confidence in right and wrong answers.

    `right` is of the test images. The change is in the digits read correctly for each
    of them, with half its 95 % interval; a picture's confidence is its least.
    """
    whole, found, before, sure = [], [], [], []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture.png"
        for picture, text, numbers in made:
            picture.save(path)
            grey = read_picture(path)
            try:
                pieces = segment(grey, classify, known=known)
            except DataError:
                pieces = []
            if pieces and not whole:
                print("wrote", figures.pieces(grey, pieces, out))
            answer = [piece.digit for piece in pieces]
            digits = [ord(letter) - ord("0") for letter in text]
            wrong = edit_distance(answer, digits)
            whole.append(wrong == 0)
            found.append(max(0.0, 1 - wrong / len(text)))
            before.append(right[numbers].mean() if numbers else 1.0)
            sure.append(min((piece.confidence for piece in pieces), default=0.0))
    correct, change = np.array(whole), np.subtract(found, before)
    return {
        "pictures": len(made),
        "read": float(correct.mean()),
        "digits": float(np.mean(found)),
        "change": float(change.mean()),
        "interval": float(1.96 * change.std() / len(change) ** 0.5),
        "right": float(np.mean(sure, where=correct)) if any(whole) else np.nan,
        "wrong": float(np.mean(sure, where=~correct)) if not all(whole) else np.nan,
    }


def main(
    data: str | None = None,
    out: str | Path = "figures",
    pictures: int = 1000,
    others: int = 50,
    hidden: int = 100,
    epochs: int = 5,
    seed: int = 1,
    readme: bool = False,
) -> dict[str, dict[str, float]]:
    """Print and return how each kind of picture is read.

    pictures: how many of the first kind
    others: how many of each other kind
    hidden: neurons of the network that reads them
    readme: put the table into data/results/README.md
    """
    split, out = jaxnet.load_mnist(data), Path(out)
    params = trained(split.train, epochs, hidden)
    network = jax.jit(jax.vmap(lambda x: jaxnet.predict(params, x)))

    def classify(x: np.ndarray) -> np.ndarray:
        # Padded to a multiple of 256 rows, so that few shapes are compiled.
        rows = np.zeros((-(-len(x) // 256) * 256, 784), np.float32)
        rows[: len(x)] = x
        return np.asarray(network(rows))[: len(x)]

    x = np.asarray(split.test.x)
    labels = np.asarray(split.test.y).argmax(axis=1)
    right = classify(x).argmax(axis=1) == labels
    known = np.asarray(split.train.x[:10_000])
    maker = Maker(x.reshape(-1, 28, 28), labels, np.random.default_rng(seed))
    found = {}
    for name, make in KINDS.items():
        made = [make(maker) for _ in range(others if found else pictures)]
        drawing = out / f"handwriting_{name.replace(' ', '_').replace(',', '')}.png"
        found[name] = measured(made, classify, known, right, drawing)
    made = [maker.photograph() for _ in range(others)]
    for stretched in (False, True):
        rows = np.stack([resized(picture, stretched) for picture, *_ in made])
        answers = classify(rows.reshape(-1, 784)).argmax(axis=1)
        texts = [text for _, text, _ in made]
        part = np.mean(answers.astype(str) == texts)
        name = "photograph made 28 x 28" + ", stretched" * stretched
        found[name] = {"pictures": others, "read": float(part)}
    header = ("picture", "number", "read correctly", "digits", "of its test images")
    header += ("confidence, right", "confidence, wrong")
    rows = [row(name, each) for name, each in found.items()]
    lines = table(header, rows)
    print(*lines, sep="\n")
    if readme:
        put(OF_RESULTS, "handwriting", lines)
    return found


def row(name: str, found: dict[str, float]) -> list[str]:
    """The cells of a row of the table."""
    cells = [name, str(found["pictures"]), f"{found['read']:.1%}"]
    if "digits" not in found:
        return [*cells, "-", "-", "-", "-"]
    change = f"{found['change']:+.1%} +- {found['interval']:.1%}"
    sure = (f"{found[key]:.2f}".replace("nan", "-") for key in ("right", "wrong"))
    return [*cells, f"{found['digits']:.1%}", change, *sure]


if __name__ == "__main__":
    script(main)
