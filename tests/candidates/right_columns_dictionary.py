# expect: examples as columns
import numpy as np


def backward_propagation(parameters, X, Y):
    layers, A, m = len(parameters) // 2, [X], X.shape[1]
    for l in range(1, layers + 1):
        Z = parameters["W" + str(l)] @ A[-1] + parameters["b" + str(l)]
        A.append(1 / (1 + np.exp(-Z)))
    dZ = (A[-1] - Y) * A[-1] * (1 - A[-1])
    grads = {}
    for l in range(layers, 0, -1):
        grads["dW" + str(l)] = dZ @ A[l - 1].T / m
        grads["db" + str(l)] = dZ.sum(axis=1, keepdims=True) / m
        dZ = (parameters["W" + str(l)].T @ dZ) * A[l - 1] * (1 - A[l - 1])
    return grads
