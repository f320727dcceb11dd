"""Gradient functions by name: jaxnet's, or MODULE:FUNCTION, or in a file."""

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

_USUAL = ("backprop", "gradient", "gradients", "grad", "backward", "backpropagation")
_METHODS = ("backprop", "loss", "forward")


class LoadError(Exception):
    """There is no such gradient function, or importing it failed."""


def load(name: str, known: Mapping[str, Callable[..., Any]]) -> Callable[..., Any]:
    """The gradient of this name, or that of MODULE:FUNCTION, FILE or FILE:FUNCTION.

    FUNCTION may be Class.method. Without it, the function or class that looks like
    backpropagation is taken. Raises LoadError.
    """
    if name in known:
        return known[name]
    source, colon, function = name.rpartition(":") if ":" in name else (name, "", "")
    is_file = source.endswith(".py") or "/" in source
    if not (colon or is_file):
        names = ", ".join(known)
        raise LoadError(
            f"expected one of {names}, or MODULE:FUNCTION or a file, got {name!r}"
        )
    try:
        module = _from_file(Path(source)) if is_file else _imported(source)
        found: Any = module if colon else _likeliest(module)
        for part in filter(None, function.split(".")):
            found = getattr(found, part)
    except LoadError:
        raise
    except (Exception, SystemExit) as error:
        what = f"{type(error).__name__}: {error}"
        raise LoadError(f"importing {name} failed with {what}") from error
    if not callable(found):
        what = type(found).__name__
        raise LoadError(f"{name} is not a function in Python but {what}")
    try:
        inspect.signature(found)
    except (TypeError, ValueError) as error:
        what = type(found).__name__
        raise LoadError(f"{name} is not a function in Python but {what}") from error
    return found


def _imported(name: str) -> ModuleType:
    if (folder := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, folder)
    return importlib.import_module(name)


def _from_file(path: Path) -> ModuleType:
    """The module in a file, which may import others in its folder."""
    if not path.is_file():
        raise LoadError(f"there is no file {path}")
    if (folder := str(path.parent.resolve())) not in sys.path:
        sys.path.insert(0, folder)
    name = path.stem if path.stem not in sys.modules else f"{path.stem}_{id(path)}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise LoadError(f"expected a file in Python, got {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # as dataclasses need it
    spec.loader.exec_module(module)
    return module


def _likeliest(module: ModuleType) -> Any:
    """The function or class of the module that looks like backpropagation."""
    own = {
        name: value
        for name, value in vars(module).items()
        if getattr(value, "__module__", None) == module.__name__ and callable(value)
    }
    for name in _USUAL:
        if callable(found := getattr(module, name, None)):
            return found
    classes = [value for value in own.values() if isinstance(value, type)]
    for method in _METHODS:
        for kind in classes:
            if hasattr(kind, method):
                return kind
    functions = [f for n, f in own.items() if f not in classes and n[:1] != "_"]
    if len(functions) == 1:
        return functions[0]
    names = ", ".join(own) or "none"
    raise LoadError(
        f"expected a function called backprop or gradient in {module.__file__}, or "
        f"FILE.py:FUNCTION, got {names}"
    )
