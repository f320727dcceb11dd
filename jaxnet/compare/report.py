"""The check of a gradient as lines of text."""

from collections.abc import Iterable, Iterator
from math import isinf, isnan

import numpy as np

from jaxnet.compare.comparison import Comparison
from jaxnet.compare.diagnosis import Equation
from jaxnet.compare.examination import Examination

FORMULAS = {
    "BP1": "delta^L = grad_a C . sigma'(z^L)",
    "BP2": "delta^l = (w^(l+1)^T delta^(l+1)) . sigma'(z^l)",
    "BP3": "dC/db^l = delta^l",
    "BP4": "dC/dw^l = delta^l a^(l-1)^T",
    "2.3": "z^l = w^l a^(l-1) + b^l, a^l = sigma(z^l)",
    "2.4": "C = 1/m sum_x C_x, so the gradient is a mean",
}
_EDGES = {
    True: "Edge points of this network: largest relative error of a parameter",
    False: "Other networks, without effect on the verdict",
}


def training(epochs: int) -> str:
    """How long a network has been trained, in words."""
    if not epochs:
        return "untrained"
    return f"trained for {epochs} epoch{'s' * (epochs != 1)}"


def lines(found: Examination, candidate: str, reference: str) -> Iterator[str]:
    """The whole report, the verdict last."""
    yield f"{candidate}: {form_in_words(found)}"
    for stage in found.stages:
        compared = stage.comparison
        yield ""
        yield (
            f"{compared.dtype}, {training(stage.epochs)}: {candidate} against "
            f"{reference}, tolerance {compared.tolerance:.1e}"
        )
        yield from _leaves(compared)
    if found.diverged_after is not None:
        when = training(found.diverged_after).capitalize()
        yield f"{when}, the network is not finite: not compared."
    yield ""
    yield "Equation by equation, at each example: relative error in float64"
    for equation in found.equations:
        if equation.name == "call":
            yield f"  {equation}"
            continue
        formula = FORMULAS.get(equation.name, "")
        where = f"layer {equation.layer}" if equation.layer else "all"
        verdict = "holds" if equation.holds else f"BROKEN {equation.mistake}"
        error = _error(equation.relative_error, equation.holds)
        line = f"  {equation.name:<4}{where:<9}{formula:<48}{error:>8}  {verdict}"
        yield line.rstrip()
    yield from _opinions(found, candidate, reference)
    for required, title in _EDGES.items():
        edges = [edge for edge in found.edges if edge.required == required]
        if edges:
            yield ""
            yield title
        for edge in edges:
            verdict = "agrees" if edge.agrees else "DIFFERS"
            verdict = f"agrees, {edge.note}" if edge.agrees and edge.note else verdict
            verdict = edge.note if not edge.agrees and edge.note else verdict
            known = np.isfinite(edge.tolerance)
            error = _error(edge.relative_error, edge.agrees) if known else ""
            yield f"  {edge.name:<34}{error:>8}  {verdict}"
    yield from _timings(found)
    yield ""
    yield from verdict_lines(found, candidate, reference)


def form_in_words(found: Examination) -> str:
    """The form that was recognised, and the precision if it is not float64."""
    words = found.form or "layers"
    if found.precision != "float64":
        eps = float(np.finfo(found.precision).eps)
        words += (
            f". Computed in {found.precision}: differences of {eps:.0e} are rounding"
        )
    return words + "."


def verdict_lines(found: Examination, candidate: str, reference: str) -> Iterator[str]:
    """Whether the two agree, and which equations are broken if not."""
    if found.agrees:
        worst = max(stage.comparison.relative_error for stage in found.stages[::2])
        error = f"relative error at most {worst:.1e} in float64"
        yield f"{candidate} agrees with {reference}: {error}."
        if found.precision != "float64":
            yield f"It computes in {found.precision}, whose rounding that is."
        yield from (f"{e.name}: {e.note}." for e in found.edges if e.agrees and e.note)
        return
    yield f"{candidate} differs from {reference}."
    wrong = [edge for edge in found.edges if edge.required and not edge.agrees]
    stages = [stage for stage in found.stages if not stage.comparison.agrees]
    at_the_network = any(not equation.holds for equation in found.equations)
    if not at_the_network and wrong and not stages:
        names = ", ".join(edge.name for edge in wrong)
        yield f"It agrees at the network as it is, but not at: {names}."
    if found.place:
        yield f"At {found.place}:"
    yield from map(sentence, found.broken)
    if not found.broken:
        where = dict.fromkeys(
            f"{s.comparison.dtype}, {training(s.epochs)}" for s in stages
        )
        if where:
            yield f"All equations hold in float64, untrained; not: {'; '.join(where)}."
        yield from dict.fromkeys(edge.note for edge in wrong if edge.note)


def sentence(equation: Equation) -> str:
    """The equation, where and how it is broken, and what the book has."""
    formula = FORMULAS.get(equation.name)
    if equation.holds or formula is None or equation.name == "2.4":
        return str(equation)
    return f"{equation} The book: {formula}."


def _leaves(comparison: Comparison) -> Iterator[str]:
    heads = "ratio-1", "rel err", "max abs", "max elem", "ULP 50%", "99%", "max"
    row = [f"{head:>9}" for head in (*heads, "1-cos")]
    yield f"  {'':<5}{'shape':>7}{'norm':>11}{'reference':>11}{''.join(row)}"
    for leaf in comparison.leaves:
        shape = "x".join(map(str, leaf.shape))
        ratio = leaf.norm / leaf.reference_norm - 1 if leaf.reference_norm else 0.0
        errors = ratio, leaf.relative_error, leaf.max_absolute, leaf.max_elementwise
        yield (
            f"  {leaf.name:<5}{shape:>7}{leaf.norm:>11.3e}{leaf.reference_norm:>11.3e}"
            f"{_row(errors, '9.1e')}{_row(leaf.ulps, '9.2g')}"
            f"{leaf.one_minus_cosine:>9.1e}  {'agrees' if leaf.agrees else 'DIFFERS'}"
        )
    worst = max(comparison.leaves, key=lambda leaf: leaf.relative_error)
    place = ", ".join(map(str, worst.worst))
    yield (
        f"  worst, {worst.name}[{place}]: {worst.worst_value!r}, "
        f"reference {worst.worst_reference!r}"
    )


def _opinions(found: Examination, candidate: str, reference: str) -> Iterator[str]:
    if found.curve is None:
        return
    yield ""
    yield "Third opinion: differences of the cost in random directions, at steps h"
    for name, numbers in found.curve._asdict().items():
        head = "h" if name == "steps" else name
        yield f"  {head:<8}{_row(numbers, '7.0e')}"
    for opinion in found.opinions:
        yield (
            f"  {opinion.name:<4} relative error from central differences: {candidate} "
            f"{opinion.from_candidate:.1e}, {reference} {opinion.from_reference:.1e}"
        )


def _error(relative_error: float, agrees: bool) -> str:
    """The error, but not as infinite where it is rounding of a reference of 0."""
    if isnan(relative_error):
        return "-" if agrees else "nan"
    return "rounding" if agrees and isinf(relative_error) else f"{relative_error:.1e}"


def _row(numbers: Iterable[float], form: str) -> str:
    return "".join(f"{number:>{form}}" for number in numbers)


def _timings(found: Examination) -> Iterator[str]:
    yield ""
    yield "Cost of a call in float32: measured, counted by XLA, and by hand"
    heads = f"{'compile':>10}{'median':>11}{'Mflop':>9}{'by hand':>9}{'Mbyte':>8}"
    yield f"  {'':<22}{heads}"
    for timing in found.timings:
        seconds = timing.compile_seconds
        compiling = "no" if seconds is None else f"{seconds:.2f} s"
        flops, moved = (
            "" if count is None else f"{count / 1e6:.2f}"
            for count in (timing.flops, timing.bytes)
        )
        yield (
            f"  {timing.method:<22}{compiling:>10}{1e6 * timing.seconds:>8.0f} us"
            f"{flops:>9}{timing.analytic_flops / 1e6:>9.2f}{moved:>8}"
        )
