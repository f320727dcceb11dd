"""A gradient of one's own, made ready to be called with any network.

Compiled if it can be, called as it is if not; asked only for what it takes.
"""

import inspect
import traceback
from collections.abc import Callable
from typing import Any

import jax

from jaxnet.activations import sigmoid
from jaxnet.costs import Cost, quadratic
from jaxnet.network import Hidden, Params


class CandidateError(Exception):
    """A gradient under examination raised something: what, and where in its file."""


class Prepared:
    """`gradient(params, x, y, cost=, hidden=)`, whichever of the two options it takes.

    One that takes neither is the gradient of quadratic cost and sigmoid neurons.
    """

    def __init__(self, gradient: Callable, name: str | None = None) -> None:
        """Look at what `gradient` takes, without calling it."""
        self.name = name or getattr(gradient, "__name__", repr(gradient))
        parameters = list(inspect.signature(gradient).parameters.values())
        anything = any(p.kind is p.VAR_KEYWORD for p in parameters)
        names = {p.name for p in parameters}
        self.options = [o for o in ("cost", "hidden") if anything or o in names]
        bare = [p.name for p in parameters if p.kind is p.POSITIONAL_ONLY]
        bare = [name for name in bare if name in self.options]

        def by_name(params: Params, x: Any, y: Any, **options: Any) -> Any:
            places = [options.pop(name) for name in bare]
            return gradient(params, x, y, *places, **options)

        self.source = gradient
        self.plain = by_name if bare else gradient
        self.compiled = jax.jit(self.plain, static_argnames=self.options)
        self.compiles = True

    def takes(self, cost: Cost, hidden: Hidden) -> bool:
        """Whether it can be asked for this cost and these activations."""
        return ("cost" in self.options or cost == quadratic) and (
            "hidden" in self.options or hidden == sigmoid
        )

    def arguments(self, cost: Cost, hidden: Hidden) -> dict[str, Any]:
        """Those of the two that it takes."""
        options = {"cost": cost, "hidden": hidden}
        return {name: options[name] for name in self.options}

    def __call__(
        self,
        params: Params,
        x: Any,
        y: Any,
        cost: Cost = quadratic,
        hidden: Hidden = sigmoid,
    ) -> Any:
        """The gradient. Raises CandidateError for whatever it raises."""
        options = self.arguments(cost, hidden)
        try:
            if self.compiles:
                try:
                    return self.compiled(params, x, y, **options)
                except Exception:  # it may want numbers, as NumPy does
                    self.compiles = False
            return self.plain(params, x, y, **options)
        except Exception as error:
            raise CandidateError(self._what_happened(error)) from error

    def _what_happened(self, error: Exception) -> str:
        what = str(error).strip().partition("\n")[0] or "no message"
        try:
            own = inspect.getsourcefile(inspect.unwrap(self.source))
        except TypeError:
            own = None
        frames = traceback.extract_tb(error.__traceback__)
        lines = [frame.lineno for frame in frames if frame.filename == own]
        place = f" in line {lines[-1]} of {own}" if lines else ""
        return f"{self.name} raised {type(error).__name__}{place}: {what}"
