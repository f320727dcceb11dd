"""The book's network on an accelerator: one network, and thousands of them at once.

`python scripts/accelerator.py` checks the gradients and the precision on the device,
then measures epochs of 1 to 4,096 networks of 784-30-10, each with its own seed and its
own order of the images, evaluation included, beside PyTorch where that is installed;
last it trains two of the book's experiments and compares their accuracies with those
measured on CPUs. It ends by itself within six minutes on a data-centre GPU. `--readme`
writes the table into scripts/README.md.
"""

import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))  # as a file or as a module

import jaxnet
from jaxnet.checks import MissingPackage, require
from jaxnet.cli import doctor
from jaxnet.cli.console import script
from jaxnet.experiments import CLAIMS, Experiment, Runner, result
from jaxnet.experiments.reproduce import reproduce
from scripts import tables
from scripts.benchmark import flops, machine, median, roofline, traffic

NETWORKS = (1, 8, 64, 512, 4096)
EXPERIMENTS = ("30 hidden", "cross-entropy, 30")
SIZES, M = (784, 30, 10), 10


def at_once(networks: int, data: jaxnet.Split, epochs: int = 3) -> dict[str, Any]:
    """Seconds an epoch of this number of networks, and what they have learned."""
    experiment = Experiment(sizes=SIZES, epochs=epochs)
    runner = Runner(experiment, data.train, data.test, networks)
    found = list(runner(range(networks)))
    statistics = jax.devices()[0].memory_stats() or {}
    return {
        "seconds": median([after.record.seconds for after in found[1:]]),
        "compiling": runner.compile_seconds,
        "accuracy": median(found[-1].accuracy.tolist()),
        "bytes": statistics.get("peak_bytes_in_use"),
    }


def pytorch(networks: int, data: jaxnet.Split, steps: int = 300) -> float:
    """Seconds an epoch of as many networks in PyTorch, eager, without evaluation.

    Raises MissingPackage without PyTorch.
    """
    torch = require("torch", "benchmark", "PyTorch's rows")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.set_float32_matmul_precision("highest")
    x = torch.as_tensor(np.array(data.train.x)).to(device)
    y = torch.as_tensor(np.array(data.train.y)).to(device)
    n_in, hidden, n_out = SIZES
    parameters = [
        torch.randn(networks, *shape, device=device, requires_grad=True)
        for shape in ((n_in, hidden), (1, hidden), (hidden, n_out), (1, n_out))
    ]
    optimizer = torch.optim.SGD(parameters, lr=3.0, fused=True)

    def step() -> None:
        w_1, b_1, w_2, b_2 = parameters
        rows = torch.randint(len(x), (networks, M), device=device)
        a = torch.sigmoid(torch.baddbmm(b_1, x[rows].float() / 256, w_1))
        a = torch.sigmoid(torch.baddbmm(b_2, a, w_2))
        optimizer.zero_grad(set_to_none=True)
        (((a - y[rows]) ** 2).sum() / (2 * M)).backward()
        optimizer.step()

    def finish() -> None:
        if device == "cuda":
            torch.cuda.synchronize()

    for _ in range(20):
        step()
    finish()
    began = time.perf_counter()
    for _ in range(steps):
        step()
    finish()
    return (time.perf_counter() - began) / steps * (len(x) // M)


def rows(networks: Sequence[int], data: jaxnet.Split) -> list[list[str]]:
    """The table's rows, one for each number of networks."""
    small = jax.default_backend() == "cpu"
    peak = roofline(512, 2**20) if small else roofline(8192, 2**28)
    print("peaks: {gflops:.0f} GFLOP/s, {gbytes:.0f} GB/s".format(**peak), flush=True)
    found = []
    for n in networks:
        ours = at_once(n, data)
        seconds, examples = ours["seconds"], n * len(data.train)
        try:
            theirs = f"{n / pytorch(n, data):,.1f}"
        except MissingPackage:
            theirs = "-"
        memory = ours["bytes"]
        row = [f"{n:,}", f"{seconds:.2f} s", f"{n / seconds:,.1f}", theirs]
        row.append(f"{1e6 * seconds / (len(data.train) // M):,.1f} us")
        rate, moved = flops(SIZES, examples) / 1e9, traffic(SIZES, examples, M) / 1e9
        row.append(f"{rate / seconds / peak['gflops']:.1%}")
        row.append(f"{moved / seconds / peak['gbytes']:.1%}")
        row.append("-" if memory is None else f"{memory / 2**30:.2f} GiB")
        row += [f"{ours['compiling']:.1f} s", f"{100 * ours['accuracy']:.2f} %"]
        print(" ".join(row), flush=True)
        found.append(row)
    return found


def quietly(items: Iterable[Any], total: int, label: str) -> Iterator[Any]:
    """The items, without showing progress."""
    yield from items


def experiments(
    names: Sequence[str], seeds: int, data: jaxnet.Split, folder: Path
) -> list[list[str]]:
    """The book's experiments on this device, beside those on CPUs."""
    found = []
    for name in names:
        began = time.perf_counter()
        for _ in reproduce(name, data, range(1, seeds + 1), folder, quietly):
            pass
        seconds, row = time.perf_counter() - began, [name, str(CLAIMS[name].number)]
        for place in (folder, tables.RESULTS):
            each = result(name, place)
            draws = [] if each is None else each.draws
            row.append(f"{np.median(draws):.2f}" if len(draws) else "-")
        found.append([*row, str(seeds), f"{seconds:.0f} s"])
        print(" ".join(found[-1]), flush=True)
    return found


def main(
    networks: Sequence[int] = NETWORKS,
    names: Sequence[str] = EXPERIMENTS,
    seeds: int = 20,
    data: jaxnet.Split | None = None,
    readme: bool = False,
) -> list[str]:
    """Print and return the tables; SystemExit if the device computes wrongly.

    networks: how many at once, in each row
    names: the experiments that are trained
    readme: put the tables into scripts/README.md
    """
    # A GPU's default for float32 products is TF32, with errors of 3e-4.
    jax.config.update("jax_default_matmul_precision", "highest")
    data = data or jaxnet.load_mnist(as_bytes=True)
    for check in (doctor.precision, doctor.gradients):
        well, found, advice = check()
        print(found, flush=True)
        if not well:
            raise SystemExit(f"{found}. {advice}")
    of_device = machine()
    header = ("networks", "an epoch", "network-epochs a second", "PyTorch, eager")
    header += ("a step", "of peak FLOP/s", "of peak bytes/s", "memory", "compiling")
    header += ("accuracy after 3 epochs",)
    times = tables.table(header, rows(networks, data))
    with tempfile.TemporaryDirectory() as folder:
        trained = experiments(names, seeds, data, Path(folder))
    header = ("experiment", "the book", "median here", "on CPUs", "seeds", "in all")
    versions = ", ".join(f"{k} {v}" for k, v in of_device["versions"].items())
    lines = [
        f"{of_device['device']}, {versions}. Networks of 784-30-10 with mini-batches "
        "of 10; an epoch includes its evaluation, but not PyTorch's.",
        "",
        *times,
        "",
        *tables.table(header, trained),
    ]
    print(*lines, sep="\n")
    if readme:
        tables.put(tables.OF_SCRIPTS, "accelerator", lines)
    return lines


if __name__ == "__main__":
    script(main)
