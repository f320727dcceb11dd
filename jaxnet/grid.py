"""The networks of a sweep: what is done, kept in a file line by line, and a table."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxnet.journal import Journal
from jaxnet.wellformed import sweep_line

RATES = {"eta": "eta", "l1": "L1", "l2": "L2", "dropout": "dropout"}


class Setting(NamedTuple):
    """The rates of a network."""

    eta: float
    l1: float
    l2: float
    dropout: float


class Network(NamedTuple):
    """One network of a sweep."""

    setting: Setting
    seed: int


Curves = dict[Network, list[float]]
"""The accuracy after each epoch, nan from the one in which a network broke."""


def combinations(values: Mapping[str, Sequence[float]]) -> list[Setting]:
    """Every combination of the values of each rate, the last rate varying fastest."""
    return [Setting(*rates) for rates in itertools.product(*values.values())]


def varied(settings: Sequence[Setting]) -> list[str]:
    """The rates that are not the same in all settings."""
    columns = zip(RATES, zip(*settings, strict=True), strict=True)
    return [name for name, column in columns if len(set(column)) > 1]


def label(setting: Setting, names: Sequence[str]) -> str:
    """The setting in words, as far as these rates say."""
    return ", ".join(f"{RATES[name]} {getattr(setting, name):g}" for name in names)


class Kept:
    """A file of networks that are done; `curves` are their accuracies."""

    def __init__(self, path: str | Path, shared: Mapping[str, Any]) -> None:
        """Open the file, or begin it with what all networks share.

        Raises StorageError if it is another kind of file, or of another experiment.
        """
        self._journal = Journal(path, "jaxnet sweep 1", shared, sweep_line)
        self.curves = Curves()
        for value in self._journal.values:
            setting = Setting(*(float(value[name]) for name in RATES))
            curve = [np.nan if x is None else float(x) for x in value["accuracy"]]
            self.curves[Network(setting, value["seed"])] = curve

    def add(self, network: Network, curve: Sequence[float]) -> None:
        """Keep a network that is done, on the disk when this returns."""
        accuracies = [None if np.isnan(x) else x for x in curve]
        rates = network.setting._asdict()
        self._journal.add({**rates, "seed": network.seed, "accuracy": accuracies})
        self.curves[network] = list(curve)


def summaries(curves: Curves) -> dict[Setting, dict[str, int | float]]:
    """For each setting, its best epochs' mean, sd and max, and its last ones' mean."""
    by_setting: dict[Setting, list[list[float]]] = {}
    for network, curve in curves.items():
        by_setting.setdefault(network.setting, []).append(curve)
    found = {}
    for setting, group in by_setting.items():
        best = np.array([max([x for x in c if x == x] or [np.nan]) for c in group])
        found[setting] = {
            "seeds": len(group),
            "mean": float(np.mean(best)),
            "sd": float(np.std(best, ddof=1)) if len(best) > 1 else 0.0,
            "max": float(np.max(best)),
            "last": float(np.mean([curve[-1] for curve in group])),
        }
    return found


def table(found: Mapping[Setting, Mapping[str, int | float]]) -> Iterator[str]:
    """A line for each setting; the best mean is pointed at."""
    names = varied(list(found)) or ["eta"]
    titles = ("seeds", "best", "sd", "max", "last")
    head = "".join(f"{RATES[name]:>9}" for name in names)
    yield head + "".join(f"{title:>9}" for title in titles)
    means = [-1 if np.isnan(row["mean"]) else row["mean"] for row in found.values()]
    for setting, row in found.items():
        rates = "".join(f"{getattr(setting, name):>9g}" for name in names)
        numbers = "".join(f"{row[k]:>9.2%}" for k in ("mean", "sd", "max", "last"))
        mark = "  <- best mean" if row["mean"] == max(means) and len(means) > 1 else ""
        yield f"{rates}{row['seeds']:>9}{numbers}{mark}"
