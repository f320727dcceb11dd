"""A run as it goes: a line an epoch, and a progress display on a terminal.

The command line and the scripts run their experiments through `follow`.
"""

import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from jaxnet.datasets import Split
from jaxnet.experiments import Experiment, claim_of
from jaxnet.report import Record, epoch_line
from jaxnet.runs import run, unlearnt

T = TypeVar("T")


def track(items: Iterable[T], total: int, label: str) -> Iterator[T]:
    """The items, with a progress display and the time left if there is a terminal."""
    on_terminal = sys.stdout.isatty()
    console = Console(stderr=not on_terminal)
    with Progress(
        "{task.description}",
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
        console=console,
        transient=True,
        redirect_stdout=on_terminal,
        disable=not console.is_terminal,
    ) as display:
        task = display.add_task(f"compiling, {label}", total=total)
        for item in items:
            display.update(task, advance=1, description=label)
            yield item


def follow(
    experiment: Experiment, data: Split, seeds: Sequence[int], *, lines: bool = True
) -> Record:
    """The record of a run of the experiment, printed epoch by epoch if `lines`.

    Ctrl-C ends it with the epochs done so far, and before the first of them raises
    KeyboardInterrupt. It ends early when every network has stopped or diverged.
    """
    evaluation = getattr(data, experiment.evaluate_on)
    record = Record(seeds, len(evaluation.x), experiment.epochs, claim_of(experiment))
    networks = []
    going = np.full(len(seeds), True)
    try:
        epochs = run(experiment, data.train, evaluation, seeds)
        for epoch in track(epochs, experiment.epochs, "training"):
            # Exactly a count over n, where float32 is a little beside it.
            right = np.round(epoch.accuracy.astype(float) * record.examples)
            accuracy = right / record.examples
            record.accuracies.append(accuracy)
            record.seconds.append(epoch.seconds)
            record.compile_seconds = epoch.compile_seconds
            networks = epoch.params
            if lines:
                print(epoch_line(epoch.number, accuracy, record.examples), flush=True)
            for seed, still, layer in zip(
                np.asarray(seeds)[going],
                epoch.going[going],
                epoch.broken_layer[going],
                strict=True,
            ):
                if layer:
                    record.diverged[int(seed)] = (epoch.number, int(layer))
                elif not still:
                    record.stopped[int(seed)] = epoch.number
            going = epoch.going
    except KeyboardInterrupt:
        if not record.accuracies:
            raise
        record.interrupted = True
    record.unlearnt = unlearnt(networks, evaluation, experiment.hidden)
    return record
