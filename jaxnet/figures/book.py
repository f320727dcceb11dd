"""The book's figures, chapters 1 to 3."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from jaxnet.figures.canvas import blank, save


def valley(paths: Mapping[float, np.ndarray], path: str | Path) -> Path:
    """The valley C = v1^2 + v2^2, a ball that rolls down it, and heights for each eta.

    `paths` maps a learning rate to the points visited; the first one is the ball drawn.
    """
    figure = blank(9.0, 4.0)
    grid = np.linspace(-1, 1, 41)
    v1, v2 = np.meshgrid(grid, grid)
    surface = figure.add_subplot(1, 2, 1, projection="3d", computed_zorder=False)
    surface.plot_surface(v1, v2, v1**2 + v2**2, cmap="Blues", alpha=0.5)
    eta, ball = next(iter(paths.items()))
    surface.plot(*ball.T, np.sum(ball**2, axis=1), "o-", color="C1", markersize=4)
    surface.set(xlabel="$v_1$", ylabel="$v_2$", zlabel="$C$")
    surface.set(xticks=[-1, 0, 1], yticks=[-1, 0, 1], zticks=[0, 1, 2])
    surface.set_title(f"$C = v_1^2 + v_2^2$, down with $\\eta$ = {eta}")

    heights = figure.add_subplot(1, 2, 2)
    for eta, points in paths.items():
        cost = np.sum(points**2, axis=1)
        heights.plot(cost, "o-", markersize=4, label=f"$\\eta$ = {eta}")
    heights.set(xlabel="step", ylabel="$C$", ylim=(-0.1, 3))
    heights.legend(loc="upper right")
    heights.set_title("Height after each step")
    return save(figure, path)


def images(rows: Sequence[np.ndarray], titles: Sequence[str], path: str | Path) -> Path:
    """Grey images side by side, ink black as on paper, each under its title."""
    figure = blank(1.3 * len(rows), 1.6)
    for place, (image, title) in enumerate(zip(rows, titles, strict=True), start=1):
        axes = figure.add_subplot(1, len(rows), place)
        axes.imshow(image, cmap="binary", vmin=0, vmax=1)
        axes.set_title(title, fontsize=9)
        axes.set(xticks=[], yticks=[])
    return save(figure, path)


def insights(results: Mapping[str, np.ndarray], path: str | Path) -> Path:
    """How fast weights learn, by their quiet inputs and their saturated outputs."""
    figure = blank(9.0, 3.8)
    by_input, by_output = figure.subplots(1, 2)
    by_input.loglog(results["quiet"], results["by input"], "o-")
    by_input.set(xlabel="inputs, times", ylabel="$||\\partial C/\\partial w^1||$")
    by_input.set_title("Quiet inputs: BP4", fontsize=10)
    for name in ("quadratic", "cross-entropy"):
        by_output.semilogy(results["z"], results[name], label=name)
    by_output.set(xlabel="$z$ of the output neuron, target 0")
    by_output.set_ylabel("$||\\partial C/\\partial w^2||$")
    by_output.set_title("Saturated outputs: BP1", fontsize=10)
    by_output.legend()
    return save(figure, path)


def cost_of_gradients(results: Mapping[str, np.ndarray], path: str | Path) -> Path:
    """The time of a gradient in forward passes, by the number of parameters."""
    figure = blank(6.0, 4.0)
    axes = figure.subplots()
    size = results["parameters"]
    axes.loglog(size, size + 1, "k--", label="passes of (2.21)", linewidth=1)
    axes.loglog(
        size, results["differences over forward"], "o-", label="(2.21), measured"
    )
    axes.loglog(
        size, results["backward over forward"] + 1, "s-", label="backprop, measured"
    )
    axes.axhline(2, color="grey", linestyle=":", label="2 passes")
    axes.set(xlabel="weights and biases", ylabel="time of a gradient / forward pass")
    axes.legend()
    return save(figure, path)


def weights(networks: Mapping[str, np.ndarray], path: str | Path) -> Path:
    """How many weights of each network are how large, on a logarithmic axis."""
    figure = blank(8.0, 3.8)
    axes = figure.subplots()
    bins = np.logspace(-6, 1, 71).tolist()
    for name, values in networks.items():
        sizes = np.clip(np.abs(values), bins[0], bins[-1])
        axes.hist(sizes, bins, histtype="step", linewidth=1.5, label=name)
    axes.set(xscale="log", xlabel="$|w|$", ylabel="weights")
    axes.legend(loc="upper left")
    return save(figure, path)


def toy_neuron(
    runs: Mapping[str, Mapping[str, np.ndarray]],
    rates: Mapping[str, np.ndarray],
    path: str | Path,
) -> Path:
    """Weight, bias, output and cost by epoch, a row for each start, and the rates.

    `runs` maps a start and a kind of run to those four columns. Kinds whose name says
    that they are WRONG are dashed and grey. `rates` has dC/dw of each cost by "a".
    """
    figure = blank(13.0, 2.6 * len(runs) + 0.6)
    grid = figure.add_gridspec(len(runs), 5, width_ratios=[1, 1, 1, 1, 1.5])
    lines = {}
    for row, (begin, by_kind) in enumerate(runs.items()):
        for column, name in enumerate(("weight", "bias", "output", "cost")):
            axes = figure.add_subplot(grid[row, column])
            for place, (kind, run) in enumerate(by_kind.items()):
                colour, style = f"C{place}", "-"
                if "WRONG" in kind:
                    colour, style = "grey", "--"
                lines[kind] = axes.plot(run[:, column], color=colour, ls=style)[0]
            if name == "output":
                axes.set_ylim(0, 1.02)
            elif name == "cost":
                axes.set_ylim(bottom=0)
            if row == 0:
                title = "cost, of its own kind" if name == "cost" else name
                axes.set_title(title, fontsize=10)
            if row == len(runs) - 1:
                axes.set_xlabel("epoch")
            if column == 0:
                axes.set_ylabel(f"from {begin}")

    axes = figure.add_subplot(grid[:, 4])
    for name, colour in (("quadratic", "C0"), ("cross-entropy", "C1")):
        axes.plot(rates["a"], rates[name], color=colour, label=name)
    axes.set(xlabel="output $a$, target 0", ylabel="$\\partial C/\\partial w$")
    axes.set(xlim=(0, 1), ylim=(0, 1))
    axes.set_title("how fast it learns, true gradients", fontsize=10)
    axes.legend(loc="upper left")
    figure.legend(
        list(lines.values()),
        list(lines),
        loc="outside lower center",
        ncols=len(lines),
        frameon=False,
    )
    return save(figure, path)
