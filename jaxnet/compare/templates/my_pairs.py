"""Backpropagation for a list of pairs (w, b), in NumPy or JAX; rows of x are examples.

Examine it with: python -m jaxnet compare --candidate my_pairs.py
"""

import numpy as np


def sigmoid(z):
    """The sigmoid function."""
    return 1 / (1 + np.exp(-z))


def backprop(params, x, y):
    """The gradient [(dw, db), ...] of the mean quadratic cost of the mini-batch."""
    a = [x]
    for w, b in params:
        a.append(sigmoid(a[-1] @ w.T + b))
    delta = (a[-1] - y) * a[-1] * (1 - a[-1])
    gradient = []
    for l in reversed(range(len(params))):
        gradient.insert(0, (delta.T @ a[l] / len(x), delta.mean(axis=0)))
        if l > 0:
            delta = (delta @ params[l][0]) * a[l] * (1 - a[l])
    return gradient
