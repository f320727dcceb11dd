"""Figures from numbers, with matplotlib (the extra `figures`)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from jaxnet.compare.check import GradCheck
from jaxnet.compare.report import plural

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def _figure(width: float, height: float) -> "Figure":
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            'Figures need matplotlib: python -m pip install "jaxnet[figures]", '
            'or ".[figures]" in a checkout.'
        ) from error
    return Figure(figsize=(width, height), layout="constrained")


def _save(figure: "Figure", path: str | Path) -> Path:
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    return path


def valley(paths: Mapping[float, np.ndarray], path: str | Path) -> Path:
    """The valley C = v1^2 + v2^2, a ball that rolls down it, and heights for each eta.

    `paths` maps a learning rate to the points visited; the first one is the ball drawn.
    """
    figure = _figure(9.0, 4.0)
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
    return _save(figure, path)


def images(rows: Sequence[np.ndarray], titles: Sequence[str], path: str | Path) -> Path:
    """Grey images side by side, ink black as on paper, each under its title."""
    figure = _figure(1.3 * len(rows), 1.6)
    for place, (image, title) in enumerate(zip(rows, titles, strict=True), start=1):
        axes = figure.add_subplot(1, len(rows), place)
        axes.imshow(image, cmap="binary", vmin=0, vmax=1)
        axes.set_title(title, fontsize=9)
        axes.set(xticks=[], yticks=[])
    return _save(figure, path)


def gradient_comparison(found: GradCheck, candidate: str, path: str | Path) -> Path:
    """Errors of each parameter, and of differences of the cost by their step."""
    figure = _figure(10.0, 4.0)
    bars, curve = figure.subplots(1, 2)
    names = [leaf.name for leaf in found.stages[0].comparison.leaves]
    places, width = np.arange(len(names)), 0.8 / len(found.stages)
    least = 1e-17  # what an error of zero is drawn as
    for i, stage in enumerate(found.stages):
        errors = [max(leaf.relative_error, least) for leaf in stage.comparison.leaves]
        when = f"trained for {plural(stage.epochs)}" if stage.epochs else "untrained"
        colour = "C0" if stage.comparison.dtype == "float64" else "C1"
        bars.bar(
            places + (i - (len(found.stages) - 1) / 2) * width,
            np.nan_to_num(errors, nan=1.0, posinf=1.0),
            0.9 * width,
            bottom=least,
            color=colour,
            alpha=1.0 if stage.epochs else 0.6,
            label=f"{stage.comparison.dtype}, {when}",
        )
        if stage.epochs == 0:
            line = {"color": colour, "linestyle": "--", "linewidth": 1}
            bars.axhline(stage.comparison.tolerance, **line)
    bars.set_xticks(places, [f"${name[0]}^{name[2:]}$" for name in names])
    bars.set(yscale="log", ylim=(least, 10), ylabel="relative error")
    bars.set_title(f"{candidate} beside the reference (dashed: tolerance)", fontsize=10)
    bars.legend(fontsize=8, loc="upper right", framealpha=1)
    if found.curve is not None:
        curve.loglog(found.curve.steps, found.curve.forward, "o-", label="forward")
        curve.loglog(found.curve.steps, found.curve.central, "s-", label="central")
        curve.set(xlabel="step $h$", ylabel="relative error of the slope")
        curve.set_title("Differences of the cost, by their step", fontsize=10)
        curve.legend(fontsize=8)
    return _save(figure, path)


def insights(results: Mapping[str, np.ndarray], path: str | Path) -> Path:
    """How fast weights learn, by their quiet inputs and their saturated outputs."""
    figure = _figure(9.0, 3.8)
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
    return _save(figure, path)


def cost_of_gradients(results: Mapping[str, np.ndarray], path: str | Path) -> Path:
    """The time of a gradient in forward passes, by the number of parameters."""
    figure = _figure(6.0, 4.0)
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
    return _save(figure, path)
