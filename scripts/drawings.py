"""Pictures of digits as people make them, for scripts/handwriting.py to read."""

import numpy as np
from jaxtyping import Float
from PIL import Image
from scipy import ndimage
from scipy.interpolate import CubicSpline

# How a pen goes through each digit, right and down in a square of side 100.
STROKES = {
    0: ["50,0 15,20 8,55 30,95 60,95 85,60 80,20 50,0"],
    1: ["60,0 45,100"],
    2: ["12,25 30,3 65,3 75,30 50,65 8,97", "8,97 90,93"],
    3: ["15,10 50,0 75,20 40,45", "40,45 80,65 60,97 10,90"],
    4: ["30,0 10,55", "10,55 90,50", "70,10 62,100"],
    5: ["80,2 25,5", "25,5 20,42", "20,42 55,38 80,65 55,97 10,90"],
    6: ["70,0 30,30 12,70 35,98 70,85 60,58 20,65"],
    7: ["10,8 85,3", "85,3 55,50 40,100"],
    8: ["75,12 40,0 22,20 50,45 78,75 50,100 20,78 50,47 75,12"],
    9: ["75,20 45,2 20,25 45,48 75,20", "75,20 70,60 55,100"],
}


def drawn(
    ink: Float[np.ndarray, "28 28"], size: int, thicker: float, degrees: float
) -> Float[np.ndarray, "height width"]:
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


def penned(
    digit: int, size: int, rng: np.random.Generator
) -> Float[np.ndarray, "height width"]:
    """A digit drawn with a pen by an unsteady hand, about `size` pixels high."""
    width, lean, pen = rng.uniform((0.5, 0.0, 0.05), (0.8, 0.2, 0.13))
    path = []
    for stroke in STROKES[digit]:
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
