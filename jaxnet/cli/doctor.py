"""`python -m jaxnet doctor`: checks of the machine, the data and learning itself.

A check returns whether all is well, what it found, and what to do if not. Learning is
checked on random images, so that damaged data do not make these checks fail too.
"""

import argparse
import platform
import time
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from packaging.requirements import Requirement

import jaxnet
from jaxnet.cli.console import print_json
from jaxnet.cli.options import add_data, source_of
from jaxnet.datasets import MNIST_SHA256, Source, checksums, mnist_folder
from jaxnet.layers import Dataset, Params

DESCRIPTION = (
    "Check versions, the device and its precision, the data, and that learning does "
    "what theory says: the cost at initialisation, gradients that agree, a few "
    "examples learned by heart, the same bits from the same key. Exit code 0 if all is "
    "well, 1 if not."
)
REINSTALL = "Has the code of jaxnet or JAX been changed? Reinstall them."
Finding = tuple[bool, str, str]


def add_options(parser: argparse.ArgumentParser) -> None:
    """The data, and the output."""
    add_data(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Check, print, and return the exit code."""
    checks = {
        "versions": versions,
        "device": device,
        "precision": precision,
        "data": partial(data, source_of(args)),
        "initial cost": initial_cost,
        "gradients": gradients,
        "overfitting": overfitting,
        "same bits": same_bits,
    }
    began, findings = time.perf_counter(), []
    for name, check in checks.items():
        try:
            well, found, advice = check()
        except Exception as error:  # the next check may say why
            line = str(error).strip().partition("\n")[0].removesuffix(".")
            well, found, advice = False, f"{type(error).__name__}: {line}", ""
        advice = "" if well else advice
        findings.append({"check": name, "well": well, "found": found, "advice": advice})
        if not args.json:
            word = "ok" if well else "WRONG"
            print(f"{word:<7}{name:<14}{found}. {advice}".rstrip(), flush=True)
    seconds = time.perf_counter() - began
    wrong = [finding["check"] for finding in findings if not finding["well"]]
    if args.json:
        print_json({"well": not wrong, "seconds": seconds, "checks": findings})
    elif wrong:
        print(f"{len(wrong)} of {len(findings)} checks failed: {', '.join(wrong)}.")
    else:
        print(f"All is well: {len(findings)} checks in {seconds:.1f} s.")
    return 1 if wrong else 0


def versions() -> Finding:
    """What is installed, and whether it is what jaxnet requires."""
    shown = ("jax", "jaxlib", "numpy", "optax")
    found = [f"Python {platform.python_version()}", f"jaxnet {jaxnet.__version__}"]
    found += [f"{name} {metadata.version(name)}" for name in shown]
    try:
        needed = map(Requirement, metadata.requires("jaxnet") or [])
    except metadata.PackageNotFoundError:
        return True, ", ".join([*found, "in a checkout that is not installed"]), ""
    got = {str(n): metadata.version(n.name) for n in needed if not n.marker}
    wrong = [n for n in got if not Requirement(n).specifier.contains(got[n], True)]
    found += [f"expected {n}, got {got[n]}" for n in wrong]
    install = " ".join(f'"{n}"' for n in wrong)
    return not wrong, ", ".join(found), f"python -m pip install {install}"


def device() -> Finding:
    """The number of devices, and their kind."""
    found = jax.devices()
    return True, f"{len(found)} x {found[0].device_kind} ({found[0].platform})", ""


def precision() -> Finding:
    """The error of a product of float32 matrices, against NumPy in float64."""
    random = np.random.default_rng(0)
    a, b = (random.standard_normal(s, np.float32) for s in ((100, 784), (784, 30)))
    exact = a.astype(float) @ b.astype(float)
    error = np.linalg.norm(np.asarray(jnp.matmul(a, b), float) - exact)
    error /= np.linalg.norm(exact)
    found = f"relative error {error:.1e} of a float32 product, expected below 1e-05"
    advice = "TF32 or bfloat16? Set JAX_DEFAULT_MATMUL_PRECISION=highest."
    return bool(error < 1e-5), found, advice  # float32: 3e-7, TF32: 3e-4


def data(source: Source) -> Finding:
    """The number of training examples, and whether all files are MNIST's.

    A folder with some of MNIST's files is meant to be MNIST, so all of them must be.
    """
    found = f"{len(source.load(as_bytes=True).train):,} training examples"
    sums = checksums(mnist_folder() if source.path is None else Path(source.path))
    wrong = [name for name in sums if sums[name] != MNIST_SHA256[name]]
    if source.path is not None and len(wrong) == len(sums):
        return True, f"{found}, readable (not MNIST: no checksum is known)", ""
    if wrong:
        advice = "Copy that file again, or reinstall jaxnet."
        return False, f"{', '.join(wrong)}: expected MNIST's SHA-256", advice
    return True, f"{found}, the SHA-256 of all four files is MNIST's", ""


def problem() -> tuple[Params, Dataset]:
    """A network of MNIST's form, and twenty random images, two of each digit."""
    images = np.random.default_rng(0).random((20, 784))
    few = Dataset(jnp.asarray(images), jnp.asarray(np.tile(np.eye(10), (2, 1))))
    key = jax.random.key(0)
    return jaxnet.init(key, [784, 30, 10], init_layer=jaxnet.scaled_layer), few


def initial_cost() -> Finding:
    """The cost of a network whose outputs are all 1/2, 10 ln 2."""
    params, few = problem()
    tiny = jax.tree.map(lambda leaf: 1e-6 * leaf, params)
    loss = jax.jit(partial(jaxnet.loss, cost=jaxnet.cross_entropy))
    cost = float(loss(tiny, few.x, few.y))
    found = f"cross-entropy {cost:.4f} with tiny weights, expected 10 ln 2 = 6.9315"
    return abs(cost - 6.9315) < 0.007, found, REINSTALL


def gradients() -> Finding:
    """The difference between the manual and the automatic gradient."""
    params, few = problem()
    both = (jaxnet.backprop, jaxnet.autodiff)
    both = [jax.jit(partial(g, cost=jaxnet.cross_entropy)) for g in both]
    with jax.default_matmul_precision("highest"):
        compared = [
            jaxnet.compare_gradients(*both, params, few.x, few.y, dtype=dtype)
            for dtype in ("float64", "float32")
        ]
    errors = (f"{each.relative_error:.1e} in {each.dtype}" for each in compared)
    found = f"backprop and autodiff differ by {', '.join(errors)}"
    agree = all(each.agrees for each in compared)
    return agree, found, "python -m jaxnet compare names the equation."


@jax.jit
def learn(key: jax.Array, params: Params, few: Dataset) -> tuple[Params, Any, Any]:
    """The network after 400 epochs on a few examples, its cost and its accuracy."""
    options: Any = {"batch_size": 10, "eta": 0.5, "cost": jaxnet.cross_entropy}
    params, _ = jaxnet.train(key, params, few, epochs=400, **options)
    cost = jaxnet.total_cost(params, few, jaxnet.cross_entropy)
    return params, cost, jaxnet.accuracy(params, few)


def overfitting() -> Finding:
    """The cost and accuracy after learning a few examples by heart."""
    _, cost, correct = learn(jax.random.key(0), *problem())
    found = f"20 examples by heart: {20 * correct:.0f}/20 correct after 400 epochs, "
    found += f"cost {cost:.4f}, expected below 0.0693"  # a hundredth of 10 ln 2
    return bool(correct == 1 and cost < 0.0693), found, REINSTALL


def same_bits() -> Finding:
    """Whether the same key gives the same network, and another key another."""
    networks = [learn(jax.random.key(seed), *problem())[0] for seed in (0, 0, 1)]
    one, again, other = (np.asarray(params[0].w).tobytes() for params in networks)
    same, others = ("the same" if one == bits else "other" for bits in (again, other))
    found = f"the same key gives {same} bits, another key {others} bits"
    advice = "On a GPU, set XLA_FLAGS=--xla_gpu_deterministic_ops=true."
    return one == again != other, found, advice
