"""A run as it goes: a line an epoch, and a progress display on a terminal.

The command line and the scripts run their experiments through `follow`.
"""

import signal
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

import jax
import jax.numpy as jnp
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from jaxnet import processes
from jaxnet.course import Course, shapes
from jaxnet.datasets import Split
from jaxnet.experiments import Experiment, claim_of
from jaxnet.folders import Keeper
from jaxnet.regularization import without_dropout
from jaxnet.report import Line, Record, count, epoch_line
from jaxnet.runs import Epoch, run, unlearnt

T = TypeVar("T")


def end_with_pipe() -> None:
    """Have the process end, as other programs do, when nobody reads what it prints."""
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)


def track(items: Iterable[T], total: int, label: str, done: int = 0) -> Iterator[T]:
    """The items, with a progress display and the time left if there is a terminal.

    So many of the total were `done` before the first item.
    """
    on_terminal = sys.stdout is not None and sys.stdout.isatty()
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
        task = display.add_task(f"compiling, {label}", total=total, completed=done)
        for item in items:
            display.update(task, advance=1, description=label)
            yield item


def follow(
    experiment: Experiment,
    data: Split,
    seeds: Sequence[int],
    *,
    lines: bool = True,
    keeper: Keeper | None = None,
    rows: bool = False,
) -> Record:
    """The record of a run of the experiment, printed epoch by epoch if `lines`.

    Ctrl-C ends it with the epochs done so far, and before the first of them raises
    KeyboardInterrupt. It ends early when every network has stopped or diverged.
    A `keeper` keeps each epoch, and has those done before, which are not printed; of
    several processes, the first has it. `rows` is a `Runner`'s.
    Raises StorageError if they cannot be kept, or are not the experiment's.
    """
    evaluation = getattr(data, experiment.evaluate_on)
    record = Record(seeds, len(evaluation.x), experiment.reports, claim_of(experiment))
    networks, begin, epochs, over = [], None, (), False
    if keeper is not None:
        course = keeper.restored(experiment)
        if course is not None:
            begin = (keeper.run.saved, course)
            networks = without_dropout(course.state.params, experiment.dropout)
        for line in keeper.run.lines:
            record.add(line)
        over = keeper.run.finished
    if jax.process_count() > 1:
        begin, over = _from_first(begin, over, shapes(experiment, len(seeds)))
    if not over:
        epochs = run(experiment, data.train, evaluation, seeds, begin, rows)
    done = len(record.accuracies)
    try:
        for epoch in track(epochs, experiment.reports, "training", done):
            line = _line(epoch, record.examples)
            if keeper is not None:
                keeper.add(line, epoch.course)
            record.add(line)
            record.compile_seconds = epoch.compile_seconds
            networks = epoch.params
            if lines:
                accuracy = record.accuracies[-1]
                print(epoch_line(epoch.number, accuracy, record.examples), flush=True)
    except KeyboardInterrupt:
        if not record.accuracies:
            raise
        record.interrupted = True
    if networks:
        record.unlearnt = unlearnt(networks, evaluation)
    return record


def _from_first(
    begin: tuple[int, Course] | None, over: bool, like: Course
) -> tuple[tuple[int, Course] | None, bool]:
    """Where the first process's run stands, in all of them."""
    done, over = processes.agree([begin[0] if begin else 0, over])
    if not done:
        return None, over
    course = begin[1] if begin else jax.tree.map(jnp.zeros_like, like)
    return (done, processes.from_first(course)), over


def _line(epoch: Epoch, examples: int) -> Line:
    # Counts are exact, where an accuracy in float32 is a little beside its own.
    correct = [count(accuracy, examples) for accuracy in epoch.accuracy.tolist()]
    going, layers = epoch.going.tolist(), epoch.broken_layer.tolist()
    return Line(epoch.number, correct, going, layers, epoch.seconds)
