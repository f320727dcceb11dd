"""All checks in order: those that later ones rest on come first."""

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import jax
import jax.numpy as jnp

from jaxnet.datasets import MNIST_SHA256, Split, checksum
from jaxnet.doctor import ladder, machine
from jaxnet.doctor.finding import Finding, Trouble, ask
from jaxnet.layers import Dataset, as_numbers
from jaxnet.owndata import load_data

_FEW, _SOME = 20, 1000


def examine(path: str | Path | None = None) -> Iterator[Finding]:
    """What each check finds, with the data at `path`, by default MNIST's."""
    yield ask("versions", machine.versions)
    yield ask("extras", machine.extras)
    yield ask("cache", machine.cache)
    device = ask("device", machine.device)
    yield device
    for name, check in _computations(path):
        if device.well:
            yield ask(name, check)
        else:
            yield Finding(name, False, "not checked, since there is no device")


def _computations(
    path: str | Path | None,
) -> Iterator[tuple[str, Callable[[], str]]]:
    yield "precision", machine.precision
    loaded: list[Split] = []

    def data() -> str:
        loaded.append(_load(path))
        return intact(loaded[0], path)

    yield "data", data

    @cache
    def some() -> Dataset:
        return _first(loaded[0].train) if loaded else _made_up()

    def few() -> Dataset:
        return some()[:_FEW]

    yield "initial cost", lambda: ladder.initial_cost(some())
    yield "gradients", lambda: ladder.gradients(some())
    yield "overfitting", lambda: ladder.overfitting(few())
    yield "baseline", lambda: ladder.baseline(few())
    yield "penalty", lambda: ladder.penalties(few())
    yield "same bits", lambda: ladder.same_bits(few())
    yield "order", lambda: ladder.order(len(loaded[0].train.x) if loaded else _SOME)


def _load(path: str | Path | None) -> Split:
    try:
        return load_data(path, as_bytes=True)
    except ModuleNotFoundError as error:
        raise Trouble(str(error), "") from error  # which says what to install
    except ValueError as error:
        raise Trouble(str(error), _advice(path)) from error


def _first(data: Dataset) -> Dataset:
    return Dataset(as_numbers(data.x[:_SOME], data.y.dtype), data.y[:_SOME])


def _made_up() -> Dataset:
    """Examples that can be told apart, where there are no data."""
    x = jax.random.uniform(jax.random.key(0), (_SOME, 784))
    return Dataset(x, jax.nn.one_hot(jnp.arange(_SOME) % 10, 10, dtype=x.dtype))


def intact(data: Split, path: str | Path | None = None) -> str:
    """How many examples there are, and whether they are MNIST; Trouble if spoilt.

    Data of one's own have no checksum. But a folder with some of MNIST's files is meant
    to be MNIST, so the others must be too.
    """
    sizes = " + ".join(f"{len(part.x):,}" for part in data)
    words = f"{sizes} examples of {data.train.x.shape[1]} pixels"
    if path is not None and not _in_layout_of_mnist(Path(path)):
        return f"{words}, readable (no checksum is known)"
    wrong = [name for name, sum in MNIST_SHA256.items() if checksum(path, name) != sum]
    if path is not None and len(wrong) == len(MNIST_SHA256):
        return f"{words}, readable (not MNIST, so no checksum is known)"
    if wrong:
        where = f"{path}: " if path else ""
        raise Trouble(
            f"{where}{', '.join(wrong)}: expected MNIST's SHA-256, got another",
            _advice(path),
        )
    return f"{words}, the SHA-256 of all four files is MNIST's"


def _advice(path: str | Path | None) -> str:
    return "Reinstall jaxnet." if path is None else "Mend or copy that file again."


def _in_layout_of_mnist(path: Path) -> bool:
    return path.is_dir() and any(path.glob("*-ubyte*"))
