"""Functions as static arguments of `jax.jit`, compared by content.

A lambda, a `functools.partial` or an optimizer that a loop builds anew is equal to the
one before it, so that it compiles nothing, where Python would compare addresses.
"""

import functools
import inspect
import sys
import types
import warnings
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, fields
from importlib import import_module
from typing import Any


@dataclass(frozen=True, eq=False)
class _Same:
    """An object equal to itself, whatever it holds, or to one of equal items."""

    value: Any
    items: Hashable = None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _Same):
            return False
        equal = self.items is not None and self.items == other.items
        return self.value is other.value or equal

    def __hash__(self) -> int:
        return hash(type(self.value))


def content(value: Any, *, values: bool = True, seen: tuple[int, ...] = ()) -> Hashable:
    """A hashable value, equal for two objects that do the same.

    Functions are compared by their code, defaults and closures and by the global names
    they use, containers by their items, arrays by identity. Without `values`, numbers,
    arrays and other objects are compared only by their types and names.
    """
    if id(value) in seen:  # a function that calls itself
        return "recursive", seen.index(id(value))
    seen = (*seen, id(value))
    inner = functools.partial(content, values=values, seen=seen)
    if isinstance(value, types.FunctionType):
        state = (value.__defaults__, value.__kwdefaults__, *_closure(value))
        used = tuple(_globals(value, value.__code__, seen)) if values else ()
        return value.__code__, inner(state), used
    if isinstance(value, functools.partial):
        return type(value), inner((value.func, value.args, value.keywords))
    if isinstance(value, types.MethodType):
        return inner((value.__func__, value.__self__))
    if isinstance(value, tuple):
        return type(value), *map(inner, value)
    if isinstance(value, list):
        return _Same(value, (list, *map(inner, value)))
    if isinstance(value, set | frozenset):
        return _Same(value, (set, frozenset(map(inner, value))))
    if isinstance(value, Mapping):
        return _Same(value, (dict, *((key, inner(value[key])) for key in value)))
    if not values:
        return type(value), getattr(value, "name", getattr(value, "__name__", None))
    try:
        hash(value)
    except TypeError:
        return _Same(value)
    return type(value), value


def _closure(function: types.FunctionType) -> Iterator[Any]:
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # never assigned
            yield types.CellType


def _globals(
    function: types.FunctionType, code: types.CodeType, seen: tuple[int, ...]
) -> Iterator[tuple[str, Hashable]]:
    """The global names in the code, with constants by value and the rest by identity.

    Without them, a function that reads a global would count as unchanged after the
    global has been given another value.
    """
    for name in code.co_names:
        if name in function.__globals__:
            value = function.__globals__[name]
            constant = isinstance(value, int | float | complex | str | tuple)
            yield name, content(value, seen=seen) if constant else _Same(value)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _globals(function, constant, seen)


class _Static:
    """A base class for dataclasses that are equal by content."""

    def _parts(self) -> tuple[Any, ...]:
        return tuple(getattr(self, f.name) for f in fields(self))  # type: ignore

    @functools.cached_property
    def _content(self) -> Hashable:
        return type(self), content(self._parts())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Static) and self._content == other._content

    def __hash__(self) -> int:
        return hash(self._content)


@dataclass(frozen=True, eq=False)
class ByContent(_Static):
    """Any value, such as a function, hashable and compared by content."""

    value: Any


def brief(self: Any) -> str:
    """The `__repr__` of a dataclass, with the dtypes and shapes of its arrays."""

    def short(item: Any) -> str:
        shape = getattr(item, "shape", None)
        return repr(item) if shape is None else f"{item.dtype}{list(shape)}"

    parts = (f"{f.name}={short(getattr(self, f.name))}" for f in fields(self))
    return f"{type(self).__name__}({', '.join(parts)})"


class _Name(str):
    """A text that prints without quotes."""

    __repr__ = str.__str__


def name_defaults(function: Any) -> None:
    """Let `help` show the names of functions that are defaults, not their addresses."""
    signature = inspect.signature(function)
    function.__signature__ = signature.replace(
        parameters=[
            p.replace(default=_Name(p.default.__name__))
            if isinstance(p.default, types.FunctionType)
            else p
            for p in signature.parameters.values()
        ]
    )


class Named(_Static):
    """A base class for frozen dataclasses of functions with a `name`.

    Instances are static under `jax.jit`, equal by content, print as their name, and are
    pickled by it where a module has them under that name.
    """

    name: str

    def __repr__(self) -> str:
        return self.name

    def __reduce__(self) -> tuple[Any, ...]:
        for module in list(sys.modules.values()):
            if getattr(module, "__dict__", {}).get(self.name) is self:
                return _of_module, (module.__name__, self.name)
        return type(self), self._parts()


def _of_module(module: str, name: str) -> Any:
    return getattr(import_module(module), name)


_compiled: dict[Hashable, list[dict[str, ByContent]]] = {}


def warn_if_rebuilt(caller: str, shapes: Hashable, **functions: Any) -> None:
    """Warn when functions of the same code are compiled a third time for the shapes.

    They are then built anew for each call, and not equal by content: say, because each
    has an array of its own in its closure. To be called while JAX traces.
    """
    code = content(functions, values=False)
    before = _compiled.setdefault((caller, shapes, code), [])
    new = {name: ByContent(value) for name, value in functions.items()}
    if new in before:
        return
    before.append(new)
    if len(before) == 3:
        changing = [k for k in new if len({each[k] for each in before}) > 1]
        warnings.warn(
            f"jaxnet.{caller} has been compiled three times for the same shapes, since "
            f"each call had another {' and '.join(changing)}. Build it once, outside "
            "the loop. A learning rate can be passed as eta, which is traced.",
            stacklevel=2,
        )
