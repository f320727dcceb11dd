"""Several processes, on one machine or many, that train together by `jax.distributed`.

Each is started with the same command but for its number. The first one, number 0, has
the coordinator, prints, and keeps files; all see the same devices and the same results.
"""

import json
import multiprocessing
import os
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

_SECONDS = 20  # without a sign of life, and a process is taken for lost
_STATUS = ("UNKNOWN", "UNAVAILABLE", "ABORTED", "CANCELLED", "INTERNAL")
LOST = (
    "another process was lost, or the first could not be reached, and this one ends "
    "too. What was kept stands: go on with train --resume, or with the same sweep, in "
    "every process"
)


def join(coordinator: str, processes: int, process: int) -> bool:
    """Whether this process is the first, once all have found each other.

    JAX must not have started. Raises ValueError if the address is of no use here.
    """
    host, _, port = coordinator.rpartition(":")
    try:
        socket.getaddrinfo(host.strip("[]"), port)
        if process == 0:
            socket.create_server(("", int(port))).close()
    except OSError as error:
        raise ValueError(
            f"Expected a known host and a free port for the coordinator, got "
            f"{coordinator}: {error.strerror}."
        ) from None
    jax.distributed.initialize(
        coordinator,
        processes,
        process,
        cluster_detection_method="deactivate",
        heartbeat_timeout_seconds=_SECONDS,
    )
    return process == 0


def leave() -> None:
    """End together: JAX takes a process that just ends for a lost one."""
    jax.distributed.shutdown()


def agree(value: Any) -> Any:
    """The first process's value, of JSON, in all of them."""
    text = np.frombuffer(json.dumps(value).encode(), np.uint8)
    length = multihost_utils.broadcast_one_to_all(np.asarray(len(text)))
    padded = np.zeros(int(length), np.uint8)
    padded[: len(text)] = text[: len(padded)]
    told = multihost_utils.broadcast_one_to_all(padded)
    return json.loads(np.asarray(told).tobytes())


def from_first(arrays: Any) -> Any:
    """The first process's arrays in all of them, which have arrays of these shapes."""
    return multihost_utils.broadcast_one_to_all(arrays)


def lost(trouble: str) -> bool:
    """Whether an error's message, of one of several classes, is that a process went."""
    told = any(f"{status}:" in trouble for status in _STATUS)
    return jax.distributed.is_initialized() and told


def watched(command: Callable[[Sequence[str]], int], argv: Sequence[str]) -> int:
    """The exit code of `command(argv)`, run by a process that may end at any moment.

    When another process is lost, JAX ends this one from a thread of its own, with what
    only its developers can read. Whoever started it is told in one line instead, and
    where the rest is.
    """
    handle, log = tempfile.mkstemp(prefix="jaxnet-", suffix=".log")
    os.close(handle)
    spawn = multiprocessing.get_context("spawn")
    inner = spawn.Process(target=_run, args=(command, list(argv), log))
    inner.start()
    while inner.exitcode is None:
        try:
            inner.join()
        except KeyboardInterrupt:  # which the other has too, and ends in order
            pass
    if inner.exitcode < 0:
        print(f"jaxnet {argv[0]}: {LOST}. JAX's own words: {log}", file=sys.stderr)
        return 1
    Path(log).unlink()
    return inner.exitcode


def _run(command: Callable[[Sequence[str]], int], argv: list[str], log: str) -> None:
    # What C++ writes goes to the log, what Python prints where it always does.
    words = os.open(log, os.O_WRONLY | os.O_APPEND)
    for number, name in ((1, "stdout"), (2, "stderr")):
        setattr(sys, name, open(os.dup(number), "w", buffering=1))
        os.dup2(words, number)
    threading.Thread(target=_end_with_parent, args=(log,), daemon=True).start()
    code = command(argv)
    sys.stdout.flush()
    os._exit(code)  # or JAX would wait for processes that have gone


def _end_with_parent(log: str) -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    Path(log).unlink(missing_ok=True)
    os._exit(1)
