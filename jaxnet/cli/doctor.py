"""`python -m jaxnet doctor`: whether machine, data and learning are well.

What learning must do is known from theory, so that each check can fail.
"""

import argparse
import math
import platform
import time
from collections.abc import Callable, Iterator
from functools import cache, partial
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from packaging.requirements import Requirement

from jaxnet.cli.console import print_json
from jaxnet.cli.options import add_data
from jaxnet.compare import compare_gradients
from jaxnet.costs import cross_entropy
from jaxnet.datasets import MNIST_SHA256, DataError, checksum, load_data
from jaxnet.datasets.idx import holds_idx
from jaxnet.gradients import autodiff, backprop, loss
from jaxnet.layers import Dataset, Params, as_numbers
from jaxnet.metrics import accuracy, total_cost
from jaxnet.network import init, scaled_layer
from jaxnet.sgd import train

DESCRIPTION = (
    "Check versions, the device and its precision, the data, and that learning does "
    "what it must: costs as theory says, gradients that agree, a few examples learnt "
    "by heart, the same bits from the same key. Exit code 0 if all is well, 1 if not."
)
# float32 errs by about 3e-7 in sums of 784 products, TF32 by 3e-4, bfloat16 by 2e-3.
_FLOAT32 = 1e-5
_EPOCHS = 1000
_REINSTALL = "Is the code of jaxnet or JAX changed? Reinstall them."


class Finding(NamedTuple):
    """What a check found, in one line, and what to do if it is not well."""

    well: bool
    found: str
    advice: str = ""


def add_options(parser: argparse.ArgumentParser) -> None:
    """The data, and the output."""
    add_data(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Check, print, and return the exit code."""
    began, findings = time.perf_counter(), {}
    for name, finding in examine(args.data):
        findings[name] = finding
        if not args.json:
            word, advice = ("ok", "") if finding.well else ("WRONG", finding.advice)
            line = f"{word:<7}{name:<14}{finding.found}. {advice}"
            print(line.rstrip(), flush=True)
    seconds = time.perf_counter() - began
    wrong = [name for name, finding in findings.items() if not finding.well]
    if args.json:
        checks = [{"check": n, **each._asdict()} for n, each in findings.items()]
        print_json({"well": not wrong, "seconds": seconds, "checks": checks})
    elif wrong:
        print(f"{len(wrong)} of {len(findings)} checks failed: {', '.join(wrong)}.")
    else:
        print(f"All is well: {len(findings)} checks in {seconds:.1f} s.")
    return 1 if wrong else 0


def examine(path: str | Path | None = None) -> Iterator[tuple[str, Finding]]:
    """What each check finds, with the data at `path`, by default MNIST's.

    Where they cannot be read the checks of learning are made with MNIST's.
    """
    few = cache(lambda: _first_twenty(path))
    checks: dict[str, Callable[[], Finding]] = {
        "versions": versions,
        "device": device,
        "precision": precision,
        "data": lambda: data(path),
        "initial cost": lambda: initial_cost(few()),
        "gradients": lambda: gradients(few()),
        "overfitting": lambda: overfitting(few()),
        "same bits": lambda: same_bits(few()),
    }
    for name, check in checks.items():
        try:
            yield name, check()
        except Exception as error:  # the next check may say why
            line = str(error).strip().partition("\n")[0].removesuffix(".")
            yield name, Finding(False, f"{type(error).__name__}: {line}")


def _first_twenty(path: str | Path | None) -> Dataset:
    try:
        train = load_data(path, as_bytes=True).train
    except DataError:
        train = load_data(as_bytes=True).train
    return Dataset(as_numbers(train.x[:20], train.y.dtype), train.y[:20])


def versions() -> Finding:
    """What is installed, and whether it is what jaxnet declares."""
    declared = map(Requirement, metadata.requires("jaxnet") or [])
    needed = [each for each in declared if each.marker is None]  # or it is an extra's
    got = {each.name: metadata.version(each.name) for each in needed}
    wrong = [
        each
        for each in needed
        if not each.specifier.contains(got[each.name], prereleases=True)
    ]
    shown = (f"{name} {got[name]}" for name in ("jax", "jaxlib", "numpy", "optax"))
    found = [f"Python {platform.python_version()}", *shown]
    found += [f"expected {each}, got {got[each.name]}" for each in wrong]
    install = " ".join(f'"{each}"' for each in wrong)
    return Finding(not wrong, ", ".join(found), f"python -m pip install {install}")


def device() -> Finding:
    """The platform, the kind of device and how many there are."""
    found = jax.devices()
    kind = f"{found[0].device_kind} ({found[0].platform})"
    return Finding(True, f"{len(found)} x {kind}")


def precision() -> Finding:
    """How far a product of float32 matrices is from that in float64 by NumPy."""
    random = np.random.default_rng(0)
    a, b = (random.standard_normal(s, np.float32) for s in ((100, 784), (784, 30)))
    exact = a.astype(float) @ b.astype(float)
    error = np.linalg.norm(np.asarray(jnp.matmul(a, b), float) - exact)
    error /= np.linalg.norm(exact)
    return Finding(
        bool(error < _FLOAT32),
        f"relative error {error:.1e} of a float32 product, expected below {_FLOAT32}",
        "TF32 or bfloat16? Set JAX_DEFAULT_MATMUL_PRECISION=highest.",
    )


def data(path: str | Path | None = None) -> Finding:
    """How many training examples there are, and whether all files are MNIST's.

    A folder with some of MNIST's files is meant to be MNIST, so all of them must be.
    """
    found = f"{len(load_data(path, as_bytes=True).train):,} training examples"
    wrong = list(MNIST_SHA256)
    if path is None or holds_idx(path):
        wrong = [name for name in wrong if checksum(path, name) != MNIST_SHA256[name]]
    if path is not None and len(wrong) == len(MNIST_SHA256):
        return Finding(True, f"{found}, readable (not MNIST: no checksum is known)")
    if wrong:
        found = f"{', '.join(wrong)}: expected MNIST's SHA-256"
        return Finding(False, found, "Copy that file again, or reinstall jaxnet.")
    return Finding(True, f"{found}, the SHA-256 of all four files is MNIST's")


def _network(key: jax.Array, examples: Dataset) -> Params:
    sizes = (examples.x.shape[1], 30, examples.y.shape[1])
    return init(key, sizes, init_layer=scaled_layer)


def initial_cost(few: Dataset) -> Finding:
    """The cost of a network that says nothing: of ten classes, 10 ln 2."""
    tiny = jax.tree.map(lambda leaf: 1e-6 * leaf, _network(jax.random.key(0), few))
    cost = float(loss(tiny, few.x, few.y, cross_entropy))
    classes = few.y.shape[1]
    expected = classes * math.log(2)
    found = f"cross-entropy {cost:.4f} with tiny weights, expected "
    found += f"{classes} ln 2 = {expected:.4f}"
    return Finding(abs(cost - expected) < 1e-3 * expected, found, _REINSTALL)


def gradients(few: Dataset) -> Finding:
    """How far the gradient by hand is from the automatic one, in both precisions."""
    both = [jax.jit(partial(g, cost=cross_entropy)) for g in (backprop, autodiff)]
    args = (_network(jax.random.key(0), few), few.x, few.y)
    with jax.default_matmul_precision("highest"):
        compared = [
            compare_gradients(*both, *args, dtype=dtype)
            for dtype in ("float64", "float32")
        ]
    return Finding(
        all(each.agrees for each in compared),
        "backprop and autodiff differ by "
        + ", ".join(f"{c.relative_error:.1e} in {c.dtype}" for c in compared),
        "python -m jaxnet compare names the equation.",
    )


@jax.jit
def _learn(key: jax.Array, few: Dataset) -> tuple[Params, jax.Array, jax.Array]:
    """A network after many epochs on a few examples, its cost and its accuracy."""
    options: Any = {"batch_size": min(10, len(few)), "eta": 0.5, "cost": cross_entropy}
    params, _ = train(key, _network(key, few), few, epochs=_EPOCHS, **options)
    return params, total_cost(params, few, cross_entropy), accuracy(params, few)


def overfitting(few: Dataset) -> Finding:
    """The cost and accuracy after learning a few examples by heart."""
    n, (_, cost, correct) = len(few), _learn(jax.random.key(0), few)
    limit = 0.01 * few.y.shape[1] * math.log(2)  # a hundredth of saying nothing
    return Finding(
        bool(correct == 1 and cost < limit),
        f"{n} examples by heart: {correct * n:.0f}/{n} correct after {_EPOCHS} epochs, "
        f"cost {cost:.4f}, expected below {limit:.4f}",
        "Has an example two labels? python -m jaxnet describe says.",
    )


def same_bits(few: Dataset) -> Finding:
    """Whether the same key gives the same network, and another key another."""
    networks = [_learn(jax.random.key(seed), few)[0] for seed in (0, 0, 1)]
    one, again, other = (
        [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(params)]
        for params in networks
    )
    same, others = ("the same" if one == bits else "other" for bits in (again, other))
    return Finding(
        one == again and one != other,
        f"the same key gives {same} bits, another key {others} bits",
        "On a GPU, set XLA_FLAGS=--xla_gpu_deterministic_ops=true.",
    )
