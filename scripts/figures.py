"""Figures of the book's experiments from result files, and of what a network learns.

`python -m jaxnet reproduce --out data/results` writes the files. What has no file is
left out; the last four figures show a network that is trained here, in a few epochs.
"""

import argparse
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np

import jaxnet
from jaxnet import figures
from jaxnet.experiments import CLAIMS
from jaxnet.reproduce import Result, file_of, result
from jaxnet.storage import StorageError

# By the figure's name: the experiments of each panel, under its title.
CURVES: dict[str, dict[str, tuple[str, ...]]] = {
    "results_chapter_1": {
        "Quadratic cost, 784-30-10": ("30 hidden",),
        "Quadratic cost, 784-100-10": ("100 hidden",),
    },
    "results_cross_entropy": {
        "Cross-entropy, 784-30-10": ("cross-entropy, 30",),
        "Cross-entropy, 784-100-10": ("cross-entropy, 100",),
    },
    "results_1000_images": {
        "1,000 training images": ("1,000 images", "1,000 images, L2")
    },
    "results_overfitting": {
        "1,000 training images: the training cost": (
            *("1,000 images: training cost", "1,000 images, L2: training cost"),
        ),
        "The test accuracy": ("1,000 images", "1,000 images, L2"),
        "The test cost": (
            *("1,000 images: evaluation cost", "1,000 images, L2: evaluation cost"),
        ),
        "The training accuracy": (
            *("1,000 images: training accuracy", "1,000 images, L2: training accuracy"),
        ),
    },
    "results_50000_images": {
        "50,000 training images": ("50,000 images", "50,000 images, L2")
    },
    "results_first_weights": {
        f"784-{n}-10": (f"large weights, {n}", f"scaled weights, {n}")
        for n in (30, 100)
    },
    "results_learning_rates": {
        "Cross-entropy with L2, 784-30-10": tuple(
            f"training cost, eta {eta:g}" for eta in (0.025, 0.25, 2.5)
        )
    },
}
SIZES = tuple(name for name in CLAIMS if name.startswith("of "))
BEST = ("30 hidden", "100 hidden")


def read(folder: str | Path) -> tuple[dict[str, Result], dict[str, str]]:
    """The results in the folder by experiment, and why the others lack one."""
    found: dict[str, Result] = {}
    lacking: dict[str, str] = {}
    for name in CLAIMS:
        lacking[name] = f"no results in {file_of(name, folder)}"
        try:
            kept = result(name, folder)
        except StorageError as error:
            lacking[name] = str(error)
            continue
        if kept is not None:
            found[name] = kept
            del lacking[name]
    return found, lacking


def from_files(folder: str | Path, out: Path) -> list[Path]:
    """The figures drawn into `out` from the result files in `folder`."""
    found, lacking = read(folder)
    paths = []
    everything = {figure: tuple(CURVES[figure].values()) for figure in CURVES}
    everything |= {"results_training_sizes": (SIZES,), "results_best_epochs": (BEST,)}
    for figure, panels in everything.items():
        path = out / f"{figure}.png"
        results = [[found[name] for name in names if name in found] for names in panels]
        why = [lacking[name] for names in panels for name in names if name in lacking]
        if not any(results):
            print(f"left out {path}:", *dict.fromkeys(why), sep="\n  ")
            continue
        if figure in CURVES:
            titles = dict(zip(CURVES[figure], results, strict=True))
            drawn = {title: some for title, some in titles.items() if some}
            paths.append(figures.learning_curves(drawn, path))
        elif figure == "results_training_sizes":
            paths.append(figures.training_sizes(results[0], path))
        else:
            paths.append(figures.best_epochs(results[0], path))
        without = ", in part:" if why else ""
        print(f"wrote {path}{without}", *dict.fromkeys(why), sep="\n  ")
    return paths


def trained(
    data: jaxnet.Dataset, epochs: int, hidden: int = 30, seed: int = 0
) -> jaxnet.Params:
    """A network with cross-entropy and L2, eta 0.5, and scaled first weights."""
    key = jax.random.key(seed)
    params = jaxnet.init(key, [784, hidden, 10], init_layer=jaxnet.scaled_layer)
    return jaxnet.train(
        key,
        params,
        data,
        epochs=epochs,
        batch_size=10,
        eta=0.5,
        l2=5.0,
        cost=jaxnet.cross_entropy,
    )[0]


def galleries(params: jaxnet.Params, test: jaxnet.Dataset, out: Path) -> list[Path]:
    """The figures drawn into `out` of a network's weights and of its mistakes."""
    outputs = np.asarray(jax.vmap(partial(jaxnet.predict, params))(test.x))
    x, truth = np.asarray(test.x), np.asarray(test.y).argmax(axis=1)
    answers = outputs.argmax(axis=1)

    def gallery(rows: np.ndarray, title: str, name: str, columns: int) -> Path:
        which = truth[rows].tolist(), answers[rows].tolist()
        title += ": left the digit, right the answer"
        return figures.digits(x[rows], *which, title, out / name, columns)

    matrix = np.asarray(jaxnet.confusion_matrix(params, test))
    weights = np.asarray(params[0].w)
    paths = [
        figures.hidden_weights(weights, out / "gallery_weights.png"),
        figures.confusion(matrix, out / "gallery_confusion.png"),
    ]
    wrong = np.flatnonzero(answers != truth)
    wrong = wrong[np.argsort(-outputs[wrong].max(axis=1), kind="stable")]
    shown = wrong[:200]
    if len(wrong):
        title = f"{len(shown)} of {len(wrong)} mistakes, the most confident first"
        paths.append(gallery(shown, title, "gallery_mistakes.png", 20))
    else:
        print(f"left out {out / 'gallery_mistakes.png'}: there are none")
    if len(x) > max(figures.HARD_DIGITS):
        hard = np.array(figures.HARD_DIGITS)
        right = int((answers[hard] == truth[hard]).sum())
        title = f"Hard test images, {right} of {len(hard)} read rightly"
        paths.append(gallery(hard, title, "gallery_hard.png", 9))
    else:
        why = f"expected MNIST's 10,000 test images, got {len(x)}"
        print(f"left out {out / 'gallery_hard.png'}: {why}")
    print(*(f"wrote {path}" for path in paths), sep="\n")
    return paths


def main(
    results: str | Path = "data/results",
    out: str | Path = "figures",
    data: str | None = None,
    epochs: int = 5,
) -> list[Path]:
    """Draw what there is into `out`; return the paths of the figures."""
    figures.check_can_save("a.png")
    paths = from_files(results, Path(out))
    mnist = jaxnet.load_mnist(data)
    return paths + galleries(trained(mnist.train, epochs), mnist.test, Path(out))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--results", default="data/results", help="(default: %(default)s)"
    )
    parser.add_argument("--out", default="figures", help="(default: %(default)s)")
    options: Any = vars(parser.parse_args())
    main(**options)
