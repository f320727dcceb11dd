"""Many gradients examined one after the other, whatever one of them does.

They run in a process of their own, which is replaced when one of them ends it or takes
too long.
"""

import multiprocessing
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from jaxnet.compare.candidate import Candidate, CandidateError
from jaxnet.compare.examination import Examination
from jaxnet.compare.loading import LoadError, load
from jaxnet.compare.report import verdict_lines
from jaxnet.forms import ShapeError

EQUATIONS = ("BP1", "BP2", "BP3", "BP4", "2.4")


class Grade(NamedTuple):
    """What was found about one gradient: "right", "wrong" or "failed", and why."""

    name: str
    verdict: str
    sentence: str
    score: dict[str, str]  # of each equation, such as 1/2: it holds in 1 of 2 layers
    form: str = ""


Task = Callable[..., Examination]  # `examine` at a network, data and cost


def grade(names: Iterable[str], task: Task, timeout: int) -> Iterator[Grade]:
    """A grade for each candidate, in this order; `task` has to be picklable."""
    worker: _Worker | None = None
    try:
        for name in names:
            worker = worker or _Worker(task)
            result = worker.ask(name, timeout)
            if isinstance(result, Grade):
                yield result
                continue
            worker.end()
            worker = None
            yield Grade(name, "failed", result, {})
    finally:
        if worker:
            worker.end()


class _Worker:
    def __init__(self, task: Task) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(theirs, task), daemon=True)
        self.process.start()
        theirs.close()
        self.connection.recv()  # it has started

    def ask(self, name: str, timeout: int) -> Grade | str:
        """The grade, or what happened instead."""
        self.connection.send(name)
        if not self.connection.poll(timeout):
            return f"no result after {timeout:g} seconds"
        try:
            return Grade(*self.connection.recv())
        except EOFError:
            self.process.join()
            return f"ended the process, with exit code {self.process.exitcode}"

    def end(self) -> None:
        """Stop the process, also in an endless loop."""
        self.process.kill()
        self.process.join()


def _work(connection: Connection, task: Task) -> None:
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    connection.send("ready")
    while True:
        before = set(sys.modules)
        connection.send(tuple(_graded(connection.recv(), task)))
        for module in set(sys.modules) - before:
            if getattr(sys.modules[module], "__file__", None) and "." not in module:
                del sys.modules[module]


def _graded(name: str, task: Task) -> Grade:
    try:
        candidate = Candidate(load(name, {}), Path(name).name)
        found = task(candidate, epochs=(0,), details=False)
    except ShapeError as error:
        return Grade(name, "wrong", str(error), {})
    except (LoadError, CandidateError) as error:
        return Grade(name, "failed", str(error), {})
    first, *others = verdict_lines(found, candidate.name)
    score = {}
    for equation in EQUATIONS:
        rows = [row.holds for row in found.equations if row.name == equation]
        score[equation] = f"{sum(rows)}/{len(rows)}" if rows else "-"
    verdict = "right" if found.agrees else "wrong"
    sentence = " ".join(others if others else [first])
    return Grade(name, verdict, sentence, score, found.form)


def junit(grades: Iterable[Grade]) -> str:
    """The grades as the XML that JUnit writes and continuous integration reads."""
    cases = list(grades)
    failures = [case for case in cases if case.verdict != "right"]
    counts = {"tests": str(len(cases)), "failures": str(len(failures))}
    suite = ElementTree.Element("testsuite", {"name": "gradients", **counts})
    for case in cases:
        names = {"classname": "gradients", "name": case.name}
        element = ElementTree.SubElement(suite, "testcase", names)
        if case.verdict != "right":
            ElementTree.SubElement(element, "failure", {"message": case.sentence})
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True)
