"""Figures of one network: what it has learnt, and what it mistakes."""

from functools import partial
from pathlib import Path

import jax
import numpy as np

import jaxnet
from jaxnet import figures

# Test images that are hard to read: the author's list for the figure in chapter 1.6.
HARD_DIGITS = (
    *(324, 582, 659, 726, 846, 956, 1124, 1393, 1773),
    *(1868, 2018, 2109, 2654, 4199, 4201, 4620, 5457, 5642),
)


def trained(
    data: jaxnet.Dataset, epochs: int, hidden: int = 30, seed: int = 0
) -> jaxnet.Params:
    """A network with cross-entropy and L2, eta 0.5, and scaled first weights."""
    key = jax.random.key(seed)
    params = jaxnet.init(key, [784, hidden, 10], init_layer=jaxnet.scaled_layer)
    options = {"batch_size": 10, "eta": 0.5, "l2": 5.0, "cost": jaxnet.cross_entropy}
    return jaxnet.train(key, params, data, epochs=epochs, **options)[0]


def draw(params: jaxnet.Params, test: jaxnet.Dataset, out: Path) -> list[Path]:
    """The figures drawn into `out` of a network's weights and of its mistakes."""
    outputs = np.asarray(jax.vmap(partial(jaxnet.predict, params))(test.x))
    x, labels = np.asarray(test.x), np.asarray(test.y).argmax(axis=1)
    answers = outputs.argmax(axis=1)
    matrix = np.asarray(jaxnet.confusion_matrix(params, test))
    names = [str(k) for k in range(len(matrix))]
    w, weights = np.asarray(params[0].w), out / "gallery_weights.png"
    paths = [
        figures.weights(w, "cross-entropy and L2", weights),
        figures.confusion(matrix, names, "", out / "gallery_confusion.png"),
    ]

    def gallery(name: str, rows: np.ndarray, title: str, columns: int) -> None:
        pairs = [(str(labels[i]), str(answers[i])) for i in rows]
        paths.append(figures.digits(x[rows], pairs, title, out / name, columns))

    wrong = np.flatnonzero(answers != labels)
    wrong = wrong[np.argsort(-outputs[wrong].max(axis=1), kind="stable")]
    shown = wrong[:200]
    if len(wrong):
        title = f"{len(shown)} of {len(wrong)} mistakes, the most confident first"
        gallery("gallery_mistakes.png", shown, title, 20)
    else:
        print(f"left out {out / 'gallery_mistakes.png'}: there are none")
    if len(x) > max(HARD_DIGITS):
        hard = np.array(HARD_DIGITS)
        correct = int((answers[hard] == labels[hard]).sum())
        title = f"Hard test images, {correct} of {len(hard)} read correctly"
        gallery("gallery_hard.png", hard, title, 9)
    else:
        why = f"expected MNIST's 10,000 test images, got {len(x)}"
        print(f"left out {out / 'gallery_hard.png'}: {why}")
    print(*(f"wrote {path}" for path in paths), sep="\n")
    return paths
