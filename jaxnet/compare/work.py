"""What one call of a gradient costs: by the clock, by XLA's count, and by ours."""

import time
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxnet.compare.candidate import Prepared
from jaxnet.costs import Cost
from jaxnet.gradients import loss
from jaxnet.layers import Params

_REPEATS = 40


class Work(NamedTuple):
    """What one call costs: by the clock, by XLA's count, and by ours."""

    method: str
    compile_seconds: float | None
    seconds: float
    flops: float | None
    bytes: float | None
    analytic_flops: int


def work(
    candidate: Prepared,
    reference: Prepared,
    params: Params,
    x: Any,
    y: Any,
    cost: Cost,
) -> list[Work]:
    """What a call costs in float32, as in training; interleaved, medians."""
    arrays = jax.tree.map(lambda a: a.astype(jnp.float32), (params, x, y))
    products = [
        2 * len(x) * n_out * n_in for n_out, n_in in (w.shape for w, _ in params)
    ]
    forward = sum(products)
    both = 2 * forward + sum(products[1:])
    rows, calls = [], []
    alone: Any = jax.jit(partial(loss, cost=cost))
    methods = [("cost alone", alone, {}, forward)]
    for gradient in dict.fromkeys((candidate, reference)):
        options = gradient.arguments(cost)
        call = gradient.compiled if gradient.compiles else gradient.plain
        methods.append((gradient.name, call, options, both))
    for name, call, options, analytic in methods:
        seconds = flops = bytes_ = None
        if hasattr(call, "lower"):
            began = time.perf_counter()
            call = call.lower(*arrays, **options).compile()
            seconds = time.perf_counter() - began
            analysis = call.cost_analysis() or {}
            flops, bytes_ = analysis.get("flops"), analysis.get("bytes accessed")
        calls.append(partial(call, *arrays, **options))
        rows.append(Work(name, seconds, 0.0, flops, bytes_, analytic))
    times = np.array([[_clock(call) for call in calls] for _ in range(_REPEATS)])
    medians = np.median(times, axis=0)
    return [
        row._replace(seconds=float(t)) for row, t in zip(rows, medians, strict=True)
    ]


def _clock(call) -> float:
    began = time.perf_counter()
    jax.block_until_ready(call())
    return time.perf_counter() - began
