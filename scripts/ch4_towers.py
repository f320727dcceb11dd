"""Chapter 4 (web): bumps of two inputs make towers, and towers make any function.

Book: four hidden neurons make a plateau of height h along each input, and 2h where they
cross; an output neuron with a large h and a bias of about -3h/2 leaves the tower alone.
With m inputs it takes 2m hidden neurons and the bias (-m + 1/2) h.
"""

import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))  # as a file or as a module

import jaxnet
from jaxnet import Layer
from jaxnet.cli.console import script
from jaxnet.figures import blank, save
from jaxnet.universality import approximate, bump, stacked, steps, tower, weighted
from scripts.ch4_bumps import outputs
from scripts.ch4_design_challenge import hill

LOW, HIGH = (0.4, 0.3), (0.6, 0.7)
PLACES = {"inside": (0.52, 0.52), "plateau": (0.52, 0.13), "outside": (0.13, 0.13)}


def cells(n: int):
    """The lows and highs of n x n cells, by i and j."""
    for i in range(n):
        for j in range(n):
            yield (i, j), (i / n, j / n), ((i + 1) / n, (j + 1) / n)


def constructions() -> dict[str, jaxnet.Params]:
    """The book's networks of two inputs, by their titles."""
    first_tower = tower(LOW, HIGH, 0.3)
    *hidden, last = first_tower
    two = [tower((0.1, 0.8), (0.2, 0.9)), tower((0.7, 0.2), (0.8, 0.3))]
    many = [tower(low, high) for _, low, high in cells(5)]
    heights = [(i**2 + j**2) / 50 for (i, j), _, _ in cells(5)]
    return {
        "A neuron, w = 8, b = -5": steps(5 / 8, 8.0, inputs=2),
        "A step at x = 0.5": steps(0.5, inputs=2),
        "A bump along x, h = 0.6": weighted(steps([0.3, 0.7], inputs=2), [0.6, -0.6]),
        "Bumps along both, h = 0.3": bump(LOW, HIGH, 0.3),
        "A low tower, h = 0.3, b = -0.5": [
            *hidden,
            Layer(last.w, 0 * last.b - 0.5, last.activation),
        ],
        "A tower, h = 10, b = -15": tower(LOW, HIGH, 10.0),
        "Two towers, 0.7 and 0.5": weighted(stacked(two), [0.7, 0.5]),
        "25 towers, (i² + j²)/50": weighted(stacked(many), heights),
        "A function by 400 towers": approximate(hill, 20, inputs=2),
    }


def draw(results: Mapping[str, np.ndarray], path: str | Path) -> Path:
    """The path of a picture of each network's output over the unit square."""
    figure = blank(10.0, 9.0)
    surfaces = {name: z for name, z in results.items() if z.ndim == 2}
    x, y = np.meshgrid(*[np.linspace(0, 1, len(next(iter(surfaces.values()))))] * 2)
    for k, (title, z) in enumerate(surfaces.items(), start=1):
        axes = figure.add_subplot(3, 3, k, projection="3d")
        mesh = {"rcount": len(x), "ccount": len(x), "lw": 0, "antialiased": False}
        axes.plot_surface(x, y, z, cmap="viridis", **mesh)
        axes.set(xlabel="$x$", ylabel="$y$", xticks=[0, 0.5, 1], yticks=[0, 0.5, 1])
        axes.set_zlim(min(0, z.min()), z.max())
        axes.tick_params(labelsize=7, pad=0)
        axes.view_init(elev=32, azim=-125)
        axes.set_title(title, fontsize=10)
    return save(figure, path)


def main(
    points: int = 104, m: int = 3, out: str | Path | None = "figures/ch4_towers.png"
) -> dict[str, np.ndarray]:
    """Print outputs on and off the towers, and draw all into `out` unless None."""
    grid = np.meshgrid(*[np.linspace(0, 1, points)] * 2)
    results = {}
    print(f"{'output':32}" + "  ".join(f"{name:>9}" for name in PLACES))
    for name, params in constructions().items():
        results[name] = outputs(params, *grid)
        found = outputs(params, *np.transpose([*PLACES.values()]))
        print(f"{name:32}" + "  ".join(f"{a:9.3g}" for a in found))
    within = np.arange(m + 1)  # in how many of the m inputs a point is in the tower
    places = np.where(np.arange(m)[:, np.newaxis] < within, 0.5, 0.1)
    name = f"{m} inputs, {2 * m} hidden neurons"
    results[name] = outputs(tower([0.4] * m, [0.6] * m), *places)
    print(f"{name}, within the tower in 0 to {m} of them:", results[name])
    if out is not None:
        print(f"wrote {draw(results, out)}")
    return results


if __name__ == "__main__":
    script(main)
