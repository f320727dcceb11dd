"""Settings that JAX reads when it starts: devices, threads, processes, cache.

Only the command line and scripts do this, never an import of jaxnet.
"""

import argparse
import os
import platform
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any
from zlib import crc32

import jax
from platformdirs import user_cache_path

from jaxnet.cli.console import tell
from jaxnet.cli.options import UsageError, integer, wrong
from jaxnet.experiments.experiment import work
from jaxnet.network import Size

_ONE_THREAD = 5_000_000  # multiply-adds of a mini-batch that a second thread delays
CPU_INFO = Path("/proc/cpuinfo")  # on Linux
_LARGE = 1_000_000  # parameters that one core cannot read fast enough


def add_devices(parser: argparse.ArgumentParser) -> None:
    """--devices, and the options for several processes."""
    group = parser.add_argument_group("where it is computed")
    help = "devices to use, of this machine (default: a core for each network, or all)"
    group.add_argument("--devices", metavar="N", type=integer(1, 512), help=help)
    help = "address at which the first of several processes listens for the others"
    group.add_argument("--coordinator", metavar="HOST:PORT", type=_address, help=help)
    help = "number of processes"
    group.add_argument("--processes", metavar="N", type=integer(1), help=help)
    help = "index of this process; process 0 prints and saves"
    group.add_argument("--process", metavar="K", type=integer(0), help=help)


def start(
    args: argparse.Namespace, networks: int, sizes: Sequence[Size], batch_size: int
) -> bool:
    """Start JAX; whether this process is the one that prints and saves.

    Waits for the other processes, if there are several.
    """
    names = ("coordinator", "processes", "process")
    given = [f"--{name}" for name in names if getattr(args, name) is not None]
    if given and len(given) < len(names):
        raise UsageError(
            "expected --coordinator HOST:PORT, --processes N and --process K together, "
            f"got {' and '.join(given)} alone"
        )
    if given and args.process >= args.processes:
        n = args.processes
        expected = f"0 to {n - 1}, one number for each of the {n} processes"
        raise wrong("process", expected, args.process)
    prepare(networks, sizes, batch_size, args.devices or (1 if given else None))
    if given:
        _join(args.coordinator, args.processes, args.process)
    got = len(jax.local_devices())
    if args.devices not in (None, got):
        raise wrong("devices", f"{got}, which JAX has", args.devices)
    return jax.process_index() == 0


def _join(coordinator: str, processes: int, process: int) -> None:
    host, _, port = coordinator.rpartition(":")
    try:
        socket.getaddrinfo(host.strip("[]"), port)
        if process == 0:
            socket.create_server(("", int(port))).close()
    except OSError as error:
        got = f"{coordinator}: {error.strerror}"
        raise wrong("coordinator", "a known host and a free port", got) from None
    tell(f"Process {process} of {processes} waits for the others at {coordinator}.")
    # What C++ prints on standard output goes to standard error.
    sys.stdout.flush()
    sys.stdout = open(os.devnull if process else os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    jax.distributed.initialize(
        coordinator, processes, process, cluster_detection_method="deactivate"
    )


def prepare(
    networks: int, sizes: Sequence[Size], batch_size: int, devices: int | None = None
) -> None:
    """Configure JAX for the CPU's cores, which has no effect once JAX has started.

    With one network, a second thread helps from about 5 million multiply-adds in a
    mini-batch, and delays smaller ones by up to a third. With more networks, each core
    is a device of its own; `devices` overrides their number. XLA uses all of a
    processor's AVX-512. Environment variables that are already set are not changed.
    """
    weights, products = map(sum, zip(*work(sizes), strict=True))
    if devices is None and networks > 1:
        wanted = min(networks, os.cpu_count() or 1)
    else:
        wanted = devices
    with suppress(RuntimeError):  # JAX has started, with what it was told then
        if wanted is not None:
            jax.config.update("jax_num_cpu_devices", wanted)
        if devices is not None and jax.config.read("jax_cuda_visible_devices") == "all":
            first = ",".join(map(str, range(devices)))
            jax.config.update("jax_cuda_visible_devices", first)
    small = batch_size * products < _ONE_THREAD and weights < _LARGE
    if networks > 1 or small:
        os.environ.setdefault("NPROC", "1")
    with suppress(OSError):
        if " avx512f" in CPU_INFO.read_text():  # XLA's loops have 256 bits by default
            flag = "--xla_cpu_prefer_vector_width=512"
            os.environ.setdefault("XLA_FLAGS", flag)


def keep_compiled() -> None:
    """Cache compiled programs, up to 1 GiB, in the user's cache folder.

    JAX_COMPILATION_CACHE_DIR names another folder, and JAX_ENABLE_COMPILATION_CACHE=0
    disables the cache, as does a folder that cannot be written to.
    """
    config: Any = jax.config
    if config.jax_compilation_cache_dir or not config.jax_enable_compilation_cache:
        return
    folder = user_cache_path("jaxnet", appauthor=False) / f"compiled-{_platform()}"
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
    if os.access(folder, os.W_OK):
        config.update("jax_compilation_cache_dir", str(folder))
        config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
        if "JAX_COMPILATION_CACHE_MAX_SIZE" not in os.environ:
            config.update("jax_compilation_cache_max_size", 2**30)


def _platform() -> str:
    """A short name for jaxlib and the processor, whose programs no other can run."""
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        can = {line for line in lines if line.startswith(("flags", "Features"))}
        words = f"{platform.machine()} {sorted(can)}"
        return f"{version('jaxlib')}-{crc32(words.encode()):08x}"
    return f"{version('jaxlib')}-{platform.machine()}-{platform.processor()}"


def _address(text: str) -> str:
    host, _, port = text.rpartition(":")
    digits = port.isascii() and port.isdigit()
    if not host or not digits or not 0 < int(port) < 65536:
        raise argparse.ArgumentTypeError(
            f"expected a host and a port such as 10.0.0.1:1234, got {text!r}"
        )
    return text
