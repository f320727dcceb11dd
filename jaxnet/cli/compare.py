"""`python -m jaxnet compare`: a manual gradient against the automatic one."""

import argparse
import sys
from contextlib import redirect_stdout
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any

import jax
from rich.console import Console

from jaxnet import figures
from jaxnet.cli.console import aligned, counted, print_json, track
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
from jaxnet.compare import Candidate, CandidateError, ShapeError, examine
from jaxnet.compare.grading import EQUATIONS, Grade, grade, junit
from jaxnet.compare.loading import LoadError, load
from jaxnet.compare.report import lines, verdict_lines
from jaxnet.datasets import Split
from jaxnet.experiments.experiment import NAMES, Experiment, described
from jaxnet.experiments.sweep import environment
from jaxnet.layers import Params

DESCRIPTION = (
    "Compare a gradient, by default jaxnet.backprop, with jax.grad: number by number, "
    "equation by equation, by differences of the cost, and at edge points. Exit code 0 "
    "if they agree, 1 if they differ. A folder of files is graded: a verdict and a "
    "sentence for each."
)
_GRADIENTS = NAMES["gradient"]
_TEMPLATES = ("book", "pairs", "dict", "torch")
_OPTIONS = ("sizes", "batch_size", "cost", "hidden", "init_layer")


def add_options(parser: argparse.ArgumentParser) -> None:
    """The gradients, the network to compare them at, and the output."""
    add = parser.add_argument
    help = (
        f"the gradient to examine: one of jaxnet's ({', '.join(_GRADIENTS)}), or your "
        "own as FILE.py, FILE.py:FUNCTION or MODULE:FUNCTION, in NumPy, JAX or PyTorch "
        "and in any usual form; or a folder of files (default: backprop)"
    )
    add("--candidate", metavar="NAME", default="backprop", help=help)
    help = f"write a file to start from, my_NAME.py: {', '.join(_TEMPLATES)}"
    add("--template", metavar="NAME", type=choice(_TEMPLATES), help=help)
    help = "seed of the network (default: 1)"
    add("--seed", metavar="K", type=integer(0), default=1, help=help)
    help = "train for N epochs before the second comparison, 0 for none (default: 1)"
    add("--epochs", metavar="N", type=integer(0), default=1, help=help)
    add("--skip-edges", action="store_true", help="leave out the edge points")
    add("--figure", metavar="FILE", type=Path, help="draw the comparison, as PNG")
    help = "of a folder: seconds for each file (default: 60)"
    add("--timeout", metavar="S", type=integer(1), default=60, help=help)
    help = "of a folder: also write the verdicts as JUnit's XML"
    add("--junit", metavar="FILE", type=Path, help=help)
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--json", action="store_true", help="print one JSON object")
    output.add_argument("--quiet", action="store_true", help="print only the verdict")
    add_fields(parser, _OPTIONS)
    add_data(parser)


def run(args: argparse.Namespace) -> int:
    """Compare, print, and return the exit code."""
    if args.template:
        return _write_template(args.template)
    if args.figure:
        figures.check_can_save(args.figure)
    e = experiment_of(args)
    is_folder = Path(args.candidate).is_dir()
    if args.junit and not is_folder:
        raise _refused("expected a folder with --junit, got no folder")
    try:
        function = None if is_folder else load(args.candidate, _GRADIENTS)
    except LoadError as error:
        raise _refused(str(error)) from error
    data = source_of(args).load()
    fitted(e, data)
    with jax.enable_x64(True):
        params = e.init(jax.random.key(args.seed))
    if function is None:
        return _grade(args, e, params, data)
    candidate = Candidate(function, args.candidate)
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
            found = examine(
                candidate,
                params,
                data.train,
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
        names = ("candidate", "seed", "epochs", "data")
        about = {name: getattr(args, name) for name in names}
        about |= {name: words[name] for name in _OPTIONS}
        about |= {"command": "compare", "reference": "autodiff"}
        print_json({**about, **here, **found.as_dict()})
    else:
        write = verdict_lines if args.quiet else lines
        print(*write(found, args.candidate), sep="\n")
    if args.figure:
        path = figures.gradient_comparison(found, args.candidate, args.figure)
        print(f"wrote {path}", file=sys.stderr if args.json else sys.stdout)
    return 0 if found.agrees else 1


def _grade(args: argparse.Namespace, e: Experiment, params: Params, data: Split) -> int:
    """Grade all the files in a folder; the exit code is 0 if all are right."""
    paths = sorted(map(str, Path(args.candidate).glob("*.py")))
    if not paths:
        raise _refused(f"expected files *.py in {args.candidate}, got none")
    few, options = data.train[: max(e.batch_size, 40)], {"batch_size": e.batch_size}
    task = partial(examine, params=params, data=few, cost=e.cost, **options)
    found = grade(paths, task, args.timeout)
    grades = list(track(found, len(paths), "grading"))
    if args.json:
        values: list[dict[str, Any]] = [each._asdict() for each in grades]
        print_json({"command": "compare", "grades": values, **environment()})
    else:
        print(*_table(grades), sep="\n")
    if args.junit:
        args.junit.write_text(junit(grades))
        print(f"wrote {args.junit}", file=sys.stderr if args.json else sys.stdout)
    return 0 if all(each.verdict == "right" for each in grades) else 1


def _table(grades: list[Grade]) -> list[str]:
    rows = [["file", "verdict", *EQUATIONS]]
    for each in grades:
        score = [each.score.get(name, "-") for name in EQUATIONS]
        rows.append([Path(each.name).name, each.verdict, *score])
    sentences = ["", *(each.sentence for each in grades)]
    table = zip(aligned(rows), sentences, strict=True)
    return [f"{line}  {sentence}".rstrip() for line, sentence in table]


def _write_template(name: str) -> int:
    """Write a template into the current folder."""
    source = resources.files("jaxnet.compare") / "templates" / f"my_{name}.py"
    path = Path(source.name)
    try:
        with path.open("x") as file:
            file.write(source.read_text())
    except FileExistsError:
        message = f"argument --template: {path} exists already"
        raise UsageError(message) from None
    print(f"wrote {path}")
    return 0


def _refused(reason: str) -> UsageError:
    return UsageError(f"argument --candidate: {reason}")
