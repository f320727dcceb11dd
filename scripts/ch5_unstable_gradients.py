"""Chapter 5 (web): why gradients of deep networks vanish, or explode.

Book: in a chain of single neurons dC/db_1 = sigma'(z_1) w_2 sigma'(z_2) ... dC/da_L, a
product in which sigma' is at most 1/4. With weights of about 1 it vanishes; with
weights of 100 and each z = 0 each factor is 25. |w sigma'(wa + b)| >= 1 needs |w| >= 4,
and holds for a range of inputs a that is at most about 0.45 wide, where |w| is 6.9.
"""

import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))  # as a file or as a module

import jaxnet
from jaxnet import Layer, forward, sigmoid
from jaxnet.cli.console import script
from jaxnet.figures import blank, save
from jaxnet.figures.canvas import BLUE, GREEN, RED


def chain(weights, biases):
    """Single neurons in a row, each with one input."""
    pairs = zip(weights, biases, strict=True)
    return [Layer(jnp.reshape(w, (1, 1)), jnp.reshape(b, 1)) for w, b in pairs]


def factors(params, x):
    """w_(l+1) sigma'(z_(l+1)), for l = 1, 2, ..., and sigma'(z_1) before them."""
    zs, _ = forward(params, x)
    slopes = [sigmoid.prime(z)[0] for z in zs]
    ws = [jnp.ones(()), *(layer.w[0, 0] for layer in params[1:])]
    return jnp.stack([w * slope for w, slope in zip(ws, slopes, strict=True)])


def chain_slope(params, x, y):
    """dC/db_1 = sigma'(z_1) w_2 sigma'(z_2) ... sigma'(z_L) dC/da_L  (web 114, 121)."""
    _, activations = forward(params, x)
    return jnp.prod(factors(params, x)) * (activations[-1] - y)[0]


def exploding(n: int, w: float = 100.0, x: float = 0.5):
    """A chain with all weights w, and biases that keep each z at 0, where a = 1/2."""
    return chain([w] * n, [-w * x, *[-w / 2] * (n - 1)])


def width(w):
    """How wide the range of inputs a is in which |w sigma'(wa + b)| >= 1  (web 123).

    nan where there is none, since |w| < 4.
    """
    w = np.abs(w)
    with np.errstate(invalid="ignore", divide="ignore"):
        return 2 / w * np.log(w * (1 + np.sqrt(1 - 4 / w)) / 2 - 1)


def widest() -> tuple[float, float]:
    """The |w| with the widest range, and how wide it is."""
    w = np.linspace(4, 12, 800_001)
    return float(w[np.nanargmax(width(w))]), float(np.nanmax(width(w)))


def identity_error(w: float, points: int = 1001) -> float:
    """How far w_2 sigma(w x + b) is from x plus a constant on [0, 1], at most.

    With b = -w/2 and w_2 = 4/w it is x + 2/w - 1/2; the next neuron's bias has to make
    up for the constant.
    """
    x = np.linspace(0, 1, points)
    neuron = 4 / w / (1 + np.exp(-w * (x - 0.5)))
    return float(np.abs(neuron - (x + 2 / w - 0.5)).max())


def literal_identity_error(points: int = 1001) -> tuple[float, float]:
    """The least max |w_2 sigma(w_1 x + b) - x| on [0, 1] without a constant, and w_1.

    It has w_2 = 1 and b = -w_1/2, so only w_1 is searched for.
    """
    x = np.linspace(0, 1, points)
    w = np.linspace(4, 8, 4001)
    neurons = 1 / (1 + np.exp(-np.outer(w, x - 0.5)))
    errors = np.abs(neurons - x).max(axis=1)
    return float(errors.min()), float(w[errors.argmin()])


def draw(results: Mapping[str, np.ndarray], path: str | Path) -> Path:
    """The path of a picture of sigma', of gradients by depth, and of the range."""
    figure = blank(10.0, 3.6)
    slope, depth, ranges = figure.subplots(1, 3)
    z = np.linspace(-5, 5, 401)
    slope.plot(z, np.exp(-z) / (1 + np.exp(-z)) ** 2, color=BLUE)
    slope.axhline(0.25, color="black", ls=":", lw=1)
    slope.set(xlabel="$z$", ylim=(0, 0.28))
    slope.set_title("$\\sigma'(z)$ is at most 1/4", fontsize=10)
    layers = np.arange(1, 1 + len(results["exploding"]))
    vanishing = np.abs(results["vanishing"])
    low, middle, high = np.quantile(vanishing, [0.05, 0.5, 0.95], axis=0)
    depth.fill_between(layers, low, high, color=BLUE, alpha=0.2, lw=0)
    label = "weights from N(0, 1): median, 5 to 95 %"
    depth.semilogy(layers, middle, "o-", color=BLUE, label=label)
    label = "$w$ = 100, each $z$ = 0"
    depth.semilogy(layers, results["exploding"], "s-", color=RED, label=label)
    depth.set(
        xlabel="layer $l$", ylim=(1e-13, 1), ylabel="$|\\partial C/\\partial b_l|$"
    )
    depth.set_xticks(layers)
    depth.set_title("Vanishing and exploding", fontsize=10)
    depth.legend(fontsize=8, frameon=False)
    w = np.linspace(4, 30, 500)
    ranges.plot(w, width(w), color=BLUE)
    best, most = results["widest"]
    ranges.plot(best, most, "o", color=GREEN)
    ranges.annotate(f"{most:.2f} at {best:.1f}", (best + 0.8, most), fontsize=9)
    ranges.set(xlabel="$|w|$", ylim=(0, 0.5))
    ranges.set_title(
        "Width of inputs with $|w\\sigma'| \\geq 1$ (web 123)", fontsize=10
    )
    return save(figure, path)


def main(
    n: int = 6,
    draws: int = 1000,
    out: str | Path | None = "figures/ch5_unstable_gradients.png",
) -> dict[str, np.ndarray]:
    """Print the gradients of chains, and draw them into `out` unless None."""
    x, y = jnp.array([0.5]), jnp.array([1.0])
    errors = jax.jit(partial(jaxnet.errors, cost=jaxnet.quadratic))

    def slopes(params):
        """dC/db_l of every layer l."""
        return np.concatenate([delta for delta in errors(params, x, y)[0]])

    params = chain(*np.random.default_rng(0).normal(size=(2, n)))
    print(f"a chain of {n}: by the product {chain_slope(params, x, y):.6g}")
    print(f"  by backpropagation {slopes(params)[0]:.6g}")
    sampled = np.random.default_rng(1).normal(size=(draws, 2, n))
    results = {"vanishing": np.array([slopes(chain(*each)) for each in sampled])}
    results["exploding"] = np.abs(slopes(exploding(n)))
    for name in ("vanishing", "exploding"):
        middle = np.median(np.abs(np.atleast_2d(results[name])), axis=0)
        print(f"{name}: |dC/db_l|", *(f"{value:.2g}" for value in middle))
    ratios = np.abs(results["vanishing"][:, 0] / results["vanishing"][:, 2])
    results["below a sixteenth"] = np.array(np.mean(ratios <= 1 / 16))
    share = results["below a sixteenth"]
    print(f"|dC/db_1| is at most 1/16 of |dC/db_3| in {share:.0%} of {draws} chains")
    results["widest"] = np.array(widest())
    print("widest range of inputs: {1:.4f}, at |w| = {0:.3f}".format(*widest()))
    print("identity neuron, with its constant:")
    for w in (1.0, 0.1, 0.01):
        results[f"identity, w = {w:g}"] = np.array(identity_error(w))
        print(f"  w = {w:g}: error {identity_error(w):.3g}")
    results["literal identity"] = np.array(literal_identity_error())
    print("  without: error {:.3f}, at w_1 = {:.2f}".format(*literal_identity_error()))
    if out is not None:
        print(f"wrote {draw(results, out)}")
    return results


if __name__ == "__main__":
    script(main)
