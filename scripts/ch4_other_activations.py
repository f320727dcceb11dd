"""Chapter 4 (web): other activations, and how to mend the steps that are not sharp.

Book: any activation with two different limits at minus and plus infinity will do, such
as s(z) = sigma(z) + 0.2 sin(10z) exp(-|z|); linear neurons will not. In a window about
each step an approximation fails; the sum of M approximations of f/M, each shifted a
little, has an error of 1/M there. Problem: rectified linear neurons are universal too.
"""

import sys
from collections.abc import Mapping
from pathlib import Path

import jax.numpy as jnp
import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))  # as a file or as a module

import jaxnet
from jaxnet import Activation, Layer, Params, relu, sigmoid
from jaxnet.cli.console import script
from jaxnet.figures import blank, save
from jaxnet.figures.canvas import BLUE, GREEN, RED
from jaxnet.universality import approximate, stacked, steps, weighted
from scripts.ch4_bumps import bumps, goal, outputs

wavy = Activation(
    lambda z: sigmoid.fn(z) + 0.2 * jnp.sin(10 * z) * jnp.exp(-jnp.abs(z)),
    lambda z: (
        sigmoid.prime(z)
        + 0.2
        * (10 * jnp.cos(10 * z) - jnp.sign(z) * jnp.sin(10 * z))
        * jnp.exp(-jnp.abs(z))
    ),
    "wavy",
)
ramp = Activation(  # from 0 to 1, the difference of two rectified linear neurons
    lambda z: relu.fn(z + 0.5) - relu.fn(z - 0.5),
    lambda z: relu.prime(z + 0.5) - relu.prime(z - 0.5),
    "ramp",
)
HEIGHTS = (-1.3, -1.8, -0.5, -0.9, 0.3)
SHIFTED = (-1.55, -1.15, -0.7, -0.6, 0.6)


def in_relus(params: Params) -> Params:
    """The network with two rectified linear neurons in place of each ramp."""
    (w, b), output = params
    pairs = Layer(jnp.concatenate([w, w]), jnp.concatenate([b + 0.5, b - 0.5]), relu)
    both = jnp.concatenate([output.w, -output.w], axis=1)
    return [pairs, Layer(both, output.b, output.activation)]


def draw(results: Mapping[str, np.ndarray], path: str | Path) -> Path:
    """The path of a picture of the activation, its steps, and overlapping sums."""
    figure = blank(10.0, 5.4)
    x, z = results["x"], results["z"]
    (first, second, third), (fourth, fifth, sixth) = figure.subplots(2, 3)
    first.plot(z, results["s"], color=BLUE)
    first.set(xlabel="$z$")
    first.set_title("$s(z) = \\sigma(z) + 0.2 \\sin(10z)\\, e^{-|z|}$", fontsize=10)
    for axes, names in (
        (second, ("w = 6", "w = 100")),
        (third, ("20 bumps of s", "50 bumps of relu", "goal")),
        (fourth, ("sigma(50x - 25)",)),
        (fifth, ("bumps", "shifted")),
        (sixth, ("sum of halves",)),
    ):
        for name, colour in zip(names, (BLUE, RED, "black"), strict=False):
            axes.plot(x, results[name], color=colour, lw=1.2, label=name)
    second.set_title("$s(wx + b)$, a step at 0.5", fontsize=10)
    third.set_title("The goal (web 113)", fontsize=10)
    fourth.axvspan(0.45, 0.55, color=GREEN, alpha=0.2, lw=0, label="window of failure")
    fourth.set_title("A step that takes its time", fontsize=10)
    fifth.set_title("Two approximations", fontsize=10)
    sixth.set_title("Half of each, added", fontsize=10)
    for axes in (second, third, fourth, fifth):
        axes.legend(fontsize=8, frameon=False)
    for axes in (second, third, fourth, fifth, sixth):
        axes.set(xlim=(0, 1), xlabel="$x$")
    return save(figure, path)


def main(
    out: str | Path | None = "figures/ch4_other_activations.png",
) -> dict[str, np.ndarray]:
    """Print errors in and out of the windows, and draw all into `out` unless None."""
    x, z = np.linspace(0, 1, 2001), np.linspace(-5, 5, 1001)
    results = {"x": x, "z": z, "goal": goal(x), "s": np.asarray(wavy.fn(jnp.array(z)))}
    edges = np.linspace(0, 1, 6)
    halves = [bumps(edges, np.divide(HEIGHTS, 2), w=300.0)]
    halves += [bumps(edges + 0.1, np.divide(SHIFTED, 2), w=300.0)]
    networks = {
        "w = 6": steps(0.5, 6.0, activation=wavy),
        "w = 100": steps(0.5, 100.0, activation=wavy),
        "20 bumps of s": approximate(goal, 20, activation=wavy),
        "50 bumps of relu": in_relus(approximate(goal, 50, activation=ramp)),
        "sigma(50x - 25)": steps(0.5, 50.0),
        "bumps": bumps(edges, HEIGHTS, w=300.0),
        "shifted": bumps(edges + 0.1, SHIFTED, w=300.0),
        "sum of halves": weighted(stacked(halves), [1.0, 1.0]),
    }
    for name, params in networks.items():
        results[name] = outputs(params, x)
    for name in ("20 bumps of s", "50 bumps of relu"):
        error = np.abs(results[name] - results["goal"])
        print(f"{name}: mean error {error.mean():.4f}, maximum {error.max():.4f}")
    try:
        approximate(goal, 50, activation=jaxnet.linear)
    except ValueError as error:
        print(f"linear neurons: {error}")

    print("f = 1 where four towers meet: the error of M overlapping approximations")
    for shifts in (1, 2, 4, 8):
        options = {"inputs": 2, "shifts": shifts, "output": jaxnet.linear}
        overlapping = approximate(lambda x, y: np.ones_like(x), 4, **options)
        error = np.abs(outputs(overlapping, *np.full((2, 1), 0.5)) - 1).max()
        results[f"error, M = {shifts}"] = error
        print(f"  M = {shifts}: {error:.4f}")
    if out is not None:
        print(f"wrote {draw(results, out)}")
    return results


if __name__ == "__main__":
    script(main)
