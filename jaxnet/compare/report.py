"""The check of a gradient as lines of text."""

from collections.abc import Iterable, Iterator
from math import isinf, isnan

import numpy as np

from jaxnet.compare.comparison import Comparison
from jaxnet.compare.diagnosis import Equation
from jaxnet.compare.edge_points import Edge
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


def lines(found: Examination, candidate: str) -> Iterator[str]:
    """The whole report, the verdict last."""
    yield f"{candidate}: {form_in_words(found)}"
    for stage in found.stages:
        compared = stage.comparison
        yield ""
        yield (
            f"{compared.dtype}, {training(stage.epochs)}: {candidate} against "
            f"autodiff, tolerance {compared.tolerance:.1e}"
        )
        yield from _leaves(compared)
    if found.diverged_after is not None:
        when = training(found.diverged_after).capitalize()
        yield f"{when}, the network is not finite: not compared."
    yield ""
    yield "Equation by equation, at each example: relative error in float64"
    yield from map(_equation, found.equations)
    if found.curve is not None:
        yield ""
        yield "Third opinion: differences of the cost in random directions, at steps h"
        for name, numbers in found.curve._asdict().items():
            head = "h" if name == "steps" else name
            yield f"  {head:<8}{_row(numbers, '7.0e')}"
    for opinion in found.opinions:
        yield (
            f"  {opinion.name:<4} relative error from central differences: {candidate} "
            f"{opinion.from_candidate:.1e}, autodiff {opinion.from_reference:.1e}"
        )
    for required, title in _EDGES.items():
        if edges := [edge for edge in found.edges if edge.required == required]:
            yield from ("", title, *map(_edge, edges))
    yield ""
    yield from verdict_lines(found, candidate)


def form_in_words(found: Examination) -> str:
    """The form that was recognised, and the precision if it is not float64."""
    words = found.form or "layers"
    if found.precision != "float64":
        eps = np.finfo(found.precision).eps
        words += (
            f". Computed in {found.precision}: differences of {eps:.0e} are rounding"
        )
    return words + "."


def verdict_lines(found: Examination, candidate: str) -> Iterator[str]:
    """Whether the two agree, and which equations are broken if not."""
    if found.agrees:
        worst = max(stage.comparison.relative_error for stage in found.stages[::2])
        error = f"relative error at most {worst:.1e} in float64"
        yield f"{candidate} agrees with autodiff: {error}."
        if found.precision != "float64":
            yield f"It computes in {found.precision}, whose rounding that is."
        yield from (f"{e.name}: {e.note}." for e in found.edges if e.agrees and e.note)
        return
    yield f"{candidate} differs from autodiff."
    stages = [stage for stage in found.stages if not stage.comparison.agrees]
    if found.wrong_edges and not stages and all(row.holds for row in found.equations):
        names = ", ".join(edge.name for edge in found.wrong_edges)
        yield f"It agrees at the network as it is, but not at: {names}."
    if found.place:
        yield f"At {found.place}:"
    yield from map(sentence, found.broken)
    if not found.broken:
        where = (f"{s.comparison.dtype}, {training(s.epochs)}" for s in stages)
        if names := "; ".join(dict.fromkeys(where)):
            yield f"All equations hold in float64, untrained; not: {names}."
        yield from dict.fromkeys(e.note for e in found.wrong_edges if e.note)


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


def _equation(equation: Equation) -> str:
    name, layer, relative_error, holds, mistake = equation
    if name == "call":
        return f"  {equation}"
    where, error = f"layer {layer}" if layer else "all", _error(relative_error, holds)
    verdict = "holds" if holds else f"BROKEN {mistake}"
    line = f"  {name:<4}{where:<9}{FORMULAS.get(name, ''):<48}{error:>8}  {verdict}"
    return line.rstrip()


def _edge(edge: Edge) -> str:
    error = _error(edge.relative_error, edge.agrees)
    if edge.agrees:
        verdict = ", ".join(filter(None, ["agrees", edge.note]))
    else:
        verdict = edge.note or "DIFFERS"
    return f"  {edge.name:<34}{error if edge.tolerance < 1 else '':>8}  {verdict}"


def _error(relative_error: float, agrees: bool) -> str:
    """The error, but not as infinite where it is rounding of a reference of 0."""
    if isnan(relative_error):
        return "-" if agrees else "nan"
    return "rounding" if agrees and isinf(relative_error) else f"{relative_error:.1e}"


def _row(numbers: Iterable[float], form: str) -> str:
    return "".join(f"{number:>{form}}" for number in numbers)
