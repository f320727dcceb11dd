"""Chapter 1.1: perceptrons weigh evidence, are NAND gates, and so compute anything.

Book: with weights 6, 2, 2 a threshold of 5 goes to the cheese festival if and only if
the weather is good; a threshold of 3 also goes for company and a train. A perceptron
with weights -2, -2 and bias 3 is a NAND gate, and networks of those add numbers.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from jaxnet import predict
from jaxnet.cli.console import script
from jaxnet.perceptrons import (
    AND,
    NAND,
    OR,
    all_inputs,
    boolean_circuit,
    compile_circuit,
    gate,
    half_adder,
    threshold_rule,
)


@jax.jit
def outputs(network, inputs):
    """The outputs of a network for each row of the inputs."""
    return jax.vmap(partial(predict, network))(inputs)


def table(title: str, inputs, outputs) -> None:
    """Print a truth table, one line an input."""
    print(title)
    for row, answer in zip(np.asarray(inputs), np.asarray(outputs), strict=True):
        print("  ", *map(int, row), "->", *map(int, np.atleast_1d(answer)))


def main(parity_of: int = 3) -> dict[str, np.ndarray]:
    """Print what the book's perceptrons and networks of them answer to all inputs."""
    results = {}
    weights = jnp.array([6.0, 2.0, 2.0])
    for threshold in (5, 3):
        decide = jax.vmap(lambda x, t=threshold: threshold_rule(weights, x, t))
        name = f"festival, threshold {threshold}"
        results[name] = decide(all_inputs(3))
        table(f"{name}: weather, company, train", all_inputs(3), results[name])

    pairs = all_inputs(2)
    for name, weights_and_bias in (("NAND", NAND), ("AND", AND), ("OR", OR)):
        results[name] = outputs(gate(*weights_and_bias), pairs)[:, 0]
        table(f"{name}, weights and bias {weights_and_bias}", pairs, results[name])

    half = compile_circuit(half_adder())
    results["half adder"] = outputs(half, pairs)
    table("half adder from 5 NAND gates: sum, carry", pairs, results["half adder"])

    inputs = all_inputs(parity_of)
    circuit = boolean_circuit([bin(row).count("1") % 2 for row in range(len(inputs))])
    results["parity"] = outputs(compile_circuit(circuit), inputs)
    title = f"parity of {parity_of} bits from {len(circuit.gates)} NAND gates"
    table(title, inputs, results["parity"])

    return {name: np.asarray(value) for name, value in results.items()}


if __name__ == "__main__":
    script(main)
