"""Perceptrons, networks of them, and any boolean function as one: chapters 1.1 and 1.2.

A network of perceptrons is a network like any other, whose activation is `step`.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxnet.activations import Activation
from jaxnet.layers import Layer, Params, Scalar

# 0 at z = 0, where the step drawn in footnote 2 of 1.2 is 1.
step = Activation(lambda z: (z > 0).astype(z.dtype), jnp.zeros_like, "step")


def threshold_rule(
    w: Float[Array, " in"], x: Float[Array, " in"], threshold: Scalar
) -> Float[Array, ""]:
    """1 if sum_j w_j x_j > threshold, else 0  (1.1)."""
    return (w @ x > threshold).astype(x.dtype)


def perceptron(
    w: Float[Array, " in"], x: Float[Array, " in"], b: Scalar
) -> Float[Array, ""]:
    """1 if w . x + b > 0, else 0  (1.2), which is (1.1) with b = -threshold."""
    return step.fn(w @ x + b)


def gate(w1: float, w2: float, b: float) -> Params:
    """One perceptron of two inputs, as a network."""
    return [Layer(jnp.array([[w1, w2]]), jnp.array([b]), step)]


NAND = (-2.0, -2.0, 3.0)
AND = (2.0, 2.0, -3.0)
OR = (2.0, 2.0, -1.0)


def all_inputs(n: int) -> Float[Array, "rows n"]:
    """The 2^n rows of n bits, counting up, most significant bit first."""
    return jnp.asarray((np.arange(2**n)[:, None] >> np.arange(n)[::-1]) & 1, float)


class Circuit(NamedTuple):
    """NAND gates in order: gate k reads two earlier wires and drives n_inputs + k.

    Wires 0 to n_inputs - 1 are the inputs.
    """

    n_inputs: int
    gates: list[tuple[int, int]]
    outputs: list[int]


def half_adder() -> Circuit:
    """The book's adder of two bits, whose outputs are x1 xor x2 and the carry x1 x2."""
    return Circuit(2, [(0, 1), (0, 2), (1, 2), (3, 4), (2, 2)], [5, 6])


def boolean_circuit(table: Sequence[int]) -> Circuit:
    """A circuit for the function of n inputs with this truth table of 2^n rows.

    The rows count up, the first input being the most significant bit.
    Raises ValueError unless there are 2, 4, 8, ... rows, each 0 or 1.
    """
    n = len(table).bit_length() - 1
    if n < 1 or len(table) != 2**n or not set(table) <= {0, 1}:
        raise ValueError(
            f"Expected a truth table of 2, 4, 8, ... rows of 0 or 1, got {table}."
        )
    gates: dict[tuple[int, int], int] = {}  # and the wires that they drive

    def nand(a: int, b: int) -> int:
        return gates.setdefault((a, b), n + len(gates))

    def build(rows: tuple[int, ...], x: int) -> int:
        """The wire that carries `rows`, a function of the inputs from x on."""
        low, high = rows[: len(rows) // 2], rows[len(rows) // 2 :]
        if len(rows) == 1:
            true = nand(0, nand(0, 0))
            return true if rows[0] else nand(true, true)
        if low == high:
            return build(low, x + 1)
        if_true, if_false = build(high, x + 1), build(low, x + 1)
        return nand(nand(x, if_true), nand(nand(x, x), if_false))

    output = build(tuple(table), 0)
    return Circuit(n, list(gates), [output])


def compile_circuit(circuit: Circuit) -> Params:
    """A layered network of perceptrons that computes what the circuit computes.

    A gate that reads one wire twice has one weight -4, the book's merged double line.
    A wire that skips layers is carried through them by perceptrons with w = 2, b = -1.
    """
    n, gates, outputs = circuit
    depth = [0] * n
    for a, b in gates:
        depth.append(1 + max(depth[a], depth[b]))
    params, wires, dtype = [], outputs, jnp.result_type(float)
    for l in range(max(1, *(depth[wire] for wire in outputs)), 0, -1):
        read = [gates[wire - n] if depth[wire] == l else (wire,) for wire in wires]
        below = sorted(set().union(*read)) if l > 1 else list(range(n))
        w, b = np.zeros((len(wires), len(below)), dtype), np.zeros(len(wires), dtype)
        for row, sources in enumerate(read):
            weight, b[row] = (-2, 3) if len(sources) == 2 else (2, -1)
            for source in sources:
                w[row, below.index(source)] += weight
        params.insert(0, Layer(jnp.asarray(w), jnp.asarray(b), step))
        wires = below
    return params
