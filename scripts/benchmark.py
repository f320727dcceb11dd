"""How fast the book's training is: jaxnet beside other ways to write it, on one core.

The workload is the book's: mini-batches of 10 of the 50,000 images, quadratic cost,
float32, no evaluation. Every contender does the same arithmetic on the same data. They
take turns in one process, so that what else the machine does slows them alike; a number
is the median over the turns, and the slow ones are timed on a part of an epoch and
scaled up. What is not installed is left out: `python -m pip install ".[benchmark]"`.

`python scripts/benchmark.py` measures, writes a file and a figure, and prints tables;
`--readme` puts them in README.md. `--beside 'NAME=COMMAND {hidden}'` has a program of
one's own take its turn, which prints a JSON object with epoch_ms.
"""

import argparse
import json
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))  # as a file or as a module

import jaxnet
from jaxnet import devices, figures
from jaxnet.progress import end_with_pipe, track
from scripts import contenders, tables

ROOT = tables.ROOT
RESULTS = tables.RESULTS / "benchmark.json"
M, ETA = 10, 3.0


def timed(function: Callable[[], Any]) -> float:
    """Seconds that a call takes, with what it has started."""
    began = time.perf_counter()
    jax.block_until_ready(function())
    return time.perf_counter() - began


def machine() -> dict[str, Any]:
    """What the numbers depend on."""
    packages = ("jax", "jaxlib", "numpy", "optax", "torch", "equinox", "flax")
    versions = {}
    for name in (*packages, "scikit-learn"):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            pass
    model = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        found = re.search(r"model name\s*:\s*(.*)", Path("/proc/cpuinfo").read_text())
        model = found[1] if found else model
    device = jax.devices()[0]
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "device": f"{device.platform} {device.device_kind}",
        "python": platform.python_version(),
        "versions": versions,
    }


def flops(sizes: Sequence[int], examples: int) -> float:
    """Floating-point operations that learning from so many examples needs."""
    layers = [n_in * n_out for n_in, n_out in zip(sizes, sizes[1:], strict=False)]
    # Two for each weight forward, two for its gradient, two for the error below.
    return examples * (4.0 * sum(layers) + 2.0 * sum(layers[1:]))


def traffic(sizes: Sequence[int], examples: int, m: int) -> float:
    """Bytes that this many examples move at least: images, and weights in each step."""
    weights = sum(n_in * n_out for n_in, n_out in zip(sizes, sizes[1:], strict=False))
    # Read by the product forward, then read and written by the update.
    return examples * sizes[0] + 12.0 * weights * examples / m


def roofline() -> dict[str, float]:
    """The best that one core does: a large product of matrices, and a long copy."""
    a = jax.random.normal(jax.random.key(0), (1024, 1024))
    product = jax.jit(jnp.dot)
    x = jnp.zeros(2**26)
    add = jax.jit(lambda x: x + 1)
    jax.block_until_ready((product(a, a), add(x)))
    seconds = min(timed(lambda: product(a, a)) for _ in range(9))
    copying = min(timed(lambda: add(x)) for _ in range(5))
    return {
        "gflops": 2 * 1024**3 / seconds / 1e9,
        "gbytes": 2 * x.nbytes / copying / 1e9,
    }


def epochs(
    hidden: int, turns: int, beside: dict[str, str], only: Sequence[str] = ()
) -> dict[str, Any]:
    """Seconds an epoch of 784-hidden-10 for each contender."""
    sizes = (784, hidden, 10)
    data = jaxnet.load_mnist(as_bytes=True).train
    ways = {
        name: begin(sizes, data, M, ETA)
        for name, begin in contenders.available().items()
        if not only or name in only
    }
    for way in ways.values():
        timed(way.run)  # compiles
    seconds: dict[str, list[float]] = {name: [] for name in (*ways, *beside)}
    for _ in track(range(turns), turns, f"784-{hidden}-10"):
        for name, command in beside.items():
            found = subprocess.run(
                [*shlex.split(command.format(hidden=hidden))],
                capture_output=True,
                check=True,
            )
            seconds[name].append(json.loads(found.stdout)["epoch_ms"] / 1e3)
        for name, way in ways.items():
            seconds[name].append(timed(way.run) / way.part)
    work = flops(sizes, len(data))
    return {
        name: {
            "seconds": float(np.median(times)),
            "least": min(times),
            "gflops": work / float(np.median(times)) / 1e9,
        }
        for name, times in seconds.items()
    }


def products(sizes: Sequence[int], m: int) -> float:
    """Seconds that the products of matrices of one step take, each alone, by XLA."""
    total = 0.0
    for l, (n_in, n_out) in enumerate(zip(sizes, sizes[1:], strict=False)):
        shapes = [((m, n_in), (n_out, n_in), "mi,oi->mo")]
        shapes.append(((m, n_out), (m, n_in), "mo,mi->oi"))
        if l > 0:
            shapes.append(((m, n_out), (n_out, n_in), "mo,oi->mi"))
        for left, right, words in shapes:
            total += _product(left, right, words)
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
    """Seconds a step of networks and mini-batches, beside their products alone."""
    data = jaxnet.load_mnist(as_bytes=True).train
    rows = []
    for sizes, m in track(grid, len(grid), "networks and mini-batches"):
        n = m * max(4, min(len(data), int(4e9 / flops(sizes, 1))) // m)
        part, key = data[:n], jax.random.key(0)
        params = jaxnet.init(key, sizes, init_layer=jaxnet.scaled_layer)
        state = jaxnet.start(params)

        def once(part=part, state=state, key=key, m=m) -> Any:
            return jaxnet.epoch(key, state, part, batch_size=m, eta=0.1)

        timed(once)
        seconds = float(np.median([timed(once) for _ in range(5)])) / len(part) * m
        row = {"sizes": list(sizes), "batch": m, "seconds": seconds}
        row["gflops"] = flops(sizes, m) / seconds / 1e9
        row["products"] = products(sizes, m)
        rows.append(row)
    return rows


_MANY = """
import sys, json, numpy as np, jax
networks, hidden, epochs = map(int, sys.argv[1:])
from jaxnet import devices, load_mnist
from jaxnet.experiments import Experiment
from jaxnet.runs import run
devices.prepare(networks, (784, hidden, 10), 10)
data = load_mnist(as_bytes=True)
e = Experiment(sizes=(784, hidden, 10), epochs=epochs)
found = [after.seconds for after in run(e, data.train, data.test, range(networks))]
print(json.dumps([networks, float(np.median(found[1:] or found)), jax.device_count()]))
"""


def networks_at_once(
    hidden: int, numbers: Sequence[int], turns: int
) -> list[dict[str, Any]]:
    """Network-epochs a second, evaluation included, on all devices, in turns."""
    environment = {k: v for k, v in os.environ.items() if k != "NPROC"}
    found: dict[int, list[float]] = {n: [] for n in numbers}
    used = dict.fromkeys(numbers, 1)
    jobs = [n for _ in range(turns) for n in numbers]
    for n in track(jobs, len(jobs), f"networks at once, {hidden} hidden"):
        count = 9 if n == 1 else 4
        arguments = [sys.executable, "-c", _MANY, str(n), str(hidden), str(count)]
        done = subprocess.run(
            arguments, env=environment, cwd=ROOT, capture_output=True, check=True
        )
        _, seconds, used[n] = json.loads(done.stdout)
        found[n].append(n / seconds)
    return [
        {"networks": n, "a_second": float(np.median(rates)), "devices": used[n]}
        for n, rates in found.items()
    ]


def processes(turns: int) -> dict[str, float]:
    """`python -m jaxnet train` from nothing, again, and what importing costs."""
    command = [sys.executable, "-m", "jaxnet", "train"]
    environment = {k: v for k, v in os.environ.items() if k != "NPROC"}
    times: dict[str, list[float]] = {"first": [], "second": [], "import": []}
    code = (
        "import jax, time; began = time.perf_counter(); import jaxnet; "
        "print(time.perf_counter() - began)"
    )
    for _ in track(range(turns), turns, "whole processes"):
        folder = tempfile.mkdtemp()
        changed = environment | {"XDG_CACHE_HOME": folder}
        for name in ("first", "second"):
            began = time.perf_counter()
            subprocess.run(command, env=changed, **_QUIET)
            times[name].append(time.perf_counter() - began)
        shutil.rmtree(folder)
        output = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, check=True, cwd=ROOT
        )
        times["import"].append(float(output.stdout))
    found = {name: float(np.median(values)) for name, values in times.items()}
    output = subprocess.run(
        [sys.executable, "-c", _PEAK], env=environment, capture_output=True, cwd=ROOT
    )
    return {**found, "peak_bytes": 1024 * float(output.stdout.split()[-2])}


# Of the process alone: getrusage would count what forked it.
_PEAK = """
from pathlib import Path
from jaxnet.cli import main
main(["train", "--quiet"])
[line] = [x for x in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in x]
print(line)
"""
_QUIET: Any = {"stdout": subprocess.DEVNULL, "check": True, "cwd": ROOT}


def measure(turns: int, quick: bool, beside: dict[str, str]) -> dict[str, Any]:
    """All results, as JSON values. Quick is a look at whether everything runs."""
    hidden, many = ((30, 100), (1, 2, 4, 20)) if not quick else ((30,), (1, 2))
    if jax.default_backend() != "cpu" and not quick:
        many = (1, 8, 64, 512)
    grid = [((784, h, 10), m) for m in (1, 10, 100, 1000) for h in (30, 100, 300, 1000)]
    grid += [((784, 1000, 1000, 10), m) for m in (100, 1000)]
    return {
        "machine": machine(),
        "roofline": roofline(),
        "turns": turns,
        "epochs": {str(h): epochs(h, turns, beside) for h in hidden},
        "steps": steps(grid[-4:-2] if quick else grid),
        "many": {str(h): networks_at_once(h, many, min(turns, 3)) for h in hidden},
        "processes": processes(min(turns, 3)),
    }


def _least(hidden: str) -> str:
    sizes = (784, int(hidden), 10)
    work, moved = flops(sizes, 50_000) / 1e9, traffic(sizes, 50_000, M) / 1e9
    return f"784-{hidden}-10 {work:.1f} GFLOP and {moved:.1f} GB, images and weights"


def in_markdown(found: dict[str, Any]) -> list[str]:
    """The results in Markdown."""
    machine, roof = found["machine"], found["roofline"]
    versions = ", ".join(f"{k} {v}" for k, v in machine["versions"].items())
    epochs = found["epochs"]
    lines = [
        f"{machine['processor']}, {machine['cores']} cores, Python "
        f"{machine['python']}, {versions}. One core: {roof['gflops']:.0f} GFLOP/s in a "
        f"large product of matrices, {roof['gbytes']:.0f} GB/s in a copy. Medians of "
        f"{found['turns']} turns.",
        "",
        "An epoch, least: " + "; ".join(map(_least, epochs)) + ".",
        "",
        "| an epoch, mini-batch 10, one core | "
        + " | ".join(f"784-{h}-10 | times epoch | GFLOP/s" for h in epochs)
        + " |",
        "| --- |" + " --- | --- | --- |" * len(epochs),
    ]
    for name in next(iter(epochs.values())):
        cells = [f"`{name}`" if hasattr(contenders, name) else name]
        for ways in epochs.values():
            way, ours = ways[name], ways["epoch"]
            cells.append(f"{1e3 * way['seconds']:,.0f} ms")
            cells.append(f"{way['seconds'] / ours['seconds']:.2f}")
            cells.append(f"{way['gflops']:.1f}")
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "| networks at once | network-epochs a second | times one alone |"]
    lines.append("| --- | --- | --- |")
    for hidden, rows in found["many"].items():
        [one] = [row for row in rows if row["networks"] == 1]
        for row in rows:
            ratio = row["a_second"] / one["a_second"]
            lines.append(
                f"| {row['networks']} of 784-{hidden}-10, {row['devices']} devices "
                f"| {row['a_second']:.1f} | {ratio:.2f} |"
            )
    lines += ["", "| a step, one core | time | GFLOP/s | its products alone, of that |"]
    lines.append("| --- | --- | --- | --- |")
    for row in found["steps"]:
        share = row["products"] / row["seconds"]
        lines.append(
            f"| {'-'.join(map(str, row['sizes']))}, mini-batch {row['batch']} "
            f"| {1e6 * row['seconds']:,.1f} us | {row['gflops']:.0f} | {share:.0%} |"
        )
    whole = found["processes"]
    book = 30 * next(iter(epochs.values()))["numpy_by_example"]["seconds"]
    return [
        *lines,
        "",
        "`python -m jaxnet train`, 30 epochs and their evaluation, importing and "
        f"compiling included: {whole['first']:.1f} s the first time and "
        f"{whole['second']:.1f} s the second, when what was compiled is kept. Thirty "
        f"epochs of the book's algorithm in NumPy: {book:.0f} s, "
        f"{book / whole['first']:.0f} times as long. `import jaxnet` adds "
        f"{1e3 * whole['import']:.0f} ms to `import jax`. The peak of memory is "
        f"{whole['peak_bytes'] / 1e6:.0f} MB.",
    ]


def main(
    turns: int = 9,
    quick: bool = False,
    beside: dict[str, str] | None = None,
    out: str | Path = RESULTS,
    figure: str | Path | None = "figures/benchmark.png",
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
    if figure is not None:
        print(f"wrote {figures.benchmark(found, figure)}")
    if readme:
        tables.put("benchmark", lines)
    return found


def _program(text: str) -> tuple[str, str]:
    name, _, command = text.partition("=")
    if not command:
        raise argparse.ArgumentTypeError(f"expected NAME=COMMAND, got {text!r}")
    return name, command


if __name__ == "__main__":
    end_with_pipe()
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--turns", type=int, default=9, help="(default: 9)")
    parser.add_argument("--quick", action="store_true", help="does everything run?")
    parser.add_argument(
        "--readme", action="store_true", help="write README.md's tables"
    )
    parser.add_argument("--out", default=RESULTS, help="(default: %(default)s)")
    parser.add_argument(
        "--beside", type=_program, action="append", default=[], metavar="NAME=COMMAND"
    )
    options: Any = vars(parser.parse_args())
    options["beside"] = dict(options["beside"])
    main(**options)
