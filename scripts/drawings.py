"""Pictures of digits as people make them, for scripts/handwriting.py to read."""

import numpy as np
from jaxtyping import Float
from PIL import Image
from scipy import ndimage
from scipy.interpolate import CubicSpline

Ink = Float[np.ndarray, "height width"]

# How a pen goes through each shape, right and down in a square of side 100.
DIGITS = {
    "0": ["50,0 15,20 8,55 30,95 60,95 85,60 80,20 50,0"],
    "1": ["60,0 45,100"],
    "2": ["12,25 30,3 65,3 75,30 50,65 8,97", "8,97 90,93"],
    "3": ["15,10 50,0 75,20 40,45", "40,45 80,65 60,97 10,90"],
    "4": ["30,0 10,55", "10,55 90,50", "70,10 62,100"],
    "5": ["80,2 25,5", "25,5 20,42", "20,42 55,38 80,65 55,97 10,90"],
    "6": ["70,0 30,30 12,70 35,98 70,85 60,58 20,65"],
    "7": ["10,8 85,3", "85,3 55,50 40,100"],
    "8": ["75,12 40,0 22,20 50,45 78,75 50,100 20,78 50,47 75,12"],
    "9": ["75,20 45,2 20,25 45,48 75,20", "75,20 70,60 55,100"],
}
# Forms that MNIST, written in America, has few of or none.
OTHER_FORMS = {
    "0 with a slash": [*DIGITS["0"], "85,5 10,98"],
    "1 with a serif": ["25,30 58,0", "58,0 55,100"],
    "1 with serif and base": ["25,30 55,0", "55,0 55,98", "25,98 85,98"],
    "4 closed": ["68,0 8,65", "8,65 92,65", "68,0 68,100"],
    "7 with a bar": [*DIGITS["7"], "28,52 80,46"],
    "9 with a hook": ["75,20 45,2 20,25 45,48 75,20", "75,20 78,70 50,100 18,88"],
}
LETTERS = {
    "A": ["8,100 50,0", "50,0 92,100", "25,62 76,62"],
    "E": ["20,0 20,100", "20,0 80,0", "20,48 70,48", "20,100 80,100"],
    "H": ["15,0 15,100", "85,0 85,100", "15,50 85,50"],
    "K": ["20,0 20,100", "80,0 20,52", "38,38 85,100"],
    "M": ["8,100 18,0", "18,0 50,65", "50,65 82,0", "82,0 92,100"],
    "N": ["15,100 15,0", "15,0 85,100", "85,100 85,0"],
    "R": ["20,100 20,0", "20,0 75,12 70,42 20,50", "40,50 85,100"],
    "T": ["8,2 92,2", "50,2 50,100"],
    "W": ["5,0 28,100", "28,100 50,35", "50,35 72,100", "72,100 95,0"],
    "X": ["10,0 90,100", "90,0 10,100"],
}


def drawn(
    ink: Float[np.ndarray, "28 28"], size: int, thicker: float, degrees: float
) -> Ink:
    """A digit redrawn with sharp edges, `size` pixels long, and turned.

    Strokes grow on either side by `thicker` times the size; they may shrink by half.
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


def penned(strokes: list[str], size: int, rng: np.random.Generator) -> Ink:
    """A shape drawn with a pen by an unsteady hand, about `size` pixels high."""
    width, lean, pen = rng.uniform((0.5, 0.0, 0.05), (0.8, 0.2, 0.13))
    path = []
    for stroke in strokes:
        points = np.array([place.split(",") for place in stroke.split()], float) / 100
        points += rng.normal(0, 0.02, points.shape)
        times = np.arange(len(points))
        path.append(CubicSpline(times, points)(np.linspace(0, times[-1], 8 * size)))
    x, y = np.concatenate(path).T
    x = width * x + lean * (1 - y)
    margin = int(pen * size) + 2
    columns, rows = (np.round(size * (z - z.min())).astype(int) for z in (x, y))
    paper = np.ones((rows.max() + 1, columns.max() + 1), bool)
    paper[rows, columns] = False
    away = ndimage.distance_transform_edt(np.pad(paper, margin, constant_values=True))
    edge = pen * size / 2 + 0.5 - np.asarray(away, np.float32)
    return edge.clip(0, 1).astype(np.float32)


def placed(ink: Ink, rng: np.random.Generator) -> Ink:
    """The ink with margins of 0.1 to 0.9 times its shorter side."""
    margins = (rng.uniform(0.1, 0.9, (2, 2)) * min(ink.shape)).astype(int) + 2
    return np.pad(ink, margins)


def ruled(ink: Ink, rng: np.random.Generator, squared: bool = False) -> Ink:
    """The ink on ruled or squared paper, whose lines are fainter, and not quite level.

    They are thin, and from a quarter of the height of the ink to all of it apart.
    """
    size = int(np.ptp(np.flatnonzero(ink.any(axis=1))))
    apart, width = rng.uniform(0.25, 1.0) * size, rng.uniform(0.01, 0.03) * size
    slope, *starts = rng.uniform((-0.01, 0, 0), (0.01, apart, apart))
    r, c = np.indices(ink.shape)
    lines = (r + slope * c + starts[0]) % apart < max(1.0, width)
    if squared:
        lines |= (c - slope * r + starts[1]) % apart < max(1.0, width)
    return np.maximum(ink, np.float32(rng.uniform(0.3, 0.8)) * lines)


def framed(ink: Ink, rng: np.random.Generator) -> Ink:
    """The ink with a frame round it, drawn with a pen."""
    rows, columns = (np.flatnonzero(ink.any(axis=axis)) for axis in (1, 0))
    size = int(np.ptp(rows))
    away, width = (rng.uniform((0.1, 0.02), (0.5, 0.1)) * size).astype(int) + 2
    ink = np.pad(ink, away + width + 2)
    r, c = np.indices(ink.shape)
    outside = [
        np.maximum(z.min() - k, k - z.max())
        for z, k in ((rows + away + width + 2, r), (columns + away + width + 2, c))
    ]
    distance = np.maximum(*outside)
    return np.where((distance > away) & (distance <= away + width), np.float32(1), ink)


def photographed(
    ink: Ink, rng: np.random.Generator, shadow: bool = False
) -> Image.Image:
    """A noisy colour picture of the ink on paper under uneven light.

    A shadow has an edge anywhere, and takes 20 to 60 % of the light.
    """
    paper, colour = rng.uniform(200, 255, 3), rng.uniform(0, 110, 3)
    if rng.random() < 0.4 and not shadow:  # chalk on a board
        paper, colour = 255 - paper, 255 - colour
    r, c = (np.linspace(-1, 1, n) for n in ink.shape)
    slope = rng.uniform(-12, 12, 2)
    light = np.add.outer(slope[0] * r, slope[1] * c)
    levels = paper + ink[..., np.newaxis] * (colour - paper) + light[..., np.newaxis]
    if shadow:
        angle, place, soft = rng.uniform((0, -0.5, 0.002), (2 * np.pi, 0.5, 0.02))
        away = np.add.outer(np.sin(angle) * r, np.cos(angle) * c) - place
        levels *= 1 - rng.uniform(0.2, 0.6) * (away / soft).clip(0, 1)[..., np.newaxis]
    levels = levels + rng.normal(0, rng.uniform(0, 5), levels.shape)
    return Image.fromarray(levels.clip(0, 255).astype(np.uint8))


def pasted(
    digits: Float[np.ndarray, "k 28 28"],
    gaps: tuple[int, int],
    rng: np.random.Generator,
) -> Float[np.ndarray, "28 width"]:
    """Digits side by side, up to 2 rows above or below a line.

    Gaps are the fewest and the most empty columns between neighbours; -1 lets their
    outermost columns overlap.
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


def stacked(lines: list[Ink], rng: np.random.Generator) -> Ink:
    """Lines below each other, up to their height apart and somewhat indented."""
    height, indents = len(lines[0]), rng.integers(0, 20, len(lines))
    width = max(
        line.shape[1] + indent for line, indent in zip(lines, indents, strict=True)
    )
    rows = []
    for line, indent in zip(lines, indents, strict=True):
        right = width - line.shape[1] - indent
        below = int(rng.uniform(0.1, 1.0) * height)
        rows.append(np.pad(line, ((0, below), (indent, right))))
    return np.concatenate(rows)
