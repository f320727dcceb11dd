"""How fast the book's training is: jaxnet against other ways to write it, on one core.

The workload is the book's: mini-batches of 10 of the 50,000 images, quadratic cost,
float32, no evaluation. The contenders do the same arithmetic on the same data, except
that scikit-learn has only softmax with log-likelihood. Like is compared with like: an
epoch as one compiled program (`jaxnet.epoch`, and Equinox, Flax and `jax.grad` in the
same kind of loop), and steps in a Python loop, as tutorials write it. All take turns in
one process, so that other load slows them alike; a number is the median over the turns,
a ratio the median of the turns' ratios, and the slow ones are timed on a part of an
epoch and scaled up. What is not installed is left out: `python -m pip install
".[benchmark]"`.

`python scripts/benchmark.py` measures, writes a file, and prints tables; `--readme`
puts them in the READMEs and draws the figure. `--beside NAME 'COMMAND {hidden}'` has
another program take its turn, which prints a JSON object with epoch_ms.
"""

import argparse
import json
import os
import platform
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.metadata import distributions
from itertools import pairwise
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))  # as a file or as a module

import jaxnet
from jaxnet.cli import devices
from jaxnet.cli.console import end_with_pipe, track
from jaxnet.figures import blank, save
from scripts import contenders, tables

ROOT = tables.ROOT
RESULTS = tables.RESULTS / "benchmark.json"
M, ETA = 10, 3.0


def timed(function: Callable[[], Any]) -> float:
    """Seconds that a call takes, with what it has started."""
    began = time.perf_counter()
    jax.block_until_ready(function())
    return time.perf_counter() - began


def median(values: Sequence[float]) -> float:
    """The median as a Python number, which JSON can hold."""
    return float(np.median(values))


def machine() -> dict[str, Any]:
    """What the numbers depend on."""
    packages = ("jax", "jaxlib", "numpy", "optax", "torch", "equinox", "flax")
    installed = {package.name: package.version for package in distributions()}
    names = [name for name in (*packages, "scikit-learn") if name in installed]
    model = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        found = re.search(r"model name\s*:\s*(.*)", Path("/proc/cpuinfo").read_text())
        model = found[1] if found else model
    device = jax.devices()[0]
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "device": f"{device.platform} {device.device_kind}",
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
        "python": platform.python_version(),
        "versions": {name: installed[name] for name in names},
    }


def weights(sizes: Sequence[int]) -> list[int]:
    """The number of weights of each layer."""
    return [n_in * n_out for n_in, n_out in pairwise(sizes)]


def flops(sizes: Sequence[int], examples: int) -> float:
    """Floating-point operations in learning from this number of examples."""
    first, *others = weights(sizes)
    # Two for each weight forward, two for its gradient, two for the error below.
    return examples * (4.0 * first + 6.0 * sum(others))


def traffic(sizes: Sequence[int], examples: int, m: int) -> float:
    """Bytes that this many examples move at least: images, and weights in each step."""
    # Weights are read by the product forward, then read and written by the update.
    return examples * sizes[0] + 12.0 * sum(weights(sizes)) * examples / m


def roofline(n: int, length: int) -> dict[str, float]:
    """The best here: a product of n x n matrices, and a copy of `length` numbers."""
    a, x = jax.random.normal(jax.random.key(0), (n, n)), jnp.zeros(length)
    product, add = jax.jit(jnp.dot), jax.jit(lambda x: x + 1)
    jax.block_until_ready((product(a, a), add(x)))
    seconds = min(timed(lambda: product(a, a)) for _ in range(9))
    copying = min(timed(lambda: add(x)) for _ in range(5))
    return {
        "gflops": 2 * n**3 / seconds / 1e9,
        "gbytes": 2 * x.nbytes / copying / 1e9,
    }


def epoch_seconds(way: contenders.Way) -> float:
    """Seconds an epoch, of the part that is done."""
    return timed(way.run) / way.part


def printed_seconds(command: str) -> float:
    """Seconds an epoch, as another program prints them."""
    done = subprocess.run(shlex.split(command), capture_output=True, check=True)
    return json.loads(done.stdout)["epoch_ms"] / 1e3


def in_turns(
    ways: Mapping[str, Callable[[], float]], turns: int, label: str
) -> dict[str, list[float]]:
    """The seconds of each way in each turn; its first call only compiles."""
    for measure in ways.values():
        measure()
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in track(range(turns), turns, label):
        for name, measure in ways.items():
            seconds[name].append(measure())
    return seconds


def epochs(hidden: int, turns: int, beside: Mapping[str, str]) -> dict[str, Any]:
    """Seconds an epoch of 784-hidden-10 for each contender."""
    sizes = (784, hidden, 10)
    data = jaxnet.load_mnist(as_bytes=True).train
    ways = {
        name: partial(epoch_seconds, begin(sizes, data, M, ETA))
        for name, begin in contenders.available().items()
    }
    for name, command in beside.items():
        ways[name] = partial(printed_seconds, command.format(hidden=hidden))
    seconds = in_turns(ways, turns, f"784-{hidden}-10")
    work = flops(sizes, len(data)) / 1e9
    return {
        name: {
            "seconds": median(times),
            "least": min(times),
            "times_epoch": median(
                [a / b for a, b in zip(times, seconds["epoch"], strict=True)]
            ),
            "gflops": work / median(times),
        }
        for name, times in seconds.items()
    }


def products(sizes: Sequence[int], m: int) -> float:
    """Seconds that the products of matrices of one step take, each alone, by XLA."""
    total = 0.0
    for l, (n_in, n_out) in enumerate(pairwise(sizes)):
        total += _product((m, n_in), (n_out, n_in), "mi,oi->mo")
        total += _product((m, n_out), (m, n_in), "mo,mi->oi")
        if l > 0:
            total += _product((m, n_out), (n_out, n_in), "mo,oi->mi")
    return total


def _product(left: tuple[int, int], right: tuple[int, int], words: str) -> float:
    a = jax.random.normal(jax.random.key(0), left)
    b = jax.random.normal(jax.random.key(1), right)
    repeat = max(4, int(2e8 / (2 * left[0] * left[1] * max(right))))

    @jax.jit
    def many(a: jax.Array, b: jax.Array) -> jax.Array:
        def once(a: jax.Array, _: None) -> tuple[jax.Array, None]:
            c = jnp.einsum(words, a, b)
            return a.at[0, 0].add(1e-9 * c[0, 0]), None  # so that none is left out

        return jax.lax.scan(once, a, length=repeat)[0]

    many(a, b).block_until_ready()
    return min(timed(lambda: many(a, b)) for _ in range(5)) / repeat


def steps(grid: Sequence[tuple[tuple[int, ...], int]]) -> list[dict[str, Any]]:
    """Seconds a step of networks and mini-batches, and of their products alone."""
    data = jaxnet.load_mnist(as_bytes=True).train
    rows = []
    for sizes, m in track(grid, len(grid), "networks and mini-batches"):
        n = m * max(4, min(len(data), int(4e9 / flops(sizes, 1))) // m)
        part, key = data[:n], jax.random.key(0)
        params = jaxnet.init(key, sizes, init_layer=jaxnet.scaled_layer)
        state, options = jaxnet.start(params), {"batch_size": m, "eta": 0.1}
        once = partial(jaxnet.epoch, key, state, part, **options)
        timed(once)  # compiles
        seconds = median([timed(once) for _ in range(5)]) / len(part) * m
        row = {"sizes": list(sizes), "batch": m, "seconds": seconds}
        row["gflops"] = flops(sizes, m) / seconds / 1e9
        rows.append(row | {"products": products(sizes, m)})
    return rows


def run_python(*arguments: object, **variables: str) -> str:
    """What a new Python process prints, with as many threads as it likes."""
    environment = {k: value for k, value in os.environ.items() if k != "NPROC"}
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        env=environment | variables,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    ).stdout


_MANY = """
import json, sys, numpy as np, jax
networks, hidden, epochs = map(int, sys.argv[1:])
from jaxnet import load_mnist
from jaxnet.cli import devices
from jaxnet.experiments import Experiment, run
devices.prepare(networks, (784, hidden, 10), 10)
data = load_mnist(as_bytes=True)
e = Experiment(sizes=(784, hidden, 10), epochs=epochs)
runs = run(e, data.train, data.test, range(networks))
found = [after.record.seconds for after in runs]
print(json.dumps([float(np.median(found[1:] or found)), jax.device_count()]))
"""


def networks_at_once(
    hidden: int, numbers: Sequence[int], turns: int
) -> list[dict[str, Any]]:
    """Network-epochs a second, evaluation included, on all devices, in turns."""
    found: dict[int, list[float]] = {n: [] for n in numbers}
    used = dict.fromkeys(numbers, 1)
    jobs = [n for _ in range(turns) for n in numbers]
    for n in track(jobs, len(jobs), f"networks at once, {hidden} hidden"):
        printed = run_python("-c", _MANY, n, hidden, 9 if n == 1 else 4)
        seconds, used[n] = json.loads(printed)
        found[n].append(n / seconds)
    return [
        {"networks": n, "a_second": median(rates), "devices": used[n]}
        for n, rates in found.items()
    ]


_IMPORT = """
import jax, time
began = time.perf_counter()
import jaxnet
print(time.perf_counter() - began)
"""
# Of the process alone: getrusage would count what forked it.
_PEAK = """
from pathlib import Path
from jaxnet.cli import main
main(["train", "--quiet"])
[line] = [x for x in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in x]
print(line)
"""


def processes(turns: int) -> dict[str, float]:
    """`python -m jaxnet train` from nothing, again, and what importing costs."""
    times: dict[str, list[float]] = {"first": [], "second": [], "import": []}
    for _ in track(range(turns), turns, "whole processes"):
        with tempfile.TemporaryDirectory() as cache:
            for name in ("first", "second"):
                train = partial(
                    run_python, "-m", "jaxnet", "train", XDG_CACHE_HOME=cache
                )
                times[name].append(timed(train))
        times["import"].append(float(run_python("-c", _IMPORT)))
    peak = 1024 * float(run_python("-c", _PEAK).split()[-2])
    return {"peak_bytes": peak} | {name: median(found) for name, found in times.items()}


def measure(turns: int, quick: bool, beside: Mapping[str, str]) -> dict[str, Any]:
    """All results, as JSON values; `quick` only checks that everything runs."""
    hidden, many = ((30, 100), (1, 2, 4, 20)) if not quick else ((30,), (1, 2))
    if jax.default_backend() != "cpu" and not quick:
        many = (1, 8, 64, 512)
    grid = [((784, h, 10), m) for m in (1, 10, 100, 1000) for h in (30, 100, 300, 1000)]
    grid += [((784, h, h, 10), 10) for h in (30, 100)]
    grid += [((784, 1000, 1000, 10), m) for m in (100, 1000)]
    return {
        "machine": machine(),
        "roofline": roofline(1024, 2**26),
        "turns": turns,
        "epochs": {str(h): epochs(h, turns, beside) for h in hidden},
        "steps": steps(grid[-4:-2] if quick else grid),
        "many": {str(h): networks_at_once(h, many, min(turns, 3)) for h in hidden},
        "processes": processes(min(turns, 3)),
    }


def _rows_of_ways(
    epochs: Mapping[str, Any],
) -> tuple[list[list[str]], list[list[str]]]:
    """The rows of epochs as one program, and of steps in a Python loop."""
    whole_epochs: list[list[str]] = []
    loops: list[list[str]] = []
    for name in next(iter(epochs.values())):
        row = [f"`{name}`" if hasattr(contenders, name) else name]
        row[0] += ", another cost" * (name == "scikit_learn")
        for of_size in epochs.values():
            way = of_size[name]
            row.append(f"{1e3 * way['seconds']:,.0f} ms")
            row += [f"{way['times_epoch']:.2f}", f"{way['gflops']:.1f}"]
        compiled = name in contenders.ONE_PROGRAM or not hasattr(contenders, name)
        (whole_epochs if compiled else loops).append(row)
    return whole_epochs, loops


def in_markdown(found: Mapping[str, Any]) -> list[str]:
    """The results in Markdown."""
    machine, roof, epochs = found["machine"], found["roofline"], found["epochs"]
    versions = ", ".join(f"{k} {v}" for k, v in machine["versions"].items())
    bits = "512" if "vector_width=512" in machine["xla_flags"] else "256"
    minima, heads = [], []
    for hidden in epochs:
        sizes, name = (784, int(hidden), 10), f"784-{hidden}-10"
        work, moved = flops(sizes, 50_000) / 1e9, traffic(sizes, 50_000, M) / 1e9
        minima.append(f"{name} {work:.1f} GFLOP and {moved:.1f} GB, images and weights")
        heads += [name, "times epoch", "GFLOP/s"]
    whole_epochs, loops = _rows_of_ways(epochs)
    many = []
    for hidden, rows in found["many"].items():
        [alone] = [row["a_second"] for row in rows if row["networks"] == 1]
        for row in rows:
            name = f"{row['networks']} of 784-{hidden}-10, {row['devices']} devices"
            rate = row["a_second"]
            many.append((name, f"{rate:.1f}", f"{rate / alone:.2f}"))
    steps = []
    for row in found["steps"]:
        name = f"{'-'.join(map(str, row['sizes']))}, mini-batch {row['batch']}"
        seconds, share = row["seconds"], row["products"] / row["seconds"]
        rate = f"{row['gflops']:.0f}"
        steps.append((name, f"{1e6 * seconds:,.1f} us", rate, f"{share:.0%}"))
    of_many = ("networks at once", "network-epochs a second", "times one alone")
    of_steps = ("a step, one core", "time", "GFLOP/s", "its products alone, of that")
    whole = found["processes"]
    book = 30 * next(iter(epochs.values()))["numpy_by_example"]["seconds"]
    return [
        f"{machine['processor']}, {machine['cores']} cores, Python "
        f"{machine['python']}, {versions}. One core: {roof['gflops']:.0f} GFLOP/s in a "
        f"large product of matrices, {roof['gbytes']:.0f} GB/s in a copy. XLA's loops "
        f"have vectors of {bits} bits. Medians of {found['turns']} turns, and of the "
        "ratios in each.",
        "",
        "An epoch with mini-batches of 10, least: " + "; ".join(minima) + ".",
        "",
        *tables.table(["an epoch as one program, one core", *heads], whole_epochs),
        "",
        *tables.table(["steps in a Python loop, one core", *heads], loops),
        "",
        *tables.table(of_many, many),
        "",
        *tables.table(of_steps, steps),
        "",
        "`python -m jaxnet train`, 30 epochs and their evaluation, importing and "
        f"compiling included: {whole['first']:.1f} s the first time and "
        f"{whole['second']:.1f} s the second, when what was compiled is kept. Thirty "
        f"epochs of the book's algorithm in NumPy: {book:.0f} s, "
        f"{book / whole['first']:.0f} times as long. `import jaxnet` adds "
        f"{1e3 * whole['import']:.0f} ms to `import jax`. The peak of memory is "
        f"{whole['peak_bytes'] / 1e6:.0f} MB.",
    ]


SHORT = {
    "epoch": "`jaxnet.epoch`, gradient by hand",
    "jax_grad_in_scan": "`jax.grad` in the same scan",
    "equinox_in_scan": "Equinox in the same scan",
    "pytorch_compiled": "PyTorch, `torch.compile`, a loop of steps",
    "pytorch": "PyTorch, eager, a loop of steps",
    "numpy_by_example": "the book's loops in NumPy",
}
"""The rows of the main README."""


def short(found: Mapping[str, Any]) -> list[str]:
    """The main README's table."""
    epochs, heads = found["epochs"], [""]
    for hidden in epochs:
        heads += [f"784-{hidden}-10", "times `epoch`"]
    rows = []
    for name, words in SHORT.items():
        row = [words]
        for ways in epochs.values():
            if name in ways:  # or its package was not installed
                seconds, times = ways[name]["seconds"], ways[name]["times_epoch"]
                row += [f"{1e3 * seconds:,.0f} ms", f"{times:.1f}"]
        rows += [row] if len(row) > 1 else []
    processor = found["machine"]["processor"]
    return [*tables.table(heads, rows), "", f"{processor}, one core, median."]


def draw(results: Mapping[str, Any], path: str | Path) -> Path:
    """The path of a picture of rates by hidden neurons, and by networks at once."""
    figure = blank(8.6, 4.0)
    rates, many = figure.subplots(1, 2)
    by_batch: dict[int, list[tuple[int, float]]] = {}
    for row in results["steps"]:
        if len(row["sizes"]) == 3:
            point = (row["sizes"][1], row["gflops"])
            by_batch.setdefault(row["batch"], []).append(point)
    for batch, points in by_batch.items():
        rates.plot(*np.transpose(points), "o-", label=f"mini-batch {batch}")
    roof = results["roofline"]["gflops"]
    rates.axhline(roof, color="black", ls=":", label="a large product")
    rates.set(xscale="log", xlabel="hidden neurons", ylabel="GFLOP/s, one core")
    for hidden, rows in results["many"].items():
        points = [(row["networks"], row["a_second"]) for row in rows]
        many.plot(*np.transpose(points), "o-", label=f"784-{hidden}-10")
    many.set(xscale="log", xlabel="networks at once", ylabel="network-epochs a second")
    for axes in (rates, many):
        axes.set_ylim(0)
        axes.legend()
    return save(figure, path)


def main(
    turns: int = 9,
    quick: bool = False,
    beside: Mapping[str, str] | None = None,
    out: str | Path = RESULTS,
    readme: bool = False,
) -> dict[str, Any]:
    """Measure, write, print, and return the results."""
    # The processes that train many networks need a GPU's memory too.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    devices.prepare(1, (784, 30, 10), M)  # one core, as for the others
    found = measure(turns, quick, beside or {})
    out = Path(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(found, indent=1) + "\n")
    lines = in_markdown(found)
    print(*lines, sep="\n")
    print(f"wrote {out}")
    if readme:
        print(f"wrote {draw(found, tables.FIGURES / 'benchmark.png')}")
        tables.put(tables.OF_SCRIPTS, "benchmark", lines)
        tables.put(tables.README, "benchmark", short(found))
    return found


if __name__ == "__main__":
    end_with_pipe()
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--turns", type=int, default=9, help="(default: 9)")
    parser.add_argument("--quick", action="store_true", help="check that all runs")
    parser.add_argument(
        "--readme", action="store_true", help="write the READMEs' tables"
    )
    parser.add_argument("--out", default=RESULTS, help="(default: %(default)s)")
    program = {"nargs": 2, "default": [], "metavar": ("NAME", "COMMAND")}
    parser.add_argument("--beside", action="append", **program)
    options: Any = vars(parser.parse_args())
    main(**options | {"beside": dict(options["beside"])})
