"""The examination of a gradient as lines for people."""

from collections.abc import Iterator, Sequence
from math import isinf

from jaxnet.compare.check import GradCheck
from jaxnet.compare.diagnosis import Equation
from jaxnet.compare.leaves import Comparison

FORMULAS = {
    "BP1": "delta^L = grad_a C . sigma'(z^L)",
    "BP2": "delta^l = (w^(l+1)^T delta^(l+1)) . sigma'(z^l)",
    "BP3": "dC/db^l = delta^l",
    "BP4": "dC/dw^l = delta^l a^(l-1)^T",
    "2.3": "z^l = w^l a^(l-1) + b^l, a^l = sigma(z^l)",
    "2.4": "C = 1/m sum_x C_x, so the gradient is a mean",
}


def plural(epochs: int) -> str:
    """1 epoch, 2 epochs."""
    return f"{epochs} epoch{'s' * (epochs != 1)}"


def lines(found: GradCheck, candidate: str, reference: str) -> Iterator[str]:
    """The report, the verdict last."""
    for stage in found.stages:
        when = f"trained for {plural(stage.epochs)}" if stage.epochs else "untrained"
        yield ""
        yield (
            f"{stage.comparison.dtype}, {when}: {candidate} beside {reference}, "
            f"tolerance {stage.comparison.tolerance:.1e}"
        )
        yield from _leaves(stage.comparison)
    if found.diverged_after is not None:
        when = plural(found.diverged_after)
        yield f"Trained for {when} the network is not finite: not compared."
    yield ""
    yield "Equation by equation, at each example: relative error in float64"
    for equation in found.equations:
        formula = FORMULAS.get(equation.name, "")
        where = f"layer {equation.layer}" if equation.layer else "all"
        verdict = "holds" if equation.holds else f"BROKEN {equation.words}"
        error = _error(equation.relative_error, equation.holds)
        line = f"  {equation.name:<4}{where:<9}{formula:<48}{error:>8}  {verdict}"
        yield line.rstrip()
    yield from _opinions(found, candidate, reference)
    if found.edges:
        yield ""
        yield "Edge points, on small networks: largest relative error of a parameter"
    for edge in found.edges:
        verdict = "agrees" if edge.agrees else edge.trouble or "DIFFERS"
        if not edge.agrees and not edge.required:
            verdict = f"{verdict}, not counted: these neurons were not asked for"
        error = "" if edge.trouble else _error(edge.relative_error, edge.agrees)
        yield f"  {edge.name:<34}{error:>8}  {verdict}"
    yield from _work(found)
    yield ""
    yield from verdict_lines(found, candidate, reference)


def verdict_lines(found: GradCheck, candidate: str, reference: str) -> Iterator[str]:
    """Whether the two agree, and which equations are broken if not."""
    worst = max(stage.comparison.relative_error for stage in found.stages[::2])
    if found.agrees:
        yield (
            f"{candidate} agrees with {reference}: relative error at most {worst:.1e} "
            "in float64."
        )
        return
    yield f"{candidate} differs from {reference}."
    yield from (_in_words(equation) for equation in found.broken)
    wrong = [e.name for e in found.edges if e.required and not e.agrees]
    right = all(stage.comparison.agrees for stage in found.stages)
    if right and wrong:
        yield f"At the network above it is right, but not at: {', '.join(wrong)}."
    elif not found.broken and not wrong:
        dtypes = {s.comparison.dtype for s in found.stages if not s.comparison.agrees}
        yield f"All equations hold in a small network; look at {' and '.join(dtypes)}."


def _in_words(equation: Equation) -> str:
    if equation.name == "2.4":
        return f"The mean over the mini-batch (2.4) is broken: {equation.words}."
    formula = FORMULAS.get(equation.name)
    where = f" in layer {equation.layer}" if equation.layer else ""
    how = equation.words or f"off by {equation.relative_error:.1e} of its size"
    return f"{equation.name} is broken{where}: {how}." + (
        f" The book: {formula}." if formula else ""
    )


def _leaves(comparison: Comparison) -> Iterator[str]:
    yield (
        f"  {'':<5}{'shape':>7}{'norm':>11}{'reference':>11}{'ratio-1':>9}"
        f"{'rel err':>9}{'max abs':>9}{'max elem':>9}{'ULP 50%':>9}{'99%':>9}{'max':>9}"
        f"{'1-cos':>9}"
    )
    for leaf in comparison.leaves:
        shape = "x".join(map(str, leaf.shape))
        ratio = leaf.norm / leaf.reference_norm - 1 if leaf.reference_norm else 0.0
        numbers = (
            ratio,
            leaf.relative_error,
            leaf.max_absolute,
            leaf.max_elementwise,
        )
        yield (
            f"  {leaf.name:<5}{shape:>7}{leaf.norm:>11.3e}{leaf.reference_norm:>11.3e}"
            + "".join(f"{number:>9.1e}" for number in numbers)
            + f"{leaf.ulp_median:>9.2g}{leaf.ulp_99:>9.2g}{leaf.ulp_max:>9.2g}"
            + f"{leaf.one_minus_cosine:>9.1e}  {'agrees' if leaf.agrees else 'DIFFERS'}"
        )
    worst = max(comparison.leaves, key=lambda leaf: leaf.relative_error)
    place = ", ".join(map(str, worst.worst))
    yield (
        f"  worst, {worst.name}[{place}]: {worst.worst_value!r}, "
        f"reference {worst.worst_reference!r}"
    )


def _opinions(found: GradCheck, candidate: str, reference: str) -> Iterator[str]:
    if found.curve is None:
        return
    yield ""
    yield "Third opinion: slopes of the cost in random directions, by differences"
    yield _row("h", found.curve.steps, ".0e")
    yield _row("forward", found.curve.forward, ".0e")
    yield _row("central", found.curve.central, ".0e")
    for opinion in found.opinions:
        yield (
            f"  {opinion.name:<4} central differences are off {candidate} by "
            f"{opinion.from_candidate:.1e}, {reference} by {opinion.from_reference:.1e}"
        )
    if found.complex_step_error is not None:
        yield (
            "  on a small network, the complex step is off "
            f"{candidate} by {found.complex_step_error:.1e}"
        )


def _error(relative: float, right: bool) -> str:
    """The error, but no infinity where a reference of 0 is right but for rounding."""
    return "rounding" if right and isinf(relative) else f"{relative:.1e}"


def _row(name: str, numbers: Sequence[float], form: str) -> str:
    return f"  {name:<8}" + "".join(f"{number:>7{form}}" for number in numbers)


def _work(found: GradCheck) -> Iterator[str]:
    yield ""
    yield "Cost of a call in float32: by the clock, by XLA's counts, and by hand"
    yield (
        f"  {'':<22}{'compile':>10}{'median':>11}{'Mflop':>9}{'by hand':>9}{'Mbyte':>8}"
    )
    for work in found.work:
        compiling = (
            "no" if work.compile_seconds is None else f"{work.compile_seconds:.2f} s"
        )
        flops, moved = (
            "" if count is None else f"{count / 1e6:.2f}"
            for count in (work.flops, work.bytes)
        )
        yield (
            f"  {work.method:<22}{compiling:>10}{1e6 * work.seconds:>8.0f} us{flops:>9}"
            f"{work.analytic_flops / 1e6:>9.2f}{moved:>8}"
        )
