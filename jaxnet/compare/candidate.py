"""Gradient functions of users: called safely, their exceptions explained."""

import inspect
import traceback
import warnings
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

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
        params, x, y = jax.tree.map(np.asarray, (params, x, y))
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            result = None if self._way else self._first(params, x, y, cost)
            if self.compiled:
                return _arrays(self.compiled(*jax.device_put((params, x, y)), cost))
            if result is None:
                result = self._once(self._way, params, x, y, cost)
            self._note_difference(result, self._once(self._way, params, x, y, cost))
        return result

    def _first(self, params: Params, x: Any, y: Any, cost: Cost) -> Params | None:
        """Choose the first way that works; the result, unless it is compiled."""
        first: Exception | None = None
        for way in ways(self.source):
            if way.in_jax and self._compile(way, params, x, y, cost):
                return None
            try:
                result = self._once(way, params, x, y, cost)
                self._way = way
                return result
            except (CandidateError, ShapeError) as error:
                first = first or error
        raise first or TypeError

    def _compile(self, way: Way, params: Params, x: Any, y: Any, cost: Cost) -> bool:
        def program() -> Callable[..., Any]:
            def layers(params: Params, x: Any, y: Any, cost: Cost) -> Params:
                found, form = way.call(params, x, y, cost)
                self.form = ", ".join(filter(None, [way.words, form]))
                return found

            return jax.jit(layers)

        once, arguments = program(), (*jax.device_put((params, x, y)), cost)
        ours = str(getattr(self.source, "__module__", "")).startswith("jaxnet.")
        try:
            found = _arrays(once(*arguments))
            if not ours:  # what is random in it was drawn once, while JAX traced it
                self._note_difference(found, _arrays(program()(*arguments)))
        except Exception:  # it may need numbers where JAX has tracers
            return False
        self._way, self.compiled = way, once
        return True

    def _once(self, way: Any, params: Params, x: Any, y: Any, cost: Cost) -> Params:
        given = jax.tree.map(np.array, (params, x, y))
        try:
            result, form = way.call(*given, cost)
        except ShapeError:
            raise
        except (Exception, SystemExit) as error:
            raise CandidateError(self._describe(error)) from error
        self.form = ", ".join(filter(None, [way.words, form]))
        named, _ = jax.tree_util.tree_flatten_with_path(given[0])
        names = [*(name_of(path) for path, _ in named), "x", "y"]
        pairs = zip(*map(jax.tree.leaves, (given, (params, x, y))), strict=True)
        same = [np.array_equal(*pair, equal_nan=True) for pair in pairs]
        self.modified |= {n for n, kept in zip(names, same, strict=True) if not kept}
        return _arrays(result)

    def _note_difference(self, one: Params, other: Params) -> None:
        for pair in zip(*map(jax.tree.leaves, (one, other)), strict=True):
            if not np.array_equal(*pair, equal_nan=True):
                size = np.linalg.norm(pair[0]) or 1.0
                difference = float(np.linalg.norm(pair[0] - pair[1]) / size)
                self.unsteady = max(self.unsteady, difference)

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


def _arrays(layers: Params) -> Params:
    return jax.tree.map(np.asarray, layers)
