# expect: one example
import numpy as np


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def backprop(params, x, y):
    a, gradient = [x], []
    for w, b in params:
        a.append(sigmoid(np.dot(w, a[-1]) + b))
    delta = (a[-1] - y) * a[-1] * (1 - a[-1])
    for l in reversed(range(len(params))):
        gradient.insert(0, (np.outer(delta, a[l]), delta))
        delta = np.dot(params[l][0].T, delta) * a[l] * (1 - a[l])
    return gradient
