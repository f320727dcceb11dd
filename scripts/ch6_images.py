"""Chapter 6: what convolutional networks learn, and what five of them mistake together.

`python scripts/ch6_images.py --run RUN` draws the filters and the feature maps of a run
of `python -m jaxnet train --out RUN`. From the files of results, without training, come
the validation accuracies of the chapter's networks, and the vote of five of each kind,
of which the best one's errors are drawn. The book's five with dropout read 99.67 %, all
but 33 digits.
"""

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))  # as a file or as a module

import jaxnet
from jaxnet.cli.console import script
from jaxnet.experiments import CLAIMS, Trained, curves
from jaxnet.experiments.reproduce import log_of_claim
from jaxnet.figures import blank, save
from jaxnet.figures import curves as draw_curves
from jaxnet.layers import as_numbers
from jaxnet.runs import load_network
from scripts import tables

VOTERS = 5


def tiles(
    images: np.ndarray,
    path: Path,
    columns: int,
    title: str,
    titles: Sequence[str] = (),
) -> Path:
    """The path of a picture of grey images, larger numbers darker, in rows."""
    rows = -(-len(images) // columns)
    figure = blank(0.8 * columns, 0.8 * rows + 0.3 + 0.2 * rows * bool(titles))
    figure.suptitle(title, fontsize=9)
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
    weights = np.asarray(params[0].w[:, 0])
    filters = tiles(weights, folder / "filters.png", 5, f"{run.name}: filters")
    drawn = [
        tiles(a, folder / f"feature_maps_{l}.png", 10, f"{run.name}: layer {l}")
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
    """Draw everything there is, and return and print the accuracy of each vote.

    run: the folder of a run, whose filters and feature maps are drawn
    """
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
    fewest, of = None, ""
    for name, found in logs.items():
        five = sorted(found, key=lambda each: each.seed)[:VOTERS]
        if len(five) < VOTERS:
            continue
        wrong = vote(five, truth)
        accuracies[name] = 1 - len(wrong) / len(truth)
        each = ", ".join(f"{1 - len(one.mistakes) / len(truth):.2%}" for one in five)
        print(f"{name}: {each}; their vote {accuracies[name]:.2%}, {len(wrong)} wrong")
        if fewest is None or len(wrong) < len(fewest):
            fewest, of = wrong, name
    if fewest:
        images = np.asarray(test.x)[list(fewest)].reshape(-1, 28, 28)
        titles = [f"{truth[i]}: {answer}" for i, answer in fewest.items()]
        title = f"five networks, {of}: the digit, and the answer of their vote"
        path = folder / "ensemble_errors.png"
        paths.append(tiles(images, path, 8, title, titles))
    for path in paths:
        print(f"wrote {path}")
    return accuracies


if __name__ == "__main__":
    script(main)
