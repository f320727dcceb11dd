"""`python -m jaxnet compare`: a manual gradient beside the automatic one."""

import argparse
import importlib
import inspect
import json
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from importlib.metadata import version
from pathlib import Path

import jax
from rich.console import Console

from jaxnet import figures
from jaxnet.commands.options import (
    COSTS,
    GRADIENTS,
    HIDDEN,
    INITIALISERS,
    Options,
    check_fit,
    sizes,
    whole,
)
from jaxnet.compare import CandidateError, Prepared, ShapeError, check_gradient
from jaxnet.compare.report import lines, verdict_lines
from jaxnet.network import init
from jaxnet.owndata import load_data
from jaxnet.report import counted

HELP = "compare a gradient by hand with jax.grad, and say which equation is wrong"
DESCRIPTION = (
    "Compare a gradient with another, by default jaxnet.backprop with jax.grad: "
    "number by number, equation by equation, beside differences of the cost, at edge "
    "points, and in what they cost. Exit code 0 if they agree, 1 if they differ."
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """The gradients, the network to compare them at, and the output."""
    add = Options(parser)
    help = (
        "the gradient to examine: one of jaxnet's (" + ", ".join(GRADIENTS) + "), or "
        "MODULE:FUNCTION of your own, called as f(params, x, y, cost=); it may leave "
        "out cost"
    )
    add.value("--candidate", "backprop", str, "NAME", help)
    add.choice("--reference", "autodiff", GRADIENTS, "the gradient beside it")
    add.value("--sizes", "784,30,10", sizes, "N,N,...", "neurons in each layer")
    add.choice("--cost", "quadratic", COSTS, "cost function")
    add.choice("--hidden", "sigmoid", HIDDEN, "activation of the hidden layers")
    help = "weights from N(0, 1) or N(0, 1 / inputs)"
    add.choice("--init", "large", INITIALISERS, help)
    add.value("--seed", 1, whole(0), "K", "seed of the network")
    add.value("--batch-size", 10, whole(1), "M", "images in the mini-batch")
    help = "epochs of training before the second comparison, 0 for none"
    add.value("--epochs", 1, whole(0), "N", help)
    add.data()
    parser.add_argument(
        "--skip-edges", action="store_true", help="leave out the edge points"
    )
    parser.add_argument("--figure", metavar="FILE", help="draw the comparison, as PNG")
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--json", action="store_true", help="print one JSON object")
    output.add_argument("--quiet", action="store_true", help="print only the verdict")


def find(name: str) -> Callable:
    """The gradient of this name: jaxnet's, or MODULE:FUNCTION from this folder."""
    if name in GRADIENTS:
        return GRADIENTS[name]
    module, colon, function = name.partition(":")

    def refuse(reason: str) -> argparse.ArgumentError:
        return argparse.ArgumentError(None, f"argument --candidate: {reason}")

    if not colon:
        raise refuse(
            f"expected one of {', '.join(GRADIENTS)}, or MODULE:FUNCTION, got {name!r}"
        )
    if (folder := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, folder)
    try:
        loaded = importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise refuse(f"no module {error.name!r} here or installed") from error
    except (Exception, SystemExit) as error:
        what = f"{type(error).__name__}: {error}"
        raise refuse(f"importing {module} failed with {what}") from error
    if not hasattr(loaded, function):
        raise refuse(f"{module} has no {function!r}")
    found = getattr(loaded, function)
    try:
        inspect.signature(found)
    except (TypeError, ValueError) as error:
        what = type(found).__name__
        raise refuse(f"{name} is not a function in Python but {what}") from error
    return found


def _environment() -> dict[str, str | list[str]]:
    return {
        "jaxnet": version("jaxnet"),
        "jax": jax.__version__,
        "jaxlib": version("jaxlib"),
        "device": jax.devices()[0].device_kind,
        "matmul_precision": "highest",
        "dtypes": ["float64", "float32"],
    }


def run(args: argparse.Namespace) -> int:
    """Compare, print, and return the exit code."""
    if args.figure:
        figures.check_can_save(args.figure)
    candidate = Prepared(find(args.candidate), args.candidate)
    reference = Prepared(GRADIENTS[args.reference], args.reference)
    cost = COSTS[args.cost]
    if not candidate.takes(cost):
        raise argparse.ArgumentError(
            None,
            f"argument --candidate: {args.candidate} has no parameter cost, so it is "
            "compared with --cost quadratic only",
        )
    data = load_data(args.data)
    check_fit(args, data)
    with jax.enable_x64(True):
        params = init(
            jax.random.key(args.seed),
            args.sizes,
            hidden=HIDDEN[args.hidden],
            output=cost.output,
            init_layer=INITIALISERS[args.init],
        )
    header = _environment()
    if not (args.json or args.quiet):
        print(
            f"jaxnet {header['jaxnet']}, jax {header['jax']}, jaxlib "
            f"{header['jaxlib']} on {header['device']}, matrix products at the highest "
            "precision"
        )
        print(
            f"{'-'.join(map(str, args.sizes))}, {args.hidden}, {args.cost} cost, "
            f"{args.init} initialisation, seed {args.seed}, a mini-batch of "
            f"{counted(args.batch_size, 'training image')}",
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
                cost=cost,
                batch_size=args.batch_size,
                epochs=(0, args.epochs) if args.epochs else (0,),
                edges=not args.skip_edges,
            )
    except CandidateError as error:
        print(f"jaxnet compare: {error}", file=sys.stderr)
        return 1
    except ShapeError as error:
        print(f"jaxnet compare: {args.candidate}: {error}", file=sys.stderr)
        return 1
    if args.json:
        arguments = {k: v for k, v in vars(args).items() if k not in ("json", "quiet")}
        print(json.dumps({**arguments, **header, **found.as_dict()}))
    else:
        write = verdict_lines if args.quiet else lines
        print(*write(found, args.candidate, args.reference), sep="\n")
    if args.figure:
        path = figures.gradient_comparison(found, args.candidate, args.figure)
        print(f"wrote {path}", file=sys.stderr if args.json else sys.stdout)
    return 0 if found.agrees else 1
