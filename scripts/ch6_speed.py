"""How fast a convolutional network learns: the backward pass by hand, and others.

The networks are the book's with one and with two convolutions, in float32, sigmoid
neurons and softmax with log-likelihood, mini-batches of 10 and 100. The others are
`jax.grad` of the same forward pass, XLA's own convolution with `jax.grad` and nothing
of jaxnet, and PyTorch, eager, in its channels_last format.
All take turns in one process on one core, or on an accelerator, each with a part of an
epoch that is scaled up; a number is the median over the turns.

`python scripts/ch6_speed.py` writes a file and prints the table; `--readme` puts it
into scripts/README.md. PyTorch is left out unless it is installed.
"""

import json
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))  # as a file or as a module

import jaxnet
from jaxnet.cli.console import script
from jaxnet.experiments import CLAIMS
from jaxnet.layers import Convolution, Layer
from scripts import tables
from scripts.benchmark import epoch_seconds, in_turns, machine, median
from scripts.contenders import Way, _numbers, _python_loop, _scan

RESULTS = tables.RESULTS / "convolutions.json"
NETWORKS = "one convolution", "two convolutions"
ETA = 0.1


def _params(name: str) -> jaxnet.Params:
    return CLAIMS[name].experiment.init(jax.random.key(0))


def _epoch(name: str, data: jaxnet.Dataset, m: int, **choices: Any) -> Way:
    state, key = jaxnet.start(_params(name)), jax.random.key(1)
    options = {"batch_size": m, "eta": ETA, "cost": jaxnet.log_likelihood, **choices}
    return Way(lambda: jaxnet.epoch(key, state, data, **options), 1.0)  # type: ignore


def by_hand(name: str, data: jaxnet.Dataset, m: int) -> Way:
    """`jaxnet.epoch`."""
    return _epoch(name, data, m)


def by_jax_grad(name: str, data: jaxnet.Dataset, m: int) -> Way:
    """`jaxnet.epoch` with `gradient=autodiff`, the same forward pass."""
    return _epoch(name, data, m, gradient=jaxnet.autodiff)


def xla(name: str, data: jaxnet.Dataset, m: int) -> Way:
    """`jax.lax.conv_general_dilated`, `reduce_window` and `jax.grad` in a scan."""
    params = _params(name)
    names = [type(layer) for layer in params]

    def cost(weights: list[Any], a: jax.Array, y: jax.Array) -> jax.Array:
        a = a.reshape(-1, 1, 28, 28)
        for kind, each in zip(names, weights, strict=True):
            if kind is Convolution:
                a = jax.lax.conv_general_dilated(a, each[0], (1, 1), "VALID")
                a = a + each[1][None, :, None, None]
            elif kind is Layer:
                a = a.reshape(len(a), -1) @ each[0].T + each[1][None]
                a = jax.nn.sigmoid(a) if len(each[1]) > 10 else a
            else:
                size = (1, 1, 2, 2)
                a = jax.lax.reduce_window(a, -jnp.inf, jax.lax.max, size, size, "VALID")
                a = jax.nn.sigmoid(a)
        return -jnp.mean(jnp.sum(y * jax.nn.log_softmax(a), axis=1))

    def learn(weights: list[Any], x: jax.Array, y: jax.Array) -> Any:
        slopes = jax.grad(cost)(weights, x, y)
        return jax.tree.map(lambda w, slope: w - ETA * slope, weights, slopes)

    return _scan(learn, [jax.tree.leaves(layer) for layer in params], data, m)


def pytorch(name: str, data: jaxnet.Dataset, m: int) -> Way:
    """PyTorch as its tutorials have it, in the channels_last format."""
    torch: Any = import_module("torch")
    torch.set_num_threads(1)
    device = "cpu" if jax.default_backend() == "cpu" else "cuda"
    modules: list[Any] = []
    for layer in _params(name):
        if isinstance(layer, Convolution):
            maps, channels, size, _ = layer.w.shape
            modules.append(torch.nn.Conv2d(channels, maps, size))
        elif isinstance(layer, Layer):
            flat = (
                [torch.nn.Flatten()] if len(modules) and layer.w.shape[1] > 100 else []
            )
            modules += [*flat, torch.nn.Linear(layer.w.shape[1], len(layer.b))]
            modules += [torch.nn.Sigmoid()] * (len(layer.b) > 10)
        else:
            modules += [torch.nn.MaxPool2d(2), torch.nn.Sigmoid()]
    last = torch.channels_last
    model = torch.nn.Sequential(*modules).to(device, memory_format=last)
    optimizer = torch.optim.SGD(model.parameters(), lr=ETA)
    x, y = map(torch.from_numpy, _numbers(data))
    x = x.reshape(-1, 1, 28, 28).to(device, memory_format=last)
    labels = y.argmax(1).to(device)

    def learn(places: np.ndarray) -> None:
        for batch in torch.from_numpy(places).to(device):
            optimizer.zero_grad()
            z = model(x[batch])
            torch.nn.functional.cross_entropy(z, labels[batch]).backward()
            optimizer.step()
        if device == "cuda":
            torch.cuda.synchronize()

    return _python_loop(learn, len(x), m, len(x) // m)


WAYS: dict[str, Callable[[str, jaxnet.Dataset, int], Way]] = {
    "backward pass by hand": by_hand,
    "`jax.grad` of the same forward pass": by_jax_grad,
    "`jax.lax.conv`, `reduce_window`, `jax.grad`": xla,
    "PyTorch, channels_last, eager": pytorch,
}


def measure(turns: int, images: int, batches: Sequence[int]) -> dict[str, Any]:
    """Seconds for an epoch of 50,000 images, as JSON values."""
    data = jaxnet.load_mnist(as_bytes=True).train[:images]
    found: dict[str, Any] = {"machine": machine(), "turns": turns, "epochs": {}}
    begin = {k: way for k, way in WAYS.items() if k[:2] != "Py" or find_spec("torch")}
    for name, m in product(NETWORKS, batches):
        setting = f"{name}, mini-batch {m}"
        ways = {
            k: partial(epoch_seconds, way(name, data, m)) for k, way in begin.items()
        }
        found["epochs"][setting] = {
            k: median(times) * 50_000 / images
            for k, times in in_turns(ways, turns, setting).items()
        }
    return found


def in_markdown(found: dict[str, Any]) -> list[str]:
    """The results in Markdown."""
    about, epochs = found["machine"], found["epochs"]
    versions = ", ".join(f"{k} {about['versions'][k]}" for k in about["versions"])
    heads, rows = ["an epoch of 50,000 images"], []
    for setting in epochs:
        heads += [setting, "times by hand"]
    for way in next(iter(epochs.values())):
        row = [way]
        for times in epochs.values():
            ratio = times[way] / times["backward pass by hand"]
            row += [f"{times[way]:.1f} s", f"{ratio:.2f}"]
        rows.append(row)
    return [
        f"{about['processor']}, {about['device']}, {versions}; one core. Medians of "
        f"{found['turns']} turns.",
        "",
        *tables.table(heads, rows),
    ]


def main(
    turns: int = 5,
    images: int = 2000,
    batches: Sequence[int] = (10, 100),
    readme: bool = False,
) -> dict[str, Any]:
    """Measure, print the table, and return the seconds.

    images: how many are learned from; their time is scaled up to an epoch
    batches: sizes of mini-batches
    readme: write the file, and put the table into scripts/README.md
    """
    found = measure(turns, images, batches)
    lines = in_markdown(found)
    if readme:
        RESULTS.write_text(json.dumps(found, indent=1) + "\n")
        tables.put(tables.OF_SCRIPTS, "ch6_speed", lines)
    print(*lines, sep="\n")
    return found


if __name__ == "__main__":
    os.environ.setdefault("NPROC", "1")
    script(main)
