"""What commands and scripts print: progress, counts, tables and JSON."""

import argparse
import inspect
import re
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, TypeVar, get_args

import msgspec
import numpy as np
from jaxtyping import Float
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from jaxnet.cli import Parser, ended

T = TypeVar("T")


def end_with_pipe() -> None:
    """End the process quietly, as other programs do, when its output pipe is closed."""
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)


def script(main: Callable[..., object]) -> None:
    """Run a script's `main` with its parameters as options, and end with its exit code.

    Flags, numbers, texts and tuples of them can be given. A line such as "epochs: of
    each network" in the docstring of `main` is an option's help.
    """
    from jaxnet.cli.options import integer

    end_with_pipe()
    purpose, _, parameters = (main.__doc__ or "").partition("\n\n")
    parser = Parser(
        description=sys.modules[main.__module__].__doc__,
        epilog=f"In Python: main(...). {purpose}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    meanings = {"data": "images like MNIST's (default: MNIST)", "out": "where to draw"}
    meanings |= dict(re.findall(r"^ *(\w+): (.*)$", parameters, re.MULTILINE))
    for name, parameter in inspect.signature(main).parameters.items():
        default, others = parameter.default, get_args(parameter.annotation)
        several = isinstance(default, tuple)
        kinds = type(default[0] if several else default), *others
        kind = next((kind for kind in kinds if kind in (bool, int, float, str)), None)
        if kind is None:
            continue
        help, options = meanings.get(name, ""), {}
        if kind is bool:
            options["action"] = argparse.BooleanOptionalAction
        else:
            options["type"] = integer(1) if kind is int else kind
            options["nargs"] = "+" if several else None
            options["choices"] = default if several and kind is str else None
            options["metavar"] = name.upper()
            help += "" if default is None else f" (default: {default})"
        flag = f"--{name.replace('_', '-')}"
        parser.add_argument(flag, default=default, help=help.strip(), **options)
    if code := ended(parser.prog, partial(main, **vars(parser.parse_args()))):
        sys.exit(code)


def track(items: Iterable[T], total: int, label: str, done: int = 0) -> Iterator[T]:
    """The items, with a progress display and the time left if there is a terminal.

    `done` of the total were finished before the first item.
    """
    on_terminal = sys.stdout is not None and sys.stdout.isatty()
    console = Console(stderr=not on_terminal)
    with Progress(
        "{task.description}",
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
        console=console,
        transient=True,
        redirect_stdout=on_terminal,
        disable=not console.is_terminal,
    ) as display:
        task = display.add_task(f"compiling, {label}", total=total, completed=done)
        for item in items:
            display.update(task, advance=1, description=label)
            yield item


def tell(message: str) -> None:
    """Print a line on standard error, since it is not a result."""
    print(printable(message), file=sys.stderr, flush=True)


def printable(text: str) -> str:
    """The text, with control characters escaped: names of files may have them."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def counted(n: int, noun: str) -> str:
    """The number and the noun: 1 epoch, 30 epochs."""
    return f"{n} {noun}{'' if n == 1 else 's'}"


def percent(value: float) -> str:
    """A fraction in per cent."""
    return "nan" if np.isnan(value) else f"{value:.2%}"


def aligned(rows: Sequence[Sequence[object]]) -> Iterator[str]:
    """The rows as lines of aligned columns, the first one to the left."""
    table = [[printable(str(cell)) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for first, *others in table:
        cells = zip(others, widths[1:], strict=True)
        line = "".join(f"  {cell:>{width}}" for cell, width in cells)
        yield (first.ljust(widths[0]) + line).rstrip()


def print_json(value: Any) -> None:
    """Print a line of JSON, with null for nan and infinity."""
    print(msgspec.json.encode(value).decode(), flush=True)


def summary_statistics(values: Float[np.ndarray, " n"]) -> dict[str, float]:
    """Mean, sample standard deviation, median, minimum and maximum."""
    return {
        "mean": float(np.mean(values)),
        "sd": float(np.std(values, ddof=1)) if len(values) > 1 else 0.0,
        "median": float(np.median(values)),
        "min": float(np.min(values)),
        "max": float(np.max(values)),
    }
