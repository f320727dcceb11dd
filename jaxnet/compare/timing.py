"""What one call of a gradient costs: time, and operations by two counts."""

import math
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxnet.compare.candidate import Candidate
from jaxnet.compare.internals import Problem
from jaxnet.gradients import loss

_REPEATS, _LONGEST = 40, 1.0  # as many calls, in about as many seconds


class Timing(NamedTuple):
    """What one call costs; None where the function does not compile."""

    method: str
    compile_seconds: float | None
    seconds: float  # the median
    flops: float | None  # counted by XLA, as are the bytes
    bytes: float | None
    analytic_flops: int  # of the matrix products


def time_calls(
    candidate: Candidate, reference: Candidate, problem: Problem
) -> list[Timing]:
    """The cost alone and both gradients in float32, as in training, interleaved."""
    *arrays, cost = jax.tree.map(_in_float32, problem)
    products = [
        2 * len(problem.x) * layer.w.size * math.prod(layer.shape_out[1:])
        for layer in problem.params
        if hasattr(layer, "w")
    ]
    forward, backward = sum(products), sum(products) + sum(products[1:])
    methods: list[tuple[str, Any, dict[str, Any], int]] = [
        ("cost alone", jax.jit(partial(loss, cost=cost)), {}, forward)
    ]
    for gradient in dict.fromkeys((candidate, reference)):
        function = gradient.compiled or gradient
        methods.append((gradient.name, function, {"cost": cost}, forward + backward))
    timings, calls = [], []
    for name, function, options, analytic_flops in methods:
        seconds = flops = bytes_ = None
        if hasattr(function, "lower"):
            began = time.perf_counter()
            function = function.lower(*arrays, **options).compile()
            seconds = time.perf_counter() - began
            analysis = function.cost_analysis() or {}
            flops, bytes_ = analysis.get("flops"), analysis.get("bytes accessed")
        calls.append(partial(function, *arrays, **options))
        timings.append(Timing(name, seconds, 0.0, flops, bytes_, analytic_flops))
    slowest = max(_seconds(call) for call in calls)
    repeats = max(3, min(_REPEATS, int(_LONGEST / slowest)))
    clocked = [[_seconds(call) for call in calls] for _ in range(repeats)]
    medians = np.median(clocked, axis=0).tolist()
    return [t._replace(seconds=s) for t, s in zip(timings, medians, strict=True)]


def _in_float32(leaf: Any) -> Any:
    return jax.device_put(np.asarray(leaf).astype(np.float32))


def _seconds(call: Callable[[], Any]) -> float:
    began = time.perf_counter()
    jax.block_until_ready(call())
    return time.perf_counter() - began
