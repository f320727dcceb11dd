"""A trained network is measured, and reads pictures, from the command line."""

import json

import jax
import numpy as np
import pytest
from PIL import Image

import jaxnet
from jaxnet.cli import main


@pytest.fixture(scope="module")
def network(tmp_path_factory, mnist):
    """784-30-10 after two epochs, in the book's format."""
    params = jaxnet.init(
        jax.random.key(1), [784, 30, 10], init_layer=jaxnet.scaled_layer
    )
    state = jaxnet.start(params)
    for i in range(2):
        options = {"batch_size": 10, "eta": 0.5, "cost": jaxnet.cross_entropy}
        state = jaxnet.epoch(jax.random.key(i), state, mnist.train, **options)
    path = tmp_path_factory.mktemp("network") / "net.json"
    jaxnet.save_book_network(path, state.params, jaxnet.cross_entropy)
    return path


@pytest.fixture(scope="module")
def pictures(tmp_path_factory, mnist):
    """The first six test images in a line on paper, one white on black, and none."""
    folder = tmp_path_factory.mktemp("pictures")
    images = (256 * np.asarray(mnist.test.x[:8])).reshape(-1, 28, 28)
    line = np.hstack([np.pad(255 - i, (0, 4), constant_values=255) for i in images[:6]])
    line = np.pad(line, 20, constant_values=255).astype(np.uint8)
    large = (4 * line.shape[1], 4 * line.shape[0])
    Image.fromarray(line).resize(large).save(folder / "line.png")
    one = np.pad(images[0], 30).astype(np.uint8)
    Image.fromarray(one).save(folder / "one.png")
    Image.new("L", (90, 90), 255).save(folder / "blank.png")
    return folder


def test_evaluate_says_what_the_metrics_say(network, mnist, capsys):
    assert main(["evaluate", str(network), "--json", "--mistakes", "3"]) == 0
    value = json.loads(capsys.readouterr().out)
    params, cost = jaxnet.load_book_network(network)
    assert value["accuracy"] == pytest.approx(jaxnet.accuracy(params, mnist.test))
    total = jaxnet.total_cost(params, mnist.test, cost)
    assert value["cost"] == pytest.approx(float(total), rel=1e-5)
    matrix = np.array(value["confusion"])
    assert matrix.sum() == 10_000
    assert matrix.trace() == round(10_000 * value["accuracy"])
    labels = np.asarray(mnist.test.y).argmax(axis=1)
    outputs = [mistake["output"] for mistake in value["mistakes"]]
    assert len(outputs) == 3 and outputs == sorted(outputs, reverse=True)
    for mistake in value["mistakes"]:
        assert labels[mistake["image"]] == mistake["truth"] != mistake["answer"]


def test_evaluate_in_words(network, small_mnist, capsys):
    options = ["--data", small_mnist, "--evaluate", "validation"]
    assert main(["evaluate", str(network), *options]) == 0
    first, *rest = capsys.readouterr().out.splitlines()
    assert "/ 100 of the validation images right" in first
    assert len([line for line in rest if line.endswith("%")]) == 10


def test_predict_reads_a_line_and_one_digit(network, pictures, capsys, tmp_path):
    paths = [str(pictures / name) for name in ("line.png", "one.png")]
    assert main(["predict", str(network), *paths, "--show", str(tmp_path)]) == 0
    line, one = capsys.readouterr().out.splitlines()
    assert line.startswith(f"{paths[0]}: 721041 ") and one.startswith(f"{paths[1]}: 7 ")
    for name in ("line.png", "one.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
    assert main(["predict", str(network), paths[1], "--one", "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert value["digits"] == "7" and 0.5 < value["confidence"][0] <= 1


def test_a_picture_that_cannot_be_read_does_not_stop_the_others(
    network, pictures, capsys
):
    names = ("blank.png", "missing.png", "one.png")
    assert main(["predict", str(network), *(str(pictures / n) for n in names)]) == 2
    blank, missing, one = capsys.readouterr().out.splitlines()
    assert "blank.png: expected ink on paper" in blank
    assert "missing.png: expected a picture" in missing and ": 7 " in one


@pytest.mark.parametrize("command", ["evaluate", "predict"])
def test_what_is_no_network_is_refused_in_a_line(command, tmp_path, capsys):
    picture = ["a.png"] if command == "predict" else []
    for path in (tmp_path, tmp_path / "missing"):
        assert main([command, str(path), *picture]) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1 and "expected" in error


def test_a_network_of_another_form_reads_no_pictures(tmp_path, capsys):
    path = tmp_path / "small.json"
    jaxnet.save_book_network(path, jaxnet.init(jax.random.key(0), [4, 3, 10]))
    assert main(["predict", str(path), "a.png"]) == 2
    assert "784 inputs and 10 outputs, got 4 and 10" in capsys.readouterr().err
