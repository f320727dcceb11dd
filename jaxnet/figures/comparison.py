"""One gradient against another: errors by parameter, and finite differences."""

from pathlib import Path

import numpy as np

from jaxnet.compare.examination import Examination
from jaxnet.compare.report import training
from jaxnet.figures.canvas import BLUE, RED, blank, save

_ZERO = 1e-17  # where an error of zero is drawn on the logarithmic axis


def gradient_comparison(found: Examination, candidate: str, path: str | Path) -> Path:
    """The path of a picture of the errors of each parameter and of each step h."""
    figure = blank(10.0, 4.0)
    bars, curve = figure.subplots(1, 2)
    names = [leaf.name for leaf in found.stages[0].comparison.leaves]
    places, width = np.arange(len(names)), 0.8 / len(found.stages)
    for i, stage in enumerate(found.stages):
        errors = [max(leaf.relative_error, _ZERO) for leaf in stage.comparison.leaves]
        colour = BLUE if stage.comparison.dtype == "float64" else RED
        bars.bar(
            places + (i - (len(found.stages) - 1) / 2) * width,
            np.nan_to_num(errors, nan=1.0, posinf=1.0),
            0.9 * width,
            bottom=_ZERO,
            color=colour,
            alpha=1.0 if stage.epochs else 0.6,
            label=f"{stage.comparison.dtype}, {training(stage.epochs)}",
        )
        if stage.epochs == 0:
            bars.axhline(stage.comparison.tolerance, color=colour, ls="--", lw=1)
    bars.set_xticks(places, [f"${name[0]}^{name[2:]}$" for name in names])
    bars.set(yscale="log", ylim=(_ZERO, 10), ylabel="relative error")
    bars.set_title(
        f"{candidate} against the reference (dashed: tolerance)", fontsize=10
    )
    bars.legend(fontsize=8, loc="upper right", framealpha=1)
    if found.curve is not None:
        curve.loglog(found.curve.steps, found.curve.forward, "o-", label="forward")
        curve.loglog(found.curve.steps, found.curve.central, "s-", label="central")
        curve.set(xlabel="step $h$", ylabel="relative error of the slope")
        curve.set_title("Finite differences of the cost, by their step", fontsize=10)
        curve.legend(fontsize=8)
    else:
        curve.set_axis_off()
    return save(figure, path)
