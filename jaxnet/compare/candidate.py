"""Gradient functions of users: called safely, their exceptions explained."""

import inspect
import traceback
import warnings
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jaxnet.compare.measures import called_twice, difference
from jaxnet.costs import Cost, quadratic
from jaxnet.forms import ShapeError, Way, name_of, ways
from jaxnet.layers import Params


class CandidateError(Exception):
    """A gradient function raised an exception; the message says which, and where."""


class Candidate:
    """A gradient function in any form of `jaxnet.forms`, called as `backprop` is.

    It gets copies, compiled if JAX can trace it and as NumPy's arrays if not. Every
    call in NumPy is made twice. What it did to its arguments, and whether two calls
    differed, is kept in `modified` and `unsteady`; its warnings are not shown.
    """

    def __init__(self, function: Callable[..., Any], name: str | None = None) -> None:
        """Take any function, without calling it."""
        self.source = function
        self.name = name or getattr(function, "__name__", repr(function))
        self.form = ""  # in words, known after the first call
        self.modified: set[str] = set()
        self.precision = "float64"  # as a diagnosis finds
        self.unsteady = 0.0  # the largest relative difference between two calls
        self.compiled: Callable[..., Any] | None = None
        self._way: Way | None = None

    def __call__(
        self, params: Params, x: Any, y: Any, cost: Cost = quadratic
    ) -> Params:
        """The gradient as layers of NumPy's arrays.

        Raises ShapeError if it has other arrays than the network, and CandidateError
        for any exception.
        """
        arrays = jax.tree.map(np.asarray, (params, x, y))
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            self._way = self._way or self._first_way(arrays, cost)
            if self.compiled:
                found = self.compiled(*jax.device_put(arrays), cost)
                return jax.tree.map(np.asarray, found)
            return self._result(self._way, arrays, cost)

    def _first_way(self, arrays: tuple[Any, ...], cost: Cost) -> Way:
        """The first way to call it that works."""
        first: Exception | None = None
        for way in ways(self.source):
            if way.in_jax and self._compile(way, arrays, cost):
                return way
            try:
                self._result(way, arrays, cost)
                return way
            except (CandidateError, ShapeError) as error:
                first = first or error
        raise first or TypeError

    def _compile(self, way: Way, arrays: tuple[Any, ...], cost: Cost) -> bool:
        def program() -> Callable[..., Any]:
            def layers(params: Params, x: Any, y: Any, cost: Cost) -> Params:
                return self._called(way, params, x, y, cost)

            return jax.jit(layers)

        once, arguments = program(), (*jax.device_put(arrays), cost)
        ours = str(getattr(self.source, "__module__", "")).startswith("jaxnet.")
        try:
            found = once(*arguments)
            if not ours:  # what is random in it was drawn once, while JAX traced it
                self.unsteady = difference(found, program()(*arguments))
        except Exception:  # it may need numbers where JAX has tracers
            return False
        self.compiled = once
        return True

    def _result(self, way: Way, arrays: tuple[Any, ...], cost: Cost) -> Params:
        try:
            found, changed, apart = called_twice(self._called, way, *arrays, cost)
        except ShapeError:
            raise
        except (Exception, SystemExit) as error:
            raise CandidateError(self._describe(error)) from error
        self.unsteady = max(self.unsteady, apart)
        places = {2: "x", 3: "y"}
        self.modified |= {places.get(p[0].idx, name_of(p[1:])) for p in changed}
        return jax.tree.map(np.asarray, found)

    def _called(self, way: Way, *arguments: Any) -> Params:
        found, form = way.call(*arguments)
        self.form = ", ".join(filter(None, [way.words, form]))
        return found

    def _describe(self, error: BaseException) -> str:
        message = str(error).strip().partition("\n")[0] or "no message"
        source = inspect.unwrap(self.source)
        try:
            file = inspect.getsourcefile(source)
        except TypeError:
            file = None
        frames = traceback.extract_tb(error.__traceback__)
        lines = [frame.lineno for frame in frames if frame.filename == file]
        place = f" in line {lines[-1]} of {file}" if lines else ""
        if isinstance(error, TypeError) and not lines:
            message += ". It is called as f(params, x, y), or f(params, x, y, cost=)"
        return f"{self.name} raised {type(error).__name__}{place}: {message}"
