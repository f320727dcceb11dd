"""Figures from numbers, with matplotlib (the extra `figures`)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

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
