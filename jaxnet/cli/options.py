"""The options of an experiment on the command line, and how values are parsed."""

import argparse
import math
import os
from collections.abc import Callable, Iterable
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import jax
from msgspec import Meta

from jaxnet.cli.console import tell
from jaxnet.datasets import DataError, Source, Split
from jaxnet.experiments.experiment import (
    NAMES,
    TYPES,
    Experiment,
    OptionError,
    convert,
    described,
    parse,
)
from jaxnet.gradients import autodiff, backprop
from jaxnet.network import layers_of
from jaxnet.runs import Run, TrainedNetwork, checksum, load_network, read

MAX_NETWORKS = 100_000  # a list of more takes surprisingly long
_FLAGS = {
    "init_layer": "init",
    "halve_after": "schedule",
    "stop_after": "early-stop",
    "evaluate_on": "evaluate",
    "augment": "expand",
}
_EXPANSIONS: dict[str, dict[str, Any]] = {
    "none": {},
    **{name: {"expand": value} for name, value in NAMES["expand"].items()},
    **{name: {"augment": value} for name, value in NAMES["augment"].items()},
}
_ALL = "which is all the training images"


class UsageError(Exception):
    """Invalid arguments: a user's mistake, reported in one line."""


def wrong(option: str, expected: str, got: object) -> UsageError:
    """The error for an option's value."""
    return UsageError(f"argument {flag(option)}: expected {expected}, got {got}")


def flag(option: str) -> str:
    """The flag of an experiment's option."""
    return "--" + _FLAGS.get(option, option).replace("_", "-")


def add_fields(
    parser: argparse.ArgumentParser,
    names: Iterable[str] = TYPES,
    *,
    lists: Iterable[str] = (),
) -> argparse._ArgumentGroup:
    """Add the experiment's options of these names, with defaults in their help.

    The parsed arguments contain only the options that are given. Those of `lists` take
    several values.
    """
    title, defaults = "the experiment", described(Experiment())
    group = parser.add_argument_group(title, argument_default=argparse.SUPPRESS)
    for option in fields(Experiment):
        name, help = option.name, option.metadata["help"]
        if not help or name not in names:
            continue
        metavar, read = option.metadata["metavar"], _typed(partial(parse, name))
        if name in NAMES:
            metavar = f"{{{','.join(NAMES[name])}}}"
        if name in lists:
            metavar, read = f"{metavar},...", _several(read)
        default = as_text(defaults[name])
        if default == "None":
            default = "all" if name == "train_on" else "never"
        help = f"{help} (default: {default})"
        flags = [flag(name), *["--layers"] * (name == "sizes")]
        group.add_argument(*flags, dest=name, type=read, metavar=metavar, help=help)
    return group


def add_experiment(
    parser: argparse.ArgumentParser, *, lists: Iterable[str] = ()
) -> None:
    """All options of an experiment, its seeds and its data."""
    # A sweep keeps accuracies only.
    names = [name for name in TYPES if not lists or name != "monitor"]
    group = add_fields(parser, names, lists=lists)
    add, names = group.add_argument, f"{{{','.join(_EXPANSIONS)}}}"
    help = "each image and its four shifts, or each mini-batch anew (default: none)"
    add("--expand", type=choice(_EXPANSIONS), metavar=names, help=help)
    help = "first seed (default: 1)"
    add("--seed", type=integer(0), metavar="K", help=help)
    help = "networks to train, with seeds K, K + 1, ... (default: 1)"
    add("--seeds", type=integer(1, MAX_NETWORKS), metavar="N", help=help)
    add_data(group)


def add_data(parser: argparse._ActionsContainer, default: str = "MNIST itself") -> None:
    """--data PATH, and how it is read."""
    help = (
        "folder of IDX files, or with a folder of pictures for each class, or a CSV or "
        f".npz file (default: {default})"
    )
    parser.add_argument("--data", metavar="PATH", help=help)
    add_reading(parser)


def add_reading(parser: argparse._ActionsContainer) -> None:
    """How data are read: --transpose and --label-column."""
    help = "exchange rows and columns of each image, as EMNIST's files need"
    parser.add_argument("--transpose", action="store_true", help=help)
    help = "column of the labels in a CSV file, a name or a number from 1"
    parser.add_argument("--label-column", metavar="NAME", help=help)


def source_of(args: argparse.Namespace) -> Source:
    """The data that the arguments name, by default MNIST."""
    path, transpose = getattr(args, "data", None), getattr(args, "transpose", False)
    return Source(path, transpose, getattr(args, "label_column", None))


def add_network(parser: argparse.ArgumentParser) -> None:
    """A trained network: RUN, and --seed K of a run that has several."""
    parser.add_argument("network", metavar="RUN", help="a run's folder, or a book file")
    help = "which network of a run of several seeds (default: the first)"
    parser.add_argument("--seed", metavar="K", type=integer(0), help=help)


def read_run(path: str | Path) -> Run:
    """The run in a folder; prints a line if a damaged checkpoint is skipped."""
    return _told(read(path))


def _told(run: Run) -> Run:
    if run.skipped:
        tell(f"{' '.join(run.skipped)} The checkpoint before is used.")
    return run


def data_of_network(
    args: argparse.Namespace, trained: TrainedNetwork
) -> tuple[Source, str, Split, list[str]]:
    """The data to use a network on, its part, itself, and the names of its classes.

    They are the network's own, unless --data or --evaluate names others.
    Raises DataError if they cannot be read.
    """
    run = trained.run if args.data is None else None
    source = run.manifest.source if run else source_of(args)
    part = args.evaluate or (run.experiment.evaluate_on if run else "test")
    if run and source.path is not None and not os.path.exists(source.path):
        raise DataError(
            f"{source.path}: expected the data that {args.network} learned from, got "
            "nothing there. --data PATH names others."
        )
    data, names = source.named(as_bytes=True)
    if run and checksum(data) != run.manifest.checksum:
        tell(f"{source}: these data have changed since {args.network} was trained.")
    names = names or [str(k) for k in range(data.train.y.shape[1])]
    return source, part, data, names


def network_of(args: argparse.Namespace) -> TrainedNetwork:
    """The network in the run's folder, or in the file, that the arguments name."""
    trained = load_network(args.network, args.seed)
    if trained.run:
        _told(trained.run)
    return trained


def _typed(read: Callable[[str], Any]) -> Callable[[str], Any]:
    """The function, with its errors converted to argparse's."""

    def typed(text: str) -> Any:
        try:
            return read(text)
        except OptionError as error:
            raise argparse.ArgumentTypeError(error.message) from None

    return typed


def choice(names: Iterable[str]) -> Callable[[str], str]:
    """A parser of one of a few names."""

    def read(text: str) -> str:
        if text not in names:
            expected = f"expected one of {', '.join(names)}, got {text[:40]!r}"
            raise argparse.ArgumentTypeError(expected)
        return text

    return read


def integer(least: int, most: int = 2**31 - 1) -> Callable[[str], int]:
    """A parser of an integer in a range."""
    words = f"an integer of at least {least}"
    kind = Annotated[int, Meta(ge=least, lt=most + 1, description=words)]
    return _typed(lambda text: convert("", text, kind))


def _several(read: Callable[[str], float]) -> Callable[[str], tuple[float, ...]]:
    """A parser of different numbers separated by commas."""

    def read_all(text: str) -> tuple[float, ...]:
        numbers = tuple(read(part.strip()) for part in text.split(","))
        if len(set(numbers)) < len(numbers):
            expected = f"expected each number once, got {text[:40]!r}"
            raise argparse.ArgumentTypeError(expected)
        return numbers

    return read_all


def as_text(value: object) -> str:
    """A value as text that the command line accepts."""
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def experiment_of(args: argparse.Namespace, **rates: float) -> Experiment:
    """The experiment that the arguments describe.

    Raises UsageError for a combination of options that has no meaning.
    """
    given = {name: value for name, value in vars(args).items() if name in TYPES}
    expansion = _EXPANSIONS[given.pop("expand", "none")]
    e = Experiment(**{**given, **expansion, **rates})
    optimizer = described(e)["optimizer"]
    if optimizer == "nesterov" and not e.momentum:
        raise wrong("optimizer", "--momentum with nesterov", "none")
    if e.momentum and optimizer not in ("sgd", "nesterov"):
        raise wrong("momentum", "--optimizer sgd or nesterov with it", optimizer)
    return e


def seeds_of(args: argparse.Namespace) -> range:
    """The seeds that the arguments ask for."""
    first = getattr(args, "seed", 1)
    return range(first, first + getattr(args, "seeds", 1))


def fitted(e: Experiment, data: Split, *, sizes_given: bool = True) -> Experiment:
    """The experiment, if it fits the data. Raises UsageError if not.

    Unless sizes are given, the first and the last are those of the data.
    """
    n, n_in, n_out = *data.train.x.shape, data.train.y.shape[1]
    fitting = (n_in, *e.sizes[1:-1], n_out)
    if not sizes_given:
        e = replace(e, sizes=fitting)
    available = e.train_on or n
    if e.train_on and e.train_on > n:
        raise wrong("train_on", f"at most {n}, {_ALL}", e.train_on)
    layers = layers_of(e.sizes)
    if (math.prod(layers[0].shape_in), *layers[-1].shape_out) != (n_in, n_out):
        expected = f"{n_in} inputs and {n_out} outputs to fit the data"
        if len(layers[0].shape_in) == 1:
            expected = f"{expected}, {as_text(fitting)}"
        raise wrong("sizes", expected, as_text(e.sizes))
    if e.batch_size > available:
        raise wrong("batch_size", f"at most {available}, {_ALL}", e.batch_size)
    if (e.expand or e.augment) and n_in != 28 * 28:
        raise wrong("expand", "images of 28 x 28 pixels", f"{n_in} pixels")
    if e.gradient not in (backprop, autodiff):  # an oracle, which may not apply
        try:
            params = jax.eval_shape(lambda: e.init(jax.random.key(0)))
            few = data.train[: e.batch_size]
            jax.eval_shape(partial(e.gradient, cost=e.cost), params, few.x, few.y)
        except ValueError as error:
            raise UsageError(f"argument --gradient: {error}") from error
    return e
