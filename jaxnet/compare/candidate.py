"""Gradient functions of users: called with any network, their exceptions explained."""

import inspect
import traceback
from collections.abc import Callable
from typing import Any

import jax

from jaxnet.costs import Cost, quadratic
from jaxnet.layers import Params


class CandidateError(Exception):
    """A gradient function raised an exception; the message says which, and where."""


class Prepared:
    """A function `gradient(params, x, y, cost=)`, or one without a cost.

    It is compiled if JAX can trace it and called as it is if not, as NumPy requires. It
    returns layers, pairs (dw, db), or any other pytree of arrays in the same order.
    """

    def __init__(self, gradient: Callable[..., Any], name: str | None = None) -> None:
        """Inspect the parameters of `gradient`, without calling it."""
        self.name = name or getattr(gradient, "__name__", repr(gradient))
        parameters = inspect.signature(gradient).parameters
        cost = parameters.get("cost")

        def with_positional_cost(params: Params, x: Any, y: Any, cost: Cost) -> Any:
            return gradient(params, x, y, cost)

        self.source = gradient
        self.takes_any_cost = cost is not None or any(
            parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()
        )
        positional = cost is not None and cost.kind is cost.POSITIONAL_ONLY
        self.plain = with_positional_cost if positional else gradient
        self.compiled = jax.jit(self.plain)
        self.compiles = True

    def takes(self, cost: Cost) -> bool:
        """Whether it can compute the gradient of this cost."""
        return self.takes_any_cost or cost == quadratic

    def arguments(self, cost: Cost) -> dict[str, Any]:
        """The cost as a keyword argument, if it takes one."""
        return {"cost": cost} if self.takes_any_cost else {}

    def __call__(self, params: Params, x: Any, y: Any, cost: Cost = quadratic) -> Any:
        """The gradient. Raises CandidateError for any exception of the function."""
        arguments = self.arguments(cost)
        try:
            if self.compiles:
                try:
                    return self.compiled(params, x, y, **arguments)
                except Exception:  # it may need numbers where JAX has tracers
                    self.compiles = False
            return self.plain(params, x, y, **arguments)
        except Exception as error:
            raise CandidateError(self._describe(error)) from error

    def _describe(self, error: Exception) -> str:
        message = str(error).strip().partition("\n")[0] or "no message"
        try:
            file = inspect.getsourcefile(inspect.unwrap(self.source))
        except TypeError:
            file = None
        frames = traceback.extract_tb(error.__traceback__)
        lines = [frame.lineno for frame in frames if frame.filename == file]
        place = f" in line {lines[-1]} of {file}" if lines else ""
        return f"{self.name} raised {type(error).__name__}{place}: {message}"
