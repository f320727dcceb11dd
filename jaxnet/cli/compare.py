"""`python -m jaxnet compare`: a manual gradient against the automatic one."""

import argparse
import importlib
import inspect
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path

import jax
from rich.console import Console

from jaxnet import figures
from jaxnet.cli.console import counted, print_json
from jaxnet.cli.options import (
    UsageError,
    add_data,
    add_fields,
    choice,
    experiment_of,
    fitted,
    integer,
    source_of,
)
from jaxnet.compare import CandidateError, Prepared, ShapeError, check_gradient
from jaxnet.compare.report import lines, verdict_lines
from jaxnet.experiments.experiment import NAMES, described
from jaxnet.experiments.sweep import environment

DESCRIPTION = (
    "Compare a gradient with another, by default jaxnet.backprop with jax.grad: "
    "number by number, equation by equation, by differences of the cost, at edge "
    "points, and in what they cost. Exit code 0 if they agree, 1 if they differ."
)
_GRADIENTS = NAMES["gradient"]
_OPTIONS = ("sizes", "batch_size", "cost", "hidden", "init_layer")


def add_options(parser: argparse.ArgumentParser) -> None:
    """The gradients, the network to compare them at, and the output."""
    add = parser.add_argument
    help = (
        f"the gradient to examine: one of jaxnet's ({', '.join(_GRADIENTS)}), or "
        "MODULE:FUNCTION of your own, called as f(params, x, y, cost=); it may leave "
        "out cost (default: backprop)"
    )
    add("--candidate", metavar="NAME", default="backprop", help=help)
    names, reference = choice(_GRADIENTS), "autodiff"
    help = "the gradient to compare it with, one of jaxnet's (default: autodiff)"
    add("--reference", metavar="NAME", type=names, default=reference, help=help)
    help = "seed of the network (default: 1)"
    add("--seed", metavar="K", type=integer(0), default=1, help=help)
    help = "train for N epochs before the second comparison, 0 for none (default: 1)"
    add("--epochs", metavar="N", type=integer(0), default=1, help=help)
    add("--skip-edges", action="store_true", help="leave out the edge points")
    add("--figure", metavar="FILE", type=Path, help="draw the comparison, as PNG")
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--json", action="store_true", help="print one JSON object")
    output.add_argument("--quiet", action="store_true", help="print only the verdict")
    add_fields(parser, _OPTIONS)
    add_data(parser)


def run(args: argparse.Namespace) -> int:
    """Compare, print, and return the exit code."""
    if args.figure:
        figures.check_can_save(args.figure)
    e = experiment_of(args)
    candidate = Prepared(find(args.candidate), args.candidate)
    reference = Prepared(_GRADIENTS[args.reference], args.reference)
    if not candidate.takes(e.cost):
        raise _refused(
            f"{args.candidate} has no parameter cost, so it is compared with --cost "
            "quadratic only"
        )
    data = source_of(args).load()
    fitted(e, data)
    with jax.enable_x64(True):
        params = e.init(jax.random.key(args.seed))
    here, words = environment(), described(e)
    if not (args.json or args.quiet):
        print(
            f"jaxnet {here['jaxnet']}, jax {here['jax']} on {here['device']}, matrix "
            "products at the highest precision\n"
            f"{'-'.join(map(str, e.sizes))}, {e.hidden}, {e.cost} cost, "
            f"{words['init_layer']} initialisation, seed {args.seed}, a mini-batch of "
            f"{counted(e.batch_size, 'training image')}",
            flush=True,
        )
    try:
        # What a candidate prints is not part of the report.
        with Console(stderr=True).status("comparing"), redirect_stdout(sys.stderr):
            found = check_gradient(
                candidate,
                params,
                data.train,
                reference=reference,
                cost=e.cost,
                batch_size=e.batch_size,
                epochs=(0, args.epochs) if args.epochs else (0,),
                edges=not args.skip_edges,
            )
    except (CandidateError, ShapeError) as error:
        name = f"{args.candidate}: " if isinstance(error, ShapeError) else ""
        print(f"jaxnet compare: {name}{error}", file=sys.stderr)
        return 1
    if args.json:
        names = ("candidate", "reference", "seed", "epochs", "data")
        about = {name: getattr(args, name) for name in names}
        about |= {name: words[name] for name in _OPTIONS}
        print_json({"command": "compare", **about, **here, **found.as_dict()})
    else:
        write = verdict_lines if args.quiet else lines
        print(*write(found, args.candidate, args.reference), sep="\n")
    if args.figure:
        path = figures.gradient_comparison(found, args.candidate, args.figure)
        print(f"wrote {path}", file=sys.stderr if args.json else sys.stdout)
    return 0 if found.agrees else 1


def find(name: str) -> Callable:
    """The gradient of this name: jaxnet's, or MODULE:FUNCTION from this folder."""
    if name in _GRADIENTS:
        return _GRADIENTS[name]
    module, colon, function = name.partition(":")
    if not colon:
        names = ", ".join(_GRADIENTS)
        raise _refused(f"expected one of {names}, or MODULE:FUNCTION, got {name!r}")
    if (folder := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, folder)
    try:
        found = getattr(importlib.import_module(module), function)
    except (Exception, SystemExit) as error:
        what = f"{type(error).__name__}: {error}"
        raise _refused(f"importing {name} failed with {what}") from error
    try:
        inspect.signature(found)
    except (TypeError, ValueError) as error:
        what = type(found).__name__
        raise _refused(f"{name} is not a function in Python but {what}") from error
    return found


def _refused(reason: str) -> UsageError:
    return UsageError(f"argument --candidate: {reason}")
