# expect: BP4 0: the L2 term is included: 0.1 w
import numpy as np


def gradient(params, X, y):
    layers, a = len(params) // 2, [X]
    for l in range(1, layers + 1):
        z = a[-1] @ params[f"W{l}"] + params[f"b{l}"]
        a.append(1 / (1 + np.exp(-z)))
    delta = (a[-1] - y) * a[-1] * (1 - a[-1]) / len(X)
    grads = {}
    for l in range(layers, 0, -1):
        grads[f"W{l}"], grads[f"b{l}"] = (
            a[l - 1].T @ delta + 0.1 * params[f"W{l}"],
            delta.sum(axis=0),
        )
        delta = (delta @ params[f"W{l}"].T) * a[l - 1] * (1 - a[l - 1])
    return grads
