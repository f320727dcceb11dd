# expect: call 0: It writes into its arguments
# at: torch
import torch


def backprop(params, x, y):
    x.sub_(x.mean())
    a, gradient = [x], []
    for w, b in params:
        a.append(torch.sigmoid(a[-1] @ w.T + b))
    delta = (a[-1] - y) * a[-1] * (1 - a[-1])
    for l in reversed(range(len(params))):
        gradient.insert(0, (delta.T @ a[l] / len(x), delta.mean(dim=0)))
        delta = (delta @ params[l][0]) * a[l] * (1 - a[l])
    return gradient
