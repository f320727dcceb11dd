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
    source, _, function = name.rpartition(":") if ":" in name else (name, "", "")
    is_file = source.endswith(".py") or "/" in source
    if not (":" in name or is_file):
        names = ", ".join(known)
        raise LoadError(
            f"expected one of {names}, or MODULE:FUNCTION or a file, got {name!r}"
        )
    if is_file and not Path(source).is_file():
        raise LoadError(f"there is no file {source}")
    try:
        found: Any = _from_file(Path(source)) if is_file else _imported(source)
        for part in function.split(".") if ":" in name else [_likeliest(found)]:
            found = getattr(found, part)
    except LoadError:
        raise
    except (Exception, SystemExit) as error:
        what = f"{type(error).__name__}: {error}"
        raise LoadError(f"importing {name} failed with {what}") from error
    try:
        inspect.signature(found)
    except (TypeError, ValueError) as error:
        what = type(found).__name__
        raise LoadError(f"{name} is not a function in Python but {what}") from error
    return found


def _imported(name: str) -> ModuleType:
    _find_beside(Path.cwd())
    return importlib.import_module(name)


def _from_file(path: Path) -> ModuleType:
    """The module in a file, which may import others in its folder."""
    _find_beside(path.parent)
    name = path.stem if path.stem not in sys.modules else f"{path.stem}_{id(path)}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise LoadError(f"expected a file in Python, got {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # as dataclasses need it
    spec.loader.exec_module(module)
    return module


def _find_beside(folder: Path) -> None:
    if str(folder.resolve()) not in sys.path:
        sys.path.insert(0, str(folder.resolve()))


def _likeliest(module: ModuleType) -> str:
    """The name of the function or class that looks like backpropagation."""
    for name in _USUAL:
        if callable(getattr(module, name, None)):
            return name
    own = {
        name: value
        for name, value in vars(module).items()
        if getattr(value, "__module__", None) == module.__name__ and callable(value)
    }
    classes = [name for name, value in own.items() if isinstance(value, type)]
    for method in _METHODS:
        for name in classes:
            if hasattr(own[name], method):
                return name
    functions = [name for name in own if name not in classes and name[0] != "_"]
    if len(functions) == 1:
        return functions[0]
    raise LoadError(
        f"expected a function called backprop or gradient in {module.__file__}, or "
        f"FILE.py:FUNCTION, got {', '.join(own) or 'none'}"
    )
