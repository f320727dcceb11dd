"""A gradient of one's own, made ready to be called with any network.

Compiled if it can be, called as it is if not; asked only for what it takes.
"""

import inspect
import traceback
from collections.abc import Callable
from typing import Any

import jax

from jaxnet.costs import Cost, quadratic
from jaxnet.layers import Params


class CandidateError(Exception):
    """A gradient under examination raised something: what, and where in its file."""


class Prepared:
    """`gradient(params, x, y, cost=)`, or `gradient(params, x, y)` of quadratic cost.

    It may return layers or pairs (dw, db).
    """

    def __init__(self, gradient: Callable, name: str | None = None) -> None:
        """Look at what `gradient` takes, without calling it."""
        self.name = name or getattr(gradient, "__name__", repr(gradient))
        parameters = inspect.signature(gradient).parameters
        anything = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
        parameter = parameters.get("cost")
        by_place = parameter is not None and parameter.kind is parameter.POSITIONAL_ONLY

        def by_name(params: Params, x: Any, y: Any, cost: Cost) -> Any:
            return gradient(params, x, y, cost)

        self.source = gradient
        self.takes_any_cost = anything or parameter is not None
        self.plain = by_name if by_place else gradient
        self.compiled = jax.jit(self.plain)
        self.compiles = True

    def takes(self, cost: Cost) -> bool:
        """Whether it can be asked for this cost."""
        return self.takes_any_cost or cost == quadratic

    def arguments(self, cost: Cost) -> dict[str, Any]:
        """The cost by name, if it takes one."""
        return {"cost": cost} if self.takes_any_cost else {}

    def __call__(self, params: Params, x: Any, y: Any, cost: Cost = quadratic) -> Any:
        """The gradient. Raises CandidateError for whatever it raises."""
        options = self.arguments(cost)
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
