"""The options of a command that several devices, or several processes, work on."""

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

import jax

from jaxnet import devices, processes
from jaxnet.commands.options import whole

_TOGETHER = ("coordinator", "processes", "process")
WHERE = ("devices", *_TOGETHER)


def add_where(parser: argparse.ArgumentParser) -> None:
    """--devices, and what a process must know to join others."""
    group = parser.add_argument_group("where it is computed")
    help = "devices to use, of this machine (default: a core for each network, or all)"
    group.add_argument("--devices", metavar="N", type=whole(1, 512), help=help)
    help = "where the first of several processes listens, which all have this command"
    group.add_argument("--coordinator", metavar="HOST:PORT", type=_address, help=help)
    help = "how many they are"
    group.add_argument("--processes", metavar="N", type=whole(1), help=help)
    help = "which of them this one is: 0, which prints and keeps, or 1, 2, ..."
    group.add_argument("--process", metavar="K", type=whole(0), help=help)


def begin(args: argparse.Namespace, networks: int, sizes: Sequence[int]) -> bool:
    """Whether this process prints and keeps; JAX is told of the devices.

    It waits for the other processes, if there are to be some.
    """
    alone = args.coordinator is None
    local = args.devices if alone else args.devices or 1
    devices.prepare(networks, sizes, args.batch_size, local)
    first = True
    if not alone:
        print(
            f"Process {args.process} of {args.processes} waits for the others at "
            f"{args.coordinator}.",
            file=sys.stderr,
        )
        first = processes.join(args.coordinator, args.processes, args.process)
    came = len(jax.local_devices())
    if args.devices is not None and came != args.devices:
        raise argparse.ArgumentError(
            None, f"argument --devices: expected {came}, which JAX has, got {local}"
        )
    return first


def check(args: argparse.Namespace) -> bool:
    """Whether this is to be one of several processes, if its options allow it."""
    given = [f"--{name}" for name in _TOGETHER if getattr(args, name) is not None]
    if given and len(given) < len(_TOGETHER):
        raise argparse.ArgumentError(
            None,
            "expected --coordinator HOST:PORT, --processes N and --process K together, "
            f"got {' and '.join(given)} alone",
        )
    if given and args.process >= args.processes:
        raise argparse.ArgumentError(
            None,
            f"argument --process: expected 0 to {args.processes - 1}, one number for "
            f"each of the {args.processes} processes, got {args.process}",
        )
    return bool(given)


def agree(args: argparse.Namespace, options: dict[str, Any]) -> dict[str, Any]:
    """The first process's options, which all must have but to resume a run.

    Raises ValueError if they do not.
    """
    ours, theirs = json.loads(json.dumps(options)), processes.agree(options)
    differ = [name for name in theirs if theirs[name] != ours.get(name)]
    if differ and getattr(args, "resume", None) is None:
        name = differ[0]
        raise ValueError(
            f"Expected the same options in every process, got {name} {ours.get(name)} "
            f"in process {args.process} and {theirs[name]} in process 0."
        )
    return {**theirs, "sizes": tuple(theirs["sizes"])}


def check_same(args: argparse.Namespace, checksum: str) -> None:
    """Refuse data that are not those of the first process."""
    if processes.agree(checksum) != checksum:
        raise ValueError(
            f"Expected the same data in every process, got others in process "
            f"{args.process} than in process 0. Were the files changed?"
        )


def _address(text: str) -> str:
    host, _, port = text.rpartition(":")
    if (
        not host
        or not port.isascii()
        or not port.isdigit()
        or not 0 < int(port) < 65536
    ):
        raise argparse.ArgumentTypeError(
            f"expected a host and a port such as 10.0.0.1:1234, got {text!r}"
        )
    return text
