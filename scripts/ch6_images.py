"""Chapter 6: what convolutional networks learn, and what five of them mistake together.

`python scripts/ch6_images.py RUN` draws the filters and the feature maps of a run of
`python -m jaxnet train --out RUN`. From the files of results, without training, come
the validation accuracies of the chapter's networks, and the vote of five networks with
dropout: the book's five read 99.67 %, all but 33 digits.
"""

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np

import jaxnet
from jaxnet.cli.console import end_with_pipe
from jaxnet.experiments import CLAIMS, Trained, curves
from jaxnet.experiments.reproduce import log_of_claim
from jaxnet.figures import blank, save
from jaxnet.figures import curves as draw_curves
from jaxnet.layers import as_numbers
from jaxnet.runs import load_network
from scripts import tables

DROPOUT = "dropout"


def tiles(images: np.ndarray, path: Path, columns: int, titles: Sequence[str]) -> Path:
    """The path of a picture of grey images, larger numbers darker, in rows."""
    rows = -(-len(images) // columns)
    figure = blank(0.8 * columns, 0.8 * rows + 0.3 * bool(titles))
    grid = figure.subplots(rows, columns, squeeze=False).flat
    for axes in grid:
        axes.set_axis_off()
    for i, image in enumerate(images):
        grid[i].imshow(image, cmap="binary")
        if titles:
            grid[i].set_title(titles[i], fontsize=7)
    return save(figure, path)


def network(run: Path, digit: np.ndarray, folder: Path) -> list[Path]:
    """The paths of pictures of the first layer's filters, and of a digit's maps."""
    params = load_network(run).params
    x = as_numbers(jax.numpy.asarray(digit), np.float32)
    _, activations = jax.jit(jaxnet.forward)(params, x)
    maps = [np.asarray(a) for a in activations[1:] if a.ndim == 3]
    filters = tiles(np.asarray(params[0].w[:, 0]), folder / "filters.png", 5, ())
    drawn = [
        tiles(a, folder / f"feature_maps_{l}.png", 10, ())
        for l, a in enumerate(maps, start=1)
    ]
    return [filters, *drawn]


def vote(networks: Sequence[Trained], truth: np.ndarray) -> dict[int, int]:
    """The wrong answers of a vote, by the index of the image.

    The answer is the commonest, and of equally common ones the first network's.
    """
    images = {i for each in networks for i in each.mistakes}
    answers = {
        i: Counter(each.mistakes.get(i, int(truth[i])) for each in networks)
        for i in sorted(images)
    }
    common = {i: votes.most_common(1)[0][0] for i, votes in answers.items()}
    return {i: answer for i, answer in common.items() if answer != truth[i]}


def main(
    run: str | None = None,
    data: str | None = None,
    folder: Path = tables.FIGURES,
    results: Path = tables.RESULTS,
) -> dict[str, float]:
    """Draw everything there is, and return and print the accuracy of the vote."""
    test = jaxnet.datasets.load_data(data, as_bytes=True).test
    truth, paths = np.asarray(test.y).argmax(axis=1), []
    if run:
        paths += network(Path(run), np.asarray(test.x)[0], folder)
    logs = {
        name: found
        for name, claim in CLAIMS.items()
        if claim.section == "web 6" and (found := log_of_claim(name, results).read())
    }
    histories = {
        name: curves(found, "validation") / found[0].of for name, found in logs.items()
    }
    if histories:
        paths.append(draw_curves(histories, folder / "results_chapter_6.png"))
    accuracies: dict[str, float] = {}
    if DROPOUT in logs:
        five = sorted(logs[DROPOUT], key=lambda each: each.seed)[:5]
        wrong = vote(five, truth)
        accuracies["vote"] = 1 - len(wrong) / len(truth)
        one = ", ".join(f"{1 - len(each.mistakes) / len(truth):.2%}" for each in five)
        print(f"{len(five)} networks, after their last epoch: {one}")
        print(f"their vote: {accuracies['vote']:.2%}, {len(wrong)} wrong; book 99.67%")
        images = np.asarray(test.x)[list(wrong)].reshape(-1, 28, 28)
        titles = [f"{truth[i]}: {answer}" for i, answer in wrong.items()]
        paths.append(tiles(images, folder / "ensemble_errors.png", 8, titles))
    for path in paths:
        print(f"wrote {path}")
    return accuracies


if __name__ == "__main__":
    end_with_pipe()
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("run", metavar="RUN", nargs="?", help="folder of a run")
    main(parser.parse_args().run)
