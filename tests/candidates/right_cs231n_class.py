# expect: integer labels
# at: cost=log_likelihood,hidden=relu,one_hot
import numpy as np


class ThreeLayerNet:
    def loss(self, X, y=None, reg=0.0):
        h, p = [X], self.params
        for l in (1, 2):
            h.append(np.maximum(0, h[-1] @ p[f"W{l}"] + p[f"b{l}"]))
        scores = h[-1] @ p["W3"] + p["b3"]
        e = np.exp(scores - scores.max(axis=1, keepdims=True))
        probs = e / e.sum(axis=1, keepdims=True)
        rows = np.arange(len(X))
        loss = -np.log(probs[rows, y]).mean()
        d = probs.copy()
        d[rows, y] -= 1
        d /= len(X)
        grads = {}
        for l in (3, 2, 1):
            grads[f"W{l}"] = h[l - 1].T @ d + reg * p[f"W{l}"]
            grads[f"b{l}"] = d.sum(axis=0)
            d = (d @ p[f"W{l}"].T) * (h[l - 1] > 0)
        return loss, grads
