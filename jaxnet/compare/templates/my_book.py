"""Backpropagation as in chapter 2: a network object, and one example as columns.

Examine it with: python -m jaxnet compare --candidate my_book.py
"""

import numpy as np


class Network:
    """Layers of sigmoid neurons, with the quadratic cost."""

    def __init__(self, sizes):
        """Random weights and biases."""
        self.num_layers = len(sizes)
        self.sizes = sizes
        self.biases = [np.random.randn(n, 1) for n in sizes[1:]]
        self.weights = [
            np.random.randn(n, m) for m, n in zip(sizes[:-1], sizes[1:], strict=True)
        ]

    def backprop(self, x, y):
        """The pair (nabla_b, nabla_w) of lists of arrays, layer by layer."""
        activation, activations, zs = x, [x], []
        for b, w in zip(self.biases, self.weights, strict=True):
            zs.append(w @ activation + b)
            activation = sigmoid(zs[-1])
            activations.append(activation)
        delta = (activations[-1] - y) * sigmoid_prime(zs[-1])
        nabla_b, nabla_w = [delta], [delta @ activations[-2].T]
        for l in range(2, self.num_layers):
            delta = (self.weights[-l + 1].T @ delta) * sigmoid_prime(zs[-l])
            nabla_b.insert(0, delta)
            nabla_w.insert(0, delta @ activations[-l - 1].T)
        return nabla_b, nabla_w


def sigmoid(z):
    """The sigmoid function."""
    return 1.0 / (1.0 + np.exp(-z))


def sigmoid_prime(z):
    """Its derivative."""
    return sigmoid(z) * (1 - sigmoid(z))
