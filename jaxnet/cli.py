"""The command line, `python -m jaxnet`: its commands, and how any of them may end.

Results go to standard output, as plain text in a pipe; a progress display only to a
terminal. Exit codes: 0 done, 1 diverged, differs or failed, 2 wrong arguments or data,
130 interrupted.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
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
        self.exit(2, f"{self.prog}: {message}\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="jaxnet",
        description="Neural Networks and Deep Learning, the book, in JAX.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=version("jaxnet"))
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
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
    args = _parser().parse_args(argv)
    if getattr(args, "coordinator", None):
        return processes.watched(_run, argv)
    return _run(argv)


def _run(argv: Sequence[str]) -> int:
    args = _parser().parse_args(argv)
    if "given" in args:  # by a default, from a command that asks for it
        args.given = {word.partition("=")[0] for word in argv if word.startswith("--")}
    devices.keep_compiled()
    try:
        return COMMANDS[args.command].run(args)
    except (ValueError, argparse.ArgumentError, ModuleNotFoundError) as error:
        trouble, code = str(error), 2
    except KeyboardInterrupt:
        trouble, code = "interrupted before anything was done", 130
    except (MemoryError, jax.errors.JaxRuntimeError) as error:
        trouble, code = f"the device gave up: {str(error).splitlines()[0]}", 1
    except BrokenPipeError:
        # Whoever read the pipe has left; keep Python from writing to it as it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        trouble, code = f"{error.filename}: {error.strerror}", 2
    if processes.lost(trouble):
        trouble, code = processes.LOST, 1
    print(f"jaxnet {args.command}: {trouble}", file=sys.stderr)
    return code
