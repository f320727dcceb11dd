"""Circuits of NAND gates, checked on every input, gate by gate and in layers."""

from itertools import product

import numpy as np
import pytest

from jaxnet.perceptrons import Circuit, boolean_circuit, compile_circuit, step


def by_gates(circuit, bits):
    """The oracle: each gate in turn, in Python booleans."""
    wires = [bool(bit) for bit in bits]
    for a, b in circuit.gates:
        wires.append(not (wires[a] and wires[b]))
    return [int(wires[wire]) for wire in circuit.outputs]


def by_layers(params, rows):
    """What the network of perceptrons says; test_equations.py has `predict` say it."""
    a = np.array(rows)
    for w, b in params:
        a = (a @ np.asarray(w).T + np.asarray(b) > 0).astype(int)
    return a.tolist()


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_any_truth_table_becomes_a_network_of_perceptrons(n):
    """All of up to two inputs, and some of three and four.

    The weights are -2, -2 with bias 3; -4 with 3 for a double line; 2 with -1 to carry.
    """
    for number in range(0, 2**2**n, {3: 7, 4: 8191}.get(n, 1)):
        table = [number >> row & 1 for row in range(2**n)]
        circuit = boolean_circuit(table)
        params, rows = compile_circuit(circuit), [*product([0, 1], repeat=n)]
        answers = [by_gates(circuit, bits) for bits in rows]
        assert answers == by_layers(params, rows) == [[bit] for bit in table]
        for layer in params:
            assert layer.activation == step
            for weights, bias in zip(*map(np.asarray, layer), strict=True):
                used = sorted(weights[weights != 0])
                assert (used, bias) in (([-2, -2], 3), ([-4], 3), ([2], -1))


def test_an_output_may_be_an_input_or_be_wanted_twice():
    params = compile_circuit(Circuit(2, [(0, 1)], [0, 2, 2]))
    answers = by_layers(params, [*product([0, 1], repeat=2)])
    assert answers == [[0, 1, 1], [0, 1, 1], [1, 1, 1], [1, 0, 0]]
    no_gate = compile_circuit(Circuit(1, [], [0]))
    assert by_layers(no_gate, [[0], [1]]) == [[0], [1]]


@pytest.mark.parametrize("table", [[], [1], [0, 1, 1], [0, 2], [0, 1] * 3])
def test_what_is_no_truth_table_is_refused(table):
    with pytest.raises(ValueError, match="truth table"):
        boolean_circuit(table)
