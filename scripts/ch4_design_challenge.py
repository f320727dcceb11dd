"""Chapter 4 (web): the design challenge, and how many hidden neurons it takes.

Book: choose five heights so that the hidden layer's weighted output is close to
sigma^-1(f), on average within 0.40; the book's heights score 0.38, and the best are the
medians of sigma^-1(f) over each interval. More pairs of neurons come closer.
"""

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))  # as a file or as a module

import jaxnet
from jaxnet.cli.console import script
from jaxnet.figures import blank, save
from jaxnet.figures.canvas import BLUE, GREEN, RED
from jaxnet.universality import approximate, error_bound
from scripts.ch4_bumps import bumps, goal, outputs

BOOK = (-1.1, -1.4, -0.3, -1.0, 1.2)
EDGES = np.linspace(0, 1, 6)
GRID = np.arange(100) / 100  # where the challenge is scored
FINE = (np.arange(2000) + 0.5) / 2000
SIZES = (5, 10, 20, 50, 100, 200)
PER_AXIS = (5, 10, 20, 30)


def logit(a):
    """sigma^-1: the weighted input of a neuron whose output is a."""
    return np.log(a / (1 - a))


def score(heights) -> float:
    """The average deviation of the five heights from sigma^-1(f)."""
    return float(np.mean(np.abs(logit(goal(GRID)) - np.repeat(heights, 20))))


def best_heights():
    """The median over each interval, which has the least mean absolute deviation."""
    return np.median(logit(goal(GRID)).reshape(5, 20), axis=1)


def hill(x, y):
    """A function of two inputs, between 0.1 and 0.9."""
    return 0.5 + 0.4 * np.sin(3 * x) * np.cos(4 * y)


def mean_error(params, f, *x) -> float:
    """The mean of |network - f|."""
    return float(np.mean(np.abs(outputs(params, *x) - f(*x))))


def book_network(n: int):
    """N pairs of neurons with steps from 0 to 1, as in the book, as a whole network."""
    edges = np.linspace(0, 1, n + 1)
    *hidden, last = bumps(edges, logit(goal((edges[1:] + edges[:-1]) / 2)))
    return [*hidden, replace(last, activation=jaxnet.sigmoid)]


def draw(results: Mapping[str, np.ndarray], path: str | Path) -> Path:
    """The path of a picture of the challenge, the outputs, and errors by neurons."""
    figure = blank(11.0, 3.8)
    heights, output, errors = figure.subplots(1, 3)
    heights.plot(FINE, logit(goal(FINE)), color="black", label="$\\sigma^{-1}(f)$")
    for name, colour in (("book", BLUE), ("best", RED)):
        label = f"{name}: {score(results[name]):.3f}"
        heights.stairs(
            results[name], EDGES, baseline=None, color=colour, lw=1.8, label=label
        )
    heights.set(xlabel="$x$", ylabel="weighted output of the hidden layer")
    heights.set_title("Five heights, and their average deviation", fontsize=10)
    heights.legend(fontsize=8, frameon=False)
    output.plot(FINE, goal(FINE), color="black", label="$f$ (web 113)")
    for n, colour in ((5, BLUE), (20, RED)):
        a = outputs(book_network(n), FINE)
        output.plot(FINE, a, color=colour, lw=1.4, label=f"{2 * n} hidden neurons")
    output.set(xlabel="$x$", ylabel="output of the network")
    output.set_title("The network", fontsize=10)
    output.legend(fontsize=8, frameon=False)
    neurons = 2 * np.array(SIZES)
    errors.loglog(neurons, results["mean"], "o-", color=BLUE, label="mean error")
    errors.loglog(neurons, results["maximum"], "s-", color=RED, label="maximum error")
    errors.loglog(neurons, results["bound"], "--", color=RED, label="its bound")
    of_two = 5 * np.array(PER_AXIS) ** 2, results["two inputs"]
    errors.loglog(*of_two, "^-", color=GREEN, label="two inputs, mean error")
    errors.set(xlabel="hidden neurons", ylabel="|network - $f$|")
    errors.set_title("The more neurons, the closer", fontsize=10)
    errors.grid(alpha=0.3)
    errors.legend(fontsize=8, frameon=False)
    return save(figure, path)


def main(
    out: str | Path | None = "figures/ch4_design_challenge.png",
) -> dict[str, np.ndarray]:
    """Print scores and errors, and draw them into `out` unless None."""
    results = {"book": np.array(BOOK), "best": best_heights()}
    for name in ("book", "best"):
        words = " ".join(f"{h:.2f}" for h in results[name])
        print(f"{name} heights {words}: average deviation {score(results[name]):.3f}")

    slope = np.abs(np.gradient(logit(goal(FINE)), FINE)).max()
    networks = [approximate(goal, n) for n in SIZES]
    away = [np.abs(outputs(params, FINE) - goal(FINE)) for params in networks]
    results["as in the book"] = np.array(
        [mean_error(book_network(n), goal, FINE) for n in SIZES]
    )
    results["mean"], results["maximum"] = np.mean(away, axis=1), np.max(away, axis=1)
    results["bound"] = np.array([error_bound(slope, n) for n in SIZES])
    print(
        "neurons  mean error with steps at 0 and 1, outside; maximum error, its bound"
    )
    names = ("as in the book", "mean", "maximum", "bound")
    for row in zip(SIZES, *(results[name] for name in names), strict=True):
        print(f"{2 * row[0]:7}  " + "  ".join(f"{value:.4f}" for value in row[1:]))

    x, y = np.meshgrid(*[np.linspace(0.003, 0.997, 67)] * 2)
    results["two inputs"] = np.array(
        [mean_error(approximate(hill, n, inputs=2), hill, x, y) for n in PER_AXIS]
    )
    for n, error in zip(PER_AXIS, results["two inputs"], strict=True):
        print(f"{n} x {n} towers, {5 * n * n} hidden neurons: mean error {error:.4f}")
    if out is not None:
        print(f"wrote {draw(results, out)}")
    return results


if __name__ == "__main__":
    script(main)
