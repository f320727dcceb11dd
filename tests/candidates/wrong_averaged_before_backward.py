# expect: 2.4 0: averaged before the backward pass
import numpy as np


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def backprop(params, x, y):
    a, z, gradient = [x], [], []
    for w, b in params:
        z.append(a[-1] @ w.T + b)
        a.append(sigmoid(z[-1]))
    delta = (a[-1] - y) * a[-1] * (1 - a[-1])
    a = [v.mean(axis=0, keepdims=True) for v in a]
    z = [v.mean(axis=0, keepdims=True) for v in z]
    delta = delta.mean(axis=0, keepdims=True)
    for l in reversed(range(len(params))):
        gradient.insert(0, (delta.T @ a[l], delta[0]))
        if l > 0:
            delta = (delta @ params[l][0]) * sigmoid(z[l - 1]) * (1 - sigmoid(z[l - 1]))
    return gradient
