# expect: agrees
# at: cost=log_likelihood
import numpy as np


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def backprop(params, x, y):
    a, z, gradient = [x], [], []
    for w, b in params:
        z.append(a[-1] @ w.T + b)
        a.append(
            sigmoid(z[-1])
            if len(z) < len(params)
            else np.exp(z[-1] - z[-1].max(axis=1, keepdims=True))
            / np.exp(z[-1] - z[-1].max(axis=1, keepdims=True)).sum(
                axis=1, keepdims=True
            )
        )
    delta = a[-1] - y
    for l in reversed(range(len(params))):
        gradient.insert(0, (delta.T @ a[l] / len(x), delta.sum(axis=0) / len(x)))
        if l > 0:
            delta = (delta @ params[l][0]) * a[l] * (1 - a[l])
    return gradient
