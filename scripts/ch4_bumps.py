"""Chapter 4 (web): a sigmoid neuron is nearly a step, two steps are a bump.

Book: sigma(w x + b) with a large w steps at s = -b/w; two such hidden neurons with
output weights h and -h make a bump of height h between their steps; and N bumps make
any function of one input.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import jax
import numpy as np

import jaxnet
from jaxnet.cli.console import script
from jaxnet.figures import blank, save
from jaxnet.figures.canvas import BLUE, GREEN, RED
from jaxnet.universality import bump, stacked, steps, weighted


def bumps(edges, heights, *, w: float = 1000.0, activation=jaxnet.sigmoid):
    """The network that has these heights between its edges."""
    pairs = zip(edges, edges[1:], strict=False)
    parts = [bump(*pair, w=w, activation=activation) for pair in pairs]
    return weighted(stacked(parts), heights)


@jax.jit
def _predict_all(params, rows):
    return jax.vmap(partial(jaxnet.predict, params))(rows)


def outputs(params, *x):
    """The first output of a network for arrays of its inputs."""
    rows = np.stack([np.ravel(each) for each in x], axis=1).astype(np.float32)
    return np.asarray(_predict_all(params, rows)[:, 0]).reshape(np.shape(x[0]))


def draw(results: Mapping[str, np.ndarray], path: str | Path) -> Path:
    """The path of a picture with a panel for each construction."""
    figure = blank(10.0, 5.0)
    panels = (
        ("One neuron, step at 0.4", ["w = 8", "w = 100", "w = 999"]),
        ("Two steps, weights 0.6 and 1.2", ["two steps"]),
        ("A bump of height 0.6", ["bump"]),
        ("Two bumps", ["two bumps"]),
        ("Five bumps", ["five bumps"]),
        ("The goal (web 113), and 50 bumps", ["goal", "50 bumps"]),
    )
    for axes, (title, names) in zip(figure.subplots(2, 3).flat, panels, strict=True):
        for name, colour in zip(names, (BLUE, RED, GREEN), strict=False):
            label = name.replace("w = ", "$w$ = ")
            axes.plot(results["x"], results[name], color=colour, lw=1.4, label=label)
        axes.axhline(0, color="black", lw=0.6)
        axes.set_title(title, fontsize=10)
        axes.set(xlim=(0, 1), xlabel="$x$")
        if len(names) > 1:
            axes.legend(fontsize=8, frameon=False)
    return save(figure, path)


def goal(x):
    """The function that the chapter approximates  (web 113)."""
    return 0.2 + 0.4 * x**2 + 0.3 * x * np.sin(15 * x) + 0.05 * np.cos(50 * x)


def main(
    points: int = 1001, out: str | Path | None = "figures/ch4_bumps.png"
) -> dict[str, np.ndarray]:
    """Print what each construction gives, and draw them into `out` unless None."""
    x = np.linspace(0, 1, points)
    heights = np.random.default_rng(0).uniform(-1.5, 1.5, 5)
    two = stacked([bump(0.4, 0.6, -1.2), bump(0.7, 0.9, 0.3)])
    networks = {
        **{f"w = {w}": steps(0.4, w) for w in (8, 100, 999)},
        "two steps": weighted(steps([0.4, 0.6]), [0.6, 1.2]),
        "bump": bump(0.4, 0.6, 0.6),
        "two bumps": weighted(two, [1.0, 1.0]),
        "five bumps": bumps(np.linspace(0, 1, 6), heights),
        "50 bumps": jaxnet.universality.approximate(goal, 50),
    }
    results = {"x": x, "goal": goal(x)}
    shown = np.searchsorted(x, (0.1, 0.3, 0.5, 0.7, 0.85))
    print("x = " + " ".join(f"{x[i]:6.2f}" for i in shown))
    for name, params in networks.items():
        results[name] = outputs(params, x)
        print("    " + " ".join(f"{y:6.3f}" for y in results[name][shown]), name)
    if out is not None:
        print(f"wrote {draw(results, out)}")
    return results


if __name__ == "__main__":
    script(main)
