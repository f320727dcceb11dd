# expect: BP3 1: delta^2 in place of delta^1
# at: square
import numpy as np


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def backprop(params, x, y):
    a, z, gradient = [x], [], []
    for w, b in params:
        z.append(a[-1] @ w.T + b)
        a.append(sigmoid(z[-1]))
    delta = (a[-1] - y) * a[-1] * (1 - a[-1])
    previous = 0
    for l in reversed(range(len(params))):
        gradient.insert(
            0, (delta.T @ a[l] / len(x), delta.mean(axis=0) if l else previous)
        )
        previous = delta.mean(axis=0)
        if l > 0:
            delta = (delta @ params[l][0]) * a[l] * (1 - a[l])
    return gradient
