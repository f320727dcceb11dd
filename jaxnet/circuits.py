"""Any boolean function as NAND gates, and as layers of perceptrons: chapter 1.1."""

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxnet.network import Layer, Params


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


class _Wiring:
    """Gates as they are asked for, none of them twice."""

    def __init__(self, n_inputs: int) -> None:
        self.n_inputs = n_inputs
        self.gates: dict[tuple[int, int], int] = {}

    def nand(self, a: int, b: int) -> int:
        return self.gates.setdefault((a, b), self.n_inputs + len(self.gates))

    def xor(self, a: int, b: int) -> int:
        n = self.nand(a, b)
        return self.nand(self.nand(a, n), self.nand(b, n))

    def circuit(self, outputs: list[int]) -> Circuit:
        return Circuit(self.n_inputs, list(self.gates), outputs)


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
    wiring = _Wiring(n)
    nand = wiring.nand

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

    return wiring.circuit([build(tuple(table), 0)])


def ripple_carry_adder(bits: int) -> Circuit:
    """A circuit that adds two numbers of `bits` bits, most significant bits first.

    Raises ValueError unless there is at least one bit.
    """
    if bits < 1:
        raise ValueError(f"Expected numbers of at least 1 bit, got {bits}.")
    wiring = _Wiring(2 * bits)
    nand, xor = wiring.nand, wiring.xor
    sums = [xor(bits - 1, 2 * bits - 1)]
    both = nand(bits - 1, 2 * bits - 1)
    carry = nand(both, both)
    for a in reversed(range(bits - 1)):
        both, half = nand(a, a + bits), xor(a, a + bits)
        sums.append(xor(half, carry))
        carry = nand(both, nand(half, carry))
    return wiring.circuit([carry, *reversed(sums)])


def compile_circuit(circuit: Circuit) -> Params:
    """A layered network of perceptrons that computes what the circuit computes.

    A gate that reads one wire twice has one weight -4, the book's merged double line.
    A wire that skips layers is carried through them by perceptrons with w = 2, b = -1.
    """
    n, gates, outputs = circuit
    depth = [0] * n
    for a, b in gates:
        depth.append(1 + max(depth[a], depth[b]))
    last = max(1, *(depth[wire] for wire in outputs))
    needed = [0] * len(depth)  # the last layer in which each wire has to be there
    for k, inputs in enumerate(gates, start=n):
        for wire in inputs:
            needed[wire] = max(needed[wire], depth[k] - 1)
    for wire in outputs:
        needed[wire] = last

    params, below = [], list(range(n))
    for l in range(1, last + 1):
        alive = [i for i in range(len(depth)) if depth[i] <= l <= needed[i]]
        wires = outputs if l == last else alive
        w, b = np.zeros((len(wires), len(below))), np.full(len(wires), 3.0)
        for row, wire in enumerate(wires):
            if depth[wire] == l:
                for source in gates[wire - n]:
                    w[row, below.index(source)] -= 2
            else:
                w[row, below.index(wire)], b[row] = 2, -1
        params.append(Layer(jnp.asarray(w, float), jnp.asarray(b, float)))
        below = wires
    return params
