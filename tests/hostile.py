"""Files of each kind that jaxnet reads: how to write one changed, and to read it."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

import jaxnet
from jaxnet import checkpoints, export, folders, grid, reproduce
from jaxnet.commands.runs import _compare, _row
from jaxnet.commands.trained import load_trained
from jaxnet.course import first_course
from jaxnet.datasets import read_idx
from jaxnet.experiments import Experiment
from jaxnet.jsonlines import append_line
from jaxnet.owndata import load_data
from jaxnet.storage import load_book_network
from tests.helpers import idx
from tests.mutations import (
    Draw,
    mutated,
    mutated_gzip,
    mutated_json,
    mutated_lines,
    mutated_text,
    pick,
)

Case = tuple[Callable[[Draw], Any], Callable[[], Any], str]
"""What writes an input, what reads it, and the name that an error must have."""


def idx_files(folder: Path) -> Case:
    path, dimensions = folder / "some-idx", [3]
    fields = [(0, 1), (1, 1), (2, 1), (3, 1), (4, 4), (8, 4), (12, 4)]

    def write(draw: Draw) -> None:
        change = pick(draw, (mutated, mutated_gzip))
        dimensions[0] = pick(draw, (1, 3))
        shape = (3, 2, 2) if dimensions[0] == 3 else (12,)
        path.write_bytes(change(idx(np.arange(12).reshape(shape)), draw, fields))

    return write, lambda: read_idx(path, dimensions[0]), path.name


def csv_files(folder: Path) -> Case:
    path = folder / "some.csv"
    content = b"label,a,b\n1,2,3\n0,255,0\r\n\n2,7,7\n1,0,0\n"

    def write(draw: Draw) -> None:
        path.write_bytes(pick(draw, (mutated, mutated_gzip))(content, draw))

    return write, lambda: load_data(path, as_bytes=True), path.name


def book_files(folder: Path) -> Case:
    path = folder / "net.json"
    weights = [[[0.5, 1], [2, 3.0], [1, 1]], [[1, 2, 3]]]
    document = {"sizes": [2, 3, 1], "weights": weights, "cost": "QuadraticCost"}
    document["biases"] = [[[1], [2], [3]], [[-1.5]]]

    def write(draw: Draw) -> None:
        path.write_bytes(mutated_text(document, draw))

    return write, lambda: load_book_network(path), path.name


def functions(folder: Path) -> Case:
    path = folder / "network.jax"
    params = jaxnet.init(jax.random.key(0), [3, 2])
    export.save_function(path, params)
    content = path.read_bytes()

    def write(draw: Draw) -> None:
        fields = [(int(draw.integers(len(content))), 4)]
        path.write_bytes(mutated(content, draw, fields))

    return write, lambda: export.load_function(path), path.name


def lines_or_bytes(values: list[Any], draw: Draw) -> bytes:
    whole = "".join(json.dumps(value) + "\n" for value in values).encode()
    return mutated(whole, draw) if draw.random() < 0.3 else mutated_lines(values, draw)


def sweeps(folder: Path) -> Case:
    path, shared = folder / "sweep.jsonl", {"sizes": [784, 30, 10], "epochs": 3}
    rates = {"l1": 0.0, "l2": 0.0, "dropout": 0.0, "accuracy": [0.1, None, 0.3]}
    values: list[Any] = [{"format": "jaxnet sweep 1", **shared}]
    values += [{"eta": eta, "seed": s, **rates} for eta in (0.1, 3.0) for s in (1, 2)]

    def read() -> None:
        curves = grid.Kept(path, shared).curves
        assert not curves or list(grid.table(grid.summaries(curves)))

    return lambda draw: path.write_bytes(lines_or_bytes(values, draw)), read, path.name


def results(folder: Path) -> Case:
    name = "30 hidden"
    path, claim = reproduce.file_of(name, folder), reproduce.CLAIMS[name]
    experiment = reproduce.described(claim.experiment)
    values: list[Any] = [{"format": "jaxnet experiment 1", "experiment": experiment}]
    values[0]["measure"] = "accuracy"
    line = {"curve": [9000, None, 9100], "of": 10_000, "unlearnt": [1], "seconds": 1.5}
    values += [{"seed": seed, **line} for seed in (1, 2, 3)]

    def read() -> None:
        reproduce.missing(name, 5, folder)
        found = reproduce.result(name, folder)
        assert found is None or reproduce.table([found], {})

    return lambda draw: path.write_bytes(lines_or_bytes(values, draw)), read, path.name


def sealed(document: Any) -> bytes:
    """A manifest with the right checksum, whatever is in it."""
    if isinstance(document, dict):
        document.pop("check", None)
        check = hashlib.sha256(json.dumps(document).encode()).hexdigest()
        document["check"] = check
    return json.dumps(document).encode()


def write_run(path: Path, weight: float | None = None) -> None:
    """A folder as `train --out` keeps it, after two epochs."""
    params = jaxnet.init(jax.random.key(0), [3, 2])
    many = jax.tree.map(lambda leaf: np.stack([leaf] * 2), params)
    if weight is not None:
        many[0].w[0, 0, 0] = weight
    options = {"sizes": [3, 2], "epochs": 3, "batch_size": 10, "eta": 0.5, "l1": 0.0}
    options |= {"cost": "quadratic", "hidden": "sigmoid", "l2": 0.0, "dropout": 0.0}
    options |= {"seed": 1, "seeds": 2, "evaluate": "test", "data": None}
    environment = {"jaxnet": "0.1", "jax": "0.10", "device": "cpu", "dtype": "float32"}
    facts = {"options": options, "environment": environment, "data": "abc"}
    manifest = {"kind": "jaxnet run 1", **facts, "examples": 200, "saved": 2}
    course = first_course(Experiment(sizes=(3, 2)), jax.random.key(0))
    state = course.state._replace(params=many)
    checkpoints.save(path, course._replace(state=state), manifest)
    for epoch in range(2):
        lists = {"correct": [100, None], "going": [True, False], "broken_layer": [0, 1]}
        append_line(path / folders.METRICS, {"epoch": epoch, **lists, "seconds": 0.5})


def kept_runs(folder: Path) -> Case:
    path = folder / "kept"
    write_run(path)
    places = [path / f"checkpoint-00000001.{kind}" for kind in ("json", "safetensors")]
    places.append(path / folders.METRICS)
    text, data, metrics = (place.read_bytes() for place in places)
    document, size = json.loads(text), int.from_bytes(data[:8], "little")
    header, numbers = json.loads(data[8 : 8 + size]), data[8 + size :]
    lines = [json.loads(line) for line in metrics.splitlines()]

    def write(draw: Draw) -> None:
        contents, kind = [text, data, metrics], int(draw.integers(6))
        if kind == 0:
            contents[0] = mutated(text, draw)
        elif kind == 1:
            contents[1] = mutated(data, draw, [(0, 8)])
        elif kind == 2:
            contents[2] = lines_or_bytes(lines, draw)
        elif kind == 3:
            contents[0] = sealed(mutated_json(document, draw))
        elif kind == 4:
            manifest = mutated_json(document["manifest"], draw)
            contents[0] = sealed(document | {"manifest": manifest})
        else:
            head = json.dumps(mutated_json(header, draw)).encode()
            whole = len(head).to_bytes(8, "little") + head + numbers
            contents[1] = pick(draw, (whole, mutated(data, draw, [(0, 8)])))
            check = hashlib.sha256(contents[1]).hexdigest()
            contents[0] = sealed(document | {"sha256": check})
        for file, content in zip(places, contents, strict=True):
            file.write_bytes(content)

    def read() -> None:
        run = folders.read(path)
        assert load_trained(path).params and len(_row("a", run)) == 8
        assert run.finished in (True, False) and list(_compare({"a": run, "b": run}))

    return write, read, path.name
