"""The command line: what it prints, what it refuses, how it is interrupted."""

import json
import os
import pty
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path

import jax
import numpy as np
import optax
import pytest
from jax.errors import JaxRuntimeError
from PIL import Image

import jaxnet
from jaxnet import cli, runs
from jaxnet.cli import COMMANDS, main
from jaxnet.cli.advice import advice
from jaxnet.cli.console import script
from jaxnet.cli.summary import Summary, epoch_line
from jaxnet.datasets import load_data, oddities
from jaxnet.experiments import Experiment, Record, claim_of
from scripts import ch1_images
from tests.helpers import assert_lines, raising, refused

ROOT = Path(__file__).parent.parent
SMALL = {  # a network in the book's format
    "sizes": [2, 1],
    "weights": [[[1.0, 2.0]]],
    "biases": [[[3.0]]],
    "cost": "QuadraticCost",
}


@pytest.fixture(autouse=True, scope="module")
def parsers():
    """One parser for each command, which takes 0.1 s with its types checked."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jaxnet.cli._parser", cache(cli._parser))
        yield


def train(small_mnist, *options):
    return main(["train", "--data", small_mnist, "--epochs", "2", *options])


# What it prints.


def test_json_and_figure_say_the_same(small_mnist, capsys, tmp_path, drawn):
    figure = tmp_path / "curves.png"
    options = ["--sizes", "784,10", "--cost", "cross_entropy", "--seeds", "2"]
    options += ["--seed", "5", "--eta", "0.5", "--figure", str(figure)]
    assert train(small_mnist, "--json", *options) == 0
    out, err = capsys.readouterr()
    value = json.loads(out)
    assert value["seeds"] == [5, 6] and value["examples"] == 200
    assert value["sizes"] == [784, 10] and value["cost"] == "cross_entropy"
    assert value["interrupted"] is False
    assert {"jax", "jaxnet", "device", "dtype", "compile_seconds"} <= set(value)
    counts = np.transpose([record["correct"] for record in value["records"]])
    np.testing.assert_allclose(value["best"], counts.max(axis=1) / 200)
    np.testing.assert_allclose(value["last"], counts[:, 1] / 200)
    assert err.endswith(f"wrote {figure}\n")
    accuracy, cost = drawn[0].axes
    assert_lines(accuracy, {"test": ([0, 1], counts.mean(axis=0) / 2)})
    for axes in (accuracy, cost):
        training, test = (line.get_ydata() for line in axes.lines)
        assert np.isfinite([training, test]).all() and (training != test).all()
    assert drawn[0].get_suptitle() == f"784-10, cross_entropy cost, on {small_mnist}"


def summary_of(*records: Record, failed_classes=(), claim=None, interrupted=False):
    seeds = range(1, len(records[0].correct) + 1)
    results = seeds, records, runs.history(list(records), 200)
    return Summary(*results, 9, list(failed_classes), 0.5, claim, interrupted)


DONE = Record(0, [190], [True], [0], 0.1)


@pytest.fixture
def untrained(monkeypatch):
    """As if the network had done one epoch, whatever it is."""

    def follow(e, *args, **options):
        return summary_of(DONE, failed_classes=[[]], claim=claim_of(e))

    monkeypatch.setattr("jaxnet.cli.train.follow", follow)


def test_the_book_s_number_is_claimed_for_its_own_experiment(
    untrained, small_mnist, capsys, monkeypatch
):
    small = jaxnet.load_mnist(small_mnist, as_bytes=True)
    monkeypatch.setattr("jaxnet.datasets.Source.named", lambda *_, **__: (small, None))
    claim = "The book, section 1.6: 95.42%, best epoch of the best of three runs."
    cases = {"": True, "--expand shifts": False, "--eta 2.9": False, "--data x": False}
    for options, claimed in cases.items():
        assert main(["train", "--quiet", *options.split()]) == 0
        assert (claim in capsys.readouterr().out.splitlines()) == claimed


def test_the_first_line_names_the_options_in_use(untrained, small_mnist, capsys):
    options = "--l1 1 --l2 0.5 --dropout 0.3 --optimizer nesterov --momentum 0.5 "
    options += "--schedule 1 --early-stop 3 --expand elastic --train-on 20 --epochs 1 "
    options += "--shuffle no --monitor speeds"
    assert train(small_mnist, *options.split(), "--sizes", "784,10") == 0
    first, *_ = capsys.readouterr().out.splitlines()
    assert first.startswith(
        "784-10, sigmoid, quadratic cost, large initialisation, eta 3, mini-batch 10, "
        "1 epoch, backprop, l1 1, l2 0.5, dropout 0.3, optimizer nesterov, shuffle no, "
        "momentum 0.5, schedule 1, early-stop 3, train-on 20, expand elastic, monitor "
        f"speeds, test data of {small_mnist}, float32 on "
    )


def test_what_became_of_each_network_is_told():
    ended = [True, False, False, True]
    second = Record(1, [150, 190, None, 100], ended, [0, 0, 2, 0], 0.3)
    first = Record(0, [160, 180, 120, 90], [True] * 4, [0] * 4, 0.1)
    assert epoch_line(first, 200) == (
        "Epoch 0: 137.5 / 200 (mean of 4 seeds, 90 to 180)"
    )
    failed: list[list[int]] = [[4, 8], [], [], [1]]
    found = summary_of(first, second, failed_classes=failed, interrupted=True)
    lines = list(found.lines())
    assert lines[0] == "Interrupted after 2 of 9 epochs."
    assert lines[1].split() == ["seed", "best", "epoch", "last"]
    assert lines[4].split() == ["3", "60.00%", "0", "nan"]
    assert lines[6].split()[:2] == ["mean", "71.25%"]
    sd = np.std([0.8, 0.95, 0.6, 0.5], ddof=1)
    assert lines[7].split()[:2] == ["sd", f"{sd:.2%}"]
    assert lines[11] == "Stopped, as accuracy no longer improved: seed 2 after epoch 1."
    assert "Diverged, seed 3: in epoch 1 layer 2 became nan or infinite." in lines[12]
    assert lines[13].endswith("are wrong: seed 1 never learned 4 and 8.")
    assert lines[-1].startswith("0.20 s an epoch (median, evaluation included), 0.5 s")


def test_one_network_has_one_line_with_its_results():
    assert epoch_line(DONE, 200) == "Epoch 0: 190 / 200"
    monitored = Record(0, [190], [True], [0], 0.1, [[0.0123, 0.456]])
    assert epoch_line(monitored, 200) == "Epoch 0: 190 / 200, speeds 0.012 0.46"
    best, _ = summary_of(DONE, failed_classes=[[]]).lines()
    assert best == "Best 95.00% (epoch 0), last 95.00%."


def test_a_diverged_run_says_so(small_mnist, capsys, monkeypatch):
    diverged = Record(0, [None], [False], [1], 0.1)
    found = summary_of(diverged, failed_classes=[[]])
    monkeypatch.setattr("jaxnet.cli.train.follow", lambda *_, **__: found)
    assert train(small_mnist, "--json") == 1
    value = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    [record] = value["records"]
    assert record["broken_layer"] == [1] and record["correct"] == [None]
    assert value["best"] == [None]
    assert epoch_line(diverged, 200) == "Epoch 0: nan / 200"
    lines = list(found.lines())
    assert lines[0] == "No epoch ended with a finite network."
    assert "Diverged, seed 1: in epoch 0 layer 1 became nan or infinite." in lines[1]


# What it refuses.

WRONG = {
    "--eta nan": "--eta: expected a number above 0, got 'nan'",
    "--eta 1e39": "--eta: expected a number above 0, got '1e39'",
    "--cost cubic": "--cost: expected one of quadratic, cross_entropy, log_likelihood,",
    "--sizes 784": "--sizes/--layers: expected two or more layer sizes such as",
    "--sizes 784,2147483647,10": "layers: expected at most 268,435,456 weights, got 1",
    "--sizes 100,30,10": "--sizes: expected 784 inputs and 10 outputs to fit the data",
    "--batch-size 501": "--batch-size: expected at most 500, which is all the training",
    "--seeds 1.5": "--seeds: expected an integer of at least 1, got '1.5'",
    "--seeds 100001": "at least 1 and at most 100000, got '100001'",
    "--l1 -1": "--l1: expected 0 or a number above, got '-1'",
    "--dropout 0.999999999": "of at least 0 and below 1, got '0.999999999'",
    "--momentum 0.5 --optimizer adam": "expected --optimizer sgd or nesterov with it",
    "--optimizer nesterov": "--optimizer: expected --momentum with nesterov",
    "--expand all": "--expand: expected one of none, shifts, rotations, elastic, got",
    "--train-on 5": "--batch-size: expected at most 5, which is all the training",
    "--data /nowhere": "/nowhere: expected a folder of IDX or .npy files, a folder",
    "--figure a.txt": "a.txt: expected a picture's file, such as .png, .svg or .pdf",
    "--ET 3": "unrecognized arguments: --ET 3",
    "--json --quiet": "--quiet: not allowed with argument --json",
    "--gradient complex_step --hidden relu": "--gradient: Expected activations with a",
    "--out=": "empty argument (an unset shell variable?)",
    "--data=--": "empty argument (an unset shell variable?)",
}


@pytest.mark.parametrize(("options", "message"), WRONG.items(), ids=WRONG)
def test_wrong_values_get_one_line_and_exit_code_2(
    small_mnist, capsys, options, message
):
    words = ["train", "--data", small_mnist, "--epochs", "2", *options.split()]
    assert message in refused(capsys, *words)


def test_other_commands_and_words_are_refused_in_one_line(
    tmp_path, capsys, small_mnist
):
    mine, net = tmp_path / "mine.csv", tmp_path / "net.json"
    mine.write_text("".join(f"{i % 2},128,128,128,128\n" for i in range(60)))
    net.write_text(json.dumps(SMALL))
    thousand = ",".join(map(str, range(1, 1001)))
    mnist = f"train --data {small_mnist} --sizes 784,10"
    for words, message in {
        "sweep --eta 1 3": "arguments: 3; several values of a rate are written as in",
        f"sweep --eta {thousand} --l2 {thousand}": "100,000 networks, got 1,000,000",
        f"train --data {mine} --expand shifts": "of 28 x 28 pixels, got 4 pixels",
        f"{mnist} --out {net}/below": f"{net}/below",
        f"export {net} /proc/nowhere/file.json": "/proc/nowhere",
        f"export {net} {tmp_path}/net": "a file that ends in .html, .jax, .onnx or",
        f"predict {net} a.png": "784 inputs and 10 outputs, got 2 and 1",
        "describe a\x1b[31mb": "a\\x1b[31mb: expected a folder",
        "": f"expected a command, one of {', '.join(COMMANDS)}",
    }.items():
        assert message in refused(capsys, *words.split())


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_its_help(command, capsys):
    with pytest.raises(SystemExit) as end:
        main([command, "--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    assert text.startswith(f"usage: jaxnet {command}") and len(text.splitlines()) > 8


# What it advises.

QUIET = (  # an experiment, its last accuracy, and how many classes it failed
    ({}, 0.95, 0),
    ({}, 0.9, 5),
    ({"epochs": 2}, 0.9, 1),  # not learned yet
    ({"hidden": jaxnet.relu, "eta": 0.1}, 0.9, 1),
    ({"optimizer": optax.adam, "eta": 0.001}, 0.5, 4),
)
TOLD = {
    "footnote 7 in section 1.6": ({}, 0.85, 1),
    "try --eta 0.001": ({"optimizer": optax.adam}, 0.1, 9),
    "eta 3 is large for adagrad": ({"optimizer": optax.adagrad}, 0.1, 9),
    "eta 3 is large for relu": ({"hidden": jaxnet.relu}, 0.1, 9),
    "eta 30 is large: try --eta 3": ({"sizes": (784, 60, 30, 10), "eta": 30.0}, 0.4, 4),
    "try --eta 0.5": ({"cost": jaxnet.cross_entropy, "eta": 5.0}, 0.8, 1),
    "eta 0.01 is small: more epochs": ({"eta": 0.01}, 0.5, 5),
    "the most frequent answer, 10.00%": ({}, 0.1, 9),
}


@pytest.fixture(scope="module")
def tens():
    """Ten examples of each of ten classes, as if they were 50,000, and a test part."""
    y = np.tile(np.eye(10, dtype=np.float32), (20, 1))
    part = jaxnet.Dataset(jax.device_put(3 * y), jax.device_put(y))
    return jaxnet.Split(part, part, part)


@pytest.mark.parametrize("words", [None, *TOLD])
def test_advice_is_given_where_it_is_true_and_nowhere_else(tens, words):
    for options, last, failed in QUIET if words is None else [TOLD[words]]:
        e = replace(Experiment(batch_size=1, epochs=75), **options)
        said = [*advice(e, tens, np.array([last]), [list(range(failed))], e.epochs)]
        assert (said == []) if words is None else any(words in line for line in said)
        assert not any("mean image" in line for line in said)


def test_permuted_labels_are_suspected_where_nothing_is_learned(tens):
    rng = np.random.default_rng(0)
    permuted = jaxnet.Split(
        *(jaxnet.Dataset(p.x, p[rng.permutation(len(p))].y) for p in tens)
    )
    said = [*advice(Experiment(), permuted, np.array([0.1]), [[]], 30)]
    assert "are the labels in the order of the images?" in said[1] and len(said) == 2
    assert any("Labels seem unrelated" in line for line in oddities(permuted))
    assert not any("Labels" in line for line in oddities(tens))


def test_the_book_s_experiments_are_listed_in_a_table(capsys):
    assert main(["reproduce", "--list", "1,000 images, L2", "eta 1"]) == 0
    lines = [line.split("  ") for line in capsys.readouterr().out.splitlines()]
    rows = [[cell.strip() for cell in line if cell.strip()] for line in lines]
    assert rows == [
        ["experiment", "section", "the book", "its statistic"],
        ["1,000 images, L2", "web 3.2", "87.10", "best epoch"],
        ["eta 1", "1.6", "-", "last epoch"],
    ]


# How it ends.


ENDS = (
    (KeyboardInterrupt, "", 130, "jaxnet train: interrupted\n"),
    (JaxRuntimeError, "RESOURCE_EXHAUSTED: no room\nmore", 1, "out of memory: RES"),
    (MemoryError, "no room", 1, "out of memory: no room"),
)


@pytest.mark.parametrize(("kind", "words", "code", "message"), ENDS)
def test_what_ends_a_run_early_is_one_line_and_a_bug_is_not(
    small_mnist, monkeypatch, capsys, kind, words, code, message
):
    monkeypatch.setattr("jaxnet.cli.train.follow", raising(kind, words))
    assert train(small_mnist) == code
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and message in error
    monkeypatch.setattr("jaxnet.cli.train.follow", raising(ValueError, "of ours"))
    with pytest.raises(ValueError, match="of ours"):
        train(small_mnist)


def test_an_environment_variable_shows_where_an_error_was_raised(capsys, monkeypatch):
    monkeypatch.setenv("JAXNET_TRACEBACK", "1")
    assert main(["describe", "nowhere"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("Traceback") and "DataError: nowhere: expected" in error


def test_a_terminal_shows_progress_and_ctrl_c_keeps_what_is_done(small_mnist):
    small = ["--data", small_mnist, "--sizes", "784,10", "--train-on", "50"]
    command = [sys.executable, "-m", "jaxnet", "train", "--epochs", "1000000", *small]
    ours, theirs = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "80"}
    # Where tests run in the background Ctrl-C is ignored, and children inherit that.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen(
        command, stdout=theirs, stderr=theirs, env=environment
    ) as process:
        signal.signal(signal.SIGINT, before)
        os.close(theirs)
        shown = b""
        while b"Epoch 2: " not in shown:
            shown += os.read(ours, 4096)
        process.send_signal(signal.SIGINT)
        with suppress(OSError):  # the other end has closed
            while chunk := os.read(ours, 4096):
                shown += chunk
    os.close(ours)
    assert process.returncode == 130
    assert b"compiling" in shown and b"/1000000" in shown
    assert b"Interrupted after" in shown and b"of 1000000 epochs" in shown
    assert b"Best " in shown and b"Traceback" not in shown


def test_every_script_has_its_help(monkeypatch, capsys):
    for path in (ROOT / "scripts").glob("*.py"):
        text = path.read_text()
        if "__main__" in text:
            assert "\n    script(main)\n" in text or "ArgumentParser(" in text, path
    monkeypatch.setattr(sys, "argv", ["ch1_images.py", "--help"])
    monkeypatch.setattr("jaxnet.cli.console.end_with_pipe", lambda: None)
    with pytest.raises(SystemExit):
        script(ch1_images.main)
    out, described = capsys.readouterr().out, ch1_images.__doc__ or ""
    assert described.strip() in out and "--out OUT" in out


SCRIPTS = (  # options, the exit code, and what is printed
    ("--data x --sizes 5 6 --rate 2 --no-draw", 3, "x 5 6 2.0 False"),
    ("--sizes 0", 2, "a.py: argument --sizes: expected an integer of at least 1, got"),
    ("--data nowhere", 2, "a.py: nowhere: expected "),
    ("--help", 0, "a limit (default: 1.5)"),
)


@pytest.mark.parametrize(("words", "code", "printed"), SCRIPTS)
def test_parameters_are_options_of_a_script(monkeypatch, capsys, words, code, printed):
    def begin(
        data: str | None = None,
        sizes: tuple[int, ...] = (30,),
        rate: float = 1.5,
        draw: bool = True,
        split: dict[str, int] | None = None,
    ) -> int:
        """Print them.

        rate: a limit
        """
        if data == "nowhere":
            load_data(data)
        print(data, *sizes, rate, draw)
        return 3

    monkeypatch.setattr("jaxnet.cli.console.end_with_pipe", lambda: None)
    monkeypatch.setattr(sys, "argv", ["a.py", *words.split()])
    with pytest.raises(SystemExit) as ending:
        script(begin)
    out, err = capsys.readouterr()
    assert ending.value.code == code and "--split" not in out
    assert printed in out + err and err.count("\n") == (code == 2)


def test_an_interrupted_import_leaves_no_traceback():
    """Python imports the package before any line of its `__main__`."""
    code = "import sys; sys.argv = ['-m']; import jaxnet; jaxnet.signal.raise_signal(2)"
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    done = subprocess.run(
        [sys.executable, "-c", code], stderr=subprocess.PIPE, cwd=ROOT
    )
    signal.signal(signal.SIGINT, before)
    assert done.stderr == b"" and done.returncode == -signal.SIGINT


def test_output_that_cannot_be_written_is_no_traceback(monkeypatch, capfd):
    """A reader that leaves, as in `jaxnet train | head -1`, is no error."""
    reading, writing = os.pipe()
    os.close(reading)
    full = "jaxnet reproduce: output: No space left on device\n"
    for place, code, error in ((writing, 0, ""), ("/dev/full", 2, full)):
        with open(place, "w") as output:
            monkeypatch.setattr(sys, "stdout", output)
            assert main(["reproduce", "--list"]) == code
        assert capfd.readouterr().err == error


# Using a network.


@pytest.fixture(scope="module")
def network(tmp_path_factory, mnist):
    """784-10 by least squares, sure enough of its answers, in the book's format."""
    x, y = np.asarray(mnist.train.x[:10_000]), np.asarray(mnist.train.y[:10_000])
    with_bias = np.column_stack([x, np.ones(len(x))])
    products = with_bias.T @ with_bias + 10 * np.eye(785)
    *w, b = 10 * np.linalg.solve(products, with_bias.T @ (y - 0.5))
    layer = {"weights": [np.transpose(w).tolist()], "biases": [b[:, None].tolist()]}
    network = {"sizes": [784, 10], "cost": "CrossEntropyCost", **layer}
    path = tmp_path_factory.mktemp("network") / "net.json"
    path.write_text(json.dumps(network))
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


def test_evaluate_says_what_numpy_says(network, small_mnist, capsys, small_mnist_data):
    options = ["evaluate", str(network), "--data", small_mnist, "--mistakes", "3"]
    assert main([*options, "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    x, y = map(np.asarray, (small_mnist_data.test.x, small_mnist_data.test.y))
    saved = json.loads(network.read_text())
    w, b = np.array(saved["weights"][0]), np.ravel(saved["biases"][0])
    a = 1 / (1 + np.exp(-x @ w.T - b))
    labels, answers = y.argmax(axis=1), a.argmax(axis=1)
    assert value["accuracy"] == pytest.approx((labels == answers).mean())
    cost = -(y * np.log(a) + (1 - y) * np.log(1 - a)).sum(axis=1).mean()
    assert value["cost"] == pytest.approx(cost, rel=1e-5)
    counts = np.zeros((10, 10), int)
    np.add.at(counts, (labels, answers), 1)
    assert value["confusion"] == counts.tolist()
    wrong = np.flatnonzero(labels != answers)
    surest = wrong[np.argsort(-a[wrong].max(axis=1))][:3]
    assert [mistake["image"] for mistake in value["mistakes"]] == surest.tolist()
    for mistake in value["mistakes"]:
        assert labels[mistake["image"]] == mistake["truth"] != mistake["answer"]
    assert main(options) == 0
    first, *rest = capsys.readouterr().out.splitlines()
    words = f"{counts.trace()} / 200 test images of {small_mnist} correct, "
    assert first.startswith(words)
    assert len([line for line in rest if line.endswith("%")]) == 10


def test_evaluate_draws_confusions_weights_and_mistakes(
    network, small_mnist, capsys, tmp_path, drawn
):
    figure, small = ["--figure", str(tmp_path)], ["--data", small_mnist]
    assert main(["evaluate", str(network), *small, *figure, "--mistakes", "1"]) == 0
    out, err = capsys.readouterr()
    names = ("confusion", "weights", "mistakes")
    assert err == "".join(f"wrote {tmp_path / name}.png\n" for name in names)
    confusion, weights, mistakes = (figure.axes[0] for figure in drawn)
    title = f"{network} on test images of {small_mnist}"
    assert all(title in axes.get_title() for axes in (confusion, weights, mistakes))
    wrong = 200 - int(out.split()[0])
    assert len(mistakes.texts) == 2 * wrong and out.count("taken for a") == 1
    w = np.asarray(json.loads(network.read_text())["weights"][0])
    tile = weights.images[0].get_array()[:28, 34:62]
    np.testing.assert_allclose(tile.ravel(), w[1], rtol=1e-6)


def test_predict_answers_each_row_of_a_file_without_labels(
    network, capsys, tmp_path, small_mnist_data
):
    x = (256 * np.asarray(small_mnist_data.test.x[:4])).astype(np.uint8)
    header = ",".join(f"pixel{i}" for i in range(784))
    path, arrays = tmp_path / "test.csv", tmp_path / "x.npy"
    np.savetxt(path, x, "%d", ",", header=header, comments="")
    np.save(arrays, x.reshape(4, 28, 28).swapaxes(1, 2))
    truth = np.asarray(small_mnist_data.test.y[:4]).argmax(axis=1)
    for file, option in ((path, []), (arrays, ["--transpose"])):
        assert main(["predict", str(network), str(file), *option]) == 0
        lines = capsys.readouterr().out.splitlines()
        for row, (line, digit) in enumerate(zip(lines, truth, strict=True), start=1):
            assert line.startswith(f"{file}, row {row}: {digit}  (")
    path.write_text("1,2\n3,4\n")
    assert "(examples, 784)" in refused(capsys, "predict", network, path)


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
    network, pictures, capsys, monkeypatch
):
    """Its name may be a word of the message; noise is found blank only later."""
    monkeypatch.chdir(pictures)
    noise = np.random.default_rng(0).normal(128, 8, (60, 60))
    Image.fromarray(noise.astype(np.uint8)).save("ink", "PNG")
    names = ("blank.png", "missing.png", "one.png", "ink")
    assert main(["predict", str(network), *names]) == 2
    blank, missing, one, ink = capsys.readouterr().out.splitlines()
    assert "blank.png: expected ink on paper" in blank
    assert "missing.png: expected a picture" in missing and ": 7 " in one
    assert ink == "ink: expected ink on paper, got a blank picture."
