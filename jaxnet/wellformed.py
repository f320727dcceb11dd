"""Whether JSON values that a file keeps are what was kept there: looked at before use.

A checksum says that bytes have not changed, not that a jaxnet has written them.
"""

import math
from typing import Any

_MOST_SEEDS = 2**32  # the first seed and their number are each below half of it


def run_manifest(value: dict[str, Any]) -> bool:
    """Whether this is what a run's checkpoint says of it."""
    kinds = {"options": dict, "environment": dict, "data": str}
    if set(value) != {*kinds, "examples", "saved"}:
        return False
    right = all(type(value[name]) is kind for name, kind in kinds.items())
    right = right and all(type(v) is str for v in value["environment"].values())
    right = right and {"jaxnet", "dtype"} <= set(value["environment"])
    right = right and _whole(value["examples"], 1) and _whole(value["saved"], 0)
    return right and _options(value["options"])


def _options(options: dict[str, Any]) -> bool:
    names = ("seed", "seeds", "epochs", "sizes", "eta", "dropout", "cost", "hidden")
    found: list[Any] = [options.get(name) for name in names]
    seed, seeds, epochs, sizes, eta, dropout, *words = found
    right = _whole(seed, 0) and _whole(seeds, 1) and _whole(epochs, 1)
    right = right and seed + seeds <= _MOST_SEEDS
    right = right and type(sizes) is list and len(sizes) > 1
    right = right and all(_whole(size, 1) for size in sizes)
    right = right and _number(eta, 0) and _number(dropout, 0) and dropout < 1
    return right and all(type(word) is str for word in words)


def run_line(value: Any, number: int, seeds: int, examples: int) -> bool:
    """Whether this is the line of an epoch of that number."""
    lists = ("correct", "going", "broken_layer")
    if type(value) is not dict or tuple(value) != ("epoch", *lists, "seconds"):
        return False
    correct, going, layers = found = [value[name] for name in lists]
    if any(type(each) is not list or len(each) != seeds for each in found):
        return False
    return (
        type(value["epoch"]) is int
        and value["epoch"] == number
        and all(x is None or _whole(x, 0) and x <= examples for x in correct)
        and all(type(x) is bool for x in going)
        and all(_whole(x, 0) for x in layers)
        and _number(value["seconds"], 0)
    )


def sweep_line(value: Any) -> bool:
    """Whether this is a network of a sweep: rates, a seed and accuracies."""
    if type(value) is not dict or not _curve(value.get("accuracy")):
        return False
    rates = (value.get(name) for name in ("eta", "l1", "l2", "dropout"))
    return (
        all(_number(rate, 0) for rate in rates)
        and _whole(value.get("seed"), 0)
        and all(x is None or 0 <= x <= 1 for x in value["accuracy"])
    )


def experiment_line(value: Any) -> bool:
    """Whether this is a seed of an experiment: a curve, and what it stands for."""
    if type(value) is not dict or not _curve(value.get("curve")):
        return False
    classes = value.get("unlearnt")
    return (
        _whole(value.get("seed"), 0)
        and _whole(value.get("of"), 1)
        and type(classes) is list
        and all(_whole(x, 0) for x in classes)
        and _number(value.get("seconds"), 0)
    )


def _curve(value: Any) -> bool:
    """Whether this is a number, or null for nan, for each of one or more epochs."""
    numbers = type(value) is list and all(x is None or _number(x) for x in value)
    return numbers and len(value) > 0


def _whole(value: Any, least: int) -> bool:
    return type(value) is int and least <= value < 2**63


def _number(value: Any, least: int | float = -math.inf) -> bool:
    """Whether this is a finite number, and at least the least."""
    if type(value) is int:
        return least <= value and abs(value) < 2**63
    return type(value) is float and math.isfinite(value) and value >= least
