"""A gradient beside another, as a picture."""

from pathlib import Path

import numpy as np

from jaxnet.compare.check import GradCheck
from jaxnet.compare.report import plural
from jaxnet.figures.canvas import blank, save


def gradient_comparison(found: GradCheck, candidate: str, path: str | Path) -> Path:
    """Errors of each parameter, and of differences of the cost by their step."""
    figure = blank(10.0, 4.0)
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
    return save(figure, path)
