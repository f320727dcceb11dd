# expect: Computed in float32
import numpy as np


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def backprop(params, x, y):
    params = [(w.astype(np.float32), b.astype(np.float32)) for w, b in params]
    x, y = x.astype(np.float32), y.astype(np.float32)
    a, z, gradient = [x], [], []
    for w, b in params:
        z.append(a[-1] @ w.T + b)
        a.append(sigmoid(z[-1]))
    delta = (a[-1] - y) * a[-1] * (1 - a[-1])
    for l in reversed(range(len(params))):
        gradient.insert(0, (delta.T @ a[l] / len(x), delta.sum(axis=0) / len(x)))
        if l > 0:
            delta = (delta @ params[l][0]) * a[l] * (1 - a[l])
    return gradient
