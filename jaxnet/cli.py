"""The command line, `python -m jaxnet`: its commands, and how any of them may end.

Results go to standard output, as plain text in a pipe; a progress display only to a
terminal. Exit codes: 0 done, 1 diverged, differs or failed, 2 wrong arguments or data,
130 interrupted.
"""

import argparse
import os
import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import version
from io import TextIOWrapper
from typing import NoReturn

import jax

from jaxnet import devices, processes
from jaxnet.commands import (
    compare,
    describe,
    doctor,
    evaluate,
    export,
    predict,
    reproduce,
    runs,
    sweep,
    train,
)

_LONGEST = 1000  # characters of a line on what is wrong
COMMANDS = {
    "train": train,
    "runs": runs,
    "evaluate": evaluate,
    "predict": predict,
    "export": export,
    "sweep": sweep,
    "reproduce": reproduce,
    "compare": compare,
    "describe": describe,
    "doctor": doctor,
}


class _Parser(argparse.ArgumentParser):
    """A parser that complains in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{_one_line(f'{self.prog}: {message}')}\n")


def _one_line(text: str) -> str:
    """The text without what a file's name or a word has in it that breaks a line."""
    line = " ".join(text.splitlines())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}..."


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="jaxnet",
        description="Neural Networks and Deep Learning, the book, in JAX.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=version("jaxnet"))
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name, command in COMMANDS.items():
        command.add_options(
            commands.add_parser(
                name,
                help=command.HELP,
                description=command.DESCRIPTION,
                allow_abbrev=False,
            )
        )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code of the command in `argv`, by default the process's own."""
    argv = sys.argv[1:] if argv is None else argv
    parser = _parser()
    args = parser.parse_args(argv)
    if args.command is None:
        parser.error(f"expected a command, one of {', '.join(COMMANDS)}, got none")
    # An empty path would be this folder, and comes of a shell variable that is not set.
    # Of an option's value `--` argparse makes an empty list.
    if any(word == "" or re.match("--[^=]*=(--)?$", word) for word in argv):
        parser.error(f"{args.command}: expected paths and names, got an empty one")
    if getattr(args, "coordinator", None):
        return processes.watched(_run, argv)
    return _run(argv)


def _run(argv: Sequence[str]) -> int:
    args = _parser().parse_args(argv)
    if "given" in args:  # by a default, from a command that asks for it
        args.given = {word.partition("=")[0] for word in argv if word.startswith("--")}
    devices.keep_compiled()
    if isinstance(sys.stdout, TextIOWrapper):  # a file's name may be of any bytes
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        code = COMMANDS[args.command].run(args)
        print(end="", flush=True)  # while what goes wrong can still be told
        return code
    except (ValueError, argparse.ArgumentError, ModuleNotFoundError) as error:
        trouble, code = str(error), 2
    except KeyboardInterrupt:
        trouble, code = "interrupted before anything was done", 130
    except (MemoryError, jax.errors.JaxRuntimeError) as error:
        what = str(error) or "out of memory"
        trouble, code = f"the device gave up: {what.splitlines()[0]}", 1
    except BrokenPipeError:
        leave_output()
        return 0
    except OSError as error:
        if error.filename is None:
            leave_output()
        trouble, code = f"{error.filename or 'output'}: {error.strerror or error}", 2
    if processes.lost(trouble):
        trouble, code = processes.LOST, 1
    print(_one_line(f"jaxnet {args.command}: {trouble}"), file=sys.stderr)
    return code


def leave_output() -> None:
    """Keep Python from writing, as it ends, what nobody reads or no disk takes."""
    with suppress(OSError, ValueError, AttributeError):  # it may be no file at all
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
