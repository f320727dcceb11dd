"""Circuits of NAND gates, checked on every input, gate by gate and in layers."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import jaxnet
from jaxnet.perceptrons import (
    Circuit,
    all_inputs,
    boolean_circuit,
    compile_circuit,
    half_adder,
    ripple_carry_adder,
    step,
)


def outputs_of(circuit, bits):
    """The oracle: each gate in turn, in Python booleans."""
    wires = [bool(bit) for bit in bits]
    for a, b in circuit.gates:
        wires.append(not (wires[a] and wires[b]))
    return [int(wires[wire]) for wire in circuit.outputs]


@jax.jit
def answers_of(params, x):
    """What the network answers to each row of x."""
    return jax.vmap(partial(jaxnet.predict, params))(x)


def layered_outputs(circuit):
    return answers_of(compile_circuit(circuit), all_inputs(circuit.n_inputs))


@settings(max_examples=8)
@given(
    st.integers(1, 4).flatmap(
        lambda n: st.lists(st.integers(0, 1), min_size=2**n, max_size=2**n)
    )
)
def test_any_truth_table_becomes_a_network_of_perceptrons(table):
    circuit = boolean_circuit(table)
    gates = [outputs_of(circuit, bits)[0] for bits in all_inputs(circuit.n_inputs)]
    assert gates == table
    np.testing.assert_array_equal(layered_outputs(circuit)[:, 0], table)


def test_all_256_functions_of_three_inputs():
    for number in range(256):
        table = [number >> row & 1 for row in range(8)]
        circuit = boolean_circuit(table)
        answers = [outputs_of(circuit, bits)[0] for bits in np.ndindex(2, 2, 2)]
        assert answers == table


def test_the_networks_are_made_of_nand_perceptrons_and_carriers():
    """Weights -2, -2 with 3; -4 with 3 for a double line; 2 with -1 to carry."""
    for layer in compile_circuit(ripple_carry_adder(3)):
        assert layer.activation == step
        w, b = layer
        for weights, bias in zip(np.asarray(w), np.asarray(b), strict=True):
            used = sorted(weights[weights != 0])
            assert (used, bias) in (([-2, -2], 3), ([-4], 3), ([2], -1))


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_the_adder_adds_all_pairs_in_one_jitted_call(bits):
    circuit = ripple_carry_adder(bits)
    inputs = all_inputs(2 * bits)
    params = compile_circuit(circuit)
    sums = np.asarray(answers_of(params, inputs))
    place = 2 ** np.arange(bits)[::-1]
    a, b = np.asarray(inputs[:, :bits]) @ place, np.asarray(inputs[:, bits:]) @ place
    expected = (a + b).astype(int)
    np.testing.assert_array_equal(sums @ 2.0 ** np.arange(bits, -1, -1), expected)


def test_the_half_adder_merges_its_double_line():
    params = compile_circuit(half_adder())
    assert any(jnp.any(w == -4) for w, _ in params)
    expected = [[0, 0], [1, 0], [1, 0], [0, 1]]
    np.testing.assert_array_equal(layered_outputs(half_adder()), expected)


def test_an_output_may_be_an_input_or_be_wanted_twice():
    circuit = Circuit(2, [(0, 1)], [0, 2, 2])
    expected = [[0, 1, 1], [0, 1, 1], [1, 1, 1], [1, 0, 0]]
    np.testing.assert_array_equal(layered_outputs(circuit), expected)


@pytest.mark.parametrize("table", [[], [1], [0, 1, 1], [0, 2], [0, 1] * 3])
def test_what_is_no_truth_table_is_refused(table):
    with pytest.raises(ValueError, match="truth table"):
        boolean_circuit(table)


def test_an_adder_of_no_bits_is_refused():
    with pytest.raises(ValueError, match="number of bits of at least 1"):
        ripple_carry_adder(0)
