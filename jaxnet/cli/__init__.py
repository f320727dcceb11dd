"""The command line, `python -m jaxnet`: a file for each command.

Results go to standard output, as plain text in a pipe; a progress display only to a
terminal. Exit codes: 0 done, 1 diverged, differs or failed, 2 wrong arguments or data,
130 interrupted. JAXNET_TRACEBACK=1 shows where an error was raised.
"""

import argparse
import os
import re
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from importlib import import_module
from io import TextIOWrapper
from typing import NoReturn

from jaxnet import __version__

_MAX_LINE = 1000  # characters of an error
COMMANDS = {
    "train": "train a network and report its accuracy after each epoch",
    "runs": "list the runs that `train --out` has saved, or compare some of them",
    "evaluate": "measure a trained network: accuracy, cost, classes, mistakes",
    "predict": "read the digits in pictures with a trained network",
    "export": "write a trained network as a page, or for other programs",
    "sweep": "train every combination of some rates, with several seeds each",
    "reproduce": "run the book's experiments with many seeds and compare its numbers",
    "compare": "compare a manual gradient with jax.grad and name the wrong equation",
    "describe": "print what a data set contains: classes, ranges, duplicates",
    "doctor": "check the installation, the data and learning itself, in seconds",
}


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        """End the process with exit code 2 and this message."""
        self.exit(2, f"{_one_line(f'{self.prog}: {message}')}\n")


def _one_line(text: str) -> str:
    """The text on one line of limited length; names of files may have line breaks."""
    from jaxnet.cli.console import printable

    line = printable(" ".join(text.splitlines()))
    return line if len(line) <= _MAX_LINE else f"{line[:_MAX_LINE]}..."


def _parser(chosen: str | None) -> argparse.ArgumentParser:
    """The parser, with the options of one command."""
    parser = Parser(
        prog="jaxnet",
        description="Neural Networks and Deep Learning, the book, in JAX.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name, help in COMMANDS.items():
        command = commands.add_parser(name, help=help, allow_abbrev=False)
        if name == chosen:
            module = import_module(f"jaxnet.cli.{name}")
            command.description = module.DESCRIPTION
            module.add_options(command)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code of the command in `argv`, by default the process's own."""
    argv = sys.argv[1:] if argv is None else list(argv)
    chosen = next((word for word in argv if not word.startswith("-")), None)
    parser = _parser(chosen)
    args, unknown = parser.parse_known_args(argv)
    if unknown:
        hint = "; several values of a rate are written as in --eta 1,3"
        hint *= args.command == "sweep" and unknown[0][:1].isdigit()
        parser.error(f"unrecognized arguments: {' '.join(unknown)}{hint}")
    if args.command is None:
        parser.error(f"expected a command, one of {', '.join(COMMANDS)}, got none")
    # An empty path would be this folder, and comes of a shell variable that is not set.
    # Of an option's value `--` argparse makes an empty list.
    if any(word == "" or re.match("--[^=]*=(--)?$", word) for word in argv):
        parser.error(f"{args.command}: empty argument (an unset shell variable?)")
    if any("\0" in word for word in argv):
        parser.error(f"{args.command}: expected names of files, got a null character")
    return _run(args)


def _run(args: argparse.Namespace) -> int:
    from jaxnet.cli import devices

    devices.keep_compiled()
    if isinstance(sys.stdout, TextIOWrapper):  # a file's name may be of any bytes
        sys.stdout.reconfigure(errors="backslashreplace")
    command = import_module(f"jaxnet.cli.{args.command}")
    return ended(f"jaxnet {args.command}", partial(command.run, args))


def ended(program: str, run: Callable[[], object]) -> int:
    """The exit code that `run` returns, or that of an error, told in one line."""
    try:
        code = run()
        print(end="", flush=True)  # so that a failure to write is reported
        return code if isinstance(code, int) else 0
    except BrokenPipeError:
        _leave_output()
        return 0
    except (Exception, KeyboardInterrupt) as error:
        if (told := _told(error)) is None:
            raise
        code, message = told
        if isinstance(error, OSError) and error.filename is None:
            _leave_output()
        if os.environ.get("JAXNET_TRACEBACK"):
            traceback.print_exception(error)
    print(_one_line(f"{program}: {message}"), file=sys.stderr)
    return code


def _told(error: BaseException) -> tuple[int, str] | None:
    """The exit code and the message of an error, or None for a bug."""
    from jax.errors import JaxRuntimeError

    from jaxnet.checks import MissingPackage
    from jaxnet.cli.options import UsageError
    from jaxnet.datasets import DataError
    from jaxnet.experiments import StorageError

    match error:
        case UsageError() | DataError() | StorageError() | MissingPackage():
            return 2, str(error)
        case KeyboardInterrupt():
            return 130, "interrupted"
        case MemoryError():
            return 1, f"out of memory: {error}"
        case JaxRuntimeError() if "RESOURCE_EXHAUSTED" in str(error):
            return 1, f"out of memory: {str(error).splitlines()[0]}"
        case OSError():
            return 2, f"{error.filename or 'output'}: {error.strerror or error}"
    return None


def _leave_output() -> None:
    """Discard buffered output, which Python would fail to write again as it exits."""
    with suppress(OSError, ValueError, AttributeError):  # it may be no file at all
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
