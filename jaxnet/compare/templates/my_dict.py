"""Backpropagation for a dictionary W1, b1, W2, ...; weights are (in, out).

Examine it with: python -m jaxnet compare --candidate my_dict.py
"""

import numpy as np


def sigmoid(z):
    """The sigmoid function."""
    return 1 / (1 + np.exp(-z))


def gradient(params, x, y):
    """The gradient of the mean quadratic cost, with the same names; x has rows."""
    layers = len(params) // 2
    a = [x]
    for l in range(1, layers + 1):
        a.append(sigmoid(a[-1] @ params[f"W{l}"] + params[f"b{l}"]))
    delta = (a[-1] - y) * a[-1] * (1 - a[-1]) / len(x)
    grads = {}
    for l in range(layers, 0, -1):
        grads[f"W{l}"] = a[l - 1].T @ delta
        grads[f"b{l}"] = delta.sum(axis=0)
        delta = (delta @ params[f"W{l}"].T) * a[l - 1] * (1 - a[l - 1])
    return grads
