"""What to try when a network has not learned, said only where it applies."""

import math
from collections.abc import Iterator, Sequence

import numpy as np

from jaxnet.activations import relu, sigmoid, tanh
from jaxnet.costs import quadratic
from jaxnet.datasets import Split
from jaxnet.datasets.inspection import labels_look_random
from jaxnet.experiments import Experiment
from jaxnet.experiments.experiment import described
from jaxnet.network import large_layer

_STEPS = 15_000  # after which a class still wrong is not just one not yet learned


def advice(
    e: Experiment,
    data: Split,
    last: np.ndarray,
    failed_classes: Sequence[Sequence[int]],
    epochs: int,
) -> Iterator[str]:
    """What may be wrong with networks of these last accuracies and failed classes."""
    evaluation = getattr(data, e.evaluate_on)
    n, counts = len(evaluation), np.asarray(evaluation.y).sum(axis=0)
    chance = float(counts.max()) / n
    limit = chance + 3 * math.sqrt(chance * (1 - chance) / n)
    finite = last[np.isfinite(last)]
    hint = of_eta(e)
    if finite.size and np.median(finite) <= limit:
        yield f"No better than always giving the most frequent answer, {chance:.2%}."
        if labels_look_random(data):
            yield (
                "The nearest mean image is no better than chance either: are the "
                "labels in the order of the images? `jaxnet describe` shows some."
            )
        elif hint:
            yield hint
    elif any(failed_classes) and hint:
        yield hint
    elif (
        any(1 <= len(classes) <= 3 for classes in failed_classes)
        and (e.hidden, e.init_layer) == (sigmoid, large_layer)
        and epochs * (e.train_on or len(data.train)) / e.batch_size >= _STEPS
    ):
        yield (
            "The book's footnote 7 in section 1.6 warns of such runs: an output "
            "neuron that starts out saturated hardly learns. Try another seed."
        )


def of_eta(e: Experiment) -> str:
    """What is unusual about the learning rate, or an empty text."""
    optimizer, eta = described(e)["optimizer"], f"eta {e.eta:g}"
    if optimizer in ("adam", "rmsprop") and e.eta > 0.03:
        return f"{eta} is large for {optimizer}, whose steps it sizes: try --eta 0.001."
    if optimizer == "adagrad" and e.eta > 0.3:
        return (
            f"{eta} is large for adagrad, whose first steps it sizes: try --eta 0.03."
        )
    if optimizer not in ("sgd", "nesterov"):
        return ""
    for activation, most in ((relu, 0.3), (tanh, 1.0)):
        if e.hidden == activation and e.eta > most:
            return (
                f"{eta} is large for {activation} neurons, whose slopes are up to 1 "
                "and not 1/4: try --eta 0.1 --init scaled."
            )
    usual = 3.0 if e.cost == quadratic else 0.5
    if e.eta > 3 * usual:
        return f"{eta} is large: try --eta {usual:g}."
    if e.eta < usual / 50:
        return f"{eta} is small: more epochs, or --eta {usual:g}."
    return ""
